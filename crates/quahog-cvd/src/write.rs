//! Builds containers, laid out as the genuine ones are.
//!
//! For tests, and for who distributes signatures of his own: unsigned as a
//! [`.cud`](Builder::cud), or signed with his own keys as a
//! [`.cvd`](Builder::cvd) that a [`TrustStore`](crate::TrustStore) with the
//! public halves accepts. Equal input gives equal bytes: no clock is read and no
//! random number drawn.
//!
//! ```
//! use quahog_cvd::write::Builder;
//!
//! let file = Builder::new("mini")
//!     .version(7)
//!     .signatures(1)
//!     .build_time(1_700_000_000)
//!     .member("mini.ndb", b"Test.A:0:*:414243\n")
//!     .cud()?;
//! assert!(file.starts_with(b"ClamAV-VDB:14 Nov 2023 22-13 +0000:7:1:"));
//! # Ok::<(), quahog_cvd::write::WriteError>(())
//! ```

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::archive::{BLOCK, CHECKSUM, COPYING, NAME, SIZE, is_member_name};
use crate::cdiff::{Files, Script};
use crate::dsig::{KeyError, PrivateKey};
use crate::error::{Error, Rule};
use crate::header::HEADER_LEN;
use crate::pem;
use crate::trust::{self, Source};

/// The private keys of a source.
#[derive(Clone, Debug)]
pub struct SigningKeys {
    header: PrivateKey,
    info: PrivateKey,
    cdiff: PrivateKey,
}

impl SigningKeys {
    /// Keys for headers (1024 bits), `.info` and patches (2047 or 2048 bits).
    ///
    /// # Errors
    ///
    /// [`KeyError::Size`].
    pub fn new(
        header: PrivateKey,
        info: PrivateKey,
        cdiff: PrivateKey,
    ) -> Result<SigningKeys, KeyError> {
        let keys = SigningKeys { header, info, cdiff };
        keys.source("")?;
        Ok(keys)
    }

    /// Reads private keys in PEM, without a passphrase, as `openssl genrsa` writes
    /// them: one of 1024 bits for headers, one or two of 2048 for `.info` and
    /// patches. What stands between them is for people.
    ///
    /// # Errors
    ///
    /// [`KeyError::Number`], [`KeyError::Form`] and [`KeyError::Size`].
    pub fn parse(text: &[u8]) -> Result<SigningKeys, KeyError> {
        let mut keys = Vec::new();
        for block in pem::blocks(text) {
            let (label, der) = block.map_err(|_| KeyError::Form)?;
            keys.push(pem::private_key(&label, &der)?);
        }
        let [header, info, cdiff] = trust::three(keys, |key| key.public().bits())?;
        SigningKeys::new(header, info, cdiff)
    }

    /// The public halves, as a source of this name.
    ///
    /// # Errors
    ///
    /// None in practice: [`new`](Self::new) made sure.
    pub fn source(&self, name: &str) -> Result<Source, KeyError> {
        let public = |key: &PrivateKey| key.public().clone();
        Source::new(name, public(&self.header), public(&self.info), public(&self.cdiff))
    }

    /// The DSIG of an `.info`: `text` is everything in front of `DSIG:`.
    pub fn sign_info(&self, text: &[u8]) -> String {
        self.info.sign_sha256(&Sha256::digest(text).into())
    }

    /// The signature of a patch: `frame` is everything in front of the last
    /// colon.
    pub fn sign_cdiff(&self, frame: &[u8]) -> String {
        self.cdiff.sign_sha256(&Sha256::digest(frame).into())
    }

    /// The dsig of a header over the payload behind it.
    fn sign_payload(&self, md5: &[u8; 16]) -> String {
        self.header.sign_md5(md5)
    }
}

/// Collects what a container shall hold.
#[derive(Clone, Debug)]
pub struct Builder {
    database: String,
    version: u32,
    signatures: u32,
    flevel: u32,
    builder: String,
    build_time: u64,
    copying: Vec<u8>,
    members: Vec<(String, Vec<u8>)>,
}

