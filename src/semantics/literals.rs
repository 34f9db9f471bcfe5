//! Literals that do not fit the type which the planner gives them: numbers that no decimal holds, and times with more digits
//! than a timestamp has where it does not say. And those that it cannot read: times of day without seconds, and with colons
//! in an interval.

use datafusion::sql::sqlparser::ast::{CastKind, DataType, Expr, Statement, Value, ValueWithSpan};

use crate::syntax::{self, Rewriter};

use super::types::DIGITS as DIGITS_OF_SECOND;

/// The most digits of a decimal.
const DIGITS: i64 = 76;

/// Makes doubles of number literals such as `1e300`, which are beyond decimals: the planner would refuse them, even
/// beside a double. Those beyond doubles too are left alone. `TIMESTAMP '...'` and `TIME '...'` with more than six digits
/// after the second get nine. Timestamps to the minute get seconds, and times of day in intervals are written out. To be called on every statement before it is planned.
pub fn rewrite_literals(statement: &mut Statement) {
    syntax::rewrite(statement, &mut Literals);
}

struct Literals;

impl Rewriter for Literals {
    fn expr(&mut self, expr: &mut Expr) {
        match expr {
            Expr::TypedString(typed) if matches!(typed.data_type, DataType::Timestamp(..)) => {
                add_seconds(&mut typed.value)
            }
            Expr::Cast { expr, data_type: DataType::Timestamp(..), .. } => {
                if let Expr::Value(value) = expr.as_mut() {
                    add_seconds(value);
                }
            }
            Expr::Interval(interval) => {
                if let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) =
                    interval.value.as_mut()
                    && let Some(respelled) = without_colons(text)
                {
                    *text = respelled;
                }
            }
            _ => {}
        }
        if let Expr::TypedString(typed) = expr
            && let Value::SingleQuotedString(text) = &typed.value.value
            && digits_of_second(text) > DIGITS_OF_SECOND
            && let DataType::Timestamp(digits @ None, _) | DataType::Time(digits @ None, _) = &mut typed.data_type
        {
            *digits = Some(9);
        }
        if let Expr::Value(ValueWithSpan { value: Value::Number(number, _), span }) = expr {
            let number = number.replace('_', "");
            if is_beyond_decimals(&number) && is_double(&number) {
                let text = Value::SingleQuotedString(number).with_span(*span);
                *expr = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(Expr::Value(text)),
                    data_type: DataType::DoublePrecision,
                    array: false,
                    format: None,
                };
            }
        }
    }
}

fn add_seconds(value: &mut ValueWithSpan) {
    if let Value::SingleQuotedString(text) = &mut value.value
        && let Some(whole) = with_seconds(text)
    {
        *text = whole;
    }
}

/// A timestamp `2024-01-01 10:30`, with or without what stands behind it for a zone, with its seconds; `None` of another text.
pub(super) fn with_seconds(text: &str) -> Option<String> {
    let minutes_end = "2024-01-01 10:30".len();
    let (head, zone) = (text.get(..minutes_end)?, text.get(minutes_end..)?);
    let fits = head.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b' ' || byte == b'T',
        13 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    let is_zone = zone.is_empty() || zone.starts_with(['+', '-', 'Z', ' ']);
    (fits && is_zone).then(|| format!("{head}:00{zone}"))
}

/// An interval in which a time of day stands, such as `1 day 02:03:04.5`, with a unit behind each number: `1 day 2 hours 3 minutes
/// 4.5 seconds`. `None` where there is none (PostgreSQL's manual, 8.5.4).
fn without_colons(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (last, others) = words.split_last()?;
    let (sign, time) = match last.strip_prefix('-') {
        Some(time) => ("-", time),
        None => ("", last.strip_prefix('+').unwrap_or(last)),
    };
    let mut parts = time.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    if parts.next().is_some() || ![hours, minutes, whole, fraction].into_iter().all(is_number) {
        return None;
    }
    let time = format!("{sign}{hours} hours {sign}{minutes} minutes {sign}{seconds} seconds");
    Some(if others.is_empty() { time } else { format!("{} {time}", others.join(" ")) })
}

