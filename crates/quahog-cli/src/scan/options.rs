//! The options of `scan`: clamscan's, under its names, and our own.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::RangedU64ValueParser;
use quahog::scan::{RegexLimits, ViewLimits};
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
    #[command(flatten)]
    pub(super) databases: databases::EngineOptions,
    #[command(flatten)]
    pub(super) files: FileOptions,
    #[command(flatten)]
    limits: LimitOptions,
    #[command(flatten)]
    looking: LookingOptions,
    #[command(flatten)]
    alerts: AlertOptions,

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
    json: bool,
    /// As --json, with the tree of the objects in each file: their names, types,
    /// sizes and digests, and what is odd about them. Looks for all matches, so
    /// that the tree is whole
    #[arg(long, help_heading = "Output")]
    tree: bool,
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
    /// Bytes of a program inside another file, or it is not taken out
    /// [default: 40M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_embeddedpe: Option<u64>,
    /// Bytes of HTML, or it is not normalised [default: 40M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_htmlnormalize: Option<u64>,
    /// Bytes of HTML, or its text without tags is not made [default: 8M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_htmlnotags: Option<u64>,
    /// Bytes of text, or it is not normalised [default: 20M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_scriptnormalize: Option<u64>,
    /// Accepted for clamscan's sake: zips are told from office documents
    /// whatever their size, as clamscan 1.4.6 does with any value
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_ziptypercg: Option<u64>,
    /// Steps of a regular expression beside some for each byte, where it needs
    /// to go back; most never do [default: 20000000]
    #[arg(long, value_name = "N")]
    pcre_match_limit: Option<u64>,
    /// Choices that such an expression keeps open [default: 2000000]
    #[arg(long, value_name = "N")]
    pcre_recmatch_limit: Option<usize>,
    /// Bytes of a file, or no regular expression of a signature is searched in
    /// it [default: 100M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pcre_max_filesize: Option<u64>,
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
    /// Look at the sections and imports of PE files, and for broken ones, and run
    /// packed ones until they have unpacked themselves. Offsets
    /// in them keep their meaning without
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    scan_pe: bool,
    /// Do not look at the certificates of PE files
    #[arg(long)]
    nocerts: bool,
    /// Look for broken ELF files
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    scan_elf: bool,
    /// Open OLE2 documents
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    scan_ole2: bool,
    /// Open PDF documents
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    scan_pdf: bool,
    /// Open Flash files
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    scan_swf: bool,
    /// Open documents that are XML
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    scan_xmldocs: bool,
    /// Open documents of Hangul 3
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    scan_hwp3: bool,
    /// Open OneNote documents
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    scan_onenote: bool,
    /// Look at what pictures show, and for broken ones
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    scan_image: bool,
    /// Compute the perceptual hashes of pictures
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    scan_image_fuzzy_hash: bool,
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

/// What is reported though no signature says so.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Heuristics")]
struct AlertOptions {
    /// Report broken executables (PE, ELF, Mach-O)
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    alert_broken: bool,
    /// Report broken pictures (PNG, JPEG, GIF, TIFF)
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    alert_broken_media: bool,
    /// Report documents with macros
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    alert_macros: bool,
    /// Report encrypted archives and documents
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    alert_encrypted: bool,
    /// Report encrypted archives
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    alert_encrypted_archive: bool,
    /// Report encrypted documents
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    alert_encrypted_doc: bool,
    /// Report the first limit that keeps something from being looked at
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    alert_exceeds_max: bool,
    /// Report links that show `https:` and lead elsewhere, on no list or not
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    alert_phishing_ssl: bool,
    /// Report links that hide where they lead, on no list or not
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "no", default_missing_value = "yes", value_parser = yes_no)]
    alert_phishing_cloak: bool,
    /// Judge the links of messages by the phishing lists
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    phishing_scan_urls: bool,
    /// Report what no signature stands for and no option of its own asks for. There
    /// is nothing of the kind in quahog: the detections of this name in clamscan are
    /// of programs that it unpacks
    #[arg(long, value_name = "yes/no", num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "yes", default_missing_value = "yes", value_parser = yes_no)]
    heuristic_alerts: bool,
}

