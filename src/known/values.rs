//! [`KnownValues`]: values that are needed, and then those that were found.

use super::holders::Holders;
use crate::backend::{KeyStore, open_key_store};
use crate::bundle::layout::PayloadFile;
use crate::bundle::{FileRole, TableInfo};
use crate::convert::{BatchRows, FilledValue};
use crate::error::{Error, Kind, Result};
use crate::latest::{KeyMap, KeyMemory, stored};
use crate::links::brings_again;
use crate::model::cell::{Cell, RowSource as _};
use crate::model::digest::{Hasher, Sha256};
use crate::model::id::Guid;
use crate::model::key::KeyType;
use crate::model::known::KnownRef;
use crate::model::name::TableName;
use crate::model::time::Timestamp;
use crate::monitor::{Monitor, Uncounted};
use crate::rows::{PartColumns, TableRows, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Keys of rows that leave values out, of each column.
const MEMORY: KeyMemory = KeyMemory::of("known content", 1 << 17);
/// Of the temporary file's pages.
const CACHE_BYTES: u64 = 16 << 20;
const CHUNK_BYTES: usize = 256 << 10;

/// See the module's text.
pub struct KnownValues<'h, 'b> {
    holders: &'h Holders<'b>,
    /// Whether values are kept, or only looked at.
    keeps: bool,
    askers: Vec<Asker>,
    /// By name of the column, in small letters, and [`id_of`].
    columns: BTreeMap<String, KeyMap<Need>>,
    store: Option<Box<dyn KeyStore>>,
    next_slot: u64,
}

/// Who leans on which bundle.
struct Asker {
    path: PathBuf,
    table: TableName,
    key_type: KeyType,
    root: Sha256,
    /// What to do if it is lost.
    if_lost: String,
    /// The tables that have it, of [`Holders`].
    named: Vec<usize>,
    /// All tables of the chain.
    chain: Vec<usize>,
    /// Values that are needed, and not found yet.
    due: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Need {
    key: Guid,
    sha256: Sha256,
    bytes: u64,
    asker: u32,
    found: Option<FoundAt>,
}

stored!(Need { key, sha256, bytes, asker, found });

/// A value that was found: in a table, and where in the temporary file, unless it lies in `blob/` there.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FoundAt {
    table: u32,
    slot: Option<u64>,
}

stored!(FoundAt { table, slot });

/// A value that was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfoundValue {
    /// The bundle that leaves it out.
    pub path: PathBuf,
    /// Its table.
    pub table: TableName,
    /// The row.
    pub key: Guid,
    /// The column, in small letters.
    pub column: String,
    /// What was looked for.
    pub sha256: Sha256,
    /// Where it was to be.
    pub known: KnownRef,
    asker: u32,
}

impl<'h, 'b> KnownValues<'h, 'b> {
    /// Nothing is needed yet. Where nothing is kept, it is only said whether values are there.
    pub fn new(holders: &'h Holders<'b>, keeps: bool) -> Self {
        let (askers, columns) = (Vec::new(), BTreeMap::new());
        Self { holders, keeps, askers, columns, store: None, next_slot: 0 }
    }

    /// Asks for the value that a row leaves out.
    ///
    /// # Errors
    /// Verification: it says no hash, or another length than before; Database: the temporary file failed.
    pub fn need(
        &mut self,
        source: TableRows<'_>,
        (key, column): (Guid, &str),
        (sha256, known): (Option<Sha256>, KnownRef),
    ) -> Result<()> {
        let bad =
            |what| Error::verification(what).file(source.bundle.path()).column(column).key(source.table.shown_key(key));
        let sha256 = sha256.ok_or_else(|| bad("a value is left out, and its hash is not said"))?;
        let asker = self.asker(source, known.root_sha256);
        let (id, bytes) = (id_of(key, sha256, known.root_sha256), known.bytes);
        let needs = self.columns.entry(column.to_ascii_lowercase()).or_insert_with(|| KeyMap::new(MEMORY));
        if needs.add(id, Need { key, sha256, bytes, asker, found: None })? {
            self.askers[asker as usize].due += 1;
            return Ok(());
        }
        // Bundles that follow each other may leave out the same.
        let is_it = |need: Need| (need.key, need.sha256, need.bytes) == (key, sha256, bytes);
        match needs.get(id)?.is_some_and(is_it) {
            true => Ok(()),
            false => Err(bad("a value that is left out has another length elsewhere")),
        }
    }

