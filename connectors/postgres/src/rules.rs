//! What PostgreSQL is declared to do as the engine would, and why it is not asked for the rest.

mod folds;

use portolan_connector::{Capabilities, Domain, Operation, Rule};

use crate::types::*;

const EQUALITY: &[Operation] = &[Operation::Eq, Operation::NotEq, Operation::In];
const ORDER: &[Operation] = &[Operation::Lt, Operation::LtEq, Operation::Gt, Operation::GtEq, Operation::Between];
const NULLS: &[Operation] = &[Operation::IsNull, Operation::IsNotNull];
const PATTERNS: &[Operation] = &[Operation::Like, Operation::ILike, Operation::Regex];

/// All kinds of columns, in the order in which they are printed.
const DOMAINS: &[Domain] = &[
    BOOLEAN,
    INTEGER,
    FLOAT,
    NUMERIC,
    NUMERIC_UNDECLARED,
    NUMERIC_CONVERTED,
    TEXT,
    TEXT_NONDETERMINISTIC,
    TEXT_NOT_UTF8,
    CITEXT,
    BYTEA,
    DATE,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    INTERVAL,
    UUID,
    JSON,
    ENUM,
    OID,
    MONEY,
    INET,
    AS_TEXT,
    AS_TEXT_NOT_UTF8,
    UNKNOWN,
    TEMPORAL_CLAMPED,
    ARRAY,
    HSTORE,
];

/// All kinds of columns.
pub(crate) fn domains() -> &'static [Domain] {
    DOMAINS
}

/// The condition of statements that write.
const WRITTEN: &str = "access = \"read_write\"";

/// The condition of statements that change rows.
const CHANGED: &str = "access = \"read_write\"; PostgreSQL takes all conditions and values exactly";

/// The declared rules. Operations that no rule names are refused.
pub(crate) fn capabilities() -> Capabilities {
    let mut rules = vec![
        Rule::exact(Operation::Projection, None),
        Rule::exact(Operation::Limit, None),
        Rule::exact(Operation::And, None),
        Rule::exact(Operation::Or, None),
        Rule::exact(Operation::Not, None),
        Rule::exact(Operation::Truth, Some(BOOLEAN)),
        Rule::exact(Operation::Count, None),
        Rule::exact(Operation::AggregateFilter, None),
        Rule::exact(Operation::Join, None),
        Rule::exact(Operation::OuterJoin, None).when("a full join is by nothing but equality"),
        Rule::exact(Operation::SemiJoin, None),
        Rule::exact(Operation::UnionAll, None),
        Rule::exact(Operation::Insert, None).when(WRITTEN),
        Rule::exact(Operation::Modify, None).when(CHANGED),
        Rule::exact(Operation::Define, None).when(WRITTEN),
    ];
    for domain in DOMAINS {
        rules.extend(NULLS.iter().map(|operation| Rule::exact(*operation, Some(*domain))));
        rules.extend(comparisons(*domain));
        rules.extend(folds::folds(*domain));
    }
    Capabilities::new(rules)
}

