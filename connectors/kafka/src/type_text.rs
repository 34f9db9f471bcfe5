//! The names of types as a person writes them: `decimal(12,2)`, `row(a bigint, b array(varchar))`.

use crate::types::ValueType;

/// The most digits of a decimal.
const MAX_PRECISION: u8 = 38;

/// The deepest nesting of a type.
const MAX_DEPTH: usize = 16;

/// The types that a declaration may name, for error messages.
const KNOWN: &str = "boolean, tinyint, smallint, integer, bigint, real, double, decimal(p,s), varchar, varbinary, json, date, \
                     time, timestamp, timestamp with time zone, array(T), map(varchar, T), row(name T, ...)";

/// Reads a type.
pub(crate) fn parse(text: &str) -> Result<ValueType, String> {
    nested(text, 0)
}

fn nested(text: &str, depth: usize) -> Result<ValueType, String> {
    if depth > MAX_DEPTH {
        return Err(format!("the type nests deeper than {MAX_DEPTH} levels"));
    }
    let text = text.trim();
    let Some((name, inside)) = of_container(text)? else { return flat(text) };
    let parts = at_commas(inside);
    match (name, parts.as_slice()) {
        ("array", [item]) => Ok(ValueType::Array(Box::new(nested(item, depth + 1)?))),
        ("array", _) => Err(format!("`{text}`: write array(T)")),
        ("map", [key, value]) => match nested(key, depth + 1)? {
            ValueType::Varchar => Ok(ValueType::Map(Box::new(nested(value, depth + 1)?))),
            other => Err(format!("`{text}`: the keys of a map are varchar, not {other}")),
        },
        ("map", _) => Err(format!("`{text}`: write map(varchar, T)")),
        (_, fields) => {
            let mut row = Vec::<(String, ValueType)>::with_capacity(fields.len());
            for field in fields {
                let (name, value_type) = named(field).ok_or_else(|| format!("`{text}`: write row(name T, ...)"))?;
                if row.iter().any(|(known, _)| *known == name) {
                    return Err(format!("`{text}` has two fields {name}"));
                }
                row.push((name, nested(value_type, depth + 1)?));
            }
            Ok(ValueType::Row(row))
        }
    }
}

/// The name and the inside of `array(...)`, `map(...)` or `row(...)`.
fn of_container(text: &str) -> Result<Option<(&'static str, &str)>, String> {
    for name in ["array", "map", "row"] {
        let Some((start, rest)) = text.split_at_checked(name.len()) else { continue };
        let rest = rest.trim_start();
        if !start.eq_ignore_ascii_case(name) || !(rest.is_empty() || rest.starts_with(['(', '<'])) {
            continue;
        }
        return match rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            Some(inside) => Ok(Some((name, inside))),
            None => Err(format!("`{text}`: write {name}(...)")),
        };
    }
    Ok(None)
}

/// Splits at commas outside of parentheses and quotes.
fn at_commas(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut quoted, mut start) = (Vec::new(), 0_usize, false, 0);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                parts.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

/// The name of a field, unquoted ones in lower case as SQL has it, and its type.
fn named(field: &str) -> Option<(String, &str)> {
    let field = field.trim();
    if let Some(rest) = field.strip_prefix('"') {
        // A quote within the name is written twice.
        let mut end = 0;
        loop {
            end += rest.get(end..)?.find('"')?;
            if !rest.get(end + 1..)?.starts_with('"') {
                break;
            }
            end += 2;
        }
        return Some((rest.get(..end)?.replace("\"\"", "\""), rest.get(end + 1..)?));
    }
    let (name, rest) = field.split_once(char::is_whitespace)?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    is_name.then(|| (name.to_lowercase(), rest))
}

fn flat(text: &str) -> Result<ValueType, String> {
    let (name, arguments) = split_arguments(text)?;
    Ok(match (name.as_str(), arguments.as_slice()) {
        ("boolean" | "bool", []) => ValueType::Boolean,
        ("tinyint", []) => ValueType::TinyInt,
        ("smallint" | "int2", []) => ValueType::SmallInt,
        ("integer" | "int" | "int4", []) => ValueType::Integer,
        ("bigint" | "int8", []) => ValueType::BigInt,
        ("real" | "float4", []) => ValueType::Real,
        ("double" | "double precision" | "float8", []) => ValueType::Double,
        ("float", _) => {
            return Err(format!("`{text}` means 32 bits to some and 64 to others: write real or double"));
        }
        ("decimal" | "numeric", []) => {
            return Err(format!("`{text}` needs a precision and a scale, such as decimal(12,2)"));
        }
        ("decimal" | "numeric", [precision]) => decimal(text, *precision, 0)?,
        ("decimal" | "numeric", [precision, scale]) => decimal(text, *precision, *scale)?,
        ("varchar" | "text" | "string", []) => ValueType::Varchar,
        ("varbinary" | "bytea" | "binary", []) => ValueType::Varbinary,
        ("json", []) => ValueType::Json,
        ("date", []) => ValueType::Date,
        ("time", []) => ValueType::Time { precision: 6 },
        ("time", [precision @ (3 | 6)]) => ValueType::Time { precision: *precision },
        ("time", _) => return Err(format!("`{text}`: the precision must be 3 or 6")),
        ("timestamp" | "timestamp without time zone", arguments) => timestamp(text, arguments, false)?,
        ("timestamp with time zone" | "timestamptz", arguments) => timestamp(text, arguments, true)?,
        (name, _) if ["list", "struct", "["].iter().any(|nested| name.starts_with(nested)) => {
            return Err(format!("`{text}`: write array(T), map(varchar, T) or row(name T, ...)"));
        }
        _ => return Err(format!("`{text}` is not a type of a column; known are {KNOWN}")),
    })
}

