//! Who vouches for a container.
//!
//! A [`TrustStore`] holds [`Source`]s; a source is a publisher with three RSA
//! keys. The official publisher is built in, others can be added. A container
//! is trusted when *one* source stands behind all its signatures: a header of
//! one publisher on the `.info` of another is refused.
//!
//! # What protects what
//!
//! | bytes | `.cvd` | `.cld` | `.cud` |
//! |---|---|---|---|
//! | header: magic, separators, padding | strict syntax | strict syntax | strict syntax |
//! | header: version, signatures, flevel, seconds | must equal the signed `.info` | the same | must equal the `.info` |
//! | header: MD5, dsig | textbook dsig | **nothing** but syntax | MD5 if given |
//! | header: **time text, builder** | **nothing** but printable | **nothing** | **nothing** |
//! | payload as stored | MD5, under the textbook dsig | gzip's CRC-32 if packed | the same, MD5 if given |
//! | `.info` | padded dsig | padded dsig | nothing |
//! | members that `.info` lists | SHA-256 in `.info` | the same | the same |
//! | `COPYING`, left-over patches | MD5 | **nothing** | **nothing** |
//!
//! So these ranges of a file can change without notice, and nothing else:
//!
//! - `.cvd`: the time text and the builder, each byte to another printable byte
//!   that is not a colon. Both are for display and never reach a decision.
//! - plain tar `.cld`: these two, the MD5 and dsig fields (within their syntax;
//!   nobody reads them), and the contents of `COPYING` and of left-over
//!   patches, which nobody reads either. Tar headers are under a sum that any
//!   single byte breaks; two bytes can be exchanged in the mode, owner and time
//!   fields, which nobody reads.
//! - gzip `.cld` and `.cud`: in addition flags, time, extra field, name, comment
//!   and system in the header of the gzip stream, in as far as they only
//!   describe; an attacker can also recompute the CRC and pack otherwise.
//! - A `.cud` protects against accidents only. Its trust is
//!   [`Trust::Unsigned`].
//!
//! The textbook scheme over MD5 is an integrity check with a history, not
//! security: what carries the trust is the padded scheme over `.info` and the
//! SHA-256 values in it. Of a `.cvd` both are always demanded.
//!
//! A detached `.sign` ([`detached`](crate::detached)) covers every byte of a
//! `.cvd`, with SHA-256 and a certificate chain. Whether one is wanted is for the
//! caller to say, who has the files.
//!
//! # What a source may do
//!
//! An added source may not sign a database of the official publisher
//! ([`OFFICIAL_DATABASES`]), and says by its [prefix](Source::prefix) which
//! signatures it defines. This crate does not read signatures; who does keeps a
//! source to its prefix, and to signatures: lists that allow, ignore or retype
//! what others detect are not its to publish. [`Source::overriding`] lifts all
//! that, for a source whom you would trust with `daily`.
//!
//! # Keys as files
//!
//! A source is a text file with a name, a prefix, and two or three public keys
//! in PEM: 1024 bits for headers, then 2047 or 2048 for `.info`, and for patches
//! if they have a key of their own. See [`Source::parse`].

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::dsig::{KeyError, PublicKey};
use crate::error::{Error, Offset, Rule};
use crate::pem;

/// The sources whose signatures count.
///
/// The default trusts the official publisher and nobody else.
///
/// # Example
///
/// ```
/// use quahog_cvd::{PublicKey, Source, TrustStore};
///
/// # fn keys() -> [&'static str; 3] { unreachable!() }
/// # fn own() -> Result<TrustStore, quahog_cvd::KeyError> {
/// # let [header, info, patch] = keys();
/// let own = Source::new(
///     "example.org",
///     PublicKey::new(header, 65537)?, // 1024 bits
///     PublicKey::new(info, 65537)?,   // 2048 bits
///     PublicKey::new(patch, 65537)?,  // 2048 bits
/// )?;
/// let store = TrustStore::official().with(own);
/// # Ok(store)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TrustStore {
    sources: Vec<Source>,
}

impl TrustStore {
    /// Trusts the official publisher: `main`, `daily`, `bytecode`, `test`.
    pub fn official() -> TrustStore {
        TrustStore { sources: vec![Source::official()] }
    }

    /// Trusts nobody.
    pub fn empty() -> TrustStore {
        TrustStore { sources: Vec::new() }
    }

