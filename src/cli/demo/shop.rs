//! The shop that the demo's data is about: its customers and products.

use chrono::{Days, NaiveDate};

use super::random::{Random, Weights};

/// How many customers the shop has.
pub(super) const CUSTOMERS: u64 = 3_000;

/// The first day of the shop.
const OPENED: NaiveDate = day(2019, 3, 1);

/// The demo's present day: the lake ends the day before, and the clicks are this day's.
pub(super) const TODAY: NaiveDate = day(2026, 10, 31);

/// A constant date. The first of January 1970 for one that does not exist.
const fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    match NaiveDate::from_ymd_opt(year, month, day) {
        Some(date) => date,
        None => NaiveDate::MIN,
    }
}

/// One row of `customers`.
#[derive(Clone, Debug)]
pub(super) struct Customer {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) country: &'static str,
    pub(super) segment: &'static str,
    pub(super) newsletter: bool,
    pub(super) signed_up: NaiveDate,
}

/// One row of `products`.
#[derive(Clone, Debug)]
pub(super) struct Product {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) category: &'static str,
    /// In cents.
    pub(super) price: i64,
    pub(super) in_stock: i64,
}

/// Customers in the order in which they signed up, products, and how often each of them is met in orders and clicks.
#[derive(Clone, Debug)]
pub(super) struct Shop {
    pub(super) customers: Vec<Customer>,
    pub(super) products: Vec<Product>,
    activity: Weights,
    popularity: Weights,
}

impl Shop {
    /// The shop: always the same.
    pub(super) fn new() -> Self {
        let customers = customers(&mut Random::new(0x0c05));
        let products = products(&mut Random::new(0x960d));
        let mut activity = Weights::default();
        let mut random = Random::new(0xac71);
        for customer in &customers {
            // Most customers buy now and then, some buy every week.
            let own = 1 + 12 / (1 + random.below(12));
            activity.push(own * if customer.segment == "enterprise" { 4 } else { 1 });
        }
        let mut popularity = Weights::default();
        for product in &products {
            // Cheap things sell more often than dear ones.
            popularity.push((1 + 12 / (1 + random.below(12))) * if product.price < 10_000 { 3 } else { 1 });
        }
        Self { customers, products, activity, popularity }
    }

    /// A customer who had signed up before the end of this day.
    pub(super) fn draw_customer(&self, day: NaiveDate, random: &mut Random) -> Option<&Customer> {
        let count = self.customers.partition_point(|customer| customer.signed_up <= day);
        self.customers.get(self.activity.draw(count, random)?)
    }

    /// A product, popular ones more often.
    pub(super) fn draw_product(&self, random: &mut Random) -> Option<&Product> {
        self.products.get(self.popularity.draw(self.products.len(), random)?)
    }
}

const FIRST_NAMES: &[&str] = &[
    "Ada", "Amina", "Anna", "Benoît", "Chiara", "Daniel", "Elena", "Emre", "Fatima", "Felix", "Grace", "Hana",
    "Henrik", "Ines", "Ivan", "Jonas", "Julia", "Kenji", "Lars", "Léa", "Lucía", "Marek", "Maria", "Mehmet", "Mia",
    "Noah", "Nora", "Olga", "Omar", "Paul", "Priya", "Rosa", "Sam", "Sofia", "Søren", "Tomás", "Wei", "Yara", "Zoë",
    "Łukasz",
];

const LAST_NAMES: &[&str] = &[
    "Almeida",
    "Andersen",
    "Becker",
    "Bianchi",
    "Cohen",
    "Costa",
    "De Vries",
    "Dubois",
    "Fischer",
    "García",
    "Haddad",
    "Hansen",
    "Ito",
    "Jansen",
    "Kaya",
    "Keller",
    "Kowalski",
    "Lindqvist",
    "Martin",
    "Meyer",
    "Müller",
    "Novák",
    "Nowak",
    "O'Brien",
    "Okafor",
    "Patel",
    "Petrov",
    "Rossi",
    "Sato",
    "Schmidt",
    "Silva",
    "Smith",
    "Suárez",
    "Tanaka",
    "Van Dijk",
    "Virtanen",
    "Weber",
    "Wójcik",
    "Yılmaz",
    "Zhang",
];

const COUNTRIES: &[(&str, u64)] = &[
    ("DE", 26),
    ("FR", 17),
    ("NL", 12),
    ("GB", 11),
    ("PL", 8),
    ("IT", 7),
    ("ES", 6),
    ("SE", 5),
    ("CZ", 4),
    ("TR", 2),
    ("JP", 2),
];

const SEGMENTS: &[(&str, u64)] = &[("consumer", 78), ("small business", 17), ("enterprise", 5)];

