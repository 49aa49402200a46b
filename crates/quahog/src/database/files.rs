//! Opening files: regular ones only, and never waiting for one.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// The most bytes that are read of one file.
const MAX_FILE: u64 = 4 << 30;

/// A file that was read.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    /// The file's own name.
    pub(super) name: String,
    /// Its bytes; none yet if they are read later.
    pub(super) result: Result<Bytes, NotRead>,
    /// The file, if it is read when its turn comes.
    pub(super) later: Option<File>,
}

/// Why a file was not read.
pub(super) enum NotRead {
    /// It is no regular file.
    Irregular,
    /// The system refuses.
    Io(io::Error),
}

/// The files that a path stands for: itself, or the files in a folder, sorted
/// by name. Folders in it are left out silently.
pub(super) fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(path)? {
        paths.push(entry?.path());
    }
    paths.sort_unstable();
    Ok(paths)
}

/// Hands over the file that a path names, or the files in the folder that it
/// names, of those that are `wanted`; the flag says that it was named itself.
/// Those that may be read `later`, by their names, are only opened if they are
/// large.
///
/// An updater may replace `daily.cvd` by `daily.cld` between the listing and the
/// opening, and then neither would be read. So when a listed file is gone, the
/// folder is listed again, and what is new is handed over, too. If files vanish
/// again and again, they are handed over as such: they cannot be read.
pub(super) fn each(
    path: &Path,
    wanted: impl Fn(&Path) -> bool,
    later: impl Fn(&str) -> bool,
    mut take: impl FnMut(Opened, bool),
) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        if wanted(path) {
            take(open_or_read(path, &later), true);
        }
        return Ok(());
    }
    let mut taken = HashSet::new();
    for listing in 1..=LISTINGS {
        let mut any_gone = false;
        for file in list(path)? {
            if !wanted(&file) || taken.contains(&file) {
                continue;
            }
            let mut opened = open_or_read(&file, &later);
            if opened.is_gone() {
                any_gone = true;
                if listing < LISTINGS {
                    continue;
                }
                let error = io::Error::other("vanished while the folder was read");
                opened.result = Err(NotRead::Io(error));
            }
            take(opened, false);
            taken.insert(file);
        }
        if !any_gone {
            break;
        }
    }
    Ok(())
}

/// How often a folder is listed from which files vanish.
const LISTINGS: usize = 4;

impl Opened {
    /// Whether there is nothing any more of this name, not even a link to nowhere.
    fn is_gone(&self) -> bool {
        let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        matches!(&self.result, Err(NotRead::Io(error)) if is_missing(error))
            && fs::symlink_metadata(&self.path).is_err_and(|error| is_missing(&error))
    }
}

/// Files of so many bytes are read later, where that may be.
const LARGE: u64 = if cfg!(test) { 64 } else { 4 << 20 };

fn open_or_read(path: &Path, later: impl Fn(&str) -> bool) -> Opened {
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let path = path.to_owned();
    let (result, later) = match open_regular(&path, MAX_FILE, true) {
        Ok((file, len)) if len >= LARGE && later(&name) => (Ok(Bytes::new()), Some(file)),
        opened => (opened.and_then(|opened| read_whole(opened, MAX_FILE)), None),
    };
    Opened { path, name, result, later }
}

/// Reads a file of our own: at most so many bytes, and not through a link.
pub(super) fn read_own(path: &Path, most: u64) -> io::Result<Bytes> {
    read_at_most(path, most, false).map_err(|error| match error {
        NotRead::Irregular => io::Error::other("not a regular file"),
        NotRead::Io(error) => error,
    })
}

/// Reads a file that belongs to another, such as a signature; links are followed.
pub(super) fn read_small(path: &Path, most: u64) -> io::Result<Bytes> {
    read_at_most(path, most, true).map_err(|error| match error {
        NotRead::Irregular => io::Error::other("not a regular file"),
        NotRead::Io(error) => error,
    })
}

fn read_at_most(path: &Path, most: u64, follow: bool) -> Result<Bytes, NotRead> {
    read_whole(open_regular(path, most, follow)?, most)
}

/// Reads a file that was opened.
fn read_whole((mut file, len): (File, u64), most: u64) -> Result<Bytes, NotRead> {
    let mut bytes = Vec::new();
    // The length is a hint only: the file may grow while it is read.
    bytes.reserve_exact(usize::try_from(len).unwrap_or(0));
    file.by_ref().take(most).read_to_end(&mut bytes).map_err(NotRead::Io)?;
    Ok(bytes.into())
}

/// A regular file of at most so many bytes, and how many it has.
///
/// It is opened without blocking and looked at *after* it was opened, so that
/// a FIFO in the folder, or one that took a file's place, stops nobody.
fn open_regular(path: &Path, most: u64, follow: bool) -> Result<(File, u64), NotRead> {
    let file = open_nonblocking(path, follow).map_err(NotRead::Io)?;
    #[cfg(test)]
    tests::stall(path);
    let metadata = file.metadata().map_err(NotRead::Io)?;
    if !metadata.is_file() {
        return Err(NotRead::Irregular);
    }
    if metadata.len() > most {
        let error = format!("file is larger than {most} bytes");
        return Err(NotRead::Io(io::Error::other(error)));
    }
    Ok((file, metadata.len()))
}

