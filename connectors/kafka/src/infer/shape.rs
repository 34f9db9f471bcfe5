//! What the values of a field in a sample have in common, and the type that holds them all without loss.

use crate::cell::Kind;
use crate::types::ValueType;

/// The most digits of a decimal.
const MAX_DIGITS: u8 = 38;

/// A double written out has no more digits than these (767), so that a longer text is none.
const MAX_DOUBLE_DIGITS: usize = 800;

/// What the values of a field have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Null,
    Boolean,
    Number(Numbers),
    Text,
    Nested,
    Mixed,
}

/// What numbers have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Whether all are written without a point and an exponent: `1.0` is how a double that happens to be whole is written.
    whole: bool,
    /// Whether all are whole numbers of 64 bits.
    bigint: bool,
    /// Whether a double says of each what its text says.
    double: bool,
    /// The most digits before the point, and behind it.
    before: usize,
    behind: usize,
}

impl Shape {
    /// The shape of one value; the text is JSON.
    pub(super) fn of(raw: &str) -> Self {
        match Kind::of(raw) {
            Kind::Null => Self::Null,
            Kind::Boolean => Self::Boolean,
            Kind::Text => Self::Text,
            Kind::Array | Kind::Object => Self::Nested,
            Kind::Number => Numbers::of(raw).map_or(Self::Mixed, Self::Number),
        }
    }

    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (one, two) if one == two => one,
            (Self::Null, shape) | (shape, Self::Null) => shape,
            (Self::Number(one), Self::Number(two)) => Self::Number(one.join(two)),
            _ => Self::Mixed,
        }
    }

    pub(super) fn value_type(self) -> ValueType {
        match self {
            Self::Boolean => ValueType::Boolean,
            Self::Number(numbers) => numbers.value_type(),
            Self::Nested => ValueType::Json,
            Self::Null | Self::Text | Self::Mixed => ValueType::Varchar,
        }
    }
}

impl Numbers {
    /// One number; `None` if its exponent is beyond all bounds.
    fn of(raw: &str) -> Option<Self> {
        let written = Written::of(raw)?;
        let whole = !raw.contains(['.', 'e', 'E']);
        let (digits, power) = (i64::try_from(written.digits.len()).ok()?, written.power);
        Some(Self {
            whole,
            bigint: whole && raw.parse::<i64>().is_ok(),
            double: says(raw, &written, whole),
            before: usize::try_from(digits.saturating_add(power)).unwrap_or(0),
            behind: usize::try_from(power.saturating_neg()).unwrap_or(0),
        })
    }

    fn join(self, other: Self) -> Self {
        Self {
            whole: self.whole && other.whole,
            bigint: self.bigint && other.bigint,
            double: self.double && other.double,
            before: self.before.max(other.before),
            behind: self.behind.max(other.behind),
        }
    }

    /// The narrowest type that loses nothing; a text, where there is none.
    fn value_type(self) -> ValueType {
        let scale = u8::try_from(self.behind).ok();
        let scale = scale.filter(|_| self.before.saturating_add(self.behind) <= usize::from(MAX_DIGITS));
        match scale {
            _ if self.bigint => ValueType::BigInt,
            Some(scale) if self.whole || !self.double => ValueType::Decimal { precision: MAX_DIGITS, scale },
            _ if self.double => ValueType::Double,
            _ => ValueType::Varchar,
        }
    }
}

/// A number's value, `digits * 10^power`, without zeros at either end of the digits. Zero has none.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    negative: bool,
    digits: String,
    power: i64,
}

impl Written {
    fn of(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i64 = exponent.parse().ok()?;
        let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (before, behind) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all = format!("{before}{behind}");
        let digits = all.trim_end_matches('0');
        let dropped = all.len().checked_sub(digits.len()).and_then(|count| i64::try_from(count).ok())?;
        let power = exponent.checked_sub(i64::try_from(behind.len()).ok()?)?.checked_add(dropped)?;
        let digits = digits.trim_start_matches('0').to_owned();
        let negative = mantissa.starts_with('-') && !digits.is_empty();
        let power = if digits.is_empty() { 0 } else { power };
        Some(Self { negative, digits, power })
    }
}

/// The most digits that every double keeps.
const KEPT_DIGITS: usize = 15;

/// Whether a double says of a number what its text says; the text is JSON.
pub(crate) fn is_double(raw: &str) -> bool {
    let whole = !raw.contains(['.', 'e', 'E']);
    if raw.len() <= KEPT_DIGITS && !raw.contains(['e', 'E']) {
        return true;
    }
    Written::of(raw).is_some_and(|written| says(raw, &written, whole))
}

/// Whether a double says what a number's text says. A whole number must be a double exactly. One with a point or an
/// exponent, hardly any of which is one, must be how its nearest double is written with so many digits.
fn says(raw: &str, written: &Written, whole: bool) -> bool {
    let Some(nearest) = raw.parse::<f64>().ok().filter(|nearest| nearest.is_finite()) else { return false };
    let digits = written.digits.len();
    if digits > MAX_DOUBLE_DIGITS {
        return false;
    }
    let told = if whole { format!("{nearest:.0}") } else { format!("{nearest:.*e}", digits.saturating_sub(1)) };
    Written::of(&told).as_ref() == Some(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[&str]) -> String {
        let all = numbers.iter().map(|raw| Shape::of(raw)).reduce(Shape::join).unwrap();
        all.value_type().to_string()
    }

    #[test]
    fn numbers_become_a_type_that_loses_no_digit() {
        for (numbers, value_type) in [
            (&["1", "-9223372036854775808"][..], "bigint"),
            (&["1", "9223372036854775808"], "decimal(38,0)"),
            (&["99999999999999999999999999999999999999"], "decimal(38,0)"),
            (&["1", "1.5"], "double"),
            (&["1.0"], "double"),
            (&["0", "-0", "0.0", "1e2", "2E-3"], "double"),
            // 2^53 is a double, and the next whole number is none.
            (&["9007199254740992", "1.5"], "double"),
            (&["9007199254740993", "1.5"], "decimal(38,1)"),
            (&["1.25", "-9007199254740993", "1e3"], "decimal(38,2)"),
            (&["9007199254740993", "1e30"], "decimal(38,0)"),
            // With so many digits the nearest double is another number.
            (&["9007199254740993.5"], "decimal(38,1)"),
            (&["0.1234567890123456789"], "decimal(38,19)"),
            // How doubles are written with 17 digits, with the fewest, and with all of them.
            (&["0.10000000000000001", "0.30000000000000004"], "double"),
            (&["5e-324", "1.7976931348623157e308", "8.533e-68"], "double"),
            (&["0.1000000000000000055511151231257827021181583404541015625"], "double"),
            // Neither a double nor a decimal holds them.
            (&["9007199254740993", "1e-30"], "varchar"),
            (&["1e999"], "varchar"),
            (&["1e99999999999999999999"], "varchar"),
            (&["999999999999999999999999999999999999999"], "varchar"),
            // A power of two that is larger than all decimals.
            (&["340282366920938463463374607431768211456"], "double"),
        ] {
            assert_eq!(of(numbers), value_type, "{numbers:?}");
        }
    }
}
