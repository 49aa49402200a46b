//! The options of `scan`: clamscan's, under its names, and our own.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::RangedU64ValueParser;
use quahog::{Input, Limits, Settings};

use crate::arguments::{size, yes_no};
use crate::databases;

/// Scans files and folders
///
/// Prints what clamscan prints: `PATH: NAME FOUND`, `PATH: OK`, `PATH: Empty
/// file`. Where a limit or an unsupported form kept something from being looked
/// at, it prints `PATH: INCOMPLETE reason`, after the FOUND lines or in place of
/// OK.
///
/// Exit code: 0 nothing was found, 1 something was found, 2 nothing was found and
/// something went wrong.
///
/// Databases, if none are named: $QUAHOG_DATABASE, else the ClamAV folder of the
/// system if it holds any, else a small demonstration set that protects nobody.
///
/// Options have clamscan's names and meanings. One whose feature does not exist
/// is refused, never accepted and ignored.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Files, folders (the files in them), and `-` for standard input; the
    /// current folder if none is given
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// A database or a folder of databases; may be given more than once
    #[arg(short, long, value_name = "PATH", help_heading = "Databases")]
    pub(super) database: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) databases: databases::LoadOptions,
    #[command(flatten)]
    pub(super) files: FileOptions,
    #[command(flatten)]
    limits: LimitOptions,
    #[command(flatten)]
    looking: LookingOptions,

    /// Print nothing but errors
    #[arg(long, help_heading = "Output")]
    pub(super) quiet: bool,
    /// Print only files with something found, or with something not looked at
    #[arg(short, long, help_heading = "Output")]
    pub(super) infected: bool,
    /// Do not print the files that are OK
    #[arg(short = 'o', long, help_heading = "Output")]
    pub(super) suppress_ok_results: bool,
    /// Print no summary
    #[arg(long, help_heading = "Output")]
    pub(super) no_summary: bool,
    /// Print warnings and errors on standard output too
    #[arg(long, help_heading = "Output")]
    pub(super) stdout: bool,
    /// Append what is found, and the summary, to a file
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(super) log: Option<PathBuf>,
    /// Say which file comes next
    #[arg(short, long, help_heading = "Output")]
    pub(super) verbose: bool,
    /// Print one JSON object a line for each path, and no summary
    #[arg(long, help_heading = "Output")]
    pub(super) json: bool,
    /// Exit with 2 instead of 0 if something was not looked at
    #[arg(long, help_heading = "Output")]
    pub(super) fail_incomplete: bool,

    /// How many files are looked at at once; by default one for each processor
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub(super) threads: Option<usize>,
    /// Accepted for clamscan's sake: no temporary files are ever written
    #[arg(long, value_name = "DIR")]
    tempdir: Option<PathBuf>,
}

/// Which files are looked at.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Files")]
pub(super) struct FileOptions {
    /// Also what lies below the folders
    #[arg(short, long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    pub(super) recursive: bool,
    /// Take the paths from a file, one a line, instead of the command line; `-`
    /// for standard input
    #[arg(short, long, value_name = "FILE")]
    pub(super) file_list: Option<PathBuf>,
    /// Pass over files whose path matches; may be given more than once
    #[arg(long, value_name = "REGEX")]
    pub(super) exclude: Vec<String>,
    /// Pass over folders whose path matches
    #[arg(long, value_name = "REGEX")]
    pub(super) exclude_dir: Vec<String>,
    /// Only files whose path matches
    #[arg(long, value_name = "REGEX")]
    pub(super) include: Vec<String>,
    /// Only folders whose path matches, the named ones too
    #[arg(long, value_name = "REGEX")]
    pub(super) include_dir: Vec<String>,
    /// Go on into folders on other file systems
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    pub(super) cross_fs: bool,
    /// Follow links to folders: 0 never, 1 those that are named, 2 all
    #[arg(long, value_name = "0/1/2", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "1", default_missing_value = "1", value_parser = clap::value_parser!(u8).range(0..=2))]
    pub(super) follow_dir_symlinks: u8,
    /// Follow links to files: 0 never, 1 those that are named, 2 all
    #[arg(long, value_name = "0/1/2", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "1", default_missing_value = "1", value_parser = clap::value_parser!(u8).range(0..=2))]
    pub(super) follow_file_symlinks: u8,
    /// How deep folders inside each other are entered, the named one counted
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub(super) max_dir_recursion: u32,
}

