//! Clocks, processor time and memory.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{AsArray, RecordBatch};
use futures::TryStreamExt;
use portolan::catalog::{CatalogFile, CatalogSet};
use portolan::{Engine, EngineOptions, Session};

/// What a run cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Elapsed time in seconds.
    pub(crate) wall: f64,
    /// Processor time of the process, user and system, in seconds.
    pub(crate) cpu: f64,
    /// The most memory it had at once, in bytes; 0 where it was not asked.
    pub(crate) memory: u64,
}

/// Runs a shell command and measures it from outside.
pub(crate) fn shell(command: &str, environment: &[(&str, &str)]) -> Cost {
    let mut timed = Command::new("bash");
    timed.args(["-c", &format!("TIMEFORMAT='%R %U %S'; time {{ {command}; }}")]);
    timed.envs(environment.iter().copied());
    let output = timed.output().expect("bash runs");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let times: Vec<f64> =
        text.lines().last().unwrap_or_default().split(' ').map(|word| word.parse().expect("a time")).collect();
    let memory =
        String::from_utf8_lossy(&output.stdout).lines().find_map(|line| line.strip_prefix("memory ")?.parse().ok());
    Cost { wall: times[0], cpu: times[1] + times[2], memory: memory.unwrap_or(0) }
}

/// Runs a query in a process of its own, its rows counted and dropped.
pub(crate) fn query(catalogs: &Path, sql: &str) -> Cost {
    query_in(catalogs, sql, &[])
}

/// The same, with more in its environment.
pub(crate) fn query_in(catalogs: &Path, sql: &str, environment: &[(&str, &str)]) -> Cost {
    let this = std::env::current_exe().expect("the bench's own path");
    let command = format!("'{}' child query '{}' \"$QUERY\"", this.display(), catalogs.display());
    shell(&command, &[&[("QUERY", sql)], environment].concat())
}

/// The measured side of [`query`].
pub(crate) async fn child(catalogs: &str, sql: &str) {
    let rows = rows(&engine(Path::new(catalogs)), sql).await;
    println!("rows {rows}\nmemory {}", peak_memory());
}

/// An engine over a catalog file.
pub(crate) fn engine(catalogs: &Path) -> std::sync::Arc<Engine> {
    let file = CatalogFile::read(catalogs).expect("the catalog file");
    Engine::start(EngineOptions { catalogs: CatalogSet::open(file), ..EngineOptions::default() }).expect("an engine")
}

/// Runs a query and counts its rows.
pub(crate) async fn rows(engine: &std::sync::Arc<Engine>, sql: &str) -> usize {
    drain(&engine.session(), sql).await
}

/// The lines that EXPLAIN gives.
pub(crate) async fn text(session: &Session, sql: &str) -> String {
    let answer = session.execute(sql).await.expect("the statement runs");
    let batches: Vec<RecordBatch> = answer.rows.try_collect().await.expect("lines");
    let lines = batches.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten());
    lines.map(|line| format!("{line}\n")).collect()
}

/// Runs a query in a session and counts its rows.
pub(crate) async fn drain(session: &Session, sql: &str) -> usize {
    let answer = session.execute(sql).await.unwrap_or_else(|error| panic!("{}", error.render(sql)));
    answer
        .rows
        .map_ok(|batch| batch.num_rows())
        .try_fold(0, |sum, rows| async move { Ok(sum + rows) })
        .await
        .expect("rows")
}

fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The elapsed seconds of a call.
pub(crate) fn timed<T>(call: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let value = call();
    (start.elapsed().as_secs_f64(), value)
}

/// Processor time that this process has had, user and system, in seconds; `None` where the system does not tell. Linux counts it in
/// hundredths.
pub(crate) fn own_cpu() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which is in parentheses and may hold anything: the state is the first.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / 100.0)
}

/// The middle of several numbers.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// How long the machine may take to come to rest.
const SETTLING: Duration = Duration::from_secs(300);

/// Waits until nothing takes much of the processors: servers go on to work for a while after they were filled.
pub(crate) fn settle() {
    let started = Instant::now();
    while started.elapsed() < SETTLING {
        let before = processors();
        std::thread::sleep(Duration::from_secs(1));
        // Systems that do not tell are not waited for.
        let Some(((idle, all), (idle_then, all_then))) = before.zip(processors()) else { return };
        if (idle_then - idle) * 10 >= (all_then - all) * 9 {
            return;
        }
    }
    println!("the machine is busy with something else");
}

/// How long the processors were idle, and how long they were there, in the units of `/proc/stat`.
fn processors() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let times: Vec<u64> = text.lines().next()?.split_whitespace().skip(1).map_while(|word| word.parse().ok()).collect();
    Some((*times.get(3)?, times.iter().sum()))
}
