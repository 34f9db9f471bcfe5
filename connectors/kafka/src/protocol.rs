//! What is said to brokers without librdkafka: frames, addresses and logins. The [`gateway`](crate::gateway) and the reads
//! of bounded ranges ([`fetch`](crate::fetch)) speak it.

mod address;
mod login;
mod scram;
mod wire;

pub(crate) use address::Address;
pub(crate) use login::{LoginError, log_in};
pub(crate) use wire::{CLIENT_ID, Question, Reader, Writer, api, frame_length, invalid, read_frame, write_frame};
