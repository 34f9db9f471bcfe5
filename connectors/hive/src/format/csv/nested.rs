//! Lists, maps and structs within one value of Hive's text: one character between items for each level of nesting
//! (`LazySimpleSerDe`; Hive's language manual, "Row Formats & SerDe").

use std::collections::HashSet;

use crate::format::fault::shown;
use crate::format::values::{ColumnBuilder, Misfit};

/// How many levels of nesting Hive has characters for, where it is told nothing else.
pub(crate) const LEVELS: usize = 7;

/// The characters between items, from the outermost level inwards: `collection.delim`, `mapkey.delim`, and those that no table
/// names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Separators(pub(crate) [u8; LEVELS]);

impl Default for Separators {
    fn default() -> Self {
        Self([2, 3, 4, 5, 6, 7, 8])
    }
}

/// How items are read.
#[derive(Clone, Copy)]
pub(super) struct Items<'a> {
    /// The item that is NULL.
    pub(super) null_marker: &'a str,
    pub(super) null_on_mismatch: bool,
}

impl Items<'_> {
    /// Adds a value that is not NULL.
    pub(super) fn append(self, builder: &mut ColumnBuilder, text: &str, separators: &[u8]) -> Result<(), Misfit> {
        let too_deep = || Misfit(format!("its type has more than {LEVELS} levels, for which Hive has no characters"));
        match builder {
            ColumnBuilder::List(list) => {
                let (between, deeper) = separators.split_first().ok_or_else(too_deep)?;
                // Hive writes nothing for a list without items.
                for item in text.split(char::from(*between)).filter(|_| !text.is_empty()) {
                    self.append_item(&mut list.items, item, deeper)?;
                    list.count();
                }
                list.end()
            }
            ColumnBuilder::Map(map) => {
                let [between, after_key, deeper @ ..] = separators else { return Err(too_deep()) };
                let mut seen = HashSet::new();
                for entry in text.split(char::from(*between)).filter(|_| !text.is_empty()) {
                    let (key, value) = match entry.split_once(char::from(*after_key)) {
                        Some((key, value)) => (key, Some(value)),
                        None => (entry, None),
                    };
                    if key == self.null_marker {
                        return Err(Misfit("a key of the map is NULL".to_owned()));
                    }
                    if !seen.insert(key) {
                        return Err(Misfit(format!("the map has the key `{}` twice", shown(key))));
                    }
                    // A key that cannot be read is no NULL either.
                    map.keys.append_text(key)?;
                    match value {
                        Some(value) => self.append_item(&mut map.values, value, deeper)?,
                        None => map.values.append_null(),
                    }
                    map.count();
                }
                map.end()
            }
            ColumnBuilder::Struct(object) => {
                let (between, deeper) = separators.split_first().ok_or_else(too_deep)?;
                let mut members = text.split(char::from(*between));
                for (field, column) in object.fields.iter().zip(&mut object.columns) {
                    match members.next() {
                        Some(member) => self
                            .append_item(column, member, deeper)
                            .map_err(|misfit| Misfit(format!("{}: {}", field.name(), misfit.0)))?,
                        None => column.append_null(),
                    }
                }
                object.end();
                Ok(())
            }
            plain => plain.append_text_or_null(text, self.null_on_mismatch),
        }
    }

    fn append_item(self, builder: &mut ColumnBuilder, item: &str, separators: &[u8]) -> Result<(), Misfit> {
        if item == self.null_marker {
            builder.append_null();
            return Ok(());
        }
        self.append(builder, item, separators)
    }
}

#[cfg(test)]
mod tests {
    use arrow::util::display::array_value_to_string;

    use super::*;
    use crate::metastore::arrow_type;

    fn read(hive_type: &str, text: &str) -> Result<String, String> {
        let mut builder = ColumnBuilder::new(&arrow_type(hive_type).unwrap(), 1).unwrap();
        let items = Items { null_marker: "\\N", null_on_mismatch: false };
        items.append(&mut builder, text, &Separators::default().0).map_err(|misfit| misfit.0)?;
        Ok(array_value_to_string(&builder.finish().unwrap(), 0).unwrap())
    }

    #[test]
    fn a_character_for_each_level() {
        for (hive_type, text, value) in [
            ("array<int>", "1\u{2}\\N\u{2}3", "[1, , 3]"),
            ("array<int>", "", "[]"),
            ("array<string>", "a\u{2}\u{2}b", "[a, , b]"),
            ("array<array<int>>", "1\u{3}2\u{2}3", "[[1, 2], [3]]"),
            ("map<string,int>", "a\u{3}1\u{2}b\u{3}\\N\u{2}c", "{a: 1, b: , c: }"),
            ("map<int,array<string>>", "1\u{3}x\u{4}y\u{2}2\u{3}", "{1: [x, y], 2: []}"),
            ("struct<a:int,b:string,c:date>", "1\u{2}x", "{a: 1, b: x, c: }"),
            ("struct<a:int>", "1\u{2}beyond", "{a: 1}"),
            (
                "array<struct<a:int,m:map<string,double>>>",
                "1\u{3}k\u{5}1.5\u{4}l\u{5}2",
                "[{a: 1, m: {k: 1.5, l: 2.0}}]",
            ),
        ] {
            assert_eq!(read(hive_type, text).as_deref(), Ok(value), "{hive_type}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for (hive_type, text, said) in [
            ("array<int>", "1\u{2}x", "`x` is no integer"),
            ("struct<a:int,b:date>", "1\u{2}x", "b: `x` is no date"),
            ("map<string,int>", "a\u{3}1\u{2}a\u{3}2", "has the key `a` twice"),
            ("map<string,int>", "\\N\u{3}1", "a key of the map is NULL"),
        ] {
            let error = read(hive_type, text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let deep = format!("{}int{}", "array<".repeat(8), ">".repeat(8));
        assert!(read(&deep, "1").unwrap_err().contains("more than 7 levels"));
    }
}
