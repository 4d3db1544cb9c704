//! Masked keys and paths: whether they are what the secret makes of their originals, and one to one.

use super::pair::Pair;
use crate::bundle::{FileRole, MaskedTable, TableInfo};
use crate::convert::BatchRows;
use crate::error::{Error, Result};
use crate::latest::{KeyMap, KeyMemory};
use crate::mask::column::ColumnMask;
use crate::mask::plan::PlaceOrder;
use crate::mask::{MaskKind, MaskRule, MaskSecret};
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::DELTA_PARENT_KEY;
use crate::model::id::Guid;
use crate::model::key::{KeyType, path_order};
use crate::rows::{RowPlace, SortedWithin};
use std::collections::BTreeMap;

const MEMORY: KeyMemory = KeyMemory { work: "masked keys", most_keys: 1 << 16, cache_bytes: 4 << 20 };

/// How the keys and paths of a table are masked, as the manifest says it.
pub(super) struct PlaceMasks<'t> {
    table: &'t TableInfo,
    order: PlaceOrder,
    /// By the column, for those that can be computed.
    masks: BTreeMap<String, PlaceMask>,
}

struct PlaceMask {
    kind: MaskKind,
    /// Its domain, or its table and name.
    domain: String,
    /// With the secret.
    mask: Option<ColumnMask>,
}

impl<'t> PlaceMasks<'t> {
    /// # Errors
    /// Usage: keys or paths are masked, and the secret is not there or another one.
    pub(super) fn of(
        ((masked, _), (original, table)): Pair<'t>,
        masks: &MaskedTable,
        secret: Option<&MaskSecret>,
    ) -> Result<Self> {
        let source = original.manifest().run.source_id;
        let secret = secret.filter(|secret| secret.masked_id("source", source) == masked.manifest().run.source_id);
        let kind_of = |name: &str| {
            let found = masks.columns.iter().find(|mask| mask.column == name);
            found.and_then(|mask| MaskKind::parse(&mask.mask)).unwrap_or(MaskKind::Keep)
        };
        let path = table.path_column.as_deref().map(kind_of);
        let order = PlaceOrder::of(kind_of(&table.key_column), path);
        if secret.is_none() && order.rows != SortedWithin::Nothing {
            return Err(Error::usage("the keys or paths of this table are masked, so only the secret tells which row became which")
                .table(&table.name)
                .file(masked.path())
                .hint("give the secret that it was masked by, in BLOBDELTA_MASK_KEY or the file of --mask-key-file; and its own original"));
        }
        let places = [Some(&table.key_column), table.path_column.as_ref(), table.parent_path_column.as_ref()];
        let mut found = BTreeMap::new();
        for column in table.model_columns()? {
            let kind = kind_of(&column.name);
            let is_place = places.contains(&Some(&column.name)) && kind != MaskKind::Keep;
            if kind != MaskKind::Rekey && !is_place {
                continue;
            }
            let named = masks.columns.iter().find(|mask| mask.column == column.name);
            let rule = MaskRule { domain: named.and_then(|mask| mask.domain.clone()), ..MaskRule::of(kind) };
            let name = table.name.to_string();
            let mask = secret.map(|secret| ColumnMask::of(&column, &rule, &name, secret)).transpose()?;
            let (mask, used) = mask.unzip();
            let own = || format!("{name}.{}", column.name.to_ascii_lowercase());
            let domain = rule.domain.clone().or(used.flatten().map(|used| used.name)).unwrap_or_else(own);
            found.insert(column.name.clone(), PlaceMask { kind, domain, mask });
        }
        Ok(Self { table, order, masks: found })
    }

    /// What of the order of the original's rows is another one in the masked bundle.
    pub(super) fn within(&self, role: FileRole) -> SortedWithin {
        if role == FileRole::Rows { self.order.rows } else { self.order.keys }
    }

    /// The mask of a column of a part, where it is of a key, of a path, or one to one.
    fn of_column(&self, name: &str, role: FileRole) -> Option<&PlaceMask> {
        // Parents, and all of absent parents.
        let is_key = name == DELTA_PARENT_KEY || role == FileRole::AbsentParents;
        self.masks.get(if is_key { self.table.key_column.as_str() } else { name })
    }

    /// Whether [`PlaceMasks::check`] looks at a column.
    pub(super) fn has(&self, name: &str, role: FileRole) -> bool {
        self.of_column(name, role).is_some()
    }

    /// Where a row of the original stands in the masked bundle.
    ///
    /// # Errors
    /// Verification: a row without depth or key.
    pub(super) fn place(&self, rows: &BatchRows, row: usize, role: FileRole) -> Result<RowPlace> {
        let mut place = RowPlace::of(rows, row, self.table)?;
        let masked = |column: usize| {
            let name = &rows.plan().columns()[column].name;
            let mask = self.of_column(name, role).and_then(|found| found.mask.as_ref());
            mask.map(|mask| mask.place(rows.cell(row, column)?)).transpose()
        };
        if let Some(key) = masked(rows.plan().key())?
            && let Some(id) = rows.plan().key_type().id(key.cell())
        {
            place.key = rows.plan().key_type().sort_key(self.table.key_order, id);
        }
        let path = self.table.path_column.as_deref().filter(|_| role == FileRole::Rows);
        if let Some(path) = path.and_then(|path| rows.plan().index_of(path)).map(masked).transpose()?.flatten() {
            place.path = path_order(Some(path.cell()), self.table.key_order).into_owned();
        }
        Ok(place)
    }

    /// What is wrong with a masked key, path or reference, if something is.
    ///
    /// # Errors
    /// Database: the temporary file failed.
    pub(super) fn check(
        &self,
        (name, role): (&str, FileRole),
        (was, is): (Cell<'_>, Cell<'_>),
        relation: &mut KeyRelation,
    ) -> Result<Option<&'static str>> {
        let Some(found) = self.of_column(name, role) else { return Ok(None) };
        let due = found.mask.as_ref().map(|mask| mask.place(was)).transpose()?;
        if due.is_some_and(|due| due.cell() != is) {
            return Ok(Some("it is not what the secret makes of the original's"));
        }
        if found.kind == MaskKind::Rekey && !relation.add(&found.domain, was, is)? {
            return Ok(Some("another value has the same mask, or the same value has another one elsewhere"));
        }
        Ok(None)
    }
}

/// Which key became which, by domain.
#[derive(Default)]
pub(super) struct KeyRelation(BTreeMap<String, [KeyMap<Guid>; 2]>);

impl KeyRelation {
    /// Whether a pair fits all pairs before it: one to one.
    fn add(&mut self, domain: &str, was: Cell<'_>, is: Cell<'_>) -> Result<bool> {
        let id = |cell| KeyType::UniqueIdentifier.id(cell).or_else(|| KeyType::Integer.id(cell));
        let (Some(was), Some(is)) = (id(was), id(is)) else { return Ok(true) };
        let new = || [KeyMap::new(MEMORY), KeyMap::new(MEMORY)];
        let [there, back] = self.0.entry(domain.to_owned()).or_insert_with(new);
        let fits = |map: &mut KeyMap<Guid>, one: Guid, other: Guid| {
            Ok::<bool, Error>(map.add(one, other)? || map.get(one)? == Some(other))
        };
        Ok(fits(there, was, is)? && fits(back, is, was)?)
    }
}
