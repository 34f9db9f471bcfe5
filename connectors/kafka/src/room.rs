//! How many values a message may have within its columns: a message of some kilobytes could become gigabytes otherwise.

use std::borrow::Cow;
use std::cell::Cell as Counter;
use std::collections::HashMap;

use crate::cell::Cell;

/// The most values of one message: those of lists and maps, and the fields of rows within them, which take room even where
/// nothing is written of them.
pub(crate) const MAX_VALUES: usize = 1_000_000;

/// How many values a message may still have.
#[derive(Debug)]
pub(crate) struct Room(Counter<usize>);

impl Room {
    /// For a message of which no value has been read.
    pub(crate) fn new() -> Self {
        Self(Counter::new(MAX_VALUES))
    }

    /// Takes room for so many values more.
    pub(crate) fn take(&self, values: usize) -> Result<(), String> {
        let left = self.0.get().checked_sub(values);
        let left = left.ok_or_else(|| {
            format!("it has more than {MAX_VALUES} values, with those fields within it that are not written")
        })?;
        self.0.set(left);
        Ok(())
    }
}

/// Of entries with the same key the last one counts.
pub(crate) fn last_of_each<V>(entries: &mut Vec<(Cow<'_, str>, V)>) {
    if entries.len() < 2 {
        return;
    }
    let mut last = HashMap::with_capacity(entries.len());
    for (index, (key, _)) in entries.iter().enumerate() {
        last.insert(key.clone(), index);
    }
    if last.len() < entries.len() {
        let mut index = 0;
        entries.retain(|(key, _)| {
            index += 1;
            last.get(key) == Some(&(index - 1))
        });
    }
}

/// The same for all maps within values.
pub(crate) fn last_of_all(cells: &mut [Cell<'_>]) {
    for cell in cells {
        match cell {
            Cell::List(values) | Cell::Fields(values) => last_of_all(values),
            Cell::Entries(entries) => {
                last_of_each(entries);
                entries.iter_mut().for_each(|(_, value)| last_of_all(std::slice::from_mut(value)));
            }
            _ => {}
        }
    }
}
