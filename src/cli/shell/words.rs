//! SQL's words, for highlighting, completion and quoting.

/// Words that begin or join the parts of a statement. Names are rarely called so, and must be quoted where they are.
const RESERVED: &[&str] = &[
    "all",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "cast",
    "cross",
    "desc",
    "distinct",
    "else",
    "end",
    "except",
    "exists",
    "false",
    "fetch",
    "filter",
    "for",
    "from",
    "full",
    "group",
    "having",
    "ilike",
    "in",
    "inner",
    "intersect",
    "interval",
    "into",
    "is",
    "join",
    "lateral",
    "left",
    "like",
    "limit",
    "natural",
    "not",
    "null",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "over",
    "qualify",
    "recursive",
    "right",
    "select",
    "semi",
    "anti",
    "set",
    "similar",
    "then",
    "true",
    "union",
    "unnest",
    "using",
    "values",
    "when",
    "where",
    "window",
    "with",
];

/// Words that are keywords only in their place.
const CONTEXTUAL: &[&str] = &[
    "analyze",
    "capabilities",
    "catalogs",
    "columns",
    "create",
    "cut",
    "date",
    "describe",
    "explain",
    "extract",
    "first",
    "follow",
    "following",
    "format",
    "functions",
    "grouping",
    "json",
    "last",
    "nulls",
    "partition",
    "preceding",
    "range",
    "reset",
    "rollup",
    "row",
    "rows",
    "schemas",
    "session",
    "sets",
    "show",
    "since",
    "table",
    "tables",
    "time",
    "timestamp",
    "to",
    "try_cast",
    "unbounded",
    "use",
    "verbose",
    "view",
    "within",
    "zone",
];

/// Words that only begin a statement, or stand in one of our own.
const STATEMENT: &[&str] = &["analyze", "describe", "explain", "reset", "show", "use", "verbose"];

/// Whether a name must be quoted because SQL reads it as one of its own words.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// Whether a word is highlighted.
pub(crate) fn is_highlighted(word: &str) -> bool {
    is_reserved(word) || STATEMENT.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// All words, for completion.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    RESERVED.iter().chain(CONTEXTUAL).copied()
}
