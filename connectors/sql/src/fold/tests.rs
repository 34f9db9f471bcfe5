//! Operators and the SQL that they become.

mod ways;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{DFSchema, JoinType, NullEquality, TableReference};
use datafusion::functions_aggregate::expr_fn::{avg, count, max, min, sum};
use datafusion::logical_expr::logical_plan::builder::build_join_schema;
use datafusion::logical_expr::{Expr, ExprFunctionExt, ExprSchemable, SortExpr, col, lit, when};
use portolan_connector::{Capabilities, Domain, Operation, Reason, Rule};

use super::{JoinOn, JoinSide};
use crate::{PostgresDialect, RemoteColumn, RemoteQuery, SourceId, Typed, Vocabulary};

const INTEGER: Domain = Domain("integer");
const NUMERIC: Domain = Domain("numeric");
const TEXT: Domain = Domain("text");
const BOOLEAN: Domain = Domain("boolean");
const JSON: Domain = Domain("json");

fn capabilities() -> Capabilities {
    use Operation as O;
    let without_operands = [O::And, O::Or, O::Not, O::Count, O::AggregateFilter, O::Join, O::OuterJoin, O::SemiJoin];
    let compared = [O::Eq, O::Lt, O::Gt, O::In, O::IsNull, O::IsNotNull, O::Case, O::GroupBy, O::Sort, O::Min, O::Max];
    let computed = [O::Add, O::Subtract, O::Multiply, O::Cast, O::Sum];
    let mut rules: Vec<Rule> = without_operands.map(|operation| Rule::exact(operation, None)).into();
    rules.push(Rule::exact(O::UnionAll, None));
    for domain in [INTEGER, NUMERIC, TEXT, BOOLEAN] {
        rules.extend(compared.map(|operation| Rule::exact(operation, Some(domain))));
    }
    for domain in [INTEGER, NUMERIC] {
        rules.extend(computed.map(|operation| Rule::exact(operation, Some(domain))));
    }
    rules.push(Rule::refused(O::Avg, Some(INTEGER), "averages differ"));
    rules.push(Rule::refused(O::GroupBy, Some(JSON), "json has no equality"));
    Capabilities::new(rules)
}

fn computed(data_type: &DataType) -> Option<RemoteColumn> {
    let column = match data_type {
        DataType::Int32 => RemoteColumn::new("", INTEGER, DataType::Int32).with_cast("int4"),
        DataType::Int64 => RemoteColumn::new("", INTEGER, DataType::Int64).with_cast("int8"),
        DataType::Decimal128(..) => RemoteColumn::new("", NUMERIC, data_type.clone()).with_cast("numeric"),
        DataType::Boolean => RemoteColumn::new("", BOOLEAN, DataType::Boolean),
        DataType::Utf8 => RemoteColumn::new("", TEXT, DataType::Utf8).with_cast("text"),
        _ => return None,
    };
    Some(column)
}

/// A query, and what the engine calls its columns.
#[derive(Clone)]
struct Relation {
    query: RemoteQuery,
    schema: DFSchema,
}

/// A table of an integer `i`, a big integer `b`, a decimal `d` with two places, a text `t` and a json `j`.
fn table(name: &str) -> Relation {
    let source = SourceId::fresh();
    let columns = [
        RemoteColumn { name: "i".into(), ..computed(&DataType::Int32).unwrap() },
        RemoteColumn { name: "b".into(), ..computed(&DataType::Int64).unwrap() },
        RemoteColumn { name: "d".into(), ..computed(&DataType::Decimal128(15, 2)).unwrap() },
        RemoteColumn { name: "t".into(), ..computed(&DataType::Utf8).unwrap() },
        RemoteColumn::new("j", JSON, DataType::Utf8),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|column| Field::new(&column.name, column.arrow_type.clone(), true)).collect();
    let mut query = RemoteQuery::table(source, "s", name);
    columns.into_iter().for_each(|column| query.push(Typed::column(source, column)));
    let schema = DFSchema::try_from_qualified_schema(name, &Schema::new(fields)).unwrap();
    Relation { query, schema }
}

impl Relation {
    fn sql(&self) -> String {
        self.query.render(&PostgresDialect)
    }

