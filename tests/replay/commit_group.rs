//! Batches that share a transaction: whatever ends it, rows and ledger say the same.

use crate::made::{Content, Made, Row, table_name};
use crate::replay::bundles::large;
use crate::replay::place::{Into, Place};
use crate::replay::target::spec;
use blobdelta::backend::OpenOptions;
use blobdelta::bundle::Bundle;
use blobdelta::durable::{Disk, Faulty, InjectedFault, InjectedRefusal, When};
use blobdelta::model::id::Guid;
use blobdelta::monitor::Silent;
use blobdelta::replay::replay;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

/// A target whose transactions hold a batch each, or whatever comes.
fn options(disk: &Faulty, commit_group_bytes: u64) -> OpenOptions {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    OpenOptions { disk, commit_group_bytes, ..OpenOptions::default() }
}

fn died(into: &Into, bundle: &[PathBuf], disk: &Faulty, commit_group_bytes: u64) -> bool {
    let opened = into.open_with(options(disk, commit_group_bytes));
    opened.and_then(|mut backend| replay(bundle, &mut *backend, &into.options(false), &Silent)).is_err()
}

/// Rows of the ledger, and those that stand.
fn held(into: &Into, bundle: &[PathBuf]) -> (u64, u64) {
    let root = Bundle::open(&bundle[0]).unwrap().root_sha256();
    let spec = blobdelta::backend::TargetSpec { table: table_name(), ..spec(into, "Files") };
    let ledger = into.open().unwrap().ledger(&spec, root).unwrap();
    let rows = ledger.iter().filter(|entry| entry.part.contains("part-")).map(|entry| entry.rows).sum();
    let has_table = into.open().unwrap().columns(&into.files()).is_ok();
    (rows, if has_table { into.existing().len() as u64 } else { 0 })
}

pub fn a_replay_that_died_at_any_commit_is_taken_up_where_it_was(place: &Place) {
    let bundle = [large().write(place.folder())];
    for commit_group_bytes in [1, u64::MAX] {
        let whole = place.target(&format!("Whole{commit_group_bytes}"));
        let counting = Faulty::new(When::Never);
        assert!(!died(&whole, &bundle, &counting, commit_group_bytes));
        let due = whole.existing();
        assert_eq!(due.len(), 8999);
        let least = if commit_group_bytes == 1 { 5 } else { 2 };
        assert!(counting.count() >= least, "{}", counting.count());
        let mut resumed_inside = false;
        for nth in 1..=counting.count() {
            let into = place.target(&format!("Crashed{nth}of{commit_group_bytes}"));
            assert!(died(&into, &bundle, &Faulty::new(When::CrashAt(nth)), commit_group_bytes), "operation {nth}");
            let report = into.apply(&bundle, false).unwrap();
            assert_eq!(into.existing(), due, "operation {nth}");
            resumed_inside |= (1..9000).contains(&report.bundles[0].tables[0].rows);
            assert!(into.apply(&bundle, false).unwrap().bundles[0].was_applied_before());
        }
        assert!(resumed_inside || commit_group_bytes > 1, "no crash fell between two batches of one part");
    }
}

pub fn what_fails_within_a_transaction_takes_rows_and_ledger_with_it(place: &Place) {
    let bundle = [large().write(place.folder())];
    for refusal in [InjectedRefusal::Busy, InjectedRefusal::Io] {
        let counting = Faulty::new(When::FailOnceAt(u64::MAX, InjectedFault::Statement(refusal)));
        assert!(!died(&place.target(&format!("Whole{refusal:?}")), &bundle, &counting, u64::MAX));
        let all = counting.count();
        // The last of them belong to the second batch, to noting the bundle, and to ending the group.
        let (mut undone, points) = (0, (1..=10).map(|nth| all * nth / 10).chain(all - 4..all));
        for nth in points {
            let into = place.target(&format!("Failed{nth}{refusal:?}"));
            let faulty = Faulty::new(When::FailOnceAt(nth, InjectedFault::Statement(refusal)));
            assert!(died(&into, &bundle, &faulty, u64::MAX), "{refusal:?} of statement {nth} of {all}");
            let (rows, existing) = held(&into, &bundle);
            // One row loses against a tombstone.
            assert_eq!(existing, rows.saturating_sub(u64::from(rows > 0)), "statement {nth} of {all}");
            undone += u64::from(rows == 0);
            let report = into.apply(&bundle, false).unwrap();
            assert_eq!(report.bundles[0].tables[0].rows, 9000 - rows, "statement {nth} of {all}");
            assert_eq!(into.existing().len(), 8999, "statement {nth} of {all}");
        }
        assert!(undone > 0, "nothing was undone");
    }
}

/// More than a cache holds, so that SQLite writes pages out before it commits.
fn heavy() -> Made {
    let mut made = Made::new(1, 1000, (0, 500));
    for nth in 0..56_u8 {
        // No compression makes it small, and no two are alike.
        let mut state = u32::from(nth) + 1;
        let bytes = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let row = Row::root(nth, Some(7), &[nth]);
        let content = Content::Inline(bytes.take(1 << 20).collect());
        made.rows.push(Row { key: Guid::from_bytes([nth; 16]), content, ..row });
    }
    made.rows_in_group = 8;
    made
}

pub fn killed_with_half_a_transaction_written_out_it_goes_on_where_it_was(place: &Place) {
    let bundle = heavy().write(place.folder());
    let run = |into: &Into, name: &str, value: &str| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blobdelta"));
        command.arg("replay").arg(&bundle).args(["--into", &into.at, "--database", &into.database, "--create"]);
        command.env(name, value).output().unwrap()
    };
    let whole = place.target("Whole");
    let log = place.folder().join("points");
    assert!(run(&whole, "BLOBDELTA_POINTS", log.to_str().unwrap()).status.success());
    let due = whole.existing();
    assert_eq!(due.len(), 56);
    let points = std::fs::read_to_string(log).unwrap();
    let points: Vec<&str> = points.lines().collect();
    let moves: Vec<usize> =
        (0..points.len()).filter(|at| points[*at].contains("BlobDeltaReplayLedger (RootSha256")).collect();
    assert!(moves.len() >= 3, "{points:?}");
    let last = moves[moves.len() - 1];
    // Before the last batch moves the ledger: those before it are in the same transaction.
    let into = place.target("Killed");
    let ended = run(&into, "BLOBDELTA_DIE_AT", &(last + 1).to_string());
    assert!(!ended.status.success(), "{ended:?}");
    let folder = PathBuf::from(into.at.trim_start_matches("sqlite:"));
    let written = folder.join(format!("{}.sqlite", into.database)).metadata().unwrap().len();
    assert!(written > 8 << 20, "{written} bytes were written out before the commit");
    let report = into.apply(std::slice::from_ref(&bundle), false).unwrap();
    assert!(into.existing() == due);
    let left = report.bundles[0].tables[0].rows;
    assert!(left > 8, "{left} rows: more than the batch that was killed shared its transaction");
}
