//! What a join's keys leave of a scan is what the join finds a partner for, and maybe more.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Date32Array, Int8Array, Int32Array, Int64Array, RecordBatch, StringArray};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_plan::{ExecutionPlan, collect};
use futures::StreamExt;

use super::set::{KeySet, SharedKeys};
use super::{KeyCollectorExec, KeyFilterExec};

fn shared(parts: Vec<Vec<ArrayRef>>) -> SharedKeys {
    let keys = SharedKeys::default();
    keys.expect(parts.len());
    for (at, part) in parts.into_iter().enumerate() {
        let mut collected = keys.collect(memory(1 << 20));
        part.iter().for_each(|array| collected.add(array));
        keys.add(at, collected);
    }
    keys
}

/// A reservation of so many bytes at most.
fn memory(bytes: usize) -> MemoryReservation {
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(bytes));
    MemoryConsumer::new("test").register(&pool)
}

#[test]
fn keys_for_which_there_is_no_memory_are_not_kept() {
    let keys = SharedKeys::default();
    keys.expect(1);
    // Room for ten keys, and for a set of 640 numbers.
    let mut collected = keys.collect(memory(80));
    let ten: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    collected.add(&ten);
    collected.add(&ten);
    keys.add(0, collected);
    assert!(keys.known().is_none());
}

#[test]
fn keys_are_known_when_every_partition_was_read() {
    let keys = SharedKeys::default();
    keys.expect(2);
    let part = |number: i64| {
        let mut part = keys.collect(memory(1000));
        part.add(&(Arc::new(Int64Array::from(vec![number])) as ArrayRef));
        part
    };
    keys.add(1, part(1));
    keys.add(1, part(1));
    assert!(keys.known().is_none(), "partition 0 is missing");
    keys.add(0, part(0));
    assert_eq!(members(keys.known().unwrap(), Arc::new(Int64Array::from(vec![0, 1, 2]))), [true, true, false]);
}

fn members(keys: &KeySet, array: ArrayRef) -> Vec<bool> {
    keys.contains(&array).unwrap().iter().collect()
}

#[test]
fn a_set_has_its_keys_and_no_others() {
    let keys = shared(vec![
        vec![Arc::new(Int64Array::from(vec![Some(-3), None, Some(70)]))],
        vec![Arc::new(Int64Array::from(vec![0, 0])), Arc::new(Int64Array::from(vec![9]))],
    ]);
    let set = keys.known().unwrap();
    let asked = Arc::new(Int64Array::from(vec![
        Some(-3),
        Some(-4),
        None,
        Some(0),
        Some(1),
        Some(9),
        Some(70),
        Some(71),
        Some(i64::MIN),
        Some(i64::MAX),
    ]));
    let expected = [true, false, false, true, false, true, true, false, false, false];
    assert_eq!(members(set, asked), expected);
    // Integers of other widths are the same numbers.
    assert_eq!(members(set, Arc::new(Int8Array::from(vec![-3, -2, 70]))), [true, false, true]);
    assert_eq!(members(set, Arc::new(Int32Array::from(vec![i32::MIN, 9]))), [false, true]);
    assert!(set.contains(&(Arc::new(StringArray::from(vec!["9"])) as ArrayRef)).is_none());
}

#[test]
fn slices_are_read_from_where_they_begin() {
    let keys = shared(vec![vec![Arc::new(Date32Array::from(vec![10, 20, 30]).slice(1, 1))]]);
    let asked = Date32Array::from(vec![Some(10), None, Some(20), Some(30)]).slice(1, 3);
    assert_eq!(members(keys.known().unwrap(), Arc::new(asked)), [false, true, false]);
}

#[test]
fn no_keys_are_an_empty_set() {
    let keys = shared(vec![vec![Arc::new(Int64Array::from(vec![None::<i64>]))]]);
    assert_eq!(members(keys.known().unwrap(), Arc::new(Int64Array::from(vec![0, -1]))), [false, false]);
}

#[test]
fn keys_far_apart_and_keys_that_are_no_numbers_are_no_set() {
    let far: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX]));
    assert!(shared(vec![vec![far]]).known().is_none());
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    assert!(shared(vec![vec![texts]]).known().is_none());
}

/// Rows `(k, n)`, each batch of its own.
fn rows(batches: &[&[Option<i64>]]) -> Arc<dyn ExecutionPlan> {
    let batches: Vec<RecordBatch> = batches
        .iter()
        .map(|keys| {
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..keys.len() as i64));
            let keys: ArrayRef = Arc::new(Int64Array::from(keys.to_vec()));
            RecordBatch::try_from_iter_with_nullable([("k", keys, true), ("n", numbers, true)]).unwrap()
        })
        .collect();
    let schema = batches[0].schema();
    MemorySourceConfig::try_new_exec(&[batches], schema, None).unwrap()
}

fn keys_of(batches: &[RecordBatch]) -> Vec<Option<i64>> {
    let column = |batch: &RecordBatch| batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().clone();
    batches.iter().flat_map(|batch| column(batch).iter().collect::<Vec<_>>()).collect()
}

#[tokio::test]
async fn rows_are_filtered_once_all_keys_are_known() {
    let context = Arc::new(TaskContext::default());
    let keys = Arc::new(SharedKeys::default());
    keys.expect(1);
    let build = rows(&[&[Some(2), None], &[Some(5)]]);
    let key = col("k", &build.schema()).unwrap();
    let build: Arc<dyn ExecutionPlan> = Arc::new(KeyCollectorExec::new(build, key, Arc::clone(&keys)));
    let asked: Vec<&[Option<i64>]> = vec![&[Some(1), Some(2), None], &[Some(5), Some(6)], &[Some(7)]];
    let probe: Arc<dyn ExecutionPlan> = Arc::new(KeyFilterExec::new(rows(&asked), vec![(0, Arc::clone(&keys))]));

    let before = collect(Arc::clone(&probe), Arc::clone(&context)).await.unwrap();
    assert_eq!(keys_of(&before), asked.concat());
    // A first input that is not read to its end tells nothing.
    drop(build.execute(0, Arc::clone(&context)).unwrap().next().await);
    assert!(keys.known().is_none());

    assert_eq!(keys_of(&collect(build, Arc::clone(&context)).await.unwrap()), [Some(2), None, Some(5)]);
    let after = collect(probe, context).await.unwrap();
    assert_eq!(keys_of(&after), [Some(2), Some(5)]);
}

#[tokio::test]
async fn a_filter_that_keeps_nearly_all_is_given_up() {
    let context = Arc::new(TaskContext::default());
    // Nine of ten rows have a key; of the last batch none has.
    let many: Vec<Option<i64>> = (0..10_000).map(|row| Some(if row % 10 == 0 { -1 } else { row })).collect();
    let none = vec![Some(-7); 10];
    let mut batches: Vec<&[Option<i64>]> = vec![&many; 8];
    batches.push(&none);
    let keys = Arc::new(shared(vec![vec![Arc::new(Int64Array::from_iter_values(0..10_000))]]));
    let probe = KeyFilterExec::new(rows(&batches), vec![(0, keys)]);
    let kept = keys_of(&collect(Arc::new(probe), context).await.unwrap());
    assert!(kept.len() < 8 * 10_000, "nothing was left out of the first rows");
    assert_eq!(kept.iter().filter(|key| **key == Some(-7)).count(), 10);
    // The order of the rows is that of the input.
    let order: Vec<_> = kept.iter().filter(|key| key.is_some_and(|key| key > 0)).take(9000).collect();
    assert!(order.is_sorted());
}
