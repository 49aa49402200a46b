//! Lines of lists are admitted whole or leave the set as it was, compile, and
//! judge any entry, link or picture within their bounds; container lines agree
//! with the reference.

use std::ops::ControlFlow;

use arbitrary::{Arbitrary, Unstructured};
use quahog_content::damage::{Picture, of_picture};
use quahog_content::text::links::links;
use quahog_content::{Budget, Limits};
use quahog_engine::{Engine, Layer, Link, LinkKind, LinkOptions, PartEntry, Unmetered};
use quahog_sig::ast::Record;
use quahog_sig::model::FileType;
use quahog_sig::{Format, Lines, SetBuilder, ioc};
use quahog_testkit::ContainerCase;
use quahog_testkit::reference::container_line_matches;

const FORMATS: [Format; 9] = [
    Format::Cdb,
    Format::Cfg,
    Format::Crb,
    Format::Gdb,
    Format::Pdb,
    Format::Pwdb,
    Format::Rmd,
    Format::Wdb,
    Format::Zmd,
];

/// Holds `data` to that.
pub(crate) fn run(data: &[u8]) {
    let Some((&first, text)) = data.split_first() else { return };
    match usize::from(first) {
        254.. => return agrees(text),
        252.. => return content(text),
        _ => {}
    }
    let format = FORMATS[usize::from(first) % FORMATS.len()];
    let mut builder = SetBuilder::new();
    builder.source("fuzz", false);
    let mut rest = text;
    for line in Lines::new(text).take(64) {
        rest = line.text;
        if line.text.is_empty() {
            continue;
        }
        let again = match Record::parse(format, line.text) {
            Ok(Record::Certificate(record)) => Some(record.to_string()),
            Ok(Record::Container(record)) => Some(record.to_string()),
            Ok(Record::Feature(record)) => Some(record.to_string()),
            Ok(Record::Password(record)) => Some(record.to_string()),
            Ok(Record::Phishing(record)) => Some(record.to_string()),
            Ok(Record::ZipRar(record)) => Some(record.to_string()),
            _ => None,
        };
        if let (Some(again), Ok(text)) = (again, std::str::from_utf8(line.text)) {
            assert_eq!(again, text);
        }
        let before = builder.clone().finish().digest();
        if let Err(error) = builder.line(format, line.number, line.text) {
            assert!(error.span().end() <= line.text.len() + 1, "{error}");
            assert_eq!(builder.clone().finish().digest(), before);
        }
    }
    let engine = Engine::new(builder.finish()).expect("whatever is admitted compiles");
    let container = Layer::new(text, FileType::ZIP, None);
    let entry = PartEntry { name: rest, ..PartEntry::default() };
    let mut hits = Vec::new();
    engine.scan_entry(&container, &entry, &Unmetered, &mut hits).expect("nothing calls it off");
    let (real, shown) = rest.split_at(rest.len() / 2);
    for kind in [LinkKind::Text, LinkKind::Other] {
        let options = LinkOptions { ssl: true, cloak: true };
        let link = Link { real, shown, kind };
        engine.check_link(&link, options, &Unmetered).expect("nothing calls it off");
    }
}

fn agrees(data: &[u8]) {
    let Ok(case) = ContainerCase::arbitrary(&mut Unstructured::new(data)) else { return };
    let ContainerCase { lines, entry } = case;
    let mut builder = SetBuilder::new();
    let mut expected = Vec::new();
    for line in &lines {
        let admitted = builder.line(Format::Cdb, 1, line.as_bytes()).is_ok();
        let holds = container_line_matches(line, &entry);
        assert_eq!(admitted, holds.is_ok(), "{line}");
        if let Ok(holds) = holds {
            expected.push(holds);
        }
    }
    let engine = Engine::new(builder.finish()).expect("an engine");
    let bytes = vec![0; entry.container_size as usize];
    let file_type = FileType::from_name(entry.file_type.as_bytes()).expect("a type");
    let container = Layer::new(&bytes, file_type, None);
    let part = PartEntry {
        name: &entry.name,
        packed_size: entry.packed_size,
        size: entry.size,
        encrypted: entry.encrypted,
        position: entry.position,
    };
    let mut hits = Vec::new();
    engine.scan_entry(&container, &part, &Unmetered, &mut hits).expect("nothing calls it off");
    let found: Vec<usize> = hits.iter().map(|hit| hit.id.index()).collect();
    let expected: Vec<usize> = (0..expected.len()).filter(|&at| expected[at]).collect();
    assert_eq!(found, expected, "{lines:?} {entry:?}");
}

fn content(data: &[u8]) {
    let budget = Budget::new(Limits::default());
    let shortfall = links(data, &budget, &mut |link| {
        assert!(!link.real.is_empty() && link.real.len() <= 1_024 && link.shown.len() <= 1_024);
        ControlFlow::Continue(())
    });
    assert_eq!(shortfall, None);
    for picture in [Picture::Gif, Picture::Jpeg, Picture::Png, Picture::Tiff] {
        of_picture(picture, data, &budget).expect("a budget without bounds");
    }
    let lines = ioc::lines("fuzz", data).count();
    assert!(lines <= data.len());
}
