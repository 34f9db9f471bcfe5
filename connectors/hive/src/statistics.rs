//! What is known of a table without listing it: from the footers that its columns were taken from, and from the
//! directories that were listed on the way.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;
use portolan_connector::{ColumnStatistics, TableStatistics};

use crate::partition::PartitionColumn;
use crate::schema::FileSchema;

/// The least and the greatest value of a column in the files that were looked at.
pub(crate) type Range = (ScalarValue, ScalarValue);

/// The ranges of a file's columns, by name. Of texts nothing is kept: writers cut their bounds off.
pub(crate) fn ranges(footer: &ParquetMetaData) -> Vec<(String, Range)> {
    let file = footer.file_metadata();
    let Ok(schema) = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()) else { return Vec::new() };
    let of = |name: &str| {
        let converter = StatisticsConverter::try_new(name, &schema, file.schema_descr()).ok()?;
        let mins = converter.row_group_mins(footer.row_groups()).ok()?;
        let maxes = converter.row_group_maxes(footer.row_groups()).ok()?;
        let values = |array: &dyn arrow::array::Array| {
            (0..array.len())
                .filter_map(|at| ScalarValue::try_from_array(array, at).ok())
                .filter(|value| !value.is_null())
                .collect::<Vec<_>>()
        };
        let least = values(&mins).into_iter().reduce(|one, other| extreme(one, other, Ordering::Less))?;
        let greatest = values(&maxes).into_iter().reduce(|one, other| extreme(one, other, Ordering::Greater))?;
        Some((least, greatest))
    };
    let fields = schema.fields().iter().filter(|field| has_range(field.data_type()));
    fields.filter_map(|field| Some((field.name().clone(), of(field.name())?))).collect()
}

/// Whether values of a type lie on a line, with bounds that files keep whole.
pub(crate) fn has_range(data_type: &DataType) -> bool {
    data_type.is_integer() || matches!(data_type, DataType::Date32 | DataType::Decimal128(..) | DataType::Timestamp(..))
}

/// The smaller or the larger one of two values.
pub(crate) fn extreme(one: ScalarValue, other: ScalarValue, wanted: Ordering) -> ScalarValue {
    if other.partial_cmp(&one) == Some(wanted) { other } else { one }
}

/// The statistics of a table of about so many bytes; `None` where no file was looked at.
pub(crate) fn statistics(files: &FileSchema, bytes: u64, partitions: &[PartitionColumn]) -> Option<TableStatistics> {
    let rows = files.rows_in(bytes)?;
    let mut columns = BTreeMap::new();
    for column in &files.columns {
        let name = column.field.name();
        let Some((min, max)) = files.ranges.get(&name.to_lowercase()) else { continue };
        let read_as = |value: &ScalarValue| value.cast_to(column.field.data_type()).ok();
        let known = ColumnStatistics {
            distinct: Some(whole_numbers(min, max).map_or(rows, |count| count.min(rows))),
            min: read_as(min),
            max: read_as(max),
            ..ColumnStatistics::default()
        };
        columns.insert(name.clone(), known);
    }
    for partition in partitions {
        let distinct = Some(partition.distinct).filter(|distinct| *distinct > 0);
        columns.insert(partition.name.clone(), ColumnStatistics { distinct, ..ColumnStatistics::default() });
    }
    let seen = if files.column_bytes.is_empty() { "first rows of files" } else { "footers" };
    let origin = format!("{seen} and directories that were looked at for the columns");
    Some(TableStatistics { rows: Some(rows), bytes: Some(bytes), columns, origin })
}

/// How many whole numbers or days there are between two; `None` for other values.
fn whole_numbers(min: &ScalarValue, max: &ScalarValue) -> Option<u64> {
    let number = |value: &ScalarValue| {
        let value = match value {
            ScalarValue::Date32(days) => ScalarValue::Int32(*days),
            other if other.data_type().is_integer() => other.clone(),
            _ => return None,
        };
        match value.cast_to(&DataType::Int64).ok()? {
            ScalarValue::Int64(number) => number,
            _ => None,
        }
    };
    number(max)?.checked_sub(number(min)?)?.checked_add(1).and_then(|count| u64::try_from(count).ok())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow::datatypes::Field;

    use super::*;
    use crate::schema::FileColumn;

    #[test]
    fn a_range_of_numbers_bounds_how_many_values_there_are() {
        let file_column = |name: &str, data_type: DataType| FileColumn {
            field: Arc::new(Field::new(name, data_type, true)),
            source_type: String::new(),
        };
        let files = FileSchema {
            columns: vec![
                file_column("id", DataType::Int64),
                file_column("few", DataType::Int64),
                file_column("t", DataType::Utf8View),
            ],
            rows: 100,
            file_bytes: 1000,
            ranges: HashMap::from([
                ("id".to_owned(), (ScalarValue::Int32(Some(1)), ScalarValue::Int32(Some(1_000_000)))),
                ("few".to_owned(), (ScalarValue::Int64(Some(-3)), ScalarValue::Int64(Some(6)))),
            ]),
            ..FileSchema::default()
        };
        let found = statistics(&files, 50_000, &[]).unwrap();
        assert_eq!(found.rows, Some(5000));
        assert_eq!(found.columns["id"].distinct, Some(5000));
        assert_eq!(found.columns["id"].max, Some(ScalarValue::Int64(Some(1_000_000))));
        assert_eq!(found.columns["few"].distinct, Some(10));
        assert!(!found.columns.contains_key("t"));
        assert!(statistics(&FileSchema::default(), 10, &[]).is_none());
    }
}
