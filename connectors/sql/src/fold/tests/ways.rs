//! Other ways to write a query, and expressions that are written so that the source does less.

use super::*;
use crate::RemoteExpr;

fn ways(relation: &Relation) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for way in relation.query.ways_to_write(&PostgresDialect) {
        texts.push(way.render(&PostgresDialect));
    }
    texts
}

#[test]
fn a_join_with_one_value_is_a_comparison_with_it() {
    let most = table("b").aggregate(&[], &[max(column("b", "i")).alias("most")]).unwrap().called("m");
    let on = [(column("a", "i"), col("m.most"))];
    let joined = table("a").join(&most, JoinType::Inner, &on, None).unwrap();
    let texts = joined.project(&[column("a", "t")]).unwrap();
    assert_eq!(
        ways(&texts),
        [
            r#"SELECT t0."t" FROM "s"."a" AS t0 WHERE t0."i" = (SELECT max(t1."i") FROM "s"."b" AS t1)"#,
            concat!(
                r#"SELECT t0."t" FROM "s"."a" AS t0 JOIN (SELECT max(t2."i") AS "most" FROM "s"."b" AS t2) AS t1 "#,
                r#"ON t0."i" = t1."most""#
            )
        ]
    );
    // What is read twice would be computed twice.
    assert_eq!(joined.query.with_scalars(), None);
    // A row without a partner stays in an outer join.
    let outer = table("a").join(&most, JoinType::Left, &on, None).unwrap().project(&[column("a", "t")]).unwrap();
    assert_eq!(outer.query.with_scalars(), None);
    // Groups may be many, or none.
    let groups = table("b").aggregate(&[column("b", "b")], &[max(column("b", "i")).alias("most")]).unwrap();
    let some = groups.project(&[col("most")]).unwrap().called("m");
    let joined = table("a").join(&some, JoinType::Inner, &on, None).unwrap().project(&[column("a", "t")]).unwrap();
    assert_eq!(joined.query.with_scalars(), None);
    let none = most.filter(col("m.most").gt(lit(7_i32))).unwrap();
    let joined = table("a").join(&none, JoinType::Inner, &on, None).unwrap().project(&[column("a", "t")]).unwrap();
    assert_eq!(joined.query.with_scalars(), None);
}

#[test]
fn the_value_of_a_value() {
    let most = table("c").aggregate(&[], &[max(column("c", "i")).alias("most")]).unwrap().called("m");
    let on = [(column("b", "i"), col("m.most"))];
    let b = table("b").join(&most, JoinType::Inner, &on, None).unwrap();
    let least = b.aggregate(&[], &[min(column("b", "b")).alias("least")]).unwrap().called("l");
    let a = table("a").join(&least, JoinType::Inner, &[(column("a", "b"), col("l.least"))], None).unwrap();
    assert_eq!(
        ways(&a.project(&[column("a", "t")]).unwrap())[0],
        concat!(
            r#"SELECT t0."t" FROM "s"."a" AS t0 WHERE t0."b" = (SELECT min(t1."b") FROM "s"."b" AS t1 "#,
            r#"WHERE t1."i" = (SELECT max(t2."i") FROM "s"."c" AS t2))"#
        )
    );
}

/// A query of which the engine put the common part where it was named.
fn twice() -> (Relation, Relation) {
    let totals = |name: &str, aggregates: &[Expr]| {
        let rows = table("t").filter(col("t.i").gt(lit(0_i32))).unwrap();
        rows.aggregate(&[col("t.b")], aggregates).unwrap().called(name)
    };
    let all = totals("u", &[sum(col("t.d")).alias("total"), count(lit(1_i64)).alias("rows")]);
    let one = totals("v", &[sum(col("t.d")).alias("sum")]).project(&[col("v.sum")]).unwrap().called("v");
    (all, one)
}

#[test]
fn what_is_computed_twice_has_a_name() {
    let (all, one) = twice();
    let most = one.aggregate(&[], &[max(col("v.sum")).alias("most")]).unwrap().called("m");
    let on = [(col("u.total"), col("m.most"))];
    let best = all.join(&most, JoinType::Inner, &on, None).unwrap().project(&[col("u.b"), col("u.total")]).unwrap();
    let texts = ways(&best);
    assert_eq!(
        texts[0],
        concat!(
            r#"WITH "shared by the query 0" AS (SELECT t0."b", sum(t0."d")::numeric(25,2) AS "total", "#,
            r#"count(*) AS "rows" FROM "s"."t" AS t0 WHERE t0."i" > '0'::int4 GROUP BY t0."b") "#,
            r#"SELECT t1."b", t1."total" FROM "shared by the query 0" AS t1 ("b", "total", "rows") "#,
            r#"WHERE t1."total" = (SELECT max(t2."sum") FROM "shared by the query 0" AS t2 ("unread0", "sum", "unread1"))"#
        )
    );
    assert_eq!(texts.len(), 3);
    assert!(!texts[1].contains("WITH") && texts[1].contains("= (SELECT max("));
    assert_eq!(texts[2], best.sql());
}

