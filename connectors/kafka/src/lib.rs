//! portolan-kafka
