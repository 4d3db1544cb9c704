//! What runs have still to ship, after their bundles were published: the engine and `ship`, one after the other.
//!
//! What is pending stands in the job database and nowhere else: the transaction that records a bundle
//! records its destination ([`PackOptions::ship_to`](crate::engine::PackOptions)), and a shipment is recorded
//! when the bundle stands whole there. So whatever dies in between, here or on the way, the next call
//! finds the same list, and a bundle that was shipped and not recorded is shipped again, which a
//! destination that has it already answers without taking it.
//!
//! A run ships what runs of its own tables and scope have still to ship; what others have is reported (rule 18). It does so when
//! the leases are released: a slow network must keep nobody else from a table.

mod destination;
mod pending;

pub use destination::{check_destination, check_others, set_destination, waive};
pub use pending::{Ship, ShipmentOutcome, Shipping, Unshipped, look, ship_each, ship_pending, unshipped};
