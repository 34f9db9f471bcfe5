-- A lake, PostgreSQL and Kafka in one query: what those who click today have bought this month.
SELECT c.segment, count(DISTINCT c.customer_id) AS customers, sum(b.revenue) AS revenue_this_month
FROM pg.public.customers AS c
JOIN (
    SELECT DISTINCT customer_id FROM events.default.clicks WHERE action = 'view'
) AS v ON v.customer_id = c.customer_id
JOIN (
    SELECT customer_id, sum(amount) AS revenue
    FROM lake.sales.orders
    WHERE order_date >= DATE '2026-10-01'
    GROUP BY customer_id
) AS b ON b.customer_id = c.customer_id
WHERE c.country IN ('DE', 'FR')
GROUP BY c.segment
ORDER BY revenue_this_month DESC;
