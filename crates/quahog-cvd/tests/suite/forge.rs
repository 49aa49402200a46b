//! Builds containers that no builder would: every field as the test says.

use std::fmt::Write as _;
use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use quahog_cvd::{Cvd, Error, Limits, Rule, TrustStore, VerifiedCvd};
use sha2::{Digest, Sha256};

pub(crate) const HEADLINE: &str = "ClamAV-VDB:14 Nov 2023 22-13 +0000:7:1:81:X:X:tester:1700000000";
pub(crate) const NDB: &[u8] = b"Test.A:0:*:414243\n";

/// Verifies with the test keys.
pub(crate) fn verify(file: impl Into<Bytes>, name: &str) -> Result<VerifiedCvd, Error> {
    verify_with(file, name, &crate::testkit::trust_store(), &Limits::default())
}

pub(crate) fn verify_with(
    file: impl Into<Bytes>,
    name: &str,
    trust: &TrustStore,
    limits: &Limits,
) -> Result<VerifiedCvd, Error> {
    Cvd::open(file.into(), name)?.verify(trust, limits)
}

/// Why a file is refused; `None` if it is not.
pub(crate) fn refusal(file: impl Into<Bytes>, name: &str) -> Option<Rule> {
    verify(file, name).err().map(|error| error.rule())
}

/// A header with these fields 5 and 6 (MD5, dsig), and a payload.
pub(crate) fn file(headline: &str, payload: &[u8]) -> Vec<u8> {
    let mut file = headline.as_bytes().to_vec();
    file.resize(512, b' ');
    file.extend_from_slice(payload);
    file
}

/// An unsigned file around a tar, packed.
pub(crate) fn cud(tar: &[u8]) -> Vec<u8> {
    file(HEADLINE, &gzip(tar))
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The lines of an `.info` for these members.
pub(crate) fn info(members: &[(&str, &[u8])]) -> String {
    let mut text = format!("{HEADLINE}\n");
    for (name, bytes) in members {
        let hash: String = Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        writeln!(text, "{name}:{}:{hash}", bytes.len()).unwrap();
    }
    text
}

/// The same text with a DSIG line of the test keys.
pub(crate) fn signed(text: &str) -> String {
    format!("{text}DSIG:{}\n", crate::testkit::signing_keys().sign_info(text.as_bytes()))
}

/// A plain file as the genuine writer stores it.
pub(crate) fn entry(name: &str, bytes: &[u8]) -> Vec<u8> {
    Entry { name: name.as_bytes(), ..Entry::of(bytes) }.build()
}

/// A tar of these files.
pub(crate) fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    members.iter().flat_map(|(name, bytes)| entry(name, bytes)).collect()
}

/// `COPYING` and an `.info` that lists `members`, then they.
pub(crate) fn mini(members: &[(&str, &[u8])]) -> Vec<u8> {
    let info = info(members);
    let mut all = vec![("COPYING", &b"none\n"[..]), ("mini.info", info.as_bytes())];
    all.extend_from_slice(members);
    tar(&all)
}

/// `mini` with one listed member, and `extra` behind it.
pub(crate) fn mini_and(extra: &[u8]) -> Vec<u8> {
    [mini(&[("mini.ndb", NDB)]), extra.to_vec()].concat()
}

/// A tar entry, field by field.
pub(crate) struct Entry<'e> {
    pub(crate) name: &'e [u8],
    pub(crate) kind: u8,
    pub(crate) size: Vec<u8>,
    pub(crate) data: &'e [u8],
    pub(crate) sum_is_off_by: u32,
}

impl<'e> Entry<'e> {
    pub(crate) fn of(data: &'e [u8]) -> Entry<'e> {
        let size = format!("{:o}", data.len()).into_bytes();
        Entry { name: b"mini.hdb", kind: 0, size, data, sum_is_off_by: 0 }
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let mut block = vec![0; 512];
        block[..self.name.len()].copy_from_slice(self.name);
        block[124..124 + self.size.len()].copy_from_slice(&self.size);
        block[156] = self.kind;
        block.extend_from_slice(self.data);
        block.resize(block.len().next_multiple_of(512), 0);
        resum(&mut block, self.sum_is_off_by);
        block
    }
}

/// Writes the checksum of the header block at the start of `entry`.
pub(crate) fn resum(entry: &mut [u8], off_by: u32) {
    entry[148..156].fill(b' ');
    let sum = entry[..512].iter().map(|b| u32::from(*b)).sum::<u32>() + off_by;
    entry[148..156].copy_from_slice(format!("{sum:06o}\0\0").as_bytes());
}
