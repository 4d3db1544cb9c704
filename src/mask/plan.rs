//! [`TableMask`]: a policy, held against one table of one bundle; and [`check_policy`], which does so for all of them before
//! anything is read.

use super::column::{ColumnMask, DomainUse, is_text};
use super::init::proposal;
use super::policy::{MaskPolicy, PolicySection, quoted};
use super::rule::MaskKind;
use super::secret::MaskSecret;
use super::structure::is_structure;
use crate::bundle::{Bundle, MaskedColumn, MaskedTable, TableInfo};
use crate::error::{Error, Result};
use crate::model::column::{Column, DELTA_PARENT_KEY, is_delta};
use crate::model::key::KeyType;
use crate::model::sqltype::SqlType;
use crate::rows::SortedWithin;
use std::collections::{BTreeMap, BTreeSet};

/// See the module's text.
pub(super) struct TableMask {
    /// In the order of the table's columns.
    pub(super) columns: Vec<ColumnMask>,
    /// Of keys: rows, their parents, tombstones, absent parents.
    pub(super) key: ColumnMask,
    /// What of the order of rows stays.
    pub(super) order: PlaceOrder,
    /// Columns of dates that share their shift with another column of the table.
    pub(super) shifted_alike: Vec<usize>,
    masked: MaskedTable,
}

impl TableMask {
    /// What the manifest says of it.
    pub(super) fn info(&self) -> MaskedTable {
        self.masked.clone()
    }

    /// Holds a policy against a table.
    ///
    /// # Errors
    /// Config: a column that it does not name; a rule that its column cannot have; rules that contradict each other.
    pub(super) fn of(
        table: &TableInfo,
        policy: &MaskPolicy,
        secret: &MaskSecret,
        domains: &mut Domains,
    ) -> Result<Self> {
        Self::resolve(table, policy, secret, domains).map_err(|error| error.table(&table.name))
    }

    fn resolve(table: &TableInfo, policy: &MaskPolicy, secret: &MaskSecret, domains: &mut Domains) -> Result<Self> {
        let section = policy.section(&table.name)?;
        let columns = table.model_columns()?;
        check_named(table, &columns, section)?;
        let mut uses: BTreeMap<&str, (MaskKind, Option<String>)> = BTreeMap::new();
        let mut masks = Vec::with_capacity(columns.len());
        let mut masked = MaskedTable { table: table.name.clone(), columns: Vec::new() };
        for column in &columns {
            let Some(rule) = section.rule(&column.name) else {
                masks.push(ColumnMask::keep(column.sql_type));
                continue;
            };
            let placed = |error: Error| error.column(&column.name);
            check_structure(table, column, rule.kind).map_err(placed)?;
            let (mut mask, used) = ColumnMask::of(column, rule, &table.name.to_string(), secret).map_err(placed)?;
            let other = rule.extension.as_ref().or(rule.column.as_ref());
            mask.other = other.map(|other| other_column(&columns, other, rule.kind)).transpose().map_err(placed)?;
            uses.insert(&column.name, (rule.kind, used.as_ref().map(|used| used.name.clone())));
            used.map_or(Ok(()), |used| domains.add(used)).map_err(placed)?;
            masks.push(mask);
            if rule.kind != MaskKind::Keep {
                let (mask, domain) = (rule.kind.name().to_owned(), rule.domain.clone());
                masked.columns.push(MaskedColumn { column: column.name.clone(), mask, domain });
            }
        }
        check_tree(table, &uses)?;
        let shifted_alike = shifted_alike(&columns, &uses);
        let mask_of = |name: &str| columns.iter().position(|column| column.name == name).map(|at| masks[at].clone());
        let key = mask_of(&table.key_column).ok_or_else(|| Error::internal("the table lacks its key"))?;
        let path = table.path_column.as_deref().and_then(mask_of);
        if let Some(parent) = columns.iter().position(|column| column.name == DELTA_PARENT_KEY) {
            masks[parent] = key.clone();
        }
        let order = PlaceOrder::of(key.kind, path.map(|path| path.kind));
        Ok(Self { columns: masks, key, order, shifted_alike, masked })
    }
}

