//! Traces of queries, as a collector receives them from a server.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use tokio::runtime::Runtime;
use tonic::metadata::MetadataMap;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::certificates::{Authority, Certified};
use crate::process::{Client, Process, lines};
use crate::shop::{SHOP, block_on};

/// A trace of the client's, as its header says it.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// What a collector was sent.
#[derive(Clone, Debug, Default)]
struct Received {
    requests: Arc<Mutex<Vec<(MetadataMap, ExportTraceServiceRequest)>>>,
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (headers, _, body) = request.into_parts();
        self.requests.lock().unwrap().push((headers, body));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector on a free port. It ends when it is dropped.
struct Collector {
    address: SocketAddr,
    received: Received,
    _runtime: Runtime,
}

impl Collector {
    fn start(tls: Option<Identity>) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let received = Received::default();
        let mut server = Server::builder();
        if let Some(identity) = tls {
            server = server.tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
        }
        let service = TraceServiceServer::new(received.clone());
        runtime.spawn(async move {
            let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener).unwrap());
            server.add_service(service).serve_with_incoming(incoming).await.unwrap();
        });
        Self { address, received, _runtime: runtime }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans, as they came.
    fn spans(&self) -> Vec<Span> {
        let requests = self.received.requests.lock().unwrap();
        let resources = requests.iter().flat_map(|(_, request)| &request.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    fn headers(&self) -> MetadataMap {
        self.received.requests.lock().unwrap()[0].0.clone()
    }

    fn resource(&self) -> Vec<KeyValue> {
        self.received.requests.lock().unwrap()[0].1.resource_spans[0].resource.clone().unwrap().attributes
    }
}

fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    match attribute(attributes, key) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{key}: {other:?}"),
    }
}

