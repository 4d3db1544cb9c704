//! `verify`.

use super::answer::Answer;
use super::args::VerifyArgs;
use super::bundles::named;
use super::chain;
use super::exit::Exit;
use super::out::{Tone, clean};
use super::render::{bytes, counted};
use super::text::Text;
use crate::bundle::signature::SignedBy;
use crate::chain::survey;
use crate::error::{Kind, Result};
use crate::monitor::Monitor;
use crate::verify::{self, FindingKind, FindingSeverity, VerifyLevel, VerifyOptions, VerifyReport};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Verifies bundles, one after the other.
///
/// # Errors
/// As [`verify::verify`]; what is wrong with a bundle is in the answer.
pub fn run(args: &VerifyArgs, monitor: &dyn Monitor) -> Result<Answer> {
    let level = match (args.quick, args.deep) {
        (true, _) => VerifyLevel::Quick,
        (_, true) => VerifyLevel::Deep,
        _ => VerifyLevel::Default,
    };
    let options =
        VerifyOptions { access: args.access.read()?, threads: args.threads.count(), ..VerifyOptions::new(level) };
    let paths = named(&args.bundles, monitor)?;
    let mut verified = Vec::new();
    for path in &paths {
        let report = match verify::verify_with(path, &options, monitor) {
            // Of several, one for somebody else keeps none of the others.
            Err(error) if error.kind() == Kind::Usage && paths.len() > 1 => {
                let finding = verify::Finding::of(FindingKind::Unreadable, None, &error);
                VerifyReport { findings: vec![finding], ..VerifyReport::default() }
            }
            other => other?,
        };
        verified.push((path.clone(), report));
    }
    // Of what is missing in between something else may say why, where others are wrong.
    let are_good = |verified: &[(PathBuf, VerifyReport)]| verified.iter().all(|(_, report)| report.is_good());
    let together = verified.len() > 1 && are_good(&verified);
    let leans = verified.iter().any(|(_, report)| report.left_out.0 > 0);
    let mut elsewhere = BTreeSet::new();
    if together && leans && level == VerifyLevel::Deep {
        elsewhere = verify::verify_known(&mut verified, &options, monitor)?;
    }
    let (mut text, mut wrong, mut objects, mut exit) = (Text::new(), Text::new(), Vec::new(), Exit::Done);
    for (path, report) in &verified {
        // One that is wrong is what must not be missed.
        exit = match (report.is_good(), report.is_unread(), exit) {
            (true, _, exit) | (_, true, exit @ Exit::Verification) => exit,
            (_, true, _) => Exit::Failed,
            _ => Exit::Verification,
        };
        let reported = report_text(path, level, report);
        if !report.is_good() {
            wrong.append(reported.clone());
        }
        text.append(reported);
        objects.push(object(path, level, report));
    }
    for root in &elsewhere {
        text.add(Tone::Care, &format!("content is left out that the bundle {root} holds, which is not among these\n"));
    }
    let mut faults = Vec::new();
    if together && are_good(&verified) {
        let survey = survey(&paths, &options.access, monitor)?;
        (faults, exit) = (chain::faults(&survey), chain::exit_of(&survey));
        for fault in &faults {
            let line = format!("{}\n", clean(fault));
            let tone = if exit == Exit::Done { Tone::Care } else { Tone::Bad };
            [&mut text, &mut wrong].into_iter().for_each(|text| text.add(tone, &line));
        }
    }
    let elsewhere: Vec<_> = elsewhere.into_iter().collect();
    let json = json!({"bundles": objects, "chain_faults": faults, "known_content_elsewhere": elsewhere});
    Ok(Answer { text, result: wrong, json, exit })
}

fn level_name(level: VerifyLevel) -> &'static str {
    match level {
        VerifyLevel::Quick => "quick",
        VerifyLevel::Default => "default",
        VerifyLevel::Deep => "deep",
    }
}

fn severity_name(severity: FindingSeverity) -> &'static str {
    match severity {
        FindingSeverity::Notice => "notice",
        FindingSeverity::Error => "error",
    }
}

