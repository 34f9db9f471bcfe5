//! Every format, with values of every type.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn bytes(format: Format, look: Look, batches: &[RecordBatch]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = writer(format, &batches[0].schema(), look).unwrap();
    for batch in batches {
        writer.batch(batch, &mut out).unwrap();
    }
    writer.finish(&mut out).unwrap();
    out
}

fn text(format: Format, batch: &RecordBatch) -> String {
    String::from_utf8(bytes(format, Look::default(), std::slice::from_ref(batch))).unwrap()
}

/// The values of a column as text; `None` for NULL.
fn values(array: ArrayRef) -> Vec<Option<String>> {
    (0..array.len())
        .map(|row| {
            let mut out = String::new();
            value::write_text(array.as_ref(), row, &mut out).unwrap().then_some(out)
        })
        .collect()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn numbers_keep_their_digits() {
    assert_eq!(values(Arc::new(Int8Array::from(vec![i8::MIN]))), some(&["-128"]));
    assert_eq!(values(Arc::new(Int16Array::from(vec![i16::MIN]))), some(&["-32768"]));
    assert_eq!(values(Arc::new(Int32Array::from(vec![i32::MAX]))), some(&["2147483647"]));
    assert_eq!(values(Arc::new(Int64Array::from(vec![i64::MIN]))), some(&["-9223372036854775808"]));
    assert_eq!(values(Arc::new(UInt8Array::from(vec![255]))), some(&["255"]));
    assert_eq!(values(Arc::new(UInt16Array::from(vec![65535]))), some(&["65535"]));
    assert_eq!(values(Arc::new(UInt32Array::from(vec![u32::MAX]))), some(&["4294967295"]));
    assert_eq!(values(Arc::new(UInt64Array::from(vec![u64::MAX]))), some(&["18446744073709551615"]));
    assert_eq!(
        values(Arc::new(Float64Array::from(vec![
            0.1,
            3.0,
            -0.0,
            1e15,
            1e300,
            1e-7,
            f64::NAN,
            f64::INFINITY,
            -1.0 / 0.0
        ]))),
        some(&["0.1", "3.0", "-0.0", "1000000000000000.0", "1e300", "1e-7", "NaN", "Infinity", "-Infinity"])
    );
    // The nearest single to 0.1 prints as 0.1, not with the digits of a double.
    assert_eq!(values(Arc::new(Float32Array::from(vec![0.1, 16_777_216.0]))), some(&["0.1", "16777216.0"]));
    let decimals = Decimal128Array::from(vec![120, -5, 0]).with_precision_and_scale(12, 2).unwrap();
    assert_eq!(values(Arc::new(decimals)), some(&["1.20", "-0.05", "0.00"]));
    let whole = Decimal128Array::from(vec![42]).with_precision_and_scale(38, 0).unwrap();
    assert_eq!(values(Arc::new(whole)), some(&["42"]));
    let wide = Decimal256Array::from(vec![i256::from_i128(i128::MAX)]).with_precision_and_scale(76, 3).unwrap();
    assert_eq!(values(Arc::new(wide)), some(&["170141183460469231731687303715884105.727"]));
    let small = Decimal32Array::from(vec![-1]).with_precision_and_scale(9, 9).unwrap();
    assert_eq!(values(Arc::new(small)), some(&["-0.000000001"]));
    let middle = Decimal64Array::from(vec![1_234_567]).with_precision_and_scale(18, 4).unwrap();
    assert_eq!(values(Arc::new(middle)), some(&["123.4567"]));
}

#[test]
fn text_bytes_and_truth() {
    assert_eq!(values(Arc::new(StringArray::from(vec![Some("é"), None]))), [Some("é".to_owned()), None]);
    assert_eq!(values(Arc::new(LargeStringArray::from(vec!["a"]))), some(&["a"]));
    assert_eq!(
        values(Arc::new(StringViewArray::from(vec!["longer than twelve bytes"]))),
        some(&["longer than twelve bytes"])
    );
    assert_eq!(values(Arc::new(BinaryArray::from(vec![&[0u8, 255][..], &[][..]]))), some(&["\\x00ff", "\\x"]));
    assert_eq!(values(Arc::new(LargeBinaryArray::from(vec![&[1u8][..]]))), some(&["\\x01"]));
    assert_eq!(values(Arc::new(BinaryViewArray::from(vec![&[1u8][..]]))), some(&["\\x01"]));
    let fixed = FixedSizeBinaryArray::try_from_iter([[1u8, 2]].iter()).unwrap();
    assert_eq!(values(Arc::new(fixed)), some(&["\\x0102"]));
    assert_eq!(values(Arc::new(BooleanArray::from(vec![true, false]))), some(&["true", "false"]));
    assert_eq!(values(Arc::new(NullArray::new(1))), [None]);
}

#[test]
fn moments_and_spans() {
    assert_eq!(values(Arc::new(Date32Array::from(vec![20_757]))), some(&["2026-10-31"]));
    assert_eq!(values(Arc::new(Date64Array::from(vec![-1]))), some(&["1969-12-31"]));
    assert_eq!(values(Arc::new(Time32SecondArray::from(vec![3_661]))), some(&["01:01:01"]));
    assert_eq!(values(Arc::new(Time32MillisecondArray::from(vec![1]))), some(&["00:00:00.001"]));
    assert_eq!(values(Arc::new(Time64MicrosecondArray::from(vec![1]))), some(&["00:00:00.000001"]));
    assert_eq!(values(Arc::new(Time64NanosecondArray::from(vec![1]))), some(&["00:00:00.000000001"]));
    assert_eq!(values(Arc::new(TimestampSecondArray::from(vec![0]))), some(&["1970-01-01 00:00:00"]));
    assert_eq!(values(Arc::new(TimestampMillisecondArray::from(vec![1]))), some(&["1970-01-01 00:00:00.001"]));
    assert_eq!(values(Arc::new(TimestampNanosecondArray::from(vec![10]))), some(&["1970-01-01 00:00:00.00000001"]));
    let zoned = TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC");
    assert_eq!(values(Arc::new(zoned)), some(&["1970-01-01 00:00:00+00"]));
    assert_eq!(values(Arc::new(DurationMillisecondArray::from(vec![90_061_500]))), some(&["1 day 01:01:01.5"]));
    assert_eq!(values(Arc::new(DurationNanosecondArray::from(vec![0]))), some(&["00:00:00"]));
    assert_eq!(values(Arc::new(IntervalYearMonthArray::from(vec![13]))), some(&["1 year 1 mon"]));
    let days = IntervalDayTimeArray::from(vec![IntervalDayTime::new(2, -1)]);
    assert_eq!(values(Arc::new(days)), some(&["2 days -00:00:00.001"]));
    let months = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(1, 2, 3_000_000_000)]);
    assert_eq!(values(Arc::new(months)), some(&["1 mon 2 days 00:00:03"]));
}

