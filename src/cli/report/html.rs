//! The elements of a page. Text from outside is escaped here, and nowhere else.

use crate::chain::escaped;
use crate::cli::look::Appearance;
use crate::cli::out::{Tone, clean};
use crate::cli::render::number;
use crate::cli::table::TextTable;
use std::fmt::Write as _;

/// A part of a page.
#[derive(Clone, Debug, Default)]
pub struct Html(String);

impl Html {
    /// Markup, of which nothing comes from outside.
    pub fn markup(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// Text in an element of this name.
    pub fn element(&mut self, name: &str, text: &str) {
        let _ = writeln!(self.0, "<{name}>{}</{name}>", shown(text));
    }

    /// A paragraph in a tone.
    pub fn line(&mut self, tone: Tone, text: &str) {
        let _ = writeln!(self.0, "<p class=\"{}\">{}</p>", class(tone), shown(text));
    }

    /// Lines of a list, each in its tone. The tone is never all that says it.
    pub fn list<'t>(&mut self, lines: impl IntoIterator<Item = (Tone, &'t str)>) {
        self.0.push_str("<ul>\n");
        for (tone, text) in lines {
            let _ = writeln!(self.0, "<li class=\"{}\">{}</li>", class(tone), shown(text));
        }
        self.0.push_str("</ul>\n");
    }

    /// A table under its caption. A wide one is scrolled by itself, with the keyboard too.
    pub fn table(&mut self, caption: &str, table: &TextTable, look: &Appearance) {
        let (table, caption) = (table.shown(look), shown(caption));
        let _ = writeln!(self.0, "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\"><table>");
        let _ = writeln!(self.0, "<caption>{caption}</caption>\n<thead><tr>");
        let kind = |nth: usize| match &table.heads[nth] {
            head if head.is_numeric => " class=\"number\"",
            head if head.is_prose => " class=\"prose\"",
            _ => "",
        };
        for (nth, head) in table.heads.iter().enumerate() {
            let _ = write!(self.0, "<th scope=\"col\"{}>{}</th>", kind(nth), shown(head.name));
        }
        self.0.push_str("</tr></thead>\n<tbody>\n");
        for row in &table.rows {
            self.0.push_str("<tr>");
            for (nth, (tone, text)) in row.iter().enumerate() {
                let text = shown(&match text.parse() {
                    Ok(count) if table.heads[nth].is_numeric => number(count),
                    _ => text.clone(),
                });
                let text = match *tone {
                    Tone::Plain => text,
                    tone => format!("<span class=\"{}\">{text}</span>", class(tone)),
                };
                let _ = write!(self.0, "<td{}>{text}</td>", kind(nth));
            }
            self.0.push_str("</tr>\n");
        }
        self.0.push_str("</tbody></table></div>\n");
    }

    /// A picture that we drew, under a caption that says the same.
    pub fn figure(&mut self, svg: &str, caption: &str) {
        let _ = writeln!(self.0, "<figure>{svg}<figcaption>{}</figcaption></figure>", shown(caption));
    }

    /// What is shown when somebody opens it.
    pub fn folded(&mut self, summary: &str, inside: &Self) {
        let _ = writeln!(self.0, "<details><summary>{}</summary>\n{}</details>", shown(summary), inside.0);
    }

    /// Another part.
    pub fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// The bytes of it.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Text as it may stand in an element and in an attribute: everything in it shows, and none of it is markup.
pub fn shown(text: &str) -> String {
    escaped(&clean(text))
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain | Tone::Head => "plain",
        Tone::Good => "good",
        Tone::Care => "care",
        Tone::Bad => "bad",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table::{line, plain};
    use crate::model::time::Timestamp;

    #[test]
    fn no_text_is_markup_and_all_of_it_shows() {
        let hostile = "</td><script>alert('1')</script>\u{202e}&";
        let look = Appearance { width: 80, wide: false, now: Timestamp::MIN };
        let mut table = TextTable::new([plain("Rows"), line("Name"), line("Empty")]);
        table.push([1234567.into(), hostile.into(), "".into()]);
        let mut html = Html::default();
        html.table(hostile, &table, &look);
        html.line(Tone::Bad, hostile);
        html.list([(Tone::Good, hostile)]);
        html.element("h2", hostile);
        let mut folded = Html::default();
        folded.folded(hostile, &html);
        let text = String::from_utf8(folded.as_bytes().to_vec()).unwrap();
        assert!(!text.contains("<script") && !text.contains('\u{202e}'), "{text}");
        assert_eq!(
            text.matches("&lt;script&gt;alert(&apos;1&apos;)&lt;/script&gt;\\u{202e}&amp;").count(),
            7,
            "{text}"
        );
        assert!(text.contains("<td class=\"number\">1,234,567</td>") && !text.contains("Empty"), "{text}");
    }
}
