//! The last good generations, on disk.
//!
//! ```text
//! <folder>/lock                      held by the process that uses the folder
//! <folder>/state-1/                  format 1; other formats lie beside it, untouched
//!     objects/<sha256>               sources as they were verified, one copy of each
//!     generations/<number>.json      what a promoted generation was made of
//!     images/<sha256>.qhi, .json     what was compiled from the source, and under what
//!     mutes.json
//!     versions                       the signed databases that were in force
//! ```
//!
//! A file is written under a temporary name, synced, renamed, and its folder
//! synced; a generation is written last, after all of its objects. So after a
//! crash at any moment there is the old generation or the new one, whole. What
//! is read is checked by its digest; a generation that misses one byte is
//! passed over for the one before. The last two are kept.
//!
//! What counts are the *sources*: they survive an upgrade of quahog. Beside them
//! lie [images](crate::image) of what was compiled from them, so that a start
//! need not compile again. An image that is of another quahog, was made under
//! other ignore lists or another configuration, or is damaged is passed over, and
//! made again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use quahog_engine::Segment;
use quahog_engine::image::{Check, content as image_content};
use quahog_sig::Format;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::build::{InForce, hex};
use super::mute::Mute;
use crate::database::{
    self, Counts, FileIo, Flush, MemberReport, RefusedForCost, SystemIo, VERSIONS_FILE, Versions,
};

/// The number of the format that this version writes.
const FORMAT: u32 = 1;
/// Generations that are kept.
const KEPT: usize = 2;
/// The most bytes of a generation's file.
const MAX_MANIFEST: u64 = 16 << 20;

/// What a generation was made of.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Manifest {
    format: u32,
    number: u64,
    id: String,
    quahog: String,
    sources: Vec<KeptSource>,
    /// Of all above, so that a damaged file is not believed.
    check: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct KeptSource {
    path: PathBuf,
    sha256: String,
    len: u64,
}

impl Manifest {
    fn digest(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(format!("{} {} {} {}", self.format, self.number, self.id, self.quahog));
        for source in &self.sources {
            digest.update(format!("\n{:?} {} {}", source.path, source.sha256, source.len));
        }
        hex(&digest.finalize())
    }
}

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{} is in use by another process", folder.display())]
    Locked { folder: PathBuf },
    #[error("{}: {error}", folder.display())]
    Io { folder: PathBuf, error: io::Error },
}

/// The operations that change the disk. Tests make the n-th of them fail.
pub(crate) type Io = Arc<dyn FileIo + Send + Sync>;

/// A state folder that is ours.
pub(crate) struct State {
    folder: PathBuf,
    io: Io,
    /// Freed by the system when the process ends, however it ends.
    _lock: File,
    newest: u64,
    /// States of other formats.
    pub(crate) set_aside: Vec<PathBuf>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// A generation that was read back.
pub(crate) struct Kept {
    pub(crate) sources: Vec<(PathBuf, Bytes)>,
    pub(crate) images: Images,
}

/// What is told of an image beside it.
#[derive(Debug, Deserialize, Serialize)]
struct ImageNote {
    /// What it was made under, see [`InForce::key`].
    key: String,
    /// The SHA-256 in its header, of all that is in it.
    content: String,
    /// What became of the lines, by member.
    members: Vec<(String, Counts)>,
    refused: Vec<RefusedForCost>,
}

/// An image that was read back.
pub(crate) struct KeptImage {
    pub(crate) segment: Segment,
    pub(crate) members: Vec<MemberReport>,
    pub(crate) refused: Vec<RefusedForCost>,
}

/// The images of a state folder.
pub(crate) struct Images {
    folder: PathBuf,
    io: Io,
}

impl Images {
    fn paths(&self, source: &[u8; 32]) -> (PathBuf, PathBuf) {
        let name = hex(source);
        (self.folder.join(format!("{name}.qhi")), self.folder.join(format!("{name}.json")))
    }

