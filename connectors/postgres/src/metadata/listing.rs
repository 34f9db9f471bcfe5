//! Schemas and their tables, as psql's `\dn` and `\d` list them.

use portolan_connector::{TableEntry, TableKind};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

/// Temporary schemas begin with `pg_` as well.
const SCHEMAS: &str = "SELECT n.nspname::text FROM pg_catalog.pg_namespace n \
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY n.nspname::text COLLATE \"C\"";

/// The names of all schemas that people made, sorted.
pub(crate) async fn list_schemas(client: &Client) -> Result<Vec<String>, Error> {
    client.query_typed(SCHEMAS, &[]).await?.iter().map(|row| row.try_get(0)).collect()
}

/// Tables, partitioned tables and their partitions, views, materialized views and foreign tables.
const TABLES: &str = "SELECT c.relname::text, c.relkind = 'v' FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY c.relname::text COLLATE \"C\"";

/// The tables of a schema, sorted by name.
pub(crate) async fn list_tables(client: &Client, schema: &str) -> Result<Vec<TableEntry>, Error> {
    let rows = client.query_typed(TABLES, &[(&schema, Type::TEXT)]).await?;
    let entry = |row: &tokio_postgres::Row| {
        let kind = if row.try_get(1)? { TableKind::View } else { TableKind::Table };
        Ok(TableEntry { name: row.try_get(0)?, kind })
    };
    rows.iter().map(entry).collect()
}