#[test]
fn nested_values_are_json() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    assert_eq!(values(Arc::new(list.clone())), [Some("[1,null]".to_owned()), None, Some("[]".to_owned())]);
    let fixed = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), Some(2)])], 2);
    assert_eq!(values(Arc::new(fixed)), some(&["[1,2]"]));
    let row = StructArray::from(vec![
        (Arc::new(Field::new("a \"b\"", DataType::Utf8, true)), Arc::new(StringArray::from(vec!["x,y"])) as ArrayRef),
        (Arc::new(Field::new("f", DataType::Float64, true)), Arc::new(Float64Array::from(vec![f64::NAN]))),
        (Arc::new(Field::new("d", DataType::Date32, true)), Arc::new(Date32Array::from(vec![0]))),
    ]);
    assert_eq!(values(Arc::new(row)), some(&["{\"a \\\"b\\\"\":\"x,y\",\"f\":\"NaN\",\"d\":\"1970-01-01\"}"]));
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("k");
    map.values().append_value(1 << 60);
    map.append(true).unwrap();
    map.append(true).unwrap();
    assert_eq!(values(Arc::new(map.finish())), some(&["{\"k\":1152921504606846976}", "{}"]));
}

#[test]
fn values_are_found_where_dictionaries_runs_and_unions_keep_them() {
    let dictionary: DictionaryArray<Int8Type> = vec![Some("a"), None, Some("a")].into_iter().collect();
    assert_eq!(values(Arc::new(dictionary)), [Some("a".to_owned()), None, Some("a".to_owned())]);
    let null_entry = DictionaryArray::new(UInt32Array::from(vec![0]), Arc::new(StringArray::from(vec![None::<&str>])));
    assert_eq!(values(Arc::new(null_entry)), [None]);
    let runs = RunArray::try_new(&Int32Array::from(vec![2, 3]), &StringArray::from(vec![Some("x"), None])).unwrap();
    assert_eq!(values(Arc::new(runs)), [Some("x".to_owned()), Some("x".to_owned()), None]);
    let fields =
        UnionFields::try_new([0, 1], [Field::new("i", DataType::Int32, true), Field::new("s", DataType::Utf8, true)])
            .unwrap();
    let union = UnionArray::try_new(
        fields,
        ScalarBuffer::from(vec![1i8, 0]),
        Some(ScalarBuffer::from(vec![0i32, 0])),
        vec![Arc::new(Int32Array::from(vec![7])), Arc::new(StringArray::from(vec!["s"]))],
    )
    .unwrap();
    assert_eq!(values(Arc::new(union)), some(&["s", "7"]));
    let views = ListViewArray::new(
        Arc::new(Field::new_list_field(DataType::Int32, true)),
        ScalarBuffer::from(vec![1i32]),
        ScalarBuffer::from(vec![2i32]),
        Arc::new(Int32Array::from(vec![1, 2, 3])),
        None,
    );
    assert_eq!(values(Arc::new(views)), some(&["[2,3]"]));
    let large = LargeListArray::new(
        Arc::new(Field::new_list_field(DataType::Utf8, true)),
        OffsetBuffer::from_lengths([1]),
        Arc::new(StringArray::from(vec!["a\"b"])),
        None,
    );
    assert_eq!(values(Arc::new(large)), some(&["[\"a\\\"b\"]"]));
}

