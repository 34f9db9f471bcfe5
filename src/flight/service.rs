//! The protocol's calls, each sent to where it is answered.
//!
//! This is the plain Flight service rather than arrow-flight's FlightSqlService, which leaves GetSchema out and lists
//! actions that are not there.

use arrow::datatypes::SchemaRef;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{Command, DoPutPreparedStatementResult, DoPutUpdateResult};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest,
    HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use super::encode::{messages, schema_bytes};
use super::errors::unsupported;
use super::message::Message;
use super::metadata::{Facts, Listing};
use super::runs::Runs;
use super::server::Stop;
use super::sessions::{Caller, Sessions};
use super::statements::{QUERY_ID, Running, Task};
use super::ticket::{self, Handle};
use super::{actions, ingest, parameters};
use crate::auth::SigningKey;
use crate::error::Result as EngineResult;
use crate::query::Tagged;

/// The Flight SQL service.
pub(super) struct FlightSql {
    sessions: Sessions,
    facts: Facts,
    /// Runs whose client has given them up before it asked for the rows.
    cancelled: Runs,
    /// Runs of statements that change a source. A ticket of these is good once.
    spent: Runs,
    stop: Stop,
}

/// What a descriptor or a ticket asks for.
enum Wanted {
    /// The rows of a statement.
    Statement(Box<Task>),
    /// A metadata call.
    Listing(Listing),
}

type Stream<T> = BoxStream<'static, Result<T, Status>>;

impl FlightSql {
    pub(super) fn new(sessions: Sessions, stop: Stop) -> EngineResult<Self> {
        let facts = Facts::of(sessions.engine())?;
        Ok(Self { sessions, facts, cancelled: Runs::default(), spent: Runs::default(), stop })
    }

    fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        self.sessions.caller(request.metadata(), request.extensions())
    }

    /// The key that signs handles.
    pub(super) fn key(&self) -> &SigningKey {
        self.sessions.signing_key()
    }

    /// A handle for a statement of the caller, where the caller's session stands now.
    pub(super) fn new_handle(&self, caller: &Caller, sql: String) -> Handle {
        let session = &caller.client.session;
        Handle::new(&session.principal().name, session.standing(), sql)
    }

    /// A handle that the caller hands back.
    pub(super) fn handle(&self, caller: &Caller, bytes: &[u8]) -> Result<Handle, Status> {
        Handle::open(self.key(), bytes, &caller.client.session.principal().name)
    }

    /// Ends a run of the caller, or keeps it from beginning. Returns whether there was something to end.
    pub(super) fn cancel_run(&self, caller: &Caller, run: &str) -> bool {
        match self.sessions.engine().queries().cancel_tagged(run, caller.client.session.principal()) {
            Tagged::Stopped => true,
            Tagged::Ended => false,
            Tagged::Unknown => {
                self.cancelled.add(run);
                true
            }
        }
    }

    /// Ends the caller's session.
    pub(super) fn close_session(&self, caller: &Caller) {
        self.sessions.close(&caller.client);
    }

    /// What a descriptor asks for, with the endpoint that brings it.
    fn described(&self, descriptor: &FlightDescriptor, caller: &Caller) -> Result<(Wanted, FlightEndpoint), Status> {
        let command = ticket::described(descriptor)?;
        let handle = match &command {
            Command::CommandStatementQuery(request) => {
                no_transaction(request.transaction_id.as_ref())?;
                self.new_handle(caller, request.query.clone())
            }
            Command::CommandPreparedStatementQuery(request) => {
                self.handle(caller, &request.prepared_statement_handle)?
            }
            other => {
                let listing = Listing::of(other).ok_or_else(|| unsupported(ticket::name(other)))?;
                let ticket = Ticket::new(descriptor.cmd.clone());
                return Ok((Wanted::Listing(listing), FlightEndpoint::new().with_ticket(ticket)));
            }
        };
        let run = handle.to_run();
        // No location: the rows are where the client is already connected.
        let endpoint = FlightEndpoint {
            expiration_time: run.expiration(),
            ..FlightEndpoint::new().with_ticket(run.ticket(self.key()))
        };
        Ok((Wanted::Statement(Box::new(Task::of(handle, caller)?)), endpoint))
    }

    /// What a ticket asks for.
    fn ticketed(&self, ticket: &Ticket, caller: &Caller) -> Result<Wanted, Status> {
        let command = ticket::command(&ticket.ticket)?;
        let bytes = match &command {
            Command::TicketStatementQuery(request) => &request.statement_handle,
            Command::CommandPreparedStatementQuery(request) => &request.prepared_statement_handle,
            other => {
                let listing = Listing::of(other);
                return listing
                    .map(Wanted::Listing)
                    .ok_or_else(|| unsupported(&format!("a ticket of {}", ticket::name(other))));
            }
        };
        let handle = self.handle(caller, bytes)?;
        if self.cancelled.has(&handle.run) {
            return Err(Status::cancelled("the query was cancelled by its client"));
        }
        let run = handle.run.clone();
        let task = Task::of(handle, caller)?;
        if task.changes_source() && !run.is_empty() && !self.spent.add(&run) {
            return Err(Status::failed_precondition(
                "the statement has been run: the ticket of a statement that changes something is good once",
            ));
        }
        Ok(Wanted::Statement(Box::new(task)))
    }

    /// The schema of what is wanted.
    async fn schema(&self, wanted: &Wanted) -> Result<SchemaRef, Status> {
        match wanted {
            Wanted::Statement(task) => task.schema().await,
            Wanted::Listing(listing) => Ok(listing.schema(&self.facts)),
        }
    }

    async fn info(&self, descriptor: FlightDescriptor, caller: &Caller) -> Result<FlightInfo, Status> {
        let (wanted, endpoint) = self.described(&descriptor, caller)?;
        let schema = self.schema(&wanted).await?;
        let schema = schema_bytes(&schema)?;
        Ok(FlightInfo { schema, ..FlightInfo::new().with_descriptor(descriptor).with_endpoint(endpoint) })
    }

    /// Starts what is wanted.
    async fn run(&self, wanted: Wanted) -> Result<Running, Status> {
        match wanted {
            Wanted::Statement(task) => task.run().await,
            Wanted::Listing(listing) => {
                let rows = listing.rows(self.sessions.engine(), &self.facts).await?;
                Ok(Running {
                    query_id: String::new(),
                    schema: listing.schema(&self.facts),
                    compression: None,
                    rows: stream::iter([Ok(rows)]).boxed(),
                })
            }
        }
    }

    /// DoGet, with messages that write themselves.
    pub(super) async fn fetch(&self, request: Request<Ticket>) -> Result<Response<Stream<Message>>, Status> {
        let caller = self.caller(&request)?;
        let Running { query_id, schema, compression, rows } =
            self.run(self.ticketed(request.get_ref(), &caller)?).await?;
        let mut response = caller.answer(self.stop.ends(messages(schema, compression, rows)?).boxed());
        if let Ok(value) = MetadataValue::try_from(&query_id)
            && !query_id.is_empty()
        {
            response.metadata_mut().insert(QUERY_ID, value);
        }
        Ok(response)
    }

    /// Does what the first message of `stream` says.
    async fn put(&self, caller: &Caller, command: Command, stream: Stream<FlightData>) -> Result<PutResult, Status> {
        match command {
            Command::CommandStatementUpdate(request) => {
                no_transaction(request.transaction_id.as_ref())?;
                updated(Task::here(caller, request.query)).await
            }
            Command::CommandPreparedStatementUpdate(request) => {
                let handle = self.handle(caller, &request.prepared_statement_handle)?;
                let task = Task::of(handle, caller)?;
                // Some clients bind before, by a call of its own, and some with this one.
                match parameters::receive(stream).await? {
                    Some(batches) => updated(task.with_rows(parameters::rows(&batches)?)).await,
                    None => updated(task).await,
                }
            }
            Command::CommandPreparedStatementQuery(request) => {
                let mut handle = self.handle(caller, &request.prepared_statement_handle)?;
                let batches = parameters::receive(stream).await?;
                handle.parameters = batches.map(|batches| parameters::to_bytes(&batches)).transpose()?;
                let prepared_statement_handle = Some(handle.seal(self.key()));
                Ok(put_result(&DoPutPreparedStatementResult { prepared_statement_handle }))
            }
            Command::CommandStatementIngest(request) => {
                let record_count = ingest::ingest(caller, request, stream).await?;
                Ok(put_result(&DoPutUpdateResult { record_count }))
            }
            other => Err(unsupported(ticket::name(&other))),
        }
    }
}

