//! Scenarios of the engine: for every rule of the design a history that ends wrong if the rule
//! is broken. They speak to an instance through the traits alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

mod bundles;
mod failures;
mod history;
mod slices;
mod takes;
mod tree;
mod units;
