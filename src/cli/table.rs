//! [`Table`]: rows under named columns, printed aligned or as JSON objects from the same cells.

use super::out::clean;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Rows under named columns.
#[derive(Debug)]
pub struct Table {
    columns: &'static [&'static str],
    rows: Vec<Vec<Value>>,
}

impl Table {
    /// No rows yet.
    pub fn new(columns: &'static [&'static str]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// One more row: a cell a column.
    pub fn push<const N: usize>(&mut self, row: [Value; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(row.into());
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// An array with an object a row.
    pub fn json(&self) -> Value {
        let object = |row: &Vec<Value>| {
            let fields = self.columns.iter().map(|name| (*name).to_owned()).zip(row.iter().cloned());
            Value::Object(Map::from_iter(fields))
        };
        self.rows.iter().map(object).collect()
    }

    /// Aligned text: numbers to the right, NULL as `-`.
    pub fn text(&self) -> String {
        let cells: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(shown).collect()).collect();
        let width = |column: usize| {
            let widest = cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            widest.max(self.columns[column].len())
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let number = |column: usize| {
            let mut cells = self.rows.iter().map(|row| &row[column]).filter(|cell| !cell.is_null()).peekable();
            cells.peek().is_some() && cells.all(Value::is_number)
        };
        let mut text = String::new();
        let heads = self.columns.iter().map(|name| (*name).to_owned()).collect();
        let rules = widths.iter().map(|width| "-".repeat(*width)).collect();
        for row in [heads, rules].iter().chain(&cells) {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                let written = match number(column) {
                    true => write!(line, "{cell:>width$}  "),
                    false => write!(line, "{cell:<width$}  "),
                };
                debug_assert!(written.is_ok());
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) => clean(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_aligned_and_json_has_the_same_cells() {
        let mut table = Table::new(&["Name", "Rows"]);
        table.push(["a".into(), 5.into()]);
        table.push([Value::Null, 12345.into()]);
        assert_eq!(table.text(), "Name   Rows\n----  -----\na         5\n-     12345\n");
        assert_eq!(table.json().to_string(), r#"[{"Name":"a","Rows":5},{"Name":null,"Rows":12345}]"#);
    }

    #[test]
    fn what_a_database_holds_cannot_steer_the_terminal() {
        let mut table = Table::new(&["Name"]);
        table.push(["\u{1b}[2J\nx".into()]);
        assert_eq!(table.text().matches('\n').count(), 3);
        assert!(!table.text().contains('\u{1b}'));
    }
}
