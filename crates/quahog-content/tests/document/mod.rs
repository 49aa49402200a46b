//! Documents, built by the tests.

mod calendar;
mod ole;
mod onenote;
mod pdf;
mod rtf;
mod screnc;
mod shortcut;
mod swf;
mod tnef;
mod xml;

use std::borrow::Cow;
use std::io::Write;
use std::ops::ControlFlow;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;
use quahog_content::{Budget, Entry, Format, Limits, Shortfall, open};

/// A part that outlives its visit.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Found {
    bytes: Option<Vec<u8>>,
    name: Option<String>,
    shortfall: Option<Shortfall>,
    entry: Entry,
    declared: Option<String>,
}

impl Found {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
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
            declared: part.declared.map(Cow::into_owned),
        });
        ControlFlow::Continue(())
    });
    (found, shortfall)
}

/// The one part with these bytes.
fn part_of<'f>(found: &'f [Found], bytes: &[u8]) -> &'f Found {
    let mut same = found.iter().filter(|part| part.bytes() == bytes);
    let names: Vec<_> = found.iter().map(Found::name).collect();
    let part = same.next().unwrap_or_else(|| panic!("not among {names:?}"));
    assert_eq!(same.next(), None, "twice");
    part
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const FORMATS: [Format; 12] = [
    Format::ActiveMime,
    Format::BinHex,
    Format::Calendar,
    Format::Ole2,
    Format::OneNote,
    Format::Pdf,
    Format::Rtf,
    Format::Shortcut,
    Format::Swf,
    Format::Tnef,
    Format::Uuencode,
    Format::XmlOffice,
];

/// The limits of the property tests, and what they promise.
fn survives(format: Format, bytes: &[u8]) {
    let limits = Limits {
        part_bytes: 3000,
        total_bytes: 20_000,
        parts: 50,
        fuel: 2_000_000,
        ..Limits::default()
    };
    let (found, _) = parts_within(format, bytes, limits);
    assert!(found.len() <= 50);
    assert!(found.iter().all(|part| part.bytes().len() <= 3000));
    assert!(found.iter().map(|part| part.bytes().len()).sum::<usize>() <= 20_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any bytes, as any format, neither panic nor exceed the budget.
    #[test]
    fn any_bytes_are_survived(
        format in prop::sample::select(&FORMATS[..]),
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
    ) {
        survives(format, &bytes);
    }

    /// Nor does a document with one byte changed and its end cut off.
    #[test]
    fn damage_is_survived(
        which in 0..9_usize,
        at: prop::sample::Index,
        byte: u8,
        cut: prop::sample::Index,
    ) {
        let (format, mut bytes) = match which {
            0 => (Format::Ole2, ole::sample()),
            1 => (Format::OneNote, onenote::sample()),
            2 => (Format::Rtf, rtf::sample()),
            3 => (Format::Pdf, pdf::sample()),
            4 => (Format::Calendar, calendar::sample()),
            5 => (Format::XmlOffice, xml::sample()),
            6 => (Format::Swf, swf::sample()),
            7 => (Format::Shortcut, shortcut::sample()),
            _ => (Format::Tnef, tnef::sample()),
        };
        let at = at.index(bytes.len());
        bytes[at] = byte;
        survives(format, &bytes);
        bytes.truncate(cut.index(bytes.len()) + 1);
        survives(format, &bytes);
    }
}
