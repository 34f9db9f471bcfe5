//! From the arguments of a call to those that the procedure declares.

use portolan_connector::properties::{nearest, parse_duration};
use portolan_connector::{ArgumentKind, ArgumentSpec, ArgumentValue, Arguments, ProcedureSpec};

use super::{Given, Literal};
use crate::error::{Error, Result};

/// Gives each argument its value: by name, or by place before the first name. NULL stands for an argument that is not
/// given. `place` is what stands before the procedure's name.
pub(super) fn bind(place: &str, spec: &ProcedureSpec, given: &[Given]) -> Result<Arguments> {
    let name = format!("{place}.{}", spec.name);
    let usage = |error: Error| error.hint(format!("it is called as {place}.{spec}"));
    let mut arguments = Arguments::default();
    let mut named = false;
    for (index, Given { name: argument, value }) in given.iter().enumerate() {
        let declared = match argument {
            Some(argument) => {
                named = true;
                spec.argument(argument).ok_or_else(|| unknown(&name, spec, argument))?
            }
            None if named => {
                return Err(usage(Error::user(format!(
                    "an argument of {name} without a name follows one with a name"
                ))));
            }
            None => spec.arguments.get(index).ok_or_else(|| {
                let (taken, given) = (spec.arguments.len(), given.len());
                let plural = if taken == 1 { "" } else { "s" };
                usage(Error::user(format!("procedure {name} takes {taken} argument{plural}, and {given} are given")))
            })?,
        };
        let Some(value) = value_of(&name, declared, value)? else { continue };
        if !arguments.insert(declared.name, value) {
            return Err(usage(Error::user(format!("argument \"{}\" of {name} is given twice", declared.name))));
        }
    }
    match spec.arguments.iter().find(|argument| argument.required && !arguments.contains(argument.name)) {
        Some(missing) => {
            Err(usage(Error::user(format!("argument \"{}\" of {name} is missing: {}", missing.name, missing.help))))
        }
        None => Ok(arguments),
    }
}

fn unknown(name: &str, spec: &ProcedureSpec, argument: &str) -> Error {
    let error = Error::user(format!("procedure {name} has no argument \"{argument}\""));
    let names: Vec<&str> = spec.arguments.iter().map(|argument| argument.name).collect();
    match nearest(argument, names.iter().copied()) {
        Some(near) => error.hint(format!("did you mean \"{near}\"?")),
        None if names.is_empty() => error.hint("it takes no arguments"),
        None => error.hint(format!("its arguments are {}", names.join(", "))),
    }
}

fn value_of(name: &str, declared: &ArgumentSpec, value: &Literal) -> Result<Option<ArgumentValue>> {
    let wrong = |found: &str| {
        let wanted = declared.kind.describe();
        Error::user(format!("argument \"{}\" of {name} must be {wanted}, not {found}", declared.name))
    };
    Ok(Some(match (declared.kind, value) {
        (_, Literal::Null) => return Ok(None),
        (ArgumentKind::Text, Literal::Text(text)) => ArgumentValue::Text(text.clone()),
        (ArgumentKind::Boolean, Literal::Boolean(boolean)) => ArgumentValue::Boolean(*boolean),
        (ArgumentKind::Integer, Literal::Number(number)) => {
            ArgumentValue::Integer(number.parse().map_err(|_| wrong(number))?)
        }
        (ArgumentKind::Duration, Literal::Text(text)) => {
            let found = format!("'{text}'");
            ArgumentValue::Duration(parse_duration(text).map_err(|reason| wrong(&found).hint(reason))?)
        }
        (_, Literal::Text(text)) => return Err(wrong(&format!("'{text}'"))),
        (_, Literal::Number(number)) => return Err(wrong(number)),
        (_, Literal::Boolean(boolean)) => return Err(wrong(if *boolean { "TRUE" } else { "FALSE" })),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: ProcedureSpec = ProcedureSpec {
        name: "clean",
        arguments: &[
            ArgumentSpec::new("table_name", ArgumentKind::Text, "which table").required(),
            ArgumentSpec::new("older_than", ArgumentKind::Duration, "how old"),
            ArgumentSpec::new("files", ArgumentKind::Integer, "how many"),
            ArgumentSpec::new("dry", ArgumentKind::Boolean, "whether to look only"),
        ],
        administrators: false,
        help: "cleans",
    };

    fn given(name: Option<&str>, value: Literal) -> Given {
        Given { name: name.map(str::to_owned), value }
    }

    fn text(text: &str) -> Literal {
        Literal::Text(text.to_owned())
    }

    #[test]
    fn by_place_and_by_name() {
        let bound = bind(
            "lake.system",
            &CLEAN,
            &[
                given(None, text("orders")),
                given(Some("dry"), Literal::Boolean(true)),
                given(Some("older_than"), text("7d")),
                given(Some("files"), Literal::Null),
            ],
        )
        .unwrap();
        assert_eq!(bound.text("table_name"), Some("orders"));
        assert_eq!(bound.boolean("dry"), Some(true));
        assert_eq!(bound.duration("older_than"), Some(std::time::Duration::from_secs(7 * 86_400)));
        assert!(!bound.contains("files"));
    }

    #[test]
    fn mistakes() {
        let number = |number: &str| Literal::Number(number.to_owned());
        for (arguments, message) in [
            (
                vec![],
                "argument \"table_name\" of lake.system.clean is missing: which table\nHint: it is called as lake.system.clean(table_name varchar [, older_than duration] [, files bigint] [, dry boolean])",
            ),
            (
                vec![given(Some("table_nam"), text("t"))],
                "procedure lake.system.clean has no argument \"table_nam\"\nHint: did you mean \"table_name\"?",
            ),
            (vec![given(Some("quite_else"), text("t"))], "Hint: its arguments are table_name, older_than, files, dry"),
            (
                vec![given(None, text("t")), given(Some("table_name"), text("t"))],
                "argument \"table_name\" of lake.system.clean is given twice",
            ),
            (
                vec![given(Some("dry"), Literal::Null), given(None, text("t"))],
                "an argument of lake.system.clean without a name follows one with a name",
            ),
            (
                vec![given(None, number("5"))],
                "argument \"table_name\" of lake.system.clean must be a text in single quotes, not 5",
            ),
            (
                vec![given(None, text("t")), given(None, text("soon"))],
                "must be a time in single quotes, such as '30m' or '7d', not 'soon'",
            ),
            (
                vec![given(None, text("t")), given(Some("files"), number("1.5"))],
                "argument \"files\" of lake.system.clean must be a whole number, not 1.5",
            ),
            (vec![given(None, text("t")); 5], "must be a time"),
        ] {
            let error = bind("lake.system", &CLEAN, &arguments).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let none = ProcedureSpec { arguments: &[], ..CLEAN };
        let error = bind("lake.system", &none, &[given(None, text("t"))]).unwrap_err().to_string();
        assert!(error.starts_with("procedure lake.system.clean takes 0 arguments, and 1 are given"), "{error}");
    }
}
