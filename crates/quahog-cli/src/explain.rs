//! `explain`: why a file matches a signature, or how far it came.

use std::path::{Path, PathBuf};

use quahog::scan::{Conclusion, Explained};
use quahog::{Completeness, Input, Live, Settings};

use crate::console::{Console, escape, reason};
use crate::databases;
use crate::{Exit, files};

/// Says why a file matches a signature, or how far it came
///
/// Shows the signature in words and where it comes from, and then, for the file
/// and everything inside it, each condition and subsignature: whether it holds
/// (`+`) or not (`-`), where it was found, and the bytes. What is for files of
/// another kind is left out, unless there is nothing else to tell.
///
/// A name of a heuristic can be given, too; then it is shown where it was found.
///
/// Exit code: 0 it matches, 1 it does not, 2 the file cannot be read or no
/// signature has this name.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The file
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The name of the signature, with or without `.UNOFFICIAL`
    #[arg(short, long, value_name = "NAME")]
    signature: String,
    #[command(flatten)]
    databases: databases::EngineOptions,
    /// Take the file for a message, whatever its first bytes look like
    #[arg(long, value_name = "WHAT", value_parser = ["mail"])]
    assume: Option<String>,
    /// Show every view that was looked at
    #[arg(short, long)]
    verbose: bool,
}

/// What of a file is looked at.
const MAX_FILE: u64 = 100 << 20;

pub(crate) fn run(options: &Options, console: &mut Console) -> anyhow::Result<Exit> {
    let Some((engine, _)) = databases::engine(&options.databases, console)? else {
        return Ok(Exit::Error);
    };
    let bytes = match files::read(&options.path, MAX_FILE) {
        Ok(bytes) => bytes,
        Err(error) => {
            let path = escape(&options.path);
            console.diagnostic(&format!("{path}: {} ERROR", escape(reason(&error))));
            return Ok(Exit::Error);
        }
    };
    let mut settings = Settings::default();
    if options.assume.is_some() {
        settings.input = Input::Message;
    }
    let name = options.signature.as_str();
    let explanations = Live::new(engine).scanner_with(settings).explain(&bytes, name);
    if explanations.signatures.is_empty() {
        return heuristic(options, &explanations.report, console);
    }
    let useful = |look: &Explained| look.why.conclusion != Conclusion::OutOfScope;
    let any = explanations.looks.iter().any(useful);
    for (number, signature) in explanations.signatures.iter().enumerate() {
        let origin = match signature.source.as_str() {
            "" => "no database".to_owned(),
            source => format!("{}, line {}", escape(source), signature.line),
        };
        console.line(&format!("{}: {} from {origin}", escape(&signature.name), signature.kind))?;
        for line in &signature.words {
            console.line(&format!("    {}", escape(line)))?;
        }
        let own = explanations.looks.iter().filter(|look| look.signature == number);
        let mut told = 0;
        for look in own.filter(|look| options.verbose || !any || useful(look)) {
            show(&options.path, look, console)?;
            told += 1;
        }
        if told == 0 {
            console.line("nothing was looked at for this signature")?;
        }
    }
    if let Completeness::Incomplete(_) = explanations.report.completeness() {
        let gaps = explanations.report.completeness().to_string();
        console.line(&escape(format!("not all was looked at: {gaps}")))?;
    }
    let matches = explanations.conclusion() == Some(Conclusion::Matches);
    Ok(if matches { Exit::Fine } else { Exit::Found })
}

fn show(path: &Path, look: &Explained, console: &Console) -> anyhow::Result<()> {
    let conclusion = match look.why.conclusion {
        Conclusion::Matches => "matches",
        Conclusion::Undecided(_) => "may match",
        Conclusion::Allowed => "matches, and is allowed",
        Conclusion::Fails => "does not match",
        Conclusion::OutOfScope => "is not searched for it",
    };
    let mut object = escape(path);
    if !look.object.is_empty() {
        object = format!("{object}!{}", escape(&look.object));
    }
    let (view, file_type) = (look.view, look.file_type);
    console.line(&format!("{object} (CL_TYPE_{file_type}, {view}) {conclusion}"))?;
    for (fact, excerpt) in look.why.facts.iter().zip(&look.excerpts) {
        let sign = if fact.holds { '+' } else { '-' };
        let mut line = format!("    {sign} {}", escape(&fact.text));
        if let Some(span) = &fact.span {
            let more = if span.len() > excerpt.len() { ".." } else { "" };
            let text = excerpt.escape_ascii();
            line += &format!(", bytes {} to {}: \"{text}\"{more}", span.start, span.end);
        }
        console.line(&line)?;
    }
    Ok(())
}

/// Shows where a name was found that no signature has.
fn heuristic(
    options: &Options,
    report: &quahog::scan::ScanReport,
    console: &Console,
) -> anyhow::Result<Exit> {
    let name = options.signature.as_str();
    let mut found = report.detections().iter().filter(|d| d.name() == name).peekable();
    if found.peek().is_none() {
        if name.starts_with("Heuristics.") {
            console.line("no heuristic of this name was met")?;
            return Ok(Exit::Found);
        }
        console.error(&format!("no signature is called {}", escape(name)));
        return Ok(Exit::Error);
    }
    for detection in found {
        let mut object = escape(&options.path);
        if !detection.object().is_empty() {
            object = format!("{object}!{}", escape(detection.object()));
        }
        let view = detection.view();
        console.line(&format!("{object} ({view}): a heuristic, of no signature"))?;
    }
    Ok(Exit::Fine)
}
