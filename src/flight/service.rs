//! The protocol's calls, each sent to where it is answered.
//!
//! This is the plain Flight service rather than arrow-flight's FlightSqlService, which leaves GetSchema out and lists
//! actions that are not there.

use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::{MessageHeader, root_as_message};
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    Command, DoPutPreparedStatementResult, DoPutUpdateResult, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest,
    HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use super::encode::{messages, schema_bytes};
use super::errors::unsupported;
use super::metadata::{Facts, Listing};
use super::server::Stop;
use super::sessions::{Caller, ClientSession, Sessions};
use super::statements::{self, Running};
use super::ticket::{self, Handle};
use crate::error::Result as EngineResult;

const CREATE_PREPARED_STATEMENT: &str = "CreatePreparedStatement";
const CLOSE_PREPARED_STATEMENT: &str = "ClosePreparedStatement";

/// The header in which an answer says which query it is.
const QUERY_ID: &str = "portolan-query-id";

/// The Flight SQL service.
pub(super) struct FlightSql {
    sessions: Sessions,
    facts: Facts,
    stop: Stop,
}

/// What a descriptor or a ticket asks for.
enum Wanted {
    /// The rows of a statement.
    Statement(Handle),
    /// A metadata call.
    Listing(Listing),
}

type Stream<T> = BoxStream<'static, Result<T, Status>>;

impl FlightSql {
    pub(super) fn new(sessions: Sessions, stop: Stop) -> EngineResult<Self> {
        let facts = Facts::of(sessions.engine())?;
        Ok(Self { sessions, facts, stop })
    }

    fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        self.sessions.caller(request.metadata(), request.extensions())
    }

    /// The session that a handle names.
    fn session_of(&self, handle: &Handle) -> Result<ClientSession, Status> {
        self.sessions
            .find(&handle.session)
            .ok_or_else(|| Status::not_found("the statement's session has ended: prepare the statement again"))
    }

    /// What a descriptor asks for, with the ticket that brings it.
    fn described(&self, descriptor: &FlightDescriptor, caller: &Caller) -> Result<(Wanted, Ticket), Status> {
        let command = ticket::described(descriptor)?;
        match &command {
            Command::CommandStatementQuery(request) => {
                no_transaction(request.transaction_id.as_ref())?;
                let handle = Handle { session: caller.client.id.to_string(), sql: request.query.clone() };
                let ticket = handle.statement_ticket();
                Ok((Wanted::Statement(handle), ticket))
            }
            Command::CommandPreparedStatementQuery(request) => {
                let handle = Handle::from_bytes(&request.prepared_statement_handle)?;
                let ticket = handle.prepared_ticket();
                Ok((Wanted::Statement(handle), ticket))
            }
            other => match Listing::of(other) {
                Some(listing) => Ok((Wanted::Listing(listing), Ticket::new(descriptor.cmd.clone()))),
                None => Err(unsupported(ticket::name(other))),
            },
        }
    }

    /// What a ticket asks for.
    fn ticketed(ticket: &Ticket) -> Result<Wanted, Status> {
        let command = ticket::command(&ticket.ticket)?;
        match &command {
            Command::TicketStatementQuery(request) => {
                Ok(Wanted::Statement(Handle::from_bytes(&request.statement_handle)?))
            }
            Command::CommandPreparedStatementQuery(request) => {
                Ok(Wanted::Statement(Handle::from_bytes(&request.prepared_statement_handle)?))
            }
            other => match Listing::of(other) {
                Some(listing) => Ok(Wanted::Listing(listing)),
                None => Err(unsupported(&format!("a ticket of {}", ticket::name(other)))),
            },
        }
    }

    /// The schema of what is wanted.
    async fn schema(&self, wanted: &Wanted) -> Result<SchemaRef, Status> {
        match wanted {
            Wanted::Statement(handle) => statements::schema(&self.session_of(handle)?.session, &handle.sql).await,
            Wanted::Listing(listing) => Ok(listing.schema(&self.facts)),
        }
    }

    /// Starts what is wanted.
    async fn run(&self, wanted: Wanted) -> Result<Running, Status> {
        match wanted {
            Wanted::Statement(handle) => statements::run(self.session_of(&handle)?, handle.sql).await,
            Wanted::Listing(listing) => {
                let rows = listing.rows(self.sessions.engine(), &self.facts).await?;
                Ok(Running {
                    query_id: String::new(),
                    schema: listing.schema(&self.facts),
                    rows: stream::iter([Ok(rows)]).boxed(),
                })
            }
        }
    }

    async fn create_prepared(
        &self,
        caller: &Caller,
        request: ActionCreatePreparedStatementRequest,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        no_transaction(request.transaction_id.as_ref())?;
        let schema = statements::schema(&caller.client.session, &request.query).await?;
        let handle = Handle { session: caller.client.id.to_string(), sql: request.query };
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: handle.to_bytes(),
            // Without fields where the statement returns no rows, which is how clients know that it is an update.
            dataset_schema: schema_bytes(&schema)?,
            parameter_schema: schema_bytes(&Schema::empty())?,
        })
    }

    /// Does what the first message of `stream` says.
    async fn put(&self, caller: &Caller, command: Command, stream: Stream<FlightData>) -> Result<PutResult, Status> {
        match command {
            Command::CommandStatementUpdate(request) => {
                no_transaction(request.transaction_id.as_ref())?;
                update(&caller.client, &request.query).await
            }
            Command::CommandPreparedStatementUpdate(request) => {
                let handle = Handle::from_bytes(&request.prepared_statement_handle)?;
                no_parameters(stream).await?;
                update(&self.session_of(&handle)?, &handle.sql).await
            }
            Command::CommandPreparedStatementQuery(request) => {
                Handle::from_bytes(&request.prepared_statement_handle)?;
                no_parameters(stream).await?;
                let prepared_statement_handle = Some(request.prepared_statement_handle);
                Ok(put_result(&DoPutPreparedStatementResult { prepared_statement_handle }))
            }
            other => Err(unsupported(ticket::name(&other))),
        }
    }
}

