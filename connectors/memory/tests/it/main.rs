//! The connector as the engine uses it.

#![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use portolan_connector::testkit::{Subject, check_contract, check_writes};
use portolan_connector::{
    Begun, Connector, ConnectorTable, InsertMode, NewTable, OnExisting, QueryContext, TableName, WriteContext,
};
use portolan_memory::MemoryConnector;

const MAX_BYTES: usize = 64 << 20;

fn context() -> WriteContext {
    WriteContext { query: QueryContext { query_id: "test".to_owned() }, token: None }
}

fn rows(count: i64) -> RecordBatch {
    let texts: StringArray = (0..count).map(|number| (number % 3 > 0).then(|| format!("t{number}"))).collect();
    let columns: [(&str, ArrayRef); 2] =
        [("n", Arc::new(Int64Array::from_iter_values(0..count))), ("t", Arc::new(texts))];
    RecordBatch::try_from_iter(columns).unwrap()
}

async fn table(connector: &Arc<dyn Connector>, batches: &[RecordBatch]) -> Arc<dyn ConnectorTable> {
    let new = NewTable {
        name: TableName::new("mem", "default", "t"),
        columns: rows(1).schema(),
        on_existing: OnExisting::Replace,
        properties: Default::default(),
    };
    let Begun::Writer(mut writer) = connector.writable().unwrap().create_table(new, context()).await.unwrap() else {
        unreachable!("the table is replaced");
    };
    for batch in batches {
        writer.write(batch.clone()).await.unwrap();
    }
    writer.commit().await.unwrap();
    connector.table("default", "t").await.unwrap().unwrap()
}

#[tokio::test]
async fn the_contract_holds() {
    let connector: Arc<dyn Connector> = Arc::new(MemoryConnector::new("mem", MAX_BYTES));
    for batches in [vec![], vec![rows(5)], vec![rows(20_000), rows(7)]] {
        let table = table(&connector, &batches).await;
        check_contract(&Subject::new(Arc::clone(&connector), table)).await.unwrap().assert_clean();
    }
}

#[tokio::test]
async fn the_contract_of_writes_holds() {
    let connector: Arc<dyn Connector> = Arc::new(MemoryConnector::new("mem", MAX_BYTES));
    check_writes(&connector, "mem", "testkit").await.unwrap().assert_clean();
}

#[tokio::test]
async fn rows_written_one_by_one_are_kept_together() {
    let connector: Arc<dyn Connector> = Arc::new(MemoryConnector::new("mem", 256 << 10));
    let table = table(&connector, &[]).await;
    // Each alone would have buffers of its own; so many of them would not fit.
    for _ in 0..2_000 {
        let writable = connector.writable().unwrap();
        let Begun::Writer(mut writer) = writable.insert(&table, &[0, 1], InsertMode::Append, context()).await.unwrap()
        else {
            unreachable!("there is no token");
        };
        writer.write(rows(1)).await.unwrap();
        writer.commit().await.unwrap();
    }
    let table = connector.table("default", "t").await.unwrap().unwrap();
    assert_eq!(table.statistics().await.unwrap().unwrap().rows, Some(2_000));
}
