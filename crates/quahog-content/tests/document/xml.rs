//! Documents that are one XML file.

use quahog_content::{Format, Limits, Shortfall};

use super::{part_of, parts, parts_within, zlib};

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = bytes.chunks(3).flat_map(|group| {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        (0..=group.len()).map(move |at| char::from(LETTERS[(bits >> (18 - 6 * at)) as usize & 63]))
    });
    letters.collect()
}

fn active_mime(content: &[u8]) -> Vec<u8> {
    let mut bytes = b"ActiveMime".to_vec();
    bytes.resize(30, 0);
    bytes.extend([4, 0, 0, 0]);
    bytes.resize(50, 0);
    bytes.extend(zlib(content));
    bytes
}

pub(super) fn sample() -> Vec<u8> {
    let packed = zlib(b"a script of HWP");
    format!(
        "<?xml version=\"1.0\"?><w:docSuppData><w:binData w:name=\"editdata.mso\">{}</w:binData>\
         <pkg:part><pkg:binaryData>{}</pkg:binaryData><BINDATA Id=\"1\" Compress=\"true\">{}\
         </BINDATA><w:binDataOther>QUJD</w:binDataOther>",
        base64(&active_mime(b"macros")),
        base64(b"MZ payload"),
        base64(&packed[2..]),
    )
    .into_bytes()
}

#[test]
fn files_between_tags_are_parts() {
    let (found, shortfall) = parts(Format::XmlOffice, &sample());
    assert_eq!(shortfall, None);
    assert_eq!(part_of(&found, b"macros").name(), "editdata.mso");
    assert_eq!(part_of(&found, b"MZ payload").name, None);
    part_of(&found, b"a script of HWP");
    assert_eq!(found.len(), 3);
    // Cut off in the middle of a file.
    let (found, _) = parts(Format::XmlOffice, b"<x:binData>TVogcGF5");
    assert_eq!(found[0].bytes(), b"MZ pay");
}

#[test]
fn active_mime_is_unpacked() {
    let (found, _) = parts(Format::ActiveMime, &active_mime(b"macros"));
    assert_eq!(found[0].bytes(), b"macros");
    assert_eq!(parts(Format::ActiveMime, b"ActiveMime"), (vec![], Some(Shortfall::Malformed)));
    let bomb = active_mime(&vec![0; 1 << 20]);
    let limits = Limits { part_bytes: 1000, ..Limits::default() };
    let (found, _) = parts_within(Format::ActiveMime, &bomb, limits);
    assert_eq!((found[0].bytes().len(), found[0].shortfall), (1000, Some(Shortfall::PartBytes)));
}
