//! The columns of a table that is there, as they are when a statement begins to write.

use std::collections::HashMap;

use portolan_connector::{ConnectorError, ConnectorTable, Result, TableName};
use portolan_remote_sql::{Dialect, PostgresDialect};
use tokio_postgres::types::Type;

use super::encode::{self, Target};
use super::failure;
use super::transaction::Transaction;
use crate::metadata::{self, Attribute, RelationKind};
use crate::table::Shared;
use crate::types::{Circumstances, map};

/// What only a statement that writes has to know: which columns PostgreSQL fills itself, the elements' types of arrays
/// (of a domain, those of what it stands for), and whether a rule says what an INSERT does.
const DETAILS: &str = "\
SELECT a.attname::text, a.attgenerated::text, a.attidentity::text, coalesce(base.typelem, 0)::oid AS element,
       EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type IN ('2', '3', '4')) AS ruled
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN LATERAL (
    WITH RECURSIVE chain(depth, oid) AS (
        SELECT 0, a.atttypid
        UNION ALL
        SELECT chain.depth + 1, t.typbasetype
        FROM chain JOIN pg_catalog.pg_type t ON t.oid = chain.oid WHERE t.typtype = 'd')
    SELECT t.typelem FROM chain JOIN pg_catalog.pg_type t ON t.oid = chain.oid ORDER BY chain.depth DESC LIMIT 1
) base ON true
WHERE n.nspname = $1 AND c.relname = $2";

/// What PostgreSQL says of a column beside its type.
#[derive(Clone, Copy, Debug, Default)]
struct Detail {
    is_generated: bool,
    /// An identity that takes no values of a statement's own.
    is_identity: bool,
    element: u32,
}

/// The columns of these indexes. The table is locked against changes of its columns where the user may do so.
pub(super) async fn targets(
    transaction: &Transaction,
    shared: &Shared,
    table: &dyn ConnectorTable,
    columns: &[usize],
) -> Result<Vec<Target>> {
    let name = table.name();
    let relation = locked(transaction, shared, name).await?;
    let details = details(transaction, shared, name).await?;
    let utf8 = transaction.session().is_ok_and(|session| session.is_utf8());
    let target = |index: &usize| {
        let column = table.columns().get(*index).ok_or_else(|| changed(name))?;
        let attribute = relation.attributes.iter().find(|attribute| attribute.name == column.name());
        let attribute = attribute.ok_or_else(|| changed(name))?;
        let detail = details.get(column.name()).copied().unwrap_or_default();
        let target = target(attribute, detail, shared, utf8).map_err(|error| error.in_table(name))?;
        match target.wire.data_type() == *column.field.data_type() {
            true => Ok(target),
            false => Err(changed(name)),
        }
    };
    columns.iter().map(target).collect()
}

/// The table, which stays what it is until the transaction ends.
pub(super) async fn locked(transaction: &Transaction, shared: &Shared, name: &TableName) -> Result<metadata::Relation> {
    let quote = |name: &str| PostgresDialect.quote_identifier(name);
    let lock = format!(
        "SAVEPOINT hold; LOCK TABLE {}.{} IN ROW EXCLUSIVE MODE; RELEASE SAVEPOINT hold",
        quote(&name.schema),
        quote(&name.table)
    );
    // Who may write only some of the columns may not lock the table; nor can views be locked, which are refused below.
    if transaction.run(&lock).await.is_err() {
        let undone = transaction.run("ROLLBACK TO SAVEPOINT hold").await;
        undone.map_err(|failure| failure.tell(&shared.config, name, "cannot begin to write"))?;
    }
    let session = transaction.session();
    let session = session.map_err(|failure| failure.tell(&shared.config, name, "cannot begin to write"))?;
    let relation = metadata::describe(session.client(), &name.schema, &name.table).await;
    let relation = relation.map_err(|cause| failure::lookup(&shared.config, name, &cause))?;
    let relation = relation.ok_or_else(|| changed(name))?;
    match relation.kind {
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable => Ok(relation),
        RelationKind::View => Err(ConnectorError::user("a view cannot be written")
            .hint("write into the table that it reads")
            .in_table(name)),
        RelationKind::MaterializedView => Err(ConnectorError::user("a materialized view cannot be written")
            .hint("write into the tables that it reads, then REFRESH MATERIALIZED VIEW in PostgreSQL")
            .in_table(name)),
    }
}

async fn details(transaction: &Transaction, shared: &Shared, name: &TableName) -> Result<HashMap<String, Detail>> {
    let session = transaction.session();
    let session = session.map_err(|failure| failure.tell(&shared.config, name, "cannot begin to write"))?;
    let read = async {
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&name.schema, Type::TEXT), (&name.table, Type::TEXT)];
        let rows = session.client().query_typed(DETAILS, &parameters).await?;
        let mut details = HashMap::new();
        let mut ruled = false;
        for row in &rows {
            let (generated, identity): (String, String) = (row.try_get("attgenerated")?, row.try_get("attidentity")?);
            let detail = Detail {
                is_generated: !generated.is_empty(),
                is_identity: identity == "a",
                element: row.try_get("element")?,
            };
            details.insert(row.try_get("attname")?, detail);
            ruled |= row.try_get::<_, bool>("ruled")?;
        }
        Ok((details, ruled))
    };
    let read: Result<_, tokio_postgres::Error> = read.await;
    let (details, ruled) = read.map_err(|cause| failure::lookup(&shared.config, name, &cause))?;
    if ruled {
        return Err(ConnectorError::user(
            "the table has rules that say what writing does, and COPY does not heed them",
        )
        .hint("write to it in PostgreSQL itself, or replace the rules by triggers")
        .in_table(name));
    }
    Ok(details)
}

fn target(attribute: &Attribute, detail: Detail, shared: &Shared, utf8: bool) -> Result<Target> {
    let (name, source_type) = (&attribute.name, &attribute.source_type);
    if detail.is_generated {
        return Err(ConnectorError::user(format!("column \"{name}\" is generated by PostgreSQL"))
            .hint("name the other columns: INSERT INTO table (column, ...)"));
    }
    if detail.is_identity {
        return Err(ConnectorError::user(format!("column \"{name}\" is GENERATED ALWAYS AS IDENTITY"))
            .hint("name the other columns: INSERT INTO table (column, ...)"));
    }
    let circumstances = Circumstances {
        numeric: shared.config.numeric,
        clamp: shared.config.clamp_temporal,
        utf8,
        deterministic: attribute.deterministic,
    };
    let cannot =
        |reason: &str| ConnectorError::user(format!("column \"{name}\" ({source_type}) cannot be written: {reason}"));
    let mapped = map(&attribute.postgres_type, circumstances).map_err(|reason| cannot(&reason))?;
    // What PostgreSQL converts for reading it does not convert back.
    let is_converted = mapped.conversion.is_some() && !mapped.padded;
    if is_converted || !encode::is_writable(&mapped.wire) {
        return Err(cannot("values of its type are only read").hint("leave the column out of the statement"));
    }
    Ok(Target { name: name.clone(), source_type: source_type.clone(), wire: mapped.wire, element: detail.element })
}

/// The error of a statement whose table is not what it was.
pub(super) fn changed(name: &TableName) -> ConnectorError {
    ConnectorError::user("the table was dropped or changed while the statement was planned")
        .hint("run the statement again")
        .in_table(name)
}
