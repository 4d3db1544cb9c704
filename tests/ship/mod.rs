//! Bundles at destinations, and on their way there.

mod attacks;
mod crashes;
pub mod folders;
mod hostile;
mod http;
mod pairs;
mod proxy;
pub mod prune;
mod refusals;
mod remote;
mod servers;
mod shop;
mod store_races;
mod together;

use crate::List;
use folders::Site;

type Case = fn(&Site);

/// What needs no server.
const ON_FOLDERS: &[(&str, Case)] = list![Case:
    folders {
        what_arrives_is_what_was_shipped,
        an_archive_arrives_as_it_is,
        a_second_ship_sends_nothing,
        a_ship_goes_on_where_it_was,
        a_damaged_bundle_is_mended_by_shipping_it_again,
        a_damaged_archive_is_mended_by_shipping_it_again,
        what_is_foreign_in_a_bundle_that_stands_is_reported_and_kept,
        a_signature_that_was_made_there_stays,
        another_root_under_the_name_is_refused,
        what_is_foreign_is_not_overwritten,
        what_has_no_marker_is_not_there,
        a_changed_object_is_found_and_not_received,
        attack_a_marker_of_another_bundle_is_found,
        a_changed_bundle_is_not_shipped,
        looking_reads_no_part,
        a_location_that_is_not_there_is_reported,
    }
];

/// The list of this folder.
pub fn list() -> List {
    let mut list = List::new("ship");
    for (name, case) in ON_FOLDERS {
        list.add(&format!("folder::{name}"), None, || case(&Site::new()));
    }
    attacks::add_to(&mut list);
    crashes::add_to(&mut list);
    together::add_to(&mut list);
    store_races::add_to(&mut list);
    hostile::add_to(&mut list);
    refusals::add_to(&mut list);
    remote::add_to(&mut list);
    prune::add_to(&mut list);
    pairs::add_to(&mut list);
    list
}
