//! Archives, from tiny ones that the tests build byte by byte.

mod cabinet;
mod cpio;
mod disc;
mod every;
mod gzip;
mod installshield;
mod korean;
mod lha;
mod nsis;
mod rar;
mod sevenz;
mod sis;
mod streams;
mod tar;
mod xar;
mod zip;

use std::borrow::Cow;
use std::io::Write;
use std::ops::ControlFlow;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use quahog_content::{Budget, Entry, Format, Limits, Shortfall, open};

/// A part that outlives its visit.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Found {
    bytes: Option<Vec<u8>>,
    name: Option<String>,
    shortfall: Option<Shortfall>,
    entry: Entry,
}

impl Found {
    fn text(&self) -> &str {
        self.bytes.as_deref().map_or("none", |bytes| std::str::from_utf8(bytes).unwrap_or("binary"))
    }

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("none")
    }
}

fn parts(format: Format, bytes: &[u8]) -> (Vec<Found>, Option<Shortfall>) {
    parts_within(format, bytes, Limits::default())
}

fn parts_within(format: Format, bytes: &[u8], limits: Limits) -> (Vec<Found>, Option<Shortfall>) {
    let budget = Budget::new(limits);
    let mut found = Vec::new();
    let shortfall = open(format, bytes, &budget, &mut |part| {
        found.push(Found {
            bytes: part.bytes.map(<[u8]>::to_vec),
            name: part.name.map(Cow::into_owned),
            shortfall: part.shortfall,
            entry: part.entry,
        });
        ControlFlow::Continue(())
    });
    (found, shortfall)
}

/// Names and texts of what is found; nothing may be missing.
fn texts(format: Format, bytes: &[u8]) -> Vec<(String, String)> {
    let (found, shortfall) = parts(format, bytes);
    assert_eq!(shortfall, None, "{format:?}");
    for part in &found {
        assert_eq!(part.shortfall, None, "{format:?} {part:?}");
    }
    found.iter().map(|part| (part.name().to_owned(), part.text().to_owned())).collect()
}

fn pair(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

fn le16(value: usize) -> [u8; 2] {
    u16::try_from(value).unwrap().to_le_bytes()
}

fn le32(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap().to_le_bytes()
}

fn le64(value: usize) -> [u8; 8] {
    (value as u64).to_le_bytes()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
