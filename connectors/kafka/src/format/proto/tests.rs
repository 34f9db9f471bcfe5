//! Messages that another library has written.

use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, MapKey, ReflectMessage, Value};

use super::*;
use crate::layout::MessageColumn;
use crate::registry::Reference;

const SHOP: &str = r#"
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

message Other { string x = 1; }

message Click {
  bool b = 1; int32 i = 2; int64 l = 3; uint32 u = 4; uint64 ul = 5; sint32 s = 6; sint64 sl = 7;
  fixed32 f = 8; fixed64 fl = 9; sfixed32 sf = 10; sfixed64 sfl = 11; float x = 12; double d = 13;
  string t = 14; bytes y = 15; optional int32 maybe = 16;
  enum Action { VIEW = 0; BUY = 1; }
  Action action = 17;
  repeated int32 numbers = 18;
  repeated string tags = 19;
  map<string, int64> counts = 20;
  map<int32, Place> places = 21;
  message Place { string city = 1; double lat = 2; }
  Place place = 22;
  oneof who { string name = 23; int64 id = 24; }
  google.protobuf.Timestamp at = 25;
  google.protobuf.StringValue note = 26;
  repeated Place all = 27;
}
"#;

/// The columns of a message of the schema.
fn columns_of(text: &str, message: Option<&str>) -> Vec<MessageColumn> {
    columns(text, &[], message).unwrap().columns
}

fn written(text: &str, name: &str, set: impl FnOnce(&mut DynamicMessage)) -> Vec<u8> {
    let mut message = DynamicMessage::new(Compiled::new(text, &[]).unwrap().message(Some(name)).unwrap());
    set(&mut message);
    message.encode_to_vec()
}

fn read(columns: &[MessageColumn], bytes: &[u8]) -> Result<Vec<(String, Cell<'static>)>, String> {
    let mut cells = Vec::new();
    let mut reader = ProtoReader::of_text(columns, SHOP, &[], Some("Click")).unwrap();
    match reader.read(bytes, &mut cells) {
        Ok(()) => {}
        Err(Fault::Message(message)) => return Err(message),
        Err(other) => panic!("{other:?}"),
    }
    // Cells borrow the bytes; what is compared does not.
    let cells = cells.iter().map(owned);
    Ok(columns.iter().map(|column| column.name.clone()).zip(cells).collect())
}

