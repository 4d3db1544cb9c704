//! From arguments to exit code.

use super::answer::Answer;
use super::args::{Args, Command, LogFormat};
use super::exit::Exit;
use super::json::error_document;
use super::progress::Progress;
use super::render::{error_text, exit_of};
use super::table_args::TableCommand;
use super::{
    allocator, archive, chain, compact, demo, deploy, doctor, folders, inspect, key, out, pack, prune, receive,
    reconcile, replay, run, ship, signals, status, tables, unpack, verify,
};
use crate::durable::keep_private;
use crate::error::{Error, Result};
use clap::Parser as _;
use std::process::ExitCode;

/// The whole program.
pub fn main() -> ExitCode {
    allocator::keep_little();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(refused) => return refuse(&refused).into(),
    };
    keep_private(args.group_readable);
    let progress = Progress::new(args.log_format == LogFormat::Json);
    match signals::listen().and_then(|()| dispatch(&args, &progress)) {
        Ok(answer) => {
            let text = if args.json { format!("{}\n", out::json(&answer.json)) } else { answer.text };
            print(&text, answer.exit).into()
        }
        Err(error) => tell(&error, args.json).into(),
    }
}

fn dispatch(args: &Args, progress: &Progress) -> Result<Answer> {
    folders::check(&args.command)?;
    match &args.command {
        Command::Demo(demo) => demo::run(demo, args.json, progress),
        Command::Deploy(args) => deploy::run(args, progress),
        Command::Doctor(args) => doctor::run(args),
        Command::Table(TableCommand::Add(args)) => tables::add(args),
        Command::Table(TableCommand::List(args)) => tables::list(args),
        Command::Table(TableCommand::Set(args)) => tables::set(args),
        Command::Table(TableCommand::Remove(args)) => tables::remove(args),
        Command::Key(command) => key::run(command),
        Command::Run(args) => run::run(args, progress),
        Command::Pack(args) => pack::run(args, progress),
        Command::Status(args) => status::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Verify(args) => verify::run(args, progress),
        Command::Archive(args) => archive::archive(args, progress),
        Command::Extract(args) => archive::extract(args, progress),
        Command::Ship(args) => ship::run(args, progress),
        Command::Receive(args) => receive::run(args, progress),
        Command::Chain(args) => chain::run(args, progress),
        Command::Compact(args) => compact::run(args, progress),
        Command::Unpack(unpack) => unpack::run(unpack, args.json, progress),
        Command::Replay(args) => replay::run(args, progress),
        Command::Prune(args) => prune::run(args, progress),
        Command::Reconcile(args) => reconcile::run(args, progress),
    }
}

/// Help and version go to stdout; a wrong argument is an error like any other.
fn refuse(refused: &clap::Error) -> Exit {
    if !refused.use_stderr() {
        return print(&refused.render().to_string(), Exit::Done);
    }
    if std::env::args_os().any(|arg| arg == "--json") {
        let text = refused.render().to_string();
        let what = text.trim().trim_start_matches("error: ").to_owned();
        return tell(&Error::usage(what), true);
    }
    _ = out::tell(&refused.render().to_string());
    Exit::Usage
}

fn tell(error: &Error, json: bool) -> Exit {
    if json {
        return print(&format!("{}\n", out::json(&error_document(error))), exit_of(error));
    }
    _ = out::tell(&error_text(error));
    exit_of(error)
}

/// Prints to stdout. A reader that went away is no failure; a full disk is.
fn print(text: &str, exit: Exit) -> Exit {
    match out::print(text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            out::tell_line(&format!("error: cannot write to stdout: {error}"));
            Exit::Failed
        }
        _ => exit,
    }
}
