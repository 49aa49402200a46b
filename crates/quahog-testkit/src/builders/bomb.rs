//! Builder of bombs: small inputs that are large inside, or slow.
//!
//! None is ever unpacked here: long streams are a short one written many times.
//! [`bombs`] gives all of them, in the sizes that the world knows them in or
//! smaller by a factor, so that a test that is not optimised can have them too.
//!
//! ```
//! use quahog_testkit::builders::bomb;
//!
//! assert!(bomb::bzip2(1 << 30).len() < 2000);
//! ```

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::{Compress, Compression, FlushCompress};

use super::zip::{Member, crc32, deflate, directory, zip};

/// An input that is made to cost more than it should.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bomb {
    /// What it is.
    pub name: &'static str,
    /// It is a message, whatever its first bytes look like.
    pub is_message: bool,
    /// Something in it must be left out for a limit; else all of it may be
    /// looked at.
    pub is_cut: bool,
    /// The input.
    pub bytes: Vec<u8>,
}

/// Every bomb, `1 / shrink` as large as it is known: with 1, the packed ones
/// hold 1 GiB each, and the messages have a million lines.
pub fn bombs(shrink: usize) -> Vec<Bomb> {
    let len = (1 << 30) / shrink;
    let lines = 1_000_000 / shrink;
    let packed = |name, bytes| Bomb { name, is_message: false, is_cut: true, bytes };
    let file = |name, bytes| Bomb { name, is_message: false, is_cut: false, bytes };
    let mail = |name, is_cut, bytes| Bomb { name, is_message: true, is_cut, bytes };
    vec![
        packed("gzip", gzip(len)),
        packed("bzip2", bzip2(len)),
        packed("bzip2 in gzip in zip", {
            let inner = gzip_of(&deflate(&bzip2(len)), 0);
            zip(&[Member::deflated("a.gz", &inner)])
        }),
        packed("xz", xz(len)),
        packed("lzma", lzma(len / 4)),
        packed("zstd", zstd(len)),
        packed("lz4", lz4(len)),
        packed("zip", zip(&[Member::packed("a", 8, &zeros(len), 0, len)])),
        packed("zip of bzip2", zip(&[Member::packed("a", 12, &bzip2(45 << 20), 0, 45 << 20)])),
        packed("7z", sevenz(len / 4)),
        packed("text in gzip", gzip_of(&repeated(b"all work and no play. ", len), 0)),
        packed("html in gzip", gzip_of(&repeated(b"<b>work</b> and <i>play</i> ", len), 0)),
        packed("message in gzip", {
            let text = repeated(b"Subject: x\nMIME-Version: 1.0\n\nall work and no play\n", len);
            gzip_of(&text, 0)
        }),
        packed("42.zip", forty_two(4, 16, (20 << 20) / shrink)),
        packed("zip with overlaps", overlapping_zip(250, (4 << 20) / shrink)),
        file("zip of one file many times", shared_zip(10_000, (4 << 20) / shrink)),
        packed("sparse tar", sparse_tar()),
        file("quine", quine()),
        packed("pdf", pdf(&[(len, 1)])),
        packed("pdf of many", pdf(&[((16 << 20) / shrink, 64)])),
        packed("pdf of chains", pdf_chain(len)),
        mail("deep multiparts", true, deep_multiparts(10_000 / shrink.min(16))),
        mail("deep messages", true, deep_messages(10_000 / shrink.min(16))),
        mail("tiny parts", lines > 100_000, tiny_parts(lines / 10)),
        mail("begin lines", false, repeated_lines("Subject: x\n\n", "begin 644 a\n", lines)),
        mail("begin lines with data", true, {
            repeated_lines("Subject: x\n\n", "begin 644 a\n!0\n", lines)
        }),
        mail("one letter a line", false, {
            let head = "Subject: x\nContent-Transfer-Encoding: base64\n\n";
            repeated_lines(head, "A\n", 9 * lines)
        }),
        mail("folds", false, repeated_lines("Subject: x\n", " \n", 20 * lines)),
        mail("folds of a parameter", false, {
            repeated_lines("Content-Type: multipart/mixed;\n", " boundary=b;\n", 3 * lines)
        }),
        mail("fields", false, repeated_lines("", "X-Y: z\n", 6 * lines)),
    ]
}

/// `line` many times behind a head.
pub fn repeated_lines(head: &str, line: &str, count: usize) -> Vec<u8> {
    [head.as_bytes(), &line.as_bytes().repeat(count)].concat()
}

