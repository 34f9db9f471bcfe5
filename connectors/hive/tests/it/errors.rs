//! Messages for what goes wrong, each naming the catalog, the table and the file.

use std::sync::Arc;

use portolan_connector::ErrorClass;

use crate::support::{Engine, Lake, integers, longs};

#[tokio::test]
async fn a_file_that_is_no_parquet_file() {
    let lake = Lake::new();
    lake.write("s/t/y=1/part-0.parquet", vec![("n", integers([1]))]);
    lake.write("s/t/y=3/part-0.parquet", vec![("n", integers([3]))]);
    lake.raw("s/t/y=2/notes.txt", b"this is no Parquet file, and longer than a footer");
    let engine = Engine::new(lake.connector("").unwrap());
    let error = engine.error("t", "SELECT n FROM t").await;
    assert!(error.contains("catalog lake, table s.t: cannot read "), "{error}");
    assert!(error.contains("s/t/y=2/notes.txt"), "{error}");
    assert!(error.contains("check that the file is a whole Parquet file of this table"), "{error}");
    assert_eq!(engine.pruned_rows("t", "SELECT sum(n) FROM t WHERE y <> 2").await, ["4"]);

    let lake = Lake::new();
    lake.raw("s/t/data.txt", b"a,b\n1,2\n");
    let engine = Engine::new(lake.connector("").unwrap());
    let error = engine.table("t").await.unwrap_err().strip_backtrace();
    assert!(error.contains("cannot read the footer of") && error.contains("s/t/data.txt"), "{error}");
}

#[tokio::test]
async fn a_file_cut_short_and_one_with_a_broken_page() {
    let lake = Lake::new();
    for year in 1..=3 {
        lake.write(&format!("s/t/y={year}/part-0.parquet"), vec![("n", longs(0..10_000))]);
    }
    let path = lake.path("s/t/y=2/part-0.parquet");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let engine = Engine::new(lake.connector("").unwrap());
    let error = engine.error("t", "SELECT sum(n) FROM t").await;
    assert!(error.contains("cannot read") && error.contains("s/t/y=2/part-0.parquet"), "{error}");

    let mut broken = whole;
    broken[4..400].fill(0xff);
    std::fs::write(&path, &broken).unwrap();
    let error = engine.error("t", "SELECT sum(n) FROM t").await;
    assert!(error.contains("cannot read") && error.contains("s/t/y=2/part-0.parquet"), "{error}");
}

#[tokio::test]
async fn a_file_that_vanishes_between_planning_and_reading() {
    let lake = Lake::new();
    lake.write("s/t/y=1/f", vec![("n", integers([1]))]);
    lake.write("s/t/y=2/f", vec![("n", integers([2]))]);
    lake.write("s/t/y=3/f", vec![("n", integers([3]))]);
    let engine = Engine::new(lake.connector("").unwrap());
    let (plan, context) = engine.plan("t", "SELECT n FROM t").await.unwrap();
    std::fs::remove_file(lake.path("s/t/y=2/f")).unwrap();
    let error = datafusion::physical_plan::collect(plan, context.task_ctx()).await.unwrap_err().strip_backtrace();
    assert!(error.contains("cannot read") && error.contains("s/t/y=2/f"), "{error}");
    assert!(error.contains("run the query again"), "{error}");
}

#[tokio::test]
async fn an_error_of_the_query_is_not_blamed_on_a_file() {
    let lake = Lake::new();
    lake.write("s/t/f", vec![("n", integers([0, 1]))]);
    let engine = Engine::new(lake.connector("").unwrap());
    let error = engine.error("t", "SELECT 10 / n FROM t").await;
    assert!(error.contains("ivide by zero") && !error.contains("cannot read"), "{error}");
}

#[tokio::test]
async fn hidden_and_empty_files_are_passed_over() {
    let lake = Lake::new();
    lake.write("s/t/y=1/000000_0", vec![("n", integers([1]))]);
    lake.raw("s/t/_SUCCESS", b"done");
    lake.raw("s/t/y=1/.000000_0.crc", b"crc!");
    lake.raw("s/t/y=1/_metadata", b"meta");
    lake.raw("s/t/y=1/empty.parquet", b"");
    lake.raw("s/t/_temporary/0/part", b"half");
    lake.raw("s/t/.staging/part", b"half");
    let engine = Engine::new(lake.connector("").unwrap());
    assert_eq!(engine.rows("t", "SELECT n, y FROM t").await, ["1|1"]);
}

#[tokio::test]
async fn partitions_without_files_and_tables_without_rows() {
    let lake = Lake::new();
    lake.write("s/t/y=1/f", vec![("n", integers([1]))]);
    std::fs::create_dir_all(lake.path("s/t/y=2")).unwrap();
    let engine = Engine::new(lake.connector("").unwrap());
    assert_eq!(engine.value("t", "SELECT count(*) FROM t").await, "1");
    assert_eq!(engine.value("t", "SELECT count(*) FROM t WHERE y = 2").await, "0");
    assert!(engine.rows("t", "SELECT n, y FROM t WHERE y = 2").await.is_empty());
    assert_eq!(engine.value("t", "SELECT count(*) FROM t WHERE y = 99").await, "0");

    let lake = Lake::new();
    std::fs::create_dir_all(lake.path("s/t/y=2")).unwrap();
    let engine = Engine::new(lake.connector("").unwrap());
    let error = engine.table("t").await.unwrap_err().strip_backtrace();
    assert!(error.contains("no file was found") && error.contains("columns = {"), "{error}");
    let engine = Engine::new(lake.connector("[tables.'s.t']\ncolumns = { n = 'integer' }").unwrap());
    assert_eq!(engine.value("t", "SELECT count(n) FROM t").await, "0");
}

