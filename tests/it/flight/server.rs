//! A server on a free loopback port, on threads of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::FlightInfo;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use portolan::flight::{FlightServer, ServerOptions};
use portolan::{Engine, EngineOptions, Error};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// Planning in a debug build needs more stack than a thread has by default.
const STACK_BYTES: usize = 16 << 20;

/// Linux shows this many characters of a thread's name.
const THREAD_NAME_MAX: usize = 15;

/// A Flight SQL client.
pub(super) type Client = FlightSqlServiceClient<Channel>;

/// A running server. It stops when it is dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    name: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Server {
    /// A server without catalogs. Its threads have the name, so that what they do can be told from other tests.
    pub(super) fn start(name: &str) -> Self {
        Self::over(name, Engine::start(EngineOptions::default()).unwrap())
    }

    /// A server over an engine.
    pub(super) fn over(name: &str, engine: Arc<Engine>) -> Self {
        Self::with(name, engine, ServerOptions::default())
    }

    /// A server with options of its own.
    pub(super) fn with(name: &str, engine: Arc<Engine>, options: ServerOptions) -> Self {
        let server = FlightServer::new(engine, options).unwrap();
        assert!(name.len() <= THREAD_NAME_MAX);
        let (stop, stopped) = oneshot::channel();
        let (tell, address) = std::sync::mpsc::channel();
        let thread_name = name.to_owned();
        let thread = std::thread::spawn(move || {
            runtime(&thread_name).block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                // In a task, so that this thread, which has no name, does no work.
                let serving = server.serve(listener, async {
                    let _ = stopped.await;
                });
                tokio::spawn(serving).await.unwrap()
            })
        });
        let address = address.recv().unwrap();
        Self { address, name: name.to_owned(), stop: Some(stop), thread: Some(thread) }
    }

    /// A client with a connection of its own.
    pub(super) async fn client(&self) -> FlightSqlServiceClient<Channel> {
        FlightSqlServiceClient::new(self.channel().await)
    }

    pub(super) async fn channel(&self) -> Channel {
        Endpoint::new(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// A channel without encryption that connects when it is used.
    pub(super) fn plain_channel(&self) -> Channel {
        Endpoint::new(format!("http://{}", self.address)).unwrap().connect_lazy()
    }

    /// The processor time that the server's threads have used, in hundredths of a second.
    pub(super) fn processor_time(&self) -> u64 {
        let mut ticks = 0;
        for task in std::fs::read_dir("/proc/self/task").unwrap() {
            let path = task.unwrap().path();
            // A thread may end at any moment.
            let Ok(name) = std::fs::read_to_string(path.join("comm")) else { continue };
            let Ok(stat) = std::fs::read_to_string(path.join("stat")) else { continue };
            if name.trim_end() == self.name {
                // Behind the name in parentheses: user and system time are the 12th and 13th field.
                let fields = stat.rsplit(')').next().unwrap();
                let times = fields.split_whitespace().skip(11).take(2);
                ticks += times.map(|time| time.parse::<u64>().unwrap()).sum::<u64>();
            }
        }
        ticks
    }

    /// Asks the server to stop, and does not wait.
    pub(super) fn ask_to_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Waits until the server has stopped.
    pub(super) fn wait(&mut self) -> Result<(), Error> {
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ask_to_stop();
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            if !std::thread::panicking() {
                result.unwrap().unwrap();
            }
        }
    }
}

fn runtime(name: &str) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(name)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .unwrap()
}

/// Runs the client's side.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    runtime("client").block_on(future)
}

/// The rows that an info's only ticket brings. Checks what must hold for each result: the stream has the schema that
/// the info announced.
pub(super) async fn fetch(
    client: &mut FlightSqlServiceClient<Channel>,
    info: FlightInfo,
) -> (SchemaRef, Vec<RecordBatch>) {
    let announced = Arc::new(Schema::try_from(info.clone()).unwrap());
    assert_eq!(info.endpoint.len(), 1);
    assert!(info.endpoint[0].location.is_empty());
    let mut stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    let batches: Vec<RecordBatch> = (&mut stream).try_collect().await.unwrap();
    assert_eq!(stream.schema(), Some(&announced));
    for batch in &batches {
        assert_eq!(batch.schema(), announced);
    }
    (announced, batches)
}

/// Runs a statement and prints its rows, values separated by `|`.
pub(super) async fn lines(client: &mut FlightSqlServiceClient<Channel>, sql: &str) -> Vec<String> {
    let info = client.execute(sql.to_owned(), None).await.unwrap();
    let (_, batches) = fetch(client, info).await;
    printed(&batches)
}

/// Rows as text, values separated by `|`.
pub(super) fn printed(batches: &[RecordBatch]) -> Vec<String> {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    let options = FormatOptions::default().with_null("NULL");
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    lines
}

/// The status that a call failed with.
pub(super) fn status<T>(result: Result<T, FlightError>) -> Status {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(FlightError::Tonic(status)) => *status,
        Err(other) => panic!("not a status: {other}"),
    }
}
