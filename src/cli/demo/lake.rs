//! The demo's lake: two years of orders as Parquet files, a directory for each day.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::TimestampMicrosecondBuilder;
use arrow::array::{ArrayRef, Decimal128Builder, Int32Builder, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{Datelike, Days, NaiveDate, NaiveTime};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::DemoError;
use super::random::Random;
use super::shop::{Shop, TODAY};

/// Days of orders, the last of them the day before `TODAY`.
const DAYS: u64 = 730;

/// The table below the lake's directory: schema, table.
const TABLE: &str = "sales/orders";

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Writes the table below the lake's directory. Returns how many rows and files it has.
pub(super) fn write(lake: &Path, shop: &Shop) -> Result<(usize, usize), DemoError> {
    let schema = schema();
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut random = Random::new(0x04de);
    let (mut rows, mut files) = (0, 0);
    for before in (1..=DAYS).rev() {
        let Some(day) = TODAY.checked_sub_days(Days::new(before)) else { continue };
        let orders = orders_of(day, 1 + i64::try_from(rows).unwrap_or(0), shop, &mut random);
        let batch = batch(&schema, &orders)?;
        let directory = lake.join(TABLE).join(format!("order_date={day}"));
        fs::create_dir_all(&directory).map_err(DemoError::io(&directory))?;
        let path = directory.join("part-0.parquet");
        let file = File::create(&path).map_err(DemoError::io(&path))?;
        let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties.clone()))?;
        writer.write(&batch)?;
        writer.close()?;
        rows += orders.len();
        files += 1;
    }
    Ok((rows, files))
}

/// What was to be sold in some countries, as somebody has sent it.
const TARGETS: &str = "\
country,month,target
DE,2026-09-01,70000.00
DE,2026-10-01,75000.00
FR,2026-09-01,60000.00
FR,2026-10-01,
";

/// Writes a table of CSV files below a lake's directory.
pub(super) fn write_targets(lake: &Path) -> Result<(), DemoError> {
    let directory = lake.join("inbox/targets");
    fs::create_dir_all(&directory).map_err(DemoError::io(&directory))?;
    let path = directory.join("2026.csv");
    fs::write(&path, TARGETS).map_err(DemoError::io(&path))
}

/// One row. The day is in the directory's name.
#[derive(Clone, Debug)]
struct Order {
    id: i64,
    customer: i64,
    product: i64,
    quantity: i32,
    /// In cents.
    amount: i64,
    status: &'static str,
    at: i64,
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("order_id", DataType::Int64, false),
        Field::new("customer_id", DataType::Int64, false),
        Field::new("product_id", DataType::Int64, false),
        Field::new("quantity", DataType::Int32, false),
        Field::new("amount", DataType::Decimal128(10, 2), false),
        Field::new("status", DataType::Utf8, false),
        Field::new("ordered_at", DataType::Timestamp(TimeUnit::Microsecond, None), false),
    ]))
}

/// The orders of a day in the order of their time, numbered from `first`.
fn orders_of(day: NaiveDate, first: i64, shop: &Shop, random: &mut Random) -> Vec<Order> {
    let mut seconds: Vec<i64> = (0..count_of(day, random)).map(|_| second_of_day(random)).collect();
    seconds.sort_unstable();
    let midnight = day.and_time(NaiveTime::MIN).and_utc().timestamp();
    seconds
        .into_iter()
        .zip(first..)
        .filter_map(|(second, id)| {
            let (customer, product) = (shop.draw_customer(day, random)?, shop.draw_product(random)?);
            let most = match customer.segment {
                "enterprise" => 24,
                "small business" => 8,
                _ => 3,
            };
            let quantity = 1 + random.below(most).min(random.below(most));
            let quantity = i32::try_from(quantity).unwrap_or(1);
            let full = product.price * i64::from(quantity);
            // One order in eight has a discount of a tenth.
            let amount = if random.chance(12) { full - full / 10 } else { full };
            let at = (midnight + second) * MICROS_PER_SECOND;
            Some(Order {
                id,
                customer: customer.id,
                product: product.id,
                quantity,
                amount,
                status: status_of(day, random)?,
                at,
            })
        })
        .collect()
}

