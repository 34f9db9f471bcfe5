//! Everything about one table, in one question.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

use crate::types::{PostgresType, TypeKind};

/// One row for each column, and one with NULLs for a table without any. `base` follows a domain down to the type that
/// it stands for, taking along the modifier and the dimensions that the domain declares; `elem` does the same for an array's element.
const DESCRIBE: &str = "\
SELECT c.relkind::text, d.description AS comment,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS view,
       a.attname::text, a.attnotnull, format_type(a.atttypid, a.atttypmod) AS source_type,
       ad.description AS column_comment, coalesce(co.collisdeterministic, true) AS deterministic,
       bn.nspname::text AS base_schema, bt.typname::text AS base_name, base.typmod AS base_typmod,
       bt.typtype::text AS base_kind, bt.typcategory = 'A' AND bt.typelem <> 0 AND bt.typlen = -1 AS is_array,
       base.dimensions AS dimensions,
       en.nspname::text AS elem_schema, et.typname::text AS elem_name, elem.typmod AS elem_typmod,
       et.typtype::text AS elem_kind, et.typcategory = 'A' AND et.typelem <> 0 AND et.typlen = -1 AS elem_is_array,
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e
        WHERE e.enumtypid = coalesce(et.oid, bt.oid)) AS labels
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::regclass AND d.objsubid = 0
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_description ad ON ad.objoid = c.oid AND ad.classoid = 'pg_catalog.pg_class'::regclass AND ad.objsubid = a.attnum
LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation
LEFT JOIN LATERAL (
    WITH RECURSIVE chain(depth, oid, typmod, dimensions) AS (
        SELECT 0, a.atttypid, a.atttypmod, a.attndims::int4
        UNION ALL
        SELECT chain.depth + 1, t.typbasetype, t.typtypmod, greatest(chain.dimensions, t.typndims)
        FROM chain JOIN pg_catalog.pg_type t ON t.oid = chain.oid WHERE t.typtype = 'd')
    SELECT chain.oid, chain.typmod, chain.dimensions FROM chain ORDER BY chain.depth DESC LIMIT 1) base ON true
LEFT JOIN pg_catalog.pg_type bt ON bt.oid = base.oid
LEFT JOIN pg_catalog.pg_namespace bn ON bn.oid = bt.typnamespace
LEFT JOIN LATERAL (
    WITH RECURSIVE chain(depth, oid, typmod) AS (
        SELECT 0, bt.typelem, base.typmod
        WHERE bt.typcategory = 'A' AND bt.typelem <> 0 AND bt.typlen = -1
        UNION ALL
        SELECT chain.depth + 1, t.typbasetype, t.typtypmod
        FROM chain JOIN pg_catalog.pg_type t ON t.oid = chain.oid WHERE t.typtype = 'd')
    SELECT chain.oid, chain.typmod FROM chain ORDER BY chain.depth DESC LIMIT 1) elem ON true
LEFT JOIN pg_catalog.pg_type et ON et.oid = elem.oid
LEFT JOIN pg_catalog.pg_namespace en ON en.oid = et.typnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY a.attnum";

/// A table, view, or anything else with rows.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) kind: RelationKind,
    pub(crate) comment: Option<String>,
    /// A view's query.
    pub(crate) view: Option<String>,
    pub(crate) attributes: Vec<Attribute>,
}

/// What `pg_class.relkind` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RelationKind {
    Table,
    PartitionedTable,
    View,
    MaterializedView,
    ForeignTable,
}

/// A column.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) not_null: bool,
    /// As PostgreSQL prints the type.
    pub(crate) source_type: String,
    pub(crate) comment: Option<String>,
    /// Whether its collation tells different texts apart.
    pub(crate) deterministic: bool,
    pub(crate) postgres_type: PostgresType,
}

/// Asks for a table by its exact name; `None` when there is none.
pub(crate) async fn describe(client: &Client, schema: &str, table: &str) -> Result<Option<Relation>, Error> {
    let rows = client.query_typed(DESCRIBE, &[(&schema, Type::TEXT), (&table, Type::TEXT)]).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let kind: String = first.try_get("relkind")?;
    let mut attributes = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Some(name) = row.try_get("attname")? {
            attributes.push(attribute(row, name)?);
        }
    }
    Ok(Some(Relation {
        kind: match kind.as_str() {
            "p" => RelationKind::PartitionedTable,
            "v" => RelationKind::View,
            "m" => RelationKind::MaterializedView,
            "f" => RelationKind::ForeignTable,
            _ => RelationKind::Table,
        },
        comment: first.try_get("comment")?,
        view: first.try_get("view")?,
        attributes,
    }))
}

fn attribute(row: &Row, name: String) -> Result<Attribute, Error> {
    let labels: Option<Vec<String>> = row.try_get("labels")?;
    let labels = labels.unwrap_or_default();
    let is_array: bool = row.try_get("is_array")?;
    let element = is_array.then(|| type_at(row, "elem", &labels)).transpose()?;
    let mut postgres_type = type_at(row, "base", &labels)?;
    if let Some(element) = element {
        // A view's column, and one of CREATE TABLE AS, declares none.
        let dimensions: i32 = row.try_get("dimensions")?;
        postgres_type.kind = TypeKind::Array(Box::new(element), usize::try_from(dimensions).unwrap_or_default().max(1));
    }
    Ok(Attribute {
        name,
        not_null: row.try_get("attnotnull")?,
        source_type: row.try_get("source_type")?,
        comment: row.try_get("column_comment")?,
        deterministic: row.try_get("deterministic")?,
        postgres_type,
    })
}

fn type_at(row: &Row, prefix: &str, labels: &[String]) -> Result<PostgresType, Error> {
    let column = |name: &str| format!("{prefix}_{name}");
    let kind: String = row.try_get(column("kind").as_str())?;
    let nested = prefix == "elem" && row.try_get::<_, bool>("elem_is_array")?;
    Ok(PostgresType {
        schema: row.try_get(column("schema").as_str())?,
        name: row.try_get(column("name").as_str())?,
        typmod: row.try_get(column("typmod").as_str())?,
        kind: match kind.as_str() {
            "b" if nested => TypeKind::Composed,
            "b" => TypeKind::Base,
            "e" => TypeKind::Enum(labels.to_vec()),
            "c" | "r" | "m" => TypeKind::Composed,
            _ => TypeKind::Pseudo,
        },
    })
}
