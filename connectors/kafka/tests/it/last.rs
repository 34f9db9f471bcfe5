//! The end of partitions, read backwards: what is wanted of the ends of topics with gaps, and how much is read for it.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::DFSchema;
use datafusion::logical_expr::col;
use portolan_connector::{Operator, PlanContext, QueryContext, ScanRequest};
use rdkafka::producer::Producer;

use super::engine::Engine;
use super::topics::{create, create_with, numbers, produce, producer, send};

const LIMIT: Duration = Duration::from_secs(30);

/// How many offsets are read for the last `count` messages, as the request says it.
async fn planned(engine: &Engine, table: &str, count: usize) -> (u64, String) {
    let table = engine.table(table).await;
    let projection = vec![table.column("_partition_offset").unwrap().0, table.column("n").unwrap().0];
    let request = ScanRequest { projection: projection.clone(), ..ScanRequest::default() };
    let relation = table.relation(&request).unwrap();
    let fields = projection.iter().map(|index| table.columns()[*index].field.as_ref().clone()).collect::<Vec<_>>();
    let schema = DFSchema::try_from(arrow::datatypes::Schema::new(fields)).unwrap();
    let keys = [col("_partition_offset").sort(false, false)];
    let operator = Operator::Sort { keys: &keys, fetch: Some(count) };
    let folded = relation.fold(operator, &schema, &schema).unwrap();
    let snapshot = engine.connector().begin(&QueryContext { query_id: "last".to_owned() }).await.unwrap();
    let session = engine.session();
    let plan = folded.plan(&schema, &PlanContext { session: &session, snapshot: Arc::clone(&snapshot) }).await.unwrap();
    let rows = datafusion::physical_plan::collect(
        match plan.scan {
            portolan_connector::Scan::Native(native) => native,
            portolan_connector::Scan::Splits(_) | portolan_connector::Scan::Endless(_) => {
                panic!("the rows are not sorted")
            }
        },
        engine.task(),
    );
    let rows = rows.await.unwrap();
    let mut texts = Vec::new();
    for batch in &rows {
        let options = arrow::util::display::FormatOptions::default();
        for row in 0..batch.num_rows() {
            let value = |column: usize| {
                arrow::util::display::ArrayFormatter::try_new(batch.column(column), &options)
                    .unwrap()
                    .value(row)
                    .to_string()
            };
            texts.push(format!("{}:{}", value(0), value(1)));
        }
    }
    (plan.units.iter().find(|units| units.kind == "offsets").unwrap().kept, texts.join(" "))
}

#[tokio::test]
async fn the_last_messages_of_all_partitions() {
    create("last.plain", 3).await;
    let mut messages = numbers(0, 5_000);
    messages.extend(numbers(10_000, 15_003).into_iter().map(|sent| sent.to(1)));
    messages.extend(numbers(20_000, 20_010).into_iter().map(|sent| sent.to(2)));
    produce("last.plain", &messages);
    let engine = Engine::new("[tables.t]\ntopic = \"last.plain\"\nvalue = { columns = { n = \"bigint\" } }");
    assert_eq!(planned(&engine, "t", 2).await, (2, "5002:15002 5001:15001".to_owned()));
    let (read, rows) = planned(&engine, "t", 5).await;
    // Offset 4999 is the fifth and the sixth from above; which of them is left is up to nobody.
    assert_eq!(read, 5, "{rows}");
    assert!(rows.starts_with("5002:15002 5001:15001 5000:15000 4999:"), "{rows}");
    // All but three of offset 0, 1, 2 and 3 each, and one of the three of offset 4.
    let (read, rows) = planned(&engine, "t", 10_000).await;
    assert_eq!((read, rows.split(' ').count()), (10_001, 10_000));
    assert_eq!(planned(&engine, "t", 20_000).await.1.split(' ').count(), 10_013);
}

