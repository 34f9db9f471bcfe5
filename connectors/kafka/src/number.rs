//! Exact numbers from the text of JSON numbers.

/// Why a number does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberError {
    /// Digits after the last place would be lost.
    Inexact,
    /// Too large.
    Overflow,
}

/// The value of a JSON number in units of `10^-scale`, exactly: `1.50` at scale 2 is 150, `1e3` at scale 0 is 1000.
///
/// `text` is a number as RFC 8259 section 6 writes it; the caller has checked that.
pub(crate) fn exact(text: &str, scale: i32) -> Result<i128, NumberError> {
    if let Some(value) = short(text, scale) {
        return Ok(value);
    }
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        None => (text, 0_i64),
        // An exponent beyond 64 bits is as good as the largest one.
        Some((mantissa, exponent)) => {
            let limit = if exponent.starts_with('-') { i64::MIN / 4 } else { i64::MAX / 4 };
            (mantissa, exponent.parse().unwrap_or(limit).clamp(i64::MIN / 4, i64::MAX / 4))
        }
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let mut value = 0_i128;
    // Zeros are held back until a digit follows, so that those at the end only move the point.
    let mut zeros = 0_u32;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if digit == b'0' {
            zeros = zeros.saturating_add(1);
            continue;
        }
        value = times_power(value, zeros.saturating_add(1))?
            .checked_add(i128::from(digit.wrapping_sub(b'0')))
            .ok_or(NumberError::Overflow)?;
        zeros = 0;
    }
    if value == 0 {
        return Ok(0);
    }
    let places = i64::try_from(fraction.len()).map_err(|_| NumberError::Inexact)?;
    let shift = exponent - places + i64::from(scale) + i64::from(zeros);
    if shift < 0 {
        return Err(NumberError::Inexact);
    }
    let value = times_power(value, u32::try_from(shift).map_err(|_| NumberError::Overflow)?)?;
    Ok(if negative { -value } else { value })
}

/// The most bytes of digits and point that are at most 64 bits.
const SHORT_BYTES: usize = 19;

/// The same for numbers of a few digits that only need zeros behind them, which most are.
fn short(text: &str, scale: i32) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() > SHORT_BYTES {
        return None;
    }
    let (mut value, mut scale, mut is_fraction) = (0_u64, scale, false);
    for byte in digits.bytes() {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + u64::from(byte - b'0');
                scale -= i32::from(is_fraction);
            }
            b'.' => is_fraction = true,
            _ => return None,
        }
    }
    let value = times_power(value.into(), u32::try_from(scale).ok()?).ok()?;
    Some(if digits.len() < text.len() { -value } else { value })
}

/// Whether a text is a number as RFC 8259 section 6 writes it.
pub(crate) fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    digits(whole) && digits(fraction) && digits(exponent) && (whole == "0" || !whole.starts_with('0'))
}

fn times_power(value: i128, power: u32) -> Result<i128, NumberError> {
    if value == 0 {
        return Ok(0);
    }
    let factor = 10_i128.checked_pow(power).ok_or(NumberError::Overflow)?;
    value.checked_mul(factor).ok_or(NumberError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_however_they_are_written() {
        for (text, value) in
            [("0", 0), ("-0", 0), ("-0.0e99999999999999999999", 0), ("12", 12), ("-7", -7), ("1.0", 1), ("1e3", 1000)]
        {
            assert_eq!(exact(text, 0), Ok(value), "{text}");
        }
        for (text, value) in [("1500e-2", 15), ("0.00012E5", 12), ("100", 100), ("1010.10e2", 101_010), ("5e+1", 50)] {
            assert_eq!(exact(text, 0), Ok(value), "{text}");
        }
        // 2^53 + 1 has no exact double; reading through one would lose the last digit.
        assert_eq!(exact("9007199254740993.0", 0), Ok(9_007_199_254_740_993));
        assert_eq!(exact("99999999999999999999999999999999999999", 0), Ok(10_i128.pow(38) - 1));
    }

    #[test]
    fn texts_that_are_numbers() {
        for text in ["0", "-0", "12", "-1.50", "1e3", "1E+30", "0.1e-2"] {
            assert!(is_number(text), "{text}");
        }
        for text in ["", "-", "+1", "01", ".5", "1.", "1e", "1e1.5", " 1", "1 ", "0x1", "NaN", "1_000", "é"] {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn scales_move_the_point() {
        assert_eq!(exact("1.5", 2), Ok(150));
        assert_eq!(exact("-0.01", 2), Ok(-1));
        assert_eq!(exact("1700000000123", -3), Err(NumberError::Inexact));
        assert_eq!(exact("1700000000000", -3), Ok(1_700_000_000));
    }

    #[test]
    fn lost_digits_and_large_numbers_are_errors() {
        assert_eq!(exact("1.5", 0), Err(NumberError::Inexact));
        assert_eq!(exact("1.005", 2), Err(NumberError::Inexact));
        assert_eq!(exact("1e-400", 5), Err(NumberError::Inexact));
        assert_eq!(exact("1e-99999999999999999999", 5), Err(NumberError::Inexact));
        assert_eq!(exact("1e40", 0), Err(NumberError::Overflow));
        assert_eq!(exact("1e99999999999999999999", 0), Err(NumberError::Overflow));
        assert_eq!(exact(&"9".repeat(1000), 0), Err(NumberError::Overflow));
    }
}