async fn update(client: &ClientSession, sql: &str) -> Result<PutResult, Status> {
    let record_count = statements::update(&client.session, sql).await?;
    Ok(put_result(&DoPutUpdateResult { record_count }))
}

fn put_result(message: &impl Message) -> PutResult {
    PutResult { app_metadata: message.encode_to_vec().into() }
}

fn no_transaction(id: Option<&Bytes>) -> Result<(), Status> {
    match id {
        Some(id) if !id.is_empty() => Err(unsupported("a transaction")),
        _ => Ok(()),
    }
}

/// Reads what a client binds, which must be nothing: statements have no parameters.
async fn no_parameters(mut stream: Stream<FlightData>) -> Result<(), Status> {
    while let Some(message) = stream.try_next().await? {
        let columns = bound_columns(&message.data_header)?;
        if columns > 0 {
            return Err(Status::invalid_argument(format!(
                "the statement takes no parameters, and {columns} were given"
            )));
        }
    }
    Ok(())
}

/// The columns of a schema message; zero for any other message.
fn bound_columns(header: &[u8]) -> Result<usize, Status> {
    if header.is_empty() {
        return Ok(0);
    }
    let message = root_as_message(header)
        .map_err(|error| Status::invalid_argument(format!("the parameters cannot be decoded: {error}")))?;
    match message.header_type() {
        MessageHeader::Schema => {
            Ok(message.header_as_schema().and_then(|schema| schema.fields()).map_or(0, |fields| fields.len()))
        }
        _ => Ok(0),
    }
}

/// The request of an action, wrapped in `Any`.
fn action_request<M: ProstMessageExt>(body: &[u8]) -> Result<M, Status> {
    let any = arrow_flight::sql::Any::decode(body)
        .map_err(|error| Status::invalid_argument(format!("the action cannot be decoded: {error}")))?;
    any.unpack()
        .map_err(|error| Status::invalid_argument(format!("the action cannot be decoded: {error}")))?
        .ok_or_else(|| Status::invalid_argument(format!("the action does not go with a {}", any.type_url)))
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
        let descriptor = request.into_inner();
        let (wanted, ticket) = self.described(&descriptor, &caller)?;
        let schema = self.schema(&wanted).await?;
        // No location: the rows are where the client is already connected.
        let info = FlightInfo {
            schema: schema_bytes(&schema)?,
            ..FlightInfo::new().with_descriptor(descriptor).with_endpoint(FlightEndpoint::new().with_ticket(ticket))
        };
        Ok(caller.answer(info))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let caller = self.caller(&request)?;
        let (wanted, _) = self.described(request.get_ref(), &caller)?;
        let schema = self.schema(&wanted).await?;
        Ok(caller.answer(SchemaResult { schema: schema_bytes(&schema)? }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let caller = self.caller(&request)?;
        let Running { query_id, schema, rows } = self.run(Self::ticketed(request.get_ref())?).await?;
        let mut response = caller.answer(self.stop.ends(messages(schema, rows)).boxed());
        if let Ok(value) = MetadataValue::try_from(&query_id)
            && !query_id.is_empty()
        {
            response.metadata_mut().insert(QUERY_ID, value);
        }
        Ok(response)
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
        let action = request.into_inner();
        let results = match action.r#type.as_str() {
            CREATE_PREPARED_STATEMENT => {
                let created = self.create_prepared(&caller, action_request(&action.body)?).await?;
                vec![arrow_flight::Result { body: created.as_any().encode_to_vec().into() }]
            }
            CLOSE_PREPARED_STATEMENT => {
                let request: ActionClosePreparedStatementRequest = action_request(&action.body)?;
                // Nothing is kept for a handle, so there is nothing to let go.
                Handle::from_bytes(&request.prepared_statement_handle)?;
                Vec::new()
            }
            other => return Err(unsupported(&format!("action {other}"))),
        };
        Ok(caller.answer(stream::iter(results).map(Ok).boxed()))
    }

    async fn list_actions(&self, _request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        let actions = [
            (CREATE_PREPARED_STATEMENT, "Plans a statement and gives a handle for it."),
            (CLOSE_PREPARED_STATEMENT, "Gives the handle of a statement back."),
        ];
        let actions = actions.map(|(name, help)| ActionType { r#type: name.to_owned(), description: help.to_owned() });
        Ok(Response::new(stream::iter(actions).map(Ok).boxed()))
    }

    async fn list_flights(&self, _request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(unsupported("ListFlights"))
    }

    async fn poll_flight_info(&self, _request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(unsupported("PollFlightInfo"))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(unsupported("DoExchange"))
    }
}
