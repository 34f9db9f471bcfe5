//! What PostgreSQL computes and groups as the engine would.

use portolan_connector::{Domain, Operation, Rule};

use super::{exact, refusal, refused};
use crate::types::*;

const ARITHMETIC: &[Operation] = &[Operation::Add, Operation::Subtract, Operation::Multiply];
const CHOICE: &[Operation] = &[Operation::Case, Operation::Coalesce];
const EXTREMES: &[Operation] = &[Operation::Min, Operation::Max];
const TOTALS: &[Operation] = &[Operation::Sum, Operation::Avg];
const BYTE_ORDER: &str = "sent with COLLATE \"C\", which orders by code point";

/// The rules of one kind of column beside those for conditions.
pub(super) fn folds(domain: Domain) -> Vec<Rule> {
    let grouped = || exact(domain, [CHOICE, &[Operation::GroupBy]].concat(), None);
    let sorted = |condition| exact(domain, vec![Operation::Sort], condition);
    let extremes = |condition| exact(domain, EXTREMES.to_vec(), condition);
    match domain {
        BOOLEAN => [
            grouped(),
            sorted(None),
            exact(domain, vec![Operation::BoolAnd, Operation::BoolOr], None),
            refused(domain, EXTREMES, "PostgreSQL has no least and no greatest boolean"),
        ]
        .concat(),
        INTEGER => [
            exact(domain, ARITHMETIC.to_vec(), Some("not in a condition, where an overflow could fail the query")),
            exact(domain, vec![Operation::Cast], Some("to a type that has room for every digit")),
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
            grouped(),
            sorted(None),
            extremes(None),
            refused(domain, TOTALS, "the sum of floats depends on the order in which they are added"),
        ]
        .concat(),
        TEXT | AS_TEXT => [
            exact(domain, vec![Operation::Substring, Operation::CharacterLength], None),
            grouped(),
            sorted(Some(BYTE_ORDER)),
            extremes(Some(BYTE_ORDER)),
        ]
        .concat(),
        DATE | TIMESTAMP => {
            [exact(domain, vec![Operation::DatePart], None), grouped(), sorted(None), extremes(None)].concat()
        }
        TIME | OID => [grouped(), sorted(None), extremes(None)].concat(),
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
        TIMESTAMPTZ => [
            refused(domain, &[Operation::DatePart], "PostgreSQL takes the session's time zone"),
            grouped(),
            sorted(None),
            extremes(None),
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
