//! `scan`: looks at files, and says what is in them in clamscan's words.
//!
//! Paths are walked lazily and looked at in groups, on as many threads as were
//! asked for; lines come out in the order of the walk all the same. A worker
//! holds one file at a time, so memory is bounded by threads times the largest
//! file that the limits allow.

mod options;

mod filter;
pub(crate) mod paths;

mod json;
mod lines;

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use quahog::{Completeness, Live, ScanReport, Scanner, Settings, Verdict};
use rayon::prelude::*;

use crate::console::{Console, escape, message, reason};
use crate::databases;
use crate::{Exit, files};

pub(crate) use options::Options;
use paths::{Met, Name, Paths};

pub(crate) fn run(options: &Options, console: &mut Console) -> anyhow::Result<Exit> {
    console.one_stream = options.stdout;
    let started = (Instant::now(), SystemTime::now());
    if let Some(threads) = options.threads {
        // Fails only if there is a pool, and this is where it is made.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    let paths = Paths::new(options, console)?;
    let log = options.log.as_ref().map(|path| {
        let log = OpenOptions::new().append(true).create(true).open(path);
        log.with_context(|| format!("--log: {}", path.display()))
    });
    let log = log.transpose()?;

    let Some((engine, refused)) = databases::engine(&options.databases, console)? else {
        return Ok(Exit::Error);
    };
    let mut run = Run { options, console, log, totals: Totals::default() };
    if let Some(log) = &mut run.log {
        writeln!(log, "\n{}\n", "-".repeat(79))?;
    }
    let known = engine.stats().n_signatures;
    let fingerprint = engine.fingerprint();
    // Where every file has its line, the lines show how far it came.
    if options.quiet || options.infected || !io::stdout().is_terminal() {
        run.console.begin("scanning: {pos} files");
    }
    let mut result = run.all(paths, &Live::new(engine));
    run.console.end();
    run.totals.directories = result.as_ref().map_or(0, |directories| *directories);
    if result.is_ok() && !options.no_summary && !options.is_json() {
        let summary = lines::summary(&run.totals, known, fingerprint, started);
        result = run.result(&summary, true).map(|()| run.totals.directories);
    }
    let totals = &run.totals;
    match result {
        Ok(_) => {}
        // What was found until then was found.
        Err(error) if crate::is_closed(&error) || totals.infected > 0 => {
            if !crate::is_closed(&error) {
                run.console.error(&message(&error));
            }
            return Ok(if totals.infected > 0 { Exit::Found } else { Exit::Error });
        }
        Err(error) => return Err(error),
    }
    Ok(if totals.infected > 0 {
        Exit::Found
    } else if totals.errors > 0 || refused || (options.fail_incomplete && totals.incomplete > 0) {
        Exit::Error
    } else {
        Exit::Fine
    })
}

/// What became of one path.
struct Outcome {
    name: Name,
    what: What,
}

enum What {
    /// It was looked at; so many bytes were read.
    Scanned(ScanReport, u64),
    /// There is nothing in it.
    Empty,
    /// It was passed over, as the options or the defaults want it.
    Passed(&'static str),
    /// It could not be looked at.
    Failed(String),
}

/// Sums for the summary and the exit code.
#[derive(Default)]
struct Totals {
    directories: u64,
    files: u64,
    infected: u64,
    incomplete: u64,
    errors: u64,
    scanned_bytes: u64,
    read_bytes: u64,
}

struct Run<'r> {
    options: &'r Options,
    console: &'r mut Console,
    log: Option<File>,
    totals: Totals,
}

impl Run<'_> {
    /// Looks at everything; gives the number of folders that were entered.
    fn all(&mut self, mut paths: Paths, live: &Live) -> anyhow::Result<u64> {
        let settings = self.options.settings();
        let threads = rayon::current_num_threads();
        if threads == 1 {
            let (mut scanner, mut bytes) = (live.scanner_with(settings), Vec::new());
            for met in paths.by_ref() {
                if let Met::File(name) = &met {
                    self.announce(name)?;
                }
                let outcome = look(met, &mut scanner, &mut bytes);
                self.tell(&outcome)?;
            }
            return Ok(paths.directories());
        }
        let scanners = Scanners { live, settings, idle: Mutex::new(Vec::new()) };
        loop {
            let group: Vec<Met> = paths.by_ref().take(GROUP * threads).collect();
            if group.is_empty() {
                return Ok(paths.directories());
            }
            let outcomes: Vec<Outcome> =
                group.into_par_iter().with_max_len(1).map(|met| scanners.look(met)).collect();
            for outcome in &outcomes {
                if !matches!(outcome.what, What::Passed(_) | What::Failed(_)) {
                    self.announce(&outcome.name)?;
                }
                self.tell(outcome)?;
            }
        }
    }

    /// With `-v`, says whose turn it is.
    fn announce(&mut self, name: &Name) -> anyhow::Result<()> {
        if self.options.verbose && !self.options.is_json() {
            self.result(&format!("Scanning {}", escape(name.shown())), true)?;
        }
        Ok(())
    }

    /// Says what became of a path.
    fn tell(&mut self, outcome: &Outcome) -> anyhow::Result<()> {
        self.count(outcome);
        self.console.advance();
        if let What::Failed(why) = &outcome.what {
            let line = format!("{}: {} ERROR", escape(outcome.name.shown()), escape(why));
            self.console.diagnostic(&line);
            if let Some(log) = &mut self.log {
                writeln!(log, "{line}")?;
            }
        }
        if !lines::is_wanted(outcome, self.options) {
            return Ok(());
        }
        if self.options.is_json() {
            return self.result(&json::line(outcome), false);
        }
        for line in lines::of(outcome) {
            if let Some(log) = self.log.as_mut().filter(|_| line.is_logged()) {
                writeln!(log, "{}", line.text(None))?;
            }
            if !self.options.quiet {
                self.console.line(&line.text(Some(self.console)))?;
            }
        }
        Ok(())
    }

    /// Writes a line of the result; to the log even if `--quiet` keeps it from
    /// standard output.
    fn result(&mut self, line: &str, logged: bool) -> anyhow::Result<()> {
        if let Some(log) = self.log.as_mut().filter(|_| logged) {
            writeln!(log, "{line}")?;
        }
        if !self.options.quiet {
            self.console.line(line)?;
        }
        Ok(())
    }

    fn count(&mut self, outcome: &Outcome) {
        let totals = &mut self.totals;
        match &outcome.what {
            What::Scanned(report, read) => {
                totals.files += 1;
                totals.read_bytes += read;
                totals.scanned_bytes += report.stats().layer_bytes;
                match report.verdict() {
                    Verdict::Infected(_) => totals.infected += 1,
                    Verdict::Clean => {}
                    Verdict::Unavailable => totals.errors += 1,
                }
                if report.completeness() != Completeness::Complete {
                    totals.incomplete += 1;
                }
            }
            What::Failed(_) => totals.errors += 1,
            What::Empty | What::Passed(_) => {}
        }
    }
}

