//! portolan-postgres
