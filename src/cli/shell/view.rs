//! How results are shown, and the options of `\pset` that change it.

use super::command::{expanded, format, switch};
use crate::cli::output::{Border, Expanded, Format};
use portolan_connector::properties::nearest;

/// When a pager shows results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PagerUse {
    /// Never.
    Off,
    /// Where a result is higher or wider than the screen.
    #[default]
    On,
    /// For each result.
    Always,
}

/// How results are shown.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) format: Format,
    pub(crate) expanded: Expanded,
    pub(crate) timing: bool,
    /// Whether the chart of each query is shown below its result.
    pub(crate) explain: bool,
    /// What stands for NULL; `None` is the format's own way.
    pub(crate) null: Option<String>,
    pub(crate) border: Border,
    pub(crate) tuples_only: bool,
    pub(crate) footer: bool,
    pub(crate) separator: String,
    pub(crate) pager: PagerUse,
}

impl Default for View {
    fn default() -> Self {
        Self {
            format: Format::Table,
            expanded: Expanded::Off,
            timing: false,
            explain: false,
            null: None,
            border: Border::Inner,
            tuples_only: false,
            footer: true,
            separator: "|".to_owned(),
            pager: PagerUse::On,
        }
    }
}

/// An option as the reference describes it.
#[derive(Debug)]
pub(crate) struct OptionSpec {
    pub(crate) name: &'static str,
    pub(crate) values: &'static str,
    pub(crate) help: &'static str,
    get: fn(&View) -> String,
    /// Changes the option; `None` is the next value of one that can be switched.
    set: fn(&mut View, Option<&str>) -> Result<(), String>,
}

/// All options of `\pset`.
pub(crate) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "border",
        values: "0, 1, 2",
        help: "lines of a table: none, between columns, also around it",
        get: |view| (view.border as u8).to_string(),
        set: |view, value| {
            view.border = match value {
                Some("0") => Border::None,
                Some("1") => Border::Inner,
                Some("2") => Border::Outer,
                _ => return Err("border is 0, 1 or 2".to_owned()),
            };
            Ok(())
        },
    },
    OptionSpec {
        name: "expanded",
        values: "on, off, auto",
        help: "each row as a list of its values; auto: where rows are wider than the screen",
        get: |view| match view.expanded {
            Expanded::On => "on".to_owned(),
            Expanded::Off => "off".to_owned(),
            Expanded::Auto => "auto".to_owned(),
        },
        set: |view, value| {
            view.expanded = match (value, view.expanded) {
                (Some(word), _) => expanded(word)?,
                (None, Expanded::On) => Expanded::Off,
                (None, Expanded::Off | Expanded::Auto) => Expanded::On,
            };
            Ok(())
        },
    },
    OptionSpec {
        name: "fieldsep",
        values: "a text",
        help: "what is between the values of unaligned output",
        get: |view| format!("'{}'", view.separator.escape_default()),
        set: |view, value| {
            view.separator = value.ok_or("fieldsep needs a text")?.to_owned();
            Ok(())
        },
    },
    OptionSpec {
        name: "footer",
        values: "on, off",
        help: "the number of rows below a table",
        get: |view| on_or_off(view.footer),
        set: |view, value| switched("footer", value, &mut view.footer),
    },
    OptionSpec {
        name: "format",
        values: "table, unaligned, expanded, csv, tsv, json, ndjson, markdown, html, arrow, parquet, null",
        help: "how results are written",
        get: |view| view.format.name().to_owned(),
        set: |view, value| {
            if let Some(word) = value {
                view.format = format(word)?;
            }
            Ok(())
        },
    },
    OptionSpec {
        name: "null",
        values: "a text",
        help: "what stands for NULL in tables, unaligned output, csv, tsv, markdown and html",
        get: |view| view.null.as_ref().map_or_else(|| "the format's own way".to_owned(), |text| format!("'{text}'")),
        set: |view, value| {
            view.null = value.map(str::to_owned);
            Ok(())
        },
    },
    OptionSpec {
        name: "pager",
        values: "on, off, always",
        help: "whether $PAGER, or less, shows results that are higher or wider than the screen",
        get: |view| match view.pager {
            PagerUse::Off => "off".to_owned(),
            PagerUse::On => "on".to_owned(),
            PagerUse::Always => "always".to_owned(),
        },
        set: |view, value| {
            view.pager = match (value, view.pager) {
                (Some(word), _) if word.eq_ignore_ascii_case("always") => PagerUse::Always,
                (Some(word), _) if switch("pset pager", word)? => PagerUse::On,
                (Some(_), _) | (None, PagerUse::On | PagerUse::Always) => PagerUse::Off,
                (None, PagerUse::Off) => PagerUse::On,
            };
            Ok(())
        },
    },
    OptionSpec {
        name: "tuples_only",
        values: "on, off",
        help: "rows without header and footer",
        get: |view| on_or_off(view.tuples_only),
        set: |view, value| switched("tuples_only", value, &mut view.tuples_only),
    },
];

