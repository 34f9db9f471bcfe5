//! What Kafka is declared to do with predicates.

use portolan_connector::{Capabilities, Domain, Operation, Rule};

/// The domain of `_partition_id`.
pub(crate) const PARTITION: Domain = Domain("_partition_id");
/// The domain of `_partition_offset`.
pub(crate) const OFFSET: Domain = Domain("_partition_offset");
/// The domain of `_timestamp`.
pub(crate) const TIMESTAMP: Domain = Domain("_timestamp");
/// The domain of everything inside a message: its value, key and headers.
pub(crate) const CONTENT: Domain = Domain("message content");

/// The domain of keys whose partitions are known.
pub(crate) const BY_KEY: Domain = Domain("_key");
/// The domain of the column with the time of what a message tells of, where the table promises how late messages are.
pub(crate) const EVENT_TIME: Domain = Domain("event time");
/// The domain of columns of tables that are listed, of which no rule speaks.
pub(crate) const LISTED_DOMAIN: Domain = Domain("listed column");

/// Why nothing is asked of Kafka about what is in a message.
pub(crate) const NO_CONTENT: &str = "Kafka cannot filter by message content";
/// Why an upper bound on time does not limit what is read.
pub(crate) const NO_UPPER_BOUND: &str =
    "later messages may be older, so an upper bound skips none unless the table declares max_out_of_orderness_ms";
/// The same, where the table says that brokers stamp the messages, and they do not.
pub(crate) const NOT_APPENDED: &str = "the table declares timestamps = \"log-append\", and message.timestamp.type of the topic is not \
     LogAppendTime now, so that an upper bound may skip messages that match";
/// The same, where it cannot be known.
pub(crate) const NOT_TOLD: &str = "the table declares timestamps = \"log-append\", and the brokers do not tell whether \
     message.timestamp.type of the topic is LogAppendTime; max_out_of_orderness_ms alone is believed";
/// Why a missing time is not looked for.
const NO_NULL_TIME: &str = "Kafka's time index does not list messages without a time";

/// The condition on literals that partitions and offsets are compared with.
const WHOLE: &str = "the other side is a constant whole number or NULL";
/// The condition on literals that times are compared with.
const INSTANT: &str = "the other side is a constant timestamp, in UTC if it has a zone";
/// The condition of keys.
const PARTITIONED: &str = "the table declares its partitioner and partitions; the other side is a constant";
/// The condition of upper bounds.
const ORDERED: &str =
    "the table declares max_out_of_orderness_ms or timestamps; the other side is a constant timestamp";

/// The condition of orders.
const LAST: &str =
    "descending, with a LIMIT of 100000 at most; all filters are exact, and no message is left out for what is in it";

/// What else is asked of topics.
fn statements() -> [Rule; 6] {
    let without_promise =
        "Kafka does not tell which messages are the newest of their keys: the engine sorts the messages of the cut";
    [
        Rule::exact(Operation::Version, None).when("the version is a cut of the topic whose messages are all kept"),
        Rule::exact(Operation::Follow, None).when(
            "nothing above needs all rows: filters, projections, unnest, UNION ALL and LIMIT; filters on _partition_id choose what is \
             read, the engine evaluates all",
        ),
        Rule::refused(Operation::Newest, None, without_promise),
        Rule::exact(Operation::Insert, None).when(
            "access = \"read_write\"; JSON, CSV, raw, text and Avro; one transaction a statement unless write_transactions = \"none\"",
        ),
        Rule::refused(Operation::Modify, None, "messages are not changed where they are: write a newer one, or a tombstone"),
        Rule::refused(Operation::Define, None, "topics are made and removed by Kafka's own tools"),
    ]
}

/// The rules, in the order in which `SHOW CAPABILITIES` prints them.
pub(crate) fn capabilities() -> Capabilities {
    use Operation::{And, Between, Eq, Gt, GtEq, ILike, In, IsNotNull, IsNull, Like, Limit, Lt, LtEq, Not, NotEq, Or};
    let mut rules = Vec::new();
    for domain in [PARTITION, OFFSET] {
        for operation in [Eq, NotEq, Lt, LtEq, Gt, GtEq, In, Between] {
            rules.push(Rule::exact(operation, Some(domain)).when(WHOLE));
        }
        rules.push(Rule::exact(IsNull, Some(domain)));
        rules.push(Rule::exact(IsNotNull, Some(domain)));
    }
    for domain in [TIMESTAMP, EVENT_TIME] {
        for operation in [Eq, Gt, GtEq, In, Between] {
            rules.push(Rule::pruning(operation, Some(domain)).when(INSTANT));
        }
        for operation in [Lt, LtEq] {
            rules.push(Rule::pruning(operation, Some(domain)).when(ORDERED));
        }
    }
    for operation in [NotEq, IsNull, IsNotNull] {
        rules.push(Rule::refused(operation, Some(EVENT_TIME), NO_CONTENT));
    }
    rules.push(Rule::refused(NotEq, Some(TIMESTAMP), "it excludes almost nothing"));
    rules.push(Rule::refused(IsNull, Some(TIMESTAMP), NO_NULL_TIME));
    rules.push(Rule::refused(IsNotNull, Some(TIMESTAMP), NO_NULL_TIME));
    for operation in [Eq, In] {
        rules.push(Rule::pruning(operation, Some(BY_KEY)).when(PARTITIONED));
    }
    for operation in [NotEq, Lt, LtEq, Gt, GtEq, Between, IsNull, IsNotNull, Like, ILike] {
        rules.push(Rule::refused(operation, Some(BY_KEY), NO_CONTENT));
    }
    for operation in [Eq, NotEq, Lt, LtEq, Gt, GtEq, In, Between, IsNull, IsNotNull, Like, ILike] {
        rules.push(Rule::refused(operation, Some(CONTENT), NO_CONTENT));
    }
    for operation in [And, Or, Not] {
        rules.push(Rule::exact(operation, None).when("its parts are exact; otherwise it prunes as far as they do"));
    }
    rules.push(Rule::pruning(Operation::Sort, Some(OFFSET)).when(LAST));
    rules.push(
        Rule::exact(Operation::Projection, None).when("messages are sent whole and only what is asked is decoded"),
    );
    rules.push(Rule::exact(Limit, None).when("all filters are exact; each task stops after so many rows"));
    rules.extend(statements());
    Capabilities::new(rules)
}
