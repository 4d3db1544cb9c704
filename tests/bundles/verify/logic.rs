//! Bundles whose hashes are right and whose content is wrong: each in one way, each found as
//! that, and as nothing else.

use super::made::{self, Content, Made, Row, key};
use blobdelta::backend::{Connection, OpenOptions};
use blobdelta::bundle::manifest::{Manifest, ScopeText};
use blobdelta::bundle::signature::{SignedBy, SignerScope};
use blobdelta::bundle::{Access, Bundle, Container, Distrust, Policy};
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::Local;
use blobdelta::error::Kind;
use blobdelta::model::id::{Guid, KeyOrder};
use blobdelta::model::run::Scope;
use blobdelta::monitor::Silent;
use blobdelta::replay::{ReplayOptions, replay};
use blobdelta::unpack::{UnpackOptions, unpack};
use blobdelta::verify::FindingKind as K;
use blobdelta::verify::{FindingKind, FindingSeverity, VerifyLevel, VerifyOptions, VerifyReport, verify, verify_with};
use std::collections::BTreeSet;

/// What a deep verification says, and that the default one says nothing.
fn deep(made: &mut Made) -> VerifyReport {
    let folder = tempfile::tempdir().unwrap();
    let path = made.write(folder.path());
    let shallow = verify(&path, VerifyLevel::Default, &Silent).unwrap();
    assert!(shallow.is_good(), "{:?}", shallow.findings);
    // What is found may not depend on where the keys are held.
    let split =
        verify_with(&path, &VerifyOptions { keys_in_memory: 3, ..VerifyOptions::new(VerifyLevel::Deep) }, &Silent)
            .unwrap();
    let whole = verify(&path, VerifyLevel::Deep, &Silent).unwrap();
    assert_eq!(kinds(&split), kinds(&whole));
    // Nor on how the rows are, or on how many row groups are looked at side by side.
    for (rows_in_group, threads) in [(1, 1), (1, 3), (2, 2)] {
        made.rows_in_group = rows_in_group;
        let folder = tempfile::tempdir().unwrap();
        let options = VerifyOptions { threads, ..VerifyOptions::new(VerifyLevel::Deep) };
        let other = verify_with(&made.write(folder.path()), &options, &Silent).unwrap();
        assert_eq!((other.findings, other.rows), (whole.findings.clone(), whole.rows), "{rows_in_group} {threads}");
    }
    whole
}

/// What is rejected is neither replayed nor compacted: it is found in the pass that applies it, and again where that is
/// tried again.
fn is_applied(made: &Made, is_good: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = made.write(folder.path());
    let target = Connection::Embedded(folder.path().join("target"));
    let open = OpenOptions { create: true, main_database: made::table_name().db, ..OpenOptions::default() };
    let options = ReplayOptions { create: true, ..ReplayOptions::default() };
    let into = || replay(std::slice::from_ref(&path), &mut *target.open(&open).unwrap(), &options, &Silent);
    let (replayed, again) = (into(), into());
    let mut after = Made::new(9, 2000, (500, 900));
    after.rows = vec![Row::root(100, Some(600), b"after")];
    let key_order = Bundle::open(&path).unwrap().manifest().tables[0].key_order;
    let scope = Bundle::open(&path).unwrap().manifest().tables[0].scope.0;
    if scope != Scope::All {
        after.spoil = |manifest| manifest.tables[0].scope = ScopeText(Scope::BusinessUnit(key(0xA)));
        after.rows.clear();
    }
    if key_order == KeyOrder::SqlServer {
        after.spoil = |manifest| manifest.tables[0].key_order = KeyOrder::SqlServer;
    }
    let bundles = [path, after.write(folder.path())].map(|path| Bundle::open(&path).unwrap()).into();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let compacted = compact(bundles, &Local, &out, &CompactOptions::default(), &Silent);
    let refused = [("replay", replayed.err()), ("replay again", again.err()), ("compact", compacted.err())];
    for (what, refused) in refused {
        match refused {
            None => assert!(is_good, "{what} applied it"),
            Some(error) => assert!(!is_good && error.kind() == Kind::Verification, "{what}: {error}"),
        }
    }
}

