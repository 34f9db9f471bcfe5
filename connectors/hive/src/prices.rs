//! What a store charges for requests, as the catalog file says.

use portolan_connector::{Charge, Properties, PropertyKind, PropertySpec, RequestCount};

/// The properties of a price list.
pub(crate) const PRICES: &[PropertySpec] = &[
    PropertySpec::new("per_1000_list", PropertyKind::Number, "the price of 1,000 LIST requests").or("0"),
    PropertySpec::new("per_1000_get", PropertyKind::Number, "the price of 1,000 GET or HEAD requests").or("0"),
    PropertySpec::new("per_1000_put", PropertyKind::Number, "the price of 1,000 PUT or COPY requests").or("0"),
    PropertySpec::new("per_gigabyte", PropertyKind::Number, "the price of 1,000,000,000 bytes that are read").or("0"),
    PropertySpec::new("currency", PropertyKind::Text, "what the prices are in").or("USD"),
];

/// How many requests a price is for.
const REQUESTS: f64 = 1000.0;

/// How many bytes a price is for.
const GIGABYTE: f64 = 1e9;

/// A price list.
#[derive(Clone, Debug)]
pub(crate) struct Prices {
    list: f64,
    get: f64,
    put: f64,
    gigabyte: f64,
    currency: String,
}

impl Prices {
    /// The list of a catalog that has one.
    pub(crate) fn read(properties: &Properties) -> Option<Self> {
        let section = properties.section("prices")?;
        let price = |name: &str| section.number(name).unwrap_or_default();
        Some(Self {
            list: price("per_1000_list"),
            get: price("per_1000_get"),
            put: price("per_1000_put"),
            gigabyte: price("per_gigabyte"),
            currency: section.text("currency").unwrap_or_default().to_owned(),
        })
    }

    /// What these requests cost.
    pub(crate) fn charge(&self, requests: &[RequestCount]) -> Charge {
        let of = |request: &RequestCount| {
            let (price, read) = match request.kind {
                "LIST" => (self.list, 0),
                "GET" | "HEAD" => (self.get, request.bytes),
                "PUT" | "COPY" => (self.put, 0),
                _ => (0.0, 0),
            };
            price * request.count as f64 / REQUESTS + self.gigabyte * read as f64 / GIGABYTE
        };
        Charge { amount: requests.iter().map(of).sum(), currency: self.currency.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_price() {
        let prices = Prices { list: 5.0, get: 0.4, put: 6.0, gigabyte: 0.09, currency: "USD".to_owned() };
        let count = |kind, count, bytes| RequestCount { kind, count, bytes };
        let cost = |requests: &[RequestCount]| prices.charge(requests).amount;
        assert!((cost(&[count("LIST", 200, 0)]) - 1.0).abs() < 1e-9);
        assert!((cost(&[count("GET", 500, 2_000_000_000), count("HEAD", 500, 0)]) - 0.58).abs() < 1e-9);
        assert!((cost(&[count("PUT", 1000, 9_000_000_000), count("DELETE", 9, 0)]) - 6.0).abs() < 1e-9);
        assert!(cost(&[]).abs() < 1e-12);
    }
}
