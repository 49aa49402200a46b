//! ClamAV-format containers: header, trust, members.
//!
//! A database comes as a container: 512 bytes of [header](Header), then a
//! (compressed) archive of text files. This crate reads one from memory,
//! decides who vouches for it, and hands out the files; it also
//! [builds](mod@write) them. Three kinds exist, told apart by the file name alone
//! ([`Kind`]): `.cvd` as published, `.cld` as patched locally, `.cud` unsigned.
//!
//! The stages are types. [`Cvd::open`] reads the header and nothing else;
//! [`Cvd::verify`] checks *everything* and only then gives a [`VerifiedCvd`],
//! whose [members](VerifiedCvd::members) can be read. Who wants members without
//! that has to write [`Cvd::dangerous_unverified`], where a reviewer finds it.
//! What is verified is what is read: members are slices of the one buffer that
//! was hashed.
//!
//! Signatures inside the members are no business of this crate, nor are files,
//! directories, clocks and the network: it does no I/O and starts no threads.
//!
//! # Cost
//!
//! Verifying takes linear time: MD5 over the payload (`.cvd`), one pass of
//! decompression, SHA-256 once over every member, and two signatures of a
//! quarter of a millisecond. Memory is the input, plus what is unpacked, at most
//! twice while the buffer grows; of a plain tar nothing is copied. A test holds it
//! to three times the two together and 8 MiB. All of it is bounded by [`Limits`],
//! and a size that the file declares allocates nothing.
//!
//! # Example
//!
//! ```
//! use quahog_cvd::{Cvd, Limits, Trust, TrustStore, write::Builder};
//!
//! let file = Builder::new("mini").member("mini.ndb", b"Test.A:0:*:414243\n").cud()?;
//!
//! let cvd = Cvd::open(file.into(), "mini.cud")?;
//! let verified = cvd.verify(&TrustStore::official(), &Limits::default())?;
//! assert_eq!(verified.trust(), &Trust::Unsigned);
//! assert_eq!(verified.members()[0].name(), "mini.ndb");
//! assert_eq!(verified.members()[0].bytes(), "Test.A:0:*:414243\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod header;
pub mod trust;

pub mod detached;

mod archive;
mod dsig;
mod error;
mod gzip;
mod info;
mod pem;

pub mod cdiff;

pub mod write;

use bytes::Bytes;
use md5::Md5;
use sha2::{Digest, Sha256};

pub use crate::archive::Limits;
pub use crate::cdiff::{Cdiff, Files, Script};
pub use crate::dsig::{KeyError, PrivateKey, PublicKey};
pub use crate::error::{Error, Fault, Offset, Rule};
pub use crate::header::{HEADER_LEN, Header};
pub use crate::info::{Info, Listed};
pub use crate::trust::{SignedCdiff, Source, Trust, TrustStore};

use crate::archive::{Archive, COPYING, Gate};

/// What a container is, by the suffix of its file name in any case.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// Made on this machine from a `.cvd` and patches: `.info` is signed, the
    /// header is not.
    Cld,
    /// Made by anyone: nothing is signed.
    Cud,
    /// Made by a publisher: header and `.info` are signed.
    Cvd,
}

impl Kind {
    /// The kind of a file with this name; `None` if it is no container.
    pub fn of(name: &str) -> Option<Kind> {
        Some(split_name(name)?.1)
    }

    /// The suffix, without a dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Kind::Cld => "cld",
            Kind::Cud => "cud",
            Kind::Cvd => "cvd",
        }
    }
}

/// A container of which the header is read, and nothing is believed.
#[derive(Clone, Debug)]
pub struct Cvd {
    kind: Kind,
    stem: Box<str>,
    header: Header,
    bytes: Bytes,
}

