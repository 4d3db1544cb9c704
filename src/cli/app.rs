//! From arguments to exit code.

use super::answer::Answer;
use super::args::{Args, Command, LogFormat};
use super::bandwidth::BandwidthArgs;
use super::exit::Exit;
use super::json::error_document;
use super::look::Appearance;
use super::out::{Painted, Tone};
use super::progress::Progress;
use super::render::{error_text, exit_of};
use super::table_args::TableCommand;
use super::text::Text;
use super::{
    allocator, archive, chain, compact, config, demo, deploy, doctor, erase, folders, help, inspect, key, look, mask,
    out, pack, prune, receive, reconcile, replay, report, runs, ship, signals, status, tables, unpack, verify,
};
use crate::durable::keep_private;
use crate::error::{Error, Kind, Result};
use clap::{CommandFactory as _, FromArgMatches as _};
use serde_json::Value;
use std::ffi::OsString;
use std::process::ExitCode;

/// What an error begins with.
const ERROR: &str = "error:";

/// The whole program.
pub fn main() -> ExitCode {
    allocator::keep_little();
    let command = help::laid_out(Args::command()).term_width(look::help_width());
    let words = match config::with_profile(&command, std::env::args_os().collect()) {
        Ok(words) => words,
        Err(error) => return print_to_stderr(&error, asks_for_json()).into(),
    };
    let args = match parse(command, &words.words) {
        Ok(args) => args,
        Err(refused) => return refuse(&refused, words.note.as_deref()).into(),
    };
    keep_private(args.group_readable);
    out::choose_colours(args.color.into());
    let progress = Progress::new(args.log_format == LogFormat::Json, args.verbosity());
    match signals::listen().and_then(|()| dispatch(&args, &progress)) {
        Ok(answer) => {
            let look = Appearance::of_stdout(args.wide);
            let text = match (args.json, args.quiet) {
                (true, _) => document(&answer.json),
                (false, true) => answer.result.painted(&look),
                (false, false) => answer.text.painted(&look),
            };
            print(&text, answer.exit).into()
        }
        Err(error) => {
            let exit = print_to_stderr(&error, args.json);
            // What a profile would have given may be what is missing.
            if let Some(note) = words.note.filter(|_| words.is_unused && error.kind() == Kind::Usage && !args.json) {
                out::print_line(Tone::Plain, "note:", &format!(" {}", out::clean(&note)));
            }
            exit.into()
        }
    }
}

/// All arguments, for man pages and completions.
pub fn command() -> clap::Command {
    Args::command()
}

fn parse(command: clap::Command, words: &[OsString]) -> std::result::Result<Args, clap::Error> {
    Args::from_arg_matches(&command.try_get_matches_from(words)?)
}

fn dispatch(args: &Args, progress: &Progress) -> Result<Answer> {
    match &args.command {
        Command::Run(run) if !run.plan => run.notify.around("blobdelta run", || work(args, progress)),
        _ => work(args, progress),
    }
}

fn work(args: &Args, progress: &Progress) -> Result<Answer> {
    folders::check(&args.command)?;
    bandwidth(&args.command).apply();
    match &args.command {
        Command::Demo(demo) => demo::run(demo, args.json, progress),
        Command::Deploy(args) => deploy::run(args, progress),
        Command::Doctor(args) => doctor::run(args),
        Command::Table(TableCommand::Add(args)) => tables::add(args),
        Command::Table(TableCommand::List(args)) => tables::list(args),
        Command::Table(TableCommand::Set(args)) => tables::set(args),
        Command::Table(TableCommand::Refresh(args)) => tables::refresh(args),
        Command::Table(TableCommand::Trigger(args)) => tables::trigger(args),
        Command::Table(TableCommand::Remove(args)) => tables::remove(args),
        Command::Key(command) => key::run(command),
        Command::Run(args) => runs::run(args, progress),
        Command::Pack(args) => pack::run(args, progress),
        Command::Status(args) => status::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Verify(args) => verify::run(args, progress),
        Command::Archive(args) => archive::archive(args, progress),
        Command::Extract(args) => archive::extract(args, progress),
        Command::Ship(args) => ship::run(args, progress),
        Command::Receive(args) => receive::run(args, progress),
        Command::Chain(args) => chain::run(args, progress),
        Command::Report(args) => report::run(args, progress),
        Command::Compact(args) => compact::run(args, progress),
        Command::Erase(args) => erase::run(args, progress),
        Command::Mask(args) => mask::run(args, progress),
        Command::Unpack(unpack) => unpack::run(unpack, args.json, progress),
        Command::Replay(args) => replay::run(args, progress),
        Command::Prune(args) => prune::run(args, progress),
        Command::Reconcile(args) => reconcile::run(args, progress),
        Command::Config(command) => {
            let words: Vec<OsString> = std::env::args_os().collect();
            config::run(command, &Args::command(), &words)
        }
    }
}

fn bandwidth(command: &Command) -> BandwidthArgs {
    match command {
        Command::Run(args) => args.shipping.bandwidth,
        Command::Pack(args) => args.shipping.bandwidth,
        Command::Ship(args) => args.bandwidth,
        Command::Receive(args) => args.bandwidth,
        _ => BandwidthArgs::default(),
    }
}

fn document(json: &Value) -> Painted {
    plain(format!("{}\n", out::json(json)))
}

fn plain(text: String) -> Painted {
    Text::from(text).painted(&Appearance::of_stdout(false))
}

/// Whether `--json` was typed, where nothing else was understood.
fn asks_for_json() -> bool {
    std::env::args_os().any(|arg| arg == "--json")
}

/// Help and version go to stdout; a wrong argument is an error like any other. The note says which options nobody typed.
fn refuse(refused: &clap::Error, note: Option<&str>) -> Exit {
    if !refused.use_stderr() {
        return print(&plain(refused.render().to_string()), Exit::Done);
    }
    if asks_for_json() {
        let text = refused.render().to_string();
        let what = text.trim().trim_start_matches(ERROR).trim_start().to_owned();
        let error = Error::usage(what);
        return print_to_stderr(&note.into_iter().fold(error, |error, note| error.hint(note)), true);
    }
    let (head, rest) = (ERROR, refused.render().to_string());
    let mut text = Text::new();
    if let Some(rest) = rest.strip_prefix(head) {
        text.add(Tone::Bad, head);
        text += rest;
    } else {
        text += &rest;
    }
    if let Some(note) = note {
        text += &format!("\n{}\n", out::clean(note));
    }
    _ = out::print_to_stderr(&text.painted(&Appearance::of_stdout(false)));
    Exit::Usage
}

fn print_to_stderr(error: &Error, json: bool) -> Exit {
    if json {
        return print(&document(&error_document(error)), exit_of(error));
    }
    _ = out::print_to_stderr(&error_text(error).painted(&Appearance::of_stdout(false)));
    exit_of(error)
}

/// Prints to stdout. A reader that went away is no failure; a full disk is.
fn print(text: &Painted, exit: Exit) -> Exit {
    match out::print(text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            out::print_line(Tone::Bad, ERROR, &format!(" cannot write to stdout: {error}"));
            Exit::Failed
        }
        _ => exit,
    }
}
