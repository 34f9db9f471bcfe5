//! The fields of JSON objects whose values are no objects, arrays or texts with escapes, as most messages are: found without
//! looking at a byte twice.
//!
//! What is taken here is JSON as RFC 8259 writes it. Everything else, errors among it, is left to a whole reader.

/// The fields of an object, one after the other. `None` of any of its functions says that the text is no such object.
pub(crate) struct Fields<'m> {
    scanner: Scanner<'m>,
    is_first: bool,
}

/// The name of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name<'m> {
    /// That which was expected.
    Expected,
    /// Another one.
    Other(&'m str),
}

impl<'m> Fields<'m> {
    /// The fields of a text.
    pub(crate) fn open(text: &'m str) -> Option<Self> {
        let mut scanner = Scanner { text, at: 0 };
        scanner.skip_space();
        scanner.take(b'{')?;
        Some(Self { scanner, is_first: true })
    }

    /// The name of the next field, behind the value of the one before; `Some(None)` where the object and the text end.
    #[inline]
    pub(crate) fn name(&mut self, expected: Option<&Quoted>) -> Option<Option<Name<'m>>> {
        let scanner = &mut self.scanner;
        scanner.skip_space();
        if scanner.take(b'}').is_some() {
            scanner.skip_space();
            return (scanner.at == scanner.text.len()).then_some(None);
        }
        if !std::mem::take(&mut self.is_first) {
            scanner.take(b',')?;
            scanner.skip_space();
        }
        let name = match expected {
            Some(expected) if scanner.take_name(expected) => Name::Expected,
            _ => {
                let name = scanner.string()?;
                Name::Other(name.get(1..name.len() - 1)?)
            }
        };
        scanner.skip_space();
        scanner.take(b':')?;
        scanner.skip_space();
        Some(Some(name))
    }

    /// The text of the value behind a name.
    #[inline]
    pub(crate) fn value(&mut self) -> Option<&'m str> {
        self.scanner.value()
    }
}

/// A name with its quotes, to compare with.
#[derive(Clone, Debug)]
pub(crate) struct Quoted {
    text: Box<[u8]>,
    /// Its first bytes, and which bits of eight those are: most names have no more.
    head: u64,
    mask: u64,
}

impl Quoted {
    /// `None` if JSON does not write the name as it is.
    pub(crate) fn new(name: &str) -> Option<Self> {
        if name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
            return None;
        }
        let text = format!("\"{name}\"").into_bytes();
        let (mut head, mut mask) = ([0; 8], [0; 8]);
        for ((byte, head), mask) in text.iter().zip(&mut head).zip(&mut mask) {
            (*head, *mask) = (*byte, u8::MAX);
        }
        Some(Self { text: text.into(), head: u64::from_le_bytes(head), mask: u64::from_le_bytes(mask) })
    }

    /// Whether a text begins with it.
    #[inline]
    fn begins(&self, text: &[u8]) -> bool {
        let Some((head, rest)) = text.split_first_chunk::<8>() else { return text.starts_with(&self.text) };
        if (u64::from_le_bytes(*head) ^ self.head) & self.mask != 0 {
            return false;
        }
        self.text.get(8..).is_none_or(|tail| rest.starts_with(tail))
    }
}

struct Scanner<'m> {
    text: &'m str,
    at: usize,
}

