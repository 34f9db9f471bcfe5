//! Rows that are computed once are there in every place.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use futures::{StreamExt, TryStreamExt};

use super::OnceExec;
use super::exec::Results;
use crate::planner::numbers::{Numbers, all, context, numbers};

/// Two places of one part, each over an input of its own.
fn places(batches: usize, fails: bool) -> ([Arc<Numbers>; 2], [OnceExec; 2]) {
    let results = Arc::new(Results::default());
    let inputs = [Numbers::new(batches, fails), Numbers::new(batches, fails)];
    let places = inputs.clone().map(|input| OnceExec::new(input, Arc::clone(&results)));
    (inputs, places)
}

async fn read(rows: SendableRecordBatchStream) -> Result<Vec<i64>, DataFusionError> {
    Ok(numbers(&rows.try_collect::<Vec<_>>().await?))
}

#[tokio::test]
async fn one_input_is_read_for_all_places() {
    let (inputs, [one, other]) = places(3, false);
    let context = context(1 << 20);
    // The one that is asked second is read first.
    let later = one.execute(0, Arc::clone(&context)).unwrap();
    let rows = other.execute(0, Arc::clone(&context)).unwrap();
    assert_eq!(read(rows).await.unwrap(), all(3));
    assert_eq!(read(later).await.unwrap(), all(3));
    assert_eq!(inputs.map(|input| input.begun.load(Ordering::SeqCst)), [1, 0]);
    assert!(one.computed_here() && !other.computed_here());
    drop((one, other));
    assert_eq!(context.memory_pool().reserved(), 0);
}

#[tokio::test]
async fn a_reader_that_goes_away_takes_nothing_from_the_others() {
    let (inputs, [one, other]) = places(3, false);
    let context = context(1 << 20);
    let mut gone = one.execute(0, Arc::clone(&context)).unwrap();
    assert!(gone.next().await.unwrap().is_ok());
    drop(gone);
    assert_eq!(read(other.execute(0, context).unwrap()).await.unwrap(), all(3));
    assert_eq!(inputs.map(|input| input.begun.load(Ordering::SeqCst)), [1, 0]);
}

#[tokio::test]
async fn an_error_is_everybodys() {
    let (_, [one, other]) = places(2, true);
    let context = context(1 << 20);
    for place in [one, other] {
        let error = read(place.execute(0, Arc::clone(&context)).unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("the source is gone"), "{error}");
    }
}

#[tokio::test]
async fn what_does_not_fit_into_memory_is_an_error() {
    let (_, [one, _]) = places(4, false);
    let error = read(one.execute(0, context(10_000)).unwrap()).await.unwrap_err();
    assert!(matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)), "{error}");
}
