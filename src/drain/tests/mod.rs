//! Stories of delivery: an engine on a real store, answers from a script, a clock set by hand.

mod bench;
mod clock;
mod configures;
mod connectors;
mod decisions;
mod faulty;
mod figures;
mod lull;
mod model;
mod order;
mod samples;
mod secrets;
mod steps;
mod storing;
mod uncertain;
mod unverified;