/// Which rows stand in another order than their originals.
#[derive(Clone, Copy)]
pub(super) struct PlaceOrder {
    /// Among rows.
    pub(super) rows: SortedWithin,
    /// Among tombstones, and among absent parents.
    pub(super) keys: SortedWithin,
}

impl PlaceOrder {
    /// By how the key and the path are masked.
    pub(super) fn of(key: MaskKind, path: Option<MaskKind>) -> Self {
        let is_kept = |mask: MaskKind| mask == MaskKind::Keep;
        let (key_stays, path_stays) = (is_kept(key), path.is_none_or(is_kept));
        let rows = match (key_stays, path_stays) {
            (true, true) => SortedWithin::Nothing,
            (false, true) => SortedWithin::Path,
            (_, false) => SortedWithin::Depth,
        };
        Self { rows, keys: if key_stays { SortedWithin::Nothing } else { SortedWithin::Depth } }
    }
}

/// The places of the dates of which another column of the table is shifted alike.
fn shifted_alike(columns: &[Column], uses: &BTreeMap<&str, (MaskKind, Option<String>)>) -> Vec<usize> {
    let of = |column: &Column| uses.get(column.name.as_str()).filter(|(kind, _)| *kind == MaskKind::DateShift);
    let is_alike = |at: &usize| {
        let Some(used) = of(&columns[*at]) else { return false };
        columns.iter().filter(|other| of(other) == Some(used)).count() > 1
    };
    (0..columns.len()).filter(is_alike).collect()
}

fn check_named(table: &TableInfo, columns: &[Column], section: &PolicySection) -> Result<()> {
    let is_unnamed = |column: &&Column| section.rule(&column.name).is_none() && !is_structure(table, column);
    let unnamed: Vec<&Column> = columns.iter().filter(is_unnamed).collect();
    let Some(first) = unnamed.first() else { return Ok(()) };
    let lines: Vec<String> = unnamed
        .iter()
        .map(|column| format!("{} = {}", quoted(&column.name), proposal(table, columns, column).rule))
        .collect();
    let text = match unnamed.len() {
        1 => "the policy does not name this column, and what it does not name is refused".to_owned(),
        some => format!("the policy does not name {some} columns, and what it does not name is refused"),
    };
    let what_to_do =
        format!("add these lines to the section [tables.{}], after a look at each of them:", quoted(&section.pattern));
    Err(Error::config(text).column(&first.name).hint(what_to_do).lines(lines))
}

/// Masks that a key, a path or a column of our own may have.
fn check_structure(table: &TableInfo, column: &Column, kind: MaskKind) -> Result<()> {
    if is_delta(&column.name) {
        return Err(Error::config("this column is one of our own, which stay as they are").hint("remove the rule"));
    }
    let is = |name: Option<&String>| name.is_some_and(|name| *name == column.name);
    let is_path = is(table.path_column.as_ref()) || is(table.parent_path_column.as_ref());
    let (what, allowed): (_, &[MaskKind]) = match (is(Some(&table.key_column)), is_path) {
        (true, _) => ("the key", &[MaskKind::Keep, MaskKind::Rekey]),
        (_, true) if KeyType::of(column.sql_type).is_none() => ("a path", &[MaskKind::Keep]),
        (_, true) => ("a path", &[MaskKind::Keep, MaskKind::Rekey]),
        _ => return Ok(()),
    };
    if allowed.contains(&kind) {
        return Ok(());
    }
    let names: Vec<&str> = allowed.iter().map(|kind| kind.name()).collect();
    let names = names.join(" or ");
    Err(Error::config(format!(
        "this column is {what}, whose values have to stay different from each other, as {kind} does not promise"
    ))
    .hint(format!("use {names}")))
}

