//! Inputs that are made to be slow, in any size: twice the size must be no more
//! than about twice the work.
//!
//! [`attacks`] lists a generator for each place at which a walk of messages,
//! documents and archives could go back and look again.
//!
//! ```
//! for attack in quahog_testkit::builders::attack::attacks() {
//!     let (small, large) = ((attack.make)(4000), (attack.make)(8000));
//!     assert!(small.len() > 2000 && large.len() > small.len() * 3 / 2, "{}", attack.name);
//! }
//! ```

use super::bomb::gzip_of;
use super::mail::{Encoding, Part, message};
use super::zip::{Member, deflate, directory, zip};

/// A generator of slow inputs.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// What is many, or deep, in it.
    pub name: &'static str,
    /// It is a message, whatever its first bytes look like.
    pub is_message: bool,
    /// Makes an input of about so many bytes.
    pub make: fn(usize) -> Vec<u8>,
}

/// `unit` until there are `len` bytes, behind a head.
fn fill(head: &str, unit: &str, len: usize) -> Vec<u8> {
    let rest = len.saturating_sub(head.len());
    [head.as_bytes(), &unit.as_bytes().repeat(rest.div_ceil(unit.len()))].concat()
}

/// As [`fill`], with a unit for each number.
fn count(head: &str, unit: impl Fn(usize) -> String, len: usize) -> Vec<u8> {
    let mut bytes = head.as_bytes().to_vec();
    for nth in 0.. {
        if bytes.len() >= len {
            break;
        }
        bytes.extend(unit(nth).bytes());
    }
    bytes
}

/// Names of that many members, which begin with the same bytes.
fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|nth| format!("a/{nth:06}"))
}

const MIXED: &str = "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n";
const BASE64: &str = "Subject: x\nContent-Transfer-Encoding: base64\n\n";
const QUOTED: &str = "Subject: x\nContent-Transfer-Encoding: quoted-printable\n\n";
const TEXT: &str = "Subject: x\n\n";
const HTML: &str = "Subject: x\nContent-Type: text/html\n\n<html><body>";

