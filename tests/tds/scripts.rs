//! What is printed for others to send.

use blobdelta::backend::{AuditTable, DeletionSource, Sandbox};
use blobdelta::model::clock::ClockKind;
use blobdelta::model::key::KeyType;
use blobdelta::model::name::TableName;
use blobdelta::model::table::TableConfig;

/// They are sent by others, and have to be read by a server as all else.
pub fn of_deletion_scripts(session: &mut dyn Sandbox, config: &TableConfig) {
    let audit = AuditTable {
        table: TableName::parse("S.dbo.Audit").unwrap(),
        key_column: "stream_id".into(),
        deleted_on_column: "there".into(),
        when: Some("there IS NOT NULL".into()),
    };
    let of_integers = TableConfig { key_type: KeyType::Integer, ..config.clone() };
    let local = TableConfig { clock: ClockKind::Local, metadata_business_unit_column: None, ..config.clone() };
    for table in [config.clone(), of_integers, local] {
        for from in [DeletionSource::Source, DeletionSource::Metadata, DeletionSource::Audit(audit.clone())] {
            if let Ok(script) = session.deletion_script(&table, &from) {
                let _ = session.execute_script(&script);
            }
        }
    }
}