impl<'m> Scanner<'m> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    #[inline]
    fn skip_space(&mut self) {
        // Most that is no space is above all of them.
        while let Some(byte) = self.peek()
            && byte <= b' '
            && matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
        {
            self.at += 1;
        }
    }

    /// Takes a text with its quotes, if it is this one.
    #[inline]
    fn take_name(&mut self, name: &Quoted) -> bool {
        let is_next = name.begins(self.text.as_bytes().get(self.at..).unwrap_or_default());
        if is_next {
            self.at += name.text.len();
        }
        is_next
    }

    /// A text with its quotes, that has nothing to be replaced.
    #[inline]
    fn string(&mut self) -> Option<&'m str> {
        let start = self.at;
        self.take(b'"')?;
        let rest = self.text.as_bytes().get(self.at..)?;
        let length = end_of_plain(rest)?;
        self.at += length;
        self.take(b'"')?;
        self.text.get(start..self.at)
    }

    #[inline]
    fn value(&mut self) -> Option<&'m str> {
        match self.peek()? {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => None,
        }
    }

    fn word(&mut self, word: &'static str) -> Option<&'m str> {
        let text = self.text.get(self.at..self.at + word.len())?;
        (text == word).then(|| self.at += word.len())?;
        Some(text)
    }

    #[inline]
    fn number(&mut self) -> Option<&'m str> {
        let start = self.at;
        let _ = self.take(b'-');
        // A zero is followed by no other digit.
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.text.get(start..self.at)
    }

    /// One digit at least.
    #[inline]
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// How many bytes come before a quote, a backslash or a control character. Eight are looked at in one step.
#[inline]
fn end_of_plain(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    // The high bit of each byte of the word that is less than `limit`, which is 0x80 at most. Bytes behind the first such one
    // may have it wrongly.
    let less = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    let (words, rest) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = less(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = less(word ^ (ONES * u64::from(b'\\')), 1);
        let found = quote | backslash | less(word, 0x20);
        if found != 0 {
            return Some(place * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let found = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))?;
    Some(words.len() * 8 + found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

    use serde_json::value::RawValue;

    use super::*;

    fn found(text: &str) -> Option<Vec<(&str, &str)>> {
        let all = found_among(text, &[]);
        // What is expected changes nothing, whether it is right or not.
        let names: Vec<&str> = all.iter().flatten().map(|(name, _)| *name).collect();
        assert_eq!(found_among(text, &names), all, "{text}");
        assert_eq!(found_among(text, &["a", "", "é", "a", "a", "a"]), all, "{text}");
        all
    }

    fn found_among<'m>(text: &'m str, expected: &[&'m str]) -> Option<Vec<(&'m str, &'m str)>> {
        let (mut fields, mut all) = (Fields::open(text)?, Vec::new());
        loop {
            let expected = expected.get(all.len()).copied();
            let quoted = expected.and_then(Quoted::new);
            let name = match fields.name(quoted.as_ref())? {
                None => return Some(all),
                Some(Name::Expected) => expected.unwrap(),
                Some(Name::Other(name)) => name,
            };
            all.push((name, fields.value()?));
        }
    }

    #[test]
    fn names_are_expected_as_json_writes_them() {
        for name in ["", "a", "é x", "\u{7f}", "\"", "a\\", "\n", "\0"] {
            let written = serde_json::to_string(name).unwrap();
            assert_eq!(Quoted::new(name).is_some(), written == format!("\"{name}\""), "{name:?}");
        }
    }

    #[test]
    fn names_are_compared_whole() {
        for length in 0..20 {
            let name = "abcdefghijklmnopqrst".get(..length).unwrap();
            let (quoted, written) = (Quoted::new(name).unwrap(), format!("\"{name}\""));
            for behind in ["", ":", ":1}", "::::::::::::::::"] {
                assert!(quoted.begins(format!("{written}{behind}").as_bytes()), "{name} before {behind}");
            }
            for place in 0..written.len() {
                let mut other = written.clone().into_bytes();
                assert!(!quoted.begins(other.get(..place).unwrap()), "{name} to {place}");
                *other.get_mut(place).unwrap() ^= 0x20;
                assert!(!quoted.begins(&other), "{name} at {place}");
                other.extend(*b":1, \"b\":2}");
                assert!(!quoted.begins(&other), "{name} at {place}");
            }
        }
    }

    #[test]
    fn texts_end_where_they_end() {
        for byte in 0..=u8::MAX {
            let ends = matches!(byte, b'"' | b'\\' | 0..=0x1f);
            for place in 0..20 {
                // What is before it looks like an end in one bit, and what is behind it is one.
                let mut bytes = [b'"' + 1, 0x20, 0x7f, 0x80, 0xff, b'\\' + 1, 0xa2, 0xdc].repeat(3);
                bytes.truncate(place);
                bytes.push(byte);
                assert_eq!(end_of_plain(&bytes), ends.then_some(place), "{byte} at {place}");
                bytes.extend([b'x'; 3]);
                bytes.push(b'"');
                assert_eq!(end_of_plain(&bytes), Some(if ends { place } else { place + 4 }), "{byte} at {place}");
            }
        }
        assert_eq!(end_of_plain(b""), None);
    }

    #[test]
    fn flat_objects_are_taken() {
        assert_eq!(found("{}"), Some(vec![]));
        assert_eq!(found(" { } \n"), Some(vec![]));
        assert_eq!(
            found("{\"a\":1,\"b\" :\t\"x,}\" , \"é\":-0.5e+3,\"\":null,\"a\":true, \"f\":false}\r\n"),
            Some(vec![("a", "1"), ("b", "\"x,}\""), ("é", "-0.5e+3"), ("", "null"), ("a", "true"), ("f", "false")])
        );
    }

    #[test]
    fn everything_else_is_left_to_a_whole_reader() {
        for text in [
            "",
            "1",
            "[]",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{,}",
            "{\"a\" 1}",
            "{\"a\":1 2}",
            "{\"a\":1}}",
            "{\"a\":1}{",
            "{\"a\":01}",
            "{\"a\":-}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":1e}",
            "{\"a\":+1}",
            "{\"a\":nul}",
            "{\"a\":nulL}",
            "{\"a\":truex}",
            "{\"a\":\"x\ny\"}",
            "{\"a\":\"x\\n\"}",
            "{\"\\u0061\":1}",
            "{\"a\":{}}",
            "{\"a\":[]}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":\"x}",
            "{\"a\":NaN}",
            "\u{feff}{}",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    /// All texts of some length of an alphabet, as far as time allows: what is taken is what a whole reader finds.
    #[test]
    fn what_is_taken_is_json() {
        const PARTS: &[&str] = &[
            "{", "}", "\"a\"", "\"é\"", ":", ",", "0", "1", "-", ".", "e", "+", "true", "null", " ", "\"", "[", "\\",
            "\n",
        ];
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % u64::try_from(below).unwrap_or(1)).unwrap_or(0)
        };
        let mut taken = 0;
        for _ in 0..200_000 {
            // An object that is changed in some places.
            let mut parts = vec!["{", "\"a\"", ":", "-", "1", ".", "0", ",", "\"é\"", ":", "\"a\"", "}"];
            for _ in 0..next(4) {
                let (place, part) = (next(parts.len()), PARTS.get(next(PARTS.len())).copied().unwrap_or_default());
                match next(3) {
                    0 => parts.insert(place, part),
                    1 => drop(parts.remove(place)),
                    _ => parts.splice(place..=place, [part]).for_each(drop),
                }
            }
            let text = parts.concat();
            if let Some(found) = found(&text) {
                taken += 1;
                let whole: std::collections::BTreeMap<String, Box<RawValue>> =
                    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                for (name, value) in &whole {
                    let last = found.iter().rev().find(|(found, _)| found == name);
                    assert_eq!(last.map(|(_, value)| *value), Some(value.get()), "{text}");
                }
                assert!(found.iter().all(|(name, _)| whole.contains_key(*name)), "{text}");
            }
        }
        assert!(taken > 20_000, "{taken}");
    }
}
