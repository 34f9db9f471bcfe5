//! One conjunct of a condition: how it is evaluated, and when.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::PhysicalExpr;

use super::all_of::Left;
use super::range::Range;

/// How much a conjunct costs a row, and whether it may fail. In the order in which conjuncts are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cost {
    /// A comparison of numbers or dates: a fraction of a nanosecond.
    Cheap,
    /// Of text, and all that is built of several expressions.
    Dear,
    /// It may fail: it sees no row that another conjunct has ruled out.
    Fallible,
}

impl Cost {
    /// Of so many rows one must be left for all of them to be evaluated; with fewer, the rows that are left are copied.
    /// Copying a value takes several times as long as comparing a number, and not much longer than comparing a text.
    fn rows_per_row_left_max(self) -> usize {
        match self {
            Self::Cheap => 8,
            Self::Dear => 2,
            Self::Fallible => 1,
        }
    }
}

#[derive(Debug)]
pub(super) struct Conjunct {
    expr: Arc<dyn PhysicalExpr>,
    cost: Cost,
    /// The same, where it compares one column with constants.
    range: Option<Range>,
    /// The columns it reads.
    columns: Vec<usize>,
    /// The same expression over these columns alone, and what they are.
    narrow: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
}

impl Conjunct {
    pub(super) fn new(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Self> {
        let mut columns: Vec<usize> = collect_columns(expr).iter().map(Column::index).collect();
        columns.sort_unstable();
        columns.dedup();
        let narrow = Arc::clone(expr).transform_up(|expr| match expr.downcast_ref::<Column>() {
            Some(column) => match columns.binary_search(&column.index()) {
                Ok(index) => {
                    let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(column.name(), index));
                    Ok(Transformed::yes(column))
                }
                Err(_) => internal_err!("a column of a condition was not found among those it reads"),
            },
            None => Ok(Transformed::no(expr)),
        })?;
        Ok(Self {
            cost: cost(expr, schema),
            range: Range::of(expr, schema),
            expr: Arc::clone(expr),
            narrow: narrow.data,
            schema: Arc::new(schema.project(&columns)?),
            columns,
        })
    }

    pub(super) fn cost(&self) -> Cost {
        self.cost
    }

    /// What both conjuncts leave, where they compare the same column with constants.
    pub(super) fn range_with(&self, other: &Self) -> Option<Range> {
        self.range?.and(other.range?)
    }

    /// Both conjuncts as one, of which the range is known.
    pub(super) fn and(&self, other: &Self, range: Range, schema: &Schema) -> Result<Self> {
        let both = BinaryExpr::new(Arc::clone(&self.expr), Operator::And, Arc::clone(&other.expr));
        let both: Arc<dyn PhysicalExpr> = Arc::new(both);
        Ok(Self { cost: self.cost, range: Some(range), ..Self::new(&both, schema)? })
    }

    /// The rows among `left` for which the conjunct is true.
    pub(super) fn narrow(&self, left: Left, batch: &RecordBatch) -> Result<Left> {
        match left {
            Left::All => Ok(match self.truth(batch)? {
                Truth::All => Left::All,
                Truth::None => Left::Few(Vec::new()),
                Truth::Of(mask) => many(mask),
            }),
            Left::Many(mask, count) if count * self.cost.rows_per_row_left_max() >= batch.num_rows() => {
                Ok(match self.truth(batch)? {
                    Truth::All => Left::Many(mask, count),
                    Truth::None => Left::Few(Vec::new()),
                    Truth::Of(more) => many(&mask & &more),
                })
            }
            Left::Many(mask, _) => self.among(mask.set_indices_u32().collect(), batch),
            Left::Few(rows) => self.among(rows, batch),
        }
    }

    fn truth(&self, batch: &RecordBatch) -> Result<Truth> {
        let values = self.columns.first().and_then(|column| batch.columns().get(*column));
        match self.range.zip(values).and_then(|(range, values)| range.truth(values)) {
            Some(found) => Ok(found),
            None => truth(self.expr.evaluate(batch)?),
        }
    }

    /// The same for few rows: their values are copied first, of the columns that are read here.
    fn among(&self, rows: Vec<u32>, batch: &RecordBatch) -> Result<Left> {
        let numbers = UInt32Array::from(rows);
        let columns = self.columns.iter().map(|index| Ok(take(batch.column(*index), &numbers, None)?));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let in_range = self.range.zip(columns.first()).and_then(|(range, values)| range.truth(values));
        let found = match in_range {
            Some(found) => found,
            None => {
                let options = RecordBatchOptions::new().with_row_count(Some(numbers.len()));
                let few = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
                truth(self.narrow.evaluate(&few)?)?
            }
        };
        let kept = match found {
            Truth::All => numbers.values().to_vec(),
            Truth::None => Vec::new(),
            Truth::Of(mask) => {
                let rows = numbers.values().iter().zip(mask.iter());
                rows.filter_map(|(row, is_true)| is_true.then_some(*row)).collect()
            }
        };
        Ok(Left::Few(kept))
    }
}

fn many(mask: BooleanBuffer) -> Left {
    let count = mask.count_set_bits();
    Left::Many(mask, count)
}

/// For which rows a conjunct is true.
pub(super) enum Truth {
    All,
    None,
    Of(BooleanBuffer),
}

fn truth(value: ColumnarValue) -> Result<Truth> {
    match value {
        ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))) => Ok(Truth::All),
        ColumnarValue::Scalar(_) => Ok(Truth::None),
        ColumnarValue::Array(array) => match array.as_boolean_opt() {
            Some(values) => Ok(Truth::Of(match values.nulls() {
                Some(nulls) => values.values() & nulls.inner(),
                None => values.values().clone(),
            })),
            None => internal_err!("a condition is no truth value but {}", array.data_type()),
        },
    }
}

fn cost(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Cost {
    if is_fallible(expr) {
        return Cost::Fallible;
    }
    let plain = |expr: &Arc<dyn PhysicalExpr>| {
        let fixed = |data_type: DataType| data_type.is_primitive() || data_type == DataType::Boolean;
        (expr.is::<Column>() || expr.is::<Literal>()) && expr.data_type(schema).is_ok_and(fixed)
    };
    match expr.children().into_iter().all(plain) {
        true => Cost::Cheap,
        false => Cost::Dear,
    }
}

/// Whether evaluating the expression may end in an error that depends on a row.
fn is_fallible(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let sound = if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        matches!(
            binary.op(),
            Operator::Eq
                | Operator::NotEq
                | Operator::Lt
                | Operator::LtEq
                | Operator::Gt
                | Operator::GtEq
                | Operator::IsDistinctFrom
                | Operator::IsNotDistinctFrom
                | Operator::And
                | Operator::Or
        )
    } else if let Some(like) = expr.downcast_ref::<LikeExpr>() {
        like.pattern().is::<Literal>()
    } else {
        expr.is::<Column>()
            || expr.is::<Literal>()
            || expr.is::<NotExpr>()
            || expr.is::<IsNullExpr>()
            || expr.is::<IsNotNullExpr>()
            || expr.is::<InListExpr>()
    };
    !sound || expr.children().into_iter().any(is_fallible)
}
