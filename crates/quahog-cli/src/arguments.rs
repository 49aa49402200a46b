//! The command line: verbs, and the values that several of them share.
//!
//! Options of clamscan that quahog cannot honour are no options here, so they
//! are refused; [`parse`] only makes sure that the refusal says why.

use std::io::Write as _;

use clap::builder::styling::{AnsiColor, Styles};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

use crate::console::escape;
use crate::{
    Exit, apply, bench, build, check, compile, decode, diff, explain, info, pages, scan, unpack,
};

/// Matches ClamAV-format signatures in mail and files
#[derive(Debug, Parser)]
#[command(name = "quahog", version = VERSION, propagate_version = true, styles = STYLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

/// What quahog is asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Scan(Box<scan::Options>),
    Check(check::Options),
    Compile(compile::Options),
    Decode(decode::Options),
    Explain(explain::Options),
    Info(info::Options),
    Unpack(unpack::Options),
    Build(build::Options),
    Diff(diff::Options),
    Apply(apply::Options),
    Bench(bench::Options),
    Completions(pages::CompletionsOptions),
    Man(pages::ManOptions),
}

/// Reads the command line; what is wrong with it, or was asked of it, is said.
pub(crate) fn parse() -> Result<Verb, Exit> {
    match Arguments::try_parse() {
        Ok(arguments) => Ok(arguments.verb),
        Err(error) => {
            match refusal(&error) {
                Some(text) => {
                    let _ = writeln!(std::io::stderr(), "error: {text}");
                }
                None => drop(error.print()),
            }
            Err(if error.use_stderr() { Exit::Error } else { Exit::Fine })
        }
    }
}

/// What to say of an option of clamscan that is none of ours.
fn refusal(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let name = argument.split_once('=').map_or(argument.as_str(), |(name, _)| name);
    let option =
        name.strip_prefix("--").or_else(|| name.strip_prefix('-').filter(|n| n.len() == 1))?;
    let name = escape(name);
    let known = NOT_PLANNED.contains(&option);
    known.then(|| format!("{name} is refused: quahog does not offer this option of clamscan"))
}

/// Reads `yes` or `no`.
pub(crate) fn yes_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("expected `yes` or `no`".to_owned()),
    }
}

/// Reads a size: a number of bytes, or of KiB, MiB, GiB with `K`, `M`, `G`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("expected a number, alone or with K, M or G".to_owned());
    }
    let number: Option<u64> = digits.parse().ok();
    number.and_then(|n| n.checked_mul(1 << shift)).ok_or_else(|| "number is too large".to_owned())
}

const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (signature language of ClamAV 1.4.6, functionality level 216)"
);

// Clap leaves colours out where there is no terminal, and with NO_COLOR.
const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Options of clamscan that quahog will not have.
const NOT_PLANNED: &[&str] = &[
    "a",
    "alert-partition-intersection",
    "archive-verbose",
    "bell",
    "bytecode-timeout",
    "copy",
    "debug",
    "detect-structured",
    "disable-cache",
    "dumpcerts",
    "force-to-disk",
    "gen-json",
    "leave-temps",
    "max-iconspe",
    "max-partitions",
    "max-rechwp3",
    "move",
    "remove",
    "statistics",
    "structured-cc-count",
    "structured-cc-mode",
    "structured-ssn-count",
    "structured-ssn-format",
];

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn sizes_take_a_unit() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("5"), Ok(5));
        assert_eq!(size("5k"), Ok(5 << 10));
        assert_eq!(size("5M"), Ok(5 << 20));
        assert_eq!(size("2G"), Ok(2 << 30));
        for bad in ["", "K", "5X", "-5", "+5", "5MM", "1.5M", "18446744073709551615K", "é"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_option_is_both_offered_and_refused() {
        let command = Arguments::command();
        let scan = command.find_subcommand("scan").unwrap();
        for name in NOT_PLANNED {
            assert!(
                scan.get_arguments().all(|argument| argument.get_long() != Some(name)),
                "{name}"
            );
        }
    }
}