    /// Trusts `source` as well.
    pub fn with(mut self, source: Source) -> TrustStore {
        self.sources.push(source);
        self
    }

    /// Verifies the signature at the end of a patch (`.cdiff`), in its frame
    /// `ClamAV-Diff:VERSION:SIZE:gzip-stream:signature`.
    ///
    /// Takes linear time and copies nothing. Version, size and script are for
    /// the reader of the frame to check: the signature is only a gate in front
    /// of it.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] below 350 bytes, [`Error::Corrupt`] without the
    /// frame, [`Error::Untrusted`] if no source signed it.
    pub fn verify_cdiff<'b>(&self, bytes: &'b [u8]) -> Result<SignedCdiff<'b>, Error> {
        if bytes.len() < CDIFF_TAIL {
            let end = Offset::File(bytes.len() as u64);
            return Err(Error::new(Rule::CdiffLength).at(end));
        }
        let (frame, dsig) = split_cdiff(bytes)?;
        if dsig == UNSIGNED {
            return Err(Error::new(Rule::CdiffUnsigned));
        }
        let hash = Sha256::digest(frame).into();
        match self.sources.iter().find(|source| source.cdiff.verifies_sha256(dsig, &hash)) {
            Some(source) => Ok(SignedCdiff { frame, trust: source.trust() }),
            None => {
                let at = Offset::File(frame.len() as u64 + 1);
                Err(Error::new(Rule::CdiffSignature).at(at))
            }
        }
    }

    /// The source behind this trust; `None` if nobody signed.
    pub fn source(&self, trust: &Trust) -> Option<&Source> {
        self.sources.iter().find(|source| source.trust() == *trust)
    }

    /// The sources, for a container without a signed header.
    pub(crate) fn sources(&self) -> Vec<&Source> {
        self.sources.iter().collect()
    }

    /// The sources that signed this MD5.
    pub(crate) fn signers_of_header(&self, md5: &[u8; 16], dsig: &str) -> Vec<&Source> {
        let signed = |source: &&Source| source.header.verifies_md5(dsig.as_bytes(), md5);
        self.sources.iter().filter(signed).collect()
    }
}

impl Default for TrustStore {
    fn default() -> TrustStore {
        TrustStore::official()
    }
}

/// Sorts two or three keys: for headers, `.info` and patches.
pub(crate) fn three<K: Clone>(keys: Vec<K>, bits: impl Fn(&K) -> u32) -> Result<[K; 3], KeyError> {
    let (mut small, large): (Vec<K>, Vec<K>) = keys.into_iter().partition(|key| bits(key) == 1024);
    match (small.pop(), small.as_slice(), large.as_slice()) {
        (Some(header), [], [info, cdiff]) => Ok([header, info.clone(), cdiff.clone()]),
        (Some(header), [], [both]) => Ok([header, both.clone(), both.clone()]),
        _ => Err(KeyError::Number),
    }
}

/// The frame of a patch and the digits of the signature behind it.
pub(crate) fn split_cdiff(bytes: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    if !bytes.starts_with(CDIFF_MAGIC) {
        return Err(Error::new(Rule::CdiffFrame).at(Offset::File(0)));
    }
    let tail = bytes.len().saturating_sub(CDIFF_TAIL);
    let colon = bytes.get(tail..).and_then(|tail| memchr::memrchr(b':', tail));
    match colon.and_then(|colon| bytes.split_at_checked(tail + colon)) {
        Some((frame, [_, dsig @ ..])) => Ok((frame, dsig)),
        _ => Err(Error::new(Rule::CdiffFrame).at(Offset::File(tail as u64))),
    }
}

/// The databases that the official publisher has, or had. No other source may
/// sign one of these names, unless it is [overriding](Source::overriding).
pub const OFFICIAL_DATABASES: &[&str] =
    &["bytecode", "daily", "main", "safebrowsing", "test", "valhalla"];

/// A publisher and its keys.
#[derive(Clone, Debug)]
pub struct Source {
    /// `None` is the official one, whose name nobody else can take.
    name: Option<Arc<str>>,
    prefix: Arc<str>,
    overriding: bool,
    header: PublicKey,
    info: PublicKey,
    cdiff: PublicKey,
}

