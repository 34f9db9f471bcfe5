//! Messages written by hand after the specification, and read.

use super::*;
use crate::registry::{FoundSchema, RegistryError};

#[derive(Debug)]
struct Known(Vec<(u32, &'static str)>);

impl Schemas for Known {
    fn by_id(&self, id: u32) -> Result<Option<FoundSchema>, RegistryError> {
        let found = self.0.iter().find(|(known, _)| *known == id);
        Ok(found.map(|(_, text)| FoundSchema::avro(text)))
    }
}

/// A record of one field `f`.
fn of_field(field: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{field}}}]}}"#)
}

/// Reads a record of one field that was written with its own schema.
fn read_own(field: &str, bytes: &[u8]) -> Result<String, String> {
    read_as(field, field, bytes)
}

/// Reads a record of one field that was written with another schema.
fn read_as(writer: &str, reader: &str, bytes: &[u8]) -> Result<String, String> {
    let writer: &'static str = Box::leak(of_field(writer).into_boxed_str());
    read_records(writer, &of_field(reader), &["f"], bytes)
}

fn read_records(writer: &'static str, reader: &str, wanted: &[&str], bytes: &[u8]) -> Result<String, String> {
    let columns: Vec<MessageColumn> =
        wanted.iter().map(|name| MessageColumn::new(*name, crate::types::ValueType::Varchar)).collect();
    let reader: &'static str = Box::leak(reader.to_owned().into_boxed_str());
    let schemas: Arc<dyn Schemas> = Arc::new(Known(vec![(1, reader), (7, writer)]));
    let mut reader = AvroReader::of_registry(&columns, 1, &schemas).unwrap();
    let message: Vec<u8> = [0, 0, 0, 0, 7].into_iter().chain(bytes.iter().copied()).collect();
    let mut cells = Vec::new();
    match reader.read(&message, &mut cells) {
        Ok(()) => Ok(cells.iter().map(|cell| format!("{cell:?}")).collect::<Vec<_>>().join(" ")),
        Err(Fault::Message(error)) => Err(error),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn values_as_the_specification_writes_them() {
    // The examples of the specification: 0, -1, 1, -2, 2, -64, 64 as zigzag numbers, "foo", arrays in blocks.
    for (bytes, number) in [
        (&[0x00][..], 0),
        (&[0x01], -1),
        (&[0x02], 1),
        (&[0x03], -2),
        (&[0x04], 2),
        (&[0x7f], -64),
        (&[0x80, 0x01], 64),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], i64::MIN),
        (&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], i64::MAX),
    ] {
        assert_eq!(read_own("\"long\"", bytes), Ok(format!("Integer({number})")));
    }
    for (field, bytes, cell) in [
        ("\"boolean\"", &[1][..], "Boolean(true)"),
        ("\"float\"", &[0, 0, 0x80, 0x3f], "Real(1.0)"),
        ("\"double\"", &[0, 0, 0, 0, 0, 0, 0, 0x40], "Double(2.0)"),
        ("\"string\"", &[6, b'f', b'o', b'o'], "Text(\"foo\")"),
        ("\"bytes\"", &[4, 0, 0xff], "Bytes([0, 255])"),
        (r#"{"type":"array","items":"long"}"#, &[0x04, 0x06, 0x36, 0x00], "List([Integer(3), Integer(27)])"),
        // The same in a block with its size.
        (r#"{"type":"array","items":"long"}"#, &[0x03, 0x04, 0x06, 0x36, 0x00], "List([Integer(3), Integer(27)])"),
        (r#"{"type":"map","values":"boolean"}"#, &[2, 2, b'k', 1, 0], "Entries([(\"k\", Boolean(true))])"),
        (r#"{"type":"map","values":"int"}"#, &[4, 2, b'k', 2, 2, b'k', 4, 0], "Entries([(\"k\", Integer(2))])"),
        (r#"{"type":"int","logicalType":"time-millis"}"#, &[0xfe, 0xef, 0xb2, 0x52], "Integer(86399999)"),
        ("\"int\"", &[0xff, 0xff, 0xff, 0xff, 0x0f], "Integer(-2147483648)"),
        (r#"["null","string"]"#, &[0], "Null"),
        (r#"["null","string"]"#, &[2, 2, b'a'], "Text(\"a\")"),
        (r#"{"type":"enum","name":"E","symbols":["A","B"]}"#, &[2], "Text(\"B\")"),
        (r#"{"type":"fixed","name":"F","size":2}"#, &[1, 2], "Bytes([1, 2])"),
        (r#"{"type":"bytes","logicalType":"decimal","precision":6,"scale":2}"#, &[4, 0xff, 0x85], "Decimal(-123)"),
        (r#"{"type":"fixed","name":"F","size":20,"logicalType":"decimal","precision":6}"#, &[0xff; 20], "Decimal(-1)"),
        (
            r#"{"type":"record","name":"N","fields":[{"name":"a","type":"int"},{"name":"b","type":"string"}]}"#,
            &[2, 0],
            "Fields([Integer(1), Text(\"\")])",
        ),
    ] {
        assert_eq!(read_own(field, bytes).as_deref(), Ok(cell), "{field}");
    }
}

#[test]
fn what_is_broken_says_where() {
    for (field, bytes, part) in [
        ("\"long\"", &[][..], "it ends after 0 bytes, where 1 more are needed"),
        ("\"long\"", &[0x80], "it ends after 1 bytes"),
        ("\"long\"", &[0xff; 11], "more than 64 bits"),
        ("\"string\"", &[10, b'a'], "it ends after 2 bytes, where 5 more are needed from byte 1 on"),
        ("\"string\"", &[1], "the length before byte 1 is -1"),
        ("\"string\"", &[2, 0xff], "not UTF-8"),
        ("\"boolean\"", &[2], "the boolean before byte 1 is 2"),
        ("\"long\"", &[0, 0], "1 bytes follow the record"),
        (r#"["null","string"]"#, &[4], "branch 2 of a union of 2 was written"),
        (r#"{"type":"enum","name":"E","symbols":["A"]}"#, &[2], "symbol 1 of 1 was written"),
        // Elements that take no bytes: the message is short and the array endless.
        (r#"{"type":"array","items":"null"}"#, &[0xfe, 0xff, 0xff, 0xff, 0x0f], "more than 1000000 values"),
        (r#"{"type":"bytes","logicalType":"decimal","precision":2}"#, &[2, 100], "too large for 2 digits"),
        // 2147483648 and -2147483649, one more than 32 bits hold.
        (
            "\"int\"",
            &[0x80, 0x80, 0x80, 0x80, 0x10],
            "the int before byte 5 is 2147483648, which has more than 32 bits",
        ),
        ("\"int\"", &[0x81, 0x80, 0x80, 0x80, 0x10], "-2147483649, which has more than 32 bits"),
        // 86,400,000 milliseconds are a day; -1.
        (
            r#"{"type":"int","logicalType":"time-millis"}"#,
            &[0x80, 0xf0, 0xb2, 0x52],
            "86400000, which is outside of a day",
        ),
        (r#"{"type":"long","logicalType":"time-micros"}"#, &[1], "the time before byte 1 is -1, which is outside"),
    ] {
        let error = read_own(field, bytes).unwrap_err();
        assert!(error.contains(part), "{field}: {error}");
    }
}

#[test]
fn what_one_schema_wrote_another_one_reads() {
    for (writer, reader, bytes, cell) in [
        ("\"int\"", "\"long\"", &[2][..], "Integer(1)"),
        ("\"int\"", "\"double\"", &[2], "Double(1.0)"),
        ("\"long\"", "\"float\"", &[2], "Real(1.0)"),
        ("\"float\"", "\"double\"", &[0, 0, 0x80, 0x3f], "Double(1.0)"),
        ("\"string\"", "\"bytes\"", &[2, b'a'], "Bytes([97])"),
        ("\"bytes\"", "\"string\"", &[2, b'a'], "Text(\"a\")"),
        ("\"int\"", r#"["null","long"]"#, &[2], "Integer(1)"),
        (r#"["null","int"]"#, "\"long\"", &[2, 2], "Integer(1)"),
        (
            r#"{"type":"enum","name":"x.E","symbols":["A","B"]}"#,
            r#"{"type":"enum","name":"y.E","symbols":["A"],"default":"A"}"#,
            &[2],
            "Text(\"A\")",
        ),
        // Other names of a type; and bytes that only one of the schemas calls a number.
        (
            r#"{"type":"enum","name":"x.Old","symbols":["A"]}"#,
            r#"{"type":"enum","name":"New","aliases":["y.Old"],"symbols":["A"]}"#,
            &[0],
            "Text(\"A\")",
        ),
        (
            r#"{"type":"fixed","name":"Old","size":1}"#,
            r#"{"type":"fixed","name":"New","aliases":["Old"],"size":1,"logicalType":"decimal","precision":2}"#,
            &[7],
            "Decimal(7)",
        ),
        (r#"{"type":"bytes","logicalType":"decimal","precision":50,"scale":2}"#, DECIMAL, &[2, 7], "Decimal(7)"),
        (DECIMAL, "\"bytes\"", &[2, 7], "Bytes([7])"),
        (
            r#"{"type":"array","items":"int"}"#,
            r#"{"type":"array","items":"double"}"#,
            &[2, 2, 0],
            "List([Double(1.0)])",
        ),
    ] {
        assert_eq!(read_as(writer, reader, bytes).as_deref(), Ok(cell), "{writer} as {reader}");
    }
    for (writer, reader, bytes, part) in [
        (
            "\"string\"",
            "\"int\"",
            &[2, b'a'][..],
            "schema 7: field f: it was written as string and cannot be read as int",
        ),
        // The same digits would be another number.
        (
            r#"{"type":"bytes","logicalType":"decimal","precision":50,"scale":3}"#,
            DECIMAL,
            &[2, 7],
            "scale 3 and cannot",
        ),
        (
            r#"{"type":"bytes","logicalType":"decimal","precision":5}"#,
            DECIMAL,
            &[2, 7],
            "scale 0 and cannot be read as",
        ),
        (
            r#"{"type":"fixed","name":"F","size":1,"logicalType":"decimal","precision":2,"scale":1}"#,
            r#"{"type":"fixed","name":"F","size":1,"logicalType":"decimal","precision":2,"scale":2}"#,
            &[7],
            "it was written as a decimal of scale 1 and cannot be read as one of scale 2",
        ),
        ("\"string\"", DECIMAL, &[2, b'1'], "written as string and cannot be read as bytes"),
        (DECIMAL, "\"string\"", &[2, b'1'], "written as bytes and cannot be read as string"),
        ("\"int\"", "\"long\"", &[0x80, 0x80, 0x80, 0x80, 0x10], "more than 32 bits"),
        ("\"int\"", "\"double\"", &[0x80, 0x80, 0x80, 0x80, 0x10], "more than 32 bits"),
        (
            r#"{"type":"enum","name":"Old","symbols":["A"]}"#,
            r#"{"type":"enum","name":"New","symbols":["A"]}"#,
            &[0],
            "written as Old and cannot be read as New",
        ),
        ("\"double\"", "\"float\"", &[0; 8], "written as double and cannot be read as float"),
        (r#"["null","int"]"#, "\"int\"", &[0], "written as null and cannot be read as int"),
        (
            r#"{"type":"long","logicalType":"timestamp-millis"}"#,
            r#"{"type":"long","logicalType":"timestamp-micros"}"#,
            &[2],
            "another unit of time",
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
            r#"{"type":"enum","name":"E","symbols":["A"]}"#,
            &[2],
            "B is no symbol of E",
        ),
    ] {
        let error = read_as(writer, reader, bytes).unwrap_err();
        assert!(error.contains(part), "{writer} as {reader}: {error}");
    }
}

const DECIMAL: &str = r#"{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}"#;

/// What a field is read of does not depend on which others are asked for.
#[test]
fn older_names_are_those_of_one_field() {
    let writer = r#"{"type":"record","name":"W","fields":[{"name":"old","type":"int"},{"name":"b","type":"int"}]}"#;
    let reader = r#"{"type":"record","name":"R","fields":[
        {"name":"z","type":"int","aliases":["old"],"default":-1},
        {"name":"a","type":"int","aliases":["old","b"],"default":-2},
        {"name":"b","type":"int"}]}"#;
    // `b` is the field of that name, and not an older one of `a`, which `old` is.
    let bytes = [2, 4];
    for (wanted, cells) in [
        (&["z", "a", "b"][..], "Integer(-1) Integer(1) Integer(2)"),
        (&["b", "a"], "Integer(2) Integer(1)"),
        (&["a"], "Integer(1)"),
        (&["z"], "Integer(-1)"),
        (&["b"], "Integer(2)"),
        (&[], ""),
    ] {
        assert_eq!(read_records(writer, reader, wanted, &bytes).as_deref(), Ok(cells), "{wanted:?}");
    }
    // Two older names of a field were written: the first is it.
    let writer = r#"{"type":"record","name":"W","fields":[{"name":"old","type":"int"},{"name":"older","type":"int"}]}"#;
    let reader = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","aliases":["older","old"]}]}"#;
    assert_eq!(read_records(writer, reader, &["a"], &bytes).as_deref(), Ok("Integer(1)"));
}

#[test]
fn what_nobody_asks_for_is_only_passed_over() {
    let text = r#"{"type":"record","name":"R","fields":[
        {"name":"text","type":"string"},
        {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":1}},
        {"name":"kind","type":{"type":"enum","name":"E","symbols":["A"]}},
        {"name":"all","type":{"type":"array","items":"boolean"}},
        {"name":"tags","type":{"type":"map","values":{"type":"int","logicalType":"time-millis"}}},
        {"name":"n","type":"long"}]}"#;
    // A text that is none, a number of two digits, a symbol that there is not, a boolean 9 and a time of the next day.
    let bytes = [2, 0xff, 2, 10, 8, 2, 9, 0, 2, 2, 0xff, 0x80, 0xf0, 0xb2, 0x52, 0, 14];
    assert_eq!(read_records(text, text, &["n"], &bytes).as_deref(), Ok("Integer(7)"));
    for (wanted, part) in [
        ("text", "not UTF-8"),
        ("price", "too large for 1 digits"),
        ("kind", "symbol 4 of 1"),
        ("all", "the boolean before byte 7 is 9"),
        ("tags", "not UTF-8"),
    ] {
        let error = read_records(text, text, &[wanted, "n"], &bytes).unwrap_err();
        assert!(error.contains(part), "{wanted}: {error}");
    }
    let error = read_records(text, text, &["n"], &bytes[..bytes.len() - 2]).unwrap_err();
    assert!(error.contains("it ends after"), "{error}");
}

#[test]
fn fields_move_go_and_come() {
    let writer = r#"{"type":"record","name":"W","fields":[
        {"name":"gone","type":{"type":"map","values":"string"}},{"name":"b","type":"string"},{"name":"old","type":"int"}]}"#;
    let reader = r#"{"type":"record","name":"R","fields":[
        {"name":"new","type":"long","aliases":["old"]},
        {"name":"more","type":["null","string"],"default":null},
        {"name":"tags","type":{"type":"array","items":"string"},"default":["x"]},
        {"name":"b","type":"string"}]}"#;
    let bytes = [2, 2, b'k', 2, b'v', 0, 2, b'B', 14];
    assert_eq!(
        read_records(writer, reader, &["new", "more", "tags", "b"], &bytes).as_deref(),
        Ok("Integer(7) Null List([Text(\"x\")]) Text(\"B\")")
    );
    assert_eq!(read_records(writer, reader, &["b"], &bytes).as_deref(), Ok("Text(\"B\")"), "only what is asked for");
    let strict = r#"{"type":"record","name":"R","fields":[{"name":"c","type":"int"}]}"#;
    let error = read_records(writer, strict, &["c"], &bytes).unwrap_err();
    assert_eq!(error, "schema 7: field c was not written and has no default");
}

#[test]
fn records_within_themselves_are_passed_over() {
    // A tree with two leaves, a list of two, and a number behind both.
    let text = r#"{"type":"record","name":"R","fields":[
        {"name":"tree","type":{"type":"record","name":"T","fields":[
            {"name":"v","type":"int"},{"name":"children","type":{"type":"array","items":"T"}}]}},
        {"name":"next","type":["null","R"]},
        {"name":"n","type":"long"}]}"#;
    let leaf = |v: u8| vec![v, 0];
    let tree = [vec![2, 4], leaf(4), leaf(6), vec![0]].concat();
    let inner = [leaf(8), vec![0], vec![10]].concat();
    let bytes = [tree, vec![2], inner, vec![14]].concat();
    assert_eq!(read_records(text, text, &["n"], &bytes).as_deref(), Ok("Integer(7)"));
    let found = columns(text, &[], false).unwrap();
    assert_eq!(found.columns.iter().map(|column| &*column.name).collect::<Vec<_>>(), ["n"]);
    let reasons: Vec<&str> = found.unsupported.iter().map(|(_, _, reason)| &**reason).collect();
    assert_eq!(reasons, ["its field children: its type T contains itself", "its type R contains itself"]);
    let list =
        r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]},{"name":"n","type":"long"}]}"#;
    let nested = |levels: usize| [[2].repeat(levels), vec![0], [14].repeat(levels + 1)].concat();
    // Each level is a record in a union in the field of another one.
    assert_eq!(read_records(list, list, &["n"], &nested(99)).as_deref(), Ok("Integer(7)"));
    let error = read_records(list, list, &["n"], &nested(200)).unwrap_err();
    assert_eq!(error, "its values are more than 300 levels deep");
}

/// What Debezium's Avro converter registers, shortened.
const EVENTS: &str = r#"{"type":"record","name":"Envelope","namespace":"shop.customers","fields":[
    {"name":"before","type":["null",{"type":"record","name":"Value","fields":[
        {"name":"id","type":"int"},{"name":"name","type":["null","string"],"default":null}]}],"default":null},
    {"name":"after","type":["null","Value"],"default":null},
    {"name":"source","type":{"type":"record","name":"Source","namespace":"io.debezium","fields":[{"name":"db","type":"string"}]}},
    {"name":"op","type":"string"},
    {"name":"ts_ms","type":["null","long"],"default":null}]}"#;

#[test]
fn change_events_become_rows() {
    let all = columns(EVENTS, &[], true).unwrap().columns;
    let named: Vec<String> = all.iter().map(|column| format!("{} {}", column.name, column.value_type)).collect();
    assert_eq!(named, ["id integer", "name varchar"]);
    // Branches of unions, then values: before, after, the database, what changed, and no time.
    let (one, two) = (vec![2, 2, 2, 2, b'a'], vec![2, 2, 2, 2, b'b']);
    let event = |before: &[u8], after: &[u8], op: u8| [before, after, &[2, b'd'], &[2, op], &[0]].concat();
    let read = |wanted: &[MessageColumn], with_before: bool, bytes: &[u8]| {
        let reader = AvroReader::of_text(wanted, EVENTS).unwrap();
        let mut reader = reader.of_events(with_before.then_some(&all)).unwrap();
        let mut cells = Vec::new();
        match reader.read(bytes, &mut cells) {
            Ok(()) => cells.iter().map(|cell| format!("{cell:?}")).collect::<Vec<_>>().join(" "),
            Err(fault) => format!("{fault:?}"),
        }
    };
    let before = "Fields([Integer(1), Text(\"a\")])";
    for (before_row, after, op, expected) in [
        (&[0][..], &two[..], b'c', "Integer(1) Text(\"b\") Null Text(\"c\") Null".to_owned()),
        (&one, &two, b'u', format!("Integer(1) Text(\"b\") Null Text(\"u\") {before}")),
        (&one, &[0], b'd', format!("Integer(1) Text(\"a\") Null Text(\"d\") {before}")),
        (&[0], &[0], b't', "Null Null Null Text(\"t\") Null".to_owned()),
    ] {
        assert_eq!(read(&all, true, &event(before_row, after, op)), expected);
    }
    // Of a row only what is asked for is kept.
    let name = &all[1..];
    assert_eq!(read(name, false, &event(&one, &two, b'u')), "Text(\"b\") Null Text(\"u\") Null");
    assert_eq!(read(name, true, &event(&one, &[0], b'd')), format!("Text(\"a\") Null Text(\"d\") {before}"));
    for (schema, part) in [
        ("\"string\"", "it has no `op` and `before`"),
        (r#"{"type":"record","name":"R","fields":[{"name":"op","type":"string"}]}"#, "it has no `op` and `before`"),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"op","type":"string"},{"name":"before","type":"int"},
                {"name":"after","type":"int"}]}"#,
            "it has no `after` that is a record or null",
        ),
    ] {
        let error = columns(schema, &[], true).unwrap_err();
        assert!(error.contains("none of change events of Debezium") && error.contains(part), "{error}");
    }
}
