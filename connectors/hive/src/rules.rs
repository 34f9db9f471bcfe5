//! What is declared of filters, and the verdict on a conjunct that follows from it.
//!
//! A conjunct over nothing but columns that are the same for all rows of a file (partition columns and hidden ones)
//! is evaluated by the engine's own code on the values of each partition or file. If it cannot fail, the files that
//! are left hold exactly the rows for which it is true. If it can, only those files are left out for which it was
//! evaluated without an error and was not true.
//!
//! A conjunct over columns of Parquet files leaves out row groups and pages by their statistics and bloom filters.
//! Files of the other formats have none, or they are not used.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use portolan_connector::{Capabilities, Domain, Operation, Reason, Rule, Verdict};

use crate::total::{is_deterministic, is_total};

/// Columns whose values are in the names of directories.
pub(crate) const PARTITION: Domain = Domain("partition column");
/// `$path` and the like.
pub(crate) const HIDDEN: Domain = Domain("hidden column");
/// Columns of the files that have statistics.
pub(crate) const FILE: Domain = Domain("file column");
/// Floating-point columns of the files.
pub(crate) const FLOAT: Domain = Domain("floating-point file column");
/// Lists, structs and maps in the files.
pub(crate) const NESTED: Domain = Domain("nested file column");

/// Columns of CSV files and of Hive's text files.
pub(crate) const CSV: Domain = Domain("CSV column");
/// Columns of files of JSON lines.
pub(crate) const JSON: Domain = Domain("JSON column");
/// Columns of Avro files.
pub(crate) const AVRO: Domain = Domain("Avro column");

/// Columns of ORC files.
pub(crate) const ORC: Domain = Domain("ORC column");

/// The longest `IN` list that statistics are asked about, as in the engine's `max_in_list_size`.
const LONGEST_LIST: usize = 20;

const TOTAL: &str =
    "it cannot fail for any value; what can (casts, arithmetic, most functions) prunes and is checked again";
const FLOATS: &str = "statistics of Parquet files leave out NaN, which the engine sorts last";
const NO_NESTED: &str = "statistics of nested columns are not used";

/// Why a filter on columns of files without statistics is left to the engine.
const WITHOUT_STATISTICS: [(Domain, &str); 4] = [
    (CSV, "CSV files have no statistics: every row is read"),
    (JSON, "JSON files have no statistics: every row is read"),
    (AVRO, "Avro files have no statistics: every row is read"),
    (ORC, "the statistics of ORC files are not used: every row is read"),
];

/// The rules of this connector.
pub(crate) fn capabilities() -> Capabilities {
    use Operation::{
        And, AnyExpression, Between, Define, Eq, Gt, GtEq, ILike, In, Insert, IsNotNull, IsNull, Like, Limit, Lt, LtEq,
        Modify, Not, NotEq, Or, Projection, Regex, Truth,
    };
    let mut rules = vec![
        Rule::exact(AnyExpression, Some(PARTITION)).when(TOTAL),
        Rule::exact(AnyExpression, Some(HIDDEN)).when(TOTAL),
    ];
    for operation in [Eq, NotEq, Lt, LtEq, Gt, GtEq] {
        rules.push(Rule::pruning(operation, Some(FILE)).when("the other side is a literal"));
    }
    rules.extend([
        Rule::pruning(In, Some(FILE)).when("the list has at most 20 literals"),
        Rule::pruning(Between, Some(FILE)).when("both bounds are literals"),
        Rule::pruning(IsNull, Some(FILE)),
        Rule::pruning(IsNotNull, Some(FILE)),
        Rule::pruning(Truth, Some(FILE)),
        Rule::pruning(Like, Some(FILE)).when("the pattern begins with text and not with a wildcard"),
        Rule::refused(ILike, Some(FILE), "statistics cannot answer ILIKE"),
        Rule::refused(Regex, Some(FILE), "statistics cannot answer regular expressions"),
    ]);
    for operation in [Eq, NotEq, Lt, LtEq, Gt, GtEq, In, Between] {
        rules.push(Rule::refused(operation, Some(FLOAT), FLOATS));
    }
    rules.extend([
        Rule::pruning(IsNull, Some(FLOAT)),
        Rule::pruning(IsNotNull, Some(FLOAT)),
        Rule::refused(AnyExpression, Some(NESTED), NO_NESTED),
    ]);
    rules.extend(WITHOUT_STATISTICS.map(|(domain, reason)| Rule::refused(AnyExpression, Some(domain), reason)));
    rules.extend([
        Rule::pruning(And, None).when("one side prunes"),
        Rule::pruning(Or, None).when("both sides prune"),
        Rule::pruning(Not, None)
            .when("it stands before a boolean column, IN, BETWEEN, or LIKE with a wildcard at the end alone"),
        Rule::exact(Projection, None),
        Rule::exact(Limit, None).when("every filter is exact"),
        Rule::exact(Insert, None)
            .when("access = \"read_write\"; INSERT OVERWRITE replaces the partitions that get rows"),
        Rule::refused(Modify, None, "files are not changed where they are: INSERT OVERWRITE writes partitions anew"),
        Rule::exact(Define, None).when("access = \"read_write\""),
    ]);
    Capabilities::new(rules)
}

