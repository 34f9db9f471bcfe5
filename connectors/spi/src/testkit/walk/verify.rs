//! Judging one conjunct, pushing it down, and comparing the rows with the engine's.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, TableReference};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::prelude::SessionContext;

use super::super::report::{RuleReport, Violation, rule_name};
use super::super::rows::Rows;
use super::super::subject::{MAX_ROWS, Reading, failed};
use super::super::{Subject, WalkReport};
use crate::{
    ConnectorError, Domain, Operation, PlanContext, PushedFilter, Relation, Result, ScanRequest, Snapshot, Verdict,
};

/// Rows per batch while walking.
const BATCH_ROWS: usize = 1_024;
/// The alias that qualifies columns where a statement gave the table one.
const ALIAS: &str = "alias_of_the_statement";

/// What a judgement has to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expectation {
    /// This verdict, or a refusal for the sake of the literal.
    Declared(Verdict),
    /// Anything but exact.
    NotExact,
    /// Whatever the rows bear out.
    Anything,
    /// A refusal.
    Refusal,
}

impl Expectation {
    /// What is wrong with a verdict that is not a refusal.
    fn complaint(&self, verdict: &Verdict) -> Option<String> {
        match self {
            Self::Anything => None,
            Self::Declared(declared) if declared == verdict => None,
            Self::NotExact if *verdict != Verdict::Exact => None,
            Self::Declared(declared) => Some(format!("declared {}, judged {}", declared.label(), verdict.label())),
            Self::NotExact => Some("a part only prunes, and the whole is judged exact".to_owned()),
            Self::Refusal => Some(format!("no rule allows it, and it is judged {}", verdict.label())),
        }
    }
}

/// A conjunct that the table took.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) expr: Expr,
    pub(super) verdict: Verdict,
    /// Whether a rule for any expression governs its columns.
    pub(super) anything: bool,
}

/// A table, all of its rows, and what was found so far.
pub(super) struct Verifier {
    subject: Subject,
    snapshot: Arc<dyn Snapshot>,
    session: SessionContext,
    schema: SchemaRef,
    all: Rows,
    pub(super) accepted: Vec<Accepted>,
    pub(super) report: WalkReport,
}

impl Verifier {
    /// Reads the whole table.
    pub(super) async fn begin(subject: Subject) -> Result<Self> {
        let snapshot = subject.begin().await?;
        let request = subject.everything();
        let schema = subject.projected(&request.projection);
        let session = subject.session(BATCH_ROWS);
        let reading = subject.read(&request, &snapshot, &session).await?;
        if reading.rows() > MAX_ROWS {
            return Err(ConnectorError::resource_exhausted(format!("the table has more than {MAX_ROWS} rows"))
                .in_table(subject.table.name()));
        }
        let all = Rows::new(&schema, &reading.batches).map_err(failed)?;
        let report = WalkReport { reads: 1, ..WalkReport::default() };
        Ok(Self { subject, snapshot, session, schema, all, accepted: Vec::new(), report })
    }

    /// All rows of the table, where the source computes more than scans.
    pub(super) fn relation(&self) -> Option<Arc<dyn Relation>> {
        self.subject.table.relation(&self.subject.everything())
    }

    /// All rows of the table.
    pub(super) fn all_rows(&self) -> &RecordBatch {
        self.all.batch()
    }

    /// A session that knows the connector.
    pub(super) fn session(&self) -> &SessionContext {
        &self.session
    }

    /// Reads what a source computes.
    pub(super) async fn read_relation(&self, relation: &dyn Relation, schema: &DFSchema) -> Result<Reading> {
        let state = self.session.state();
        let context = PlanContext { session: &state, snapshot: Arc::clone(&self.snapshot) };
        let plan = relation.plan(schema, &context).await?;
        self.subject.read_plan(plan, &self.snapshot, &self.session).await
    }

    /// Judges a conjunct and, where it is taken, compares the rows. `Some` with the verdict where it is taken.
    pub(super) async fn check(
        &mut self,
        line: &mut RuleReport,
        expr: &Expr,
        expectation: &Expectation,
    ) -> Result<Option<Verdict>> {
        let rule = line.rule();
        let verdict = self.judge(&rule, expr);
        if let Verdict::Refused(reason) = &verdict {
            *line.refused.entry(reason.to_string()).or_default() += 1;
            return Ok(None);
        }
        if let Some(complaint) = expectation.complaint(&verdict) {
            self.report.violations.push(Violation::new(&rule, complaint).on(expr));
        }
        line.accepted += 1;
        let filter = PushedFilter::new(expr.clone(), verdict.clone());
        self.compare(&rule, vec![filter]).await?;
        Ok(Some(verdict))
    }

    /// Judges a conjunct for which there is no rule.
    pub(super) fn check_denied(&mut self, operation: Operation, domain: Domain, expr: &Expr) {
        let rule = rule_name(operation, Some(domain));
        let verdict = self.judge(&rule, expr);
        match Expectation::Refusal.complaint(&verdict) {
            Some(complaint) if verdict.reason().is_none() => {
                self.report.violations.push(Violation::new(rule, complaint).on(expr));
            }
            _ => self.report.denied += 1,
        }
    }

