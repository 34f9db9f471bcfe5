-- Where the partitions of a topic are, how much they hold, and how fresh they are.
SELECT partition_id, earliest_offset, end_offset, leader, in_sync_replicas, first_timestamp, last_timestamp
FROM events.default."clicks$partitions"
ORDER BY partition_id;

-- Messages that do not decode: none here, otherwise one row each, with _reason and the bytes of _key and _message.
SELECT count(*) AS errors, min(_reason) AS first_reason
FROM events.default."clicks$errors";

-- The cut of this query; FOR VERSION AS OF '...' reads the same offsets again.
SELECT DISTINCT _cut
FROM events.default.clicks
WHERE _partition_offset < 10;

-- The same of now, without reading a message.
SHOW CUT FOR events.default.clicks;

-- FOLLOW waits for messages that are added; without LIMIT until it is cancelled. SINCE begins earlier.
SELECT _partition_id, _partition_offset, action
FROM events.default.clicks FOLLOW SINCE 'beginning'
WHERE action = 'buy'
LIMIT 3;

-- NULL and empty are two things: a tombstone has no length.
SELECT _timestamp_type, count(*) AS messages, count(_key_length) AS with_key, count(_message_length) AS with_value,
       sum(_message_length) AS bytes
FROM events.default.clicks
GROUP BY _timestamp_type;

-- What groups of consumers have yet to read.
SELECT count(DISTINCT group_id) AS groups, coalesce(sum(lag), 0) AS behind
FROM events.system.consumer_groups;

-- The same of every Kafka catalog. catalog_name says which one; conditions on it leave the others unasked.
SELECT count(DISTINCT catalog_name) AS catalogs, count(DISTINCT group_id) AS groups, coalesce(max(lag), 0) AS furthest_behind
FROM system.kafka.consumer_groups
WHERE catalog_name LIKE 'event%';

-- The newest message of each key: what compaction would leave of the topic. The keys of clicks are customers.
SELECT action, count(*) AS customers_whose_last_it_was
FROM events.default."clicks$latest"
GROUP BY action;

-- The last messages are looked for from the end of each partition.
SELECT _partition_id, _partition_offset, action
FROM events.default.clicks
ORDER BY _partition_offset DESC, _partition_id
LIMIT 5;
