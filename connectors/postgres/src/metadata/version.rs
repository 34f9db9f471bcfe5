//! Whether a table is still as it was described.
//!
//! The system catalogs say it cheaply: a row of theirs that was changed is another row, made by another transaction or in
//! another place. A fingerprint names all the rows that a description was read from.

use std::fmt::Write as _;

use portolan_remote_sql::{Dialect, PostgresDialect};
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow};

use super::relation::enforced;

/// The fingerprint, and what changes without any change to the table: how many rows it had when they were last counted.
/// The text is the same whatever the settings of a session.
///
/// A restarted server has another fingerprint for everything: it may be another server with the same history.
const SEE: &str = concat!(
    "\
SELECT md5(concat_ws(' ', current_setting('search_path'), extract(epoch FROM pg_postmaster_start_time())::bigint,
         c.relnamespace, c.oid, c.xmin, c.ctid,
         ARRAY(SELECT concat(a.attnum, ' ', a.xmin, a.ctid) FROM pg_catalog.pg_attribute a
               WHERE a.attrelid = c.oid AND a.attnum > 0 ORDER BY a.attnum),
         ARRAY(SELECT concat(d.objsubid, ' ', d.xmin, d.ctid) FROM pg_catalog.pg_description d
               WHERE d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::regclass ORDER BY d.objsubid){types},
         CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,\n",
    enforced!(),
    ")),
       c.reltuples::float8, c.relpages
FROM pg_catalog.pg_class c
WHERE c.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = {schema}) AND c.relname = {table}
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
);

/// The part of the fingerprint for types that people made: their names, labels, ranges and attributes.
const SEE_TYPES: &str = ",
         (SELECT string_agg(concat_ws(',', t.oid, t.xmin, t.ctid, tn.xmin, tn.ctid, r.xmin, r.ctid,
                     (SELECT string_agg(concat_ws(',', a.attnum, a.xmin, a.ctid), ' ' ORDER BY a.attnum)
                      FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND t.typrelid <> 0)), ' ' ORDER BY t.oid)
          FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace
          LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid WHERE t.oid = ANY ({oids})),
         (SELECT string_agg(concat_ws(',', e.oid, e.xmin, e.ctid), ' ' ORDER BY e.oid)
          FROM pg_catalog.pg_enum e WHERE e.enumtypid = ANY ({oids}))";

/// The types of a table's columns, and those that these are made of. Built-in ones do not change.
const TYPES: &str = "\
WITH RECURSIVE used(oid) AS (
    SELECT a.atttypid FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = {schema} AND c.relname = {table} AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384
    UNION
    SELECT part.oid FROM used JOIN pg_catalog.pg_type t ON t.oid = used.oid CROSS JOIN LATERAL (
        SELECT t.typbasetype UNION ALL SELECT t.typelem
        UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
        UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND t.typrelid <> 0
            AND a.attnum > 0 AND NOT a.attisdropped) AS part(oid)
    WHERE part.oid >= 16384)
SELECT oid FROM used ORDER BY oid";

/// A table as it was described. Plain data: whoever reads the table's rows compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    schema: String,
    table: String,
    /// The types that people made and that the columns use.
    types: Vec<u32>,
    fingerprint: String,
}

/// What the system catalogs say at the moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    fingerprint: String,
    /// Rows by the last ANALYZE or VACUUM, as `pg_class.reltuples` has it.
    pub(crate) tuples: f64,
    /// Blocks at that time.
    pub(crate) pages: u32,
}

impl Seen {
    /// Rows, where somebody has counted them. Since PostgreSQL 14, -1 means that nobody has; before, 0 may mean it, as it does
    /// for a view.
    pub(crate) fn counted_rows(&self) -> Option<u64> {
        // A count beyond 2^63 would be no count; the cast saturates.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, positive")]
        (self.tuples > 0.0).then_some(self.tuples as u64)
    }
}

