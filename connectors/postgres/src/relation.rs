//! What PostgreSQL computes for a query of the engine's: a table's rows, or what was folded over them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::common::DFSchema;
use portolan_connector::{
    ConnectorError, Expense, Operand, Operator, PlanContext, Reason, Relation, Result, Scan, SourcePlan, TableName,
    Units,
};
use portolan_remote_sql::{From, JoinOn, JoinSide, PostgresDialect, RemoteColumn, RemoteExpr, RemoteQuery, Vocabulary};

use crate::error;
use crate::metadata::{self, Planned, Version};
use crate::narrow::key;
use crate::parts;
use crate::snapshot::{AskError, PostgresSnapshot, Sharing};
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
    /// All tables of the query, as they were described.
    pub(crate) versions: Vec<Version>,
}

impl PostgresRelation {
    fn of<'a>(&self, operand: &Operand<'a>) -> Result<&'a Self, Reason> {
        let other = operand.relation.downcast_ref::<Self>();
        other
            .filter(|other| other.table.catalog == self.table.catalog)
            .ok_or_else(|| "the other side is of another source".into())
    }

    fn snapshot<'a>(&self, context: &'a PlanContext<'_>) -> Result<&'a PostgresSnapshot> {
        context
            .snapshot
            .downcast_ref::<PostgresSnapshot>()
            .ok_or_else(|| ConnectorError::internal("the snapshot is of another connector").in_table(&self.table))
    }

    /// Plans the query, for columns of these names and types.
    pub(crate) async fn scan(&self, schema: SchemaRef, context: &PlanContext<'_>) -> Result<SourcePlan> {
        let snapshot = self.snapshot(context)?;
        let (query, planned) = self.planned(snapshot).await?;
        let query = padded(query)?;
        let estimate = planned.estimate;
        let exported = match snapshot.sharing() {
            Sharing::Exported(id) => Some(id),
            Sharing::Refused(_) => None,
        };
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
            snapshot: exported.clone(),
            moment: snapshot.number(),
            versions: self.versions.clone(),
            columns,
        };
        let parts = match exported {
            Some(_) => parts::of(&query, &self.table, &self.shared, &planned, snapshot, context).await,
            None => Vec::new(),
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
            requests: Vec::new(),
            schema,
            scan: Scan::Splits(splits),
            request: Some(sql),
            remote_filters: filters.collect(),
            units,
            estimate,
            filterable,
            pauses: false,
        })
    }

    /// The query as it is best written, and what PostgreSQL's planner makes of it. With that the tables stay as they are
    /// until the query ends.
    async fn planned(&self, snapshot: &PostgresSnapshot) -> Result<(RemoteQuery, Planned)> {
        let text = self.query.render(&PostgresDialect);
        if let Some(known) = snapshot.known(&text) {
            return Ok(known);
        }
        let planned = self.asked(snapshot).await?;
        snapshot.learn(text, planned.clone());
        Ok(planned)
    }

    async fn asked(&self, snapshot: &PostgresSnapshot) -> Result<(RemoteQuery, Planned)> {
        let queries = self.query.ways_to_write(&PostgresDialect);
        let texts: Vec<_> = queries.iter().map(|query| metadata::explain(&query.render(&PostgresDialect))).collect();
        let answer = snapshot.ask(&texts.join("; "), &self.shared.config).await.map_err(|error| self.refused(error))?;
        let plans = metadata::first_columns(&answer).map(Planned::read);
        let cheapest = queries.into_iter().zip(plans).min_by(|(_, one), (_, other)| one.cost.total_cmp(&other.cost));
        cheapest.ok_or_else(|| {
            ConnectorError::source("PostgreSQL does not say how it would run the query").in_table(&self.table)
        })
    }

    fn refused(&self, error: AskError) -> ConnectorError {
        match error {
            AskError::Open(error) => error.in_table(&self.table),
            AskError::Said(cause) => {
                error::statement(&self.shared.config, "PostgreSQL cannot plan the query", &cause).in_table(&self.table)
            }
        }
    }
}

/// Tables of another query, each once.
fn add(versions: &mut Vec<Version>, others: &[Version]) {
    for other in others {
        if !versions.contains(other) {
            versions.push(other.clone());
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
        let mut versions = self.versions.clone();
        let query = match operator {
            Operator::Filter(condition) => query.filter(condition, schema, &vocabulary)?,
            Operator::Project(columns) => query.project(columns, schema, &vocabulary, result)?,
            Operator::Aggregate { keys, aggregates } => {
                query.aggregate(keys, aggregates, schema, &vocabulary, result)?
            }
            Operator::Sort { keys, fetch } => query.sort(keys, fetch, schema, &vocabulary)?,
            Operator::Limit { skip, fetch } => query.slice(skip, fetch),
            Operator::Join { right, join_type, equal, condition, nulls } => {
                let left = JoinSide { query, schema };
                let other = self.of(&right)?;
                add(&mut versions, &other.versions);
                let right = JoinSide { query: &other.query, schema: right.schema };
                let on = JoinOn { equal, condition, nulls };
                RemoteQuery::join(left, right, join_type, on, &vocabulary, result)?
            }
            Operator::UnionAll(others) => {
                let others = others.iter().map(|other| self.of(other)).collect::<Result<Vec<_>, Reason>>()?;
                others.iter().for_each(|other| add(&mut versions, &other.versions));
                let all: Vec<_> = [query].into_iter().chain(others.iter().map(|other| &other.query)).collect();
                RemoteQuery::union_all(&all, &vocabulary, result)?
            }
        };
        Ok(Arc::new(Self { query, versions, ..self.clone() }))
    }

    async fn expense(&self, context: &PlanContext<'_>) -> Result<Option<Expense>> {
        let (query, planned) = self.planned(self.snapshot(context)?).await?;
        let connections = if parts::may_have(&query, &planned) { parts::readers(&self.shared, context) } else { 1 };
        let expense = Expense { micros: planned.cost * metadata::COST_UNIT_MICROS, connections };
        Ok(planned.cost.is_finite().then_some(expense))
    }

    async fn plan(&self, schema: &DFSchema, context: &PlanContext<'_>) -> Result<SourcePlan> {
        self.scan(Arc::new(Schema::clone(schema.as_arrow())), context).await
    }
}
