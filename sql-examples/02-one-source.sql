-- One source at a time. USE lets you leave out the catalog and the schema.
USE pg.public;
SELECT segment, count(*) AS customers FROM customers GROUP BY segment ORDER BY customers DESC;
SELECT name, price FROM products WHERE category = 'navigation' AND price < 100 ORDER BY price LIMIT 5;

USE lake.sales;
SELECT order_date, count(*) AS orders, sum(amount) AS revenue
FROM orders
WHERE order_date BETWEEN DATE '2026-10-24' AND DATE '2026-10-30'
GROUP BY order_date
ORDER BY order_date;

USE events.default;
SELECT action, count(*) AS clicks FROM clicks GROUP BY action ORDER BY clicks DESC;
