//! Bundles that leave out content which earlier bundles hold: what is said of it is well-formed, or is found; and who does
//! not go across it refuses the bundle by name.

use super::made::{Content, Made, Row, key};
use arrow::array::{Array as _, ArrayRef, FixedSizeBinaryArray, StringArray};
use blobdelta::backend::{Connection, OpenOptions};
use blobdelta::bundle::{Bundle, FileRole, KNOWN_CONTENT, KnownContent, Manifest};
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::Local;
use blobdelta::error::Kind;
use blobdelta::model::digest::Sha256;
use blobdelta::monitor::Silent;
use blobdelta::replay::{ReplayOptions, check, replay};
use blobdelta::unpack::{UnpackOptions, unpack};
use blobdelta::verify::{FindingKind as K, VerifyLevel, VerifyOptions, VerifyReport, verify, verify_known};
use std::path::{Path, PathBuf};

/// What a test makes wrong in a manifest.
type Spoil = fn(&mut Manifest);

const TWICE: KnownContent = KnownContent { root_sha256: Sha256::from_bytes([1; 32]), values: 1, bytes: 1 };

const ONE: &[u8] = b"a value that the first bundle holds";
const TWO: &[u8] = b"the value of another row that it has";

fn before() -> Sha256 {
    Sha256::of(b"the bundle before")
}

/// A bundle that leaves out the value of one of its rows.
fn leaning() -> Made {
    let mut made = Made::new(2, 2000, (500, 900));
    made.previous = Some(before());
    made.rows = vec![
        Row { content: Content::Known(ONE.to_vec(), before()), ..Row::root(1, Some(600), b"") },
        Row::root(2, Some(610), b"two"),
        Row { content: Content::Null, ..Row::root(3, Some(620), b"") },
    ];
    made
}

fn deep(made: &Made) -> VerifyReport {
    let folder = tempfile::tempdir().unwrap();
    verify(&made.write(folder.path()), VerifyLevel::Deep, &Silent).unwrap()
}

fn kinds(report: &VerifyReport) -> Vec<K> {
    let mut kinds: Vec<K> = report.findings.iter().map(|finding| finding.kind).collect();
    kinds.dedup();
    kinds
}

#[test]
fn what_is_left_out_is_in_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let path = leaning().write(folder.path());
    let report = verify(&path, VerifyLevel::Deep, &Silent).unwrap();
    assert_eq!((report.findings, report.rows), (Vec::new(), 3));
    let manifest = Bundle::open(&path).unwrap().manifest().clone();
    assert_eq!(manifest.requires, [KNOWN_CONTENT]);
    let known = KnownContent { root_sha256: before(), values: 1, bytes: ONE.len() as u64 };
    assert_eq!(manifest.tables[0].known_content, [known]);
    assert_eq!(manifest.left_out(), (1, ONE.len() as u64));
}

/// Who lacks the bundle that has the values says so before anything is written, with what to do.
#[test]
fn who_lacks_values_refuses_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (first, path) = (Made::sample().write(folder.path()), leaning().write(folder.path()));
    let options = UnpackOptions::new(folder.path().join("files"));
    let unpacked = unpack(std::slice::from_ref(&path), &options, &Local, &Silent, &mut |_| ()).unwrap_err();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let opened = |path: &Path| Bundle::open(path).unwrap();
    let options = CompactOptions { allows_gap: true, ..CompactOptions::default() };
    let compacted = compact(vec![opened(&first), opened(&path)], &Local, &out, &options, &Silent).unwrap_err();
    for error in [unpacked, compacted] {
        assert_eq!(error.kind(), Kind::ChainGap, "{error}");
        assert!(error.to_string().contains(&before().to_string()), "{error}");
        assert_eq!(error.place().file.as_deref(), path.to_str());
        assert!(error.what_to_do().unwrap().contains("--whole"));
    }
    assert!(!folder.path().join("files").exists() && is_empty(&out));
    // Who does not go across it at all says what helps.
    let refused = opened(&path).manifest().check_whole_values("masking").unwrap_err();
    assert!(refused.kind() == Kind::Usage && refused.what_to_do().unwrap().contains("blobdelta compact"), "{refused}");
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().count() == 0
}