#[test]
fn what_only_looks_alike_is_computed_for_each() {
    let (all, _) = twice();
    let other = table("t").filter(col("t.i").gt(lit(1_i32))).unwrap();
    let other = other.aggregate(&[col("t.b")], &[sum(col("t.d")).alias("sum")]).unwrap().called("v");
    let on = [(col("u.b"), col("v.b"))];
    assert_eq!(all.join(&other, JoinType::Inner, &on, None).unwrap().query.with_shared(&PostgresDialect), None);
    // Groups that depend on the row that looks for them are others for each row.
    let (one, two) = (groups_of_a("x"), groups_of_a("y"));
    let on = |name: &str| [(column("a", "i"), col(format!("{name}.i")))];
    let less = |name: &str| Some(column("a", "b").lt(col(format!("{name}.n"))));
    let semi = table("a").join(&one, JoinType::LeftSemi, &on("x"), less("x")).unwrap();
    let semi = semi.join(&two, JoinType::LeftSemi, &on("y"), less("y")).unwrap().project(&[column("a", "t")]).unwrap();
    assert!(semi.query.with_shared(&PostgresDialect).is_some());
    assert_eq!(semi.query.correlated().unwrap().with_shared(&PostgresDialect), None);
}

fn groups_of_a(name: &str) -> Relation {
    table("b").aggregate(&[column("b", "i")], &[number_of("b")]).unwrap().called(name)
}

/// A table with a key `c` of PostgreSQL's type `character(n)`, and a text `t` under a collation.
fn padded(name: &str, collation: &str) -> Relation {
    let source = SourceId::fresh();
    let mut c = RemoteColumn { name: "c".into(), ..computed(&DataType::Utf8).unwrap() };
    c.padded = Some("bpchar".to_owned());
    c.collation = Some(collation.into());
    let mut c = Typed::column(source, c);
    c.expr = RemoteExpr::Cast { operand: Box::new(c.expr), type_name: "text".to_owned() };
    let mut t = RemoteColumn { name: "t".into(), ..computed(&DataType::Utf8).unwrap() };
    t.collation = Some(collation.into());
    let mut query = RemoteQuery::table(source, "s", name);
    [c, Typed::column(source, t)].into_iter().for_each(|column| query.push(column));
    let fields = ["c", "t"].map(|name| Field::new(name, DataType::Utf8, false)).to_vec();
    let schema = DFSchema::try_from_qualified_schema(name, &Schema::new(fields)).unwrap();
    Relation { query, schema }
}

#[test]
fn padded_keys_are_compared_as_they_are_stored() {
    let groups = padded("p", "100").aggregate(&[col("p.c")], &[count(col("p.t")).alias("n")]).unwrap();
    assert_eq!(
        groups.sort(&[SortExpr::new(col("p.c"), true, false)], None).unwrap().sql(),
        concat!(
            r#"SELECT "c"::text AS "c", count(*) AS "n" FROM "s"."p" GROUP BY "c" "#,
            r#"ORDER BY "c"::text COLLATE "C" ASC NULLS LAST"#
        )
    );
    let pairs = |other: &str, key: &str| {
        let (p, q) = (padded("p", "100"), padded("q", other));
        let on = [(column("p", key), column("q", key))];
        let joined = p.join(&q, JoinType::Inner, &on, None).unwrap().project(&[]).unwrap().sql();
        joined.split(" ON ").nth(1).unwrap().to_owned()
    };
    assert_eq!(pairs("100", "c"), r#"t0."c" = t1."c""#);
    assert_eq!(pairs("100", "t"), r#"t0."t" = t1."t""#);
    // PostgreSQL does not choose between two collations.
    assert_eq!(pairs("12", "c"), r#"t0."c" COLLATE "C" = t1."c""#);
    assert_eq!(pairs("12", "t"), r#"t0."t" COLLATE "C" = t1."t""#);
}

#[test]
fn values_that_are_never_null_are_counted_as_rows() {
    let p = padded("p", "100");
    let counts = [count(col("p.t")).alias("n"), count(col("p.t")).distinct().build().unwrap().alias("d")];
    assert_eq!(
        p.aggregate(&[], &counts).unwrap().sql(),
        r#"SELECT count(*) AS "n", count(DISTINCT "t") AS "d" FROM "s"."p""#
    );
    // Where a row has no partner, its columns are NULL.
    let on = [(column("p", "t"), column("q", "t"))];
    let joined = p.join(&padded("q", "100"), JoinType::Left, &on, None).unwrap();
    let counts = [count(column("p", "t")).alias("p"), count(column("q", "t")).alias("q")];
    let counted = joined.aggregate(&[], &counts).unwrap().sql();
    assert!(counted.starts_with(r#"SELECT count(*) AS "p", count(t1."t") AS "q" FROM"#), "{counted}");
    let d = table("a").aggregate(&[], &[count(col("a.d")).alias("n")]).unwrap();
    assert_eq!(d.sql(), r#"SELECT count("d") AS "n" FROM "s"."a""#);
}
