//! The C interface. Every `unsafe` of the project is here; what the functions promise is said in `include/casehook.h`.
//!
//! One file for each object of the header. An export does three things: it turns raw pointers into checked values
//! (`input`), calls the library, and turns the outcome into C values (`output`), all within `guard`, so that no panic
//! leaves it. The text of the header is the documentation of these items, in their order.
#![allow(non_camel_case_types)]

mod result;

mod error;

mod text;

mod version;

mod log_callback;

mod options;

mod agent;

mod connector;

mod preset;

mod case;

mod push;

mod decision;

mod status;

mod outbox;

mod atfork;
mod failure;
mod guard;
mod input;
mod output;
mod signals;

#[cfg(test)]
mod tests;