/// Splits `timestamp(3) with time zone` into `timestamp with time zone` and `[3]`.
fn split_arguments(text: &str) -> Result<(String, Vec<u8>), String> {
    let lower = text.to_ascii_lowercase();
    let (name, arguments) = match lower.split_once('(') {
        None => (lower, Vec::new()),
        Some((before, rest)) => {
            let (inside, after) = rest.split_once(')').ok_or_else(|| format!("`{text}` has no closing parenthesis"))?;
            let arguments = inside
                .split(',')
                .map(|argument| argument.trim().parse().map_err(|_| format!("`{text}` has a wrong number in it")))
                .collect::<Result<_, _>>()?;
            (format!("{before} {after}"), arguments)
        }
    };
    Ok((name.split_whitespace().collect::<Vec<_>>().join(" "), arguments))
}

fn decimal(text: &str, precision: u8, scale: u8) -> Result<ValueType, String> {
    if precision == 0 || precision > MAX_PRECISION || scale > precision {
        return Err(format!("`{text}`: the precision must be from 1 to {MAX_PRECISION} and the scale at most that"));
    }
    Ok(ValueType::Decimal { precision, scale })
}

fn timestamp(text: &str, arguments: &[u8], zone: bool) -> Result<ValueType, String> {
    match arguments {
        [] => Ok(ValueType::Timestamp { precision: 6, zone }),
        [precision @ (0 | 3 | 6 | 9)] => Ok(ValueType::Timestamp { precision: *precision, zone }),
        _ => Err(format!("`{text}`: the precision must be 0, 3, 6 or 9")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_sql_writes_them() {
        for (text, name) in [
            ("BIGINT", "bigint"),
            ("int", "integer"),
            ("Double  Precision", "double"),
            ("numeric(12, 2)", "decimal(12,2)"),
            ("decimal(38)", "decimal(38,0)"),
            ("text", "varchar"),
            ("bytea", "varbinary"),
            ("time", "time(6)"),
            ("timestamp", "timestamp"),
            ("timestamp(6)", "timestamp"),
            ("TIMESTAMP(3) WITH TIME ZONE", "timestamp(3) with time zone"),
            ("timestamptz", "timestamp with time zone"),
            ("ARRAY(int)", "array(integer)"),
            ("map (text, array(decimal(3,1)))", "map(varchar, array(decimal(3,1)))"),
            (
                "row(a int, B varchar,\"C \"\"d\" timestamp(3) with time zone)",
                "row(a integer, b varchar, \"C \"\"d\" timestamp(3) with time zone)",
            ),
            ("array(row(x array(row(y date))))", "array(row(x array(row(y date))))"),
        ] {
            let parsed = parse(text).unwrap();
            assert_eq!(parsed.to_string(), name);
            assert_eq!(parse(name).unwrap(), parsed, "{name} must read back");
        }
    }

    #[test]
    fn what_is_not_supported_says_what_to_write_instead() {
        let deep = format!("{}int{}", "array(".repeat(20), ")".repeat(20));
        for (text, part) in [
            ("float", "real or double"),
            ("decimal", "decimal(12,2)"),
            ("decimal(39,2)", "from 1 to 38"),
            ("decimal(2,3)", "at most that"),
            ("decimal(x)", "wrong number"),
            ("decimal(2", "closing parenthesis"),
            ("timestamp(2)", "0, 3, 6 or 9"),
            ("time(9)", "3 or 6"),
            ("array", "write array(...)"),
            ("array<bigint>", "write array(...)"),
            ("array(a, b)", "write array(T)"),
            ("map(bigint, varchar)", "the keys of a map are varchar, not bigint"),
            ("row(a)", "write row(name T, ...)"),
            ("row(a int, A int)", "two fields a"),
            ("struct<a bigint>", "row(name T, ...)"),
            ("interval", "known are boolean"),
            (&deep, "deeper than 16 levels"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
