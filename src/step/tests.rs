//! Steps against whole connectors.
