//! What the bundles cover and hold.

use super::html::Html;
use super::page::Part;
use crate::chain::{Chain, ChainLink, ChainSurvey, Figures, duration, weeks};
use crate::cli::chain::{chains_table, faults_of};
use crate::cli::look::Appearance;
use crate::cli::out::Tone;
use crate::cli::render::{self, bytes, counted, number, reasons};
use crate::cli::summary::reported;
use crate::cli::table::{TextTable, ago, line, plain, prose};
use crate::model::drift;
use crate::model::time::Timestamp;
use crate::model::window::Window;
use serde_json::json;

/// Chains, their gaps and links, what their weeks hold, what was reported.
pub fn part(survey: &ChainSurvey, look: &Appearance) -> Part {
    let mut part = Part::new("What the bundles cover");
    found(&mut part, survey, look);
    if !survey.chains.is_empty() {
        let figures = Figures::new(&survey.chains, &survey.members, number, bytes);
        let label = format!("Rows and bytes a week, of {} together", counted_chains(&survey.chains));
        part.html.element("h3", "All chains together");
        part.html.figure(&figures.together(&label), &label);
        part.html.table("Chains", &chains_table(&survey.chains), look);
        part.html.line(
            Tone::Plain,
            "In the figures, bundles are blue, by turns dark and light. Stripes: in two windows (the safety buffer). Red: a gap, \
             a time that no bundle here covers. An orange arrow: a link to the bundle before that does not fit. A bundle counts \
             for the week in which its window ends, in the clock of its table. All figures have the same scale of time.",
        );
        for chain in &survey.chains {
            one_chain(&mut part.html, chain, survey, (&figures, look));
        }
    }
    unopened(&mut part, survey, look);
    failed_tables(&mut part, survey, look);
    part
}

fn counted_chains(chains: &[Chain]) -> String {
    counted(chains.len() as u64, "chain", "chains")
}

/// The short answer.
fn found(part: &mut Part, survey: &ChainSurvey, look: &Appearance) {
    let newest = survey.members.iter().map(|member| member.started_at).max();
    if let Some(newest) = newest {
        let count = counted(survey.members.len() as u64, "bundle", "bundles");
        let text = format!(
            "{count} in {}; the run of the newest started {}",
            counted_chains(&survey.chains),
            when(newest, look)
        );
        part.facts.push(text);
    }
    part.found.extend(survey.chains.iter().filter_map(wrong_with));
    part.json = json!({
        "bundles": survey.members.len(),
        "chains": survey.chains.len(),
        "gaps": survey.chains.iter().map(|chain| chain.gaps.len()).sum::<usize>(),
        "broken_links": survey.chains.iter().map(|chain| chain.broken_links.len()).sum::<usize>(),
        "cannot_be_opened": survey.broken.len(),
        "newest_run_started_at": newest.map(Timestamp::rfc3339_utc),
    });
}

/// What is wrong with a chain, in a line; all of it stands below the figure of the chain.
fn wrong_with(chain: &Chain) -> Option<(Tone, String)> {
    let (gaps, links) = (chain.gaps.len() as u64, chain.broken_links.len() as u64);
    let longest = chain.gaps.iter().map(|gap| gap.ticks()).max();
    let gaps = longest.map(|ticks| format!("{} (the longest of {})", counted(gaps, "gap", "gaps"), duration(ticks)));
    let links = (links > 0).then(|| counted(links, "link that does not fit", "links that do not fit"));
    let begins = chain.begins_after.map(|_| "does not begin with its first bundle".to_owned());
    let tone = if gaps.is_some() || links.is_some() { Tone::Bad } else { Tone::Care };
    let said: Vec<String> = [gaps, links, begins].into_iter().flatten().collect();
    (!said.is_empty()).then(|| (tone, format!("{}: {}", name_of_chain(chain), said.join(", "))))
}

fn name_of_chain(chain: &Chain) -> String {
    format!("{}, scope {}", chain.id.table, chain.id.scope)
}

/// A time to the second, and how long ago it was.
fn when(at: Timestamp, look: &Appearance) -> String {
    let seconds: String = at.to_string().chars().take(19).collect();
    format!("{seconds}Z, {}", look.age(at))
}

