//! Sources of VBA macros ([MS-OVBA]).
//!
//! A project is a storage with a stream `dir` that lists modules, and one
//! stream for each module, in which the compressed source stands behind
//! compiled code. Programs run the compiled code or the source, so a source
//! that `dir` does not name is worth as much: see [`hidden_sources`].

use memchr::memmem;

use super::{length_at, narrow, u16_at, utf16};

/// A module that `dir` names.
#[derive(Debug)]
pub(super) struct Module {
    /// The stream that it is in.
    pub(super) stream: String,
    /// Where in that stream its source begins.
    pub(super) offset: usize,
}

/// The modules that a decompressed `dir` stream lists.
///
/// A record is `id:2 length:4 data`; one has a length that does not count the
/// last two bytes.
pub(super) fn modules(dir: &[u8]) -> Vec<Module> {
    let mut found: Vec<Module> = Vec::new();
    let mut stream = None;
    let mut rest = dir;
    while let (Some(id), Some(length)) = (u16_at(rest, 0), length_at(rest, 2)) {
        let length = if id == VERSION { 6 } else { length };
        let Some(data) = length.checked_add(6).and_then(|end| rest.get(6..end)) else { break };
        match id {
            STREAM_NAME => stream = Some(narrow(data)),
            STREAM_NAME_WIDE => stream = Some(utf16(data)),
            OFFSET => {
                if let (Some(stream), Some(offset)) = (stream.take(), length_at(data, 0)) {
                    found.push(Module { stream, offset });
                }
            }
            _ => {}
        }
        rest = rest.get(6 + length..).unwrap_or_default();
    }
    found
}

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

/// The first byte of a compressed source.
const CONTAINER: u8 = 1;
/// Bytes that a chunk decompresses to at most.
const CHUNK: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

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
