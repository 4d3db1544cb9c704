//! `chain`: what bundles cover.

use super::access::{AccessArgs, FreshArgs};
use super::answer::Answer;
use super::exit::Exit;
use super::json::error_object;
use super::look::Appearance;
use super::out::{Tone, clean};
use super::render::{self, bytes, counted, reasons};
use super::table::{TableCell, TextTable, line, plain, time};
use super::text::Text;
use crate::chain::{
    self, BROKEN, BrokenBundle, BrokenLink, Chain, ChainLink, ChainSurvey, GAP, LinkFault, OVERLAP, duration,
};
use crate::durable::{Local, write_file};
use crate::error::{Kind, Result};
use crate::links::Span;
use crate::model::drift;
use crate::model::window::Window;
use crate::monitor::Monitor;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use unicode_width::UnicodeWidthStr as _;

/// Of the first bundle that is here, whatever its window.
const NOT_THE_START: &str = "not the start of the chain: a target needs the bundle before it, root sha256";
/// Overlaps that are told one by one; every window overlaps the one before by the buffer.
const MOST_OVERLAPS: usize = 3;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
A chain is the sequence of bundles of one source, table and scope. A gap is a time that no bundle
covers: changes of that time are in none of these bundles. Windows overlap by the safety buffer; that
is normal. The order of the bundles is that of their links; where links do not determine it, that of
their runs. `replay` applies them in this order. In the timeline a gap is drawn as !!!; the legend
explains the other signs.

Only the tag files are checked against their hashes. `verify` checks the parts. Exit code 5 means that
there is a gap; 3 that a bundle cannot be opened, or that its link to the bundle before is broken.

