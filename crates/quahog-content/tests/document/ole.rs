//! OLE2: streams, and what is inside of those of known programs.

use std::io::{Cursor, Write};

use quahog_content::{Format, Limits, MACRO_SHEET, MACRO_SOURCE, Shortfall};

use super::{Found, part_of, parts, parts_within, zlib};

/// A compound file with these streams.
pub(super) fn compound(streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    for (path, bytes) in streams {
        if let Some((storage, _)) = path.rsplit_once('/') {
            file.create_storage_all(storage).unwrap();
        }
        file.create_stream(path).unwrap().write_all(bytes).unwrap();
    }
    file.into_inner().into_inner()
}

pub(super) fn sample() -> Vec<u8> {
    compound(&[
        ("\u{1}Ole10Native", &native("a.exe", b"MZ payload")),
        ("VBA/dir", &packed(&dir("Module1", 3))),
        ("VBA/Module1", &[b"abc".as_slice(), &packed(b"Attribute x\r\nSub A\r\n")].concat()),
        ("PowerPoint Document", &object(&compound(&[("x", b"inner stream")]))),
        ("Workbook", &[record(0x809, &[0; 16]), record(0x85, b"\0\0\0\0\0\x01\x01\0M")].concat()),
        ("large", &[7; 5000]),
    ])
}

/// What a packager writes.
pub(super) fn native(name: &str, data: &[u8]) -> Vec<u8> {
    let mut body = vec![2, 0];
    body.extend(format!("{name}\0C:\\{name}\0\0\0\x03\0\x04\0\0\0tmp\0").bytes());
    body.extend((data.len() as u32).to_le_bytes());
    body.extend(data);
    body.extend([0; 6]);
    [&(body.len() as u32).to_le_bytes()[..], &body].concat()
}

/// The compression of VBA, with nothing but literals.
fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![1];
    for chunk in bytes.chunks(3000) {
        let mut tokens = Vec::new();
        for eight in chunk.chunks(8) {
            tokens.push(0);
            tokens.extend(eight);
        }
        let header = 0xb000 | (tokens.len() as u16 + 2 - 3);
        out.extend(header.to_le_bytes());
        out.extend(tokens);
    }
    out
}

fn dir(stream: &str, offset: u32) -> Vec<u8> {
    let field = |id: u16, data: &[u8]| {
        [&id.to_le_bytes()[..], &(data.len() as u32).to_le_bytes(), data].concat()
    };
    let mut version = field(9, &[0; 4]);
    version.extend([0; 2]);
    [
        field(3, &1252_u16.to_le_bytes()),
        version,
        field(0x19, b"whatever"),
        field(0x1a, stream.as_bytes()),
        field(0x31, &offset.to_le_bytes()),
    ]
    .concat()
}

/// An atom with a packed embedded object.
fn object(storage: &[u8]) -> Vec<u8> {
    let packed = zlib(storage);
    let mut bytes = vec![0x10, 0, 0x11, 0x10];
    bytes.extend((packed.len() as u32 + 4).to_le_bytes());
    bytes.extend((storage.len() as u32).to_le_bytes());
    bytes.extend(packed);
    bytes
}

fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), data].concat()
}