impl Cvd {
    /// Reads the header of the file called `name`, without folders.
    ///
    /// Takes constant time.
    ///
    /// # Errors
    ///
    /// [`Error::Header`] if name or header are not those of a container,
    /// [`Error::Truncated`] if there is not a byte after the header.
    pub fn open(bytes: Bytes, name: &str) -> Result<Cvd, Error> {
        let (stem, kind) = split_name(name).ok_or(Error::new(Rule::Suffix))?;
        let header = Header::parse(&bytes)?;
        if bytes.len() == HEADER_LEN {
            return Err(Error::new(Rule::NoPayload).at(Offset::File(HEADER_LEN as u64)));
        }
        Ok(Cvd { kind, stem: stem.into(), header, bytes })
    }

    /// The kind, by the name.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the header claims.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Checks everything, from the length of the file to the last hash.
    ///
    /// In this order, each before what follows costs anything: the size of the
    /// file; MD5 and dsig of the header (`.cvd`); then, as the archive is
    /// unpacked under `limits`, the form of every member header; the `.info`,
    /// its name, its dsig and its agreement with the header; that every member
    /// is listed, with its size; at the end that none is missing and that every
    /// SHA-256 is right. `COPYING` is not listed and not hashed on its own.
    ///
    /// The database is called what the `.info` is called: `main.info` for
    /// `main`. The file must have that name too, with an optional `-` and
    /// number as mirrors use them (`main-62.cvd`), so that one database cannot
    /// be passed off as another.
    ///
    /// # Errors
    ///
    /// [`Error`] says whom to blame, [`Error::rule`] why, [`Error::fault`] where.
    pub fn verify(self, trust: &TrustStore, limits: &Limits) -> Result<VerifiedCvd, Error> {
        if self.bytes.len() as u64 > limits.file_bytes {
            return Err(Error::new(Rule::FileBytes));
        }
        let payload = self.bytes.slice(HEADER_LEN..);
        let signers = self.signers_of_header(&payload, trust)?;
        let mut gate = Verifier {
            kind: self.kind,
            stem: &self.stem,
            header: &self.header,
            signers,
            limits,
            database: Box::default(),
            trust: Trust::Unsigned,
            has_copying: false,
            leftovers: 0,
        };
        let archive = archive::read(&payload, limits, Some(&mut gate))?;
        if self.kind != Kind::Cud && !gate.has_copying {
            return Err(Error::new(Rule::NoCopying));
        }
        let Verifier { database, trust, leftovers, .. } = gate;
        let Archive { bytes, entries, info: Some(info) } = archive else {
            return Err(Error::new(Rule::NoInfo));
        };

        let mut copying = None;
        let mut members = Vec::with_capacity(info.files().len());
        for entry in entries {
            let content = bytes.slice(entry.range);
            let Some(listed) = info.file(&entry.name) else {
                if &*entry.name == COPYING {
                    copying = Some(content);
                }
                continue;
            };
            if <[u8; 32]>::from(Sha256::digest(&content)) != listed.sha256() {
                return Err(Error::new(Rule::MemberHash).member(&entry.name));
            }
            members.push(Member { name: entry.name, bytes: content });
        }
        // Names are distinct on both sides, so equal numbers are equal sets.
        if members.len() != info.files().len() {
            let found: std::collections::HashSet<_> = members.iter().map(Member::name).collect();
            let missing = info.files().iter().find(|listed| !found.contains(listed.name()));
            let mut error = Error::new(Rule::Missing);
            if let Some(listed) = missing {
                error = error.member(listed.name());
            }
            return Err(error);
        }
        let Cvd { kind, header, .. } = self;
        Ok(VerifiedCvd { kind, database, header, info, trust, members, copying, leftovers })
    }

    /// Unpacks the archive and believes it.
    ///
    /// For tools that look at damaged or foreign files. The archive has to be
    /// well-formed and within `limits`, and names are plain; no signature, hash
    /// or list is looked at. All members are given, `COPYING` and `.info` too.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Truncated`] and [`Error::Limit`].
    pub fn dangerous_unverified(self, limits: &Limits) -> Result<Vec<Member>, Error> {
        if self.bytes.len() as u64 > limits.file_bytes {
            return Err(Error::new(Rule::FileBytes));
        }
        let Archive { bytes, entries, .. } =
            archive::read(&self.bytes.slice(HEADER_LEN..), limits, None)?;
        let member =
            |entry: archive::Entry| Member { name: entry.name, bytes: bytes.slice(entry.range) };
        Ok(entries.into_iter().map(member).collect())
    }