/// What decides a verdict: the rules and the domains and types of the columns.
pub(crate) struct Judge<'a> {
    pub(crate) capabilities: &'a Capabilities,
    pub(crate) columns: &'a [portolan_connector::Column],
    /// All columns, without qualifiers.
    pub(crate) schema: &'a datafusion::common::DFSchema,
}

impl Judge<'_> {
    /// The verdict on a conjunct whose columns have no qualifiers.
    pub(crate) fn verdict(&self, conjunct: &Expr) -> Verdict {
        if let Err(reason) = is_deterministic(conjunct) {
            return Verdict::Refused(reason);
        }
        let columns = conjunct.column_refs();
        if let Some(unknown) = columns.iter().find(|column| self.domain(&column.name).is_none()) {
            return Verdict::refused(format!("the table has no column {}", unknown.name));
        }
        if columns.is_empty() {
            return Verdict::refused("it names no column of the table");
        }
        if self.is_constant(conjunct) {
            return if is_total(conjunct, self.schema) { Verdict::Exact } else { Verdict::Pruning };
        }
        match self.prunes(conjunct) {
            Ok(()) => Verdict::Pruning,
            Err(_) if constant_part(conjunct, &|expr| self.is_constant(expr)).is_some() => Verdict::Pruning,
            Err(reason) => Verdict::Refused(reason),
        }
    }

    fn domain(&self, name: &str) -> Option<Domain> {
        self.columns.iter().find(|column| column.name() == name).map(|column| column.domain)
    }

    /// Whether the expression is the same for all rows of a file.
    pub(crate) fn is_constant(&self, expr: &Expr) -> bool {
        let constant = |name: &str| matches!(self.domain(name), Some(PARTITION | HIDDEN));
        expr.column_refs().iter().all(|column| constant(&column.name))
    }

    /// Why columns of files without statistics leave nothing out; `None` for other columns.
    fn without_statistics(&self, domain: Domain) -> Option<Reason> {
        if !WITHOUT_STATISTICS.iter().any(|(without, _)| *without == domain) {
            return None;
        }
        match &self.capabilities.rule(Operation::AnyExpression, Some(domain))?.verdict {
            Verdict::Refused(reason) => Some(reason.clone()),
            _ => None,
        }
    }

    /// Whether statistics of row groups can show that no row matches. This follows what the engine's pruning
    /// predicates understand; a sub-expression over constant columns is known when a file is opened.
    fn prunes(&self, expr: &Expr) -> Result<(), Reason> {
        if self.is_constant(expr) {
            return Ok(());
        }
        let bare = |name: &str| self.domain(name).and_then(|domain| self.without_statistics(domain));
        if let Some(reason) = expr.column_refs().iter().find_map(|column| bare(&column.name)) {
            return Err(reason);
        }
        match expr {
            Expr::Alias(alias) => self.prunes(&alias.expr),
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                self.prunes(left).or_else(|reason| self.prunes(right).map_err(|_| reason))
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                self.prunes(left).and_then(|()| self.prunes(right))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let operation = comparison(*op)?;
                match (is_literal(left), is_literal(right)) {
                    (false, true) => self.allowed(operation, left),
                    (true, false) => self.allowed(operation, right),
                    _ => Err("statistics cannot compare columns with one another".into()),
                }
            }
            Expr::InList(list) => {
                if list.list.len() > LONGEST_LIST {
                    return Err(Reason::new(format!("the list has more than {LONGEST_LIST} values")));
                }
                if !list.list.iter().all(is_literal) {
                    return Err("the list does not consist of literals".into());
                }
                self.allowed(Operation::In, &list.expr)
            }
            Expr::Between(between) => {
                if !is_literal(&between.low) || !is_literal(&between.high) {
                    return Err("the bounds are no literals".into());
                }
                self.allowed(Operation::Between, &between.expr)
            }
            Expr::IsNull(inner) => self.allowed(Operation::IsNull, inner),
            Expr::IsNotNull(inner) => self.allowed(Operation::IsNotNull, inner),
            Expr::Like(like) if like.case_insensitive => self.allowed(Operation::ILike, &like.expr),
            Expr::Like(like) => {
                self.allowed(Operation::Like, &like.expr)?;
                pattern_prunes(&like.pattern, like.negated, like.escape_char)
            }
            Expr::SimilarTo(like) => self.allowed(Operation::Regex, &like.expr),
            Expr::Column(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_) => truth_column(expr).map_or_else(
                || Err(Reason::from("statistics cannot answer this expression")),
                |column| self.allowed(Operation::Truth, column),
            ),
            Expr::Not(inner) if matches!(inner.as_ref(), Expr::Column(_)) => self.allowed(Operation::Truth, inner),
            Expr::ScalarFunction(function) => {
                Err(Reason::new(format!("statistics cannot answer the function {}", function.name())))
            }
            _ => Err("statistics cannot answer this expression".into()),
        }
    }

    /// What the rules say of an operation on a column, which may be cast.
    fn allowed(&self, operation: Operation, operand: &Expr) -> Result<(), Reason> {
        let column = match operand {
            Expr::Column(column) => column,
            Expr::Alias(alias) => return self.allowed(operation, &alias.expr),
            Expr::Cast(cast) => return self.allowed_cast(operation, &cast.expr, cast.field.data_type()),
            Expr::TryCast(cast) => return self.allowed_cast(operation, &cast.expr, cast.field.data_type()),
            _ => return Err("statistics know columns, not expressions".into()),
        };
        let domain = self.domain(&column.name).unwrap_or(NESTED);
        let rule = self
            .capabilities
            .rule(operation, Some(domain))
            .or_else(|| self.capabilities.rule(Operation::AnyExpression, Some(domain)));
        match rule.map(|rule| &rule.verdict) {
            Some(Verdict::Exact | Verdict::Pruning) => Ok(()),
            Some(Verdict::Refused(reason)) => Err(reason.clone()),
            None => Err(Reason::new(format!("no rule for {operation} on a {domain}"))),
        }
    }

    /// A cast keeps the order of values unless it is from or to text. A cast from a floating-point column is refused
    /// with the column; one to floating point orders its values like the column.
    fn allowed_cast(
        &self,
        operation: Operation,
        operand: &Expr,
        to: &arrow::datatypes::DataType,
    ) -> Result<(), Reason> {
        use datafusion::logical_expr::ExprSchemable;
        let from = operand.get_type(self.schema).map_err(|error| Reason::new(error.to_string()))?;
        if from.is_string() != to.is_string() {
            return Err("statistics cannot answer a cast from or to text".into());
        }
        self.allowed(operation, operand)
    }
}

