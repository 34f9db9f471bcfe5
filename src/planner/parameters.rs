//! Parameters of a statement: `?` in the order of the text, or `$1`, `$2` by number.

use std::collections::HashMap;

use datafusion::arrow::compute::CastOptions;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::logical_expr::{Cast, Expr as LogicalExpr, LogicalPlan, TryCast};
use datafusion::sql::sqlparser::ast::{Expr, Statement, Value, ValueWithSpan};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::error::{Error, Position, Result};
use crate::syntax::{self, Flow, ON, Reader, Rewriter};

/// The most parameters of a statement.
const PARAMETERS_MAX: usize = 10_000;

/// A parameter as a statement's plan has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name: `$1`, `$2` and so on.
    pub name: String,
    /// The type that the statement needs, where it tells; text where it does not.
    pub data_type: DataType,
}

/// Gives each `?` its number, as `$1`. Returns how many parameters the statement has.
pub(super) fn number(statement: &mut Statement) -> Result<usize> {
    struct Find(Vec<(Span, String)>);
    impl Reader for Find {
        fn expr(&mut self, expr: &Expr) -> Flow {
            if let Expr::Value(ValueWithSpan { value: Value::Placeholder(name), span }) = expr {
                self.0.push((*span, name.clone()));
            }
            ON
        }
    }
    let mut find = Find(Vec::new());
    syntax::read(statement, &mut find);
    let mut found = find.0;
    if found.is_empty() {
        return Ok(0);
    }
    found.sort_by_key(|(span, _)| span.start);
    // Some clauses are visited twice.
    found.dedup();
    let marks = found.iter().filter(|(_, name)| name == "?").count();
    if marks == 0 {
        return numbered(&found);
    }
    if let Some((span, name)) = found.iter().find(|(_, name)| name != "?") {
        return Err(Error::user(format!("parameters are either all ? or all numbered, and here are ? and {name}"))
            .at(position(*span)));
    }
    if marks > PARAMETERS_MAX {
        return Err(too_many(marks));
    }
    struct Number(HashMap<Span, usize>);
    impl Rewriter for Number {
        fn expr(&mut self, expr: &mut Expr) {
            if let Expr::Value(ValueWithSpan { value: Value::Placeholder(name), span }) = expr
                && let Some(number) = self.0.get(span)
            {
                *name = format!("${number}");
            }
        }
    }
    let numbers = found.into_iter().zip(1..).map(|((span, _), number)| (span, number)).collect();
    syntax::rewrite(statement, &mut Number(numbers));
    Ok(marks)
}

/// The highest of the numbers.
fn numbered(found: &[(Span, String)]) -> Result<usize> {
    let mut count = 0;
    for (span, name) in found {
        match name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok()) {
            Some(number @ 1..=PARAMETERS_MAX) => count = count.max(number),
            Some(number) if number > PARAMETERS_MAX => return Err(too_many(number)),
            _ => {
                return Err(
                    Error::user(format!("{name} is no parameter: they are ? or $1, $2 and so on")).at(position(*span))
                );
            }
        }
    }
    Ok(count)
}

fn too_many(count: usize) -> Error {
    Error::resource_exhausted(format!("a statement has at most {PARAMETERS_MAX} parameters, not {count}"))
}

fn position(span: Span) -> Option<Position> {
    (span.start.line > 0).then_some(Position { line: span.start.line, column: span.start.column })
}

/// The parameters of a plan that has `count` of them.
pub(super) fn describe(plan: &LogicalPlan, count: usize) -> Result<Vec<Parameter>> {
    let fields = fields(plan)?;
    Ok((1..=count)
        .map(|number| {
            let name = format!("${number}");
            let data_type = fields.get(&name).cloned().unwrap_or(DataType::Utf8);
            Parameter { name, data_type }
        })
        .collect())
}

type Types = HashMap<String, DataType>;

