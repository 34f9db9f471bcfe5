//! Addresses of hosts and networks as texts.
//!
//! Source: PostgreSQL's `inet_net_ntop.c` and `network.c`: a mask is left out where the value is of type `inet` and one
//! host; the longest run of zeros, the first of several, is left out, where it is longer than one group; an address that
//! embeds one of four bytes ends in that.

use std::net::{IpAddr, Ipv6Addr};

/// An address as PostgreSQL prints it. `bits` are those of the network.
pub fn inet_text(address: IpAddr, bits: u8, is_cidr: bool) -> String {
    let (text, width) = match address {
        IpAddr::V4(address) => (address.to_string(), 32),
        IpAddr::V6(address) => (ipv6_text(address), 128),
    };
    if bits == width && !is_cidr { text } else { format!("{text}/{bits}") }
}

/// Whether PostgreSQL prints an address just so.
pub(super) fn is_canonical(text: &str, is_cidr: bool) -> bool {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, bits.parse::<u8>().ok()),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(width);
    bits <= width && (!is_cidr || is_network(address, bits)) && inet_text(address, bits, is_cidr) == text
}

/// Whether all bits behind those of the network are 0.
fn is_network(address: IpAddr, bits: u8) -> bool {
    let (number, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    number.trailing_zeros() >= width - u32::from(bits) || number == 0
}

fn ipv6_text(address: Ipv6Addr) -> String {
    let groups = address.segments();
    let (mut from, mut count) = (0, 0);
    let mut at = 0;
    while at < groups.len() {
        let zeros = groups.iter().skip(at).take_while(|group| **group == 0).count();
        if zeros > count.max(1) {
            (from, count) = (at, zeros);
        }
        at += zeros.max(1);
    }
    let hex = |groups: &[u16]| groups.iter().map(|group| format!("{group:x}")).collect::<Vec<_>>().join(":");
    if count == 0 {
        return hex(&groups);
    }
    // An address of four bytes behind six groups of zeros, or behind five and one of ones.
    if from == 0 && (count == 6 || (count == 5 && groups.get(5) == Some(&0xffff))) {
        let [.., a, b, c, d] = address.octets();
        let ones = if count == 5 { "ffff:" } else { "" };
        return format!("::{ones}{a}.{b}.{c}.{d}");
    }
    let before = groups.get(..from).unwrap_or_default();
    let after = groups.get(from + count..).unwrap_or_default();
    format!("{}::{}", hex(before), hex(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What psql prints.
    const PRINTED: &[&str] = &[
        "10.0.0.1",
        "10.0.0.1/24",
        "0.0.0.0/0",
        "::ffff:1.2.3.4/96",
        "::1.2.3.4",
        "1:0:0:2::3",
        "::",
        "::1",
        "1:0:2:3:4:5:6:7",
        "::1:0:0:1:0:0",
        "::1:2:3",
        "1:2:3:4:5:6:7:0",
        "0:0:0:5::",
        "1::/16",
    ];

    #[test]
    fn addresses_print_as_postgresql_prints_them() {
        for printed in PRINTED {
            assert!(is_canonical(printed, false), "{printed}");
        }
    }

    #[test]
    fn other_spellings_are_not_canonical() {
        for other in [
            "",
            "10.0.0.1/32",
            "10.0.0.01",
            "10.0.0.1/33",
            "::0001",
            "0:0:0:0:0:0:0:1",
            "::FFFF:1.2.3.4",
            "x",
            "10.0.0.1/+8",
        ] {
            assert!(!is_canonical(other, false), "{other}");
        }
    }

    #[test]
    fn networks_always_have_a_mask_and_nothing_behind_it() {
        for network in ["10.1.2.0/24", "10.0.0.1/32", "::1/128", "0.0.0.0/0", "::/0", "2001:db8::/32"] {
            assert!(is_canonical(network, true), "{network}");
        }
        for other in ["10.0.0.1", "10.0.0.1/24", "::1", "::1/127"] {
            assert!(!is_canonical(other, true), "{other}");
        }
    }
}
