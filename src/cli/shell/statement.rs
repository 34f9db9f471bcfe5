//! Runs one statement and writes its answer.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::console::Sink;
use super::running::{Event, Running};
use super::{Place, Shell, Stop, lex};
use crate::cli::output::{self, Expanded, Format, Look, OutputError, ResultWriter};
use crate::error::{Error, Result};
use crate::session::AnswerKind;

/// How one answer is shown, where that differs from the session's way.
#[derive(Clone, Debug, Default)]
pub(super) struct Presentation {
    pub(super) expanded: Option<Expanded>,
    /// A line above the rows.
    pub(super) title: Option<String>,
    /// Whether the rows say what is there rather than what is in it. They are read side by side, however wide.
    pub(super) metadata: bool,
}

/// Why an answer is not whole.
enum Trouble {
    Query(Error),
    Output(io::Error),
    Interrupted,
}

impl From<OutputError> for Trouble {
    fn from(error: OutputError) -> Self {
        match error {
            OutputError::Io(error) => Self::Output(error),
            OutputError::Result(error) => Self::Query(error),
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
        Self::Query(error)
    }
}

/// What an answer was.
enum Outcome {
    Rows(u64),
    Done(&'static str),
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
        let outcome = self.answer(sql, presentation).await;
        let elapsed = started.elapsed();
        match outcome {
            Ok(Outcome::Done(words)) => {
                self.tell(words)?;
                self.show_time(elapsed, None)
            }
            Ok(Outcome::Rows(rows)) => self.show_time(elapsed, Some(rows)),
            Err(Trouble::Query(error)) => Err(self.failed(&located(&error, sql, place))),
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

    async fn answer(&mut self, sql: &str, presentation: Presentation) -> Result<Outcome, Trouble> {
        let mut running = Running::start(&self.session, sql);
        let interrupt = self.interrupt.clone();
        let mut writer: Option<Box<dyn ResultWriter>> = None;
        let mut outcome = Outcome::Rows(0);
        loop {
            let event = tokio::select! {
                biased;
                () = interrupt.raised() => Err(Trouble::Interrupted),
                event = running.next() => event.map_err(Trouble::Query),
            };
            let written = match event {
                Ok(Event::Started(AnswerKind::Done(words), _)) => {
                    outcome = Outcome::Done(words);
                    Ok(())
                }
                Ok(Event::Started(AnswerKind::Rows, schema)) => {
                    writer = Some(self.begin(sql, &schema, &presentation)?);
                    Ok(())
                }
                Ok(Event::Rows(batch)) => {
                    if let Outcome::Rows(rows) = &mut outcome {
                        *rows += batch.num_rows() as u64;
                    }
                    self.write(&mut writer, &batch)
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

    /// A writer for an answer that begins.
    fn begin(
        &mut self,
        sql: &str,
        schema: &SchemaRef,
        presentation: &Presentation,
    ) -> Result<Box<dyn ResultWriter>, Trouble> {
        let format = self.view.format;
        let expanded = match self.view.expanded {
            Expanded::Auto if presentation.metadata => Expanded::Off,
            other => other,
        };
        let look = Look {
            expanded: presentation.expanded.unwrap_or(expanded),
            width: self.width,
            colour: self.console.results().colour,
            blank_null: presentation.metadata,
            plain_lines: answers_in_lines(sql),
        };
        let out = self.console.results();
        check_sink(format, out)?;
        out.answers += 1;
        let writer = output::writer(format, schema, look)?;
        if let (Format::Table, Some(title)) = (format, &presentation.title) {
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
        let presentation = Presentation { metadata: true, ..Presentation::default() };
        let written = self.begin("", &batch.schema(), &presentation).and_then(|mut writer| {
            let out = self.console.results();
            writer.batch(batch, out)?;
            writer.finish(out)?;
            Ok(out.flush()?)
        });
        match written {
            Ok(()) => Ok(()),
            Err(Trouble::Output(error)) => Err(self.cannot_write(&error)),
            Err(Trouble::Query(error)) => Err(self.failed(&error.to_string())),
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

/// The message of an error in a statement, with the file and line where it was read.
fn located(error: &Error, sql: &str, place: Option<Place<'_>>) -> String {
    let message = error.render(sql);
    match place {
        Some(place) => {
            let line = error.message().position.map_or(0, |position| position.line.saturating_sub(1));
            format!("{}:{}: {message}", place.origin, place.line + line)
        }
        None => message,
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
}
