//! Ignored syntax is refused by name, wherever it stands.

use datafusion::sql::sqlparser::dialect::{
    BigQueryDialect, DatabricksDialect, Dialect, GenericDialect, MySqlDialect, PostgreSqlDialect,
};
use datafusion::sql::sqlparser::parser::Parser;

use crate::semantics::refuse_ignored_syntax;

fn refusal(dialect: &dyn Dialect, sql: &str) -> Option<String> {
    let statements = Parser::parse_sql(dialect, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    statements.iter().find_map(|statement| refuse_ignored_syntax(statement).err()).map(|refusal| refusal.to_string())
}

#[test]
fn ignored_syntax_is_refused_by_name() {
    let generic: &dyn Dialect = &GenericDialect {};
    for (sql, expected) in [
        ("SELECT * FROM t TABLESAMPLE BERNOULLI (10)", "TABLESAMPLE is not supported"),
        ("SELECT * FROM (SELECT 1) AS s TABLESAMPLE SYSTEM (10)", "TABLESAMPLE is not supported"),
        ("SELECT * FROM t WITH (NOLOCK)", "a WITH (...) hint on a table is not supported"),
        ("SELECT * FROM generate_series(1, 3) WITH ORDINALITY AS g (a, b)", "WITH ORDINALITY is not supported"),
        ("SELECT * FROM t FOR UPDATE", "FOR UPDATE is not supported"),
        ("SELECT * FROM t FOR SHARE", "FOR SHARE is not supported"),
        ("SELECT * FROM t ORDER BY a FETCH FIRST 3 ROWS WITH TIES", "FETCH ... WITH TIES is not supported"),
        ("SELECT * FROM t LIMIT 2 FETCH FIRST 3 ROWS ONLY", "FETCH beside LIMIT is not supported"),
        ("SELECT 2 ^ 3", "the operator ^ is not supported; use power(base, exponent)"),
        ("SELECT * FROM t FETCH FIRST 3 PERCENT ROWS ONLY", "FETCH ... PERCENT is not supported"),
        ("SELECT TOP 3 * FROM t", "TOP is not supported; use LIMIT"),
        ("SELECT a INTO u FROM t", "SELECT INTO is not supported"),
        ("SELECT a FROM t LATERAL VIEW explode(b) v AS c", "LATERAL VIEW is not supported; use unnest"),
        ("SELECT a FROM t START WITH a = 1 CONNECT BY PRIOR a = b", "CONNECT BY is not supported; use WITH RECURSIVE"),
        ("SELECT a FROM t PREWHERE a = 1", "PREWHERE is not supported; use WHERE"),
        ("SELECT a FROM t CLUSTER BY a", "CLUSTER BY is not supported"),
        ("SELECT a FROM t DISTRIBUTE BY a", "DISTRIBUTE BY is not supported"),
        ("SELECT a FROM t SORT BY a", "SORT BY is not supported; use ORDER BY"),
        (
            "SELECT a FROM t GROUP BY a WITH ROLLUP",
            "GROUP BY ... WITH ROLLUP is not supported; write GROUP BY ROLLUP (...), CUBE (...) or GROUPING SETS (...)",
        ),
        ("SELECT * FROM t SETTINGS a = 1", "SETTINGS is not supported"),
        ("SELECT * FROM t FORMAT JSON", "FORMAT is not supported"),
        ("SELECT * FROM a.generate_series(1, 3)", "a qualified table function is not supported"),
        ("SELECT * FROM t AS u (a INT)", "a type in a table alias is not supported; cast in the select list"),
        ("SELECT CAST(a AS VARCHAR(3)) FROM t", "a cast to VARCHAR(3) is not supported; use left(text, length)"),
        ("SELECT a::CHAR(3) FROM t", "a cast to CHAR(3) is not supported; cast to VARCHAR"),
        ("SELECT CAST(a AS FLOAT(53)) FROM t", "a cast to FLOAT(53) is not supported; cast to REAL or DOUBLE"),
        (
            "SELECT upper(a) OVER () FROM t",
            "OVER with upper is not supported; it is a function of one row, not an aggregate",
        ),
        (
            "SELECT upper(DISTINCT a) FROM t",
            "DISTINCT with upper is not supported; it is a function of one row, not an aggregate",
        ),
        (
            "SELECT abs(a) FILTER (WHERE a > 1) FROM t",
            "FILTER with abs is not supported; it is a function of one row, not an aggregate",
        ),
        ("SELECT rank() IGNORE NULLS OVER (ORDER BY a) FROM t", "IGNORE or RESPECT NULLS with rank is not supported"),
        ("SELECT histogram(0.5, 0.6)(a) FROM t", "a second list of arguments is not supported"),
        (
            "SELECT sum(a) OVER (w PARTITION BY b) FROM t WINDOW w AS (ORDER BY a)",
            "PARTITION BY in a window that extends \"w\" is not supported",
        ),
        (
            "SELECT sum(a) OVER (w ORDER BY b) FROM t WINDOW w AS (ORDER BY a)",
            "another ORDER BY in a window that extends \"w\" is not supported",
        ),
        (
            "SELECT sum(a) OVER v FROM t WINDOW w AS (ORDER BY a ROWS 1 PRECEDING), v AS (w)",
            "the frame of the other window in a window that extends \"w\" is not supported",
        ),
        ("SELECT 1 FROM t WINDOW v AS (w), w AS (ORDER BY a)", "there is no window \"w\""),
        ("SELECT sum(a) OVER w, (SELECT 1 FROM u WINDOW w AS (ORDER BY a)) FROM t", "there is no window \"w\""),
        (
            "SELECT a FROM t GROUP BY a HAVING sum(a) OVER w > 1 WINDOW w AS (ORDER BY a)",
            "a window in HAVING is not supported; use a subquery and WHERE",
        ),
        (
            "SELECT a FROM t WHERE (a, b) = (1, 2, 3)",
            "a comparison of rows with different numbers of parts is not supported",
        ),
        (
            "SELECT a FROM t WHERE (a, random()) IN ((1, 2), (3, 4))",
            "a comparison of rows with a value that is another each time is not supported; compare the parts one by one, \
             or give the value a name in a subquery",
        ),
        ("SELECT a FROM t GLOBAL JOIN u ON t.a = u.a", "GLOBAL JOIN is not supported"),
    ] {
        assert_eq!(refusal(generic, sql).as_deref(), Some(expected), "{sql}");
    }
    let bigquery: &dyn Dialect = &BigQueryDialect {};
    let sql = "SELECT * FROM t FOR SYSTEM_TIME AS OF '2020-01-01'";
    assert_eq!(refusal(bigquery, sql).as_deref(), Some("FOR SYSTEM_TIME AS OF is not supported"));
    let databricks: &dyn Dialect = &DatabricksDialect {};
    for (sql, expected) in [
        ("SELECT * FROM t VERSION AS OF 3", "VERSION AS OF is not supported"),
        ("SELECT * FROM t TIMESTAMP AS OF '2020-01-01'", "TIMESTAMP AS OF is not supported"),
    ] {
        assert_eq!(refusal(databricks, sql).as_deref(), Some(expected), "{sql}");
    }
    let mysql: &dyn Dialect = &MySqlDialect {};
    for (sql, expected) in [
        (
            "SELECT * FROM t PARTITION (p0)",
            "PARTITION (...) after a table is not supported; use WHERE on the partition columns",
        ),
        ("SELECT * FROM t USE INDEX (i)", "an index hint is not supported"),
        ("SELECT SQL_CALC_FOUND_ROWS a FROM t", "a modifier after SELECT is not supported"),
    ] {
        assert_eq!(refusal(mysql, sql).as_deref(), Some(expected), "{sql}");
    }
}

#[test]
fn nested_queries_are_reached() {
    let sample = "SELECT a FROM t TABLESAMPLE BERNOULLI (10)";
    for sql in [
        format!("SELECT * FROM ({sample}) s"),
        format!("WITH c AS ({sample}) SELECT * FROM c"),
        format!("SELECT * FROM u WHERE a IN ({sample})"),
        format!("SELECT * FROM u WHERE EXISTS ({sample})"),
        format!("SELECT ({sample}) FROM u"),
        format!("SELECT 1 UNION ALL {sample}"),
        format!("SELECT * FROM u JOIN ({sample}) s ON true"),
        format!("SELECT * FROM u JOIN LATERAL ({sample}) s ON true"),
        "SELECT * FROM u JOIN t TABLESAMPLE BERNOULLI (10) ON true".to_string(),
        "SELECT * FROM (u CROSS JOIN t TABLESAMPLE BERNOULLI (10))".to_string(),
        format!("SELECT count(*) FROM u ORDER BY ({sample})"),
        format!("EXPLAIN {sample}"),
        format!("CREATE VIEW v AS {sample}"),
        format!("CREATE TABLE v AS {sample}"),
        format!("INSERT INTO u {sample}"),
        format!("PREPARE p AS {sample}"),
        format!("SELECT CASE WHEN a IN ({sample}) THEN 1 END FROM u"),
    ] {
        assert_eq!(refusal(&PostgreSqlDialect {}, &sql).as_deref(), Some("TABLESAMPLE is not supported"), "{sql}");
    }
}

#[test]
fn the_place_is_told() {
    let sql = "SELECT *\nFROM u,\n     t TABLESAMPLE BERNOULLI (10)";
    let statements = Parser::parse_sql(&GenericDialect {}, sql).unwrap();
    let location = refuse_ignored_syntax(&statements[0]).unwrap_err().location().unwrap();
    assert_eq!((location.line, location.column), (3, 6));
}

#[test]
fn what_the_planner_understands_is_not_refused() {
    for sql in [
        "SELECT DISTINCT a, sum(b) FILTER (WHERE c) FROM s.t AS u (a, b, c) WHERE a > 1 GROUP BY ROLLUP (a) HAVING sum(b) > 1 ORDER BY 1 LIMIT 3 OFFSET 1",
        "SELECT first_value(a) IGNORE NULLS OVER (PARTITION BY b ORDER BY c ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
        "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY a)",
        "SELECT sum(a) OVER (w ROWS 1 PRECEDING) FROM t WINDOW w AS (ORDER BY a)",
        "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY a ROWS 1 PRECEDING) QUALIFY sum(a) OVER w > 1 ORDER BY sum(a) OVER w",
        "SELECT array_agg(DISTINCT a ORDER BY a), count(DISTINCT b), percentile_cont(0.5) WITHIN GROUP (ORDER BY c) FROM t",
        "SELECT CAST(a AS VARCHAR), CAST(b AS DECIMAL(10, 2)), c::TIMESTAMP(3), d::FLOAT FROM t",
        "SELECT * FROM generate_series(1, 3) AS g (a)",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT * FROM r",
        "SELECT * FROM t CROSS JOIN LATERAL (SELECT t.a) s, unnest([1, 2]) u",
        "SELECT substring(a FROM 2 FOR 3), extract(YEAR FROM b), trim(BOTH 'x' FROM c), CURRENT_TIMESTAMP FROM t",
        "(SELECT 1) UNION (SELECT 2) ORDER BY 1",
        "VALUES (1), (2)",
    ] {
        assert_eq!(refusal(&GenericDialect {}, sql), None, "{sql}");
    }
}
