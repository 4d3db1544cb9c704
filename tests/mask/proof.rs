//! The proof: good where a bundle is masked, and red for each thing that is not.

use super::rich::{self, masked};
use crate::made::{Content, Made, Row, key};
use blobdelta::bundle::{Bundle, MaskedColumn, MaskedInfo, MaskedTable};
use blobdelta::mask::{MaskCheck, MaskProof, MaskSecret, check};
use blobdelta::model::digest::Sha256;
use blobdelta::model::memory::Memory;
use blobdelta::monitor::Silent;
use std::path::Path;

fn proof(masked: &Path, original: &Path) -> MaskProof {
    proof_with(masked, original, None)
}

pub fn proof_with(masked: &Path, original: &Path, secret: Option<&MaskSecret>) -> MaskProof {
    let open = |path| Bundle::open(path).unwrap();
    check((&open(masked), &open(original)), secret, Memory::default(), &Silent).unwrap()
}

pub fn what_is_masked_is_proven() {
    for blob in ["A letter of Joan Example.".to_owned(), "Joan Example is allergic to penicillin. ".repeat(60_000)] {
        let (world, original) = rich::bundle(blob.as_bytes(), &["--inline-mib", "1"]);
        let done = masked(&[&original], rich::POLICY, &world.path("masked")).unwrap();
        let good = proof_with(done[0].published.path(), &original, Some(&rich::secret()));
        assert!(good.is_good(), "{good:#?}");
        assert!(good.counts.iter().all(|(checked, _)| *checked > 0), "{good:?}");
    }
}

/// A bundle whose one masked column is the value, and what each row has in it.
fn made(contents: &[(u8, Content)], run: u8) -> Made {
    let rows =
        contents.iter().map(|(nth, content)| Row { content: content.clone(), ..Row::root(*nth, Some(150), b"") });
    Made { rows: rows.collect(), tombstones: vec![(key(20), 150)], ..Made::new(run, 1000, (100, 500)) }
}

fn says_that_it_is_masked(made: Made) -> Made {
    let spoil = |manifest: &mut blobdelta::bundle::Manifest| {
        let column = MaskedColumn { column: "file_stream".to_owned(), mask: "noise".to_owned(), domain: None };
        manifest.masked = Some(MaskedInfo {
            policies: vec![Sha256::of(b"a policy")],
            original: None,
            tables: vec![MaskedTable { table: manifest.tables[0].name.clone(), columns: vec![column] }],
        });
    };
    Made { spoil, ..made }
}

pub fn each_rule_that_is_broken_is_found() {
    let letter = b"A letter of Joan Example, who is allergic to penicillin, and 77 years old.".to_vec();
    let inline = |bytes: &[u8]| Content::Inline(bytes.to_vec());
    let original = made(&[(1, inline(&letter)), (2, inline(b"other")), (3, Content::Null)], 1);
    let good = [(1, inline(&[b'x'; 74])), (2, inline(b"OTHER")), (3, Content::Null)];
    let with = |nth: usize, content: Content| {
        let mut changed = good.to_vec();
        changed[nth].1 = content;
        made(&changed, 2)
    };
    let shifted = [b"...", &letter[16..32], b"..."].concat();
    let in_blob = [&vec![b'-'; 70_000], &letter[32..48]].concat();
    let mut moved = with(0, inline(b"zzz"));
    moved.row(1).modified = Some(160);
    let mut fewer = with(0, inline(b"zzz"));
    fewer.tombstones.clear();
    let cases = [
        (made(&good, 2), vec![]),
        (with(0, inline(&letter)), vec![MaskCheck::Masked, MaskCheck::Blocks]),
        (with(0, inline(&shifted)), vec![MaskCheck::Blocks]),
        (with(1, Content::Blob(in_blob)), vec![MaskCheck::Blocks]),
        (with(0, Content::Null), vec![MaskCheck::Nulls]),
        (with(2, inline(b"no NULL")), vec![MaskCheck::Nulls]),
        (made(&good[..2], 2), vec![MaskCheck::Rows]),
        (moved, vec![MaskCheck::Rows]),
        (fewer, vec![MaskCheck::Rows]),
    ];
    for (nth, (masked, due)) in cases.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let original = original.write(folder.path());
        let masked = says_that_it_is_masked(masked).write(folder.path());
        let found = proof(&masked, &original);
        let red: Vec<MaskCheck> = MaskCheck::ALL
            .into_iter()
            .zip(found.counts)
            .filter(|(_, (_, wrong))| *wrong > 0)
            .map(|(check, _)| check)
            .collect();
        assert_eq!(red, due, "case {nth}: {found:#?}");
        let shown = format!("{found:?}");
        assert!(!shown.contains("Joan"), "{shown}");
    }
}
