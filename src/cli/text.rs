//! [`Text`]: what a command says to people, with its verdicts and tables as such, until it is known how wide and in which
//! colours it is shown.

use super::look::Appearance;
use super::out::{Painted, Tone};
use super::table::TextTable;
use std::fmt;
use std::ops::AddAssign;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Text {
    blocks: Vec<TextBlock>,
}

#[derive(Clone, Debug)]
enum TextBlock {
    Words(Tone, String),
    /// Its rows stand further in by so many columns.
    Table(TextTable, usize),
}

impl Text {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// More words, in a tone.
    pub fn add(&mut self, tone: Tone, words: &str) {
        match self.blocks.last_mut() {
            Some(TextBlock::Words(last, text)) if *last == tone => text.push_str(words),
            _ => self.blocks.push(TextBlock::Words(tone, words.to_owned())),
        }
    }

    /// A table, which begins and ends with its lines.
    pub fn table(&mut self, table: &TextTable) {
        self.table_in(0, table);
    }

    /// A table further in.
    pub fn table_in(&mut self, indent: usize, table: &TextTable) {
        self.blocks.push(TextBlock::Table(table.clone(), indent));
    }

    /// What another one says.
    pub fn append(&mut self, other: Self) {
        self.blocks.extend(other.blocks);
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The same with every line further in.
    pub fn indented(self, by: usize) -> Self {
        let (mut indented, mut begins) = (Self::new(), true);
        for block in self.blocks {
            match block {
                TextBlock::Table(table, indent) => indented.table_in(indent + by, &table),
                TextBlock::Words(tone, words) => {
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
    pub fn painted(&self, look: &Appearance) -> Painted {
        let mut painted = Painted::default();
        for block in &self.blocks {
            match block {
                TextBlock::Words(tone, words) => painted.add(*tone, words),
                TextBlock::Table(table, indent) => table.paint(look, *indent, &mut painted),
            }
        }
        painted
    }

    /// As it is written 80 columns wide, without colours.
    #[cfg(test)]
    pub fn plain(&self) -> String {
        let now = crate::model::time::Timestamp::MIN;
        self.painted(&Appearance { width: 80, wide: false, now }).plain()
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
        Self { blocks: vec![TextBlock::Words(Tone::Plain, words)] }
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
        let mut table = TextTable::new([plain("N")]);
        table.push([1.into()]);
        text.table(&table);
        text += "d\n";
        assert_eq!(text.indented(2).plain(), "  a\n  bc\n  N\n  -\n  1\n  d\n");
    }
}
