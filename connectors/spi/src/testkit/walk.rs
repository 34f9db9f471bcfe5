//! The walk over all rules of a connector.

mod combine;
mod folds;
mod values;
mod verify;

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

use self::verify::{Accepted, Expectation, Verifier};
use super::conjuncts::conjuncts;
use super::report::{RuleReport, Violation};
use super::{Probe, Subject, WalkReport};
use crate::{Capabilities, Column, ConnectorError, Domain, Operation, Result, Rule, Verdict};

/// How many pairs of conjuncts are combined, spread over all that were accepted.
pub const MAX_PAIRS: usize = 300;

/// The operations that make a conjunct from one column and literals.
const PREDICATES: &[Operation] = &[
    Operation::Eq,
    Operation::NotEq,
    Operation::Lt,
    Operation::LtEq,
    Operation::Gt,
    Operation::GtEq,
    Operation::In,
    Operation::Between,
    Operation::IsNull,
    Operation::IsNotNull,
    Operation::Like,
    Operation::ILike,
    Operation::Regex,
    Operation::Truth,
];

/// A walk over the rules of a connector with the values of some probes.
#[derive(Clone, Debug)]
pub struct Walk {
    subject: Subject,
    probes: Vec<Probe>,
}

impl Walk {
    /// A walk without probes.
    pub fn new(subject: Subject) -> Self {
        Self { subject, probes: Vec::new() }
    }

    /// Adds columns of a domain and values to try on them; see [`Probe`].
    #[must_use]
    pub fn probe(
        mut self,
        domain: Domain,
        columns: impl IntoIterator<Item = impl Into<String>>,
        literals: impl IntoIterator<Item = ScalarValue>,
    ) -> Self {
        let columns = columns.into_iter().map(Into::into).collect();
        self.probes.push(Probe { domain, columns, literals: literals.into_iter().collect() });
        self
    }

    /// Walks. What the connector does wrong is in the report; an error means that the walk could not begin: the
    /// table cannot be read, has too many rows, or lacks a column that a probe names.
    pub async fn run(self) -> Result<WalkReport> {
        let connector = Arc::clone(&self.subject.connector);
        let capabilities = connector.capabilities();
        let targets = self.targets()?;
        let mut verifier = Verifier::begin(self.subject).await?;
        for rule in capabilities.rules() {
            walk_rule(&mut verifier, capabilities, rule, &targets).await?;
        }
        deny(&mut verifier, capabilities, &targets);
        combine::walk(&mut verifier, capabilities).await?;
        folds::walk(&mut verifier, capabilities, &targets).await?;
        Ok(verifier.report)
    }

    /// Every column of every probe, with the literals for it.
    fn targets(&self) -> Result<Vec<Target>> {
        let mut targets = Vec::new();
        for probe in &self.probes {
            for name in &probe.columns {
                let (_, column) = self.subject.table.column(name).ok_or_else(|| {
                    ConnectorError::user(format!("a probe names the column {name}, which does not exist"))
                        .in_table(self.subject.table.name())
                })?;
                if column.domain != probe.domain {
                    return Err(ConnectorError::user(format!(
                        "a probe takes the column {name} for {}, and it is {}",
                        probe.domain, column.domain
                    ))
                    .in_table(self.subject.table.name()));
                }
                let literals = probe.literals_for(column.field.data_type());
                targets.push(Target { column: column.clone(), literals });
            }
        }
        Ok(targets)
    }
}

/// A column and the literals to try on it.
struct Target {
    column: Column,
    literals: Vec<ScalarValue>,
}

impl Target {
    fn conjuncts(&self, operation: Operation) -> Vec<Expr> {
        conjuncts(operation, self.column.name(), self.column.field.data_type(), &self.literals)
    }
}

/// All conjuncts of one rule on all columns that it governs.
async fn walk_rule(
    verifier: &mut Verifier,
    capabilities: &Capabilities,
    rule: &Rule,
    targets: &[Target],
) -> Result<()> {
    if !PREDICATES.contains(&rule.operation) && rule.operation != Operation::AnyExpression {
        return Ok(());
    }
    let mut line = RuleReport::new(rule);
    let mut tried = 0;
    for target in targets {
        let domain = target.column.domain;
        if !capabilities.rule(rule.operation, Some(domain)).is_some_and(|found| std::ptr::eq(found, rule)) {
            continue;
        }
        let anything = takes_any_expression(capabilities, domain);
        let expectation = match &rule.verdict {
            Verdict::Refused(_) if anything => continue,
            Verdict::Refused(_) => Expectation::Refusal,
            verdict => Expectation::Declared(verdict.clone()),
        };
        for expr in target.conjuncts(rule.operation) {
            tried += 1;
            if let Some(verdict) = verifier.check(&mut line, &expr, &expectation).await? {
                if line.accepted == 1 {
                    verifier.check_count(&line.rule(), &expr, &verdict).await?;
                }
                verifier.accepted.push(Accepted { expr, verdict, anything });
            }
        }
    }
    if rule.verdict.reason().is_none() && line.accepted == 0 {
        let problem = match tried {
            0 => "no probe reaches the rule, or an earlier rule hides it",
            _ => "the rule is vacuous: every conjunct is refused",
        };
        verifier.report.violations.push(Violation::new(line.rule(), problem));
    }
    verifier.report.rules.push(line);
    Ok(())
}

/// What no rule names must be refused.
fn deny(verifier: &mut Verifier, capabilities: &Capabilities, targets: &[Target]) {
    for target in targets {
        let domain = target.column.domain;
        if takes_any_expression(capabilities, domain) {
            continue;
        }
        for operation in PREDICATES.iter().filter(|operation| capabilities.rule(**operation, Some(domain)).is_none()) {
            for expr in target.conjuncts(*operation) {
                verifier.check_denied(*operation, domain, &expr);
            }
        }
    }
}

/// Whether a rule lets the source take any expression over columns of the domain.
fn takes_any_expression(capabilities: &Capabilities, domain: Domain) -> bool {
    capabilities.rule(Operation::AnyExpression, Some(domain)).is_some_and(|rule| rule.verdict.reason().is_none())
}