    /// The sources that may have signed the `.info`.
    ///
    /// Of a `.cvd` only those that signed the header. The header of a `.cld`
    /// says nothing (it may still carry what the `.cvd` had, which no longer
    /// fits), so any source will do. Of a `.cud` there are none; an MD5 that it
    /// carries must be right, though nobody signs it.
    fn signers_of_header<'t>(
        &self,
        payload: &[u8],
        trust: &'t TrustStore,
    ) -> Result<Vec<&'t Source>, Error> {
        let (md5, dsig) = (self.header.md5(), self.header.dsig());
        let check = |md5: &[u8; 16]| {
            if *md5 == <[u8; 16]>::from(Md5::digest(payload)) {
                return Ok(());
            }
            Err(Error::new(Rule::PayloadMd5))
        };
        match (self.kind, md5, dsig) {
            (Kind::Cvd, Some(md5), Some(dsig)) => {
                check(&md5)?;
                let signers = trust.signers_of_header(&md5, dsig);
                if signers.is_empty() {
                    return Err(Error::new(Rule::HeaderSignature));
                }
                Ok(signers)
            }
            (Kind::Cvd, ..) => Err(Error::new(Rule::HeaderUnsigned)),
            (Kind::Cld, ..) => Ok(trust.sources()),
            (Kind::Cud, _, Some(_)) => Err(Error::new(Rule::SignedCud)),
            (Kind::Cud, md5, None) => md5.as_ref().map_or(Ok(()), check).map(|()| Vec::new()),
        }
    }
}

/// A container whose every rule holds; only [`Cvd::verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedCvd {
    kind: Kind,
    database: Box<str>,
    header: Header,
    info: Info,
    trust: Trust,
    members: Vec<Member>,
    copying: Option<Bytes>,
    leftovers: usize,
}

impl VerifiedCvd {
    /// The kind, by the file name.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The name of the database, such as `daily`.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The header. Version, signatures, functionality level and build time are
    /// as trusted as the rest; time text and builder are not.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The list of members.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Who vouches for the members.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The listed members, in the order in which they are stored.
    ///
    /// The order means nothing: it is not signed.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| &*member.name == name)
    }

    /// The licence text. In a `.cld` or `.cud` nobody vouches for it.
    pub fn copying(&self) -> Option<&Bytes> {
        self.copying.as_ref()
    }

    /// All files by name: the members, `COPYING` and the `.info`.
    pub fn files(&self) -> Files {
        let members = self.members.iter().map(|m| (m.name.clone(), m.bytes.clone()));
        let copying = self.copying.iter().map(|text| (COPYING.into(), text.clone()));
        let info = (format!("{}.info", self.database).into(), self.info.text().clone());
        members.chain(copying).chain([info]).collect()
    }

    /// How many patches an updater left in this `.cld`. They are skipped.
    pub fn leftovers(&self) -> usize {
        self.leftovers
    }
}

/// A file in a container.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    name: Box<str>,
    bytes: Bytes,
}

impl Member {
    /// The name: 1 to 99 of `A-Za-z0-9_.-`, no dot in front.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The contents: a slice of the one unpacked buffer, which lives as long as
    /// the last of its slices.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// The gate of [`Cvd::verify`].
struct Verifier<'c> {
    kind: Kind,
    stem: &'c str,
    header: &'c Header,
    signers: Vec<&'c Source>,
    limits: &'c Limits,
    database: Box<str>,
    trust: Trust,
    has_copying: bool,
    leftovers: usize,
}

