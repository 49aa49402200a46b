//! zip: archives that contradict themselves, and the `zip` crate's as oracle
//! for those that do not.

use std::io::{Cursor, Read, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use proptest::prelude::*;
use quahog_content::{Budget, Format, Limits, Shortfall, open};

use super::{Found, crc32, deflate, parts, parts_within};

/// One of the two headers of a member.
#[derive(Clone, Debug)]
struct Header {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    crc32: u32,
    packed_size: u32,
    size: u32,
    extra: Vec<u8>,
}

impl Header {
    fn of(name: &str, content: &[u8], method: u16, packed: &[u8]) -> Header {
        Header {
            name: name.into(),
            flags: 0,
            method,
            crc32: crc32(content),
            packed_size: packed.len() as u32,
            size: content.len() as u32,
            extra: vec![],
        }
    }

    fn local(&self) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04\x14\0".to_vec();
        self.common(&mut bytes);
        bytes.extend(&self.name);
        bytes.extend(&self.extra);
        bytes
    }

    fn record(&self, offset: usize) -> Vec<u8> {
        let mut bytes = b"PK\x01\x02\x14\0\x14\0".to_vec();
        self.common(&mut bytes);
        bytes.extend([0; 10]);
        bytes.extend((offset as u32).to_le_bytes());
        bytes.extend(&self.name);
        bytes.extend(&self.extra);
        bytes
    }

    fn common(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.flags.to_le_bytes());
        bytes.extend(self.method.to_le_bytes());
        bytes.extend([0; 4]);
        for field in [self.crc32, self.packed_size, self.size] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend((self.name.len() as u16).to_le_bytes());
        bytes.extend((self.extra.len() as u16).to_le_bytes());
    }
}

/// A zip whose parts can be made to disagree before it is written.
#[derive(Clone, Debug)]
struct Zip {
    prefix: Vec<u8>,
    members: Vec<Member>,
    offset_is_off_by: i64,
    end_records: Vec<u8>,
    trailing: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Member {
    local: Header,
    data: Vec<u8>,
    record: Option<Header>,
    offset_is_off_by: i64,
}

impl Zip {
    fn of(members: &[(&str, &[u8], u16)]) -> Zip {
        let members = members
            .iter()
            .map(|&(name, content, method)| {
                let data = if method == 8 { deflate(content) } else { content.to_vec() };
                let header = Header::of(name, content, method, &data);
                Member { local: header.clone(), data, record: Some(header), offset_is_off_by: 0 }
            })
            .collect();
        Zip { prefix: vec![], members, offset_is_off_by: 0, end_records: vec![], trailing: vec![] }
    }

    /// One deflated member: `a.txt` is `hello hello`.
    fn hello() -> Zip {
        Zip::of(&[("a.txt", b"hello hello", 8)])
    }

    fn stored() -> Zip {
        Zip::of(&[("a.txt", b"hello hello", 0)])
    }

    fn with(mut self, change: impl FnOnce(&mut Zip)) -> Zip {
        change(&mut self);
        self
    }

    fn local(self, change: impl FnOnce(&mut Header)) -> Zip {
        self.with(|zip| change(&mut zip.members[0].local))
    }

    fn record(self, change: impl FnOnce(&mut Header)) -> Zip {
        self.with(|zip| change(zip.members[0].record.as_mut().unwrap()))
    }

