//! What a metastore knows of a table's rows and values: Hive's and Spark's table parameters, and the column statistics that
//! `ANALYZE TABLE` of Hive leaves.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use portolan_connector::{Column, ColumnStatistics, TableStatistics};

use super::columns::kind::{BINARY, BOOLEAN, DATE, DECIMAL, DOUBLE, LONG, TEXT};
use crate::rules::{FILE, FLOAT};
use crate::thrift::Struct;
use crate::types::parse_value;

/// How long the statistics of a table are believed without asking again. They only help to choose plans.
const BELIEVED: Duration = Duration::from_secs(60);

/// The most tables whose statistics are kept.
const MAX_KEPT: usize = 1000;

const SPARK_COLUMN: &str = "spark.sql.statistics.colStats.";

/// What was known of a table, and since when.
type Entry = (Instant, Arc<Option<TableStatistics>>);

/// Statistics that were asked for not long ago, by schema and table.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    tables: Mutex<HashMap<(String, String), Entry>>,
}

impl Remembered {
    pub(crate) fn get(&self, schema: &str, table: &str) -> Option<Arc<Option<TableStatistics>>> {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, statistics) = tables.get(&(schema.to_owned(), table.to_owned()))?;
        (since.elapsed() < BELIEVED).then(|| Arc::clone(statistics))
    }

    pub(crate) fn keep(&self, schema: &str, table: &str, statistics: Option<TableStatistics>) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.len() >= MAX_KEPT {
            tables.retain(|_, (since, _)| since.elapsed() < BELIEVED);
        }
        if tables.len() < MAX_KEPT {
            tables.insert((schema.to_owned(), table.to_owned()), (Instant::now(), Arc::new(statistics)));
        }
    }

    /// Forgets one table.
    pub(crate) fn forget_table(&self, schema: &str, table: &str) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.remove(&(schema.to_owned(), table.to_owned()));
    }

    /// Forgets all. Returns how many there were.
    pub(crate) fn forget(&self) -> usize {
        std::mem::take(&mut *self.tables.lock().unwrap_or_else(PoisonError::into_inner)).len()
    }
}

/// Rows and bytes of a table or of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Basic {
    pub(crate) rows: Option<u64>,
    pub(crate) bytes: Option<u64>,
}

/// Rows and bytes as parameters say: Spark's, else Hive's. Hive writes -1 for what it does not know, and 0 rows for files
/// that it did not look into.
pub(crate) fn basic(parameters: &BTreeMap<String, String>) -> Basic {
    let number = |name: &str| parameters.get(name).and_then(|text| text.parse::<u64>().ok());
    let bytes = number("spark.sql.statistics.totalSize").or_else(|| number("totalSize"));
    let rows = number("spark.sql.statistics.numRows").or_else(|| number("numRows"));
    Basic { rows: rows.filter(|rows| *rows > 0 || bytes == Some(0)), bytes }
}

/// Column statistics of Spark's, from parameters such as `spark.sql.statistics.colStats.id.max`.
pub(crate) fn of_spark(
    parameters: &BTreeMap<String, String>,
    rows: Option<u64>,
    columns: &[Column],
) -> BTreeMap<String, ColumnStatistics> {
    let mut found = BTreeMap::new();
    for column in columns.iter().filter(|column| column.hidden.is_none()) {
        let get = |what: &str| parameters.get(&format!("{SPARK_COLUMN}{}.{what}", column.name()));
        let number = |what: &str| get(what).and_then(|text| text.parse::<u64>().ok());
        if get("version").is_none() {
            continue;
        }
        let value = |what: &str| get(what).and_then(|text| parse_value(text, column.field.data_type()));
        let statistics = ColumnStatistics {
            distinct: number("distinctCount"),
            null_fraction: fraction(number("nullCount"), rows),
            min: value("min"),
            max: value("max"),
            width: number("avgLen"),
            ..ColumnStatistics::default()
        };
        found.insert(column.name().to_owned(), statistics);
    }
    found
}