/// What an unpacking reads of a row is held too: whose it is, when, and its value.
const OF_WHAT_IS_UNPACKED: [FindingKind; 4] = [K::WrongRun, K::InTheFuture, K::WrongContentHash, K::BadBlob];

fn is_unpacked(made: &Made, is_good: bool) {
    let folder = tempfile::tempdir().unwrap();
    let mut options = UnpackOptions::new(folder.path().join("files"));
    options.latest = true;
    let done = unpack(&[made.write(folder.path())], &options, &Local, &Silent, &mut |_| ());
    match done {
        Ok(_) => assert!(is_good, "unpack took it"),
        Err(error) => assert!(!is_good && error.kind() == Kind::Verification, "unpack: {error}"),
    }
}

/// A table is written as what it comes from is called, whatever name it is configured under.
#[test]
fn attack_a_signer_speaks_for_no_table_that_is_written_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = Bundle::open(&Made::sample().write(folder.path())).unwrap();
    let mut manifest = bundle.manifest().clone();
    let line = format!("me * {}\n", manifest.tables[0].name);
    let policy = Policy { scope: Some(SignerScope::parse(line.as_bytes()).unwrap()), ..Policy::default() };
    let signed_by = SignedBy { principals: "me".into(), fingerprint: "SHA256:abc".into() };
    assert_eq!(policy.check_scope(Some(&signed_by), &manifest), Ok(()));
    manifest.tables[0].source.table = "Another".into();
    let refused = policy.check_scope(Some(&signed_by), &manifest).unwrap_err();
    assert!(matches!(&refused, Distrust::NotTheirs(why) if why.contains("Another")), "{refused:?}");
}

/// Whoever signs vouches for all of it: what rows say of each other is looked at before a compaction is signed.
#[test]
fn attack_a_compaction_signs_nothing_that_a_deep_verification_rejects() {
    let forgeries: [fn(&mut Made); 4] = [
        |_| {},
        |made| made.row(5).parent = Some(key(3)),
        |made| {
            made.spoil = |manifest| {
                manifest.tables[0].counts.roots += 1;
                manifest.tables[0].counts.children -= 1;
            }
        },
        |made| made.row(7).content = Content::WrongHash(vec![7; 5000]),
    ];
    for (nth, forge) in forgeries.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let mut made = Made::sample();
        forge(&mut made);
        let mut after = Made::new(9, 2000, (500, 900));
        after.rows = vec![Row::root(100, Some(600), b"after")];
        let (out, key) = (folder.path().join("out"), folder.path().join("key"));
        std::fs::create_dir(&out).unwrap();
        let pair = ssh_key::private::Ed25519Keypair::from_seed(&[7; 32]);
        let pem = ssh_key::PrivateKey::from(pair).to_openssh(ssh_key::LineEnding::LF).unwrap();
        std::fs::write(&key, pem.as_bytes()).unwrap();
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_blobdelta"));
        command.arg("compact").args([made.write(folder.path()), after.write(folder.path())]).arg("--out").arg(&out);
        let done = command.arg("--sign-key").arg(&key).output().unwrap();
        let code = if nth == 0 { 0 } else { 3 };
        assert_eq!(done.status.code(), Some(code), "{nth}: {}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), usize::from(nth == 0), "{nth}");
    }
}

fn kinds(report: &VerifyReport) -> BTreeSet<FindingKind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

fn expect(change: impl FnOnce(&mut Made), due: &[FindingKind]) {
    let mut made = Made::sample();
    change(&mut made);
    let report = deep(&mut made);
    assert_eq!(kinds(&report), due.iter().copied().collect(), "{:?}", report.findings);
    assert!(report.findings.iter().all(|finding| finding.severity == FindingSeverity::Error && finding.file.is_some()));
    is_applied(&made, due.is_empty());
    if due.iter().all(|kind| OF_WHAT_IS_UNPACKED.contains(kind)) {
        is_unpacked(&made, due.is_empty());
    }
}