fn owned(cell: &Cell<'_>) -> Cell<'static> {
    match cell {
        Cell::Null => Cell::Null,
        Cell::Boolean(value) => Cell::Boolean(*value),
        Cell::Integer(value) => Cell::Integer(*value),
        Cell::Decimal(value) => Cell::Decimal(*value),
        Cell::Real(value) => Cell::Real(*value),
        Cell::Double(value) => Cell::Double(*value),
        Cell::Text(text) => Cell::Text(text.to_string().into()),
        Cell::Bytes(bytes) => Cell::Bytes(bytes.to_vec().into()),
        Cell::List(cells) => Cell::List(cells.iter().map(owned).collect()),
        Cell::Entries(entries) => {
            Cell::Entries(entries.iter().map(|(key, cell)| (key.to_string().into(), owned(cell))).collect())
        }
        Cell::Fields(cells) => Cell::Fields(cells.iter().map(owned).collect()),
    }
}

fn of<'a>(cells: &'a [(String, Cell<'static>)], name: &str) -> &'a Cell<'static> {
    &cells.iter().find(|(known, _)| known == name).unwrap().1
}

#[test]
fn columns_by_the_types_of_fields() {
    let types: Vec<String> = columns_of(SHOP, Some("shop.Click"))
        .iter()
        .map(|column| format!("{} {}", column.name, column.value_type))
        .collect();
    assert_eq!(
        types.join(", "),
        "b boolean, i integer, l bigint, u bigint, ul decimal(20,0), s integer, sl bigint, f bigint, fl decimal(20,0), \
         sf integer, sfl bigint, x real, d double, t varchar, y varbinary, maybe integer, action varchar, \
         numbers array(integer), tags array(varchar), counts map(varchar, bigint), \
         places map(varchar, row(city varchar, lat double)), place row(city varchar, lat double), name varchar, id bigint, \
         at timestamp(9) with time zone, note varchar, all array(row(city varchar, lat double))"
    );
    // The first message of the file, if none is said.
    assert_eq!(columns_of(SHOP, None).len(), 1);
    let recursive = "syntax = \"proto3\"; message Node { int32 n = 1; Node next = 2; repeated Node all = 3; }";
    let found = columns(recursive, &[], None).unwrap();
    assert_eq!(found.columns.len(), 1);
    assert_eq!(found.unsupported.len(), 2);
    assert!(found.unsupported[0].2.contains("contains itself"), "{:?}", found.unsupported);
    for (text, part) in [
        ("message {", "not valid"),
        ("syntax = \"proto3\"; message A { Missing m = 1; }", "Missing"),
        ("syntax = \"proto3\"; import \"elsewhere.proto\";", "elsewhere.proto"),
        ("syntax = \"proto3\";", "no message"),
    ] {
        let error = columns(text, &[], None).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    assert!(columns(SHOP, &[], Some("Nobody")).unwrap_err().contains("no message Nobody"));
}

#[test]
fn every_type_as_it_was_written() {
    let columns = columns_of(SHOP, Some("Click"));
    let bytes = written(SHOP, "shop.Click", |message| {
        let place = message.descriptor().get_field_by_name("place").unwrap();
        let place = |city: &str, lat: f64| {
            let prost_reflect::Kind::Message(kind) = place.kind() else { panic!() };
            let mut made = DynamicMessage::new(kind);
            made.set_field_by_name("city", Value::String(city.to_owned()));
            made.set_field_by_name("lat", Value::F64(lat));
            Value::Message(made)
        };
        for (name, value) in [
            ("b", Value::Bool(true)),
            ("i", Value::I32(-7)),
            ("l", Value::I64(i64::MIN)),
            ("u", Value::U32(u32::MAX)),
            ("ul", Value::U64(u64::MAX)),
            ("s", Value::I32(i32::MIN)),
            ("sl", Value::I64(-1)),
            ("f", Value::U32(u32::MAX)),
            ("fl", Value::U64(u64::MAX)),
            ("sf", Value::I32(-2)),
            ("sfl", Value::I64(-3)),
            ("x", Value::F32(0.5)),
            ("d", Value::F64(-1e300)),
            ("t", Value::String("é".to_owned())),
            ("y", Value::Bytes(vec![0, 255].into())),
            ("maybe", Value::I32(0)),
            ("action", Value::EnumNumber(1)),
            ("numbers", Value::List(vec![Value::I32(1), Value::I32(-1), Value::I32(300)])),
            ("tags", Value::List(vec![Value::String("a".to_owned()), Value::String(String::new())])),
            ("counts", Value::Map([(MapKey::String("k".to_owned()), Value::I64(9))].into())),
            ("places", Value::Map([(MapKey::I32(-4), place("Ulm", 48.4))].into())),
            ("place", place("Bonn", 50.7)),
            ("id", Value::I64(12)),
            ("all", Value::List(vec![place("", 0.0), place("Ulm", 1.0)])),
        ] {
            message.set_field_by_name(name, value);
        }
        let fill = |message: &mut DynamicMessage, field: &str, values: &[(&str, Value)]| {
            let prost_reflect::Kind::Message(kind) = message.descriptor().get_field_by_name(field).unwrap().kind()
            else {
                panic!()
            };
            let mut made = DynamicMessage::new(kind);
            values.iter().for_each(|(name, value)| made.set_field_by_name(name, value.clone()));
            message.set_field_by_name(field, Value::Message(made));
        };
        fill(message, "at", &[("seconds", Value::I64(1_700_000_000)), ("nanos", Value::I32(5))]);
        fill(message, "note", &[]);
    });
    let cells = read(&columns, &bytes).unwrap();
    let place = |city: &'static str, lat| Cell::Fields(vec![Cell::Text(city.into()), Cell::Double(lat)]);
    for (name, cell) in [
        ("b", Cell::Boolean(true)),
        ("i", Cell::Integer(-7)),
        ("l", Cell::Integer(i64::MIN)),
        ("u", Cell::Integer(u32::MAX.into())),
        ("ul", Cell::Decimal(u64::MAX.into())),
        ("s", Cell::Integer(i32::MIN.into())),
        ("sl", Cell::Integer(-1)),
        ("f", Cell::Integer(u32::MAX.into())),
        ("fl", Cell::Decimal(u64::MAX.into())),
        ("sf", Cell::Integer(-2)),
        ("sfl", Cell::Integer(-3)),
        ("x", Cell::Real(0.5)),
        ("d", Cell::Double(-1e300)),
        ("t", Cell::Text("é".into())),
        ("y", Cell::Bytes(vec![0, 255].into())),
        ("maybe", Cell::Integer(0)),
        ("action", Cell::Text("BUY".into())),
        ("numbers", Cell::List(vec![Cell::Integer(1), Cell::Integer(-1), Cell::Integer(300)])),
        ("tags", Cell::List(vec![Cell::Text("a".into()), Cell::Text("".into())])),
        ("counts", Cell::Entries(vec![("k".into(), Cell::Integer(9))])),
        ("places", Cell::Entries(vec![("-4".into(), place("Ulm", 48.4))])),
        ("place", place("Bonn", 50.7)),
        ("name", Cell::Null),
        ("id", Cell::Integer(12)),
        ("at", Cell::Integer(1_700_000_000_000_000_005)),
        ("note", Cell::Text("".into())),
        ("all", Cell::List(vec![place("", 0.0), place("Ulm", 1.0)])),
    ] {
        assert_eq!(*of(&cells, name), cell, "{name}");
    }
}

#[test]
fn what_is_not_written_has_its_default_or_is_null_where_that_can_be_told() {
    let columns = columns_of(SHOP, Some("Click"));
    let cells = read(&columns, &[]).unwrap();
    for (name, cell) in [
        ("b", Cell::Boolean(false)),
        ("ul", Cell::Decimal(0)),
        ("t", Cell::Text("".into())),
        ("y", Cell::Bytes(Vec::new().into())),
        ("maybe", Cell::Null),
        ("action", Cell::Text("VIEW".into())),
        ("numbers", Cell::List(Vec::new())),
        ("counts", Cell::Entries(Vec::new())),
        ("place", Cell::Null),
        ("name", Cell::Null),
        ("at", Cell::Null),
        ("note", Cell::Null),
    ] {
        assert_eq!(*of(&cells, name), cell, "{name}");
    }
    let two = "syntax = \"proto2\"; message M { optional int32 a = 1; optional int32 b = 2 [default = 7]; }";
    let columns = columns_of(two, None);
    let mut cells = Vec::new();
    ProtoReader::of_text(&columns, two, &[], None).unwrap().read(&[], &mut cells).unwrap();
    assert_eq!(cells, [Cell::Null, Cell::Integer(7)]);
}

#[test]
fn fields_in_whatever_order_and_number() {
    let all = columns_of(SHOP, Some("Click"));
    let some = |names: &[&str]| -> Vec<MessageColumn> {
        names.iter().map(|name| all.iter().find(|column| column.name == *name).unwrap().clone()).collect()
    };
    // Field 2 twice: the last time counts. Field 99, a group 98 and field 3 as bytes are passed over.
    let bytes = [0x10, 1, 0x98, 6, 5, 0x93, 6, 0x08, 1, 0x94, 6, 0x1a, 1, b'x', 0x10, 2];
    assert_eq!(read(&some(&["l", "i"]), &bytes).unwrap()[1].1, Cell::Integer(2));
    assert_eq!(read(&some(&["l", "i"]), &bytes).unwrap()[0].1, Cell::Integer(0));
    // A list is packed, and goes on one by one; of a oneof the last counts; messages are put together.
    let bytes = [0x92, 1, 2, 1, 2, 0x90, 1, 3];
    let numbers = Cell::List(vec![Cell::Integer(1), Cell::Integer(2), Cell::Integer(3)]);
    assert_eq!(read(&some(&["numbers"]), &bytes).unwrap()[0].1, numbers);
    let bytes = [0xba, 1, 1, b'n', 0xc0, 1, 5];
    let both = read(&some(&["name", "id"]), &bytes).unwrap();
    assert_eq!((&both[0].1, &both[1].1), (&Cell::Null, &Cell::Integer(5)));
    // Whatever is asked for: a name that is no longer there is none where nobody asks for the number.
    assert_eq!(read(&some(&["name"]), &bytes).unwrap()[0].1, Cell::Null);
    assert_eq!(read(&some(&["id"]), &bytes).unwrap()[0].1, Cell::Integer(5));
    let back = [0xc0, 1, 5, 0xba, 1, 1, b'n'];
    assert_eq!(read(&some(&["name"]), &back).unwrap()[0].1, Cell::Text("n".into()));
    // Bytes of the number's field that are written as those of a text are none of its values.
    let odd = [0xba, 1, 1, b'n', 0xc2, 1, 1, 5];
    assert_eq!(read(&some(&["name"]), &odd).unwrap()[0].1, Cell::Text("n".into()));
    assert_eq!(read(&some(&["name", "id"]), &odd).unwrap()[0].1, Cell::Text("n".into()));
    let bytes = [0xb2, 1, 3, 0x0a, 1, b'U', 0xb2, 1, 9, 0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f];
    let place = Cell::Fields(vec![Cell::Text("U".into()), Cell::Double(1.0)]);
    assert_eq!(read(&some(&["place"]), &bytes).unwrap()[0].1, place);
    // An entry without a value, and a key twice.
    let bytes = [0xa2, 1, 3, 0x0a, 1, b'a', 0xa2, 1, 5, 0x0a, 1, b'b', 0x10, 1, 0xa2, 1, 5, 0x0a, 1, b'a', 0x10, 2];
    let counts = Cell::Entries(vec![("b".into(), Cell::Integer(1)), ("a".into(), Cell::Integer(2))]);
    assert_eq!(read(&some(&["counts"]), &bytes).unwrap()[0].1, counts);
    // Entries of which no value is written have that of no bytes.
    let text =
        "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/wrappers.proto\";
        message M { map<string, google.protobuf.Timestamp> t = 1; map<string, google.protobuf.Int32Value> w = 2; }";
    let bytes = [0x0a, 3, 0x0a, 1, b'a', 0x12, 3, 0x0a, 1, b'a'];
    let mut cells = Vec::new();
    ProtoReader::of_text(&columns_of(text, None), text, &[], None).unwrap().read(&bytes, &mut cells).unwrap();
    let entry = Cell::Entries(vec![("a".into(), Cell::Integer(0))]);
    assert_eq!(cells, [entry.clone(), entry]);
    // A number that the enum does not name.
    assert_eq!(read(&some(&["action"]), &[0x88, 1, 9]).unwrap()[0].1, Cell::Text("9".into()));
}

#[test]
fn what_is_no_message() {
    let columns = columns_of(SHOP, Some("Click"));
    for (bytes, part) in [
        (&[0x72, 5, b'a'][..], "a value of 5 bytes begins at byte 2 and the message ends at 3"),
        (&[0x72, 1, 0xff], "the text before byte 3 is not UTF-8"),
        (&[0x0f], "is written as 7, which is no way to"),
        (&[0x00], "has the number 0"),
        (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "more than 64 bits"),
        (&[0x9b, 6, 0x08, 1], "begins at byte 4 and the message ends at 4"),
        (&[0x9c, 6], "a group ends before byte 2"),
        (&[0xca, 1, 3, 0x10, 0xff, 0x01, 0xff], "a value of 1 bytes begins"),
        (&[0xca, 1, 11, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x10], "begins at byte 11"),
        (
            &[0xca, 1, 10, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            "is out of range for timestamp(9)",
        ),
    ] {
        let error = read(&columns, bytes).unwrap_err();
        assert!(error.contains(part), "{bytes:?}: {error}");
    }
    let deep: Vec<u8> = std::iter::repeat_n([0x9b, 6], 100).flatten().collect();
    assert!(read(&columns, &deep).unwrap_err().contains("deeper than 64"));
}

#[test]
fn messages_of_many_values_are_bounded() {
    let columns: Vec<_> = columns_of(SHOP, Some("Click"));
    let of = |name: &str| vec![columns.iter().find(|column| column.name == name).unwrap().clone()];
    // Three bytes are an empty message, which has a value for each of its two fields all the same.
    let empty = |count: usize| [0xda, 1, 0].repeat(count);
    assert!(matches!(&read(&of("all"), &empty(300_000)).unwrap()[0].1, Cell::List(list) if list.len() == 300_000));
    let error = read(&of("all"), &empty(400_000)).unwrap_err();
    assert!(error.contains("it has more than 1000000 values"), "{error}");
    // Where the column is not asked for, nothing is made of it.
    assert!(read(&of("t"), &empty(400_000)).is_ok());
    let entries = [0xaa, 1, 2, 0x08, 7].repeat(400_000);
    assert!(read(&of("places"), &entries).unwrap_err().contains("it has more than 1000000 values"));
}

#[test]
fn places_of_messages_in_their_schemas() {
    let compiled = Compiled::new(SHOP, &[]).unwrap();
    assert_eq!(compiled.names_at(&[0]), ["shop.Other"; 2]);
    assert_eq!(compiled.names_at(&[2]), [""; 0]);
    // One number is written shortly where it is 0; numbers are zigzag encoded.
    assert_eq!(read::place(&[0, 9]).unwrap(), (vec![0], &[9][..]));
    assert_eq!(read::place(&[4, 2, 0, 9]).unwrap(), (vec![1, 0], &[9][..]));
    assert!(read::place(&[4, 2]).is_err());
    assert!(read::place(&[1]).unwrap_err().contains("has -1"));
    let name = compiled.message(Some("Click")).unwrap().child_messages().position(|child| child.name() == "Place");
    assert!(compiled.names_at(&[1, name.unwrap()]).contains(&"shop.Click.Place".to_owned()));
    // Some serializers count the messages that maps are made of, and Java's does not.
    let text = "syntax = \"proto3\"; message A { map<string, int32> m = 1; message B {} message C {} }";
    let within = Compiled::new(text, &[]).unwrap();
    assert_eq!(within.names_at(&[0, 0]), ["A.B"]);
    assert_eq!(within.names_at(&[0, 2]), ["A.C"]);
    assert!(within.names_at(&[0, 1]).contains(&"A.C".to_owned()), "{:?}", within.names_at(&[0, 1]));
    let geo = Reference {
        name: "geo.proto".to_owned(),
        text: "syntax = \"proto3\"; package geo; message City { string n = 1; }".to_owned(),
    };
    let home = "syntax = \"proto3\"; import \"geo.proto\"; message Home { geo.City city = 1; }";
    assert_eq!(columns(home, &[geo], None).unwrap().columns[0].value_type.to_string(), "row(n varchar)");
}
