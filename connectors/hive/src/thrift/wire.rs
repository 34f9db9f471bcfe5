//! The strict binary protocol: messages to bytes and back.
//!
//! A message is a version with a kind, a name, a number and a struct. All numbers are big-endian; a struct is its fields,
//! each with type and number, up to a zero byte.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::value::{Struct, Value};

/// The version word of a message, whose last byte is the kind.
const VERSION: u32 = 0x8001_0000;

pub(super) const CALL: u8 = 1;
pub(super) const REPLY: u8 = 2;
pub(super) const EXCEPTION: u8 = 3;

/// Types on the wire.
pub(super) mod kind {
    pub(in crate::thrift) const STOP: u8 = 0;
    pub(in crate::thrift) const BOOL: u8 = 2;
    pub(in crate::thrift) const BYTE: u8 = 3;
    pub(in crate::thrift) const DOUBLE: u8 = 4;
    pub(in crate::thrift) const I16: u8 = 6;
    pub(in crate::thrift) const I32: u8 = 8;
    pub(in crate::thrift) const I64: u8 = 10;
    pub(in crate::thrift) const BYTES: u8 = 11;
    pub(in crate::thrift) const STRUCT: u8 = 12;
    pub(in crate::thrift) const MAP: u8 = 13;
    pub(in crate::thrift) const SET: u8 = 14;
    pub(in crate::thrift) const LIST: u8 = 15;
}

/// A message that arrived.
#[derive(Debug, PartialEq)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) sequence: i32,
    pub(super) body: Struct,
}

/// The bytes of a call.
pub(super) fn encode_call(method: &str, sequence: i32, arguments: &Struct) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_u32(VERSION | u32::from(CALL));
    put_bytes(&mut out, method.as_bytes());
    out.put_i32(sequence);
    put_struct(&mut out, arguments);
    out
}

fn put_struct(out: &mut BytesMut, fields: &Struct) {
    for (id, value) in &fields.fields {
        out.put_u8(kind_of(value));
        out.put_i16(*id);
        put_value(out, value);
    }
    out.put_u8(kind::STOP);
}

fn put_value(out: &mut BytesMut, value: &Value) {
    match value {
        Value::Bool(value) => out.put_u8(u8::from(*value)),
        Value::Byte(value) => out.put_i8(*value),
        Value::I16(value) => out.put_i16(*value),
        Value::I32(value) => out.put_i32(*value),
        Value::I64(value) => out.put_i64(*value),
        Value::Double(value) => out.put_f64(*value),
        Value::Bytes(value) => put_bytes(out, value),
        Value::Struct(value) => put_struct(out, value),
        Value::List(values) => {
            // Readers do not look at the type of the elements of an empty list.
            out.put_u8(values.first().map_or(kind::STRUCT, kind_of));
            put_length(out, values.len());
            values.iter().for_each(|value| put_value(out, value));
        }
        Value::Map(entries) => {
            let (key, value) = entries.first().map_or((kind::BYTES, kind::BYTES), |(k, v)| (kind_of(k), kind_of(v)));
            out.put_u8(key);
            out.put_u8(value);
            put_length(out, entries.len());
            for (key, value) in entries {
                put_value(out, key);
                put_value(out, value);
            }
        }
    }
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.put_slice(bytes);
}

fn put_length(out: &mut BytesMut, length: usize) {
    // What we send is far from two thousand million of anything.
    out.put_i32(i32::try_from(length).unwrap_or(i32::MAX));
}

fn kind_of(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => kind::BOOL,
        Value::Byte(_) => kind::BYTE,
        Value::I16(_) => kind::I16,
        Value::I32(_) => kind::I32,
        Value::I64(_) => kind::I64,
        Value::Double(_) => kind::DOUBLE,
        Value::Bytes(_) => kind::BYTES,
        Value::Struct(_) => kind::STRUCT,
        Value::List(_) => kind::LIST,
        Value::Map(_) => kind::MAP,
    }
}

/// A message of which all bytes are there; `None` for bytes that are none.
pub(super) fn decode(mut bytes: Bytes) -> Option<Message> {
    let version = bytes.try_get_u32().ok()?;
    if !is_version(version) {
        return None;
    }
    let kind = u8::try_from(version & 0xff).ok()?;
    get_bytes(&mut bytes)?;
    let sequence = bytes.try_get_i32().ok()?;
    Some(Message { kind, sequence, body: get_struct(&mut bytes)? })
}

