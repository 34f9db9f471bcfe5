//! Sessions as scripts: what is typed, and what comes back.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::cli::client::LocalClient;
use crate::cli::repl;
use crate::{Engine, EngineOptions};

/// A writer whose bytes can be looked at.
#[derive(Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer that nobody reads, as when `head` has left.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Fixture {
    shell: Shell,
    out: Captured,
    err: Captured,
}

fn fixture() -> Fixture {
    let (out, err) = (Captured::default(), Captured::default());
    let console = Console::new(Sink::other(out.clone()), Sink::other(err.clone()));
    let session = Engine::start(EngineOptions::default()).unwrap().session();
    let client = Arc::new(LocalClient::new(session, None));
    Fixture { shell: Shell::new(client, console, Interrupt::default(), View::default()), out, err }
}

/// A session with a person: the output and the errors.
async fn typed(texts: &[&str]) -> (String, String) {
    let fixture = fixture();
    let mut shell = fixture.shell.interactive();
    let mut lines = Scripted::new(texts.iter().copied());
    assert_eq!(repl::run(&mut shell, &mut lines).await, Ok(()));
    (fixture.out.text(), fixture.err.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_answers_and_goes_on_after_mistakes() {
    let (out, err) =
        typed(&["SELECT 1 AS a;", "SELEC 2;", "SELECT nothing;", "SELECT 3 AS b;", "\\q", "SELECT 4;"]).await;
    assert_eq!(out, " a\n---\n 1\n(1 row)\n\n b\n---\n 3\n(1 row)\n\n");
    assert_eq!(err.lines().filter(|line| line.starts_with("error: ")).count(), 2, "{err}");
    assert!(err.contains("LINE 1: SELECT nothing\n               ^"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_and_the_end_of_input_leave() {
    for words in [&["quit"][..], &["exit;"], &["\\q"], &[]] {
        assert_eq!(typed(words).await, (String::new(), String::new()));
    }
    assert!(typed(&["help"]).await.0.contains("\\?"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_is_remembered_and_ctrl_c_forgets_the_line() {
    let fixture = fixture();
    let mut shell = fixture.shell.interactive();
    let mut lines = Scripted::new(["SELECT 1;", "^C", "  ", "\\p"]);
    repl::run(&mut shell, &mut lines).await.unwrap();
    assert_eq!(lines.remembered, ["SELECT 1;", "\\p"]);
    assert_eq!(lines.prompts[0], "portolan> ");
    assert!(fixture.out.text().ends_with("SELECT 1\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn switches_say_what_they_are_and_change_the_output() {
    let (out, err) = typed(&[
        "\\timing",
        "SELECT 1 AS a;",
        "\\timing off",
        "\\x",
        "SELECT 2 AS b;",
        "\\x off",
        "\\format csv",
        "SELECT 3 AS c;",
    ])
    .await;
    assert_eq!(err, "");
    assert!(out.starts_with("Timing is on.\n a\n---\n 1\n(1 row)\n\nTime: "), "{out}");
    assert!(out.contains(" ms, 1 row\nTiming is off.\nExpanded display is on.\n-[ RECORD 1 ]-\nb | 2\n\n"), "{out}");
    assert!(out.ends_with("Expanded display is off.\nThe format is csv.\nc\n3\n"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_changed_with_a_word() {
    let (out, _) = typed(&["SET SESSION pushdown = 'none';", "SHOW pushdown;"]).await;
    assert_eq!(out, "SET SESSION\n value\n-------\n none\n(1 row)\n\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_can_be_run_again_shown_and_forgotten() {
    let (out, err) = typed(&["SELECT 1 AS a \\g", "\\gx", "SELECT 2 AS b\n\\r", ";", "\\p"]).await;
    assert_eq!(out, " a\n---\n 1\n(1 row)\n\n-[ RECORD 1 ]-\na | 1\n\nthe statement is forgotten\nSELECT 1 AS a\n");
    assert_eq!(err, "");
    let (_, err) = typed(&["\\g"]).await;
    assert_eq!(err, "error: there is no statement to run\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_the_middle_of_a_statement_leaves_the_statement() {
    let (out, err) = typed(&["SELECT 1 \\timing off", "+ 1 AS two;"]).await;
    assert_eq!((out.as_str(), err.as_str()), ("Timing is off.\n two\n-----\n   2\n(1 row)\n\n", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_do_not_exist_name_the_nearest() {
    let (out, err) = typed(&["\\timng", "\\zzz"]).await;
    assert_eq!(out, "");
    assert!(err.contains("did you mean \\timing?") && err.contains("there is no command \\zzz"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_what_is_not_there() {
    let (out, err) = typed(&["\\l", "\\dt", "\\dn", "\\conninfo"]).await;
    assert_eq!(err, "");
    // The engine shows itself in a catalog of its own.
    assert!(out.contains(" system  | system    | ok\n(1 row)"), "{out}");
    assert_eq!(out.matches("(0 rows)").count(), 2, "{out}");
    assert!(out.contains("No catalog is configured"), "{out}");
    let (_, err) = typed(&["\\c pg", "\\d pg.public.t"]).await;
    assert_eq!(err.matches("catalog \"pg\" does not exist").count(), 2, "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_lines_without_a_border() {
    let (out, err) = typed(&["EXPLAIN SELECT 1;"]).await;
    assert_eq!(err, "");
    assert!(!out.contains("\n(") && !out.contains("---"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_included_and_results_redirected() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("two.sql");
    std::fs::write(&script, "SELECT 1 AS a;\n\nSELECT\n  nothing;\nSELECT 2 AS never;").unwrap();
    let result = directory.path().join("result.csv");
    let (out, err) = typed(&[
        &format!("\\i {}", script.display()),
        "\\format csv",
        &format!("\\o '{}'", result.display()),
        "SELECT 5 AS five;",
        "\\o",
    ])
    .await;
    assert!(out.starts_with(" a\n---\n 1\n(1 row)\n\nThe format is csv.\nResults go to "), "{out}");
    assert!(out.ends_with("Results go to the screen.\n"), "{out}");
    assert!(err.contains(&format!("error: {}:4: ", script.display())), "{err}");
    assert_eq!(std::fs::read_to_string(&result).unwrap(), "five\n5\n");

    let itself = directory.path().join("itself.sql");
    std::fs::write(&itself, format!("\\i {}", itself.display())).unwrap();
    let (_, err) = typed(&[&format!("\\i {}", itself.display())]).await;
    assert!(err.contains("include one another more than 8 deep"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_cancels_the_query_and_not_the_session() {
    let fixture = fixture();
    let mut shell = fixture.shell.interactive();
    let interrupt = shell.interrupt.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        interrupt.raise();
    });
    let started = std::time::Instant::now();
    let long =
        "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 1000) b WHERE a.value + b.value < 0;";
    let mut lines = Scripted::new([long, "SELECT 1 AS a;"]);
    repl::run(&mut shell, &mut lines).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(fixture.err.text(), "error: the query was cancelled\n");
    assert_eq!(fixture.out.text(), " a\n---\n 1\n(1 row)\n\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_in_a_script_ends_it() {
    let mut fixture = fixture();
    fixture.shell.interrupt.raise();
    assert_eq!(fixture.shell.run_text("SELECT 1; SELECT 2;").await, Err(Stop::Interrupted));
    assert_eq!(fixture.out.text(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_stops_at_the_first_failure_and_says_only_results() {
    let mut fixture = fixture();
    let script = "-- first\nSET SESSION pushdown = 'none';\nSELECT 1 AS a;\nSELECT 1 / 0;\nSELECT 2 AS b;\n";
    let mut source = ScriptLines::new(script.as_bytes());
    assert_eq!(fixture.shell.run_source(&mut source, "x.sql").await, Err(Stop::Failed));
    assert_eq!(fixture.out.text(), " a\n---\n 1\n(1 row)\n\n");
    assert!(fixture.err.text().starts_with("error: x.sql:4: division by zero"), "{}", fixture.err.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_statement_of_a_script_needs_no_semicolon() {
    let mut fixture = fixture();
    fixture.shell.view.format = Format::Csv;
    let mut source = ScriptLines::new(&b"SELECT 1 AS a;\nSELECT 2\n AS b"[..]);
    assert_eq!(fixture.shell.run_source(&mut source, "x.sql").await, Ok(()));
    assert_eq!(fixture.out.text(), "a\n1\nb\n2\n");
    let mut broken = ScriptLines::new(&b"SELECT 1 AS a;\n\nSELECT\n nothing"[..]);
    assert_eq!(fixture.shell.run_source(&mut broken, "y.sql").await, Err(Stop::Failed));
    assert!(fixture.err.text().contains("y.sql:4: "), "{}", fixture.err.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_after_the_first_rows_never_looks_whole() {
    let failing = "SELECT 10 / (50000 - value) AS x FROM generate_series(1, 100000)";
    for (format, whole) in [(Format::Json, "]"), (Format::Table, "rows)")] {
        let mut fixture = fixture();
        fixture.shell.view.format = format;
        assert_eq!(fixture.shell.run_text(failing).await, Err(Stop::Failed));
        assert!(fixture.out.text().len() > 1_000, "{format:?} printed the rows before the failure");
        assert!(!fixture.out.text().trim_end().ends_with(whole), "{format:?}");
        assert!(fixture.err.text().contains("division by zero"), "{}", fixture.err.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_ends_the_output_quietly() {
    let mut fixture = fixture();
    fixture.shell.console.out = Sink::other(Closed);
    assert_eq!(fixture.shell.run_text("SELECT value FROM generate_series(1, 1000000)").await, Err(Stop::OutputClosed));
    assert_eq!(fixture.err.text(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_holds_one_answer() {
    let mut fixture = fixture();
    fixture.shell.view.format = Format::Parquet;
    assert_eq!(fixture.shell.run_text("SELECT 1; SELECT 2").await, Err(Stop::Failed));
    assert!(fixture.err.text().contains("one statement"), "{}", fixture.err.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_result_streams_in_little_memory_and_in_order() {
    let mut fixture = fixture();
    fixture.shell.view.format = Format::Csv;
    assert_eq!(fixture.shell.run_text("SELECT value FROM generate_series(1, 100000)").await, Ok(()));
    let text = fixture.out.text();
    assert_eq!(text.lines().count(), 100_001);
    assert_eq!(text.lines().last(), Some("100000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_set_named_and_forgotten() {
    let (out, err) = typed(&[
        "\\set n 41",
        "\\set who 'O''Brien'",
        "SELECT :n + 1 AS n, :'who' AS w;",
        "\\set two 'SELECT 1 AS a; SELECT 2 AS b'",
        "\\t \\a",
        ":two;",
        "\\unset n",
        "\\echo :n :'who' 'a  b'",
        "\\set",
    ])
    .await;
    assert_eq!(err, "");
    assert!(
        out.starts_with(" n  |    w\n----+---------\n 42 | O'Brien\n(1 row)\n\nShowing only rows is on.\n"),
        "{out}"
    );
    assert!(out.contains("The format is unaligned.\n1\n2\n:n 'O''Brien' a  b\n"), "{out}");
    assert!(out.contains("ERROR = 'false'\n") && out.contains("who = 'O'Brien'\n"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_becomes_variables() {
    let (out, err) = typed(&[
        "SELECT 7 AS a, 'x' AS b, CAST(NULL AS int) AS c \\gset my_",
        "\\echo :my_a :my_b :my_c",
        "SELECT 1 AS a UNION ALL SELECT 2 \\gset",
        "SELECT 1 + 1 \\gset",
    ])
    .await;
    assert_eq!(out, "7 x :my_c\n");
    assert!(err.contains("exactly one row") && err.contains("cannot be a variable's name"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_told_without_running_the_statement() {
    let (out, err) = typed(&["SELECT 1 / 0 AS a, 'x' AS b \\gdesc", "USE nowhere \\gdesc"]).await;
    assert_eq!(out, " column |  type\n--------+---------\n a      | bigint\n b      | varchar\n(2 rows)\n\n");
    assert!(err.contains("catalog \"nowhere\" does not exist"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_go_to_files_and_commands() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    let (out, err) = typed(&[
        &format!("SELECT 1 AS a \\g {}", path("g.txt")),
        &format!("\\g |tr 1 2 > {}", path("pipe.txt")),
        &format!("\\copy (SELECT 1 AS a UNION ALL SELECT 2 ORDER BY 1) to '{}'", path("c.csv")),
        "\\copy (SELECT 3 AS a) to stdout format ndjson",
        "\\o |cat > /dev/null",
        "SELECT 4 AS unseen;",
        "\\o",
        &format!("SELECT 5 AS a\n\\w {}", path("w.sql")),
        ";",
        "\\copy (SELECT 1) to 'x.unknown'",
        &format!("\\g {}", path("no/such/directory")),
        "\\g |exit 3",
    ])
    .await;
    assert_eq!(read("g.txt"), " a\n---\n 1\n(1 row)\n\n");
    assert_eq!(read("pipe.txt"), " a\n---\n 2\n(2 row)\n\n");
    assert_eq!(read("c.csv"), "a\n1\n2\n");
    assert_eq!(read("w.sql"), "SELECT 5 AS a\n");
    assert!(out.starts_with("COPY 2\n{\"a\":3}\n"), "{out}");
    assert!(out.ends_with(" a\n---\n 5\n(1 row)\n\n") && !out.contains("unseen"), "{out}");
    assert!(err.contains("does not say the format") && err.contains("cannot write to "), "{err}");
    assert!(err.contains("exit 3 ended with exit status: 3"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_goes_on_after_a_failure_if_it_is_told_to() {
    let mut fixture = fixture();
    fixture.shell.variables.set("ON_ERROR_STOP", "0");
    fixture.shell.view.format = Format::Csv;
    let script = "SELECT 1 AS a;\nSELECT nothing;\n\\nonsense\nSELECT 2 AS b;\n";
    assert_eq!(fixture.shell.run_source(&mut ScriptLines::new(script.as_bytes()), "x.sql").await, Ok(()));
    assert_eq!(fixture.out.text(), "a\n1\nb\n2\n");
    assert_eq!(fixture.shell.forgiven, 2);
    assert_eq!(fixture.shell.variables.get("ERROR"), Some("false"));
    assert!(fixture.shell.variables.get("LAST_ERROR_MESSAGE").unwrap().contains("nothing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_includes_those_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("sub")).unwrap();
    std::fs::write(directory.path().join("sub/outer.sql"), "\\ir inner.sql\nSELECT 2 AS b;").unwrap();
    std::fs::write(directory.path().join("sub/inner.sql"), "SELECT 1 AS a;").unwrap();
    let mut fixture = fixture();
    fixture.shell.view.format = Format::Csv;
    assert_eq!(fixture.shell.run_file(directory.path().join("sub/outer.sql")).await, Ok(()));
    assert_eq!(fixture.out.text(), "a\n1\nb\n2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_ends_with_ctrl_c_or_a_failure() {
    let fixture = fixture();
    let mut shell = fixture.shell.interactive();
    let (interrupt, out) = (shell.interrupt.clone(), fixture.out.clone());
    tokio::spawn(async move {
        while out.text().matches("(1 row)").count() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        interrupt.raise();
    });
    let mut lines = Scripted::new(["SELECT 1 AS a \\watch 0.01", "SELECT 2 AS b;", "SELECT 1 / 0 \\watch 0"]);
    repl::run(&mut shell, &mut lines).await.unwrap();
    let out = fixture.out.text();
    assert!(out.contains(" UTC (every 0.01 s)\n a\n---\n 1\n"), "{out}");
    assert!(out.contains("(1 row)\n\n b\n---\n 2\n(1 row)\n\n"), "{out}");
    assert!(fixture.err.text().contains("division by zero"), "{}", fixture.err.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_query_can_be_followed_by_its_chart() {
    let (out, err) = typed(&["\\explain on", "SELECT 1 AS a;", "SHOW pushdown;"]).await;
    assert_eq!(err, "");
    let shown = out.split_once("(1 row)\n\n").unwrap().1;
    assert!(!shown.starts_with(" value"), "{out}");
    assert_eq!(out.matches("(1 row)").count(), 2, "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn help_for_one_statement() {
    let (out, err) = typed(&["\\h show tables", "\\h vacuum"]).await;
    assert!(out.contains("SHOW TABLES [FROM catalog[.schema]]"), "{out}");
    assert!(err.contains("there is no statement \"vacuum\""), "{err}");
}
