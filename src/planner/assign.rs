//! Rows as a table's columns want them: what INSERT may put into a column without a CAST.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::Column;
use datafusion::logical_expr::{Cast, Expr as LogicalExpr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{CastKind, Expr, SetExpr, Statement, Value, ValueWithSpan};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::error::{Error, Result};
use crate::session::type_name;

/// The columns that rows are put into.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    fields: Vec<FieldRef>,
    /// Whether the rows are written out in the statement. Text then stands for a value of any type, as it does in the
    /// comparisons of a query.
    written: bool,
}

impl Assignment {
    /// What a statement's query is to put into these columns. Parameters that stand alone among written values are those
    /// columns' values, and are of their types.
    pub(crate) fn new(fields: Vec<FieldRef>, query: &mut Statement) -> Self {
        let mut written = false;
        if let Statement::Query(query) = query
            && let SetExpr::Values(values) = query.body.as_mut()
        {
            written = true;
            for row in &mut values.rows {
                for (value, field) in row.content.iter_mut().zip(&fields) {
                    give_type(value, field.data_type());
                }
            }
        }
        Self { fields, written }
    }

    /// The plan with one more projection, which makes the columns' types of its own.
    pub(super) fn apply(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let given = plan.schema().columns();
        if given.len() != self.fields.len() {
            return Err(Error::user(format!(
                "{} for {}",
                count(given.len(), "value"),
                count(self.fields.len(), "column")
            )));
        }
        let types: Vec<DataType> = plan.schema().fields().iter().map(|field| field.data_type().clone()).collect();
        let columns = given.into_iter().zip(types).zip(&self.fields);
        let columns: Vec<LogicalExpr> =
            columns.map(|((column, has), wanted)| self.column(column, &has, wanted)).collect::<Result<_>>()?;
        Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
    }

    fn column(&self, column: Column, has: &DataType, wanted: &FieldRef) -> Result<LogicalExpr> {
        let name = wanted.name().clone();
        let wanted = wanted.data_type();
        if has == wanted {
            return Ok(LogicalExpr::Column(column).alias(name));
        }
        if !(self.written && is_text(has)) {
            assignable(&name, has, wanted)?;
        }
        Ok(LogicalExpr::Cast(Cast::new(Box::new(LogicalExpr::Column(column)), wanted.clone())).alias(name))
    }
}

