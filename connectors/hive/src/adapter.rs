//! Reading a file whose columns differ from the table's: other order, other case, missing, or narrower.

use std::sync::Arc;

use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, Column, Literal, TryCastExpr};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};

use crate::factory::ColumnRules;
use crate::types::sql_name;
use crate::widen::widens;

/// The column of a file that holds a column of the table: the one of the same name, or else the only one whose name
/// differs in nothing but case. `Err` when there are several of the latter.
pub(crate) fn find_column<'a>(name: &str, fields: impl Iterator<Item = &'a FieldRef>) -> Result<Option<usize>, ()> {
    let lower = name.to_lowercase();
    let mut found = None;
    let mut ambiguous = false;
    for (index, field) in fields.enumerate() {
        if field.name() == name {
            return Ok(Some(index));
        }
        if field.name().to_lowercase() == lower {
            ambiguous |= found.is_some();
            found = Some(index);
        }
    }
    if ambiguous { Err(()) } else { Ok(found) }
}

/// Makes adapters that find columns by name whatever its case, read missing columns as NULL, and widen types only
/// where nothing is lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LakeAdapterFactory {
    /// Whether instants are read as timestamps without a zone where the table has such: as the time in UTC. Hive knows no
    /// other timestamps, and Spark writes them as instants.
    pub(crate) instants: bool,
    pub(crate) rules: ColumnRules,
}

/// What a column is called that the file lacks, where columns are found by their place: like none of the file's.
fn absent(index: usize) -> String {
    format!("\u{0}column {index}")
}

impl PhysicalExprAdapterFactory for LakeAdapterFactory {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        // The engine's own adapter matches names exactly, so it gets the table's schema in the file's spelling.
        let mut fields = Vec::with_capacity(table.fields().len());
        let mut matches = Vec::with_capacity(table.fields().len());
        for (index, field) in table.fields().iter().enumerate() {
            if self.rules.by_index {
                let spelling = file.fields().get(index).map_or_else(|| absent(index), |field| field.name().clone());
                fields.push(Arc::new(Field::clone(field).with_name(spelling)));
                matches.push(Ok(Some(index).filter(|index| *index < file.fields().len())));
                continue;
            }
            let found = find_column(field.name(), file.fields().iter()).map(|found| {
                // Not if it is exactly another column of the table.
                found.filter(|index| {
                    let name = file.fields().get(*index).map(|field| field.name());
                    name.is_some_and(|name| name == field.name() || table.index_of(name).is_err())
                })
            });
            let spelling = found.ok().flatten().and_then(|index| file.fields().get(index)).map(|field| field.name());
            fields.push(match spelling {
                Some(name) if name != field.name() => Arc::new(Field::clone(field).with_name(name)),
                _ => Arc::clone(field),
            });
            matches.push(found);
        }
        if self.rules.null_on_mismatch {
            // Values that may not fit are taken as the file has them, and converted one by one.
            for (field, found) in fields.iter_mut().zip(&matches) {
                if let Some(of_file) = found.ok().flatten().and_then(|index| file.fields().get(index))
                    && !is_read_as(of_file.data_type(), field.data_type(), self.instants)
                {
                    *field = Arc::new(Field::clone(field).with_data_type(of_file.data_type().clone()));
                }
            }
        }
        let respelled = Arc::new(Schema::new(fields));
        let inner = DefaultPhysicalExprAdapterFactory.create(Arc::clone(&respelled), Arc::clone(&file))?;
        Ok(Arc::new(LakeAdapter {
            table,
            respelled,
            file,
            matches,
            inner,
            instants: self.instants,
            null_on_mismatch: self.rules.null_on_mismatch,
        }))
    }
}

#[derive(Debug)]
struct LakeAdapter {
    table: SchemaRef,
    /// The table's schema, each column called as the file calls it.
    respelled: SchemaRef,
    file: SchemaRef,
    /// For each column of the table, the file's column.
    matches: Vec<Result<Option<usize>, ()>>,
    inner: Arc<dyn PhysicalExprAdapter>,
    instants: bool,
    null_on_mismatch: bool,
}

impl LakeAdapter {
    /// The column in the file's spelling, checked to be readable as the table's type; or what of its values is.
    fn respell(&self, column: &Column) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Ok(index) = self.table.index_of(column.name()) else {
            return Ok(None);
        };
        let (Some(wanted), Some(found), Some(spelled)) =
            (self.table.fields().get(index), self.matches.get(index), self.respelled.fields().get(index))
        else {
            return Ok(None);
        };
        let found = found.map_err(|()| {
            DataFusionError::Execution(format!(
                "the file has several columns called `{}` that differ only in case",
                column.name()
            ))
        })?;
        let column_of_file = Arc::new(Column::new(spelled.name(), index));
        if let Some(file) = found.and_then(|index| self.file.fields().get(index))
            && !is_read_as(file.data_type(), wanted.data_type(), self.instants)
        {
            if self.null_on_mismatch {
                return convert(column_of_file, file.data_type(), wanted.data_type()).map(Some);
            }
            // SQL has one name for timestamps in microseconds and in nanoseconds.
            let is_same_name = sql_name(file.data_type()) == sql_name(wanted.data_type());
            let name = |kind: &DataType| if is_same_name { kind.to_string() } else { sql_name(kind) };
            return Err(DataFusionError::Execution(format!(
                "the column `{}` is of type {} in the file and of type {} in the table",
                column.name(),
                name(file.data_type()),
                name(wanted.data_type())
            )));
        }
        Ok(Some(column_of_file))
    }
}

/// Whether every value of the file's type is one of the table's.
fn is_read_as(file: &DataType, table: &DataType, instants: bool) -> bool {
    widens(file, table) || (instants && is_instant_of(file, table))
}

