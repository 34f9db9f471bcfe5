-- What went where, and why not.
EXPLAIN
SELECT c.name, o.amount
FROM lake.sales.orders AS o
JOIN pg.public.customers AS c ON c.customer_id = o.customer_id
WHERE o.order_date >= DATE '2026-10-01' AND o.amount > 500
  AND c.segment = 'enterprise' AND c.name ~ '^A[dn]';

-- The same, run and measured.
EXPLAIN ANALYZE
SELECT c.name, o.amount
FROM lake.sales.orders AS o
JOIN pg.public.customers AS c ON c.customer_id = o.customer_id
WHERE o.order_date >= DATE '2026-10-01' AND o.amount > 500
  AND c.segment = 'enterprise' AND c.name ~ '^A[dn]';

-- One JSON document, for tools.
EXPLAIN (FORMAT JSON) SELECT count(*) FROM pg.public.products WHERE category = 'ropes';

-- What a connector declares that its source does exactly.
SHOW CAPABILITIES FROM pg LIKE 'text%';

-- The same query with and without pushdown returns the same rows.
SET SESSION pushdown = 'none';
EXPLAIN SELECT name FROM pg.public.customers WHERE country = 'NL' AND newsletter;
RESET pushdown;
EXPLAIN SELECT name FROM pg.public.customers WHERE country = 'NL' AND newsletter;
