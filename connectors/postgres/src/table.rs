//! A table as one query sees it.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use async_trait::async_trait;
use datafusion::logical_expr::Expr;
use portolan_connector::{
    Capabilities, Column, ConnectorError, ConnectorTable, Estimate, Fold, Operation, PlanContext, Reason, Result, Scan,
    ScanRequest, SourcePlan, TableKind, TableName, TableStatistics, UnsupportedColumn, Verdict,
};
use portolan_remote_sql::{PostgresDialect, RemoteColumn, RemoteExpr, RemoteQuery, SelectColumn, judge, lower};

use crate::config::Config;
use crate::error;
use crate::metadata::{self, Attribute, Relation, RelationKind};
use crate::net::{Pool, Purpose};
use crate::snapshot::PostgresSnapshot;
use crate::split::{CopyColumn, CopySplit};
use crate::types::{Circumstances, Mapped, Wire, map};

/// What tables share with their connector.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) capabilities: Arc<Capabilities>,
}

/// A table and its columns, at the moment when it was asked for.
#[derive(Debug)]
pub(crate) struct PostgresTable {
    shared: Shared,
    name: TableName,
    kind: RelationKind,
    rows: Option<u64>,
    definition: String,
    columns: Vec<Column>,
    /// Beside each column: how it is decoded, and how predicates on it are translated.
    sources: Vec<Source>,
    unsupported: Vec<UnsupportedColumn>,
}

#[derive(Debug)]
struct Source {
    wire: Wire,
    remote: RemoteColumn,
}

impl PostgresTable {
    /// Maps the columns. `utf8` says whether the database stores UTF-8.
    pub(crate) fn new(shared: Shared, name: TableName, relation: Relation, utf8: bool) -> Self {
        let definition = definition(&name, &relation);
        let (mut columns, mut sources, mut unsupported) = (Vec::new(), Vec::new(), Vec::new());
        // PostgreSQL does not check the constraints of a foreign table.
        let checked = relation.kind != RelationKind::ForeignTable;
        for attribute in relation.attributes {
            let circumstances =
                Circumstances { numeric: shared.config.numeric, utf8, deterministic: attribute.deterministic };
            match map(&attribute.postgres_type, circumstances) {
                Ok(mapped) => {
                    columns.push(column(&attribute, &mapped, checked));
                    sources.push(Source::new(attribute.name, mapped));
                }
                Err(reason) => unsupported.push(UnsupportedColumn {
                    name: attribute.name,
                    source_type: attribute.source_type,
                    reason,
                }),
            }
        }
        Self { shared, name, kind: relation.kind, rows: relation.rows, definition, columns, sources, unsupported }
    }

    fn remote_column(&self, name: &str) -> Option<RemoteColumn> {
        self.sources.iter().find(|source| source.remote.name == name).map(|source| source.remote.clone())
    }

    fn lower(&self, conjunct: &Expr) -> Result<RemoteExpr, Reason> {
        lower(conjunct, &|name| self.remote_column(name), &self.shared.capabilities, &PostgresDialect)
    }

    /// The columns of a projection, with how they are decoded.
    fn project(&self, projection: &[usize]) -> Result<Vec<(&Column, &Source)>> {
        let pick = |index: &usize| self.columns.get(*index).zip(self.sources.get(*index));
        projection.iter().map(pick).collect::<Option<_>>().ok_or_else(|| {
            ConnectorError::internal(format!("a column of {projection:?} does not exist")).in_table(&self.name)
        })
    }

    /// What PostgreSQL expects the query to return. Its planner is asked where more than the table's size matters.
    async fn estimate(&self, query: &RemoteQuery, sql: &str) -> Estimate {
        if query.filter.is_empty()
            && let Some(rows) = self.rows
        {
            let limit = query.limit.and_then(|limit| u64::try_from(limit).ok());
            return Estimate { rows: Some(limit.map_or(rows, |limit| limit.min(rows))), bytes: None };
        }
        let Ok(session) = self.shared.pool.get(Purpose::Metadata).await else { return Estimate::default() };
        // A query that PostgreSQL will not plan fails when it is read, with a better message.
        let estimate = metadata::estimate(session.client(), sql).await;
        session.release_after(estimate).unwrap_or_default()
    }
}

impl Source {
    fn new(name: String, mapped: Mapped) -> Self {
        let mut remote = RemoteColumn::new(name, mapped.domain, mapped.wire.data_type());
        remote.cast = mapped.literal_type;
        remote.labels = mapped.labels.map(Into::into);
        Self { wire: mapped.wire, remote }
    }
}

fn column(attribute: &Attribute, mapped: &Mapped, checked: bool) -> Column {
    let nullable = !(attribute.not_null && checked);
    let field = Field::new(&attribute.name, mapped.wire.data_type(), nullable);
    let mut column = Column::new(Arc::new(field), &attribute.source_type, mapped.domain);
    column.comment = attribute.comment.clone();
    column
}

/// What `SHOW CREATE TABLE` prints, as PostgreSQL would write it.
fn definition(name: &TableName, relation: &Relation) -> String {
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
        if self.kind == RelationKind::View { TableKind::View } else { TableKind::Table }
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
        let session = self.shared.pool.get(Purpose::Metadata).await.map_err(|error| error.in_table(&self.name))?;
        let statistics = metadata::statistics(session.client(), &self.name.schema, &self.name.table, self.rows).await;
        session.release_after(statistics).map_err(|cause| {
            error::statement(&self.shared.config, "cannot read the table's statistics", &cause).in_table(&self.name)
        })
    }

    fn judge(&self, conjunct: &Expr) -> Verdict {
        judge(conjunct, &|name| self.remote_column(name), &self.shared.capabilities, &PostgresDialect)
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

    async fn plan(&self, request: &ScanRequest, context: &PlanContext<'_>) -> Result<SourcePlan> {
        let snapshot = context
            .snapshot
            .downcast_ref::<PostgresSnapshot>()
            .ok_or_else(|| ConnectorError::internal("the snapshot is of another connector").in_table(&self.name))?;
        let columns = self.project(&request.projection)?;
        let mut query = RemoteQuery::new(&self.name.schema, &self.name.table);
        query.limit = request.limit;
        query.select = columns.iter().map(|(column, _)| SelectColumn::plain(column.name())).collect();
        for filter in &request.filters {
            let lowered = self.lower(&filter.expression).map_err(|reason| {
                ConnectorError::internal(format!("the filter {} was accepted and then refused", filter.expression))
                    .said(reason)
                    .in_table(&self.name)
            })?;
            query.filter.push(lowered);
        }
        let sql = query.render(&PostgresDialect);
        let estimate = self.estimate(&query, &sql).await;
        let split = CopySplit {
            schema: self.name.schema.clone(),
            table: self.name.table.clone(),
            sql: sql.clone(),
            snapshot: snapshot.id().to_owned(),
            columns: columns
                .iter()
                .map(|(column, source)| CopyColumn {
                    name: column.name().to_owned(),
                    source_type: column.source_type.clone(),
                    wire: source.wire.clone(),
                })
                .collect(),
        };
        let fields: Vec<_> = columns.iter().map(|(column, _)| Arc::clone(&column.field)).collect();
        Ok(SourcePlan {
            schema: Arc::new(Schema::new(fields)),
            scan: Scan::Splits(vec![split.write(estimate.rows)?]),
            request: Some(sql),
            remote_filters: query.filter.iter().map(|filter| Some(filter.render(&PostgresDialect))).collect(),
            units: Vec::new(),
            estimate,
        })
    }
}
