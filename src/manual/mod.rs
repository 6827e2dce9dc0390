//! Chapters for people who run casehook, beside the reference of its types.
//!
//! New here: [concepts], then [delivery]. Running it: [operations], [networking], [upgrade]. From other places: [ffi] for
//! C and Python, [kibana] for connectors that exist already.
//!
#![doc = include_str!("figures/flow.svg")]

#[doc = include_str!("concepts.md")]
pub mod concepts {}

#[doc = include_str!("delivery.md")]
pub mod delivery {}

#[doc = include_str!("networking.md")]
pub mod networking {}

#[doc = include_str!("operations.md")]
#[doc = "```text"]
#[doc = include_str!("monitoring/alerts.yml")]
#[doc = "```"]
#[doc = include_str!("tracing.md")]
pub mod operations {}

#[doc = include_str!("ffi.md")]
pub mod ffi {}

#[doc = include_str!("upgrade.md")]
pub mod upgrade {}

#[doc = include_str!("kibana.md")]
pub mod kibana {}
