//! The page as a whole: its head, what needs attention, and its parts.

use super::html::Html;
use crate::chain::{FIGURE_DEFINITIONS, FIGURE_STYLE};
use crate::cli::out::Tone;
use serde_json::Value;

/// What every page of ours begins with: a file that does is replaced by the next one.
pub const BEGINNING: &str = "<!DOCTYPE html>\n<!-- blobdelta report -->\n";

const STYLE: &str = include_str!("page.css");
/// Scripts, fonts, pictures and frames: none, wherever they came from.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// A part of the page.
pub struct Part {
    /// Its heading.
    pub title: &'static str,
    /// What is below it.
    pub html: Html,
    /// What the head of the page says of it.
    pub facts: Vec<String>,
    /// What needs attention.
    pub found: Vec<(Tone, String)>,
    /// For programs.
    pub json: Value,
}

impl Part {
    /// Nothing yet, under a heading.
    pub fn new(title: &'static str) -> Self {
        Self { title, html: Html::default(), facts: Vec::new(), found: Vec::new(), json: Value::Null }
    }
}

/// The page. `made` says when, by what and of what.
pub fn page(made: &str, parts: &[Part]) -> Html {
    let mut html = Html::default();
    html.markup(BEGINNING);
    html.markup("<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    html.markup(&format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n"));
    html.markup("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.element("title", "blobdelta report");
    html.markup(&format!("<style>{FIGURE_STYLE}\n{STYLE}</style></head>\n<body>{FIGURE_DEFINITIONS}<main>\n"));
    html.element("h1", "blobdelta report");
    html.line(Tone::Plain, made);
    html.element("h2", "At a glance");
    html.list(parts.iter().flat_map(|part| &part.facts).map(|fact| (Tone::Plain, fact.as_str())));
    let found: Vec<_> = parts.iter().flat_map(|part| &part.found).map(|(tone, text)| (*tone, text.as_str())).collect();
    match found.is_empty() {
        true => html.line(Tone::Good, "Nothing needs attention."),
        false => html.element("h3", "What needs attention"),
    }
    if !found.is_empty() {
        html.list(found);
    }
    for part in parts {
        html.markup("<section>\n");
        html.element("h2", part.title);
        html.append(&part.html);
        html.markup("</section>\n");
    }
    html.markup("</main></body></html>\n");
    html
}
