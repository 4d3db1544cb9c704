//! What the program does in the steps, between their first batches and their last.

use super::ground::{DemoServer, SOURCE, completed, flat};
use super::outcome::Said;
use crate::backend::Severity;
use crate::error::{Error, Result};
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Status;
use crate::model::sqltype::SqlType;
use crate::model::time::TICKS_PER_SECOND;

const APPLY_SLICE: &str = include_str!("../../../sql/sqlserver/apply_slice.sql");
const LARGE_BYTES: u64 = 5_000_000;

fn done() -> Said {
    Said::Done(String::new())
}

/// The script alone.
pub(super) fn nothing(_: &mut DemoServer<'_>) -> Result<Said> {
    Ok(done())
}

pub(super) fn carry_flat(ground: &mut DemoServer<'_>, table: &str) -> Result<Said> {
    ground.carry(flat(SOURCE, table)?)?;
    Ok(done())
}

pub(super) fn write_in_chunks(ground: &mut DemoServer<'_>) -> Result<Said> {
    let table = TableName::new(SOURCE, "dbo", "Large")?;
    let column = Column::new("file_stream", SqlType::VarBinary(None), true);
    let bytes = vec![b'x'; LARGE_BYTES as usize];
    let key = ("stream_id", Guid::from_bytes([0x11; 16]));
    ground.session.write_value(&table, key, &column, LARGE_BYTES, &mut &bytes[..])?;
    Ok(done())
}

pub(super) fn carry_tree(ground: &mut DemoServer<'_>) -> Result<Said> {
    let mut tree = flat(SOURCE, "Tree")?;
    tree.path_column = Some("path_locator".into());
    tree.parent_path_column = Some("parent_path_locator".into());
    ground.carry(tree)?;
    Ok(done())
}

pub(super) fn carry_file_table(ground: &mut DemoServer<'_>) -> Result<Said> {
    let mut files = flat("BlobDeltaDemo_Files", "Files")?;
    files.metadata = TableName::new(SOURCE, "dbo", "Files")?;
    files.metadata_id_column = "AttachmentId".into();
    files.path_column = Some("path_locator".into());
    files.parent_path_column = Some("parent_path_locator".into());
    ground.carry(files)?;
    Ok(done())
}

pub(super) fn carry_other(ground: &mut DemoServer<'_>) -> Result<Said> {
    ground.carry(flat("BlobDeltaDemo_Other", "Words")?)?;
    Ok(done())
}

/// Every table that was carried, from the beginning.
pub(super) fn run_all_again(ground: &mut DemoServer<'_>) -> Result<Said> {
    let tables: Vec<TableName> = ground.carried.iter().map(|table| table.name.clone()).collect();
    let mut rows = 0;
    for table in &tables {
        rows += ground.run_whole(table)?;
    }
    Ok(Said::Done(format!("{rows} rows of {} tables", tables.len())))
}

/// Rule 2: the window ends where the oldest open transaction began; one that cannot move is told as blocked.
pub(super) fn leave_open(ground: &mut DemoServer<'_>) -> Result<Said> {
    let table = TableName::new(SOURCE, "dbo", "Plain")?;
    let mut other = ground.stage.open()?;
    other.execute_script("BEGIN TRANSACTION; INSERT INTO BlobDeltaDemo.dbo.Unread (Id) VALUES (1)")?;
    let report = completed(ground.run(&table, None)?)?;
    let end = report.tables.first().and_then(|table| table.window).map(|window| window.end);
    let started = report.run.started_at.utc;
    let pulled_back = end.filter(|end| *end < started).map(|end| started.ticks() - end.ticks());
    let pulled_back = pulled_back.ok_or_else(|| {
        Error::verification("a window ends at the start of its run, as if no transaction had been open")
            .run(report.run.id)
    })?;
    let blocked = ground.run(&table, None)?;
    if blocked.tables.first().map(|table| table.status) != Some(Status::Blocked) {
        return Err(Error::verification("a run that an open transaction keeps from going on is not told as blocked")
            .run(blocked.run.id));
    }
    other.execute_script("ROLLBACK TRANSACTION")?;
    drop(other);
    completed(ground.run(&table, None)?)?;
    Ok(Said::Done(format!(
        "a window ended {} ms before its run, then one was blocked",
        pulled_back * 1000 / TICKS_PER_SECOND
    )))
}

pub(super) fn back_up(ground: &mut DemoServer<'_>) -> Result<Said> {
    // The slices are those of whole tables, for who restores them.
    ground.run_whole(&TableName::new(SOURCE, "dbo", "Plain")?)?;
    let database = "BlobDeltaDemo_Delta";
    let path = ground.session.ask(backup_path())?.ok_or_else(|| Error::internal("the slices have no file"))?;
    ground.backup = Some(path.clone());
    ground.session.check_backup(&[database.into()], &path)?;
    let record = ground.session.backup(&[], database, &path, &mut |_| {})?;
    let size = |bytes: Option<u64>| bytes.map_or("an unknown number of".into(), |bytes| bytes.to_string());
    Ok(Said::Done(format!("{} bytes in a file of {}, verified", size(record.bytes), size(record.file_bytes))))
}

/// The last batch of the step's script.
fn backup_path() -> &'static str {
    let script = include_str!("../../../sql/sqlserver/demo/backup.sql");
    script.rsplit("\nGO\n").next().unwrap_or_default()
}

pub(super) fn restored(ground: &mut DemoServer<'_>) -> Result<Said> {
    ground.is_restored = true;
    Ok(done())
}

/// Twice: what was applied is not applied again.
pub(super) fn apply_slice(ground: &mut DemoServer<'_>) -> Result<Said> {
    let (slices, said) = match ground.is_restored {
        true => ("BlobDeltaDemo_Restored", "of the restored slice"),
        false => ("BlobDeltaDemo_Delta", "of the slice itself, which was not restored"),
    };
    if !ground.is_restored {
        ground.run_whole(&TableName::new(SOURCE, "dbo", "Plain")?)?;
    }
    let script = applying(slices);
    ground.session.execute_script("USE BlobDeltaDemo_Applied")?;
    ground.execute(&script)?;
    ground.execute(&script)?;
    Ok(Said::Done(said.into()))
}

/// The script with its settings made, as its head asks a receiver to.
fn applying(slices: &str) -> String {
    APPLY_SLICE
        .replace("nvarchar(128) = N'Slice'", &format!("nvarchar(128) = N'{slices}'"))
        .replace("nvarchar(128) = N'Target'", "nvarchar(128) = N'BlobDeltaDemo_Applied'")
        .replace("@TableName nvarchar(400) = NULL", "@TableName nvarchar(400) = N'BlobDeltaDemo.dbo.Plain'")
}

pub(super) fn look(ground: &mut DemoServer<'_>) -> Result<Said> {
    let advice = ground.session.doctor()?;
    if let Some(error) = advice.iter().find(|advice| advice.severity == Severity::Error) {
        return Err(Error::config(format!("{}: {}", error.subject, error.finding)));
    }
    let warnings = advice.iter().filter(|advice| advice.severity == Severity::Warning).count();
    Ok(Said::Done(format!("{} findings, {warnings} of them warnings", advice.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_apply_slice_are_made() {
        let script = applying("Restored");
        for setting in ["= N'Restored'", "= N'BlobDeltaDemo_Applied'", "= N'BlobDeltaDemo.dbo.Plain'"] {
            assert_eq!(script.matches(setting).count(), 1, "{setting}");
        }
        assert!(backup_path().trim_start().starts_with("SELECT"));
    }
}
