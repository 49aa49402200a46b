//! Container metadata, phishing lists and passwords, as an engine reads them.

use serde::{Deserialize, Serialize};

use super::FileType;
use super::set::CodeRange;
use crate::SigId;

/// Sizes or positions that an entry allows.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum SizeRange {
    /// All.
    Any,
    /// This one.
    Exactly(u64),
    /// From the first to the second, both allowed.
    Between(u64, u64),
}

impl SizeRange {
    /// Whether it allows `value`.
    pub fn allows(self, value: u64) -> bool {
        match self {
            SizeRange::Any => true,
            SizeRange::Exactly(only) => value == only,
            SizeRange::Between(low, high) => (low..=high).contains(&value),
        }
    }
}

/// A signature of a part's entry in its container.
#[derive(Clone, Copy, Debug)]
pub struct Container<'s> {
    /// Its identity.
    pub id: SigId,
    /// The type of the container; `None` for any.
    pub file_type: Option<FileType>,
    /// The size of the container.
    pub container_size: SizeRange,
    /// The bytes that the part takes in it.
    pub packed_size: SizeRange,
    /// The bytes of the part.
    pub size: SizeRange,
    /// Whether the part is encrypted.
    pub encrypted: Option<bool>,
    /// The part's position, from 1; 0 in messages.
    pub position: SizeRange,
    /// What is searched for in its name, see [`ere`](crate::ere); `None` for
    /// any name.
    pub pattern: Option<Regex<'s>>,
}

/// A regular expression that was [translated](crate::ere::translate).
#[derive(Clone, Copy, Debug)]
pub struct Regex<'s> {
    /// The expression, in the syntax of the `regex` family of crates.
    pub text: &'s [u8],
    /// How large it is with its repetitions written out.
    pub expansion: usize,
}

/// What is said of an address on a list of hashes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum UrlAlert {
    /// `S1`: blocked.
    Blocked,
    /// `S`: suspected of malware.
    Malware,
    /// `S2`: suspected of phishing.
    Phishing,
    /// `S:W`: nothing; it takes back what other entries say.
    Allowed,
}

/// The digest of an address, and what is said of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UrlHash<'s> {
    /// The SHA-256 of its canonical form.
    pub digest: &'s [u8; 32],
    /// What is said of it.
    pub alert: UrlAlert,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ContainerRow {
    pub(crate) file_type: Option<FileType>,
    pub(crate) container_size: SizeRange,
    pub(crate) packed_size: SizeRange,
    pub(crate) size: SizeRange,
    pub(crate) encrypted: Option<bool>,
    pub(crate) position: SizeRange,
    pub(crate) pattern: Option<RegexRow>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct RegexRow {
    pub(crate) code: CodeRange,
    pub(crate) expansion: usize,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct PhishingColumns {
    /// `R`: the pairs that are watched.
    pub(crate) watched: Vec<RegexRow>,
    /// `H`: the hosts that are watched.
    pub(crate) watched_hosts: Vec<CodeRange>,
    /// `X` and `Y`: the pairs that are allowed.
    pub(crate) allowed: Vec<RegexRow>,
    /// `M`: the pairs of hosts that are allowed.
    pub(crate) allowed_hosts: Vec<CodeRange>,
    pub(crate) url_digests: Vec<[u8; 32]>,
    pub(crate) url_alerts: Vec<UrlAlert>,
    /// A `.cfg` says that links are not to be looked at.
    pub(crate) is_off: bool,
}

impl PhishingColumns {
    pub(crate) fn len(&self) -> usize {
        self.watched.len()
            + self.watched_hosts.len()
            + self.allowed.len()
            + self.allowed_hosts.len()
            + self.url_digests.len()
    }
}

/// The phishing lists of a set.
#[derive(Clone, Copy, Debug)]
pub struct Phishing<'s> {
    pub(crate) columns: &'s PhishingColumns,
    pub(crate) code: &'s [u8],
}

impl<'s> Phishing<'s> {
    /// Expressions for pairs of real and shown address that are watched.
    pub fn watched(self) -> impl Iterator<Item = Regex<'s>> {
        self.columns.watched.iter().map(move |row| row.regex(self.code))
    }

    /// Hosts that are watched when they are shown, and what lies below them.
    pub fn watched_hosts(self) -> impl Iterator<Item = &'s [u8]> {
        self.columns.watched_hosts.iter().map(move |range| range.of(self.code))
    }

    /// Expressions for pairs that are allowed.
    pub fn allowed(self) -> impl Iterator<Item = Regex<'s>> {
        self.columns.allowed.iter().map(move |row| row.regex(self.code))
    }

    /// Pairs of hosts, `real:shown`, that are allowed.
    pub fn allowed_hosts(self) -> impl Iterator<Item = &'s [u8]> {
        self.columns.allowed_hosts.iter().map(move |range| range.of(self.code))
    }

    /// Digests of addresses.
    pub fn urls(self) -> impl ExactSizeIterator<Item = UrlHash<'s>> {
        let columns = self.columns;
        let pairs = columns.url_digests.iter().zip(&columns.url_alerts);
        pairs.map(|(digest, &alert)| UrlHash { digest, alert })
    }

    /// Whether a `.cfg` says that links are not to be looked at.
    pub fn is_off(self) -> bool {
        self.columns.is_off
    }
}

impl RegexRow {
    pub(crate) fn regex(self, code: &[u8]) -> Regex<'_> {
        Regex { text: self.code.of(code), expansion: self.expansion }
    }
}

/// A password to try on archives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Password<'s> {
    /// The archives that it is for; `None` for all.
    pub file_type: Option<FileType>,
    /// The password.
    pub bytes: &'s [u8],
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct PasswordRow {
    pub(crate) file_type: Option<FileType>,
    pub(crate) code: CodeRange,
}