/// What an input may be said to be.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Assume {
    /// A message
    Mail,
}

impl Options {
    /// Whether the result is JSON.
    pub(super) fn is_json(&self) -> bool {
        self.json || self.tree
    }

    /// What the library is asked to do.
    pub(super) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.all_matches = self.looking.allmatch || self.tree;
        settings.tree = self.tree;
        settings.input = match self.looking.assume {
            Some(Assume::Mail) => Input::Message,
            None => Input::Any,
        };
        settings.mail = self.looking.scan_mail;
        settings.archives = self.looking.scan_archive;
        settings.html = self.looking.scan_html;
        settings.normalize = self.looking.normalize;
        settings.heuristic_precedence = self.looking.heuristic_scan_precedence;
        settings.pe = self.looking.scan_pe;
        settings.certificates = !self.looking.nocerts;
        settings.elf = self.looking.scan_elf;
        settings.ole2 = self.looking.scan_ole2;
        settings.pdf = self.looking.scan_pdf;
        settings.swf = self.looking.scan_swf;
        settings.xml_documents = self.looking.scan_xmldocs;
        settings.hwp3 = self.looking.scan_hwp3;
        settings.onenote = self.looking.scan_onenote;
        settings.images = self.looking.scan_image;
        settings.image_hashes = self.looking.scan_image_fuzzy_hash;
        let alerts = &self.alerts;
        settings.phishing = alerts.phishing_scan_urls;
        settings.alert_phishing_ssl = alerts.alert_phishing_ssl;
        settings.alert_phishing_cloak = alerts.alert_phishing_cloak;
        settings.alert_encrypted_archives =
            alerts.alert_encrypted || alerts.alert_encrypted_archive;
        settings.alert_encrypted_documents = alerts.alert_encrypted || alerts.alert_encrypted_doc;
        settings.alert_broken_executables = alerts.alert_broken;
        settings.alert_broken_media = alerts.alert_broken_media;
        settings.alert_macros = alerts.alert_macros;
        settings.alert_exceeded_limits = alerts.alert_exceeds_max;
        settings.views = self.limits.views();
        settings.regex = self.limits.regex();
        settings.limits = self.limits.limits();
        settings.recursion = self.limits.max_recursion;
        settings.deadline = self.limits.deadline();
        settings
    }
}

impl LimitOptions {
    fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            part_bytes: bytes(self.max_filesize, default.part_bytes),
            total_bytes: bytes(self.max_scansize, default.total_bytes),
            // Whoever asks for longer files means those that are packed well, too.
            expansion_bytes: match self.max_filesize {
                None => default.expansion_bytes,
                given => bytes(given, 0).max(default.expansion_bytes),
            },
            parts: match self.max_files {
                None => default.parts,
                Some(0) => u32::MAX,
                Some(parts) => parts,
            },
            fuel: self.fuel.unwrap_or(default.fuel),
            ..default
        }
    }

    fn views(&self) -> ViewLimits {
        let default = ViewLimits::default();
        ViewLimits {
            html: bytes(self.max_htmlnormalize, default.html),
            html_text: bytes(self.max_htmlnotags, default.html_text),
            text: bytes(self.max_scriptnormalize, default.text),
            program: bytes(self.max_embeddedpe, default.program),
        }
    }

    fn regex(&self) -> RegexLimits {
        let default = RegexLimits::default();
        RegexLimits {
            bytes: bytes(self.pcre_max_filesize, default.bytes),
            steps: bytes(self.pcre_match_limit, default.steps),
            depth: match self.pcre_recmatch_limit {
                None | Some(0) => default.depth,
                Some(depth) => depth.min(default.depth),
            },
        }
    }

    /// The shorter of the two times; 0 is none.
    fn deadline(&self) -> Option<Duration> {
        let given = [self.max_scantime, self.deadline];
        let shortest = given.into_iter().flatten().filter(|time| *time > 0).min();
        shortest.map(Duration::from_millis)
    }
}

/// What was given for a limit; clamscan's 0 is no limit.
fn bytes(given: Option<u64>, default: u64) -> u64 {
    match given {
        None => default,
        Some(0) => u64::MAX,
        Some(bytes) => bytes,
    }
}
