//! Descriptions are remembered and never believed when they are stale; what is known costs little to ask for.

use std::sync::Arc;

use datafusion::logical_expr::{col, lit};
use portolan_connector::{Connector, ConnectorTable};

use crate::harness::{Database, begin, drain, open, plan, read, request, rows, table, utf8};
use crate::proxy::Proxy;

const SHOP: &str = "
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE DOMAIN cents AS numeric(12,2);
CREATE SCHEMA other;
CREATE TABLE other.t (id bigint, other text);
CREATE TABLE t (id int PRIMARY KEY, name varchar(20), m mood, price cents);
INSERT INTO t VALUES (1, 'one', 'low', 1), (2, 'two', 'high', 2);
CREATE TABLE u (id text, extra date);
CREATE VIEW v AS SELECT id, name FROM t";

/// What somebody does to `public.t` or `public.v` between two looks at it.
const CHANGES: [(&str, &str); 23] = [
    ("t", "ALTER TABLE t ADD COLUMN added int"),
    ("t", "ALTER TABLE t DROP COLUMN name CASCADE"),
    ("t", "ALTER TABLE t RENAME COLUMN name TO renamed"),
    ("t", "DROP VIEW v; ALTER TABLE t ALTER COLUMN id TYPE bigint"),
    // Without a rewrite of the table.
    ("t", "DROP VIEW v; ALTER TABLE t ALTER COLUMN name TYPE varchar(40)"),
    ("t", "ALTER TABLE t ALTER COLUMN name SET NOT NULL"),
    ("t", "ALTER TABLE t RENAME TO elsewhere"),
    ("t", "ALTER TABLE t RENAME TO aside; ALTER TABLE u RENAME TO t; ALTER TABLE aside RENAME TO u"),
    ("t", "ALTER SCHEMA public RENAME TO aside; ALTER SCHEMA other RENAME TO public"),
    ("t", "DROP TABLE t CASCADE"),
    ("t", "DROP TABLE t CASCADE; CREATE TABLE t (id int, name varchar(20), m mood, price text)"),
    ("t", "ALTER TYPE mood ADD VALUE 'higher'"),
    ("t", "ALTER TYPE mood RENAME VALUE 'low' TO 'lowest'"),
    ("t", "ALTER TYPE mood RENAME TO feeling"),
    ("t", "ALTER TYPE mood SET SCHEMA other"),
    ("t", "ALTER DOMAIN cents RENAME TO money_of_ours"),
    // The primary key's NOT NULL may be dropped from what inherits.
    ("t", "CREATE TABLE heir () INHERITS (t)"),
    ("t", "COMMENT ON TABLE t IS 'what there is'"),
    ("t", "COMMENT ON COLUMN t.name IS 'how it is called'"),
    ("v", "CREATE OR REPLACE VIEW v AS SELECT id, name FROM t WHERE id > 1"),
    ("v", "CREATE OR REPLACE VIEW v AS SELECT id, name, m FROM t"),
    ("v", "DROP VIEW v; CREATE TABLE v (id int, name varchar(20))"),
    // The text of the view follows, although nothing of the view is changed.
    ("v", "ALTER TABLE t RENAME COLUMN name TO renamed"),
];

/// All that a query is told of a table.
async fn told(connector: &Arc<dyn Connector>, name: &str) -> Option<String> {
    let table: Arc<dyn ConnectorTable> = connector.table("public", name).await.unwrap()?;
    // Which labels an enumeration has is seen by what PostgreSQL can be asked for.
    let labels = ["higher", "lowest"].map(|label| table.judge(&col("m").eq(lit(label))));
    let (columns, others) = (table.columns(), table.unsupported_columns());
    Some(format!("{:?} {columns:?} {others:?} {:?} {labels:?}", table.kind(), table.definition()))
}

#[tokio::test]
async fn no_stale_description_is_believed() {
    for (name, change) in CHANGES {
        let database = Database::with(SHOP);
        let connector = database.connector();
        let before = told(&connector, name).await;
        assert_eq!(told(&connector, name).await, before, "{change}");
        database.psql(change);
        let now = told(&connector, name).await;
        assert_ne!(now, before, "{change}");
        assert_eq!(now, told(&database.connector(), name).await, "{change}");
    }
}

#[tokio::test]
async fn a_query_notices_what_changes_while_it_is_planned() {
    for (name, change) in CHANGES {
        let database = Database::with(SHOP);
        let connector = database.connector();
        let (before, u) = (table(&connector, "public", name).await, table(&connector, "other", "t").await);
        // The query's moment is frozen before the change, and what it sees of the system catalogs may be from then.
        let snapshot = begin(&connector).await;
        plan(&u, &request(&u, &["id"], vec![]), &snapshot).await.unwrap();
        let early = database.server.psql(&database.name, &format!("SET lock_timeout = '200ms'; {change}"));
        if let Err(refused) = early {
            // The tables of the query are held.
            assert!(refused.to_string().contains("lock timeout"), "{change}: {refused}");
            continue;
        }
        let planned = plan(&before, &request(&before, &["id"], vec![]), &snapshot).await;
        let outcome = match planned {
            Ok(planned) => drain(open(&connector, &planned, 10)).await.map(|batches| rows(&batches)),
            Err(error) => Err(error),
        };
        let error = outcome.expect_err(change);
        assert!(error.contains("was changed while") || error.contains("does not exist"), "{change}: {error}");
        assert!(error.contains("again"), "{change}: {error}");
    }
}