fn named<'f>(found: &'f [Found], name: &str) -> &'f Found {
    found.iter().find(|part| part.name() == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn streams_are_parts() {
    let small = b"a small stream".as_slice();
    let large: Vec<u8> = (0..20_000_u32).map(|n| ((n * n) >> 3) as u8).collect();
    let (found, shortfall) =
        parts(Format::Ole2, &compound(&[("small", small), ("A/B/large", &large), ("A/none", b"")]));
    assert_eq!(shortfall, None);
    assert_eq!(found.len(), 2);
    let part = part_of(&found, small);
    assert_eq!((part.name(), part.shortfall, part.entry.size), ("small", None, 14));
    assert_eq!(part_of(&found, &large).name(), "A/B/large");
}

#[test]
fn a_stream_that_nothing_links_to_is_a_part() {
    let mut bytes = compound(&[("x", b"hidden away")]);
    // The root has no child any more.
    let name: Vec<u8> = "Root Entry".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let root = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes[root + 76..root + 80].fill(0xff);
    let (found, _) = parts(Format::Ole2, &bytes);
    assert_eq!(part_of(&found, b"hidden away").name(), "x");
}

#[test]
fn files_that_users_put_in_have_their_names() {
    let bytes = compound(&[
        ("ObjectPool/_1/\u{1}Ole10Native", &native("a.exe", b"MZ payload")),
        ("ObjectPool/_2/\u{1}Ole10Native", b"\x04\0\0\0data"),
    ]);
    let (found, _) = parts(Format::Ole2, &bytes);
    assert_eq!(part_of(&found, b"MZ payload").name(), "a.exe");
    assert_eq!(part_of(&found, b"data").name, None);
}

#[test]
fn embedded_objects_of_slides_are_inflated() {
    let inner = compound(&[("x", b"inner stream")]);
    let mut stream = vec![0; 17];
    stream.extend(object(&inner));
    let (found, _) = parts(Format::Ole2, &compound(&[("PowerPoint Document", &stream)]));
    assert_eq!(part_of(&found, &inner).shortfall, None);
    // Cut off, it gives what is there.
    stream.truncate(stream.len() - 20);
    let (found, _) = parts(Format::Ole2, &compound(&[("PowerPoint Document", &stream)]));
    let part = named(&found, "object at 17");
    assert!(inner.starts_with(part.bytes()) && !part.bytes().is_empty());
    assert_eq!(part.shortfall, Some(Shortfall::Malformed));
}

#[test]
fn sources_of_macros_are_text() {
    let source = b"Attribute VB_Name = \"M\"\r\nSub AutoOpen()\r\nShell \"x\"\r\nEnd Sub\r\n";
    let stream = [b"compiled".as_slice(), &packed(source)].concat();
    // Listed, hidden from the list, and listed though it does not begin as
    // sources do.
    for (list, stream) in [
        (packed(&dir("M", 8)), stream.clone()),
        (b"no list at all".to_vec(), stream),
        (packed(&dir("m", 8)), [b"compiled".as_slice(), &packed(b"Sub A()\r\n")].concat()),
    ] {
        let bytes = compound(&[("Macros/VBA/dir", &list), ("Macros/VBA/M", &stream)]);
        let (found, _) = parts(Format::Ole2, &bytes);
        let sources: Vec<_> =
            found.iter().filter(|part| part.declared.as_deref() == Some(MACRO_SOURCE)).collect();
        assert_eq!(sources.len(), 1);
        assert!(source.starts_with(sources[0].bytes()) || sources[0].bytes() == b"Sub A()\r\n");
        assert!(sources[0].name().eq_ignore_ascii_case("M.bas"));
        let project = String::from_utf8_lossy(named(&found, "vba_project").bytes());
        assert!(project.contains("\r\nsub autoopen()\r\n") || project == "\n\nsub a()\r\n");
    }
}

#[test]
fn sheets_of_macros_are_told_of() {
    let sheet = |kind: u8| record(0x85, &[0, 0, 0, 0, 0, kind, 1, 0, b'M']);
    for (kind, n) in [(0, 0), (1, 1), (2, 0)] {
        let stream = [record(0x809, &[0; 16]), sheet(0), sheet(kind)].concat();
        let (found, _) = parts(Format::Ole2, &compound(&[("Workbook", &stream)]));
        let told = found.iter().filter(|part| part.declared.as_deref() == Some(MACRO_SHEET));
        assert_eq!(told.count(), n, "kind {kind}");
    }
}

/// Packages that msoffcrypto-tool decrypts, agile ones (`other` with another
/// password) and a standard one, made after [MS-OFFCRYPTO]. In each is a zip.
#[test]
fn the_password_of_everybody_opens_a_package() {
    let file = |info: &[u8], package: &[u8]| {
        parts(Format::Ole2, &compound(&[("EncryptionInfo", info), ("EncryptedPackage", package)]))
    };
    let agile: (&[u8], &[u8]) =
        (include_bytes!("encrypted/agile.info"), include_bytes!("encrypted/agile.package"));
    let standard: (&[u8], &[u8]) =
        (include_bytes!("encrypted/standard.info"), include_bytes!("encrypted/standard.package"));
    for (kind, (info, package)) in [("agile", agile), ("standard", standard)] {
        let (found, shortfall) = file(info, package);
        assert_eq!(shortfall, None, "{kind}");
        let plain = named(&found, "package").bytes();
        let size = u64::from_le_bytes(package[..8].try_into().unwrap());
        assert_eq!(plain.len() as u64, size);
        let inner = parts(Format::Zip, plain);
        assert_eq!(inner.1, None);
        assert!(named(&inner.0, "word/document.xml").bytes().starts_with(b"<w:document>quahog"));
    }
    let other = include_bytes!("encrypted/other.info");
    let (found, shortfall) = file(other, include_bytes!("encrypted/other.package"));
    assert_eq!((found.len(), shortfall), (2, Some(Shortfall::Encrypted)));
    // What asks for more rounds than any program is not tried.
    let text =
        String::from_utf8_lossy(agile.0).replace("spinCount=\"100000\"", "spinCount=\"999999\"");
    assert_eq!(file(text.as_bytes(), agile.1).1, Some(Shortfall::Encrypted));
}

/// Streams that msoffcrypto-tool decrypts, made after [MS-OFFCRYPTO]; `other` with
/// another password.
#[test]
fn the_password_of_everybody_opens_a_workbook() {
    let file = |stream: &[u8]| parts(Format::Ole2, &compound(&[("Workbook", stream)]));
    for (kind, stream) in [
        ("obfuscation", &include_bytes!("encrypted/book-xor.bin")[..]),
        ("MD5", include_bytes!("encrypted/book-md5.bin")),
        ("SHA-1", include_bytes!("encrypted/book-sha1-128.bin")),
        ("SHA-1, 40 bits", include_bytes!("encrypted/book-sha1-40.bin")),
    ] {
        let (found, shortfall) = file(stream);
        assert_eq!(shortfall, None, "{kind}");
        let part = named(&found, "workbook");
        assert!(part.entry.encrypted);
        assert_eq!(part.bytes().len(), stream.len(), "{kind}");
        let text = "quahog hides here ".repeat(130);
        let record = record(0x207, text.as_bytes());
        assert!(part.bytes().windows(record.len()).any(|window| window == record), "{kind}");
        // What speaks of the sheet is read, too.
        let told = found.iter().filter(|part| part.declared.as_deref() == Some(MACRO_SHEET));
        assert_eq!(told.count(), 1, "{kind}");
    }
    let (found, shortfall) = file(include_bytes!("encrypted/book-other.bin"));
    assert_eq!((found.len(), shortfall), (1, Some(Shortfall::Encrypted)));
}

#[test]
fn encrypted_documents_are_told() {
    let word = |flags: u16| {
        let mut stream = vec![0xec, 0xa5, 0xc1, 0, 0, 0, 0, 0, 0, 0];
        stream.extend(flags.to_le_bytes());
        stream.extend([0; 20]);
        stream
    };
    let book = |second| [record(0x809, &[0; 16]), record(second, &[0; 6])].concat();
    let user = |token: u32| [&[0; 12][..], &token.to_le_bytes(), &[0; 8]].concat();
    let encrypted = Some(Shortfall::Encrypted);
    for (streams, expected) in [
        (vec![("EncryptedPackage", vec![1; 99]), ("EncryptionInfo", vec![4; 9])], encrypted),
        (vec![("EncryptedPackage", vec![1; 99])], None),
        (vec![("WordDocument", word(0x100))], encrypted),
        (vec![("WordDocument", word(0xfeff))], None),
        (vec![("Workbook", book(0x2f))], encrypted),
        (vec![("Book", book(0x2f))], encrypted),
        (vec![("Workbook", book(0x31))], None),
        (vec![("Current User", user(0xf3d1_c4df))], encrypted),
        (vec![("Current User", user(0xe391_c05f))], None),
    ] {
        let streams: Vec<(&str, &[u8])> =
            streams.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        let (found, shortfall) = parts(Format::Ole2, &compound(&streams));
        assert_eq!(shortfall, expected, "{streams:?}");
        assert_eq!(found.len(), streams.len());
    }
}

#[test]
fn attachments_of_outlook_messages_have_their_names() {
    let wide: Vec<u8> = "größe.exe".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bytes = compound(&[
        ("__attach_version1.0_#00000000/__substg1.0_37010102", b"MZ payload"),
        ("__attach_version1.0_#00000000/__substg1.0_3704001E", b"gre~1.exe"),
        ("__attach_version1.0_#00000000/__substg1.0_3707001F", &wide),
    ]);
    let (found, _) = parts(Format::Ole2, &bytes);
    assert_eq!(part_of(&found, b"MZ payload").name(), "größe.exe");
}

#[test]
fn pictures_of_drawings_are_parts() {
    let png = b"\x89PNG\r\n\x1a\n...";
    let mut stream = vec![0xe0, 0x6e, 0x1e, 0xf0];
    stream.extend((17 + png.len() as u32).to_le_bytes());
    stream.extend([9; 17]);
    stream.extend(png);
    let (found, _) = parts(Format::Ole2, &compound(&[("Pictures", &stream)]));
    assert_eq!(part_of(&found, png).name(), "picture at 0");
}

#[test]
fn streams_of_hwp_are_inflated() {
    let mut header = b"HWP Document File".to_vec();
    header.resize(36, 0);
    header.extend([1, 0, 0, 0]);
    let packed = zlib(b"a script of HWP");
    // Raw, without the frame of zlib.
    let packed = &packed[2..packed.len() - 4];
    let bytes = compound(&[("FileHeader", &header), ("Scripts/DefaultJScript", packed)]);
    for file in [bytes.clone(), [&[0; 4][..], &bytes].concat()] {
        let (found, _) = parts(Format::Ole2, &file);
        assert_eq!(part_of(&found, b"a script of HWP").name(), "DefaultJScript");
    }
}

#[test]
fn chains_that_loop_end() {
    let large = vec![1; 40_000];
    let good = compound(&[("a", &large), ("b", &large[..30_000])]);
    let table_at = 512 * (1 + u32::from_le_bytes(good[76..80].try_into().unwrap()) as usize);
    for target in [0_u32, 5, 0xffff_fff0] {
        let mut bytes = good.clone();
        for entry in bytes[table_at..table_at + 512].chunks_exact_mut(4) {
            entry.copy_from_slice(&target.to_le_bytes());
        }
        let (found, _) = parts(Format::Ole2, &bytes);
        assert!(found.iter().all(|part| part.bytes().len() <= bytes.len()));
    }
}

#[test]
fn a_size_that_lies_is_damage() {
    let mut bytes = compound(&[("large", &[1; 5000])]);
    let name: Vec<u8> = "large".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let entry = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes[entry + 120..entry + 124].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    let (found, _) = parts(Format::Ole2, &bytes);
    assert_eq!(found[0].shortfall, Some(Shortfall::Malformed));
    assert!(found[0].bytes().starts_with(&[1; 5000]));
    assert!(found[0].bytes().len() <= bytes.len());
}

#[test]
fn what_is_no_compound_file_has_no_part() {
    for bytes in [&b""[..], b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", &sample()[..511]] {
        assert_eq!(parts(Format::Ole2, bytes), (vec![], Some(Shortfall::Malformed)));
    }
}

#[test]
fn a_bomb_ends_at_the_limit() {
    let stream = object(&vec![0; 1 << 20]);
    let bytes = compound(&[("PowerPoint Document", &stream)]);
    let limits = Limits { part_bytes: 2000, ..Limits::default() };
    let (found, _) = parts_within(Format::Ole2, &bytes, limits);
    let part = named(&found, "object at 0");
    assert_eq!((part.bytes().len(), part.shortfall), (2000, Some(Shortfall::PartBytes)));
    let (found, why) =
        parts_within(Format::Ole2, &sample(), Limits { parts: 3, ..Limits::default() });
    assert_eq!((found.len(), why), (3, Some(Shortfall::Parts)));
}

/// Streams that share one long chain are read only so often.
#[test]
fn streams_that_overlap_are_bounded() {
    let names: Vec<String> = (0..200).map(|n| format!("s{n:03}")).collect();
    let mut streams: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), &b"small"[..])).collect();
    let large = vec![1; 100_000];
    streams.push(("zzz", &large));
    let mut bytes = compound(&streams);
    let entry = |bytes: &[u8], name: &str| {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes.windows(name.len()).position(|window| window == name).unwrap()
    };
    let at = entry(&bytes, "zzz");
    let start = bytes[at + 116..at + 120].to_vec();
    for (n, name) in names.iter().enumerate() {
        let at = entry(&bytes, name);
        bytes[at + 116..at + 120].copy_from_slice(&start);
        bytes[at + 120..at + 124].copy_from_slice(&(90_000 + n as u32).to_le_bytes());
    }
    let (found, _) = parts(Format::Ole2, &bytes);
    let total: usize = found.iter().map(|part| part.bytes().len()).sum();
    assert!(total <= 4 * bytes.len());
}