impl Source {
    /// A source with keys for headers (1024 bits), for `.info` and for patches
    /// (2047 or 2048 bits, because the padded block has 256 bytes).
    ///
    /// The name is yours, and is what [`Trust::Source`] will say.
    ///
    /// # Errors
    ///
    /// [`KeyError::Size`].
    pub fn new(
        name: &str,
        header: PublicKey,
        info: PublicKey,
        cdiff: PublicKey,
    ) -> Result<Source, KeyError> {
        let padded = |key: &PublicKey| matches!(key.bits(), 2047 | 2048);
        if header.bits() != 1024 || !padded(&info) || !padded(&cdiff) {
            return Err(KeyError::Size);
        }
        let prefix = "".into();
        Ok(Source { name: Some(name.into()), prefix, overriding: false, header, info, cdiff })
    }

    /// Reads a source from a text:
    ///
    /// ```text
    /// # our own signatures
    /// name: example.org
    /// prefix: Example.
    /// -----BEGIN PUBLIC KEY-----
    /// ...
    /// ```
    ///
    /// In front of the keys stand `name` and `prefix`, each once and not empty;
    /// `overriding: yes` if that is meant; and lines that are blank or begin with
    /// `#`. The keys are those of [`new`](Self::new), told apart by their sizes;
    /// with two of them the second is for `.info` and for patches.
    ///
    /// # Errors
    ///
    /// [`KeyError::Text`] for a line that says something else,
    /// [`KeyError::Number`], [`KeyError::Form`] and [`KeyError::Size`].
    pub fn parse(text: &[u8]) -> Result<Source, KeyError> {
        let start = memchr::memmem::find(text, b"-----BEGIN ").unwrap_or(text.len());
        let head = std::str::from_utf8(text.get(..start).unwrap_or_default());
        let (mut name, mut prefix, mut overriding) = (None, None, None);
        for line in head.map_err(|_| KeyError::Text)?.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once(':').ok_or(KeyError::Text)?;
            let value = value.trim();
            let plain =
                value.bytes().all(|b| b.is_ascii_graphic()) && (1..=64).contains(&value.len());
            let field = match key.trim() {
                "name" => &mut name,
                "prefix" => &mut prefix,
                "overriding" if value == "yes" || value == "no" => &mut overriding,
                _ => return Err(KeyError::Text),
            };
            if !plain || field.replace(value).is_some() {
                return Err(KeyError::Text);
            }
        }
        let (Some(name), Some(prefix)) = (name, prefix) else { return Err(KeyError::Text) };
        let mut keys = Vec::new();
        for block in pem::blocks(text) {
            let (label, der) = block.map_err(|_| KeyError::Form)?;
            keys.push(pem::public_key(&label, &der)?);
        }
        let [header, info, cdiff] = three(keys, PublicKey::bits)?;
        let source = Source::new(name, header, info, cdiff)?;
        Ok(source.prefixed(prefix).overriding(overriding == Some("yes")))
    }

    /// Lets the source define only signatures whose names begin so, in any case.
    /// It may then also ignore those. By default it may define any name, and
    /// ignore none.
    pub fn prefixed(mut self, prefix: &str) -> Source {
        self.prefix = prefix.into();
        self
    }

    /// Whether the source may do all that the official publisher may: sign
    /// databases of its names, and publish lists that allow, ignore or retype
    /// what others detect. By default it may not.
    pub fn overriding(mut self, overriding: bool) -> Source {
        self.overriding = overriding;
        self
    }

    /// The name; `None` for the official publisher.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What the names of its signatures begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether it may do what the official publisher may.
    pub fn is_overriding(&self) -> bool {
        self.overriding
    }

    /// The publisher of ClamAV's own databases. Facts, as published; the test
    /// of genuine files keeps them right.
    fn official() -> Source {
        let key = |modulus: &[&str], exponent| {
            PublicKey::new(&modulus.concat(), exponent).expect("the keys below are RSA keys")
        };
        Source {
            name: None,
            prefix: "".into(),
            overriding: true,
            header: key(OFFICIAL_HEADER, 100_001_027),
            info: key(OFFICIAL_INFO, 100_002_049),
            cdiff: key(OFFICIAL_CDIFF, 100_002_053),
        }
    }

    /// The key for headers.
    pub fn header_key(&self) -> &PublicKey {
        &self.header
    }

    /// The key for `.info`.
    pub fn info_key(&self) -> &PublicKey {
        &self.info
    }

    /// The key for patches.
    pub fn cdiff_key(&self) -> &PublicKey {
        &self.cdiff
    }

    /// True if this source may sign the database of this name.
    pub(crate) fn may_sign(&self, database: &str) -> bool {
        self.overriding || !OFFICIAL_DATABASES.iter().any(|own| own.eq_ignore_ascii_case(database))
    }

    /// True if this source signed the text with this SHA-256 as an `.info`.
    pub(crate) fn signed_info(&self, dsig: &[u8], hash: &[u8; 32]) -> bool {
        self.info.verifies_sha256(dsig, hash)
    }

    /// The trust that a signature of this source gives.
    pub(crate) fn trust(&self) -> Trust {
        match &self.name {
            None => Trust::Official,
            Some(name) => Trust::Source(name.clone()),
        }
    }
}

