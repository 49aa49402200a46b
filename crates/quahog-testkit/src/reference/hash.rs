//! Hash signatures: one line of `.hdb`, `.fp` and their relatives.

use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::Sha256;

use super::{FLEVEL, Reason, atoi, colon_fields};

/// A digest, and the length of what it was computed from.
#[derive(Clone, Debug)]
pub(super) struct Hash {
    digest: Vec<u8>,
    size: Option<u64>,
}

/// All digests of one layer, as allow lists and hash signatures need them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Digests {
    size: u64,
    md5: Vec<u8>,
    sha1: Vec<u8>,
    sha256: Vec<u8>,
}

impl Digests {
    /// Computes the digests of a layer.
    pub fn of(bytes: &[u8]) -> Digests {
        Digests {
            size: bytes.len() as u64, // no `usize` is wider
            md5: Md5::digest(bytes).to_vec(),
            sha1: Sha1::digest(bytes).to_vec(),
            sha256: Sha256::digest(bytes).to_vec(),
        }
    }

    /// MD5, SHA-1 and SHA-256 as lower-case hex.
    pub fn to_hex(&self) -> [String; 3] {
        [hex(&self.md5), hex(&self.sha1), hex(&self.sha256)]
    }
}

/// MD5 as lower-case hex, for the second field of `.ign2`.
pub(super) fn md5_hex(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Hash {
    /// Parses a line, apart from the name; `None` means to skip it.
    pub(super) fn parse(line: &str) -> Result<Option<Hash>, Reason> {
        Hash::parse_fields(&colon_fields(line, 3..=5)?, false)
    }

    /// Parses a line of a section hash, in which the size stands first.
    pub(super) fn parse_section(line: &str) -> Result<Option<Hash>, Reason> {
        let mut fields = colon_fields(line, 3..=5)?;
        fields.swap(0, 1);
        Hash::parse_fields(&fields, false)
    }

    /// Parses a line of an import hash, which may be of any size at any level.
    pub(super) fn parse_imports(line: &str) -> Result<Option<Hash>, Reason> {
        Hash::parse_fields(&colon_fields(line, 3..=5)?, true)
    }

    fn parse_fields(fields: &[&str], any_level: bool) -> Result<Option<Hash>, Reason> {
        let [hash, size, _, levels @ ..] = fields else {
            return Err("wrong number of fields");
        };
        // What is not a number reads as 0 here, unlike in `.ndb`.
        let min = levels.first().map_or(0, |level| atoi(level));
        let max = levels.get(1).map_or(i64::MAX, |level| atoi(level));
        if !(min..=max).contains(&FLEVEL) {
            return Ok(None);
        }
        if *size == "*" && min < 73 && !any_level {
            return Err("a hash of any size needs a functionality level of 73 or more");
        }
        let size = match *size {
            "*" => None,
            size if size.is_empty() || !size.bytes().all(|b| b.is_ascii_digit()) => {
                return Err("size is not a number");
            }
            size => match size.parse() {
                Ok(size @ 1..=4_294_967_294) => Some(size),
                _ => return Err("size is out of range"),
            },
        };
        if !matches!(hash.len(), 32 | 40 | 64) || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err("hash is not 32, 40 or 64 hex digits");
        }
        let digest = hash
            .as_bytes()
            .chunks(2)
            .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        Ok(Some(Hash { digest, size }))
    }

    /// Whether a layer with these digests is meant.
    pub(super) fn matches(&self, digests: &Digests) -> bool {
        self.size.is_none_or(|size| size == digests.size)
            && [&digests.md5, &digests.sha1, &digests.sha256].contains(&&self.digest)
    }
}