/// Column statistics as the metastore's own call returns them.
pub(crate) fn of_metastore(
    objects: &[Struct],
    rows: Option<u64>,
    columns: &[Column],
) -> BTreeMap<String, ColumnStatistics> {
    let mut found = BTreeMap::new();
    for object in objects {
        let name = object.text(1).unwrap_or_default();
        let Some(column) = columns.iter().find(|column| column.name().eq_ignore_ascii_case(&name)) else { continue };
        let Some((id, data)) = object.structure(3).and_then(|data| {
            let (id, _) = data.fields().next()?;
            Some((id, data.structure(id)?))
        }) else {
            continue;
        };
        let count = |field: i16| data.integer(field).and_then(|count| u64::try_from(count).ok());
        let bound = |field: i16| {
            let value = match id {
                LONG => ScalarValue::Int64(Some(data.integer(field)?)),
                DOUBLE => ScalarValue::Float64(Some(data.double(field)?)),
                DECIMAL => decimal(data.structure(field)?)?,
                DATE => ScalarValue::Date32(Some(i32::try_from(data.structure(field)?.integer(1)?).ok()?)),
                _ => return None,
            };
            // Hive keeps timestamps as seconds among the whole numbers.
            let number = !matches!(column.field.data_type(), DataType::Timestamp(..));
            number.then(|| value.cast_to(column.field.data_type()).ok()).flatten()
        };
        let mut statistics =
            ColumnStatistics { null_fraction: fraction(count(3), rows), ..ColumnStatistics::default() };
        match id {
            BOOLEAN => statistics.distinct = Some(2),
            TEXT => {
                statistics.distinct = count(4);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, clamped")]
                let width = data.double(2).map(|width| width.max(0.0) as u64);
                statistics.width = width;
            }
            BINARY => {}
            LONG | DOUBLE | DECIMAL | DATE => {
                statistics.distinct = count(4);
                statistics.min = bound(1);
                statistics.max = bound(2);
            }
            _ => continue,
        }
        found.insert(column.name().to_owned(), statistics);
    }
    found
}

/// The columns that the metastore may have statistics of.
pub(crate) fn asked(columns: &[Column]) -> Vec<String> {
    let of_files = columns.iter().filter(|column| [FILE, FLOAT].contains(&column.domain));
    of_files.map(|column| column.name().to_lowercase()).collect()
}

fn fraction(nulls: Option<u64>, rows: Option<u64>) -> Option<f64> {
    match (nulls?, rows?) {
        (_, 0) => None,
        (nulls, rows) => Some((nulls as f64 / rows as f64).min(1.0)),
    }
}

/// A decimal: its unscaled value, big-endian in as few bytes as it needs, and its scale.
fn decimal(value: &Struct) -> Option<ScalarValue> {
    const PRECISION: u8 = 38;
    let (unscaled, scale) = decimal_of(value)?;
    Some(ScalarValue::Decimal128(Some(unscaled), PRECISION, i8::try_from(scale).ok()?))
}

/// The unscaled value and the scale of a decimal.
pub(super) fn decimal_of(value: &Struct) -> Option<(i128, i16)> {
    let bytes = value.bytes(1)?;
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let unscaled = bytes.iter().fold(if negative { -1_i128 } else { 0 }, |sum, byte| (sum << 8) | i128::from(*byte));
    Some((unscaled, i16::try_from(value.integer(3)?).ok()?))
}

