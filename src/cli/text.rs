//! [`Text`]: what a command says to people, with its verdicts and tables as such, until it is known how wide and in which
//! colours it is shown.

use super::look::Look;
use super::out::{Painted, Tone};
use super::table::Table;
use std::fmt;
use std::ops::AddAssign;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Text {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Words(Tone, String),
    /// Its rows stand further in by so many columns.
    Table(Table, usize),
}

impl Text {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// More words, in a tone.
    pub fn add(&mut self, tone: Tone, words: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Words(last, text)) if *last == tone => text.push_str(words),
            _ => self.pieces.push(Piece::Words(tone, words.to_owned())),
        }
    }

    /// A table, which begins and ends with its lines.
    pub fn table(&mut self, table: &Table) {
        self.table_in(0, table);
    }

    /// A table further in.
    pub fn table_in(&mut self, indent: usize, table: &Table) {
        self.pieces.push(Piece::Table(table.clone(), indent));
    }

    /// What another one says.
    pub fn append(&mut self, other: Self) {
        self.pieces.extend(other.pieces);
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The same with every line further in.
    pub fn indented(self, by: usize) -> Self {
        let (mut indented, mut begins) = (Self::new(), true);
        for piece in self.pieces {
            match piece {
                Piece::Table(table, indent) => indented.table_in(indent + by, &table),
                Piece::Words(tone, words) => {
                    for line in words.split_inclusive('\n') {
                        if begins {
                            indented.add(Tone::Plain, &" ".repeat(by));
                        }
                        indented.add(tone, line);
                        begins = line.ends_with('\n');
                    }
                }
            }
        }
        indented
    }

    /// As it is written.
    pub fn painted(&self, look: &Look) -> Painted {
        let mut painted = Painted::default();
        for piece in &self.pieces {
            match piece {
                Piece::Words(tone, words) => painted.add(*tone, words),
                Piece::Table(table, indent) => table.paint(look, *indent, &mut painted),
            }
        }
        painted
    }

    /// As it is written 80 columns wide, without colours.
    #[cfg(test)]
    pub fn plain(&self) -> String {
        let now = crate::model::time::Timestamp::MIN;
        self.painted(&Look { width: 80, wide: false, now }).plain()
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, words: &str) -> fmt::Result {
        self.add(Tone::Plain, words);
        Ok(())
    }
}

impl AddAssign<&str> for Text {
    fn add_assign(&mut self, words: &str) {
        self.add(Tone::Plain, words);
    }
}

impl From<String> for Text {
    fn from(words: String) -> Self {
        Self { pieces: vec![Piece::Words(Tone::Plain, words)] }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::plain;
    use super::*;

    #[test]
    fn every_line_comes_further_in() {
        let mut text = Text::from("a\nb".to_owned());
        text.add(Tone::Bad, "c\n");
        let mut table = Table::new([plain("N")]);
        table.push([1.into()]);
        text.table(&table);
        text += "d\n";
        assert_eq!(text.indented(2).plain(), "  a\n  bc\n  N\n  -\n  1\n  d\n");
    }
}
