//! Images hold what was written, and no bytes are worse than useless.

use std::sync::Arc;

use bytes::Bytes;
use quahog_engine::image::{Check, FORMAT, ImageError, ImageInfo, Stamp, read_set, write_set};
use quahog_engine::{Engine, Segment};
use quahog_sig::{Format, SetBuilder, SignatureSet};
use quahog_testkit::ArbitraryCase;

use super::{names, read, scan};

fn image(set: SignatureSet) -> Vec<u8> {
    let segment = Segment::new(set).expect("small tables");
    segment.image(stamps()).expect("a little-endian machine").concat()
}

fn stamps() -> Vec<Stamp> {
    vec![Stamp { name: "case.ndb".to_owned(), len: 7, sha256: [7; 32] }]
}

fn open(image: &[u8], check: Check) -> Result<Engine, ImageError> {
    let segment = Segment::open(&Bytes::copy_from_slice(image), check)?;
    Ok(Engine::from_segments(vec![Arc::new(segment)]).expect("one set of magic"))
}

#[test]
fn an_image_finds_what_its_segment_finds() {
    let mut n_hits = 0;
    for seed in 0..300 {
        let case = ArbitraryCase::from_seed(seed);
        let (set, _) = read(&case.files);
        let image = image(set.clone());
        let engine = Engine::new(set).expect("small tables");
        for check in [Check::Digest, Check::Structure] {
            let opened = open(&image, check).expect("a sound image");
            assert_eq!(opened.fingerprint(), engine.fingerprint());
            assert_eq!(opened.stats(), engine.stats());
            let hits = scan(&opened, &case.haystack, &case.targets);
            let expected = scan(&engine, &case.haystack, &case.targets);
            assert_eq!(hits, expected, "seed {seed}");
            assert_eq!(names(&opened, &hits), names(&engine, &expected));
            n_hits += hits.len();
        }
        // The image of what was opened is the image again.
        let segment = Segment::open(&Bytes::from(image.clone()), Check::Structure);
        let again = segment.expect("a sound image").image(stamps()).expect("an image");
        assert!(again.concat() == image, "seed {seed}");
    }
    assert!(n_hits > 100, "{n_hits}");
}

/// A set with something of every kind that a line can say.
fn all_kinds() -> SignatureSet {
    let mut builder = SetBuilder::new();
    builder.source("x", true);
    for (format, line) in [
        (Format::Ndb, "A:0:*:68656c6c6f{1-4}776f726c64"),
        (Format::Ndb, "M:0:$1$:6263"),
        (Format::Ndb, "V:1:EP+0,20:6162(6162|63(64|65)66)6364"),
        (Format::Ndb, "S:1:SE1:616263"),
        (Format::Ldb, "L;Engine:81-255,Target:0;(0|1)>1,2&2&3;6162::wa;6364;0/x+y/s;0(>>2#hb2#=1)"),
        (Format::Ldb, "B;Engine:81-255,FileSize:1-9,Intermediates:CL_TYPE_ZIP,Target:7;0;616263"),
        (Format::Hdb, "6b875428a97a85cab2f19f595921545d:26:H-1-0"),
        (Format::Mdb, "512:6b875428a97a85cab2f19f595921545d:D-5-6"),
        (Format::Fp, "6b875428a97a85cab2f19f595921545d:27:E"),
        (Format::Cdb, "C:CL_TYPE_ZIP:*:a+b:*:*:0:1:*:*"),
        (Format::Pdb, "H:example.com"),
        (Format::Ftm, "0:0:504b0304:ZIP:CL_TYPE_ANY:CL_TYPE_ZIP"),
        (Format::Pwdb, "P;Engine:81-255;0;secret"),
        (Format::Crb, "K;0;00112233445566778899aabbccddeeff00112233;;0f;;1;0;0;0;"),
        (Format::Crb, "T;1;00112233445566778899aabbccddeeff00112233;;0f;;1;0;1;0;"),
    ] {
        if let Err(error) = builder.line(format, 1, line.as_bytes()) {
            panic!("{line}: {error}");
        }
    }
    builder.finish()
}

#[test]
fn what_is_no_image_of_this_format_has_a_typed_answer() {
    let image = image(all_kinds());
    let info = ImageInfo::read(&image).expect("a header");
    assert_eq!((info.format, info.set), (FORMAT, all_kinds().digest()));
    assert!(info.builder.starts_with("quahog "));
    assert_eq!(info.sources, stamps());
    let error = |image: &[u8]| open(image, Check::Digest).expect_err("no image");
    assert_eq!(error(b"no image at all"), ImageError::NotAnImage);
    let mut other = image.clone();
    other[8..12].copy_from_slice(&(FORMAT + 1).to_le_bytes());
    assert_eq!(error(&other), ImageError::Newer(FORMAT + 1));
    other[8..12].copy_from_slice(&0u32.to_le_bytes());
    assert_eq!(error(&other), ImageError::Older(0));
    for len in (0..image.len()).step_by(7) {
        let cut = &image[..len];
        assert!(open(cut, Check::Digest).is_err(), "{len}");
    }
    for at in 0..image.len() {
        let mut other = image.clone();
        other[at] ^= 1;
        // The level and the zeros behind it tell nothing about the content.
        let harmless = (16..24).contains(&at);
        assert_eq!(open(&other, Check::Digest).is_err(), !harmless, "{at}");
    }
}

#[test]
fn a_damaged_image_neither_opens_nor_panics() {
    let haystack = b"hello, world abcdab..ab cdefxxxy a\0b\0c\0d\0 abc".repeat(3);
    let image = image(all_kinds());
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    let n_rounds = std::env::var("QUAHOG_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3_000);
    let mut n_opened = 0;
    for _ in 0..n_rounds {
        let mut damaged = image.clone();
        for _ in 0..1 + random(8) {
            let at = 120 + random(damaged.len() - 120);
            damaged[at] = [0, 1, 0xff, 0x7f, random(256) as u8][random(5)];
        }
        let Ok(engine) = open(&damaged, Check::Structure) else { continue };
        n_opened += 1;
        for target in [0, 1, 7, 14] {
            scan(&engine, &haystack, &[target]);
        }
    }
    assert!(n_opened * 10 > n_rounds, "{n_opened} of {n_rounds} opened");
}

#[test]
fn a_set_on_its_way_is_no_image_and_arrives_whole() {
    let set = all_kinds();
    let bytes = Bytes::from(write_set(&set).expect("a little-endian machine").concat());
    let arrived = read_set(&bytes).expect("a whole set");
    assert_eq!(arrived.digest(), set.digest());
    let [sent, compiled] = [set, arrived].map(image);
    assert!(sent == compiled, "the same tables");
    // A segment of a set that nobody compiled would find nothing.
    assert_eq!(open(&bytes, Check::Digest).err(), Some(ImageError::NotAnImage));
    assert_eq!(read_set(&Bytes::from(sent)).err(), Some(ImageError::NotAnImage));
    for at in (0..bytes.len()).step_by(bytes.len() / 200) {
        let mut bad = bytes.to_vec();
        bad[at] ^= 1;
        // The level and the name of the builder are told, and nothing hangs on them.
        assert!(read_set(&bad.into()).is_err() || (16..24).contains(&at), "byte {at}");
    }
}
