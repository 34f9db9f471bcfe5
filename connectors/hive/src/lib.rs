//! portolan-hive
