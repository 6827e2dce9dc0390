//! The comment step.
