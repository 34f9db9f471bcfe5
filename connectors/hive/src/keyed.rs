//! Pages of Parquet files that have none of the keys that a join knows. A list of more than a few keys is beyond what the engine
//! compares with the bounds of pages and row groups; where the keys are sorted, each of these is looked up in them.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::{FileRange, PartitionedFile};
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::physical_expr::utils::conjunction;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::physical_plan::metrics::Count;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::Type;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use portolan_connector::{KeyFilter, key_filters};

use crate::late::by_origin;
use crate::statistics::has_range;

/// The longest list that the engine compares with bounds itself, where it is stated (its `max_in_list_size`).
const LIST_MAX: usize = 20;

/// The metric that counts row groups of which no page has a key. They do not count as pruned by their statistics.
pub(crate) const KEYLESS: &str = "row_groups_keyless";

/// The keys of some columns: a row that the query needs has one of those of each.
#[derive(Debug)]
pub(crate) struct Keys(Vec<ColumnKeys>);

#[derive(Debug)]
struct ColumnKeys {
    name: String,
    data_type: DataType,
    /// From the least to the greatest.
    sorted: Vec<ScalarValue>,
}

impl Keys {
    /// What a condition over columns of `schema` says by now.
    pub(crate) fn of(predicate: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Self {
        let (found, stated) = by_origin(predicate);
        let filters =
            |parts: Vec<&Arc<dyn PhysicalExpr>>| key_filters(&conjunction(parts.into_iter().cloned()), schema);
        let is_long = |filter: &KeyFilter| matches!(filter, KeyFilter::In { values, .. } if values.len() > LIST_MAX);
        let listed = filters(found).into_iter().chain(filters(stated).into_iter().filter(is_long));
        let listed = listed.filter_map(|filter| match filter {
            KeyFilter::In { column, values } => {
                let field = schema.fields().get(column).filter(|field| has_range(field.data_type()))?;
                let mut sorted = values;
                sorted.sort_by(|one, other| one.partial_cmp(other).unwrap_or(Ordering::Equal));
                Some(ColumnKeys { name: field.name().clone(), data_type: field.data_type().clone(), sorted })
            }
            KeyFilter::Between { .. } | KeyFilter::Nothing => None,
        });
        Self(listed.collect())
    }

    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The file, or the part of it, without the pages that have no key. Counts the row groups of which none is left.
    pub(crate) fn narrow(&self, file: PartitionedFile, footer: &ParquetMetaData, keyless: &Count) -> PartitionedFile {
        let groups = footer.num_row_groups();
        let before = file.extensions.get::<ParquetAccessPlan>();
        let mut plan =
            before.filter(|plan| plan.len() == groups).cloned().unwrap_or_else(|| ParquetAccessPlan::new_all(groups));
        let mut narrowed = false;
        for keys in &self.0 {
            for group in 0..groups {
                if plan.should_scan(group)
                    && let Some(selection) = keys.selection(footer, group)
                {
                    narrowed = true;
                    plan.scan_selection(group, selection);
                }
            }
        }
        if !narrowed {
            return file;
        }
        for (group, described) in footer.row_groups().iter().enumerate() {
            if let Some(RowGroupAccess::Selection(selection)) = plan.inner().get(group)
                && selection.row_count() == 0
            {
                plan.skip(group);
                keyless.add(usize::from(begins_in(described, file.range.as_ref())));
            }
        }
        file.with_extension(plan)
    }
}

/// Whether a row group is of these bytes of its file: the engine reads it in the part in which it begins.
fn begins_in(group: &RowGroupMetaData, bytes: Option<&FileRange>) -> bool {
    let begin = group.columns().first().map(|column| column.byte_range().0);
    let begin = begin.and_then(|begin| i64::try_from(begin).ok()).unwrap_or_default();
    bytes.is_none_or(|bytes| (bytes.start..bytes.end).contains(&begin))
}

impl ColumnKeys {
    /// The rows of a row group whose pages may have a key; `None` where these are all, or where it is not known.
    fn selection(&self, footer: &ParquetMetaData, group: usize) -> Option<RowSelection> {
        let file = footer.file_metadata();
        let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()).ok()?;
        let converter = StatisticsConverter::try_new(&self.name, &schema, file.schema_descr()).ok()?;
        let column = converter.parquet_column_index()?;
        // Files may have another type than the table; the order of INT96 is not that of times.
        let is_int96 = file.schema_descr().column(column).physical_type() == Type::INT96;
        if is_int96 || *converter.arrow_field().data_type() != self.data_type {
            return None;
        }
        let (bounds, places) = (footer.column_index()?, footer.offset_index()?);
        bounds.get(group)?.get(column)?;
        if places.get(group)?.get(column)?.page_locations().is_empty() {
            return None;
        }
        let mins = converter.data_page_mins(bounds, places, [&group]).ok()?;
        let maxes = converter.data_page_maxes(bounds, places, [&group]).ok()?;
        let rows = converter.data_page_row_counts(places, footer.row_groups(), [&group]).ok()??;
        if mins.len() != rows.len() || maxes.len() != rows.len() {
            return None;
        }
        let selectors: Vec<RowSelector> = (0..rows.len())
            .map(|page| {
                let count = usize::try_from(rows.value(page)).unwrap_or_default();
                if self.may_be_in(&mins, &maxes, page) { RowSelector::select(count) } else { RowSelector::skip(count) }
            })
            .collect();
        selectors.iter().any(|selector| selector.skip).then(|| RowSelection::from(selectors))
    }

