//! What PostgreSQL's planner knows of a table.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use portolan_connector::{ColumnStatistics, TableStatistics};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

use super::planned::{Planned, explain, first_columns};

/// Columns by the last ANALYZE, of the table with what inherits from it where ANALYZE looked at that. A column that the user may
/// not read has no row. Values are texts in an array that the column's own type has no part in; of an array of arrays nothing
/// is taken.
const COLUMNS: &str = "\
SELECT s.attname::text, s.null_frac::float8, s.n_distinct::float8, s.avg_width, {rows}
       CASE WHEN array_ndims(bounds.list) = 1 THEN bounds.list[1] END AS low,
       CASE WHEN array_ndims(bounds.list) = 1 THEN bounds.list[array_upper(bounds.list, 1)] END AS high,
       CASE WHEN array_ndims(common.list) = 1 THEN common.list[1:100] END AS common,
       s.most_common_freqs::float8[] AS shares
FROM pg_catalog.pg_stats s
CROSS JOIN LATERAL (SELECT s.histogram_bounds::text::text[]) AS bounds(list)
CROSS JOIN LATERAL (SELECT s.most_common_vals::text::text[]) AS common(list) ";

/// Those of the table itself, the more inclusive last.
const OF_TABLE: &str = "WHERE s.schemaname = $1 AND s.tablename = $2 ORDER BY s.inherited";

/// Those of its partitions. ANALYZE does not look at a partitioned table by itself.
const OF_PARTITIONS: &str = "\
JOIN pg_catalog.pg_namespace n ON n.nspname = s.schemaname
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename
WHERE c.oid IN (SELECT p.relid FROM pg_catalog.pg_class root JOIN pg_catalog.pg_namespace rn ON rn.oid = root.relnamespace
                CROSS JOIN LATERAL pg_partition_tree(root.oid) p
                WHERE rn.nspname = $1 AND root.relname = $2 AND root.relkind = 'p' AND p.isleaf)
  AND c.reltuples > 0 AND NOT s.inherited LIMIT 20000";

/// Frequent values of a column that are told. A hundred are asked for, since the least and the greatest value may be among them;
/// ANALYZE finds no more where nobody changed its target.
const FREQUENT_MAX: usize = 20;

/// A column of one table that ANALYZE looked at.
#[derive(Debug)]
struct Sampled {
    rows: f64,
    nulls: f64,
    /// 0 where it is not known.
    distinct: f64,
    width: f64,
    low: Option<ScalarValue>,
    high: Option<ScalarValue>,
    common: Vec<(ScalarValue, f64)>,
}

/// The statistics of a table. `query` is a query for its columns, whose types `data_type` tells.
///
/// How many rows there are is what PostgreSQL's planner expects of the query: rows that were counted scaled to the present size,
/// the size alone where nobody has counted, the sum of partitions, and what a view's query may give.
pub(crate) async fn statistics(
    client: &Client,
    schema: &str,
    table: &str,
    query: &str,
    counted: Option<u64>,
    data_type: impl Fn(&str) -> Option<DataType>,
) -> Result<TableStatistics, Error> {
    let names: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] = [(&schema, Type::TEXT), (&table, Type::TEXT)];
    let own = COLUMNS.replace("{rows}", "") + OF_TABLE;
    let partitions = COLUMNS.replace("{rows}", "c.reltuples::float8 AS rows,") + OF_PARTITIONS;
    let explain = explain(query);
    let (own, partitions, planned) = futures::join!(
        client.query_typed(&own, &names),
        client.query_typed(&partitions, &names),
        // Last: where the user may not read all columns it fails, and the transaction with it.
        client.simple_query(&explain)
    );
    let planned = planned.ok().and_then(|answer| first_columns(&answer).next().map(Planned::read)).unwrap_or_default();
    let rows = planned.estimate.rows.or(counted);
    let mut columns: BTreeMap<String, Vec<Sampled>> = BTreeMap::new();
    for row in partitions? {
        let (name, sampled) = sampled(&row, row.try_get("rows")?, &data_type)?;
        columns.entry(name).or_default().push(sampled);
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let all = rows.unwrap_or_default() as f64;
    for row in own? {
        let (name, sampled) = sampled(&row, all, &data_type)?;
        columns.insert(name, vec![sampled]);
    }
    let columns: BTreeMap<_, _> = columns.into_iter().map(|(name, parts)| (name, combined(parts))).collect();
    let origin = match columns.is_empty() {
        true => "PostgreSQL's planner",
        false => "PostgreSQL's planner and pg_stats",
    };
    Ok(TableStatistics { rows, bytes: planned.estimate.bytes, columns, origin: origin.to_owned() })
}

