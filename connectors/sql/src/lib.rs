//! portolan-remote-sql
