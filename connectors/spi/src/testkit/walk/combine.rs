//! Conjuncts in combination: negated, paired, tested for NULL, and several in one request.

use datafusion::logical_expr::Expr;

use super::super::conjuncts::negations;
use super::super::report::{RuleReport, Violation};
use super::MAX_PAIRS;
use super::verify::{Accepted, Expectation, Verifier, qualified};
use crate::{Capabilities, Operation, PushedFilter, Result, Rule, Verdict};

/// Combines what the rules for single columns accepted.
pub(super) async fn walk(verifier: &mut Verifier, capabilities: &Capabilities) -> Result<()> {
    let accepted = verifier.accepted.clone();
    let singles =
        accepted.iter().flat_map(|part| negations(&part.expr).into_iter().map(move |expr| (expr, vec![part])));
    combination(verifier, capabilities, Operation::Not, singles.collect()).await?;

    let pairs = pairs(&accepted);
    let with = |join: fn(Expr, Expr) -> Expr| {
        pairs.iter().map(|(one, other)| (join(one.expr.clone(), other.expr.clone()), vec![*one, *other])).collect()
    };
    combination(verifier, capabilities, Operation::And, with(Expr::and)).await?;
    combination(verifier, capabilities, Operation::Or, with(Expr::or)).await?;

    // No rule speaks of the NULL test of a condition; where the source takes it all the same, the rows decide.
    let mut line = RuleReport { declared: "", ..RuleReport::new(&Rule::exact(Operation::IsNull, None)) };
    for (one, _) in &pairs {
        verifier.check(&mut line, &one.expr.clone().is_null(), &Expectation::Anything).await?;
    }
    verifier.report.rules.push(line);

    for (one, other) in &pairs {
        let filters = [one, other].map(|part| PushedFilter::new(qualified(&part.expr), part.verdict.clone()));
        verifier.compare("two filters in one request", filters.to_vec()).await?;
    }
    Ok(())
}

/// All combinations by one operator, each with its parts.
async fn combination(
    verifier: &mut Verifier,
    capabilities: &Capabilities,
    operation: Operation,
    combinations: Vec<(Expr, Vec<&Accepted>)>,
) -> Result<()> {
    let declared = capabilities.rule(operation, None).map(|rule| rule.verdict.clone());
    let mut line = RuleReport::new(&Rule {
        operation,
        domain: None,
        verdict: declared.clone().unwrap_or_else(|| Verdict::refused("no rule")),
        condition: None,
    });
    let tried = combinations.len();
    for (expr, parts) in combinations {
        let prunes = parts.iter().any(|part| part.verdict == Verdict::Pruning);
        let anything = parts.iter().all(|part| part.anything);
        let expectation = match &declared {
            _ if prunes => Expectation::NotExact,
            _ if anything => Expectation::Anything,
            Some(Verdict::Refused(_)) | None => Expectation::Refusal,
            Some(verdict) => Expectation::Declared(verdict.clone()),
        };
        verifier.check(&mut line, &expr, &expectation).await?;
    }
    let allowed = declared.is_some_and(|verdict| verdict.reason().is_none());
    if allowed && tried > 0 && line.accepted == 0 {
        let problem = "the rule is vacuous: every combination is refused";
        verifier.report.violations.push(Violation::new(line.rule(), problem));
    }
    verifier.report.rules.push(line);
    Ok(())
}

/// Pairs of conjuncts far apart, so that most are on different columns, and of neighbours.
fn pairs(accepted: &[Accepted]) -> Vec<(&Accepted, &Accepted)> {
    let count = accepted.len();
    let step = (count * 2).div_ceil(MAX_PAIRS).max(1);
    let with = |distance: usize| {
        let partners = accepted.iter().cycle().skip(distance);
        accepted.iter().zip(partners).step_by(step)
    };
    with(1).chain(with(count / 2 + 1)).collect()
}