    fn both(self, change: impl Fn(&mut Header)) -> Zip {
        self.local(&change).record(&change)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.prefix.clone();
        let mut directory = Vec::new();
        for member in &self.members {
            // Offsets count from the end of the prefix.
            let offset = (bytes.len() - self.prefix.len()) as i64 + member.offset_is_off_by;
            if let Some(record) = &member.record {
                directory.extend(record.record(offset as usize));
            }
            bytes.extend(member.local.local());
            bytes.extend(&member.data);
        }
        let offset = (bytes.len() - self.prefix.len()) as i64 + self.offset_is_off_by;
        bytes.extend(&directory);
        if self.end_records.is_empty() {
            let n = self.members.len() as u16;
            bytes.extend(end_record(n, directory.len() as u32, offset as u32));
        }
        bytes.extend(&self.end_records);
        bytes.extend(&self.trailing);
        bytes
    }
}

fn end_record(count: u16, size: u32, offset: u32) -> Vec<u8> {
    let mut bytes = b"PK\x05\x06\0\0\0\0".to_vec();
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

/// Asserts that `zip` has exactly these contents, whole and without complaint.
fn assert_holds(case: &str, zip: &Zip, expected: &[(&str, &str)]) -> Vec<Found> {
    let (found, shortfall) = parts(Format::Zip, &zip.bytes());
    let seen: Vec<_> = found.iter().map(|part| (part.name(), part.text())).collect();
    assert_eq!(seen, expected, "{case}");
    assert_eq!(shortfall, None, "{case}");
    assert!(found.iter().all(|part| part.shortfall.is_none()), "{case}");
    found
}

#[test]
fn two_headers_that_disagree_give_the_member_that_a_reader_would() {
    let hello = &[("a.txt", "hello hello")][..];
    let zero_sizes = |header: &mut Header| (header.packed_size, header.size) = (0, 0);
    let full = Zip::hello().bytes();
    let directory_at = full.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let directory = (full.len() - 22 - directory_at, directory_at);
    let end = end_record(1, directory.0 as u32, directory.1 as u32);
    let with_end = |end: Vec<u8>| Zip::hello().with(|zip| zip.end_records = end);
    for (case, zip) in [
        ("plain", Zip::hello()),
        ("stored", Zip::stored()),
        ("count 0", with_end(end_record(0, directory.0 as u32, directory.1 as u32))),
        ("count 500", with_end(end_record(500, directory.0 as u32, directory.1 as u32))),
        ("directory offset wrong", Zip::hello().with(|zip| zip.offset_is_off_by = 7)),
        ("directory size wrong", with_end(end_record(1, 3, directory.1 as u32))),
        ("directory not where said", with_end(end_record(1, 3, 3))),
        ("no end record", with_end(vec![0])),
        ("second end record", with_end([end.clone(), end_record(0, 0, 0)].concat())),
        ("end record of junk", with_end([end, b"PK\x05\x06junk".to_vec()].concat())),
        ("prefix", Zip::hello().with(|zip| zip.prefix = vec![b'#'; 1000])),
        ("prefix known", {
            let prefixed = Zip::hello().with(|zip| zip.prefix = vec![b'#'; 1000]);
            prefixed.with(|zip| {
                zip.offset_is_off_by = 1000;
                zip.members[0].offset_is_off_by = 1000;
            })
        }),
        ("trailing data", Zip::hello().with(|zip| zip.trailing = vec![b'#'; 70_000])),
        ("no directory", Zip::hello().with(|zip| zip.members[0].record = None)),
        ("stored, no directory", Zip::stored().with(|zip| zip.members[0].record = None)),
        ("local offset wrong", Zip::hello().with(|zip| zip.members[0].offset_is_off_by = 11)),
        ("local offset wild", Zip::hello().with(|zip| zip.members[0].offset_is_off_by = 1 << 31)),
        ("local sizes 0", Zip::hello().local(zero_sizes)),
        ("local sizes 0, stored", Zip::stored().local(zero_sizes)),
        ("directory sizes 0", Zip::hello().record(zero_sizes)),
        ("directory sizes 0, stored", Zip::stored().record(zero_sizes)),
        ("directory size short", Zip::hello().record(|header| header.packed_size = 2)),
        ("directory size long", Zip::hello().record(|header| header.packed_size = 999)),
        ("directory size long, stored", Zip::stored().record(|header| header.packed_size = 999)),
        ("local size long, stored", Zip::stored().local(|header| header.packed_size = 999)),
        ("size wrong", Zip::hello().both(|header| header.size = 1)),
        ("checksum wrong", Zip::hello().both(|header| header.crc32 ^= 1)),
        ("checksum wrong, stored", Zip::stored().both(|header| header.crc32 ^= 1)),
        ("encrypted says local", Zip::hello().local(|header| header.flags = 1)),
        ("encrypted says directory", Zip::hello().record(|header| header.flags = 1)),
        ("encrypted says local, stored", Zip::stored().local(|header| header.flags = 1)),
        ("no method says local", Zip::hello().local(|header| header.method = 99)),
    ] {
        assert_holds(case, &zip, hello);
    }
}

#[test]
fn a_flag_in_one_header_is_evidence() {
    for zip in [
        Zip::hello().local(|header| header.flags = 1),
        Zip::hello().record(|header| header.flags = 1),
    ] {
        assert!(parts(Format::Zip, &zip.bytes()).0[0].entry.encrypted);
    }
}

#[test]
fn stored_data_is_handed_out_for_each_size_claimed() {
    let zip = Zip::stored().record(|header| header.packed_size = 5);
    assert_holds("sizes", &zip, &[("a.txt", "hello"), ("a.txt", "hello hello")]);
}

#[test]
fn both_methods_are_tried() {
    let zip = Zip::hello().local(|header| header.method = 0);
    let (found, _) = parts(Format::Zip, &zip.bytes());
    assert_eq!(found[0].text(), "hello hello");
    assert_eq!(found[1].bytes, Some(deflate(b"hello hello")));
    let zip = Zip::hello().record(|header| header.method = 0);
    let (found, _) = parts(Format::Zip, &zip.bytes());
    assert_eq!(found[0].bytes, Some(deflate(b"hello hello")));
    assert_eq!(found[1].text(), "hello hello");
    // Deflate is only a guess here, and a wrong one.
    let zip = Zip::stored().local(|header| header.method = 8);
    assert_holds("guess", &zip, &[("a.txt", "hello hello")]);
}

#[test]
fn the_second_name_of_data_is_evidence() {
    let zip = Zip::hello().local(|header| header.name = b"b.exe".to_vec());
    assert_holds("names", &zip, &[("a.txt", "hello hello"), ("b.exe", "none")]);
    // The same member twice in the directory.
    let zip = Zip::hello();
    let record = zip.members[0].record.clone().unwrap();
    let other = Header { name: b"c.scr".to_vec(), ..record.clone() };
    let twice = zip.with(|zip| {
        zip.end_records = [record.record(0), other.record(0), end_record(3, 0, 0)].concat();
    });
    assert_holds("twice", &twice, &[("a.txt", "hello hello"), ("c.scr", "none")]);
}

#[test]
fn methods_beside_deflate_are_read() {
    let text = b"hello hello hello hello hello hello hello hello";
    let with = |packer: &dyn Fn(&mut Vec<u8>)| {
        let mut packed = Vec::new();
        packer(&mut packed);
        packed
    };
    let options = lzma_rust2::LzmaOptions::with_preset(1);
    let lzma = |end: bool| {
        let writer = lzma_rust2::LzmaWriter::new_no_header(Vec::new(), &options, end);
        let mut writer = writer.unwrap();
        writer.write_all(text).unwrap();
        let head = [9, 20, 5, 0, writer.props()];
        let head = [&head[..], &options.dict_size.to_le_bytes()].concat();
        [head, writer.finish().unwrap()].concat()
    };
    let ppmd = with(&|out| {
        out.extend((5_u16 | (1 << 4)).to_le_bytes());
        let method = ppmd_rust::RestoreMethod::Restart;
        let mut encoder = ppmd_rust::Ppmd8Encoder::new(&mut *out, 6, 2 << 20, method).unwrap();
        encoder.write_all(text).unwrap();
        encoder.finish(false).unwrap();
    });
    let bzip2 = with(&|out| {
        let mut encoder = bzip2::write::BzEncoder::new(out, bzip2::Compression::fast());
        encoder.write_all(text).unwrap();
    });
    let zstd =
        ruzstd::encoding::compress_to_vec(&text[..], ruzstd::encoding::CompressionLevel::Fastest);
    for (method, flags, packed) in [
        (9, 0, deflate(text)),
        (12, 0, bzip2),
        (14, 0, lzma(false)),
        (14, 2, lzma(true)),
        (93, 0, zstd),
        (98, 0, ppmd),
    ] {
        let zip = Zip::hello().with(|zip| {
            zip.members[0].data = packed.clone();
        });
        let zip = zip.both(|header| {
            (header.method, header.flags) = (method, flags);
            (header.packed_size, header.size) = (packed.len() as u32, text.len() as u32);
        });
        assert_holds("method", &zip, &[("a.txt", std::str::from_utf8(text).unwrap())]);
        // Nothing there is trusted to fit.
        for cut in 0..packed.len() {
            let zip = zip.clone().with(|zip| zip.members[0].data.truncate(cut));
            let (found, _) = parts(Format::Zip, &zip.bytes());
            assert!(found.iter().all(|part| part.entry.size <= text.len() as u64));
        }
    }
}

#[test]
fn what_cannot_be_read_keeps_its_entry() {
    let only = |zip: &Zip| {
        let (mut found, shortfall) = parts(Format::Zip, &zip.bytes());
        assert_eq!((found.len(), shortfall), (1, None));
        found.remove(0)
    };
    let part = only(&Zip::hello().both(|header| header.flags = 1));
    assert_eq!((part.text(), part.shortfall), ("none", Some(Shortfall::Encrypted)));
    assert_eq!((part.name(), part.entry.size), ("a.txt", 11));
    assert!(part.entry.encrypted);

    for method in [10, 18, 97, 99] {
        let part = only(&Zip::hello().both(|header| header.method = method));
        assert_eq!((part.text(), part.shortfall), ("none", Some(Shortfall::Unsupported)));
        assert_eq!(part.entry.crc32, Some(crc32(b"hello hello")));
    }

    let zip = Zip::hello().with(|zip| zip.members[0].data = b"\xff\xff\xff".to_vec());
    let part = only(&zip);
    assert_eq!((part.text(), part.shortfall), ("", Some(Shortfall::Malformed)));

    // A record without its member.
    let record = Header::of("gone.exe", b"x", 0, b"x");
    let bytes = [record.record(0), end_record(1, 54, 0)].concat();
    let (found, _) = parts(Format::Zip, &bytes);
    assert_eq!((found[0].name(), found[0].shortfall), ("gone.exe", Some(Shortfall::Malformed)));
}

#[test]
fn truncated_members_give_their_first_bytes() {
    let content = b"0123456789abcdef".repeat(100);
    let stored = Zip::of(&[("a", &content, 0)]).bytes();
    let (found, _) = parts(Format::Zip, &stored[..131]);
    assert_eq!(found[0].bytes.as_deref(), Some(&content[..100]));
    assert_eq!(found[0].shortfall, Some(Shortfall::Malformed));
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    })
    .take(4000)
    .collect();
    let deflated = Zip::of(&[("a", &noise, 8)]).bytes();
    let (found, _) = parts(Format::Zip, &deflated[..2000]);
    let part = &found[0];
    assert!(
        noise.starts_with(part.bytes.as_ref().unwrap())
            && part.bytes.as_ref().unwrap().len() > 1000
    );
    assert_eq!(part.shortfall, Some(Shortfall::Malformed));
}