    fn note(&self, path: &Path) -> io::Result<ImageNote> {
        serde_json::from_slice(&read(path, MAX_MANIFEST)?).map_err(io::Error::other)
    }

    /// The image of a source, if there is one that was made under `key`.
    ///
    /// # Errors
    ///
    /// There is one, and it cannot be used.
    pub(crate) fn read(
        &self,
        source: &[u8; 32],
        key: &str,
        open: impl Fn(File) -> io::Result<Bytes>,
    ) -> io::Result<Option<KeptImage>> {
        let image = self.read_noted(source, key, open);
        if image.is_err() {
            // What cannot be used is made again; without its note it is not there.
            let _ = self.io.remove(&self.paths(source).1);
        }
        image
    }

    fn read_noted(
        &self,
        source: &[u8; 32],
        key: &str,
        open: impl Fn(File) -> io::Result<Bytes>,
    ) -> io::Result<Option<KeptImage>> {
        let (image, note) = self.paths(source);
        let note = match self.note(&note) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            note => note?,
        };
        if note.key != key {
            return Ok(None);
        }
        let bytes = open(open_plain(&image)?)?;
        if hex(&image_content(&bytes).map_err(io::Error::other)?) != note.content {
            return Err(io::Error::other("another image than was kept"));
        }
        let segment = Segment::open(&bytes, Check::Digest).map_err(io::Error::other)?;
        let member = |(name, counts): (String, Counts)| {
            let format = Format::from_file_name(name.rsplit('/').next().unwrap_or_default());
            MemberReport { name, format, counts }
        };
        let members = note.members.into_iter().map(member).collect();
        Ok(Some(KeptImage { segment, members, refused: note.refused }))
    }

    /// Keeps the images of what is in force. Nothing is flushed: a note without
    /// its image, or an image that is not whole, is noticed when it is read.
    pub(crate) fn keep(&self, sources: &[Arc<InForce>]) -> io::Result<()> {
        for source in sources {
            let (image, note) = self.paths(&source.digest);
            if self.note(&note).is_ok_and(|note| note.key == source.key) && image.exists() {
                continue;
            }
            let pieces = source.segment.image(Vec::new()).map_err(io::Error::other)?;
            // The digest stands in the first piece, before any table.
            let head = pieces.first().map_or(&[][..], |piece| piece);
            let content = image_content(head).map_err(io::Error::other)?;
            let (members, refused) = source.lines();
            let text =
                ImageNote { key: source.key.clone(), content: hex(&content), members, refused };
            let text = serde_json::to_vec(&text).map_err(io::Error::other)?;
            put(&self.io, &image, &pieces, Flush::No)?;
            put(&self.io, &note, &[text], Flush::No)?;
        }
        Ok(())
    }
}

fn put<P: AsRef<[u8]>>(io: &Io, path: &Path, pieces: &[P], flush: Flush) -> io::Result<()> {
    let put = database::put(io, path, pieces, flush);
    put.map_err(|error| io::Error::new(error.error.kind(), error))
}

impl State {
    /// Takes a folder, and makes it if it is not there.
    pub(crate) fn open(folder: &Path) -> Result<State, OpenError> {
        State::open_on(folder, Arc::new(SystemIo))
    }

