//! DoGet, whose messages are written without the copies that the generated service makes; the other calls are the
//! generated service's.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow_flight::Ticket;
use arrow_flight::flight_service_server::FlightServiceServer;
use futures::stream::BoxStream;
use prost::Message as _;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::{Request as HttpRequest, Response as HttpResponse};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};

use super::errors::internal;
use super::message::Message;
use super::service::FlightSql;

/// The call that is answered here.
const DO_GET: &str = "/arrow.flight.protocol.FlightService/DoGet";

/// The Flight service.
#[derive(Clone)]
pub(super) struct Flight {
    sql: Arc<FlightSql>,
    generated: FlightServiceServer<FlightSql>,
    message_bytes_max: usize,
}

impl Flight {
    /// The service, which reads messages of at most this size.
    pub(super) fn new(sql: FlightSql, message_bytes_max: usize) -> Self {
        let sql = Arc::new(sql);
        let generated = FlightServiceServer::from_arc(Arc::clone(&sql)).max_decoding_message_size(message_bytes_max);
        Self { sql, generated, message_bytes_max }
    }
}

impl NamedService for Flight {
    const NAME: &'static str = FlightServiceServer::<FlightSql>::NAME;
}

impl Service<HttpRequest<Body>> for Flight {
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<HttpRequest<Body>>::poll_ready(&mut self.generated, context)
    }

    fn call(&mut self, request: HttpRequest<Body>) -> Self::Future {
        if request.uri().path() != DO_GET {
            return self.generated.call(request);
        }
        let fetch = Fetch(Arc::clone(&self.sql));
        let mut grpc = Grpc::new(RowsCodec).apply_max_message_size_config(Some(self.message_bytes_max), None);
        Box::pin(async move { Ok(grpc.server_streaming(fetch, request).await) })
    }
}

struct Fetch(Arc<FlightSql>);

impl ServerStreamingService<Ticket> for Fetch {
    type Response = Message;
    type ResponseStream = BoxStream<'static, Result<Message, Status>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Ticket>) -> Self::Future {
        let sql = Arc::clone(&self.0);
        Box::pin(async move { sql.fetch(request).await })
    }
}

/// Reads tickets and writes messages.
#[derive(Clone, Copy, Debug, Default)]
struct RowsCodec;

impl Codec for RowsCodec {
    type Encode = Message;
    type Decode = Ticket;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        *self
    }

    fn decoder(&mut self) -> Self::Decoder {
        *self
    }
}

impl Encoder for RowsCodec {
    type Item = Message;
    type Error = Status;

    fn encode(&mut self, message: Message, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        // At once, or else the buffer would grow, and copy, piece by piece.
        out.reserve(message.encoded_len());
        message.write(out).map_err(|error| internal("cannot write rows", error))
    }
}

impl Decoder for RowsCodec {
    type Item = Ticket;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Ticket>, Status> {
        Ticket::decode(bytes).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
