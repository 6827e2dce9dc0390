//! The README's program in Rust, as it stands there.

use std::time::Duration;

use casehook::{Agent, Case, Connector, Options};

pub fn main() -> casehook::Result<()> {
    let document = std::fs::read_to_string("connector.json").expect("connector.json is readable");

    // Opens or creates the database and starts the threads that deliver.
    let agent = Agent::open("cases.db", Options::new())?;
    for warning in agent.configure("tracker", &Connector::from_json(&document)?)? {
        eprintln!("{}: {}", warning.field, warning.message);
    }

    let case = Case::new("Disk full")
        .id("host-7/disk")
        .description("95 % of /var is in use")
        .severity("high")
        .tag("infra")
        .comment("c1", "first look");
    let push = agent.push("tracker", &case)?; // on disk from here on; the network is not involved

    // Only if you want to know at once; a status can be read at any later time.
    let status = agent.wait(push, Duration::from_secs(30))?;
    println!("{}: {}", status.state, status.external_url.unwrap_or_default());

    agent.close(Duration::from_secs(5))
}
