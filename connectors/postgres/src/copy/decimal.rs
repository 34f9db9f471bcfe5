//! `numeric` into the engine's decimals, exactly or not at all.

use arrow::datatypes::i256;

use super::column::ValueError;
use super::numeric::{BASE, DIGIT_WIDTH, Numeric, Parsed, finite, parse, short, text};

const TEN: i128 = 10;

/// A power of ten; `None` beyond 128 bits.
fn power(exponent: i32) -> Option<i128> {
    TEN.checked_pow(u32::try_from(exponent).ok()?)
}

/// Digits to the base 10,000 that always fit into 64 bits.
const DIGITS_IN_64_BITS: usize = 4;

/// Decodes into decimals of up to 38 digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimals128 {
    precision: u8,
    scale: i8,
    /// The first number that has too many digits.
    limit: i128,
}

impl Decimals128 {
    /// `None` for more than 38 digits.
    pub(super) fn new(precision: u8, scale: i8) -> Option<Self> {
        power(i32::from(precision)).map(|limit| Self { precision, scale, limit })
    }

    #[inline]
    pub(super) fn decode(&self, value: &[u8]) -> Result<i128, ValueError> {
        match self.decode_small(value) {
            Some(decimal) => Ok(decimal),
            None => self.decode_any(value),
        }
    }

    /// The common case, in 64 bits: up to 16 decimal digits, and a scale near the last one. `None` for all other
    /// numbers, and for those that do not fit.
    #[inline]
    fn decode_small(&self, value: &[u8]) -> Option<i128> {
        let number = finite(value)?;
        let decimal = i128::from(small(number.digits, exponent(&number, self.scale))?);
        (decimal < self.limit).then_some(if number.negative { -decimal } else { decimal })
    }

    #[inline(never)]
    fn decode_any(&self, value: &[u8]) -> Result<i128, ValueError> {
        if let Parsed::Finite(number) = parse(value)?
            && let Some(decimal) = self.exact(&number)
            && decimal < self.limit
        {
            return Ok(if number.negative { -decimal } else { decimal });
        }
        Err(misfit(value, self.precision, self.scale))
    }

    /// The number without its sign, times ten to the power of the scale.
    fn exact(&self, number: &Numeric<'_>) -> Option<i128> {
        let Some((last, leading)) = number.digits.split_last() else { return Some(0) };
        let exponent = exponent(number, self.scale);
        let last = i128::from(Numeric::digit(*last).ok()?);
        let mut sum = 0_i128;
        for digit in leading {
            sum = sum.checked_mul(i128::from(BASE))?.checked_add(i128::from(Numeric::digit(*digit).ok()?))?;
        }
        match exponent {
            // The point cuts the last digit: what is behind it has to be zeros.
            -3..=-1 => {
                let cut = power(-exponent)?;
                if last % cut != 0 {
                    return None;
                }
                sum.checked_mul(i128::from(BASE) / cut)?.checked_add(last / cut)
            }
            0.. => {
                let number = sum.checked_mul(i128::from(BASE))?.checked_add(last)?;
                number.checked_mul(power(exponent)?)
            }
            _ => None,
        }
    }
}

/// Up to four digits, scaled by up to three decimal places either way; see [`Decimals128::decode_small`].
#[inline]
fn small(digits: &[[u8; 2]], exponent: i32) -> Option<u64> {
    if digits.len() > DIGITS_IN_64_BITS {
        return None;
    }
    let mut sum = 0_u64;
    for digit in digits {
        sum = sum * u64::from(BASE) + u64::from(Numeric::digit(*digit).ok()?);
    }
    match exponent {
        -3 => sum.is_multiple_of(1_000).then_some(sum / 1_000),
        -2 => sum.is_multiple_of(100).then_some(sum / 100),
        -1 => sum.is_multiple_of(10).then_some(sum / 10),
        0 => Some(sum),
        1 => Some(sum * 10),
        2 => Some(sum * 100),
        3 => Some(sum * 1_000),
        _ => None,
    }
}

/// Decodes into decimals of 39 to 76 digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimals256 {
    precision: u8,
    scale: i8,
    limit: i256,
}

impl Decimals256 {
    pub(super) fn new(precision: u8, scale: i8) -> Self {
        Self { precision, scale, limit: power_of_ten(i32::from(precision)).unwrap_or(i256::MAX) }
    }

    pub(super) fn decode(&self, value: &[u8]) -> Result<i256, ValueError> {
        if let Parsed::Finite(number) = parse(value)?
            && let Some(decimal) = self.exact(&number)
            && decimal < self.limit
        {
            return Ok(if number.negative { decimal.wrapping_neg() } else { decimal });
        }
        Err(misfit(value, self.precision, self.scale))
    }

    /// As [`Decimals128::exact`].
    fn exact(&self, number: &Numeric<'_>) -> Option<i256> {
        let Some((last, leading)) = number.digits.split_last() else { return Some(i256::ZERO) };
        let wide = |number: i128| i256::from_i128(number);
        let mut sum = i256::ZERO;
        for digit in leading {
            let digit = i128::from(Numeric::digit(*digit).ok()?);
            sum = sum.checked_mul(wide(i128::from(BASE)))?.checked_add(wide(digit))?;
        }
        let last = i128::from(Numeric::digit(*last).ok()?);
        let exponent = exponent(number, self.scale);
        match exponent {
            -3..=-1 => {
                let cut = power(-exponent)?;
                if last % cut != 0 {
                    return None;
                }
                sum.checked_mul(wide(i128::from(BASE) / cut))?.checked_add(wide(last / cut))
            }
            0.. => {
                let number = sum.checked_mul(wide(i128::from(BASE)))?.checked_add(wide(last))?;
                number.checked_mul(power_of_ten(exponent)?)
            }
            _ => None,
        }
    }
}

