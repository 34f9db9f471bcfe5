//! What an array has.

use arrow::array::Array;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use portolan_connector::{Operation, Reason};

use super::limits::MAX_IN_VALUES;
use super::{Lowering, Strength, refuse};
use crate::{RemoteExpr, Typed};

impl Lowering<'_> {
    /// Whether an array has a value, all of some values, or one of them. Neither the source nor the engine finds NULL.
    pub(super) fn array_test(
        &mut self,
        name: &str,
        array: &Expr,
        values: &Expr,
        depth: usize,
    ) -> Result<Typed, Reason> {
        let array = self.value(array, depth + 1)?;
        self.exact_rule(Operation::ArrayHas, Some(array.column.domain))?;
        let element = array.column.element.clone().ok_or("no rule for an array of such elements")?;
        if self.rule(Operation::Eq, element.domain)? != Strength::Exact {
            return Err("comparing the elements only prunes".into());
        }
        let values = match (name, self.literal_side(values)?) {
            ("array_has", value) => vec![value.clone()],
            (_, ScalarValue::List(list)) if list.len() == 1 && list.is_valid(0) => {
                let elements = list.value(0);
                let element = |at| ScalarValue::try_from_array(&elements, at);
                let values = (0..elements.len()).map(element).collect::<Result<_, _>>();
                values.map_err(|_| refuse::no_rule_for_function(name))?
            }
            _ => return Err(refuse::no_rule_for_function(name)),
        };
        if values.is_empty() {
            return Err("no rule for an empty list: the engine does not look at the array then".into());
        }
        if values.len() > MAX_IN_VALUES {
            return Err(Reason::new(format!("the list has more than {MAX_IN_VALUES} values")));
        }
        let mut literals = Vec::with_capacity(values.len());
        for value in &values {
            if value.is_null() {
                return Err("no rule for finding NULL in an array".into());
            }
            literals.push(self.literal(value, &element)?);
        }
        let element_type = match &element.cast {
            Some(type_name) => type_name.clone(),
            None => self.exact_type(&element.arrow_type)?,
        };
        let column = self.computed(&format!("{name} of {}", array.column.name), &DataType::Boolean)?;
        let fallible = array.fallible;
        let all = name != "array_has_any";
        let operand = Box::new(array.expr);
        let expr = RemoteExpr::ArrayHas { operand, values: literals, element_type, all };
        Ok(Typed::new(expr, column).or_fails(fallible))
    }
}
