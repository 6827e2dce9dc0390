//! The find step.
