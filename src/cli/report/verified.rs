//! What verifying the bundles says.

use super::page::Part;
use crate::bundle::Access;
use crate::chain::ChainSurvey;
use crate::cli::look::Appearance;
use crate::cli::out::Tone;
use crate::cli::render::{bytes, counted};
use crate::cli::table::{TableCell, TextTable, plain, prose};
use crate::cli::verify::{kind_name, verdict};
use crate::error::Result;
use crate::monitor::Monitor;
use crate::verify::{VerifyLevel, VerifyOptions, VerifyReport, verify_with};
use serde_json::json;

/// What was checked of bundles that were only opened.
pub fn not_asked() -> Part {
    let mut part = Part::new("Verification");
    part.html.line(
        Tone::Plain,
        "Manifests and lists of hashes were checked, contents were not. blobdelta report --verify checks every byte, and \
         --deep every row.",
    );
    part
}

/// Verifies the bundles of a survey that could be opened, one after the other.
///
/// # Errors
/// As [`verify_with`].
pub fn part(
    survey: &ChainSurvey,
    level: VerifyLevel,
    access: &Access,
    look: &Appearance,
    monitor: &dyn Monitor,
) -> Result<Part> {
    let options = VerifyOptions { access: access.clone(), ..VerifyOptions::new(level) };
    let mut part = Part::new("Verification");
    let mut table =
        TextTable::new([plain("Bundle"), plain("Verdict"), plain("Files"), plain("Size"), prose("Findings")]);
    let mut wrong = Vec::new();
    for member in &survey.members {
        let report = verify_with(&member.path, &options, monitor)?;
        let name = member.path.display().to_string();
        if !report.is_good() {
            wrong.push(name.clone());
        }
        let (tone, verdict) = verdict(&report);
        table.push([
            name.into(),
            TableCell::toned(tone, verdict),
            report.files.into(),
            bytes(report.bytes).into(),
            findings(&report).into(),
        ]);
    }
    let (count, of) = (wrong.len() as u64, survey.members.len() as u64);
    part.facts.push(format!(
        "{} verified, {}: {count} not good",
        counted(of, "bundle", "bundles"),
        if level == VerifyLevel::Deep { "every row of them" } else { "every byte of them" },
    ));
    part.found.extend(wrong.iter().map(|name| (Tone::Bad, format!("not good, see Verification: {name}"))));
    part.json = json!({"verified": of, "not_good": wrong});
    part.html.table("Verified bundles", &table, look);
    Ok(part)
}

fn findings(report: &VerifyReport) -> String {
    let said = report.findings.iter().map(|finding| {
        let file = finding.file.as_deref().map(|file| format!("{file}: ")).unwrap_or_default();
        format!("{} {file}{}", kind_name(finding.kind), finding.detail)
    });
    let more = (report.more > 0).then(|| format!("and {} more", report.more));
    said.chain(more).collect::<Vec<_>>().join("; ")
}
