//! The update step.
