//! A proxy between clients and a broker that breaks what comes back: connections are cut in the middle of an answer, answers are
//! late, and the broker is away for a while.
//!
//! Brokers tell clients where they listen. The proxy puts its own port in the place of theirs, so that clients come back to it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The smallest answer that is cut: one with messages.
const CUT_BYTES: usize = 10_000;

/// Answers of so many bytes are rows: what names the brokers is shorter, with hundreds of topics, too.
const ADDRESSES_MAX_BYTES: usize = 200_000;

/// How the proxy behaves, now.
#[derive(Debug, Default)]
struct Faults {
    /// Answers that are still to be cut in their middle.
    cuts: AtomicUsize,
    /// How many were.
    done: AtomicUsize,
    /// Answers in which a byte is still to be changed.
    changes: AtomicUsize,
    /// Milliseconds that each answer is late.
    late: AtomicU64,
    /// Fetches that are still to be answered with nothing, and for how many milliseconds each.
    slowed: AtomicUsize,
    slowed_for: AtomicU64,
    /// The number of the next connection, and of the first one that still carries answers to fetches.
    next: AtomicU64,
    alive: AtomicU64,
    /// Connections on which messages were asked for, now, and the most at once.
    fetching: AtomicUsize,
    most_fetching: AtomicUsize,
    /// Whether nobody gets through.
    away: AtomicBool,
    /// Bytes of answers that clients got.
    carried: AtomicU64,
    /// The most bytes of a partition that a client has asked for at once.
    asked: AtomicU64,
    /// All connections, to hang up.
    open: Mutex<Vec<TcpStream>>,
}

/// A running proxy. Its threads end with the process.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    faults: Arc<Faults>,
}

