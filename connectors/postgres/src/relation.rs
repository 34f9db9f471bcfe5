//! What PostgreSQL computes for a query of the engine's: a table's rows, or what was folded over them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, lit};
use portolan_connector::{
    Capabilities, ConnectorError, Estimate, KeyFilter, Operand, Operation, Operator, PlanContext, Reason, Relation,
    Result, Scan, SourcePlan, TableName, Verdict,
};
use portolan_remote_sql::{JoinOn, JoinSide, PostgresDialect, RemoteColumn, RemoteQuery, Vocabulary, lower};

use crate::metadata;
use crate::net::Purpose;
use crate::rules::domains;
use crate::snapshot::PostgresSnapshot;
use crate::split::{CopyColumn, CopySplit, Key};
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
    column
}

/// What PostgreSQL computes of an Arrow type.
fn computed_column(data_type: &DataType) -> Option<RemoteColumn> {
    let mapped = computed(data_type)?;
    let source_type = mapped.literal_type.clone().unwrap_or_else(|| "boolean".to_owned());
    Some(remote_column("", &source_type, &mapped))
}

/// What a condition on a column of the result has to know; `None` where PostgreSQL would not find the same values.
fn key(name: String, column: &RemoteColumn, capabilities: &Capabilities) -> Option<Key> {
    let exact = |operation| capabilities.verdict(operation, column.domain) == Verdict::Exact;
    (exact(Operation::In) && exact(Operation::GtEq) && exact(Operation::LtEq)).then(|| Key {
        name,
        domain: column.domain.0.to_owned(),
        literal_type: column.cast.clone(),
        labels: column.labels.as_deref().map(<[String]>::to_vec),
    })
}

/// The split without rows that have no partner in a join. `None` where nothing can be said of them.
pub(crate) fn narrow(split: &CopySplit, filters: &[KeyFilter], shared: &Shared) -> Option<CopySplit> {
    let conditions: Vec<String> = filters
        .iter()
        .filter_map(|filter| {
            let column = split.columns.get(filter.column()?)?;
            let key = column.key.as_ref()?;
            let domain = *domains().iter().find(|domain| domain.0 == key.domain)?;
            let mut remote = RemoteColumn::new(&key.name, domain, column.wire.data_type());
            remote.cast = key.literal_type.clone();
            remote.labels = key.labels.clone().map(Into::into);
            let scope = |name: &str| (name == key.name).then(|| remote.clone());
            let condition = condition(filter, &key.name)?;
            // What has no literal in PostgreSQL is left to the join.
            let lowered = lower(&condition, &scope, &shared.vocabulary()).ok()?;
            Some(lowered.expr.render(&PostgresDialect))
        })
        .collect();
    if conditions.is_empty() {
        return None;
    }
    let sql = format!("SELECT * FROM ({}) AS q WHERE {}", split.sql, conditions.join(" AND "));
    Some(CopySplit { sql, ..split.clone() })
}

/// What a filter says of a column.
fn condition(filter: &KeyFilter, name: &str) -> Option<Expr> {
    let column = || Expr::Column(Column::new_unqualified(name));
    match filter {
        KeyFilter::In { values, .. } => Some(column().in_list(values.iter().cloned().map(lit).collect(), false)),
        KeyFilter::Between { low, high, .. } => {
            let low = low.clone().map(|low| column().gt_eq(lit(low)));
            let high = high.clone().map(|high| column().lt_eq(lit(high)));
            conjunction(low.into_iter().chain(high))
        }
        KeyFilter::Nothing => None,
    }
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
        let sql = self.query.render(&PostgresDialect);
        let estimate = self.estimate(&sql).await;
        let names = self.query.output_names(&PostgresDialect);
        let columns = self.query.outputs.iter().zip(names).map(|(output, name)| {
            let RemoteColumn { encoding, source_type, .. } = &output.value.column;
            let wire: Wire = serde_json::from_str(encoding.as_deref().unwrap_or_default()).map_err(|cause| {
                ConnectorError::internal(format!("how {} travels is not known", output.name))
                    .said(cause)
                    .in_table(&self.table)
            })?;
            let source_type = source_type.as_deref().unwrap_or_default().to_owned();
            let key = key(name, &output.value.column, &self.shared.capabilities);
            Ok(CopyColumn { name: output.name.clone(), source_type, wire, key })
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let filterable = (0..columns.len()).filter(|at| columns.get(*at).is_some_and(|column| column.key.is_some()));
        let filterable = filterable.collect();
        let split = CopySplit {
            schema: self.table.schema.clone(),
            table: self.table.table.clone(),
            sql: sql.clone(),
            snapshot: snapshot.id().to_owned(),
            columns,
        };
        let filters = self.query.filter.iter().map(|filter| Some(self.query.render_part(filter, &PostgresDialect)));
        Ok(SourcePlan {
            schema,
            scan: Scan::Splits(vec![split.write(estimate.rows)?]),
            request: Some(sql),
            remote_filters: filters.collect(),
            units: Vec::new(),
            estimate,
            filterable,
        })
    }

    /// What PostgreSQL expects the query to return. Its planner is asked where more than the table's size matters.
    async fn estimate(&self, sql: &str) -> Estimate {
        if let Some(rows) = self.rows {
            let limit = self.query.limit.and_then(|limit| u64::try_from(limit).ok());
            return Estimate { rows: Some(limit.map_or(rows, |limit| limit.min(rows))), bytes: None };
        }
        let Ok(session) = self.shared.pool.get(Purpose::Metadata).await else { return Estimate::default() };
        // A query that PostgreSQL will not plan fails when it is read, with a better message.
        let estimate = metadata::estimate(session.client(), sql).await;
        session.release_after(estimate).unwrap_or_default()
    }
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