fn sampled(row: &Row, rows: f64, data_type: &impl Fn(&str) -> Option<DataType>) -> Result<(String, Sampled), Error> {
    let name: String = row.try_get("attname")?;
    let data_type = data_type(&name);
    let ordered = data_type.as_ref().is_some_and(orders_as_postgres);
    let value = |text: &str| {
        let data_type = data_type.as_ref().filter(|data_type| ordered || data_type.is_string())?;
        let value = ScalarValue::try_from_string(text.to_owned(), data_type).ok()?;
        (!value.is_null()).then_some(value)
    };
    let (low, high): (Option<String>, Option<String>) = (row.try_get("low")?, row.try_get("high")?);
    let (common, shares): (Option<Vec<Option<String>>>, Option<Vec<f64>>) =
        (row.try_get("common")?, row.try_get("shares")?);
    let common = common.unwrap_or_default().into_iter().zip(shares.unwrap_or_default());
    let sampled = Sampled {
        rows,
        nulls: row.try_get("null_frac")?,
        distinct: distinct_values(row.try_get("n_distinct")?, rows),
        width: f64::from(row.try_get::<_, i32>("avg_width")?),
        low: low.as_deref().filter(|_| ordered).and_then(value),
        high: high.as_deref().filter(|_| ordered).and_then(value),
        common: common.filter_map(|(text, share)| Some((value(&text?)?, share))).collect(),
    };
    Ok((name, sampled))
}

/// Types whose texts the engine reads as PostgreSQL writes them, and whose values it orders in the same way. A text's order
/// depends on its collation.
fn orders_as_postgres(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_floating()
        || matches!(
            data_type,
            DataType::Decimal128(..) | DataType::Decimal256(..) | DataType::Date32 | DataType::Timestamp(..)
        )
}

/// A negative number is a share of the rows; 0 is unknown.
fn distinct_values(distinct: f64, rows: f64) -> f64 {
    if distinct < 0.0 { -distinct * rows } else { distinct }
}

/// One column of all the tables in which its values are.
fn combined(mut parts: Vec<Sampled>) -> ColumnStatistics {
    let rows: f64 = parts.iter().map(|part| part.rows).sum();
    let of_all = |of: fn(&Sampled) -> f64| match parts.as_slice() {
        [only] => of(only),
        parts => parts.iter().map(|part| of(part) * part.rows).sum::<f64>() / rows,
    };
    let (nulls, width) = (of_all(|part| part.nulls), of_all(|part| part.width));
    let ranges: Vec<_> = parts.iter().map(range).collect();
    parts.iter_mut().for_each(|part| {
        let share = if rows > 0.0 { part.rows / rows } else { 1.0 };
        part.common.iter_mut().for_each(|(_, frequency)| *frequency *= share);
    });
    let bound = |pick: fn(&(ScalarValue, ScalarValue)) -> &ScalarValue, less: bool| {
        let values = ranges.iter().map(|range| range.as_ref().map(pick));
        // Where one is not known, neither is that of all.
        let values: Option<Vec<&ScalarValue>> = values.collect();
        values?.into_iter().reduce(|one, other| if (other < one) == less { other } else { one }).cloned()
    };
    let (min, max) = (bound(|range| &range.0, true), bound(|range| &range.1, false));
    // Values of parts that have none in common add up; else the part with the most has at least so many.
    let distinct: f64 = match apart(&ranges) {
        true => parts.iter().map(|part| part.distinct).sum(),
        false => parts.iter().map(|part| part.distinct).fold(0.0, f64::max),
    };
    ColumnStatistics {
        distinct: whole(distinct),
        null_fraction: Some(nulls),
        min,
        max,
        width: whole(width),
        frequent: merged(parts),
    }
}

