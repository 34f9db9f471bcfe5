//! Expressions that put a rule for what a source computes to the test.

use arrow::array::Array;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn::{
    abs, btrim, ceil, character_length, coalesce, concat, contains, date_part, date_trunc, ends_with, floor, greatest,
    initcap, least, left, lower, lpad, ltrim, nullif, octet_length, repeat, replace, reverse, right, round, rpad,
    rtrim, split_part, starts_with, strpos, substr, substring, trunc, upper,
};
use datafusion::functions_nested::expr_fn::{array_has, array_has_all, array_has_any};
use datafusion::logical_expr::{Expr, Operator as Sign, binary_expr, cast, ident, lit, when};

use crate::Operation;

/// Numbers up to this size are added and multiplied without an overflow in any type.
const SMALL: i64 = 100;

/// How many texts each function of texts is tried with.
const TEXTS: usize = 6;

/// Microseconds from 1970 to 1900 and to 2200, between which the engine cuts off timestamps.
const FIRST_MICROS: i64 = -2_208_988_800_000_000;
const LAST_MICROS: i64 = 7_258_118_400_000_000;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The operations that compute something of a value.
pub(super) const COMPUTED: &[Operation] = &[
    Operation::Add,
    Operation::Subtract,
    Operation::Multiply,
    Operation::Divide,
    Operation::Modulo,
    Operation::Cast,
    Operation::Case,
    Operation::Coalesce,
    Operation::NullIf,
    Operation::Greatest,
    Operation::Least,
    Operation::DatePart,
    Operation::DateTrunc,
    Operation::Substring,
    Operation::CharacterLength,
    Operation::OctetLength,
    Operation::Concat,
    Operation::Trim,
    Operation::Replace,
    Operation::Left,
    Operation::Right,
    Operation::Position,
    Operation::StartsWith,
    Operation::EndsWith,
    Operation::Contains,
    Operation::Reverse,
    Operation::Repeat,
    Operation::Pad,
    Operation::SplitPart,
    Operation::LetterCase,
    Operation::Abs,
    Operation::Ceil,
    Operation::Floor,
    Operation::Round,
    Operation::Trunc,
    Operation::ArrayHas,
];

/// Expressions of one operation on one column. `literals` are of the column's type.
pub(super) fn of(operation: Operation, name: &str, data_type: &DataType, literals: &[ScalarValue]) -> Vec<Expr> {
    let column = || ident(name);
    // The engine has one zero; a statement with another one never gets here.
    let with_each = |make: &dyn Fn(Expr) -> Expr| -> Vec<Expr> {
        let literals = literals.iter().filter(|value| !is_negative_zero(value));
        literals.map(|value| make(lit(value.clone()))).collect()
    };
    match operation {
        Operation::Add => arithmetic(column(), Sign::Plus, data_type, literals),
        Operation::Subtract => arithmetic(column(), Sign::Minus, data_type, literals),
        Operation::Multiply => arithmetic(column(), Sign::Multiply, data_type, literals),
        Operation::Divide => arithmetic(column(), Sign::Divide, data_type, literals),
        Operation::Modulo => arithmetic(column(), Sign::Modulo, data_type, literals),
        Operation::Cast => casts(&column(), data_type),
        Operation::Case => cases(&column(), literals.iter().filter(|value| !is_negative_zero(value))),
        Operation::Coalesce => with_each(&|value| coalesce(vec![column(), value])),
        Operation::NullIf => with_each(&|value| nullif(column(), value)),
        Operation::Greatest => with_each(&|value| greatest(vec![column(), value])),
        Operation::Least => with_each(&|value| least(vec![column(), value])),
        Operation::DatePart => parts(data_type).map(|part| date_part(lit(*part), column())).collect(),
        Operation::DateTrunc => truncated(&column(), data_type),
        Operation::Abs => vec![abs(small(column(), data_type))],
        Operation::Ceil => vec![ceil(small(column(), data_type))],
        Operation::Floor => vec![floor(small(column(), data_type))],
        Operation::Round => {
            let to = |places: i32| round(vec![small(column(), data_type), lit(places)]);
            [-1, 0, 1, 5].map(to).into_iter().chain([round(vec![small(column(), data_type)])]).collect()
        }
        Operation::Trunc => {
            let to = |places: i64| trunc(vec![small(column(), data_type), lit(places)]);
            [-1, 0, 1, 5].map(to).into_iter().chain([trunc(vec![small(column(), data_type)])]).collect()
        }
        Operation::ArrayHas => contained(&column(), literals),
        operation => of_text(operation, &column(), literals),
    }
}