/// Whether a message can begin so.
pub(super) fn is_version(version: u32) -> bool {
    version & 0xffff_ff00 == VERSION
}

// How deep values may be nested was checked when their end was looked for.
fn get_struct(bytes: &mut Bytes) -> Option<Struct> {
    let mut fields = Vec::new();
    loop {
        let kind = bytes.try_get_u8().ok()?;
        if kind == kind::STOP {
            return Some(Struct { fields });
        }
        let id = bytes.try_get_i16().ok()?;
        fields.push((id, get_value(bytes, kind)?));
    }
}

fn get_value(bytes: &mut Bytes, kind: u8) -> Option<Value> {
    Some(match kind {
        kind::BOOL => Value::Bool(bytes.try_get_u8().ok()? != 0),
        kind::BYTE => Value::Byte(bytes.try_get_i8().ok()?),
        kind::I16 => Value::I16(bytes.try_get_i16().ok()?),
        kind::I32 => Value::I32(bytes.try_get_i32().ok()?),
        kind::I64 => Value::I64(bytes.try_get_i64().ok()?),
        kind::DOUBLE => Value::Double(bytes.try_get_f64().ok()?),
        kind::BYTES => Value::Bytes(get_bytes(bytes)?),
        kind::STRUCT => Value::Struct(get_struct(bytes)?),
        kind::LIST | kind::SET => {
            let kind = bytes.try_get_u8().ok()?;
            let length = get_length(bytes)?;
            Value::List((0..length).map(|_| get_value(bytes, kind)).collect::<Option<_>>()?)
        }
        kind::MAP => {
            let (key, value) = (bytes.try_get_u8().ok()?, bytes.try_get_u8().ok()?);
            let length = get_length(bytes)?;
            let entries = (0..length).map(|_| Some((get_value(bytes, key)?, get_value(bytes, value)?)));
            Value::Map(entries.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn get_bytes(bytes: &mut Bytes) -> Option<Bytes> {
    let length = get_length(bytes)?;
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

fn get_length(bytes: &mut Bytes) -> Option<usize> {
    usize::try_from(bytes.try_get_i32().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::extent::Extent;
    use super::*;

    fn example() -> Struct {
        let inner = Struct::new().with(1, "é").with(-2, vec![1_i64, i64::MIN]);
        Struct::new()
            .with(1, true)
            .with(2, Value::Byte(-1))
            .with(3, -3_i16)
            .with(4, 4_i32)
            .with(5, 1.5)
            .with(6, "")
            .with(7, vec![inner.clone(), Struct::new(), inner])
            .with(8, Value::Map(vec![("k".into(), "v".into()), ("l".into(), "w".into())]))
            .with(9, Value::List(Vec::new()))
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = encode_call("get_table", 7, &example()).freeze();
        assert_eq!(bytes[..8], [0x80, 1, 0, 1, 0, 0, 0, 9], "the strict form of a call with a name of 9 bytes");
        let message = decode(bytes).unwrap();
        assert_eq!(message, Message { kind: CALL, sequence: 7, body: example() });
    }

    #[test]
    fn the_end_of_a_message_is_found_however_it_arrives() {
        let message = encode_call("get_table", 7, &example()).freeze();
        let mut bytes = message.to_vec();
        bytes.extend_from_slice(b"the next message");
        for step in [1, 2, 3, 7, bytes.len()] {
            let mut extent = Extent::default();
            let mut found = None;
            for end in (0..=bytes.len()).step_by(step) {
                found = extent.advance(&bytes[..end]).unwrap();
                if found.is_some() {
                    break;
                }
            }
            assert_eq!(found, Some(message.len()), "in steps of {step}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let mut extent = Extent::default();
        assert!(extent.advance(b"HTTP/1.1 400 Bad Request").is_err());
        let mut deep = Struct::new();
        for _ in 0..100 {
            deep = Struct::new().with(1, deep);
        }
        assert!(Extent::default().advance(&encode_call("m", 1, &deep)).is_err());
        let mut negative = encode_call("m", 1, &Struct::new().with(1, "text")).to_vec();
        negative[16] = 0xff;
        assert!(Extent::default().advance(&negative).is_err());
        assert_eq!(decode(Bytes::from_static(&[0x80, 1, 0, 2, 0, 0])), None);
    }
}
