//! Where a message ends. Without frames only the message itself says so, and an answer may be tens of megabytes: the place
//! that was reached is kept, so that each byte is looked at once however it arrives.

use super::wire::{is_version, kind};

/// How deep values may be nested. Hive's are seven deep.
const MAX_DEPTH: usize = 32;

/// What is being read, from the outside in.
#[derive(Clone, Copy, Debug)]
enum Open {
    Struct,
    /// Elements of one type.
    Elements(u8, u32),
    /// Entries of a map; the next is a key.
    Keys(u8, u8, u32),
    /// Entries of a map; the next is a value.
    Values(u8, u8, u32),
}

/// How far a message has been followed.
#[derive(Debug, Default)]
pub(super) struct Extent {
    position: usize,
    begun: bool,
    open: Vec<Open>,
}

impl Extent {
    /// Follows the message through the bytes that have arrived, which begin where the message does. Returns its length
    /// once all of it is there, and an error with what is wrong with bytes that are no message.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, String> {
        if !self.begun {
            // Version, length of the name, name, number.
            let Some(version) = number(bytes, 0) else { return Ok(None) };
            if !is_version(version) {
                return Err("the answer is not in Thrift's binary protocol".to_owned());
            }
            let Some(name) = number(bytes, 4) else { return Ok(None) };
            self.position = 12 + length(name)?;
            self.begun = true;
            self.open.push(Open::Struct);
        }
        loop {
            let Some(&last) = self.open.last() else { return Ok(Some(self.position)) };
            let (next, kind, header) = match last {
                Open::Struct => match bytes.get(self.position) {
                    None => return Ok(None),
                    Some(&kind::STOP) => {
                        self.position += 1;
                        self.open.pop();
                        continue;
                    }
                    Some(&kind) => (Open::Struct, kind, 3),
                },
                Open::Elements(_, 0) | Open::Keys(_, _, 0) => {
                    self.open.pop();
                    continue;
                }
                Open::Elements(kind, left) => (Open::Elements(kind, left - 1), kind, 0),
                Open::Keys(key, value, left) => (Open::Values(key, value, left), key, 0),
                Open::Values(key, value, left) => (Open::Keys(key, value, left.saturating_sub(1)), value, 0),
            };
            let start = self.position + header;
            let Some((end, inner)) = value(bytes, start, kind)? else { return Ok(None) };
            self.position = end;
            if let Some(last) = self.open.last_mut() {
                *last = next;
            }
            if let Some(inner) = inner {
                if self.open.len() >= MAX_DEPTH {
                    return Err("the answer is nested too deeply".to_owned());
                }
                self.open.push(inner);
            }
        }
    }
}

/// Where a value ends, or where its first part begins and what its parts are; `None` when too little has arrived.
fn value(bytes: &[u8], start: usize, kind: u8) -> Result<Option<(usize, Option<Open>)>, String> {
    let fixed = |size: usize| (start + size <= bytes.len()).then_some((start + size, None));
    Ok(match kind {
        kind::BOOL | kind::BYTE => fixed(1),
        kind::I16 => fixed(2),
        kind::I32 => fixed(4),
        kind::I64 | kind::DOUBLE => fixed(8),
        kind::BYTES => match number(bytes, start) {
            Some(count) => fixed(4 + length(count)?),
            None => None,
        },
        kind::STRUCT => (start <= bytes.len()).then_some((start, Some(Open::Struct))),
        kind::LIST | kind::SET => match (bytes.get(start), number(bytes, start + 1)) {
            (Some(kind), Some(count)) => {
                length(count)?;
                Some((start + 5, Some(Open::Elements(*kind, count))))
            }
            _ => None,
        },
        kind::MAP => match (bytes.get(start), bytes.get(start + 1), number(bytes, start + 2)) {
            (Some(key), Some(value), Some(count)) => {
                length(count)?;
                Some((start + 6, Some(Open::Keys(*key, *value, count))))
            }
            _ => None,
        },
        other => return Err(format!("the answer has a value of the unknown type {other}")),
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(four))
}

fn length(count: u32) -> Result<usize, String> {
    i32::try_from(count)
        .ok()
        .and_then(|count| usize::try_from(count).ok())
        .ok_or_else(|| "the answer has a negative length".to_owned())
}