    /// The verdict, which must be the same every time and whatever the table's alias.
    fn judge(&mut self, rule: &str, expr: &Expr) -> Verdict {
        let verdict = self.subject.table.judge(expr);
        if self.subject.table.judge(expr) != verdict {
            self.report.violations.push(Violation::new(rule, "judged differently the second time").on(expr));
        }
        if self.subject.table.judge(&qualified(expr)) != verdict {
            let problem = "judged differently when the statement gives the table an alias";
            self.report.violations.push(Violation::new(rule, problem).on(expr));
        }
        if verdict.reason().is_some_and(|reason| reason.as_str().trim().is_empty()) {
            self.report.violations.push(Violation::new(rule, "refused without a reason").on(expr));
        }
        verdict
    }

    /// Pushes filters that the table took, and compares the rows.
    pub(super) async fn compare(&mut self, rule: &str, filters: Vec<PushedFilter>) -> Result<()> {
        let all_of = |exact_only: bool| {
            let wanted = filters.iter().filter(|filter| !exact_only || filter.verdict == Verdict::Exact);
            conjunction(wanted.map(|filter| unqualified(&filter.expression)))
        };
        let (floor, ceiling) = (all_of(false), all_of(true));
        let conjunct = floor.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut violation = Violation::new(rule, "").on(conjunct);
        // What every engine would find, and what the source may return at most.
        let floor = match floor.map(|expr| self.all.filtered(&expr)).transpose() {
            Ok(rows) => rows,
            Err(error) => {
                violation.problem = format!("taken, although the engine itself cannot evaluate it: {error}");
                self.report.violations.push(violation);
                return Ok(());
            }
        };
        let ceiling = ceiling.map(|expr| self.all.filtered(&expr)).transpose().map_err(failed)?;
        let (floor, ceiling) = (floor.as_ref().unwrap_or(&self.all), ceiling.as_ref().unwrap_or(&self.all));

        let expected_remotes = filters.len();
        let request = ScanRequest { filters, ..self.subject.everything() };
        self.report.reads += 1;
        let reading = match self.subject.read(&request, &self.snapshot, &self.session).await {
            Ok(reading) => reading,
            Err(error) => {
                violation.problem = format!("the source fails: {error}");
                self.report.violations.push(violation);
                return Ok(());
            }
        };
        violation.remote = join(&reading.remote_filters);
        violation.request.clone_from(&reading.request);
        if reading.remote_filters.len() != expected_remotes {
            violation.problem = format!(
                "the plan reports {} remote filters for {expected_remotes} filters",
                reading.remote_filters.len()
            );
            self.report.violations.push(violation.clone());
        }
        let rows = Rows::new(&self.schema, &reading.batches).map_err(failed)?;
        let (missing, extra) = (floor.beyond(&rows), rows.beyond(ceiling));
        if missing.is_empty() && extra.is_empty() {
            return Ok(());
        }
        violation.problem = format!(
            "the engine finds {} rows, the source returned {}: {} missing, {} that must not be there",
            floor.len(),
            rows.len(),
            missing.len(),
            extra.len()
        );
        violation.missing = (!missing.is_empty()).then(|| floor.describe(&missing));
        violation.extra = (!extra.is_empty()).then(|| rows.describe(&extra));
        self.report.violations.push(violation);
        Ok(())
    }

    /// Pushes an exact filter on columns that are not read, as `count(*)` does.
    pub(super) async fn check_count(&mut self, rule: &str, expr: &Expr, verdict: &Verdict) -> Result<()> {
        if *verdict != Verdict::Exact {
            return Ok(());
        }
        // An evaluation that fails has been reported with the rows.
        let Ok(expected) = self.all.filtered(expr) else { return Ok(()) };
        let filter = PushedFilter::new(expr.clone(), verdict.clone());
        let request = ScanRequest { filters: vec![filter], ..ScanRequest::default() };
        self.report.reads += 1;
        let problem = match self.subject.read(&request, &self.snapshot, &self.session).await {
            Ok(reading) if reading.rows() == expected.len() => return Ok(()),
            Ok(reading) => {
                format!("without columns the source returned {} rows instead of {}", reading.rows(), expected.len())
            }
            Err(error) => format!("without columns the source fails: {error}"),
        };
        self.report.violations.push(Violation::new(rule, problem).on(expr));
        Ok(())
    }
}

/// The same expression as a statement has it that gives the table an alias.
pub(super) fn qualified(expr: &Expr) -> Expr {
    with_relation(expr, Some(TableReference::bare(ALIAS)))
}

fn unqualified(expr: &Expr) -> Expr {
    with_relation(expr, None)
}

fn with_relation(expr: &Expr, relation: Option<TableReference>) -> Expr {
    let changed = expr.clone().transform(|inner| {
        Ok(match inner {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new(relation.clone(), column.name))),
            other => Transformed::no(other),
        })
    });
    // The closure does not fail, and neither does the walk around it.
    changed.map_or_else(|_| expr.clone(), |changed| changed.data)
}

fn join(remote_filters: &[Option<String>]) -> Option<String> {
    let sent: Vec<&str> = remote_filters.iter().flatten().map(String::as_str).collect();
    (!sent.is_empty()).then(|| sent.join(" AND "))
}
