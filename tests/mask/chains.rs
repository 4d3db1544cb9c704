//! Many masked bundles.

use super::bundles::OF_MADE;
use super::rich::masked;
use crate::made::{Content, Made, Row, key};
use crate::world::World;
use blobdelta::bundle::{Bundle, FileRole};
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::Local;
use blobdelta::error::Kind;
use blobdelta::model::digest::Sha256;
use blobdelta::monitor::Silent;
use std::path::{Path, PathBuf};

/// A chain of deltas, each of which changes a row, adds one and deletes one.
pub fn weeks(out: &Path, count: u8) -> Vec<PathBuf> {
    std::fs::create_dir_all(out).unwrap();
    let mut paths: Vec<PathBuf> = Vec::new();
    for week in 1..=count {
        let start = i64::from(week) * 1000;
        let mut made = Made::new(week, start + 900, (start, start + 1000));
        made.rows = vec![
            Row::root(1, Some(start + 1), &[week; 40]),
            Row { content: Content::Blob(vec![week; 5000]), ..Row::root(100 + week, Some(start + 2), b"") },
            Row::child(2, 1, Some(start + 3), b"the same each week"),
        ];
        made.sort();
        made.tombstones = vec![(key(99 + week), start + 4)];
        made.previous = paths.last().map(|path| Bundle::open(path).unwrap().root_sha256());
        paths.push(made.write(out));
    }
    paths
}

fn roots(path: &Path) -> (Sha256, Option<Sha256>) {
    let bundle = Bundle::open(path).unwrap();
    (bundle.root_sha256(), bundle.manifest().tables[0].previous.map(|previous| previous.root_sha256))
}

fn compacted(paths: &[PathBuf], out: &Path) -> PathBuf {
    std::fs::create_dir_all(out).unwrap();
    let bundles = paths.iter().map(|path| Bundle::open(path).unwrap()).collect();
    compact(bundles, &Local, out, &CompactOptions::default(), &Silent).unwrap().path().to_owned()
}

fn paths_of(masked: &[blobdelta::mask::MaskedBundle]) -> Vec<PathBuf> {
    masked.iter().map(|one| one.published.path().to_owned()).collect()
}

pub fn rule_29_masked_bundles_are_a_chain_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let originals = weeks(&folder.path().join("in"), 3);
    let mut backwards: Vec<&Path> = originals.iter().map(PathBuf::as_path).collect();
    backwards.reverse();
    let together = paths_of(&masked(&backwards, OF_MADE, &folder.path().join("together")).unwrap());
    let apart: Vec<PathBuf> = originals
        .iter()
        .flat_map(|path| paths_of(&masked(&[path], OF_MADE, &folder.path().join("apart")).unwrap()))
        .collect();
    for (nth, (one, other)) in together.iter().zip(&apart).enumerate() {
        assert_eq!(roots(one), roots(other), "in one call or week by week");
        let before = nth.checked_sub(1).map(|before| roots(&together[before]).0);
        assert_eq!(roots(one).1, before);
        assert_ne!(roots(one).0, roots(&originals[nth]).0);
    }
    let source = |path: &Path| Bundle::open(path).unwrap().manifest().run.source_id;
    assert!(source(&together[0]).is_derived());
    assert!(together.iter().all(|path| source(path) == source(&together[0])));
}

pub fn rule_29_masked_and_unmasked_rows_never_meet() {
    let world = World::bare();
    let originals = weeks(&world.path("in"), 2);
    let done = paths_of(&masked(&[&originals[0], &originals[1]], OF_MADE, &world.path("masked")).unwrap());
    let replay = |bundle: &Path, target: &str, also: &[&str]| {
        let (bundle, into) = (bundle.display().to_string(), format!("sqlite:{}", world.path(target).display()));
        world.call_on("", &[&["replay", &bundle, "--into", &into, "--create"][..], also].concat())
    };
    for (first, second, target) in [(&done[0], &originals[0], "a"), (&originals[0], &done[0], "b")] {
        assert_eq!(replay(first, target, &[]).code, 0);
        let bundle = Bundle::open(second).unwrap();
        let allowed = format!("{}/Db.dbo.Files", bundle.manifest().run.source_id);
        for also in [&[][..], &["--also-from", &allowed]] {
            let refused = replay(second, target, also);
            assert!(refused.code != 0 && refused.stderr.contains("never meet"), "{refused:?}");
        }
    }
    // A masked chain goes on, as any other does.
    assert_eq!(replay(&done[1], "a", &[]).code, 0);
}

