//! A crash, or a disk that fails once, at every durable operation of a ship to a folder and of a
//! receive. What must hold after each: nothing half is taken for a bundle, by those who know of
//! markers and by those who do not; and doing it again ends well, without litter.

use crate::List;
use crate::faults::is_full;
use crate::ship::folders::{Site, assert_same, names};
use blobdelta::bundle::places;
use blobdelta::durable::{Faulty, InjectedFault, When};
use blobdelta::monitor::Silent;
use blobdelta::ship::{ReceiveOptions, ShipOptions, receive, ship};
use blobdelta::verify::{VerifyLevel, verify};
use std::path::{Path, PathBuf};

pub fn add_to(list: &mut List) {
    list.add("a_ship_that_died_at_any_operation_is_taken_up", None, shipping);
    list.add("a_receive_that_died_at_any_operation_is_taken_up", None, receiving);
}

/// Every bundle that a reader of this place would take is whole.
pub fn assert_whole(place: PathBuf, at: &str) -> usize {
    let found = places(&[place]).unwrap();
    for place in &found {
        let report = verify(&place.path, VerifyLevel::Deep, &Silent).unwrap();
        assert!(report.is_good(), "{at}: {:?}", report.findings);
    }
    found.len()
}

fn empty(folder: &Path) {
    std::fs::remove_dir_all(folder).unwrap();
    std::fs::create_dir(folder).unwrap();
}

/// A slice of all by default: the first, every eleventh, and the last, where names are given. With
/// `BLOBDELTA_FAULTS=full` every operation.
pub fn faults(count: u64) -> impl Iterator<Item = When> {
    let is_in_slice = move |nth: &u64| is_full() || *nth < 5 || nth.is_multiple_of(11) || nth + 14 > count;
    let crashes = (1..=count).filter(is_in_slice).map(When::CrashAt);
    crashes.chain((1..=count).filter(|_| is_full()).map(|nth| When::FailOnceAt(nth, InjectedFault::NoSpace)))
}

fn shipping() {
    let counting = Faulty::new(When::Never);
    let site = Site::new();
    let options = ShipOptions::default();
    ship(&site.bundle, &site.drop(), &options, &counting, &Silent).unwrap();
    assert!(counting.count() > 30, "{}", counting.count());
    let mut went_on = false;
    for when in faults(counting.count()) {
        let at = format!("{when:?}");
        empty(&site.path("drop"));
        let died = ship(&site.bundle, &site.drop(), &options, &Faulty::new(when), &Silent);
        assert!(died.is_err(), "{at}");
        assert_whole(site.drop().to_string().into(), &at);
        assert_whole(site.path("drop"), &at);
        let again = site.ship(&site.bundle).unwrap();
        went_on |= again.files_sent > 0 && again.files_skipped > 0;
        assert_eq!(assert_whole(site.drop().to_string().into(), &at), 1, "{at}");
        assert_same(&site.bundle, &site.there(""));
        assert_eq!(names(&site.path("drop")), [site.name(), site.name() + ".complete"], "{at}");
    }
    assert!(went_on, "no ship went on with what was there");
}

fn receiving() {
    let site = Site::new();
    site.ship(&site.bundle).unwrap();
    let options = ReceiveOptions::default();
    let counting = Faulty::new(When::Never);
    receive(&site.drop(), &site.path("in"), &options, &counting, &Silent).unwrap();
    assert!(counting.count() > 20, "{}", counting.count());
    for when in faults(counting.count()) {
        let at = format!("{when:?}");
        empty(&site.path("in"));
        let died = receive(&site.drop(), &site.path("in"), &options, &Faulty::new(when), &Silent);
        assert!(died.is_err(), "{at}");
        assert_whole(site.path("in"), &at);
        site.receive().unwrap();
        assert_eq!(assert_whole(site.path("in"), &at), 1, "{at}");
        assert_same(&site.bundle, &site.path("in").join(site.name()));
    }
}