/// Functions of texts, tried on everything that the engine takes for one.
fn of_text(operation: Operation, column: &Expr, literals: &[ScalarValue]) -> Vec<Expr> {
    let column = || column.clone();
    let all: Vec<&str> = literals.iter().filter_map(|value| value.try_as_str().flatten()).collect();
    let texts: Vec<&str> = all.iter().step_by(all.len().div_ceil(TEXTS).max(1)).copied().collect();
    let with_each = |make: &dyn Fn(Expr) -> Expr| texts.iter().map(|text| make(lit(*text))).collect::<Vec<_>>();
    let counts = [0_i64, 1, 2, -1, -2, 100, -100];
    match operation {
        Operation::Substring => vec![
            substr(column(), lit(1_i64)),
            substr(column(), lit(2_i64)),
            substring(column(), lit(1_i64), lit(1_i64)),
            substring(column(), lit(2_i64), lit(0_i64)),
            substring(column(), lit(3_i64), lit(100_i64)),
        ],
        Operation::CharacterLength => vec![character_length(column())],
        Operation::OctetLength => vec![octet_length(column())],
        Operation::Concat => {
            let mut joined = with_each(&|text| binary_expr(column(), Sign::StringConcat, text));
            joined.extend(with_each(&|text| binary_expr(text, Sign::StringConcat, column())));
            joined.extend(with_each(&|text| concat(vec![column(), text, column()])));
            joined.push(binary_expr(column(), Sign::StringConcat, column()));
            joined
        }
        Operation::Trim => {
            let mut trimmed = vec![btrim(vec![column()]), ltrim(vec![column()]), rtrim(vec![column()])];
            trimmed.extend(with_each(&|text| btrim(vec![column(), text])));
            trimmed.extend(with_each(&|text| ltrim(vec![column(), text])));
            trimmed.extend(with_each(&|text| rtrim(vec![column(), text])));
            trimmed
        }
        Operation::Replace => {
            let pairs = texts.iter().zip(texts.iter().skip(1));
            pairs
                .flat_map(|(one, other)| [(one, other), (other, one)])
                .map(|(from, to)| replace(column(), lit(*from), lit(*to)))
                .collect()
        }
        Operation::Left => counts.map(|count| left(column(), lit(count))).into(),
        Operation::Right => counts.map(|count| right(column(), lit(count))).into(),
        Operation::Position => with_each(&|text| strpos(column(), text)),
        Operation::StartsWith => with_each(&|text| starts_with(column(), text)),
        Operation::EndsWith => with_each(&|text| ends_with(column(), text)),
        Operation::Contains => with_each(&|text| contains(column(), text)),
        Operation::Reverse => vec![reverse(column())],
        Operation::Repeat => [0_i64, 1, 3, -1].map(|count| repeat(column(), lit(count))).into(),
        Operation::Pad => {
            let mut padded = Vec::new();
            for length in [0_i64, 1, 3, 7, -1] {
                padded.push(lpad(vec![column(), lit(length)]));
                padded.push(rpad(vec![column(), lit(length)]));
                padded.extend(with_each(&|text| lpad(vec![column(), lit(length), text])));
                padded.extend(with_each(&|text| rpad(vec![column(), lit(length), text])));
            }
            padded
        }
        Operation::SplitPart => {
            let mut split = with_each(&|text| split_part(column(), text, lit(1_i64)));
            split.extend(with_each(&|text| split_part(column(), text, lit(2_i64))));
            split.extend(with_each(&|text| split_part(column(), text, lit(9_i64))));
            split
        }
        Operation::LetterCase => vec![lower(column()), upper(column()), initcap(column())],
        // Nothing that is computed.
        _ => Vec::new(),
    }
}

/// The parts that a type has for the engine.
fn parts(data_type: &DataType) -> impl Iterator<Item = &'static &'static str> {
    const OF_DATES: &[&str] = &["year", "quarter", "month", "week", "day", "doy", "dow", "isodow"];
    const OF_TIMES: &[&str] = &["hour", "minute", "second", "millisecond", "microsecond"];
    let (dates, times) = match data_type {
        DataType::Time32(_) | DataType::Time64(_) => (&[][..], OF_TIMES),
        DataType::Date32 | DataType::Date64 => (OF_DATES, &[][..]),
        _ => (OF_DATES, OF_TIMES),
    };
    dates.iter().chain(times)
}

