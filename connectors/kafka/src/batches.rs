//! Batches that a thread makes, as a stream.
//!
//! The thread starts when the stream is first polled. It waits when two batches are unread, and ends when the stream
//! is dropped.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::RecordBatchStream;
use futures::Stream;
use portolan_connector::{ConnectorError, TableName};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::decode::BatchDecoder;

/// Batches that may wait to be taken.
const WAITING_BATCHES: usize = 2;

/// How long a thread that waits for its batches to be taken keeps what others may wait for, before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What the thread sends. Only [`Part::End`] ends a result: a channel that closes without it is an error.
enum Part {
    Batch(RecordBatch),
    End,
    Failed(ConnectorError),
}

/// Where the thread puts its batches.
pub(crate) struct Output(Sender<Part>);

impl Output {
    /// Whether nobody takes batches any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Closes a batch and hands it on; waits while others wait to be taken. Calls `make_way` from time to time if it has to.
    pub(crate) fn send(
        &self,
        decoder: &mut BatchDecoder,
        mut make_way: impl FnMut(),
    ) -> std::result::Result<(), ConnectorError> {
        let batch =
            decoder.finish().map_err(|error| ConnectorError::internal("a batch cannot be built").said(error))?;
        // Whoever fills batches looks at `is_closed`.
        if let Err(TrySendError::Full(batch)) = self.0.try_send(Part::Batch(batch)) {
            self.send_waiting(batch, &mut make_way);
        }
        Ok(())
    }

    fn send_waiting(&self, part: Part, make_way: &mut dyn FnMut()) {
        let mut room = pin!(self.0.reserve());
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let room = loop {
            match room.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(room) => break room,
                Poll::Pending => {
                    make_way();
                    std::thread::park_timeout(LOOK_AGAIN);
                }
            }
        };
        if let Ok(room) = room {
            room.send(part);
        }
    }
}

/// Lets a thread that waits go on.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What a thread does: it makes batches until it is done, fails, or nobody takes them any more.
pub(crate) trait Task: Send + 'static {
    /// What is held while batches are made. It is dropped once the end is told: closing takes a while, and nobody has to wait.
    type Held;

    /// The table that is read.
    fn table(&self) -> &TableName;

    /// Makes the batches.
    fn run(&self, output: &Output, held: &mut Option<Self::Held>) -> std::result::Result<(), ConnectorError>;
}

/// The batches that a thread makes.
pub(crate) struct Batches<T> {
    schema: SchemaRef,
    state: State<T>,
}

enum State<T> {
    Ready(Box<T>),
    Running(Receiver<Part>),
    Done,
}

impl<T: Task> Batches<T> {
    /// Batches of which none is made yet.
    pub(crate) fn new(schema: SchemaRef, task: T) -> Self {
        Self { schema, state: State::Ready(Box::new(task)) }
    }

    fn fail(&mut self, error: ConnectorError) -> Poll<Option<Result<RecordBatch>>> {
        self.state = State::Done;
        Poll::Ready(Some(Err(DataFusionError::from(error))))
    }
}

fn run<T: Task>(task: &T, sender: Sender<Part>) {
    let (output, mut held) = (Output(sender), None);
    let last = match task.run(&output, &mut held) {
        Ok(()) => Part::End,
        Err(error) => Part::Failed(error.in_table(task.table())),
    };
    // Nobody to tell is no error: the query has ended.
    if let Err(TrySendError::Full(last)) = output.0.try_send(last) {
        // It may be a while until it is taken, and others may wait for what is held.
        drop(held.take());
        let _ = output.0.blocking_send(last);
    }
    drop(held);
}

// Nothing in it is pinned.
impl<T> Unpin for Batches<T> {}

impl<T: Task> Stream for Batches<T> {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if matches!(self.state, State::Ready(_))
            && let State::Ready(task) = std::mem::replace(&mut self.state, State::Done)
        {
            let (sender, receiver) = channel(WAITING_BATCHES);
            // Named for those who look at the process; Linux shows the first 15 bytes.
            let thread = std::thread::Builder::new().name(format!("kafka {}", task.table().catalog));
            if let Err(error) = thread.spawn(move || run(task.as_ref(), sender)) {
                return self.fail(ConnectorError::resource_exhausted("cannot start a thread that reads").said(error));
            }
            self.state = State::Running(receiver);
        }
        let State::Running(receiver) = &mut self.state else {
            return Poll::Ready(None);
        };
        match futures::ready!(receiver.poll_recv(context)) {
            Some(Part::Batch(batch)) => Poll::Ready(Some(Ok(batch))),
            Some(Part::End) => {
                self.state = State::Done;
                Poll::Ready(None)
            }
            Some(Part::Failed(error)) => self.fail(error),
            None => self.fail(ConnectorError::internal("the thread that reads Kafka stopped before the end")),
        }
    }
}

impl<T: Task> RecordBatchStream for Batches<T> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
