//! Bundles at destinations, and on their way there.

mod http;
mod proxy;
mod remote;
mod servers;

use crate::List;

/// The list of this folder.
pub fn list() -> List {
    let mut list = List::new("ship");
    remote::add_to(&mut list);
    list
}