impl Builder {
    /// An empty container of the database of this name: version 1, built at
    /// second 0 by `quahog`, for any functionality level.
    pub fn new(database: &str) -> Builder {
        Builder {
            database: database.into(),
            version: 1,
            signatures: 0,
            flevel: 0,
            builder: "quahog".into(),
            build_time: 0,
            copying: b"No licence was stated.\n".to_vec(),
            members: Vec::new(),
        }
    }

    /// The version.
    pub fn version(mut self, version: u32) -> Builder {
        self.version = version;
        self
    }

    /// The number of signatures to claim.
    pub fn signatures(mut self, signatures: u32) -> Builder {
        self.signatures = signatures;
        self
    }

    /// The functionality level to recommend.
    pub fn flevel(mut self, flevel: u32) -> Builder {
        self.flevel = flevel;
        self
    }

    /// Who builds: 1 to 32 printable ASCII characters without a colon.
    pub fn builder(mut self, builder: &str) -> Builder {
        self.builder = builder.into();
        self
    }

    /// The build time, in seconds since 1970-01-01 UTC.
    pub fn build_time(mut self, seconds: u64) -> Builder {
        self.build_time = seconds;
        self
    }

    /// The text of `COPYING`.
    pub fn copying(mut self, text: &[u8]) -> Builder {
        self.copying = text.to_vec();
        self
    }

    /// One more member, stored behind those before it.
    pub fn member(mut self, name: &str, bytes: &[u8]) -> Builder {
        self.members.push((name.into(), bytes.to_vec()));
        self
    }

    /// An unsigned container.
    ///
    /// # Errors
    ///
    /// [`WriteError`] if what was collected cannot be written.
    pub fn cud(&self) -> Result<Vec<u8>, WriteError> {
        let payload = gzip(|to| self.tar(&self.info()?, to).map_err(|_| WriteError::Gzip))?;
        let md5: [u8; 16] = Md5::digest(&payload).into();
        self.file(&hex(&md5), "X", &payload)
    }

    /// A container signed as publishers do.
    ///
    /// # Errors
    ///
    /// [`WriteError`] if what was collected cannot be written.
    pub fn cvd(&self, keys: &SigningKeys) -> Result<Vec<u8>, WriteError> {
        let info = self.signed_info(keys)?;
        let payload = gzip(|to| self.tar(&info, to).map_err(|_| WriteError::Gzip))?;
        let md5: [u8; 16] = Md5::digest(&payload).into();
        self.file(&hex(&md5), &keys.sign_payload(&md5), &payload)
    }

    /// A container as an updater makes it after patching: signed `.info`, plain
    /// tar, nothing signed in the header.
    ///
    /// # Errors
    ///
    /// [`WriteError`] if what was collected cannot be written.
    pub fn cld(&self, keys: &SigningKeys) -> Result<Vec<u8>, WriteError> {
        let mut payload = Vec::new();
        // A vector takes everything.
        let _ = self.tar(&self.signed_info(keys)?, &mut payload);
        self.file("X", "X", &payload)
    }

    /// Header and payload.
    fn file(&self, md5: &str, dsig: &str, payload: &[u8]) -> Result<Vec<u8>, WriteError> {
        let mut file = self.headline(md5, dsig)?.into_bytes();
        if file.len() > HEADER_LEN {
            return Err(WriteError::Builder);
        }
        file.resize(HEADER_LEN, b' ');
        file.extend_from_slice(payload);
        Ok(file)
    }

    fn headline(&self, md5: &str, dsig: &str) -> Result<String, WriteError> {
        let plain = |b: u8| (b' '..=b'~').contains(&b) && b != b':';
        if !matches!(self.builder.len(), 1..=32) || !self.builder.bytes().all(plain) {
            return Err(WriteError::Builder);
        }
        let Builder { version, signatures, flevel, builder, build_time, .. } = self;
        let time = time_text(*build_time);
        Ok(format!(
            "ClamAV-VDB:{time}:{version}:{signatures}:{flevel}:{md5}:{dsig}:{builder}:{build_time}"
        ))
    }

