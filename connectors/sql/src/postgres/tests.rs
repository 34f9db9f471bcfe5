//! Literals by type, and names and texts read back by a lexer of its own.

mod lexer;

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit, i256};
use datafusion::common::ScalarValue;
use portolan_connector::Domain;
use proptest::prelude::*;

use self::lexer::{Token, tokens};
use super::PostgresDialect;
use crate::{CompareOp, Dialect, From, Output, RemoteColumn, RemoteExpr, RemoteQuery, SourceId, Typed};

const ANY: Domain = Domain("any");

/// The SQL of a literal for a column of its own type, or the reason after a mark.
fn written(value: &ScalarValue, cast: Option<&str>) -> String {
    let mut column = RemoteColumn::new("c", ANY, value.data_type());
    column.cast = cast.map(str::to_owned);
    match PostgresDialect.literal(value, &column) {
        Ok(literal) => PostgresDialect.write_literal(&literal),
        Err(reason) => format!("! {reason}"),
    }
}

fn check(table: impl IntoIterator<Item = (ScalarValue, &'static str)>) {
    for (value, expected) in table {
        assert_eq!(written(&value, None), expected, "{value:?}");
    }
}

#[test]
fn numbers() {
    use ScalarValue as S;
    check([
        (S::Boolean(Some(true)), "TRUE"),
        (S::Boolean(None), "NULL::boolean"),
        (S::Int8(Some(-128)), "'-128'::int2"),
        (S::UInt8(Some(255)), "'255'::int2"),
        (S::Int16(Some(i16::MIN)), "'-32768'::int2"),
        (S::UInt16(Some(u16::MAX)), "'65535'::int4"),
        (S::UInt32(Some(u32::MAX)), "'4294967295'::int8"),
        (S::UInt64(Some(u64::MAX)), "'18446744073709551615'::numeric"),
        (S::Float32(Some(0.1)), "'0.1'::float4"),
        (S::Float32(Some(f32::MAX)), "'3.4028235e38'::float4"),
        (S::Float64(Some(0.1)), "'0.1'::float8"),
        (S::Float64(Some(f64::MIN_POSITIVE)), "'2.2250738585072014e-308'::float8"),
        (S::Float64(Some(5e-324)), "'5e-324'::float8"),
        (S::Float64(Some(-0.0)), "'-0.0'::float8"),
        (S::Float64(Some(f64::NAN)), "'NaN'::float8"),
        (S::Float32(Some(f32::INFINITY)), "'Infinity'::float4"),
        (S::Float64(Some(f64::NEG_INFINITY)), "'-Infinity'::float8"),
        (S::Decimal128(Some(12_345), 10, 2), "'123.45'::numeric"),
        (S::Decimal128(Some(-5), 10, 3), "'-0.005'::numeric"),
        (S::Decimal128(Some(0), 10, 2), "'0.00'::numeric"),
        (S::Decimal128(Some(7), 10, 0), "'7'::numeric"),
        (S::Decimal128(Some(-7), 10, -3), "'-7000'::numeric"),
        (S::Decimal128(Some(i128::MIN), 38, 38), "'-1.70141183460469231731687303715884105728'::numeric"),
        (
            S::Decimal256(Some(i256::from_i128(-1)), 76, 76),
            "'-0.0000000000000000000000000000000000000000000000000000000000000000000000000001'::numeric",
        ),
        (S::Decimal32(Some(150), 5, 1), "'15.0'::numeric"),
        (S::Decimal64(None, 5, 1), "NULL::numeric"),
    ]);
}

#[test]
fn texts_and_bytes() {
    use ScalarValue as S;
    let text = |text: &str| S::Utf8(Some(text.to_owned()));
    check([
        (text(""), "''::text"),
        (text("it's"), "'it''s'::text"),
        (text(r"a\'b"), r"E'a\\''b'::text"),
        (text("𝄞 ą\n"), "'𝄞 ą\n'::text"),
        (text("a\0"), "! PostgreSQL's text cannot hold the literal's NUL character"),
        (S::LargeUtf8(Some("x".into())), "'x'::text"),
        (S::Utf8View(None), "NULL::text"),
        (S::Binary(Some(vec![0, 0x7f, 0xff])), r"E'\\x007fff'::bytea"),
        (S::LargeBinary(Some(vec![])), r"E'\\x'::bytea"),
        (S::BinaryView(None), "NULL::bytea"),
        (S::FixedSizeBinary(2, Some(vec![1, 2])), r"E'\\x0102'::bytea"),
        (S::Dictionary(Box::new(DataType::Int32), Box::new(text("x"))), "'x'::text"),
    ]);
    let bytes = Some((0..16).collect());
    assert_eq!(written(&S::FixedSizeBinary(16, bytes), Some("uuid")), "'00010203-0405-0607-0809-0a0b0c0d0e0f'::uuid");
    let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    assert_eq!(written(&text(uuid), Some("uuid")), format!("'{uuid}'::uuid"));
    for spelling in ["a0eebc999c0b4ef8bb6d6bb9bd380a11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "x", ""] {
        assert!(written(&text(spelling), Some("uuid")).starts_with("! "), "{spelling}");
    }
    // As the type of a literal these cut it off or round it.
    assert_eq!(written(&text("x"), Some("char")), "! a text may have no meaning as char");
    assert_eq!(written(&text("x"), Some("varchar(5)")), "! a literal of the type varchar(5) may be rounded or cut off");
    assert_eq!(written(&text("x"), Some("name")), "'x'::text");
    assert_eq!(written(&text("x"), Some("macaddr")), "! a text may have no meaning as macaddr");
    assert_eq!(written(&text("10.0.0.1"), Some("inet")), "'10.0.0.1'::inet");
    assert_eq!(written(&text("10.0.0.1/32"), Some("inet")), "! the literal is not an address as PostgreSQL prints it");
    assert_eq!(written(&text("x"), Some("varchar")), "'x'::varchar");
}

#[test]
fn dates_and_times() {
    use ScalarValue as S;
    const DAY: i64 = 86_400_000_000;
    let utc: Option<Arc<str>> = Some("UTC".into());
    check([
        (S::Date32(Some(0)), "'1970-01-01'::date"),
        (S::Date32(Some(-719_162)), "'0001-01-01'::date"),
        (S::Date32(Some(-719_163)), "'0001-12-31 BC'::date"),
        (S::Date32(Some(-2_440_588)), "'4714-11-24 BC'::date"),
        (S::Date32(Some(-2_440_589)), "! the literal is outside of PostgreSQL's dates, 4714-11-24 BC to 5874897-12-31"),
        (S::Date32(Some(2_145_042_905)), "'5874897-12-31'::date"),
        (
            S::Date32(Some(2_145_042_906)),
            "! the literal is outside of PostgreSQL's dates, 4714-11-24 BC to 5874897-12-31",
        ),
        (S::Time64Microsecond(Some(1)), "'00:00:00.000001'::time"),
        (S::Time64Microsecond(Some(DAY)), "'24:00:00'::time"),
        (S::Time64Microsecond(Some(DAY + 1)), "! the literal is not a time of day"),
        (S::Time64Nanosecond(Some(1_000)), "'00:00:00.000001'::time"),
        (S::Time64Nanosecond(Some(1_001)), "! the literal is finer than PostgreSQL's microseconds"),
        (S::Time32Second(Some(3_661)), "'01:01:01'::time"),
        (S::Time32Millisecond(Some(-1)), "! the literal is not a time of day"),
        (S::TimestampSecond(Some(-1), None), "'1969-12-31 23:59:59'::timestamp"),
        (S::TimestampMillisecond(Some(-1), None), "'1969-12-31 23:59:59.999000'::timestamp"),
        (S::TimestampMicrosecond(Some(-1), utc.clone()), "'1969-12-31 23:59:59.999999+00'::timestamptz"),
        (S::TimestampNanosecond(Some(-1_000), None), "'1969-12-31 23:59:59.999999'::timestamp"),
        (S::TimestampNanosecond(Some(-1), None), "! the literal is finer than PostgreSQL's microseconds"),
        (S::TimestampMicrosecond(Some(i64::MAX), None), "'294247-01-10 04:00:54.775807'::timestamp"),
        (S::TimestampMicrosecond(Some(-2_440_588 * DAY), utc), "'4714-11-24 00:00:00+00 BC'::timestamptz"),
        (
            S::TimestampMicrosecond(Some(-2_440_588 * DAY - 1), None),
            "! the literal is outside of PostgreSQL's timestamps, 4714-11-24 BC to 294276-12-31",
        ),
        (
            S::TimestampSecond(Some(i64::MAX), None),
            "! the literal is outside of PostgreSQL's timestamps, 4714-11-24 BC to 294276-12-31",
        ),
        (S::IntervalYearMonth(Some(1)), "! PostgreSQL has no literal of the type Interval(YearMonth)"),
        (S::DurationSecond(None), "! PostgreSQL has no literal of the type Duration(s)"),
    ]);
}

fn column(name: &str) -> RemoteExpr {
    RemoteExpr::column(SourceId::ALONE, name)
}

fn typed(name: &str) -> Typed {
    Typed::column(SourceId::ALONE, RemoteColumn::new(name, ANY, DataType::Utf8))
}

#[test]
fn queries() {
    let mut query = RemoteQuery::table(SourceId::ALONE, "my schema", "t\"1");
    assert_eq!(query.render(&PostgresDialect), r#"SELECT FROM "my schema"."t""1""#);
    query.push(typed("a.b"));
    let as_text = RemoteExpr::Cast { operand: Box::new(column("mood")), type_name: "text".into() };
    query.outputs.push(Output { name: "mood".into(), value: Typed { expr: as_text, ..typed("mood") } });
    assert_eq!(query.render(&PostgresDialect), r#"SELECT "a.b", "mood"::text AS "mood" FROM "my schema"."t""1""#);
    query.filter = vec![
        RemoteExpr::Or(vec![column("x"), RemoteExpr::IsNull(Box::new(column("y")))]),
        RemoteExpr::Compare {
            op: CompareOp::Lt,
            left: Box::new(column("a.b")),
            right: Box::new(column("z")),
            collation: Some("C".into()),
        },
    ];
    query.limit = Some(10);
    assert_eq!(
        query.render(&PostgresDialect),
        concat!(
            r#"SELECT "a.b", "mood"::text AS "mood" FROM "my schema"."t""1" "#,
            r#"WHERE ("x" OR "y" IS NULL) AND "a.b" COLLATE "C" < "z" LIMIT 10"#
        )
    );
    assert!(query.check(&PostgresDialect).is_ok());
    query.from = From::Table { source: SourceId::ALONE, schema: "s".into(), table: "nul\0".into() };
    assert!(query.check(&PostgresDialect).is_err());
}

#[test]
fn a_long_list_is_one_array() {
    let literal = |text: Option<&str>| {
        let column = RemoteColumn::new("c", ANY, DataType::Utf8);
        PostgresDialect.literal(&ScalarValue::Utf8(text.map(str::to_owned)), &column).unwrap()
    };
    let mut values: Vec<_> =
        ["a,b", "it's", "say \"x\"", "back\\slash", "{}", "NULL", ""].map(Some).map(literal).into();
    values.push(literal(None));
    assert!(PostgresDialect.write_in("c", &values, false).starts_with("c IN ('a,b'::text, "));
    values.resize(32, literal(Some("z")));
    let sql = PostgresDialect.write_in("c", &values, false);
    // In the array a backslash and a quote have a backslash before them; in the E'' string each backslash is doubled.
    let expected = r#"c = ANY (E'{"a,b","it''s","say \\"x\\"","back\\\\slash","{}","NULL","",NULL,"z""#;
    assert!(sql.starts_with(expected), "{sql}");
    assert!(sql.ends_with("}'::text[])"), "{sql}");
    assert!(PostgresDialect.write_in("c", &values, true).starts_with("c <> ALL (E'{"));
    // A very long one is a relation.
    values.resize(2001, literal(Some("z")));
    let sql = PostgresDialect.write_in("c", &values, true);
    assert!(sql.starts_with("c NOT IN (SELECT unnest(E'{") && sql.ends_with("}'::text[]))"), "{sql}");
}

#[test]
fn timestamps_of_every_unit_share_one_type() {
    for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
        let column = RemoteColumn::new("c", ANY, DataType::Timestamp(unit, None));
        let literal = PostgresDialect.literal(&ScalarValue::Null, &column).unwrap();
        assert_eq!(PostgresDialect.write_literal(&literal), "NULL::timestamp");
    }
}

/// Texts made of what is dangerous in SQL, with reserved words and plain unicode between.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "'", "\"", "\\", "\\'", "''", "\"\"", "E'", "e'", "U&\"", "$$", "$a$", "--", "/*", "*/", ";", "\0", "\n", "\r",
            "\t", ".", " ", "%", "_", "::", "(", ")", "\u{feff}", "\u{2028}", "\u{202e}", "\u{ff07}", "\u{2019}", "\u{10ffff}",
        ])
        .prop_map(str::to_owned),
        1 => prop::sample::select(vec!["select", "NULL", "user", "from", "C", "x41", "u0027", "041"]).prop_map(str::to_owned),
        2 => any::<String>(),
    ];
    prop_oneof![
        8 => prop::collection::vec(piece.clone(), 0..12).prop_map(|pieces| pieces.concat()),
        1 => (piece, 1_usize..3_000).prop_map(|(piece, times)| piece.repeat(times)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn texts_read_back(text in hostile()) {
        let column = RemoteColumn::new("c", ANY, DataType::Utf8);
        match PostgresDialect.literal(&ScalarValue::Utf8(Some(text.clone())), &column) {
            Err(reason) => prop_assert!(text.contains('\0'), "{reason}"),
            Ok(literal) => {
                prop_assert!(!text.contains('\0'));
                let sql = PostgresDialect.write_literal(&literal);
                for conforming in [true, false] {
                    let expected = [Token::Text(text.clone()), Token::Other("::".into()), Token::Word("text".into())];
                    prop_assert_eq!(tokens(&sql, conforming), Ok(expected.to_vec()), "{}", sql);
                }
            }
        }
    }

    #[test]
    fn names_read_back(schema in hostile(), table in hostile(), column in hostile()) {
        let mut query = RemoteQuery::table(SourceId::ALONE, schema.clone(), table.clone());
        query.push(typed(&column));
        query.filter = vec![RemoteExpr::IsNull(Box::new(self::column(&column)))];
        let names = [&schema, &table, &column];
        let impossible = names.iter().any(|name| name.is_empty() || name.contains('\0'));
        prop_assert_eq!(query.check(&PostgresDialect).is_err(), impossible);
        if impossible {
            return Ok(());
        }
        let word = |word: &str| Token::Word(word.to_ascii_lowercase());
        let expected = vec![
            word("select"), Token::Name(column.clone()), word("from"), Token::Name(schema), Token::Other(".".into()),
            Token::Name(table), word("where"), Token::Name(column), word("is"), word("null"),
        ];
        prop_assert_eq!(tokens(&query.render(&PostgresDialect), true), Ok(expected));
    }

    #[test]
    fn bytes_read_back(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let sql = written(&ScalarValue::Binary(Some(bytes.clone())), None);
        for conforming in [true, false] {
            let Ok(tokens) = tokens(&sql, conforming) else { return Err(TestCaseError::fail(sql)); };
            let Some(Token::Text(text)) = tokens.first() else { return Err(TestCaseError::fail(sql)); };
            let digits = text.strip_prefix("\\x").unwrap();
            let read: Vec<u8> = digits
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect();
            prop_assert_eq!(&read, &bytes);
        }
    }

    #[test]
    fn floats_read_back(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        let sql = written(&ScalarValue::Float64(Some(value)), None);
        let text = sql.strip_prefix('\'').and_then(|sql| sql.strip_suffix("'::float8")).unwrap();
        let read: f64 = text.parse().unwrap();
        prop_assert!(value.is_nan() && read.is_nan() || read.to_bits() == value.to_bits(), "{}", text);
        let narrow = f32::from_bits(u32::try_from(bits >> 32).unwrap());
        let sql = written(&ScalarValue::Float32(Some(narrow)), None);
        let text = sql.strip_prefix('\'').and_then(|sql| sql.strip_suffix("'::float4")).unwrap();
        let read: f32 = text.parse().unwrap();
        prop_assert!(narrow.is_nan() && read.is_nan() || read.to_bits() == narrow.to_bits(), "{}", text);
    }

    #[test]
    fn decimals_read_back(value in any::<i128>(), scale in 0_i8..38) {
        let sql = written(&ScalarValue::Decimal128(Some(value), 38, scale), None);
        let text = sql.strip_prefix('\'').and_then(|sql| sql.strip_suffix("'::numeric")).unwrap();
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        prop_assert_eq!(fraction.len(), usize::from(scale.unsigned_abs()));
        prop_assert!(!whole.trim_start_matches('-').is_empty());
        let read: i128 = format!("{whole}{fraction}").parse().unwrap();
        prop_assert_eq!(read, value);
    }
}
