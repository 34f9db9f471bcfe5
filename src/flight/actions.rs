//! The actions: declared once, from which ListActions and the dispatch come.

use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightEndpoint, FlightInfo,
    RenewFlightEndpointRequest,
};
use bytes::Bytes;
use prost::Message;
use tonic::Status;

use super::encode::{schema_bytes, wire_schema};
use super::errors::unsupported;
use super::service::{FlightSql, no_transaction};
use super::session_options::{self, CloseResult, SetRequest};
use super::sessions::Caller;
use super::ticket::{self, Handle};
use super::{parameters, statements};
use crate::session::WRITTEN_WORDS;

/// An action that the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    CreatePreparedStatement,
    ClosePreparedStatement,
    CancelFlightInfo,
    CancelQuery,
    RenewFlightEndpoint,
    SetSessionOptions,
    GetSessionOptions,
    CloseSession,
}

/// All actions with their names and what they do.
const ACTIONS: [(Known, &str, &str); 8] = [
    (Known::CreatePreparedStatement, "CreatePreparedStatement", "Plans a statement and gives a handle for it."),
    (Known::ClosePreparedStatement, "ClosePreparedStatement", "Gives the handle of a statement back."),
    (Known::CancelFlightInfo, "CancelFlightInfo", "Ends the query of a FlightInfo."),
    (Known::CancelQuery, "CancelQuery", "Ends the query of a FlightInfo; CancelFlightInfo is its successor."),
    (Known::RenewFlightEndpoint, "RenewFlightEndpoint", "Lets the ticket of an endpoint live for as long again."),
    (Known::SetSessionOptions, "SetSessionOptions", "Sets the session's catalog, schema and settings."),
    (Known::GetSessionOptions, "GetSessionOptions", "Tells the session's catalog, schema and settings."),
    (Known::CloseSession, "CloseSession", "Ends the session."),
];

/// The actions that there are.
pub(super) fn list() -> impl Iterator<Item = ActionType> {
    ACTIONS.into_iter().map(|(_, name, help)| ActionType { r#type: name.to_owned(), description: help.to_owned() })
}

/// Does an action. Returns the bodies of its results.
pub(super) async fn run(server: &FlightSql, caller: &Caller, action: Action) -> Result<Vec<Bytes>, Status> {
    let known = ACTIONS.into_iter().find(|(_, name, _)| *name == action.r#type);
    let Some((known, ..)) = known else {
        return Err(unsupported(&format!("action {}", action.r#type)));
    };
    let body: &[u8] = &action.body;
    Ok(match known {
        Known::CreatePreparedStatement => vec![create_prepared(server, caller, wrapped(body)?).await?],
        Known::ClosePreparedStatement => {
            let request: ActionClosePreparedStatementRequest = wrapped(body)?;
            // Nothing is kept for a handle, so there is nothing to let go.
            server.handle(caller, &request.prepared_statement_handle)?;
            Vec::new()
        }
        Known::CancelFlightInfo => {
            let request: CancelFlightInfoRequest = plain(body)?;
            let status = cancel(server, caller, &request.info.unwrap_or_default())?;
            vec![encoded(&CancelFlightInfoResult { status: status.into() })]
        }
        Known::CancelQuery => {
            let request: ActionCancelQueryRequest = wrapped(body)?;
            // The numbers of CancelResult are those of CancelStatus.
            let result = cancel(server, caller, &plain(&request.info)?)?.into();
            vec![encoded(&ActionCancelQueryResult { result }.as_any())]
        }
        Known::RenewFlightEndpoint => {
            let request: RenewFlightEndpointRequest = plain(body)?;
            vec![encoded(&renew(server, caller, request.endpoint.unwrap_or_default())?)]
        }
        Known::SetSessionOptions => {
            let request: SetRequest = plain(body)?;
            vec![encoded(&session_options::set(&caller.client.session, request).await)]
        }
        Known::GetSessionOptions => vec![encoded(&session_options::get(&caller.client.session))],
        Known::CloseSession => {
            server.close_session(caller);
            vec![encoded(&CloseResult::closed())]
        }
    })
}

async fn create_prepared(
    server: &FlightSql,
    caller: &Caller,
    request: ActionCreatePreparedStatementRequest,
) -> Result<Bytes, Status> {
    no_transaction(request.transaction_id.as_ref())?;
    let prepared = statements::prepare(&caller.client.session, &request.query).await?;
    let handle = server.new_handle(caller, request.query);
    // Drivers run what has columns as a query, and what has none as an update.
    let writes = prepared.schema.metadata().contains_key(WRITTEN_WORDS);
    let columns = if writes { Arc::new(Schema::empty()) } else { wire_schema(&prepared.schema) };
    let result = ActionCreatePreparedStatementResult {
        prepared_statement_handle: handle.seal(server.key()),
        dataset_schema: schema_bytes(&columns)?,
        parameter_schema: schema_bytes(&parameters::schema(&prepared.parameters))?,
    };
    Ok(encoded(&result.as_any()))
}

/// Ends what runs under the tickets of an info, and keeps what has not begun from running.
fn cancel(server: &FlightSql, caller: &Caller, info: &FlightInfo) -> Result<CancelStatus, Status> {
    let mut status = CancelStatus::NotCancellable;
    for endpoint in &info.endpoint {
        let Some(ticket) = &endpoint.ticket else { continue };
        let handle = server.handle(caller, &ticket::statement_handle(ticket)?)?;
        if server.cancel_run(caller, &handle.run) {
            status = CancelStatus::Cancelled;
        }
    }
    Ok(status)
}

fn renew(server: &FlightSql, caller: &Caller, endpoint: FlightEndpoint) -> Result<FlightEndpoint, Status> {
    let ticket = endpoint.ticket.as_ref();
    let ticket = ticket.ok_or_else(|| Status::invalid_argument("the endpoint has no ticket"))?;
    let handle: Handle = server.handle(caller, &ticket::statement_handle(ticket)?)?.renewed();
    Ok(FlightEndpoint { ticket: Some(handle.ticket(server.key())), expiration_time: handle.expiration(), ..endpoint })
}

fn encoded(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

/// The request of an action of Flight itself.
fn plain<M: Message + Default>(body: &[u8]) -> Result<M, Status> {
    M::decode(body).map_err(|error| Status::invalid_argument(format!("the action cannot be decoded: {error}")))
}

/// The request of an action of Flight SQL, wrapped in `Any`.
fn wrapped<M: ProstMessageExt>(body: &[u8]) -> Result<M, Status> {
    let any: Any = plain(body)?;
    any.unpack()
        .map_err(|error| Status::invalid_argument(format!("the action cannot be decoded: {error}")))?
        .ok_or_else(|| Status::invalid_argument(format!("the action does not go with a {}", any.type_url)))
}
