//! What is written is read back as the same values.

use super::*;
use crate::format::{PartReader, avro_columns};
use crate::layout::{Place, WriterSchema};

/// A column as a declaration says it: name, type, how times are written.
fn column(name: &str, value_type: &str, temporal: &str) -> MessageColumn {
    MessageColumn { temporal: temporal.parse().unwrap(), ..MessageColumn::new(name, value_type.parse().unwrap()) }
}

fn part(format: Format, columns: Vec<MessageColumn>) -> Part {
    Part { columns, declared: true, ..Part::undeclared(format) }
}

fn encoder(part: &Part) -> PartEncoder {
    let schema = match &part.format {
        Format::Avro(WriterSchema::Text(text)) => text.clone(),
        _ => String::new(),
    };
    let names: Vec<&str> = part.columns.iter().map(|column| column.name.as_str()).collect();
    PartEncoder::new(part, &part.columns, || AvroWriter::new(&schema, &[], None, &names)).unwrap()
}

/// Writes the cells, says what was written, and reads it again.
fn round_trip(part: &Part, cells: &[Cell<'_>]) -> Vec<u8> {
    let mut written = Vec::new();
    assert!(encoder(part).write(cells, &mut written).unwrap());
    let mut read = Vec::new();
    PartReader::new(part, None, None).unwrap().read(&written, &mut read).unwrap();
    assert_eq!(read, cells, "{}", String::from_utf8_lossy(&written));
    written
}

fn error(part: &Part, cells: &[Cell<'_>]) -> String {
    encoder(part).write(cells, &mut Vec::new()).unwrap_err()
}

/// 2023-11-14T22:13:20Z in seconds since 1970.
const SECONDS: i64 = 1_700_000_000;

#[test]
fn json() {
    let types = [
        ("b", "boolean", "iso8601"),
        ("i", "bigint", "iso8601"),
        ("d", "decimal(38,4)", "iso8601"),
        ("small", "decimal(4,4)", "iso8601"),
        ("x", "double", "iso8601"),
        ("y", "real", "iso8601"),
        ("say \"hi\"", "varchar", "iso8601"),
        ("j", "json", "iso8601"),
        ("day", "date", "iso8601"),
        ("t", "time(3)", "iso8601"),
        ("at", "timestamp with time zone", "iso8601"),
        ("local", "timestamp(3)", "iso8601"),
        ("tags", "array(row(a int, d date))", "iso8601"),
        ("m", "map(varchar, decimal(5,2))", "iso8601"),
    ];
    let columns = types.map(|(name, value_type, temporal)| column(name, value_type, temporal));
    let part = part(Format::Json, columns.to_vec());
    let written = round_trip(
        &part,
        &[
            Cell::Boolean(true),
            Cell::Integer(i64::MIN),
            Cell::Decimal(-5),
            Cell::Decimal(-1234),
            Cell::Double(1e300),
            Cell::Real(0.1),
            Cell::Text("é\n\"\u{1}".into()),
            Cell::Text("{\"a\":[1.50]}".into()),
            Cell::Integer(-1),
            Cell::Integer(3_600_250),
            Cell::Integer(SECONDS * 1_000_000 + 500_000),
            Cell::Integer(SECONDS * 1_000),
            Cell::List(vec![Cell::Fields(vec![Cell::Integer(1), Cell::Null]), Cell::Null]),
            Cell::Entries(vec![("k".into(), Cell::Decimal(150))]),
        ],
    );
    assert_eq!(
        String::from_utf8(written).unwrap(),
        "{\"b\":true,\"i\":-9223372036854775808,\"d\":-0.0005,\"small\":-0.1234,\"x\":1e300,\"y\":0.1,\
         \"say \\\"hi\\\"\":\"é\\n\\\"\\u0001\",\"j\":{\"a\":[1.50]},\"day\":\"1969-12-31\",\"t\":\"01:00:00.250\",\
         \"at\":\"2023-11-14T22:13:20.500Z\",\"local\":\"2023-11-14T22:13:20\",\"tags\":[{\"a\":1,\"d\":null},null],\
         \"m\":{\"k\":1.50}}"
    );
    round_trip(&part, &vec![Cell::Null; types.len()]);
}

#[test]
fn times_however_they_are_declared() {
    for (value_type, temporal, units, written) in [
        ("timestamp(3)", "epoch-seconds", SECONDS * 1_000 + 250, "1700000000.25"),
        ("timestamp(3)", "epoch-seconds", SECONDS * 1_000, "1700000000"),
        ("timestamp(0)", "epoch-seconds", -10, "-10"),
        ("timestamp(0)", "epoch-nanoseconds", SECONDS, "1700000000000000000"),
        ("timestamp(9)", "epoch-milliseconds", -1, "-0.000001"),
        ("timestamp(0) with time zone", "rfc2822", SECONDS, "\"Tue, 14 Nov 2023 22:13:20 +0000\""),
        ("timestamp(0)", "%d/%m/%Y %H:%M:%S", SECONDS, "\"14/11/2023 22:13:20\""),
        (
            "timestamp(3) with time zone",
            "%d/%m/%Y %H:%M:%S%.f %z",
            SECONDS * 1_000 + 500,
            "\"14/11/2023 22:13:20.500 +0000\"",
        ),
        ("date", "%d.%m.%Y", 1, "\"02.01.1970\""),
        ("time(6)", "%H%M", 3_600_000_000, "\"0100\""),
    ] {
        let part = part(Format::Json, vec![column("a", value_type, temporal)]);
        let bytes = round_trip(&part, &[Cell::Integer(units)]);
        assert_eq!(String::from_utf8(bytes).unwrap(), format!("{{\"a\":{written}}}"));
    }
    for (value_type, temporal, units) in [
        ("timestamp(3)", "rfc2822", 1),
        ("timestamp(0)", "%d/%m/%Y %H:%M", 1),
        ("date", "%d.%m", 1),
        ("date", "%d.%m.%Y %H", 1),
        ("date", "iso8601", i64::from(i32::MAX)),
        ("timestamp", "iso8601", i64::MAX),
        ("time(3)", "iso8601", 86_400_000),
    ] {
        let part = part(Format::Json, vec![column("a", value_type, temporal)]);
        let message = error(&part, &[Cell::Integer(units)]);
        assert!(message.starts_with("column a: "), "{value_type} {temporal}: {message}");
    }
}

#[test]
fn times_within_values() {
    let mut columns = vec![
        column("page", "row(url varchar, at timestamp(3))", "iso8601"),
        column("seen", "array(map(varchar, row(at timestamp)))", "iso8601"),
    ];
    let times = [("page.at", "epoch-seconds"), ("seen.at", "epoch-milliseconds")];
    crate::declared_times::put(&times.map(|(path, way)| (path.to_owned(), way.to_owned())), &mut columns).unwrap();
    let at = Cell::Fields(vec![Cell::Integer(SECONDS * 1_000_000)]);
    let cells = [
        Cell::Fields(vec![Cell::Text("/".into()), Cell::Integer(SECONDS * 1_000)]),
        Cell::List(vec![Cell::Entries(vec![("x".into(), at)])]),
    ];
    let written = round_trip(&part(Format::Json, columns), &cells);
    assert_eq!(
        String::from_utf8(written).unwrap(),
        "{\"page\":{\"url\":\"/\",\"at\":1700000000},\"seen\":[{\"x\":{\"at\":1700000000000}}]}"
    );
}

#[test]
fn what_json_does_not_hold() {
    let of = |value_type: &str, cell: Cell<'_>| {
        error(&part(Format::Json, vec![column("a", value_type, "iso8601")]), &[cell])
    };
    assert_eq!(of("double", Cell::Double(f64::NAN)), "column a: NaN is no number that can be written");
    assert_eq!(of("real", Cell::Real(f32::INFINITY)), "column a: inf is no number that can be written");
    assert!(of("json", Cell::Text("{".into())).contains("column a: { is no JSON"));
    let twice = Cell::Entries(vec![("k".into(), Cell::Null), ("k".into(), Cell::Null)]);
    assert!(of("map(varchar, int)", twice).contains("entry k is there twice"));
}

#[test]
fn lines_of_values() {
    let mut columns = vec![
        column("a", "varchar", "iso8601"),
        column("n", "bigint", "iso8601"),
        column("at", "timestamp(0)", "epoch-seconds"),
        column("x", "double", "iso8601"),
        column("d", "decimal(5,2)", "iso8601"),
    ];
    columns.iter_mut().enumerate().for_each(|(index, column)| column.place = Place::Field(index));
    let part = part(Format::Csv { delimiter: ';', fields: 5 }, columns);
    for (cells, line) in [
        (
            vec![
                Cell::Text("a;\"b\"\nc".into()),
                Cell::Integer(-7),
                Cell::Integer(SECONDS),
                Cell::Double(0.5),
                Cell::Decimal(-105),
            ],
            "\"a;\"\"b\"\"\nc\";-7;1700000000;0.5;-1.05",
        ),
        (vec![Cell::Text("".into()), Cell::Null, Cell::Null, Cell::Null, Cell::Null], "\"\";;;;"),
        (vec![Cell::Null; 5], ";;;;"),
    ] {
        assert_eq!(String::from_utf8(round_trip(&part, &cells)).unwrap(), line);
    }
    // What a statement does not name is NULL, and columns may come in another order.
    let some = [part.columns[3].clone(), part.columns[0].clone()];
    let encoder = PartEncoder::new(&part, &some, || Err(String::new())).unwrap();
    let mut line = Vec::new();
    encoder.write(&[Cell::Double(2.0), Cell::Text("b".into())], &mut line).unwrap();
    assert_eq!(line, b"b;;;2.0;");
}

#[test]
fn fixed_places() {
    let placed = |name: &str, value_type: &str, start, end| MessageColumn {
        place: Place::Bytes(start, end),
        ..MessageColumn::new(name, value_type.parse().unwrap())
    };
    let columns =
        vec![placed("rest", "varchar", 8, None), placed("n", "bigint", 0, Some(2)), placed("x", "real", 4, Some(8))];
    let part = part(Format::Raw, columns.clone());
    let written = round_trip(&part, &[Cell::Text("é".into()), Cell::Integer(-2), Cell::Real(1.0)]);
    assert_eq!(written, [0xff, 0xfe, 0, 0, 0x3f, 0x80, 0, 0, 0xc3, 0xa9]);
    let cells = |n| [Cell::Text("".into()), Cell::Integer(n), Cell::Real(0.0)];
    assert_eq!(error(&part, &cells(32_768)), "column n: 32768 does not fit into 2 bytes");
    assert!(error(&part, &[Cell::Null, Cell::Null, Cell::Null]).contains("column n: the format raw has no NULL"));
    let narrow = Part { columns: vec![placed("a", "varchar", 0, Some(3))], ..part.clone() };
    assert_eq!(error(&narrow, &[Cell::Text("ab".into())]), "column a: it has 2 bytes and its place 3");
    for (columns, given, part_of) in [
        (columns.clone(), columns[..2].to_vec(), "column x gets no value"),
        (vec![placed("a", "int", 0, Some(4)), placed("b", "int", 2, Some(6))], Vec::new(), "have bytes in common"),
    ] {
        let given = if given.is_empty() { columns.clone() } else { given };
        let part = Part { columns, ..part.clone() };
        let refused = PartEncoder::new(&part, &given, || Err(String::new())).unwrap_err();
        assert!(refused.contains(part_of), "{refused}");
    }
}

#[test]
fn texts_are_null_as_a_whole() {
    let part = part(Format::Text, vec![column("line", "varchar", "iso8601")]);
    assert_eq!(round_trip(&part, &[Cell::Text("a\n".into())]), b"a\n");
    assert_eq!(round_trip(&part, &[Cell::Text("".into())]), b"");
    assert!(!encoder(&part).write(&[Cell::Null], &mut Vec::new()).unwrap());
}

#[test]
fn avro() {
    let schema = r#"{"type":"record","name":"R","fields":[
        {"name":"b","type":"boolean"},{"name":"i","type":"int"},{"name":"l","type":["null","long"],"default":null},
        {"name":"f","type":"float"},{"name":"d","type":"double"},{"name":"s","type":["string","null"]},
        {"name":"y","type":"bytes"},{"name":"x","type":{"type":"fixed","name":"X","size":2}},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["P","Q"]}},
        {"name":"n","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
        {"name":"m","type":{"type":"fixed","name":"M","size":3,"logicalType":"decimal","precision":6,"scale":0}},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"a","type":{"type":"array","items":["null","int"]}},
        {"name":"o","type":{"type":"map","values":{"type":"record","name":"V","fields":[{"name":"v","type":"int"}]}}}]}"#;
    let columns = avro_columns(schema, &[], false).unwrap().columns;
    let part = part(Format::Avro(WriterSchema::Text(schema.to_owned())), columns);
    let cells = |number: i128| {
        vec![
            Cell::Boolean(true),
            Cell::Integer(i32::MIN.into()),
            Cell::Integer(i64::MAX),
            Cell::Real(-0.5),
            Cell::Double(1e300),
            Cell::Null,
            Cell::Bytes(vec![0, 255].into()),
            Cell::Bytes(vec![1, 2].into()),
            Cell::Text("Q".into()),
            Cell::Decimal(number),
            Cell::Decimal(-1),
            Cell::Integer(SECONDS * 1_000),
            Cell::List(vec![Cell::Integer(1), Cell::Null]),
            Cell::Entries(vec![("k".into(), Cell::Fields(vec![Cell::Integer(-64)]))]),
        ]
    };
    for number in [0, 127, 128, -128, -129, 999_999_999] {
        round_trip(&part, &cells(number));
    }
    let mut none = cells(0);
    none[1] = Cell::Null;
    assert_eq!(error(&part, &none), "field i: it may not be NULL");
    let mut other = cells(0);
    other[8] = Cell::Text("R".into());
    assert_eq!(error(&part, &other), "field e: R is no symbol of E");
}

