//! `portolan sql` as a person uses it: keys are typed into a terminal, and the screen is read.

mod credentials;
mod following;
mod queries;
mod remote;
mod results;
mod terminal;
mod typing;
