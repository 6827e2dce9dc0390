//! Chapters for people who run casehook, beside the reference of its types.

#[doc = include_str!("delivery.md")]
pub mod delivery {}

#[doc = include_str!("networking.md")]
pub mod networking {}

#[doc = include_str!("postgres.md")]
pub mod postgres {}
