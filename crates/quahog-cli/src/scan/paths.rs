//! The paths to look at: named ones, those in a list, and what lies in folders.
//!
//! Folders are read one at a time, as the walk comes to them, and what is in
//! one is sorted, so that two runs say the same. Links are followed as the
//! options say, and a folder is never entered inside itself.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::{self, BufRead as _};
use std::path::{Path, PathBuf};
use std::vec;

use anyhow::Context as _;

use super::Options;
use super::filter::Filter;
use crate::console::{Console, reason};
use crate::files::IRREGULAR;

/// What is looked at, by its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Name {
    Path(PathBuf),
    Stdin,
}

impl Name {
    /// As it stands in a line, before it is escaped.
    pub(crate) fn shown(&self) -> &OsStr {
        match self {
            Name::Path(path) => path.as_os_str(),
            Name::Stdin => OsStr::new("stdin"),
        }
    }
}

/// Something that the walk came to.
#[derive(Debug)]
pub(crate) enum Met {
    /// It is to be looked at.
    File(Name),
    /// It is passed over, and why.
    Passed(Name, &'static str),
    /// It cannot be looked at.
    Failed(Name, String),
}

/// The walk over everything that was named.
pub(crate) struct Paths {
    named: vec::IntoIter<Name>,
    /// The folders that the walk is in, the outermost first.
    open: Vec<Folder>,
    filter: Filter,
    recursive: bool,
    cross_fs: bool,
    follow_folders: u8,
    follow_files: u8,
    max_depth: usize,
    directories: u64,
}

/// A folder, and what of it is still to come.
struct Folder {
    identity: Option<Identity>,
    rest: vec::IntoIter<PathBuf>,
}

/// Device and number of a folder.
type Identity = (u64, u64);

/// Folders inside each other that `bench` goes down to.
const MAX_DEPTH: usize = 64;

impl Paths {
    /// # Errors
    ///
    /// A pattern is wrong, or the list of paths cannot be read.
    pub(super) fn new(options: &Options, console: &Console) -> anyhow::Result<Paths> {
        let files = &options.files;
        let filter = Filter::new(files)?;
        let named = match &files.file_list {
            Some(list) => {
                if !options.paths.is_empty() {
                    console.warning(
                        "only files from --file-list are scanned, not those on the command line",
                    );
                }
                let listed = read_list(list);
                listed.with_context(|| format!("--file-list: {}", list.display()))?
            }
            None if options.paths.is_empty() => vec![Name::Path(std::env::current_dir()?)],
            None => options.paths.iter().map(|path| name(path)).collect(),
        };
        Ok(Paths {
            named: named.into_iter(),
            open: Vec::new(),
            filter,
            recursive: files.recursive,
            cross_fs: files.cross_fs,
            follow_folders: files.follow_dir_symlinks,
            follow_files: files.follow_file_symlinks,
            max_depth: usize::try_from(files.max_dir_recursion).unwrap_or(usize::MAX),
            directories: 0,
        })
    }

    /// These files, and all that lies in these folders and below.
    pub(crate) fn below(paths: &[PathBuf]) -> Paths {
        let named: Vec<Name> = paths.iter().map(|path| Name::Path(path.clone())).collect();
        Paths {
            named: named.into_iter(),
            open: Vec::new(),
            filter: Filter::default(),
            recursive: true,
            cross_fs: true,
            // Named ones only, as `scan` does by default.
            follow_folders: 1,
            follow_files: 1,
            max_depth: MAX_DEPTH,
            directories: 0,
        }
    }

    /// How many folders were entered.
    pub(super) fn directories(&self) -> u64 {
        self.directories
    }