impl Proxy {
    /// A proxy before a broker at `127.0.0.1:PORT`.
    pub(crate) fn before(broker: &str) -> Self {
        let to: u16 = broker.strip_prefix("127.0.0.1:").expect("a broker on this machine").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, faults) = (listener.local_addr().unwrap().port(), Arc::new(Faults::default()));
        let shared = Arc::clone(&faults);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), false) = (client, shared.away.load(Ordering::SeqCst)) else { continue };
                let Ok(broker) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                shared.open.lock().unwrap().extend([client.try_clone().unwrap(), broker.try_clone().unwrap()]);
                let (questions, asked) = (client.try_clone().unwrap(), broker.try_clone().unwrap());
                let number = shared.next.fetch_add(1, Ordering::SeqCst);
                let fetches = Arc::new(AtomicBool::new(false));
                let (faults, fetching) = (Arc::clone(&shared), Arc::clone(&fetches));
                std::thread::spawn(move || ask(questions, asked, &faults, &fetching));
                let faults = Arc::clone(&shared);
                let is_silent = move |faults: &Faults| {
                    fetches.load(Ordering::SeqCst) && number < faults.alive.load(Ordering::SeqCst)
                };
                std::thread::spawn(move || answer(broker, client, (to, port), &faults, is_silent));
            }
        });
        Self { port, faults }
    }

    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Cuts the connection in the middle of so many answers that carry messages.
    pub(crate) fn cut(&self, answers: usize) {
        self.faults.cuts.store(answers, Ordering::SeqCst);
    }

    /// Changes a byte of so many answers that carry messages.
    pub(crate) fn change(&self, answers: usize) {
        self.faults.changes.store(answers, Ordering::SeqCst);
    }

    /// How many answers were cut.
    pub(crate) fn have_been_cut(&self) -> usize {
        self.faults.done.load(Ordering::SeqCst)
    }

    /// How many answers are still to be changed.
    pub(crate) fn are_to_be_changed(&self) -> usize {
        self.faults.changes.load(Ordering::SeqCst)
    }

    /// How many bytes of answers clients got.
    pub(crate) fn carried(&self) -> u64 {
        self.faults.carried.load(Ordering::SeqCst)
    }

    /// The most bytes of a partition that a client has asked for at once.
    pub(crate) fn asked(&self) -> u64 {
        self.faults.asked.load(Ordering::SeqCst)
    }

    /// Answers so many fetches with nothing, as brokers do to who has used up a quota, and does not listen for so long then.
    pub(crate) fn slow_down(&self, fetches: usize, each: Duration) {
        self.faults.slowed_for.store(u64::try_from(each.as_millis()).unwrap(), Ordering::SeqCst);
        self.faults.slowed.store(fetches, Ordering::SeqCst);
    }

    /// How many fetches are still to be answered so.
    pub(crate) fn are_to_be_slowed(&self) -> usize {
        self.faults.slowed.load(Ordering::SeqCst)
    }

    /// Hands on no answer to a fetch any more on connections that are open, and hangs up none of them: as brokers whose
    /// machine has lost its power.
    pub(crate) fn lose_power(&self) {
        self.faults.alive.store(self.faults.next.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// The most connections at once on which messages were asked for. One that was closed counts for a moment more.
    pub(crate) fn most_fetching(&self) -> usize {
        self.faults.most_fetching.load(Ordering::SeqCst)
    }

    /// Makes each answer late.
    pub(crate) fn late(&self, by: Duration) {
        self.faults.late.store(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Hangs up, and lets nobody through until it is said otherwise.
    pub(crate) fn away(&self, is_away: bool) {
        self.faults.away.store(is_away, Ordering::SeqCst);
        if is_away {
            for open in self.faults.open.lock().unwrap().drain(..) {
                let _ = open.shutdown(Shutdown::Both);
            }
        }
    }
}

/// Hands on questions, each behind its length, until a connection ends.
fn ask(mut client: TcpStream, mut broker: TcpStream, faults: &Faults, fetches: &AtomicBool) {
    let mut length = [0; 4];
    while client.read_exact(&mut length).is_ok() {
        let mut question = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        if client.read_exact(&mut question).is_err() {
            break;
        }
        if let Some(bytes) = fetched(&question) {
            faults.asked.fetch_max(bytes, Ordering::SeqCst);
        }
        if question.starts_with(&[0, 1]) {
            if !fetches.swap(true, Ordering::SeqCst) {
                let now = faults.fetching.fetch_add(1, Ordering::SeqCst) + 1;
                faults.most_fetching.fetch_max(now, Ordering::SeqCst);
            }
            if faults.slowed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                let millis = faults.slowed_for.load(Ordering::SeqCst);
                // Its number, for how long, no error, no session, no topic: version 7 and later.
                assert!(question[3] >= 7, "version {}", question[3]);
                let for_millis = u32::try_from(millis).unwrap().to_be_bytes();
                let nothing = [&[0, 0, 0, 18], &question[4..8], &for_millis, &[0; 10]].concat();
                if client.write_all(&nothing).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(millis));
                continue;
            }
        }
        if broker.write_all(&length).and_then(|()| broker.write_all(&question)).is_err() {
            break;
        }
    }
    if fetches.load(Ordering::SeqCst) {
        faults.fetching.fetch_sub(1, Ordering::SeqCst);
    }
    let _ = broker.shutdown(Shutdown::Both);
}

/// How many bytes of its first partition a question asks for, if it is a `Fetch` with one and of a version that librdkafka asks in.
fn fetched(question: &[u8]) -> Option<u64> {
    let number = |at: usize| Some(u16::from_be_bytes([*question.get(at)?, *question.get(at + 1)?]));
    let (api, version) = (number(0)?, number(2)?);
    if api != 1 || !(7..=16).contains(&version) {
        return None;
    }
    let is_flexible = version >= 12;
    // Behind the client's name: tags, the replica, times and sizes, the isolation, the session, and how many topics there are.
    let name = 8 + 2 + usize::from(number(8)?);
    let replica = if version < 15 { 4 } else { 0 };
    let topics = name + usize::from(is_flexible) + replica + 12 + 1 + 8;
    let (has_topics, topic) = match is_flexible {
        true => (*question.get(topics)? > 1, topics + 1),
        false => (number(topics + 2)? > 0, topics + 4),
    };
    // The topic's name or number, and how many partitions there are.
    let partitions = match version {
        13.. => topic + 16,
        12 => topic + usize::from(*question.get(topic)?),
        _ => topic + 2 + usize::from(number(topic)?),
    };
    let partition = partitions + if is_flexible { 1 } else { 4 };
    // Its number, epochs and offsets are before it.
    let bytes = partition + 4 + if version >= 9 { 4 } else { 0 } + 8 + if is_flexible { 4 } else { 0 } + 8;
    let bytes = question.get(bytes..bytes + 4)?;
    has_topics.then(|| u64::from(u32::from_be_bytes(bytes.try_into().unwrap())))
}

/// Hands on answers, each behind its length, until a connection ends or is cut.
fn answer(
    mut broker: TcpStream,
    mut client: TcpStream,
    ports: (u16, u16),
    faults: &Faults,
    is_silent: impl Fn(&Faults) -> bool,
) {
    let mut length = [0; 4];
    while broker.read_exact(&mut length).is_ok() {
        let mut body = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        if broker.read_exact(&mut body).is_err() {
            break;
        }
        if is_silent(faults) {
            continue;
        }
        readdress(&mut body, ports);
        std::thread::sleep(Duration::from_millis(faults.late.load(Ordering::SeqCst)));
        let is_wanted = |faults: &AtomicUsize| {
            body.len() >= CUT_BYTES
                && faults.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        };
        let (is_cut, is_changed) = (is_wanted(&faults.cuts), is_wanted(&faults.changes));
        if is_changed {
            // Among messages: in the middle of those of two partitions is what parts them, of which there is no checksum.
            let place = body.len() / 3;
            body[place] ^= 0x20;
        }
        let part = if is_cut { &body[..body.len() / 2] } else { &body[..] };
        if client.write_all(&length).and_then(|()| client.write_all(part)).is_err() {
            break;
        }
        faults.carried.fetch_add(u64::try_from(part.len()).unwrap(), Ordering::SeqCst);
        if is_cut {
            faults.done.fetch_add(1, Ordering::SeqCst);
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = broker.shutdown(Shutdown::Both);
}

/// Puts the proxy's port behind the broker's host. Answers with messages are left alone: their bytes are checked.
fn readdress(body: &mut [u8], (from, to): (u16, u16)) {
    const HOST: &[u8] = b"127.0.0.1";
    if body.len() >= ADDRESSES_MAX_BYTES {
        return;
    }
    let wanted = [HOST, &u32::from(from).to_be_bytes()].concat();
    for start in 0..body.len().saturating_sub(wanted.len() - 1) {
        if body[start..].starts_with(&wanted) {
            body[start + HOST.len()..start + wanted.len()].copy_from_slice(&u32::from(to).to_be_bytes());
        }
    }
}
