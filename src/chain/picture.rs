//! The timeline as a picture: SVG 1.1, without scripts, links or fonts of its own. Its colours are those of light or dark,
//! as the viewer asks for.

use super::axis::Axis;
use super::model::{Chain, ChainLink, Member};
use super::timeline::duration;
use crate::links::Span;
use crate::model::time::TICKS_PER_DAY;
use std::fmt::Write as _;

pub(super) const WIDTH: usize = 960;
pub(super) const MARGIN: usize = 24;
/// Where the first lane begins: below title and legend.
const HEAD: usize = 96;
const LANE: usize = 84;
pub(super) const BAR: usize = 20;
/// Below the bars: lines of labels of gaps.
const LABEL: usize = 14;
const LABEL_LINES: usize = 2;
/// Of a letter of a label, about.
const LETTER: usize = 7;
/// In pixels: what is shorter would not be seen.
const LEAST_GAP: usize = 4;
const TICKS: usize = 4;
const CLASSES: [&str; 2] = ["one", "other"];

/// The colours of what is drawn.
pub const STYLE: &str = "\
.page{fill:#ffffff}text{fill:#1f2328}.faint{fill:#59636e}.line{stroke:#d1d9e0}\
.one{fill:#3b6ea5}.other{fill:#8fb4da}.twice{fill:url(#twice)}.stripe{stroke:#1f2328}\
.gap{fill:#d21f1f}.label{fill:#b01010}.leader{stroke:#d21f1f}.broken{fill:#b35900}\
@media (prefers-color-scheme:dark){\
.page{fill:#0d1117}text{fill:#e6edf3}.faint{fill:#9198a1}.line{stroke:#3d444d}\
.one{fill:#4d8fd1}.other{fill:#27507c}.stripe{stroke:#ffffff}\
.gap{fill:#ff5c5c}.label{fill:#ff8f8f}.leader{stroke:#ff5c5c}.broken{fill:#ffab4d}}";

/// Draws the chains to one scale, under a title and a legend. Each bundle, gap, overlap and link that does not fit has its
/// times as a title, which viewers show under the pointer; gaps are labelled with how long they are. Text from outside is
/// escaped.
pub fn picture(chains: &[Chain], members: &[Member]) -> String {
    let axis = Axis::of(chains);
    let height = HEAD + chains.len() * LANE + 2 * MARGIN;
    let what = summary(chains);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>What bundles cover: {what}</title>\n<style>{STYLE}</style>\n\
         <defs><pattern id=\"twice\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
         <path d=\"M0,6 L6,0\" class=\"stripe\" stroke-width=\"1.5\"/></pattern></defs>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text x=\"{MARGIN}\" y=\"32\" font-size=\"18\" font-weight=\"bold\">What bundles cover</text>\n\
         <text x=\"{MARGIN}\" y=\"52\" class=\"faint\">{what}</text>\n"
    );
    legend(&mut svg);
    scale(&mut svg, &axis, height - 2 * MARGIN);
    for (nth, chain) in chains.iter().enumerate() {
        lane(&mut svg, chain, members, &axis, HEAD + nth * LANE);
    }
    svg + "</svg>\n"
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn summary(chains: &[Chain]) -> String {
    let gaps = chains.iter().map(|chain| chain.gaps.len()).sum();
    let links = chains.iter().map(|chain| chain.broken_links.len()).sum();
    format!(
        "{}, {}, {}",
        counted(chains.len(), "chain", "chains"),
        counted(gaps, "gap", "gaps"),
        counted(links, "link that does not fit", "links that do not fit")
    )
}

fn legend(svg: &mut String) {
    let (mut x, y) = (MARGIN, 66);
    let entries: [(&[&str], &str); 4] = [
        (&["one", "other"], "bundles, by turns"),
        (&["one twice"], "in two windows"),
        (&["gap"], "gap: no bundle here covers it"),
        (&[], "link to the bundle before that does not fit"),
    ];
    for (classes, meaning) in entries {
        for (nth, class) in classes.iter().enumerate() {
            let left = x + 12 * nth;
            // What is in two windows is drawn over the bundle.
            for class in class.split(' ') {
                let _ = writeln!(svg, "<rect x=\"{left}\" y=\"{y}\" width=\"12\" height=\"12\" class=\"{class}\"/>");
            }
        }
        if classes.is_empty() {
            let _ = writeln!(svg, "<path d=\"{}\" class=\"broken\"/>", arrow(x + 6, y + 12));
        }
        let text = x + if classes.contains(&"other") { 30 } else { 18 };
        let _ = writeln!(svg, "<text x=\"{text}\" y=\"{}\">{meaning}</text>", y + 10);
        x = text + meaning.len() * LETTER + 18;
    }
}

/// An arrowhead that points down at a place.
fn arrow(x: usize, y: usize) -> String {
    format!("M{x},{y} l-5,-10 h10 z")
}

fn scale(svg: &mut String, axis: &Axis, base: usize) {
    // The day, or where a day is long, the minute.
    let letters = if axis.span.ticks() > TICKS as i64 * TICKS_PER_DAY { 10 } else { 16 };
    for nth in 0..=TICKS {
        let x = MARGIN + (WIDTH - 2 * MARGIN) * nth / TICKS;
        let ticks = i64::try_from(nth).unwrap_or(0) * (axis.span.ticks() / TICKS as i64);
        let anchor = match nth {
            0 => "start",
            TICKS => "end",
            _ => "middle",
        };
        let at = axis.span.start.plus_ticks(ticks).to_string();
        let at: String = at.chars().take(letters).collect();
        let _ = writeln!(svg, "<path d=\"M{x},{HEAD} V{base}\" class=\"line\"/>");
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\" class=\"faint\">{at}</text>",
            base + MARGIN
        );
    }
}

