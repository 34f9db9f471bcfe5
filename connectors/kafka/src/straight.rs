//! Rows whose values go to their columns as they are found, with nothing in between.

use crate::build::ColumnBuilder;
use crate::format::{Found, PartReader, plain};
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
    /// `None` where its values are not found so, or one does not fit; then, nothing is added.
    pub(crate) fn push(
        &self,
        message: &[u8],
        reader: &mut PartReader,
        outputs: &mut [(Origin, ColumnBuilder)],
        rows: usize,
    ) -> Option<usize> {
        let (mut seen, mut bytes) = (0_u64, 0);
        let is_whole = reader.visit(message, |place, found| {
            let (_, builder) = outputs.get_mut(*self.outputs.get(place)?)?;
            let bit = 1 << place;
            if seen & bit != 0 {
                // The last value of a name counts.
                builder.flat()?.truncate(rows);
            }
            seen |= bit;
            bytes += match found {
                Found::Json(column, text) => push_plain(builder, column, text)?,
                Found::Cell(cell) => builder.push_cell(&cell).ok()?,
            };
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
    use crate::layout::{Format, Layout, MessageColumn, OnError, Part, WriterSchema};
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

    const SCHEMA: &str = r#"{"type":"record","name":"r","fields":[
        {"name":"n","type":"long"},
        {"name":"t","type":"string"},
        {"name":"x","type":"string"},
        {"name":"d","type":["null","double"]},
        {"name":"m","type":{"type":"bytes","logicalType":"decimal","precision":12,"scale":2}}]}"#;

    /// A number, two texts, a union and a decimal.
    const RECORDS: &[Option<&[u8]>] = &[
        Some(b"\x02\x04ab\x02x\x00\x02\x7f"),
        Some(b"\x01\x00\x00\x02\0\0\0\0\0\0\x04\x40\x04\xff\x7f"),
        None,
        // Nothing; a text that ends early, one that is none; another branch; a decimal that is too large; more than a record.
        Some(b""),
        Some(b"\x02\x06ab"),
        Some(b"\x02\x02\xff\x00\x00\x02\x01"),
        Some(b"\x02\x02y\x00\x04\x02\x01"),
        Some(b"\x02\x02y\x00\x00\x0e\x7f\x00\x00\x00\x00\x00\x00"),
        Some(b"\x02\x02y\x00\x00\x02\x01\x00"),
        Some(b"\x04\x02z\x02x\x00\x02\x00"),
    ];

    type Outcome = (Vec<Result<Pushed, Poison>>, RecordBatch);

    fn read(on_error: OnError, hidden: &[(&str, DataType)], columns: usize) -> Outcome {
        read_as(Format::Json, COLUMNS, MESSAGES, on_error, hidden, columns)
    }

    /// What becomes of each message, and the rows of all.
    fn read_as(
        format: Format,
        columns: &[(&str, &str)],
        messages: &[Option<&[u8]>],
        on_error: OnError,
        hidden: &[(&str, DataType)],
        count: usize,
    ) -> Outcome {
        let typed = |(name, sql): &(&str, &str)| MessageColumn::new(*name, sql.parse().unwrap());
        let columns: Vec<_> = columns.iter().take(count).map(typed).collect();
        let fields = columns.iter().map(|column| Field::new(&column.name, column.value_type.arrow(), true));
        let hidden = hidden.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
        let schema = Arc::new(Schema::new(fields.chain(hidden).collect::<Vec<_>>()));
        let value = Part { columns, declared: true, ..Part::undeclared(format) };
        let layout = Layout { key: Part::undeclared(Format::Text), value, on_error };
        let wanted = Wanted { layout: &layout, errors: false, partition: 1, cut: "", schemas: None };
        let mut decoder = BatchDecoder::new(schema, wanted, 100).unwrap();
        let pushed = messages.iter().zip(40..).map(|(value, offset)| {
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
                let (pushed, straight) = read(on_error, std::slice::from_ref(&offset), columns);
                let (expected, longer) = read(on_error, &[offset.clone(), (MESSAGE, DataType::Binary)], columns);
                assert_eq!(pushed, expected, "{on_error:?}, {columns} columns");
                let places: Vec<usize> = (0..=columns).collect();
                assert_eq!(straight, longer.project(&places).unwrap(), "{on_error:?}, {columns} columns");
                assert!(straight.num_rows() > 10, "{}", straight.num_rows());
            }
        }
    }

    #[test]
    fn records_are_the_same_whichever_way_they_come() {
        let columns = &[("n", "bigint"), ("d", "double"), ("t", "varchar"), ("m", "decimal(12,2)")];
        let message = (MESSAGE, DataType::Binary);
        for (on_error, rows) in [(OnError::Fail, 4), (OnError::Null, 10), (OnError::Skip, 4)] {
            for count in 1..=columns.len() {
                let format = Format::Avro(WriterSchema::Text(SCHEMA.to_owned()));
                let read = |hidden| read_as(format.clone(), columns, RECORDS, on_error, hidden, count);
                let ((pushed, straight), (expected, longer)) = (read(&[]), read(std::slice::from_ref(&message)));
                assert_eq!(pushed, expected, "{on_error:?}, {count} columns");
                let places: Vec<usize> = (0..count).collect();
                assert_eq!(straight, longer.project(&places).unwrap(), "{on_error:?}, {count} columns");
                // What is wrong in a column that the part does not have is passed over.
                let is_whole = count == columns.len();
                assert!(
                    if is_whole { straight.num_rows() == rows } else { straight.num_rows() >= rows },
                    "{on_error:?}"
                );
            }
        }
        let format = Format::Avro(WriterSchema::Text(SCHEMA.to_owned()));
        let (_, batch) = read_as(format, columns, RECORDS, OnError::Skip, &[], columns.len());
        assert_eq!(shown(batch), ["|n|d|t|m|", "|1||ab|1.27|", "|-1|2.5||-1.29|", "|||||", "|2||z|0.00|"]);
    }

    fn shown(batch: RecordBatch) -> Vec<String> {
        let shown = arrow::util::pretty::pretty_format_batches(&[batch]).unwrap().to_string();
        shown.lines().filter(|line| line.starts_with('|')).map(|line| line.replace(' ', "")).collect()
    }

    #[test]
    fn rows_are_what_their_messages_say() {
        let (pushed, batch) = read(OnError::Skip, &[], COLUMNS.len());
        assert_eq!(pushed.iter().filter(|pushed| **pushed == Ok(Pushed::Skipped)).count(), 8);
        let rows = shown(batch);
        for row in [
            "|1|x|2.5|true|1.50|1970-01-01T00:00:00.012|-3|\"q\"|2026-01-02|0.1|",
            "|-9223372036854775808|é|||||||||",
            "|22|longer|||||||||",
            "|3||||||||||",
            "||x||false|||||||",
            "|2|12.50|7.0|||1970-01-01T00:00:01||-0|||",
            "|1000||||||||||",
        ] {
            assert!(rows.iter().any(|shown| shown == row), "{row} of {rows:?}");
        }
    }
}
