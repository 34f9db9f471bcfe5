//! Tables of expressions and what becomes of them.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn::{lower as lower_case, regexp_like, upper};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Like, Operator, cast, col, ident, lit, not, try_cast};
use portolan_connector::{Capabilities, Domain, Operation, Rule, Verdict};

use super::limits::{MAX_CONJUNCT_LITERAL_BYTES, MAX_DEPTH, MAX_IN_VALUES, MAX_NODES};
use super::{judge, lower};
use crate::{PostgresDialect, RemoteColumn, Vocabulary};

const INTEGER: Domain = Domain("integer");
const FLOAT: Domain = Domain("float");
const TEXT: Domain = Domain("text");
const BOOLEAN: Domain = Domain("boolean");
const CHAR: Domain = Domain("char(n)");
const ENUM: Domain = Domain("enum");
const UUID: Domain = Domain("uuid");
const TIMESTAMP: Domain = Domain("timestamp");
const ROUGH: Domain = Domain("rough number");

fn capabilities() -> Capabilities {
    use Operation as O;
    let mut rules = Vec::new();
    let comparisons = [O::Eq, O::NotEq, O::Lt, O::LtEq, O::Gt, O::GtEq, O::In, O::Between];
    for domain in [INTEGER, FLOAT, TEXT, UUID, TIMESTAMP] {
        rules.extend(comparisons.map(|operation| Rule::exact(operation, Some(domain))));
    }
    rules.extend([O::Eq, O::NotEq, O::In].map(|operation| Rule::exact(operation, Some(ENUM))));
    rules.extend([O::Eq, O::Lt, O::In, O::Between].map(|operation| Rule::pruning(operation, Some(ROUGH))));
    rules.extend([
        Rule::exact(O::Like, Some(TEXT)),
        Rule::exact(O::Like, Some(ENUM)),
        Rule::exact(O::Truth, Some(BOOLEAN)),
        Rule::exact(O::Eq, Some(BOOLEAN)),
        Rule::exact(O::IsNull, None),
        Rule::exact(O::IsNotNull, None),
        Rule::refused(O::Regex, Some(TEXT), "PostgreSQL's regular expressions differ from the engine's"),
        Rule::refused(O::ILike, Some(TEXT), "ILIKE depends on the database's locale"),
        Rule::exact(O::ILike, Some(ENUM)),
        Rule::exact(O::And, None),
        Rule::exact(O::Or, None),
        Rule::exact(O::Not, None),
    ]);
    Capabilities::new(rules)
}

fn columns(name: &str) -> Option<RemoteColumn> {
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
    let column = match name {
        "i" | "i2" => RemoteColumn::new(name, INTEGER, DataType::Int32),
        "big" => RemoteColumn::new(name, INTEGER, DataType::Int64).with_cast("int8"),
        "f" => RemoteColumn::new(name, FLOAT, DataType::Float64),
        "t" | "t2" | "a b" | "we\"ird" => RemoteColumn::new(name, TEXT, DataType::Utf8),
        "n" => RemoteColumn::new(name, TEXT, DataType::Utf8View).with_cast("name"),
        "b" => RemoteColumn::new(name, BOOLEAN, DataType::Boolean),
        "c" => RemoteColumn::new(name, CHAR, DataType::Utf8).with_cast("bpchar"),
        "e" => {
            let labels = ["sad".to_owned(), "ok".to_owned()];
            RemoteColumn::new(name, ENUM, DataType::Utf8).with_cast("\"my schema\".\"mood\"").with_labels(labels)
        }
        "u" => RemoteColumn::new(name, UUID, DataType::Utf8).with_cast("uuid"),
        "ts" => RemoteColumn::new(name, TIMESTAMP, timestamp),
        "r" => RemoteColumn::new(name, ROUGH, DataType::Int64),
        _ => return None,
    };
    Some(column)
}

/// What the source computes: integers and truth values.
fn computed(data_type: &DataType) -> Option<RemoteColumn> {
    Some(match data_type {
        DataType::Boolean => RemoteColumn::new("", BOOLEAN, DataType::Boolean),
        DataType::Int32 | DataType::Int64 => RemoteColumn::new("", INTEGER, data_type.clone()),
        DataType::Utf8 => RemoteColumn::new("", TEXT, DataType::Utf8),
        _ => return None,
    })
}

