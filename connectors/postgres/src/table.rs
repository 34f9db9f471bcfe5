//! A table as one query sees it.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use async_trait::async_trait;
use datafusion::common::Column as ColumnName;
use datafusion::logical_expr::Expr;
use portolan_connector::{
    Capabilities, Column, ConnectorError, ConnectorTable, Fold, Operation, PlanContext, Reason, Relation, Result,
    ScanRequest, SourcePlan, TableKind, TableName, TableStatistics, UnsupportedColumn, Verdict,
};
use portolan_remote_sql::{
    Dialect, From, PostgresDialect, RemoteColumn, RemoteExpr, RemoteQuery, Scope, SourceId, Typed, Vocabulary, judge,
    lower,
};

use crate::config::Config;
use crate::error;
use crate::metadata::{self, Attribute, Described, KnownTables, RelationKind, Seen, Version};
use crate::net::{Pool, Purpose};
use crate::relation::{PostgresRelation, remote_column};
use crate::snapshot::Moments;
use crate::types::{Circumstances, Mapped, TEXT, map};

/// What tables share with their connector.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) capabilities: Arc<Capabilities>,
    pub(crate) known: Arc<KnownTables>,
    pub(crate) moments: Arc<Moments>,
}

/// A column of the table.
#[derive(Clone, Debug)]
struct SourceColumn {
    /// How it is decoded, and how expressions over it are translated.
    column: RemoteColumn,
    /// The type that PostgreSQL converts it to wherever it is used.
    conversion: Option<String>,
    /// The collation of a text whose own is not known.
    collation: Option<String>,
}

impl SourceColumn {
    /// The column of one of the relations of a query, as the engine sees it.
    fn of(&self, source: SourceId) -> Typed {
        let mut value = Typed::column(source, self.column.clone());
        if let Some(type_name) = self.conversion.clone() {
            value.expr = RemoteExpr::Cast { operand: Box::new(value.expr), type_name };
        }
        if let Some(collation) = self.collation.clone() {
            value.expr = RemoteExpr::Collate { operand: Box::new(value.expr), collation };
        }
        value
    }
}

/// What the rows are of.
#[derive(Debug)]
enum Origin {
    /// What has a name in the database.
    Named { described: Arc<Described>, seen: Seen },
    /// The same, described for a statement that writes it and holds it. Nothing is read of it.
    Held(RelationKind),
    /// A query that somebody wrote.
    Native(String),
}

impl Origin {
    fn kind(&self) -> RelationKind {
        match self {
            Self::Named { described, .. } => described.relation.kind,
            Self::Held(kind) => *kind,
            Self::Native(_) => RelationKind::View,
        }
    }

    /// What whoever reads it compares.
    fn versions(&self) -> Vec<Version> {
        match self {
            Self::Named { described, .. } => vec![described.version.clone()],
            Self::Held(_) | Self::Native(_) => Vec::new(),
        }
    }
}

/// A table and its columns, at the moment when it was asked for.
#[derive(Debug)]
pub(crate) struct PostgresTable {
    shared: Shared,
    name: TableName,
    origin: Origin,
    definition: String,
    columns: Vec<Column>,
    /// Beside each column: what PostgreSQL is told to read.
    sources: Vec<SourceColumn>,
    unsupported: Vec<UnsupportedColumn>,
}

impl PostgresTable {
    /// A table as it was described.
    pub(crate) fn new(shared: Shared, name: TableName, described: Arc<Described>, seen: Seen) -> Self {
        let definition = definition(&name, &described.relation);
        let origin = Origin::Named { described: Arc::clone(&described), seen };
        let relation = &described.relation;
        Self::empty(shared, name, origin, definition).with_columns(
            &relation.attributes,
            relation.enforced,
            described.utf8,
        )
    }

    /// As what it was described, and what the system catalogs said then.
    pub(crate) fn seen(&self) -> Option<(&Version, &Seen)> {
        match &self.origin {
            Origin::Named { described, seen } => Some((&described.version, seen)),
            Origin::Held(_) | Origin::Native(_) => None,
        }
    }

    /// A table as it is in a transaction that holds it. `utf8` says whether the database stores UTF-8.
    pub(crate) fn held(shared: Shared, name: TableName, relation: &metadata::Relation, utf8: bool) -> Self {
        let definition = definition(&name, relation);
        Self::empty(shared, name, Origin::Held(relation.kind), definition).with_columns(
            &relation.attributes,
            relation.enforced,
            utf8,
        )
    }

    /// The rows of a query that somebody wrote. `utf8` says whether the database stores UTF-8.
    pub(crate) fn of_query(shared: Shared, text: String, attributes: &[Attribute], utf8: bool) -> Self {
        let name = TableName::new(&shared.config.catalog, "system", "query");
        Self::empty(shared, name, Origin::Native(text.clone()), text).with_columns(attributes, false, utf8)
    }

