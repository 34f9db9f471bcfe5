//! A session at a server, over Arrow Flight SQL.

mod address;
mod connect;
mod errors;
mod login;
mod replay;
mod session;
mod tls;

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, Schema, SchemaRef};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, FlightInfo, Ticket};
use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

pub(crate) use self::address::ServerAddress;
pub(crate) use self::login::Login;
use self::session::Session;
pub(crate) use self::tls::TlsFiles;
use super::{Answer, AnswerKind, Client, Failure, Head, written};
use crate::cli::shell::lex;
use crate::session::WRITTEN_WORDS;

/// The header in which the server says which query an answer is of.
const QUERY_ID: &str = "portolan-query-id";

/// The largest message that is taken from a server, in bytes. Servers send rows in messages of a few megabytes, but a
/// single row may be larger.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// See the module's comment.
#[derive(Debug)]
pub(crate) struct RemoteClient {
    address: ServerAddress,
    flight: FlightServiceClient<Channel>,
    session: Session,
}

impl RemoteClient {
    /// Connects and logs in.
    pub(crate) async fn connect(address: ServerAddress, tls: &TlsFiles, login: Login) -> Result<Self, Failure> {
        let channel = connect::channel(&address, tls).await?;
        let flight = FlightServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let client = Self { address, flight, session: Session::new(login) };
        client.prepare().await?;
        Ok(client)
    }

    fn failure(&self, status: &Status) -> Failure {
        errors::failure(status, &self.address)
    }

    /// Opens the session, where that is still to be done, and makes it what the one before it was.
    async fn prepare(&self) -> Result<(), Failure> {
        let again = self.session.open(&mut self.flight.clone()).await.map_err(|status| self.failure(&status))?;
        for sql in &again {
            match self.change(sql).await {
                Ok(()) => {}
                // The server has forgotten the session: now it has a new one.
                Err(_) if self.session.take_ended() => return self.change_all(&again).await,
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    async fn change_all(&self, statements: &[String]) -> Result<(), Failure> {
        for sql in statements {
            self.change(sql).await.map_err(|failure| {
                Failure::new(format!("the session was opened anew, and there \"{sql}\" failed: {failure}"))
            })?;
        }
        Ok(())
    }

    /// Runs a statement without rows in the session as it is.
    async fn change(&self, sql: &str) -> Result<(), Failure> {
        let info = self.answered(self.flight.clone().get_flight_info(self.signed(descriptor(sql))).await)?;
        for ticket in info.into_inner().endpoint.into_iter().filter_map(|endpoint| endpoint.ticket) {
            let mut answer = self.answered(self.flight.clone().do_get(self.signed(ticket)).await)?.into_inner();
            while answer.message().await.map_err(|status| self.failure(&status))?.is_some() {}
        }
        Ok(())
    }

    /// A call of this session.
    fn signed<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        self.session.sign(request.metadata_mut());
        request
    }

    /// What a call answered, after looking at what it says of the session.
    fn answered<T>(&self, result: Result<Response<T>, Status>) -> Result<Response<T>, Failure> {
        match result {
            Ok(response) => {
                self.session.read(response.metadata());
                Ok(response)
            }
            Err(status) => {
                self.session.refused(&status);
                Err(self.failure(&status))
            }
        }
    }

    /// What the server knows of a statement before it runs. A session that the server has ended meanwhile is opened anew:
    /// nothing has run yet.
    async fn info(&self, sql: &str) -> Result<FlightInfo, Failure> {
        match self.ask_info(sql).await {
            Err(_) if self.session.has_ended() => self.ask_info(sql).await,
            answered => answered,
        }
    }

    async fn ask_info(&self, sql: &str) -> Result<FlightInfo, Failure> {
        self.prepare().await?;
        Ok(self.answered(self.flight.clone().get_flight_info(self.signed(descriptor(sql))).await)?.into_inner())
    }

    /// The rows that a ticket stands for, and the id of the query that makes them.
    async fn rows(&self, ticket: Ticket) -> Result<(FlightRecordBatchStream, Option<String>), Failure> {
        let response = self.answered(self.flight.clone().do_get(self.signed(ticket)).await)?;
        let query_id = response.metadata().get(QUERY_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        let messages = response.into_inner().map_err(Into::into);
        Ok((FlightRecordBatchStream::new_from_flight_data(messages), query_id))
    }
}

#[async_trait]
impl Client for RemoteClient {
    async fn run(&self, sql: &str) -> Result<Answer, Failure> {
        let info = self.info(sql).await?;
        let schema = schema_of(info.clone())?;
        let writes = schema.metadata().contains_key(WRITTEN_WORDS);
        let mut kind = match schema.fields().is_empty() || writes {
            true => AnswerKind::Done(done_words(sql)),
            false => AnswerKind::Rows,
        };
        let mut query_id = None;
        let mut batches: BoxStream<'static, _> = stream::empty().boxed();
        for ticket in info.endpoint.into_iter().filter_map(|endpoint| endpoint.ticket) {
            let (rows, id) = self.rows(ticket).await?;
            query_id = query_id.or(id);
            let address = self.address.clone();
            batches = batches.chain(rows.map_err(move |error| errors::stream_failure(error, &address))).boxed();
        }
        if let AnswerKind::Done(_) = kind {
            // The change is made when the answer has ended.
            let mut rows = 0;
            while let Some(batch) = batches.try_next().await? {
                rows = written_rows(&batch).unwrap_or(rows);
            }
            self.session.changed(sql);
            batches = stream::empty().boxed();
            if writes {
                kind = AnswerKind::Done(written(&schema, rows));
            }
        }
        Ok(Answer { head: Head { kind, schema, query_id }, batches })
    }

    async fn schema(&self, sql: &str) -> Result<SchemaRef, Failure> {
        schema_of(self.info(sql).await?)
    }

    fn about(&self) -> String {
        let encrypted = if self.address.is_encrypted() { "encrypted" } else { "not encrypted" };
        format!("Portolan {} at {}, {encrypted}.", env!("CARGO_PKG_VERSION"), self.address)
    }
}

fn descriptor(sql: &str) -> FlightDescriptor {
    let command = CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

fn schema_of(info: FlightInfo) -> Result<SchemaRef, Failure> {
    if info.schema.is_empty() {
        return Ok(Arc::new(Schema::empty()));
    }
    info.try_decode_schema().map(Arc::new).map_err(|error| unreadable(&error))
}

fn unreadable(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("the server's answer cannot be read: {error}"))
}

/// The number that the answer of a statement that wrote rows consists of.
fn written_rows(batch: &RecordBatch) -> Option<u64> {
    let column = batch.columns().first()?.as_primitive_opt::<Int64Type>()?;
    (!column.is_empty()).then(|| u64::try_from(column.value(0)).unwrap_or(0))
}

/// What a statement without rows has done: the protocol says only that it has.
fn done_words(sql: &str) -> String {
    let [first, second] = lex::first_words(sql);
    match first.as_str() {
        "SET" | "RESET" => format!("{first} SESSION"),
        "CREATE" | "DROP" => format!("{first} {}", if second == "OR" { "TABLE" } else { &second }),
        _ => first,
    }
}