fn people() -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 20, 300]))),
        ("name", Arc::new(StringArray::from(vec![Some("Ann"), None, Some("漢字 \"x\", y")]))),
        ("note", Arc::new(StringArray::from(vec![Some(""), Some("two\nlines"), Some("tab\there")]))),
    ])
}

#[test]
fn the_table_is_the_one_of_psql() {
    // As psql 15 printed the same rows with `\pset null NULL`, but for spaces at the end of lines.
    let expected = [
        " id  |    name     |     note",
        "-----+-------------+--------------",
        "   1 | Ann         |",
        "  20 | NULL        | two         +",
        "     |             | lines",
        " 300 | 漢字 \"x\", y | tab     here",
        "(3 rows)\n\n",
    ];
    assert_eq!(text(Format::Table, &people()), expected.join("\n"));
}

#[test]
fn tables_without_rows_or_columns() {
    let empty = batch(vec![("a", Arc::new(Int64Array::from(Vec::<i64>::new())))]);
    assert_eq!(text(Format::Table, &empty), " a\n---\n(0 rows)\n\n");
    let one = batch(vec![("a", Arc::new(Int64Array::from(vec![1])))]);
    assert_eq!(text(Format::Table, &one), " a\n---\n 1\n(1 row)\n\n");
    let options = RecordBatchOptions::new().with_row_count(Some(2));
    let bare = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    assert_eq!(text(Format::Table, &bare), "--\n(2 rows)\n\n");
}