    /// Whether a key lies between the bounds of a page. Bounds that are not known rule nothing out.
    fn may_be_in(&self, mins: &ArrayRef, maxes: &ArrayRef, page: usize) -> bool {
        let bound = |bounds: &ArrayRef| ScalarValue::try_from_array(bounds, page).ok().filter(|bound| !bound.is_null());
        let (Some(low), Some(high)) = (bound(mins), bound(maxes)) else { return true };
        let first = self.sorted.partition_point(|key| *key < low);
        self.sorted.get(first).is_some_and(|key| *key <= high)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, RecordBatch};
    use arrow::datatypes::Field;
    use bytes::Bytes;
    use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, col, in_list, lit};
    use object_store::ObjectMeta;
    use object_store::path::Path;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
    use parquet::file::metadata::PageIndexPolicy;
    use parquet::file::properties::WriterProperties;

    use super::*;

    const PAGE: usize = 100;

    /// Two row groups of ten pages each, with the even numbers from 0 to 3,998.
    fn footer() -> Arc<ParquetMetaData> {
        let numbers = Int64Array::from_iter_values((0..2000).map(|row| row * 2));
        let batch = RecordBatch::try_from_iter([("id", Arc::new(numbers) as ArrayRef)]).unwrap();
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(1000))
            .set_data_page_row_count_limit(PAGE)
            .set_write_batch_size(PAGE)
            .build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        let bytes = Bytes::from(writer.into_inner().unwrap());
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        Arc::clone(ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options).unwrap().metadata())
    }

    /// What a join knows.
    fn keys(values: &[i64], data_type: DataType) -> Keys {
        let (filter, schema) = list(values, data_type);
        let found = DynamicFilterPhysicalExpr::new(vec![col("id", &schema).unwrap()], lit(true));
        found.update(filter).unwrap();
        Keys::of(&(Arc::new(found) as _), &schema)
    }

    fn list(values: &[i64], data_type: DataType) -> (Arc<dyn PhysicalExpr>, Schema) {
        let schema = Schema::new(vec![Field::new("id", data_type, true)]);
        let cast = |value: &i64| lit(ScalarValue::from(*value).cast_to(schema.field(0).data_type()).unwrap());
        let list = in_list(col("id", &schema).unwrap(), values.iter().map(cast).collect(), &false, &schema);
        (list.unwrap(), schema)
    }

    fn file() -> PartitionedFile {
        PartitionedFile::new_from_meta(ObjectMeta {
            location: Path::from("f"),
            last_modified: Default::default(),
            size: 1,
            e_tag: None,
            version: None,
        })
    }

    /// How many rows of each row group are read.
    fn rows(file: &PartitionedFile) -> Option<Vec<usize>> {
        let plan = file.extensions.get::<ParquetAccessPlan>()?;
        let rows = |access: &RowGroupAccess| match access {
            RowGroupAccess::Skip => 0,
            RowGroupAccess::Scan => 1000,
            RowGroupAccess::Selection(selection) => selection.row_count(),
        };
        Some(plan.inner().iter().map(rows).collect())
    }

    #[test]
    fn only_pages_with_a_key_are_read() {
        let footer = footer();
        let narrowed = |values: &[i64]| rows(&keys(values, DataType::Int64).narrow(file(), &footer, &Count::new()));
        // 0 to 198 in the first page, 200 to 398 in the second.
        assert_eq!(narrowed(&[0, 198]), Some(vec![PAGE, 0]));
        assert_eq!(narrowed(&[200, 5, 3998]), Some(vec![2 * PAGE, PAGE]));
        // Between two pages, and beyond all.
        assert_eq!(narrowed(&[199, -1, 4000]), Some(vec![0, 0]));
        let everywhere: Vec<i64> = (0..4000).collect();
        assert_eq!(narrowed(&everywhere), None);
    }

    #[test]
    fn what_is_not_read_stays_so() {
        let footer = footer();
        let half = RowSelection::from(vec![RowSelector::skip(150), RowSelector::select(850)]);
        let plan = ParquetAccessPlan::new(vec![RowGroupAccess::Selection(half), RowGroupAccess::Skip]);
        let narrowed =
            keys(&[198, 200, 3000], DataType::Int64).narrow(file().with_extension(plan), &footer, &Count::new());
        assert_eq!(rows(&narrowed), Some(vec![50, 0]));
    }

    #[test]
    fn keys_of_another_type_say_nothing() {
        let narrowed = keys(&[0], DataType::Int32).narrow(file(), &footer(), &Count::new());
        assert_eq!(rows(&narrowed), None);
    }

    #[test]
    fn row_groups_without_a_key_are_counted_where_they_begin() {
        let footer = footer();
        let second = i64::try_from(footer.row_group(1).column(0).byte_range().0).unwrap();
        for (range, expected) in [(None, 1), (Some(0..second), 0), (Some(second..i64::MAX), 1)] {
            let (mut file, keyless) = (file(), Count::new());
            file.range = range.map(|range| FileRange { start: range.start, end: range.end });
            keys(&[0], DataType::Int64).narrow(file, &footer, &keyless);
            assert_eq!(keyless.value(), expected);
        }
    }

    #[test]
    fn short_lists_that_are_stated_are_left_to_the_engine() {
        for (count, is_left) in [(20, true), (21, false)] {
            let values: Vec<i64> = (0..count).collect();
            let (stated, schema) = list(&values, DataType::Int64);
            assert_eq!(Keys::of(&stated, &schema).is_empty(), is_left);
        }
    }
}