    /// The `.info` up to the place of the DSIG line.
    fn info(&self) -> Result<String, WriteError> {
        let mut info = self.headline("X", "X")? + "\n";
        let mut names = HashSet::new();
        let own = format!("{}.info", self.database);
        if !is_member_name(own.as_bytes()) {
            return Err(WriteError::Name(self.database.clone()));
        }
        for (name, bytes) in &self.members {
            let reserved = name == COPYING || *name == own;
            if reserved || !is_member_name(name.as_bytes()) || !names.insert(name) {
                return Err(WriteError::Name(name.clone()));
            }
            let sha256: [u8; 32] = Sha256::digest(bytes).into();
            info += &format!("{name}:{}:{}\n", bytes.len(), hex(&sha256));
        }
        if self.members.is_empty() {
            return Err(WriteError::Empty);
        }
        Ok(info)
    }

    fn signed_info(&self, keys: &SigningKeys) -> Result<String, WriteError> {
        let text = self.info()?;
        let dsig = keys.sign_info(text.as_bytes());
        Ok(format!("{text}DSIG:{dsig}\n"))
    }

    /// `COPYING`, `.info`, members; no end-of-archive blocks.
    fn tar(&self, info: &str, to: &mut impl io::Write) -> io::Result<()> {
        tar_entry(to, COPYING, &self.copying)?;
        tar_entry(to, &format!("{}.info", self.database), info.as_bytes())?;
        self.members.iter().try_for_each(|(name, bytes)| tar_entry(to, name, bytes))
    }
}

/// The patch that leads with `script` to a version of a database, signed with
/// `keys`, or not at all: then only a reader that is told to accepts it.
///
/// # Errors
///
/// [`WriteError::Gzip`].
pub fn cdiff(
    script: &Script,
    version: u32,
    keys: Option<&SigningKeys>,
) -> Result<Vec<u8>, WriteError> {
    let text = script.text();
    let mut file = format!("ClamAV-Diff:{version}:{}:", text.len()).into_bytes();
    file.extend_from_slice(&gzip(|to| to.write_all(text).map_err(|_| WriteError::Gzip))?);
    let dsig = keys.map(|keys| keys.sign_cdiff(&file).into_bytes());
    file.push(b':');
    file.extend_from_slice(dsig.as_deref().unwrap_or(trust::UNSIGNED));
    Ok(file)
}

/// A `.cld` of these files, `COPYING` and `.info` among them, laid out as the
/// updater of ClamAV does it: the first line of the `.info` for a header, and a
/// plain tar.
pub(crate) fn cld_of(info_name: &str, files: &Files) -> Result<Vec<u8>, Error> {
    let info = files.get(info_name).ok_or(Error::new(Rule::NoInfo))?;
    let copying = files.get(COPYING).ok_or(Error::new(Rule::NoCopying))?;
    let line = memchr::memchr(b'\n', info).unwrap_or(info.len());
    let mut file = info.get(..line).unwrap_or_default().to_vec();
    if file.len() > HEADER_LEN {
        return Err(Error::new(Rule::InfoHeadline));
    }
    let bytes: usize = files.values().map(|file| file.len() + 2 * BLOCK).sum();
    file.reserve_exact(HEADER_LEN + bytes - line);
    file.resize(HEADER_LEN, b' ');
    let others = files.iter().filter(|(name, _)| ![COPYING, info_name].contains(&&***name));
    let others = others.map(|(name, bytes)| (&**name, bytes));
    for (name, bytes) in [(COPYING, copying), (info_name, info)].into_iter().chain(others) {
        let _ = tar_entry(&mut file, name, bytes); // a vector takes everything
    }
    Ok(file)
}

/// Why a container cannot be built.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WriteError {
    /// The builder's name does not fit its field.
    #[error("the builder is not 1 to 32 printable ASCII characters without a colon")]
    Builder,
    /// A container lists at least one member.
    #[error("there is no member")]
    Empty,
    /// A member or the database has a name that cannot be stored, or one that
    /// is there already.
    #[error("`{}` cannot be the name of one more member", .0.escape_default())]
    Name(String),
    /// A file that no script of a patch can make: one with a carriage return,
    /// without a line feed at its end, or new and empty.
    #[error("no patch can make the file `{}`", .0.escape_default())]
    Unpatchable(String),
    /// Compression failed for want of memory.
    #[error("the payload cannot be compressed")]
    Gzip,
}

