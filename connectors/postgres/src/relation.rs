//! What PostgreSQL computes for a query of the engine's: a table's rows, or what was folded over them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::common::DFSchema;
use portolan_connector::{
    ConnectorError, Estimate, Operand, Operator, PlanContext, Reason, Relation, Result, Scan, SourcePlan, TableName,
    Units,
};
use portolan_remote_sql::{From, JoinOn, JoinSide, PostgresDialect, RemoteColumn, RemoteExpr, RemoteQuery, Vocabulary};

use crate::metadata::{self, Planned};
use crate::narrow::key;
use crate::net::Purpose;
use crate::parts;
use crate::snapshot::PostgresSnapshot;
use crate::split::{CopyColumn, CopySplit, Part};
use crate::table::Shared;
use crate::types::{Mapped, Wire, computed};

/// A column as the translator knows it. A computed one is called nothing.
pub(crate) fn remote_column(name: &str, source_type: &str, mapped: &Mapped) -> RemoteColumn {
    let mut column = RemoteColumn::new(name, mapped.domain, mapped.wire.data_type());
    column.cast = mapped.literal_type.clone();
    column.labels = mapped.labels.clone().map(Into::into);
    // Plain data: it can always be written down, and a column that cannot be decoded is refused when it is read.
    column.encoding = serde_json::to_string(&mapped.wire).ok().map(Into::into);
    column.source_type = Some(source_type.into());
    column.padded = mapped.padded.then(|| "bpchar".to_owned());
    column.element = mapped.element.as_ref().map(|element| Arc::new(remote_column(name, source_type, element)));
    column.clamped = matches!(mapped.wire, Wire::Clamped(_));
    column
}

/// What PostgreSQL computes of an Arrow type.
fn computed_column(data_type: &DataType) -> Option<RemoteColumn> {
    let mapped = computed(data_type)?;
    let source_type = mapped.literal_type.clone().unwrap_or_else(|| "boolean".to_owned());
    Some(remote_column("", &source_type, &mapped))
}

impl Shared {
    /// What a translator has to know.
    pub(crate) fn vocabulary(&self) -> Vocabulary<'_> {
        Vocabulary { capabilities: &self.capabilities, dialect: &PostgresDialect, computed: computed_column }
    }
}

/// A query, and the table that it began with.
#[derive(Clone, Debug)]
pub(crate) struct PostgresRelation {
    pub(crate) shared: Shared,
    /// For messages.
    pub(crate) table: TableName,
    pub(crate) query: RemoteQuery,
    /// How many rows there are, where that is known without asking PostgreSQL's planner.
    pub(crate) rows: Option<u64>,
}

