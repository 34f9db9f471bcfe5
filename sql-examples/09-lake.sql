-- A lake of your own: a table of CSV files that somebody sends, and a table that statements write.

-- The catalog file says that the files are CSV, and which columns they have. What is empty is NULL.
SELECT country, month, target FROM own.inbox.targets ORDER BY country, month;

-- Parquet files in directories by month, from two sources. Readers see all of a statement or nothing of it.
CREATE SCHEMA own.reports;

CREATE TABLE own.reports.revenue WITH (partitioned_by = ARRAY['month'], sorted_by = ARRAY['country']) AS
SELECT c.country, sum(o.amount) AS revenue, CAST(date_trunc('month', o.order_date) AS date) AS month
FROM lake.sales.orders AS o
JOIN pg.public.customers AS c ON c.customer_id = o.customer_id
WHERE o.order_date >= DATE '2026-08-01'
GROUP BY c.country, CAST(date_trunc('month', o.order_date) AS date);

-- A month computed again takes the place of the one that was there; the other months stay.
INSERT OVERWRITE own.reports.revenue
SELECT c.country, sum(o.amount) AS revenue, DATE '2026-10-01' AS month
FROM lake.sales.orders AS o
JOIN pg.public.customers AS c ON c.customer_id = o.customer_id
WHERE o.order_date BETWEEN DATE '2026-10-01' AND DATE '2026-10-31' AND o.status <> 'returned'
GROUP BY c.country;

-- What there is, without reading any of it.
SELECT month, file_count, bytes FROM own.reports."revenue$partitions" ORDER BY month;

-- Only the month that is asked for is read: `partitions 1 of 3`.
EXPLAIN SELECT country, revenue FROM own.reports.revenue WHERE month = DATE '2026-09-01';

SELECT t.country, t.month, r.revenue, t.target, r.revenue >= t.target AS reached
FROM own.inbox.targets AS t
JOIN own.reports.revenue AS r USING (country, month)
ORDER BY t.country, t.month;

-- Finishes what was interrupted, and removes what dead writes left.
CALL own.system.clean_staging();

DROP SCHEMA own.reports CASCADE;
