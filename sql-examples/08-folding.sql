-- What one PostgreSQL can answer is one statement to it. EXPLAIN shows the statement.
EXPLAIN
SELECT country, segment, count(*) AS customers, min(signed_up) AS first
FROM pg.public.customers
WHERE signed_up >= DATE '2024-01-01'
GROUP BY country, segment
HAVING count(*) > 10
ORDER BY customers DESC, country, segment
LIMIT 5;

-- What it does not take stays with the engine, with the reason: here PostgreSQL's regular expressions.
EXPLAIN SELECT segment, count(*) FROM pg.public.customers WHERE name ~ '^A' GROUP BY segment;

-- The same with nothing but scans handed over. The answer stays the same.
SET SESSION fold = 'never';
SELECT country, count(*) AS customers FROM pg.public.customers GROUP BY country ORDER BY customers DESC, country LIMIT 3;
RESET fold;

-- The other way round: what the lake knows of its customers narrows what PostgreSQL sends.
EXPLAIN ANALYZE
SELECT c.name, o.amount
FROM (SELECT customer_id, amount FROM lake.sales.orders WHERE order_date = DATE '2026-10-30' AND amount > 900) AS o
JOIN pg.public.customers AS c ON c.customer_id = o.customer_id;

-- What is in PostgreSQL is joined there first, whatever the order in the statement; what comes of it narrows what is read of the lake.
EXPLAIN
SELECT c.country, count(*) AS orders
FROM lake.sales.orders AS o, pg.public.customers AS c
WHERE o.customer_id = c.customer_id AND c.country = 'NL'
GROUP BY c.country;

-- A query in PostgreSQL's own language; what stands above it is folded over it.
SELECT country, customers FROM pg.system.query('SELECT country, count(*) AS customers FROM customers GROUP BY ROLLUP (country)') WHERE country = 'NL';