/// Every generator.
pub fn attacks() -> Vec<Attack> {
    let mail = |name, make| Attack { name, is_message: true, make };
    let file = |name, make| Attack { name, is_message: false, make };
    vec![
        // Headers.
        mail("folds", |len| fill("Subject: x\n", " \n", len)),
        mail("folds of a type", |len| fill("Content-Type: a/b;\n", " c=d;\n", len)),
        mail("fields", |len| fill("", "X: y\n", len)),
        mail("fields of the type", |len| {
            fill("Subject: x\n", "Content-Type: multipart/mixed; boundary=b\n", len)
        }),
        mail("fields of the encoding", |len| {
            fill("Subject: x\n", "Content-Transfer-Encoding: base64\n", len)
        }),
        mail("words of the encoding", |len| {
            fill("Subject: x\nContent-Transfer-Encoding: ", "base64, ", len)
        }),
        mail("comments", |len| fill("Subject: x\nContent-Type: text/plain ", "(", len)),
        mail("closed comments", |len| fill("Subject: x\nContent-Type: text/plain ", "(a) ", len)),
        mail("parameters", |len| fill("Subject: x\nContent-Type: a/b", ";c=\"d\"", len)),
        mail("open quotes", |len| fill("Subject: x\nContent-Type: a/b", ";c=\"(", len)),
        mail("boundaries", |len| {
            count("Content-Type: multipart/mixed", |n| format!(";\n boundary=b{n}"), len)
        }),
        mail("escapes of a boundary", |len| {
            fill("Subject: x\nContent-Type: multipart/a; boundary=\"", "\\a", len)
        }),
        mail("pieces of a name", |len| {
            count("Content-Disposition: attachment", |n| format!(";\n filename*{n}=x"), len)
        }),
        mail("pieces of a name, backwards", |len| {
            let piece = |n: usize| format!(";\n filename*{}*=%41", 999_999 - n);
            count("Content-Disposition: attachment", piece, len)
        }),
        mail("names", |len| {
            count("Content-Disposition: attachment", |n| format!(";\n filename=a.{n}"), len)
        }),
        mail("encoded words", |len| {
            fill("Subject: x\nContent-Type: a/b; name=\"", "=?utf-8?Q?=41?= ", len)
        }),
        mail("open words", |len| fill("Subject: x\nContent-Type: a/b; name=\"", "=?a?q?", len)),
        mail("junk before fields", |len| fill("Subject: x\n", "junk\nX: begin 644 a\n", len)),
        // The tree of parts.
        mail("parts", |len| fill(MIXED, "--b\n\nabcdef\n", len)),
        mail("parts in base64", |len| {
            fill(MIXED, "--b\nContent-Transfer-Encoding: base64\n\nYWJjZGVm\n", len)
        }),
        mail("lines of dashes", |len| fill(MIXED, "--c\n", len)),
        mail("closing lines", |len| fill(MIXED, "--b--\n", len)),
        mail("boundaries that are long", |len| {
            let boundary = "-".repeat(len / 3);
            let head = format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\n\n");
            fill(&head, "--------\n", len)
        }),
        mail("two boundaries", |len| {
            let head = "Content-Type: multipart/mixed; boundary=b; boundary=c\n\n";
            fill(head, "--b\n\nabcdef\n--c\n\nabcdef\n", len)
        }),
        mail("multiparts in each other", |len| {
            count(
                "Subject: x\n",
                |n| format!("Content-Type: multipart/a; boundary=b{n}\n\n--b{n}\n"),
                len,
            )
        }),
        mail("multiparts, opened and closed", |len| {
            let part = |n: usize| {
                format!("--b\nContent-Type: multipart/a; boundary=c{n}\n\n--c{n}\n\nx\n--c{n}--\n")
            };
            count(MIXED, part, len)
        }),
        mail("messages in each other", |len| {
            fill("", "Subject: x\nContent-Type: message/rfc822\n\n", len)
        }),
        mail("messages beside each other", |len| {
            fill(MIXED, "--b\nContent-Type: message/rfc822\n\nSubject: x\n\nabcdef\n", len)
        }),
        mail("deep messages and a long text", |len| {
            fill(&"Subject: x\nContent-Type: message/rfc822\n\n".repeat(40), "text, text\n", len)
        }),
        mail("mbox", |len| fill("", "From a\nSubject: y\n\nabcdef\n\n", len)),
        mail("digest", |len| {
            let head = "Content-Type: multipart/digest; boundary=b\n\n";
            fill(head, "--b\n\nSubject: x\n\nabcdef\n", len)
        }),
        mail("boundaries nobody knows", |len| {
            fill(
                "Subject: x\nContent-Type: multipart/mixed\n\n",
                "--a\nContent-Type: a/b\n\nabcdef\n",
                len,
            )
        }),
        mail("fields in a body", |len| {
            fill(TEXT, "Content-Transfer-Encoding: base64\n\nYWJjZGVm\n", len)
        }),
        mail("fields in a body without an end", |len| {
            fill(TEXT, "Content-Transfer-Encoding: base64\n", len)
        }),
        mail("fields at the start of an encoded body", |len| {
            fill(BASE64, "Content-Type: a/b\n\n", len)
        }),
        // Bodies.
        mail("base64, one letter a line", |len| fill(BASE64, "A\n", len)),
        mail("base64 and padding", |len| fill(BASE64, "QQ==", len)),
        mail("base64 and junk", |len| fill(BASE64, "Q!*-_\0", len)),
        mail("soft breaks", |len| fill(QUOTED, "=\n", len)),
        mail("blanks at line ends", |len| fill(QUOTED, "= \r=        ", len)),
        mail("begin lines", |len| fill(TEXT, "begin 644 a\n", len)),
        mail("begin lines with data", |len| fill(TEXT, "begin 644 a\n!0\n", len)),
        mail("uuencode without an end", |len| fill(TEXT, "begin 644 a\n#86)C\nx\n", len)),
        mail("ybegin lines", |len| fill(TEXT, "=ybegin line=1 size=1 name=a\nk\n", len)),
        mail("binhex heads", |len| {
            fill(TEXT, "(This file must be converted with BinHex 4.0)\n:!\n", len)
        }),
        mail("blank lines", |len| fill(TEXT, "\r\n \t\n", len)),
        // HTML.
        mail("html tags", |len| fill(HTML, "<b ", len)),
        mail("html comments", |len| fill(HTML, "<!-- ", len)),
        mail("html attributes", |len| fill(&format!("{HTML}<a "), "b='c' ", len)),
        mail("html open quotes", |len| fill(HTML, "<a href=\"", len)),
        mail("html links", |len| fill(HTML, "<a href=\"http://a/\">http://b/", len)),
        mail("html entities", |len| fill(HTML, "&#65", len)),
        mail("html names of entities", |len| fill(HTML, "&amp", len)),
        mail("html scripts", |len| fill(HTML, "<script>", len)),
        mail("html styles", |len| fill(HTML, "<style>a{b:url(", len)),
        mail("html data", |len| fill(HTML, "<img src=\"data:a/b;base64,QUJDREVGR0hJSg==\">", len)),
        mail("html data without an end", |len| fill(HTML, "<img src=\"data:a/b;base64,QUJD", len)),
        mail("script names", |len| {
            count(&format!("{HTML}<script>"), |n| format!("var a{n}=b{n};"), len)
        }),
        mail("script functions", |len| {
            count(&format!("{HTML}<script>"), |n| format!("function f{n}(a,b){{"), len)
        }),
        mail("script strings", |len| fill(&format!("{HTML}<script>a="), "\"b\"+", len)),
        mail("script escapes", |len| fill(&format!("{HTML}<script>unescape(\""), "%41", len)),
        mail("script of unescape", |len| fill(&format!("{HTML}<script>"), "unescape(", len)),
        // Documents.
        file("rtf groups", |len| fill("{\\rtf1", "{", len)),
        file("rtf objects", |len| fill("{\\rtf1", "{\\object\\objdata 00", len)),
        file("rtf pictures", |len| fill("{\\rtf1", "{\\pict 00", len)),
        file("rtf binaries", |len| fill("{\\rtf1", "{\\pict\\bin9 ", len)),
        file("rtf words", |len| fill("{\\rtf1", "\\objdata", len)),
        file("pdf objects", |len| count("%PDF-1.7\n", |n| format!("{n} 0 obj\n"), len)),
        file("pdf dictionaries", |len| fill("%PDF-1.7\n1 0 obj\n", "<<", len)),
        file("pdf arrays", |len| fill("%PDF-1.7\n1 0 obj\n", "[", len)),
        file("pdf strings", |len| fill("%PDF-1.7\n1 0 obj\n", "(", len)),
        file("pdf streams without an end", |len| {
            count("%PDF-1.7\n", |n| format!("{n} 0 obj<<>>stream\n"), len)
        }),
        file("pdf streams", |len| {
            let object =
                |n: usize| format!("{n} 0 obj<</Length 6>>stream\nabcdef\nendstream\nendobj\n");
            count("%PDF-1.7\n", object, len)
        }),
        file("pdf lengths that refer to each other", |len| {
            let object =
                |n: usize| format!("{n} 0 obj<</Length {} 0 R>>stream\nx\nendstream\n", n + 1);
            count("%PDF-1.7\n", object, len)
        }),
        file("pdf filters", |len| fill("%PDF-1.7\n1 0 obj<</Filter[", "/ASCIIHexDecode", len)),
        file("pdf scripts", |len| {
            count("%PDF-1.7\n", |n| format!("{n} 0 obj<</JS(alert)/S/JavaScript>>endobj\n"), len)
        }),
        file("pdf scripts that refer to each other", |len| {
            count("%PDF-1.7\n", |n| format!("{n} 0 obj<</JS {} 0 R>>endobj\n", n + 1), len)
        }),
        file("pdf tables", |len| {
            fill("%PDF-1.7\n", "xref\n0 1\ntrailer<</Prev 9>>startxref\n9\n%%EOF\n", len)
        }),
        file("ole chains", ole_chain),
        file("ole entries", ole_entries),
        file("xml of office", |len| {
            let head = "<?xml version=\"1.0\"?><?mso-application progid=\"Word.Document\"?>\
                <w:wordDocument xmlns:w=\"http://schemas.microsoft.com/office/word/2003/wordml\">";
            fill(head, "<w:binData w:name=\"a\">QUJDREVG</w:binData>", len)
        }),
        file("calendar", |len| {
            fill("BEGIN:VCALENDAR\n", "ATTACH;ENCODING=BASE64;VALUE=BINARY:QUJDREVG\n", len)
        }),
        file("tnef attributes", |len| {
            let attribute = b"\x02\x10\x80\x01\0\x06\0\0\0abcdef\0\0";
            [b"\x78\x9f\x3e\x22\x01\0", &attribute.repeat(len / attribute.len())[..]].concat()
        }),
        // Archives.
        file("zip members", |len| {
            let all: Vec<_> = names(len / 120).collect();
            zip(&all.iter().map(|name| Member::stored(name, b"abcdef")).collect::<Vec<_>>())
        }),
        file("zip members in other places", |len| {
            // The directory names no member where one is.
            let member = Member::stored("a", b"abcdef");
            let one = [&member.header()[..], b"abcdef"].concat();
            let body = one.repeat(len / 90);
            let entries: Vec<_> = (0..len / 90).map(|n| (member.clone(), n * 37 + 1)).collect();
            directory(body, &entries)
        }),
        file("zip ends", |len| {
            let end = zip(&[]);
            [b"PK\x03\x04", &end.repeat(len / end.len())[..]].concat()
        }),
        file("zip members without sizes", |len| {
            let data = deflate(b"abcdef");
            let member = Member::packed("a", 8, &data, 0, 0);
            let mut one = [&member.header()[..], &data].concat();
            one[6] = 8;
            one[14..26].fill(0);
            one.repeat(len / one.len())
        }),
        file("zip heads", |len| {
            fill("PK\x03\x04\x14\0\0\0\0\0aaaabbbb\0\0\0\0\0\0\0\0\x01\0\0\0a", "PK\x03\x04", len)
        }),
        file("gzip members", |len| {
            let one = gzip_of(&deflate(b"abcdef"), 6);
            one.repeat(len / one.len())
        }),
        file("bzip2 heads", |len| fill("BZh9", "BZh9\x17rE8P\u{0}", len)),
        file("tar members", |len| {
            let one = tar_member(b"a", b'0', 6);
            let block = [one, b"abcdef".to_vec(), vec![0; 506]].concat();
            block.repeat(len / 1024)
        }),
        file("tar links", |len| tar_member(b"a", b'2', 0).repeat(len / 512)),
        file("tar long names", |len| {
            let long = [tar_member(b"././@LongLink", b'L', 512), vec![b'n'; 512]].concat();
            let one = [long, tar_member(b"a", b'0', 6), vec![b'x'; 512]].concat();
            one.repeat(len / one.len())
        }),
        file("tar global names", |len| {
            let record = "27 path=aaaaaaaaaaaaaaaaaa\n";
            let body = [record.as_bytes(), &vec![0; 512 - record.len()]].concat();
            let one = [tar_member(b"g", b'x', record.len()), body].concat();
            one.repeat(len / one.len())
        }),
        file("cpio members", |len| {
            let head = format!("070707{}{:011o}{:06o}{:011o}a\0", "000001".repeat(7), 0, 2, 6);
            fill("", &format!("{head}abcdef"), len)
        }),
        file("ar members", |len| {
            let name = format!("{:16}{:12}{:6}{:6}{:8}{:10}`\n", "a/", 0, 0, 0, 644, 6);
            fill("!<arch>\n", &format!("{name}abcdef"), len)
        }),
        file("lha members", |len| {
            let head = b"\x19\0-lh0-\x06\0\0\0\x06\0\0\0\0\0\0\0\x20\0\x03abc\0\0\0abcdef";
            head.repeat(len / head.len())
        }),
        file("7z heads", |len| {
            let head = "7z\u{0}\u{1}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
            fill("MZ", head, len)
        }),
        file("programs in a program", |len| {
            let head = [b"MZ".to_vec(), vec![0; 58], vec![64, 0, 0, 0], b"PE\0\0\x4c\x01".to_vec()];
            let one = [&head.concat()[..], &[0; 58]].concat();
            one.repeat(len / one.len())
        }),
        file("archives in a picture", |len| {
            let heads = "PK\x03\x04\x14\0Rar!\x1a\x07\0MSCF\0\0\0\0\x60\u{2}";
            fill("GIF89a", heads, len)
        }),
        mail("attachments of archives", |len| {
            let all: Vec<_> = names(20).collect();
            let inner =
                zip(&all.iter().map(|name| Member::deflated(name, b"abcdef")).collect::<Vec<_>>());
            let part = Part::attachment("a.zip", &inner, Encoding::Base64);
            message("x", &Part::mixed(vec![part; len / (inner.len() * 7 / 5)]))
        }),
    ]
}

