//! The help for SQL.

use std::fmt::Write;

/// A statement as its help shows it.
#[derive(Debug)]
pub(crate) struct StatementSpec {
    /// The words that it begins with.
    pub(crate) name: &'static str,
    pub(crate) syntax: &'static str,
    pub(crate) help: &'static str,
}

/// All statements, in the order of the help.
pub(crate) const STATEMENTS: &[StatementSpec] = &[
    spec(
        "SELECT",
        "[WITH name AS (query)] SELECT [DISTINCT] expression [AS name], ... [FROM table [AS name] [JOIN ...]]\n\
         [FOR VERSION AS OF 'version' | FOLLOW [SINCE 'place']] (behind the name of a table)\n\
         [WHERE condition] [GROUP BY ...] [HAVING condition] [WINDOW ...] [ORDER BY ...] [LIMIT n] [OFFSET n]",
        "Returns rows. Tables are catalog.schema.table; USE lets you leave out the first two. FOLLOW waits for the messages\n\
         that are added to a topic, until it is cancelled.",
    ),
    spec("VALUES", "VALUES (expression, ...), ...", "Returns rows that are written out."),
    spec(
        "EXPLAIN",
        "EXPLAIN [ANALYZE] [VERBOSE] [(FORMAT TEXT|JSON|GRAPHVIZ, TYPE VALIDATE|DISTRIBUTED)] query",
        "Says what every source is asked to do and what it refused. ANALYZE runs the query and adds what was measured.",
    ),
    spec(
        "INSERT INTO",
        "INSERT INTO table [(column, ...)] query | VALUES (expression, ...), ...",
        "Adds rows to a table: all of them, or none.",
    ),
    spec(
        "UPDATE",
        "UPDATE table SET column = value, ... [WHERE condition]",
        "Changes rows where they are, in a source that chooses them and computes the values as the engine would.",
    ),
    spec(
        "DELETE FROM",
        "DELETE FROM table [WHERE condition]",
        "Removes rows, in a source that chooses them as the engine would.",
    ),
    spec(
        "CREATE TABLE",
        "CREATE [OR REPLACE] TABLE [IF NOT EXISTS] table (column type [NOT NULL], ...)\n\
         CREATE [OR REPLACE] TABLE [IF NOT EXISTS] table AS query",
        "Makes a table, empty or with the rows of a query, in a catalog that can be written.",
    ),
    spec("DROP TABLE", "DROP TABLE [IF EXISTS] table", "Removes a table."),
    spec("CREATE SCHEMA", "CREATE SCHEMA [IF NOT EXISTS] [catalog.]schema", "Makes a schema."),
    spec(
        "DROP SCHEMA",
        "DROP SCHEMA [IF EXISTS] [catalog.]schema [CASCADE]",
        "Removes a schema; CASCADE with its tables.",
    ),
    spec("SHOW CATALOGS", "SHOW CATALOGS [LIKE 'pattern']", "Lists the catalogs."),
    spec("SHOW SCHEMAS", "SHOW SCHEMAS [FROM catalog] [LIKE 'pattern']", "Lists the schemas of a catalog."),
    spec("SHOW TABLES", "SHOW TABLES [FROM catalog[.schema]] [LIKE 'pattern']", "Lists tables and views."),
    spec("SHOW COLUMNS", "SHOW COLUMNS FROM table [LIKE 'pattern']", "Lists a table's columns; DESCRIBE says more."),
    spec("DESCRIBE", "DESCRIBE table | query", "The columns of a table or of a query, with their types."),
    spec("SHOW CREATE TABLE", "SHOW CREATE TABLE table", "The source's own definition of a table."),
    spec(
        "SHOW STATS",
        "SHOW STATS FOR table",
        "What the planner knows of a table's columns and, on the last line, of the table, and where from.",
    ),
    spec(
        "SHOW CUT",
        "SHOW CUT FOR table",
        "The offsets that a topic has now, as FOR VERSION AS OF and FOLLOW SINCE take them.",
    ),
    spec(
        "SHOW CAPABILITIES",
        "SHOW CAPABILITIES [FROM catalog] [LIKE 'pattern']",
        "The rules by which a source is given work.",
    ),
    spec("SHOW FUNCTIONS", "SHOW FUNCTIONS [LIKE 'pattern']", "The engine's functions."),
    spec(
        "SHOW PROCEDURES",
        "SHOW PROCEDURES [FROM catalog] [LIKE 'pattern']",
        "What CALL runs: procedures of the engine and of the catalogs.",
    ),
    spec(
        "SHOW SESSION",
        "SHOW SESSION [LIKE 'pattern'] | SHOW setting",
        "The session's settings, or the value of one.",
    ),
    spec("SET SESSION", "SET SESSION name = value", "Changes a setting of the session."),
    spec("RESET SESSION", "RESET SESSION [name] | RESET ALL", "Gives a setting, or all of them, the default again."),
    spec(
        "CALL",
        "CALL system.kill_query('query_id' [, 'message'])\nCALL system.reload_catalogs()\n\
         CALL catalog.system.procedure([[name =>] value, ...])\nCALL system.procedure('catalog' [, [name =>] value ...])",
        "Runs a procedure: ends a query, which system.runtime.queries and \\queries list; reads the catalog file again; or does \
         what a catalog declares. SHOW PROCEDURES lists them.",
    ),
    spec("USE", "USE catalog[.schema]", "Chooses where names without catalog or schema are looked up."),
];

const fn spec(name: &'static str, syntax: &'static str, help: &'static str) -> StatementSpec {
    StatementSpec { name, syntax, help }
}

/// All statements, one on a line.
pub(crate) fn statements_help() -> String {
    let mut text = String::new();
    for spec in STATEMENTS {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {:<18} {}", spec.name, spec.help);
    }
    text.push_str("\n\\h STATEMENT shows how one is written.");
    text
}

/// How the statements are written that begin with these words; `None` if none does.
pub(crate) fn statement_help(words: &str) -> Option<String> {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
    // WITH begins a query as well.
    let wanted = if words == "WITH" { "SELECT" } else { words.as_str() };
    let found = STATEMENTS.iter().filter(|spec| spec.name.starts_with(wanted));
    let pages: Vec<String> =
        found.map(|spec| format!("{}\n{}\n\n  {}", spec.name, spec.help, spec.syntax.replace('\n', "\n  "))).collect();
    (!pages.is_empty()).then(|| pages.join("\n\n"))
}