/// A deflate stream of `len` zeros, about a thousandth of that.
pub fn zeros(len: usize) -> Vec<u8> {
    repeated(&[0], len)
}

/// A deflate stream of `piece` again and again, at least `len` bytes.
pub fn repeated(piece: &[u8], len: usize) -> Vec<u8> {
    let block = piece.repeat((len.clamp(1, 1 << 20)).div_ceil(piece.len()));
    let mut packed = Vec::with_capacity(64 << 10);
    let mut state = Compress::new(Compression::best(), false);
    // A full flush refers to nothing before it, so that it can be repeated.
    let status = state.compress_vec(&block, &mut packed, FlushCompress::Full);
    debug_assert!(status.is_ok() && state.total_in() == block.len() as u64);
    let mut stream = packed.repeat(len.div_ceil(block.len()));
    stream.extend(deflate(&[]));
    stream
}

/// 1 GiB of zeros and so on in gzip.
pub fn gzip(len: usize) -> Vec<u8> {
    gzip_of(&zeros(len), len)
}

/// A deflate stream as a gzip file; its checksum is wrong.
pub fn gzip_of(stream: &[u8], len: usize) -> Vec<u8> {
    // The size is kept modulo 2^32.
    let size = (len as u32).to_le_bytes();
    [b"\x1f\x8b\x08\0\0\0\0\0\x02\x03", stream, &[0; 4], &size].concat()
}

/// At least `len` zeros in bzip2: some eighty bytes for 45 MiB.
pub fn bzip2(len: usize) -> Vec<u8> {
    let piece = (45 << 20).min(len.max(1));
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(&vec![0; piece]);
    encoder.finish().unwrap_or_default().repeat(len.div_ceil(piece))
}

/// At least `len` zeros in xz.
///
/// # Panics
///
/// Never: the options are those of a preset.
pub fn xz(len: usize) -> Vec<u8> {
    let piece = (16 << 20).min(len.max(1));
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).expect("a preset");
    writer.write_all(&vec![0; piece]).expect("memory");
    writer.finish().expect("memory").repeat(len.div_ceil(piece))
}

/// A bare LZMA stream of zeros, and its properties.
fn lzma_stream(len: usize) -> (Vec<u8>, u8) {
    let options = lzma_rust2::LzmaOptions::with_preset(1);
    let mut writer =
        lzma_rust2::LzmaWriter::new_no_header(Vec::new(), &options, false).expect("a preset");
    let block = vec![0; 1 << 20];
    let mut left = len;
    while left > 0 {
        let step = left.min(block.len());
        writer.write_all(&block[..step]).expect("memory");
        left -= step;
    }
    let properties = writer.props();
    (writer.finish().expect("memory"), properties)
}

/// `len` zeros as an `.lzma` file, whose dictionary is said to be 4 GiB.
///
/// # Panics
///
/// Never: the options are those of a preset.
pub fn lzma(len: usize) -> Vec<u8> {
    let (stream, properties) = lzma_stream(len);
    // xz believes in sizes of dictionaries that are powers of two.
    let dictionary = (1_u32 << 31).to_le_bytes();
    [&[properties][..], &dictionary, &(len as u64).to_le_bytes(), &stream].concat()
}

/// `len` zeros as the only file of a 7z archive.
///
/// # Panics
///
/// The packed stream is longer than 4 GiB.
pub fn sevenz(len: usize) -> Vec<u8> {
    let (stream, properties) = lzma_stream(len);
    let number = |value: usize| [&[0xff][..], &(value as u64).to_le_bytes()].concat();
    let mut header = vec![1, 4, 6, 0, 1, 9];
    header.extend(number(stream.len()));
    header.extend([0, 7, 11, 1, 0, 1, 0x23, 3, 1, 1, 5, properties]);
    header.extend((64_u32 << 20).to_le_bytes());
    header.push(12);
    header.extend(number(len));
    header.extend([0, 8, 0, 0, 5, 1, 17, 5, 0, b'a', 0, 0, 0, 0, 0]);
    let mut start = number(stream.len())[1..].to_vec();
    start.extend(&number(header.len())[1..]);
    start.extend(crc32(&header).to_le_bytes());
    let head = [b"7z\xbc\xaf\x27\x1c\0\x04", &crc32(&start).to_le_bytes()[..], &start].concat();
    [head, stream, header].concat()
}