/// The lines of a file, many at a time.
pub(super) struct Blocks<'f> {
    file: &'f File,
    /// Of the next block, about, and of the largest.
    size: usize,
    largest: usize,
    /// The most bytes that are still read.
    left: u64,
    /// The beginning of a line.
    rest: Vec<u8>,
}

impl<'f> Blocks<'f> {
    /// Blocks of about `largest` bytes; the first ones are smaller, because nothing
    /// else can be done before they are here.
    pub(super) fn new(file: &'f File, largest: usize) -> Blocks<'f> {
        Blocks { file, size: largest.div_ceil(8), largest, left: MAX_FILE, rest: Vec::new() }
    }

    /// Puts the next whole lines into `block`, and none behind the last.
    pub(super) fn next(&mut self, block: &mut Vec<u8>) -> io::Result<()> {
        block.clear();
        block.append(&mut self.rest);
        loop {
            let before = block.len();
            let more = self.file.take(self.left.min(self.size as u64)).read_to_end(block)?;
            self.size = self.largest.min(2 * self.size);
            self.left -= more as u64;
            if more == 0 {
                return Ok(());
            }
            if let Some(end) = block[before..].iter().rposition(|&byte| byte == b'\n') {
                self.rest = block.split_off(before + end + 1);
                return Ok(());
            }
        }
    }
}

/// Opens a file to be read, without waiting for anything; a link is followed.
pub(crate) fn open_quietly(path: &Path) -> io::Result<File> {
    open_nonblocking(path, true)
}

#[cfg(unix)]
fn open_nonblocking(path: &Path, follow: bool) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    if !follow {
        flags |= OFlags::NOFOLLOW;
    }
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open_nonblocking(path: &Path, follow: bool) -> io::Result<File> {
    if !follow && fs::symlink_metadata(path)?.is_symlink() {
        return Err(io::Error::other("a link"));
    }
    File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slow storage: reading `slow-300.ndb` takes 300 ms.
    pub(super) fn stall(path: &Path) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if let Some(millis) = name.strip_prefix("slow-").and_then(|n| n.parse().ok()) {
            std::thread::sleep(std::time::Duration::from_millis(millis));
        }
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let name = format!("quahog-files-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).expect("a temporary folder");
            Folder(path)
        }

        fn write(&self, name: &str) {
            fs::write(self.0.join(name), name).expect("a file");
        }

        fn remove(&self, name: &str) {
            fs::remove_file(self.0.join(name)).expect("the file");
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            // A leftover in the temporary folder hurts nobody.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// X16: a file that gave way to another while the folder was read.
    #[test]
    fn a_listed_file_that_vanished_leads_to_another_look() {
        let folder = Folder::new("another");
        ["a.ndb", "daily.cvd", "x.ndb"].iter().for_each(|name| folder.write(name));
        let mut seen = Vec::new();
        let take = |opened: Opened, named: bool| {
            if opened.name == "a.ndb" {
                folder.remove("daily.cvd");
                folder.write("daily.cld");
            }
            assert!(!named && opened.result.is_ok(), "{}", opened.name);
            seen.push(opened.name);
        };
        each(&folder.0, |_| true, |_| false, take).expect("a folder");
        assert_eq!(seen, ["a.ndb", "x.ndb", "daily.cld"], "each once, and the new one");
    }

    /// X16: files that vanish whenever they are listed.
    #[test]
    fn files_that_never_stay_are_unreadable_in_the_end() {
        let folder = Folder::new("never");
        folder.write("0.ndb");
        folder.write("9.ndb");
        let mut lost = Vec::new();
        let mut n_taken = 0;
        let take = |opened: Opened, _: bool| {
            n_taken += 1;
            match opened.result {
                // The one that was listed after it goes, and two more come.
                Ok(_) => {
                    folder.remove(&format!("{}.ndb", 10 - n_taken));
                    folder.write(&format!("{n_taken}.ndb"));
                    folder.write(&format!("{}.ndb", 9 - n_taken));
                }
                Err(NotRead::Io(error)) => lost.push((opened.name, error.to_string())),
                Err(NotRead::Irregular) => panic!("{}", opened.name),
            }
        };
        each(&folder.0, |_| true, |_| false, take).expect("a folder");
        let [(name, error)] = &lost[..] else { panic!("{lost:?}") };
        assert_eq!(
            (name.as_str(), error.as_str()),
            ("6.ndb", "vanished while the folder was read")
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nowhere_is_there_and_stays() {
        let folder = Folder::new("link");
        std::os::unix::fs::symlink("nowhere", folder.0.join("x.ndb")).expect("a link");
        let mut n_taken = 0;
        let missing = |opened: Opened, _: bool| {
            n_taken += 1;
            let Err(NotRead::Io(error)) = opened.result else { panic!("{}", opened.name) };
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        };
        each(&folder.0, |_| true, |_| false, missing).expect("a folder");
        assert_eq!(n_taken, 1);
    }
}
