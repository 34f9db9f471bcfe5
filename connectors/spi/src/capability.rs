//! What a connector declares that its source can do: rules as data.

use std::fmt;

use crate::{Reason, Verdict};

/// Something that a query may ask of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// `=`
    Eq,
    /// `<>`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
    /// `IN (literal, ...)`, and `NOT IN` under [`Operation::Not`]
    In,
    /// `BETWEEN low AND high`
    Between,
    /// `IS NULL`
    IsNull,
    /// `IS NOT NULL`
    IsNotNull,
    /// `LIKE`
    Like,
    /// `ILIKE`
    ILike,
    /// `~`, `~*`, `SIMILAR TO` and `regexp_*`
    Regex,
    /// A boolean column standing alone as a predicate, and `IS [NOT] TRUE | FALSE`
    Truth,
    /// `AND` within a conjunct
    And,
    /// `OR`
    Or,
    /// `NOT`
    Not,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// A conversion that loses nothing
    Cast,
    /// `CASE`
    Case,
    /// `coalesce`
    Coalesce,
    /// `nullif`
    NullIf,
    /// `greatest`
    Greatest,
    /// `least`
    Least,
    /// `extract`
    DatePart,
    /// `date_trunc`
    DateTrunc,
    /// `substring` from a literal position on
    Substring,
    /// `character_length`
    CharacterLength,
    /// `octet_length`
    OctetLength,
    /// `||` and `concat`
    Concat,
    /// `trim`, `btrim`, `ltrim` and `rtrim`
    Trim,
    /// `replace` of one literal by another
    Replace,
    /// `left`
    Left,
    /// `right`
    Right,
    /// `strpos`
    Position,
    /// `starts_with`
    StartsWith,
    /// `ends_with`
    EndsWith,
    /// `contains`
    Contains,
    /// `reverse`
    Reverse,
    /// `repeat`
    Repeat,
    /// `lpad` and `rpad`
    Pad,
    /// `split_part`
    SplitPart,
    /// `lower`, `upper` and `initcap`
    LetterCase,
    /// `abs`
    Abs,
    /// `ceil`
    Ceil,
    /// `floor`
    Floor,
    /// `round`
    Round,
    /// `trunc`
    Trunc,
    /// `array_has`, `array_has_all` and `array_has_any`: `= ANY`, `@>` and `&&`
    ArrayHas,
    /// `GROUP BY`, `DISTINCT`
    GroupBy,
    /// `ORDER BY`
    Sort,
    /// `count`
    Count,
    /// `sum`
    Sum,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `avg`
    Avg,
    /// `bool_and`
    BoolAnd,
    /// `bool_or`
    BoolOr,
    /// `FILTER` of an aggregate function
    AggregateFilter,
    /// `JOIN` of tables of one catalog
    Join,
    /// `LEFT`, `RIGHT` and `FULL JOIN` of tables of one catalog
    OuterJoin,
    /// `EXISTS`, `IN` and their negations over a table of the same catalog
    SemiJoin,
    /// `UNION ALL` of tables of one catalog
    UnionAll,
    /// Any expression over nothing but columns of the rule's domain
    AnyExpression,
    /// Reading only the columns that the query needs
    Projection,
    /// `LIMIT`, when every filter is exact
    Limit,
    /// `FOR VERSION AS OF`
    Version,
    /// `FOLLOW`
    Follow,
    /// The newest row of each key: `"table$latest"`
    Newest,
    /// `INSERT INTO`
    Insert,
    /// `UPDATE` and `DELETE FROM`
    Modify,
    /// `CREATE TABLE` and `DROP TABLE`
    Define,
}