/// Domains that nobody can own (RFC 2606).
const DOMAINS: &[&str] = &["example.com", "example.org", "example.net"];

fn customers(random: &mut Random) -> Vec<Customer> {
    let days = u64::try_from((TODAY - OPENED).num_days()).unwrap_or(0);
    // The shop grows: the larger of two draws is more often late.
    let mut signed_up: Vec<u64> = (0..CUSTOMERS).map(|_| random.below(days).max(random.below(days))).collect();
    signed_up.sort_unstable();
    signed_up
        .into_iter()
        .zip(1..)
        .filter_map(|(days, id)| {
            let (first, last) = (random.pick(FIRST_NAMES)?, random.pick(LAST_NAMES)?);
            Some(Customer {
                id,
                name: format!("{first} {last}"),
                email: format!("customer{id}@{}", random.pick(DOMAINS)?),
                country: random.pick_weighted(COUNTRIES)?,
                segment: random.pick_weighted(SEGMENTS)?,
                newsletter: random.chance(35),
                signed_up: OPENED.checked_add_days(Days::new(days))?,
            })
        })
        .collect()
}

/// A category: its name, its lowest and highest price in whole units, and what is sold in it.
type Category = (&'static str, u64, u64, &'static [&'static str]);

const CATEGORIES: &[Category] = &[
    ("books", 6, 45, &["Atlas", "Cookbook", "Field Guide", "Logbook", "Novel", "Pilot Book"]),
    ("clothing", 15, 180, &["Cap", "Gloves", "Oilskin", "Rain Jacket", "Scarf", "Sweater"]),
    ("electronics", 25, 900, &["Chart Plotter", "Depth Sounder", "Headlamp", "Power Bank", "Radio", "Receiver"]),
    ("galley", 8, 160, &["Coffee Press", "Kettle", "Knife", "Mug", "Pan", "Stove"]),
    ("navigation", 12, 400, &["Barometer", "Binoculars", "Compass", "Divider", "Sextant", "Star Chart"]),
    ("outdoor", 10, 320, &["Backpack", "Hammock", "Lantern", "Sleeping Bag", "Tent", "Water Bottle"]),
    ("ropes", 5, 90, &["Block", "Cleat", "Dock Line", "Halyard", "Shackle", "Splicing Kit"]),
    ("safety", 14, 260, &["Fire Blanket", "First Aid Kit", "Flare", "Life Jacket", "Smoke Alarm", "Whistle"]),
];

const STYLES: &[&str] = &["Classic", "Coastal", "Compact", "Harbour", "Heavy Duty", "Nordic", "Traveller"];

fn products(random: &mut Random) -> Vec<Product> {
    let kinds = CATEGORIES.iter().flat_map(|category| category.3.iter().map(move |kind| (category, *kind)));
    kinds
        .flat_map(|(category, kind)| STYLES.iter().map(move |style| (category, format!("{style} {kind}"))))
        .zip(1..)
        .map(|(((category, lowest, highest, _), name), id)| {
            // The smaller of two draws: most prices are in the lower part of the range. They end in .90 or .50.
            let range = highest - lowest;
            let units = lowest + random.below(range).min(random.below(range));
            let cents = if random.chance(70) { 90 } else { 50 };
            Product {
                id,
                name,
                category,
                price: i64::try_from(units * 100 + cents).unwrap_or(i64::MAX),
                in_stock: i64::try_from(random.below(400)).unwrap_or(0),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shop_is_believable_and_always_the_same() {
        let shop = Shop::new();
        assert_eq!(shop.customers.len() as u64, CUSTOMERS);
        assert_eq!(shop.products.len(), 8 * 6 * 7);
        assert!(shop.customers.iter().zip(1..).all(|(customer, id)| customer.id == id));
        assert!(shop.customers.is_sorted_by_key(|customer| customer.signed_up));
        assert!(shop.customers.iter().all(|customer| (OPENED..TODAY).contains(&customer.signed_up)));
        for segment in ["consumer", "small business", "enterprise"] {
            assert!(shop.customers.iter().any(|customer| customer.segment == segment), "{segment}");
        }
        assert!(shop.products.iter().all(|product| (500..100_000).contains(&product.price)));
        let again = Shop::new();
        assert_eq!(format!("{shop:?}"), format!("{again:?}"));
    }

    #[test]
    fn nobody_buys_before_signing_up() {
        let shop = Shop::new();
        let mut random = Random::new(5);
        let day = NaiveDate::from_ymd_opt(2024, 11, 1).unwrap();
        for _ in 0..1_000 {
            assert!(shop.draw_customer(day, &mut random).unwrap().signed_up <= day);
        }
        assert!(shop.draw_customer(OPENED.pred_opt().unwrap(), &mut random).is_none());
    }
}