/// `WrongSize` as `wrong_size`.
pub fn kind_name(kind: FindingKind) -> String {
    let mut name = String::new();
    for letter in format!("{kind:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// What a report comes to.
pub fn verdict(report: &VerifyReport) -> (Tone, &'static str) {
    match (report.is_good(), report.is_unread()) {
        (true, _) => (Tone::Good, "good"),
        (false, true) => (Tone::Bad, "COULD NOT BE READ, so it was not verified"),
        (false, false) => (Tone::Bad, "NOT TO BE USED"),
    }
}

/// One line for the bundle, one for each finding.
pub fn report_text(path: &Path, level: VerifyLevel, report: &VerifyReport) -> Text {
    let mut text = Text::from(format!("{}: ", clean(&path.display().to_string())));
    let (tone, verdict) = verdict(report);
    text.add(tone, verdict);
    let _ = writeln!(
        text,
        "  ({}: {}, {}{})",
        level_name(level),
        counted(report.files, "file", "files"),
        bytes(report.bytes),
        if level == VerifyLevel::Deep { format!(", {}", counted(report.rows, "row", "rows")) } else { String::new() },
    );
    if let Some(root) = report.root_sha256 {
        let _ = writeln!(text, "  root sha256 {root}");
    }
    if let Some(SignedBy { principals, fingerprint }) = &report.signed_by {
        let _ = writeln!(text, "  signed by {}, {fingerprint}", clean(principals));
    }
    if level == VerifyLevel::Quick {
        let what = "contents were not hashed: only names, sizes and tag files were checked";
        let _ = writeln!(text, "  {what} (verify without --quick hashes every file)");
    }
    if report.left_out.0 > 0 {
        let (values, of_all) = (counted(report.left_out.0, "value", "values"), bytes(report.left_out.1));
        let _ = writeln!(
            text,
            "  leaves out {values}, {of_all}, that earlier bundles hold (verify --deep with those looks for them)"
        );
    }
    for finding in &report.findings {
        let file = finding.file.as_deref().map(|file| format!("{}: ", clean(file))).unwrap_or_default();
        let (severity, kind) = (severity_name(finding.severity), kind_name(finding.kind));
        text += "  ";
        text.add(if finding.severity == FindingSeverity::Error { Tone::Bad } else { Tone::Care }, severity);
        let _ = writeln!(text, " {kind}: {file}{}", clean(&finding.detail));
    }
    if report.more > 0 {
        let _ = writeln!(text, "  and {} of these kinds", counted(report.more, "more finding", "more findings"));
    }
    text
}

fn object(path: &Path, level: VerifyLevel, report: &VerifyReport) -> Value {
    let finding = |finding: &verify::Finding| {
        json!({
            "kind": kind_name(finding.kind),
            "severity": severity_name(finding.severity),
            "file": finding.file,
            "detail": finding.detail,
        })
    };
    json!({
        "bundle": path.display().to_string(),
        "good": report.is_good(),
        "unread": report.is_unread(),
        "level": level_name(level),
        "contents_hashed": level != VerifyLevel::Quick,
        "root_sha256": report.root_sha256,
        "signed_by": report.signed_by.as_ref().map(|by| json!({
            "principals": by.principals,
            "fingerprint": by.fingerprint,
        })),
        "files": report.files,
        "bytes": report.bytes,
        "rows": report.rows,
        "left_out": {"values": report.left_out.0, "bytes": report.left_out.1},
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "more": report.more,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Finding;

    #[test]
    fn a_finding_says_file_and_reason() {
        let finding = Finding::new(FindingKind::WrongSize, Some("data/t001-a/part-00000.parquet"), "5 bytes\u{1b}");
        let report = VerifyReport { findings: vec![finding], files: 1, bytes: 5, ..VerifyReport::default() };
        assert_eq!(
            report_text(Path::new("x.bundle"), VerifyLevel::Quick, &report).plain(),
            "x.bundle: NOT TO BE USED  (quick: 1 file, 5 B)\n  \
             contents were not hashed: only names, sizes and tag files were checked (verify without --quick hashes every \
             file)\n  \
             error wrong_size: data/t001-a/part-00000.parquet: 5 bytes\\u{1b}\n"
        );
        assert_eq!(object(Path::new("x.bundle"), VerifyLevel::Quick, &report)["findings"][0]["kind"], "wrong_size");
    }
}
