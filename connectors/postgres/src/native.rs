//! The rows of a query that somebody wrote for PostgreSQL.

use std::collections::HashSet;

use portolan_connector::{ConnectorError, Result};

use crate::net::Purpose;
use crate::table::{PostgresTable, Shared};
use crate::{error, metadata};

/// Bytes of a native query.
const NATIVE_QUERY_BYTES_MAX: usize = 1024 * 1024;

/// What the query returns. It is one statement that stands as a subquery, so it returns rows and changes nothing; the
/// transaction that it is read in could change nothing either.
pub(crate) async fn describe(shared: &Shared, query: &str) -> Result<PostgresTable> {
    let refused = |what: &str| ConnectorError::user(what).in_catalog(&shared.config.catalog);
    if query.len() > NATIVE_QUERY_BYTES_MAX {
        return Err(refused("the native query is longer than 1 MiB"));
    }
    if query.contains('\0') {
        return Err(refused("the native query has a NUL character"));
    }
    let text = query.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    let session = shared.pool.get(Purpose::Metadata).await?;
    let utf8 = session.is_utf8();
    let described = metadata::describe_query(&session, text).await;
    let described = described.map_err(|cause| error::native(&shared.config, &cause))?;
    if !described.leaves_statements {
        session.release();
    }
    if described.parameters > 0 {
        return Err(refused("the native query has parameters").hint("write their values into it"));
    }
    let mut names = HashSet::new();
    if let Some(twice) = described.attributes.iter().find(|attribute| !names.insert(attribute.name.as_str())) {
        return Err(refused(&format!("the native query has two columns \"{}\"", twice.name))
            .hint("give each a name of its own with AS"));
    }
    if described.attributes.is_empty() {
        return Err(refused("the native query returns no columns"));
    }
    Ok(PostgresTable::of_query(shared.clone(), text.to_owned(), &described.attributes, utf8))
}