#[test]
fn a_good_bundle_has_no_findings() {
    let report = deep(&mut Made::sample());
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!((report.rows, report.more), (9, 0));
}

#[test]
fn attack_rows_outside_of_the_window_are_found() {
    // The end does not belong to it.
    expect(|made| made.row(5).modified = Some(500), &[K::OutsideWindow]);
    // One more before the window than the manifest counts.
    expect(|made| made.spoil = |manifest| manifest.tables[0].counts.late = 0, &[K::OutsideWindow]);
    expect(
        |made| {
            made.row(5).modified = None;
            made.spoil = |manifest| manifest.tables[0].counts.late = 1;
        },
        &[K::OutsideWindow],
    );
    // Early, and inside of it.
    expect(|made| made.row(6).modified = Some(499), &[K::OutsideWindow]);
    expect(|made| made.row(6).modified = None, &[K::OutsideWindow]);
    // Not marked as early.
    expect(|made| made.row(6).early = false, &[K::OutsideWindow]);
}

#[test]
fn attack_counts_that_are_not_those_of_the_rows_are_found() {
    let swap = |made: &mut Made| {
        made.spoil = |manifest| {
            manifest.tables[0].counts.roots += 1;
            manifest.tables[0].counts.children -= 1;
        };
    };
    expect(swap, &[K::WrongCount]);
    expect(|made| made.spoil = |manifest| manifest.tables[0].counts.early = 0, &[K::WrongCount]);
    expect(
        |made| {
            made.row(5).step = 4;
            made.spoil = |manifest| manifest.tables[0].counts.children += 1;
        },
        &[K::WrongCount],
    );
}

#[test]
fn attack_two_rows_of_one_key_and_rows_out_of_order_are_found() {
    expect(|made| made.rows.swap(0, 1), &[K::OutOfOrder]);
    expect(
        |made| {
            let twin = Row { path: vec![1, 200], ..made.row(5).clone() };
            made.rows.push(twin);
            made.sort();
        },
        &[K::DuplicateKey],
    );
    expect(|made| made.tombstones.swap(0, 1), &[K::OutOfOrder]);
    expect(|made| made.tombstones = vec![(key(20), 150), (key(20), 160)], &[K::DuplicateKey]);
    expect(|made| made.reason = "Moved", &[K::BadRow]);
}

/// Two keys that stand one way by their bytes, and the other way as SQL Server sorts them.
fn turned() -> [Guid; 2] {
    let with_ends = |first, last| {
        let mut bytes = [0x40; 16];
        (bytes[0], bytes[15]) = (first, last);
        Guid::from_bytes(bytes)
    };
    [with_ends(0xF0, 1), with_ends(0xE0, 2)]
}

#[test]
fn keys_stand_as_their_server_sorts_them() {
    let by_server = |made: &mut Made| made.spoil = |manifest| manifest.tables[0].key_order = KeyOrder::SqlServer;
    let tombstones = |made: &mut Made| made.tombstones = turned().map(|key| (key, 150)).to_vec();
    let rows = |made: &mut Made| {
        let twins = turned().map(|key| Row { key, path: vec![0], ..Row::root(0, Some(200), b"") });
        made.rows.splice(0..0, twins);
    };
    let absent = |made: &mut Made| {
        rows(made);
        made.rows[..2].iter_mut().for_each(|row| row.parent_path = Some(vec![9]));
        let children = turned().map(|key| (key, None));
        made.absent.splice(0..1, children.into_iter().chain([(key(8), None)]));
        made.absent.rotate_left(2);
    };
    for change in [&tombstones as &dyn Fn(&mut Made), &rows, &absent] {
        let both = |made: &mut Made| {
            by_server(made);
            change(made);
        };
        expect(both, &[]);
        expect(change, &[K::OutOfOrder]);
    }
}

