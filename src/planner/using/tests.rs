use datafusion::sql::sqlparser::ast::TableFactor;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::*;

/// Tables are called after their columns, which are one letter each; there are none called `x` or `w`.
fn written(sql: &str) -> Result<String> {
    let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
    write_joins_with_on(&mut statement, &|factor| match factor {
        TableFactor::Table { name, .. } if !["x", "w"].contains(&name.to_string().as_str()) => {
            let name = name.0.last()?.as_ident()?.value.to_lowercase();
            Some(name.chars().filter(|letter| *letter != '_').map(String::from).collect())
        }
        _ => None,
    })?;
    Ok(statement.to_string().replace('"', ""))
}

#[test]
fn joins_are_written_with_on() {
    for (sql, expected) in [
        ("SELECT k FROM ka JOIN kb USING (k)", "SELECT ka.k FROM ka JOIN kb ON ka.k = kb.k"),
        (
            "SELECT * FROM s.t.ka AS l LEFT JOIN kb USING (K) WHERE K > 1 AND a",
            "SELECT l.k, l.* EXCEPT (k), kb.* EXCEPT (k) FROM s.t.ka AS l LEFT JOIN kb ON l.k = kb.k WHERE l.k > 1 AND a",
        ),
        ("SELECT s.ka.a FROM s.ka JOIN kb USING (k)", "SELECT s.ka.a FROM s.ka JOIN kb ON s.ka.k = kb.k"),
        (
            "SELECT k, sum(a) FROM ka RIGHT JOIN kb USING (k) GROUP BY k HAVING k > 1 ORDER BY k + 1, k, sum(k)",
            "SELECT kb.k, sum(a) FROM ka RIGHT JOIN kb ON ka.k = kb.k GROUP BY kb.k HAVING kb.k > 1 ORDER BY kb.k + 1, k, sum(kb.k)",
        ),
        (
            "SELECT k, k + 1 AS n FROM ka FULL JOIN kb USING (k) ORDER BY k",
            "SELECT coalesce(ka.k, kb.k) AS k, coalesce(ka.k, kb.k) + 1 AS n FROM ka FULL JOIN kb ON ka.k = kb.k ORDER BY k",
        ),
        // The next join is by what the one before made.
        (
            "SELECT * FROM ka FULL JOIN kb USING (k) LEFT JOIN kc USING (k)",
            "SELECT coalesce(ka.k, kb.k) AS k, ka.* EXCEPT (k), kb.* EXCEPT (k), kc.* EXCEPT (k) FROM ka FULL JOIN kb ON ka.k = kb.k LEFT JOIN kc ON coalesce(ka.k, kb.k) = kc.k",
        ),
        (
            "SELECT * FROM ka JOIN kb USING (k) JOIN bc USING (b)",
            "SELECT kb.b, ka.k, ka.* EXCEPT (k), kb.* EXCEPT (k, b), bc.* EXCEPT (b) FROM ka JOIN kb ON ka.k = kb.k JOIN bc ON kb.b = bc.b",
        ),
        (
            "SELECT 1 FROM ka RIGHT JOIN kb USING (k) JOIN cd ON c = k",
            "SELECT 1 FROM ka RIGHT JOIN kb ON ka.k = kb.k JOIN cd ON c = kb.k",
        ),
        (
            "SELECT * FROM kma NATURAL JOIN mkb",
            "SELECT kma.k, kma.m, kma.* EXCEPT (k, m), mkb.* EXCEPT (k, m) FROM kma JOIN mkb ON kma.k = mkb.k AND kma.m = mkb.m",
        ),
        ("SELECT 1 FROM a NATURAL LEFT JOIN b", "SELECT 1 FROM a LEFT JOIN b ON true"),
        // Subqueries, VALUES, WITH.
        (
            "WITH w AS (SELECT k, a FROM x) SELECT k FROM w FULL JOIN (SELECT * FROM kb) s USING (k)",
            "WITH w AS (SELECT k, a FROM x) SELECT coalesce(w.k, s.k) AS k FROM w FULL JOIN (SELECT * FROM kb) s ON w.k = s.k",
        ),
        (
            "SELECT * FROM (VALUES (1, 2)) t (k, a) LEFT JOIN (VALUES (1)) s (k) USING (k)",
            "SELECT t.k, t.* EXCEPT (k), s.* EXCEPT (k) FROM (VALUES (1, 2)) t (k, a) LEFT JOIN (VALUES (1)) s (k) ON t.k = s.k",
        ),
        (
            "SELECT k FROM (SELECT * FROM ka JOIN kb USING (k)) s RIGHT JOIN kc USING (k)",
            "SELECT kc.k FROM (SELECT ka.k, ka.* EXCEPT (k), kb.* EXCEPT (k) FROM ka JOIN kb ON ka.k = kb.k) s RIGHT JOIN kc ON s.k = kc.k",
        ),
        (
            "SELECT 1 FROM ka JOIN kb USING (k) WHERE k IN (SELECT k FROM kc)",
            "SELECT 1 FROM ka JOIN kb ON ka.k = kb.k WHERE ka.k IN (SELECT k FROM kc)",
        ),
        (
            "SELECT k FROM ka JOIN kb USING (k) UNION SELECT k FROM ka RIGHT JOIN kb USING (k)",
            "SELECT ka.k FROM ka JOIN kb ON ka.k = kb.k UNION SELECT kb.k FROM ka RIGHT JOIN kb ON ka.k = kb.k",
        ),
        // Another table has it as well: the planner says that it is ambiguous.
        (
            "SELECT k FROM ka JOIN kb USING (k) JOIN kc ON true",
            "SELECT k FROM ka JOIN kb ON ka.k = kb.k JOIN kc ON true",
        ),
        ("SELECT k FROM ka JOIN kb USING (k), kc", "SELECT k FROM ka JOIN kb ON ka.k = kb.k, kc"),
        (
            "SELECT *, x.y FROM ka JOIN kb USING (k), x",
            "SELECT ka.k, ka.* EXCEPT (k), kb.* EXCEPT (k), x.*, x.y FROM ka JOIN kb ON ka.k = kb.k, x",
        ),
        (
            "SELECT * EXCEPT (k, a) FROM ka JOIN kb USING (k)",
            "SELECT ka.* EXCEPT (a, k), kb.* EXCEPT (k) FROM ka JOIN kb ON ka.k = kb.k",
        ),
        // What is not known is left to the planner where it is right.
        ("SELECT k FROM x JOIN kb USING (k)", "SELECT k FROM x JOIN kb USING(k)"),
        (
            "WITH RECURSIVE w AS (SELECT * FROM w a JOIN w b USING (k)) SELECT 1 FROM w JOIN kb USING (k)",
            "WITH RECURSIVE w AS (SELECT * FROM w a JOIN w b USING(k)) SELECT 1 FROM w JOIN kb USING(k)",
        ),
        (
            "SELECT 1 FROM (WITH ka AS (SELECT 1 AS z) SELECT z FROM ka) s, ka JOIN kb USING (k)",
            "SELECT 1 FROM (WITH ka AS (SELECT 1 AS z) SELECT z FROM ka) s, ka JOIN kb USING(k)",
        ),
        ("SELECT * FROM (ka JOIN kb USING (k)) JOIN ac ON true", "SELECT * FROM (ka JOIN kb USING(k)) JOIN ac ON true"),
        (
            "SELECT * EXCLUDE (k) FROM ka JOIN kb USING (k)",
            "SELECT ka.* EXCEPT (k), kb.* EXCEPT (k) FROM ka JOIN kb ON ka.k = kb.k",
        ),
        (
            "SELECT * EXCLUDE a FROM ka JOIN kb USING (k)",
            "SELECT ka.k, ka.* EXCEPT (a, k), kb.* EXCEPT (k) FROM ka JOIN kb ON ka.k = kb.k",
        ),
        ("SELECT * EXCEPT (z) FROM ka JOIN kb USING (k)", "SELECT * EXCEPT (z) FROM ka JOIN kb USING(k)"),
        ("SELECT * FROM ka JOIN kb USING (k), f(1)", "SELECT * FROM ka JOIN kb USING(k), f(1)"),
        (
            "SELECT 1 FROM (SELECT 1 AS k UNION BY NAME SELECT 1 AS z) s NATURAL JOIN kz",
            "SELECT 1 FROM (SELECT 1 AS k UNION BY NAME SELECT 1 AS z) s NATURAL JOIN kz",
        ),
        (
            "SELECT ka.* FROM ka FULL JOIN kb USING (k) ORDER BY k",
            "SELECT ka.* FROM ka FULL JOIN kb ON ka.k = kb.k ORDER BY k",
        ),
        ("SELECT k FROM ka JOIN kb USING (z)", "SELECT k FROM ka JOIN kb USING(z)"),
        ("SELECT k FROM ka LEFT JOIN x USING (k)", "SELECT k FROM ka LEFT JOIN x USING(k)"),
    ] {
        assert_eq!(written(sql).unwrap(), expected, "{sql}");
    }
}

#[test]
fn what_would_be_wrong_is_refused() {
    for (sql, expected) in [
        ("SELECT k FROM ka RIGHT JOIN x USING (k)", "RIGHT or FULL JOIN with USING or NATURAL"),
        ("SELECT 1 FROM (SELECT k FROM x FULL JOIN ka USING (k)) s", "RIGHT or FULL JOIN with USING or NATURAL"),
        ("SELECT k FROM (ka FULL JOIN kb USING (k))", "RIGHT or FULL JOIN with USING or NATURAL"),
        ("SELECT k FROM ac JOIN (ka NATURAL RIGHT JOIN kb) ON true", "RIGHT or FULL JOIN with USING or NATURAL"),
        ("SELECT * FROM (ka LEFT JOIN kb USING (k))", "SELECT * from LEFT JOIN with USING or NATURAL"),
        (
            "SELECT * REPLACE (k + 1 AS k) FROM ka LEFT JOIN kb USING (k)",
            "SELECT * from LEFT JOIN with USING or NATURAL",
        ),
        ("SELECT * FROM ka LEFT JOIN x USING (k)", "SELECT * from LEFT JOIN with USING or NATURAL"),
    ] {
        let error = written(sql).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("write ON"), "{sql}: {error}");
    }
}
