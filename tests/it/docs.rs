//! Reference pages are made from the connectors' own declarations and must be up to date.
//! `PORTOLAN_UPDATE_DOCS=1 cargo test --test it docs::` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use crate::{shop, table};

fn check(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("PORTOLAN_UPDATE_DOCS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == text, "{path} is out of date: run PORTOLAN_UPDATE_DOCS=1 cargo test --test it docs::");
}

#[test]
fn the_reference_of_the_catalog_file_is_up_to_date() {
    let mut text = String::from(
        "# The catalog file: reference\n\nMade from the connectors' declarations; README.md shows a whole file. Any text may contain `${env:NAME}` \
         and `${file:PATH}`; a relative path starts at the catalog file's directory.\n\n",
    );
    text.push_str(&portolan::catalog::reference());
    check("docs/catalog-file.md", &text);
}

#[test]
fn the_reference_of_settings_and_system_tables_is_up_to_date() {
    let mut text = String::from(
        "# Settings and system tables\n\nMade from the engine's declarations.\n\n## Session settings\n\n`SET SESSION name = 'value'` changes one, \
         `RESET SESSION name` or `RESET ALL` takes it back, `SHOW SESSION` lists them; over Flight SQL they are session options too.\n\n\
         | setting | value | default | meaning |\n|---|---|---|---|\n",
    );
    for spec in portolan::session::setting_specs() {
        let default = spec.default.map(|default| format!("`{default}`")).unwrap_or_default();
        let _ = writeln!(text, "| `{}` | {} | {default} | {} |", spec.name, spec.kind.describe(), spec.help);
    }
    text.push_str(&procedures());
    text.push_str(&portolan::catalog::system_reference());
    check("docs/settings.md", &text);
}

/// The procedures of the engine and of each kind of catalog.
fn procedures() -> String {
    let mut text = String::from(
        "\n## Procedures\n\n`CALL procedure(value, name => value)` runs one; arguments in brackets may be left out. A catalog's procedure is called as \
         `catalog.system.procedure(...)`, or as `system.procedure('catalog', ...)`; `SHOW PROCEDURES` lists them.\n\n| procedure | of | |\n|---|---|---|\n",
    );
    for procedure in portolan::session::own_procedures() {
        let _ = writeln!(text, "| `system.{procedure}` | the engine | {} |", procedure.help);
        for argument in procedure.arguments {
            let _ = writeln!(text, "| | `{}` | {} |", argument.name, argument.help);
        }
    }
    let engine = shop::session();
    let mut seen = std::collections::HashSet::new();
    for catalog in engine.engine().catalogs().configured() {
        if !seen.insert(catalog.connector_name.clone()) {
            continue;
        }
        for procedure in catalog.connector().unwrap().procedures() {
            let of = format!("{} catalogs", catalog.connector_name);
            let _ = writeln!(text, "| `catalog.system.{procedure}` | {of} | {} |", procedure.help);
            for argument in procedure.arguments {
                let _ = writeln!(text, "| | `{}` | {} |", argument.name, argument.help);
            }
        }
    }
    text + "\n"
}

#[test]
fn the_options_of_the_server_are_up_to_date() {
    // What comes before the mark is written by hand.
    const MARK: &str = "<!-- options -->\n";
    let path = "docs/server.md";
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let (written, _) = page.split_once(MARK).unwrap();
    check(path, &format!("{written}{MARK}{}", portolan::cli::serve_reference()));
}

#[test]
fn the_reference_of_the_repl_is_up_to_date() {
    let mut text = String::from(
        "# `portolan sql`: reference\n\nMade from the program's own declarations. The same program runs statements on an engine of its own, \
         with `--catalogs`, or at a server, with `--server`.\n\n",
    );
    text.push_str(&portolan::cli::sql_reference());
    check("docs/repl.md", &text);
}

#[test]
fn the_reference_of_capabilities_is_up_to_date() {
    let mut text = String::from(
        "# What each connector pushes down\n\nMade from the connectors' rules, which `SHOW CAPABILITIES FROM catalog` prints as well. \
         *exact*: the source does it and the engine drops it. *pruning*: the source skips what cannot match and the engine \
         checks again. *refused*: only the engine does it, or, of statements that write, nobody. What no rule names is refused.\n",
    );
    shop::block_on(async {
        let session = shop::session();
        for (catalog, connector) in [("lake", "hive"), ("pg", "postgres"), ("events", "kafka"), ("mem", "memory")] {
            let _ = write!(
                text,
                "\n## {connector}\n\n| operation | operands | verdict | condition or reason |\n|---|---|---|---|\n"
            );
            for row in table::rows(&session, &format!("SHOW CAPABILITIES FROM {catalog}")).await.unwrap() {
                let cell = |index: usize| {
                    match row[index].as_str() {
                        "NULL" => "",
                        text => text,
                    }
                    .replace('|', "\\|")
                };
                let note = if cell(3).is_empty() { cell(4) } else { cell(3) };
                let _ = writeln!(text, "| `{}` | {} | {} | {note} |", cell(0), cell(1), cell(2));
            }
        }
    });
    check("docs/capabilities.md", &text);
}