#[tokio::test]
async fn gaps_before_the_end_are_no_messages() {
    create("last.gaps", 1).await;
    send(&producer(&[]), "last.gaps", &numbers(0, 3));
    // 3,000 aborted messages among others. A producer for each: to a read that begins behind the end of an aborted transaction, the
    // broker of the tests tells of that transaction all the same, and the client leaves out what the same producer wrote then.
    for (from, to, commits) in [(3, 5, true), (100, 3_100, false), (5, 6, true)] {
        let transactional = producer(&[("transactional.id", &format!("last.gaps.{from}"))]);
        transactional.init_transactions(LIMIT).unwrap();
        transactional.begin_transaction().unwrap();
        send(&transactional, "last.gaps", &numbers(from, to));
        if commits { transactional.commit_transaction(LIMIT) } else { transactional.abort_transaction(LIMIT) }.unwrap();
    }
    let engine = Engine::new("[tables.t]\ntopic = \"last.gaps\"\nvalue = { columns = { n = \"bigint\" } }");
    assert_eq!(planned(&engine, "t", 1).await.1, "3007:5");
    assert_eq!(planned(&engine, "t", 3).await.1, "3007:5 4:4 3:3");
    assert_eq!(planned(&engine, "t", 7).await.1, "3007:5 4:4 3:3 2:2 1:1 0:0");
}

#[tokio::test]
async fn compacted_topics_have_gaps_as_well() {
    create_with(
        "last.compacted",
        1,
        &[("cleanup.policy", "compact"), ("segment.ms", "1"), ("min.cleanable.dirty.ratio", "0.01")],
    )
    .await;
    let keyed = |n: i64| {
        let mut sent = numbers(n, n + 1).remove(0);
        sent.key = Some(format!("k{}", n % 3).into_bytes());
        sent
    };
    produce("last.compacted", &(0..2_000).map(keyed).collect::<Vec<_>>());
    let engine = Engine::new("[tables.t]\ntopic = \"last.compacted\"\nvalue = { columns = { n = \"bigint\" } }");
    // Compacted or not yet, the last ones are there.
    assert_eq!(planned(&engine, "t", 3).await.1, "1999:1999 1998:1998 1997:1997");
}

#[tokio::test]
async fn what_is_not_read_from_the_end() {
    create("last.refused", 1).await;
    let engine = Engine::new(
        "[tables.t]\ntopic = \"last.refused\"\nvalue = { columns = { n = \"bigint\" } }\n\
         [tables.s]\ntopic = \"last.refused\"\non_error = \"skip\"\nvalue = { columns = { n = \"bigint\" } }",
    );
    let table = engine.table("t").await;
    let (offset, n) = (table.column("_partition_offset").unwrap().0, table.column("n").unwrap().0);
    let request = |projection: Vec<usize>| ScanRequest { projection, ..ScanRequest::default() };
    assert!(table.relation(&request(vec![n])).is_none(), "nobody can sort by what is not there");
    assert!(engine.table("s").await.relation(&request(vec![offset])).is_none(), "a message may be no row");
    assert!(engine.table("t$errors").await.relation(&request(vec![offset])).is_none());
    assert!(engine.table("t$latest").await.relation(&request(vec![offset])).is_none());
    let relation = table.relation(&request(vec![offset, n])).unwrap();
    let fields = [offset, n].map(|index| table.columns()[index].field.as_ref().clone());
    let schema = DFSchema::try_from(arrow::datatypes::Schema::new(fields.to_vec())).unwrap();
    let by = |name: &str, asc: bool| [col(name).sort(asc, false)];
    for (keys, fetch, part) in [
        (by("_partition_offset", true), Some(5), "by _partition_offset DESC"),
        (by("n", false), Some(5), "by _partition_offset DESC"),
        (by("_partition_offset", false), Some(100_001), "at most 100000 messages"),
        (by("_partition_offset", false), None, "computes nothing"),
        (by("_partition_offset", false), Some(0), "computes nothing"),
    ] {
        let reason = relation.fold(Operator::Sort { keys: &keys, fetch }, &schema, &schema).unwrap_err();
        assert!(reason.to_string().contains(part), "{reason}");
    }
}
