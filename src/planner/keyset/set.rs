//! A set of whole numbers, with a bit for each between the least and the greatest.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Date32Type, Int8Type, Int16Type, Int32Type, Int64Type};
use datafusion::execution::memory_pool::MemoryReservation;

/// The most keys that are collected for a join. More than that leave less out, and take longer to collect.
pub(super) const KEYS_MAX: usize = 4 << 20;

/// The largest set, in bits: 8 MB, as much as a processor's cache has room for.
const SET_MAX_BITS: usize = 64 << 20;

/// Whether a set holds values of a type.
pub(super) fn holds(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Date32)
}

/// Whether equal values of two types are the same whole numbers.
pub(super) fn comparable(one: &DataType, other: &DataType) -> bool {
    holds(one) && holds(other) && (*one == DataType::Date32) == (*other == DataType::Date32)
}

/// Runs `with` on the values of an array that a set holds; `None` for other arrays.
macro_rules! numbers {
    ($array:expr, $with:expr) => {
        match $array.data_type() {
            DataType::Int8 => Some($with($array.as_primitive::<Int8Type>())),
            DataType::Int16 => Some($with($array.as_primitive::<Int16Type>())),
            DataType::Int32 => Some($with($array.as_primitive::<Int32Type>())),
            DataType::Int64 => Some($with($array.as_primitive::<Int64Type>())),
            DataType::Date32 => Some($with($array.as_primitive::<Date32Type>())),
            _ => None,
        }
    };
}

/// The keys of one partition.
#[derive(Debug)]
pub(super) struct Collected {
    keys: Vec<i64>,
    keys_max: usize,
    /// There are too many, some are no whole numbers, or there is no memory for them.
    spoilt: bool,
    memory: MemoryReservation,
}

impl Collected {
    /// No keys yet, of one of so many partitions.
    pub(super) fn new(partitions: usize, memory: MemoryReservation) -> Self {
        Self { keys: Vec::new(), keys_max: KEYS_MAX / partitions.max(1), spoilt: false, memory }
    }

    /// Adds the values of an array that are not NULL.
    pub(super) fn add(&mut self, array: &ArrayRef) {
        let added = !self.spoilt
            && self.keys.len() + array.len() <= self.keys_max
            && self.memory.try_grow(array.len() * size_of::<i64>()).is_ok()
            && numbers!(array, |values| extend(&mut self.keys, values)).is_some();
        if !added {
            self.spoil();
        }
    }

    /// Forgets the keys: they are no use.
    pub(super) fn spoil(&mut self) {
        (self.keys, self.spoilt) = (Vec::new(), true);
        self.memory.free();
    }
}

fn extend<T: ArrowPrimitiveType<Native: Into<i64>>>(keys: &mut Vec<i64>, values: &PrimitiveArray<T>) {
    match values.null_count() {
        0 => keys.extend(values.values().iter().map(|value| (*value).into())),
        _ => keys.extend(values.iter().flatten().map(Into::into)),
    }
}

/// Whole numbers.
#[derive(Debug)]
pub(super) struct KeySet {
    least: i64,
    bits: BooleanBuffer,
    /// What the bits take, until the query ends.
    _memory: Option<MemoryReservation>,
}

impl KeySet {
    /// The set of all keys; `None` where they lie too far apart, or there is no memory for it.
    fn of(parts: Vec<Collected>) -> Option<Self> {
        let all = || parts.iter().flat_map(|part| &part.keys).copied();
        let (Some(least), Some(greatest)) = (all().min(), all().max()) else {
            return Some(Self { least: 0, bits: BooleanBuffer::new_unset(0), _memory: None });
        };
        let length = usize::try_from(greatest.checked_sub(least)?).ok()?.checked_add(1)?;
        let memory = parts.first()?.memory.new_empty();
        if length > SET_MAX_BITS || memory.try_grow(length / 8).is_err() {
            return None;
        }
        let mut bits = arrow::array::BooleanBufferBuilder::new(length);
        bits.append_n(length, false);
        for key in all() {
            bits.set_bit(usize::try_from(key - least).ok()?, true);
        }
        Some(Self { least, bits: bits.finish(), _memory: Some(memory) })
    }

    /// Which values of an array are in the set, none of them NULL; `None` for an array that is not of whole numbers.
    pub(super) fn contains(&self, array: &ArrayRef) -> Option<BooleanBuffer> {
        numbers!(array, |values| self.members(values))
    }

    fn members<T: ArrowPrimitiveType<Native: Into<i64>>>(&self, values: &PrimitiveArray<T>) -> BooleanBuffer {
        let native = values.values();
        let words = self.bits.inner().as_slice();
        let length = self.bits.len() as u64;
        let member = |at: usize| {
            // A value below the least wraps around to one that is above all.
            let place = native.get(at).map_or(u64::MAX, |value| (*value).into().wrapping_sub(self.least) as u64);
            place < length
                && usize::try_from(place >> 3)
                    .ok()
                    .and_then(|byte| words.get(byte))
                    .is_some_and(|byte| byte >> (place & 7) & 1 == 1)
        };
        let found = BooleanBuffer::collect_bool(native.len(), member);
        match values.nulls() {
            Some(nulls) => &found & nulls.inner(),
            None => found,
        }
    }
}

/// The keys of a join, from the one who collects them to those who ask.
#[derive(Debug, Default)]
pub(super) struct SharedKeys {
    /// The keys of each partition, once it was read to the end.
    parts: Mutex<Vec<Option<Collected>>>,
    /// Once all partitions were read; `None` inside where the keys are no use.
    set: OnceLock<Option<KeySet>>,
}

impl SharedKeys {
    /// How many partitions there are.
    pub(super) fn expect(&self, partitions: usize) {
        self.parts().resize_with(partitions, || None);
    }

    /// No keys of a partition yet.
    pub(super) fn collect(&self, memory: MemoryReservation) -> Collected {
        Collected::new(self.parts().len(), memory)
    }

    /// Takes the keys of a partition that was read to its end.
    pub(super) fn add(&self, partition: usize, keys: Collected) {
        let mut parts = self.parts();
        if let Some(part) = parts.get_mut(partition) {
            *part = Some(keys);
        }
        if self.set.get().is_some() || parts.iter().any(Option::is_none) {
            return;
        }
        let all: Vec<Collected> = parts.iter_mut().filter_map(Option::take).collect();
        drop(parts);
        let spoilt = all.iter().any(|part| part.spoilt);
        // Nobody else has all partitions.
        let _ = self.set.set(if spoilt { None } else { KeySet::of(all) });
    }

    /// The set, once all keys are known and if they are of use.
    pub(super) fn known(&self) -> Option<&KeySet> {
        self.set.get().and_then(Option::as_ref)
    }

    fn parts(&self) -> MutexGuard<'_, Vec<Option<Collected>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys as several operators hold them.
pub(super) type Keys = Arc<SharedKeys>;
