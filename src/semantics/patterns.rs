//! `regexp_replace` and `regexp_match` as in PostgreSQL (manual, 9.7.3). In what is put in, `\1` to `\9` stand for groups, `\&` for all
//! that matched and `\\` for a backslash; to DataFusion, `$1` is a group too. And groups that did not match are NULL in their place,
//! where DataFusion leaves them out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, internal_err};
use datafusion::functions::regex::regexpmatch::RegexpMatchFunc;
use datafusion::functions::regex::regexpreplace::RegexpReplaceFunc;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use regex::Regex;

/// The functions, to register by name.
pub(super) fn functions() -> [Arc<ScalarUDF>; 2] {
    [
        Arc::new(ScalarUDF::from(Replace { inner: RegexpReplaceFunc::new() })),
        Arc::new(ScalarUDF::from(Match { inner: RegexpMatchFunc::new() })),
    ]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Replace {
    inner: RegexpReplaceFunc,
}

impl ScalarUDFImpl for Replace {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(replacement) = args.args.get_mut(2) {
            let data_type = replacement.data_type();
            *replacement = match &*replacement {
                ColumnarValue::Scalar(scalar) => match scalar.try_as_str() {
                    Some(Some(text)) => ColumnarValue::Scalar(ScalarValue::from(expanded(text)).cast_to(&data_type)?),
                    _ => replacement.clone(),
                },
                ColumnarValue::Array(array) => {
                    let texts = cast(array, &DataType::Utf8)?;
                    let texts: StringArray = texts.as_string::<i32>().iter().map(|text| text.map(expanded)).collect();
                    ColumnarValue::Array(cast(&texts, &data_type)?)
                }
            };
        }
        self.inner.invoke_with_args(args)
    }
}

/// A replacement in the way of the library for regular expressions, in which `$` has a meaning and the backslash, by itself, none. The
/// group `_` that no pattern has, and which is empty, keeps a backslash from the digits behind it, to which DataFusion would give one.
fn expanded(replacement: &str) -> String {
    let mut expanded = String::with_capacity(replacement.len());
    let mut rest = replacement.chars().peekable();
    while let Some(character) = rest.next() {
        match (character, rest.peek().copied()) {
            ('$', _) => expanded.push_str("$$"),
            ('\\', Some(group @ '1'..='9')) => {
                rest.next();
                expanded.extend(["${", group.to_string().as_str(), "}"]);
            }
            ('\\', Some('&')) => {
                rest.next();
                expanded.push_str("${0}");
            }
            ('\\', Some('\\')) => {
                rest.next();
                expanded.push_str("\\${_}");
            }
            ('\\', _) => expanded.push_str("\\${_}"),
            (other, _) => expanded.push(other),
        }
    }
    expanded
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Match {
    inner: RegexpMatchFunc,
}

impl ScalarUDFImpl for Match {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let one_value = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let texts: Vec<ArrayRef> = arrays.iter().map(|array| cast(array, &DataType::Utf8)).collect::<Result<_, _>>()?;
        let found: ArrayRef = match texts.as_slice() {
            [values, patterns] => matches(values.as_string(), patterns.as_string(), None)?,
            [values, patterns, flags] => matches(values.as_string(), patterns.as_string(), Some(flags.as_string()))?,
            _ => return internal_err!("{} takes a text, a pattern and maybe flags", self.name()),
        };
        let found = cast(&found, args.return_field.data_type())?;
        Ok(match one_value {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?),
            false => ColumnarValue::Array(found),
        })
    }
}

/// Of each text the groups of the first match, or all of it where the pattern has no groups; NULL where nothing matches.
fn matches(values: &StringArray, patterns: &StringArray, flags: Option<&StringArray>) -> Result<ArrayRef> {
    let mut known: HashMap<(&str, &str), Regex> = HashMap::new();
    let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let mut found = ListBuilder::new(StringBuilder::new()).with_field(item);
    for (row, (value, pattern)) in values.iter().zip(patterns).enumerate() {
        let flags = flags.map_or(Some(""), |flags| flags.is_valid(row).then(|| flags.value(row)));
        let (Some(value), Some(pattern), Some(flags)) = (value, pattern, flags) else {
            found.append_null();
            continue;
        };
        let regex = match known.entry((pattern, flags)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(compiled(pattern, flags)?),
        };
        let Some(captures) = regex.captures(value) else {
            found.append_null();
            continue;
        };
        let skipped = usize::from(captures.len() > 1);
        for group in captures.iter().skip(skipped) {
            found.values().append_option(group.map(|group| group.as_str()));
        }
        found.append(true);
    }
    Ok(Arc::new(found.finish()))
}

fn compiled(pattern: &str, flags: &str) -> Result<Regex> {
    if flags.contains('g') {
        return Err(exec_datafusion_err!("regexp_match finds the first match only: the flag 'g' is not supported"));
    }
    let pattern = if flags.is_empty() { pattern.to_owned() } else { format!("(?{flags}){pattern}") };
    Regex::new(&pattern).map_err(|error| exec_datafusion_err!("the regular expression {pattern}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_mean_what_they_mean_in_postgresql() {
        for (replacement, expected) in [
            ("$5", "$$5"),
            (r"<\&>", "<${0}>"),
            (r"\1\2", "${1}${2}"),
            (r"\10", "${1}0"),
            (r"\\1", r"\${_}1"),
            (r"\0", r"\${_}0"),
            (r"a\", r"a\${_}"),
            (r"\x", r"\${_}x"),
        ] {
            assert_eq!(expanded(replacement), expected, "{replacement}");
        }
    }
}
