//! From a TOML table to validated properties.

use std::ops::Range;

use secrecy::SecretString;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Properties, PropertyKind, PropertySpec, PropertyValue, parse_bytes, parse_duration};

/// What is wrong with a property, and where in the file.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct PropertyError {
    /// What is wrong and what to do, never with a value that may be secret.
    pub message: String,
    /// Bytes of the file that the message is about.
    pub span: Range<usize>,
}

/// Where `${env:NAME}` and `${file:PATH}` get their values.
pub trait Secrets {
    /// The value of an environment variable.
    fn env(&self, name: &str) -> Result<String, String>;
    /// The content of a file, without a final line break.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// Validates a table against its declarations: unknown keys are refused with the nearest known one, values are
/// checked and filled in, defaults applied. `ignore` names keys that the caller has read already (`connector`).
pub fn parse(
    table: &DeTable<'_>,
    span: Range<usize>,
    specs: &[PropertySpec],
    ignore: &[&str],
    secrets: &dyn Secrets,
) -> Result<Properties, PropertyError> {
    let mut properties = Properties::default();
    for (key, value) in table {
        let name: &str = key.get_ref();
        if ignore.contains(&name) {
            continue;
        }
        let Some(spec) = specs.iter().find(|spec| spec.name == name) else {
            return Err(unknown_key(name, key.span(), specs, ignore));
        };
        properties.insert(name, value_of(spec, value, secrets)?);
    }
    for spec in specs {
        if properties.contains(spec.name) {
            continue;
        }
        if let Some(default) = spec.default {
            properties.insert(spec.name, default_of(spec, default, span.clone())?);
        } else if spec.required {
            let message = format!("`{}` is missing: {}", spec.name, spec.help);
            return Err(PropertyError { message, span });
        }
    }
    Ok(properties)
}

fn unknown_key(name: &str, span: Range<usize>, specs: &[PropertySpec], ignore: &[&str]) -> PropertyError {
    let known = || specs.iter().map(|spec| spec.name).chain(ignore.iter().copied());
    let message = match nearest(name, known()) {
        Some(near) => format!("unknown key `{name}`: did you mean `{near}`?"),
        None => format!("unknown key `{name}`: known keys are {}", known().collect::<Vec<_>>().join(", ")),
    };
    PropertyError { message, span }
}

/// The known word that a person most likely meant, if any is near enough: at most a third of its letters differ.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(word.chars().count()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn default_of(spec: &PropertySpec, default: &str, span: Range<usize>) -> Result<PropertyValue, PropertyError> {
    let invalid = || PropertyError { message: format!("the default of `{}` is not valid", spec.name), span };
    Ok(match spec.kind {
        PropertyKind::Text | PropertyKind::Duration | PropertyKind::Bytes | PropertyKind::OneOf(_) => {
            PropertyValue::Text(default.to_owned())
        }
        PropertyKind::Boolean => PropertyValue::Boolean(default == "true"),
        PropertyKind::Integer { .. } => PropertyValue::Integer(default.parse().map_err(|_| invalid())?),
        PropertyKind::Number => PropertyValue::Number(default.parse().map_err(|_| invalid())?),
        PropertyKind::Secret
        | PropertyKind::List
        | PropertyKind::Map
        | PropertyKind::Section(_)
        | PropertyKind::Sections(_) => return Err(invalid()),
    })
}

