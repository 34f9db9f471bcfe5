//! How large a condition may be before it stays with the engine.

/// Levels of AND, OR and NOT inside one another. A chain of one operator is one level.
pub const MAX_DEPTH: usize = 64;

/// Predicates and literals of one conjunct together.
pub const MAX_NODES: usize = 200_000;

/// Values of one IN list.
pub const MAX_IN_VALUES: usize = 100_000;

/// Bytes of all texts and byte strings among the literals of one conjunct.
pub const MAX_CONJUNCT_LITERAL_BYTES: usize = 4 * 1024 * 1024;

/// Operators, columns and literals of one column of a result, with all that it is computed from.
pub const MAX_EXPRESSION_PARTS: usize = 2_000;

/// How often a text may be repeated, and how many characters it may be filled up to.
pub const MAX_TEXT_GROWTH: i32 = 1_000;
