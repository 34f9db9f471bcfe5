//! What PostgreSQL computes and groups as the engine would.

use portolan_connector::{Domain, Operation, Rule};

use super::{exact, refusal, refused};
use crate::types::*;

const ARITHMETIC: &[Operation] = &[Operation::Add, Operation::Subtract, Operation::Multiply];
const CHOICE: &[Operation] = &[Operation::Case, Operation::Coalesce];
const OUTERMOST: &[Operation] = &[Operation::Greatest, Operation::Least];
const EXTREMES: &[Operation] = &[Operation::Min, Operation::Max];
const TOTALS: &[Operation] = &[Operation::Sum, Operation::Avg];
const BYTE_ORDER: &str = "sent with COLLATE \"C\", which orders by code point";
const LITERALS: &str = "all but the first argument are literals";

const TRUNCATED: &str =
    "in UTC; to a week, month, quarter or year the engine only cuts off what lies between the years 1677 and 2262";

const OF_DATES: &str =
    "as a timestamp; one in nanoseconds, which the engine makes for date_trunc, only has the years 1677 to 2262";

/// The rules of one kind of column beside those for conditions.
pub(super) fn folds(domain: Domain) -> Vec<Rule> {
    let grouped = || exact(domain, [CHOICE, &[Operation::NullIf, Operation::GroupBy]].concat(), None);
    let sorted = |condition| exact(domain, vec![Operation::Sort], condition);
    let extremes = |condition| exact(domain, [OUTERMOST, EXTREMES].concat(), condition);
    match domain {
        BOOLEAN => [
            exact(domain, vec![Operation::Cast], Some("to text")),
            grouped(),
            sorted(None),
            exact(domain, vec![Operation::BoolAnd, Operation::BoolOr], None),
            refused(domain, EXTREMES, "PostgreSQL has no least and no greatest boolean"),
        ]
        .concat(),
        INTEGER => [
            exact(domain, ARITHMETIC.to_vec(), Some("not in a condition, where an overflow could fail the query")),
            exact(domain, vec![Operation::Divide], Some("in a condition only by a literal that is neither 0 nor -1")),
            exact(domain, vec![Operation::Modulo], Some("by a literal that is neither 0 nor -1")),
            exact(domain, vec![Operation::Abs], Some("not in a condition, where an overflow could fail the query")),
            exact(
                domain,
                vec![Operation::Ceil, Operation::Floor, Operation::Trunc],
                Some("of the number as a double, without digits"),
            ),
            exact(
                domain,
                vec![Operation::Cast],
                Some("to a wider integer, a decimal with room for every digit, double or text"),
            ),
            grouped(),
            sorted(None),
            extremes(None),
            exact(domain, vec![Operation::Sum], None),
            exact(domain, vec![Operation::Avg], Some("without DISTINCT")),
        ]
        .concat(),
        NUMERIC => [
            exact(domain, ARITHMETIC.to_vec(), None),
            exact(
                domain,
                vec![Operation::Divide],
                Some(
                    "cut off where the engine cuts off; not in a condition, where a divisor of 0 could fail the query",
                ),
            ),
            exact(domain, vec![Operation::Modulo], Some("by a literal that is not 0")),
            exact(domain, vec![Operation::Abs, Operation::Trunc], None),
            exact(
                domain,
                vec![Operation::Ceil, Operation::Floor],
                Some("not in a condition where the result could have a digit too many"),
            ),
            exact(domain, vec![Operation::Round], Some("to a literal number of digits behind the point")),
            exact(domain, vec![Operation::Cast], Some("to a decimal with no fewer digits behind the point")),
            grouped(),
            sorted(None),
            extremes(None),
            exact(domain, vec![Operation::Sum], None),
            exact(domain, vec![Operation::Avg], Some("cut off where the engine cuts off")),
        ]
        .concat(),
        NUMERIC_UNDECLARED => [
            refused(domain, ARITHMETIC, "without a declared scale a result could be rounded"),
            grouped(),
            sorted(None),
            extremes(None),
            refused(domain, TOTALS, "without a declared scale a result could be rounded"),
        ]
        .concat(),
        FLOAT => [
            refused(domain, ARITHMETIC, "PostgreSQL fails where the engine's floats become infinite or zero"),
            exact(domain, vec![Operation::Abs], None),
            exact(domain, vec![Operation::Ceil, Operation::Floor, Operation::Trunc], Some("of double, without digits")),
            refused(
                domain,
                &[Operation::Round],
                "PostgreSQL rounds halves of floats to even, the engine away from zero",
            ),
            exact(domain, vec![Operation::Cast], Some("from real to double")),
            grouped(),
            sorted(None),
            extremes(None),
            refused(domain, TOTALS, "the sum of floats depends on the order in which they are added"),
        ]
        .concat(),
        TEXT | AS_TEXT => [texts(domain), grouped(), sorted(Some(BYTE_ORDER)), extremes(Some(BYTE_ORDER))].concat(),
        DATE => [
            exact(domain, vec![Operation::DatePart], Some("a part of the date, from the year to the day")),
            exact(domain, vec![Operation::Cast, Operation::DateTrunc], Some(OF_DATES)),
            grouped(),
            sorted(None),
            extremes(None),
        ]
        .concat(),
        TIMESTAMP => [
            exact(domain, vec![Operation::DatePart], Some("a part from the year to the microsecond")),
            exact(domain, vec![Operation::DateTrunc], Some(TRUNCATED)),
            grouped(),
            sorted(None),
            extremes(None),
        ]
        .concat(),
        TIMESTAMPTZ => [
            exact(domain, vec![Operation::DatePart], Some("a part from the year to the microsecond, in UTC")),
            exact(domain, vec![Operation::DateTrunc], Some(TRUNCATED)),
            grouped(),
            sorted(None),
            extremes(None),
        ]
        .concat(),
        TIME => [
            exact(domain, vec![Operation::DatePart], Some("a part from the hour to the microsecond")),
            grouped(),
            sorted(None),
            extremes(None),
        ]
        .concat(),
        OID => [grouped(), sorted(None), extremes(None)].concat(),
        ARRAY => [
            exact(
                domain,
                vec![Operation::ArrayHas],
                Some("of one dimension, with elements for which = is exact; what is looked for is a literal"),
            ),
            refused(domain, &[&[Operation::GroupBy, Operation::Sort], EXTREMES].concat(), refusal(domain)),
        ]
        .concat(),
        MONEY => [
            grouped(),
            sorted(None),
            extremes(None),
            refused(domain, TOTALS, "how many digits money has behind the point depends on the server's lc_monetary"),
        ]
        .concat(),
        INET => [
            grouped(),
            refused(
                domain,
                &[&[Operation::Sort], EXTREMES].concat(),
                "PostgreSQL orders addresses by network, the engine by text",
            ),
        ]
        .concat(),
        TEMPORAL_CLAMPED => [
            exact(domain, CHOICE.to_vec(), None),
            extremes(None),
            refused(
                domain,
                &[Operation::GroupBy, Operation::Sort, Operation::DatePart],
                "values that are one to the engine are several to PostgreSQL",
            ),
        ]
        .concat(),
        BYTEA | UUID => {
            [grouped(), sorted(None), refused(domain, EXTREMES, "PostgreSQL has no min and no max of the type")]
                .concat()
        }
        ENUM => [
            grouped(),
            refused(
                domain,
                &[&[Operation::Sort], EXTREMES].concat(),
                "PostgreSQL orders an enum as it was declared, the engine by text",
            ),
        ]
        .concat(),
        _ => refused(domain, &[&[Operation::GroupBy, Operation::Sort], EXTREMES].concat(), refusal(domain)),
    }
}

/// What PostgreSQL does with the characters of a text, and with its bytes, as the engine does.
fn texts(domain: Domain) -> Vec<Rule> {
    let of_characters = [Operation::Substring, Operation::CharacterLength, Operation::OctetLength, Operation::Reverse];
    let with_literals = [
        Operation::Trim,
        Operation::Replace,
        Operation::Left,
        Operation::Right,
        Operation::Position,
        Operation::StartsWith,
        Operation::EndsWith,
        Operation::Contains,
        Operation::SplitPart,
    ];
    let mut rules = exact(domain, of_characters.to_vec(), None);
    rules.extend(exact(domain, vec![Operation::Concat], Some("all are texts of one kind, or literals")));
    rules.extend(exact(domain, with_literals.to_vec(), Some(LITERALS)));
    rules.extend(exact(
        domain,
        vec![Operation::Repeat, Operation::Pad],
        Some("the other arguments are literals, and the number is at most 1000"),
    ));
    rules.extend(refused(domain, &[Operation::LetterCase], "which letters differ in case only depends on the locale"));
    rules
}
