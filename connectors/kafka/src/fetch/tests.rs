//! Bytes as Kafka's protocol guide has them, put together here.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails should stop")]

use std::time::Duration;

use super::aborted::{Aborted, Transactions};
use super::batch::Batch;
use super::old::OldMessages;
use super::question::{Answer, Supported, Wish, first_bytes, head_bytes};
use crate::config::Isolation;
use crate::log::{RecordHeaders, TimeKind};

/// The attributes of a batch, and who sent it.
#[derive(Clone, Copy, Default)]
struct Kind {
    attributes: i16,
    producer: i64,
}

fn number(value: i64) -> Vec<u8> {
    let mut zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while zigzag >= 0x80 {
        bytes.push(u8::try_from(zigzag & 0x7f).unwrap() | 0x80);
        zigzag >>= 7;
    }
    bytes.push(u8::try_from(zigzag).unwrap());
    bytes
}

fn text(value: Option<&[u8]>) -> Vec<u8> {
    let length = value.map_or(-1, |value| i64::try_from(value.len()).unwrap());
    [number(length), value.unwrap_or_default().to_vec()].concat()
}

/// A message: how much later and further than the first of its batch, key, value and headers.
fn record(
    later: i64,
    further: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(&str, Option<&[u8]>)],
) -> Vec<u8> {
    let count = number(i64::try_from(headers.len()).unwrap());
    let headers = headers.iter().flat_map(|(key, value)| [text(Some(key.as_bytes())), text(*value)].concat());
    let body = [vec![0], number(later), number(further), text(key), text(value), count, headers.collect()].concat();
    text(Some(&body))
}

/// A batch from an offset on, whose last message is so much further.
fn batch(first: i64, last: i32, kind: Kind, records: &[Vec<u8>]) -> Vec<u8> {
    let checked = [
        &kind.attributes.to_be_bytes()[..],
        &last.to_be_bytes(),
        // The first and the last time.
        &1_000_i64.to_be_bytes(),
        &9_000_i64.to_be_bytes(),
        &kind.producer.to_be_bytes(),
        // Its epoch, and the number of its first message.
        &0_i16.to_be_bytes(),
        &0_i32.to_be_bytes(),
        &i32::try_from(records.len()).unwrap().to_be_bytes(),
        &records.concat(),
    ]
    .concat();
    let length = i32::try_from(checked.len() + 9).unwrap();
    let sum = crc32c::crc32c(&checked);
    [&first.to_be_bytes()[..], &length.to_be_bytes(), &7_i32.to_be_bytes(), &[2], &sum.to_be_bytes(), &checked].concat()
}

type Seen = (i64, i64, TimeKind, Option<Vec<u8>>, Option<Vec<u8>>);

fn seen(bytes: &[u8]) -> Vec<Seen> {
    let batch = Batch::read(bytes).unwrap();
    let (mut records, mut all) = (batch.records(), Vec::new());
    while let Some(found) = records.next(&batch, Batch::messages(bytes)).unwrap() {
        let owned = |part: Option<&[u8]>| part.map(<[u8]>::to_vec);
        all.push((found.offset, found.millis, found.kind, owned(found.key), owned(found.value)));
    }
    all
}

#[test]
fn messages_are_told_apart_from_their_batch() {
    // Compaction took what was between, and the last one.
    let records = [record(5, 0, None, Some(b"a"), &[]), record(-3, 4, Some(b""), None, &[])];
    let bytes = batch(100, 6, Kind::default(), &records);
    let read = Batch::read(&bytes).unwrap();
    assert_eq!((read.first_offset, read.next_offset), (100, 107));
    assert_eq!((read.transaction_of, read.is_control, read.codec), (None, false, None));
    let first = (100, 1_005, TimeKind::Create, None, Some(b"a".to_vec()));
    assert_eq!(seen(&bytes), [first, (104, 997, TimeKind::Create, Some(Vec::new()), None)]);
    // The time of all of them is that of the last one where it is the broker's.
    let appended = seen(&batch(100, 6, Kind { attributes: 0x08, producer: -1 }, &records));
    assert!(appended.iter().all(|(_, millis, kind, ..)| (*millis, *kind) == (9_000, TimeKind::LogAppend)));
}