/// The types that the statement needs, by parameter: what DataFusion infers, and beside it what is said in so many words
/// by a cast, and the whole number of rows of LIMIT and OFFSET.
fn fields(plan: &LogicalPlan) -> Result<Types> {
    let inferred = plan.get_parameter_fields()?;
    let known = inferred.into_iter().filter_map(|(name, field)| Some((name, field?.data_type().clone())));
    let mut types: Types = known.filter(|(_, data_type)| *data_type != DataType::Null).collect();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for count in limit.skip.iter().chain(&limit.fetch) {
                note(&mut types, count, &DataType::Int64);
            }
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let LogicalExpr::Cast(Cast { expr, field }) | LogicalExpr::TryCast(TryCast { expr, field }) = expr {
                    note(&mut types, expr, field.data_type());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(types)
}

/// Notes the type of an expression that is a parameter, unless it is known.
fn note(types: &mut Types, expr: &LogicalExpr, data_type: &DataType) {
    if let LogicalExpr::Placeholder(placeholder) = expr {
        types.entry(placeholder.id.clone()).or_insert_with(|| data_type.clone());
    }
}

/// The plan with these values. They keep the type in which the client sent them, so that a number is compared as that
/// number; only text for something that is no text is read as that, and a NULL without a type gets the one that is needed.
pub(super) fn bind(plan: LogicalPlan, count: usize, values: &[ScalarValue]) -> Result<LogicalPlan> {
    if values.len() != count {
        let parameters = match count {
            0 => "no parameters".to_owned(),
            1 => "1 parameter".to_owned(),
            _ => format!("{count} parameters"),
        };
        let given = values.len();
        let error = Error::user(format!("the statement has {parameters}, and values for {given} were given"));
        return Err(if values.is_empty() {
            error.hint("prepare the statement and bind its parameters")
        } else {
            error
        });
    }
    if count == 0 {
        return Ok(plan);
    }
    let fields = fields(&plan)?;
    let mut typed = Vec::with_capacity(count);
    for (number, value) in (1..).zip(values) {
        let name = format!("${number}");
        typed.push(match fields.get(&name) {
            Some(wanted) => as_wanted(value, wanted).map_err(|said| {
                Error::user(format!("parameter {name} is not {}: {said}", crate::session::type_name(wanted)))
            })?,
            None if value.data_type() == DataType::Null => ScalarValue::Utf8(None),
            None => value.clone(),
        });
    }
    Ok(plan.with_param_values(ParamValues::from(typed))?)
}

fn as_wanted(value: &ScalarValue, wanted: &DataType) -> Result<ScalarValue, String> {
    let is_text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let given = value.data_type();
    let reads = given == DataType::Null || (is_text(&given) && !is_text(wanted));
    if !reads {
        return Ok(value.clone());
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    value.cast_to_with_options(wanted, &strict).map_err(|error| Error::from(error).message().text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn numbered(sql: &str) -> Result<(usize, String)> {
        let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
        number(&mut statement).map(|count| (count, statement.to_string()))
    }

    #[test]
    fn marks_are_numbered_in_the_order_of_the_text() {
        for (sql, count, expected) in [
            ("SELECT 1", 0, "SELECT 1"),
            ("SELECT ?, a FROM t WHERE b = ? LIMIT ?", 3, "SELECT $1, a FROM t WHERE b = $2 LIMIT $3"),
            (
                "WITH x AS (SELECT ? AS a) SELECT * FROM x WHERE a IN (?, ?) ORDER BY ? OFFSET ? ROWS",
                5,
                "WITH x AS (SELECT $1 AS a) SELECT * FROM x WHERE a IN ($2, $3) ORDER BY $4 OFFSET $5 ROWS",
            ),
            ("SELECT '?', \"?\", ? -- ?", 1, "SELECT '?', \"?\", $1"),
            ("SELECT $2, $1, $2", 2, "SELECT $2, $1, $2"),
        ] {
            assert_eq!(numbered(sql).unwrap(), (count, expected.to_owned()), "{sql}");
        }
    }

    #[test]
    fn other_parameters_are_refused() {
        assert!(numbered("SELECT ?, $1").unwrap_err().to_string().contains("either all ? or all numbered"));
        assert!(numbered("SELECT $name").unwrap_err().to_string().contains("$name is no parameter"));
        assert!(numbered("SELECT $0").is_err());
        assert!(numbered("SELECT $999999").unwrap_err().to_string().contains("at most 10000"));
    }
}