#[test]
fn avro_fields_that_a_statement_does_not_name() {
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":7},
        {"name":"b","type":["null","string"]},{"name":"c","type":["string","int"],"default":"z"},{"name":"d","type":"long"}]}"#;
    let writer = AvroWriter::new(schema, &[], Some(258), &["d"]).unwrap();
    let mut written = Vec::new();
    writer.write(&[Cell::Integer(-1)], &mut written).unwrap();
    // The id, then 7, the branch of null, the first branch and a text of one byte, -1; numbers are zigzag encoded.
    assert_eq!(written, [0, 0, 0, 1, 2, 14, 0, 0, 2, b'z', 1]);
    let missing = AvroWriter::new(schema, &[], None, &["a"]).unwrap_err();
    assert_eq!(missing, "field d has no default and gets no value");
}

#[test]
fn what_is_not_written() {
    for (part, why) in [
        (Part { envelope: true, ..part(Format::Json, Vec::new()) }, "change events"),
        (part(Format::JsonSchema, Vec::new()), "JSON Schema"),
        (
            part(Format::Protobuf { schema: WriterSchema::Id(1), message: None, imports: Vec::new() }, Vec::new()),
            "Protobuf is not written",
        ),
        (part(Format::Binary, Vec::new()), "no columns"),
        (part(Format::Text, vec![column("a", "varchar", "iso8601"), column("b", "varchar", "iso8601")]), "one text"),
    ] {
        let refused = PartEncoder::new(&part, &part.columns, || Err(String::new())).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
}
