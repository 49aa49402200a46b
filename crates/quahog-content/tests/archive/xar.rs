//! xar: a table of contents that is text.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use quahog_content::{Format, Shortfall};

use super::{pair, parts, texts};

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xar(table: &str, heap: &[u8]) -> Vec<u8> {
    let packed = zlib(table.as_bytes());
    let mut bytes = b"xar!\0\x1c\0\x01".to_vec();
    bytes.extend((packed.len() as u64).to_be_bytes());
    bytes.extend((table.len() as u64).to_be_bytes());
    bytes.extend([&[0; 4], &packed[..], heap].concat());
    bytes
}

fn data(start: usize, length: usize, size: usize, style: &str) -> String {
    format!(
        "<data><encoding style=\"application/{style}\"/><offset>{start}</offset>\
         <length>{length}</length><size>{size}</size></data>"
    )
}

#[test]
fn files_lie_in_the_heap() {
    let packed = zlib(b"hello");
    let table = format!(
        "<?xml?><xar><toc><checksum><offset>9</offset></checksum><file id=\"1\"><name>d</name>\
         <file id=\"2\"><name>a</name>{}</file></file><file>{}<name>b</name></file></toc></xar>",
        data(0, packed.len(), 5, "x-gzip"),
        data(packed.len(), 6, 6, "octet-stream"),
    );
    let bytes = xar(&table, &[&packed, &b"stored"[..]].concat());
    let found = texts(Format::Xar, &bytes);
    assert_eq!(found[0], pair("toc.xml", &table));
    assert_eq!(found[1..], [pair("d/a", "hello"), pair("d", "none"), pair("b", "stored")]);
    let (found, _) = parts(Format::Xar, &bytes[..bytes.len() - 1]);
    assert_eq!(found[3].shortfall, Some(Shortfall::Malformed));
    // Folders without an end.
    let deep = xar(&"<file><name>x</name>".repeat(10_000), b"");
    assert_eq!(parts(Format::Xar, &deep).1, Some(Shortfall::Depth));
}
