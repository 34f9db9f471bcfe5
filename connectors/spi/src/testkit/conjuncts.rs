//! The conjuncts that put a rule to the test.

use arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Like, Operator, cast, not};

use crate::Operation;

/// Patterns for LIKE beside those made of the probe's texts: wildcards, escapes, and one that escapes nothing.
const LIKE_PATTERNS: &[&str] = &["", "%", "_", "__", "%_%", r"\%%", r"%\_%", r"\\", r"a\", r"\a%"];
/// Patterns for regular expressions, in a syntax that about every engine reads.
const REGEX_PATTERNS: &[&str] = &["", "^a", "b$", ".", "^.$", "a|b", "[a-c]+", r"\d", r"\w", "[[:alpha:]]", "(a)(b)?"];

/// Conjuncts of one operation on one column. `literals` are of the column's type.
pub(super) fn conjuncts(
    operation: Operation,
    column: &str,
    data_type: &DataType,
    literals: &[ScalarValue],
) -> Vec<Expr> {
    let column = Expr::Column(Column::new_unqualified(column));
    match operation {
        Operation::Eq => {
            [Operator::Eq, Operator::IsNotDistinctFrom].map(|op| comparisons(&column, op, literals)).concat()
        }
        Operation::NotEq => {
            [Operator::NotEq, Operator::IsDistinctFrom].map(|op| comparisons(&column, op, literals)).concat()
        }
        Operation::Lt => comparisons(&column, Operator::Lt, literals),
        Operation::LtEq => comparisons(&column, Operator::LtEq, literals),
        Operation::Gt => comparisons(&column, Operator::Gt, literals),
        Operation::GtEq => comparisons(&column, Operator::GtEq, literals),
        Operation::In => in_lists(&column, literals),
        Operation::Between => ranges(&column, literals),
        Operation::IsNull => vec![column.is_null()],
        Operation::IsNotNull => vec![column.is_not_null()],
        Operation::Like => likes(&column, data_type, literals, false),
        Operation::ILike => likes(&column, data_type, literals, true),
        Operation::Regex => regexes(&column, data_type),
        Operation::Truth if *data_type == DataType::Boolean => vec![
            column.clone(),
            column.clone().is_true(),
            column.clone().is_not_true(),
            column.clone().is_false(),
            column.clone().is_not_false(),
            column.clone().is_unknown(),
            column.is_not_unknown(),
        ],
        Operation::AnyExpression => expressions(&column, literals),
        // No conjuncts of one column and literals.
        _ => Vec::new(),
    }
}

/// The same conjunct with the opposite meaning, in every way that it can be written.
pub(super) fn negations(conjunct: &Expr) -> Vec<Expr> {
    let mut negations = vec![not(conjunct.clone())];
    match conjunct.clone() {
        Expr::InList(list) => negations.push(Expr::InList(InList { negated: !list.negated, ..list })),
        Expr::Between(range) => negations.push(Expr::Between(Between { negated: !range.negated, ..range })),
        Expr::Like(like) => negations.push(Expr::Like(Like { negated: !like.negated, ..like })),
        _ => {}
    }
    negations
}

fn literal(value: &ScalarValue) -> Expr {
    Expr::Literal(value.clone(), None)
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// With the literal on either side.
fn comparisons(column: &Expr, op: Operator, literals: &[ScalarValue]) -> Vec<Expr> {
    literals
        .iter()
        .flat_map(|value| {
            let value = literal(value);
            [binary(column.clone(), op, value.clone()), binary(value, op, column.clone())]
        })
        .collect()
}

/// Each value with its neighbour; each alone, which NULLs join; and all of them, for implementations that treat long
/// lists otherwise.
fn in_lists(column: &Expr, literals: &[ScalarValue]) -> Vec<Expr> {
    let list = |values: Vec<Expr>| Expr::InList(InList::new(Box::new(column.clone()), values, false));
    let null = literals.iter().find(|value| value.is_null());
    let pairs = literals.windows(2).map(|pair| list(pair.iter().map(literal).collect()));
    let singles = literals.iter().map(|value| list([Some(value), null].into_iter().flatten().map(literal).collect()));
    let whole = list(literals.iter().map(literal).collect());
    let whole_without_null = list(literals.iter().filter(|value| !value.is_null()).map(literal).collect());
    pairs.chain(singles).chain([whole, whole_without_null]).collect()
}

/// Each value with its neighbour both ways, of which one range is empty, and with itself.
fn ranges(column: &Expr, literals: &[ScalarValue]) -> Vec<Expr> {
    let range = |low: &ScalarValue, high: &ScalarValue| column.clone().between(literal(low), literal(high));
    let neighbours = literals.iter().zip(literals.iter().skip(1));
    let ranges = neighbours.flat_map(|(one, other)| [range(one, other), range(other, one)]);
    ranges.chain(literals.iter().map(|value| range(value, value))).collect()
}

fn likes(column: &Expr, data_type: &DataType, literals: &[ScalarValue], case_insensitive: bool) -> Vec<Expr> {
    let texts = literals.iter().filter_map(|value| value.try_as_str().flatten());
    let mut patterns: Vec<Option<String>> = LIKE_PATTERNS.iter().map(|pattern| Some((*pattern).to_owned())).collect();
    for text in texts {
        let rest: String = text.chars().skip(1).collect();
        let escaped: String = text.chars().flat_map(|c| ['\\', c]).collect();
        let folded = text.to_uppercase();
        patterns.extend([
            Some(text.to_owned()),
            Some(format!("{text}%")),
            Some(format!("%{text}")),
            Some(format!("%{text}%")),
            Some(format!("_{rest}")),
            Some(format!("{escaped}%")),
            Some(folded),
        ]);
    }
    patterns.push(None);
    let patterns = patterns.into_iter().filter_map(|pattern| ScalarValue::Utf8(pattern).cast_to(data_type).ok());
    patterns
        .map(|pattern| {
            let pattern = Box::new(literal(&pattern));
            Expr::Like(Like::new(false, Box::new(column.clone()), pattern, None, case_insensitive))
        })
        .collect()
}

fn regexes(column: &Expr, data_type: &DataType) -> Vec<Expr> {
    let patterns = REGEX_PATTERNS.iter().filter_map(|pattern| ScalarValue::from(*pattern).cast_to(data_type).ok());
    let ops = [Operator::RegexMatch, Operator::RegexIMatch, Operator::RegexNotMatch, Operator::RegexNotIMatch];
    patterns.flat_map(|pattern| ops.map(|op| binary(column.clone(), op, literal(&pattern)))).collect()
}

/// What a source can only answer by evaluating the engine's own expression.
fn expressions(column: &Expr, literals: &[ScalarValue]) -> Vec<Expr> {
    let mut found: Vec<Expr> = [Operator::Eq, Operator::NotEq, Operator::Lt, Operator::GtEq, Operator::IsDistinctFrom]
        .into_iter()
        .flat_map(|op| literals.iter().map(move |value| binary(column.clone(), op, literal(value))))
        .collect();
    found.extend(in_lists(column, literals));
    found.extend(ranges(column, literals));
    found.extend([column.clone().is_null(), column.clone().is_not_null()]);
    let text = cast(column.clone(), DataType::Utf8);
    found.extend(["%1%", "", "_%", "%a%"].map(|pattern| text.clone().like(literal(&ScalarValue::from(pattern)))));
    found
}