impl Operation {
    /// The operation as SQL writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::NotEq => "<>",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
            Self::In => "IN",
            Self::Between => "BETWEEN",
            Self::IsNull => "IS NULL",
            Self::IsNotNull => "IS NOT NULL",
            Self::Like => "LIKE",
            Self::ILike => "ILIKE",
            Self::Regex => "~",
            Self::Truth => "IS TRUE",
            Self::And => "AND",
            Self::Or => "OR",
            Self::Not => "NOT",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Cast => "CAST",
            Self::Case => "CASE",
            Self::Coalesce => "coalesce",
            Self::NullIf => "nullif",
            Self::Greatest => "greatest",
            Self::Least => "least",
            Self::DatePart => "extract",
            Self::DateTrunc => "date_trunc",
            Self::Substring => "substring",
            Self::CharacterLength => "character_length",
            Self::OctetLength => "octet_length",
            Self::Concat => "||",
            Self::Trim => "trim",
            Self::Replace => "replace",
            Self::Left => "left",
            Self::Right => "right",
            Self::Position => "strpos",
            Self::StartsWith => "starts_with",
            Self::EndsWith => "ends_with",
            Self::Contains => "contains",
            Self::Reverse => "reverse",
            Self::Repeat => "repeat",
            Self::Pad => "lpad",
            Self::SplitPart => "split_part",
            Self::LetterCase => "lower",
            Self::Abs => "abs",
            Self::Ceil => "ceil",
            Self::Floor => "floor",
            Self::Round => "round",
            Self::Trunc => "trunc",
            Self::ArrayHas => "array_has",
            Self::GroupBy => "GROUP BY",
            Self::Sort => "ORDER BY",
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Avg => "avg",
            Self::BoolAnd => "bool_and",
            Self::BoolOr => "bool_or",
            Self::AggregateFilter => "FILTER",
            Self::Join => "JOIN",
            Self::OuterJoin => "OUTER JOIN",
            Self::SemiJoin => "EXISTS",
            Self::UnionAll => "UNION ALL",
            Self::AnyExpression => "any expression",
            Self::Projection => "projection",
            Self::Limit => "LIMIT",
            Self::Version => "FOR VERSION AS OF",
            Self::Follow => "FOLLOW",
            Self::Newest => "$latest",
            Self::Insert => "INSERT",
            Self::Modify => "UPDATE, DELETE",
            Self::Define => "CREATE, DROP",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

/// A set of columns to which the same rules apply: a kind of type (`text`, `char(n)`) or a role (`partition column`).
///
/// The name is what `SHOW CAPABILITIES` prints; each connector defines its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(pub &'static str);

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// One declared rule: this operation, on columns of this domain, gets this verdict.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What is asked.
    pub operation: Operation,
    /// Of which columns; `None` where operands do not matter (`AND`, `LIMIT`).
    pub domain: Option<Domain>,
    /// What the source does.
    pub verdict: Verdict,
    /// What else must hold, for a person: `the literal has no NUL character`. A conjunct that breaks it is refused.
    pub condition: Option<&'static str>,
}

impl Rule {
    /// The source does exactly what the engine does.
    pub const fn exact(operation: Operation, domain: Option<Domain>) -> Self {
        Self { operation, domain, verdict: Verdict::Exact, condition: None }
    }

    /// The source skips some of what cannot match; the engine checks again.
    pub const fn pruning(operation: Operation, domain: Option<Domain>) -> Self {
        Self { operation, domain, verdict: Verdict::Pruning, condition: None }
    }

    /// The source must not get it, for a reason worth telling. What no rule names is refused as well.
    pub fn refused(operation: Operation, domain: Option<Domain>, reason: impl Into<Reason>) -> Self {
        Self { operation, domain, verdict: Verdict::Refused(reason.into()), condition: None }
    }

    /// Adds a condition.
    #[must_use]
    pub const fn when(mut self, condition: &'static str) -> Self {
        self.condition = Some(condition);
        self
    }
}

/// Everything that a connector declares.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    rules: Vec<Rule>,
}

impl Capabilities {
    /// Takes the rules in the order in which `SHOW CAPABILITIES` prints them.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    /// All rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule for an operation on a domain, or the one for that operation whatever the operands.
    pub fn rule(&self, operation: Operation, domain: Option<Domain>) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.operation == operation && (rule.domain == domain || rule.domain.is_none()))
    }

    /// The verdict of the rule that applies; a refusal where none does.
    pub fn verdict(&self, operation: Operation, domain: Domain) -> Verdict {
        match self.rule(operation, Some(domain)) {
            Some(rule) => rule.verdict.clone(),
            None => Verdict::refused(format!("no rule for {operation} on {domain}")),
        }
    }

    /// Whether the source does it exactly, for operations without operands.
    pub fn allows(&self, operation: Operation) -> bool {
        self.rule(operation, None).is_some_and(|rule| rule.verdict == Verdict::Exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Domain = Domain("text");
    const FLOAT: Domain = Domain("float");

    #[test]
    fn what_no_rule_names_is_refused_with_a_reason() {
        let capabilities = Capabilities::new(vec![
            Rule::exact(Operation::Eq, Some(TEXT)),
            Rule::refused(Operation::Lt, Some(TEXT), "ordering depends on the locale"),
            Rule::exact(Operation::Limit, None),
        ]);
        assert_eq!(capabilities.verdict(Operation::Eq, TEXT), Verdict::Exact);
        assert_eq!(capabilities.verdict(Operation::Lt, TEXT), Verdict::refused("ordering depends on the locale"));
        assert_eq!(capabilities.verdict(Operation::Eq, FLOAT), Verdict::refused("no rule for = on float"));
        assert!(capabilities.allows(Operation::Limit));
        assert!(!capabilities.allows(Operation::Projection));
    }
}