/// At least `len` zeros as one Zstandard frame of blocks that repeat one byte.
pub fn zstd(len: usize) -> Vec<u8> {
    const BLOCK: usize = 128 << 10;
    // No checksum, no size; the window is 8 MiB.
    let mut bytes = b"\x28\xb5\x2f\xfd\x00\x68".to_vec();
    let count = len.div_ceil(BLOCK);
    for nth in 0..count {
        let last = u32::from(nth + 1 == count);
        let header = last | 1 << 1 | (BLOCK as u32) << 3;
        bytes.extend(&header.to_le_bytes()[..3]);
        bytes.push(0);
    }
    bytes
}

/// At least `len` zeros as one LZ4 frame.
pub fn lz4(len: usize) -> Vec<u8> {
    const BLOCK: usize = 4 << 20;
    let mut block = vec![0x1f, 0];
    block.extend([1, 0]); // the match begins one byte before
    let mut left = BLOCK - 1 - 4 - 15 - 12;
    while left >= 255 {
        block.push(255);
        left -= 255;
    }
    block.push(left as u8); // below 255
    block.extend([0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // Version 1, independent blocks, no checksums; blocks of 4 MiB.
    let mut bytes = b"\x04\x22\x4d\x18\x60\x70\x73".to_vec();
    for _ in 0..len.div_ceil(BLOCK) {
        bytes.extend(u32::try_from(block.len()).unwrap_or_default().to_le_bytes());
        bytes.extend(&block);
    }
    bytes.extend([0; 4]);
    bytes
}

/// A zip of `wide` zips of `wide` zips ..., `deep` levels of them, with a file
/// of `len` zeros in each of the innermost.
pub fn forty_two(deep: usize, wide: usize, len: usize) -> Vec<u8> {
    let stream = zeros(len);
    let mut archive = zip(&[Member::packed("0.dll", 8, &stream, 0, len)]);
    for _ in 0..deep {
        let members: Vec<_> =
            (0..wide).map(|nth| Member::deflated(&format!("lib {nth}.zip"), &archive)).collect();
        archive = zip(&members);
    }
    archive
}

/// A zip whose members overlap: each is a deflate stream that quotes the local
/// headers behind it and then goes on as the next, down to one kernel of `len`
/// zeros (David Fifield, "A better zip bomb").
pub fn overlapping_zip(count: usize, len: usize) -> Vec<u8> {
    let kernel = zeros(len);
    let mut body = Vec::new();
    let mut offsets = Vec::new();
    // From the last member to the first: each is put before those behind it.
    let mut tail = kernel;
    let mut size = len;
    let mut starts = Vec::new();
    for nth in (0..count).rev() {
        let member = Member::packed(&format!("{nth:04}"), 8, &tail, 0, size);
        let header = member.header();
        starts.push((format!("{nth:04}"), tail.len(), size));
        size += header.len();
        let length = u16::try_from(header.len()).unwrap_or_default();
        let mut quote = vec![0];
        quote.extend(length.to_le_bytes());
        quote.extend((!length).to_le_bytes());
        tail = [&quote[..], &header, &tail].concat();
    }
    // The quote of the first header is no part of any member.
    body.extend(&tail[5..]);
    let end = body.len();
    for (name, packed, size) in starts.iter().rev() {
        let head = 30 + name.len();
        offsets
            .push((Member::packed(name, 8, &body[end - packed..], 0, *size), end - packed - head));
    }
    let entries = offsets.clone();
    directory(body.clone(), &entries)
}

/// A zip whose directory names one member of `len` zeros `count` times.
pub fn shared_zip(count: usize, len: usize) -> Vec<u8> {
    let stream = zeros(len);
    let member = Member::packed("a", 8, &stream, 0, len);
    let body = [member.header(), stream.clone()].concat();
    directory(body, &vec![(member, 0); count])
}

/// A tar with a sparse file of 100 GiB, all of which but one block are holes.
pub fn sparse_tar() -> Vec<u8> {
    let size = 100_u64 << 30;
    let mut header = vec![0; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, b"sparse.img");
    put(100, b"0000644\0");
    put(124, b"00000001000\0");
    put(156, b"S");
    put(257, b"ustar  \0");
    // One block of data, at the end of the file: offset and length.
    put(386, format!("{:011o} 00000001000\0", 0).as_bytes());
    // Sizes of more than 8 GiB are binary.
    put(483, b"\x80\0\0\0");
    put(487, &size.to_be_bytes());
    put(386, b"\x80\0\0\0");
    put(390, &(size - 512).to_be_bytes());
    put(148, b"        ");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    [&header[..], &[b'x'; 512], &[0; 1024]].concat()
}

/// A gzip file that unpacks to itself, but for its checksum, which is wrong
/// (Russ Cox, "Zip files all the way down").
pub fn quine() -> Vec<u8> {
    /// A stored block of the next `n` bytes.
    fn literal(n: usize) -> Vec<u8> {
        let n = n as u16; // below 20
        [&[0][..], &n.to_le_bytes(), &(!n).to_le_bytes()].concat()
    }
    /// Five bytes that repeat the last `n` bytes, 17 to 20: a block with the
    /// fixed codes, two matches at distance `n`, and the end.
    fn repeat(n: usize) -> Vec<u8> {
        let mut bits = Vec::new();
        let mut put = |value: usize, width: u32, huffman: bool| {
            for bit in 0..width {
                let bit = if huffman { width - 1 - bit } else { bit };
                bits.push(value >> bit & 1);
            }
        };
        put(0, 1, false);
        put(1, 2, false);
        for length in [n - 10, 10] {
            // Lengths from 3 to 10 are the codes 257 to 264, of seven bits.
            put(length - 2, 7, true);
            // Distances from 17 to 24 are code 8 with three bits more.
            put(8, 5, true);
            put(n - 17, 3, false);
        }
        put(0, 7, true);
        bits.chunks(8)
            .map(|byte| byte.iter().rev().fold(0, |sum, bit| sum << 1 | *bit as u8))
            .collect()
    }
    let head = b"\x1f\x8b\x08\x08\0\0\0\0\x02\x03q\0".to_vec();
    // An empty last block, checksum, size, padding.
    let mut tail = deflate(&[]);
    tail.extend([0; 8]);
    tail.resize(13, 0);
    let (p, s) = (head.len() + 5, tail.len() + 5);
    let units: &[&[Vec<u8>]] = &[
        &[head.clone(), literal(p), head, literal(p)],
        &[repeat(p), literal(5), repeat(p), literal(5), literal(5)],
        &[literal(20), repeat(p), literal(5), literal(5), literal(20), repeat(20)],
        &[literal(20), repeat(20), literal(20), repeat(20), literal(20), repeat(20)],
        &[literal(20), repeat(20), literal(0), literal(0), literal(s), repeat(20)],
        &[literal(0), literal(0), literal(s), repeat(s), tail.clone(), repeat(s), tail],
    ];
    units.concat().concat()
}

/// A PDF with deflated streams: for each, how many zeros, and how often.
pub fn pdf(streams: &[(usize, usize)]) -> Vec<u8> {
    let mut file = b"%PDF-1.7\n".to_vec();
    let mut number = 1;
    for &(len, count) in streams {
        let data = [b"\x78\xda", &zeros(len)[..], &[0; 4]].concat();
        for _ in 0..count {
            file.extend(
                format!("{number} 0 obj\n<</Filter/FlateDecode/Length {}>>\nstream\n", data.len())
                    .as_bytes(),
            );
            file.extend(&data);
            file.extend(b"\nendstream\nendobj\n");
            number += 1;
        }
    }
    file.extend(b"trailer\n<</Size 2>>\n%%EOF\n");
    file
}

/// A PDF with one stream of `len` zeros that is deflated three times.
pub fn pdf_chain(len: usize) -> Vec<u8> {
    let mut data = [b"\x78\xda", &zeros(len)[..], &[0; 4]].concat();
    for _ in 0..2 {
        data = [b"\x78\xda", &deflate(&data)[..], &[0; 4]].concat();
    }
    let filters = "/FlateDecode ".repeat(3);
    let head = format!("%PDF-1.7\n1 0 obj\n<</Filter[{filters}]/Length {}>>\nstream\n", data.len());
    [head.as_bytes(), &data, b"\nendstream\nendobj\n%%EOF\n"].concat()
}

/// A message of multiparts, `deep` in each other.
pub fn deep_multiparts(deep: usize) -> Vec<u8> {
    let mut message = String::from("MIME-Version: 1.0\n");
    for level in 0..deep {
        // Writing to a string cannot fail.
        let _ = write!(message, "Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n");
    }
    message.push_str("\nthe innermost\n");
    message.into_bytes()
}

/// A message in a message in a message ..., `deep` of them.
pub fn deep_messages(deep: usize) -> Vec<u8> {
    let mut message = "Subject: x\nContent-Type: message/rfc822\n\n".repeat(deep);
    message.push_str("Subject: y\n\nthe innermost\n");
    message.into_bytes()
}

/// A message of `count` parts of one letter.
pub fn tiny_parts(count: usize) -> Vec<u8> {
    let head = "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n";
    repeated_lines(head, "--b\n\nabcdef\n", count)
}