#[test]
fn positions_follow_the_directory() {
    let zip =
        Zip::of(&[("a", b"one", 0), ("d/", b"", 0), ("b", b"two", 8), ("e", b"", 8)]).with(|zip| {
            let empty = &mut zip.members[3];
            empty.data.clear();
            empty.local.packed_size = 0;
            empty.record.as_mut().unwrap().packed_size = 0;
        });
    let found = assert_holds("four", &zip, &[("a", "one"), ("d/", ""), ("b", "two"), ("e", "")]);
    let positions: Vec<_> = found.iter().map(|part| part.entry.position).collect();
    assert_eq!(positions, [1, 2, 3, 4]);
    // A member that the directory hides comes after those that it names.
    let zip = zip.with(|zip| zip.members[0].record = None);
    let found = assert_holds("hidden", &zip, &[("d/", ""), ("b", "two"), ("e", ""), ("a", "one")]);
    assert_eq!(found[3].entry.position, 4);
}

#[test]
fn a_zip_stored_in_a_zip_is_one_member() {
    let inner = Zip::of(&[("inner", b"token", 0)]).bytes();
    let outer = Zip::of(&[("x.zip", &inner, 0), ("y", b"why", 8)]);
    let names = |zip: &Zip| {
        let (found, _) = parts(Format::Zip, &zip.bytes());
        assert!(found.iter().any(|part| part.bytes.as_ref() == Some(&inner)));
        found.iter().map(|part| part.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&outer), ["x.zip", "y"]);
    // Without its own end record the inner one counts, as for other readers.
    assert_eq!(names(&outer.with(|zip| zip.end_records = vec![0])), ["inner", "x.zip", "y"]);
}

