//! One zero and one NaN.
//!
//! SQL knows one zero, and PostgreSQL one NaN. IEEE 754 has two zeros and many NaNs (the processor itself makes
//! negative ones), and Arrow's kernels order and hash them apart. So the engine holds only `0.0` and one positive NaN:
//! the leaf passes what sources send through [`canonical_floats`], and the engine what it computes itself.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, FixedSizeListArray, GenericListArray, OffsetSizeTrait, RecordBatch,
    StructArray,
};
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type, Schema};

/// Whether values of the type are, or hold, floats.
pub fn has_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => true,
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            has_floats(field.data_type())
        }
        DataType::Struct(fields) => fields.iter().any(|field| has_floats(field.data_type())),
        _ => false,
    }
}

/// Whether a column of the schema is, or holds, floats.
pub fn schema_has_floats(schema: &Schema) -> bool {
    schema.fields().iter().any(|field| has_floats(field.data_type()))
}

/// The batch with negative zeros and NaNs replaced. Columns without any are shared, not copied.
pub fn canonical_floats(batch: RecordBatch) -> RecordBatch {
    if !schema_has_floats(batch.schema_ref()) {
        return batch;
    }
    let columns: Vec<ArrayRef> = batch.columns().iter().map(canonical_float_array).collect();
    // Neither types nor lengths change, so that the batch is as valid as it was.
    RecordBatch::try_new(batch.schema(), columns).unwrap_or(batch)
}

/// The array with negative zeros and NaNs replaced, in lists and structs too. Shared, not copied, if it has none.
pub fn canonical_float_array(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float16 => canonical::<Float16Type>(array),
        DataType::Float32 => canonical::<Float32Type>(array),
        DataType::Float64 => canonical::<Float64Type>(array),
        nested if !has_floats(nested) => Arc::clone(array),
        DataType::List(_) => list::<i32>(array),
        DataType::LargeList(_) => list::<i64>(array),
        DataType::FixedSizeList(field, size) => {
            let list = array.as_fixed_size_list();
            let values = canonical_float_array(list.values());
            FixedSizeListArray::try_new(Arc::clone(field), *size, values, list.nulls().cloned())
                .map_or_else(|_| Arc::clone(array), |list| Arc::new(list))
        }
        DataType::Struct(fields) => {
            let structs = array.as_struct();
            let columns = structs.columns().iter().map(canonical_float_array).collect();
            StructArray::try_new(fields.clone(), columns, structs.nulls().cloned())
                .map_or_else(|_| Arc::clone(array), |structs| Arc::new(structs))
        }
        _ => Arc::clone(array),
    }
}

fn list<O: OffsetSizeTrait>(array: &ArrayRef) -> ArrayRef {
    let list = array.as_list::<O>();
    let (DataType::List(field) | DataType::LargeList(field)) = array.data_type() else {
        return Arc::clone(array);
    };
    let values = canonical_float_array(list.values());
    GenericListArray::<O>::try_new(Arc::clone(field), list.offsets().clone(), values, list.nulls().cloned())
        .map_or_else(|_| Arc::clone(array), |list| Arc::new(list))
}

fn canonical<T: Float>(array: &ArrayRef) -> ArrayRef {
    let floats = array.as_primitive::<T>();
    // Without a branch per value, so that the usual case, nothing to do, is a quick look.
    if !floats.values().iter().fold(false, |found, value| found | !T::is_canonical(*value)) {
        return Arc::clone(array);
    }
    Arc::new(floats.unary::<_, T>(|value| if T::is_canonical(value) { value } else { T::canonical(value) }))
}

/// What distinguishes the one zero and the one NaN from the others.
trait Float: ArrowPrimitiveType {
    fn is_canonical(value: Self::Native) -> bool;
    fn canonical(value: Self::Native) -> Self::Native;
}

macro_rules! float {
    ($t:ty, $bits:ty, $nan:expr) => {
        impl Float for $t {
            #[inline(always)]
            fn is_canonical(value: Self::Native) -> bool {
                const NEGATIVE_ZERO: $bits = 1 << (<$bits>::BITS - 1);
                let bits = value.to_bits();
                (bits != NEGATIVE_ZERO) & (!value.is_nan() | (bits == $nan))
            }

            #[inline(always)]
            fn canonical(value: Self::Native) -> Self::Native {
                Self::Native::from_bits(if value.is_nan() { $nan } else { 0 })
            }
        }
    };
}

float!(Float64Type, u64, 0x7ff8_0000_0000_0000);
float!(Float32Type, u32, 0x7fc0_0000);
float!(Float16Type, u16, 0x7e00);

#[cfg(test)]
mod tests {
    use arrow::array::{Float32Array, Float64Array, ListArray};
    use arrow::datatypes::Field;

    use super::*;

    fn bits(array: &ArrayRef) -> Vec<Option<u64>> {
        array.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)).collect()
    }

    #[test]
    fn only_negative_zeros_and_other_nans_change() {
        let negative_nan = f64::from_bits(0xfff8_0000_0000_0000);
        let payload_nan = f64::from_bits(0x7ff8_0000_0000_0001);
        let kept = [0.0, 1.5, -1.5, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, -5e-324, f64::NAN];
        let array: ArrayRef = Arc::new(Float64Array::from(kept.to_vec()));
        assert!(Arc::ptr_eq(&array, &canonical_float_array(&array)));
        let array: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(-0.0), Some(negative_nan), None, Some(payload_nan), Some(-1.0)]));
        let nan = Some(f64::NAN.to_bits());
        let expected = [Some(0), nan, None, nan, Some((-1.0_f64).to_bits())];
        assert_eq!(bits(&canonical_float_array(&array)), expected);
    }

    #[test]
    fn floats_of_32_bits_and_floats_in_lists_too() {
        let floats: ArrayRef = Arc::new(Float32Array::from(vec![-0.0, f32::from_bits(0xffc0_0000)]));
        let canonical = canonical_float_array(&floats);
        let values: Vec<u32> = canonical.as_primitive::<Float32Type>().values().iter().map(|v| v.to_bits()).collect();
        assert_eq!(values, [0, f32::NAN.to_bits()]);
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>([Some([Some(-0.0), None])]));
        let canonical = canonical_float_array(&lists);
        assert_eq!(bits(canonical.as_list::<i32>().values()), [Some(0), None]);
        assert!(has_floats(lists.data_type()));
        assert!(!schema_has_floats(&Schema::new(vec![Field::new("a", DataType::Int64, true)])));
    }
}
