//! A broker that refuses every login: just enough of Kafka's protocol (<https://kafka.apache.org/protocol>).

use std::io::{Read, Result, Write};
use std::net::{TcpListener, TcpStream};

const METADATA: i16 = 3;
const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const SASL_AUTHENTICATE: i16 = 36;
const UNSUPPORTED_VERSION: i16 = 35;
const SASL_AUTHENTICATION_FAILED: i16 = 58;

/// Starts it on a thread that lasts as long as the process; returns its address.
pub(crate) fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            // A client that hangs up ends its conversation.
            std::thread::spawn(move || while answer(&stream).is_ok() {});
        }
    });
    address
}

/// Reads one request and answers it.
fn answer(mut stream: &TcpStream) -> Result<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut request = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut request)?;
    let short = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
    let (key, version) = (short(0), short(2));
    let mut body = request[4..8].to_vec();
    let mut put = |bytes: &[u8]| body.extend_from_slice(bytes);
    match key {
        API_VERSIONS => {
            put(&if version == 0 { 0_i16 } else { UNSUPPORTED_VERSION }.to_be_bytes());
            let versions = [(METADATA, 4), (SASL_HANDSHAKE, 1), (API_VERSIONS, 0), (SASL_AUTHENTICATE, 0)];
            put(&4_i32.to_be_bytes());
            for (key, last) in versions {
                [key, 0, last].iter().for_each(|short| put(&short.to_be_bytes()));
            }
        }
        SASL_HANDSHAKE => {
            put(&0_i16.to_be_bytes());
            put(&1_i32.to_be_bytes());
            put(&5_i16.to_be_bytes());
            put(b"PLAIN");
        }
        SASL_AUTHENTICATE => {
            put(&SASL_AUTHENTICATION_FAILED.to_be_bytes());
            put(&12_i16.to_be_bytes());
            put(b"no such user");
            put(&0_i32.to_be_bytes());
        }
        other => panic!("a client that is not logged in asked for {other}"),
    }
    stream.write_all(&i32::try_from(body.len()).unwrap().to_be_bytes())?;
    stream.write_all(&body)
}
