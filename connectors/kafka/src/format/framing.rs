//! What Confluent's serializers write before a message: a zero byte and the id of its schema.

/// The first byte.
const MAGIC: u8 = 0;

/// Writes what stands before a message of a schema.
pub(super) fn begin(id: u32, out: &mut Vec<u8>) {
    out.push(MAGIC);
    out.extend_from_slice(&id.to_be_bytes());
}

/// The schema's id, and the bytes behind it.
pub(super) fn schema_id(bytes: &[u8]) -> Result<(u32, &[u8]), String> {
    match bytes {
        [MAGIC, a, b, c, d, body @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), body)),
        [MAGIC, ..] => Err(format!("it has {} bytes and no schema id", bytes.len())),
        _ => Err("it does not begin with the zero byte and the schema id of Confluent's wire format".to_owned()),
    }
}