fn integer(attributes: &[KeyValue], key: &str) -> i64 {
    match attribute(attributes, key) {
        Some(Value::IntValue(number)) => *number,
        other => panic!("{key}: {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The only span of this name.
fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<&Span> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "{name}: {spans:?}");
    found[0]
}

fn server(arguments: &[&str], variables: &[(&str, &str)]) -> Process {
    Process::over(SHOP.catalogs_file(), arguments, variables)
}

/// A client whose calls belong to a trace.
async fn tracing(server: &Process, is_recorded: bool) -> Client {
    let mut client = server.client().await;
    let flag = if is_recorded { "01" } else { "00" };
    client.set_header("traceparent", format!("00-{TRACE}-{CALLER}-{flag}"));
    client.set_header("tracestate", "congo=t61rcWkgMzE");
    client
}

/// Asks the server to end. It sends the last traces before it does.
fn end(mut server: Process) -> Vec<String> {
    server.signal("-TERM");
    assert_eq!(server.ended(), Some(0));
    server.last_lines()
}

#[test]
fn a_query_its_parts_and_its_scans_are_spans_of_the_clients_trace() {
    const SQL: &str = "SELECT c.segment, count(*) AS n FROM lake.sales.orders o \
                       JOIN pg.public.customers c ON c.customer_id = o.customer_id GROUP BY c.segment";
    let collector = Collector::start(None);
    let server = server(
        &["--otlp-endpoint", &collector.url(), "--log", "info", "--log-format", "json"],
        &[("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=the%20shop"), ("OTEL_RESOURCE_ATTRIBUTES", "deployment=test")],
    );
    assert!(server.line("sending traces to").ends_with(&collector.url()));
    let (rows, orders) = block_on(async {
        let mut client = tracing(&server, true).await;
        let rows = lines(&mut client, SQL).await;
        let orders = lines(&mut server.client().await, "SELECT count(*) FROM lake.sales.orders").await;
        (rows, orders[0][0].parse::<i64>().unwrap())
    });
    // What is logged of a query is found by the trace's id.
    let line = server.line("query ended");
    assert!(line.contains(&format!("\"trace_id\":\"{TRACE}\"")), "{line}");
    end(server);

    let resource = collector.resource();
    assert_eq!(text(&resource, "service.name"), "portolan");
    assert_eq!(text(&resource, "service.version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&resource, "service.instance.id").len(), 36);
    assert_eq!(text(&resource, "deployment"), "test");
    assert_eq!(collector.headers().get("x-tenant").unwrap(), "the shop");

    let spans: Vec<Span> = collector.spans().into_iter().filter(|span| hex(&span.trace_id) == TRACE).collect();
    assert_eq!(spans.len(), 6, "{spans:?}");
    let query = named(&spans, "query");
    assert_eq!((hex(&query.parent_span_id), query.kind()), (CALLER.to_owned(), SpanKind::Server));
    assert_eq!(query.trace_state, "congo=t61rcWkgMzE");
    assert_eq!(text(&query.attributes, "db.system.name"), "portolan");
    assert_eq!(text(&query.attributes, "db.query.text"), SQL);
    assert_eq!(text(&query.attributes, "enduser.id"), "anonymous");
    assert_eq!(text(&query.attributes, "portolan.state"), "finished");
    assert!(text(&query.attributes, "portolan.query_id").contains('-'));
    assert_eq!(integer(&query.attributes, "db.response.returned_rows"), i64::try_from(rows.len()).unwrap());
    assert!(integer(&query.attributes, "portolan.peak_memory_bytes") > 0);
    assert_eq!(query.status.clone().unwrap_or_default().code(), StatusCode::Unset);

    let parts = ["queued", "planning", "running"].map(|name| named(&spans, name));
    let mut last = query.start_time_unix_nano;
    for part in parts {
        assert_eq!((&part.parent_span_id, part.kind()), (&query.span_id, SpanKind::Internal));
        assert_eq!(part.start_time_unix_nano, last);
        assert!(part.start_time_unix_nano < part.end_time_unix_nano);
        last = part.end_time_unix_nano;
    }
    assert_eq!(last, query.end_time_unix_nano);

    let [.., running] = parts;
    for (name, connector, rows) in [("scan lake", "hive", orders), ("scan pg", "postgres", 3000)] {
        let scan = named(&spans, name);
        assert_eq!((&scan.parent_span_id, scan.kind()), (&running.span_id, SpanKind::Client));
        assert!(running.start_time_unix_nano <= scan.start_time_unix_nano);
        assert!(scan.start_time_unix_nano < scan.end_time_unix_nano);
        assert!(scan.end_time_unix_nano <= running.end_time_unix_nano);
        assert_eq!(text(&scan.attributes, "portolan.connector"), connector);
        assert_eq!(integer(&scan.attributes, "portolan.rows"), rows);
        assert!(integer(&scan.attributes, "portolan.bytes") > 0);
        assert_eq!(
            integer(&scan.attributes, "portolan.splits_done"),
            integer(&scan.attributes, "portolan.splits_total")
        );
    }
}

#[test]
fn failures_are_told_and_what_the_client_does_not_record_is_not() {
    const FAILS: &str = "SELECT 1 / (value - 5) AS n FROM generate_series(1, 9)";
    const ENDLESS: &str = "SELECT value FROM generate_series(1, 100000000000)";
    const FAILING_WATCH: &str = "SELECT 1 / (rows - rows) AS n FROM system.runtime.queries";
    let collector = Collector::start(None);
    let url = collector.url();
    // The address may come from where other programs find it, too.
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_SERVICE_NAME", "warehouse")];
    let server = server(&[], &variables);
    block_on(async {
        let fail = async |sql: &str| {
            let mut client = server.client().await;
            let info = client.execute(sql.to_owned(), None).await.unwrap();
            if let Ok(rows) = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await {
                assert!(rows.try_collect::<Vec<_>>().await.is_err(), "{sql}");
            }
        };
        let mut unrecorded = tracing(&server, false).await;
        assert_eq!(lines(&mut unrecorded, "SELECT 1").await, [["1"]]);
        let mut client = server.client().await;
        // What is no header of that kind starts a trace of its own.
        client.set_header("traceparent", "00-nonsense");
        assert_eq!(lines(&mut client, "SELECT 2").await, [["2"]]);
        fail(FAILS).await;
        // Who watches others is of interest only when that fails.
        lines(&mut client, "SELECT count(*) FROM system.runtime.queries").await;
        fail(FAILING_WATCH).await;
        // Nor is it a failure that a client leaves.
        let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
        let mut rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
        rows.next().await.unwrap().unwrap();
        drop(rows);
        let running = "SELECT 1 FROM system.runtime.queries WHERE ended IS NULL AND query NOT LIKE '%runtime%'";
        while !lines(&mut client, running).await.is_empty() {}
    });
    end(server);
    assert_eq!(text(&collector.resource(), "service.name"), "warehouse");
    let queries: Vec<Span> = collector.spans().into_iter().filter(|span| span.name == "query").collect();
    let statements: Vec<String> = queries.iter().map(|query| text(&query.attributes, "db.query.text")).collect();
    assert_eq!(statements, ["SELECT 2", FAILS, FAILING_WATCH, ENDLESS]);
    assert!(queries.iter().all(|query| query.parent_span_id.is_empty()));
    let status = queries[1].status.clone().unwrap();
    assert_eq!((status.code(), status.message.as_str()), (StatusCode::Error, "division by zero"));
    assert_eq!(text(&queries[1].attributes, "error.type"), "user");
    assert_eq!(text(&queries[1].attributes, "portolan.state"), "failed");
    assert_eq!(queries[3].status.clone().unwrap_or_default().code(), StatusCode::Unset);
    assert_eq!(text(&queries[3].attributes, "portolan.state"), "cancelled");
    assert_eq!(text(&queries[3].attributes, "portolan.cancelled_because"), "the client left before the last row");
}

#[test]
fn a_collector_that_is_gone_or_silent_hinders_nothing() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Connections are made, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [gone, silent.local_addr().unwrap()] {
        let url = format!("http://{address}");
        // Longer than the test waits for the process to end.
        let variables = [("OTEL_BSP_SCHEDULE_DELAY", "10"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000")];
        let server = server(&["--otlp-endpoint", &url], &variables);
        let first = block_on(async {
            let mut client = server.client().await;
            let begun = Instant::now();
            for _ in 0..20 {
                assert_eq!(lines(&mut client, "SELECT 1 AS one").await, [["1"]]);
            }
            begun.elapsed()
        });
        assert!(first < Duration::from_secs(30), "{first:?}");
        if address == gone {
            let warning = server.line("traces do not reach the collector");
            assert!(warning.contains(&url) && warning.contains("refused"), "{warning}");
        }
        let said = end(server);
        // One warning for many failures, or one at the end.
        let warnings: Vec<&String> = said.iter().filter(|line| line.contains("WARN")).collect();
        let in_time = warnings.iter().filter(|line| line.contains("the last traces did not reach")).count();
        assert_eq!((warnings.len(), in_time), if address == gone { (0, 0) } else { (1, 1) }, "{said:?}");
    }
}

#[test]
fn traces_travel_encrypted_to_a_collector_that_the_system_trusts() {
    let authority = Authority::new();
    let Certified { certificate, key } = authority.server();
    let collector = Collector::start(Some(Identity::from_pem(certificate, key)));
    let directory = tempfile::tempdir().unwrap();
    let trusted = directory.path().join("trusted.pem");
    std::fs::write(&trusted, authority.pem()).unwrap();

    let url = format!("https://localhost:{}", collector.address.port());
    let server = server(&["--otlp-endpoint", &url], &[("SSL_CERT_FILE", trusted.to_str().unwrap())]);
    block_on(async { lines(&mut server.client().await, "SELECT 1 AS one").await });
    end(server);
    assert_eq!(named(&collector.spans(), "query").kind(), SpanKind::Server);
}
