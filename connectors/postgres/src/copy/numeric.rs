//! The binary form of `numeric`: digits to the base 10,000.
//!
//! Source: PostgreSQL's `numeric.c`, `numeric_send` and `get_str_from_var`.

use super::column::ValueError;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const MINUS_INFINITY: u16 = 0xf000;

/// Decimal digits in one of PostgreSQL's.
pub(super) const DIGIT_WIDTH: i32 = 4;
/// The base of PostgreSQL's digits.
pub(super) const BASE: u16 = 10_000;

/// A number as it came over the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numeric<'a> {
    pub(super) negative: bool,
    /// The power of 10,000 by which the first digit counts.
    pub(super) weight: i32,
    /// Decimal digits to print after the point.
    pub(super) display_scale: u16,
    /// Digits, two bytes each, without zeros at either end.
    pub(super) digits: &'a [[u8; 2]],
}

/// A number, or what has no digits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parsed<'a> {
    Finite(Numeric<'a>),
    NotFinite(&'static str),
}

/// The parts of a finite number; `None` for everything else, which [`parse`] explains.
#[inline]
pub(super) fn finite(value: &[u8]) -> Option<Numeric<'_>> {
    let (&[c0, c1, w0, w1, s0, s1, d0, d1], digits) = value.split_first_chunk::<8>()?;
    let (digits, odd) = digits.as_chunks::<2>();
    if usize::from(u16::from_be_bytes([c0, c1])) != digits.len() || !odd.is_empty() {
        return None;
    }
    let negative = match u16::from_be_bytes([s0, s1]) {
        POSITIVE => false,
        NEGATIVE => true,
        _ => return None,
    };
    let weight = i32::from(i16::from_be_bytes([w0, w1]));
    Some(Numeric { negative, weight, display_scale: u16::from_be_bytes([d0, d1]), digits })
}

/// Splits a value into its parts.
pub(super) fn parse(value: &[u8]) -> Result<Parsed<'_>, ValueError> {
    if let Some(number) = finite(value) {
        return Ok(Parsed::Finite(number));
    }
    match value.first_chunk::<8>() {
        Some([_, _, _, _, s0, s1, _, _]) => match u16::from_be_bytes([*s0, *s1]) {
            NAN => Ok(Parsed::NotFinite("NaN")),
            INFINITY => Ok(Parsed::NotFinite("Infinity")),
            MINUS_INFINITY => Ok(Parsed::NotFinite("-Infinity")),
            _ => Err(malformed(value)),
        },
        None => Err(malformed(value)),
    }
}

#[cold]
fn malformed(value: &[u8]) -> ValueError {
    ValueError::new(format!("a numeric of {} bytes that cannot be understood", value.len()))
}

impl Numeric<'_> {
    /// One digit to the base 10,000, checked.
    #[inline]
    pub(super) fn digit(digit: [u8; 2]) -> Result<u16, ValueError> {
        let digit = u16::from_be_bytes(digit);
        if digit < BASE { Ok(digit) } else { Err(ValueError::new(format!("a numeric with the digit {digit}"))) }
    }

    /// The text that PostgreSQL prints.
    fn print(&self) -> Result<String, ValueError> {
        // The digit that counts by this power of 10,000; zero beyond either end.
        let digit = |power: i32| match usize::try_from(self.weight - power).ok().and_then(|at| self.digits.get(at)) {
            Some(digit) => Self::digit(*digit),
            None => Ok(0),
        };
        let mut text = String::new();
        if self.negative {
            text.push('-');
        }
        text.push_str(&digit(self.weight.max(0))?.to_string());
        for power in (0..self.weight.max(0)).rev() {
            text.push_str(&format!("{:04}", digit(power)?));
        }
        let scale = usize::from(self.display_scale);
        if scale > 0 {
            text.push('.');
            let end = text.len() + scale;
            let mut power = -1;
            while text.len() < end {
                text.push_str(&format!("{:04}", digit(power)?));
                power -= 1;
            }
            text.truncate(end);
        }
        Ok(text)
    }
}

/// The value as PostgreSQL prints it.
pub(super) fn text(value: &[u8]) -> Result<String, ValueError> {
    match parse(value)? {
        Parsed::Finite(number) => number.print(),
        Parsed::NotFinite(word) => Ok(word.to_owned()),
    }
}

/// The nearest float. PostgreSQL goes the same way, through the text.
pub(super) fn float8(value: &[u8]) -> Result<f64, ValueError> {
    match parse(value)? {
        Parsed::Finite(number) => {
            let text = number.print()?;
            match text.parse::<f64>() {
                Ok(float) if float.is_finite() => Ok(float),
                _ => Err(ValueError::new(format!("the numeric {}, which is too great for a double", short(&text)))),
            }
        }
        Parsed::NotFinite("Infinity") => Ok(f64::INFINITY),
        Parsed::NotFinite("-Infinity") => Ok(f64::NEG_INFINITY),
        Parsed::NotFinite(_) => Ok(f64::NAN),
    }
}

/// A text for a message: whole when it is short.
pub(super) fn short(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.get(..SHOWN) {
        Some(start) if text.len() > SHOWN => format!("{start}... ({} characters)", text.len()),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A value on the wire.
    pub(in crate::copy) fn wire(sign: u16, weight: i16, scale: u16, digits: &[u16]) -> Vec<u8> {
        let mut value = u16::try_from(digits.len()).unwrap().to_be_bytes().to_vec();
        value.extend(weight.to_be_bytes());
        value.extend(sign.to_be_bytes());
        value.extend(scale.to_be_bytes());
        value.extend(digits.iter().flat_map(|digit| digit.to_be_bytes()));
        value
    }

    #[test]
    fn numbers_print_as_postgresql_prints_them() {
        for (weight, scale, digits, expected) in [
            (0, 0, &[][..], "0"),
            (0, 3, &[][..], "0.000"),
            (0, 0, &[1][..], "1"),
            (0, 2, &[1, 5000][..], "1.50"),
            (-1, 4, &[5][..], "0.0005"),
            (-2, 9, &[1234, 5000][..], "0.000012345"),
            (1, 0, &[1][..], "10000"),
            (1, 1, &[12, 3, 4000][..], "120003.4"),
            (2, 0, &[1, 0, 7][..], "100000007"),
        ] {
            assert_eq!(text(&wire(POSITIVE, weight, scale, digits)).unwrap(), expected);
        }
        assert_eq!(text(&wire(NEGATIVE, 0, 1, &[1, 5000])).unwrap(), "-1.5");
        assert_eq!(text(&wire(NAN, 0, 0, &[])).unwrap(), "NaN");
        assert_eq!(text(&wire(MINUS_INFINITY, 0, 0, &[])).unwrap(), "-Infinity");
    }

    #[test]
    fn floats_are_the_nearest() {
        assert_eq!(float8(&wire(POSITIVE, -1, 1, &[1000])), Ok(0.1));
        assert_eq!(float8(&wire(INFINITY, 0, 0, &[])), Ok(f64::INFINITY));
        assert!(float8(&wire(NAN, 0, 0, &[])).unwrap().is_nan());
        // 1e400
        assert!(float8(&wire(POSITIVE, 100, 0, &[1])).unwrap_err().to_string().contains("too great"));
    }

    #[test]
    fn malformed_values_are_errors() {
        for value in [&[][..], &[0; 7], &wire(POSITIVE, 0, 0, &[1])[..9], &wire(0x1234, 0, 0, &[])] {
            assert!(parse(value).is_err(), "{value:?}");
        }
        assert!(text(&wire(POSITIVE, 0, 0, &[10_000])).is_err());
    }
}