impl Version {
    /// A table with these types, of which the system catalogs say this.
    pub(super) fn new(schema: &str, table: &str, types: Vec<u32>, seen: &Seen) -> Self {
        let fingerprint = seen.fingerprint.clone();
        Self { schema: schema.to_owned(), table: table.to_owned(), types, fingerprint }
    }

    /// The statement that asks for what is seen at the moment. Its first column is the fingerprint; no row means that there
    /// is no such table.
    pub(crate) fn question(&self) -> String {
        question(&self.schema, &self.table, &self.types)
    }

    /// The fingerprint that a table has which has not changed.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// What is seen now; `None` when there is no such table.
    pub(crate) async fn see(&self, client: &Client) -> Result<Option<Seen>, Error> {
        see(client, &self.schema, &self.table, &self.types).await
    }

    /// Whether the table is what it was.
    pub(crate) fn holds(&self, seen: &Seen) -> bool {
        self.fingerprint == seen.fingerprint
    }
}

fn question(schema: &str, table: &str, types: &[u32]) -> String {
    let see_types = match types {
        [] => String::new(),
        types => SEE_TYPES.replace("{oids}", &oids(types)),
    };
    named(&SEE.replace("{types}", &see_types), schema, table)
}

/// A question about one table. Names come last: they may hold anything.
fn named(question: &str, schema: &str, table: &str) -> String {
    let mut text = String::with_capacity(question.len() + schema.len() + table.len());
    let mut rest = question;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        text.push_str(&PostgresDialect.write_text(if name == "schema" { schema } else { table }));
        rest = after;
    }
    text.push_str(rest);
    text
}

fn oids(types: &[u32]) -> String {
    let mut text = "ARRAY[".to_owned();
    for (at, oid) in types.iter().enumerate() {
        // Writing to a text does not fail.
        let _ = write!(text, "{}{oid}", if at == 0 { "" } else { "," });
    }
    text.push_str("]::oid[]");
    text
}

pub(super) async fn see(client: &Client, schema: &str, table: &str, types: &[u32]) -> Result<Option<Seen>, Error> {
    let messages = client.simple_query(&question(schema, table, types)).await?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(seen(row)),
        _ => None,
    }))
}

/// What is seen now of several tables, in one question; `None` for those that are not there.
pub(super) async fn see_all(client: &Client, versions: &[&Version]) -> Result<Vec<Option<Seen>>, Error> {
    let questions: Vec<String> = versions.iter().map(|version| version.question()).collect();
    let (mut all, mut found) = (Vec::new(), None);
    for message in client.simple_query(&questions.join(";\n")).await? {
        match message {
            SimpleQueryMessage::Row(row) => found = Some(seen(&row)),
            SimpleQueryMessage::CommandComplete(_) => all.push(found.take()),
            _ => {}
        }
    }
    Ok(all)
}

fn seen(row: &SimpleQueryRow) -> Seen {
    let column = |at: usize| row.get(at).unwrap_or_default();
    Seen {
        fingerprint: column(0).to_owned(),
        tuples: column(1).parse().unwrap_or(-1.0),
        pages: column(2).parse().unwrap_or_default(),
    }
}

/// The types that people made and that a table's columns use.
pub(super) async fn types(client: &Client, schema: &str, table: &str) -> Result<Vec<u32>, Error> {
    let messages = client.simple_query(&named(TYPES, schema, table)).await?;
    let oid = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    };
    Ok(messages.iter().filter_map(oid).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_whatever_they_hold() {
        let asked = question("it's {table}", "a\\b", &[16385, 16400]);
        assert!(asked.contains("n.nspname = 'it''s {table}') AND c.relname = E'a\\\\b'"), "{asked}");
        assert_eq!(asked.matches("ANY (ARRAY[16385,16400]::oid[])").count(), 2, "{asked}");
        assert!(!question("s", "t", &[]).contains("pg_enum"));
    }
}
