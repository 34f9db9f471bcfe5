//! Rows that are read ahead are the rows, in their order, once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;

use super::AheadExec;
use crate::planner::numbers::{Numbers, all, context, numbers};

fn ahead(input: &Arc<Numbers>, capacity: usize, pauses: bool) -> AheadExec {
    AheadExec::new(Arc::clone(input) as _, capacity, pauses)
}

async fn rest(rows: SendableRecordBatchStream) -> Vec<i64> {
    numbers(&rows.map(|batch| batch.unwrap()).collect::<Vec<_>>().await)
}

#[tokio::test]
async fn rows_are_read_before_they_are_asked_for() {
    let (input, context) = (Numbers::new(5, false), context(1 << 20));
    let rows = ahead(&input, 1 << 20, true).execute(0, Arc::clone(&context)).unwrap();
    input.read_so_many(5).await;
    assert_eq!(rest(rows).await, all(5));
    assert_eq!(input.begun.load(Ordering::SeqCst), 1);
    assert_eq!(context.memory_pool().reserved(), 0);
}

#[tokio::test]
async fn a_pausing_input_goes_on_where_it_stopped() {
    let (input, context) = (Numbers::new(9, false), context(1 << 20));
    // Two batches of 8,000 bytes reach the limit.
    let rows = ahead(&input, 10_000, true).execute(0, Arc::clone(&context)).unwrap();
    input.read_so_many(2).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(input.read.load(Ordering::SeqCst), 2);
    assert_eq!(rest(rows).await, all(9));
    assert_eq!((input.begun.load(Ordering::SeqCst), input.read.load(Ordering::SeqCst)), (1, 9));
    assert_eq!(context.memory_pool().reserved(), 0);
}

#[tokio::test]
async fn an_input_that_does_not_pause_begins_again() {
    let (input, context) = (Numbers::new(9, false), context(1 << 20));
    let rows = ahead(&input, 10_000, false).execute(0, Arc::clone(&context)).unwrap();
    input.read_so_many(2).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(context.memory_pool().reserved(), 0, "what cannot be kept is dropped at once");
    assert_eq!(rest(rows).await, all(9));
    assert_eq!(input.begun.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn without_memory_nothing_is_lost() {
    for pauses in [true, false] {
        let input = Numbers::new(4, false);
        let rows = ahead(&input, 1 << 20, pauses).execute(0, context(9_000)).unwrap();
        input.read_so_many(2).await;
        assert_eq!(rest(rows).await, all(4));
    }
}

#[tokio::test]
async fn an_error_comes_after_the_rows_before_it() {
    let input = Numbers::new(3, true);
    let rows = ahead(&input, 1 << 20, true).execute(0, context(1 << 20)).unwrap();
    input.read_so_many(3).await;
    let results: Vec<_> = rows.collect().await;
    assert_eq!(results.len(), 3);
    assert!(results[..2].iter().all(Result::is_ok));
    assert!(results[2].as_ref().is_err_and(|error| error.to_string().contains("the source is gone")));
}

#[tokio::test]
async fn who_asks_at_once_waits_for_nothing() {
    let input = Numbers::new(3, false);
    assert_eq!(rest(ahead(&input, 1 << 20, true).execute(0, context(1 << 20)).unwrap()).await, all(3));
}
