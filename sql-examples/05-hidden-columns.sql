-- Columns that `*` leaves out and that exist when they are named.
SELECT "$partition", count(*) AS orders
FROM lake.sales.orders
WHERE order_date >= DATE '2026-10-28'
GROUP BY "$partition"
ORDER BY "$partition";

SELECT count(DISTINCT "$path") AS files, sum(quantity) AS items
FROM lake.sales.orders
WHERE order_date >= DATE '2026-10-01';

-- Offsets select exactly what is read from Kafka.
SELECT _partition_id, min(_partition_offset) AS first, max(_partition_offset) AS last, count(*) AS messages
FROM events.default.clicks
WHERE _partition_offset < 100
GROUP BY _partition_id
ORDER BY _partition_id;

SELECT _partition_id, _partition_offset, _message
FROM events.default.clicks
WHERE _partition_id = 2 AND _partition_offset BETWEEN 10 AND 12
ORDER BY _partition_offset;