/// Timestamps cut off: to fine units any, to others those that the engine counts in nanoseconds.
fn truncated(column: &Expr, data_type: &DataType) -> Vec<Expr> {
    let bound = |micros: i64| match data_type {
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            lit(ScalarValue::TimestampMicrosecond(Some(micros), zone.clone()))
        }
        _ => lit(ScalarValue::Date32(i32::try_from(micros / MICROS_PER_DAY).ok())),
    };
    if !matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _) | DataType::Date32) {
        return vec![date_trunc(lit("month"), column.clone())];
    }
    let near = column.clone().between(bound(FIRST_MICROS), bound(LAST_MICROS));
    let near = when(near, column.clone()).end().unwrap_or_else(|_| column.clone());
    let units = ["year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond"];
    units.map(|unit| date_trunc(lit(unit), near.clone())).into()
}

/// What lists have: each of the values alone, and all of the lists that are literals.
fn contained(column: &Expr, literals: &[ScalarValue]) -> Vec<Expr> {
    let mut tests = Vec::new();
    for literal in literals {
        let ScalarValue::List(list) = literal else { continue };
        if list.is_empty() || list.is_null(0) {
            continue;
        }
        tests.push(array_has_all(column.clone(), lit(literal.clone())));
        tests.push(array_has_any(column.clone(), lit(literal.clone())));
        let elements = list.value(0);
        let elements = (0..elements.len()).filter_map(|at| ScalarValue::try_from_array(&elements, at).ok());
        tests.extend(elements.map(|element| array_has(column.clone(), lit(element))));
    }
    tests
}

/// A number where it is small, and NULL where it is not.
pub(super) fn small(column: Expr, data_type: &DataType) -> Expr {
    let bound = |number: i64| {
        let number = ScalarValue::from(number).cast_to(data_type).or_else(|_| ScalarValue::try_from(data_type));
        lit(number.unwrap_or(ScalarValue::Null))
    };
    if !data_type.is_numeric() {
        return column;
    }
    let is_small = column.clone().between(bound(-SMALL), bound(SMALL));
    when(is_small, column.clone()).end().unwrap_or(column)
}

fn arithmetic(column: Expr, sign: Sign, data_type: &DataType, literals: &[ScalarValue]) -> Vec<Expr> {
    let is_small = |value: &&ScalarValue| {
        let number = value.cast_to(&DataType::Float64).ok().and_then(|number| match number {
            ScalarValue::Float64(number) => number,
            _ => None,
        });
        number.is_some_and(|number| number != 0.0 && number.abs() <= SMALL as f64)
    };
    let operand = small(column, data_type);
    literals.iter().filter(is_small).map(|value| binary_expr(operand.clone(), sign, lit(value.clone()))).collect()
}

fn casts(column: &Expr, data_type: &DataType) -> Vec<Expr> {
    let wider = match data_type {
        DataType::Date32 => {
            let near =
                column.clone().between(lit(ScalarValue::Date32(Some(-20_000))), lit(ScalarValue::Date32(Some(20_000))));
            let near = when(near, column.clone()).end().unwrap_or_else(|_| column.clone());
            return vec![cast(near, DataType::Timestamp(TimeUnit::Nanosecond, None))];
        }
        DataType::Decimal128(precision, scale) => vec![DataType::Decimal128((precision + 6).min(38), scale + 3)],
        _ => vec![DataType::Int32, DataType::Int64, DataType::Float64, DataType::Decimal128(38, 5), DataType::Utf8],
    };
    wider.into_iter().filter(|wider| wider != data_type).map(|wider| cast(column.clone(), wider)).collect()
}

fn is_negative_zero(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Float32(Some(value)) => *value == 0.0 && value.is_sign_negative(),
        ScalarValue::Float64(Some(value)) => *value == 0.0 && value.is_sign_negative(),
        _ => false,
    }
}

fn cases<'a>(column: &Expr, literals: impl Iterator<Item = &'a ScalarValue>) -> Vec<Expr> {
    let mut cases = Vec::new();
    for value in literals {
        let value = lit(value.clone());
        cases.push(when(column.clone().is_null(), value.clone()).otherwise(column.clone()));
        cases.push(when(column.clone().eq(value), column.clone()).end());
    }
    cases.push(when(column.clone().is_not_null(), column.clone()).end());
    cases.into_iter().filter_map(std::result::Result::ok).collect()
}