fn value_of(
    spec: &PropertySpec,
    value: &Spanned<DeValue<'_>>,
    secrets: &dyn Secrets,
) -> Result<PropertyValue, PropertyError> {
    let wrong = || PropertyError {
        message: format!("`{}` must be {}, not {}", spec.name, spec.kind.describe(), article(value.get_ref())),
        span: value.span(),
    };
    let text = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(text) => fill_in(text, value.span(), secrets),
        _ => Err(wrong()),
    };
    let quantity = |text: String, check: fn(&str) -> Result<(), String>| match check(&text) {
        Ok(()) => Ok(PropertyValue::Text(text)),
        Err(message) => Err(PropertyError { message: format!("`{}`: {message}", spec.name), span: value.span() }),
    };
    Ok(match spec.kind {
        PropertyKind::Text => PropertyValue::Text(text(value)?),
        PropertyKind::Duration => quantity(text(value)?, |text| parse_duration(text).map(drop))?,
        PropertyKind::Bytes => quantity(text(value)?, |text| parse_bytes(text).map(drop))?,
        PropertyKind::Secret => PropertyValue::Secret(SecretString::from(text(value)?)),
        PropertyKind::Boolean => PropertyValue::Boolean(value.get_ref().as_bool().ok_or_else(wrong)?),
        PropertyKind::Integer { min, max } => {
            let integer = value.get_ref().as_integer().ok_or_else(wrong)?;
            let number = i64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| wrong())?;
            if !(min..=max).contains(&number) {
                return Err(PropertyError {
                    message: format!("`{}` must be {}, not {number}", spec.name, spec.kind.describe()),
                    span: value.span(),
                });
            }
            PropertyValue::Integer(number)
        }
        PropertyKind::Number => {
            let found = match value.get_ref() {
                DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
                DeValue::Integer(integer) => integer.as_str().parse::<f64>().ok(),
                _ => None,
            };
            PropertyValue::Number(
                found.filter(|number| number.is_finite() && !number.is_sign_negative()).ok_or_else(wrong)?,
            )
        }
        PropertyKind::OneOf(words) => {
            let word = text(value)?;
            if !words.contains(&word.as_str()) {
                return Err(PropertyError {
                    message: format!("`{}` must be {}, not \"{word}\"", spec.name, spec.kind.describe()),
                    span: value.span(),
                });
            }
            PropertyValue::Text(word)
        }
        PropertyKind::List => {
            let array = value.get_ref().as_array().ok_or_else(wrong)?;
            PropertyValue::List(array.iter().map(text).collect::<Result<_, _>>()?)
        }
        PropertyKind::Map => {
            let table = value.get_ref().as_table().ok_or_else(wrong)?;
            let entries = in_file_order(table).into_iter();
            PropertyValue::Map(
                entries.map(|(key, value)| Ok((key, text(value)?))).collect::<Result<_, PropertyError>>()?,
            )
        }
        PropertyKind::Section(specs) => {
            let table = value.get_ref().as_table().ok_or_else(wrong)?;
            PropertyValue::Section(parse(table, value.span(), specs, &[], secrets)?)
        }
        PropertyKind::Sections(specs) => {
            let table = value.get_ref().as_table().ok_or_else(wrong)?;
            let mut sections = Vec::with_capacity(table.len());
            for (name, section) in in_file_order(table) {
                let inner = section.get_ref().as_table().ok_or_else(|| PropertyError {
                    message: format!("`{}.{name}` must be a table", spec.name),
                    span: section.span(),
                })?;
                sections.push((name, parse(inner, section.span(), specs, &[], secrets)?));
            }
            PropertyValue::Sections(sections)
        }
    })
}

/// The entries of a table as the file has them: TOML tables have no order, but people read columns in theirs.
fn in_file_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(String, &'t Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries.into_iter().map(|(key, value)| (key.get_ref().clone().into_owned(), value)).collect()
}