/// What rows say of values that are left out is what the manifest says.
#[test]
fn attack_references_that_are_not_those_of_the_manifest_are_found() {
    let changes: [(Spoil, K); 4] = [
        (|manifest| manifest.tables[0].known_content[0].values += 1, K::WrongCount),
        (|manifest| manifest.tables[0].known_content[0].bytes -= 1, K::WrongCount),
        (|manifest| manifest.tables[0].known_content[0].bytes = u64::from(u32::MAX), K::WrongCount),
        (|manifest| manifest.tables[0].known_content[0].root_sha256 = Sha256::of(b"another"), K::BadKnownContent),
    ];
    for (spoil, due) in changes {
        let report = deep(&Made { spoil, ..leaning() });
        assert!(kinds(&report).contains(&due), "{:?}", report.findings);
    }
    // A reference of an ancestor that is another unit's is content all the same (rule 7).
    let mut foreign = leaning();
    (foreign.rows[0].step, foreign.unit) = (2, Some(key(0xB)));
    foreign.spoil = |manifest| {
        manifest.tables[0].scope =
            blobdelta::bundle::manifest::ScopeText(blobdelta::model::run::Scope::BusinessUnit(super::made::key(0xA)));
    };
    assert!(kinds(&deep(&foreign)).contains(&K::WrongUnit));
}

/// A manifest that contradicts itself about what is left out cannot be written, and so not be read.
#[test]
fn attack_a_manifest_that_contradicts_itself_about_what_is_left_out_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = Bundle::open(&leaning().write(folder.path())).unwrap().manifest().clone();
    assert!(good.to_bytes().is_ok());
    let spoils: [(&str, Spoil); 7] = [
        ("requires", |manifest| manifest.requires.clear()),
        ("requires", |manifest| manifest.tables[0].known_content.clear()),
        ("there are none", |manifest| manifest.tables[0].previous = None),
        ("nothing is left out", |manifest| manifest.tables[0].known_content[0].values = 0),
        ("without a byte", |manifest| manifest.tables[0].known_content[0].bytes = 0),
        ("ascend", |manifest| manifest.tables[0].known_content = vec![TWICE, TWICE]),
        ("does not know", |manifest| manifest.requires.push("known-contents".into())),
    ];
    for (due, spoil) in spoils {
        let mut manifest = good.clone();
        spoil(&mut manifest);
        let error = std::error::Error::source(&manifest.to_bytes().unwrap_err()).unwrap().to_string();
        assert!(error.contains(due), "{due}: {error}");
    }
}

/// A value that is there although it is left out, or whose hash is not said, or is that of nothing.
#[test]
fn attack_values_that_are_half_left_out_are_found() {
    type Change = fn(&mut [ArrayRef], &[usize; 3]);
    let changes: [Change; 4] = [
        |columns, [value, ..]| columns[*value] = super::made::filled(&columns[*value], b"and is here"),
        |columns, [_, hash, _]| columns[*hash] = arrow::array::new_null_array(columns[*hash].data_type(), 3),
        |columns, [_, hash, _]| {
            let empty = Sha256::of(b"");
            let array = FixedSizeBinaryArray::try_from_iter((0..3).map(|_| empty.as_bytes())).unwrap();
            columns[*hash] = std::sync::Arc::new(array);
        },
        |columns, [_, _, reference]| {
            let other = format!("known/{}/1", Sha256::of(b"nowhere"));
            columns[*reference] = std::sync::Arc::new(StringArray::from(vec![Some(other), None, None]));
        },
    ];
    for (nth, change) in changes.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let path = leaning().write_changed(folder.path(), &|columns| change(columns, &[3, 4, 5]));
        let report = verify(&path, VerifyLevel::Deep, &Silent).unwrap();
        assert!(kinds(&report).contains(&K::BadKnownContent), "{nth}: {:?}", report.findings);
    }
}

