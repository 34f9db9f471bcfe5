//! Amounts of memory as people write them.

use std::str::FromStr;

/// Units and how many bytes they have: decimal ones by the SI, binary ones by IEC 80000-13.
const UNITS: [(&str, u64); 9] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// An amount of memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) usize);

impl FromStr for Bytes {
    type Err = String;

    /// Reads `512MB`, `2 GiB`, `1.5GiB` or a plain number of bytes.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = unit.trim().to_lowercase();
        let number: f64 = number.parse().map_err(|_| "write a number and a unit, such as 512MB or 2GiB".to_owned())?;
        let bytes = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, bytes)) => *bytes,
            None if unit.is_empty() => 1,
            None if matches!(unit.as_str(), "k" | "m" | "g" | "t") => {
                let letter = unit.to_uppercase();
                return Err(format!("{letter} is ambiguous: write {number}{letter}B or {number}{letter}iB"));
            }
            None => {
                return Err(format!("\"{unit}\" is not a unit: it is one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB"));
            }
        };
        let total = number * bytes as f64;
        // Every whole number of bytes below this is exact in a double.
        if !(1.0..9_007_199_254_740_992.0).contains(&total) {
            return Err("the amount must be at least one byte and below 8 PiB".to_owned());
        }
        Ok(Self(total as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        for (text, expected) in [
            ("512MB", 512_000_000),
            ("2GiB", 2 << 30),
            ("1.5 kib", 1_536),
            ("1000", 1_000),
            ("7b", 7),
            ("3TB", 3_000_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_amount() {
        for text in ["", "MB", "2G", "-1MB", "1.2.3MB", "0", "99999999TB", "5 potatoes"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
}
