//! Texts, and what the engine holds as text.

use super::Unwritable;

/// The version of a `jsonb` on the wire.
const JSONB_VERSION: u8 = 1;

/// Characters of a value that a message shows.
const SHOWN: usize = 80;

/// Any other character PostgreSQL stores, or says that its encoding has not got it.
pub(super) fn put(value: &str, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    if value.as_bytes().contains(&0) {
        return Err(Unwritable::new("a text with a NUL character, which PostgreSQL cannot store"));
    }
    out.extend_from_slice(value.as_bytes());
    Ok(())
}

pub(super) fn put_jsonb(value: &str, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    out.push(JSONB_VERSION);
    put(value, out)
}

/// In every form that PostgreSQL reads: in either case, in braces or not, with a hyphen or without one behind each four
/// digits.
pub(super) fn put_uuid(value: &str, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    let bytes = uuid(value).ok_or_else(|| Unwritable::new(format!("the text '{}', which is no uuid", short(value))))?;
    out.extend_from_slice(&bytes);
    Ok(())
}

fn uuid(value: &str) -> Option<[u8; 16]> {
    let inside = value.strip_prefix('{').map_or(Some(value), |rest| rest.strip_suffix('}'))?;
    let mut rest = inside.as_bytes();
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        if at > 0 && at % 2 == 0 && rest.first() == Some(&b'-') {
            rest = rest.get(1..)?;
        }
        let (&[high, low], after) = rest.split_first_chunk::<2>()?;
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = (digit(high)? << 4) | digit(low)?;
        rest = after;
    }
    rest.is_empty().then_some(bytes)
}

/// A value for a message: whole when it is short.
pub(super) fn short(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_read_as_postgresql_reads_them() {
        // The examples of PostgreSQL's documentation of the type.
        for text in [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
        ] {
            assert_eq!(uuid(text).map(|bytes| bytes[0]), Some(0xa0), "{text}");
            assert_eq!(uuid(text).map(|bytes| bytes[15]), Some(0x11), "{text}");
        }
        for text in
            ["", "x", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "é0eebc99"]
        {
            assert_eq!(uuid(text), None, "{text}");
        }
    }

    #[test]
    fn no_text_has_a_nul() {
        assert!(put("a\0", &mut Vec::new()).is_err());
        assert!(put("ą😂", &mut Vec::new()).is_ok());
    }
}
