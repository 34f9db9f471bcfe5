//! The few messages of PostgreSQL's protocol that a scan meets.
//!
//! Source: PostgreSQL's documentation, chapter "Frontend/Backend Protocol", section "Message Formats".

use std::fmt;

/// Bytes before the content of a message: its kind, and its length without the kind.
pub(crate) const HEADER: usize = 5;

/// A message of the server.
#[derive(Debug)]
pub(crate) enum Backend<'a> {
    /// A piece of the data of `COPY`, as much of it as has arrived.
    CopyData(&'a [u8]),
    /// The data of `COPY` is complete.
    CopyDone,
    /// A row of another statement: its first column as text.
    Row(Option<String>),
    /// The statement failed.
    Error(ServerError),
    /// A statement is complete; of so many rows, where it counts them.
    Completed(u64),
    /// The server waits for the next statement. Whether it is outside of any transaction.
    Ready { idle: bool },
    /// Something that a scan has no use for: a notice, a changed setting.
    Other,
}

/// A message's kind and the length of its content; `None` while fewer bytes than a header are there.
pub(crate) fn parse_header(bytes: &[u8]) -> Option<(u8, Result<usize, String>)> {
    let (&[kind, a, b, c, d], _) = bytes.split_first_chunk::<HEADER>()?;
    let length = u32::from_be_bytes([a, b, c, d]);
    let content = usize::try_from(length).ok().and_then(|length| length.checked_sub(4)).filter(|_| length < 1 << 31);
    Some((kind, content.ok_or_else(|| format!("a message of {length} bytes"))))
}

/// Reads a message of any kind but `CopyData`.
pub(crate) fn parse_backend(kind: u8, content: &[u8]) -> Result<Backend<'static>, String> {
    Ok(match kind {
        b'c' => Backend::CopyDone,
        b'E' => Backend::Error(ServerError::parse(content)),
        b'Z' => Backend::Ready { idle: content == b"I" },
        b'C' => Backend::Completed(last_number(content)),
        // CopyInResponse, CopyOutResponse, NoticeResponse, ParameterStatus, NotificationResponse, RowDescription,
        // EmptyQueryResponse
        b'G' | b'H' | b'N' | b'S' | b'A' | b'T' | b'I' => Backend::Other,
        b'D' => Backend::Row(first_column(content)),
        other => return Err(format!("a message of kind {:?}", char::from(other))),
    })
}

/// The number at the end of a command's tag, such as `FETCH 7`; 0 where there is none.
fn last_number(tag: &[u8]) -> u64 {
    let tag = tag.split(|byte| *byte == 0).next().unwrap_or_default();
    let number = tag.rsplit(|byte| *byte == b' ').next().and_then(|word| std::str::from_utf8(word).ok());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// The first value of a row: after the number of columns, its length and its bytes. A negative length is NULL.
fn first_column(content: &[u8]) -> Option<String> {
    let (length, value) = content.get(2..)?.split_first_chunk::<4>()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    String::from_utf8(value.get(..length)?.to_vec()).ok()
}

/// A simple query, ready to be sent. `None` for a text that holds a NUL, which the protocol cannot carry.
pub(crate) fn query(sql: &str) -> Option<Vec<u8>> {
    if sql.contains('\0') {
        return None;
    }
    let length = u32::try_from(sql.len().checked_add(5)?).ok()?;
    let mut message = Vec::with_capacity(sql.len() + 6);
    message.push(b'Q');
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(sql.as_bytes());
    message.push(0);
    Some(message)
}

/// What the server says of a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    /// The SQLSTATE.
    pub(crate) code: String,
    /// The message.
    pub(crate) message: String,
    /// More about it.
    pub(crate) detail: Option<String>,
    /// The server's own suggestion.
    pub(crate) hint: Option<String>,
    /// Where it happened: of `COPY`, the row and the column.
    pub(crate) place: Option<String>,
}

impl ServerError {
    /// Fields are a letter and a text that ends in NUL; a NUL ends the list. Unknown fields are skipped.
    fn parse(content: &[u8]) -> Self {
        let mut error = Self::default();
        for field in content.split(|byte| *byte == 0) {
            let Some((kind, text)) = field.split_first() else { continue };
            let text = String::from_utf8_lossy(text).into_owned();
            match kind {
                b'C' => error.code = text,
                b'M' => error.message = text,
                b'D' => error.detail = Some(text),
                b'H' => error.hint = Some(text),
                b'W' => error.place = Some(text),
                _ => {}
            }
        }
        error
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_checked() {
        assert!(parse_header(b"d\0\0\0").is_none());
        assert_eq!(parse_header(b"d\0\0\0\x04rest"), Some((b'd', Ok(0))));
        assert_eq!(parse_header(b"d\0\0\x01\x00"), Some((b'd', Ok(252))));
        assert!(parse_header(b"d\0\0\0\x03").unwrap().1.is_err());
        assert!(parse_header(b"d\xff\xff\xff\xff").unwrap().1.is_err());
    }

    #[test]
    fn errors_are_read_whatever_else_they_carry() {
        let content = b"SERROR\0VERROR\0C42501\0Mpermission denied for table t\0Hask\0Faclchk.c\0\0";
        let error = ServerError::parse(content);
        assert_eq!(error.code, "42501");
        assert_eq!(error.to_string(), "permission denied for table t");
        assert_eq!(error.hint.as_deref(), Some("ask"));
        assert_eq!(ServerError::parse(b""), ServerError::default());
    }

    #[test]
    fn tags_count_rows() {
        assert_eq!([last_number(b"FETCH 12\0"), last_number(b"INSERT 0 7\0"), last_number(b"BEGIN\0")], [12, 7, 0]);
    }

    #[test]
    fn a_row_has_a_first_column_or_null() {
        let first = |content: &[u8]| match parse_backend(b'D', content).unwrap() {
            Backend::Row(first) => first,
            other => panic!("{other:?}"),
        };
        assert_eq!(first(b"\0\x02\0\0\0\x02ab\0\0\0\0").as_deref(), Some("ab"));
        assert_eq!(first(b"\0\x01\xff\xff\xff\xff"), None);
        assert_eq!(first(b"\0\x01\0\0\0\x09ab"), None);
        assert_eq!(first(b"\0\0"), None);
    }

    #[test]
    fn queries_carry_no_nul() {
        assert_eq!(query("SELECT").unwrap(), b"Q\0\0\0\x0bSELECT\0");
        assert!(query("a\0b").is_none());
    }
}
