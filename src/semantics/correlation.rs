//! `corr`, but for many groups at once: there DataFusion adds up products of the values themselves, of which large values that lie close
//! together leave no digits, and gets correlations above 1. Each group has an accumulator of its own here, which adds up distances
//! from the means.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::functions_aggregate::correlation::Correlation;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature};

static FUNCTION: LazyLock<Arc<AggregateUDF>> =
    LazyLock::new(|| Arc::new(AggregateUDF::from(OneByOne { one: Correlation::new() })));

/// The function, to register by name.
pub(super) fn function() -> Arc<AggregateUDF> {
    Arc::clone(&FUNCTION)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OneByOne {
    one: Correlation,
}

impl AggregateUDFImpl for OneByOne {
    fn name(&self) -> &str {
        self.one.name()
    }

    fn signature(&self) -> &Signature {
        self.one.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.one.return_type(types)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.one.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.one.state_fields(args)
    }
}