    fn empty(shared: Shared, name: TableName, origin: Origin, definition: String) -> Self {
        let (columns, sources, unsupported) = (Vec::new(), Vec::new(), Vec::new());
        Self { shared, name, origin, definition, columns, sources, unsupported }
    }

    /// Maps the columns. `enforced` says whether each row keeps their NOT NULL.
    fn with_columns(mut self, attributes: &[Attribute], enforced: bool, utf8: bool) -> Self {
        let is_query = matches!(self.origin, Origin::Native(_));
        for attribute in attributes {
            let circumstances = Circumstances {
                numeric: self.shared.config.numeric,
                clamp: self.shared.config.clamp_temporal,
                utf8,
                deterministic: attribute.deterministic,
            };
            match map(&attribute.postgres_type, circumstances) {
                Ok(mut mapped) => {
                    self.columns.push(column(attribute, &mapped, enforced));
                    // By what collation a query's texts compare is not known, and an array's cannot be told another.
                    mapped.element = mapped.element.filter(|_| !is_query);
                    let collation =
                        PostgresDialect.byte_order_collation().filter(|_| is_query && mapped.domain == TEXT);
                    let mut column = remote_column(&attribute.name, &attribute.source_type, &mapped);
                    column.collation = attribute.collation.as_deref().map(Into::into);
                    self.sources.push(SourceColumn {
                        column,
                        collation: collation.map(str::to_owned),
                        conversion: mapped.conversion,
                    });
                }
                Err(reason) => self.unsupported.push(UnsupportedColumn {
                    name: attribute.name.clone(),
                    source_type: attribute.source_type.clone(),
                    reason,
                }),
            }
        }
        self
    }

    fn source_column(&self, name: &str) -> Option<&SourceColumn> {
        self.sources.iter().find(|source| source.column.name == name)
    }

    /// A query for all columns that can be read.
    fn all_columns(&self) -> String {
        let source = SourceId::fresh();
        let mut query = RemoteQuery::table(source, &self.name.schema, &self.name.table);
        for column in &self.sources {
            query.push(column.of(source));
        }
        query.render(&PostgresDialect)
    }

    /// A column that values can be put into, as the translator knows it; `None` where PostgreSQL converts it for reading and
    /// would not convert it back.
    pub(crate) fn assignable(&self, name: &str) -> Option<RemoteColumn> {
        let source = self.source_column(name)?;
        let is_read_as_it_is = source.conversion.is_none() || source.column.padded.is_some();
        is_read_as_it_is.then(|| source.column.clone())
    }

    /// The columns where the table is all that a statement is about.
    pub(crate) fn scope(&self) -> impl Scope + '_ {
        TableColumns { table: self, source: SourceId::ALONE }
    }

    /// The query of a request.
    fn relation_of(&self, request: &ScanRequest) -> Result<PostgresRelation> {
        let source = SourceId::fresh();
        let mut query = match &self.origin {
            Origin::Native(text) => RemoteQuery::over(From::Native { source, text: text.clone() }),
            Origin::Named { .. } | Origin::Held(_) => RemoteQuery::table(source, &self.name.schema, &self.name.table),
        };
        query.limit = request.limit;
        for column in self.project(&request.projection)? {
            query.push(column.of(source));
        }
        for filter in &request.filters {
            let scope = TableColumns { table: self, source };
            let lowered = lower(&filter.written, &scope, &self.shared.vocabulary()).map_err(|reason| {
                ConnectorError::internal(format!("the filter {} was accepted and then refused", filter.expression))
                    .said(reason)
                    .in_table(&self.name)
            })?;
            query.filter.push(lowered.expr);
        }
        let versions = self.origin.versions();
        Ok(PostgresRelation { shared: self.shared.clone(), table: self.name.clone(), query, versions })
    }

    /// What a translator has to know.
    pub(crate) fn vocabulary(&self) -> Vocabulary<'_> {
        self.shared.vocabulary()
    }

    /// The columns of a projection, as the translator knows them.
    fn project(&self, projection: &[usize]) -> Result<Vec<&SourceColumn>> {
        let pick = |index: &usize| self.sources.get(*index);
        projection.iter().map(pick).collect::<Option<_>>().ok_or_else(|| {
            ConnectorError::internal(format!("a column of {projection:?} does not exist")).in_table(&self.name)
        })
    }
}

/// The columns of a table that is one of the relations of a query. Their qualifier is an alias.
struct TableColumns<'a> {
    table: &'a PostgresTable,
    source: SourceId,
}