/// A block of a tar with this name, kind and size.
fn tar_member(name: &[u8], kind: u8, size: usize) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// The head of a compound file with sectors of 512 bytes, its tables where `at` says.
fn ole_head(tables: &[u32]) -> Vec<u8> {
    let mut head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    head.extend([0; 16]);
    head.extend([0x3e, 0, 3, 0, 0xfe, 0xff, 9, 0, 6, 0]);
    head.extend([0; 10]);
    let words = [tables.len() as u32, 0, 0, 4096, 0xffff_fffe, 0, 0xffff_fffe, 0];
    head.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    head.extend((0..109).flat_map(|nth| tables.get(nth).copied().unwrap_or(!0).to_le_bytes()));
    head
}

/// A directory entry: name, kind, first sector and size.
fn ole_entry(name: &str, kind: u8, links: [u32; 3], start: u32, size: u32) -> Vec<u8> {
    let mut entry: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let length = entry.len() as u16 + 2; // names here are short
    entry.resize(64, 0);
    entry.extend(length.to_le_bytes());
    entry.extend([kind, 1]);
    entry.extend(links.iter().flat_map(|link| link.to_le_bytes()));
    entry.resize(116, 0);
    entry.extend([start, size, 0].iter().flat_map(|word| word.to_le_bytes()));
    entry
}