fn article(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// Replaces each `${env:NAME}` and `${file:PATH}`. What they expand to is not expanded again.
fn fill_in(text: &str, span: Range<usize>, secrets: &dyn Secrets) -> Result<String, PropertyError> {
    let error = |message: String| PropertyError { message, span: span.clone() };
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        let Some((reference, tail)) = after.split_once('}') else {
            return Err(error("`${` without a closing `}`".to_owned()));
        };
        let value = match reference.split_once(':') {
            Some(("env", name)) => secrets.env(name),
            Some(("file", path)) => secrets.file(path),
            _ => Err(format!("`${{{reference}}}` is neither `${{env:NAME}}` nor `${{file:PATH}}`")),
        };
        filled.push_str(&value.map_err(error)?);
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    struct Fake;

    impl Secrets for Fake {
        fn env(&self, name: &str) -> Result<String, String> {
            match name {
                "PASSWORD" => Ok("s3cret".to_owned()),
                "NESTED" => Ok("${env:PASSWORD}".to_owned()),
                _ => Err(format!("the environment variable {name} is not set")),
            }
        }
        fn file(&self, path: &str) -> Result<String, String> {
            Err(format!("cannot read {path}"))
        }
    }

    const COLUMN_SPECS: &[PropertySpec] = &[PropertySpec::new("columns", PropertyKind::Map, "names to types")];
    const SPECS: &[PropertySpec] = &[
        PropertySpec::new("url", PropertyKind::Text, "where the server is").required(),
        PropertySpec::new("password", PropertyKind::Secret, "the password"),
        PropertySpec::new("port", PropertyKind::Integer { min: 1, max: 65535 }, "the port").or("5432"),
        PropertySpec::new("mode", PropertyKind::OneOf(&["fast", "safe"]), "how").or("safe"),
        PropertySpec::new("tables", PropertyKind::Sections(COLUMN_SPECS), "tables"),
    ];

    fn read(text: &str) -> Result<Properties, String> {
        let table = DeTable::parse(text).map_err(|error| error.to_string())?;
        parse(table.get_ref(), table.span(), SPECS, &["connector"], &Fake)
            .map_err(|error| format!("{} @{}", error.message, text.get(error.span).unwrap_or_default()))
    }

    #[test]
    fn values_defaults_and_secrets() {
        let properties =
            read("connector = 'x'\nurl = 'a'\npassword = 'p-${env:PASSWORD}'\n[tables.t]\ncolumns = { b = 'int', a = 'text' }")
                .unwrap();
        assert_eq!(properties.text("url"), Some("a"));
        assert_eq!(properties.secret("password").unwrap().expose_secret(), "p-s3cret");
        assert_eq!(properties.integer("port"), Some(5432));
        assert_eq!(properties.text("mode"), Some("safe"));
        let (name, table) = properties.sections("tables").first().unwrap();
        assert_eq!(name, "t");
        assert_eq!(table.map("columns"), [("b".into(), "int".into()), ("a".into(), "text".into())]);
        assert!(!format!("{properties:?}").contains("s3cret"));
    }

    #[test]
    fn what_a_reference_expands_to_is_not_expanded_again() {
        assert_eq!(read("url = '${env:NESTED}'").unwrap().text("url"), Some("${env:PASSWORD}"));
    }

    #[test]
    fn mistakes_name_the_key_and_what_to_do() {
        for (text, message) in [
            ("urll = 'a'", "unknown key `urll`: did you mean `url`? @urll"),
            (
                "url = 'a'\nxyzzy = 1",
                "unknown key `xyzzy`: known keys are url, password, port, mode, tables, connector @xyzzy",
            ),
            ("port = 1", "`url` is missing: where the server is @"),
            ("url = 5", "`url` must be a text, not an integer @5"),
            ("url = 'a'\nport = 0", "`port` must be a whole number from 1 to 65535, not 0 @0"),
            ("url = 'a'\nmode = 'x'", "`mode` must be one of \"fast\", \"safe\", not \"x\" @'x'"),
            ("url = '${env:NOPE}'", "the environment variable NOPE is not set @'${env:NOPE}'"),
            ("url = '${vault:x}'", "`${vault:x}` is neither `${env:NAME}` nor `${file:PATH}` @'${vault:x}'"),
            ("url = 'a'\n[tables.t]\ncolumnz = {}", "unknown key `columnz`: did you mean `columns`? @columnz"),
        ] {
            assert_eq!(read(text).unwrap_err(), message, "{text}");
        }
    }
}