/// In a tree, what a row calls its parent has to be masked as what the parent calls itself.
fn check_tree(table: &TableInfo, uses: &BTreeMap<&str, (MaskKind, Option<String>)>) -> Result<()> {
    let (Some(path), Some(parent)) = (&table.path_column, &table.parent_path_column) else { return Ok(()) };
    let kept = (MaskKind::Keep, None);
    let of = |name: &String| uses.get(name.as_str()).unwrap_or(&kept);
    if of(path) == of(parent) {
        return Ok(());
    }
    Err(Error::config(format!("{path} and {parent} are the two ends of one tree, and are masked differently"))
        .column(parent)
        .hint("give both the same mask, with the same domain = \"…\""))
}

fn other_column(columns: &[Column], name: &str, kind: MaskKind) -> Result<usize> {
    let found = columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
    let at =
        found.ok_or_else(|| Error::config(format!("the rule names the column {name:.128?}, which is not there")))?;
    let sql_type = columns[at].sql_type;
    let (fits, needs) = match kind {
        MaskKind::SizeOf => (matches!(sql_type, SqlType::VarBinary(_) | SqlType::Image), "a varbinary"),
        _ => (is_text(sql_type), "a text"),
    };
    if fits {
        Ok(at)
    } else {
        Err(Error::config(format!("the rule names the column {name:.128?}, which is not {needs}")))
    }
}

/// The domains of all tables: each has one mask and one type.
#[derive(Default)]
pub(super) struct Domains(BTreeMap<String, DomainUse>);

impl Domains {
    fn add(&mut self, used: DomainUse) -> Result<()> {
        let Some(before) = self.0.get(&used.name) else {
            self.0.insert(used.name.clone(), used);
            return Ok(());
        };
        if *before == used {
            return Ok(());
        }
        Err(Error::config(format!(
            "the domain of this column is used for {} of {} elsewhere, and here for {} of {}",
            before.kind, before.family, used.kind, used.family
        ))
        .hint("give one of them another domain = \"…\""))
    }
}

/// Holds a policy against all tables of all bundles, before anything is read.
///
/// # Errors
/// As [`TableMask::of`]; Config: a section of a table, or a rule of a column, that no bundle has.
pub(super) fn check_policy(bundles: &[Bundle], policy: &MaskPolicy, secret: &MaskSecret) -> Result<()> {
    let mut domains = Domains::default();
    let mut known: BTreeMap<&str, (&PolicySection, BTreeSet<String>)> = BTreeMap::new();
    for bundle in bundles {
        for table in &bundle.manifest().tables {
            TableMask::of(table, policy, secret, &mut domains).map_err(|error| error.file(bundle.path()))?;
            let section = policy.section(&table.name)?;
            let (_, columns) = known.entry(&section.pattern).or_insert_with(|| (section, BTreeSet::new()));
            columns.extend(table.columns.iter().map(|column| column.name.to_ascii_lowercase()));
        }
    }
    let named = |section: &&PolicySection| !section.pattern.contains('*') && !section.may_be_absent;
    if let Some(section) = policy.sections().filter(named).find(|section| !known.contains_key(section.pattern.as_str()))
    {
        return Err(Error::config("the policy has a section of a table that no bundle has").table(&section.pattern).hint(
            "correct its name, or another section may be taken for the table that was meant; if only other bundles have \
             this table, add the line may_be_absent = true to the section",
        ));
    }
    for (section, there) in known.values() {
        let is_unknown = |(name, _): &(&str, _)| !there.contains(&name.to_ascii_lowercase());
        if let Some((name, _)) = section.columns().filter(|(_, rule)| !rule.may_be_absent).find(is_unknown) {
            return Err(Error::config("the policy names a column that no bundle has")
                .table(&section.pattern)
                .column(name)
                .hint("correct its name; or, if only other bundles have it, add may_be_absent = true to its rule"));
        }
    }
    Ok(())
}