#[test]
fn an_expanded_table_lists_the_values() {
    let look = Look { expanded: Expanded::On, ..Look::default() };
    let shown = String::from_utf8(bytes(Format::Table, look.clone(), &[people()])).unwrap();
    // As psql 15 printed the same rows, but for spaces at the end of lines.
    let expected = [
        "-[ RECORD 1 ]------",
        "id   | 1",
        "name | Ann",
        "note |",
        "-[ RECORD 2 ]------",
        "id   | 20",
        "name | NULL",
        "note | two         +",
        "     | lines",
        "-[ RECORD 3 ]------",
        "id   | 300",
        "name | 漢字 \"x\", y",
        "note | tab     here\n\n",
    ];
    assert_eq!(shown, expected.join("\n"));
    let wide = batch(vec![
        ("a", Arc::new(Int64Array::from(vec![1]))),
        ("b_longer_name", Arc::new(StringArray::from(vec!["xxx"]))),
    ]);
    let shown = String::from_utf8(bytes(Format::Table, look.clone(), &[wide])).unwrap();
    assert_eq!(shown.lines().next(), Some("-[ RECORD 1 ]-+----"));
    let none = batch(vec![("a", Arc::new(Int64Array::from(Vec::<i64>::new())))]);
    assert_eq!(String::from_utf8(bytes(Format::Table, look, &[none])).unwrap(), "(0 rows)\n\n");
}

#[test]
fn a_table_expands_by_itself_only_where_it_does_not_fit() {
    let expanded = |width| {
        let look = Look { expanded: Expanded::Auto, width, ..Look::default() };
        String::from_utf8(bytes(Format::Table, look.clone(), &[people()])).unwrap().starts_with("-[")
    };
    // Three columns of 3, 11 and 12 with two spaces each and two bars between them.
    assert!(!expanded(Some(34)));
    assert!(expanded(Some(33)));
    assert!(!expanded(None));
}

#[test]
fn null_is_dimmed_where_there_are_colours() {
    let look = Look { colour: true, ..Look::default() };
    let array = StringArray::from(vec![None, Some("NULL")]);
    let shown = String::from_utf8(bytes(Format::Table, look, &[batch(vec![("a", Arc::new(array))])])).unwrap();
    assert_eq!(shown, "  a\n------\n \u{1b}[2mNULL\u{1b}[0m\n NULL\n(2 rows)\n\n");
}

#[test]
fn null_is_blank_in_lists_of_what_is_there() {
    let look = Look { null: Some(String::new()), ..Look::default() };
    let array = StringArray::from(vec![None, Some("x")]);
    let shown = String::from_utf8(bytes(Format::Table, look, &[batch(vec![("a", Arc::new(array))])])).unwrap();
    assert_eq!(shown, " a\n---\n\n x\n(2 rows)\n\n");
}

#[test]
fn widths_come_from_the_first_rows_and_the_rest_streams() {
    let rows = batch(vec![("a", Arc::new(Int64Array::from((0..1_500).collect::<Vec<i64>>())))]);
    let mut writer = writer(Format::Table, &rows.schema(), Look::default()).unwrap();
    let mut out = Vec::new();
    writer.batch(&rows.slice(0, 999), &mut out).unwrap();
    assert!(out.is_empty());
    writer.batch(&rows.slice(999, 1), &mut out).unwrap();
    assert_eq!(String::from_utf8_lossy(&out).lines().count(), 1_002);
    writer.batch(&rows.slice(1_000, 500), &mut out).unwrap();
    writer.finish(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("\n 999\n 1000\n"), "a wider value is not cut");
    assert!(text.ends_with("\n 1499\n(1500 rows)\n\n"));
}

#[test]
fn csv_is_rfc_4180() {
    assert_eq!(
        text(Format::Csv, &people()),
        "id,name,note\n1,Ann,\"\"\n20,,\"two\nlines\"\n300,\"漢字 \"\"x\"\", y\",tab\there\n"
    );
    let empty = batch(vec![("a,b", Arc::new(Int64Array::from(Vec::<i64>::new())))]);
    assert_eq!(text(Format::Csv, &empty), "\"a,b\"\n");
}

#[test]
fn csv_comes_back_from_a_reader_as_it_was() {
    let rows = people();
    let written = text(Format::Csv, &rows);
    let schema = Arc::new(rows.schema().as_ref().clone());
    let mut reader = arrow::csv::ReaderBuilder::new(schema).with_header(true).build(written.as_bytes()).unwrap();
    let back = reader.next().unwrap().unwrap();
    // The reader does not tell "" from nothing, so only the rows without the empty text are compared.
    assert_eq!(back.slice(1, 2), rows.slice(1, 2));
}

