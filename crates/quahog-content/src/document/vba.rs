//! Sources of VBA macros ([MS-OVBA]).
//!
//! A project is a storage with a stream `dir` that lists modules, and one
//! stream for each module, in which the compressed source stands behind
//! compiled code. Programs run the compiled code or the source, so a source
//! that `dir` does not name is worth as much: see [`hidden_sources`].

use encoding_rs::Encoding;
use memchr::memmem;

use super::{length_at, narrow, u16_at, utf16};

/// What a `dir` stream says.
#[derive(Debug, Default)]
pub(super) struct Project {
    /// The number of the character set that sources are in.
    pub(super) code_page: u16,
    pub(super) modules: Vec<Module>,
}

/// A module that `dir` names.
#[derive(Debug)]
pub(super) struct Module {
    /// The stream that it is in.
    pub(super) stream: String,
    /// Where in that stream its source begins.
    pub(super) offset: usize,
}

/// What a decompressed `dir` stream lists.
///
/// A record is `id:2 length:4 data`; one has a length that does not count the
/// last two bytes.
pub(super) fn project(dir: &[u8]) -> Project {
    let mut project = Project::default();
    let mut stream = None;
    let mut rest = dir;
    while let (Some(id), Some(length)) = (u16_at(rest, 0), length_at(rest, 2)) {
        let length = if id == VERSION { 6 } else { length };
        let Some(data) = length.checked_add(6).and_then(|end| rest.get(6..end)) else { break };
        match id {
            CODE_PAGE => project.code_page = u16_at(data, 0).unwrap_or(0),
            STREAM_NAME => stream = Some(narrow(data)),
            STREAM_NAME_WIDE => stream = Some(utf16(data)),
            OFFSET => {
                if let (Some(stream), Some(offset)) = (stream.take(), length_at(data, 0)) {
                    project.modules.push(Module { stream, offset });
                }
            }
            _ => {}
        }
        rest = rest.get(6 + length..).unwrap_or_default();
    }
    project
}

const CODE_PAGE: u16 = 0x03;
const VERSION: u16 = 0x09;
const STREAM_NAME: u16 = 0x1a;
const STREAM_NAME_WIDE: u16 = 0x32;
const OFFSET: u16 = 0x31;

/// Where compressed sources begin, whatever a `dir` says: each begins with
/// attributes, whose first letters cannot be compressed away.
pub(super) fn hidden_sources(stream: &[u8]) -> impl Iterator<Item = usize> + '_ {
    memmem::find_iter(stream, b"\0Attribut\0e")
        .filter_map(|at| at.checked_sub(3))
        .filter(|&at| stream.get(at) == Some(&CONTAINER))
}

