//! What is PostgreSQL's own: the suite on a real server, leases, fences, commits that were not answered.

use super::*;
use crate::store::conformance::conformance_suite;

#[path = "../../../tests/support/postgres.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with test programs that use more of it"
)]
mod server;

/// A store in a schema of its own.
fn open(server: &server::Server, schema: &str) -> PostgresStore {
    let key = KeySource::Given(Zeroizing::new([7; 32]));
    PostgresStore::open(&server.url(schema), key, &TlsPolicy::default()).unwrap()
}

fn with_store(check: &dyn Fn(&dyn Store)) {
    if let Some(server) = server::shared() {
        let store = open(server, &server.schema());
        check(&store);
    }
}

conformance_suite!(super::with_store);