Examples:
  blobdelta chain ./bundles
  blobdelta chain ./bundles --svg ./chain.svg
  blobdelta chain ./2025/*.bundle ./2026 --identity ./key.txt --json")]
pub struct ChainArgs {
    /// Folders or archives of bundles, or folders that hold bundles
    #[arg(value_name = "FOLDER|BUNDLE", required = true)]
    pub places: Vec<PathBuf>,
    /// Write the timeline as a picture into this new file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    #[command(flatten)]
    pub fresh: FreshArgs,
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Tells the chains of bundles.
///
/// # Errors
/// As [`chain::survey`]; Io, if the picture cannot be written.
pub fn run(args: &ChainArgs, monitor: &dyn Monitor) -> Result<Answer> {
    let survey = chain::survey(&args.places, &args.access.read_fresh(&args.fresh)?, monitor)?;
    if let Some(file) = &args.svg {
        write_file(&Local, file, chain::picture(&survey.chains, &survey.members).as_bytes())?;
    }
    let exit = exit_of(&survey);
    let text = text(&survey, Appearance::of_stdout(false).width);
    let result = if exit == Exit::Done { Text::new() } else { text.clone() };
    Ok(Answer { text, result, json: document(&survey), exit })
}

/// What a survey ends with.
pub fn exit_of(survey: &ChainSurvey) -> Exit {
    match (survey.broken.is_empty(), survey.has_gap(), survey.has_broken_link()) {
        // What is broken may be what is missing; of what could not be read nothing is known.
        (false, _, _) if survey.broken.iter().all(|broken| broken.error.kind() == Kind::Io) => Exit::Failed,
        (false, _, _) => Exit::Verification,
        (true, true, _) => Exit::ChainGap,
        (true, false, true) => Exit::Verification,
        (true, false, false) => Exit::Done,
    }
}

/// What is missing between bundles, which links do not fit, and which chains do not begin here, a line each.
pub fn faults(survey: &ChainSurvey) -> Vec<String> {
    survey.chains.iter().flat_map(|chain| faults_of(survey, chain)).collect()
}

/// The same of one chain of a survey.
pub fn faults_of(survey: &ChainSurvey, chain: &Chain) -> Vec<String> {
    let of = format!("{}, {}", chain.id.table, chain.id.scope);
    let gaps = chain.gaps.iter().map(|gap| format!("gap in {of}: {}: nothing here covers it", span_text(chain, *gap)));
    let links = chain
        .broken_links
        .iter()
        .map(|broken_link| format!("link in {of}: {}", broken_link_text(survey, *broken_link)));
    let begins = chain.begins_after.map(|previous| format!("begins in {of}: {NOT_THE_START} {previous}"));
    gaps.chain(links).chain(begins).collect()
}

fn text(survey: &ChainSurvey, width: usize) -> Text {
    let mut text = Text::new();
    if !survey.chains.is_empty() {
        text.table(&chains_table(&survey.chains));
        text += "\n";
        drawing(&mut text, &survey.chains, width);
    }
    for (nth, chain) in survey.chains.iter().enumerate() {
        add_chain(&mut text, nth + 1, (chain, width), survey);
    }
    for BrokenBundle { path, error } in &survey.broken {
        let why = reasons(error).map(|why| format!(": {why}")).unwrap_or_default();
        let place = error.place().file.as_deref().filter(|file| *file != path.display().to_string());
        let place = place.map(|file| format!(" ({file})")).unwrap_or_default();
        let line = format!("{}: {}{why}{place}", path.display(), error.what());
        let _ = writeln!(text, "cannot be opened  {}", clean(&line));
    }
    for path in &survey.sealed {
        let _ = writeln!(text, "encrypted, and no --identity opens it  {}", clean(&path.display().to_string()));
    }
    let _ = writeln!(
        text,
        "{} in {}, {} that cannot be opened; only the hashes of the tag files were checked",
        counted(survey.members.len() as u64, "bundle", "bundles"),
        counted(survey.chains.len() as u64, "chain", "chains"),
        survey.broken.len()
    );
    text
}

/// The timeline, and what its signs mean.
fn drawing(text: &mut Text, chains: &[Chain], width: usize) {
    let drawn = chain::timeline(chains, width);
    for sign in drawn.chars() {
        let tone = match sign {
            GAP | BROKEN => Tone::Bad,
            OVERLAP => Tone::Care,
            _ => Tone::Plain,
        };
        text.add(tone, sign.encode_utf8(&mut [0; 4]));
    }
    *text += "\n";
    for line in side_by_side(chain::legend(&drawn), width) {
        let _ = writeln!(text, "{line}");
    }
    *text += "\n";
}

/// As many beside each other as a line takes.
fn side_by_side<'a>(entries: impl Iterator<Item = &'a str>, width: usize) -> Vec<String> {
    const BETWEEN: &str = "   ";
    let mut lines: Vec<String> = Vec::new();
    for entry in entries {
        match lines.last_mut() {
            Some(line) if line.width() + BETWEEN.len() + entry.width() <= width => line.extend([BETWEEN, entry]),
            _ => lines.push(entry.to_owned()),
        }
    }
    lines
}

fn sums(chain: &Chain) -> [u64; 3] {
    let sum = |of: fn(&ChainLink) -> u64| chain.links.iter().map(of).fold(0, u64::saturating_add);
    [sum(|link| link.rows), sum(|link| link.tombstones), sum(|link| link.bytes)]
}

/// Chains, a row each.
pub fn chains_table(chains: &[Chain]) -> TextTable {
    let mut table = TextTable::new([
        plain("Chain"),
        time("From"),
        time("To"),
        plain("Bundles"),
        plain("Gaps"),
        plain("Rows").if_room(),
        plain("Size").if_room(),
        plain("Tombstones").if_room(),
        plain("Overlaps").if_room(),
        line("TableName"),
        line("Scope"),
    ]);
    for (nth, chain) in chains.iter().enumerate() {
        let [rows, tombstones, size] = sums(chain);
        let whole = chain.span();
        let (from, to) = render::window_bounds(&Window { start: whole.start, end: whole.end, clock: chain.clock() });
        table.push([
            (nth + 1).into(),
            from.into(),
            to.into(),
            chain.links.len().into(),
            TableCell::toned(if chain.gaps.is_empty() { Tone::Plain } else { Tone::Bad }, chain.gaps.len()),
            rows.into(),
            bytes(size).into(),
            tombstones.into(),
            chain.overlaps.len().into(),
            chain.id.table.to_string().into(),
            chain.id.scope.to_string().into(),
        ]);
    }
    table
}

fn span_text(chain: &Chain, span: Span) -> String {
    let window = Window { start: span.start, end: span.end, clock: chain.clock() };
    format!("{}  {}", render::window(&window), duration(span.ticks()))
}

fn add_chain(text: &mut Text, nth: usize, (chain, width): (&Chain, usize), survey: &ChainSurvey) {
    if let Some(previous) = chain.begins_after {
        let _ = writeln!(text, "{nth}    begins   {NOT_THE_START} {previous}");
    }
    for gap in &chain.gaps {
        text.add(Tone::Bad, &format!("{nth}  {GAP} gap"));
        let _ = writeln!(text, "      {}: nothing here covers it", span_text(chain, *gap));
    }
    for broken_link in &chain.broken_links {
        text.add(Tone::Bad, &format!("{nth}  {BROKEN} link"));
        let _ = writeln!(text, "     {}", clean(&broken_link_text(survey, *broken_link)));
    }
    let is_drawn = |overlap: &&Span| chain::is_drawn(&survey.chains, width, **overlap);
    let (drawn, small): (Vec<Span>, Vec<Span>) = chain.overlaps.iter().partition(is_drawn);
    for overlap in drawn.iter().take(MOST_OVERLAPS) {
        let _ = writeln!(text, "{nth}    overlap  {}", span_text(chain, *overlap));
    }
    let more = drawn.len().saturating_sub(MOST_OVERLAPS) as u64;
    if more > 0 {
        let _ = writeln!(text, "{nth}    overlap  {} (--json has all)", counted(more, "more", "more"));
    }
    for link in chain.links.iter().filter(|link| !link.schema_changes.is_empty()) {
        let changed = format!("{}: {}", member_name(survey, link.member), drift::listed(&link.schema_changes));
        let _ = writeln!(text, "{nth}    columns  {}", clean(&changed));
    }
    if let Some(long) = extent(&small) {
        let count = counted(small.len() as u64, "overlap", "overlaps");
        let _ =
            writeln!(text, "{nth}    overlap  {count} {long}, too short to be drawn; this is normal (safety buffer)");
    }
}

/// How long spans are: `of 4 h each`, `of 4 h to 6 d`.
fn extent(spans: &[Span]) -> Option<String> {
    let ticks = || spans.iter().map(|span| span.ticks());
    let (shortest, longest) = (duration(ticks().min()?), duration(ticks().max()?));
    Some(match (spans.len(), shortest == longest) {
        (1, _) => format!("of {shortest}"),
        (_, true) => format!("of {shortest} each"),
        (_, false) => format!("of {shortest} to {longest}"),
    })
}

fn member_name(survey: &ChainSurvey, member: usize) -> String {
    survey.members.get(member).map(|member| member.path.display().to_string()).unwrap_or_default()
}

fn broken_link_text(survey: &ChainSurvey, broken_link: BrokenLink) -> String {
    let own = member_name(survey, broken_link.member);
    match broken_link.fault {
        LinkFault::PreviousIsMissing(root) => format!("{own}: the bundle before it is not here, root sha256 {root}"),
        LinkFault::MadeWithout(root) => {
            format!("{own}: it was compacted without a bundle that is not here, root sha256 {root}")
        }
        LinkFault::SecondStart => format!("{own}: it says that it is the first of its chain, but another bundle is"),
        LinkFault::Fork(other) => {
            format!("{own}: it names the same bundle before it as {}", member_name(survey, other))
        }
        LinkFault::AnotherClock => format!("{own}: its window is in another clock than that of the bundle before it"),
        LinkFault::Circle => format!("{own}: its links lead in a circle, so a manifest was forged"),
    }
}

fn fault_name(fault: LinkFault) -> &'static str {
    match fault {
        LinkFault::PreviousIsMissing(_) => "previous_is_missing",
        LinkFault::MadeWithout(_) => "made_without",
        LinkFault::SecondStart => "second_start",
        LinkFault::Fork(_) => "fork",
        LinkFault::AnotherClock => "another_clock",
        LinkFault::Circle => "circle",
    }
}

fn document(survey: &ChainSurvey) -> Value {
    let broken = |broken: &BrokenBundle| json!({"bundle": broken.path.display().to_string(), "error": error_object(&broken.error)});
    json!({
        "bundles": survey.members.len(),
        "copies": survey.copies,
        "chains": survey.chains.iter().map(|chain| chain_object(chain, survey)).collect::<Vec<_>>(),
        "broken": survey.broken.iter().map(broken).collect::<Vec<_>>(),
        "sealed": survey.sealed.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
    })
}

fn chain_object(chain: &Chain, survey: &ChainSurvey) -> Value {
    let [rows, tombstones, size] = sums(chain);
    let bounds = |start, end| render::window_bounds(&Window { start, end, clock: chain.clock() });
    let spans = |spans: &[Span]| -> Value {
        let object = |span: &Span| {
            let (start, end) = bounds(span.start, span.end);
            json!({"start": start, "end": end, "ticks": span.ticks()})
        };
        spans.iter().map(object).collect()
    };
    let link = |link: &ChainLink| {
        let (start, end) = render::window_bounds(&link.link.window);
        let member = survey.members.get(link.member);
        json!({
            "bundle": member_name(survey, link.member),
            "root_sha256": member.map(|member| member.root_sha256),
            "previous": link.link.previous,
            "start": start,
            "end": end,
            "rows": link.rows,
            "tombstones": link.tombstones,
            "bytes": link.bytes,
        })
    };
    let broken_link = |broken_link: &BrokenLink| {
        json!({
            "bundle": member_name(survey, broken_link.member),
            "kind": fault_name(broken_link.fault),
            "detail": broken_link_text(survey, *broken_link),
        })
    };
    let whole = chain.span();
    let (start, end) = bounds(whole.start, whole.end);
    json!({
        "table": chain.id.table.to_string(),
        "scope": chain.id.scope.to_string(),
        "source_id": chain.id.source_id,
        "begins_after": chain.begins_after,
        "start": start,
        "end": end,
        "rows": rows,
        "tombstones": tombstones,
        "bytes": size,
        "bundles": chain.links.iter().map(link).collect::<Vec<_>>(),
        "gaps": spans(&chain.gaps),
        "overlaps": spans(&chain.overlaps),
        "misfits": chain.broken_links.iter().map(broken_link).collect::<Vec<_>>(),
    })
}
