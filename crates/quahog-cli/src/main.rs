//! The `quahog` command: a thin door to the library.
//!
//! Each verb is a module with its options and a `run` that gives an [`Exit`].
//! What a verb knows it has from `quahog`; this crate finds the files, and says
//! in lines what became of them. Results go to standard output, diagnostics to
//! standard error, and both through [`console`], which escapes what could forge
//! a line and survives a reader that went away.
#![deny(unsafe_code)] // but for one call, in `images`

mod arguments;
mod console;
mod files;
mod trust;

mod databases;
mod images;

mod scan;

mod apply;
mod bench;
mod build;
mod check;
mod compile;
mod decode;
mod diff;
mod explain;
mod info;
mod pages;
mod unpack;

use std::io;
use std::process::ExitCode;

use crate::arguments::Verb;
use crate::console::Console;

/// How a verb ended, in the numbers that clamscan uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Exit {
    /// Nothing was found, nothing went wrong.
    Fine = 0,
    /// Something was found, or (`check`) left out.
    Found = 1,
    /// Something went wrong.
    Error = 2,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

fn main() -> ExitCode {
    let verb = match arguments::parse() {
        Ok(verb) => verb,
        Err(exit) => return exit.into(),
    };
    let mut console = Console::new();
    let result = match verb {
        Verb::Scan(options) => scan::run(&options, &mut console),
        Verb::Check(options) => check::run(&options, &mut console),
        Verb::Compile(options) => compile::run(&options, &mut console),
        Verb::Decode(options) => decode::run(&options, &mut console),
        Verb::Explain(options) => explain::run(&options, &mut console),
        Verb::Info(options) => info::run(&options, &mut console),
        Verb::Bench(options) => bench::run(&options, &mut console),
        Verb::Build(options) => build::run(&options, &mut console),
        Verb::Diff(options) => diff::run(&options, &mut console),
        Verb::Apply(options) => apply::run(&options, &mut console),
        Verb::Unpack(options) => unpack::run(&options, &mut console),
        Verb::Completions(options) => pages::completions(&options, &mut console),
        Verb::Man(options) => pages::man(&options),
    };
    result
        .unwrap_or_else(|error| {
            if !is_closed(&error) {
                console.error(&console::message(&error));
            }
            Exit::Error
        })
        .into()
}

/// Whether the reader of our output went away, which is no news to anybody.
fn is_closed(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
