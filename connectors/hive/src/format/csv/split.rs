//! From bytes to records and their values.
//!
//! A record ends with a line feed, or a carriage return and a line feed, outside of quotes. Bytes come in pieces that
//! may end anywhere.

use memchr::{memchr_iter, memchr2, memchr3};

use super::CsvFormat;
use crate::format::fault::Fault;
use crate::format::records::LONGEST_RECORD_BYTES;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first byte of a value.
    Start,
    Plain,
    PlainEscape,
    Quoted,
    QuotedEscape,
    /// After a quote within quotes: the end, or the first of two.
    QuoteEnd,
    /// After the carriage return that follows a quote.
    QuoteEndReturn,
}

/// Where a value ends, and whether it is NULL.
#[derive(Clone, Copy, Debug)]
struct Value {
    end: usize,
    null: bool,
    quoted: bool,
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    data: &'a [u8],
    values: &'a [Value],
}

impl<'a> Record<'a> {
    /// How many values it has.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is nothing between the ends of two lines.
    pub(super) fn is_empty_line(&self) -> bool {
        self.data.is_empty() && matches!(self.values, [Value { quoted: false, .. }])
    }

    /// The bytes of a value, NULL or not; `None` where the record has no such value.
    pub(super) fn bytes(&self, place: usize) -> Option<&'a [u8]> {
        let end = self.values.get(place)?.end;
        let start = match place.checked_sub(1) {
            Some(before) => self.values.get(before)?.end,
            None => 0,
        };
        self.data.get(start..end)
    }

    /// The bytes of a value; `None` for NULL, and where the record has no such value.
    pub(super) fn value(&self, place: usize) -> Option<&'a [u8]> {
        if self.values.get(place)?.null { None } else { self.bytes(place) }
    }
}

/// Splits the bytes of one file.
pub(super) struct Splitter {
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    null_marker: Vec<u8>,
    open_csv: bool,
    state: State,
    /// The values of the record so far, without quotes and escapes.
    data: Vec<u8>,
    values: Vec<Value>,
    /// Where the current value begins in `data`.
    start: usize,
    /// The current value as it is written, where an escape makes that differ.
    raw: Option<Vec<u8>>,
    /// Up to here `data` was escaped: a carriage return before it is no end of a line.
    escaped: usize,
    quoted: bool,
    /// The current line, and that on which the record began.
    line: u64,
    record_line: u64,
    /// The first bytes of the file, until it is known whether they are a byte order mark.
    mark: Option<Vec<u8>>,
}

impl Splitter {
    pub(super) fn new(format: &CsvFormat) -> Self {
        Self {
            delimiter: format.delimiter,
            quote: format.quote,
            escape: format.escape.filter(|escape| Some(*escape) != format.quote),
            null_marker: format.null_marker.clone().into_bytes(),
            open_csv: format.open_csv,
            state: State::Start,
            data: Vec::new(),
            values: Vec::new(),
            start: 0,
            raw: None,
            escaped: 0,
            quoted: false,
            line: 1,
            record_line: 1,
            mark: Some(Vec::new()),
        }
    }

