//! The messages of one answer, taken batch by batch as they come.

use std::io;
use std::time::Instant;

use super::aborted::{Aborted, Transactions};
use super::batch::{Batch, Found, Records};
use super::compression::MAX_BATCH_BYTES;
use super::connection::Connection;
use super::old::OldMessages;
use crate::protocol::{Reader, invalid};

/// Bytes of a batch that say where it begins, how long it is and of which version.
const FIRST_BYTES: usize = 17;

/// Bytes that are not counted in the length of a batch: its first offset and the length.
const UNCOUNTED_BYTES: usize = 12;

/// The offsets that are still to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    /// The next one.
    pub(super) position: i64,
    /// The one after the last.
    pub(super) end: i64,
}

impl Ahead {
    fn pass(&mut self, next: i64) {
        self.position = self.position.max(next);
    }

    pub(super) fn is_over(self) -> bool {
        self.position >= self.end
    }
}

/// How far an answer has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not all of the next batch is there.
    Waiting,
    /// A batch is open, or was passed over.
    Batch,
    /// Nothing is left.
    End,
}

/// An answer that is being read.
pub(super) struct Reply {
    /// Bytes that were not taken yet.
    left: usize,
    transactions: Transactions,
    open: Option<Open>,
    /// Whether the next offset to be read became another one.
    pub(super) has_moved: bool,
    /// The bytes of the first batch, where the answer has only a part of it.
    pub(super) needed_bytes: Option<usize>,
    /// Whether what is left is a part of a batch.
    is_rest: bool,
}

/// A batch whose messages are handed out.
struct Open {
    /// Bytes of the batch, which are the first of those that the connection has.
    size: usize,
    form: Form,
    /// Whether the messages are not among these bytes, because they were compressed.
    is_inflated: bool,
    next_offset: i64,
}

enum Form {
    New(Batch, Records),
    Old(OldMessages),
}

impl Reply {
    pub(super) fn new(message_bytes: usize, aborted: Vec<Aborted>) -> Self {
        let transactions = Transactions::new(aborted);
        Self { left: message_bytes, transactions, open: None, has_moved: false, needed_bytes: None, is_rest: false }
    }

    /// Whether all of it has been taken, or can be now; takes it.
    pub(super) fn finish(&mut self, connection: &mut Connection) -> bool {
        let is_there = connection.waiting() >= self.left;
        if is_there {
            connection.take(self.left);
            self.left = 0;
        }
        is_there
    }

    /// The next message of the open batch that is among those ahead. `None` closes the batch.
    pub(super) fn next<'b>(
        &mut self,
        connection: &'b Connection,
        inflated: &'b [u8],
        ahead: &mut Ahead,
    ) -> io::Result<Option<Found<'b>>> {
        let Some(open) = &mut self.open else { return Ok(None) };
        let bytes = connection.bytes(open.size);
        loop {
            let found = match &mut open.form {
                Form::New(batch, records) => {
                    let messages = if open.is_inflated { inflated } else { Batch::messages(bytes) };
                    records.next(batch, messages)?
                }
                Form::Old(messages) => messages.next(if open.is_inflated { inflated } else { bytes })?,
            };
            match found {
                None => ahead.pass(open.next_offset),
                Some(found) if found.offset < ahead.position => continue,
                // What comes later belongs to a later query.
                Some(found) if found.offset >= ahead.end => ahead.position = ahead.end,
                Some(found) => {
                    ahead.pass(found.offset.saturating_add(1));
                    return Ok(Some(found));
                }
            }
            return Ok(None);
        }
    }

    /// Closes the batch that is open, and opens the next one.
    pub(super) fn advance(
        &mut self,
        connection: &mut Connection,
        inflated: &mut Vec<u8>,
        ahead: &mut Ahead,
        until: Instant,
    ) -> io::Result<Progress> {
        if let Some(open) = self.open.take() {
            self.take(connection, open.size);
        }
        if self.left == 0 {
            return Ok(Progress::End);
        }
        if self.is_rest || self.left < FIRST_BYTES {
            return self.take_rest(connection, until);
        }
        if !connection.fill(FIRST_BYTES, until)? {
            return Ok(Progress::Waiting);
        }
        let mut reader = Reader::new(connection.bytes(FIRST_BYTES));
        reader.int64()?;
        let length = usize::try_from(reader.int32()?).map_err(|_| invalid("a batch has no length"))?;
        let size = length.saturating_add(UNCOUNTED_BYTES).max(FIRST_BYTES);
        // The epoch of the leader, or the checksum of an old message.
        reader.int32()?;
        let version = reader.uint8()?;
        if size > self.left {
            // The end of the answer is cut off where it has as many bytes as were asked for.
            self.is_rest = true;
            self.needed_bytes = (!self.has_moved).then_some(size);
            return self.take_rest(connection, until);
        }
        if size > MAX_BATCH_BYTES {
            return Err(invalid(&format!("a batch has {size} bytes; at most {MAX_BATCH_BYTES} are read")));
        }
        if !connection.fill(size, until)? {
            return Ok(Progress::Waiting);
        }
        let before = ahead.position;
        self.open = match version {
            0 | 1 => Some(old(connection.bytes(size), inflated)?),
            2 => self.batch(connection.bytes(size), inflated, ahead)?,
            _ => return Err(invalid(&format!("a batch is of version {version}, which is not known"))),
        };
        self.has_moved |= ahead.position > before || self.open.as_ref().is_some_and(|open| open.next_offset > before);
        if self.open.is_none() {
            self.take(connection, size);
        }
        Ok(Progress::Batch)
    }

    /// A batch with messages that are wanted.
    fn batch(&mut self, bytes: &[u8], inflated: &mut Vec<u8>, ahead: &mut Ahead) -> io::Result<Option<Open>> {
        let batch = Batch::read(bytes)?;
        let messages = Batch::messages(bytes);
        let is_left_out = self.transactions.leave_out(&batch, batch.is_abort(messages)?);
        if batch.first_offset >= ahead.end {
            // Nothing is between what was read and the end.
            ahead.position = ahead.end;
            return Ok(None);
        }
        if is_left_out || batch.next_offset <= ahead.position {
            ahead.pass(batch.next_offset);
            return Ok(None);
        }
        if let Some(codec) = batch.codec {
            codec.inflate(messages, inflated)?;
        }
        Ok(Some(Open {
            size: bytes.len(),
            form: Form::New(batch, batch.records()),
            is_inflated: batch.codec.is_some(),
            next_offset: batch.next_offset,
        }))
    }

    /// Takes what is left and is of no use.
    fn take_rest(&mut self, connection: &mut Connection, until: Instant) -> io::Result<Progress> {
        while self.left > 0 {
            if !connection.fill(1, until)? {
                return Ok(Progress::Waiting);
            }
            self.take(connection, connection.waiting().min(self.left));
        }
        Ok(Progress::End)
    }

    fn take(&mut self, connection: &mut Connection, bytes: usize) {
        connection.take(bytes);
        self.left = self.left.saturating_sub(bytes);
    }
}

fn old(bytes: &[u8], inflated: &mut Vec<u8>) -> io::Result<Open> {
    let (messages, is_inflated) = OldMessages::open(bytes, inflated)?;
    Ok(Open { size: bytes.len(), form: Form::Old(messages), is_inflated, next_offset: messages.next_offset() })
}
