//! Masked bundles into a target.

use crate::mask::chains::weeks;
use crate::mask::keys::REKEYED;
use crate::mask::rich::masked;
use crate::replay::place::Place;
use blobdelta::bundle::Bundle;
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::Local;
use blobdelta::monitor::Silent;
use std::path::{Path, PathBuf};

pub fn rule_29_masked_weeks_are_replayed_as_others_are_and_never_meet_them(place: &Place) {
    let originals = weeks(&place.folder().join("in"), 4);
    let folder = place.folder().join("masked");
    let paths: Vec<&Path> = originals.iter().map(PathBuf::as_path).collect();
    let done = masked(&paths, REKEYED, &folder).unwrap();
    let bundles: Vec<PathBuf> = done.iter().map(|one| one.published.path().to_owned()).collect();
    let into = place.target("Into");
    let mut backwards = bundles.clone();
    backwards.reverse();
    into.apply(&backwards, false).unwrap();
    let after = into.existing();
    assert!(into.apply(&bundles, false).unwrap().bundles.iter().all(|one| one.was_applied_before()));
    for (refused, by) in [(&originals, &into), (&bundles, &place.target("Copy"))] {
        if refused == &bundles {
            by.apply(&originals, false).unwrap();
            // The same rows, deleted and changed alike, under other keys.
            let unmasked = by.existing();
            assert_eq!(unmasked.len(), after.len());
            assert!(unmasked.keys().all(|key| !after.contains_key(key)));
            let values = |rows: &std::collections::BTreeMap<_, Option<Vec<u8>>>| {
                let mut values: Vec<_> = rows.values().cloned().collect();
                values.sort();
                values
            };
            assert_eq!(values(&unmasked), values(&after));
        }
        let error = by.apply(refused, false).unwrap_err();
        assert!(error.to_string().contains("never meet"), "{error}");
    }
    assert_eq!(into.existing(), after);
    let out = place.folder().join("compacted");
    std::fs::create_dir(&out).unwrap();
    let all = bundles.iter().map(|path| Bundle::open(path).unwrap()).collect();
    let compacted = compact(all, &Local, &out, &CompactOptions::default(), &Silent).unwrap().path().to_owned();
    let new = place.target("New");
    new.apply(&[compacted], false).unwrap();
    assert_eq!(new.existing(), after);
}
