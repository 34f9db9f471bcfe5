//! The binary form of `numeric`: digits to the base 10,000. Source: PostgreSQL's `numeric.c`, `numeric_recv`.

use arrow::datatypes::i256;

use super::Unwritable;
use super::text::short;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const MINUS_INFINITY: u16 = 0xf000;

/// The base of PostgreSQL's digits.
const BASE: u64 = 10_000;
/// Decimal digits in one of PostgreSQL's.
const WIDTH: usize = 4;
/// PostgreSQL's limits on the digits before the point and behind it.
const WHOLE_MAX: usize = 131_072;
const SCALE_MAX: usize = 16_383;

/// A decimal of this many digits after the point. Most fit into 64 bits.
pub(super) fn put_decimal128(value: i128, scale: u16, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let magnitude = value.unsigned_abs();
    let padding = (WIDTH - usize::from(scale) % WIDTH) % WIDTH;
    let padded = u64::try_from(magnitude)
        .ok()
        .and_then(|magnitude| magnitude.checked_mul([1, 10, 100, 1_000].get(padding).copied().unwrap_or(1)));
    let Some(mut rest) = padded else {
        return put_digits(value < 0, magnitude.to_string().as_bytes(), usize::from(scale), out);
    };
    // 64 bits have at most 20 decimal digits.
    let mut digits = [0_u16; 5];
    let mut count = 0;
    for place in &mut digits {
        if rest == 0 {
            break;
        }
        *place = u16::try_from(rest % BASE).unwrap_or_default();
        rest /= BASE;
        count += 1;
    }
    let places = (usize::from(scale) + padding) / WIDTH;
    let used = digits.get(..count).unwrap_or_default();
    let zeros = used.iter().take_while(|digit| **digit == 0).count();
    let used = used.get(zeros..).unwrap_or_default().iter().rev().copied();
    let weight = i64::try_from(count).unwrap_or_default() - i64::try_from(places).unwrap_or_default() - 1;
    put_number(value < 0, weight, scale, count - zeros, used, out)
}

/// As [`put_decimal128`].
pub(super) fn put_decimal256(value: i256, scale: u16, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let text = value.to_string();
    let digits = text.strip_prefix('-').unwrap_or(&text);
    put_digits(value.is_negative(), digits.as_bytes(), usize::from(scale), out)
}

/// The number with the fewest digits that is read back as the float.
pub(super) fn put_float(value: f64, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    if value.is_nan() {
        return put_word(NAN, out);
    }
    if value.is_infinite() {
        return put_word(if value > 0.0 { INFINITY } else { MINUS_INFINITY }, out);
    }
    put_text(&format!("{value:e}"), out)
}

/// The number that a text is: digits, perhaps with a sign, a point and an exponent; or a word that PostgreSQL knows.
pub(super) fn put_text(text: &str, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let trimmed = text.trim();
    match trimmed.to_ascii_lowercase().as_str() {
        "nan" => return put_word(NAN, out),
        "infinity" | "inf" | "+infinity" | "+inf" => return put_word(INFINITY, out),
        "-infinity" | "-inf" => return put_word(MINUS_INFINITY, out),
        _ => {}
    }
    let no_number = || Unwritable::new(format!("the text '{}', which is no number", short(text)));
    let too_large = || Unwritable::new(format!("the number {}, which has too many digits for numeric", short(text)));
    let (negative, number) = match trimmed.split_at_checked(1) {
        Some(("-", rest)) => (true, rest),
        Some(("+", rest)) => (false, rest),
        _ => (false, trimmed),
    };
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let exponent: i64 = exponent.parse().map_err(|_| no_number())?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(no_number());
    }
    let scale =
        i64::try_from(fraction.len()).ok().and_then(|scale| scale.checked_sub(exponent)).ok_or_else(too_large)?;
    let missing = usize::try_from(scale.saturating_neg()).unwrap_or_default();
    if missing > WHOLE_MAX {
        return Err(too_large());
    }
    digits.extend(std::iter::repeat_n('0', missing));
    let scale = usize::try_from(scale.max(0)).map_err(|_| too_large())?;
    let significant = digits.trim_start_matches('0').len();
    if scale > SCALE_MAX || significant.saturating_sub(scale) > WHOLE_MAX {
        return Err(too_large());
    }
    put_digits(negative, digits.as_bytes(), scale, out)
}

