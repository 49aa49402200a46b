//! What was seen before: versions that were in force, and who signed them.
//!
//! A publisher's signature does not expire, so an old database is as well signed
//! as a new one. Who can put files in a folder, or stands on the way to a mirror,
//! can hand out yesterday's; the only defence is to remember. [`Versions`] keeps
//! for each signed database the highest version that was in force, its build
//! time, the digest of its `.info`, and whether a `.sign` was valid for it.
//!
//! It lives in one small text file in a folder of its own, which nothing but
//! quahog should be able to write:
//!
//! ```text
//! quahog-versions 1
//! official daily 27000 1700000000 3c46...9b1e sign
//! source:example.org example 7 1700000000 01d1...2b82 -
//! sha256 5e88...
//! ```
//!
//! The last line is the digest of those above. A file of another format number,
//! or a damaged one, is set aside under another name, never deleted, and said so;
//! nothing is known then. A version is remembered when its user says that it is
//! in force ([`Versions::accept`]), not when a file with it turns up: a bad update
//! that was refused must not outlaw the good one before it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use quahog_cvd::{Trust, VerifiedCvd};
use sha2::{Digest, Sha256};

use super::files;
use super::publish::{FileIo, PublishError, publish};
use super::report::LoadReport;

/// The databases that were in force.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Versions {
    known: BTreeMap<Key, Seen>,
}

/// Publisher and name of a database.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Key {
    publisher: String,
    database: String,
}

/// One version of a database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    version: u32,
    build_time: u64,
    info_sha256: [u8; 32],
    sign: bool,
}

/// A signed database that was taken, as a report carries it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Taken {
    key: Key,
    seen: Seen,
}

impl Taken {
    pub(super) fn new(container: &VerifiedCvd, sign: bool) -> Option<Taken> {
        let key = Key::of(container.trust(), container.database())?;
        let seen = Seen {
            version: container.header().version(),
            build_time: container.header().build_time(),
            info_sha256: Sha256::digest(container.info().text()).into(),
            sign,
        };
        Some(Taken { key, seen })
    }

    /// The name of the database.
    pub fn database(&self) -> &str {
        &self.key.database
    }

    /// Its version.
    pub fn version(&self) -> u32 {
        self.seen.version
    }

    /// When it was built, in seconds since 1970-01-01 UTC.
    pub fn build_time(&self) -> u64 {
        self.seen.build_time
    }

    /// Whether a detached signature stands behind it.
    pub fn has_sign(&self) -> bool {
        self.seen.sign
    }

    pub(super) fn same_content(&self, other: &Taken) -> bool {
        self.seen.info_sha256 == other.seen.info_sha256
    }
}

impl Key {
    fn of(trust: &Trust, database: &str) -> Option<Key> {
        let publisher = match trust {
            Trust::Official => "official".to_owned(),
            Trust::Source(name) => format!("source:{name}"),
            Trust::Unsigned => return None,
        };
        // One file system tells `Main` from `main`, another does not.
        Some(Key { publisher, database: database.to_ascii_lowercase() })
    }
}

/// Why a signed database is refused for what was seen before.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Replayed {
    /// Another content under the version that was in force.
    #[error("equivocation: version {0} was in force with other content")]
    Equivocation(u32),
    /// A higher version, built before the one that was in force.
    #[error("version {version} claims to be built before version {before}, which was in force")]
    OlderBuild {
        /// The version offered.
        version: u32,
        /// The version that was in force.
        before: u32,
    },
    /// A lower version than was in force.
    #[error("rollback: version {version} is offered, and version {before} was in force")]
    Rollback {
        /// The version offered.
        version: u32,
        /// The version that was in force.
        before: u32,
    },
}

impl Versions {
    /// Reads what is remembered in the folder; nothing if it has no such file.
    ///
    /// A file that cannot be understood is set aside through `io`, and its new
    /// name is given back.
    ///
    /// # Errors
    ///
    /// The folder or the file cannot be read, or not be set aside.
    pub fn load(folder: &Path, io: &dyn FileIo) -> io::Result<(Versions, Option<PathBuf>)> {
        let path = folder.join(FILE);
        let bytes = match files::read_own(&path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => {
                return Ok((Versions::default(), None));
            }
            Err(error) => return Err(error),
        };
        if let Some(versions) = Versions::parse(&bytes) {
            return Ok((versions, None));
        }
        // Named after its content, so that no two overwrite each other.
        let digest = hex(&Sha256::digest(&bytes));
        let aside = folder.join(format!("{FILE}.unknown-{}", digest.get(..16).unwrap_or(&digest)));
        io.rename(&path, &aside)?;
        Ok((Versions::default(), Some(aside)))
    }