    fn open_on(folder: &Path, files: Io) -> Result<State, OpenError> {
        let folder_of = || folder.to_owned();
        let io = |error| OpenError::Io { folder: folder_of(), error };
        private_folder(folder).map_err(io)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))
            .map_err(io)?;
        take(&lock).map_err(|error| match error {
            fs::TryLockError::WouldBlock => OpenError::Locked { folder: folder_of() },
            fs::TryLockError::Error(error) => io(error),
        })?;
        let own = folder.join(format!("state-{FORMAT}"));
        let mut set_aside = Vec::new();
        for entry in fs::read_dir(folder).map_err(io)?.flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with("state-") && entry.path() != own {
                set_aside.push(entry.path());
            }
        }
        for folder in [&own, &own.join("objects"), &own.join("generations"), &own.join("images")] {
            private_folder(folder).map_err(io)?;
        }
        let mut state = State { folder: own, io: files, _lock: lock, newest: 0, set_aside };
        state.newest = state.numbers().last().copied().unwrap_or(0);
        state.sweep();
        Ok(state)
    }

    /// The numbers of the generations that lie there, whole or not.
    fn numbers(&self) -> BTreeSet<u64> {
        let Ok(entries) = fs::read_dir(self.folder.join("generations")) else {
            return BTreeSet::new();
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        names.filter_map(|name| name.to_str()?.strip_suffix(".json")?.parse().ok()).collect()
    }

    fn manifest_path(&self, number: u64) -> PathBuf {
        self.folder.join("generations").join(format!("{number:020}.json"))
    }

    fn object_path(&self, sha256: &str) -> PathBuf {
        self.folder.join("objects").join(sha256)
    }

    fn manifest(&self, number: u64) -> io::Result<Manifest> {
        let bytes = read(&self.manifest_path(number), MAX_MANIFEST)?;
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
        if manifest.format != FORMAT {
            return Err(io::Error::other("another format"));
        }
        if manifest.check != manifest.digest() {
            return Err(io::Error::other("damaged"));
        }
        Ok(manifest)
    }

    /// The generations that lie there, newest first.
    pub(crate) fn generations(&self) -> Vec<u64> {
        self.numbers().into_iter().rev().collect()
    }

    /// Reads a generation back, every byte of it checked.
    pub(crate) fn read(&self, number: u64) -> io::Result<Kept> {
        let manifest = self.manifest(number)?;
        let mut sources = Vec::with_capacity(manifest.sources.len());
        for source in manifest.sources {
            let bytes = read(&self.object_path(&source.sha256), source.len)?;
            if bytes.len() as u64 != source.len || hex(&Sha256::digest(&bytes)) != source.sha256 {
                return Err(io::Error::other(format!("a copy of {:?} is damaged", source.path)));
            }
            sources.push((source.path, Bytes::from(bytes)));
        }
        Ok(Kept { sources, images: self.images() })
    }

    /// The images beside the sources.
    pub(crate) fn images(&self) -> Images {
        Images { folder: self.folder.join("images"), io: Arc::clone(&self.io) }
    }

    /// Keeps a generation. If it fails, what was kept before is as it was.
    pub(crate) fn keep(&mut self, id: &str, sources: &[Arc<InForce>]) -> io::Result<()> {
        if self.newest > 0 && self.manifest(self.newest).is_ok_and(|last| last.id == id) {
            return Ok(());
        }
        let mut known: BTreeMap<String, u64> = BTreeMap::new();
        for number in self.numbers() {
            let manifest = self.manifest(number);
            let sources = manifest.into_iter().flat_map(|manifest| manifest.sources);
            known.extend(sources.map(|source| (source.sha256, source.len)));
        }
        let kept = self.keep_new(id, sources, &known);
        if kept.is_err() {
            self.sweep();
        }
        kept
    }

    fn keep_new(
        &mut self,
        id: &str,
        sources: &[Arc<InForce>],
        known: &BTreeMap<String, u64>,
    ) -> io::Result<()> {
        let mut listed = Vec::with_capacity(sources.len());
        let mut any_new = false;
        for source in sources {
            let sha256 = hex(&source.digest);
            let object = self.object_path(&sha256);
            let len = match (&source.raw, known.get(&sha256)) {
                // Written before it was last in force.
                (_, Some(&len)) if fs::metadata(&object).is_ok_and(|m| m.len() == len) => len,
                (Some(bytes), _) => {
                    self.write(&object, bytes)?;
                    any_new = true;
                    bytes.len() as u64
                }
                (None, _) => {
                    let error = format!("the copy of {} is gone", source.path.display());
                    return Err(io::Error::other(error));
                }
            };
            listed.push(KeptSource { path: source.path.clone(), sha256, len });
        }
        if any_new {
            self.sync("objects")?;
        }
        let number = self.newest + 1;
        let mut manifest = Manifest {
            format: FORMAT,
            number,
            id: id.to_owned(),
            quahog: env!("CARGO_PKG_VERSION").to_owned(),
            sources: listed,
            check: String::new(),
        };
        manifest.check = manifest.digest();
        let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::other)?;
        self.write(&self.manifest_path(number), &text)?;
        self.sync("generations")?;
        self.newest = number;
        self.sweep();
        Ok(())
    }

    /// Forgets a generation: the candidate that it was made of was left.
    pub(crate) fn forget(&mut self, number: u64) -> io::Result<()> {
        self.io.remove(&self.manifest_path(number))?;
        self.sync("generations")
    }

    /// Writes a file that is there whole or not at all.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        put(&self.io, path, &[bytes], Flush::Yes)
    }

    /// Flushes one of our folders; the empty name is that which they lie in.
    fn sync(&self, name: &str) -> io::Result<()> {
        if !cfg!(unix) {
            return Ok(());
        }
        self.io.sync(&File::open(self.folder.join(name))?)
    }

    /// Removes what no kept generation needs. What cannot be removed stays.
    fn sweep(&self) {
        let numbers: Vec<u64> = self.numbers().into_iter().rev().collect();
        let sound: Vec<_> = numbers.iter().filter_map(|&n| self.manifest(n).ok()).collect();
        let mut needed = BTreeSet::new();
        for manifest in sound.iter().take(KEPT) {
            needed.extend(manifest.sources.iter().map(|source| source.sha256.clone()));
        }
        let oldest = sound.get(KEPT - 1).map_or(0, |manifest| manifest.number);
        for &number in numbers.iter().filter(|&&number| number < oldest) {
            let _ = self.io.remove(&self.manifest_path(number));
        }
        for folder in ["objects", "images", "generations", ""] {
            let Ok(entries) = fs::read_dir(self.folder.join(folder)) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                // With nothing sound there, somebody may want to look at the rest.
                let of = name.split('.').next().unwrap_or_default();
                let is_source = folder == "objects" || folder == "images";
                let is_old = is_source && !sound.is_empty() && !needed.contains(of);
                if is_old || database::is_left(&name) {
                    let _ = self.io.remove(&entry.path());
                }
            }
        }
    }

    /// Keeps the mutes.
    pub(crate) fn keep_mutes(&mut self, mutes: &[Mute]) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(mutes).map_err(io::Error::other)?;
        self.write(&self.folder.join("mutes.json"), &text)?;
        self.sync("")
    }

    /// Keeps what was in force.
    pub(crate) fn keep_versions(&self, versions: &Versions) -> io::Result<()> {
        self.write(&self.folder.join(VERSIONS_FILE), versions.text().as_bytes())?;
        self.sync("")
    }

    /// What was in force, and where a file lies that could not be understood.
    pub(crate) fn versions(&self) -> io::Result<(Versions, Option<PathBuf>)> {
        Versions::load(&self.folder, &self.io)
    }

    /// The mutes that were kept.
    pub(crate) fn mutes(&self) -> io::Result<Vec<Mute>> {
        match read(&self.folder.join("mutes.json"), MAX_MANIFEST) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// How often, and how long apart, a lock is tried.
const TRIES: u32 = 20;
const BETWEEN_TRIES: std::time::Duration = std::time::Duration::from_millis(50);

/// Takes the lock, and is patient for a second: who starts a program shares
/// his locks with it until it is loaded, also one that he just let go.
fn take(lock: &File) -> Result<(), fs::TryLockError> {
    for _ in 1..TRIES {
        match lock.try_lock() {
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_TRIES),
            taken => return taken,
        }
    }
    lock.try_lock()
}

/// Makes a folder that only we read and write, if it is not there.
fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Reads a regular file of at most `most` bytes, and follows no link to it.
fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let file = open_plain(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > most {
        return Err(io::Error::other("not a file of the state"));
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(unix)]
fn open_plain(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open_plain(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(all(test, not(loom)))]
mod tests;