/// Appends one file in the old form of the genuine containers: no `ustar`
/// magic, no mode, owner or time, and a size without leading zeros.
fn tar_entry(to: &mut impl io::Write, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut block = [0; BLOCK];
    fill(&mut block[NAME], name);
    fill(&mut block[SIZE], &format!("{:o}", bytes.len()));
    block[CHECKSUM].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[CHECKSUM].fill(0);
    fill(&mut block[CHECKSUM], &format!("{sum:06o}"));
    to.write_all(&block)?;
    to.write_all(bytes)?;
    to.write_all(&[0; BLOCK][..bytes.len().next_multiple_of(BLOCK) - bytes.len()])
}

/// Writes `text` at the start of a field, which must be longer.
fn fill(field: &mut [u8], text: &str) {
    for (byte, from) in field.iter_mut().zip(text.bytes()) {
        *byte = from;
    }
}

/// One gzip member without a time, as the genuine ones are, of what `fill` writes:
/// a database is never there as a whole archive beside its members.
fn gzip(
    fill: impl FnOnce(&mut GzEncoder<Vec<u8>>) -> Result<(), WriteError>,
) -> Result<Vec<u8>, WriteError> {
    const UNIX: u8 = 3;
    let mut encoder =
        GzBuilder::new().operating_system(UNIX).write(Vec::new(), Compression::best());
    fill(&mut encoder)?;
    encoder.finish().map_err(|_| WriteError::Gzip)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
    }
    text
}

/// `14 Nov 2023 22-13 +0000`.
fn time_text(seconds: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, minutes) = (seconds / 86_400, seconds % 86_400 / 60);
    // Years that begin in March put the leap day last, so that months have a
    // regular rhythm: 153 days in five. Eras of 400 years repeat.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12; // from January, 0
    let year = era * 400 + year_of_era + u64::from(month < 2);
    let name = MONTHS[month as usize]; // month < 12
    format!("{day:02} {name} {year} {:02}-{:02} +0000", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "01 Jan 1970 00-00 +0000"),
            (951_782_399, "28 Feb 2000 23-59 +0000"),
            (951_782_400, "29 Feb 2000 00-00 +0000"),
            (951_868_800, "01 Mar 2000 00-00 +0000"),
            (1_700_000_000, "14 Nov 2023 22-13 +0000"),
            (1_735_689_599, "31 Dec 2024 23-59 +0000"),
            (4_107_542_400, "01 Mar 2100 00-00 +0000"),
        ] {
            assert_eq!(time_text(seconds), text);
        }
        assert!(time_text(u64::MAX).ends_with("+0000"));
    }

    /// The example of the format's description, byte by byte.
    #[test]
    fn a_tar_header_looks_as_in_genuine_files() {
        let mut tar = Vec::new();
        tar_entry(&mut tar, "mini.ndb", &[b'x'; 38]).expect("a vector takes everything");
        assert_eq!(tar.len(), 1024);
        assert_eq!(tar[..9], *b"mini.ndb\0");
        assert_eq!(tar[124..127], *b"46\0");
        assert_eq!(tar[148..156], *b"002171\0\0");
        assert!(tar[157..512].iter().chain(&tar[550..]).all(|b| *b == 0));
    }

    #[test]
    fn what_could_not_be_read_back_is_not_written() {
        let good = Builder::new("mini").member("mini.ndb", b"x");
        assert!(good.cud().is_ok());
        for name in ["", "a/b", ".x", "COPYING", "mini.info", "mini.ndb", "x\n"] {
            let refused = good.clone().member(name, b"y").cud();
            assert_eq!(refused, Err(WriteError::Name(name.into())), "{name}");
        }
        assert!(matches!(Builder::new("a/b").member("x", b"").cud(), Err(WriteError::Name(_))));
        assert_eq!(Builder::new("mini").cud(), Err(WriteError::Empty));
        for builder in ["", "a:b", "a\n", &"x".repeat(33)] {
            assert_eq!(good.clone().builder(builder).cud(), Err(WriteError::Builder));
        }
    }
}
