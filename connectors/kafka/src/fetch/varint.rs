//! Numbers within records: zigzag, seven bits a byte, the lowest first, as in Protocol Buffers.

/// The number at the beginning of the bytes, and what is behind it; `None` where they end within it or it has more than 64 bits.
#[inline]
pub(super) fn varint(bytes: &[u8]) -> Option<(i64, &[u8])> {
    match bytes.split_first()? {
        // Most are lengths and distances of one byte, or of two.
        (first, rest) if first & 0x80 == 0 => Some((zigzag(u64::from(*first)), rest)),
        (first, [second, rest @ ..]) if second & 0x80 == 0 => {
            Some((zigzag(u64::from(first & 0x7f) | u64::from(*second) << 7), rest))
        }
        (first, rest) => longer(*first, rest),
    }
}

fn longer(first: u8, mut rest: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = u64::from(first & 0x7f);
    let mut shift = 7;
    while shift < 64 {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        if shift == 63 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((zigzag(value), rest));
        }
        shift += 7;
    }
    None
}

#[inline]
fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// So many bytes as the number before them says, and what is behind; a negative number is NULL.
#[inline]
pub(super) fn sized(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = varint(bytes)?;
    match usize::try_from(length) {
        Ok(length) => rest.split_at_checked(length).map(|(value, rest)| (Some(value), rest)),
        Err(_) => (length < 0).then_some((None, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_zigzag() {
        // Protocol Buffers' own examples, and the ends of the range.
        for (bytes, number) in [
            (&[0][..], 0),
            (&[1], -1),
            (&[2], 1),
            (&[0xac, 0x02], 150),
            (&[0xfe, 0xff, 0xff, 0xff, 0x0f], i64::from(i32::MAX)),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f], i64::from(i32::MIN)),
            (&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], i64::MAX),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], i64::MIN),
        ] {
            let behind = [bytes, &[7]].concat();
            assert_eq!(varint(&behind), Some((number, &[7][..])), "{bytes:?}");
            assert_eq!(varint(bytes.get(..bytes.len() - 1).unwrap_or_default()), None, "{bytes:?}");
        }
        assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]), None);
        assert_eq!(varint(&[0x80; 12]), None);
    }

    #[test]
    fn null_is_not_empty() {
        assert_eq!(sized(&[1, 5]), Some((None, &[5][..])));
        assert_eq!(sized(&[0, 5]), Some((Some(&[][..]), &[5][..])));
        assert_eq!(sized(&[4, 8, 9, 5]), Some((Some(&[8, 9][..]), &[5][..])));
        assert_eq!(sized(&[4, 8]), None);
    }
}
