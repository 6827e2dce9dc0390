//! The create step.
