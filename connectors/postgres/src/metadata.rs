//! The questions to the system catalogs.

mod known;
mod listing;
mod planned;
mod relation;
mod statistics;
mod version;

pub(crate) use known::{Described, KnownTables};
pub(crate) use listing::{list_schemas, list_tables};
pub(crate) use planned::{COST_UNIT_MICROS, Planned, explain, first_columns, pieces};
pub(crate) use relation::{Attribute, Relation, RelationKind, describe};
pub(crate) use statistics::statistics;
pub(crate) use version::{Seen, Version};

use std::sync::Arc;

use tokio_postgres::Error;

use crate::net::Session;

/// A table by its exact name, and what the system catalogs say of it now; `None` when there is none. What is known is
/// described anew only when it has changed.
pub(crate) async fn look_up(
    session: &Session,
    known: &KnownTables,
    schema: &str,
    table: &str,
) -> Result<Option<(Arc<Described>, Seen)>, Error> {
    if let Some(described) = known.get(schema, table) {
        match described.version.see(session.client()).await? {
            Some(seen) if described.version.holds(&seen) => {
                described.saw(&seen);
                return Ok(Some((described, seen)));
            }
            Some(_) => {}
            None => {
                known.forget(schema, table);
                return Ok(None);
            }
        }
    }
    let Some((relation, version, seen)) = describe_anew(session, schema, table).await? else {
        known.forget(schema, table);
        return Ok(None);
    };
    let described = Arc::new(Described::new(relation, version, session.is_utf8(), seen.clone()));
    known.put(schema, table, Arc::clone(&described));
    Ok(Some((described, seen)))
}

/// Whether tables are what the system catalogs said when these were seen, their numbers of rows included.
pub(crate) async fn unchanged<'a>(
    session: &Session,
    tables: impl Iterator<Item = (&'a Version, &'a Seen)>,
) -> Result<bool, Error> {
    let (versions, expected): (Vec<_>, Vec<_>) = tables.unzip();
    let seen = version::see_all(session.client(), &versions).await?;
    Ok(seen.len() == expected.len()
        && seen.iter().zip(expected).all(|(seen, expected)| seen.as_ref() == Some(expected)))
}

/// Reads a description and its fingerprint at one moment. What PostgreSQL's functions tell may be newer than the moment;
/// then the fingerprint no longer holds when it is next compared.
async fn describe_anew(
    session: &Session,
    schema: &str,
    table: &str,
) -> Result<Option<(Relation, Version, Seen)>, Error> {
    let client = session.client();
    let (opened, relation, types) = futures::join!(
        client.batch_execute(session.opening()),
        relation::describe(client, schema, table),
        version::types(client, schema, table)
    );
    opened?;
    let (relation, types) = (relation?, types?);
    let (seen, closed) = futures::join!(version::see(client, schema, table, &types), client.batch_execute("COMMIT"));
    closed?;
    Ok(relation.zip(seen?).map(|(relation, seen)| {
        let version = Version::new(schema, table, types, &seen);
        (relation, version, seen)
    }))
}

/// What PostgreSQL says of a query that somebody wrote. It is asked in a transaction that only reads, whose settings are those
/// that the query is run with.
pub(crate) async fn describe_query(session: &Session, text: &str) -> Result<relation::DescribedQuery, Error> {
    let client = session.client();
    client.batch_execute(session.opening()).await?;
    let described = relation::describe_query(client, text).await?;
    client.batch_execute("ROLLBACK").await?;
    Ok(described)
}
