//! A page of many weeks and tables. With `BLOBDELTA_REPORT_PAGE=FILE` it is written there, to be looked at.

use super::bundles;
use super::page::page;
use super::verified;
use crate::bundle::{FailedTable, Missing};
use crate::chain::{ChainLink, ChainSurvey, Member, arranged};
use crate::cli::look::Appearance;
use crate::links::{ChainId, Link, RunOrder};
use crate::model::clock::ClockKind;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{Scope, TableCounts};
use crate::model::time::{TICKS_PER_DAY, TICKS_PER_MINUTE, Timestamp};
use crate::model::window::Window;

const WEEKS: i64 = 200;
const TABLES: u64 = 30;
const LOST: i64 = 120;

fn started(week: i64) -> Timestamp {
    Timestamp::parse("2023-01-30T02:00:00").unwrap().plus_ticks(week * 7 * TICKS_PER_DAY)
}

fn root(week: i64) -> Sha256 {
    Sha256::of(&week.to_be_bytes())
}

/// What somebody might have of every week, for every table.
fn link(chain: &ChainId, member: usize, week: i64, table: u64) -> ChainLink {
    let buffer = 240 * TICKS_PER_MINUTE;
    let start = if week == 0 { Timestamp::MIN } else { started(week - 1).plus_ticks(-2 * buffer) };
    let size = 1_000 + (u64::try_from(week).unwrap() * 7_919 + table * 104_729) % 4_000;
    let rows = if week == 0 { 400_000 } else { size };
    let link = Link {
        chain: chain.clone(),
        root: root(week),
        previous: (week > 0).then(|| root(week - 1)),
        inputs: Vec::new(),
        missing: Missing::default(),
        window: Window { start, end: started(week).plus_ticks(-buffer), clock: ClockKind::Utc },
        run_order: RunOrder { started_at: started(week), run_id: [0; 16], pack_number: 1 },
    };
    let counts = TableCounts {
        roots: rows,
        pending: size % 3,
        excluded: table % 2,
        logged_deletions: 12,
        ..TableCounts::default()
    };
    ChainLink { member, link, rows, tombstones: size % 17, bytes: rows * 48_000, counts, schema_changes: Vec::new() }
}

fn survey() -> ChainSurvey {
    let weeks: Vec<i64> = (0..WEEKS).filter(|week| *week != LOST).collect();
    let member = |week: &i64| Member {
        path: format!("/srv/bundles/{}-6f1c2a34-1.bundle", started(*week).compact_utc()).into(),
        root_sha256: root(*week),
        started_at: started(*week),
        completed_at: Some(started(*week).plus_ticks(37 * TICKS_PER_MINUTE)),
        failed: match *week == WEEKS - 1 {
            true => {
                vec![FailedTable { table: TableName::new("Db", "dbo", "T31").unwrap(), error: "it was locked".into() }]
            }
            false => Vec::new(),
        },
    };
    let of_table = |table: u64| {
        let name = TableName::new("Gwent_LA_FileTable", "dbo", &format!("Attachment{table:02}")).unwrap();
        let id = ChainId { table: name, scope: Scope::All, source_id: Guid::from_bytes([1; 16]) };
        let links = weeks.iter().enumerate().map(|(member, week)| link(&id, member, *week, table)).collect();
        arranged(id, links)
    };
    ChainSurvey {
        members: weeks.iter().map(member).collect(),
        chains: (0..TABLES).map(of_table).collect(),
        ..ChainSurvey::default()
    }
}

#[test]
fn two_hundred_weeks_of_thirty_tables_fit_on_a_page() {
    let survey = survey();
    let look = Appearance { width: 80, wide: false, now: started(WEEKS) };
    let parts = [bundles::part(&survey, &look), verified::not_asked(), bundles::runs(&survey, &look)];
    let page = page("Made for a test", &parts);
    let text = std::str::from_utf8(page.as_bytes()).unwrap();
    assert!(text.len() < 16 << 20, "{} bytes", text.len());
    assert_eq!(text.matches("<figure>").count(), 31);
    assert_eq!(text.matches("class=\"gap\"").count(), 30, "the lost week, of each table");
    // Full loads are many times as large, and don't make the other weeks invisible.
    assert!(text.contains("Rows a week, up to 4,9") && text.contains("more is cut off"), "{}", &text[..4000]);
    if let Some(file) = std::env::var_os("BLOBDELTA_REPORT_PAGE") {
        std::fs::write(file, page.as_bytes()).unwrap();
    }
}
