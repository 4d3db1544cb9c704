//! Replaying bundles into a database.