#[test]
fn tsv_escapes_what_separates() {
    assert_eq!(
        text(Format::Tsv, &people()),
        "id\tname\tnote\n1\tAnn\t\n20\t\\N\ttwo\\nlines\n300\t漢字 \"x\", y\ttab\\there\n"
    );
}

fn numbers() -> RecordBatch {
    batch(vec![
        ("big", Arc::new(Int64Array::from(vec![Some((1 << 53) + 1), None])) as ArrayRef),
        ("price", Arc::new(Decimal128Array::from(vec![100, 250]).with_precision_and_scale(10, 2).unwrap())),
        ("x", Arc::new(Float64Array::from(vec![f64::NAN, 0.5]))),
        ("x", Arc::new(BooleanArray::from(vec![true, false]))),
    ])
}

#[test]
fn json_keeps_numbers_exact_and_has_no_name_twice() {
    assert_eq!(
        text(Format::Json, &numbers()),
        "[\n{\"big\":9007199254740993,\"price\":1.00,\"x\":\"NaN\",\"x_2\":true},\n\
         {\"big\":null,\"price\":2.50,\"x\":0.5,\"x_2\":false}\n]\n"
    );
    assert_eq!(
        text(Format::Ndjson, &numbers()).lines().next().unwrap(),
        "{\"big\":9007199254740993,\"price\":1.00,\"x\":\"NaN\",\"x_2\":true}"
    );
    assert_eq!(text(Format::Json, &numbers().slice(0, 0)), "[]\n");
    assert_eq!(text(Format::Ndjson, &numbers().slice(0, 0)), "");
}

#[test]
fn a_failed_query_leaves_json_open() {
    let rows = people();
    let mut writer = writer(Format::Json, &rows.schema(), Look::default()).unwrap();
    let mut out = Vec::new();
    writer.batch(&rows, &mut out).unwrap();
    writer.abort(&mut out).unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&out).is_err());
}

#[test]
fn arrow_streams_come_back_and_a_failed_one_is_an_error() {
    let written = bytes(Format::Arrow, Look::default(), &[people(), people()]);
    let read: Vec<RecordBatch> = arrow::ipc::reader::StreamReader::try_new(written.as_slice(), None)
        .unwrap()
        .map(|batch| batch.unwrap())
        .collect();
    assert_eq!(read, [people(), people()]);

    let mut writer = writer(Format::Arrow, &people().schema(), Look::default()).unwrap();
    let mut out = Vec::new();
    writer.batch(&people(), &mut out).unwrap();
    writer.abort(&mut out).unwrap();
    let mut reader = arrow::ipc::reader::StreamReader::try_new(out.as_slice(), None).unwrap();
    assert!(reader.next().unwrap().is_ok());
    assert!(reader.next().unwrap().is_err());
}

#[test]
fn parquet_comes_back_and_a_failed_one_has_no_footer() {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
    let written = bytes(Format::Parquet, Look::default(), &[people(), people()]);
    let read: Vec<RecordBatch> = ParquetRecordBatchReader::try_new(bytes::Bytes::from(written), 3)
        .unwrap()
        .map(|batch| batch.unwrap())
        .collect();
    assert_eq!(read, [people(), people()]);

    let mut writer = writer(Format::Parquet, &people().schema(), Look::default()).unwrap();
    let mut out = Vec::new();
    writer.batch(&people(), &mut out).unwrap();
    writer.abort(&mut out).unwrap();
    assert!(ParquetRecordBatchReader::try_new(bytes::Bytes::from(out), 3).is_err());
}

#[test]
fn plans_are_printed_line_by_line() {
    let plan = batch(vec![("plan", Arc::new(StringArray::from(vec!["Sort", "└─ lake.sales.orders  (hive)"])))]);
    let look = Look { plain_lines: true, ..Look::default() };
    let shown = String::from_utf8(bytes(Format::Table, look, &[plan])).unwrap();
    assert_eq!(shown, "Sort\n└─ lake.sales.orders  (hive)\n");
}

