//! Runs one statement and writes its answer.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::paging::is_left;
use super::progress::{Drawn, Progress};
use super::running::{Event, Running};
use super::sink::Sink;
use super::variables::{ERROR, LAST_ERROR_MESSAGE, QUERY_ID, ROW_COUNT};
use super::{Expanded, Format, Place, Shell, Stop, lex};
use crate::cli::client::{AnswerKind, Failure};
use crate::cli::output::{self, Look, OutputError, ResultWriter};
use crate::error::{Error, Result};
use crate::planner::FOLLOW;

/// How one answer is shown, where that differs from the session's way.
#[derive(Clone, Debug, Default)]
pub(super) struct Presentation {
    pub(super) expanded: Option<Expanded>,
    /// A line above the rows.
    pub(super) title: Option<String>,
    /// Whether the rows say what is there rather than what is in it. They are read side by side, however wide.
    pub(super) metadata: bool,
    /// Whether no pager may stop the output.
    pub(super) unpaged: bool,
    /// Whether the answer belongs to another statement, and nothing is said beside it.
    pub(super) quiet: bool,
}

/// Why an answer is not whole.
enum Trouble {
    Query(Failure),
    Output(io::Error),
    Interrupted,
}

impl From<OutputError> for Trouble {
    fn from(error: OutputError) -> Self {
        match error {
            OutputError::Io(error) => Self::Output(error),
            OutputError::Result(error) => Self::Query(error.into()),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Query(error.into())
    }
}

/// What an answer was.
enum Outcome {
    Rows(u64),
    Done(String),
}

impl Shell {
    /// Runs a statement and writes its answer. What goes wrong is reported here.
    pub(super) async fn run_statement(
        &mut self,
        sql: &str,
        place: Option<Place<'_>>,
        presentation: Presentation,
    ) -> Result<(), Stop> {
        let started = Instant::now();
        let (metadata, quiet) = (presentation.metadata, presentation.quiet);
        let outcome = self.paged_answer(sql, presentation).await;
        let elapsed = started.elapsed();
        match outcome {
            Ok(Outcome::Done(words)) => {
                self.note(Ok(0));
                self.tell(&words)?;
                if self.interactive {
                    self.look_where().await;
                }
                self.show_time(elapsed, None)
            }
            Ok(Outcome::Rows(_)) if quiet => Ok(()),
            Ok(Outcome::Rows(rows)) => {
                self.note(Ok(rows));
                self.show_time(elapsed, Some(rows))?;
                if self.view.explain && !metadata && is_query(sql) {
                    return self.explain(sql).await;
                }
                Ok(())
            }
            Err(Trouble::Query(failure)) => {
                self.note(Err(&failure.text));
                Err(self.failed(&located(&failure, place)))
            }
            // A command that results go to has what it wants. How it ended is seen when it is closed.
            Err(Trouble::Output(error)) if is_left(&error) && self.console.redirected.is_some() => Ok(()),
            Err(Trouble::Output(error)) => Err(self.cannot_write(&error)),
            Err(Trouble::Interrupted) => {
                if self.console.out.terminal {
                    // The terminal shows ^C where the cursor was.
                    self.say("")?;
                }
                self.console.error("the query was cancelled");
                Err(Stop::Interrupted)
            }
        }
    }

    /// Keeps in variables how a statement ended: its rows, or the failure's message.
    fn note(&mut self, outcome: Result<u64, &str>) {
        self.variables.set(ERROR, outcome.is_err().to_string());
        self.variables.set(ROW_COUNT, outcome.unwrap_or(0).to_string());
        if let Err(message) = outcome {
            self.variables.set(LAST_ERROR_MESSAGE, message);
        }
    }

    /// The answer, in a pager where that is wanted and the screen has no room for it.
    async fn paged_answer(&mut self, sql: &str, presentation: Presentation) -> Result<Outcome, Trouble> {
        let may_page = !presentation.unpaged && !follows(sql);
        let pages = may_page && self.view.format.is_for_people() && self.begin_paging();
        let outcome = self.answer(sql, presentation).await;
        if !pages {
            return outcome;
        }
        match (outcome, self.end_paging()) {
            // The person has seen enough and left the pager.
            (Err(Trouble::Output(error)), _) if is_left(&error) => Ok(Outcome::Rows(0)),
            (Ok(_), Err(error)) => Err(Trouble::Output(error)),
            (outcome, _) => outcome,
        }
    }

