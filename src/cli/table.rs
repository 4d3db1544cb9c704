//! [`TextTable`]: rows under named columns. JSON has all of their cells as they are; text has the columns that people need, as
//! many as fit.
//!
//! What does not fit is left out from the right, then laid out as a list, a line a cell. No cell is ever broken into
//! lines of a column: keys, paths, digests and commands are there to be copied. (That is what the tables of crates such as
//! comfy-table do with a cell that is too long; hence this one.) Errors, reasons and commands stand below their row.

use super::look::Appearance;
use super::out::{Painted, Tone, clean};
use super::wrap::wrapped;
use crate::model::time::Timestamp;
use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr as _;

/// Between two columns.
const BETWEEN: usize = 2;

/// A named column.
#[derive(Clone, Copy, Debug)]
pub struct TableColumn {
    name: &'static str,
    kind: ColumnKind,
    need: Need,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnKind {
    Plain,
    /// A time, to the second.
    Time,
    /// A time of the UTC clock, to the second, and how long ago it was.
    Ago,
    /// Below its row, in one line.
    Line,
    /// Below its row, in as many lines as it takes.
    Prose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Always,
    IfRoom,
    Wide,
}

const fn column(name: &'static str, kind: ColumnKind) -> TableColumn {
    TableColumn { name, kind, need: Need::Always }
}

/// A column of names, keys or numbers.
pub const fn plain(name: &'static str) -> TableColumn {
    column(name, ColumnKind::Plain)
}

/// A column of times, shown to the second.
pub const fn time(name: &'static str) -> TableColumn {
    column(name, ColumnKind::Time)
}

/// A column of times of the UTC clock, shown to the second and by their age.
pub const fn ago(name: &'static str) -> TableColumn {
    column(name, ColumnKind::Ago)
}

/// What is shown below its row, in one line: a path, a digest, a command.
pub const fn line(name: &'static str) -> TableColumn {
    column(name, ColumnKind::Line)
}

/// What is shown below its row, in as many lines as it takes.
pub const fn prose(name: &'static str) -> TableColumn {
    column(name, ColumnKind::Prose)
}

impl TableColumn {
    /// The same, shown only where all columns before it fit beside it, and one of its cells says something.
    pub const fn if_room(mut self) -> Self {
        self.need = Need::IfRoom;
        self
    }

    /// The same, shown only by `--wide`.
    pub const fn wide(mut self) -> Self {
        self.need = Need::Wide;
        self
    }

    fn is_below(self) -> bool {
        matches!(self.kind, ColumnKind::Line | ColumnKind::Prose)
    }
}

/// What stands in a column of a row.
#[derive(Clone, Debug)]
pub struct TableCell {
    value: Value,
    tone: Tone,
    is_usual: bool,
}

impl TableCell {
    /// A verdict.
    pub fn toned(tone: Tone, value: impl Into<Value>) -> Self {
        Self { tone, ..Self::from(value.into()) }
    }

    /// What people need not be told of, unless something is so.
    pub fn usual_unless(is_so: bool, value: impl Into<Value>) -> Self {
        Self { is_usual: !is_so, ..Self::from(value.into()) }
    }

    /// Whether there is anything.
    fn is_there(&self) -> bool {
        !self.is_usual && !self.value.is_null() && self.value.as_str() != Some("")
    }