/// How many orders a day has: more each year, fewer at weekends, many before Christmas.
fn count_of(day: NaiveDate, random: &mut Random) -> u64 {
    let age = u64::try_from((TODAY - day).num_days()).unwrap_or(0);
    let usual = 150 + DAYS.saturating_sub(age) * 80 / DAYS;
    let weekday = if day.weekday().num_days_from_monday() >= 5 { 70 } else { 100 };
    let season = match (day.month(), day.day()) {
        (11, 24..=30) => 190,
        (12, 1..=20) => 160,
        (7 | 8, _) => 85,
        _ => 100,
    };
    usual * weekday * season / 10_000 + random.below(30)
}

/// A second of a day: most orders come in the afternoon and evening.
fn second_of_day(random: &mut Random) -> i64 {
    let hour = 6 + random.below(18).max(random.below(18));
    i64::try_from(hour * 3600 + random.below(3600)).unwrap_or(0)
}

/// What has become of an order by now: young ones are still on their way.
fn status_of(day: NaiveDate, random: &mut Random) -> Option<&'static str> {
    random.pick_weighted(match (TODAY - day).num_days() {
        ..=1 => &[("paid", 85), ("shipped", 12), ("cancelled", 3)],
        2..=4 => &[("paid", 10), ("shipped", 70), ("delivered", 17), ("cancelled", 3)],
        _ => &[("delivered", 92), ("returned", 5), ("cancelled", 3)],
    })
}

fn batch(schema: &SchemaRef, orders: &[Order]) -> Result<RecordBatch, DemoError> {
    let mut ids = Int64Builder::with_capacity(orders.len());
    let mut customers = Int64Builder::with_capacity(orders.len());
    let mut products = Int64Builder::with_capacity(orders.len());
    let mut quantities = Int32Builder::with_capacity(orders.len());
    let mut amounts = Decimal128Builder::with_capacity(orders.len()).with_precision_and_scale(10, 2)?;
    let mut statuses = StringBuilder::new();
    let mut times = TimestampMicrosecondBuilder::with_capacity(orders.len());
    for order in orders {
        ids.append_value(order.id);
        customers.append_value(order.customer);
        products.append_value(order.product);
        quantities.append_value(order.quantity);
        amounts.append_value(i128::from(order.amount));
        statuses.append_value(order.status);
        times.append_value(order.at);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids.finish()),
        Arc::new(customers.finish()),
        Arc::new(products.finish()),
        Arc::new(quantities.finish()),
        Arc::new(amounts.finish()),
        Arc::new(statuses.finish()),
        Arc::new(times.finish()),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_of_a_day() {
        let shop = Shop::new();
        let day = NaiveDate::from_ymd_opt(2025, 12, 4).unwrap();
        let orders = orders_of(day, 100, &shop, &mut Random::new(1));
        assert!((200..500).contains(&orders.len()), "{}", orders.len());
        assert!(orders.iter().zip(100..).all(|(order, id)| order.id == id));
        assert!(orders.is_sorted_by_key(|order| order.at));
        let midnight = day.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
        assert!(orders.iter().all(|order| (midnight..midnight + 86_400 * MICROS_PER_SECOND).contains(&order.at)));
        for order in &orders {
            let product = &shop.products[usize::try_from(order.product - 1).unwrap()];
            let full = product.price * i64::from(order.quantity);
            assert!(order.amount == full || order.amount == full - full / 10, "{order:?}");
        }
        let summer_sunday = orders_of(NaiveDate::from_ymd_opt(2025, 8, 3).unwrap(), 1, &shop, &mut Random::new(1));
        assert!(summer_sunday.len() < orders.len());
    }
}