    async fn answer(&mut self, sql: &str, presentation: Presentation) -> Result<Outcome, Trouble> {
        let mut running = Running::start(&self.client, sql);
        let interrupt = self.interrupt.clone();
        let mut writer: Option<Box<dyn ResultWriter>> = None;
        let mut progress: Option<Progress> = None;
        let mut drawn = Drawn::default();
        let mut outcome = Outcome::Rows(0);
        loop {
            let event = tokio::select! {
                biased;
                () = interrupt.raised() => Err(Trouble::Interrupted),
                event = running.next() => event.map_err(Trouble::Query),
                lines = reported(&mut progress) => {
                    if let Some(screen) = self.screen {
                        drawn.draw(&lines, screen, &mut self.console.err);
                    }
                    continue;
                }
            };
            drawn.wipe(&mut self.console.err);
            let written = match event {
                Ok(Event::Started(head)) => {
                    progress = head.query_id.as_deref().and_then(|id| self.progress_of(id));
                    if let Some(id) = head.query_id {
                        self.variables.set(QUERY_ID, id);
                    }
                    match head.kind {
                        AnswerKind::Done(words) => outcome = Outcome::Done(words),
                        AnswerKind::Rows => writer = Some(self.begin(sql, &head.schema, &presentation)?),
                    }
                    Ok(())
                }
                Ok(Event::Rows(batch)) => {
                    if let Outcome::Rows(rows) = &mut outcome {
                        *rows += batch.num_rows() as u64;
                    }
                    let seen = self.console.results().seen();
                    let written = self.write(&mut writer, &batch);
                    if self.console.results().seen() > seen {
                        // Rows are what the person looks at from now on.
                        progress = None;
                    }
                    written
                }
                Ok(Event::Ended) => {
                    let out = self.console.results();
                    if let Some(writer) = &mut writer {
                        writer.finish(out)?;
                    }
                    out.flush()?;
                    return Ok(outcome);
                }
                Err(trouble) => Err(trouble),
            };
            if let Err(trouble) = written {
                self.abandon(writer);
                return Err(trouble);
            }
        }
    }

    /// What a query does, for a person who waits for it.
    fn progress_of(&self, query_id: &str) -> Option<Progress> {
        let watched = self.interactive && self.console.err.terminal && self.screen.is_some();
        watched.then(|| Progress::of(&self.client, query_id))
    }

    /// A writer for an answer that begins.
    fn begin(
        &mut self,
        sql: &str,
        schema: &SchemaRef,
        presentation: &Presentation,
    ) -> Result<Box<dyn ResultWriter>, Trouble> {
        let view = &self.view;
        let format = view.format;
        let expanded = match view.expanded {
            Expanded::Auto if presentation.metadata => Expanded::Off,
            other => other,
        };
        let null = view.null.clone();
        let look = Look {
            expanded: presentation.expanded.unwrap_or(expanded),
            width: self.screen.map(|screen| screen.width),
            // In lists of what is there NULL says nothing.
            null: if presentation.metadata { Some(null.unwrap_or_default()) } else { null },
            border: view.border,
            tuples_only: view.tuples_only,
            footer: view.footer,
            separator: view.separator.clone(),
            colour: self.console.results().colour,
            plain_lines: answers_in_lines(sql),
            at_once: follows(sql),
        };
        let out = self.console.results();
        check_sink(format, out)?;
        out.answers += 1;
        let writer = output::writer(format, schema, look)?;
        if let (true, Some(title)) = (format.is_for_people(), &presentation.title) {
            writeln!(out, "{title}")?;
        }
        Ok(writer)
    }

    fn write(&mut self, writer: &mut Option<Box<dyn ResultWriter>>, batch: &RecordBatch) -> Result<(), Trouble> {
        let out = self.console.results();
        if let Some(writer) = writer {
            writer.batch(batch, out)?;
        }
        // Whoever waits for rows gets them now, not when the buffer is full.
        Ok(out.flush()?)
    }

    /// Ends what was written of an answer that failed.
    fn abandon(&mut self, writer: Option<Box<dyn ResultWriter>>) {
        let out = self.console.results();
        // The failure itself is reported; that its traces cannot be written adds nothing.
        if let Some(mut writer) = writer {
            let _ = writer.abort(out);
        }
        let _ = out.flush();
    }