    /// Looks at what lies at `path`. `None` if there is nothing to say of it: a
    /// folder that was entered, or one that is not.
    fn meet(&mut self, path: PathBuf) -> Option<Met> {
        let named = self.open.is_empty();
        let failed = |path, error: &io::Error| Met::Failed(Name::Path(path), reason(error));
        let link = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata.is_symlink(),
            Err(error) => return Some(failed(path, &error)),
        };
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // A link that leads nowhere.
            Err(_) if link && !named => return Some(Met::Passed(Name::Path(path), LINK)),
            Err(error) => return Some(failed(path, &error)),
        };
        let follow = if metadata.is_dir() { self.follow_folders } else { self.follow_files };
        if link && (follow == 0 || (follow == 1 && !named)) {
            return Some(Met::Passed(Name::Path(path), LINK));
        }
        if metadata.is_dir() {
            return self.enter(path, &metadata);
        }
        if !metadata.is_file() {
            // clamscan, too, says nothing of sockets and the like in a folder.
            return named.then(|| Met::Failed(Name::Path(path), IRREGULAR.to_owned()));
        }
        if !self.filter.takes_file(&path) {
            return Some(Met::Passed(Name::Path(path), EXCLUDED));
        }
        Some(Met::File(Name::Path(path)))
    }

    fn enter(&mut self, path: PathBuf, metadata: &Metadata) -> Option<Met> {
        let depth = self.open.len();
        if depth >= self.max_depth || (depth > 0 && !self.recursive) {
            return None;
        }
        let identity = identity(metadata);
        let is_inside_itself = self.open.iter().any(|folder| folder.identity == identity);
        if identity.is_some() && is_inside_itself {
            return Some(Met::Passed(Name::Path(path), LINK));
        }
        let top = self.open.first().and_then(|folder| folder.identity);
        let crosses = match (top, identity) {
            (Some((top, _)), Some((here, _))) => top != here,
            _ => false,
        };
        if !self.filter.takes_folder(&path) || (crosses && !self.cross_fs) {
            return Some(Met::Passed(Name::Path(path), EXCLUDED));
        }
        match list(&path) {
            Ok(inside) => {
                self.directories += 1;
                self.open.push(Folder { identity, rest: inside.into_iter() });
                None
            }
            Err(error) => {
                let why = format!("Can't open directory: {}", reason(&error));
                Some(Met::Failed(Name::Path(path), why))
            }
        }
    }
}

impl Iterator for Paths {
    type Item = Met;

    fn next(&mut self) -> Option<Met> {
        loop {
            let path = match self.open.last_mut() {
                Some(folder) => match folder.rest.next() {
                    Some(path) => path,
                    None => {
                        self.open.pop();
                        continue;
                    }
                },
                None => match self.named.next()? {
                    Name::Path(path) => path,
                    Name::Stdin => return Some(Met::File(Name::Stdin)),
                },
            };
            if let Some(met) = self.meet(path) {
                return Some(met);
            }
        }
    }
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut inside = Vec::new();
    for entry in fs::read_dir(folder)? {
        inside.push(entry?.path());
    }
    inside.sort_unstable();
    Ok(inside)
}

fn name(path: &Path) -> Name {
    if path.as_os_str() == "-" { Name::Stdin } else { Name::Path(path.to_owned()) }
}

/// Reads paths, one a line; CRLF ends a line too, and blank ones are passed over.
fn read_list(list: &Path) -> io::Result<Vec<Name>> {
    let mut reader: Box<dyn io::BufRead> = if list.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(io::BufReader::new(fs::File::open(list)?))
    };
    let mut names = Vec::new();
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let path = line.strip_suffix(b"\n").unwrap_or(&line);
        let path = path.strip_suffix(b"\r").unwrap_or(path);
        if !path.is_empty() {
            names.push(Name::Path(path_from(path)?));
        }
        line.clear();
    }
    Ok(names)
}

#[cfg(unix)]
fn path_from(bytes: &[u8]) -> io::Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(OsStr::from_bytes(bytes).into())
}

#[cfg(not(unix))]
fn path_from(bytes: &[u8]) -> io::Result<PathBuf> {
    let text = std::str::from_utf8(bytes);
    text.map(PathBuf::from).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps)] // not every system can tell
fn identity(metadata: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<Identity> {
    None
}

/// What is said of a link that is not followed.
const LINK: &str = "Symbolic link";

/// What is said of what the options leave out.
const EXCLUDED: &str = "Excluded";
