//! What every connector promises, whatever its rules.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::Column as ColumnName;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::SessionContext;

use super::rows::Rows;
use super::subject::{Reading, failed};
use super::{MAX_ROWS, Subject};
use crate::{ConnectorError, Fold, PushedFilter, Result, ScanRequest, Snapshot, Split, Verdict};

/// A size of batches that is too small for any table worth testing.
const SMALL_BATCH_ROWS: usize = 2;
/// A usual size of batches.
const BATCH_ROWS: usize = 8_192;
/// A name that no table has as a column.
const NO_COLUMN: &str = "no such column \u{1f4a9}";

/// What the checks found.
#[derive(Clone, Debug, Default)]
pub struct ContractReport {
    /// How many checks were made.
    pub checks: usize,
    /// Everything found wrong.
    pub violations: Vec<String>,
}

impl ContractReport {
    pub(super) fn check(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        self.checks += 1;
        if !holds {
            self.violations.push(otherwise());
        }
    }

    /// Whether nothing was found wrong.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// Fails the test that called it, with the report, unless nothing was found wrong.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.is_clean(), "{self}");
    }
}

impl fmt::Display for ContractReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} checks, {} violations", self.checks, self.violations.len())?;
        self.violations.iter().try_for_each(|violation| writeln!(f, "- {violation}"))
    }
}

/// Checks the basic points of the contract on one table:
///
/// * columns: names are unique, hidden columns come last, an unknown column is refused;
/// * projections: every column alone, all in reverse, and none, which still counts rows;
/// * batches have the planned schema, at most the asked number of rows, and no NULL where the field allows none;
/// * limits: an accepted one is kept by every split, an inexact filter refuses it;
/// * splits survive being written down and read again.
///
/// An error means that the table cannot be read at all, or has more than [`MAX_ROWS`] rows.
pub async fn check_contract(subject: &Subject) -> Result<ContractReport> {
    let mut report = ContractReport::default();
    let opened = Opened { snapshot: subject.begin().await?, session: subject.session(BATCH_ROWS) };
    let everything = subject.everything();
    let reading = opened.read(subject, &everything).await?;
    if reading.rows() > MAX_ROWS {
        return Err(ConnectorError::resource_exhausted(format!("the table has more than {MAX_ROWS} rows"))
            .in_table(subject.table.name()));
    }
    check_batches(&mut report, subject, &everything, &reading, BATCH_ROWS);
    let all = Rows::new(&subject.projected(&everything.projection), &reading.batches).map_err(failed)?;

    check_columns(&mut report, subject);
    check_projections(&mut report, subject, &opened, &all).await?;
    check_small_batches(&mut report, subject, &opened, &all).await?;
    check_limits(&mut report, subject, &opened, &all).await?;
    check_splits(&mut report, subject, &opened).await?;
    Ok(report)
}

/// What all reads share.
struct Opened {
    snapshot: Arc<dyn Snapshot>,
    session: SessionContext,
}

impl Opened {
    async fn read(&self, subject: &Subject, request: &ScanRequest) -> Result<Reading> {
        subject.read(request, &self.snapshot, &self.session).await
    }
}

fn check_columns(report: &mut ContractReport, subject: &Subject) {
    let columns = subject.table.columns();
    let mut seen = HashSet::new();
    for column in columns {
        report.check(seen.insert(column.name()), || format!("the column {} is there twice", column.name()));
    }
    let first_hidden = columns.iter().position(|column| column.hidden.is_some()).unwrap_or(columns.len());
    let visible_after = columns.iter().skip(first_hidden).any(|column| column.hidden.is_none());
    report.check(!visible_after, || "a visible column comes after a hidden one".to_owned());
    let unknown = Expr::Column(ColumnName::new_unqualified(NO_COLUMN)).eq(lit(1_i64));
    let verdict = subject.table.judge(&unknown);
    report.check(verdict.reason().is_some(), || {
        format!("a conjunct on a column that does not exist is judged {}", verdict.label())
    });
}

/// Schemas, sizes and NULLs of what was read.
fn check_batches(
    report: &mut ContractReport,
    subject: &Subject,
    request: &ScanRequest,
    reading: &Reading,
    batch_rows: usize,
) {
    let projection = &request.projection;
    let wanted = subject.projected(projection);
    report.check(same_columns(&reading.schema, &wanted), || {
        format!("projection {projection:?}: the plan announces {:?} instead of {wanted:?}", reading.schema)
    });
    report.check(same_columns(&reading.leaf_schema, &wanted), || {
        format!("projection {projection:?}: the leaf has {:?} instead of {wanted:?}", reading.leaf_schema)
    });
    for batch in &reading.batches {
        report.check(same_columns(&batch.schema(), &wanted), || {
            format!("projection {projection:?}: a batch has {:?} instead of {wanted:?}", batch.schema())
        });
        report.check(batch.num_rows() <= batch_rows, || {
            format!("a batch has {} rows where at most {batch_rows} were asked for", batch.num_rows())
        });
        for (field, values) in wanted.fields().iter().zip(batch.columns()) {
            report.check(field.is_nullable() || values.null_count() == 0, || {
                format!("the column {} has a NULL and its field allows none", field.name())
            });
        }
    }
}