#[test]
fn attack_parents_that_are_nowhere_are_found() {
    expect(|made| made.absent.clear(), &[K::MissingParent]);
    expect(|made| made.row(5).parent = Some(key(77)), &[K::MissingParent]);
    expect(
        |made| {
            made.row(5).parent = Some(key(77));
            made.absent.insert(0, (key(5), Some(key(77))));
        },
        &[],
    );
    // In no place, though it has a path; listed, but not in its place.
    expect(|made| made.row(5).parent = None, &[K::MissingParent]);
    expect(
        |made| {
            made.row(5).parent = None;
            made.absent.push((key(5), None));
        },
        &[K::OutOfOrder],
    );
    expect(|made| made.absent.push((key(99), None)), &[K::WrongAbsentParent]);
    expect(|made| made.absent.insert(0, (key(5), Some(key(1)))), &[K::WrongAbsentParent]);
    // Its own parent, and a parent on the same level.
    expect(|made| made.row(5).parent = Some(key(5)), &[K::WrongDepth]);
    expect(|made| made.row(5).parent = Some(key(3)), &[K::WrongDepth]);
}

#[test]
fn attack_values_that_belie_their_hashes_are_found() {
    expect(|made| made.row(7).content = Content::WrongHash(vec![7; 5000]), &[K::WrongContentHash]);
    expect(|made| made.row(7).content = Content::Nowhere, &[K::BadBlob]);
    expect(|made| made.row(7).content = Content::Taken(vec![7; 50]), &[K::WrongContentHash]);
}

#[test]
fn attack_rows_of_another_run_are_found() {
    expect(|made| made.row_run = 2, &[K::WrongRun]);
}

/// The rows of one unit's bundle are relabelled as another's; ancestors may be anybody's, without their content.
#[test]
fn attack_rows_of_another_business_unit_are_found() {
    let relabelled: fn(&mut Manifest) = |manifest| {
        manifest.tables[0].scope = ScopeText(Scope::BusinessUnit(key(0xA)));
        manifest.run.business_unit = Some(key(0xA));
    };
    expect(|made| made.spoil = relabelled, &[K::WrongUnit]);
    expect(|made| (made.spoil, made.unit) = (relabelled, Some(key(0xB))), &[K::WrongUnit]);
    expect(|made| (made.spoil, made.unit) = (relabelled, Some(key(0xA))), &[]);
    let ancestors = |content: &'static [u8]| {
        move |made: &mut Made| {
            made.spoil = relabelled;
            made.rows.retain(|row| row.step == 2);
            made.absent.clear();
            if !content.is_empty() {
                made.rows[0].content = Content::Inline(content.to_vec());
            }
        }
    };
    expect(ancestors(b""), &[]);
    expect(ancestors(b"another's"), &[K::WrongUnit]);
}

/// Rule 27: nothing is later than a day after the run's start.
#[test]
fn attack_what_lies_in_the_future_is_found() {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    let early = |modified: i64| move |made: &mut Made| made.row(6).modified = Some(modified);
    expect(early(1000 + DAY), &[]);
    expect(early(1001 + DAY), &[K::InTheFuture]);
    expect(|made| made.tombstones[1].1 = 1000 + DAY, &[]);
    expect(|made| made.tombstones[1].1 = 1001 + DAY, &[K::InTheFuture]);
    expect(|made| made.row(2).modified = Some(1001 + DAY), &[K::InTheFuture]);
}

#[test]
fn attack_a_run_in_the_future_is_refused_before_any_part_is_read() {
    let mut made = Made::sample();
    // In the year 9893.
    made.started = 9899 * 365 * 24 * 60 * 60 * 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let report = verify(&made.write(folder.path()), VerifyLevel::Quick, &Silent).unwrap();
    assert_eq!(kinds(&report), BTreeSet::from([K::InTheFuture]), "{:?}", report.findings);
    let error = Container::open(&made.write(folder.path()), &Access::default()).and_then(Bundle::open_in).err();
    assert!(error.unwrap().to_string().contains("still to come"));
}
