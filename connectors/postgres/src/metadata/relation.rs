//! Everything about one table, in one question.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

use crate::types::{PostgresType, TypeKind};

/// What is to be known of the type of each `a`: `base` follows a domain down to the type that it stands for, taking along the
/// modifier and the dimensions that the domain declares; `elem` does the same for an array's element.
macro_rules! type_columns {
    () => {
        "\
       bn.nspname::text AS base_schema, bt.typname::text AS base_name, base.typmod AS base_typmod,
       bt.typtype::text AS base_kind, bt.typcategory = 'A' AND bt.typelem <> 0 AND bt.typlen = -1 AS is_array,
       base.dimensions AS dimensions,
       en.nspname::text AS elem_schema, et.typname::text AS elem_name, elem.typmod AS elem_typmod,
       et.typtype::text AS elem_kind, et.typcategory = 'A' AND et.typelem <> 0 AND et.typlen = -1 AS elem_is_array,
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e
        WHERE e.enumtypid = coalesce(et.oid, bt.oid)) AS labels\n"
    };
}

/// Where that is found.
macro_rules! type_joins {
    () => {
        "\
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
LEFT JOIN pg_catalog.pg_namespace en ON en.oid = et.typnamespace\n"
    };
}

/// Whether each row of `c` keeps the NOT NULL that its columns declare. PostgreSQL does not check that of a foreign table, nor of one
/// that is a partition; what inherits otherwise need not declare the same (manual, 5.10.1).
macro_rules! enforced {
    () => {
        "\
CASE c.relkind
    WHEN 'f' THEN false
    WHEN 'p' THEN NOT (EXISTS (SELECT FROM pg_catalog.pg_foreign_table f JOIN pg_catalog.pg_inherits i ON i.inhrelid = f.ftrelid)
        AND EXISTS (SELECT FROM pg_partition_tree(c.oid) part JOIN pg_catalog.pg_foreign_table f ON f.ftrelid = part.relid))
    ELSE NOT c.relhassubclass END"
    };
}
pub(super) use enforced;

/// One row for each column, and one with NULLs for a table without any.
const DESCRIBE: &str = concat!(
    "\
SELECT c.relkind::text, d.description AS comment,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS view,\n",
    enforced!(),
    " AS enforced,
       a.attname::text, a.attnotnull, format_type(a.atttypid, a.atttypmod) AS source_type,
       ad.description AS column_comment, coalesce(co.collisdeterministic, true) AS deterministic,
       nullif(a.attcollation, 0)::text AS collation,\n",
    type_columns!(),
    "\
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::regclass AND d.objsubid = 0
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_description ad ON ad.objoid = c.oid AND ad.classoid = 'pg_catalog.pg_class'::regclass AND ad.objsubid = a.attnum
LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation\n",
    type_joins!(),
    "\
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY a.attnum"
);

/// The same of the columns of a query: their names, types and modifiers are the parameters.
const DESCRIBE_TYPES: &str = concat!(
    "\
SELECT a.attname, false AS attnotnull, format_type(a.atttypid, a.atttypmod) AS source_type, NULL::text AS column_comment,
       true AS deterministic, NULL::text AS collation,\n",
    type_columns!(),
    "\
FROM (SELECT u.attname, u.atttypid, u.atttypmod, 0 AS attndims, u.attnum
      FROM unnest($1, $2, $3) WITH ORDINALITY AS u(attname, atttypid, atttypmod, attnum)) a\n",
    type_joins!(),
    "ORDER BY a.attnum"
);

/// A table, view, or anything else with rows.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) kind: RelationKind,
    pub(crate) comment: Option<String>,
    /// A view's query.
    pub(crate) view: Option<String>,
    /// Whether each row keeps the NOT NULL of the columns.
    pub(crate) enforced: bool,
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
    /// The object identifier of the collation, where it is known.
    pub(crate) collation: Option<String>,
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
        enforced: first.try_get("enforced")?,
        attributes,
    }))
}

/// What PostgreSQL says of a query that somebody wrote.
#[derive(Clone, Debug)]
pub(crate) struct DescribedQuery {
    /// How many parameters it has.
    pub(crate) parameters: usize,
    pub(crate) attributes: Vec<Attribute>,
    /// Whether the client library had to ask for a type: it keeps the statements that it asked with for the same session of
    /// the server's, which a pooler may give to somebody else.
    pub(crate) leaves_statements: bool,
}

/// Asks for the columns of a query. It is parsed, alone and as the subquery that it is read as, and not run.
pub(crate) async fn describe_query(client: &Client, text: &str) -> Result<DescribedQuery, Error> {
    // Alone, so that it is one statement, and complete.
    let alone = client.prepare(text).await?;
    let query = client.prepare(&format!("SELECT * FROM ({text}\n) AS q")).await?;
    let columns = query.columns();
    let names: Vec<&str> = columns.iter().map(tokio_postgres::Column::name).collect();
    let types: Vec<u32> = columns.iter().map(|column| column.type_().oid()).collect();
    let modifiers: Vec<i32> = columns.iter().map(tokio_postgres::Column::type_modifier).collect();
    let rows = client
        .query_typed(
            DESCRIBE_TYPES,
            &[(&names, Type::TEXT_ARRAY), (&types, Type::OID_ARRAY), (&modifiers, Type::INT4_ARRAY)],
        )
        .await?;
    let attributes = rows.iter().map(|row| attribute(row, row.try_get("attname")?)).collect::<Result<_, _>>()?;
    let mut used = columns.iter().map(tokio_postgres::Column::type_).chain(alone.params());
    let leaves_statements = used.any(|used| Type::from_oid(used.oid()).is_none());
    Ok(DescribedQuery { parameters: alone.params().len(), attributes, leaves_statements })
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
        collation: row.try_get("collation")?,
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