/// A compound file whose streams all begin in one long chain.
fn ole_chain(len: usize) -> Vec<u8> {
    let sectors = len / 512;
    let tables = sectors.div_ceil(128);
    let first = 1 + tables as u32; // behind the directory and the tables
    let none = u32::MAX;
    let mut entries = ole_entry("Root Entry", 5, [none, none, 1], 0xffff_fffe, 0);
    for nth in 1..4_u32 {
        let next = if nth < 3 { nth + 1 } else { none };
        let size = (len / 2).max(5000) as u32; // far below 4 GiB
        entries.extend(ole_entry(&format!("s{nth}"), 2, [none, next, none], first, size));
    }
    let mut table: Vec<u32> = vec![0xffff_fffe; first as usize];
    table.extend((first..sectors as u32).map(|sector| sector + 1));
    table.resize(tables * 128, none);
    let tables: Vec<u32> = (1..first).collect();
    let mut file = ole_head(&tables);
    file.extend(entries);
    file.extend(table.iter().flat_map(|word| word.to_le_bytes()));
    file.resize(512 * (sectors + 1), b'x');
    file
}

/// A compound file with as many directory entries as go in.
fn ole_entries(len: usize) -> Vec<u8> {
    let sectors = len / 512;
    let tables = sectors.div_ceil(128);
    let none = u32::MAX;
    let mut table: Vec<u32> = vec![0xffff_fffe; sectors];
    // The directory is sector 0 and all that lie behind the tables.
    let rest = tables + 1;
    if rest < sectors {
        table[0] = rest as u32;
    }
    for (sector, next) in table.iter_mut().enumerate().take(sectors - 1).skip(rest) {
        *next = sector as u32 + 1;
    }
    table.resize(tables * 128, none);
    let mut entries = ole_entry("Root Entry", 5, [none, none, 1], 0xffff_fffe, 0);
    let count = (sectors.saturating_sub(tables)) * 4;
    for nth in 1..count as u32 {
        entries.extend(ole_entry(&format!("s{nth}"), 2, [none, nth + 1, none], 0, 6));
    }
    let mut file = ole_head(&(1..=tables as u32).collect::<Vec<_>>());
    file.extend(&entries[..512.min(entries.len())]);
    file.extend(table.iter().flat_map(|word| word.to_le_bytes()));
    file.extend(entries.get(512..).unwrap_or_default());
    file
}
