//! The closed vocabulary of remote predicates.

use crate::RemoteLiteral;

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `=`
    Eq,
    /// `<>`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
}

impl CompareOp {
    /// The operator as SQL writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::NotEq => "<>",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
        }
    }

    /// The operator that says the same with its operands exchanged.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::Eq => Self::Eq,
            Self::NotEq => Self::NotEq,
            Self::Lt => Self::Gt,
            Self::LtEq => Self::GtEq,
            Self::Gt => Self::Lt,
            Self::GtEq => Self::LtEq,
        }
    }

    /// Whether the result depends on an order and not only on equality.
    pub fn is_ordering(self) -> bool {
        !matches!(self, Self::Eq | Self::NotEq)
    }
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A column, by name.
    Column(String),
    /// A value.
    Literal(RemoteLiteral),
}

/// The value that `IS [NOT] ...` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TruthValue {
    /// `IS TRUE`
    True,
    /// `IS FALSE`
    False,
    /// `IS UNKNOWN`
    Unknown,
}

impl TruthValue {
    /// The value as SQL writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::True => "TRUE",
            Self::False => "FALSE",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// A predicate that a source can be asked. Its truth is three-valued, as SQL's.
#[derive(Clone, Debug, PartialEq)]
pub enum RemoteExpr {
    /// A boolean column standing alone.
    Column(String),
    /// `TRUE`, `FALSE` or, for `None`, a NULL of type boolean.
    Constant(Option<bool>),
    /// A comparison.
    Compare {
        /// The operator.
        op: CompareOp,
        /// What stands on the left.
        left: Operand,
        /// What stands on the right.
        right: Operand,
        /// The collation that makes a comparison of texts go by bytes, where the source's own does not.
        collation: Option<String>,
    },
    /// All are true. At least one part.
    And(Vec<RemoteExpr>),
    /// One is true. At least one part.
    Or(Vec<RemoteExpr>),
    /// The part is false.
    Not(Box<RemoteExpr>),
    /// `column IS NULL`
    IsNull(String),
    /// `column IS NOT NULL`
    IsNotNull(String),
    /// `column [NOT] IN (values)`
    In {
        /// The column.
        column: String,
        /// At least one; NULLs keep their three-valued meaning.
        values: Vec<RemoteLiteral>,
        /// `NOT IN`
        negated: bool,
    },
    /// `column [NOT] BETWEEN low AND high`
    Between {
        /// The column.
        column: String,
        /// The least value.
        low: RemoteLiteral,
        /// The greatest value.
        high: RemoteLiteral,
        /// `NOT BETWEEN`
        negated: bool,
        /// As in [`RemoteExpr::Compare`].
        collation: Option<String>,
    },
    /// `column [NOT] LIKE pattern ESCAPE escape`
    Like {
        /// The column.
        column: String,
        /// The pattern.
        pattern: RemoteLiteral,
        /// The character that takes the meaning of `%`, `_` and itself away.
        escape: char,
        /// `NOT LIKE`
        negated: bool,
    },
    /// `column IS [NOT] TRUE | FALSE | UNKNOWN`
    Truth {
        /// A boolean column.
        column: String,
        /// What is asked for.
        value: TruthValue,
        /// `IS NOT`
        negated: bool,
    },
}