pub fn eight_weeks_masked_one_by_one_are_the_masked_compaction() {
    for policy in [OF_MADE, super::keys::REKEYED] {
        eight_weeks(policy);
    }
}

fn eight_weeks(policy: &str) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let originals = weeks(&at("in"), 8);
    let each: Vec<PathBuf> =
        originals.iter().flat_map(|path| paths_of(&masked(&[path], policy, &at("each")).unwrap())).collect();
    let one = compacted(&each, &at("one"));
    let other = masked(&[&compacted(&originals, &at("all"))], policy, &at("other")).unwrap();
    let files = |path: &Path| {
        let bundle = Bundle::open(path).unwrap();
        let files = bundle.manifest().tables[0].files.iter().filter(|file| file.role != FileRole::Blob);
        files.map(|file| (file.path.clone(), file.rows)).collect::<Vec<_>>()
    };
    assert_eq!(files(&one), files(other[0].published.path()));
    assert_eq!(super::bundles::rows(&one), super::bundles::rows(other[0].published.path()));
    // What follows the eighth follows the masked compaction too.
    let (inputs, last) = (Bundle::open(&one).unwrap(), roots(&each[7]).0);
    assert!(inputs.manifest().inputs.contains(&last));
    let masked_compaction = masked(&[&compacted(&originals, &at("again"))], policy, &at("each")).unwrap();
    let masked_compaction = Bundle::open(masked_compaction[0].published.path()).unwrap();
    assert!(masked_compaction.manifest().inputs.contains(&last));
    assert!(inputs.manifest().masked.is_some(), "what is compacted from masked bundles is masked");
}

pub fn a_missing_predecessor_is_a_gap_for_everybody() {
    let world = World::bare();
    let originals = weeks(&world.path("in"), 3);
    let out = world.path("masked");
    let first = paths_of(&masked(&[&originals[0]], OF_MADE, &out).unwrap());
    let third = paths_of(&masked(&[&originals[2]], OF_MADE, &out).unwrap());
    let before = roots(&third[0]).1.unwrap();
    assert!(before != roots(&first[0]).0 && before != roots(&originals[1]).0);
    let chain = world.call_on("", &["chain", &out.display().to_string()]);
    assert_eq!(chain.code, 5, "{chain:?}");
}

pub fn what_would_be_masked_otherwise_than_before_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let originals = weeks(&folder.path().join("in"), 2);
    let out = folder.path().join("masked");
    let second = paths_of(&masked(&[&originals[1]], OF_MADE, &out).unwrap());
    // The same again is the one that stands there.
    assert!(masked(&[&originals[1]], OF_MADE, &out).unwrap()[0].published.adopted());
    let by_another = masked(&[&originals[1]], &format!("{OF_MADE}# another text\n"), &out).unwrap_err();
    assert!(by_another.to_string().contains("by another policy"), "{by_another}");
    let both = [originals[0].as_path(), &originals[1]];
    let behind_others = masked(&both, OF_MADE, &out).unwrap_err();
    assert!(behind_others.to_string().contains("other masked bundles"), "{behind_others}");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1, "nothing was written");
    // What is said to be done works.
    std::fs::remove_dir_all(&second[0]).unwrap();
    assert_eq!(masked(&both, OF_MADE, &out).unwrap().len(), 2);
}

pub fn a_column_keeps_its_mask_within_a_chain() {
    let world = World::bare();
    let originals = weeks(&world.path("in"), 2);
    let out = world.path("masked");
    let _ = masked(&[&originals[0]], OF_MADE, &out).unwrap();
    for other in ["\"keep\"", "\"empty\"", "{ mask = \"noise\", domain = \"other\" }"] {
        let error = masked(&[&originals[1]], &OF_MADE.replace("\"noise\"", other), &out).unwrap_err();
        assert!(error.kind() == Kind::Config && error.to_string().contains("before this one has noise"), "{error}");
    }
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
    assert_eq!(masked(&[&originals[1]], &format!("{OF_MADE}\n# another text\n"), &out).unwrap().len(), 1);
}