/// What is found of the last of several bundles, where they are looked at together.
fn over_a_chain(paths: &[PathBuf]) -> Vec<K> {
    let options = VerifyOptions::new(VerifyLevel::Deep);
    let verified = |path: &PathBuf| (path.clone(), verify(path, VerifyLevel::Deep, &Silent).unwrap());
    let mut verified: Vec<_> = paths.iter().map(verified).collect();
    let absent = verify_known(&mut verified, &options, &Silent).unwrap();
    assert!(absent.is_empty() && verified[..paths.len() - 1].iter().all(|(_, report)| report.findings.is_empty()));
    kinds(&verified[paths.len() - 1].1)
}

/// What is said of a value is held against the row that has it: its length too. A bundle of another chain, and one that leaves the
/// value out itself, hold nothing.
#[test]
fn attack_a_reference_to_another_length_chain_or_to_what_leaves_it_out_too_is_found() {
    for what in ["length", "chain", "circle"] {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Made::new(1, 1000, (100, 500));
        first.rows = vec![Row::root(1, Some(200), ONE), Row::root(2, Some(210), TWO)];
        let first = first.write(folder.path());
        let root = Bundle::open(&first).unwrap().root_sha256();
        let mut made = leaning();
        made.previous = Some(root);
        made.rows[0].content = Content::Known(ONE.to_vec(), root);
        let mut paths = vec![first];
        match what {
            "length" => {
                let said = format!("known/{root}/{}", ONE.len() + 1);
                made.spoil = |manifest| manifest.tables[0].known_content[0].bytes += 1;
                let second = made.write_changed(folder.path(), &|columns| {
                    columns[5] = std::sync::Arc::new(StringArray::from(vec![Some(said.clone()), None, None]));
                });
                paths.push(second);
            }
            "chain" => {
                made.spoil = |manifest| {
                    let unit = blobdelta::model::run::Scope::BusinessUnit(super::made::key(0xA));
                    manifest.tables[0].scope = blobdelta::bundle::manifest::ScopeText(unit);
                };
                made.unit = Some(key(0xA));
                paths.push(made.write(folder.path()));
            }
            _ => {
                let second = made.write(folder.path());
                let by = Bundle::open(&second).unwrap().root_sha256();
                let mut third = Made::new(3, 3000, (900, 1300));
                third.previous = Some(by);
                third.rows = vec![Row { content: Content::Known(ONE.to_vec(), by), ..Row::root(1, Some(1000), b"") }];
                paths.extend([second, third.write(folder.path())]);
            }
        }
        let out = folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        let opened = paths.iter().map(|path| Bundle::open(path).unwrap()).collect();
        let refused = compact(opened, &Local, &out, &CompactOptions::default(), &Silent).map(drop).unwrap_err();
        let due = if what == "chain" { Kind::Usage } else { Kind::Verification };
        assert!(refused.kind() == due && is_empty(&out), "{what}: {refused}");
        if what != "chain" {
            assert_eq!(over_a_chain(&paths), [K::BadKnownContent], "{what}");
        }
        let unpacking = UnpackOptions { latest: true, ..UnpackOptions::new(folder.path().join("files")) };
        let unpacked = unpack(&paths, &unpacking, &Local, &Silent, &mut |_| ()).unwrap_err();
        assert!([Kind::Verification, Kind::ChainGap].contains(&unpacked.kind()), "{what}: {unpacked}");
        assert!(!folder.path().join("files").exists(), "{what}");
    }
}

fn made_tombstones(path: &Path) -> Vec<String> {
    let bundle = Bundle::open(path).unwrap();
    let files = bundle.manifest().tables[0].files_of(FileRole::Tombstones);
    files.filter(|file| file.rows != Some(0)).map(|file| file.path.clone()).collect()
}

/// What a forger changes in a bundle that leans on the one with this root digest.
type Forge = fn(&mut Made, Sha256);

