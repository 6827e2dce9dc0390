//! The push state machine.
