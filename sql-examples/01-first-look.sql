-- What is there: catalogs, their schemas, tables and columns.
SHOW CATALOGS;
SHOW SCHEMAS FROM pg;
SHOW TABLES FROM pg.public;
SHOW TABLES FROM lake LIKE 'ord%';
DESCRIBE events.default.clicks;
SHOW COLUMNS FROM pg.public.customers;
SHOW CREATE TABLE pg.public.products;
SELECT table_schema, table_name, table_type
FROM pg.information_schema.tables
ORDER BY table_schema, table_name;
