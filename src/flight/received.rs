//! Rows that a client sends.

use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use tonic::Status;

/// The rows of a stream whose first message carries the command too.
pub(super) fn rows(stream: BoxStream<'static, Result<FlightData, Status>>) -> FlightRecordBatchStream {
    // A message that only carries the command has no header.
    let messages = stream
        .try_filter(|message| std::future::ready(!message.data_header.is_empty()))
        .map_err(|status| FlightError::Tonic(Box::new(status)));
    FlightRecordBatchStream::new_from_flight_data(messages)
}

/// Why rows could not be read. `what` is what the client calls them.
pub(super) fn unreadable(what: &str, error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => Status::invalid_argument(format!("the {what} cannot be decoded: {other}")),
    }
}
