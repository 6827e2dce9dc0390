//! The only classifier.
