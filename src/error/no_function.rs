//! DataFusion's message about a call that no function takes, in a person's words.

use std::str::FromStr;

use super::{Error, some_of};
use crate::session::type_name as sql_name;
use datafusion::arrow::datatypes::DataType;

/// What stands before the call in DataFusion's message.
const CALL: &str = "No function matches the given name and argument types '";

/// What stands before the calls that there are.
const CANDIDATES: &str = "Candidate functions:";

/// The error that a message of DataFusion tells; `None` where it tells of something else.
pub(super) fn no_function(text: &str) -> Option<Error> {
    let (call, rest) = text.split_once(CALL)?.1.split_once('\'')?;
    let (name, arguments) = call.strip_suffix(')')?.split_once('(')?;
    let arguments: Vec<String> = outer_commas(arguments).map(type_name).collect();
    let error = Error::user(format!("no function takes these arguments: {name}({})", arguments.join(", ")));
    let candidates: Vec<&str> =
        rest.split_once(CANDIDATES)?.1.lines().map(str::trim).filter(|line| line.starts_with(name)).collect();
    Some(match candidates.is_empty() {
        true => error.hint("add a CAST"),
        false => error.hint(format!("there is {}: add a CAST", some_of(&candidates))),
    })
}

/// A type of Arrow as SQL names it; other words as they are.
fn type_name(text: &str) -> String {
    DataType::from_str(text.trim()).map_or_else(|_| text.trim().to_owned(), |data_type| sql_name(&data_type))
}

/// The parts between commas that are in no parentheses.
fn outer_commas(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |character: char| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    })
    .filter(|part| !part.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_no_function_takes_is_told_with_the_types_of_sql() {
        let text = "Internal error: Function 'sum' failed to match any signature, errors: ...\nThis issue was likely \
                    caused by a bug. No function matches the given name and argument types 'sum(Utf8View, \
                    Decimal128(15, 2))'. You might need to add explicit type casts.\n\tCandidate functions:\n\
                    \tsum(Decimal)\n\tsum(Int64)";
        let error = no_function(text).unwrap();
        assert_eq!(
            error.to_string(),
            "no function takes these arguments: sum(varchar, decimal(15,2))\nHint: there is sum(Decimal), sum(Int64): add a CAST"
        );
        assert!(no_function("Internal error: something else").is_none());
    }
}
