//! How many rows a part of a plan has, and what its columns hold: estimates from the sources' statistics. They choose
//! between plans and never answer a query.
//!
//! The rules are those of System R (Selinger et al., 1979): values are spread evenly, columns do not depend on each other,
//! and the values of a join's smaller side are among those of the larger.

mod aggregate;
mod condition;
mod join;

use std::sync::Arc;

use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, FetchType, Limit, LogicalPlan, SkipType, TableScan};

use self::condition::{fixed, selectivity};
use self::join::joined;
pub(super) use self::join::{alone, pairs, partnered};

use super::FederatedTable;
use super::fold::FoldedScan;
use super::once::Once;

/// Bytes of a value whose width is not known: a short text.
const WIDTH_BYTES: f64 = 16.0;

/// Distinct values of an expression over a column of which nothing else is known.
const COMPUTED_DISTINCT: f64 = 200.0;

/// What is expected of a relation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Estimated {
    /// Rows, at least 0.
    pub(super) rows: f64,
    /// Its columns, in the order of its schema.
    pub(super) columns: Vec<Values>,
}

/// What is expected of a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Values {
    /// The column, as expressions name it.
    pub(super) column: Arc<Column>,
    /// Number of distinct values.
    pub(super) distinct: Option<f64>,
    /// Share of NULLs, from 0 to 1.
    pub(super) nulls: f64,
    /// Smallest and largest value, as numbers: dates in days, times in their own unit.
    pub(super) range: Option<(f64, f64)>,
    /// Where values are not spread evenly over a range but gather around a mean: the mean, and the standard deviation.
    pub(super) spread: Option<(f64, f64)>,
    /// Values that are more frequent than others, each with its share of the rows.
    pub(super) frequent: Arc<[(ScalarValue, f64)]>,
    /// Bytes of a value.
    pub(super) width: f64,
}

impl Estimated {
    /// Bytes of a row.
    pub(super) fn width(&self) -> f64 {
        self.columns.iter().map(|column| column.width).sum()
    }

    /// What is known of a column that an expression names.
    pub(super) fn values(&self, column: &Column) -> Option<&Values> {
        let known = self.columns.iter();
        let exact = known.clone().find(|values| *values.column == *column);
        exact.or_else(|| {
            let mut alike = known.filter(|values| {
                values.column.name == column.name && (column.relation.is_none() || values.column.relation.is_none())
            });
            alike.next()
        })
    }

    /// How many values an expression has.
    pub(super) fn distinct(&self, expr: &Expr) -> f64 {
        let known = match bare(expr) {
            Expr::Column(column) => self.values(column).and_then(|values| values.distinct),
            Expr::Literal(..) => Some(1.0),
            computed => {
                let of: f64 =
                    computed.column_refs().into_iter().filter_map(|column| self.values(column)?.distinct).product();
                Some(of.min(COMPUTED_DISTINCT))
            }
        };
        known.unwrap_or(self.rows).min(self.rows).max(1.0)
    }

    /// How many combinations of values expressions have. Each further one counts for less, since columns of one relation
    /// mostly go together.
    pub(super) fn combinations<'a>(&self, exprs: impl IntoIterator<Item = &'a Expr>) -> f64 {
        let mut distinct: Vec<f64> = exprs.into_iter().map(|expr| self.distinct(expr)).collect();
        distinct.sort_by(|one, other| other.total_cmp(one));
        let (product, _) =
            distinct.iter().fold((1.0, 1.0), |(product, weight), values| (product * values.powf(weight), weight / 2.0));
        product.min(self.rows).max(1.0)
    }

    /// The relation with a share of its rows, whichever they are.
    pub(super) fn share(mut self, share: f64) -> Self {
        let share = share.clamp(0.0, 1.0);
        let rows = self.rows * share;
        for values in &mut self.columns {
            values.distinct = values.distinct.map(|distinct| drawn(distinct, self.rows, share));
        }
        self.rows = rows;
        self
    }

    /// The rows for which conditions hold.
    fn filtered<'a>(self, conjuncts: impl IntoIterator<Item = &'a Expr>) -> Self {
        let conjuncts: Vec<&Expr> = conjuncts.into_iter().collect();
        let share = selectivity(&conjuncts, &self);
        let fixed: Vec<(Column, f64)> = conjuncts.iter().filter_map(|conjunct| fixed(conjunct)).collect();
        let mut left = self.share(share);
        for (column, values) in fixed {
            for known in left.columns.iter_mut().filter(|known| *known.column == column) {
                known.distinct = Some(known.distinct.map_or(values, |distinct| distinct.min(values)));
            }
        }
        left
    }

    /// The relation with the columns of a schema of the same length.
    pub(super) fn named(mut self, schema: &DFSchema) -> Self {
        for (values, column) in self.columns.iter_mut().zip(schema.columns()) {
            values.column = Arc::new(column);
        }
        self
    }

    /// The pairs of rows of this relation and another that a join leaves.
    pub(super) fn product(&self, other: &Self, pairs: f64) -> Self {
        let rows = self.rows * other.rows;
        let columns = self.columns.iter().chain(&other.columns).cloned().collect();
        let mut left = Self { rows, columns }.share(pairs / rows.max(f64::MIN_POSITIVE));
        left.rows = pairs;
        left
    }

    fn at_most(self, rows: f64) -> Self {
        if self.rows <= rows {
            return self;
        }
        let share = rows / self.rows;
        self.share(share)
    }
}