/// By which power of ten the last digit counts, in units of the scale.
#[inline]
fn exponent(number: &Numeric<'_>, scale: i8) -> i32 {
    let count = i32::try_from(number.digits.len()).unwrap_or(i32::MAX);
    i32::from(scale).saturating_add((number.weight + 1).saturating_sub(count).saturating_mul(DIGIT_WIDTH))
}

fn power_of_ten(exponent: i32) -> Option<i256> {
    i256::from_i128(TEN).checked_pow(u32::try_from(exponent).ok()?)
}

/// Explains why a value is not a decimal of this type.
#[cold]
fn misfit(value: &[u8], precision: u8, scale: i8) -> ValueError {
    match text(value) {
        Ok(text) => ValueError::new(format!("the numeric {}, which decimal({precision},{scale}) cannot hold", short(&text)))
            .hint("where the column is numeric without a precision, set numeric = \"decimal(PRECISION,SCALE)\", \"varchar\" or \"double\" in the catalog"),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::super::numeric::tests::wire;
    use super::*;

    const LIMIT: i128 = TEN.pow(38);
    const PLUS: u16 = 0;
    const MINUS: u16 = 0x4000;

    fn decode(precision: u8, scale: i8, value: &[u8]) -> Result<i128, ValueError> {
        let narrow = Decimals128::new(precision, scale).unwrap().decode(value);
        // Both decoders have to agree wherever both can speak.
        let wide = Decimals256::new(precision, scale).decode(value);
        assert_eq!(narrow.clone().map(i256::from_i128), wide);
        narrow
    }

    #[test]
    fn values_are_scaled() {
        assert_eq!(decode(12, 2, &wire(PLUS, 0, 0, &[])), Ok(0));
        assert_eq!(decode(12, 2, &wire(PLUS, 0, 2, &[12, 3400])), Ok(1234));
        assert_eq!(decode(12, 2, &wire(MINUS, 1, 2, &[1, 2345, 6700])), Ok(-1_234_567));
        assert_eq!(decode(12, 2, &wire(PLUS, 1, 0, &[1])), Ok(1_000_000));
        assert_eq!(decode(6, 6, &wire(PLUS, -1, 6, &[123, 4500])), Ok(12_345));
        assert_eq!(decode(16, 0, &wire(PLUS, 3, 0, &[1234, 5678, 9000])), Ok(1_234_567_890_000_000));
    }

    #[test]
    fn thirty_eight_digits_fit_whereever_the_point_is() {
        let nines = [99, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999];
        assert_eq!(decode(38, 0, &wire(PLUS, 9, 0, &nines)), Ok(LIMIT - 1));
        assert_eq!(decode(38, 0, &wire(MINUS, 9, 0, &nines)), Ok(1 - LIMIT));
        let fraction = [9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9900];
        assert_eq!(decode(38, 38, &wire(PLUS, -1, 38, &fraction)), Ok(LIMIT - 1));
        // 36 digits before the point and 2 behind it; 39 digits to the base 10,000's grid.
        let mixed = [9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9900];
        assert_eq!(decode(38, 2, &wire(PLUS, 8, 2, &mixed)), Ok(LIMIT - 1));
        assert!(decode(38, 0, &wire(PLUS, 9, 0, &[100])).is_err());
    }

    #[test]
    fn what_does_not_fit_exactly_is_an_error_with_the_value() {
        for (precision, scale, value, shown) in [
            (5, 2, wire(PLUS, 0, 2, &[1000]), "1000.00"),
            (5, 2, wire(PLUS, -1, 3, &[10]), "0.001"),
            (38, 16, wire(MINUS, -5, 17, &[1000]), "-0.00000000000000001"),
            (38, 16, wire(PLUS, 100, 0, &[1]), "1000000000"),
            (38, 0, wire(PLUS, 20, 0, &[1, 1]), "1000100000000"),
            (38, 16, wire(0xc000, 0, 0, &[]), "NaN"),
            (38, 16, wire(0xd000, 0, 0, &[]), "Infinity"),
        ] {
            let error = decode(precision, scale, &value).unwrap_err();
            assert!(error.to_string().contains(shown), "{error}");
        }
    }

    #[test]
    fn seventy_six_digits_fit() {
        let nines = [9999; 19];
        let largest = power_of_ten(76).unwrap().wrapping_sub(i256::ONE);
        assert_eq!(Decimals256::new(76, 0).decode(&wire(PLUS, 18, 0, &nines)), Ok(largest));
        assert_eq!(Decimals256::new(76, 76).decode(&wire(PLUS, -1, 76, &nines)), Ok(largest));
        assert_eq!(Decimals256::new(76, 1).decode(&wire(MINUS, -1, 1, &[5000])), Ok(i256::from_i128(-5)));
        assert!(Decimals256::new(76, 0).decode(&wire(PLUS, 19, 0, &[1])).is_err());
    }
}
