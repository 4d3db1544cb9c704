//! Help texts, laid out for the terminal that they are printed to.
//!
//! Clap wraps the descriptions of arguments. What follows them is written in lines of the source; here paragraphs are
//! wrapped, examples are broken as a shell takes it, and lists keep their columns.

use super::look::help_width;
use super::wrap::wrapped;
use clap::Command;

/// How far in the second line of an example stands.
const GOES_ON: &str = "      ";

/// The command with all help texts as wide as the terminal, 100 columns at most.
pub fn laid_out(command: Command) -> Command {
    laid_out_for(command, help_width())
}

fn laid_out_for(command: Command, width: usize) -> Command {
    let command = match command.get_after_help().map(ToString::to_string) {
        Some(text) => command.after_help(reflowed(&text, width)),
        None => command,
    };
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, |below| laid_out_for(below, width)))
}

/// What lines of the source mean.
enum HelpBlock {
    Blank,
    Paragraph(String),
    /// An example to type.
    Shell(String),
    /// An entry of a list: how far in its text stands, and the entry.
    Entry(usize, String),
}

fn reflowed(text: &str, width: usize) -> String {
    let lines = blocks(text).into_iter().flat_map(|block| match block {
        HelpBlock::Blank => vec![String::new()],
        HelpBlock::Paragraph(text) => wrapped(&text, width),
        HelpBlock::Shell(line) => shell_lines(&line, width),
        HelpBlock::Entry(hang, entry) => entry_lines(&entry, hang, width),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn blocks(text: &str) -> Vec<HelpBlock> {
    let mut blocks: Vec<HelpBlock> = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let words = line.trim();
        match (blocks.last_mut(), indent) {
            _ if words.is_empty() => blocks.push(HelpBlock::Blank),
            (Some(HelpBlock::Paragraph(text)), 0) if !text.ends_with(':') => text.extend([" ", words]),
            (_, 0) => blocks.push(HelpBlock::Paragraph(words.to_owned())),
            (Some(HelpBlock::Shell(line)), _) if line.ends_with('\\') => {
                line.pop();
                line.push_str(words);
            }
            (_, _) if words.starts_with("blobdelta ") => blocks.push(HelpBlock::Shell(words.to_owned())),
            (Some(HelpBlock::Entry(hang, entry)), _) if indent == *hang => entry.extend([" ", words]),
            (_, _) => blocks.push(HelpBlock::Entry(hang_of(line), line.trim_end().to_owned())),
        }
    }
    blocks
}

/// Where the text of an entry begins: behind the first wide space, if there is one.
fn hang_of(line: &str) -> usize {
    let indent = line.len() - line.trim_start().len();
    let Some(wide) = line[indent..].find("  ") else { return indent };
    let rest = &line[indent + wide..];
    indent + wide + (rest.len() - rest.trim_start().len())
}

fn shell_lines(line: &str, width: usize) -> Vec<String> {
    const INDENT: &str = "  ";
    let mut lines = vec![INDENT.to_owned()];
    for word in shell_words(line) {
        let Some(last) = lines.last_mut() else { break };
        if last.trim().is_empty() {
            last.push_str(&word);
        } else if last.len() + 1 + word.len() + " \\".len() <= width {
            last.extend([" ", &word]);
        } else {
            last.push_str(" \\");
            lines.push(format!("{GOES_ON}{word}"));
        }
    }
    lines
}

/// Words as a shell takes them; an option stands with its value.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut is_quoted, mut is_new): (Vec<String>, bool, bool) = (Vec::new(), false, true);
    for c in line.chars() {
        is_quoted ^= c == '\'';
        match (c == ' ' && !is_quoted, words.last_mut()) {
            (true, _) => is_new = true,
            (false, Some(word)) if !is_new => word.push(c),
            (false, Some(word)) if word.starts_with("--") && !word.contains(' ') && c != '-' => {
                word.extend([' ', c]);
                is_new = false;
            }
            (false, _) => {
                words.push(c.to_string());
                is_new = false;
            }
        }
    }
    words
}

fn entry_lines(entry: &str, hang: usize, width: usize) -> Vec<String> {
    let (head, text) = entry.split_at(hang.min(entry.len()));
    let room = width.saturating_sub(hang).max(GOES_ON.len());
    let lines = wrapped(text, room).into_iter().enumerate();
    lines.map(|(nth, line)| if nth == 0 { format!("{head}{line}") } else { format!("{:hang$}{line}", "") }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::args::Args;
    use super::*;
    use clap::CommandFactory as _;

    const TEXT: &str = "A sentence that goes\non in the source.\n\nExamples:\n  blobdelta run --out ./b \\\n      --ship 's3://a b/c' x\n\nFields:\n  Name     what it is called by\n           most\n  Other";

    #[test]
    fn paragraphs_examples_and_lists_are_laid_out_for_a_width() {
        assert_eq!(
            reflowed(TEXT, 30),
            "A sentence that goes on in the\nsource.\n\nExamples:\n  blobdelta run --out ./b \\\n      \
             --ship 's3://a b/c' x\n\nFields:\n  Name     what it is called\n           by most\n  Other"
        );
        assert!(reflowed(TEXT, 80).contains("  blobdelta run --out ./b --ship 's3://a b/c' x\n"));
    }

    #[test]
    fn every_help_text_fits_a_terminal_of_80_columns() {
        fn check(command: &mut Command) {
            let help = command.clone().term_width(80).render_long_help().to_string();
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
            command.get_subcommands_mut().for_each(check);
        }
        let mut command = laid_out_for(Args::command(), 80);
        command.build();
        check(&mut command);
    }
}
