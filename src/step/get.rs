//! The get step.