/// How many of the `distinct` values of so many rows are left in a share of them, taken at random (Yao, 1977): a value is
/// gone when none of its rows is taken.
fn drawn(distinct: f64, rows: f64, share: f64) -> f64 {
    let distinct = distinct.max(1.0);
    let rows_of_each = (rows / distinct).max(1.0);
    let left = -(rows_of_each * (-share).ln_1p()).exp_m1();
    (distinct * left).clamp(1.0_f64.min(rows * share), distinct)
}

/// What is expected of a plan's result; `None` where a source knows nothing of its table.
pub(super) fn estimate(plan: &LogicalPlan) -> Option<Estimated> {
    match plan {
        LogicalPlan::TableScan(table) => scan(table, &[]),
        LogicalPlan::Filter(filter) => {
            let conjuncts = split_conjunction(&filter.predicate);
            match filter.input.as_ref() {
                LogicalPlan::TableScan(table) => scan(table, &conjuncts),
                input => Some(estimate(input)?.filtered(conjuncts)),
            }
        }
        LogicalPlan::Projection(projection) => {
            let input = estimate(&projection.input)?;
            let columns = projection.expr.iter().zip(columns_of(plan.schema()));
            let columns = columns.map(|(expr, column)| computed(&input, expr, column)).collect();
            Some(Estimated { rows: input.rows, columns })
        }
        LogicalPlan::Aggregate(aggregate) => aggregate::grouped(aggregate, plan),
        LogicalPlan::Distinct(distinct) => {
            let input = estimate(distinct.input())?;
            let columns: Vec<Expr> =
                input.columns.iter().map(|values| Expr::Column(values.column.as_ref().clone())).collect();
            let rows = input.combinations(&columns);
            Some(input.at_most(rows).named(plan.schema()))
        }
        LogicalPlan::Join(join) => joined(&estimate(&join.left)?, &estimate(&join.right)?, join),
        LogicalPlan::Sort(sort) => {
            let input = estimate(&sort.input)?;
            Some(match sort.fetch {
                Some(fetch) => input.at_most(count(fetch)),
                None => input,
            })
        }
        LogicalPlan::Limit(limit) => limited(limit),
        LogicalPlan::SubqueryAlias(alias) => Some(estimate(&alias.input)?.named(plan.schema())),
        LogicalPlan::Subquery(subquery) => estimate(&subquery.subquery),
        LogicalPlan::Repartition(repartition) => estimate(&repartition.input),
        LogicalPlan::Window(window) => {
            let mut input = estimate(&window.input)?;
            let known = input.columns.len();
            input.columns.extend(columns_of(plan.schema()).skip(known).map(unknown));
            Some(input)
        }
        LogicalPlan::Union(union) => {
            let inputs = union.inputs.iter().map(|input| estimate(input)).collect::<Option<Vec<_>>>()?;
            let rows = inputs.iter().map(|input| input.rows).sum();
            let first = inputs.into_iter().next()?;
            let mut all = Estimated { rows, ..first };
            all.columns.iter_mut().for_each(|values| *values = unknown(Arc::clone(&values.column)));
            Some(all.named(plan.schema()))
        }
        LogicalPlan::Values(values) => {
            let columns = columns_of(plan.schema()).map(unknown).collect();
            Some(Estimated { rows: count(values.values.len()), columns })
        }
        LogicalPlan::EmptyRelation(empty) => {
            let columns = columns_of(plan.schema()).map(unknown).collect();
            Some(Estimated { rows: if empty.produce_one_row { 1.0 } else { 0.0 }, columns })
        }
        LogicalPlan::Extension(extension) => {
            if let Some(once) = extension.node.as_any().downcast_ref::<Once>() {
                return estimate(&once.input);
            }
            let folded = extension.node.as_any().downcast_ref::<FoldedScan>()?;
            Some(folded.rows.clone()?.named(plan.schema()))
        }
        _ => None,
    }
}