async fn check_projections(report: &mut ContractReport, subject: &Subject, opened: &Opened, all: &Rows) -> Result<()> {
    let count = subject.table.columns().len();
    let singles = (0..count).map(|index| vec![index]);
    let visible = subject.table.columns().iter().filter(|column| column.hidden.is_none()).count();
    for projection in singles.chain([(0..count).rev().collect(), (0..visible).collect(), Vec::new()]) {
        let request = ScanRequest { projection: projection.clone(), ..ScanRequest::default() };
        let reading = match opened.read(subject, &request).await {
            Ok(reading) => reading,
            Err(error) => {
                report.check(false, || format!("projection {projection:?}: the source fails: {error}"));
                continue;
            }
        };
        check_batches(report, subject, &request, &reading, BATCH_ROWS);
        report.check(reading.rows() == all.len(), || {
            format!("projection {projection:?}: {} rows instead of {}", reading.rows(), all.len())
        });
        if projection.is_empty() {
            continue;
        }
        let rows = Rows::new(&subject.projected(&projection), &reading.batches);
        let same = match (rows, all.project(&projection)) {
            (Ok(rows), Ok(expected)) => rows.beyond(&expected).is_empty() && expected.beyond(&rows).is_empty(),
            _ => false,
        };
        report.check(same, || format!("projection {projection:?}: other values than when all columns are read"));
    }
    Ok(())
}

async fn check_small_batches(
    report: &mut ContractReport,
    subject: &Subject,
    opened: &Opened,
    all: &Rows,
) -> Result<()> {
    let session = subject.session(SMALL_BATCH_ROWS);
    for request in [subject.everything(), ScanRequest::default()] {
        let reading = subject.read(&request, &opened.snapshot, &session).await?;
        check_batches(report, subject, &request, &reading, SMALL_BATCH_ROWS);
        report.check(reading.rows() == all.len(), || {
            format!("in batches of {SMALL_BATCH_ROWS}: {} rows instead of {}", reading.rows(), all.len())
        });
    }
    Ok(())
}

async fn check_limits(report: &mut ContractReport, subject: &Subject, opened: &Opened, all: &Rows) -> Result<()> {
    for limit in [0, 1, all.len() / 2, all.len() + 1] {
        let Ok(request) = subject.table.fold(&subject.everything(), &Fold::Limit(limit)) else {
            continue;
        };
        report.check(request.limit == Some(limit), || {
            format!("LIMIT {limit} was taken, and the request says {:?}", request.limit)
        });
        let reading = opened.read(subject, &request).await?;
        let rows = Rows::new(&subject.projected(&request.projection), &reading.batches).map_err(failed)?;
        report.check(rows.beyond(all).is_empty(), || format!("LIMIT {limit}: rows that the table does not have"));
        report.check(rows.len() >= limit.min(all.len()), || {
            format!("LIMIT {limit}: only {} rows of {}", rows.len(), all.len())
        });
        // Each split may keep the limit for itself; the engine keeps its own above.
        report.check(rows.len() <= limit.saturating_mul(reading.readers), || {
            format!("LIMIT {limit}: {} rows from {} readers", rows.len(), reading.readers)
        });
    }
    let Some(column) = subject.table.columns().first() else {
        return Ok(());
    };
    let expression = Expr::Column(ColumnName::new_unqualified(column.name())).is_not_null();
    let filters = vec![PushedFilter::new(expression, Verdict::Pruning)];
    let pruned = ScanRequest { filters, ..subject.everything() };
    report.check(subject.table.fold(&pruned, &Fold::Limit(1)).is_err(), || {
        "a limit is taken although a filter only prunes: rows that match would be cut off".to_owned()
    });
    Ok(())
}

async fn check_splits(report: &mut ContractReport, subject: &Subject, opened: &Opened) -> Result<()> {
    for split in subject.splits(&subject.everything(), &opened.snapshot, &opened.session).await? {
        let copy = serde_json::to_string(&split).and_then(|text| serde_json::from_str::<Split>(&text));
        report.check(copy.as_ref().is_ok_and(|copy| *copy == split), || {
            format!("the split {} changes when it is written down and read again", split.label)
        });
        report.check(!split.label.is_empty(), || "a split has no label for messages".to_owned());
    }
    Ok(())
}

/// Whether names, types and nullability agree; metadata may differ.
fn same_columns(one: &Schema, other: &Schema) -> bool {
    one.fields().len() == other.fields().len()
        && one.fields().iter().zip(other.fields()).all(|(one, other)| {
            one.name() == other.name()
                && one.data_type() == other.data_type()
                && one.is_nullable() == other.is_nullable()
        })
}
