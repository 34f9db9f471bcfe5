//! Other ways to run the statement: `\g`, `\gx`, `\gset`, `\gdesc`, `\watch`, `\copy`.

use std::time::Duration;

use arrow::array::RecordBatch;

use crate::cli::client::{Failure, SharedClient, ask};
use crate::cli::output::{Expanded, Format};
use crate::cli::shell::command::{CopyTo, Destination};
use crate::cli::shell::listing::Listing;
use crate::cli::shell::statement::Presentation;
use crate::cli::shell::variables::{ROW_COUNT, is_name};
use crate::cli::shell::{Shell, Stop};
use crate::session::type_name;

impl Shell {
    /// Runs the statement; its answer goes where the session's results go, or elsewhere this once.
    pub(super) async fn run_pending(
        &mut self,
        pending: &mut String,
        expanded: bool,
        to: Option<Destination>,
    ) -> Result<(), Stop> {
        let sql = self.take_statement(pending)?;
        let presentation = Presentation { expanded: expanded.then_some(Expanded::On), ..Presentation::default() };
        match to {
            None => self.run_statement(&sql, None, presentation).await,
            Some(to) => self.run_elsewhere(&sql, presentation, to, self.view.format).await,
        }
    }

    /// Runs a statement whose answer goes to a file or a command.
    async fn run_elsewhere(
        &mut self,
        sql: &str,
        presentation: Presentation,
        to: Destination,
        format: Format,
    ) -> Result<(), Stop> {
        let sink = self.open(&to)?;
        let before = self.console.redirected.replace(sink);
        let format_before = std::mem::replace(&mut self.view.format, format);
        let outcome = self.run_statement(sql, None, presentation).await;
        self.view.format = format_before;
        let sink = std::mem::replace(&mut self.console.redirected, before);
        let closed = sink.map_or(Ok(()), crate::cli::shell::Sink::close);
        outcome?;
        closed.map_err(|error| self.failed(&format!("cannot write the result: {error}")))
    }

    pub(super) async fn copy(&mut self, copy: CopyTo) -> Result<(), Stop> {
        let presentation = Presentation::default();
        match copy.to {
            Some(to) => self.run_elsewhere(&copy.sql, presentation, to, copy.format).await?,
            None => {
                let before = std::mem::replace(&mut self.view.format, copy.format);
                let outcome = self.run_statement(&copy.sql, None, presentation).await;
                self.view.format = before;
                return outcome;
            }
        }
        let rows = self.variables.get(ROW_COUNT).unwrap_or_default().to_owned();
        self.tell(&format!("COPY {rows}"))
    }

    /// Runs the statement and keeps each value of its only row in a variable of the column's name.
    pub(super) async fn run_into_variables(&mut self, pending: &mut String, prefix: &str) -> Result<(), Stop> {
        let sql = self.take_statement(pending)?;
        let client = SharedClient::clone(&self.client);
        let question = async {
            let schema = client.schema(&sql).await?;
            let rows = ask(client.as_ref(), &sql).await?;
            Ok::<_, Failure>((schema, rows))
        };
        let answered = self.unless_interrupted(question).await?;
        let (schema, mut rows) = answered.map_err(|failure| self.failed(&failure.text))?;
        let (Some(row), true) = (rows.pop(), rows.is_empty()) else {
            return Err(self.failed("\\gset needs a statement that returns exactly one row"));
        };
        for (field, value) in schema.fields().iter().zip(row) {
            let name = format!("{prefix}{}", field.name());
            if !is_name(&name) {
                return Err(self.failed(&format!("\"{name}\" cannot be a variable's name: write AS NAME behind it")));
            }
            match value {
                Some(value) => self.variables.set(&name, value),
                // As in psql: NULL has no text.
                None => {
                    self.variables.unset(&name);
                }
            }
        }
        Ok(())
    }

    /// The columns that the statement returns, without running it.
    pub(super) async fn describe_result(&mut self, pending: &mut String) -> Result<(), Stop> {
        let sql = self.take_statement(pending)?;
        let client = SharedClient::clone(&self.client);
        let schema = self.unless_interrupted(client.schema(&sql)).await?;
        let schema = schema.map_err(|failure| self.failed(&failure.text))?;
        if schema.fields().is_empty() {
            return self.say("The statement returns no rows.");
        }
        let rows = schema.fields().iter().map(|field| vec![field.name().clone(), type_name(field.data_type())]);
        let batch: Result<RecordBatch, Failure> = Listing::of(&["column", "type"], rows.collect()).batch();
        match batch {
            Ok(batch) => self.show(&batch),
            Err(failure) => Err(self.failed(&failure.text)),
        }
    }

    /// Runs the statement again and again, until Ctrl-C or a failure.
    pub(super) async fn watch(&mut self, pending: &mut String, interval: Duration) -> Result<(), Stop> {
        let sql = self.take_statement(pending)?;
        loop {
            let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
            let title = format!("{} UTC (every {} s)", now.format("%Y-%m-%d %H:%M:%S"), interval.as_secs_f64());
            let presentation = Presentation { title: Some(title), unpaged: true, ..Presentation::default() };
            match self.run_statement(&sql, None, presentation).await {
                Ok(()) => {}
                // That is how a person ends it.
                Err(Stop::Interrupted) if self.interactive => return Ok(()),
                Err(stop) => return Err(stop),
            }
            let interrupt = self.interrupt.clone();
            tokio::select! {
                biased;
                () = interrupt.raised() => {
                    if !self.interactive {
                        return Err(Stop::Interrupted);
                    }
                    // The terminal shows ^C where the cursor was.
                    return if self.console.out.terminal { self.say("") } else { Ok(()) };
                }
                () = tokio::time::sleep(interval) => {}
            }
        }
    }

    /// Shows the chart of a query that has answered.
    pub(in crate::cli::shell) async fn explain(&mut self, sql: &str) -> Result<(), Stop> {
        Box::pin(self.run_statement(
            &format!("EXPLAIN {sql}"),
            None,
            Presentation { quiet: true, ..Presentation::default() },
        ))
        .await
    }
}