#[test]
fn headers_repeat_and_may_have_no_value() {
    let headers: [(&str, Option<&[u8]>); 3] = [("a", Some(b"1")), ("a", None), ("", Some(b""))];
    let bytes = batch(0, 0, Kind::default(), &[record(0, 0, None, None, &headers)]);
    let read = Batch::read(&bytes).unwrap();
    let found = read.records().next(&read, Batch::messages(&bytes)).unwrap().unwrap();
    let mut all = Vec::new();
    found.headers.each(&mut |key, value| all.push((key.to_owned(), value.map(<[u8]>::to_vec)))).unwrap();
    assert_eq!(all, headers.map(|(key, value)| (key.to_owned(), value.map(<[u8]>::to_vec))));
    // A header that says that it is longer than the message.
    let broken = [vec![0], number(0), number(0), text(None), text(None), number(1), number(50)].concat();
    let bytes = batch(0, 0, Kind::default(), &[text(Some(&broken))]);
    let found = read.records().next(&read, Batch::messages(&bytes)).unwrap().unwrap();
    assert_eq!(found.headers.each(&mut |_, _| ()).unwrap_err(), "its header 1 cannot be read");
}

#[test]
fn messages_that_are_not_where_their_batch_is_are_an_error() {
    let read = |last: i32, records: &[Vec<u8>], extra: &[u8]| {
        let bytes = batch(100, last, Kind::default(), records);
        let messages = [Batch::messages(&bytes), extra].concat();
        let read = Batch::read(&bytes).unwrap();
        let mut found = read.records();
        loop {
            match found.next(&read, &messages) {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    let at = |further| record(0, further, None, Some(b"a"), &[]);
    assert_eq!(read(6, &[at(0), at(6)], &[]), Ok(()));
    assert_eq!(read(6, &[at(0), at(7)], &[]).unwrap_err(), "a message has the offset 107, which its batch has not");
    assert_eq!(read(6, &[at(-1)], &[]).unwrap_err(), "a message has the offset 99, which its batch has not");
    assert_eq!(read(6, &[at(0)], &[0]).unwrap_err(), "a batch has more messages than it says");
    // One of before 0.11, whose last one within says that there are more before it than offsets.
    let inner = [old(0, 1, 0, 5, None, Some(b"a")), old(9, 1, 0, 5, None, Some(b"b"))].concat();
    let snappy = snap::raw::Encoder::new().compress_vec(&inner).unwrap();
    let error = old_seen(&old(8, 1, 2, 5, None, Some(&snappy))).unwrap_err().to_string();
    assert_eq!(error, "the message at offset 8 has others behind it");
}

#[test]
fn what_is_damaged_is_an_error() {
    let bytes = batch(100, 0, Kind::default(), &[record(0, 0, None, Some(b"a"), &[])]);
    for place in 17..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x10;
        let error = Batch::read(&damaged).unwrap_err();
        assert_eq!(error.to_string(), "the batch at offset 100 is damaged: its checksum is another", "{place}");
    }
    for length in 0..bytes.len() {
        assert!(Batch::read(&bytes[..length]).is_err());
    }
    // More messages than there are, and a message that is longer than the batch.
    let mut fewer = batch(100, 1, Kind::default(), &[record(0, 0, None, None, &[]), Vec::new()]);
    let read = Batch::read(&fewer).unwrap();
    let mut records = read.records();
    assert!(records.next(&read, Batch::messages(&fewer)).unwrap().is_some());
    assert!(records.next(&read, Batch::messages(&fewer)).is_err());
    fewer = batch(100, 0, Kind::default(), &[number(500)]);
    let read = Batch::read(&fewer).unwrap();
    assert!(read.records().next(&read, Batch::messages(&fewer)).is_err());
}

#[test]
fn messages_of_aborted_transactions_are_left_out() {
    const OF_TRANSACTION: i16 = 0x10;
    const MARK: i16 = 0x30;
    let mark = |kind: i16| record(0, 0, Some(&[[0, 0], kind.to_be_bytes()].concat()), Some(&[0; 6]), &[]);
    let of = |first, attributes, producer, record: Vec<u8>| batch(first, 0, Kind { attributes, producer }, &[record]);
    let message = || record(0, 0, None, Some(b"m"), &[]);
    // Two producers: one's first transaction is aborted and its second is not; the other's is committed meanwhile.
    let log = [
        (of(0, OF_TRANSACTION, 1, message()), true),
        (of(1, OF_TRANSACTION, 2, message()), false),
        (of(2, 0, -1, message()), false),
        (of(3, OF_TRANSACTION, 1, message()), true),
        (of(4, MARK, 1, mark(0)), true),
        (of(5, OF_TRANSACTION, 1, message()), false),
        (of(6, MARK, 2, mark(1)), true),
        (of(7, MARK, 1, mark(1)), true),
        (of(8, OF_TRANSACTION, 2, message()), true),
    ];
    let aborted = |producer, first_offset| Aborted { producer, first_offset };
    let mut transactions = Transactions::new(vec![aborted(2, 8), aborted(1, 0)]);
    for (bytes, is_left_out) in log {
        let read = Batch::read(&bytes).unwrap();
        let is_abort = read.is_abort(Batch::messages(&bytes)).unwrap();
        assert_eq!(transactions.leave_out(&read, is_abort), is_left_out, "offset {}", read.first_offset);
    }
}

/// A message of version 0 or 1.
fn old(offset: i64, version: u8, attributes: u8, millis: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Vec<u8> {
    let part = |part: Option<&[u8]>| {
        let length = part.map_or(-1, |part| i32::try_from(part.len()).unwrap());
        [&length.to_be_bytes()[..], part.unwrap_or_default()].concat()
    };
    let time = if version == 1 { millis.to_be_bytes().to_vec() } else { Vec::new() };
    let checked = [vec![version, attributes], time, part(key), part(value)].concat();
    let size = i32::try_from(checked.len() + 4).unwrap();
    [&offset.to_be_bytes()[..], &size.to_be_bytes(), &crc32fast::hash(&checked).to_be_bytes(), &checked].concat()
}

fn old_seen(bytes: &[u8]) -> std::io::Result<Vec<Seen>> {
    let mut inflated = Vec::new();
    let (mut messages, is_inflated) = OldMessages::open(bytes, &mut inflated)?;
    let (mut all, bytes) = (Vec::new(), if is_inflated { &inflated } else { bytes });
    while let Some(found) = messages.next(bytes)? {
        let owned = |part: Option<&[u8]>| part.map(<[u8]>::to_vec);
        all.push((found.offset, found.millis, found.kind, owned(found.key), owned(found.value)));
    }
    Ok(all)
}

#[test]
fn old_messages_are_read() {
    let value = Some(b"v".to_vec());
    let plain = old_seen(&old(7, 0, 0, 0, None, Some(b"v"))).unwrap();
    assert_eq!(plain, [(7, -1, TimeKind::Create, None, value.clone())]);
    let timed = old_seen(&old(7, 1, 0, 500, Some(b""), None)).unwrap();
    assert_eq!(timed, [(7, 500, TimeKind::Create, Some(Vec::new()), None)]);
    // Those within another: in version 1 the outer offset is that of the last one, in version 0 all have their own.
    for (version, inner, times) in [(0, [40, 41, 43], [-1; 3]), (1, [0, 1, 3], [5, 6, 7])] {
        let inner = [(inner[0], 5), (inner[1], 6), (inner[2], 7)]
            .map(|(offset, millis)| old(offset, version, 0, millis, None, Some(b"v")))
            .concat();
        let snappy = snap::raw::Encoder::new().compress_vec(&inner).unwrap();
        let all = old_seen(&old(43, version, 2, 99, None, Some(&snappy))).unwrap();
        let wanted = [40, 41, 43].into_iter().zip(times);
        assert_eq!(
            all,
            wanted.map(|(offset, millis)| (offset, millis, TimeKind::Create, None, value.clone())).collect::<Vec<_>>()
        );
        let appended = old_seen(&old(43, version, 2 | 8, 99, None, Some(&snappy))).unwrap();
        let time = if version == 1 { 99 } else { -1 };
        assert!(appended.iter().all(|(_, millis, kind, ..)| (*millis, *kind) == (time, TimeKind::LogAppend)));
    }
    let mut damaged = old(7, 1, 0, 500, None, Some(b"value"));
    *damaged.last_mut().unwrap() ^= 1;
    assert!(old_seen(&damaged).unwrap_err().to_string().contains("the message at offset 7 is damaged"));
    assert!(old_seen(&old(7, 0, 3, 0, None, Some(b"v"))).unwrap_err().to_string().contains("LZ4"));
}

#[test]
fn questions_and_answers_are_those_of_their_version() {
    let wish = Wish { topic: "web", partition: 3, offset: 0x1234, bytes: 0x5678, isolation: Isolation::ReadCommitted };
    let wait_and_sizes = [0, 0, 0, 100, 0, 0, 0, 1, 0, 0, 0x56, 0x78, 1];
    let topic = [0, 0, 0, 1, 0, 3, b'w', b'e', b'b', 0, 0, 0, 1, 0, 0, 0, 3];
    let offset = [0, 0, 0, 0, 0, 0, 0x12, 0x34];
    let head =
        |version| [&[0, 1, 0, version, 0, 0, 0, 9, 0, 8], &b"portolan"[..], &[0xff; 4], &wait_and_sizes].concat();
    let oldest = [&head(4)[..], &topic, &offset, &[0, 0, 0x56, 0x78]].concat();
    assert_eq!(wish.frame(4, 9).unwrap(), oldest);
    let session = [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
    let newest =
        [&head(11)[..], &session, &topic, &[0xff; 4], &offset, &[0xff; 8], &[0, 0, 0x56, 0x78], &[0; 4], &[0; 2]]
            .concat();
    assert_eq!(wish.frame(11, 9).unwrap(), newest);

    let aborted = [[0, 0, 0, 0, 0, 0, 0, 5], [0, 0, 0, 0, 0, 0, 0, 6]].concat();
    let ends = [[0, 0, 0, 0, 0, 0, 0, 50], [0, 0, 0, 0, 0, 0, 0, 40]].concat();
    for version in [4, 5, 7, 11] {
        let error_and_session: &[u8] = if version >= 7 { &[0; 6] } else { &[] };
        let first_kept: &[u8] = if version >= 5 { &[0; 8] } else { &[] };
        let replica: &[u8] = if version >= 11 { &[0xff; 4] } else { &[] };
        let first =
            [&[0, 0, 0, 9, 0, 0, 0, 0][..], error_and_session, &topic, &[0, 0], &ends, first_kept, &[0, 0, 0, 1]]
                .concat();
        let all = [&first[..], &aborted, replica, &[0, 0, 1, 0]].concat();
        assert_eq!(first_bytes(version, "web"), first.len(), "{version}");
        assert_eq!(head_bytes(version, &first).unwrap(), all.len(), "{version}");
        let answer = Answer::read(version, &all, "web", 3).unwrap();
        let aborted = vec![Aborted { producer: 5, first_offset: 6 }];
        let wanted = Answer {
            number: 9,
            error: 0,
            slowed: Duration::ZERO,
            is_empty: false,
            high_watermark: 50,
            last_stable: 40,
            aborted,
            message_bytes: 256,
        };
        assert_eq!(answer, wanted, "{version}");
        assert!(Answer::read(version, &all, "web", 4).is_err() && Answer::read(version, &all, "other", 3).is_err());
        // To who has used up a quota: about nothing, for 700 ms.
        let slowed = [&[0, 0, 0, 9, 0, 0, 2, 0xbc][..], error_and_session, &[0; 4]].concat();
        assert!(head_bytes(version, &slowed).is_ok());
        let answer = Answer::read(version, &slowed, "web", 3).unwrap();
        assert!(answer.is_empty && answer.error == 0, "{version}");
        assert_eq!(answer.slowed, Duration::from_millis(700));
    }
}

#[test]
fn the_newest_version_that_both_sides_know_is_asked_in() {
    let supported = |oldest: i16, newest: i16| {
        let fetch = [1_i16.to_be_bytes(), oldest.to_be_bytes(), newest.to_be_bytes()].concat();
        let answer = [&[0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 9][..], &fetch].concat();
        Supported::read(&answer)
    };
    for ((oldest, newest), fetch) in [((0, 11), 11), ((4, 17), 11), ((0, 5), 5)] {
        assert_eq!(supported(oldest, newest).unwrap(), Supported { fetch, metadata: 9 });
    }
    assert!(supported(0, 3).unwrap_err().to_string().contains("versions 0 to 3"));
    assert!(supported(12, 17).is_err());
}
