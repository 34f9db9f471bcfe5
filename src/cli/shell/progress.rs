//! What a query does while its rows are awaited: a line for each source, drawn again and again, and wiped before the rows
//! are shown.

use std::io::Write;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;

use super::pager::Screen;
use super::sink::Sink;
use crate::cli::client::{Client, Failure, SharedClient, ask, literal};
use crate::cli::output::truncated;
use crate::explain::{grouped, size};

/// How long a query may run before anything is said of it.
const SILENT: Duration = Duration::from_millis(400);

/// How often the lines are drawn again.
const INTERVAL: Duration = Duration::from_millis(250);

/// Lines that are drawn at most.
const LINES_MAX: usize = 12;

/// Asks what a query does, on a task of its own. Dropping it ends the asking.
#[derive(Debug)]
pub(super) struct Progress {
    reports: Receiver<Vec<String>>,
    task: JoinHandle<()>,
}

impl Progress {
    /// Begins to ask after a query.
    pub(super) fn of(client: &SharedClient, query_id: &str) -> Self {
        let (sender, reports) = mpsc::channel(1);
        let (client, query_id) = (SharedClient::clone(client), query_id.to_owned());
        let task = tokio::spawn(async move {
            // A server that cannot tell is not asked again; the query itself is not concerned.
            let _ = report(client.as_ref(), &query_id, &sender).await;
        });
        Self { reports, task }
    }

    /// The lines to draw next; `None` when there will be no more.
    pub(super) async fn next(&mut self) -> Option<Vec<String>> {
        self.reports.recv().await
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn report(client: &dyn Client, query_id: &str, reports: &Sender<Vec<String>>) -> Result<(), Failure> {
    let sql = format!(
        "SELECT source, state, rows, bytes, splits_done, splits_total FROM system.runtime.sources WHERE query_id = {}",
        literal(query_id)
    );
    tokio::time::sleep(SILENT).await;
    loop {
        let rows = ask(client, &sql).await?;
        if reports.send(lines(&rows)).await.is_err() {
            return Ok(());
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// A line for each source.
fn lines(rows: &[Vec<Option<String>>]) -> Vec<String> {
    let text = |row: &[Option<String>], index: usize| row.get(index).cloned().flatten();
    let number = |row: &[Option<String>], index: usize| text(row, index)?.parse::<u64>().ok();
    let names = rows.iter().filter_map(|row| text(row, 0)).map(|name| name.chars().count()).max().unwrap_or(0);
    let line = |row: &Vec<Option<String>>| {
        let name = text(row, 0).unwrap_or_default();
        let state = text(row, 1).unwrap_or_default();
        let mut parts = vec![format!("{} rows", grouped(number(row, 2).unwrap_or(0)))];
        parts.extend(number(row, 3).map(size));
        parts.extend(
            number(row, 5)
                .map(|total| format!("{} of {} splits", grouped(number(row, 4).unwrap_or(0)), grouped(total))),
        );
        format!("{name:<names$}  {state:<7}  {}", parts.join(" · "))
    };
    rows.iter().map(line).collect()
}

/// Lines on the screen that are to be wiped.
#[derive(Debug, Default)]
pub(super) struct Drawn(usize);

impl Drawn {
    /// Draws lines in the place of those before. What the screen has no room for is left out.
    pub(super) fn draw(&mut self, lines: &[String], screen: Screen, err: &mut Sink) {
        self.wipe(err);
        // A line that fills the screen's width would wrap, and a block as high as the screen would scroll.
        let most = LINES_MAX.min(screen.height.saturating_sub(2));
        let mut text = String::new();
        for line in lines.iter().take(most) {
            text.push_str(truncated(line, screen.width.saturating_sub(1)));
            text.push('\n');
            self.0 += 1;
        }
        // Where it cannot be written, nobody looks.
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }

    /// Removes the lines from the screen.
    pub(super) fn wipe(&mut self, err: &mut Sink) {
        let lines = std::mem::take(&mut self.0);
        if lines > 0 {
            let _ = write!(err, "\r\u{1b}[{lines}A\u{1b}[J").and_then(|()| err.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::shell::tests::Captured;

    #[test]
    fn a_line_says_what_is_known_of_a_source() {
        let row = |values: [&str; 6]| values.map(|value| Some(value.to_owned()).filter(|it| it != "NULL")).to_vec();
        assert_eq!(
            lines(&[
                row(["pg.public.customers", "done", "30142", "812345", "1", "1"]),
                row(["lake.t", "waiting", "0", "NULL", "0", "NULL"]),
            ]),
            [
                "pg.public.customers  done     30,142 rows · 812 kB · 1 of 1 splits",
                "lake.t               waiting  0 rows"
            ]
        );
    }

    #[test]
    fn lines_are_drawn_in_their_place_and_wiped() {
        let shown = Captured::default();
        let mut err = Sink::other(shown.clone());
        let screen = Screen { width: 4, height: 20 };
        let mut drawn = Drawn::default();
        drawn.draw(&["abcdef".to_owned(), "x".to_owned()], screen, &mut err);
        drawn.draw(&["y".to_owned()], screen, &mut err);
        drawn.wipe(&mut err);
        drawn.wipe(&mut err);
        assert_eq!(shown.text(), "abc\nx\n\r\u{1b}[2A\u{1b}[Jy\n\r\u{1b}[1A\u{1b}[J");
    }
}