    /// Asks for all values that a table leaves out, of rows that are wanted: by their place among the rows of the table, and their
    /// key. Nothing is read of a table that leaves none out.
    ///
    /// # Errors
    /// As [`TableRows::each_key`] and [`KnownValues::need`]; what `is_wanted` says.
    pub fn need_all(
        &mut self,
        source: TableRows<'_>,
        monitor: &dyn Monitor,
        mut is_wanted: impl FnMut(u64, Guid) -> Result<bool>,
    ) -> Result<()> {
        if source.table.known_content.is_empty() {
            return Ok(());
        }
        let names = hashed_columns(source.table);
        let hashed: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut place = 0;
        for file in source.table.files_of(FileRole::Rows) {
            let wanted = Wanted { hashed: &hashed, ..Wanted::default() };
            source.each_key(file, wanted, &Uncounted(monitor), |part| {
                for (nth, key) in part.keys.iter().enumerate() {
                    let (known, hashes) = (part.known(nth), part.hashes(nth));
                    let is_wanted = is_wanted(place, *key)?;
                    place += 1;
                    for ((column, known), sha256) in hashed.iter().zip(known).zip(hashes) {
                        if let Some(known) = known.filter(|_| is_wanted) {
                            self.need(source, (*key, column), (sha256, known))?;
                        }
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Looks for what is needed and was not found yet: in the bundles that are named; and with `anywhere` in the others of the
    /// chain too. Each is read once.
    ///
    /// # Errors
    /// Verification, with the file, for a bundle that is not what it says; Io; Database; Cancelled.
    pub fn find(&mut self, anywhere: bool, monitor: &dyn Monitor) -> Result<()> {
        for is_named in [true, false].into_iter().take(1 + usize::from(anywhere)) {
            for nth in 0..self.holders.tables().len() {
                let is_due = |(number, asker): (usize, &Asker)| {
                    let tables = if is_named { &asker.named } else { &asker.chain };
                    (asker.due > 0 && tables.contains(&nth)).then_some(number)
                };
                let askers: BTreeSet<usize> = self.askers.iter().enumerate().filter_map(is_due).collect();
                if !askers.is_empty() {
                    let source = self.holders.tables()[nth];
                    let looked = self.look_in((nth, source), &askers, monitor);
                    looked.map_err(|error| error.table(&source.table.name).file(source.bundle.path()))?;
                }
            }
        }
        Ok(())
    }

    /// Values that were not found, at most so many; with `looked_for`, those alone of which a bundle that is named is here.
    ///
    /// # Errors
    /// Database: the temporary file failed.
    pub fn unfound(&mut self, most: usize, looked_for: bool) -> Result<Vec<UnfoundValue>> {
        let mut unfound: Vec<UnfoundValue> = Vec::new();
        let askers = &self.askers;
        let is_told =
            |need: &Need| need.found.is_none() && !(looked_for && askers[need.asker as usize].named.is_empty());
        for (column, needs) in &mut self.columns {
            for (_, need) in needs.select(None, most.saturating_sub(unfound.len()), is_told)? {
                let asker = &askers[need.asker as usize];
                unfound.push(UnfoundValue {
                    key: need.key,
                    path: asker.path.clone(),
                    table: asker.table.clone(),
                    column: column.clone(),
                    sha256: need.sha256,
                    known: KnownRef { root_sha256: asker.root, bytes: need.bytes },
                    asker: need.asker,
                });
            }
        }
        Ok(unfound)
    }

    /// Whether the value that a row leaves out was asked for and found.
    ///
    /// # Errors
    /// Database: the temporary file failed.
    pub fn holds(&mut self, (key, column): (Guid, &str), (sha256, known): (Option<Sha256>, KnownRef)) -> Result<bool> {
        let Some(needs) = self.columns.get_mut(&column.to_ascii_lowercase()) else { return Ok(false) };
        let Some(sha256) = sha256 else { return Ok(false) };
        Ok(needs.get(id_of(key, sha256, known.root_sha256))?.is_some_and(|need| need.found.is_some()))
    }

    /// Whether all was found.
    ///
    /// # Errors
    /// Verification, for the first value that the bundle which is named does not hold; ChainGap, if that bundle is not here.
    pub fn check_found(&mut self) -> Result<()> {
        let Some(unfound) = self.unfound(1, false)?.pop() else { return Ok(()) };
        let asker = &self.askers[unfound.asker as usize];
        let KnownRef { root_sha256, bytes } = unfound.known;
        let text = format!(
            "this bundle leaves out a value of {bytes} bytes, and says that the bundle with the root digest {root_sha256} holds it"
        );
        let is_itself = |nth: &usize| self.holders.tables()[*nth].bundle.root_sha256() == root_sha256;
        let error = match asker.named.iter().any(is_itself) {
            true => Error::verification(format!("{text}: that one has no such value at this row"))
                .hint("do not use this bundle; ask whoever made it for another"),
            false => Error::new(Kind::ChainGap, format!("{text}: no bundle that is named has it")).hint(format!(
                "name that bundle too (`blobdelta inspect` shows root digests): a compacted one that was made of it has the last \
                 value of each row alone. If it is lost, {}, and name what these make too",
                asker.if_lost
            )),
        };
        Err(error.table(&asker.table).column(&unfound.column).key(asker.key_type.shown(unfound.key)).file(&asker.path))
    }

    /// Puts the values that were asked for where they belong, into rows of which nothing was supplied. They are then as if
    /// nothing had been left out; those in `blob/` lie where [`Holders::holder_of`] says.
    ///
    /// # Errors
    /// Database: the temporary file failed; Internal.
    pub fn fill(&mut self, mut rows: BatchRows) -> Result<BatchRows> {
        let mut filled: BTreeMap<usize, BTreeMap<usize, FilledValue>> = BTreeMap::new();
        for (row, at, known) in rows.known_refs()? {
            let name = rows.plan().columns()[at].name.to_ascii_lowercase();
            let Some(needs) = self.columns.get_mut(&name) else { continue };
            let Some(sha256) = rows.content_sha256(row, at)? else { continue };
            let id = id_of(rows.key(row)?, sha256, known.root_sha256);
            let Some(Need { bytes, found: Some(found), .. }) = needs.get(id)? else { continue };
            let value = match found.slot {
                Some(slot) => FilledValue::Bytes(self.stored(slot, bytes)?),
                None => FilledValue::Reference(format!("blob/{sha256}.zst")),
            };
            filled.entry(at).or_default().insert(row, value);
        }
        for (at, values) in filled {
            rows = rows.filled(at, values)?;
        }
        Ok(rows)
    }

    fn asker(&mut self, source: TableRows<'_>, root: Sha256) -> u32 {
        let TableRows { bundle, table } = source;
        let is_it = |asker: &Asker| asker.root == root && asker.table == table.name && asker.path == bundle.path();
        let at = self.askers.iter().position(is_it).unwrap_or_else(|| {
            self.askers.push(Asker {
                path: bundle.path().to_owned(),
                table: table.name.clone(),
                key_type: table.key_type(),
                root,
                // Nobody knows the window of a bundle that is not here.
                if_lost: brings_again(table, Timestamp::MIN),
                named: self.holders.named(source, root).to_vec(),
                chain: self.holders.of_chain(source),
                due: 0,
            });
            self.askers.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    fn look_in(
        &mut self,
        (nth, source): (usize, TableRows<'_>),
        askers: &BTreeSet<usize>,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let mut hashed = hashed_columns(source.table);
        hashed.retain(|name| self.columns.contains_key(&name.to_ascii_lowercase()));
        if hashed.is_empty() {
            return Ok(());
        }
        // What the fields of a large column are called depends on the others.
        let large = source.table.model_columns()?.into_iter().filter(|column| column.sql_type.is_large());
        let large: BTreeSet<String> = large.map(|column| column.name).collect();
        let columns = PartColumns::of_rows(source.table, |name| large.contains(name))?;
        source.each(FileRole::Rows, &columns, &Uncounted(monitor), |rows| {
            for name in &hashed {
                if let Some(at) = rows.plan().index_of(name) {
                    self.look_at((nth, source), (&rows, at, name), askers, monitor)?;
                }
            }
            Ok(())
        })
    }

    fn look_at(
        &mut self,
        (nth, source): (usize, TableRows<'_>),
        (rows, at, name): (&BatchRows, usize, &str),
        askers: &BTreeSet<usize>,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let name = name.to_ascii_lowercase();
        let roots: BTreeSet<Sha256> = askers.iter().map(|asker| self.askers[*asker].root).collect();
        for (row, root) in (0..rows.rows()).flat_map(|row| roots.iter().map(move |root| (row, *root))) {
            let Some(needs) = self.columns.get_mut(&name) else { return Ok(()) };
            let Some(sha256) = rows.content_sha256(row, at)? else { continue };
            let key = rows.key(row)?;
            let is_due = |need: &Need| {
                (need.key, need.sha256) == (key, sha256)
                    && need.found.is_none()
                    && askers.contains(&(need.asker as usize))
            };
            let Some(need) = needs.get(id_of(key, sha256, root))?.filter(is_due) else { continue };
            let slot = match rows.blob_ref(row, at)? {
                Some(reference) if self.is_in_blob(source, reference, &need, monitor)? => None,
                Some(_) => continue,
                None => match rows.cell(row, at)? {
                    Cell::Bytes(bytes) if bytes.len() as u64 == need.bytes && Sha256::of(bytes) == need.sha256 => {
                        Some(self.put(bytes)?)
                    }
                    _ => continue,
                },
            };
            let table = u32::try_from(nth).map_err(|_| Error::internal("so many bundles cannot be counted"))?;
            if let Some(needs) = self.columns.get_mut(&name) {
                needs.put(id_of(key, sha256, root), Need { found: Some(FoundAt { table, slot }), ..need })?;
                self.askers[need.asker as usize].due -= 1;
            }
        }
        Ok(())
    }

    /// Whether a reference is to a file of this value. Where values are kept, who reads the file checks what is in it.
    fn is_in_blob(&self, source: TableRows<'_>, reference: &str, need: &Need, monitor: &dyn Monitor) -> Result<bool> {
        let Some(file) = source.table.blob_file(reference) else { return Ok(false) };
        let is_it = PayloadFile::sha256_of_reference(reference) == Some(need.sha256);
        if !is_it || file.content_bytes != Some(need.bytes) {
            return Ok(false);
        }
        if !self.keeps {
            source.bundle.check_blob(file, &Uncounted(monitor))?;
        }
        Ok(true)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<u64> {
        let slot = self.next_slot;
        self.next_slot += 1;
        if !self.keeps {
            return Ok(slot);
        }
        let mut store = match self.store.take() {
            Some(store) => store,
            None => open_key_store("known content", CACHE_BYTES)?,
        };
        for (chunk, bytes) in (0_u64..).zip(bytes.chunks(CHUNK_BYTES)) {
            store.put(chunk_key(slot, chunk), bytes)?;
        }
        self.store = Some(store);
        Ok(slot)
    }

    fn stored(&mut self, slot: u64, bytes: u64) -> Result<Vec<u8>> {
        let gone = || Error::internal("the temporary file of known content lost a value");
        let store = self.store.as_mut().ok_or_else(gone)?;
        let mut value = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        let mut chunk = 0;
        while (value.len() as u64) < bytes {
            value.extend(store.get(chunk_key(slot, chunk))?.ok_or_else(gone)?);
            chunk += 1;
        }
        Ok(value)
    }
}

/// What stands for a value that is needed: of a row, with a hash, out of a bundle.
fn id_of(key: Guid, sha256: Sha256, root: Sha256) -> Guid {
    let mut hasher = Hasher::default();
    hasher.update(key.as_bytes());
    hasher.update(sha256.as_bytes());
    hasher.update(root.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finish().as_bytes()[..16]);
    Guid::from_bytes(id)
}

fn chunk_key(slot: u64, chunk: u64) -> Guid {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&slot.to_be_bytes());
    bytes[8..].copy_from_slice(&chunk.to_be_bytes());
    Guid::from_bytes(bytes)
}

/// The columns of which values may be left out.
fn hashed_columns(table: &TableInfo) -> Vec<String> {
    let hashed = table.columns.iter().filter(|column| column.companions.content_sha256.is_some());
    hashed.map(|column| column.name.clone()).collect()
}