/// The values of a file's column that are values of the table's type as well, and NULL for the others. Texts are read as
/// such values; of others is left out what does not come back the same.
fn convert(column: Arc<dyn PhysicalExpr>, file: &DataType, table: &DataType) -> Result<Arc<dyn PhysicalExpr>> {
    if !can_cast_types(file, table) || (!file.is_string() && !can_cast_types(table, file)) {
        return Ok(Arc::new(Literal::new(ScalarValue::try_new_null(table)?)));
    }
    let converted: Arc<dyn PhysicalExpr> = Arc::new(TryCastExpr::new(Arc::clone(&column), table.clone()));
    if file.is_string() {
        return Ok(converted);
    }
    let back = Arc::new(TryCastExpr::new(Arc::clone(&converted), file.clone()));
    let same = Arc::new(BinaryExpr::new(back, Operator::Eq, column));
    Ok(Arc::new(CaseExpr::try_new(None, vec![(same, converted)], None)?))
}

/// Whether `file` are instants and `table` timestamps without a zone of the same or a finer unit.
fn is_instant_of(file: &DataType, table: &DataType) -> bool {
    match (file, table) {
        (DataType::Timestamp(from, Some(_)), DataType::Timestamp(to, None)) => {
            widens(&DataType::Timestamp(*from, None), &DataType::Timestamp(*to, None))
        }
        _ => false,
    }
}

impl PhysicalExprAdapter for LakeAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let respelled = expr
            .transform_down(|expr| {
                let Some(column) = expr.downcast_ref::<Column>() else {
                    return Ok(Transformed::no(expr));
                };
                Ok(match self.respell(column)? {
                    // What it is made of are columns of the file already.
                    Some(expr) if !expr.is::<Column>() => Transformed::new(expr, true, TreeNodeRecursion::Jump),
                    Some(expr) => Transformed::yes(expr),
                    None => Transformed::no(expr),
                })
            })
            .data()?;
        self.inner.rewrite(respelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::TimeUnit;

    #[test]
    fn instants_are_read_in_utc_where_the_table_knows_no_others() {
        let table = schema(&[("at", DataType::Timestamp(TimeUnit::Microsecond, None))]);
        let file = schema(&[("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))]);
        let adapted = |instants: bool| {
            let column = Column::new_with_schema("at", &table)?;
            let adapter = LakeAdapterFactory { instants, rules: ColumnRules::default() }
                .create(Arc::clone(&table), Arc::clone(&file))?;
            adapter.rewrite(Arc::new(column)).map(|expr| expr.to_string())
        };
        assert!(adapted(true).unwrap().starts_with("CAST(at@0"), "{:?}", adapted(true));
        assert!(adapted(false).unwrap_err().to_string().contains("timestamp with time zone in the file"));
    }

    fn schema(names: &[(&str, DataType)]) -> SchemaRef {
        Arc::new(Schema::new(names.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>()))
    }

    fn adapt(table: &SchemaRef, file: &SchemaRef, name: &str) -> Result<String> {
        let column = Column::new_with_schema(name, table)?;
        let adapter = LakeAdapterFactory { instants: false, rules: ColumnRules::default() }
            .create(Arc::clone(table), Arc::clone(file))?;
        adapter.rewrite(Arc::new(column)).map(|expr| expr.to_string())
    }

    #[test]
    fn columns_are_found_whatever_their_case_and_place() {
        let table = schema(&[("a", DataType::Int64), ("b", DataType::Int64), ("c", DataType::Int64)]);
        let file = schema(&[("B", DataType::Int64), ("A", DataType::Int32)]);
        assert_eq!(adapt(&table, &file, "b").unwrap(), "B@0");
        assert_eq!(adapt(&table, &file, "a").unwrap(), "CAST(A@1 AS Int64)");
        assert_eq!(adapt(&table, &file, "c").unwrap(), "NULL");
    }

    #[test]
    fn the_exact_name_wins_and_a_tie_is_an_error() {
        let table = schema(&[("a", DataType::Int64)]);
        assert_eq!(adapt(&table, &schema(&[("A", DataType::Int64), ("a", DataType::Int64)]), "a").unwrap(), "a@1");
        let table = schema(&[("aB", DataType::Int64)]);
        let error = adapt(&table, &schema(&[("ab", DataType::Int64), ("AB", DataType::Int64)]), "aB").unwrap_err();
        assert!(error.to_string().contains("several columns called `aB`"), "{error}");
    }

    #[test]
    fn a_type_that_would_lose_something_is_an_error() {
        let table = schema(&[("a", DataType::Int32)]);
        let error = adapt(&table, &schema(&[("a", DataType::Int64)]), "a").unwrap_err();
        assert!(
            error.to_string().contains("the column `a` is of type bigint in the file and of type integer in the table"),
            "{error}"
        );
    }

    #[test]
    fn columns_are_found_by_their_place() {
        let table = schema(&[("a", DataType::Int64), ("b", DataType::Int64), ("c", DataType::Int64)]);
        let file = schema(&[("c", DataType::Int64), ("x", DataType::Int64)]);
        let rules = ColumnRules { by_index: true, ..ColumnRules::default() };
        let adapted = |name: &str| {
            let factory = LakeAdapterFactory { instants: false, rules };
            let adapter = factory.create(Arc::clone(&table), Arc::clone(&file)).unwrap();
            adapter.rewrite(Arc::new(Column::new_with_schema(name, &table).unwrap())).unwrap().to_string()
        };
        assert_eq!([adapted("a"), adapted("b"), adapted("c")], ["c@0", "x@1", "NULL"]);
    }
}
