//! Writing: the rows of a statement as messages, all of them in one transaction.
//!
//! * `catalog`: [`portolan_connector::WritableCatalog`]; what begins a write
//! * `rows`: which columns of a statement make which part of a message, and which partition it goes to
//! * `cells`, `encode`: values of columns as the bytes of a part, in the formats that tables declare
//! * `writer`: takes the rows of one statement
//! * `producer`: messages to the brokers, and transactions
//! * `token`: what makes a statement that is tried again write once

mod catalog;
mod cells;
mod encode;
mod failure;
mod producer;
mod rows;
mod token;
mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use crate::client::BrokerLog;
use crate::config::{Isolation, KafkaConfig};
use crate::gateway::Gateway;
use crate::log::KafkaLog;

use self::producer::Producers;

/// What writing takes beside what reading does.
#[derive(Debug)]
pub(crate) struct Writes {
    producers: Arc<Producers>,
    /// What transactions have committed, whatever the catalog reads.
    committed: Arc<dyn KafkaLog>,
    /// What has been sent, committed or not.
    sent: Arc<dyn KafkaLog>,
    /// How many of the newest offsets of each partition are looked through for a token.
    token_messages: u64,
    /// The most bytes of one message.
    max_message_bytes: usize,
    /// Which partition gets the next messages without a key.
    next: AtomicU32,
}

impl Writes {
    /// Takes the settings; connects only when something is written.
    pub(crate) fn new(config: &KafkaConfig, gateway: Option<&Arc<Gateway>>) -> Self {
        let log = |isolation| {
            let log = BrokerLog::new(&KafkaConfig { isolation, ..config.clone() }, gateway.cloned());
            Arc::new(log) as Arc<dyn KafkaLog>
        };
        Self {
            producers: Arc::new(Producers::new(config, gateway.cloned())),
            committed: log(Isolation::ReadCommitted),
            sent: log(Isolation::ReadUncommitted),
            token_messages: config.write.token_messages,
            max_message_bytes: config.write.max_message_bytes,
            next: AtomicU32::new(0),
        }
    }
}