fn comparison(operator: Operator) -> Result<Operation, Reason> {
    Ok(match operator {
        Operator::Eq | Operator::IsNotDistinctFrom => Operation::Eq,
        Operator::NotEq | Operator::IsDistinctFrom => Operation::NotEq,
        Operator::Lt => Operation::Lt,
        Operator::LtEq => Operation::LtEq,
        Operator::Gt => Operation::Gt,
        Operator::GtEq => Operation::GtEq,
        Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch => {
            return Err("statistics cannot answer regular expressions".into());
        }
        other => return Err(Reason::new(format!("statistics cannot answer the operator {other}"))),
    })
}

/// A literal, or an expression that becomes one: it has no column.
fn is_literal(expr: &Expr) -> bool {
    expr.column_refs().is_empty()
}

/// The column of `c`, `c IS TRUE` and the like.
fn truth_column(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Column(_) => Some(expr),
        Expr::IsTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotUnknown(inner) => matches!(inner.as_ref(), Expr::Column(_)).then_some(inner.as_ref()),
        _ => None,
    }
}

/// Statistics hold the smallest and the largest text, so a pattern prunes by the text before its first wildcard.
fn pattern_prunes(pattern: &Expr, negated: bool, escape: Option<char>) -> Result<(), Reason> {
    let Expr::Literal(value, _) = pattern else {
        return Err("the pattern is no literal".into());
    };
    let Some(Some(text)) = value.try_as_str() else {
        return Err("the pattern is no text".into());
    };
    if escape.is_some_and(|escape| escape != '\\') {
        return Err("the pattern has an escape character of its own".into());
    }
    let refused = || Err(Reason::new(format!("statistics cannot answer LIKE '{text}'")));
    if text.starts_with(['%', '_']) {
        return refused();
    }
    if negated && (!text.ends_with('%') || text.trim_end_matches('%').contains(['%', '_', '\\'])) {
        return Err(Reason::new(format!("statistics cannot answer NOT LIKE '{text}'")));
    }
    Ok(())
}

/// The strongest condition over constant columns that every matching row meets: what the whole conjunct says of the
/// partition. `None` when that is nothing.
pub(crate) fn constant_part(expr: &Expr, is_constant: &dyn Fn(&Expr) -> bool) -> Option<Expr> {
    if is_constant(expr) {
        return Some(expr.clone());
    }
    match expr {
        Expr::Alias(alias) => constant_part(&alias.expr, is_constant),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (constant_part(left, is_constant), constant_part(right, is_constant)) {
                (Some(left), Some(right)) => Some(left.and(right)),
                (one, other) => one.or(other),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(constant_part(left, is_constant)?.or(constant_part(right, is_constant)?))
        }
        _ => None,
    }
}

/// Whether the expression holds a column of which the test is true.
pub(crate) fn any_column(expr: &Expr, test: impl Fn(&str) -> bool) -> bool {
    let mut found = false;
    // The closure never fails.
    let _ = expr.apply(|expr| {
        if let Expr::Column(column) = expr {
            found |= test(&column.name);
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}