/// How far a scan goes. What lies beyond is reported as INCOMPLETE.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits (0 is no limit, where nothing else is said)")]
struct LimitOptions {
    /// Bytes of a file, and of a part inside one; of a longer one only the
    /// first are looked at [default: 100M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_filesize: Option<u64>,
    /// Bytes of all parts inside a file together [default: 400M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_scansize: Option<u64>,
    /// Parts inside a file [default: 10000]
    #[arg(long, value_name = "N")]
    max_files: Option<u32>,
    /// Layers inside each other, the file itself counted; by default 17
    /// containers and 50 messages. Not 0
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_recursion: Option<u32>,
    /// The longest time for a file, in milliseconds: clamscan's name for
    /// --deadline
    #[arg(long, value_name = "MS")]
    max_scantime: Option<u64>,
    /// The longest time for a file, in milliseconds; by default the clock is
    /// not looked at
    #[arg(long, value_name = "MS")]
    deadline: Option<u64>,
    /// Units of work for a file, about one for each byte touched: a limit that
    /// gives the same result on every machine. 0 is none at all
    #[arg(long, value_name = "N")]
    fuel: Option<u64>,
}

/// What is opened, and how it is looked at.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Scanning")]
struct LookingOptions {
    /// Report every signature that matches, and not only the first
    #[arg(short = 'z', long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    allmatch: bool,
    /// What the input is, whatever its first bytes look like
    #[arg(long, value_name = "WHAT")]
    assume: Option<Assume>,
    /// Open messages
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    scan_mail: bool,
    /// Open archives
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    scan_archive: bool,
    /// Look at the normalised forms of HTML
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    scan_html: bool,
    /// Normalise HTML, scripts and text
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    normalize: bool,
    /// Report weak names (`PUA.`, `Heuristics.`) as soon as they are met, and
    /// not only if nothing else is found
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    heuristic_scan_precedence: bool,
}

/// What an input may be said to be.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Assume {
    /// A message
    Mail,
}

impl Options {
    /// What the library is asked to do.
    pub(super) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.all_matches = self.looking.allmatch;
        settings.input = match self.looking.assume {
            Some(Assume::Mail) => Input::Message,
            None => Input::Any,
        };
        settings.mail = self.looking.scan_mail;
        settings.archives = self.looking.scan_archive;
        settings.html = self.looking.scan_html;
        settings.normalize = self.looking.normalize;
        settings.heuristic_precedence = self.looking.heuristic_scan_precedence;
        settings.limits = self.limits.limits();
        settings.recursion = self.limits.max_recursion;
        settings.deadline = self.limits.deadline();
        settings
    }
}

impl LimitOptions {
    fn limits(&self) -> Limits {
        // clamscan's 0 is no limit.
        let bytes = |given: Option<u64>, default| match given {
            None => default,
            Some(0) => u64::MAX,
            Some(bytes) => bytes,
        };
        let default = Limits::default();
        Limits {
            part_bytes: bytes(self.max_filesize, default.part_bytes),
            total_bytes: bytes(self.max_scansize, default.total_bytes),
            parts: match self.max_files {
                None => default.parts,
                Some(0) => u32::MAX,
                Some(parts) => parts,
            },
            fuel: self.fuel.unwrap_or(default.fuel),
            ..default
        }
    }

    /// The shorter of the two times; 0 is none.
    fn deadline(&self) -> Option<Duration> {
        let given = [self.max_scantime, self.deadline];
        let shortest = given.into_iter().flatten().filter(|time| *time > 0).min();
        shortest.map(Duration::from_millis)
    }
}