/// Decompresses a source of at most `room` bytes; tells whether more would
/// have come.
pub(super) fn decompress(container: &[u8], out: &mut Vec<u8>, room: usize) -> bool {
    let limit = out.len().saturating_add(room);
    let Some((&CONTAINER, mut rest)) = container.split_first() else { return false };
    while let Some(header) = u16_at(rest, 0) {
        if out.len() >= limit {
            return true;
        }
        if header & 0x7000 != 0x3000 {
            break;
        }
        let length = usize::from(header & 0xfff) + 3;
        let chunk = rest.get(2..length).or_else(|| rest.get(2..)).unwrap_or_default();
        if header & 0x8000 == 0 {
            out.extend_from_slice(chunk);
        } else {
            decompress_chunk(chunk, out);
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    let cut = out.len() > limit;
    out.truncate(limit);
    cut
}

/// A flag byte, then eight tokens: a byte, or a copy whose distance takes as
/// many bits as the bytes before it need.
fn decompress_chunk(chunk: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut rest = chunk;
    while let Some((&flags, after)) = rest.split_first() {
        rest = after;
        for bit in 0..8 {
            if out.len() - start >= CHUNK {
                return;
            }
            if flags >> bit & 1 == 0 {
                let Some((&byte, after)) = rest.split_first() else { return };
                out.push(byte);
                rest = after;
                continue;
            }
            let Some(token) = u16_at(rest, 0) else { return };
            rest = &rest[2..];
            let so_far = out.len() - start;
            let bits = so_far.max(1).next_power_of_two().trailing_zeros().clamp(4, 12);
            let distance = usize::from(token >> (16 - bits)) + 1;
            let length = usize::from(token & (0xffff >> bits)) + 3;
            if distance > so_far {
                return;
            }
            for _ in 0..length {
                out.push(out[out.len() - distance]);
            }
        }
    }
}

/// Appends a source as clamscan 1.4.6 searches it: small letters outside of
/// strings, runs of blanks as one, lines that go on joined, and UTF-8.
pub(super) fn normalize(source: &[u8], code_page: u16, out: &mut Vec<u8>) {
    let source = encoding(code_page).decode_without_bom_handling(source).0;
    let mut rest = source.as_bytes();
    let (mut quoted, mut blank) = (false, false);
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\r' | b'\n' => quoted = false,
            b'"' => (quoted, blank) = (!quoted, false),
            _ if quoted => {}
            b' ' | b'\t' => {
                if !std::mem::replace(&mut blank, true) {
                    out.push(b' ');
                }
                continue;
            }
            b'_' if blank && matches!(after, [b'\r', b'\n', ..] | [b'\n', ..]) => {
                rest = after.strip_prefix(b"\r").unwrap_or(after);
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            _ => blank = false,
        }
        out.push(if quoted { byte } else { byte.to_ascii_lowercase() });
    }
}

fn encoding(code_page: u16) -> &'static Encoding {
    let label = match code_page {
        932 => "shift_jis",
        936 => "gbk",
        949 => "euc-kr",
        950 => "big5",
        10000 => "macintosh",
        65001 => "utf-8",
        _ => &format!("windows-{code_page}"),
    };
    Encoding::for_label(label.as_bytes()).unwrap_or(encoding_rs::WINDOWS_1252)
}

/// The first byte of a compressed source.
const CONTAINER: u8 = 1;
/// Bytes that a chunk decompresses to at most.
const CHUNK: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    /// What clamscan 1.4.6 made of such a source.
    #[test]
    fn sources_are_normalized() {
        let source = b"Attribute VB_Name = \"M\"\r\n' A Comment  With   Blanks\r\n\
            Sub\tA()  \r\n  X = \"A  b\" & _\r\n      \"C\"\"d E\"\r\n\xe9T\xc9\r\nEnd Sub\r\n  Y";
        let mut out = Vec::new();
        normalize(source, 1252, &mut out);
        let expected = "attribute vb_name = \"M\"\r\n' a comment with blanks\r\n\
            sub a() \r\nx = \"A  b\" & \"C\"\"d E\"\r\n\u{e9}t\u{c9}\r\nend sub\r\n y";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    /// The examples of [MS-OVBA], 3.2.
    #[test]
    fn the_examples_of_the_specification_decompress() {
        let mut out = Vec::new();
        let literal = b"\x01\x19\xb0\x00abcdefgh\x00ijklmnop\x00qrstuv.";
        assert!(!decompress(literal, &mut out, 100));
        assert_eq!(out, b"abcdefghijklmnopqrstuv.");
        out.clear();
        let normal = b"\x01\x2f\xb0\x00\x23\x61\x61\x61\x62\x63\x64\x65\x82\x66\x00\x70\
            \x61\x67\x68\x69\x6a\x01\x38\x08\x61\x6b\x6c\x00\x30\x6d\x6e\x6f\x70\x06\x71\x02\
            \x70\x04\x10\x72\x73\x74\x75\x76\x10\x77\x78\x79\x7a\x00\x3c";
        assert!(!decompress(normal, &mut out, 100));
        assert_eq!(out, b"#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa");
        out.clear();
        assert!(!decompress(b"\x01\x03\xb0\x02\x61\x45\x00", &mut out, 100));
        assert_eq!(out, [b'a'; 73]);
        out.clear();
        assert!(decompress(b"\x01\x03\xb0\x02\x61\x45\x00", &mut out, 10));
        assert_eq!(out, [b'a'; 10]);
    }
}
