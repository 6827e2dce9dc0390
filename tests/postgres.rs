//! Many processes, one outbox in PostgreSQL: killed, cut off and restarted, and held against what the target recorded.
//!
//! `CASEHOOK_CRASH_KILLS` says how often a process is killed (default 40). Needs PostgreSQL's programs; without them each
//! test says that it was skipped.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

#[path = "crash/child.rs"]
mod child;
#[path = "crash/connector.rs"]
mod connector;
#[path = "postgres/cuts.rs"]
mod cuts;
#[path = "support/postgres.rs"]
#[allow(dead_code, reason = "shared with the unit tests, which use other parts")]
mod database;
#[path = "postgres/figures.rs"]
mod figures;
#[path = "postgres/hosts.rs"]
mod hosts;
#[path = "postgres/languages.rs"]
mod languages;
#[path = "postgres/login.rs"]
mod login;
#[path = "postgres/moving.rs"]
mod moving;
#[path = "postgres/proxy.rs"]
mod proxy;
#[path = "crash/server.rs"]
mod server;
#[path = "postgres/silence.rs"]
mod silence;
#[path = "postgres/spool.rs"]
mod spool;
mod support;
#[path = "postgres/tls.rs"]
mod tls;
#[path = "postgres/torture.rs"]
mod torture;
#[path = "crash/verdict.rs"]
mod verdict;

/// Not a test by itself: the processes that the torture starts and kills are this one.
#[test]
fn life() {
    child::live();
}

/// Not a test by itself: a host that drains until it is killed.
#[test]
fn host() {
    hosts::live();
}

/// Not a test by itself: a host that forwards what it spooled until it is killed.
#[test]
fn forwarder() {
    spool::live();
}