fn on_or_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

fn switched(name: &str, value: Option<&str>, option: &mut bool) -> Result<(), String> {
    *option = match value {
        Some(word) => switch(&format!("pset {name}"), word)?,
        None => !*option,
    };
    Ok(())
}

impl View {
    /// Changes an option. Without a value it is switched where it can be. Returns what it is now.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) -> Result<String, String> {
        let lower = name.to_lowercase();
        // As psql calls some of them beside their names.
        let full = match lower.as_str() {
            "x" | "vertical" => "expanded",
            "t" => "tuples_only",
            other => other,
        };
        let Some(option) = OPTIONS.iter().find(|option| option.name == full) else {
            let names: Vec<&str> = OPTIONS.iter().map(|option| option.name).collect();
            return Err(match nearest(full, names.iter().copied()) {
                Some(near) => format!("there is no option \"{name}\": did you mean \"{near}\"?"),
                None => format!("there is no option \"{name}\": it is {}", names.join(", ")),
            });
        };
        (option.set)(self, value)?;
        Ok(format!("{} is {}.", option.name, (option.get)(self)))
    }

    /// The options and their values, a line for each.
    pub(crate) fn describe(&self) -> String {
        let lines = OPTIONS.iter().map(|option| format!("{:<12} {}", option.name, (option.get)(self)));
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::shell::command::{Argument, COMMANDS};

    #[test]
    fn options_are_set_switched_and_told() {
        let mut view = View::default();
        for (name, value, expected) in [
            ("null", Some("-"), Ok("null is '-'.")),
            ("null", None, Ok("null is the format's own way.")),
            ("tuples_only", None, Ok("tuples_only is on.")),
            ("x", None, Ok("expanded is on.")),
            ("expanded", Some("auto"), Ok("expanded is auto.")),
            ("border", Some("2"), Ok("border is 2.")),
            ("fieldsep", Some("\t"), Ok("fieldsep is '\\t'.")),
            ("format", Some("csv"), Ok("format is csv.")),
            ("pager", Some("off"), Ok("pager is off.")),
            ("pager", None, Ok("pager is on.")),
            ("border", Some("3"), Err("border is 0, 1 or 2")),
            ("boarder", Some("1"), Err("there is no option \"boarder\": did you mean \"border\"?")),
        ] {
            assert_eq!(view.set(name, value).as_deref().map_err(String::as_str), expected, "{name} {value:?}");
        }
        assert_eq!(view.describe().lines().count(), OPTIONS.len());
    }

    #[test]
    fn completion_knows_every_option() {
        let names: Vec<&str> = OPTIONS.iter().map(|option| option.name).collect();
        let command = COMMANDS.iter().find(|spec| spec.name == "pset").unwrap();
        let Argument::OneOf(words) = command.argument else { panic!("no words") };
        assert_eq!(names, words);
    }
}
