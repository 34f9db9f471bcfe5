//! What a write puts into the columns of each partition, counted on the way for the metastore: NULLs, about how many different
//! values there are, lengths; and bounds, as the files' footers have them.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::common::hash_utils::{HLL_RANDOM_STATE, create_hashes};
use parquet::file::metadata::ParquetMetaData;

use super::distinct::Distinct;
use super::types::type_name;
use crate::metastore::{ColumnSummary, Lengths, Values};
use crate::statistics::{Range, extreme, ranges};

/// The most columns of partitions of which a write counts: each takes a kilobyte of memory.
const COUNTED_MAX: usize = 20_000;

/// What is counted of the columns of a write's partitions.
pub(super) struct Counts {
    schema: SchemaRef,
    /// By partition; `None` of those that came when there were too many.
    partitions: HashMap<usize, Option<Vec<Column>>>,
    columns: usize,
    hashes: Vec<u64>,
}

/// What is counted of a column.
#[derive(Clone, Default)]
struct Column {
    nulls: u64,
    trues: u64,
    falses: u64,
    lengths: Lengths,
    distinct: Distinct,
    range: Option<Range>,
}

impl Counts {
    /// For rows of these columns.
    pub(super) fn new(schema: &SchemaRef) -> Self {
        Self { schema: SchemaRef::clone(schema), partitions: HashMap::new(), columns: 0, hashes: Vec::new() }
    }

    /// Counts rows of a partition.
    pub(super) fn add(&mut self, partition: usize, rows: &RecordBatch) {
        let width = self.schema.fields().len();
        let columns = &mut self.columns;
        let known = self.partitions.entry(partition).or_insert_with(|| {
            (*columns + width <= COUNTED_MAX).then(|| {
                *columns += width;
                vec![Column::default(); width]
            })
        });
        for (column, array) in known.iter_mut().flatten().zip(rows.columns()) {
            column.add(array.as_ref(), &mut self.hashes);
        }
    }

    /// Takes the bounds of a file's columns over.
    pub(super) fn close(&mut self, partition: usize, footer: &ParquetMetaData) {
        let Some(Some(columns)) = self.partitions.get_mut(&partition) else { return };
        let mut found: HashMap<String, Range> = ranges(footer).into_iter().collect();
        for (field, column) in self.schema.fields().iter().zip(columns) {
            let Some((min, max)) = found.remove(field.name()) else { continue };
            column.range = Some(match column.range.take() {
                Some((least, greatest)) => {
                    let least = extreme(least, min, std::cmp::Ordering::Less);
                    (least, extreme(greatest, max, std::cmp::Ordering::Greater))
                }
                None => (min, max),
            });
        }
    }

    /// What was counted of a partition; nothing of columns of which metastores keep nothing.
    pub(super) fn of(&self, partition: usize) -> Vec<ColumnSummary> {
        let columns = self.partitions.get(&partition).and_then(Option::as_ref);
        let fields = self.schema.fields().iter();
        let summaries = fields.zip(columns.into_iter().flatten()).filter_map(|(field, column)| {
            Some(ColumnSummary {
                name: field.name().clone(),
                hive_type: type_name(field.data_type()).ok()?,
                nulls: column.nulls,
                distinct: column.distinct.estimate(),
                values: column.values(field.data_type())?,
            })
        });
        summaries.collect()
    }
}

impl Column {
    fn add(&mut self, array: &dyn Array, hashes: &mut Vec<u64>) {
        if array.data_type().is_nested() {
            return;
        }
        self.nulls += array.null_count() as u64;
        match array.data_type() {
            DataType::Boolean => {
                let values = array.as_boolean();
                self.trues += values.true_count() as u64;
                self.falses += values.false_count() as u64;
            }
            DataType::Utf8View => self.lengths.add(array.as_string_view().iter().flatten().map(str::len)),
            DataType::BinaryView => self.lengths.add(array.as_binary_view().iter().flatten().map(<[u8]>::len)),
            _ => {}
        }
        hashes.clear();
        hashes.resize(array.len(), 0);
        // A type without hashes has no number of different values, which are estimates anyway.
        if create_hashes([array], &HLL_RANDOM_STATE, hashes).is_ok() {
            let present = hashes.iter().enumerate().filter(|(row, _)| array.is_valid(*row));
            present.for_each(|(_, hash)| self.distinct.add(*hash));
        }
    }

    fn values(&self, data_type: &DataType) -> Option<Values> {
        let bound = |of: fn(&Range) -> &ScalarValue| self.range.as_ref().map(of);
        let (least, greatest) = (bound(|range| &range.0), bound(|range| &range.1));
        Some(match data_type {
            DataType::Boolean => Values::Boolean { trues: self.trues, falses: self.falses },
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
                Values::Long { least: whole(least), greatest: whole(greatest) }
            }
            // Hive's bounds of these are whole seconds.
            DataType::Timestamp(..) => Values::Long { least: None, greatest: None },
            DataType::Float32 | DataType::Float64 => Values::Double,
            DataType::Utf8View => Values::Text(self.lengths),
            DataType::BinaryView => Values::Binary(self.lengths),
            DataType::Decimal128(_, scale) => {
                Values::Decimal { least: digits(least), greatest: digits(greatest), scale: i16::from(*scale) }
            }
            DataType::Date32 => {
                let days = |bound: Option<&ScalarValue>| match bound {
                    Some(ScalarValue::Date32(days)) => days.map(i64::from),
                    _ => None,
                };
                Values::Date { least: days(least), greatest: days(greatest) }
            }
            _ => return None,
        })
    }
}

fn whole(bound: Option<&ScalarValue>) -> Option<i64> {
    match bound?.cast_to(&DataType::Int64).ok()? {
        ScalarValue::Int64(number) => number,
        _ => None,
    }
}

fn digits(bound: Option<&ScalarValue>) -> Option<String> {
    match bound? {
        ScalarValue::Decimal128(value, ..) => value.map(|value| value.to_string()),
        ScalarValue::Decimal32(value, ..) => value.map(|value| value.to_string()),
        ScalarValue::Decimal64(value, ..) => value.map(|value| value.to_string()),
        _ => None,
    }
}

impl Lengths {
    fn add(&mut self, lengths: impl Iterator<Item = usize>) {
        for length in lengths {
            let length = length as u64;
            self.longest = self.longest.max(length);
            self.sum = self.sum.saturating_add(length);
            self.count += 1;
        }
    }
}
