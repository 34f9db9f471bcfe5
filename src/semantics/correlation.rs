//! `corr`, but for many groups at once: there DataFusion adds up products of the values themselves, of which large values that lie close
//! together leave no digits, and gets correlations above 1. Here the distances from the means are added up.

mod groups;

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::functions_aggregate::correlation::Correlation;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature};
use groups::GroupPairs;

static FUNCTION: LazyLock<Arc<AggregateUDF>> =
    LazyLock::new(|| Arc::new(AggregateUDF::from(Distances { one: Correlation::new() })));

/// The function, to register by name.
pub(super) fn function() -> Arc<AggregateUDF> {
    Arc::clone(&FUNCTION)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Distances {
    one: Correlation,
}

impl AggregateUDFImpl for Distances {
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

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::<GroupPairs>::default())
    }
}
