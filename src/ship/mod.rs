//! Bundles on their way: to a destination, and from there.
//!
//! What holds at a destination (manifests/FORMAT.md, "At a destination"): the marker
//! `<name>.complete` is put last, so that a bundle with a marker is whole, and what has none is not
//! there; nothing under a name that somebody else's bundle has is ever overwritten.

mod claim;
mod cover;
mod gone;
mod marker;
mod memory;
mod note;
mod prune;
mod receive;
mod send;
mod shipment;
mod there;

pub use prune::{PruneOptions, PrunedDestination, Removed, prune};
pub use receive::{ReceiveOptions, Received, receive};
pub use send::{ShipOptions, Shipped, ship};
