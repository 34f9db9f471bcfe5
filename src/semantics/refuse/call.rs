//! What is ignored in a function call.

use std::collections::HashSet;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList,
    FunctionArguments, Spanned, Value,
};

use super::{Refusal, absent};

/// The functions of one row. For them the planner drops everything but the arguments.
static SCALAR_FUNCTIONS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let functions = datafusion::functions::all_default_functions()
        .into_iter()
        .chain(datafusion::functions_nested::all_default_nested_functions());
    functions
        .flat_map(|function| {
            let names: Vec<String> = std::iter::once(function.name())
                .chain(function.aliases().iter().map(String::as_str))
                .map(str::to_lowercase)
                .collect();
            names
        })
        .collect()
});

/// The functions that treat NULLs as the call says when they run over a window.
const TREATING_NULLS: [&str; 6] = ["first_value", "last_value", "nth_value", "lead", "lag", "array_agg"];

pub(super) fn refuse_in_call(function: &Function) -> Result<(), Refusal> {
    let Function { name, parameters, args, filter, null_treatment, over, within_group, .. } = function;
    absent(*parameters != FunctionArguments::None, "a second list of arguments", name.span())?;
    let list = match args {
        FunctionArguments::Subquery(_) => {
            return Err(Refusal::new("a bare subquery as argument", name.span()).instead("put it in parentheses"));
        }
        FunctionArguments::List(list) => Some(list),
        FunctionArguments::None => None,
    };
    let clauses = list.map(|list| list.clauses.as_slice()).unwrap_or_default();
    let treats_nulls = null_treatment.is_some()
        || clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::IgnoreOrRespectNulls(_)));
    let called = name.to_string().to_lowercase();
    if over.is_some() && treats_nulls && !TREATING_NULLS.contains(&called.as_str()) {
        return Err(Refusal::new(format!("IGNORE or RESPECT NULLS with {name}"), name.span()));
    }
    if !SCALAR_FUNCTIONS.contains(&called) {
        return Ok(());
    }
    if let ("to_char" | "date_format", Some(format)) = (called.as_str(), list.and_then(literal_format)) {
        // Without a percent sign nothing of the time would be in the result.
        absent(!format.contains('%'), "a format of PostgreSQL's", name.span())
            .map_err(|refusal| refusal.instead("write it with percent signs: '%Y-%m-%d %H:%M:%S'"))?;
    }
    let distinct = list.and_then(|list| list.duplicate_treatment) == Some(DuplicateTreatment::Distinct);
    let ordered = clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)));
    for (present, what) in [
        (over.is_some(), "OVER"),
        (filter.is_some(), "FILTER"),
        (!within_group.is_empty(), "WITHIN GROUP"),
        (treats_nulls, "IGNORE or RESPECT NULLS"),
        (distinct, "DISTINCT"),
        (ordered, "ORDER BY"),
    ] {
        if present {
            let refusal = Refusal::new(format!("{what} with {name}"), name.span());
            return Err(refusal.instead("it is a function of one row, not an aggregate"));
        }
    }
    Ok(())
}

/// The second argument, when it is a literal text.
fn literal_format(list: &FunctionArgumentList) -> Option<&str> {
    let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(format)))] = list.args.as_slice() else {
        return None;
    };
    match &format.value {
        Value::SingleQuotedString(text) => Some(text),
        _ => None,
    }
}
