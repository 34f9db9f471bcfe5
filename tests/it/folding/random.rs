//! Queries at random, the same ones for the same seed.

/// The columns of the tables, by what can be done with them.
const INTEGERS: &[&str] = &["id", "i2", "i4", "i8"];
const NUMBERS: &[&str] = &["n", "m"];
const TEXTS: &[&str] = &["t", "v", "h"];
const DATES: &[&str] = &["d", "ts"];
const OTHERS: &[&str] = &["f", "bo", "e", "u", "by"];

/// A generator of queries.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_F491_4F6C_DD1D))
    }

    fn below(&mut self, limit: usize) -> usize {
        // SplitMix64, as its author published it.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }

    /// A whole query. Where it has a limit, its order leaves no choice.
    pub(super) fn query(&mut self) -> String {
        match self.below(13) {
            10 | 11 => self.star(),
            12 => self.named(),
            0 => self.top(),
            1 if self.one_in(2) => format!(
                "SELECT r, count(*), sum(p) FROM ({} UNION ALL {}) AS q WHERE r <> 'b' GROUP BY r",
                self.rows(),
                self.rows()
            ),
            1 => format!("{} UNION ALL {}", self.rows(), self.rows()),
            2 => {
                let (inner, condition) =
                    (self.groups(), self.pick(&["c > 2", "s > 5", "k IS NOT NULL", "s IS NULL OR c = 1"]));
                format!("SELECT k, c, s FROM ({inner}) AS q WHERE {condition}")
            }
            3 => {
                let inner = self.groups();
                format!("SELECT count(*), min(c), max(c), sum(s) FROM ({inner}) AS q")
            }
            4 => format!("SELECT DISTINCT {}, {} FROM {}", self.any("x"), self.any("x"), self.from()),
            5 | 6 => self.joined_groups(),
            _ => {
                let rows = self.rows();
                match self.one_in(3) {
                    true => format!(
                        "SELECT q.* FROM ({rows}) AS q WHERE {}",
                        self.pick(&["p IS NOT NULL", "r > 'a'", "o > 1"])
                    ),
                    false => rows,
                }
            }
        }
    }

    /// Some columns of some rows: a number, another, a text.
    fn rows(&mut self) -> String {
        let (o, p, r) = (self.integer("x"), self.number("x", 2), self.text("x"));
        let from = self.from();
        format!("SELECT CAST({o} AS bigint) AS o, CAST({p} AS decimal(38,12)) AS p, {r} AS r FROM {from}")
    }

    /// Groups that are read twice.
    fn named(&mut self) -> String {
        let groups = self.groups();
        let most =
            self.pick(&["s = (SELECT max(s) FROM w)", "c >= (SELECT avg(c) FROM w)", "k > (SELECT min(k) FROM w)"]);
        let joined = self.pick(&["v.k = w.k", "v.s > w.s", "v.c = w.c AND v.k < w.k"]);
        match self.below(3) {
            0 => format!("WITH w AS ({groups}) SELECT k, c, s FROM w WHERE {most}"),
            1 => format!("WITH w AS ({groups}) SELECT w.k, w.s, v.c FROM w JOIN w AS v ON {joined}"),
            _ => format!("WITH w AS ({groups}) SELECT x.id, w.c FROM a AS x JOIN w ON x.id = w.k WHERE {most}"),
        }
    }

    /// A key, a count and a sum.
    fn groups(&mut self) -> String {
        let (key, from) = (self.pick(&["x.i4", "x.i2", "x.id % 5", "CAST(x.i2 AS int) + 1"]).to_owned(), self.from());
        let sum = self.pick(&["x.i4", "x.i8", "CAST(x.i2 AS bigint) * 2"]).to_owned();
        let having = match self.below(4) {
            0 => " HAVING count(*) > 3",
            1 => " HAVING sum(x.i4) >= 0",
            _ => "",
        };
        format!("SELECT {key} AS k, count(*) AS c, sum({sum}) AS s FROM {from} GROUP BY {key}{having}")
    }

    fn joined_groups(&mut self) -> String {
        let keys: Vec<String> = (0..self.below(3)).map(|_| self.any("x")).collect();
        let mut columns = keys.clone();
        for _ in 0..=self.below(3) {
            columns.push(self.aggregate("x"));
        }
        let from = self.from();
        let grouped = if keys.is_empty() { String::new() } else { format!(" GROUP BY {}", keys.join(", ")) };
        let having = match self.below(5) {
            0 => " HAVING count(*) > 2".to_owned(),
            1 => format!(" HAVING max(x.n) > {}", self.pick(&["1", "0.005", "1234567.88"])),
            _ => String::new(),
        };
        let names: Vec<String> = columns.iter().enumerate().map(|(at, column)| format!("{column} AS c{at}")).collect();
        format!("SELECT {} FROM {from}{grouped}{having}", names.join(", "))
    }

    fn top(&mut self) -> String {
        let (o, p, r) = (self.integer("x"), self.number("x", 1), self.text("x"));
        let from = self.from();
        let mut order = Vec::new();
        for column in ["o", "p", "r"] {
            let direction = self.pick(&["", " ASC", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
            order.push(format!("{column}{direction}"));
        }
        if self.one_in(2) {
            order.reverse();
        }
        let offset = if self.one_in(3) { format!(" OFFSET {}", self.below(20)) } else { String::new() };
        let limit = self.below(30);
        let select = format!(
            "SELECT {o} AS o, {p} AS p, {r} AS r FROM {from} ORDER BY {} LIMIT {limit}{offset}",
            order.join(", ")
        );
        match self.below(3) {
            0 => format!("SELECT r, count(*), min(p) FROM ({select}) AS q GROUP BY r"),
            1 => format!("SELECT q.r, q.o FROM ({select}) AS q WHERE q.p IS NOT NULL"),
            _ => select,
        }
    }

    /// Tables joined, of which the first is x; and conditions.
    fn from(&mut self) -> String {
        let table = self.pick(&["a", "a", "a", "b", "nothing"]);
        let mut from = format!("{table} AS x");
        if self.one_in(2) {
            let join = self.pick(&["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
            let other = match self.below(4) {
                0 => format!("(SELECT * FROM b WHERE {})", self.condition("b", 0)),
                1 => "(SELECT id, max(i4) AS i4, sum(n) AS n, min(t) AS t FROM a GROUP BY id)".to_owned(),
                _ => self.pick(&["a", "b", "b", "nothing"]).to_owned(),
            };
            let on = match other.contains("min(t) AS t") {
                true => self.pick(&["x.id = y.id", "x.i4 = y.i4", "x.t = y.t", "x.n = y.n AND x.id = y.id"]),
                false => self.pick(&["x.id = y.id", "x.i4 = y.i4", "x.t = y.t", "x.h = y.h", "x.v = y.v", "x.h = y.t"]),
            };
            let also = match self.below(4) {
                0 if join != "FULL JOIN" => " AND x.i4 > y.i4",
                1 if join != "FULL JOIN" => " AND y.n < 50",
                _ => "",
            };
            from = format!("{from} {join} {other} AS y ON {on}{also}");
        }
        let mut conditions = Vec::new();
        for _ in 0..self.below(3) {
            let depth = self.below(2);
            conditions.push(self.condition("x", depth));
        }
        if self.one_in(5) {
            conditions.push(match self.below(7) {
                5 => format!("x.n {} (SELECT avg(z.n) FROM b AS z WHERE z.id > 20)", self.pick(&["<", ">="])),
                6 => "x.h IN (SELECT z.h FROM b AS z)".to_owned(),
                0 => "EXISTS (SELECT 1 FROM b AS z WHERE z.i4 = x.i4 AND z.id > 10)".to_owned(),
                1 => "NOT EXISTS (SELECT 1 FROM b AS z WHERE z.id = x.id)".to_owned(),
                2 => "x.id IN (SELECT z.id FROM b AS z WHERE z.n > 1)".to_owned(),
                3 => "x.i4 NOT IN (SELECT z.i4 FROM b AS z WHERE z.i4 IS NOT NULL)".to_owned(),
                _ => format!(
                    "x.i4 {} (SELECT {}(z.i4) FROM b AS z)",
                    self.pick(&["<", "=", ">="]),
                    self.pick(&["max", "min"])
                ),
            });
        }
        if !conditions.is_empty() {
            from = format!("{from} WHERE {}", conditions.join(" AND "));
        }
        from
    }

    /// Several tables joined in an order that is not the best one.
    fn star(&mut self) -> String {
        let count = 3 + self.below(3);
        let mut tables = vec![format!("{} AS x0", self.pick(&["a", "b"]))];
        let mut conditions = vec![self.condition("x0", 0)];
        for at in 1..count {
            let from = self.below(at);
            let on = match self.below(6) {
                0 => format!("x{at}.id = x{from}.id AND x{at}.n = x{from}.n"),
                1 => format!("x{at}.id = x{from}.id + 1"),
                2 => format!("x{at}.id = x{from}.i2 AND x{at}.i4 <> x0.i8"),
                3 => format!("x{at}.id = x{from}.i8"),
                _ => format!("x{at}.id = x{from}.id"),
            };
            let table = match self.below(7) {
                0 => {
                    "(SELECT id, max(i4) AS i4, max(i2) AS i2, max(i8) AS i8, sum(n) AS n, min(t) AS t FROM a GROUP BY id)"
                }
                1 => "nothing",
                2 | 3 => "b",
                _ => "a",
            };
            match self.below(5) {
                0 => tables.push(format!("LEFT JOIN {table} AS x{at} ON {on}")),
                1 => tables.push(format!("JOIN {table} AS x{at} ON {on}")),
                _ => {
                    tables.push(format!("CROSS JOIN {table} AS x{at}"));
                    conditions.push(on);
                }
            }
        }
        for _ in 0..self.below(3) {
            let of = self.below(count);
            let not = self.pick(&["", "NOT "]).to_owned();
            let on =
                self.pick(&["z.i4 = x.i4", "z.id = x.id", "z.id = x.i8", "true"]).replace("x.", &format!("x{of}."));
            conditions.push(match self.one_in(3) {
                true => format!("x{of}.id {not}IN (SELECT z.id FROM b AS z WHERE z.id > 10)"),
                false => format!("{not}EXISTS (SELECT 1 FROM b AS z WHERE {on} AND z.id > 10)"),
            });
        }
        let (one, other) = (self.below(count), self.below(count));
        let columns = match self.one_in(2) {
            true => format!("count(*) AS c, sum(x{one}.i4) AS s, min(x{other}.t) AS m"),
            false => format!("x{one}.i4 AS c, x0.n AS s, x{other}.t AS m"),
        };
        format!("SELECT {columns} FROM {} WHERE {}", tables.join(" "), conditions.join(" AND "))
    }

    fn integer(&mut self, table: &str) -> String {
        let column = format!("{table}.{}", self.pick(INTEGERS));
        match self.below(14) {
            6 => format!("{column} % {}", self.pick(&["7", "-3", "2"])),
            7 => format!("{column} / {}", self.pick(&["7", "-3", "2"])),
            8 => format!("nullif({column}, {})", self.pick(&["0", "5", "7"])),
            9 => format!("{}({column}, 3)", self.pick(&["greatest", "least"])),
            10 => format!("extract({} FROM {table}.d)", self.pick(&["week", "doy", "dow", "quarter", "day"])),
            11 => format!("extract({} FROM {table}.ts)", self.pick(&["hour", "minute", "microsecond"])),
            12 => format!("strpos({table}.{}, {})", self.pick(TEXTS), self.pick(&["'a'", "''", "'b'"])),
            0 => format!("CAST({column} AS bigint) + 1"),
            1 => format!("-CAST({column} AS bigint)"),
            2 => format!("coalesce({column}, 42)"),
            3 => format!("CASE WHEN {} THEN 1 ELSE 0 END", self.condition(table, 0)),
            4 => format!("extract(year FROM {table}.{})", self.pick(DATES)),
            5 => format!("character_length({table}.{})", self.pick(TEXTS)),
            _ => column,
        }
    }

    fn number(&mut self, table: &str, depth: usize) -> String {
        let column = format!("{table}.{}", self.pick(NUMBERS));
        if depth == 0 {
            return column;
        }
        let other = self.number(table, depth - 1);
        match self.below(14) {
            7 => format!("round({column}, {})", self.below(3)),
            8 => format!("abs({column})"),
            9 => format!("{}({column})", self.pick(&["ceil", "floor", "trunc"])),
            10 => format!("{column} % {}", self.pick(&["0.07", "-3", "2.5"])),
            11 => format!("{}({column}, {other})", self.pick(&["greatest", "least"])),
            12 => format!("trunc({column}, 1)"),
            0 => format!("{column} + {other}"),
            1 => format!("{column} - {other}"),
            2 => format!("{column} * {other}"),
            3 => format!("{column} * (1 - {table}.n)"),
            4 => format!("{other} / 7"),
            5 => format!("CASE WHEN {} THEN {column} END", self.condition(table, 0)),
            6 => format!("CAST({table}.{} AS decimal(20,2))", self.pick(INTEGERS)),
            _ => column,
        }
    }

    fn text(&mut self, table: &str) -> String {
        let column = format!("{table}.{}", self.pick(TEXTS));
        match self.below(16) {
            7 => format!("{column} || {}", self.pick(&["'x'", "''", "' é'"])),
            8 => format!("concat({table}.t, '-', {table}.v)"),
            9 => {
                format!("{}({column}{})", self.pick(&["btrim", "ltrim", "rtrim"]), self.pick(&["", ", 'ab'", ", 'äa'"]))
            }
            10 => format!("replace({column}, {}, {})", self.pick(&["'a'", "''", "'ab'"]), self.pick(&["'b'", "''"])),
            11 => format!("{}({column}, {})", self.pick(&["left", "right"]), self.pick(&["1", "-1", "0", "2"])),
            12 => format!("{}({column}, 3, {})", self.pick(&["lpad", "rpad"]), self.pick(&["'xy'", "''", "'ä'"])),
            13 => format!("{}({table}.t, {table}.v, 'M')", self.pick(&["greatest", "least"])),
            14 => format!("reverse(split_part({column}, 'b', 1))"),
            15 => format!("nullif({table}.t, {table}.v)"),
            5 => format!("coalesce({table}.t, {table}.v)"),
            6 => format!("CASE WHEN {} THEN {table}.v ELSE {table}.t END", self.condition(table, 0)),
            0 => format!("substring({column} FROM {} FOR {})", 1 + self.below(2), self.below(3)),
            1 => format!("coalesce({column}, 'none')"),
            2 => format!("CASE WHEN {} THEN {column} ELSE 'other' END", self.condition(table, 0)),
            _ => column,
        }
    }

    fn any(&mut self, table: &str) -> String {
        match self.below(5) {
            0 => self.integer(table),
            1 => self.number(table, 1),
            2 => self.text(table),
            3 if self.one_in(2) => {
                format!("date_trunc('{}', {table}.ts)", self.pick(&["day", "month", "week", "year", "hour"]))
            }
            3 => format!("{table}.{}", self.pick(DATES)),
            _ => format!("{table}.{}", self.pick(OTHERS)),
        }
    }

    fn aggregate(&mut self, table: &str) -> String {
        let call = match self.below(11) {
            0 => "count(*)".to_owned(),
            1 => format!("count({})", self.any(table)),
            2 => format!("count(DISTINCT {})", self.any(table)),
            3 => format!("sum(CAST({} AS bigint))", self.integer(table)),
            4 => format!("sum({})", self.number(table, 1)),
            5 => format!("avg({})", self.number(table, 0)),
            6 => format!("min({})", self.text(table)),
            7 => format!("max({})", self.number(table, 1)),
            8 => format!("min({table}.{})", self.pick(&["d", "ts", "f", "i8", "v"])),
            9 => format!("{}({table}.bo)", self.pick(&["bool_and", "bool_or"])),
            _ => format!("avg({})", self.integer(table)),
        };
        match self.one_in(5) {
            true => format!("{call} FILTER (WHERE {})", self.condition(table, 0)),
            false => call,
        }
    }

    fn condition(&mut self, table: &str, depth: usize) -> String {
        if depth > 0 {
            let (left, right) = (self.condition(table, depth - 1), self.condition(table, depth - 1));
            return match self.below(4) {
                0 => format!("({left} AND {right})"),
                1 | 2 => format!("({left} OR {right})"),
                _ => format!("NOT ({left})"),
            };
        }
        let op = self.pick(&["=", "<>", "<", "<=", ">", ">="]);
        match self.below(15) {
            14 => format!(
                "extract({} FROM {table}.ts) {op} {}",
                self.pick(&["second", "milliseconds"]),
                self.pick(&["0", "12.5", "30000.25"])
            ),
            10 => format!(
                "{table}.{} IS {}DISTINCT FROM {}",
                self.pick(INTEGERS),
                self.pick(&["", "NOT "]),
                self.pick(&["NULL", "5", "0"])
            ),
            11 => format!("starts_with({table}.t, {})", self.pick(&["'a'", "''", "'Z'"])),
            12 => format!("{table}.id % 3 {op} 1"),
            13 => format!("left({table}.t, 1) {op} {}", self.pick(&["'a'", "'ä'", "''"])),
            0 => format!("{table}.{} {op} {}", self.pick(INTEGERS), self.pick(&["0", "1", "5", "-3", "100000"])),
            1 => format!("{table}.{} {op} {}", self.pick(NUMBERS), self.pick(&["0", "0.01", "1.5", "99.99", "-7.25"])),
            2 => format!("{table}.t {op} {}", self.pick(&["'a'", "''", "'ab'", "'ä'", "'Z'"])),
            3 => {
                format!("{table}.{} IS {}NULL", self.pick(&["i4", "n", "t", "d", "bo", "e"]), self.pick(&["", "NOT "]))
            }
            4 => format!("{table}.t LIKE {}", self.pick(&["'a%'", "'%b'", "'_'", "'%'"])),
            5 => format!("{table}.i4 {}IN (1, 5, {})", self.pick(&["", "NOT "]), self.pick(&["0", "-3", "7"])),
            6 => format!("{table}.d {op} DATE {}", self.pick(&["'1999-12-31'", "'2000-01-01'", "'1970-01-01'"])),
            7 => format!("{table}.n * 2 {op} {table}.m + 1"),
            8 => format!(
                "{table}.f {op} {}",
                self.pick(&["CAST(0 AS double)", "CAST('NaN' AS double)", "CAST(1.5 AS double)"])
            ),
            _ => format!("extract(year FROM {table}.d) {op} {}", self.pick(&["2000", "1999", "-43", "0"])),
        }
    }
}
