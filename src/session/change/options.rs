//! What a statement says of the table that it makes: `WITH (name = value, ...)`.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::ast::{Array, Expr, SqlOption, UnaryOperator, Value, ValueWithSpan};
use portolan_connector::{PropertyKind, PropertySpec, TableValue, properties};

use crate::error::{Error, Position, Result};
use crate::planner::normalized;

/// The values of these options, as the catalog declares them.
pub(super) fn typed(
    catalog: &str,
    specs: &'static [PropertySpec],
    options: &[SqlOption],
) -> Result<BTreeMap<&'static str, TableValue>> {
    let mut values = BTreeMap::new();
    for option in options {
        let SqlOption::KeyValue { key, value } = option else {
            return Err(Error::user(format!("{option} is no property of a table")).hint("write WITH (name = value)"));
        };
        let (start, name) = (key.span.start, normalized(key).to_lowercase());
        let place = (start.line > 0).then_some(Position { line: start.line, column: start.column });
        let spec =
            specs.iter().find(|spec| spec.name == name).ok_or_else(|| unknown(catalog, &name, specs).at(place))?;
        let value = of_kind(spec, value).ok_or_else(|| {
            Error::user(format!("the property {name} must be {}, not {value}", spec.kind.describe())).at(place)
        })?;
        if values.insert(spec.name, value).is_some() {
            return Err(Error::user(format!("the property {name} is given twice")).at(place));
        }
    }
    Ok(values)
}

fn unknown(catalog: &str, name: &str, specs: &[PropertySpec]) -> Error {
    let error = Error::user(format!("tables of catalog {catalog} have no property {name}"));
    let names: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
    match properties::nearest(name, names.iter().copied()) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None if names.is_empty() => error.hint("leave WITH out: they have no properties"),
        None => error.hint(format!("they have {}", names.join(", "))),
    }
}

fn of_kind(spec: &PropertySpec, value: &Expr) -> Option<TableValue> {
    Some(match spec.kind {
        PropertyKind::OneOf(words) => {
            let word = text(value)?.to_lowercase();
            words.contains(&word.as_str()).then_some(TableValue::Text(word))?
        }
        PropertyKind::Integer { min, max } => {
            let number = integer(value)?;
            (min..=max).contains(&number).then_some(TableValue::Integer(number))?
        }
        PropertyKind::Boolean => match literal(value)? {
            Value::Boolean(value) => TableValue::Boolean(*value),
            _ => return None,
        },
        PropertyKind::List => match value {
            Expr::Array(Array { elem, .. }) => TableValue::List(elem.iter().map(text).collect::<Option<_>>()?),
            _ => return None,
        },
        _ => TableValue::Text(text(value)?),
    })
}

fn literal(value: &Expr) -> Option<&Value> {
    match value {
        Expr::Value(ValueWithSpan { value, .. }) => Some(value),
        _ => None,
    }
}

fn text(value: &Expr) -> Option<String> {
    match literal(value)? {
        Value::SingleQuotedString(text) => Some(text.clone()),
        _ => None,
    }
}

fn integer(value: &Expr) -> Option<i64> {
    match value {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => integer(expr)?.checked_neg(),
        _ => match literal(value)? {
            Value::Number(number, _) => number.parse().ok(),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Statement;
    use crate::session::change::{Change, CreateTable};

    const SPECS: &[PropertySpec] = &[
        PropertySpec::new("format", PropertyKind::OneOf(&["parquet", "orc"]), "a word"),
        PropertySpec::new("partitioned_by", PropertyKind::List, "texts"),
        PropertySpec::new("buckets", PropertyKind::Integer { min: -1, max: 9 }, "a number"),
        PropertySpec::new("comment", PropertyKind::Text, "a text"),
    ];

    fn options(with: &str) -> Vec<SqlOption> {
        let statement = Statement::parse(&format!("CREATE TABLE t WITH ({with}) AS SELECT 1 AS a")).unwrap();
        let Statement::Change(change) = statement else { panic!("{statement:?}") };
        let Change::CreateTable(CreateTable { options, .. }) = *change else { panic!("{change:?}") };
        options
    }

    #[test]
    fn values_of_the_declared_kinds() {
        let given = options("FORMAT = 'Parquet', partitioned_by = ARRAY['a', 'B'], buckets = -1, comment = 'It is'");
        let values = typed("lake", SPECS, &given).unwrap();
        assert_eq!(values["format"], TableValue::Text("parquet".to_owned()));
        assert_eq!(values["partitioned_by"], TableValue::List(vec!["a".to_owned(), "B".to_owned()]));
        assert_eq!(values["buckets"], TableValue::Integer(-1));
        assert_eq!(values["comment"], TableValue::Text("It is".to_owned()));
    }

    #[test]
    fn what_is_not_declared_is_refused_by_name() {
        for (with, specs, expected) in [
            ("b = 1", &[][..], "tables of catalog lake have no property b\nHint: leave WITH out"),
            ("formt = 'orc'", SPECS, "tables of catalog lake have no property formt\nHint: did you mean format?"),
            ("format = 'csv'", SPECS, "the property format must be one of \"parquet\", \"orc\", not 'csv'"),
            ("buckets = 10", SPECS, "the property buckets must be a whole number from -1 to 9, not 10"),
            ("partitioned_by = 'a'", SPECS, "the property partitioned_by must be a list of texts, not 'a'"),
            ("comment = 'a', comment = 'b'", SPECS, "the property comment is given twice"),
        ] {
            let error = typed("lake", specs, &options(with)).unwrap_err().to_string();
            assert!(error.contains(expected), "{with}: {error}");
        }
    }
}
