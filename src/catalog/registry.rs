//! The connectors that this binary has. Adding one is adding a line here.

use portolan_connector::ConnectorFactory;

/// All factories, in the order in which messages and documentation list them.
pub fn factories() -> [&'static dyn ConnectorFactory; 4] {
    [
        &portolan_hive::HiveFactory,
        &portolan_postgres::PostgresFactory,
        &portolan_kafka::KafkaFactory,
        &portolan_memory::MemoryFactory,
    ]
}

/// The factory for `connector = "name"`.
pub fn factory(name: &str) -> Option<&'static dyn ConnectorFactory> {
    factories().into_iter().find(|factory| factory.name() == name)
}