async fn updated(task: Task) -> Result<PutResult, Status> {
    let record_count = task.update().await?;
    Ok(put_result(&DoPutUpdateResult { record_count }))
}

fn put_result(message: &impl prost::Message) -> PutResult {
    PutResult { app_metadata: message.encode_to_vec().into() }
}

/// Refuses a statement within a transaction.
pub(super) fn no_transaction(id: Option<&Bytes>) -> Result<(), Status> {
    match id {
        Some(id) if !id.is_empty() => Err(unsupported("a transaction")),
        _ => Ok(()),
    }
}

#[tonic::async_trait]
impl FlightService for FlightSql {
    type HandshakeStream = Stream<HandshakeResponse>;
    type ListFlightsStream = Stream<FlightInfo>;
    type DoGetStream = Stream<FlightData>;
    type DoPutStream = Stream<PutResult>;
    type DoActionStream = Stream<arrow_flight::Result>;
    type ListActionsStream = Stream<ActionType>;
    type DoExchangeStream = Stream<FlightData>;

    /// Opens a session of its own and answers with its bearer token.
    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let bearer = self.sessions.log_in(request.extensions())?;
        let mut response = Response::new(stream::iter([Ok(HandshakeResponse::default())]).boxed());
        response.metadata_mut().insert("authorization", bearer);
        Ok(response)
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        let caller = self.caller(&request)?;
        let info = self.info(request.into_inner(), &caller).await?;
        Ok(caller.answer(info))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let caller = self.caller(&request)?;
        let (wanted, _) = self.described(request.get_ref(), &caller)?;
        let schema = self.schema(&wanted).await?;
        Ok(caller.answer(SchemaResult { schema: schema_bytes(&schema)? }))
    }

    async fn do_get(&self, _request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        Err(Status::internal("DoGet is answered before it gets here"))
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let caller = self.caller(&request)?;
        let mut stream = request.into_inner();
        let first = stream.message().await?;
        let Some(first) = first else {
            return Err(Status::invalid_argument("the stream is empty: its first message must hold a command"));
        };
        let Some(descriptor) = &first.flight_descriptor else {
            return Err(Status::invalid_argument("the first message has no descriptor"));
        };
        let command = ticket::described(descriptor)?;
        // Clients differ in whether the first message has a schema too.
        let stream = stream::iter([Ok(first)]).chain(stream).boxed();
        let result = self.put(&caller, command, stream).await?;
        Ok(caller.answer(stream::iter([Ok(result)]).boxed()))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let caller = self.caller(&request)?;
        let results = actions::run(self, &caller, request.into_inner()).await?;
        let results = results.into_iter().map(|body| Ok(arrow_flight::Result { body }));
        Ok(caller.answer(stream::iter(results).boxed()))
    }

    async fn list_actions(&self, _request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Ok(Response::new(stream::iter(actions::list()).map(Ok).boxed()))
    }

    async fn list_flights(&self, _request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(unsupported("ListFlights"))
    }

    /// A query runs when its rows are fetched, so its info is complete at once.
    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        let caller = self.caller(&request)?;
        let info = self.info(request.into_inner(), &caller).await?;
        let expiration_time = info.endpoint.iter().find_map(|endpoint| endpoint.expiration_time);
        Ok(caller.answer(PollInfo { info: Some(info), flight_descriptor: None, progress: Some(1.0), expiration_time }))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(unsupported("DoExchange"))
    }
}
