//! A Flight server without an engine: it sends batches from memory. The baseline for what streaming could cost at best.

use std::sync::Arc;

use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::server::FlightSqlService;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt, SqlInfo, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

/// Fetches the rows of a statement from another server and sends them to whoever asks for anything, for ever.
pub(crate) async fn serve(source: &str, sql: &str) {
    let channel = Endpoint::new(format!("http://{source}")).expect("an address").connect().await.expect("a server");
    let mut client = FlightSqlServiceClient::new(channel);
    let info = client.execute(sql.to_owned(), None).await.expect("the statement");
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    let batches: Vec<RecordBatch> =
        client.do_get(ticket).await.expect("the statement").try_collect().await.expect("rows");
    let schema = batches.first().expect("rows").schema();
    drop(client);

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    eprintln!("grpc://{};", listener.local_addr().expect("an address"));
    let service = FlightServiceServer::new(Bare { schema, batches: batches.into() });
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder().add_service(service).serve_with_incoming(incoming).await.expect("a server");
}

struct Bare {
    schema: SchemaRef,
    batches: Arc<[RecordBatch]>,
}

#[tonic::async_trait]
impl FlightSqlService for Bare {
    type FlightService = Self;

    async fn get_flight_info_statement(
        &self,
        _query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let ticket = TicketStatementQuery { statement_handle: "all".into() }.as_any().encode_to_vec();
        let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket));
        let info = FlightInfo::new().with_descriptor(request.into_inner()).with_endpoint(endpoint);
        let info = info.try_with_schema(&self.schema);
        info.map(Response::new).map_err(|error| Status::internal(error.to_string()))
    }

    async fn do_get_statement(
        &self,
        _ticket: TicketStatementQuery,
        _request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let batches = Arc::clone(&self.batches);
        let rows = stream::iter((0..batches.len()).map(move |index| Ok(batches[index].clone())));
        // Each batch was a message of the other server, so that it fits in one here.
        let encoder = FlightDataEncoderBuilder::new().with_schema(Arc::clone(&self.schema));
        let messages = encoder.with_max_flight_data_size(usize::MAX).build(rows).map_err(Status::from);
        Ok(Response::new(messages.boxed()))
    }

    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}
}
