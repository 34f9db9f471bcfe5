//! Answers that tell where brokers listen: they get the addresses of the gateway's listeners.
//!
//! Answers about topics (`Metadata`) and coordinators (`FindCoordinator`) tell it always. Newer versions of `Fetch` and
//! `Produce` tell it behind their messages when a leader has moved, and other answers tell it that no client of ours asks for:
//! what brokers say they support (`ApiVersions`) is cut down, so that clients do not ask that way.

use std::io;

use crate::protocol::{Address, Question, Reader, Writer, api, invalid};

/// The port of a listener that leads to a broker.
pub(super) type Listener<'a> = dyn Fn(Address) -> io::Result<u16> + 'a;

/// The host of all listeners.
const HOST: &str = "127.0.0.1";

/// The first version of each answer that tells addresses where they are not looked for (KIP-951, KIP-699).
const NEWER: &[(i16, i16)] = &[(api::FETCH, 16), (api::PRODUCE, 10), (api::FIND_COORDINATOR, 3)];

/// Answers that tell addresses and that clients do without.
const HIDDEN: &[i16] = &[api::DESCRIBE_CLUSTER, api::SHARE_FETCH, api::SHARE_ACKNOWLEDGE];

/// Questions of a login, which the gateway answers itself, whatever the broker knows.
const LOGIN: &[(i16, i16)] = &[(api::SASL_HANDSHAKE, 1), (api::SASL_AUTHENTICATE, 1)];

/// Whether answers to the question are written anew.
pub(super) fn are_rewritten(question: Question) -> bool {
    matches!(question.api, api::METADATA | api::FIND_COORDINATOR | api::API_VERSIONS)
}

/// An answer with the addresses of listeners. Takes and gives a frame without its length.
pub(super) fn rewrite(question: Question, answer: &[u8], listener: &Listener<'_>) -> io::Result<Vec<u8>> {
    match question.api {
        api::METADATA => metadata(question.version, answer, listener),
        api::FIND_COORDINATOR => coordinator(question.version, answer, listener),
        api::API_VERSIONS => versions(question.version, answer),
        _ => Ok(answer.to_vec()),
    }
}

/// Brokers come first; all behind them stays as it is.
fn metadata(version: i16, answer: &[u8], listener: &Listener<'_>) -> io::Result<Vec<u8>> {
    let (mut reader, mut writer) = (Reader::new(answer), Writer::default());
    let is_flexible = version >= 9;
    writer.int32(reader.int32()?);
    if is_flexible {
        writer.bytes(reader.tags()?);
    }
    if version >= 3 {
        // How long the client was held back.
        writer.int32(reader.int32()?);
    }
    let brokers = reader.count(is_flexible)?;
    writer.count(brokers, is_flexible)?;
    for _ in 0..brokers {
        writer.int32(reader.int32()?);
        address((&mut reader, &mut writer), is_flexible, listener)?;
        if version >= 1 {
            // The rack.
            writer.string(reader.string(is_flexible)?, is_flexible)?;
        }
        if is_flexible {
            writer.bytes(reader.tags()?);
        }
    }
    writer.bytes(reader.rest());
    Ok(writer.frame())
}

/// One broker, or none with an error.
fn coordinator(version: i16, answer: &[u8], listener: &Listener<'_>) -> io::Result<Vec<u8>> {
    let (mut reader, mut writer) = (Reader::new(answer), Writer::default());
    writer.int32(reader.int32()?);
    if version >= 1 {
        writer.int32(reader.int32()?);
    }
    let error = reader.int16()?;
    writer.int16(error);
    if version >= 1 {
        writer.string(reader.string(false)?, false)?;
    }
    writer.int32(reader.int32()?);
    if error == 0 {
        address((&mut reader, &mut writer), false, listener)?;
    }
    writer.bytes(reader.rest());
    Ok(writer.frame())
}