#[test]
fn rows_that_come_one_by_one_are_shown_at_once() {
    let page = |page: &str| batch(vec![("page", Arc::new(StringArray::from(vec![page])) as ArrayRef)]);
    let look = Look { at_once: true, border: Border::Outer, ..Look::default() };
    let mut writer = writer(Format::Table, &page("").schema(), look).unwrap();
    let mut out = Vec::new();
    for (given, shown) in [
        ("/a", "+------+\n| page |\n+------+\n| /a   |\n"),
        ("/checkout", "| /checkout |\n"),
        // Columns stay as wide as they had to be.
        ("/b", "| /b        |\n"),
    ] {
        out.clear();
        writer.batch(&page(given), &mut out).unwrap();
        assert_eq!(String::from_utf8(out.clone()).unwrap(), shown);
    }
}

fn shown(format: Format, look: Look) -> String {
    let batch = batch(vec![
        ("name", Arc::new(StringArray::from(vec![Some("a|b\n<c>"), None, Some("")])) as ArrayRef),
        ("n", Arc::new(Int32Array::from(vec![Some(1), Some(20), None]))),
    ]);
    String::from_utf8(bytes(format, look, &[batch])).unwrap()
}

#[test]
fn borders_are_those_of_psql() {
    let look = |border| Look { border, ..Look::default() };
    assert_eq!(
        shown(Format::Table, look(Border::None)),
        "name n\n---- ----\na|b +   1\n<c>\nNULL   20\n     NULL\n(3 rows)\n\n".replace("name n\n", "name  n\n")
    );
    assert_eq!(
        shown(Format::Table, look(Border::Outer)),
        "+------+------+\n| name |  n   |\n+------+------+\n| a|b +|    1 |\n| <c>  |      |\n| NULL |   20 |\n\
         |      | NULL |\n+------+------+\n(3 rows)\n\n"
    );
}

#[test]
fn header_and_footer_can_be_left_out() {
    let only = Look { tuples_only: true, ..Look::default() };
    assert_eq!(shown(Format::Table, only.clone()), " a|b +|    1\n <c>  |\n NULL |   20\n      | NULL\n\n");
    assert_eq!(shown(Format::Unaligned, only.clone()), "a|b\n<c>|1\n|20\n|\n");
    assert_eq!(shown(Format::Csv, only.clone()), "\"a|b\n<c>\",1\n,20\n\"\",\n");
    let expanded = Look { expanded: Expanded::On, ..only };
    assert_eq!(shown(Format::Unaligned, expanded), "a|b\n<c>\n1\n\n\n20\n\n\n\n");
    let without = Look { footer: false, ..Look::default() };
    assert!(shown(Format::Table, without).ends_with("      | NULL\n\n"));
}

#[test]
fn what_stands_for_null_can_be_chosen() {
    let look = Look { null: Some("<->".to_owned()), separator: ";".to_owned(), ..Look::default() };
    assert_eq!(shown(Format::Unaligned, look.clone()), "name;n\na|b\n<c>;1\n<->;20\n;<->\n(3 rows)\n");
    assert!(shown(Format::Csv, look.clone()).ends_with("\n<->,20\n\"\",<->\n"));
    assert!(shown(Format::Table, look.clone()).contains("\n <->  |  20\n"));
    assert!(shown(Format::Html, look).contains("<td>&lt;-&gt;</td>"));
}

#[test]
fn markup_keeps_values_in_their_cells() {
    assert_eq!(
        shown(Format::Markdown, Look::default()),
        "| name | n |\n|---|---:|\n| a\\|b<br>&lt;c> | 1 |\n|  | 20 |\n|  |  |\n"
    );
    assert_eq!(
        shown(Format::Html, Look::default()),
        "<table>\n<tr><th>name</th><th>n</th></tr>\n<tr><td>a|b<br>&lt;c&gt;</td><td align=\"right\">1</td></tr>\n\
         <tr><td></td><td align=\"right\">20</td></tr>\n<tr><td></td><td align=\"right\"></td></tr>\n</table>\n"
    );
    assert_eq!(shown(Format::Null, Look::default()), "");
}
