//! The closed vocabulary of what a source can be asked to compute.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{RemoteFunction, RemoteLiteral, RemoteQuery};

/// Which of the relations of a query a column is of. No two relations of a process have the same; what they are called
/// in the SQL is decided when it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(u64);

impl SourceId {
    /// The relation of an expression that is printed by itself.
    pub const ALONE: Self = Self(0);

    /// A relation that there was not before.
    pub fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

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
    /// `IS NOT DISTINCT FROM`
    NotDistinct,
    /// `IS DISTINCT FROM`
    Distinct,
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
            Self::NotDistinct => "IS NOT DISTINCT FROM",
            Self::Distinct => "IS DISTINCT FROM",
        }
    }

    /// The operator that says the same with its operands exchanged.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::LtEq => Self::GtEq,
            Self::Gt => Self::Lt,
            Self::GtEq => Self::LtEq,
            Self::Eq | Self::NotEq | Self::NotDistinct | Self::Distinct => self,
        }
    }

    /// Whether the result depends on an order and not only on equality.
    pub fn is_ordering(self) -> bool {
        matches!(self, Self::Lt | Self::LtEq | Self::Gt | Self::GtEq)
    }
}

/// An operator of arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArithmeticOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/` of floating-point numbers, and of integers, whose quotient is cut off toward zero
    Divide,
    /// `%`, with the sign of the dividend
    Remainder,
}

impl ArithmeticOp {
    /// The operator as SQL writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
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

/// A function over the rows of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateFunction {
    /// The number of rows, or of values that are not NULL.
    Count,
    /// The sum.
    Sum,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// Whether all are true.
    BoolAnd,
    /// Whether one is true.
    BoolOr,
}