fn address((reader, writer): (&mut Reader<'_>, &mut Writer), compact: bool, listener: &Listener<'_>) -> io::Result<()> {
    let host = reader.string(compact)?.filter(|host| !host.is_empty());
    let port = u16::try_from(reader.int32()?).ok().filter(|port| *port != 0);
    let (Some(host), Some(port)) = (host, port) else { return Err(invalid("a broker has no address")) };
    let port = listener(Address { host: host.to_owned(), port })?;
    writer.string(Some(HOST), compact)?;
    writer.int32(i32::from(port));
    Ok(())
}

/// What the broker supports, without what the gateway does not look through, and with the gateway's own login.
fn versions(version: i16, answer: &[u8]) -> io::Result<Vec<u8>> {
    let (mut reader, mut writer) = (Reader::new(answer), Writer::default());
    writer.int32(reader.int32()?);
    let error = reader.int16()?;
    if error != 0 {
        // An unknown version of the question, as a rule: the client asks again in an older one.
        return Ok(answer.to_vec());
    }
    writer.int16(error);
    let is_flexible = version >= 3;
    let mut supported = Vec::new();
    for _ in 0..reader.count(is_flexible)? {
        let (key, oldest, newest) = (reader.int16()?, reader.int16()?, reader.int16()?);
        let tags = if is_flexible { reader.tags()? } else { &[] };
        let limit = NEWER.iter().find(|(newer, _)| *newer == key).map_or(newest, |(_, version)| version - 1);
        let is_hidden = HIDDEN.contains(&key) || LOGIN.iter().any(|(login, _)| *login == key);
        if !is_hidden && oldest <= limit {
            supported.push((key, oldest, newest.min(limit), tags));
        }
    }
    let no_tags: &[u8] = if is_flexible { &[0] } else { &[] };
    supported.extend(LOGIN.iter().map(|(key, newest)| (*key, 0, *newest, no_tags)));
    writer.count(supported.len(), is_flexible)?;
    for (key, oldest, newest, tags) in supported {
        for number in [key, oldest, newest] {
            writer.int16(number);
        }
        writer.bytes(tags);
    }
    writer.bytes(reader.rest());
    Ok(writer.frame())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

    use super::*;

    const NUMBER: [u8; 4] = [0, 0, 0, 7];

    fn question(api: i16, version: i16) -> Question {
        Question { api, version, number: 7 }
    }

    /// `kafka-1:9093` is at 41001, every other at 41002.
    fn listener(address: Address) -> io::Result<u16> {
        Ok(if address == (Address { host: "kafka-1".to_owned(), port: 9093 }) { 41001 } else { 41002 })
    }

    #[test]
    fn brokers_of_old_metadata_get_the_addresses_of_listeners() {
        let rest = b"\x00\x00\x00\x00topics";
        let broker = |id: u8, host: &[u8], port: i32| {
            let mut bytes = vec![0, 0, 0, id, 0, u8::try_from(host.len()).unwrap()];
            bytes.extend(host);
            bytes.extend(port.to_be_bytes());
            bytes.extend([0xff, 0xff]);
            bytes
        };
        let answer = |first: (&[u8], i32), second: (&[u8], i32)| {
            let brokers = [broker(1, first.0, first.1), broker(2, second.0, second.1)].concat();
            [&NUMBER[..], &[0, 0, 0, 2], &brokers, rest].concat()
        };
        let told = answer((b"kafka-1", 9093), (b"kafka-2", 9093));
        let wanted = answer((b"127.0.0.1", 41001), (b"127.0.0.1", 41002));
        assert_eq!(rewrite(question(api::METADATA, 1), &told, &listener).unwrap(), wanted);
    }

    #[test]
    fn brokers_of_new_metadata_keep_racks_and_tags() {
        let answer = |host: &[u8], port: i32| {
            let length = u8::try_from(host.len() + 1).unwrap();
            [
                // The number, no tags, not held back, one broker, its number.
                &NUMBER[..],
                &[0, 0, 0, 0, 0, 2, 0, 0, 0, 1, length],
                host,
                &port.to_be_bytes(),
                // The rack "r", a tag of two bytes, the name of the cluster and the rest.
                &[2, b'r', 1, 3, 2, 8, 9],
                b"\x02crest",
            ]
            .concat()
        };
        let told = rewrite(question(api::METADATA, 12), &answer(b"kafka-1", 9093), &listener).unwrap();
        assert_eq!(told, answer(b"127.0.0.1", 41001));
        assert!(rewrite(question(api::METADATA, 12), &NUMBER, &listener).is_err(), "an answer that ends too early");
    }

    #[test]
    fn coordinators_get_the_addresses_of_listeners() {
        let answer = |host: &[u8], port: i32| {
            let length = [0, u8::try_from(host.len()).unwrap()];
            [&NUMBER[..], &[0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 3], &length, host, &port.to_be_bytes()].concat()
        };
        let asked = question(api::FIND_COORDINATOR, 2);
        assert_eq!(rewrite(asked, &answer(b"kafka-3", 1), &listener).unwrap(), answer(b"127.0.0.1", 41002));
        let unavailable = [&NUMBER[..], &[0, 0, 0, 0, 0, 15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]].concat();
        let unavailable = [&unavailable[..], &(-1_i32).to_be_bytes()].concat();
        assert_eq!(rewrite(asked, &unavailable, &listener).unwrap(), unavailable);
    }

    #[test]
    fn versions_that_tell_addresses_elsewhere_are_not_offered() {
        let key = |key: i16, oldest: i16, newest: i16| [key, oldest, newest].map(i16::to_be_bytes).concat();
        let told = [
            &NUMBER[..],
            &[0, 0, 0, 0, 0, 5],
            &key(api::PRODUCE, 3, 11),
            &key(api::FETCH, 4, 17),
            &key(api::METADATA, 0, 13),
            &key(api::SASL_AUTHENTICATE, 0, 2),
            &key(api::DESCRIBE_CLUSTER, 0, 1),
        ]
        .concat();
        let wanted = [
            &NUMBER[..],
            &[0, 0, 0, 0, 0, 5],
            &key(api::PRODUCE, 3, 9),
            &key(api::FETCH, 4, 15),
            &key(api::METADATA, 0, 13),
            &key(api::SASL_HANDSHAKE, 0, 1),
            &key(api::SASL_AUTHENTICATE, 0, 1),
        ]
        .concat();
        assert_eq!(rewrite(question(api::API_VERSIONS, 0), &told, &listener).unwrap(), wanted);
        // The newest version, with tags behind each element, a time and the answer's own tags.
        let told = [&NUMBER[..], &[0, 0, 2], &key(api::FETCH, 4, 17), &[1, 0, 1, 5], &[0, 0, 0, 0], &[0]].concat();
        let wanted = [
            &NUMBER[..],
            &[0, 0, 4],
            &key(api::FETCH, 4, 15),
            &[1, 0, 1, 5],
            &key(api::SASL_HANDSHAKE, 0, 1),
            &[0],
            &key(api::SASL_AUTHENTICATE, 0, 1),
            &[0],
            &[0, 0, 0, 0],
            &[0],
        ]
        .concat();
        assert_eq!(rewrite(question(api::API_VERSIONS, 3), &told, &listener).unwrap(), wanted);
        let unsupported = [&NUMBER[..], &[0, 35, 0, 0, 0, 0]].concat();
        assert_eq!(rewrite(question(api::API_VERSIONS, 4), &unsupported, &listener).unwrap(), unsupported);
    }
}
