//! Every durable operation and every statement of a database fails once, of each kind of work; and
//! the work is done again.

use crate::faults::site::Site;
use crate::faults::work::Work;
use crate::faults::{is_slice, points, power, tally};
use blobdelta::durable::{Disk, Faulty, InjectedFault, InjectedRefusal, When};
use std::sync::Arc;

const FAULTS: [(&str, InjectedFault); 7] = [
    ("ENOSPC", InjectedFault::NoSpace),
    ("EIO", InjectedFault::Io),
    ("short write", InjectedFault::ShortWrite),
    ("failed sync", InjectedFault::FailedSync),
    ("SQLITE_BUSY", InjectedFault::Statement(InjectedRefusal::Busy)),
    ("SQLITE_IOERR", InjectedFault::Statement(InjectedRefusal::Io)),
    ("SQLITE_FULL", InjectedFault::Statement(InjectedRefusal::Full)),
];

/// Operations that a kind of work comes to at least; less would say that it does not go through the
/// disk, and that nothing is tried here.
const LEAST: [u64; 7] = [40, 25, 3, 25, 60, 8, 30];

pub fn run() {
    fail_once(Work::Run);
}

pub fn pack() {
    fail_once(Work::Pack);
}

pub fn replay() {
    fail_once(Work::Replay);
}

pub fn compact() {
    fail_once(Work::Compact);
}

pub fn unpack() {
    fail_once(Work::Unpack);
}

pub fn archive() {
    fail_once(Work::Archive);
}

pub fn extract() {
    fail_once(Work::Extract);
}

fn fail_once(work: Work) {
    let site = work.site();
    let counting = Faulty::new(When::Never);
    let disk: Arc<dyn Disk> = Arc::new(counting.clone());
    let whole = site.copied();
    work.act(&whole, &disk).unwrap();
    assert!(counting.count() >= LEAST[work as usize], "{work:?} came to {} operations", counting.count());
    assert_eq!(work.lost_and_extra(&whole), (0, 0), "{work:?} without a fault");
    let has_statements = matches!(work, Work::Run | Work::Pack | Work::Replay);
    for (nth, (class, fault)) in FAULTS.iter().enumerate() {
        let is_one = has_statements || !matches!(fault, InjectedFault::Statement(_));
        // Each work has its turn of each in the slice of another.
        if is_one && (!is_slice() || (nth + work as usize).is_multiple_of(3)) {
            campaign(work, &site, class, *fault);
        }
    }
    power::campaign(work, &site);
}

fn campaign(work: Work, site: &Site, class: &str, fault: InjectedFault) {
    let counting = Faulty::new(When::FailOnceAt(u64::MAX, fault));
    let disk: Arc<dyn Disk> = Arc::new(counting.clone());
    work.act(&site.copied(), &disk).unwrap();
    let all = usize::try_from(counting.count()).unwrap();
    // The one behind the last is that of work that passes.
    for nth in points(all + 1, 1) {
        let place = site.copied();
        let context = format!("{class} in {}, point {nth} of {all}", work.name());
        let faulty = Faulty::new(When::FailOnceAt(nth as u64, fault));
        let disk: Arc<dyn Disk> = Arc::new(faulty.clone());
        let ended = work.act(&place, &disk);
        drop(disk);
        if !faulty.has_failed() || fault == InjectedFault::ShortWrite {
            ended.unwrap_or_else(|error| panic!("{context}: {error}"));
        }
        assert!(!faulty.was_synced_again(), "{context}: a failed sync was tried again");
        work.check(&place, &context);
        let found = work.again(&place, &context);
        assert_eq!(found, (0, 0), "{context}");
        tally(&format!("{class}: {}", work.name()), found);
    }
}
