//! The timeline as a picture: SVG 1.1, without scripts, links or fonts of its own.

use super::axis::Axis;
use super::model::{Chain, Member};
use super::timeline::date;
use crate::links::Span;
use std::fmt::Write as _;

const WIDTH: usize = 960;
const MARGIN: usize = 20;
const LANE: usize = 52;
const BAR: usize = 20;
/// In pixels: what is shorter would not be seen.
const LEAST_GAP: usize = 4;
const COLOURS: [&str; 2] = ["#3b6ea5", "#7fa7d0"];
const GAP_COLOUR: &str = "#d21f1f";

/// Draws the chains to one scale. Each bundle and each gap has its times as a title, which
/// viewers show under the pointer. Text from outside is escaped.
pub fn picture(chains: &[Chain], members: &[Member]) -> String {
    let axis = Axis::of(chains);
    let height = MARGIN * 3 + chains.len() * LANE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (nth, chain) in chains.iter().enumerate() {
        lane(&mut svg, chain, members, &axis, MARGIN + nth * LANE);
    }
    let (from, to) = (date(axis.span.start), date(axis.span.end));
    let (base, right) = (height - MARGIN, WIDTH - MARGIN);
    let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{base}\">{from}</text>");
    let _ = writeln!(svg, "<text x=\"{right}\" y=\"{base}\" text-anchor=\"end\">{to}</text>");
    svg + "</svg>\n"
}

fn lane(svg: &mut String, chain: &Chain, members: &[Member], axis: &Axis, top: usize) {
    let gaps = match chain.gaps.len() {
        0 => String::new(),
        1 => ", 1 gap".to_owned(),
        more => format!(", {more} gaps"),
    };
    let name = format!("{}, scope {}{gaps}", chain.id.table, chain.id.scope);
    let bar = top + 20;
    let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{}\">{}</text>", top + 13, escaped(&name));
    for (nth, link) in chain.by_window().into_iter().enumerate() {
        let span = Span { start: link.link.window.start, end: link.link.window.end };
        let path = members.get(link.member).map(|member| member.path.display().to_string()).unwrap_or_default();
        let title = format!("{path}: [{}, {}), {} rows", span.start, span.end, link.rows);
        block(svg, axis, (span, 1), bar, COLOURS[nth % 2], &title);
    }
    // Above all bundles, and a little higher than they are.
    for gap in &chain.gaps {
        let title = format!("gap: [{}, {})", gap.start, gap.end);
        block(svg, axis, (*gap, LEAST_GAP), bar, GAP_COLOUR, &title);
    }
}

fn block(svg: &mut String, axis: &Axis, (span, least): (Span, usize), top: usize, colour: &str, title: &str) {
    let cells = axis.cells(span, WIDTH - 2 * MARGIN);
    let (x, width) = (MARGIN + cells.start, cells.len().max(least));
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{BAR}\" fill=\"{colour}\"><title>{}</title></rect>",
        escaped(title)
    );
}

/// Text as XML 1.0 takes it (§2.2 and §2.4); characters that it cannot hold become U+FFFD.
fn escaped(text: &str) -> String {
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