    /// Whether it says more than nothing, none and no.
    fn says(&self) -> bool {
        self.is_there() && self.value.as_u64() != Some(0) && self.value.as_bool() != Some(false)
    }
}

impl<T> From<T> for TableCell
where
    Value: From<T>,
{
    fn from(value: T) -> Self {
        Self { value: value.into(), tone: Tone::Plain, is_usual: false }
    }
}

/// Rows under named columns.
#[derive(Clone, Debug)]
pub struct TextTable {
    columns: Vec<TableColumn>,
    rows: Vec<Vec<TableCell>>,
}

impl TextTable {
    /// No rows yet.
    pub fn new<const N: usize>(columns: [TableColumn; N]) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// One more row: a cell a column.
    pub fn push<const N: usize>(&mut self, row: [TableCell; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(row.into());
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// An array with an object a row.
    pub fn json(&self) -> Value {
        let object = |row: &Vec<TableCell>| {
            let cells = row.iter().map(|cell| cell.value.clone());
            Value::Object(Map::from_iter(self.columns.iter().map(|column| column.name.to_owned()).zip(cells)))
        };
        self.rows.iter().map(object).collect()
    }

    /// Paints the table, its lines so much further in.
    pub fn paint(&self, look: &Appearance, indent: usize, painted: &mut Painted) {
        let room = look.width.saturating_sub(indent);
        let grid =
            if look.wide { Some(self.grid(0..self.columns.len(), look, false)) } else { self.fitting(look, room) };
        match grid {
            Some(grid) => self.paint_grid(&grid, look, indent, painted),
            None => self.paint_list(look, indent, painted),
        }
    }

    /// The columns that people need, those below their rows too, with their cells: for whoever lays them out elsewhere.
    pub fn shown(&self, look: &Appearance) -> ShownTable {
        let is_needed = |nth: &usize| match self.columns[*nth].need {
            Need::Always => !self.columns[*nth].is_below() || self.rows.iter().any(|row| row[*nth].is_there()),
            Need::IfRoom => self.rows.iter().any(|row| row[*nth].says()),
            Need::Wide => false,
        };
        let needed: Vec<usize> = (0..self.columns.len()).filter(is_needed).collect();
        let cell = |row: &[TableCell], nth: usize| match (&row[nth], self.columns[nth]) {
            (cell, _) if cell.is_usual => (Tone::Plain, String::new()),
            (cell, column) => (cell.tone, column.shown(&cell.value, look, true)),
        };
        let heads = needed.iter().map(|nth| ShownHead {
            name: self.columns[*nth].name,
            is_numeric: self.is_numeric(*nth),
            is_prose: self.columns[*nth].kind == ColumnKind::Prose,
        });
        ShownTable {
            heads: heads.collect(),
            rows: self.rows.iter().map(|row| needed.iter().map(|nth| cell(row, *nth)).collect()).collect(),
        }
    }

    /// The widest grid of the columns that people need that fits, if one does.
    fn fitting(&self, look: &Appearance, room: usize) -> Option<Grid> {
        let is_needed = |nth: &usize| {
            let column = self.columns[*nth];
            match column.need {
                Need::Always => true,
                Need::IfRoom => self.rows.iter().any(|row| row[*nth].says()),
                Need::Wide => false,
            }
        };
        let needed = (0..self.columns.len()).filter(|nth| !self.columns[*nth].is_below()).filter(is_needed);
        let needed: Vec<usize> = needed.collect();
        // An age says more than a column that is there if there is room.
        [true, false].into_iter().find_map(|ages| {
            let mut chosen = needed.clone();
            loop {
                let grid = self.grid(chosen.iter().copied(), look, ages);
                if grid.width() <= room {
                    return Some(grid);
                }
                let last = chosen.iter().rposition(|nth| self.columns[*nth].need == Need::IfRoom)?;
                chosen.remove(last);
            }
        })
    }

    fn grid(&self, columns: impl Iterator<Item = usize>, look: &Appearance, ages: bool) -> Grid {
        let columns: Vec<usize> = columns.collect();
        let shown = |row: &Vec<TableCell>| {
            columns.iter().map(|nth| self.columns[*nth].shown(&row[*nth].value, look, ages)).collect::<Vec<_>>()
        };
        let cells: Vec<Vec<String>> = self.rows.iter().map(shown).collect();
        let width = |(at, nth): (usize, &usize)| {
            let widest = cells.iter().map(|row| row[at].width()).max().unwrap_or(0);
            widest.max(self.columns[*nth].name.len())
        };
        let widths = columns.iter().enumerate().map(width).collect();
        Grid { columns, cells, widths }
    }

    /// Whether a column holds numbers alone.
    fn is_numeric(&self, nth: usize) -> bool {
        let mut cells = self.rows.iter().map(|row| &row[nth].value).filter(|cell| !cell.is_null()).peekable();
        cells.peek().is_some() && cells.all(Value::is_number)
    }

    fn paint_grid(&self, grid: &Grid, look: &Appearance, indent: usize, painted: &mut Painted) {
        let heads = grid.columns.iter().map(|nth| (Tone::Head, self.columns[*nth].name.to_owned())).collect();
        let rules = grid.widths.iter().map(|width| (Tone::Plain, "-".repeat(*width))).collect();
        self.paint_line(grid, indent, heads, painted);
        self.paint_line(grid, indent, rules, painted);
        for (row, cells) in self.rows.iter().zip(&grid.cells) {
            let tones = grid.columns.iter().map(|nth| row[*nth].tone);
            self.paint_line(grid, indent, tones.zip(cells.iter().cloned()).collect(), painted);
            if look.wide {
                continue;
            }
            for (nth, column) in self.columns.iter().enumerate().filter(|(_, column)| column.is_below()) {
                if column.need != Need::Wide && row[nth].is_there() {
                    column.paint_below(&row[nth], look, indent + BETWEEN, column.name.len(), painted);
                }
            }
        }
    }

    fn paint_line(&self, grid: &Grid, indent: usize, cells: Vec<(Tone, String)>, painted: &mut Painted) {
        painted.add(Tone::Plain, &" ".repeat(indent));
        // Nothing stands behind the last words of a line.
        let mut gap = 0;
        for ((tone, cell), (nth, width)) in cells.into_iter().zip(grid.columns.iter().zip(&grid.widths)) {
            let padding = width.saturating_sub(cell.width());
            let (before, after) = if self.is_numeric(*nth) { (padding, 0) } else { (0, padding) };
            painted.add(Tone::Plain, &" ".repeat(gap + before));
            painted.add(tone, &cell);
            gap = after + BETWEEN;
        }
        painted.add(Tone::Plain, "\n");
    }

    /// A line a cell, where no grid fits.
    fn paint_list(&self, look: &Appearance, indent: usize, painted: &mut Painted) {
        let named = self.columns.iter().filter(|column| column.need != Need::Wide);
        let widest = named.map(|column| column.name.len()).max().unwrap_or(0);
        for (nth, row) in self.rows.iter().enumerate() {
            if nth > 0 {
                painted.add(Tone::Plain, "\n");
            }
            for (column, cell) in self.columns.iter().zip(row) {
                let is_shown = match column.need {
                    Need::Always => cell.is_there(),
                    Need::IfRoom => cell.says(),
                    Need::Wide => false,
                };
                if is_shown {
                    column.paint_below(cell, look, indent, widest, painted);
                }
            }
        }
    }
}

/// See [`TextTable::shown`].
pub struct ShownTable {
    /// A column each.
    pub heads: Vec<ShownHead>,
    /// A cell a column.
    pub rows: Vec<Vec<(Tone, String)>>,
}

/// What a column is.
pub struct ShownHead {
    /// Its name.
    pub name: &'static str,
    /// Whether it holds numbers alone.
    pub is_numeric: bool,
    /// Whether its cells are long texts.
    pub is_prose: bool,
}

/// Columns that were chosen, with their cells as text.
struct Grid {
    columns: Vec<usize>,
    cells: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl Grid {
    fn width(&self) -> usize {
        self.widths.iter().sum::<usize>() + BETWEEN * self.widths.len().saturating_sub(1)
    }
}

impl TableColumn {
    fn shown(self, value: &Value, look: &Appearance, ages: bool) -> String {
        match value {
            Value::Null => "-".into(),
            Value::Bool(true) => "yes".into(),
            Value::Bool(false) => "no".into(),
            Value::String(text) if look.wide => clean(text),
            Value::String(text) if matches!(self.kind, ColumnKind::Time | ColumnKind::Ago) => {
                let seconds = clean(&to_the_second(text));
                let at = Timestamp::parse(seconds.trim_end_matches('Z')).ok();
                match at.filter(|_| ages && self.kind == ColumnKind::Ago) {
                    Some(at) => format!("{seconds} {}", look.age(at)),
                    None => seconds,
                }
            }
            Value::String(text) => clean(text),
            other => other.to_string(),
        }
    }

    /// `  Name: text`, the names of one width.
    fn paint_below(self, cell: &TableCell, look: &Appearance, indent: usize, width: usize, painted: &mut Painted) {
        let padding = width + 1 - self.name.len();
        let head = format!("{:indent$}{}:{:padding$}", "", self.name, "");
        let text = self.shown(&cell.value, look, true);
        let lines = match self.kind {
            ColumnKind::Prose => wrapped(&text, look.width.saturating_sub(head.width()).max(BETWEEN)),
            _ => vec![text],
        };
        for (nth, line) in lines.iter().enumerate() {
            let before = if nth == 0 { head.clone() } else { " ".repeat(head.width()) };
            painted.add(Tone::Plain, &before);
            painted.add(cell.tone, line);
            painted.add(Tone::Plain, "\n");
        }
    }
}

/// `2026-11-30T05:36:01.25Z` as `2026-11-30T05:36:01Z`.
fn to_the_second(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, rest)) => format!("{seconds}{}", rest.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(width: usize) -> Appearance {
        Appearance { width, wide: false, now: Timestamp::parse("2026-11-30T12:00:00").unwrap() }
    }

    fn painted(table: &TextTable, look: Appearance) -> String {
        let mut painted = Painted::default();
        table.paint(&look, 0, &mut painted);
        painted.plain()
    }

    fn runs() -> TextTable {
        let mut table = TextTable::new([
            plain("Id"),
            ago("StartedAt"),
            plain("By").if_room(),
            plain("Nobody").if_room(),
            prose("Error"),
            line("Command"),
            line("Scope"),
            plain("Epoch").wide(),
        ]);
        let at = "2026-11-30T09:00:00.1234567Z";
        let none = Value::Null;
        table.push([
            "a".into(),
            at.into(),
            "漢字".into(),
            none.clone().into(),
            none.clone().into(),
            none.clone().into(),
            TableCell::usual_unless(false, "All"),
            1.into(),
        ]);
        table.push([
            "b".into(),
            at.into(),
            "me".into(),
            none.into(),
            "it was all too much".into(),
            "do it again".into(),
            "one".into(),
            12.into(),
        ]);
        table
    }

    #[test]
    fn text_is_aligned_and_json_has_the_same_cells() {
        let mut table = TextTable::new([plain("Name"), plain("Rows")]);
        table.push(["a".into(), 5.into()]);
        table.push([Value::Null.into(), 12345.into()]);
        assert_eq!(painted(&table, look(80)), "Name   Rows\n----  -----\na         5\n-     12345\n");
        assert_eq!(table.json().to_string(), r#"[{"Name":"a","Rows":5},{"Name":null,"Rows":12345}]"#);
    }

    #[test]
    fn a_table_fits_its_terminal_and_names_the_rest_below() {
        let below = "  Error: it was all too much\n  Command: do it again\n  Scope: one\n";
        assert_eq!(
            painted(&runs(), look(40)),
            format!(
                "Id  StartedAt                     By\n--  ----------------------------  ----\n\
                 a   2026-11-30T09:00:00Z 3 h ago  漢字\nb   2026-11-30T09:00:00Z 3 h ago  me\n{below}"
            )
        );
        let narrower = painted(&runs(), look(36));
        assert!(narrower.contains("3 h ago\n") && !narrower.contains("By"), "what there is room for goes: {narrower}");
        let narrower = painted(&runs(), look(30));
        assert!(narrower.contains("09:00:00Z  me") && !narrower.contains("ago"), "then ages go: {narrower}");
        assert_eq!(
            painted(&runs(), look(20)),
            "Id:        a\nStartedAt: 2026-11-30T09:00:00Z 3 h ago\nBy:        漢字\n\nId:        b\n\
             StartedAt: 2026-11-30T09:00:00Z 3 h ago\nBy:        me\nError:     it was\n           all too\n           \
             much\nCommand:   do it again\nScope:     one\n"
        );
    }

    #[test]
    fn wide_has_every_column_and_every_digit() {
        let wide = painted(&runs(), Appearance { wide: true, ..look(20) });
        assert_eq!(wide.lines().count(), 4, "{wide}");
        for there in ["Epoch", "Nobody", "09:00:00.1234567Z", "it was all too much  do it again  one", "All"] {
            assert!(wide.contains(there), "{there} is not in\n{wide}");
        }
    }

    #[test]
    fn what_a_database_holds_cannot_steer_the_terminal() {
        let mut table = TextTable::new([plain("Name"), prose("Why")]);
        table.push(["\u{1b}[2J\nx".into(), "a\u{1b}[2Jb".into()]);
        let text = painted(&table, look(80));
        assert_eq!(text.matches('\n').count(), 4);
        assert!(!text.contains('\u{1b}'));
    }
}