impl PostgresRelation {
    fn of<'a>(&self, operand: &Operand<'a>) -> Result<&'a Self, Reason> {
        let other = operand.relation.downcast_ref::<Self>();
        other
            .filter(|other| other.table.catalog == self.table.catalog)
            .ok_or_else(|| "the other side is of another source".into())
    }

    /// Plans the query, for columns of these names and types.
    pub(crate) async fn scan(&self, schema: SchemaRef, context: &PlanContext<'_>) -> Result<SourcePlan> {
        let snapshot = context
            .snapshot
            .downcast_ref::<PostgresSnapshot>()
            .ok_or_else(|| ConnectorError::internal("the snapshot is of another connector").in_table(&self.table))?;
        let (query, Planned { estimate, reads_whole_table, .. }) = self.planned().await;
        let query = padded(query)?;
        let sql = query.render(&PostgresDialect);
        let names = query.output_names(&PostgresDialect);
        let columns = query.outputs.iter().zip(names).map(|(output, name)| {
            let RemoteColumn { encoding, source_type, .. } = &output.value.column;
            let wire: Wire = serde_json::from_str(encoding.as_deref().unwrap_or_default()).map_err(|cause| {
                ConnectorError::internal(format!("how {} travels is not known", output.name))
                    .said(cause)
                    .in_table(&self.table)
            })?;
            let source_type = source_type.as_deref().unwrap_or_default().to_owned();
            let key = key(name, &output.value, &self.shared.capabilities);
            Ok(CopyColumn { name: output.name.clone(), source_type, wire, key })
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let filterable = (0..columns.len()).filter(|at| columns.get(*at).is_some_and(|column| column.key.is_some()));
        let filterable = filterable.collect();
        let split = CopySplit {
            schema: self.table.schema.clone(),
            table: self.table.table.clone(),
            part: None,
            sql: sql.clone(),
            snapshot: snapshot.id().to_owned(),
            columns,
        };
        let parts = match reads_whole_table {
            true => parts::of(&query, &self.table, &self.shared, estimate.rows, snapshot, context).await,
            false => Vec::new(),
        };
        let (splits, units) = match parts.len() {
            0 => (vec![split.write(estimate.rows)?], Vec::new()),
            count => {
                let rows = estimate.rows.map(|rows| rows / count as u64);
                let split = |(number, part): (usize, RemoteQuery)| {
                    let part_of = Some(Part { number, whole: sql.clone() });
                    CopySplit { sql: part.render(&PostgresDialect), part: part_of, ..split.clone() }.write(rows)
                };
                let splits = parts.into_iter().enumerate().map(split).collect::<Result<Vec<_>>>()?;
                (splits, vec![Units { kind: "splits", total: None, kept: count as u64 }])
            }
        };
        let filters = query.filter.iter().map(|filter| Some(query.render_part(filter, &PostgresDialect)));
        Ok(SourcePlan {
            schema,
            scan: Scan::Splits(splits),
            request: Some(sql),
            remote_filters: filters.collect(),
            units,
            estimate,
            filterable,
        })
    }

    /// The query as it is best written, and what PostgreSQL's planner makes of it. It is asked where more than the table's
    /// size matters.
    async fn planned(&self) -> (RemoteQuery, Planned) {
        let query = self.query.clone();
        if let Some(rows) = self.rows {
            let limit = self.query.limit.and_then(|limit| u64::try_from(limit).ok());
            let rows = limit.map_or(rows, |limit| limit.min(rows));
            let estimate = Estimate { rows: Some(rows), bytes: None };
            return (query, Planned { estimate, reads_whole_table: true, ..Planned::default() });
        }
        let Ok(session) = self.shared.pool.get(Purpose::Metadata).await else { return (query, Planned::default()) };
        // A query that PostgreSQL will not plan fails when it is read, with a better message.
        let planned = metadata::planned(session.client(), &query.render(&PostgresDialect)).await;
        let (Ok(planned), Some(other)) = (&planned, query.correlated()) else {
            let planned = session.release_after(planned).unwrap_or_default();
            return (query, planned);
        };
        let other_planned = metadata::planned(session.client(), &other.render(&PostgresDialect)).await;
        match session.release_after(other_planned) {
            Ok(cheaper) if cheaper.cost < planned.cost => (other, cheaper),
            _ => (query, *planned),
        }
    }
}

/// The query without the conversions of `char(n)` that nothing but the result needs: leaving blanks out is faster here.
fn padded(mut query: RemoteQuery) -> Result<RemoteQuery> {
    if query.group.is_some() || query.distinct || !matches!(query.from, From::Table { .. }) {
        return Ok(query);
    }
    let wire = serde_json::to_string(&Wire::PaddedText)
        .map_err(|cause| ConnectorError::internal("how char(n) travels cannot be written down").said(cause))?;
    for output in &mut query.outputs {
        if let (RemoteExpr::Cast { operand, .. }, Some(_)) = (&output.value.expr, &output.value.column.padded)
            && matches!(**operand, RemoteExpr::Column { .. })
        {
            output.value.expr = RemoteExpr::clone(operand);
            output.value.column.encoding = Some(wire.as_str().into());
        }
    }
    Ok(query)
}

#[async_trait]
impl Relation for PostgresRelation {
    fn fold(&self, operator: Operator<'_>, schema: &DFSchema, result: &DFSchema) -> Result<Arc<dyn Relation>, Reason> {
        let vocabulary = self.shared.vocabulary();
        let query = &self.query;
        let mut rows = None;
        let query = match operator {
            Operator::Filter(condition) => query.filter(condition, schema, &vocabulary)?,
            Operator::Project(columns) => {
                rows = self.rows;
                query.project(columns, schema, &vocabulary, result)?
            }
            Operator::Aggregate { keys, aggregates } => {
                query.aggregate(keys, aggregates, schema, &vocabulary, result)?
            }
            Operator::Sort { keys, fetch } => {
                rows = self.rows;
                query.sort(keys, fetch, schema, &vocabulary)?
            }
            Operator::Limit { skip, fetch } => {
                rows = self.rows.filter(|_| skip == 0);
                query.slice(skip, fetch)
            }
            Operator::Join { right, join_type, equal, condition, nulls } => {
                let left = JoinSide { query, schema };
                let right = JoinSide { query: &self.of(&right)?.query, schema: right.schema };
                let on = JoinOn { equal, condition, nulls };
                RemoteQuery::join(left, right, join_type, on, &vocabulary, result)?
            }
            Operator::UnionAll(others) => {
                let others = others.iter().map(|other| Ok(&self.of(other)?.query));
                let all = [Ok(query)].into_iter().chain(others).collect::<Result<Vec<_>, Reason>>()?;
                RemoteQuery::union_all(&all, &vocabulary, result)?
            }
        };
        Ok(Arc::new(Self { query, rows, ..self.clone() }))
    }

    async fn plan(&self, schema: &DFSchema, context: &PlanContext<'_>) -> Result<SourcePlan> {
        self.scan(Arc::new(Schema::clone(schema.as_arrow())), context).await
    }
}