fn vocabulary(capabilities: &Capabilities) -> Vocabulary<'_> {
    Vocabulary { capabilities, dialect: &PostgresDialect, computed }
}

/// The SQL, or the reason after a mark that no SQL begins with.
fn outcome(expr: &Expr) -> String {
    match lower(expr, &columns, &vocabulary(&capabilities())) {
        Ok(lowered) => lowered.expr.render(&PostgresDialect),
        Err(reason) => format!("! {reason}"),
    }
}

fn check(table: impl IntoIterator<Item = (Expr, &'static str)>) {
    for (expr, expected) in table {
        assert_eq!(outcome(&expr), expected, "{expr}");
    }
}

fn in_list(column: &str, list: Vec<Expr>, negated: bool) -> Expr {
    Expr::InList(InList::new(Box::new(ident(column)), list, negated))
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn like(column: &str, pattern: &str, escape: Option<char>, negated: bool, case_insensitive: bool) -> Expr {
    Expr::Like(Like::new(negated, Box::new(ident(column)), Box::new(lit(pattern)), escape, case_insensitive))
}

#[test]
fn comparisons() {
    check([
        (col("i").eq(lit(1_i32)), r#""i" = '1'::int4"#),
        (col("big").not_eq(lit(i64::MIN)), r#""big" <> '-9223372036854775808'::int8"#),
        (col("i").gt_eq(lit(1_i32)), r#""i" >= '1'::int4"#),
        // A literal on the left changes sides.
        (lit(1_i32).lt(col("i")), r#""i" > '1'::int4"#),
        (lit(1_i32).gt_eq(col("i")), r#""i" <= '1'::int4"#),
        (lit(1_i32).eq(col("i")), r#""i" = '1'::int4"#),
        (col("t").eq(lit("it's")), r#""t" = 'it''s'::text"#),
        // A qualifier is an alias of the statement, not a name of the source.
        (col("alias.i").eq(lit(1_i32)), r#""i" = '1'::int4"#),
        (col("i").alias("x").eq(lit(1_i32).alias("y")), r#""i" = '1'::int4"#),
        (ident("we\"ird").eq(lit("x")), r#""we""ird" = 'x'::text"#),
        (col("i").eq(lit(ScalarValue::Int32(None))), r#""i" = NULL::int4"#),
        (col("i").eq(lit(ScalarValue::Null)), r#""i" = NULL::int4"#),
        (col("big").eq(lit(ScalarValue::Null)), r#""big" = NULL::int8"#),
        (col("b").eq(lit(true)), r#""b" = TRUE"#),
        (col("f").lt(lit(f64::NAN)), r#""f" < 'NaN'::float8"#),
        (col("f").lt(lit(-f64::NAN)), "! the literal is a NaN with a sign or a payload"),
        (col("f").eq(lit(-0.0_f64)), r#""f" = '-0.0'::float8"#),
    ]);
}

#[test]
fn text_is_ordered_by_bytes() {
    check([
        (col("t").lt(lit("m")), r#""t" COLLATE "C" < 'm'::text"#),
        (lit("m").lt_eq(col("t")), r#""t" COLLATE "C" >= 'm'::text"#),
        (col("t").between(lit("a"), lit("z")), r#""t" COLLATE "C" BETWEEN 'a'::text AND 'z'::text"#),
        // A uuid has no collation, and its bytes are in the order of its text.
        (
            col("u").lt(lit("123e4567-e89b-12d3-a456-426655440000")),
            r#""u" < '123e4567-e89b-12d3-a456-426655440000'::uuid"#,
        ),
        // A literal of the type name would be cut off after 63 bytes.
        (col("n").gt(lit("pg_class")), r#""n" COLLATE "C" > 'pg_class'::text"#),
    ]);
}

#[test]
fn columns_compare_when_they_are_of_one_type() {
    check([
        (col("i").lt(col("i2")), r#""i" < "i2""#),
        // The columns may have different collations, and then PostgreSQL fails even on equality.
        (col("t").eq(col("t2")), r#""t" COLLATE "C" = "t2""#),
        (col("i").eq(col("big")), "! the columns i and big are of different types"),
        (col("t").eq(col("u")), "! the columns t and u are of different types"),
        (col("c").eq(col("t")), "! no rule for = on char(n)"),
    ]);
}

#[test]
fn lists_and_ranges() {
    check([
        (in_list("i", vec![lit(1_i32), lit(2_i32)], false), r#""i" IN ('1'::int4, '2'::int4)"#),
        (in_list("i", vec![lit(1_i32), lit(ScalarValue::Int32(None))], true), r#""i" NOT IN ('1'::int4, NULL::int4)"#),
        (in_list("i", vec![], false), "! an empty IN list has no rule"),
        (in_list("i", vec![col("i2")], false), "! the column i2 stands where a literal must"),
        (in_list("f", vec![lit(1.5_f64), lit(-0.0_f64)], false), "! the engine does not find 0 in an IN list with -0"),
        (in_list("f", vec![lit(1.5_f64), lit(0.0_f64)], false), r#""f" IN ('1.5'::float8, '0.0'::float8)"#),
        (in_list("c", vec![lit("x")], false), "! no rule for IN on char(n)"),
        (col("i").between(lit(1_i32), lit(2_i32)), r#""i" BETWEEN '1'::int4 AND '2'::int4"#),
        (
            Expr::Between(Between::new(Box::new(col("i")), true, Box::new(lit(1_i32)), Box::new(lit(2_i32)))),
            r#""i" NOT BETWEEN '1'::int4 AND '2'::int4"#,
        ),
        (col("i").between(lit(1_i32), col("i2")), "! the column i2 stands where a literal must"),
    ]);
}

#[test]
fn like_always_names_its_escape() {
    check([
        (like("t", "a%", None, false, false), r#""t" LIKE 'a%'::text ESCAPE E'\\'"#),
        (like("t", r"50\%", Some('\\'), true, false), r#""t" NOT LIKE E'50\\%'::text ESCAPE E'\\'"#),
        (like("t", r"a\\", None, false, false), r#""t" LIKE E'a\\\\'::text ESCAPE E'\\'"#),
        (like("t", r"a\", None, false, false), "! the pattern ends in an escape character, on which PostgreSQL fails"),
        (like("t", "a!%", Some('!'), false, false), "! the engine's LIKE has no escape character but the backslash"),
        (like("t", "A%", None, false, true), "! ILIKE depends on the database's locale"),
        (like("e", "A%", None, false, true), "! ILIKE has no translation to PostgreSQL"),
        (like("i", "A%", None, false, false), "! no rule for LIKE on integer"),
        (like("e", "s%", None, false, false), "! PostgreSQL does not hold e as text"),
        (like("t", "a\0%", None, false, false), "! PostgreSQL's text cannot hold the literal's NUL character"),
        (
            Expr::Like(Like::new(false, Box::new(col("t")), Box::new(lit(ScalarValue::Utf8(None))), None, false)),
            r#""t" LIKE NULL::text ESCAPE E'\\'"#,
        ),
        (
            like("t", "x", None, false, false).or(col("i").is_null()),
            r#""t" LIKE 'x'::text ESCAPE E'\\' OR "i" IS NULL"#,
        ),
    ]);
}

#[test]
fn truth() {
    check([
        (col("b"), r#""b""#),
        (not(col("b")), r#"NOT ("b")"#),
        (col("b").is_true(), r#""b" IS TRUE"#),
        (col("b").is_not_true(), r#""b" IS NOT TRUE"#),
        (col("b").is_false(), r#""b" IS FALSE"#),
        (col("b").is_not_false(), r#""b" IS NOT FALSE"#),
        (col("b").is_unknown(), r#""b" IS UNKNOWN"#),
        (col("b").is_not_unknown(), r#""b" IS NOT UNKNOWN"#),
        (col("b").is_null(), r#""b" IS NULL"#),
        (col("i").is_not_null(), r#""i" IS NOT NULL"#),
        (col("i").is_true(), "! the column i is not boolean"),
        (lit(true), "TRUE"),
        (lit(false), "FALSE"),
        (lit(ScalarValue::Boolean(None)), "NULL::boolean"),
        (lit(ScalarValue::Null), "NULL::boolean"),
        (lit(1_i32), "! a literal of the type Int32 has no rule here"),
        (col("i").eq(lit(1_i32)).is_true(), r#"("i" = '1'::int4) IS TRUE"#),
    ]);
}

#[test]
fn combinations() {
    let (a, b, c) = (col("i").eq(lit(1_i32)), col("i2").eq(lit(2_i32)), col("b"));
    check([
        (a.clone().or(b.clone()).or(c.clone()), r#""i" = '1'::int4 OR "i2" = '2'::int4 OR "b""#),
        (a.clone().or(b.clone().or(c.clone())), r#""i" = '1'::int4 OR "i2" = '2'::int4 OR "b""#),
        (a.clone().and(b.clone()).or(c.clone()), r#"("i" = '1'::int4 AND "i2" = '2'::int4) OR "b""#),
        (c.clone().and(a.clone().or(b.clone())), r#""b" AND ("i" = '1'::int4 OR "i2" = '2'::int4)"#),
        (not(a.clone().or(b.clone())), r#"NOT ("i" = '1'::int4 OR "i2" = '2'::int4)"#),
        (not(not(a.clone())), r#"NOT (NOT ("i" = '1'::int4))"#),
        (
            a.clone().and(col("i2").between(lit(1_i32), lit(2_i32))),
            r#""i" = '1'::int4 AND ("i2" BETWEEN '1'::int4 AND '2'::int4)"#,
        ),
        // One part without a rule takes the whole with it, and says why.
        (a.or(col("c").eq(lit("x"))), "! no rule for = on char(n)"),
    ]);
}

#[test]
fn what_prunes_does_so_at_the_top_only() {
    let (rough, exact) = (col("r").eq(lit(1_i64)), col("i").eq(lit(1_i32)));
    let verdict = |expr: &Expr| judge(expr, &columns, &vocabulary(&capabilities()));
    assert_eq!(verdict(&exact), Verdict::Exact);
    assert_eq!(verdict(&rough), Verdict::Pruning);
    assert_eq!(verdict(&rough.clone().and(exact.clone())), Verdict::Pruning);
    assert_eq!(verdict(&exact.clone().and(exact.clone())), Verdict::Exact);
    let refused =
        |operation: &str| Verdict::refused(format!("{operation} needs exact parts, and one of them only prunes"));
    assert_eq!(verdict(&rough.clone().or(exact.clone())), refused("OR"));
    assert_eq!(verdict(&not(rough.clone())), refused("NOT"));
    assert_eq!(verdict(&not(rough.clone().and(exact))), refused("NOT"));
    assert_eq!(verdict(&in_list("r", vec![lit(1_i64)], false)), Verdict::Pruning);
    assert_eq!(verdict(&in_list("r", vec![lit(1_i64)], true)), refused("NOT"));
}

#[test]
fn operators_without_a_rule_of_their_own_need_one() {
    let expr = col("i").eq(lit(1_i32));
    let only_eq =
        Capabilities::new(vec![Rule::exact(Operation::Eq, Some(INTEGER)), Rule::exact(Operation::In, Some(INTEGER))]);
    let reason = |expr: Expr| lower(&expr, &columns, &vocabulary(&only_eq)).unwrap_err().to_string();
    assert!(lower(&expr, &columns, &vocabulary(&only_eq)).is_ok());
    assert_eq!(reason(expr.clone().and(expr.clone())), "no rule for AND");
    assert_eq!(reason(expr.clone().or(expr.clone())), "no rule for OR");
    assert_eq!(reason(not(expr)), "no rule for NOT");
    assert_eq!(reason(in_list("i", vec![lit(1_i32)], true)), "no rule for NOT");
}

#[test]
fn casts() {
    let literal = lit(ScalarValue::Utf8View(Some("x".to_owned())));
    check([
        (cast(col("t"), DataType::Utf8View).eq(literal), r#""t" = 'x'::text"#),
        (cast(cast(col("t"), DataType::LargeUtf8), DataType::Utf8View).eq(lit("x")), r#""t" = 'x'::text"#),
        (try_cast(col("t"), DataType::LargeUtf8).eq(lit("x")), r#""t" = 'x'::text"#),
        (col("t").eq(cast(lit("x"), DataType::Utf8View)), r#""t" = 'x'::text"#),
        (cast(col("i"), DataType::Int64).eq(lit(1_i64)), "! no rule for CAST on integer"),
        (try_cast(col("t"), DataType::Int64).eq(lit(1_i64)), "! TRY_CAST(t AS Int64) has no rule"),
        (cast(col("i"), DataType::Utf8).eq(lit("1")), "! no rule for CAST on integer"),
        (cast(cast(col("i"), DataType::Utf8), DataType::Utf8View).eq(lit("1")), "! no rule for CAST on integer"),
        (cast(cast(col("t"), DataType::Int32), DataType::Utf8).eq(lit("1")), "! no rule for CAST on text"),
        (cast(col("t"), DataType::Utf8View).is_null(), r#""t" IS NULL"#),
        (col("i").eq(cast(lit("1"), DataType::Int32)), "! no rule for CAST on text"),
        (cast(col("t"), DataType::Boolean).is_null(), "! no rule for CAST on text"),
    ]);
}

#[test]
fn reasons_name_what_stands_in_the_way() {
    check([
        (col("c").lt(lit("x")), "! no rule for < on char(n)"),
        (lower_case(col("t")).eq(lit("x")), "! no rule for lower on text"),
        (lit("x").eq(upper(col("t"))), "! no rule for lower on text"),
        (
            binary(col("t"), Operator::RegexMatch, lit("^A")),
            "! PostgreSQL's regular expressions differ from the engine's",
        ),
        (
            binary(col("t"), Operator::RegexNotIMatch, lit("^A")),
            "! PostgreSQL's regular expressions differ from the engine's",
        ),
        (regexp_like(col("t"), lit("^A"), None), "! PostgreSQL's regular expressions differ from the engine's"),
        (regexp_like(col("i"), lit("^A"), None), "! no rule for ~ on integer"),
        ((col("i") + lit(1_i32)).eq(lit(2_i32)), "! no rule for + on integer"),
        (binary(col("i"), Operator::IsDistinctFrom, lit(1_i32)), r#""i" IS DISTINCT FROM '1'::int4"#),
        (col("i").eq(lit(1_i64)), "! the literal is of the type Int64 and the column i of Int32"),
        (lit(1_i32).eq(lit(1_i32)), "! a comparison without a column has no rule"),
        (col("missing").eq(lit(1_i32)), "! the source has no column missing"),
        (ident("nul\0").eq(lit(1_i32)), "! a name with a NUL character cannot exist in PostgreSQL"),
        (col("e").eq(lit("sad")), r#""e" = 'sad'::"my schema"."mood""#),
        (col("e").eq(lit("happy")), "! the literal is not a value of the enumeration, and PostgreSQL would fail on it"),
        (col("e").lt(lit("sad")), "! no rule for < on enum"),
        (
            col("u").eq(lit("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11")),
            "! the literal is not a UUID as PostgreSQL prints it",
        ),
    ]);
}

#[test]
fn limits_hold() {
    let values = |count: usize| (0..count).map(|i| lit(i32::try_from(i).unwrap())).collect::<Vec<_>>();
    assert!(
        outcome(&in_list("i", values(MAX_IN_VALUES), false)).starts_with(r#""i" IN (SELECT unnest('{"0","1","2","#)
    );
    check([(in_list("i", values(MAX_IN_VALUES + 1), false), "! the IN list has more than 100000 values")]);

    let nested = |levels: usize| (0..levels).fold(col("b"), |inner, _| not(inner));
    assert!(outcome(&nested(MAX_DEPTH)).starts_with("NOT (NOT ("));
    check([(nested(MAX_DEPTH + 1), "! the condition is nested more than 64 levels deep")]);

    // A chain is one level, from whichever side it grows.
    let part = |i: usize| col("i").eq(lit(i32::try_from(i).unwrap()));
    let left = (0..MAX_DEPTH * 4).fold(col("b"), |chain, i| chain.or(part(i)));
    assert!(outcome(&left).starts_with(r#""b" OR "i" = '0'::int4 OR"#));
    let right = (0..MAX_DEPTH * 4).fold(col("b"), |chain, i| part(i).or(chain));
    assert!(outcome(&right).ends_with(r#""i" = '0'::int4 OR "b""#));

    let doublings = MAX_NODES.ilog2() + 1;
    let too_many = (0..doublings).fold(col("b"), |half, _| half.clone().or(half));
    check([(too_many, "! the condition has more than 200000 parts")]);

    let long = "x".repeat(MAX_CONJUNCT_LITERAL_BYTES);
    assert!(outcome(&col("t").eq(lit(long.as_str()))).starts_with('"'));
    check([(
        col("t").eq(lit(long.as_str())).or(col("t").eq(lit("y"))),
        "! the literals of the condition have more than 4194304 bytes",
    )]);
}