/// A reference brings nothing to a row that does not stand there: no value of another key, none that was forged, none that the bundle
/// itself takes away. Nothing of such a bundle is applied.
#[test]
fn attack_a_reference_brings_no_value_that_does_not_stand_at_its_row() {
    let forgeries: [(Forge, Option<(Kind, &str)>); 5] = [
        (|_, _| {}, None),
        (
            |made, root| made.rows[0].content = Content::Known(b"what nobody ever had".to_vec(), root),
            Some((Kind::ChainGap, "another one")),
        ),
        (|made, root| made.rows[0].content = Content::Known(TWO.to_vec(), root), Some((Kind::ChainGap, "another one"))),
        (
            |made, root| {
                made.rows.push(Row { content: Content::Known(ONE.to_vec(), root), ..Row::root(9, Some(630), b"") })
            },
            Some((Kind::ChainGap, "no row of this key")),
        ),
        (|made, _| made.tombstones = vec![(key(1), 550)], Some((Kind::Verification, "deletes a row"))),
    ];
    for (nth, (forge, due)) in forgeries.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Made::new(1, 1000, (100, 500));
        first.rows = vec![Row::root(1, Some(200), ONE), Row::root(2, Some(210), TWO)];
        let first = first.write(folder.path());
        let root = Bundle::open(&first).unwrap().root_sha256();
        let mut made = leaning();
        made.previous = Some(root);
        made.rows[0].content = Content::Known(ONE.to_vec(), root);
        forge(&mut made, root);
        let second = made.write(folder.path());
        assert!(
            verify(&second, VerifyLevel::Deep, &Silent).unwrap().findings.is_empty(),
            "{nth}: alone nothing is wrong"
        );
        let out = folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        let opened = [&first, &second].map(|path| Bundle::open(path).unwrap()).into();
        let compacted = compact(opened, &Local, &out, &CompactOptions::default(), &Silent);
        let unpacking = UnpackOptions { latest: true, ..UnpackOptions::new(folder.path().join("files")) };
        let unpacked = unpack(&[first.clone(), second.clone()], &unpacking, &Local, &Silent, &mut |_| ());
        // In a chain whose order puts the row over its deletion, the value is there: nothing is forged then.
        let is_found = due.is_none() || !made_tombstones(&second).is_empty();
        assert_eq!((compacted.is_ok(), unpacked.is_ok()), (is_found, is_found), "{nth}: {compacted:?} {unpacked:?}");
        if !is_found {
            for error in [compacted.unwrap_err(), unpacked.unwrap_err()] {
                assert!(error.kind() == Kind::Verification && error.to_string().contains("no such value"), "{error}");
            }
            assert!(is_empty(&out) && !folder.path().join("files").exists(), "{nth}");
        }
        let looked = over_a_chain(&[first.clone(), second.clone()]);
        assert_eq!(looked, if is_found { vec![] } else { vec![K::BadKnownContent] }, "{nth}");
        let target = Connection::Embedded(folder.path().join("target"));
        let open = OpenOptions { create: true, main_database: super::made::table_name().db, ..OpenOptions::default() };
        let options = ReplayOptions { create: true, ..ReplayOptions::default() };
        let mut target = target.open(&open).unwrap();
        replay(std::slice::from_ref(&first), &mut *target, &options, &Silent).unwrap();
        let done = replay(&[second], &mut *target, &options, &Silent);
        let checked = check(&[first], &mut *target, &options, &Silent).unwrap();
        match (done, due) {
            (Ok(_), None) => assert_eq!((checked.findings, checked.outranked), (Vec::new(), 2), "{nth}"),
            (Err(error), Some((kind, text))) => {
                assert!(error.kind() == kind && error.to_string().contains(text), "{nth}: {error}");
                assert_eq!((checked.findings, checked.equal), (Vec::new(), 2), "{nth}: nothing of it was applied");
            }
            (done, _) => panic!("{nth}: {done:?}"),
        }
    }
}