/// One scanner for each thread that wants one, and memory for what it reads.
struct Scanners<'l> {
    live: &'l Live,
    settings: Settings,
    idle: Mutex<Vec<(Scanner, Vec<u8>)>>,
}

/// Memory that is kept for the next file.
const MAX_KEPT: usize = 16 << 20;

impl Scanners<'_> {
    fn look(&self, met: Met) -> Outcome {
        // The list is whole even if a thread that held it panicked.
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let new = || (self.live.scanner_with(self.settings.clone()), Vec::new());
        let (mut scanner, mut bytes) = taken.unwrap_or_else(new);
        let outcome = look(met, &mut scanner, &mut bytes);
        idle().push((scanner, bytes));
        outcome
    }
}

/// Reads a file into `bytes` and looks at it.
fn look(met: Met, scanner: &mut Scanner, bytes: &mut Vec<u8>) -> Outcome {
    let name = match met {
        Met::File(name) => name,
        Met::Passed(name, why) => return Outcome { name, what: What::Passed(why) },
        Met::Failed(name, why) => return Outcome { name, what: What::Failed(why) },
    };
    // One byte more than is looked at, so that the report knows of the rest.
    let most = scanner.settings().limits.part_bytes.saturating_add(1);
    let read = match &name {
        Name::Path(path) => files::read_into(path, most, bytes),
        Name::Stdin => io::stdin().lock().take(most).read_to_end(bytes).map(drop),
    };
    let what = match read {
        Ok(()) if bytes.is_empty() && name != Name::Stdin => What::Empty,
        Ok(()) => {
            let report = scanner.scan(bytes);
            What::Scanned(report, bytes.len() as u64)
        }
        Err(error) => What::Failed(reason(&error)),
    };
    bytes.clear();
    bytes.shrink_to(MAX_KEPT);
    Outcome { name, what }
}

/// Paths for each thread that are looked at before lines come out.
const GROUP: usize = 64;

/// How long something took, in clamscan's words.
fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:.3} sec ({} m {} s)", time.as_secs_f64(), seconds / 60, seconds % 60)
}
