//! The condition of a filter as one expression.

use std::fmt::{self, Display, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_plan::PhysicalExpr;

use super::conjunct::Conjunct;

/// Whether all conjuncts of a condition are true: never NULL, for a filter takes NULL for false.
#[derive(Debug)]
pub(crate) struct AllOf {
    condition: Arc<dyn PhysicalExpr>,
    /// In the order in which they are evaluated.
    conjuncts: Vec<Conjunct>,
    schema: SchemaRef,
}

impl AllOf {
    /// Comparisons of one column with constants are one conjunct. Cheap conjuncts go first, and last those that can fail, in
    /// the order in which they are written.
    pub(super) fn new(condition: Arc<dyn PhysicalExpr>, schema: &SchemaRef) -> Result<Self> {
        let mut conjuncts: Vec<Conjunct> = Vec::new();
        for conjunct in split_conjunction(&condition) {
            let conjunct = Conjunct::new(conjunct, schema)?;
            let same = conjuncts.iter_mut().find_map(|known| Some((known.range_with(&conjunct)?, known)));
            match same {
                Some((range, known)) => *known = known.and(&conjunct, range, schema)?,
                None => conjuncts.push(conjunct),
            }
        }
        conjuncts.sort_by_key(Conjunct::cost);
        Ok(Self { condition, conjuncts, schema: Arc::clone(schema) })
    }

    /// The condition as it was planned.
    pub(crate) fn condition(&self) -> &Arc<dyn PhysicalExpr> {
        &self.condition
    }
}

impl PartialEq for AllOf {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for AllOf {}

impl Hash for AllOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl Display for AllOf {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.condition, f)
    }
}

impl PhysicalExpr for AllOf {
    fn data_type(&self, _schema: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _schema: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let mut left = Left::All;
        for conjunct in &self.conjuncts {
            left = conjunct.narrow(left, batch)?;
            if left.is_empty() {
                return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(false))));
            }
        }
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(left.into_mask(batch.num_rows()), None))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let [condition] = take_function_args("a condition", children)?;
        Ok(Arc::new(Self::new(condition, &self.schema)?))
    }

    fn fmt_sql(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}

/// The rows of a batch that have passed the conjuncts so far.
#[derive(Debug)]
pub(super) enum Left {
    /// All of them.
    All,
    /// Many: a bit for each row of the batch, and how many of them are set.
    Many(BooleanBuffer, usize),
    /// Few: their numbers, ascending.
    Few(Vec<u32>),
}

impl Left {
    fn is_empty(&self) -> bool {
        match self {
            Self::All => false,
            Self::Many(_, count) => *count == 0,
            Self::Few(rows) => rows.is_empty(),
        }
    }

    fn into_mask(self, rows: usize) -> BooleanBuffer {
        match self {
            Self::All => BooleanBuffer::new_set(rows),
            Self::Many(mask, _) => mask,
            Self::Few(few) => {
                let mut mask = BooleanBufferBuilder::new(rows);
                mask.append_n(rows, false);
                for row in few {
                    mask.set_bit(row as usize, true);
                }
                mask.finish()
            }
        }
    }
}