fn count(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// `?` as `CAST(? AS type)`, where the type has a name.
pub(crate) fn give_type(value: &mut Expr, data_type: &DataType) {
    if !matches!(value, Expr::Value(ValueWithSpan { value: Value::Placeholder(_), .. })) {
        return;
    }
    let name = type_name(data_type);
    let Ok(mut parser) = Parser::new(&GenericDialect {}).try_with_sql(&name) else { return };
    let Ok(data_type) = parser.parse_data_type() else { return };
    *value = Expr::Cast { kind: CastKind::Cast, expr: Box::new(value.clone()), data_type, array: false, format: None };
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

fn is_date(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64)
}

/// Whether values of a type go into a column of another without a CAST: where each has its like there, or is told to be
/// out of range. What would be rounded to a whole number, cut, or read as something else needs a CAST that says so.
pub(crate) fn assignable(column: &str, has: &DataType, wanted: &DataType) -> Result<()> {
    let fits = match (has, wanted) {
        (DataType::Null, _) => true,
        (DataType::Dictionary(_, value), wanted) => return assignable(column, value, wanted),
        (has, wanted) if has == wanted => true,
        (has, wanted) if has.is_integer() => wanted.is_numeric(),
        (has, wanted) if has.is_decimal() => wanted.is_decimal() || wanted.is_floating(),
        (DataType::Float16 | DataType::Float32, DataType::Float32 | DataType::Float64) => true,
        (has, wanted) if is_text(has) => is_text(wanted),
        (has, wanted) if is_binary(has) => is_binary(wanted),
        (has, wanted) if is_date(has) => is_date(wanted) || matches!(wanted, DataType::Timestamp(_, None)),
        (DataType::Timestamp(from, here), DataType::Timestamp(to, there)) => {
            here.is_some() == there.is_some() && from <= to
        }
        (DataType::Time32(from) | DataType::Time64(from), DataType::Time32(to) | DataType::Time64(to)) => from <= to,
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let (has, wanted) = (type_name(has), type_name(wanted));
    Err(Error::user(format!("column {column} is {wanted}, and the value for it is {has}"))
        .hint(format!("write CAST(... AS {wanted}) if that is what you mean")))
}

/// The columns of a new table that holds rows of a query or of a client: each may be NULL, and has a type of its own.
pub(crate) fn new_columns(rows: &Schema) -> Result<SchemaRef> {
    let mut fields: Vec<Field> = Vec::with_capacity(rows.fields().len());
    for field in rows.fields() {
        let name = field.name();
        if fields.iter().any(|other| other.name().to_lowercase() == name.to_lowercase()) {
            return Err(Error::user(format!("two columns are called {name}")).hint("name them apart with AS"));
        }
        let data_type = match field.data_type() {
            DataType::Null => {
                return Err(Error::user(format!("column {name} is NULL and of no type"))
                    .hint("give it one: CAST(NULL AS varchar)"));
            }
            DataType::Dictionary(_, value) => DataType::clone(value),
            DataType::RunEndEncoded(_, value) => value.data_type().clone(),
            other => other.clone(),
        };
        fields.push(Field::new(name, data_type, true));
    }
    Ok(Arc::new(Schema::new(fields)))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn a_value_goes_where_it_stays_what_it_is() {
        let decimal = DataType::Decimal128(12, 2);
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        for (has, wanted, fits) in [
            (&DataType::Null, &zoned, true),
            (&DataType::Int64, &DataType::Int8, true),
            (&DataType::Int64, &decimal, true),
            (&DataType::Int64, &DataType::Utf8, false),
            (&DataType::Int64, &DataType::Boolean, false),
            (&decimal, &DataType::Float64, true),
            (&decimal, &DataType::Int64, false),
            (&DataType::Float64, &DataType::Int64, false),
            (&DataType::Float64, &DataType::Float32, false),
            (&DataType::Float32, &DataType::Float64, true),
            (&DataType::Utf8, &DataType::Utf8View, true),
            (&DataType::Utf8, &DataType::Date32, false),
            (&DataType::Date32, &micros, true),
            (&micros, &DataType::Date32, false),
            (&micros, &nanos, true),
            (&nanos, &micros, false),
            (&micros, &zoned, false),
            (&DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), &DataType::Utf8, true),
        ] {
            assert_eq!(assignable("c", has, wanted).is_ok(), fits, "{has} into {wanted}");
        }
        assert_eq!(
            assignable("c", &DataType::Float64, &DataType::Int64).unwrap_err().to_string(),
            "column c is bigint, and the value for it is double\nHint: write CAST(... AS bigint) if that is what you mean"
        );
    }

    #[test]
    fn a_new_table_has_columns_of_different_names_and_with_types() {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let rows = Schema::new(vec![Field::new("a", DataType::Int32, false), Field::new("b", dictionary, true)]);
        let made = new_columns(&rows).unwrap();
        assert_eq!(*made.field(0), Field::new("a", DataType::Int32, true));
        assert_eq!(made.field(1).data_type(), &DataType::Utf8);
        let alike = Schema::new(vec![Field::new("a", DataType::Int32, true), Field::new("A", DataType::Int32, true)]);
        assert!(new_columns(&alike).unwrap_err().to_string().contains("two columns are called A"));
        let untyped = Schema::new(vec![Field::new("n", DataType::Null, true)]);
        assert!(new_columns(&untyped).is_err());
    }
}
