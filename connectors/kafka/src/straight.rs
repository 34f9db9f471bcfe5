//! Rows of JSON objects that have no others in them: their values go to their columns as they are found, with nothing in between.

use crate::build::ColumnBuilder;
use crate::format::{PartReader, plain};
use crate::layout::MessageColumn;
use crate::origin::Origin;
use crate::types::ValueType;

/// The most columns of which it is known by the bits of one number which have their value.
const MAX_COLUMNS: usize = 64;

/// Which columns the values go to.
#[derive(Debug)]
pub(crate) struct Straight {
    /// For each column of the value, the output that is made of it.
    outputs: Vec<usize>,
    /// The outputs that come from elsewhere.
    pub(crate) others: Vec<usize>,
}

impl Straight {
    /// For these outputs, of a value of so many columns; `None` where a column is not asked for or has other values in it.
    pub(crate) fn new(outputs: &mut [(Origin, ColumnBuilder)], columns: usize) -> Option<Self> {
        let (mut of_value, mut others) = (vec![None; columns], Vec::new());
        for (place, (origin, builder)) in outputs.iter_mut().enumerate() {
            match origin {
                Origin::OfValue(column) => {
                    builder.flat()?;
                    if of_value.get_mut(*column)?.replace(place).is_some() {
                        return None;
                    }
                }
                _ => others.push(place),
            }
        }
        let outputs = of_value.into_iter().collect::<Option<Vec<_>>>()?;
        ((1..=MAX_COLUMNS).contains(&columns)).then_some(Self { outputs, others })
    }

    /// Adds the values of a message to the columns that have so many rows; returns the bytes of variable length that were added.
    /// `None` where it is no such object, or where a value does not fit; then, nothing is added.
    pub(crate) fn push(
        &self,
        message: &[u8],
        reader: &mut PartReader,
        outputs: &mut [(Origin, ColumnBuilder)],
        rows: usize,
    ) -> Option<usize> {
        let (mut seen, mut bytes) = (0_u64, 0);
        let is_whole = reader.flat_fields(message, |place, column, text| {
            let (_, builder) = outputs.get_mut(*self.outputs.get(place)?)?;
            let bit = 1 << place;
            if seen & bit != 0 {
                // The last value of a name counts.
                builder.flat()?.truncate(rows);
            }
            seen |= bit;
            bytes += push_plain(builder, column, text)?;
            Some(())
        });
        if is_whole.is_some() && seen.count_ones() as usize == self.outputs.len() {
            return Some(bytes);
        }
        for (place, output) in self.outputs.iter().enumerate() {
            let builder = outputs.get_mut(*output).and_then(|(_, builder)| builder.flat());
            match (builder, is_whole) {
                (Some(builder), Some(())) if seen & (1 << place) == 0 => builder.push_null(),
                (Some(builder), None) => builder.truncate(rows),
                _ => {}
            }
        }
        is_whole.map(|()| bytes)
    }
}