    /// Hands each whole record to `take`, until that returns false. Returns how many bytes were used.
    pub(super) fn split(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(Record<'_>) -> Result<bool, Fault>,
    ) -> Result<usize, Fault> {
        let mut at = self.skip_mark(bytes);
        if let Some(early) = self.mark.take_if(|_| at < bytes.len()) {
            // They were no mark after all.
            self.run(&early, take)?;
        }
        while at < bytes.len() {
            let (used, more) = self.run(bytes.get(at..).unwrap_or_default(), take)?;
            at += used;
            if !more {
                break;
            }
        }
        Ok(at)
    }

    /// The file has ended: what is left is the last record.
    pub(super) fn finish(&mut self, take: &mut impl FnMut(Record<'_>) -> Result<bool, Fault>) -> Result<(), Fault> {
        if let Some(early) = self.mark.take() {
            self.run(&early, take)?;
        }
        match self.state {
            State::Quoted | State::QuotedEscape => {
                return Err(Fault::new("a quote that is opened in the row is never closed")
                    .at(self.record_line)
                    .hint("check `quote` and `escape` in the table's section of the catalog file"));
            }
            State::PlainEscape => self.data.extend(self.escape),
            State::Start if self.values.is_empty() => return Ok(()),
            _ => {}
        }
        self.end_value();
        self.end_record(take)?;
        Ok(())
    }

    /// How many of the first bytes are a byte order mark, which is no part of the first value.
    fn skip_mark(&mut self, bytes: &[u8]) -> usize {
        let Some(early) = &mut self.mark else { return 0 };
        let mut used = 0;
        for byte in bytes {
            if BYTE_ORDER_MARK.get(early.len()) != Some(byte) {
                return used;
            }
            early.push(*byte);
            used += 1;
            if early.len() == BYTE_ORDER_MARK.len() {
                self.mark = None;
                return used;
            }
        }
        used
    }

    /// Goes on to the end of a record, or of the bytes. Returns how many bytes were used, and whether to go on.
    fn run(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(Record<'_>) -> Result<bool, Fault>,
    ) -> Result<(usize, bool), Fault> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            let rest = bytes.get(at..).unwrap_or_default();
            match self.state {
                State::Start if self.quote == Some(byte) => {
                    self.quoted = true;
                    self.state = State::Quoted;
                    at += 1;
                }
                State::Start | State::Plain => {
                    self.state = State::Plain;
                    let special = match self.escape {
                        Some(escape) => memchr3(self.delimiter, b'\n', escape, rest),
                        None => memchr2(self.delimiter, b'\n', rest),
                    };
                    let plain = rest.get(..special.unwrap_or(rest.len())).unwrap_or_default();
                    if self.open_csv && self.quote.is_some_and(|quote| plain.contains(&quote)) {
                        return Err(self.peculiar("a quote in the middle of it"));
                    }
                    self.data.extend_from_slice(plain);
                    if let Some(raw) = &mut self.raw {
                        raw.extend_from_slice(plain);
                    }
                    at += plain.len();
                    match special.and_then(|special| rest.get(special).copied()) {
                        None => {}
                        Some(b'\n') => {
                            at += 1;
                            self.end_line_value();
                            if !self.end_record(take)? {
                                return Ok((at, false));
                            }
                        }
                        Some(special) if special == self.delimiter => {
                            at += 1;
                            self.end_value();
                        }
                        Some(_) if self.open_csv => return Err(self.peculiar("an escape outside of quotes")),
                        Some(escape) => {
                            at += 1;
                            let (data, start) = (&self.data, self.start);
                            let raw = self.raw.get_or_insert_with(|| data.get(start..).unwrap_or_default().to_vec());
                            raw.push(escape);
                            self.state = State::PlainEscape;
                        }
                    }
                }
                State::PlainEscape => {
                    self.push_escaped(byte);
                    if let Some(raw) = &mut self.raw {
                        raw.push(byte);
                    }
                    self.state = State::Plain;
                    at += 1;
                }
                State::Quoted => {
                    let quote = self.quote.unwrap_or(byte);
                    let special = memchr2(quote, self.escape.unwrap_or(quote), rest);
                    let plain = rest.get(..special.unwrap_or(rest.len())).unwrap_or_default();
                    let lines = memchr_iter(b'\n', plain).count() as u64;
                    if self.open_csv && lines > 0 {
                        return Err(self.peculiar("a line end within quotes"));
                    }
                    self.data.extend_from_slice(plain);
                    self.line += lines;
                    at += plain.len();
                    if let Some(special) = special.and_then(|special| rest.get(special).copied()) {
                        at += 1;
                        self.state = if special == quote { State::QuoteEnd } else { State::QuotedEscape };
                    }
                }
                State::QuotedEscape => {
                    self.push_escaped(byte);
                    self.state = State::Quoted;
                    at += 1;
                }
                State::QuoteEnd if self.quote == Some(byte) => {
                    self.data.push(byte);
                    self.state = State::Quoted;
                    at += 1;
                }
                State::QuoteEnd if byte == self.delimiter => {
                    self.end_value();
                    at += 1;
                }
                State::QuoteEnd if byte == b'\r' => {
                    self.state = State::QuoteEndReturn;
                    at += 1;
                }
                State::QuoteEnd | State::QuoteEndReturn if byte == b'\n' => {
                    at += 1;
                    self.end_value();
                    if !self.end_record(take)? {
                        return Ok((at, false));
                    }
                }
                State::QuoteEnd | State::QuoteEndReturn => {
                    return Err(Fault::new(format!("value {} goes on after its closing quote", self.values.len() + 1))
                        .at(self.line)
                        .hint("check `quote` and `escape` in the table's section of the catalog file"));
                }
            }
            if self.data.len() > LONGEST_RECORD_BYTES {
                let longest = LONGEST_RECORD_BYTES / (1024 * 1024);
                return Err(Fault::new(format!("the row is longer than {longest} MB"))
                    .at(self.record_line)
                    .hint("check `quote` and `escape`: a quote may be opened and never closed"));
            }
        }
        Ok((at, true))
    }

    /// What Hive reads in a way of its own, and others in another one.
    fn peculiar(&self, what: &str) -> Fault {
        Fault::new(format!("value {} has {what}, of which Hive's OpenCSVSerde loses a part", self.values.len() + 1))
            .at(self.line)
            .hint("read the file as the format csv, in a catalog without the metastore")
    }

    fn push_escaped(&mut self, byte: u8) {
        self.line += u64::from(byte == b'\n');
        self.data.push(byte);
        self.escaped = self.data.len();
    }

    /// Ends the last value of a line without quotes, of which a carriage return is no part.
    fn end_line_value(&mut self) {
        if self.data.len() > self.escaped.max(self.start) && self.data.last() == Some(&b'\r') {
            self.data.pop();
            if let Some(raw) = &mut self.raw {
                raw.pop();
            }
        }
        self.end_value();
    }

    fn end_value(&mut self) {
        let written = match &self.raw {
            Some(raw) => raw.as_slice(),
            None => self.data.get(self.start..).unwrap_or_default(),
        };
        let null = !self.quoted && written == self.null_marker;
        self.start = self.data.len();
        self.values.push(Value { end: self.start, null, quoted: self.quoted });
        self.raw = None;
        self.quoted = false;
        self.state = State::Start;
    }

    fn end_record(&mut self, take: &mut impl FnMut(Record<'_>) -> Result<bool, Fault>) -> Result<bool, Fault> {
        let more = take(Record { line: self.record_line, data: &self.data, values: &self.values })?;
        self.data.clear();
        self.values.clear();
        self.start = 0;
        self.escaped = 0;
        self.line += 1;
        self.record_line = self.line;
        Ok(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rows = Vec<(u64, Vec<Option<String>>)>;

    fn split(format: &CsvFormat, text: &[u8], step: usize) -> Result<Rows, Fault> {
        let mut rows = Vec::new();
        let mut splitter = Splitter::new(format);
        let mut take = |record: Record<'_>| {
            let values = (0..record.len())
                .map(|place| record.value(place).map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
                .collect();
            rows.push((record.line, values));
            Ok(true)
        };
        for chunk in text.chunks(step) {
            assert_eq!(splitter.split(chunk, &mut take)?, chunk.len());
        }
        splitter.finish(&mut take)?;
        Ok(rows)
    }

    /// Rows as text: values in brackets, NULL as `-`; the same in whatever pieces the bytes come.
    fn shown(format: &CsvFormat, text: &str) -> Result<String, Fault> {
        let whole = split(format, text.as_bytes(), usize::MAX)?;
        for step in [1, 2, 3, 7] {
            assert_eq!(split(format, text.as_bytes(), step)?, whole, "in pieces of {step}: {text:?}");
        }
        let value = |value: &Option<String>| value.as_ref().map_or("-".to_owned(), |value| format!("[{value}]"));
        let row = |(line, values): &(u64, Vec<Option<String>>)| {
            format!("{line}:{}", values.iter().map(value).collect::<String>())
        };
        Ok(whole.iter().map(row).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn plain_values() {
        let csv = CsvFormat::default();
        for (text, rows) in [
            ("a,b\n1,2\n", "1:[a][b] 2:[1][2]"),
            ("a,b\r\n1,2\r\n", "1:[a][b] 2:[1][2]"),
            ("1,2", "1:[1][2]"),
            (",\n", "1:--"),
            ("\n\n", "1:- 2:-"),
            ("a\rb,c\n", "1:[a\rb][c]"),
            ("\u{feff}a,b\n", "1:[a][b]"),
            ("\u{feff}", ""),
            ("é,東\n", "1:[é][東]"),
            ("", ""),
            (" a , b \n", "1:[ a ][ b ]"),
            ("a\"b,c\n", "1:[a\"b][c]"),
        ] {
            assert_eq!(shown(&csv, text).unwrap(), rows, "{text:?}");
        }
    }

    #[test]
    fn quotes() {
        let csv = CsvFormat::default();
        for (text, rows) in [
            ("\"a,b\",c\n", "1:[a,b][c]"),
            ("\"a\nb\",c\nd,e\n", "1:[a\nb][c] 3:[d][e]"),
            ("\"a\"\"b\",\"\"\r\n", "1:[a\"b][]"),
            ("\"\",\n", "1:[]-"),
            ("\"\u{feff}\"", "1:[\u{feff}]"),
            ("\"x\\y\",z\n", "1:[x\\y][z]"),
        ] {
            assert_eq!(shown(&csv, text).unwrap(), rows, "{text:?}");
        }
        let error = shown(&csv, "a\n\"b").unwrap_err();
        assert!(error.line == Some(2) && error.problem.contains("never closed"), "{error}");
        assert!(shown(&csv, "\"a\"b,c\n").unwrap_err().problem.contains("value 1 goes on after"));
        let doubled = CsvFormat { escape: Some(b'"'), ..CsvFormat::default() };
        assert_eq!(shown(&doubled, "\"a\"\"b\",c\n").unwrap(), "1:[a\"b][c]");
    }

    #[test]
    fn escapes_and_the_marker_of_null() {
        let escaped = CsvFormat { delimiter: b'|', escape: Some(b'\\'), ..CsvFormat::hive_text() };
        for (text, rows) in [
            ("\\N|x\n", "1:-[x]"),
            ("\\\\N|N\n", "1:[\\N][N]"),
            ("a\\|b|c\n", "1:[a|b][c]"),
            ("a\\\nb|c\nd|e\n", "1:[a\nb][c] 3:[d][e]"),
            ("a|b\\\r\n", "1:[a][b\r]"),
            ("|\n", "1:[][]"),
            ("a\\", "1:[a\\]"),
            ("\\N\r\n", "1:-"),
        ] {
            assert_eq!(shown(&escaped, text).unwrap(), rows, "{text:?}");
        }
        let plain = CsvFormat { delimiter: b'|', ..CsvFormat::hive_text() };
        assert_eq!(shown(&plain, "\\N|\\\\N|\"a\"\n").unwrap(), "1:-[\\\\N][\"a\"]");
        let quoted = CsvFormat { escape: Some(b'\\'), null_marker: "NULL".to_owned(), ..CsvFormat::default() };
        assert_eq!(shown(&quoted, "\"a\\\"b\",NULL,\"NULL\",\n").unwrap(), "1:[a\"b]-[NULL][]");
    }

    #[test]
    fn stops_when_it_is_told() {
        let mut splitter = Splitter::new(&CsvFormat::default());
        let mut count = 0;
        let used = splitter.split(b"1\n2\n3\n", &mut |_| {
            count += 1;
            Ok(count < 2)
        });
        assert_eq!((used.unwrap(), count), (4, 2));
    }
}
