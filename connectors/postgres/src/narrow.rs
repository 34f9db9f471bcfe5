//! Splits without rows that have no partner in a join, once its keys are known.

use std::borrow::Cow;
use std::cmp::Ordering;

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, lit};
use portolan_connector::{Capabilities, KeyFilter, Narrowed, Operation, Result, Verdict};
use portolan_remote_sql::{PostgresDialect, RemoteColumn, Typed, lower};

use crate::rules::domains;
use crate::split::{CopySplit, Key, Part};
use crate::table::Shared;
use crate::types::Wire;

/// Keys that are told whatever the table: a statement with them takes a millisecond.
const KEYS_ALWAYS: usize = 1_000;

/// Parts of a table that is read in parts, as a guess.
const PARTS_EXPECTED: u64 = 8;

/// With fewer rows for each key, a range of keys is told and not each of them: looking one up takes as long as sending some rows.
const ROWS_PER_KEY_MIN: u64 = 10;

/// What a condition on a column of the result has to know; `None` where PostgreSQL would not find the same values.
///
/// Neither has a condition any place on a value that may fail to be computed: PostgreSQL could compute it for rows that a
/// condition within the query leaves out.
pub(crate) fn key(name: String, value: &Typed, capabilities: &Capabilities) -> Option<Key> {
    let column = &value.column;
    if value.fallible {
        return None;
    }
    let exact = |operation| capabilities.verdict(operation, column.domain) == Verdict::Exact;
    (exact(Operation::In) && exact(Operation::GtEq) && exact(Operation::LtEq)).then(|| Key {
        name,
        domain: column.domain.0.to_owned(),
        literal_type: column.cast.clone(),
        labels: column.labels.as_deref().map(<[String]>::to_vec),
    })
}

/// What is read in place of a split when these filters are known. The query goes on as it was rendered, as a subquery of
/// one with more conditions.
///
/// A list of keys is looked up by an index, for which parts of the table are of no use: the first part reads them all.
pub(crate) fn narrow(split: CopySplit, filters: &[KeyFilter], shared: &Shared, rows: Option<u64>) -> Result<Narrowed> {
    // Of a part it is not known how many there are; of a large table there are several.
    let of_all = rows.map(|rows| if split.part.is_some() { rows.saturating_mul(PARTS_EXPECTED) } else { rows });
    let (mut conditions, mut is_listed) = (Vec::new(), false);
    for filter in filters {
        let filter = worth_telling(filter, of_all);
        if let Some(condition) = rendered(&filter, &split, shared) {
            conditions.push(condition);
            is_listed |= matches!(*filter, KeyFilter::In { .. });
        }
    }
    if conditions.is_empty() {
        return Ok(Narrowed::Unchanged);
    }
    let (sql, part) = match split.part.clone() {
        Some(Part { number, .. }) if is_listed && number > 0 => return Ok(Narrowed::Nothing),
        Some(Part { whole, .. }) if is_listed => (whole, None),
        part => (split.sql.clone(), part),
    };
    let sql = format!("SELECT * FROM ({sql}) AS q WHERE {}", conditions.join(" AND "));
    CopySplit { sql, part, ..split }.write(rows).map(Narrowed::To)
}

/// A filter for a relation of so many rows: many keys of few rows are told as the range that they are in. Floats have no range that is
/// sure to have a NaN.
fn worth_telling(filter: &KeyFilter, rows: Option<u64>) -> Cow<'_, KeyFilter> {
    let KeyFilter::In { column, values } = filter else { return Cow::Borrowed(filter) };
    let few = values.len() <= KEYS_ALWAYS
        || values.iter().any(|value| value.data_type().is_floating())
        || rows.is_none_or(|rows| rows / ROWS_PER_KEY_MIN >= u64::try_from(values.len()).unwrap_or(u64::MAX));
    if few {
        return Cow::Borrowed(filter);
    }
    let end = |wanted: Ordering| {
        let further = |one, other| match ScalarValue::partial_cmp(other, one) {
            Some(found) if found == wanted => other,
            _ => one,
        };
        values.iter().reduce(further).cloned()
    };
    Cow::Owned(KeyFilter::Between { column: *column, low: end(Ordering::Less), high: end(Ordering::Greater) })
}

/// A filter as a condition of PostgreSQL's; `None` where there is no rule or no literal for it, so that the join alone
/// applies it.
fn rendered(filter: &KeyFilter, split: &CopySplit, shared: &Shared) -> Option<String> {
    let column = split.columns.get(filter.column()?)?;
    let key = column.key.as_ref()?;
    let domain = *domains().iter().find(|domain| domain.0 == key.domain)?;
    let mut remote = RemoteColumn::new(&key.name, domain, column.wire.data_type());
    remote.cast = key.literal_type.clone();
    remote.labels = key.labels.clone().map(Into::into);
    remote.clamped = matches!(column.wire, Wire::Clamped(_));
    let scope = |name: &str| (name == key.name).then(|| remote.clone());
    let lowered = lower(&condition(filter, &key.name)?, &scope, &shared.vocabulary()).ok()?;
    Some(lowered.expr.render(&PostgresDialect))
}

/// What a filter says of a column.
fn condition(filter: &KeyFilter, name: &str) -> Option<Expr> {
    let column = || Expr::Column(Column::new_unqualified(name));
    match filter {
        KeyFilter::In { values, .. } => Some(column().in_list(values.iter().cloned().map(lit).collect(), false)),
        KeyFilter::Between { low, high, .. } => {
            let low = low.clone().map(|low| column().gt_eq(lit(low)));
            let high = high.clone().map(|high| column().lt_eq(lit(high)));
            conjunction(low.into_iter().chain(high))
        }
        KeyFilter::Nothing => None,
    }
}