/// A number of decimal digits, of which so many stand behind the point.
fn put_digits(negative: bool, digits: &[u8], scale: usize, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let whole = digits.len().saturating_sub(scale);
    let lead = (WIDTH - whole % WIDTH) % WIDTH;
    let tail = (WIDTH - scale % WIDTH) % WIDTH;
    let (before, behind) = digits.split_at_checked(whole).unwrap_or((digits, &[]));
    let zeros = |count: usize| std::iter::repeat_n(b'0', count);
    let aligned: Vec<u8> = zeros(lead)
        .chain(before.iter().copied())
        .chain(zeros(scale.saturating_sub(behind.len())))
        .chain(behind.iter().copied())
        .chain(zeros(tail))
        .collect();
    let groups: Vec<u16> = aligned
        .chunks(WIDTH)
        .map(|group| group.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
        .collect();
    let first = groups.iter().take_while(|group| **group == 0).count();
    let last = groups.iter().rposition(|group| *group != 0).map_or(first, |at| at + 1);
    let used = groups.get(first..last).unwrap_or_default();
    let places = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let weight = places((lead + whole) / WIDTH).saturating_sub(1).saturating_sub(places(first));
    let scale = u16::try_from(scale).map_err(|_| Unwritable::new("a number with too many digits for numeric"))?;
    put_number(negative, weight, scale, used.len(), used.iter().copied(), out)
}

/// Digits to the base 10,000, the first of which counts by this power of it.
fn put_number(
    negative: bool,
    weight: i64,
    scale: u16,
    count: usize,
    digits: impl Iterator<Item = u16>,
    out: &mut Vec<u8>,
) -> Result<(), Unwritable> {
    let too_large = || Unwritable::new("a number with too many digits for numeric");
    let weight = if count == 0 { 0 } else { i16::try_from(weight).map_err(|_| too_large())? };
    let sign = if negative && count > 0 { NEGATIVE } else { POSITIVE };
    out.extend_from_slice(&u16::try_from(count).map_err(|_| too_large())?.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
    out.extend(digits.flat_map(u16::to_be_bytes));
    Ok(())
}

/// What has no digits.
fn put_word(sign: u16, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    out.extend_from_slice(&[0, 0, 0, 0]);
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::AsArray;
    use arrow::datatypes::{Decimal128Type, Field, Schema};

    use super::super::HEADER;
    use super::*;
    use crate::copy::{CopyDecoder, Limits};
    use crate::types::Wire;

    /// Number of digits, weight, sign, scale, digits; as `numeric_send` would send them.
    fn wire(weight: i16, sign: u16, scale: u16, digits: &[u16]) -> Vec<u8> {
        let mut value = u16::try_from(digits.len()).unwrap().to_be_bytes().to_vec();
        value.extend(weight.to_be_bytes());
        value.extend(sign.to_be_bytes());
        value.extend(scale.to_be_bytes());
        value.extend(digits.iter().flat_map(|digit| digit.to_be_bytes()));
        value
    }

    fn decimal(value: i128, scale: u16) -> Vec<u8> {
        let mut out = Vec::new();
        put_decimal128(value, scale, &mut out).unwrap();
        // The way through texts says the same.
        let mut other = Vec::new();
        put_decimal256(i256::from_i128(value), scale, &mut other).unwrap();
        assert_eq!(out, other, "{value} with {scale} places");
        out
    }

    /// What the decoder reads.
    fn read(value: &[u8], scale: u16) -> i128 {
        let scale = i8::try_from(scale).unwrap();
        let wire = Wire::Decimal { precision: 38, scale };
        let schema = Arc::new(Schema::new(vec![Field::new("n", wire.data_type(), true)]));
        let mut decoder = CopyDecoder::new(schema, [&wire], Limits { rows: 1, bytes: usize::MAX });
        let length = i32::try_from(value.len()).unwrap();
        decoder.feed(&[HEADER, &[0, 1], &length.to_be_bytes(), value].concat()).unwrap();
        let rows = decoder.take().unwrap().unwrap();
        rows.column(0).as_primitive::<Decimal128Type>().value(0)
    }

    fn text(text: &str) -> Result<Vec<u8>, Unwritable> {
        let mut out = Vec::new();
        put_text(text, &mut out).map(|()| out)
    }

    #[test]
    fn decimals_have_digits_to_the_base_10000() {
        assert_eq!(decimal(0, 2), wire(0, POSITIVE, 2, &[]));
        assert_eq!(decimal(150, 2), wire(0, POSITIVE, 2, &[1, 5000]));
        assert_eq!(decimal(-150, 2), wire(0, NEGATIVE, 2, &[1, 5000]));
        assert_eq!(decimal(5, 4), wire(-1, POSITIVE, 4, &[5]));
        assert_eq!(decimal(12_345, 9), wire(-2, POSITIVE, 9, &[1234, 5000]));
        assert_eq!(decimal(10_000, 0), wire(1, POSITIVE, 0, &[1]));
        assert_eq!(decimal(1_200_034, 1), wire(1, POSITIVE, 1, &[12, 3, 4000]));
        assert_eq!(decimal(100_000_007, 0), wire(2, POSITIVE, 0, &[1, 0, 7]));
        let nines = [&[99][..], &[9999; 9]].concat();
        assert_eq!(decimal(10_i128.pow(38) - 1, 0), wire(9, POSITIVE, 0, &nines));
        // 0. and 38 nines: nine groups of four, and one of two.
        let nines = [&[9999; 9][..], &[9900]].concat();
        assert_eq!(decimal(1 - 10_i128.pow(38), 38), wire(-1, NEGATIVE, 38, &nines));
        assert_eq!(decimal(i128::from(u64::MAX), 3), {
            // 18446744073709551.615
            wire(4, POSITIVE, 3, &[1, 8446, 7440, 7370, 9551, 6150])
        });
    }

    proptest::proptest! {
        /// The short way and the one through texts say the same, which is what the decoder reads.
        #[test]
        fn decimals_of_any_size(value in proptest::prelude::any::<i128>(), shift in 0_u32..120, scale in 0_u16..=38) {
            let value = (value >> shift) % 10_i128.pow(38);
            proptest::prop_assert_eq!(read(&decimal(value, scale), scale), value);
        }
    }

    #[test]
    fn texts_are_numbers_or_refused() {
        assert_eq!(text("1.50").unwrap(), wire(0, POSITIVE, 2, &[1, 5000]));
        assert_eq!(text(" -0.00012 ").unwrap(), wire(-1, NEGATIVE, 5, &[1, 2000]));
        assert_eq!(text("1e30").unwrap(), wire(7, POSITIVE, 0, &[100]));
        assert_eq!(text("12.5e-3").unwrap(), wire(-1, POSITIVE, 4, &[125]));
        assert_eq!(text("+7").unwrap(), wire(0, POSITIVE, 0, &[7]));
        assert_eq!(text("NaN").unwrap(), wire(0, NAN, 0, &[]));
        assert_eq!(text("-Infinity").unwrap(), wire(0, MINUS_INFINITY, 0, &[]));
        for wrong in ["", "-", ".", "1.2.3", "abc", "1e", "0x10", "1 2", "é", "--1"] {
            assert!(text(wrong).unwrap_err().what.contains("no number"), "{wrong}");
        }
        for large in ["1e200000", "1e-20000", "1e9223372036854775807", "1e-9223372036854775808"] {
            assert!(text(large).unwrap_err().what.contains("too many digits"), "{large}");
        }
    }

    #[test]
    fn floats_are_written_with_as_few_digits_as_tell_them() {
        let float = |value: f64| {
            let mut out = Vec::new();
            put_float(value, &mut out).unwrap();
            out
        };
        assert_eq!(float(0.1), wire(-1, POSITIVE, 1, &[1000]));
        assert_eq!(float(-1234.5), wire(0, NEGATIVE, 1, &[1234, 5000]));
        assert_eq!(float(1e300), wire(75, POSITIVE, 0, &[1]));
        assert_eq!(float(f64::INFINITY), wire(0, INFINITY, 0, &[]));
        assert_eq!(float(f64::NAN), wire(0, NAN, 0, &[]));
    }
}