    /// Writes rows that the shell made itself.
    pub(super) fn show(&mut self, batch: &RecordBatch) -> Result<(), Stop> {
        let pages = self.view.format.is_for_people() && self.begin_paging();
        let presentation = Presentation { metadata: true, ..Presentation::default() };
        let written = self.begin("", &batch.schema(), &presentation).and_then(|mut writer| {
            let out = self.console.results();
            writer.batch(batch, out)?;
            writer.finish(out)?;
            Ok(out.flush()?)
        });
        let closed = if pages { self.end_paging() } else { Ok(()) };
        match written {
            Ok(()) => closed.map_err(|error| self.cannot_write(&error)),
            Err(Trouble::Output(error)) if is_left(&error) && (pages || self.console.redirected.is_some()) => Ok(()),
            Err(Trouble::Output(error)) => Err(self.cannot_write(&error)),
            Err(Trouble::Query(failure)) => Err(self.failed(&failure.text)),
            Err(Trouble::Interrupted) => Err(Stop::Interrupted),
        }
    }

    fn show_time(&mut self, elapsed: Duration, rows: Option<u64>) -> Result<(), Stop> {
        if !self.view.timing {
            return Ok(());
        }
        let time = human_time(elapsed);
        match rows {
            Some(1) => self.tell(&format!("Time: {time}, 1 row")),
            Some(rows) => self.tell(&format!("Time: {time}, {rows} rows")),
            None => self.tell(&format!("Time: {time}")),
        }
    }
}

/// The next lines of a progress report; waits for ever when there are none.
async fn reported(progress: &mut Option<Progress>) -> Vec<String> {
    if let Some(asked) = progress
        && let Some(lines) = asked.next().await
    {
        return lines;
    }
    *progress = None;
    std::future::pending().await
}

/// Refuses bytes on a screen, and a second answer where a file holds one.
fn check_sink(format: Format, out: &Sink) -> Result<()> {
    let name = format.name();
    if format.is_binary() && out.terminal {
        return Err(Error::user(format!("{name} is not text, and this is a terminal"))
            .hint("send the output to a file: > FILE, or \\o FILE in an interactive session"));
    }
    if format == Format::Parquet && out.answers > 0 {
        return Err(Error::user("a Parquet file holds the answer of one statement")
            .hint("run the statements one by one, or choose another format"));
    }
    Ok(())
}

/// Whether a statement answers with lines to print as they are: a plan or a definition.
fn answers_in_lines(sql: &str) -> bool {
    let [first, second] = lex::first_words(sql);
    first == "EXPLAIN" || (first == "SHOW" && second == "CREATE")
}

/// Whether a statement may wait for rows without end. If it does not, because the word is a name in it, its rows are only shown
/// earlier than others.
fn follows(sql: &str) -> bool {
    is_query(sql)
        && lex::tokens(sql).any(|token| token.kind == lex::Kind::Word && token.text.eq_ignore_ascii_case(FOLLOW))
}

/// Whether a statement is a query, which has a chart.
fn is_query(sql: &str) -> bool {
    let [first] = lex::first_words(sql);
    matches!(first.as_str(), "SELECT" | "WITH" | "VALUES" | "TABLE") || sql.starts_with('(')
}

/// The message of a failure of a statement, with the file and line where it was read.
fn located(failure: &Failure, place: Option<Place<'_>>) -> String {
    match place {
        Some(place) => {
            let line = failure.line.map_or(0, |line| line.saturating_sub(1));
            format!("{}:{}: {failure}", place.origin, place.line + line)
        }
        None => failure.text.clone(),
    }
}

/// `12.345 ms`, `1.500 s`, `2 min 3.0 s`.
fn human_time(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    match elapsed.as_secs() {
        0 => format!("{:.3} ms", seconds * 1e3),
        1..60 => format!("{seconds:.3} s"),
        whole => format!("{} min {:.1} s", whole / 60, seconds % 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_that_fits() {
        assert_eq!(human_time(Duration::from_micros(1_234)), "1.234 ms");
        assert_eq!(human_time(Duration::from_millis(1_500)), "1.500 s");
        assert_eq!(human_time(Duration::from_secs(123)), "2 min 3.0 s");
    }

    #[test]
    fn plans_and_definitions_are_lines() {
        assert!(answers_in_lines("explain analyze select 1"));
        assert!(answers_in_lines("-- why\nSHOW CREATE TABLE t"));
        assert!(!answers_in_lines("select plan from subscriptions"));
        assert!(!answers_in_lines("show catalogs"));
    }

    #[test]
    fn rows_that_are_followed_are_shown_at_once() {
        assert!(follows("select a from t follow where b > 1"));
        assert!(!follows("select 'follow', \"FOLLOW\" from t -- follow"));
        assert!(!follows("explain select a from t follow"));
    }

    #[test]
    fn only_queries_have_a_chart() {
        assert!(is_query("select 1") && is_query("(select 1)"));
        assert!(!is_query("EXPLAIN SELECT 1") && !is_query("SHOW CATALOGS"));
    }
}
