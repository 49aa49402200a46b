//! Documents inside of messages: what is in them is found, and told.

use quahog::{Completeness, Settings, Shortfall};
use quahog_testkit::builders::mail::{Encoding, Part, message};

use crate::{Folder, live, names, scan_all};

fn database() -> Folder {
    let hex: String = b"token-in-a-file".iter().map(|b| format!("{b:02x}")).collect();
    Folder::of(&[("x.ndb", format!("Token:0:*:{hex}\n"))])
}

/// A compound file with one stream of at least 4,096 bytes, whose sectors lie
/// in a row.
pub(crate) fn compound(name: &str, stream: &[u8]) -> Vec<u8> {
    let mut stream = stream.to_vec();
    stream.resize(stream.len().max(4096).next_multiple_of(512), 0);
    let n_sectors = stream.len() / 512;
    let mut bytes = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    bytes.resize(512, 0xff);
    bytes[26..34].copy_from_slice(b"\x03\0\xfe\xff\x09\0\x06\0");
    // The table is in sector 0, the directory in 1, the stream behind.
    bytes[48..52].copy_from_slice(&1_u32.to_le_bytes());
    bytes[76..80].copy_from_slice(&0_u32.to_le_bytes());
    let mut table = vec![0xffff_fffd_u32, 0xffff_fffe];
    table.extend((0..n_sectors as u32).map(|at| at + 3));
    table[n_sectors + 1] = 0xffff_fffe;
    table.resize(128, 0xffff_ffff);
    bytes.extend(table.iter().flat_map(|entry| entry.to_le_bytes()));
    for (name, kind, child, start, size) in [
        ("Root Entry", 5, 1_u32, 0xffff_fffe_u32, 0),
        (name, 2, u32::MAX, 2, stream.len() as u64),
        ("", 0, u32::MAX, 0, 0),
        ("", 0, u32::MAX, 0, 0),
    ] {
        let mut node: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = node.len() as u16 + 2;
        node.resize(64, 0);
        node.extend(length.to_le_bytes());
        node.extend([kind, 1]);
        node.extend([0xff; 8]);
        node.extend(child.to_le_bytes());
        node.resize(116, 0);
        node.extend(start.to_le_bytes());
        node.extend(size.to_le_bytes());
        bytes.extend(node);
    }
    bytes.extend(stream);
    bytes
}

fn attached(name: &str, bytes: &[u8]) -> Vec<u8> {
    let parts = [Part::text("hello"), Part::attachment(name, bytes, Encoding::Base64)];
    message("test", &Part::mixed(parts))
}

#[test]
fn payloads_in_documents_are_found_where_they_are() {
    let live = live(&database());
    let hex: String = b"token-in-a-file".iter().map(|b| format!("{b:02x}")).collect();
    let rtf = format!("{{\\rtf1{{\\object{{\\*\\objdata {hex}}}}}}}");
    let pdf = format!("%PDF-1.4\n3 0 obj<</Filter/AHx>>stream\n{hex}>\nendstream endobj\n");
    let card = b"BEGIN:VCARD\nKEY;ENCODING=b:dG9rZW4taW4tYS1maWxl\nEND:VCARD\n";
    let native = [&[0; 4][..], b"token-in-a-file"].concat();
    for (name, bytes, object) in [
        ("a.rtf", rtf.as_bytes(), "a.rtf!#1"),
        ("a.pdf", pdf.as_bytes(), "a.pdf!3 0 obj"),
        ("a.vcf", card, "a.vcf!#1"),
        ("a.doc", &compound("\u{1}Ole10Native", &native), "a.doc!#2"),
    ] {
        let report = scan_all(&live, &attached(name, bytes));
        let objects: Vec<_> = report.detections().iter().map(quahog::Detection::object).collect();
        assert!(objects.contains(&object), "{name}: {objects:?}");
        assert_eq!(report.completeness(), Completeness::Complete, "{name}");
    }
}

#[test]
fn encryption_and_macros_are_reported_if_asked_for() {
    let live = live(&database());
    let word = compound("WordDocument", b"\xec\xa5\0\0\0\0\0\0\0\0\0\x01");
    let sheet = compound("Workbook", b"\x09\x08\x00\x00\x85\0\x09\0\0\0\0\0\0\x01\x01\0M");
    let source = compound("x", b"\x01\x12\xb0\0Attribut\0e VB_Nam");
    for (file, name, shortfall) in [
        (word, "Heuristics.Encrypted.OLE2", Some(Shortfall::Encrypted)),
        (sheet, "Heuristics.OLE2.ContainsMacros.XLM", None),
        (source, "Heuristics.OLE2.ContainsMacros.VBA", None),
    ] {
        let report = live.scanner().scan(&file);
        assert_eq!(names(&report), [""; 0], "{name}");
        let mut settings = Settings::default();
        settings.alert_encrypted_documents = true;
        settings.alert_macros = true;
        let report = live.scanner_with(settings).scan(&file);
        assert_eq!(names(&report), [name]);
        let missing = match report.completeness() {
            Completeness::Complete => None,
            Completeness::Incomplete(missing) => missing.first().map(|missing| missing.reason),
        };
        assert_eq!(missing, shortfall, "{name}");
    }
}