/// The rows of a table for which its scan's conditions hold, and those directly above it. A condition that only prunes is
/// among both.
fn scan(scan: &TableScan, above: &[&Expr]) -> Option<Estimated> {
    let provider = source_as_provider(&scan.source).ok()?;
    let table = provider.downcast_ref::<FederatedTable>()?;
    let known = table.known()?;
    let rows = real(known.rows?);
    let total = known.bytes.map(|bytes| real(bytes) / rows.max(1.0));
    // Conditions are on all columns, not only on those that are read.
    let schema = scan.source.schema();
    let columns = schema.fields().iter().map(|field| {
        let column = Arc::new(Column::new(Some(scan.table_name.clone()), field.name()));
        let of = known.columns.get(field.name());
        let width = of.and_then(|of| of.width).map_or_else(|| width_of(field.data_type(), total), real);
        let Some(of) = of else { return Values { width, ..unknown(column) } };
        let range = of.min.as_ref().and_then(number).zip(of.max.as_ref().and_then(number));
        Values {
            column,
            distinct: of.distinct.map(real),
            nulls: of.null_fraction.unwrap_or_default().clamp(0.0, 1.0),
            range: range.filter(|(min, max)| min <= max),
            spread: None,
            frequent: of.frequent.as_slice().into(),
            width,
        }
    });
    let all = Estimated { rows, columns: columns.collect() };
    let above = above.iter().copied().filter(|conjunct| !scan.filters.contains(conjunct));
    let mut scanned = all.filtered(scan.filters.iter().chain(above));
    if let Some(projection) = &scan.projection {
        scanned.columns = projection.iter().filter_map(|index| scanned.columns.get(*index).cloned()).collect();
    }
    Some(match scan.fetch {
        Some(fetch) => scanned.at_most(count(fetch)),
        None => scanned,
    })
}

fn limited(limit: &Limit) -> Option<Estimated> {
    let input = estimate(&limit.input)?;
    let (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(fetch))) = (limit.get_skip_type(), limit.get_fetch_type())
    else {
        return Some(input);
    };
    let rows = (input.rows - count(skip)).max(0.0);
    let rows = fetch.map_or(rows, |fetch| rows.min(count(fetch)));
    Some(input.at_most(rows))
}

/// What is known of an expression over a relation, under the name that it gets.
fn computed(input: &Estimated, expr: &Expr, column: Arc<Column>) -> Values {
    match bare(expr) {
        Expr::Column(from) => match input.values(from) {
            Some(values) => Values { column, ..values.clone() },
            None => unknown(column),
        },
        other => Values { distinct: Some(input.distinct(other)), width: 8.0, ..unknown(column) },
    }
}

/// The columns of a schema, as expressions name them.
fn columns_of(schema: &DFSchema) -> impl Iterator<Item = Arc<Column>> {
    schema.columns().into_iter().map(Arc::new)
}

fn unknown(column: Arc<Column>) -> Values {
    let frequent = Arc::new([]);
    Values { column, distinct: None, nulls: 0.0, range: None, spread: None, frequent, width: WIDTH_BYTES }
}

/// An expression without what does not change how many values it has.
fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => bare(&alias.expr),
        Expr::Cast(cast) => bare(&cast.expr),
        Expr::TryCast(cast) => bare(&cast.expr),
        other => other,
    }
}

/// Bytes of a value of a type; for texts a part of the row's width, where that is known.
fn width_of(data_type: &datafusion::arrow::datatypes::DataType, row: Option<f64>) -> f64 {
    match data_type.primitive_width() {
        Some(width) => real(width as u64),
        None if *data_type == datafusion::arrow::datatypes::DataType::Boolean => 1.0,
        None => row.map_or(WIDTH_BYTES, |row| (row / 4.0).clamp(4.0, 4.0 * WIDTH_BYTES)),
    }
}

/// A value on a line, for shares of ranges.
fn number(value: &ScalarValue) -> Option<f64> {
    use datafusion::arrow::datatypes::DataType;
    let value = match value.data_type() {
        DataType::Date32 => value.cast_to(&DataType::Int32).ok()?,
        DataType::Date64 | DataType::Timestamp(..) | DataType::Time64(_) | DataType::Duration(_) => {
            value.cast_to(&DataType::Int64).ok()?
        }
        DataType::Time32(_) => value.cast_to(&DataType::Int32).ok()?,
        _ => value.clone(),
    };
    match value.cast_to(&DataType::Float64).ok()? {
        ScalarValue::Float64(number) if !matches!(value.data_type(), DataType::Utf8 | DataType::Utf8View) => {
            number.filter(|number| number.is_finite())
        }
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn real(count: u64) -> f64 {
    count as f64
}

fn count(rows: usize) -> f64 {
    real(u64::try_from(rows).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