/// What a source computes. A predicate's truth is three-valued, as SQL's.
#[derive(Clone, Debug, PartialEq)]
pub enum RemoteExpr {
    /// A column of a relation, by name.
    Column {
        /// The relation.
        source: SourceId,
        /// The name.
        name: String,
    },
    /// A value.
    Literal(RemoteLiteral),
    /// `TRUE`, `FALSE` or, for `None`, a NULL of type boolean.
    Constant(Option<bool>),
    /// A comparison.
    Compare {
        /// The operator.
        op: CompareOp,
        /// What stands on the left.
        left: Box<RemoteExpr>,
        /// What stands on the right.
        right: Box<RemoteExpr>,
        /// The collation that makes a comparison of texts go by bytes, where the source's own does not.
        collation: Option<String>,
    },
    /// All are true. At least one part.
    And(Vec<RemoteExpr>),
    /// One is true. At least one part.
    Or(Vec<RemoteExpr>),
    /// The part is false.
    Not(Box<RemoteExpr>),
    /// `operand IS NULL`
    IsNull(Box<RemoteExpr>),
    /// `operand IS NOT NULL`
    IsNotNull(Box<RemoteExpr>),
    /// `operand [NOT] IN (values)`
    In {
        /// What is looked for.
        operand: Box<RemoteExpr>,
        /// At least one; NULLs keep their three-valued meaning.
        values: Vec<RemoteLiteral>,
        /// `NOT IN`
        negated: bool,
    },
    /// `operand [NOT] BETWEEN low AND high`
    Between {
        /// What is between, or is not.
        operand: Box<RemoteExpr>,
        /// The least value.
        low: RemoteLiteral,
        /// The greatest value.
        high: RemoteLiteral,
        /// `NOT BETWEEN`
        negated: bool,
        /// As in [`RemoteExpr::Compare`].
        collation: Option<String>,
    },
    /// `operand [NOT] LIKE pattern ESCAPE escape`
    Like {
        /// The text.
        operand: Box<RemoteExpr>,
        /// The pattern.
        pattern: RemoteLiteral,
        /// The character that takes the meaning of `%`, `_` and itself away.
        escape: char,
        /// `NOT LIKE`
        negated: bool,
    },
    /// `operand IS [NOT] TRUE | FALSE | UNKNOWN`
    Truth {
        /// A truth value.
        operand: Box<RemoteExpr>,
        /// What is asked for.
        value: TruthValue,
        /// `IS NOT`
        negated: bool,
    },
    /// Arithmetic on two values of types that the source combines without converting either.
    Arithmetic {
        /// The operator.
        op: ArithmeticOp,
        /// What stands on the left.
        left: Box<RemoteExpr>,
        /// What stands on the right.
        right: Box<RemoteExpr>,
    },
    /// A quotient of exact numbers, cut off behind so many digits after the point, toward zero. NULL where the dividend
    /// is; an error where the divisor is 0.
    Quotient {
        /// What is divided.
        dividend: Box<RemoteExpr>,
        /// By what.
        divisor: Box<RemoteExpr>,
        /// The digits that stay behind the point.
        places: u8,
    },
    /// A conversion to a type, as the source writes it.
    Cast {
        /// What is converted.
        operand: Box<RemoteExpr>,
        /// The type.
        type_name: String,
    },
    /// A text under a collation.
    Collate {
        /// The text.
        operand: Box<RemoteExpr>,
        /// The collation.
        collation: String,
    },
    /// `CASE WHEN condition THEN value ... [ELSE value] END`. At least one branch.
    Case {
        /// Conditions and values.
        branches: Vec<(RemoteExpr, RemoteExpr)>,
        /// The value where no condition holds; NULL without it.
        otherwise: Option<Box<RemoteExpr>>,
    },
    /// The first that is not NULL. At least one.
    Coalesce(Vec<RemoteExpr>),
    /// The greatest that is not NULL, or the least. At least one.
    Extreme {
        /// Whether the greatest is.
        greatest: bool,
        /// The values.
        values: Vec<RemoteExpr>,
    },
    /// NULL where both are equal, else the first.
    NullIf(Box<RemoteExpr>, Box<RemoteExpr>),
    /// Texts one after the other. At least one.
    Concat {
        /// The texts.
        parts: Vec<RemoteExpr>,
        /// Whether a NULL is left out; otherwise it makes the whole NULL.
        skip_nulls: bool,
    },
    /// Whether an array has all of some values, or one of them. NULL is never found.
    ArrayHas {
        /// The array.
        operand: Box<RemoteExpr>,
        /// The values, none of them NULL.
        values: Vec<RemoteLiteral>,
        /// The type of the elements.
        element_type: String,
        /// Whether all are looked for.
        all: bool,
    },
    /// A function of one value.
    Function {
        /// The function.
        function: RemoteFunction,
        /// Its argument.
        argument: Box<RemoteExpr>,
    },
    /// A function over the rows of a group.
    Aggregate {
        /// The function.
        function: AggregateFunction,
        /// Its argument; none for `count(*)`.
        argument: Option<Box<RemoteExpr>>,
        /// Each value only once.
        distinct: bool,
        /// Of which rows.
        filter: Option<Box<RemoteExpr>>,
        /// As in [`RemoteExpr::Compare`].
        collation: Option<String>,
    },
    /// Whether a query, which may name columns of the relations around it, has a row.
    Exists {
        /// The query.
        query: Box<RemoteQuery>,
        /// `NOT EXISTS`
        negated: bool,
    },
    /// The one value of a query that has one row of one column, whatever the tables hold.
    Scalar(Box<RemoteQuery>),
}

impl RemoteExpr {
    /// A column of a relation.
    pub fn column(source: SourceId, name: impl Into<String>) -> Self {
        Self::Column { source, name: name.into() }
    }

    /// Whether a function over the rows of a group is called in it.
    pub(crate) fn has_aggregate(&self) -> bool {
        matches!(self, Self::Aggregate { .. }) || self.operands().into_iter().any(Self::has_aggregate)
    }

    /// How many operators, columns and literals it has.
    pub(crate) fn parts(&self) -> usize {
        1 + self.operands().into_iter().map(Self::parts).sum::<usize>()
    }
}