/// Who vouches for the bytes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Trust {
    /// The official publisher.
    Official,
    /// An added source, by its name.
    Source(Arc<str>),
    /// Nobody: a `.cud`. Its detections are called `.UNOFFICIAL`.
    Unsigned,
}

/// A patch whose signature holds.
#[derive(Clone, Debug)]
pub struct SignedCdiff<'b> {
    frame: &'b [u8],
    trust: Trust,
}

impl<'b> SignedCdiff<'b> {
    /// The signed bytes: everything before the last colon.
    pub fn frame(&self) -> &'b [u8] {
        self.frame
    }

    /// Who signed.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }
}

/// Stands for "not signed", as in a header.
pub(crate) const UNSIGNED: &[u8] = b"X";

pub(crate) const CDIFF_MAGIC: &[u8] = b"ClamAV-Diff:";

/// The last colon is looked for in this many bytes, which is also the least
/// size of a patch.
const CDIFF_TAIL: usize = 350;

const OFFICIAL_HEADER: &[&str] = &[
    "a8f34c7b2bae902e1e608cfcec44c024375370c09cd460e1917a98546ddfc53a",
    "90c608bb48ba8cb7eed1ff342085ecdd1491428ca8a895972403a3db2a452dd8",
    "0173bb07e1e23acbc84fab2e2586930f62909d56d2e25256c989d399fa722ab2",
    "5ab628df79bcfce43b86a0e049263171352b75048f2d4778b69a5e574a6130ad",
];

const OFFICIAL_INFO: &[&str] = &[
    "57d749b7e7d61160421a14aeadb263bbaec4422cabda76e94db3fa98cd63bfe3",
    "2a54c72b3026f2356dfa9543f9020219cbdcbdae9e642c4441c23a2523cf4fa6",
    "d444722ec227b89e04dad097c38eeef93b588baabecc6fc20199fea6ea47a66c",
    "736d4fec15b5a8d4411e1ae838e2a0a55b7398f4d48b346a7d747134c62bfdf9",
    "5a4bce381fa151a2118b6788ccb3289512a6c8b3a84d640e0fca01d0f4611d7d",
    "d1a47452027ddecfc1572d08370e63c51d9bd4773153ce7ad95c4ffb2f4a1147",
    "e35304f827f34a4d5ef388bab077f7cae0b2fbbbfea09936b656b4c0c7c4e990",
    "7c6c6d392e01b047746d2b8694bede7a5e0861f8d95ef844a29b71e7f8b8f0c9",
];

const OFFICIAL_CDIFF: &[&str] = &[
    "751c709765074b2f79f1390581433f72b8e29dc8de678481ed1b56a39215e9d0",
    "298619228d8326d2b3b5db9dfcb832dc1fab5ec269986dad56b1c2fe661c1882",
    "3918e61f8f4d6efbe6be587f0a0fe4db6af5c1c5c0592127e48c012698233a67",
    "c1073fa0b52198edbe5ae2c1449a3b8acab7f791b282986fa0861ec925511f71",
    "3a087c299d39da10173c25aaf328971b4feef396f72f1d7d533bda6505514f1b",
    "ff8c5fad963334ed4ae2a8d35fdb941cb9f8dbf92002781fdfcf3b11bbbc3bec",
    "64174f75560f6450a0835e3c9acc8be4f6c9af3f85c17d9b49b27792d7602b98",
    "21c015f87679b65b25ad5c2e041da84e6ee076ac5274e693a0f874bc7fd10903",
];
