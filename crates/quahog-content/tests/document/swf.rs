//! Flash: films without their compression.

use std::io::Write;

use quahog_content::{Format, Limits, Shortfall};

use super::{parts, parts_within, zlib};

fn film(signature: u8, body: &[u8]) -> Vec<u8> {
    [&[signature, b'W', b'S', 6, 1, 2, 3, 4][..], body].concat()
}

pub(super) fn sample() -> Vec<u8> {
    film(b'C', &zlib(b"tags of a film"))
}

#[test]
fn a_packed_film_is_unpacked() {
    let (found, shortfall) = parts(Format::Swf, &sample());
    assert_eq!(shortfall, None);
    assert_eq!(found[0].bytes(), b"FWS\x06\x01\x02\x03\x04tags of a film");
    assert_eq!(found[0].shortfall, None);
    assert_eq!(parts(Format::Swf, &film(b'F', b"tags")), (vec![], None));
    assert_eq!(parts(Format::Swf, b"CWS"), (vec![], Some(Shortfall::Malformed)));
}

#[test]
fn a_film_packed_with_lzma_is_unpacked() {
    let options = lzma_rust2::LzmaOptions::with_preset(1);
    let mut writer =
        lzma_rust2::LzmaWriter::new_no_header(Vec::new(), &options, true).expect("options");
    writer.write_all(b"tags of a film").unwrap();
    let packed = writer.finish().unwrap();
    let mut body = (packed.len() as u32).to_le_bytes().to_vec();
    body.push(options.get_props());
    body.extend(options.dict_size.to_le_bytes());
    body.extend(packed);
    let (found, shortfall) = parts(Format::Swf, &film(b'Z', &body));
    assert_eq!(shortfall, None);
    assert_eq!(found[0].bytes(), b"FWS\x06\x01\x02\x03\x04tags of a film");
    assert_eq!(found[0].shortfall, None);
    assert_eq!(
        parts(Format::Swf, &film(b'Z', &body[..7])).0[0].shortfall,
        Some(Shortfall::Malformed)
    );
}

#[test]
fn damage_and_limits_leave_the_first_bytes() {
    let mut cut = sample();
    cut.truncate(cut.len() - 8);
    let (found, _) = parts(Format::Swf, &cut);
    assert!(found[0].bytes().starts_with(b"FWS\x06\x01\x02\x03\x04tags"));
    assert_eq!(found[0].shortfall, Some(Shortfall::Malformed));
    let bomb = film(b'C', &zlib(&vec![0; 1 << 20]));
    let limits = Limits { part_bytes: 1000, ..Limits::default() };
    let (found, _) = parts_within(Format::Swf, &bomb, limits);
    assert_eq!((found[0].bytes().len(), found[0].shortfall), (1000, Some(Shortfall::PartBytes)));
}
