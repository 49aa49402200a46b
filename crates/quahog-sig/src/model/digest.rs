//! The digest of a set, by which equal sets are known.

use sha2::{Digest as _, Sha256};

use super::Offset;
use super::packed::SubKind;
use super::set::SignatureSet;
use crate::pace;

impl SignatureSet {
    /// A digest of everything that decides what the set finds and how it is
    /// named. Equal sets have equal digests.
    pub fn digest(&self) -> [u8; 32] {
        let columns = &self.columns;
        let mut told = Told::default();
        told.part(&columns.code);
        // There are many of these: what most say is told as a byte that nothing else
        // begins with.
        const MOST: &[u8] = &[0xff];
        let offset = |told: &mut Told, offset| match offset {
            Offset::ANY => told.bytes(MOST),
            other => told.bytes(&other.encode()),
        };
        for len in [columns.bodies.len(), columns.logicals.len(), columns.subs.len()] {
            told.bytes(&(len as u64).to_le_bytes());
        }
        for row in columns.bodies.iter() {
            told.bytes(&[row.target.number()]);
            offset(&mut told, row.offset);
        }
        for block in &columns.blocks {
            told.part(format!("{block:?}").as_bytes());
        }
        for row in columns.logicals.iter() {
            told.bytes(&row.block.to_le_bytes());
            told.bytes(&[row.n_subs, u8::from(row.runs_program)]);
        }
        for row in columns.subs.iter() {
            offset(&mut told, row.offset);
            match row.kind {
                SubKind::Hex => told.bytes(MOST),
                other => told.bytes(&other.encode()),
            }
            told.bytes(&row.code.len().to_le_bytes());
        }
        let mut part = |bytes: &[u8]| told.part(bytes);
        for row in &columns.magics {
            part(format!("{:?} {:?} {:?}", row.kind, row.offset, row.file_type).as_bytes());
        }
        for row in &columns.yara {
            part(format!("{:?} {} {}", row.program, row.n_strings, row.private).as_bytes());
        }
        for row in &columns.yara_strings {
            part(format!("{:?} {:?} {}", row.code, row.second, row.is_regex).as_bytes());
        }
        for row in &columns.certificates {
            part(format!("{row:?}").as_bytes());
        }
        for row in &columns.trusted {
            part(format!("{row:?}").as_bytes());
        }
        for row in &columns.icons {
            part(format!("{row:?}").as_bytes());
        }
        for row in &columns.containers {
            part(format!("{row:?}").as_bytes());
        }
        for row in &columns.passwords {
            part(format!("{row:?}").as_bytes());
        }
        part(&[u8::from(columns.raw_first), u8::from(columns.phishing.is_off)]);
        let phishing = &columns.phishing;
        let lists = [&phishing.watched, &phishing.allowed];
        lists.iter().for_each(|list| part(format!("{list:?}").as_bytes()));
        let hosts = [&phishing.watched_hosts, &phishing.allowed_hosts];
        hosts.iter().for_each(|list| part(format!("{list:?}").as_bytes()));
        for (digest, alert) in phishing.url_digests.iter().zip(&phishing.url_alerts) {
            part(digest);
            part(&[*alert as u8]);
        }
        let rows = columns.hash_rows.iter().chain(columns.part_rows.iter().flatten()).chain([
            &columns.body_rows,
            &columns.logical_rows,
            &columns.container_rows,
            &columns.yara_rows,
            &columns.certificate_rows,
        ]);
        rows.for_each(|rows| rows.tell_names(&mut part));
        let hashes = columns.hashes.iter().chain(columns.parts.iter().flatten());
        for hashes in hashes.chain(&columns.allowed) {
            let (digests, sizes) = hashes.columns();
            part(digests);
            for sizes in sizes.chunks(1 << 10) {
                let bytes: Vec<[u8; 4]> = sizes.iter().map(|size| size.to_le_bytes()).collect();
                part(bytes.as_flattened());
            }
        }
        told.digest()
    }
}

/// What is told to a digest, many small pieces at a time.
#[derive(Default)]
struct Told {
    digest: Sha256,
    /// What the digest was not told yet.
    small: Vec<u8>,
}

impl Told {
    /// Tells bytes of which those before say how many they are.
    fn bytes(&mut self, bytes: &[u8]) {
        self.small.extend_from_slice(bytes);
        if self.small.len() > 16 << 10 {
            pace::point();
            self.digest.update(&self.small);
            self.small.clear();
        }
    }

    /// Tells bytes, and first how many they are.
    fn part(&mut self, bytes: &[u8]) {
        self.bytes(&(bytes.len() as u64).to_le_bytes());
        pace::pieces(bytes).for_each(|piece| {
            if piece.len() < 4 << 10 {
                return self.bytes(piece);
            }
            self.digest.update(&self.small);
            self.small.clear();
            self.digest.update(piece);
        });
    }

    fn digest(mut self) -> [u8; 32] {
        self.digest.update(&self.small);
        self.digest.finalize().into()
    }
}