#[test]
fn sizes_may_follow_the_data() {
    let streamed = |method, wide: bool, marked: bool| {
        Zip::of(&[("a.txt", b"hello hello", method), ("b.txt", b"bye", method)]).with(|zip| {
            for member in &mut zip.members {
                let Header { crc32, packed_size, size, .. } = member.local;
                let mut tail = if marked { b"PK\x07\x08".to_vec() } else { vec![] };
                tail.extend(crc32.to_le_bytes());
                for field in [packed_size, size] {
                    tail.extend(field.to_le_bytes());
                    tail.extend(if wide { &[0; 4][..] } else { &[] });
                }
                member.data.extend(tail);
                (member.local.packed_size, member.local.size, member.local.crc32) = (0, 0, 0);
                member.local.flags = 8;
                member.record.as_mut().unwrap().flags = 8;
            }
        })
    };
    let expected = [("a.txt", "hello hello"), ("b.txt", "bye")];
    for (method, wide, marked) in
        [(8, false, true), (8, true, true), (8, false, false), (0, false, true), (0, true, true)]
    {
        let zip = streamed(method, wide, marked);
        assert_holds("with a directory", &zip, &expected);
        let zip = zip.with(|zip| {
            zip.members.iter_mut().for_each(|member| member.record = None);
            zip.end_records = vec![0];
        });
        assert_holds("without a directory", &zip, &expected);
    }
}

