//! `decode`: one signature in words.

use std::io::Read as _;

use anyhow::Context as _;
use quahog::database::{decode, guess_format};
use quahog::sig::Format;

use crate::Exit;
use crate::console::{Console, escape};
use crate::databases::render;

/// Says in words what a signature looks for
///
/// Reads one signature of any kind: a line of a database, a whole YARA rule, or
/// the head of a bytecode file. Prints what it says as quahog understands it,
/// and what a scan searches for to find it at all: a rare literal costs little,
/// a frequent one makes every scan look closer, often.
///
/// Exit code: 0, or 2 if it cannot be read; then the place and the reason are
/// shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The signature, or `-` for standard input
    #[arg(value_name = "LINE")]
    line: String,
    /// What it is, as the extension of a database, such as `ndb`; by default
    /// its form decides
    #[arg(long, value_name = "EXTENSION", value_parser = format)]
    format: Option<Format>,
}

fn format(text: &str) -> Result<Format, String> {
    let name = format!("x.{}", text.trim_start_matches('.'));
    Format::from_file_name(&name).ok_or_else(|| "no extension of a database".to_owned())
}

/// The most bytes that are read of standard input.
const MAX_INPUT: u64 = 16 << 20;

pub(crate) fn run(options: &Options, console: &mut Console) -> anyhow::Result<Exit> {
    let mut bytes = Vec::new();
    if options.line == "-" {
        let input = std::io::stdin().lock().take(MAX_INPUT).read_to_end(&mut bytes);
        input.context("standard input")?;
    } else {
        bytes.extend_from_slice(options.line.as_bytes());
    }
    let format = options.format.unwrap_or_else(|| guess_format(&bytes));
    let decoded = match decode(format, &bytes) {
        Ok(decoded) => decoded,
        Err(diagnostic) => {
            console.diagnostic(&format!("ERROR: {}", render(&diagnostic)));
            return Ok(Exit::Error);
        }
    };
    for signature in decoded {
        let extension = signature.format.extension();
        let heading = match signature.name.as_str() {
            "" => signature.kind,
            name => format!("{}: {} (.{extension})", escape(name), signature.kind),
        };
        console.line(&heading)?;
        for line in signature.words.iter().chain(&signature.plan) {
            console.line(&format!("    {}", escape(line)))?;
        }
    }
    Ok(Exit::Fine)
}