impl Gate for Verifier<'_> {
    fn info(&mut self, database: &str, text: Bytes) -> Result<Info, Error> {
        if !names_database(self.stem, database) {
            return Err(Error::new(Rule::InfoName).member(&format!("{database}.info")));
        }
        self.database = database.into();
        let info = Info::parse(text, self.kind, self.limits)?;
        if let Some((signed, dsig)) = info.signed() {
            let hash = Sha256::digest(signed).into();
            let signer = self.signers.iter().find(|source| source.signed_info(dsig, &hash));
            let Some(signer) = signer else {
                let at = Offset::Info(signed.len() as u64);
                return Err(Error::new(Rule::InfoSignature).at(at));
            };
            if !signer.may_sign(database) {
                return Err(Error::new(Rule::OfficialName).member(&format!("{database}.info")));
            }
            self.trust = signer.trust();
        }
        if !self.header.agrees_with(info.headline()) {
            return Err(Error::new(Rule::HeaderMismatch));
        }
        Ok(info)
    }

    fn admit(&mut self, info: &Info, name: &str, size: u64) -> Result<(), Error> {
        if name == COPYING {
            self.has_copying = true;
            return Ok(());
        }
        match info.file(name) {
            Some(listed) if listed.size() == size => Ok(()),
            Some(_) => Err(Error::new(Rule::MemberSize).member(name)),
            None if self.kind == Kind::Cld && is_leftover(&self.database, name) => {
                self.leftovers += 1;
                Ok(())
            }
            None => Err(Error::new(Rule::Unlisted).member(name)),
        }
    }
}

/// Stem and kind of a file name.
fn split_name(name: &str) -> Option<(&str, Kind)> {
    let (stem, suffix) = name.rsplit_once('.')?;
    let kinds = [Kind::Cld, Kind::Cud, Kind::Cvd];
    let kind = kinds.into_iter().find(|kind| suffix.eq_ignore_ascii_case(kind.suffix()))?;
    Some((stem, kind))
}

/// True if a file with this stem may hold `database`: `main` or `main-62`.
fn names_database(stem: &str, database: &str) -> bool {
    stem.strip_prefix(database)
        .is_some_and(|rest| rest.is_empty() || rest.strip_prefix('-').is_some_and(is_number))
}

/// True for `<database>-<digits>.cdiff` with or without `.sign`: since 1.5 the
/// updater packs the patches that it applied into the `.cld`.
fn is_leftover(database: &str, name: &str) -> bool {
    let name = name.strip_suffix(".sign").unwrap_or(name);
    name.strip_suffix(".cdiff")
        .and_then(|name| name.strip_prefix(database)?.strip_prefix('-'))
        .is_some_and(is_number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_decides_in_any_case() {
        assert_eq!(Kind::of("daily.cvd"), Some(Kind::Cvd));
        assert_eq!(Kind::of("x.CVD"), Some(Kind::Cvd));
        assert_eq!(Kind::of("x.y.cLd"), Some(Kind::Cld));
        assert_eq!(Kind::of("x.cud"), Some(Kind::Cud));
        for other in ["", "cvd", "x.cvd.bak", "x.ndb", "x.cvd ", "x\u{e4}"] {
            assert_eq!(Kind::of(other), None, "{other}");
        }
    }

    #[test]
    fn a_file_may_carry_its_version_in_its_name() {
        for stem in ["main", "main-62", "main-0"] {
            assert!(names_database(stem, "main"), "{stem}");
        }
        for stem in ["", "mai", "main-", "main-x", "main62", "main-6-2", "MAIN", "a/main", "daily"]
        {
            assert!(!names_database(stem, "main"), "{stem}");
        }
        assert!(names_database("my-2", "my-2"));
        assert!(names_database("my-2", "my"));
    }

    #[test]
    fn leftovers_are_patches_of_the_same_database() {
        for name in ["test-2.cdiff", "test-12.cdiff.sign"] {
            assert!(is_leftover("test", name), "{name}");
        }
        for name in [
            "test.cdiff",
            "test-.cdiff",
            "test-x.cdiff",
            "other-2.cdiff",
            "test-2.sign",
            "test-2.cdiff.sign.sign",
        ] {
            assert!(!is_leftover("test", name), "{name}");
        }
    }
}