fn span_of(link: &ChainLink) -> Span {
    Span { start: link.link.window.start, end: link.link.window.end }
}

fn path_of(members: &[Member], member: usize) -> String {
    members.get(member).map(|member| member.path.display().to_string()).unwrap_or_default()
}

fn lane(svg: &mut String, chain: &Chain, members: &[Member], axis: &Axis, top: usize) {
    let mut name = format!("{}, scope {}", chain.id.table, chain.id.scope);
    let found = [
        (chain.gaps.len(), "gap", "gaps"),
        (chain.broken_links.len(), "link that does not fit", "links that do not fit"),
    ];
    for (count, one, many) in found.into_iter().filter(|(count, ..)| *count > 0) {
        name += &format!(", {}", counted(count, one, many));
    }
    let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{}\">{}</text>", top + 13, escaped(&name));
    bar(svg, chain, members, axis, top + 28);
}

/// The bundles of a chain, and what is wrong between them: arrows above, labels of gaps below.
pub(super) fn bar(svg: &mut String, chain: &Chain, members: &[Member], axis: &Axis, bar: usize) {
    for (nth, link) in chain.by_window().into_iter().enumerate() {
        let span = span_of(link);
        let title = format!("{}: [{}, {}), {} rows", path_of(members, link.member), span.start, span.end, link.rows);
        block(svg, axis, (span, 1), bar, CLASSES[nth % 2], &title);
        if axis.is_cut(span.start) {
            let _ = writeln!(svg, "<path d=\"M{MARGIN},{bar} v{BAR} l-8,-10 z\" class=\"{}\"/>", CLASSES[nth % 2]);
        }
    }
    // Of what is shorter than a pixel, nothing would be seen.
    let pixel = axis.span.ticks() / (WIDTH - 2 * MARGIN) as i64;
    let is_drawn = |overlap: &&Span| overlap.ticks() >= pixel;
    for overlap in chain.overlaps.iter().filter(is_drawn) {
        let title = format!("in two windows: [{}, {}), {}", overlap.start, overlap.end, duration(overlap.ticks()));
        block(svg, axis, (*overlap, 1), bar, "twice", &title);
    }
    // Above all bundles, and never too narrow to be seen.
    for gap in &chain.gaps {
        let title = format!("gap: [{}, {}), {}", gap.start, gap.end, duration(gap.ticks()));
        block(svg, axis, (*gap, LEAST_GAP), bar, "gap", &title);
    }
    labels(svg, chain, axis, bar + BAR);
    for broken_link in &chain.broken_links {
        let Some(link) = chain.links.iter().find(|link| link.member == broken_link.member) else { continue };
        let x = MARGIN + axis.cells(span_of(link), WIDTH - 2 * MARGIN).start;
        let title = format!("{}: its link to the bundle before does not fit", path_of(members, broken_link.member));
        let path = arrow(x, bar);
        let _ = writeln!(svg, "<path d=\"{path}\" class=\"broken\"><title>{}</title></path>", escaped(&title));
    }
}

/// How long each gap is, in lines below the bar. Where they would lie over each other, those that are left are counted.
fn labels(svg: &mut String, chain: &Chain, axis: &Axis, top: usize) {
    let right = WIDTH - MARGIN;
    let (mut ends, mut left) = ([0; LABEL_LINES], 0);
    for gap in &chain.gaps {
        let text = format!("gap of {}", duration(gap.ticks()));
        let cells = axis.cells(*gap, WIDTH - 2 * MARGIN);
        let (middle, wide) = (MARGIN + cells.start + cells.len().max(LEAST_GAP) / 2, text.chars().count() * LETTER);
        let x = middle.saturating_sub(wide / 2).clamp(MARGIN, right - wide);
        let Some(nth) = ends.iter().position(|end| *end <= x) else {
            left += 1;
            continue;
        };
        ends[nth] = x + wide + LETTER;
        let base = top + LABEL * (nth + 1);
        let _ = writeln!(svg, "<path d=\"M{middle},{top} V{}\" class=\"leader\"/>", base - LABEL + 3);
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{base}\" class=\"label\">{}</text>", escaped(&text));
    }
    if left > 0 {
        let text = format!("and {left} more, labelled by the pointer alone");
        let base = top + LABEL * LABEL_LINES + 4;
        let _ = writeln!(svg, "<text x=\"{right}\" y=\"{base}\" text-anchor=\"end\" class=\"label\">{text}</text>");
    }
}

fn block(svg: &mut String, axis: &Axis, (span, least): (Span, usize), top: usize, class: &str, title: &str) {
    let cells = axis.cells(span, WIDTH - 2 * MARGIN);
    let (x, width) = (MARGIN + cells.start, cells.len().max(least));
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{BAR}\" class=\"{class}\"><title>{}</title></rect>",
        escaped(title)
    );
}

/// Text as XML 1.0 takes it (§2.2 and §2.4); characters that it cannot hold become U+FFFD.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '"' => out += "&quot;",
            '\'' => out += "&apos;",
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn text_from_outside_stays_text() {
        assert_eq!(
            escaped("</title><script a='&\"'>\u{1b}"),
            "&lt;/title&gt;&lt;script a=&apos;&amp;&quot;&apos;&gt;\u{fffd}"
        );
    }
}
