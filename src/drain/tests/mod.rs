//! Stories of delivery: an engine on a real store, answers from a script, a clock set by hand.

mod bench;
mod faulty;
mod steps;
