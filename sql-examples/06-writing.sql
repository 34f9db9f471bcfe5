-- Tables of your own, in the server's memory: a result that you go on with. They are gone when the process ends.

CREATE SCHEMA mem.work;

CREATE TABLE mem.work.best AS
SELECT c.country, c.customer_id, c.name, sum(o.amount) AS spent
FROM lake.sales.orders AS o
JOIN pg.public.customers AS c ON c.customer_id = o.customer_id
WHERE o.order_date >= DATE '2026-10-01'
GROUP BY c.country, c.customer_id, c.name;

-- From here on neither the lake nor PostgreSQL is asked.
SELECT country, count(*) AS customers, max(spent) AS most
FROM mem.work.best
GROUP BY country
ORDER BY most DESC
LIMIT 3;

-- A column takes what stays what it is. What would be rounded or read as something else wants a CAST that says so.
CREATE TABLE mem.work.notes (customer_id bigint NOT NULL, note varchar, written date);

INSERT INTO mem.work.notes VALUES (1, 'call in spring', '2026-11-21');

INSERT INTO mem.work.notes (customer_id, note)
SELECT customer_id, 'more than ' || CAST(spent AS varchar) FROM mem.work.best ORDER BY spent DESC LIMIT 2;

SELECT * FROM mem.work.notes ORDER BY customer_id;

-- Tried again under the same token, a statement writes nothing and says what it wrote the first time.
SET SESSION write_token = 'notes of 2026-11-21';

INSERT INTO mem.work.notes VALUES (2, 'once', NULL);

INSERT INTO mem.work.notes VALUES (2, 'once', NULL);

RESET SESSION write_token;

DROP SCHEMA mem.work CASCADE;