/// Adds the value of a text in which nothing is to be replaced. `None` if it does not fit.
#[inline]
fn push_plain(builder: &mut ColumnBuilder, column: &MessageColumn, text: &str) -> Option<usize> {
    match (&mut *builder, &column.value_type, text.as_bytes().first()?) {
        (ColumnBuilder::Text(builder), ValueType::Varchar, b'"') => {
            let text = text.get(1..text.len() - 1)?;
            builder.push(text).ok()?;
            return Some(text.len());
        }
        (ColumnBuilder::Int64(builder), ValueType::BigInt, b'-' | b'0'..=b'9') => {
            if let Ok(number) = text.parse() {
                builder.push(number);
                return Some(0);
            }
        }
        (ColumnBuilder::Boolean(builder), ValueType::Boolean, b't' | b'f') => {
            builder.push(text == "true");
            return Some(0);
        }
        _ => {}
    }
    builder.push_cell(&plain(text, column)?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

    use std::sync::Arc;

    use arrow::array::RecordBatch;
    use arrow::datatypes::{DataType, Field, Schema};

    use crate::columns::{MESSAGE, PARTITION_OFFSET};
    use crate::decode::{BatchDecoder, Poison, Pushed, Wanted};
    use crate::layout::{Format, Layout, MessageColumn, OnError, Part};
    use crate::log::{Record, RecordHeaders};

    struct NoHeaders;

    impl RecordHeaders for NoHeaders {
        fn each(&self, _: &mut dyn FnMut(&str, Option<&[u8]>)) -> Result<(), String> {
            Ok(())
        }
    }

    const COLUMNS: &[(&str, &str)] = &[
        ("n", "bigint"),
        ("t", "varchar"),
        ("d", "double"),
        ("b", "boolean"),
        ("m", "decimal(12,2)"),
        ("s", "timestamp(3)"),
        ("i", "integer"),
        ("j", "json"),
        ("day", "date"),
        ("r", "real"),
    ];

    const MESSAGES: &[Option<&[u8]>] = &[
        Some(br#"{"n":1,"t":"x","d":2.5,"b":true,"m":1.50,"s":12,"i":-3,"j":"q","day":"2026-01-02","r":0.1}"#),
        Some("{\"t\":\"é\",\"n\":-9223372036854775808}".as_bytes()),
        None,
        Some(b"{}"),
        Some(b""),
        // The last of a name counts, a longer one, a shorter one or none.
        Some(br#"{"t":"a","n":1,"t":"longer","n":22,"b":true,"b":null}"#),
        Some(br#"{"t":"longer","t":"","n":3}"#),
        Some(br#"{"t":null,"t":"x","b":null,"b":false}"#),
        // What does not fit comes behind what does.
        Some(br#"{"t":"gone","n":4,"d":1e999}"#),
        Some(br#"{"t":"gone","t":"again","n":1.5}"#),
        Some(br#"{"t":"gone","i":2147483648}"#),
        Some(br#"{"t":"gone","b":"true"}"#),
        Some(br#"{"t":"gone""#),
        Some(b"{\"t\":\"gone\xff\"}"),
        // What is no flat object, or no plain text, is read in another way.
        Some(br#"{"t":"a\nb","n":5}"#),
        Some(br#"{"n":6,"t":{"x":[1]}}"#),
        Some(br#"{"n":7,"x":{"t":"not this"}}"#),
        Some(br#"{"n":8,"\u0074":"by another name"}"#),
        Some(br#"{"n":2.0,"t":12.50,"d":7,"j":-0,"s":"1970-01-01T00:00:01Z"}"#),
        Some(br#" { "x" : 1 , "n" : 1e3 } "#),
        Some(br#"[{"n":9}]"#),
    ];

    /// What becomes of each message, and the rows of all.
    fn read(
        on_error: OnError,
        hidden: &[(&str, DataType)],
        columns: usize,
    ) -> (Vec<Result<Pushed, Poison>>, RecordBatch) {
        let typed = |(name, sql): &(&str, &str)| MessageColumn::new(*name, sql.parse().unwrap());
        let columns: Vec<_> = COLUMNS.iter().take(columns).map(typed).collect();
        let fields = columns.iter().map(|column| Field::new(&column.name, column.value_type.arrow(), true));
        let hidden = hidden.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
        let schema = Arc::new(Schema::new(fields.chain(hidden).collect::<Vec<_>>()));
        let value = Part { columns, declared: true, ..Part::undeclared(Format::Json) };
        let layout = Layout { key: Part::undeclared(Format::Text), value, on_error };
        let wanted = Wanted { layout: &layout, errors: false, partition: 1, cut: "", schemas: None };
        let mut decoder = BatchDecoder::new(schema, wanted, 100).unwrap();
        let pushed = MESSAGES.iter().zip(40..).map(|(value, offset)| {
            decoder.push(&Record { offset, time: None, key: Some(b"k"), value: *value, headers: &NoHeaders })
        });
        (pushed.collect(), decoder.finish().unwrap())
    }

    /// Who asks for the whole message, too, has its values the longer way.
    #[test]
    fn values_are_the_same_whichever_way_they_come() {
        let offset = (PARTITION_OFFSET, DataType::Int64);
        for on_error in [OnError::Fail, OnError::Null, OnError::Skip] {
            for columns in 1..=COLUMNS.len() {
                let (pushed, straight) = read(on_error, &[offset.clone()], columns);
                let (expected, longer) = read(on_error, &[offset.clone(), (MESSAGE, DataType::Binary)], columns);
                assert_eq!(pushed, expected, "{on_error:?}, {columns} columns");
                let places: Vec<usize> = (0..=columns).collect();
                assert_eq!(straight, longer.project(&places).unwrap(), "{on_error:?}, {columns} columns");
                assert!(straight.num_rows() > 10, "{}", straight.num_rows());
            }
        }
    }

    #[test]
    fn rows_are_what_their_messages_say() {
        let (pushed, batch) = read(OnError::Skip, &[], COLUMNS.len());
        assert_eq!(pushed.iter().filter(|pushed| **pushed == Ok(Pushed::Skipped)).count(), 8);
        let shown = arrow::util::pretty::pretty_format_batches(&[batch]).unwrap().to_string();
        let rows: Vec<String> = shown.lines().map(|line| line.replace(' ', "")).collect();
        for row in [
            "|1|x|2.5|true|1.50|1970-01-01T00:00:00.012|-3|\"q\"|2026-01-02|0.1|",
            "|-9223372036854775808|é|||||||||",
            "|22|longer|||||||||",
            "|3||||||||||",
            "||x||false|||||||",
            "|2|12.50|7.0|||1970-01-01T00:00:01||-0|||",
            "|1000||||||||||",
        ] {
            assert!(rows.iter().any(|shown| shown == row), "{row}\n{shown}");
        }
    }
}
