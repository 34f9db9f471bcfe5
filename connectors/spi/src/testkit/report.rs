//! What a walk found.

use std::collections::BTreeMap;
use std::fmt;

use crate::{Domain, Operation, Rule};

/// How many violations are described; more are only counted.
const MAX_DESCRIBED: usize = 40;

/// What became of the conjuncts of one rule.
#[derive(Clone, Debug)]
pub struct RuleReport {
    /// The rule's operation.
    pub operation: Operation,
    /// The rule's domain.
    pub domain: Option<Domain>,
    /// `exact`, `pruning` or `refused`, as declared.
    pub declared: &'static str,
    /// Conjuncts that the table took and whose rows were compared.
    pub accepted: usize,
    /// Conjuncts that the table refused, by reason.
    pub refused: BTreeMap<String, usize>,
}

impl RuleReport {
    pub(super) fn new(rule: &Rule) -> Self {
        Self {
            operation: rule.operation,
            domain: rule.domain,
            declared: rule.verdict.label(),
            accepted: 0,
            refused: BTreeMap::new(),
        }
    }

    /// The rule as messages call it: `< on text`.
    pub fn rule(&self) -> String {
        rule_name(self.operation, self.domain)
    }
}

/// A rule as messages call it.
pub(super) fn rule_name(operation: Operation, domain: Option<Domain>) -> String {
    match domain {
        Some(domain) => format!("{operation} on {domain}"),
        None => operation.to_string(),
    }
}

/// Something that the connector does otherwise than it declares.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The rule, such as `< on text`.
    pub rule: String,
    /// The conjunct, as the engine has it.
    pub conjunct: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What the source was sent for the conjunct.
    pub remote: Option<String>,
    /// The whole native request.
    pub request: Option<String>,
    /// Rows that the engine finds and the source does not return.
    pub missing: Option<String>,
    /// Rows that the source returns and must not.
    pub extra: Option<String>,
}

impl Violation {
    pub(super) fn new(rule: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            conjunct: None,
            problem: problem.into(),
            remote: None,
            request: None,
            missing: None,
            extra: None,
        }
    }

    pub(super) fn on(mut self, conjunct: impl fmt::Display) -> Self {
        self.conjunct = Some(conjunct.to_string());
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.problem)?;
        let details = [("conjunct", &self.conjunct), ("remote", &self.remote), ("request", &self.request)];
        for (label, detail) in details {
            if let Some(detail) = detail {
                write!(f, "\n  {label:<8} {detail}")?;
            }
        }
        for (label, rows) in [("missing", &self.missing), ("extra", &self.extra)] {
            if let Some(rows) = rows {
                write!(f, "\n  {label}:\n{rows}")?;
            }
        }
        Ok(())
    }
}

/// The whole report of a walk.
#[derive(Clone, Debug, Default)]
pub struct WalkReport {
    /// One line for each rule, in the order of declaration, then one for each kind of request that combines
    /// conjuncts.
    pub rules: Vec<RuleReport>,
    /// How many conjuncts without a rule were rightly refused.
    pub denied: usize,
    /// How many times the source was read.
    pub reads: usize,
    /// Everything found wrong.
    pub violations: Vec<Violation>,
}

impl WalkReport {
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

impl fmt::Display for WalkReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} reads, {} conjuncts without a rule refused", self.reads, self.denied)?;
        for rule in &self.rules {
            let refused: usize = rule.refused.values().sum();
            writeln!(f, "{:<40} {:<8} {:>6} accepted {refused:>6} refused", rule.rule(), rule.declared, rule.accepted)?;
            for (reason, count) in &rule.refused {
                writeln!(f, "{:>56} {reason}", format!("{count} x"))?;
            }
        }
        writeln!(f, "{} violations", self.violations.len())?;
        for violation in self.violations.iter().take(MAX_DESCRIBED) {
            writeln!(f, "\n{violation}")?;
        }
        match self.violations.len().saturating_sub(MAX_DESCRIBED) {
            0 => Ok(()),
            more => writeln!(f, "\n... and {more} more"),
        }
    }
}
