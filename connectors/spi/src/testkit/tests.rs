//! The kit against a connector in memory: an honest one passes, and each kind of lie is found out.

mod fake;

use std::sync::Arc;

use datafusion::common::ScalarValue;

use self::fake::{BOOLEAN, FLOAT, Fake, INTEGER, Lie, TEXT};
use super::{ContractReport, Subject, Walk, WalkReport, check_contract};
use crate::{Connector, ConnectorTable, Operation};

fn subject(lie: Lie) -> Subject {
    let fake = Arc::new(Fake::new(lie));
    Subject::new(Arc::clone(&fake) as Arc<dyn Connector>, fake as Arc<dyn ConnectorTable>)
}

/// A walk with every kind of value.
async fn thorough_walk(lie: Lie) -> WalkReport {
    let texts = ["", " ", "a", "A", "ą", "a\0", "it's", "a%b", "x "];
    let floats = [0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    walk(lie, &[0, 1, -7, i64::MAX, i64::MIN], &floats, &texts).await
}

/// A walk with the values that it takes to find the lies.
async fn short_walk(lie: Lie) -> WalkReport {
    walk(lie, &[1], &[1.5, f64::NAN], &["a", "x", "a\0"]).await
}

async fn walk(lie: Lie, integers: &[i64], floats: &[f64], texts: &[&str]) -> WalkReport {
    Walk::new(subject(lie))
        .probe(INTEGER, ["id", "small"], integers.iter().copied().map(ScalarValue::from))
        .probe(FLOAT, ["score"], floats.iter().copied().map(ScalarValue::from))
        .probe(TEXT, ["name"], texts.iter().copied().map(ScalarValue::from))
        .probe(BOOLEAN, ["flag"], [ScalarValue::from(true)])
        .run()
        .await
        .unwrap()
}

async fn contract(lie: Lie) -> ContractReport {
    check_contract(&subject(lie)).await.unwrap()
}

#[tokio::test]
async fn an_honest_connector_passes() {
    let report = thorough_walk(Lie::None).await;
    report.assert_clean();
    assert!(report.denied > 0, "BETWEEN on text has no rule, and its conjuncts are refused");
    let line = |operation, domain| {
        report.rules.iter().find(|line| line.operation == operation && line.domain == domain).unwrap()
    };
    // 5 values fit into the column id and 3 into the smaller one, NULL joins them, and each stands on either side.
    assert_eq!(line(Operation::Eq, Some(INTEGER)).accepted, (6 + 4) * 2);
    let text = line(Operation::Eq, Some(TEXT));
    let with_nul = text.refused.iter().filter(|(reason, _)| reason.contains("NUL"));
    assert_eq!(with_nul.map(|(_, count)| count).sum::<usize>(), 2, "the value with a NUL is refused on either side");
    assert_eq!(line(Operation::Truth, Some(BOOLEAN)).accepted, 7);
    assert!(line(Operation::Not, None).accepted > 50);
    assert!(line(Operation::Or, None).accepted > 50);
    assert!(line(Operation::And, None).accepted > 50);

    let report = contract(Lie::None).await;
    report.assert_clean();
    assert!(report.checks > 50);
}

#[tokio::test]
async fn wrong_rules_are_caught() {
    short_walk(Lie::None).await.assert_clean();
    for (lie, rule, problem) in [
        (Lie::TextEqualityIgnoresCase, "= on text", "must not be there"),
        (Lie::NothingIsGreaterThanNan, "> on float", "missing"),
        (Lie::NotInForgetsNull, "NOT", "must not be there"),
        (Lie::NotIsTwoValued, "NOT", "must not be there"),
        (Lie::PruningSkipsMatches, "<= on text", "missing"),
        (Lie::JudgesPruningExact, "< on text", "declared pruning, judged exact"),
        (Lie::VacuousRule, "LIKE on text", "vacuous"),
        (Lie::RuleWithoutColumns, "= on uuid", "no probe reaches the rule"),
        (Lie::TakesWithoutRule, "BETWEEN on text", "no rule allows it"),
        (Lie::AliasMatters, "= on integer", "alias"),
        (Lie::ForgetsItself, "= on integer", "the second time"),
        (Lie::SourceFails, "= on integer", "the source fails"),
        (Lie::SecondFilterIsLost, "two filters in one request", "must not be there"),
        (Lie::FilterNeedsItsColumn, "= on integer", "without columns"),
        (Lie::RefusesWithoutReason, "= on text", "without a reason"),
    ] {
        let report = short_walk(lie).await;
        assert!(
            report.violations.iter().any(|found| found.rule == rule && found.problem.contains(problem)),
            "{lie:?} is not caught as `{rule}: {problem}`:\n{report}"
        );
    }
}

#[tokio::test]
async fn a_violation_tells_what_was_sent_and_which_rows_are_wrong() {
    let report = short_walk(Lie::TextEqualityIgnoresCase).await;
    let violation =
        report.violations.iter().find(|found| found.conjunct.as_deref() == Some(r#"name = Utf8("a")"#)).unwrap();
    assert_eq!(violation.remote.as_deref(), Some(r#"lower(name) = Utf8("a")"#));
    assert_eq!(violation.request.as_deref(), Some(r#"filter lower(name) = Utf8("a")"#));
    let extra = violation.extra.as_deref().unwrap();
    assert!(extra.contains("| A "), "the row with A must not be there:\n{extra}");
    assert_eq!(violation.missing, None);
    let text = report.to_string();
    assert!(
        text.contains("= on text: the engine finds 1 rows, the source returned 2: 0 missing, 1 that must not be there"),
        "{text}"
    );
}

#[tokio::test]
async fn breaches_of_the_contract_are_caught() {
    for (lie, problem) in [
        (Lie::ColumnsInTableOrder, "a batch has"),
        (Lie::NoRowsWithoutColumns, "projection []: 0 rows instead of"),
        (Lie::BatchesOfAnySize, "rows where at most 2 were asked for"),
        (Lie::LimitDespitePruning, "a limit is taken although a filter only prunes"),
        (Lie::LimitTooLow, "LIMIT 1: only 0 rows"),
        (Lie::LimitIgnored, "LIMIT 0:"),
        (Lie::TakesUnknownColumns, "on a column that does not exist is judged exact"),
    ] {
        let report = contract(lie).await;
        assert!(
            report.violations.iter().any(|found| found.contains(problem)),
            "{lie:?} is not caught as `{problem}`:\n{report}"
        );
    }
}

#[tokio::test]
async fn a_probe_must_fit_the_table() {
    let error = |walk: Walk| async move { walk.run().await.unwrap_err().to_string() };
    let none: [ScalarValue; 0] = [];
    assert_eq!(
        error(Walk::new(subject(Lie::None)).probe(TEXT, ["nme"], none.clone())).await,
        "catalog memory, table main.t: a probe names the column nme, which does not exist"
    );
    assert_eq!(
        error(Walk::new(subject(Lie::None)).probe(FLOAT, ["name"], none)).await,
        "catalog memory, table main.t: a probe takes the column name for float, and it is text"
    );
}