    /// Remembers the databases of a load, which are in force now.
    ///
    /// A lower version than known (the operator went back on purpose) is
    /// remembered as well, when it was accepted.
    pub fn accept(&mut self, report: &LoadReport) {
        for file in &report.files {
            let Some(Taken { key, seen }) = &file.taken else { continue };
            let sign = seen.sign || self.known.get(key).is_some_and(|known| known.sign);
            self.known.insert(key.clone(), Seen { sign, ..seen.clone() });
        }
    }

    /// Forgets a database, so that any version of it is taken again.
    pub fn forget(&mut self, database: &str) {
        self.known.retain(|key, _| !key.database.eq_ignore_ascii_case(database));
    }

    /// Writes the file, atomically.
    ///
    /// # Errors
    ///
    /// As [`publish`]; the old file stays.
    pub fn save(&self, folder: &Path, io: &dyn FileIo) -> Result<(), PublishError> {
        publish(io, &folder.join(FILE), self.text().as_bytes())
    }

    /// Judges a database that is offered.
    pub(super) fn judge(&self, taken: &Taken) -> Result<(), Replayed> {
        let Some(known) = self.known.get(&taken.key) else { return Ok(()) };
        let (version, before) = (taken.seen.version, known.version);
        if version < before {
            return Err(Replayed::Rollback { version, before });
        }
        if version == before && taken.seen.info_sha256 != known.info_sha256 {
            return Err(Replayed::Equivocation(version));
        }
        if version > before && taken.seen.build_time < known.build_time {
            return Err(Replayed::OlderBuild { version, before });
        }
        Ok(())
    }

    /// The version that was in force.
    pub(super) fn version(&self, taken: &Taken) -> Option<u32> {
        self.known.get(&taken.key).map(|known| known.version)
    }

    /// Whether a `.sign` was valid for an earlier version of this database.
    pub(super) fn had_sign(&self, trust: &Trust, database: &str) -> bool {
        Key::of(trust, database).and_then(|key| self.known.get(&key)).is_some_and(|seen| seen.sign)
    }

    /// The content of the file.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{MAGIC}\n");
        for (Key { publisher, database }, seen) in &self.known {
            let Seen { version, build_time, info_sha256, sign } = seen;
            let sign = if *sign { "sign" } else { "-" };
            let digest = hex(info_sha256);
            // A string takes everything.
            let _ = writeln!(text, "{publisher} {database} {version} {build_time} {digest} {sign}");
        }
        let digest = hex(&Sha256::digest(&text));
        text + &format!("sha256 {digest}\n")
    }

    fn parse(bytes: &[u8]) -> Option<Versions> {
        let text = std::str::from_utf8(bytes).ok()?;
        let lines = text.strip_suffix('\n')?;
        let (body, last) = lines.rsplit_once('\n')?;
        let mut known = BTreeMap::new();
        let mut lines = body.lines();
        if lines.next()? != MAGIC {
            return None;
        }
        for line in lines {
            let fields: Vec<&str> = line.split(' ').collect();
            let [publisher, database, version, build_time, digest, sign] = fields[..] else {
                return None;
            };
            let key = Key { publisher: publisher.to_owned(), database: database.to_owned() };
            let seen = Seen {
                version: version.parse().ok()?,
                build_time: build_time.parse().ok()?,
                info_sha256: unhex(digest)?,
                sign: sign == "sign",
            };
            known.insert(key, seen);
        }
        let versions = Versions { known };
        // Written again it must be the same, digest and all.
        (last.starts_with("sha256 ") && versions.text() == text).then_some(versions)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a string takes everything
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

const MAGIC: &str = "quahog-versions 1";

/// The name of the file.
pub(crate) const FILE: &str = "versions";

/// Far above what a few databases take.
const MAX_BYTES: u64 = 1 << 20;