impl Scope for TableColumns<'_> {
    fn resolve(&self, column: &ColumnName) -> Option<Typed> {
        self.table.source_column(&column.name).map(|column| column.of(self.source))
    }
}

fn column(attribute: &Attribute, mapped: &Mapped, enforced: bool) -> Column {
    let nullable = !(attribute.not_null && enforced);
    let field = Field::new(&attribute.name, mapped.wire.data_type(), nullable);
    let mut column = Column::new(Arc::new(field), &attribute.source_type, mapped.domain);
    column.comment = attribute.comment.clone();
    column
}

/// What `SHOW CREATE TABLE` prints, as PostgreSQL would write it.
fn definition(name: &TableName, relation: &metadata::Relation) -> String {
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let full_name = format!("{}.{}", quote(&name.schema), quote(&name.table));
    let what = match relation.kind {
        RelationKind::Table | RelationKind::PartitionedTable => "TABLE",
        RelationKind::ForeignTable => "FOREIGN TABLE",
        RelationKind::View => "VIEW",
        RelationKind::MaterializedView => "MATERIALIZED VIEW",
    };
    let mut text = match &relation.view {
        Some(query) => format!("CREATE {what} {full_name} AS\n{}", query.trim_end()),
        None => {
            let columns: Vec<String> = relation
                .attributes
                .iter()
                .map(|column| {
                    let not_null = if column.not_null { " NOT NULL" } else { "" };
                    format!("    {} {}{not_null}", quote(&column.name), column.source_type)
                })
                .collect();
            format!("CREATE {what} {full_name} (\n{}\n);", columns.join(",\n"))
        }
    };
    if let Some(comment) = &relation.comment {
        text.push_str(&format!("\nCOMMENT ON {what} {full_name} IS '{}';", comment.replace('\'', "''")));
    }
    text
}

#[async_trait]
impl ConnectorTable for PostgresTable {
    fn name(&self) -> &TableName {
        &self.name
    }

    fn kind(&self) -> TableKind {
        if self.origin.kind() == RelationKind::View { TableKind::View } else { TableKind::Table }
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn unsupported_columns(&self) -> &[UnsupportedColumn] {
        &self.unsupported
    }

    fn definition(&self) -> Option<String> {
        Some(self.definition.clone())
    }

    async fn statistics(&self) -> Result<Option<TableStatistics>> {
        let Origin::Named { described, seen } = &self.origin else { return Ok(None) };
        if let Some(known) = described.statistics(seen) {
            return Ok(known);
        }
        let session = self.shared.pool.get(Purpose::Metadata).await.map_err(|error| error.in_table(&self.name))?;
        let query = self.all_columns();
        let data_type = |name: &str| self.source_column(name).map(|source| source.column.arrow_type.clone());
        let TableName { schema, table, .. } = &self.name;
        let question = metadata::statistics(session.client(), schema, table, &query, seen.counted_rows(), data_type);
        let statistics = session.read_only(question).await.map(Some);
        let statistics = session.release_after(statistics).map_err(|cause| {
            error::statement(&self.shared.config, "cannot read the table's statistics", &cause).in_table(&self.name)
        })?;
        described.remember(seen, statistics.clone());
        Ok(statistics)
    }

    fn judge(&self, conjunct: &Expr) -> Verdict {
        judge(conjunct, &TableColumns { table: self, source: SourceId::ALONE }, &self.shared.vocabulary())
    }

    fn fold(&self, request: &ScanRequest, operator: &Fold) -> Result<ScanRequest, Reason> {
        match operator {
            Fold::Limit(rows) => {
                if !self.shared.capabilities.allows(Operation::Limit) {
                    return Err("no rule for LIMIT".into());
                }
                if request.filters.iter().any(|filter| filter.verdict != Verdict::Exact) {
                    return Err("a filter below the limit is not exact".into());
                }
                let limit = request.limit.map_or(*rows, |limit| limit.min(*rows));
                Ok(ScanRequest { limit: Some(limit), ..request.clone() })
            }
        }
    }

    fn relation(&self, request: &ScanRequest) -> Option<Arc<dyn Relation>> {
        // A filter that only prunes lets rows through that an operator above must not see.
        let exact = request.filters.iter().all(|filter| filter.verdict == Verdict::Exact);
        let relation = self.relation_of(request).ok().filter(|_| exact)?;
        Some(Arc::new(relation))
    }

    async fn plan(&self, request: &ScanRequest, context: &PlanContext<'_>) -> Result<SourcePlan> {
        let fields = request.projection.iter().filter_map(|index| self.columns.get(*index));
        let schema = Schema::new(fields.map(|column| Arc::clone(&column.field)).collect::<Vec<_>>());
        self.relation_of(request)?.scan(Arc::new(schema), context).await
    }
}
