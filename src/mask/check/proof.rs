//! [`check`]: table by table.

use super::finding::MaskProof;
use super::keys::{KeyRelation, PlaceMasks};
use super::{blocks, rows};
use crate::bundle::{Bundle, MaskedTable, TableInfo};
use crate::error::{Error, Result};
use crate::mask::MaskSecret;
use crate::model::memory::Memory;
use crate::monitor::{Event, Monitor};

/// Holds a masked bundle against its original. The secret is needed where keys or paths are masked.
///
/// # Errors
/// Usage: a bundle that is not masked, or an original that is; no secret, where one is needed, or another one; Verification: a bundle that is not what it says; Io; Cancelled.
pub fn check(
    (masked, original): (&Bundle, &Bundle),
    secret: Option<&MaskSecret>,
    memory: Memory,
    monitor: &dyn Monitor,
) -> Result<MaskProof> {
    let Some(info) = &masked.manifest().masked else {
        return Err(Error::usage("this bundle is not masked").file(masked.path()));
    };
    if original.manifest().masked.is_some() {
        return Err(Error::usage("the original of a masked bundle is not masked itself")
            .file(original.path())
            .hint("name the masked bundle with --check, and its original with --against"));
    }
    let (mut proof, mut relation) = (MaskProof::default(), KeyRelation::default());
    let (of_masked, of_original) = (&masked.manifest().tables, &original.manifest().tables);
    let lacks = |one: &TableInfo, others: &[TableInfo]| others.iter().all(|other| other.name != one.name);
    if let Some(table) = of_original.iter().find(|table| lacks(table, of_masked)) {
        return Err(not_its_original(original).table(&table.name));
    }
    monitor.event(Event::WorkStarted { what: "check", name: "masked", rows: None, bytes: None });
    for table in of_masked {
        let before =
            original.manifest().table(&table.name).ok_or_else(|| not_its_original(original).table(&table.name))?;
        let nothing = MaskedTable { table: table.name.clone(), columns: Vec::new() };
        let masks = info.tables.iter().find(|masked| masked.table == table.name).unwrap_or(&nothing);
        let pair = ((masked, table), (original, before));
        let places = PlaceMasks::of(pair, masks, secret)?;
        rows::check(pair, (masks, &places), (&mut relation, memory), &mut proof, monitor)?;
        blocks::check(pair, masks, memory, &mut proof, monitor)?;
    }
    monitor.event(Event::WorkFinished);
    Ok(proof)
}

fn not_its_original(original: &Bundle) -> Error {
    Error::usage("this is not the original of the masked bundle: they have other tables").file(original.path())
}