/// The rules of one kind of column beside `IS [NOT] NULL`.
fn comparisons(domain: Domain) -> Vec<Rule> {
    match domain {
        BOOLEAN | INTEGER | NUMERIC | NUMERIC_UNDECLARED | BYTEA | DATE | TIME | TIMESTAMP | TIMESTAMPTZ => {
            exact(domain, [EQUALITY, ORDER].concat(), None)
        }
        OID => exact(domain, [EQUALITY, ORDER].concat(), Some("the literal is an oid: 0 to 4294967295")),
        MONEY => exact(domain, [EQUALITY, ORDER].concat(), Some("sent as a comparison of its conversion to numeric")),
        TEMPORAL_CLAMPED => exact(
            domain,
            [EQUALITY, ORDER].concat(),
            Some("the other side is a literal, and neither the first nor the last of its type"),
        ),
        INET => {
            let condition = "the literal is an address as PostgreSQL prints it";
            let mut rules = exact(domain, EQUALITY.to_vec(), Some(condition));
            rules.extend(refused(domain, ORDER, "PostgreSQL orders addresses by network, the engine by text"));
            rules.extend(refused(domain, PATTERNS, "PostgreSQL has no patterns for addresses"));
            rules
        }
        // NaN is the greatest number and equals itself, on both sides, and the engine holds one NaN and one zero.
        FLOAT => exact(domain, [EQUALITY, ORDER].concat(), Some("a literal NaN has no sign")),
        UUID => {
            let mut rules = exact(
                domain,
                [EQUALITY, ORDER].concat(),
                Some("the literal is a UUID as PostgreSQL prints it: 36 characters, lower case"),
            );
            rules.extend(refused(domain, PATTERNS, "PostgreSQL has no patterns for uuid"));
            rules
        }
        TEXT | AS_TEXT => {
            let converted = (domain == AS_TEXT).then_some("sent as a comparison of its conversion to text");
            let mut rules = exact(domain, EQUALITY.to_vec(), converted);
            rules.extend(exact(domain, ORDER.to_vec(), Some("sent with COLLATE \"C\", which orders by code point")));
            rules.extend(exact(domain, vec![Operation::Like], Some("the pattern does not end in a lone escape")));
            rules.extend(refused(
                domain,
                &[Operation::ILike],
                "which letters differ in case only depends on the locale",
            ));
            rules.extend(refused(
                domain,
                &[Operation::Regex],
                "PostgreSQL's regular expressions differ from the engine's",
            ));
            rules
        }
        ENUM => {
            let mut rules = exact(domain, EQUALITY.to_vec(), Some("the literal is one of the enum's labels"));
            rules.extend(refused(domain, ORDER, "PostgreSQL orders an enum as it was declared, the engine by text"));
            rules.extend(refused(domain, PATTERNS, "PostgreSQL has no patterns for enums"));
            rules
        }
        _ => refused(domain, &[EQUALITY, ORDER, PATTERNS].concat(), refusal(domain)),
    }
}

/// Why nothing but `IS [NOT] NULL` is asked of a kind of column.
fn refusal(domain: Domain) -> &'static str {
    match domain {
        NUMERIC_CONVERTED => "PostgreSQL compares the numeric, the engine what the catalog converts it to",
        TEXT_NONDETERMINISTIC => "the column's collation takes some different texts for equal",
        TEXT_NOT_UTF8 | AS_TEXT_NOT_UTF8 => "the database is not in UTF8, so that some texts cannot be sent to it",
        CITEXT => "citext compares without case, the engine with it",
        INTERVAL => "PostgreSQL takes 30 days for a month and 24 hours for a day, the engine does not",
        JSON => "PostgreSQL compares json by its content or not at all, the engine by its text",
        UNKNOWN => "what the type's conversion to text does is not known",
        HSTORE => "the engine compares no maps",
        ARRAY => "comparisons of arrays have not been shown to be the same",
        _ => "comparisons have not been shown to be the same",
    }
}

fn exact(domain: Domain, operations: Vec<Operation>, condition: Option<&'static str>) -> Vec<Rule> {
    let rule = |operation| {
        let rule = Rule::exact(operation, Some(domain));
        match condition {
            Some(condition) => rule.when(condition),
            None => rule,
        }
    };
    operations.into_iter().map(rule).collect()
}

fn refused(domain: Domain, operations: &[Operation], reason: &'static str) -> Vec<Rule> {
    operations.iter().map(|operation| Rule::refused(*operation, Some(domain), reason)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_connector::Verdict;

    #[test]
    fn every_domain_answers_null_tests_and_has_a_reason_for_the_rest() {
        let capabilities = capabilities();
        for domain in DOMAINS {
            assert_eq!(capabilities.verdict(Operation::IsNull, *domain), Verdict::Exact, "{domain}");
            for operation in [EQUALITY, ORDER].concat() {
                assert!(capabilities.rule(operation, Some(*domain)).is_some(), "{operation} on {domain}");
            }
        }
    }

    #[test]
    fn no_rule_is_declared_twice() {
        let capabilities = capabilities();
        let mut seen = std::collections::HashSet::new();
        for rule in capabilities.rules() {
            assert!(seen.insert((rule.operation, rule.domain)), "{} on {:?}", rule.operation, rule.domain);
        }
    }
}
