//! Damage and malice, class by class: a signed bundle is changed in one way at a time, and each time
//! verification must say exactly what is wrong. Ends with a table: class × tried × rejected.
//!
//! `cargo test --release --test suite -- damage --include-ignored` also flips every single bit, for some
//! minutes; without it, a random thousand.

mod archives;
mod bits;
mod bundle;
mod claims;
mod files;
mod lists;
mod manifests;

use crate::List;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How many changes of each class were tried, and how many of them rejected.
static TALLY: Mutex<BTreeMap<String, (u64, u64)>> = Mutex::new(BTreeMap::new());

/// Notes one change of a class.
fn tally(class: &str, is_rejected: bool) {
    let mut tally = TALLY.lock().unwrap_or_else(PoisonError::into_inner);
    let (tried, rejected) = tally.entry(class.to_owned()).or_default();
    *tried += 1;
    *rejected += u64::from(is_rejected);
}

type Case = fn();

const ATTACKS: &[(&str, Case)] = list![Case:
    claims {
        attack_a_list_of_a_manifest_without_measure_is_refused,
        attack_parts_that_are_only_claimed_are_refused,
        attack_inputs_times_tables_are_bounded_too,
        attack_column_names_that_differ_in_case_alone_are_refused,
    }
];

/// The list of this folder.
pub fn list() -> List {
    let mut list = List::new("damage");
    let mut add = |name, case: fn()| list.add(name, None, case);
    add("files_truncated_extended_removed_renamed_swapped", files::every_file);
    add("files_that_do_not_belong", files::strangers);
    add("links_pipes_and_devices", files::special);
    add("folders_of_others", files::moved);
    add("lists_in_another_form", lists::other_forms);
    add("lists_with_other_paths", lists::other_paths);
    add("manifests_in_another_form", manifests::other_forms);
    add("manifests_that_contradict_the_lists", manifests::of_another_bundle);
    for (name, case) in ATTACKS {
        add(name, *case);
    }
    add("archives_with_members_of_another_kind", archives::members);
    add("archives_cut_off_and_extended", archives::lengths);
    add("a_random_thousand_bits", bits::a_random_thousand);
    list.add_on_demand("every_bit", bits::every_one);
    list.table = Some(table);
    list
}

fn table() {
    let tally = TALLY.lock().unwrap_or_else(PoisonError::into_inner);
    if !tally.is_empty() {
        println!("{:<60} {:>8} {:>9}", "class", "tried", "rejected");
        tally.iter().for_each(|(class, (tried, rejected))| println!("{class:<60} {tried:>8} {rejected:>9}"));
        println!();
    }
}
