//! The demo's PostgreSQL database: customers and products.

use std::fmt::Write;

use portolan_servers::{PostgresServer, ServerError};

use super::shop::Shop;

/// The database that the demo's catalog `pg` reads.
pub(super) const DATABASE: &str = "shop";

const TABLES: &str = "
CREATE TABLE customers (
    customer_id bigint PRIMARY KEY,
    name        text NOT NULL,
    email       text NOT NULL UNIQUE,
    country     varchar(2) NOT NULL,
    segment     text NOT NULL,
    newsletter  boolean NOT NULL,
    signed_up   date NOT NULL
);
COMMENT ON TABLE customers IS 'Who buys in the shop';
CREATE TABLE products (
    product_id  bigint PRIMARY KEY,
    name        text NOT NULL,
    category    text NOT NULL,
    price       numeric(10, 2) NOT NULL,
    in_stock    integer NOT NULL
);
COMMENT ON TABLE products IS 'What the shop sells';
";

/// Creates the database with its tables and rows. Returns how many rows there are.
pub(super) fn load(server: &PostgresServer, shop: &Shop) -> Result<usize, ServerError> {
    server.psql("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
    server.psql(DATABASE, &script(shop))?;
    Ok(shop.customers.len() + shop.products.len())
}

/// All statements, the rows inline.
fn script(shop: &Shop) -> String {
    let mut script = String::from(TABLES);
    script.push_str("COPY customers FROM STDIN;\n");
    for customer in &shop.customers {
        let newsletter = if customer.newsletter { 't' } else { 'f' };
        let _ = writeln!(
            script,
            "{}\t{}\t{}\t{}\t{}\t{newsletter}\t{}",
            customer.id, customer.name, customer.email, customer.country, customer.segment, customer.signed_up
        );
    }
    script.push_str("\\.\nCOPY products FROM STDIN;\n");
    for product in &shop.products {
        let _ = writeln!(
            script,
            "{}\t{}\t{}\t{}.{:02}\t{}",
            product.id,
            product.name,
            product.category,
            product.price / 100,
            product.price % 100,
            product.in_stock
        );
    }
    script.push_str("\\.\nCREATE INDEX ON products (category);\nANALYZE;\n");
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_need_no_escapes() {
        let shop = Shop::new();
        let texts = shop.customers.iter().map(|customer| &customer.name);
        for text in texts.chain(shop.products.iter().map(|product| &product.name)) {
            assert!(!text.contains(['\\', '\t', '\n', '\r']), "{text}");
        }
        let script = script(&shop);
        assert_eq!(script.matches("\n\\.\n").count(), 2);
        assert_eq!(
            script.lines().filter(|line| line.contains('\t')).count(),
            shop.customers.len() + shop.products.len()
        );
    }
}