    /// The schema of expressions over this relation, as the planner makes it.
    fn schema_of(&self, exprs: &[Expr]) -> DFSchema {
        let fields = exprs.iter().map(|expr| expr.to_field(&self.schema).unwrap()).collect();
        DFSchema::new_with_metadata(fields, Default::default()).unwrap()
    }

    fn with<T>(&self, fold: impl FnOnce(&Vocabulary<'_>) -> T) -> T {
        let capabilities = capabilities();
        fold(&Vocabulary { capabilities: &capabilities, dialect: &PostgresDialect, computed })
    }

    fn filter(&self, condition: Expr) -> Result<Self, Reason> {
        let query = self.with(|vocabulary| self.query.filter(&condition, &self.schema, vocabulary))?;
        Ok(Self { query, schema: self.schema.clone() })
    }

    fn project(&self, columns: &[Expr]) -> Result<Self, Reason> {
        let schema = self.schema_of(columns);
        let query = self.with(|vocabulary| self.query.project(columns, &self.schema, vocabulary, &schema))?;
        Ok(Self { query, schema })
    }

    fn aggregate(&self, keys: &[Expr], aggregates: &[Expr]) -> Result<Self, Reason> {
        let schema = self.schema_of(&[keys, aggregates].concat());
        let query =
            self.with(|vocabulary| self.query.aggregate(keys, aggregates, &self.schema, vocabulary, &schema))?;
        Ok(Self { query, schema })
    }

    fn sort(&self, keys: &[SortExpr], fetch: Option<usize>) -> Result<Self, Reason> {
        let query = self.with(|vocabulary| self.query.sort(keys, fetch, &self.schema, vocabulary))?;
        Ok(Self { query, schema: self.schema.clone() })
    }

    fn slice(&self, skip: usize, fetch: Option<usize>) -> Self {
        Self { query: self.query.slice(skip, fetch), schema: self.schema.clone() }
    }

    fn join(&self, other: &Self, kind: JoinType, equal: &[(Expr, Expr)], also: Option<Expr>) -> Result<Self, Reason> {
        let left = JoinSide { query: &self.query, schema: &self.schema };
        let right = JoinSide { query: &other.query, schema: &other.schema };
        let on = JoinOn { equal, condition: also.as_ref(), nulls: NullEquality::NullEqualsNothing };
        let schema = match kind {
            JoinType::LeftSemi | JoinType::LeftAnti => self.schema.clone(),
            _ => build_join_schema(&self.schema, &other.schema, &kind).unwrap(),
        };
        let query = self.with(|vocabulary| RemoteQuery::join(left, right, kind, on, vocabulary, &schema))?;
        Ok(Self { query, schema })
    }

    /// The same columns under another name.
    fn called(mut self, name: &str) -> Self {
        let name = TableReference::bare(name);
        self.schema = self.schema.replace_qualifier(name);
        self
    }
}

fn column(table: &str, name: &str) -> Expr {
    col(format!("{table}.{name}"))
}

fn reason<T>(result: Result<T, Reason>) -> String {
    result.err().expect("a refusal").to_string()
}

#[test]
fn projections_are_computed_in_place() {
    let t = table("t");
    let over = t.project(&[(col("t.d") * (lit_decimal(100) - col("t.d"))).alias("charge"), col("t.i")]).unwrap();
    assert_eq!(over.sql(), r#"SELECT "d" * ('1.00'::numeric - "d") AS "charge", "i" FROM "s"."t""#);
    let further = over.project(&[col("i"), (col("charge") + col("charge")).alias("twice")]).unwrap();
    let charge = r#"("d" * ('1.00'::numeric - "d"))"#;
    assert_eq!(further.sql(), format!(r#"SELECT "i", {charge} + {charge} AS "twice" FROM "s"."t""#));
    let some = when(col("t.i").gt(lit(1_i32)), col("t.t")).otherwise(lit("few")).unwrap().alias("some");
    assert_eq!(
        t.project(&[some]).unwrap().sql(),
        r#"SELECT (CASE WHEN "i" > '1'::int4 THEN "t" ELSE 'few'::text END) COLLATE "C" AS "some" FROM "s"."t""#
    );
}

fn lit_decimal(hundredths: i128) -> Expr {
    lit(datafusion::common::ScalarValue::Decimal128(Some(hundredths), 15, 2))
}

#[test]
fn what_may_fail_is_computed_and_not_compared() {
    let t = table("t");
    let sum = col("t.i") + lit(1_i32);
    assert_eq!(t.project(&[sum.clone().alias("n")]).unwrap().sql(), r#"SELECT "i" + '1'::int4 AS "n" FROM "s"."t""#);
    assert_eq!(reason(t.filter(sum.clone().gt(lit(3_i32)))), "it may fail for rows that another condition leaves out");
    let computed = t.project(&[sum.alias("n")]).unwrap();
    assert_eq!(
        reason(computed.filter(col("n").gt(lit(3_i32)))),
        "it may fail for rows that another condition leaves out"
    );
    assert_eq!(
        t.filter((col("t.d") + col("t.d")).gt(lit(datafusion::common::ScalarValue::Decimal128(Some(1), 16, 2))))
            .unwrap()
            .sql(),
        r#"SELECT "i", "b", "d", "t", "j" FROM "s"."t" WHERE ("d" + "d") > '0.01'::numeric"#
    );
}

#[test]
fn groups() {
    let t = table("t").filter(col("t.i").gt(lit(0_i32))).unwrap();
    let grouped = t
        .aggregate(
            &[col("t.t")],
            &[
                count(lit(1_i64)),
                sum(col("t.i")),
                sum(col("t.d")),
                min(col("t.t")),
                count(col("t.b")).distinct().build().unwrap(),
                max(col("t.b")).filter(col("t.i").gt(lit(5_i32))).build().unwrap(),
            ],
        )
        .unwrap();
    assert_eq!(
        grouped.sql(),
        concat!(
            r#"SELECT "t", count(*) AS "count(Int64(1))", sum("i")::int8 AS "sum(t.i)", "#,
            r#"sum("d")::numeric(25,2) AS "sum(t.d)", min("t" COLLATE "C") AS "min(t.t)", "#,
            r#"count(DISTINCT "b") AS "count(DISTINCT t.b)", "#,
            r#"max("b") FILTER (WHERE "i" > '5'::int4) AS "max(t.b) FILTER (WHERE t.i > Int32(5))" "#,
            r#"FROM "s"."t" WHERE "i" > '0'::int4 GROUP BY "t""#
        )
    );
    let t = table("t");
    let totals = t.aggregate(&[col("t.t")], &[sum(col("t.i"))]).unwrap();
    let large = totals.filter(col("sum(t.i)").gt(lit(10_i64))).unwrap();
    let select =
        r#"SELECT "t", sum("i")::int8 AS "sum(t.i)" FROM "s"."t" GROUP BY "t" HAVING sum("i")::int8 > '10'::int8"#;
    assert_eq!(large.sql(), select);
    // A group of groups.
    assert_eq!(
        large.aggregate(&[], &[max(col("sum(t.i)"))]).unwrap().sql(),
        concat!(
            r#"SELECT max(t0."sum(t.i)") AS "max(sum(t.i))" FROM (SELECT t1."t", sum(t1."i")::int8 AS "sum(t.i)" "#,
            r#"FROM "s"."t" AS t1 GROUP BY t1."t" HAVING sum(t1."i")::int8 > '10'::int8) AS t0"#
        )
    );
    assert_eq!(reason(t.aggregate(&[], &[avg(col("t.i"))])), "averages differ");
    assert_eq!(reason(t.aggregate(&[col("t.j")], &[])), "json has no equality");
}

#[test]
fn one_group_stays_one_row_without_its_columns() {
    let total = table("t").aggregate(&[], &[count(lit(1_i64))]).unwrap();
    assert_eq!(
        total.project(&[]).unwrap().sql(),
        r#"SELECT FROM (SELECT count(*) AS "count(Int64(1))" FROM "s"."t" AS t1) AS t0"#
    );
}

#[test]
fn orders_and_limits() {
    let t = table("t").project(&[column("t", "i"), column("t", "t")]).unwrap();
    let first = t.sort(&[col("t").sort(true, false), col("i").sort(false, true)], Some(10)).unwrap();
    let select =
        r#"SELECT "i", "t" FROM "s"."t" ORDER BY "t" COLLATE "C" ASC NULLS LAST, "i" DESC NULLS FIRST LIMIT 10"#;
    assert_eq!(first.sql(), select);
    assert!(first.slice(3, Some(100)).sql().ends_with("NULLS FIRST LIMIT 7 OFFSET 3"));
    assert!(first.slice(0, Some(4)).sql().ends_with("LIMIT 4"));
    assert!(first.slice(20, None).sql().ends_with("LIMIT 0 OFFSET 20"));
    // A filter above a limit is no filter below it.
    assert_eq!(
        first.filter(col("i").gt(lit(1_i32))).unwrap().sql(),
        concat!(
            r#"SELECT t0."i", t0."t" FROM (SELECT t1."i", t1."t" FROM "s"."t" AS t1 ORDER BY t1."t" COLLATE "C" ASC "#,
            r#"NULLS LAST, t1."i" DESC NULLS FIRST LIMIT 10) AS t0 WHERE t0."i" > '1'::int4"#
        )
    );
}

#[test]
fn joins() {
    let (a, b) = (table("a"), table("b").filter(col("b.i").gt(lit(1_i32))).unwrap());
    let on = [(column("a", "i"), column("b", "i"))];
    let columns = [column("a", "t"), column("b", "d")];
    let inner = a.join(&b, JoinType::Inner, &on, None).unwrap().project(&columns).unwrap();
    assert_eq!(
        inner.sql(),
        r#"SELECT t0."t", t1."d" FROM "s"."a" AS t0 JOIN "s"."b" AS t1 ON t0."i" = t1."i" WHERE t1."i" > '1'::int4"#
    );
    // What the right side leaves out finds no partner, and the row of the left side stays.
    let left = a.join(&b, JoinType::Left, &on, Some(column("a", "d").gt(column("b", "d")))).unwrap();
    assert_eq!(
        left.project(&columns).unwrap().sql(),
        concat!(
            r#"SELECT t0."t", t1."d" FROM "s"."a" AS t0 LEFT JOIN "s"."b" AS t1 "#,
            r#"ON t0."i" = t1."i" AND t0."d" > t1."d" AND t1."i" > '1'::int4"#
        )
    );
    let full = a.join(&b, JoinType::Full, &on, None).unwrap();
    assert_eq!(
        full.project(&columns).unwrap().sql(),
        concat!(
            r#"SELECT t0."t", t1."d" FROM "s"."a" AS t0 FULL JOIN (SELECT t2."i", t2."b", t2."d", t2."t", t2."j" "#,
            r#"FROM "s"."b" AS t2 WHERE t2."i" > '1'::int4) AS t1 ON t0."i" = t1."i""#
        )
    );
    assert_eq!(
        reason(a.join(&b, JoinType::Full, &on, Some(column("a", "d").gt(column("b", "d"))))),
        "no rule for a full join by anything but equality"
    );
    let pairs = a.join(&table("b"), JoinType::Inner, &[], None).unwrap().project(&columns).unwrap();
    assert_eq!(pairs.sql(), r#"SELECT t0."t", t1."d" FROM "s"."a" AS t0 CROSS JOIN "s"."b" AS t1"#);
    assert_eq!(
        reason(a.join(&table("b"), JoinType::Inner, &[(column("a", "i"), column("b", "b"))], None)),
        "the columns i and b are of different types"
    );
}

#[test]
fn a_computed_column_is_null_where_an_outer_join_finds_no_row() {
    let one = table("b").project(&[column("b", "i"), lit(1_i32).alias("one")]).unwrap().called("b");
    let on = [(column("a", "i"), column("b", "i"))];
    let joined = table("a").join(&one, JoinType::Left, &on, None).unwrap();
    assert_eq!(
        joined.project(&[column("a", "i"), column("b", "one")]).unwrap().sql(),
        concat!(
            r#"SELECT t0."i", t1."one" FROM "s"."a" AS t0 LEFT JOIN (SELECT t2."i", '1'::int4 AS "one" "#,
            r#"FROM "s"."b" AS t2) AS t1 ON t0."i" = t1."i""#
        )
    );
}

#[test]
fn partners() {
    let (a, b) = (table("a"), table("b").filter(column("b", "t").eq(lit("x"))).unwrap());
    let on = [(column("a", "i"), column("b", "i"))];
    let columns = [column("a", "t")];
    let exists =
        r#"EXISTS (SELECT FROM "s"."b" AS t1 WHERE t1."t" = 'x'::text AND t0."i" = t1."i" AND t0."d" > t1."d")"#;
    let also = || Some(column("a", "d").gt(column("b", "d")));
    let semi = a.join(&b, JoinType::LeftSemi, &on, also()).unwrap().project(&columns).unwrap();
    assert_eq!(semi.sql(), format!(r#"SELECT t0."t" FROM "s"."a" AS t0 WHERE {exists}"#));
    let anti = a.join(&b, JoinType::LeftAnti, &on, also()).unwrap().project(&columns).unwrap();
    assert_eq!(anti.sql(), format!(r#"SELECT t0."t" FROM "s"."a" AS t0 WHERE NOT {exists}"#));
}

#[test]
fn unions() {
    let (a, b) = (table("a").project(&[col("a.i")]).unwrap(), table("b").project(&[col("b.i")]).unwrap());
    let union = |queries: &[&RemoteQuery]| a.with(|vocabulary| RemoteQuery::union_all(queries, vocabulary, &a.schema));
    assert_eq!(
        union(&[&a.query, &b.query]).unwrap().render(&PostgresDialect),
        concat!(
            r#"SELECT t0."i" FROM ((SELECT t1."i" FROM "s"."a" AS t1) UNION ALL "#,
            r#"(SELECT t2."i" FROM "s"."b" AS t2)) AS t0"#
        )
    );
    let wide = table("b").project(&[col("b.b")]).unwrap();
    assert_eq!(
        reason(union(&[&a.query, &wide.query])),
        "the columns of the union are of different types in the source"
    );
}

#[test]
fn names_that_the_source_would_not_keep_apart() {
    let long = "x".repeat(64);
    let t = table("t").project(&[col("t.i").alias(&long), col("t.b").alias("n"), col("t.d").alias("column1")]).unwrap();
    assert_eq!(t.sql(), r#"SELECT "i" AS "column0", "b" AS "n", "d" AS "column1" FROM "s"."t""#);
}

#[test]
fn columns_that_grow_have_an_end() {
    let mut t = table("t").project(&[col("t.d").alias("d")]).unwrap();
    let doubled = || {
        let half = datafusion::logical_expr::cast(col("d"), DataType::Decimal128(15, 2));
        (half.clone() - half).alias("d")
    };
    let end = (0..40).find_map(|_| match t.project(&[doubled()]) {
        Ok(more) => {
            t = more;
            None
        }
        Err(reason) => Some(reason.to_string()),
    });
    assert!(t.sql().len() < 100_000);
    assert_eq!(end.as_deref(), Some("d has more than 2000 parts"));
}

#[test]
fn groups_that_are_looked_for_can_be_computed_one_by_one() {
    let numbers = table("b").aggregate(&[column("b", "i")], &[number_of("b")]).unwrap().called("g");
    let on = [(column("a", "i"), column("g", "i"))];
    let less = column("a", "b").lt(col("g.n"));
    let columns = [column("a", "t")];
    let semi = table("a").join(&numbers, JoinType::LeftSemi, &on, Some(less)).unwrap().project(&columns).unwrap();
    assert_eq!(
        semi.sql(),
        concat!(
            r#"SELECT t0."t" FROM "s"."a" AS t0 WHERE EXISTS (SELECT FROM (SELECT t2."i", count(t2."b") AS "n" "#,
            r#"FROM "s"."b" AS t2 GROUP BY t2."i") AS t1 WHERE t0."i" = t1."i" AND t0."b" < t1."n")"#
        )
    );
    assert_eq!(
        semi.query.correlated().unwrap().render(&PostgresDialect),
        concat!(
            r#"SELECT t0."t" FROM "s"."a" AS t0 WHERE EXISTS (SELECT FROM (SELECT t2."i", count(t2."b") AS "n" "#,
            r#"FROM "s"."b" AS t2 WHERE t0."i" = t2."i" GROUP BY t2."i") AS t1 WHERE t0."b" < t1."n")"#
        )
    );
    // A table is no group, and neither is what is equal to an aggregate.
    let plain = table("a").join(&table("g"), JoinType::LeftSemi, &on, None).unwrap();
    assert_eq!(plain.query.correlated(), None);
    let counted = [(column("a", "b"), col("g.n"))];
    let counted = table("a").join(&numbers, JoinType::LeftSemi, &counted, None).unwrap();
    assert_eq!(counted.query.correlated(), None);
}

fn number_of(table: &str) -> Expr {
    count(column(table, "b")).alias("n")
}
