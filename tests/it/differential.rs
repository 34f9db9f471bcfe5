//! Pushdown never changes an answer: random predicates with pushdown on and off, and cut three ways.

use std::fmt::Write as _;

use portolan::Session;

use crate::{shop, table};

/// Queries for each table. Each is run several times, so the number bounds the test's duration.
const QUERIES: usize = 60;

/// A small generator of our own: the same queries on every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        // SplitMix64, as its author published it.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }
}

/// A column with literals that occur in it, almost occur, and do not.
pub(crate) type Column = (&'static str, &'static [&'static str]);

const CUSTOMERS: &[Column] = &[
    ("customer_id", &["1", "17", "2999", "3000", "-5", "9223372036854775807", "17.5"]),
    ("name", &["'Ada Novák'", "'Zoë Zhang'", "''", "'O''Brien'", "'a'", "'Ł'", "'\\'"]),
    ("country", &["'DE'", "'de'", "'NL '", "'ZZ'", "''"]),
    ("segment", &["'enterprise'", "'consumer'", "'small business'"]),
    ("signed_up", &["DATE '2020-01-01'", "DATE '2026-10-30'", "DATE '1999-12-31'"]),
];
const ORDERS: &[Column] = &[
    ("order_date", &["DATE '2026-10-01'", "DATE '2026-10-30'", "DATE '2024-10-31'", "DATE '2030-01-01'"]),
    ("order_id", &["1", "1000", "150000", "-1"]),
    ("quantity", &["1", "3", "0"]),
    ("amount", &["10.00", "99.99", "500", "0.001"]),
    ("status", &["'cancelled'", "'delivered'", "'x'"]),
];
const CLICKS: &[Column] = &[
    ("customer_id", &["1", "17", "2999"]),
    ("action", &["'view'", "'buy'", "'x'"]),
    ("_partition_id", &["0", "2", "7", "-1"]),
    ("_partition_offset", &["0", "10", "1000", "1000000"]),
    ("at", &["TIMESTAMP '2026-10-31 06:00:00'", "TIMESTAMP '2026-10-31 12:30:00'"]),
];

pub(crate) fn predicate(random: &mut Random, columns: &[Column], depth: usize) -> String {
    if depth > 0 {
        let (left, right) = (predicate(random, columns, depth - 1), predicate(random, columns, depth - 1));
        return match random.below(5) {
            0 | 1 => format!("({left}) AND ({right})"),
            2 => format!("({left}) OR ({right})"),
            3 => format!("NOT ({left})"),
            _ => left,
        };
    }
    let (column, literals) = columns[random.below(columns.len())];
    let literal = random.pick(literals);
    match random.below(9) {
        0 => format!("{column} = {literal}"),
        1 => format!("{column} <> {literal}"),
        2 => format!("{column} < {literal}"),
        3 => format!("{column} >= {literal}"),
        4 => format!("{column} BETWEEN {} AND {}", random.pick(literals), random.pick(literals)),
        5 => format!("{column} IN ({literal}, {})", random.pick(literals)),
        6 => format!("{column} NOT IN ({literal}, {})", random.pick(literals)),
        7 => format!("{column} IS NULL"),
        _ if literal.starts_with('\'') && !literal.contains('\\') => {
            format!("{column} LIKE '%{}%'", literal.trim_matches('\''))
        }
        _ => format!("{literal} >= {column}"),
    }
}

async fn walk(session: &Session, table: &str, key: &str, columns: &[Column], seed: u64) {
    let mut random = Random::new(seed);
    let all = table::rows(session, &format!("SELECT count(*) FROM {table}")).await.unwrap()[0][0].clone();
    for _ in 0..QUERIES {
        let depth = random.below(3);
        let predicate = predicate(&mut random, columns, depth);
        let sql = format!("SELECT {key} FROM {table} WHERE {predicate}");
        let pushed = table::sorted(session, &sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
        session.execute("SET SESSION pushdown = 'none'").await.unwrap();
        let alone = table::sorted(session, &sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
        session.execute("RESET pushdown").await.unwrap();
        assert!(pushed == alone, "{sql}: {} rows with pushdown, {} without", pushed.len(), alone.len());

        // Every row satisfies exactly one of p, NOT p, and p IS NULL.
        let mut parts = String::new();
        for part in [format!("({predicate})"), format!("NOT ({predicate})"), format!("({predicate}) IS NULL")] {
            let union = if parts.is_empty() { "" } else { " UNION ALL " };
            let _ = write!(parts, "{union}SELECT count(*) AS n FROM {table} WHERE {part}");
        }
        let counted = table::rows(session, &format!("SELECT sum(n) FROM ({parts}) p")).await.unwrap();
        assert_eq!(counted[0][0], all, "{predicate} does not cut {table} in three");
    }
}

#[test]
fn random_predicates_on_postgresql() {
    shop::block_on(walk(&shop::session(), "pg.public.customers", "customer_id", CUSTOMERS, 1));
}

#[test]
fn random_predicates_on_the_lake() {
    shop::block_on(walk(&shop::session(), "lake.sales.orders", "order_id", ORDERS, 2));
}

#[test]
fn random_predicates_on_kafka() {
    shop::block_on(walk(&shop::session(), "events.default.clicks", "_partition_id, _partition_offset", CLICKS, 3));
}