#[tokio::test]
async fn nobody_changes_a_table_between_planning_and_reading() {
    let database = Database::with(SHOP);
    let connector = database.connector();
    let t = table(&connector, "public", "t").await;
    let snapshot = begin(&connector).await;
    let planned = plan(&t, &request(&t, &["name"], vec![]), &snapshot).await.unwrap();
    for change in ["TRUNCATE t", "ALTER TABLE t ALTER COLUMN name TYPE char(20)", "DROP TABLE t CASCADE"] {
        let change = format!("SET lock_timeout = '100ms'; DROP VIEW v; {change}");
        let refused = database.server.psql(&database.name, &change).unwrap_err().to_string();
        assert!(refused.contains("lock timeout"), "{refused}");
        database.psql("CREATE OR REPLACE VIEW v AS SELECT id, name FROM t");
    }
    assert_eq!(rows(&drain(open(&connector, &planned, 10)).await.unwrap()), [[utf8("one")], [utf8("two")]]);
}

/// A query of a table that was asked for before: one question whether the table has changed, the snapshot and the plan, and
/// the rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_asks_little() {
    let database = Database::with(SHOP);
    let proxy = Proxy::before(database.server.port()).await;
    let connector = proxy.connector(&database, "");
    let lookup = async || {
        let t = table(&connector, "public", "t").await;
        t.statistics().await.unwrap();
        let filter = col("id").eq(lit(2_i32));
        let found = read(&connector, &t, &["name"], vec![filter]).await.unwrap();
        assert_eq!(found, [[utf8("two")]]);
    };
    let settled = async || {
        // The transaction of the snapshot ends on a task of its own.
        let mut asked = Vec::new();
        let start = std::time::Instant::now();
        while !asked.iter().any(|sql: &String| sql == "ROLLBACK") {
            assert!(start.elapsed().as_secs() < 10, "no end of {asked:?}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            asked.extend(proxy.asked());
        }
        asked
    };
    lookup().await;
    settled().await;
    // The session that ended its transaction last may not be back yet; then the next lookup opens another.
    let (mut asked, mut turns) = (Vec::new(), 0);
    for _ in 0..20 {
        let (connections, _) = (proxy.connections(), proxy.turns());
        lookup().await;
        (asked, turns) = (settled().await, proxy.turns());
        if proxy.connections() == connections {
            break;
        }
    }
    let begins_with = |start: &'static str| asked.iter().filter(move |sql| sql.starts_with(start)).count();
    assert_eq!(asked.len(), 8, "{asked:#?}");
    // Once when it is looked up, once when it is read.
    assert_eq!(begins_with("SELECT md5("), 2, "{asked:#?}");
    assert_eq!(begins_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"), 2, "{asked:#?}");
    assert_eq!(begins_with("EXPLAIN (FORMAT JSON) SELECT"), 1, "{asked:#?}");
    assert_eq!(begins_with("COPY (SELECT"), 1, "{asked:#?}");
    // The look, the snapshot with or before the plan, the rows, the end.
    assert!((4..=5).contains(&turns), "{turns} turns");
}

#[tokio::test]
async fn statistics_are_remembered_until_somebody_counts() {
    let database = Database::with("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g; ANALYZE t");
    let connector = database.connector();
    let rows = async || table(&connector, "public", "t").await.statistics().await.unwrap().unwrap().rows;
    assert_eq!(rows().await, Some(100));
    database.psql("INSERT INTO t SELECT generate_series(1, 900); ANALYZE t");
    assert_eq!(rows().await, Some(1000));
}

/// What is remembered of a table is what was known when it was last asked for, until PostgreSQL says otherwise.
#[tokio::test]
async fn what_is_remembered_is_checked() {
    for (name, change) in CHANGES {
        let database = Database::with(SHOP);
        let connector = database.connector();
        assert!(connector.remembered("public", name).is_none());
        let asked = connector.table("public", name).await.unwrap().unwrap();
        let tables = ["public", "other"].map(|schema| (schema, if schema == "public" { name } else { "t" }));
        connector.table("other", "t").await.unwrap().unwrap();
        let remembered = tables.map(|(schema, table)| connector.remembered(schema, table).unwrap());
        assert_eq!(format!("{:?}", remembered[0].columns()), format!("{:?}", asked.columns()));
        assert!(connector.unchanged(&remembered).await.unwrap(), "{change}");
        database.psql(change);
        assert!(!connector.unchanged(&remembered).await.unwrap(), "{change}");
    }
    // Whether rows were counted matters to who plans with their number.
    let database = Database::with(SHOP);
    let connector = database.connector();
    connector.table("public", "t").await.unwrap().unwrap();
    let remembered = [connector.remembered("public", "t").unwrap()];
    database.psql("INSERT INTO t SELECT i, 'more' FROM generate_series(100, 300) i; ANALYZE t");
    assert!(!connector.unchanged(&remembered).await.unwrap());
    connector.table("public", "t").await.unwrap().unwrap();
    assert!(connector.unchanged(&[connector.remembered("public", "t").unwrap()]).await.unwrap());
}