fn one_chain(html: &mut Html, chain: &Chain, survey: &ChainSurvey, (figures, look): (&Figures<'_>, &Appearance)) {
    let name = name_of_chain(chain);
    html.element("h3", &name);
    let whole = chain.span();
    let window = Window { start: whole.start, end: whole.end, clock: chain.clock() };
    let label = format!(
        "{name}: {}, {}, {}, {}",
        counted(chain.links.len() as u64, "bundle", "bundles"),
        render::window(&window),
        counted(chain.gaps.len() as u64, "gap", "gaps"),
        counted(chain.broken_links.len() as u64, "link that does not fit", "links that do not fit"),
    );
    html.figure(&figures.chain(chain, &label), &label);
    let faults = faults_of(survey, chain);
    if !faults.is_empty() {
        html.list(faults.iter().map(|fault| (Tone::Bad, fault.as_str())));
    }
    let changed = chain.links.iter().filter(|link| !link.schema_changes.is_empty());
    let changed: Vec<String> = changed
        .map(|link| format!("columns changed in {}: {}", name_of(survey, link), drift::listed(&link.schema_changes)))
        .collect();
    if !changed.is_empty() {
        html.list(changed.iter().map(|line| (Tone::Plain, line.as_str())));
    }
    match reported_table(chain) {
        table if table.is_empty() => html.line(Tone::Plain, "Nothing was reported."),
        table => html.table(&format!("What was reported, and is not in the bundles: {name}"), &table, look),
    }
    let mut numbers = Html::default();
    numbers.table(&format!("Weeks of {name}"), &weeks_table(chain), look);
    html.folded("Numbers of each week", &numbers);
}

fn name_of(survey: &ChainSurvey, link: &ChainLink) -> String {
    let path = survey.members.get(link.member).map(|member| &member.path);
    path.and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy().into_owned()
}

/// Rule 6. Some counts are of a window, others of a whole table, so they are not added up.
fn reported_table(chain: &Chain) -> TextTable {
    let mut table = TextTable::new([
        plain("What"),
        plain("In the newest bundle"),
        plain("Most in one bundle"),
        plain("Bundles with any"),
    ]);
    let all: Vec<_> = chain.links.iter().map(|link| reported(&link.counts)).collect();
    let Some(newest) = all.last() else { return table };
    for (nth, (what, now)) in newest.iter().enumerate() {
        let of_kind = || all.iter().map(|counts| counts[nth].1);
        let most = of_kind().max().unwrap_or(0);
        if most > 0 {
            let any = of_kind().filter(|count| *count > 0).count();
            table.push([(*what).into(), (*now).into(), most.into(), any.into()]);
        }
    }
    table
}

fn weeks_table(chain: &Chain) -> TextTable {
    let mut table =
        TextTable::new([plain("Week of"), plain("Bundles"), plain("Rows"), plain("Tombstones"), plain("Size")]);
    for (monday, week) in weeks([chain]) {
        let date: String = monday.to_string().chars().take(10).collect();
        table.push([
            date.into(),
            week.bundles.into(),
            week.rows.into(),
            week.tombstones.into(),
            bytes(week.bytes).into(),
        ]);
    }
    table
}

fn unopened(part: &mut Part, survey: &ChainSurvey, look: &Appearance) {
    if !survey.broken.is_empty() {
        let mut table = TextTable::new([plain("Bundle"), prose("What is wrong")]);
        for broken in &survey.broken {
            let why = reasons(&broken.error).map(|why| format!(": {why}")).unwrap_or_default();
            table.push([broken.path.display().to_string().into(), format!("{}{why}", broken.error.what()).into()]);
        }
        let count = counted(survey.broken.len() as u64, "bundle", "bundles");
        part.found.push((Tone::Bad, format!("{count} cannot be opened")));
        part.html.table("Bundles that cannot be opened", &table, look);
    }
    if !survey.sealed.is_empty() {
        let count = counted(survey.sealed.len() as u64, "archive is encrypted", "archives are encrypted");
        part.found.push((Tone::Care, format!("{count}, and no --identity opens it, so nothing of it is on this page")));
    }
}

fn failed_tables(part: &mut Part, survey: &ChainSurvey, look: &Appearance) {
    let mut table = TextTable::new([ago("Run"), plain("TableName"), line("Bundle"), prose("Error")]);
    let mut members: Vec<_> = survey.members.iter().collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.started_at));
    for member in &members {
        for failed in &member.failed {
            table.push([
                member.started_at.rfc3339_utc().into(),
                failed.table.to_string().into(),
                member.path.display().to_string().into(),
                failed.error.clone().into(),
            ]);
        }
    }
    if table.is_empty() {
        return;
    }
    for failed in members.first().into_iter().flat_map(|newest| &newest.failed) {
        part.found
            .push((Tone::Bad, format!("{} failed in the run of the newest bundle: {}", failed.table, failed.error)));
    }
    part.html.table("Tables that failed in the runs of bundles", &table, look);
}

/// How long the runs of bundles took, where there is no job database to ask.
pub fn runs(survey: &ChainSurvey, look: &Appearance) -> Part {
    let mut part = Part::new("Runs of the bundles");
    let mut table = TextTable::new([ago("Started"), plain("Duration"), line("Bundle")]);
    let mut members: Vec<_> = survey.members.iter().collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.started_at));
    for member in members {
        let took = member.completed_at.map(|at| duration(at.ticks() - member.started_at.ticks()));
        table.push([
            member.started_at.rfc3339_utc().into(),
            took.into(),
            member.path.file_name().unwrap_or_default().to_string_lossy().into_owned().into(),
        ]);
    }
    let mut inside = Html::default();
    inside.table("Runs of the bundles, newest first", &table, look);
    part.html.folded(&counted(survey.members.len() as u64, "run", "runs"), &inside);
    part
}
