//! Addresses of hosts and networks.
//!
//! Source: PostgreSQL's `network.c`, `network_send`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portolan_remote_sql::inet_text;

use super::column::ValueError;

/// The families as `inet.h` numbers them, which is the same on every machine.
const INET: u8 = 2;
const INET6: u8 = 3;

/// An address as PostgreSQL prints it.
pub(super) fn text(value: &[u8]) -> Result<String, ValueError> {
    let malformed = || ValueError::length("inet", value.len());
    let (&[family, bits, is_cidr, _length], address) = value.split_first_chunk::<4>().ok_or_else(malformed)?;
    let address = match family {
        INET => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(address).map_err(|_| malformed())?)),
        INET6 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address).map_err(|_| malformed())?)),
        other => return Err(ValueError::new(format!("an inet of the family {other}"))),
    };
    Ok(inet_text(address, bits, is_cidr != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_networks() {
        assert_eq!(text(&[2, 32, 0, 4, 10, 0, 0, 1]).unwrap(), "10.0.0.1");
        assert_eq!(text(&[2, 24, 0, 4, 10, 0, 0, 1]).unwrap(), "10.0.0.1/24");
        assert_eq!(text(&[2, 32, 1, 4, 10, 0, 0, 1]).unwrap(), "10.0.0.1/32");
        let mut loopback = vec![3, 128, 0, 16];
        loopback.extend([0; 15]);
        loopback.push(1);
        assert_eq!(text(&loopback).unwrap(), "::1");
    }

    #[test]
    fn malformed_values_are_errors() {
        for value in [&[][..], &[2, 32, 0, 4, 10, 0, 0], &[3, 32, 0, 4, 10, 0, 0, 1], &[9, 0, 0, 0]] {
            assert!(text(value).is_err(), "{value:?}");
        }
    }
}