/// The bytes of an unscaled value: big-endian, as few as say it and its sign.
pub(super) fn unscaled(value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let sign = if value < 0 { 0xff } else { 0 };
    let is_needless = |pair: &[u8]| matches!(pair, [first, next] if *first == sign && (next ^ sign) & 0x80 == 0);
    let needless = bytes.windows(2).take_while(|pair| is_needless(pair)).count();
    bytes.get(needless..).unwrap_or(&bytes).to_vec()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Field;
    use bytes::Bytes;

    use super::*;
    use crate::thrift::Value;

    fn parameters(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn column(name: &str, data_type: DataType) -> Column {
        Column::new(Arc::new(Field::new(name, data_type, true)), "", FILE)
    }

    #[test]
    fn rows_and_bytes() {
        let known = |entries: &[(&str, &str)]| basic(&parameters(entries));
        let both = |rows: u64, bytes: u64| Basic { rows: Some(rows), bytes: Some(bytes) };
        assert_eq!(known(&[("numRows", "10"), ("totalSize", "500")]), both(10, 500));
        assert_eq!(
            known(&[
                ("numRows", "1"),
                ("totalSize", "1"),
                ("spark.sql.statistics.numRows", "10"),
                ("spark.sql.statistics.totalSize", "500")
            ]),
            both(10, 500)
        );
        assert_eq!(known(&[("numRows", "-1")]), Basic::default());
        assert_eq!(known(&[("numRows", "0"), ("totalSize", "500")]), Basic { rows: None, bytes: Some(500) });
        assert_eq!(known(&[("numRows", "0"), ("totalSize", "0")]), both(0, 0));
    }

    #[test]
    fn bytes_of_decimals() {
        assert_eq!(unscaled(0), [0]);
        assert_eq!(unscaled(127), [127]);
        assert_eq!(unscaled(128), [0, 128], "its first bit is no sign");
        assert_eq!(unscaled(-1), [0xff]);
        assert_eq!(unscaled(-129), [0xff, 0x7f]);
        for value in [i128::MIN, i128::MAX, -128, 255, 65_536] {
            let told = Struct::new().with(1, Value::Bytes(Bytes::from(unscaled(value)))).with(3, 2_i16);
            assert_eq!(decimal_of(&told), Some((value, 2)));
        }
    }

    #[test]
    fn columns_of_spark_s_parameters() {
        let found = of_spark(
            &parameters(&[
                ("spark.sql.statistics.colStats.Id.version", "2"),
                ("spark.sql.statistics.colStats.Id.min", "-5"),
                ("spark.sql.statistics.colStats.Id.max", "90"),
                ("spark.sql.statistics.colStats.Id.distinctCount", "50"),
                ("spark.sql.statistics.colStats.Id.nullCount", "25"),
            ]),
            Some(100),
            &[column("Id", DataType::Int64), column("b", DataType::Utf8View)],
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found["Id"].min, Some(ScalarValue::Int64(Some(-5))));
        assert_eq!((found["Id"].distinct, found["Id"].null_fraction), (Some(50), Some(0.25)));
    }

    #[test]
    fn columns_of_the_metastore_s_answer() {
        let object = |name: &str, id: i16, data: Struct| {
            Struct::new().with(1, name).with(2, "").with(3, Struct::new().with(id, data))
        };
        let dec = |bytes: &'static [u8]| Struct::new().with(1, Value::Bytes(Bytes::from_static(bytes))).with(3, 2_i16);
        let objects = [
            object("id", 2, Struct::new().with(1, 1_i64).with(2, 99_i64).with(3, 10_i64).with(4, 40_i64)),
            object(
                "price",
                6,
                Struct::new().with(1, dec(&[0xff, 0x9c])).with(2, dec(&[100])).with(3, 0_i64).with(4, 7_i64),
            ),
            object("note", 4, Struct::new().with(1, 20_i64).with(2, 7.5).with(3, 0_i64).with(4, 3_i64)),
            object("gone", 4, Struct::new()),
        ];
        let columns = [
            column("Id", DataType::Int32),
            column("price", DataType::Decimal128(12, 2)),
            column("note", DataType::Utf8View),
        ];
        let found = of_metastore(&objects, Some(100), &columns);
        assert_eq!(found["Id"].max, Some(ScalarValue::Int32(Some(99))));
        assert_eq!(found["Id"].null_fraction, Some(0.1));
        assert_eq!(found["price"].min, Some(ScalarValue::Decimal128(Some(-100), 12, 2)));
        assert_eq!((found["note"].distinct, found["note"].width), (Some(3), Some(7)));
        assert_eq!(found.len(), 3);
    }
}