#[test]
fn wide_fields_replace_those_that_are_all_ones() {
    let wide = |content_length: u64, packed: u64| {
        let mut extra = b"\x55\x55\x02\x00zz\x01\x00\x10\x00".to_vec();
        extra.extend(content_length.to_le_bytes());
        extra.extend(packed.to_le_bytes());
        extra
    };
    let zip = Zip::stored().both(|header| {
        (header.packed_size, header.size) = (u32::MAX, u32::MAX);
        header.extra = wide(11, 11);
    });
    let found = assert_holds("wide sizes", &zip, &[("a.txt", "hello hello")]);
    assert_eq!((found[0].entry.packed_size, found[0].entry.size), (11, 11));

    // The directory stands where only the 64-bit end record says.
    for gap in [0, 5] {
        let plain = Zip::stored();
        let bytes = plain.bytes();
        let directory = 30 + 5 + 11;
        let size = bytes.len() - 22 - directory;
        let mut end = vec![b'#'; gap];
        let wide_at = (directory + size + gap) as u64;
        end.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0");
        end.extend([0; 12]);
        end.extend([1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        end.extend((size as u64).to_le_bytes());
        end.extend((directory as u64).to_le_bytes());
        end.extend(b"PK\x06\x07\0\0\0\0");
        end.extend(wide_at.to_le_bytes());
        end.extend([1, 0, 0, 0]);
        end.extend(end_record(u16::MAX, u32::MAX, u32::MAX));
        let zip = plain.with(|zip| zip.end_records = end);
        assert_holds("wide end", &zip, &[("a.txt", "hello hello")]);
    }
}

#[test]
fn names_are_decoded() {
    for (raw, name) in [
        (&b"../../x"[..], "../../x"),
        (b"", ""),
        (b"a\0b", "a\0b"),
        (b"caf\xc3\xa9", "café"),
        (b"caf\x82", "café"), // code page 437
        (b"\xff\x80", "\u{a0}Ç"),
    ] {
        let zip = Zip::hello().both(|header| header.name = raw.to_vec());
        assert_eq!(parts(Format::Zip, &zip.bytes()).0[0].name(), name);
    }
}

#[test]
fn what_is_no_zip_is_malformed() {
    assert_eq!(parts(Format::Zip, b""), (vec![], Some(Shortfall::Malformed)));
    assert_eq!(parts(Format::Zip, b"PK\x03\x04"), (vec![], Some(Shortfall::Malformed)));
    assert_eq!(parts(Format::Zip, &[0; 100]), (vec![], Some(Shortfall::Malformed)));
    assert_eq!(parts(Format::Zip, &end_record(0, 0, 0)), (vec![], None));
}

#[test]
fn limits_cut_parts_and_say_so() {
    let zip = Zip::of(&[("a", &[b'a'; 1000], 0), ("b", &[b'b'; 1000], 8), ("c", b"c", 0)]).bytes();
    let lengths = |limits| {
        let (found, shortfall) = parts_within(Format::Zip, &zip, limits);
        let lengths: Vec<_> =
            found.iter().map(|part| (part.bytes.as_ref().unwrap().len(), part.shortfall)).collect();
        (lengths, shortfall)
    };
    let limits = Limits::default();
    assert_eq!(
        lengths(Limits { part_bytes: 10, ..limits }).0,
        [(10, Some(Shortfall::PartBytes)), (10, Some(Shortfall::PartBytes)), (1, None)]
    );
    assert_eq!(
        lengths(Limits { total_bytes: 1500, ..limits }).0,
        [(1000, None), (500, Some(Shortfall::TotalBytes)), (0, Some(Shortfall::TotalBytes))]
    );
    let (found, shortfall) = lengths(Limits { parts: 2, ..limits });
    assert_eq!((found.len(), shortfall), (2, Some(Shortfall::Parts)));
    assert_eq!(lengths(Limits { fuel: 50, ..limits }).1, Some(Shortfall::Fuel));
}

#[test]
fn a_visitor_may_stop_the_walk() {
    let zip = Zip::of(&[("a", b"one", 0), ("b", b"two", 8)]).bytes();
    let budget = Budget::new(Limits::default());
    let mut visits = 0;
    let shortfall = open(Format::Zip, &zip, &budget, &mut |_| {
        visits += 1;
        ControlFlow::Break(())
    });
    assert_eq!((visits, shortfall), (1, None));
}

/// Ten thousand entries for the same 4 MiB: decoded once.
#[test]
fn data_that_many_entries_share_is_decoded_once() {
    let content = vec![b'0'; 4 << 20];
    let data = deflate(&content);
    let header = Header::of("0", &content, 8, &data);
    let mut bytes = header.local();
    bytes.extend(&data);
    let start = bytes.len();
    for n in 0..10_000 {
        bytes.extend(Header { name: format!("{n}").into_bytes(), ..header.clone() }.record(0));
    }
    let size = bytes.len() - start;
    bytes.extend(end_record(10_000, size as u32, start as u32));
    let (found, shortfall) = parts(Format::Zip, &bytes);
    let decoded: usize = found.iter().filter_map(|part| part.bytes.as_ref()).map(Vec::len).sum();
    assert_eq!(decoded, content.len());
    assert_eq!((found.len(), shortfall), (10_000, None));
}

/// Members inside each other, whose streams all run through the same bytes.
/// Output has its limit; here the streams give none, so input must have one.
fn staircase(n_steps: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for step in 0..n_steps {
        let header = Header::of(&format!("{step:06}"), b"x", 8, &[0; 100]);
        let local = header.local();
        // A stored block that holds the next header, so that every stream
        // goes on to the end.
        let length = local.len() as u16;
        if step > 0 {
            bytes.push(0);
            bytes.extend(length.to_le_bytes());
            bytes.extend((!length).to_le_bytes());
        }
        directory.extend(header.record(bytes.len()));
        bytes.extend(local);
    }
    for _ in 0..n_steps * 20 {
        bytes.extend([0, 0, 0, 0xff, 0xff]);
    }
    bytes.extend([3, 0]);
    let end = end_record(0, directory.len() as u32, bytes.len() as u32);
    [bytes, directory, end].concat()
}

#[test]
fn overlapping_members_take_linear_time() {
    let limits = Limits { parts: u32::MAX, ..Limits::default() };
    let time = |n_steps: usize| {
        let bytes = staircase(n_steps);
        crate::busy_time(|| {
            let (found, _) = parts_within(Format::Zip, &bytes, limits);
            assert_eq!(found.len(), n_steps);
        })
    };
    time(1000);
    let (once, twice) = (time(4000), time(8000));
    // Quadratic work would take seconds.
    assert!(twice < once * 3 + Duration::from_millis(300), "{once:?} {twice:?}");
}

type Generator<'g> = &'g dyn Fn(usize) -> Vec<u8>;

#[test]
fn hostile_directories_take_linear_time() {
    let limits = Limits { parts: u32::MAX, ..Limits::default() };
    let many_ends = |n: usize| end_record(1, 0, 0).repeat(n);
    let many_records = |n: usize| {
        let mut bytes = Header::of("x", b"", 0, b"").record(1 << 30).repeat(n);
        for at in 0..n {
            bytes.extend(end_record(1, 0, (at * 47) as u32));
        }
        bytes
    };
    let long_names = |n: usize| {
        let long = Header { name: vec![b'n'; 60_000], ..Header::of("", b"", 0, b"") };
        let mut bytes = long.local();
        for at in 0..n {
            bytes.extend(Header::of(&format!("{at}"), b"", 0, b"").record(0));
        }
        bytes
    };
    let marks = |n: usize| b"PK".repeat(n * 8);
    let generators: [(&str, Generator<'_>); 4] = [
        ("end records", &many_ends),
        ("records", &many_records),
        ("long names", &long_names),
        ("marks", &marks),
    ];
    for (name, generator) in generators {
        let time = |n: usize| {
            let bytes = generator(n);
            crate::busy_time(|| {
                parts_within(Format::Zip, &bytes, limits);
            })
        };
        time(1000);
        let (once, twice) = (time(5000), time(10_000));
        assert!(twice < once * 3 + Duration::from_millis(300), "{name}: {once:?} {twice:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Of archives by the `zip` crate, members come out as that crate reads
    /// them.
    #[test]
    fn well_formed_archives_read_as_the_zip_crate_reads_them(
        members in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..3000), any::<bool>(), any::<bool>()), 0..6),
        comment in "[a-z]{0,20}",
    ) {
        use zip::write::SimpleFileOptions;
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (nth, (content, deflated, wide)) in members.iter().enumerate() {
            let method = if *deflated {
                zip::CompressionMethod::Deflated
            } else {
                zip::CompressionMethod::Stored
            };
            let options = SimpleFileOptions::default().compression_method(method).large_file(*wide);
            writer.start_file(format!("f{nth}/ä"), options).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.set_comment(comment).unwrap();
        let bytes = writer.finish().unwrap().into_inner();

        let (found, shortfall) = parts(Format::Zip, &bytes);
        prop_assert_eq!(shortfall, None);
        let mut oracle = zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
        prop_assert_eq!(found.len(), oracle.len());
        for (nth, part) in found.iter().enumerate() {
            let mut member = oracle.by_index(nth).unwrap();
            let mut content = Vec::new();
            member.read_to_end(&mut content).unwrap();
            prop_assert_eq!(part.name.as_deref(), Some(&*member.name().unwrap()));
            prop_assert_eq!(part.entry.position as usize, nth + 1);
            prop_assert_eq!(part.entry.size, member.size());
            prop_assert_eq!(part.entry.packed_size, member.compressed_size());
            prop_assert_eq!(part.entry.crc32, Some(member.crc32()));
            prop_assert_eq!(part.bytes.as_ref(), Some(&content));
            prop_assert_eq!(part.shortfall, None);
        }
    }

    /// No damage makes it panic.
    #[test]
    fn damage_is_survived(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        from: prop::sample::Index,
    ) {
        let mut bytes = Zip::of(&[("a", b"one", 0), ("b", b"two two two", 8)])
            .both(|header| header.extra = b"\x01\0\x08\0\xff\xff\xff\xff\xff\xff\xff\xff".to_vec())
            .bytes();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let cut = from.index(bytes.len());
        for piece in [&bytes[..], &bytes[cut..], &bytes[..cut]] {
            let (found, _) = parts(Format::Zip, piece);
            prop_assert!(found.len() < 20);
        }
    }
}
