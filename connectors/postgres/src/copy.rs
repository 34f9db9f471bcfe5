//! The decoder of binary `COPY`: from bytes as they arrive to Arrow arrays.
//!
//! Source of the format: PostgreSQL's documentation of `COPY`, section "Binary Format", and the `*send` functions of
//! its types.

mod column;
mod decimal;
mod decoder;
mod fixed;
mod inet;
mod list;
mod map;
mod nulls;
mod numeric;
mod text;

pub(crate) use decoder::{CopyDecoder, DecodeError, Limits};