/// The least and the greatest value of which there is word.
fn range(part: &Sampled) -> Option<(ScalarValue, ScalarValue)> {
    let ordered = |value: &&ScalarValue| orders_as_postgres(&value.data_type());
    let known = || part.common.iter().map(|(value, _)| value).filter(ordered).chain(&part.low).chain(&part.high);
    let least = known().reduce(|one, other| if other < one { other } else { one })?;
    let greatest = known().reduce(|one, other| if other > one { other } else { one })?;
    Some((least.clone(), greatest.clone()))
}

/// Whether ranges have no value in common.
fn apart(ranges: &[Option<(ScalarValue, ScalarValue)>]) -> bool {
    let Some(mut ranges) = ranges.iter().map(Option::as_ref).collect::<Option<Vec<_>>>() else { return false };
    ranges.sort_by(|one, other| one.0.partial_cmp(&other.0).unwrap_or(std::cmp::Ordering::Equal));
    ranges.windows(2).all(|pair| matches!(pair, [one, other] if one.1 < other.0))
}

/// The most frequent values of all parts, the most frequent first.
fn merged(parts: Vec<Sampled>) -> Vec<(ScalarValue, f64)> {
    let mut frequent: Vec<(ScalarValue, f64)> = Vec::new();
    for (value, share) in parts.into_iter().flat_map(|part| part.common) {
        match frequent.iter_mut().find(|(known, _)| *known == value) {
            Some((_, sum)) => *sum += share,
            None => frequent.push((value, share)),
        }
    }
    frequent.sort_by(|one, other| other.1.total_cmp(&one.1));
    frequent.truncate(FREQUENT_MAX);
    frequent
}

fn whole(number: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, positive")]
    (number >= 1.0).then_some(number.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(rows: f64, distinct: f64, low: i32, high: i32, common: &[(i32, f64)]) -> Sampled {
        let common = common.iter().map(|(value, share)| (ScalarValue::from(*value), *share)).collect();
        Sampled { rows, nulls: 0.5, distinct, width: 4.0, low: Some(low.into()), high: Some(high.into()), common }
    }

    #[test]
    fn a_share_of_the_rows_counts_as_values() {
        assert!((distinct_values(25.0, 0.0) - 25.0).abs() < 1e-9);
        assert!((distinct_values(-0.5, 1000.0) - 500.0).abs() < 1e-9);
        assert_eq!(whole(distinct_values(0.0, 1000.0)), None);
    }

    #[test]
    fn parts_add_up() {
        let both = combined(vec![part(300.0, 10.0, 1, 10, &[(20, 0.4)]), part(100.0, 7.0, 21, 30, &[(25, 0.2)])]);
        assert_eq!((both.distinct, both.null_fraction, both.width), (Some(17), Some(0.5), Some(4)));
        assert_eq!((both.min, both.max), (Some(1.into()), Some(30.into())));
        let shares: Vec<_> =
            both.frequent.iter().map(|(value, share)| (value.clone(), (share * 100.0).round())).collect();
        assert_eq!(shares, [(ScalarValue::from(20), 30.0), (ScalarValue::from(25), 5.0)]);
        // With values in common there are at least as many as in one.
        let both = combined(vec![part(300.0, 10.0, 1, 10, &[]), part(100.0, 7.0, 5, 30, &[])]);
        assert_eq!(both.distinct, Some(10));
    }
}
