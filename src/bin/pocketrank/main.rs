//! The command line: arguments and printing only.

/// Text on standard output; see [`print::out`].
macro_rules! out {
    ($($text:tt)*) => { $crate::print::out(format_args!($($text)*)) };
}
/// A line on standard output; see [`print::out`].
macro_rules! outln {
    ($($text:tt)*) => { $crate::print::out(format_args!("{}\n", format_args!($($text)*))) };
}

mod args;
mod commands;
mod compare;
mod demo;
mod eval;
mod formula;
mod print;
mod rank;
mod requests;
mod tune;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;

fn main() -> ExitCode {
    // clap prints usage errors itself and ends with 2, which is this program's code for them too.
    let cli = Cli::parse();
    match commands::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pocketrank: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
