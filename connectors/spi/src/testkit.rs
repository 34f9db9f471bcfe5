//! The walk over declared rules.
