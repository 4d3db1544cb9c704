//! [`ChainContent`]: leaves out of the rows of a slice what their chain has already (known content), and puts aside what they
//! bring, which is known from the moment on in which the bundle is recorded. docs/architecture.md has the design.

use super::options::ContentChoice;
use crate::backend::{Backend, ComingValue, KnownValue};
use crate::bundle::{BlobWriter, KnownContent};
use crate::convert::{BatchBuilder, ColumnPlan, LargeSlot, RowHead, UnsealedBatch};
use crate::error::Result;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::known::KnownRef;
use crate::model::run::{Fence, Run, Scope};
use crate::model::slice::Deletion;
use crate::model::table::TableConfig;
use std::collections::BTreeMap;

/// A shorter value is never left out: what is said of it takes about a hundred bytes, before compression.
const LEAST_BYTES: u64 = 1024;

impl ContentChoice {
    /// Whether what a table's chain has is remembered.
    pub(super) fn remembers(self, table: &TableConfig) -> bool {
        table.omit_known_content || self == Self::LeaveOut
    }
}

/// See the module's text.
pub(super) struct ChainContent<'a> {
    run: &'a Run,
    fence: &'a Fence,
    scope: Scope,
    /// Columns with content hashes: their place among those of the rows, and their name.
    columns: Vec<(usize, String)>,
    leaves_out: bool,
    /// Of a bundle that is recorded already, and written again: its root digest.
    own_root: Option<Sha256>,
    sums: BTreeMap<Sha256, KnownContent>,
}

/// What the chain has of the rows of a batch, by column.
pub(super) struct KnownBatch(Vec<Vec<Option<KnownValue>>>);

impl<'a> ChainContent<'a> {
    /// Of a slice whose lease is held; nothing, where nothing is left out and remembered.
    pub(super) fn begin(
        backend: &mut dyn Backend,
        (run, fence, number): (&'a Run, &'a Fence, u32),
        (config, plan): (&TableConfig, &ColumnPlan),
        choice: ContentChoice,
    ) -> Result<Option<Self>> {
        if !choice.remembers(config) {
            return Ok(None);
        }
        let is_own =
            |record: &crate::backend::BundleRecord| record.pack_number == number && record.table == fence.table;
        let own_root = backend.bundles(run.id)?.into_iter().find(is_own).map(|record| record.root_sha256);
        if own_root.is_none() {
            backend.clear_values_aside(fence)?;
        }
        let planned = plan.planned().iter().enumerate().filter(|(_, planned)| planned.content_sha256.is_some());
        let columns = planned.map(|(at, planned)| (at, planned.column.name.clone())).collect();
        let leaves_out = choice != ContentChoice::Whole;
        Ok(Some(Self { run, fence, scope: run.scope, columns, leaves_out, own_root, sums: BTreeMap::new() }))
    }

    /// What the chain has under the keys of a batch.
    pub(super) fn known(&self, backend: &mut dyn Backend, heads: &[RowHead]) -> Result<KnownBatch> {
        let keys: Vec<Guid> = heads.iter().map(|head| head.key).collect();
        let of = |(_, column): &(usize, String)| match self.leaves_out {
            true => backend.known_values(self.fence, self.scope, column, &keys),
            false => Ok(vec![None; keys.len()]),
        };
        self.columns.iter().map(of).collect::<Result<_>>().map(KnownBatch)
    }

    /// Ends a large value of a batch: in a file of the bundle, unless it is left out.
    pub(super) fn place(
        &self,
        known: &KnownBatch,
        (builder, slot): (&mut BatchBuilder, LargeSlot),
        blob: BlobWriter<'_>,
    ) -> Result<()> {
        let nth = self.columns.iter().position(|(at, _)| *at == slot.column);
        let value = nth.and_then(|nth| known.0[nth].get(slot.row).copied().flatten());
        let head = builder.heads()[slot.row];
        match blob.finish_unless(slot.bytes, &|sha256| self.left_out(value, head, (sha256, slot.bytes)))? {
            Ok(stored) => builder.resolve_large(slot, &stored.reference, stored.content_sha256),
            Err((known, sha256)) => builder.resolve_large(slot, &known.to_string(), sha256),
        }
    }

    /// Leaves out of a batch what the chain has, and puts aside what it brings.
    pub(super) fn settle(
        &mut self,
        backend: &mut dyn Backend,
        heads: &[RowHead],
        (batch, known): (&mut UnsealedBatch, &KnownBatch),
    ) -> Result<()> {
        batch.hash()?;
        for (nth, (at, column)) in self.columns.clone().into_iter().enumerate() {
            let (mut left, mut coming) = (Vec::with_capacity(heads.len()), Vec::new());
            for (row, head) in heads.iter().enumerate() {
                let content = batch.content(row, at)?;
                let known = content.and_then(|content| self.left_out(known.0[nth][row], *head, content));
                if let Some(known) = known {
                    self.count(known);
                }
                let root_sha256 = known.map(|known| known.root_sha256);
                let sha256 = content.filter(|(_, bytes)| *bytes >= LEAST_BYTES).map(|(sha256, _)| sha256);
                let value = |modified_on| ComingValue { key: head.key, modified_on, sha256, root_sha256 };
                coming.extend(head.modified_on.map(value));
                left.push(known);
            }
            if left.iter().any(Option::is_some) {
                batch.leave_out(at, &left)?;
            }
            if self.own_root.is_none() {
                backend.put_values_aside(self.fence, &column, &coming)?;
            }
        }
        Ok(())
    }

    /// Nothing is known any more of what was deleted, or left the scope.
    pub(super) fn forget(&self, backend: &mut dyn Backend, deletions: &[Deletion]) -> Result<()> {
        let gone = |deletion: &Deletion| ComingValue {
            key: deletion.key,
            modified_on: deletion.deleted_on,
            sha256: None,
            root_sha256: None,
        };
        let gone: Vec<ComingValue> = deletions.iter().map(gone).collect();
        let mut columns = self.columns.iter().filter(|_| self.own_root.is_none());
        columns.try_for_each(|(_, column)| backend.put_values_aside(self.fence, column, &gone))
    }

    /// What was left out, by the bundle that holds it.
    pub(super) fn into_sums(self) -> Vec<KnownContent> {
        self.sums.into_values().collect()
    }

    /// A row that loses against what the chain has keeps its value: who has another row under its key may need it.
    fn left_out(&self, known: Option<KnownValue>, head: RowHead, (sha256, bytes): (Sha256, u64)) -> Option<KnownRef> {
        let known = known.filter(|known| known.sha256 == sha256 && bytes >= LEAST_BYTES)?;
        let version = (head.modified_on?, self.run.started_at.utc);
        let is_own = self.own_root == Some(known.root_sha256);
        let wins = version >= (known.modified_on, known.run_started_at);
        (wins && !is_own).then_some(KnownRef { root_sha256: known.root_sha256, bytes })
    }

    fn count(&mut self, known: KnownRef) {
        let KnownRef { root_sha256, bytes } = known;
        let sum = self.sums.entry(root_sha256).or_insert(KnownContent { root_sha256, values: 0, bytes: 0 });
        (sum.values, sum.bytes) = (sum.values + 1, sum.bytes + bytes);
    }
}