#[tokio::test]
async fn layouts_that_contradict_themselves() {
    let case = |write: fn(&Lake), expected: &'static str| async move {
        let lake = Lake::new();
        lake.write("s/t/y=1/f", vec![("n", integers([1]))]);
        lake.write("s/t/y=3/f", vec![("n", integers([1]))]);
        write(&lake);
        let engine = Engine::new(lake.connector("").unwrap());
        let error = engine.error("t", "SELECT count(*) FROM t").await;
        assert!(error.contains("catalog lake, table s.t") && error.contains(expected), "{error}");
    };
    case(|lake| lake.write("s/t/f", vec![("n", integers([9]))]), "lies among partitions by `y`, in none of them").await;
    case(|lake| lake.write("s/t/y=2/m=1/f", vec![("n", integers([9]))]), "is a partition where files are expected")
        .await;
    case(
        |lake| lake.write("s/t/year=2/f", vec![("n", integers([9]))]),
        "is a partition by `year` among partitions by `y`",
    )
    .await;
    case(|lake| lake.write("s/t/y=2/deep/f", vec![("n", integers([9]))]), "deep is no partition").await;
    let lake = Lake::new();
    lake.write("s/t/y=1/Y=2/f", vec![("n", integers([1]))]);
    let error = Engine::new(lake.connector("").unwrap()).table("t").await.unwrap_err().strip_backtrace();
    assert!(error.contains("repeats the partition column `Y`"), "{error}");
}

#[tokio::test]
async fn subdirectories_can_be_passed_over_or_read() {
    let lake = Lake::new();
    lake.write("s/t/y=1/f.parquet", vec![("n", integers([1]))]);
    lake.write("s/t/y=1/deep/er/f.parquet", vec![("n", integers([2]))]);
    for (choice, rows) in [("ignore", vec!["1"]), ("read", vec!["1", "2"])] {
        for settings in [format!("subdirectories = '{choice}'"), format!("[tables.'s.t']\nsubdirectories = '{choice}'")]
        {
            let engine = Engine::new(lake.connector(&settings).unwrap());
            assert_eq!(engine.rows("t", "SELECT n FROM t").await, rows, "{settings}");
        }
    }
}

#[tokio::test]
async fn settings_that_cannot_be() {
    let lake = Lake::new();
    let error = |settings: &str| lake.connector(settings).unwrap_err();
    let wrong = error("[tables.'s.t']\npartition_columns = { d = 'datum' }");
    assert_eq!(wrong.class(), ErrorClass::User);
    let text = wrong.to_string();
    assert!(text.contains("catalog lake: tables.s.t.partition_columns.d: unknown type `datum`"), "{text}");
    let text = error("[tables.t]\npartition_columns = { d = 'varbinary' }").to_string();
    assert!(text.contains("the partition column `d` cannot be of type varbinary"), "{text}");

    let create = |text: &str| {
        use portolan_connector::ConnectorFactory;
        portolan_hive::HiveFactory.create(crate::support::catalog(text)).map(|_| ()).map_err(|error| error.to_string())
    };
    assert!(create("location = 'hdfs://h/x'").unwrap_err().contains("unknown scheme `hdfs://`"));
    assert!(create("location = 's3:///x'").unwrap_err().contains("names no bucket"));
    assert!(create("location = 's3://b/x'\naccess_key_id = 'k'").unwrap_err().contains("one is missing"));
    let unencrypted = create("location = 's3://b/x'\nendpoint = 'http://h'").unwrap_err();
    assert!(unencrypted.contains("not encrypted") && unencrypted.contains("allow_http = true"), "{unencrypted}");
}

#[tokio::test]
async fn a_location_that_is_not_there() {
    let lake = Lake::new();
    let connector = lake.connector("").unwrap();
    let text = connector.list_schemas().await.unwrap_err().to_string();
    assert!(text.contains("catalog lake: cannot read the directory") && text.contains("check location"), "{text}");
    std::fs::create_dir_all(lake.path("")).unwrap();
    assert!(connector.list_schemas().await.unwrap().is_empty());
    assert!(connector.table("s", "nothing").await.unwrap().is_none());
    let connector: Arc<dyn portolan_connector::Connector> =
        lake.connector("[tables.'s.t']\nlocation = 'elsewhere'\npartition_columns = { d = 'date' }").unwrap();
    let text = connector.table("s", "t").await.unwrap_err().to_string();
    assert!(text.contains("there are no files in elsewhere"), "{text}");
    lake.write("elsewhere/x=1/f", vec![("n", integers([1]))]);
    let text = connector.table("s", "t").await.unwrap_err().to_string();
    assert!(text.contains("partition_columns names `d`"), "{text}");
}
