//! Amounts with a unit, as people write them.

use std::time::Duration;

/// Units and how many bytes they have: decimal ones by the SI, binary ones by IEC 80000-13.
const BYTES: [(&str, u64); 9] = [
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

/// Units and how many seconds they have.
const SECONDS: [(&str, f64); 6] =
    [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("min", 60.0), ("h", 3_600.0), ("d", 86_400.0)];

/// The longest duration, in seconds: a hundred years.
const SECONDS_MAX: f64 = 100.0 * 365.0 * 86_400.0;

/// Reads `512MB`, `2 GiB`, `1.5GiB` or a plain number of bytes. The error is a message for the person.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = parts(text).ok_or("write a number and a unit, such as 512MB or 2GiB")?;
    let bytes = match BYTES.iter().find(|(name, _)| *name == unit) {
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
    Ok(total as usize)
}

/// Reads `500ms`, `30s`, `5m` or `1.5h`. The error is a message for the person.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = parts(text).ok_or("write a number and a unit, such as 30s or 5m")?;
    let Some((_, seconds)) = SECONDS.iter().find(|(name, _)| *name == unit) else {
        return Err(match unit.as_str() {
            "" => format!("write a unit behind {number}: ms, s, m, h or d"),
            _ => format!("\"{unit}\" is not a unit: it is one of ms, s, m, h, d"),
        });
    };
    let total = number * seconds;
    if !(1e-3..=SECONDS_MAX).contains(&total) {
        return Err("the time must be at least 1ms and at most 36500d".to_owned());
    }
    Ok(Duration::from_secs_f64(total))
}

/// The number, and the unit in lower case.
fn parts(text: &str) -> Option<(f64, String)> {
    let text = text.trim();
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim().to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory() {
        for (text, expected) in
            [("512MB", 512_000_000), ("2GiB", 2 << 30), ("1.5 kib", 1536), ("1024", 1024), ("10 B", 10)]
        {
            assert_eq!(parse_bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "GB", "0", "-1GB", "1XB", "2G", "1e400GB", "9000TiB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        assert_eq!(parse_bytes("2g").unwrap_err(), "G is ambiguous: write 2GB or 2GiB");
    }

    #[test]
    fn durations() {
        for (text, expected) in [("500ms", 500), ("30s", 30_000), ("5 m", 300_000), ("1.5h", 5_400_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(expected)), "{text}");
        }
        for text in ["", "s", "0s", "-1s", "5", "5 weeks", "1e9d", "40000d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert_eq!(parse_duration("5").unwrap_err(), "write a unit behind 5: ms, s, m, h or d");
    }
}