/// How many digits a timestamp or time has after the second, as it is written.
pub(super) fn digits_of_second(text: &str) -> u64 {
    let Some((_, fraction)) = text.rsplit_once('.') else { return 0 };
    fraction.bytes().take_while(u8::is_ascii_digit).count() as u64
}

/// Whether a literal with an exponent needs more digits than a decimal has, before or after the point.
fn is_beyond_decimals(number: &str) -> bool {
    let Some((mantissa, exponent)) = number.split_once(['e', 'E']) else {
        return false;
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}").trim_start_matches('0').len() as i64;
    match exponent.parse::<i64>() {
        Ok(exponent) => {
            let scale = (fraction.len() as i64).saturating_sub(exponent);
            digits.saturating_add(scale.saturating_neg().max(0)) > DIGITS || scale > DIGITS
        }
        Err(_) => true,
    }
}

/// Whether the nearest double is neither infinite nor, for a number that is not zero, zero.
fn is_double(number: &str) -> bool {
    let zero = number.split(['e', 'E']).next().is_some_and(|mantissa| mantissa.chars().all(|c| c == '0' || c == '.'));
    number.parse::<f64>().is_ok_and(|double| double.is_finite() && (double != 0.0 || zero))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn literals_get_a_type_that_holds_them() {
        for (sql, expected) in [
            ("SELECT 1e300", "SELECT CAST('1e300' AS DOUBLE PRECISION)"),
            ("SELECT -2.5E-100", "SELECT -CAST('2.5E-100' AS DOUBLE PRECISION)"),
            ("SELECT 1e75, 12e75", "SELECT 1e75, CAST('12e75' AS DOUBLE PRECISION)"),
            ("SELECT 1e-76, 1e-77", "SELECT 1e-76, CAST('1e-77' AS DOUBLE PRECISION)"),
            ("SELECT 1e400, 1e-400", "SELECT 1e400, 1e-400"),
            ("SELECT 1.5, 10, '1e300'", "SELECT 1.5, 10, '1e300'"),
            ("SELECT TIMESTAMP '2024-01-01 00:00:00.1234567'", "SELECT TIMESTAMP(9) '2024-01-01 00:00:00.1234567'"),
            ("SELECT TIME '00:00:00.123456789'", "SELECT TIME(9) '00:00:00.123456789'"),
            ("SELECT TIMESTAMP '2024-01-01 00:00:00.123456Z'", "SELECT TIMESTAMP '2024-01-01 00:00:00.123456Z'"),
            ("SELECT TIMESTAMP '2024-01-01 10:30'", "SELECT TIMESTAMP '2024-01-01 10:30:00'"),
            ("SELECT '2024-01-01T10:30+02'::TIMESTAMP", "SELECT '2024-01-01T10:30:00+02'::TIMESTAMP"),
            ("SELECT CAST('2024-01-01 10:3' AS TIMESTAMP)", "SELECT CAST('2024-01-01 10:3' AS TIMESTAMP)"),
            ("SELECT CAST('2024-01-01 10:30:15' AS TIMESTAMP)", "SELECT CAST('2024-01-01 10:30:15' AS TIMESTAMP)"),
            ("SELECT INTERVAL '1 day 02:03:04.5'", "SELECT INTERVAL '1 day 02 hours 03 minutes 04.5 seconds'"),
            ("SELECT INTERVAL '-10:30'", "SELECT INTERVAL '-10 hours -30 minutes -0 seconds'"),
            ("SELECT INTERVAL '1:2:3:4'", "SELECT INTERVAL '1:2:3:4'"),
            ("SELECT a FROM t WHERE b < 1e99", "SELECT a FROM t WHERE b < CAST('1e99' AS DOUBLE PRECISION)"),
        ] {
            let mut statements = Parser::parse_sql(&GenericDialect {}, sql).unwrap();
            rewrite_literals(&mut statements[0]);
            assert_eq!(statements[0].to_string(), expected);
        }
    }
}
