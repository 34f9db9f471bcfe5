//! Messages as the client library has them.

use rdkafka::message::{BorrowedHeaders, Headers, Timestamp};

use crate::log::{RecordHeaders, TimeKind};

/// The time of a message. -1 is how Kafka writes that a message has no time.
pub(super) fn time_of(timestamp: Timestamp) -> Option<(i64, TimeKind)> {
    match timestamp {
        Timestamp::CreateTime(millis) if millis >= 0 => Some((millis, TimeKind::Create)),
        Timestamp::LogAppendTime(millis) if millis >= 0 => Some((millis, TimeKind::LogAppend)),
        _ => None,
    }
}

/// The headers of a message.
pub(super) struct MessageHeaders<'a>(pub(super) Option<&'a BorrowedHeaders>);

impl RecordHeaders for MessageHeaders<'_> {
    fn each(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) -> Result<(), String> {
        for header in self.0.into_iter().flat_map(Headers::iter) {
            visit(header.key, header.value);
        }
        Ok(())
    }
}
