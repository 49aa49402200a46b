//! Rows Z: the gzip stream.

use std::io::Write as _;

use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Compression, Crc, GzBuilder};
use quahog_cvd::{Limits, Rule};

use crate::forge::{HEADLINE, NDB, cud, entry, file, gzip, info, mini, refusal, tar, verify_with};
use crate::testkit;

fn good() -> Vec<u8> {
    cud(&mini(&[("mini.ndb", NDB)]))
}

/// Z1, Z2.
#[test]
fn a_cut_stream_is_refused_wherever_it_is_cut() {
    let good = good();
    assert_eq!(refusal(good.clone(), "mini.cud"), None);
    for len in 514..good.len() {
        let rule = refusal(good[..len].to_vec(), "mini.cud");
        assert_eq!(rule, Some(Rule::GzipEnd), "{len} of {}", good.len());
    }
    assert_eq!(refusal(good[..513].to_vec(), "mini.cud"), Some(Rule::PayloadForm));
}

/// Z3.
#[test]
fn checksum_and_length_are_compared() {
    let good = good();
    for (from_end, rule) in [(8, Rule::GzipChecksum), (4, Rule::GzipLength)] {
        let mut bad = good.clone();
        let at = bad.len() - from_end;
        bad[at] ^= 1;
        assert_eq!(refusal(bad, "mini.cud"), Some(rule));
    }
}

/// Z4, Z5.
#[test]
fn nothing_follows_the_one_member() {
    let tail = gzip(b"");
    for extra in [&b"\0"[..], b"garbage", &tail] {
        let bad = [&good()[..], extra].concat();
        assert_eq!(refusal(bad, "mini.cud"), Some(Rule::AfterGzip));
    }
    // Two members whose contents together are a good tar.
    let tar = mini(&[("mini.ndb", NDB)]);
    let (front, back) = tar.split_at(1024);
    let split = [gzip(front), gzip(back)].concat();
    assert_eq!(refusal(file(HEADLINE, &split), "mini.cud"), Some(Rule::AfterGzip));
}

/// Z6, Z7.
#[test]
fn a_payload_is_gzip_or_begins_with_copying() {
    let plain = file(HEADLINE, &mini(&[("mini.ndb", NDB)]));
    assert_eq!(refusal(plain, "mini.cud"), None);

    let info = info(&[("mini.ndb", NDB)]);
    let no_copying = tar(&[("mini.info", info.as_bytes()), ("mini.ndb", NDB)]);
    assert_eq!(refusal(file(HEADLINE, &no_copying), "mini.cud"), Some(Rule::PayloadForm));

    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&mini(&[("mini.ndb", NDB)])).unwrap();
    let zlib = file(HEADLINE, &zlib.finish().unwrap());
    assert_eq!(refusal(zlib, "mini.cud"), Some(Rule::PayloadForm));
}

/// A packed tar with 300 MB of zeros in the member of that name.
fn bomb(front: &[u8], name: &str) -> Vec<u8> {
    let size = 300 << 20;
    let zeros = vec![0; 1 << 20];
    let mut header = entry(name, b"");
    header[124..136].copy_from_slice(format!("{size:o}\0\0").as_bytes());
    crate::forge::resum(&mut header, 0);
    let mut encoder = GzEncoder::new(file(HEADLINE, b""), Compression::best());
    encoder.write_all(front).unwrap();
    encoder.write_all(&header).unwrap();
    for _ in 0..300 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

/// Z8: refused at the header of the member when the `.info` came before it, and
/// at 200 times the payload when it did not.
#[test]
fn a_bomb_is_not_unpacked() {
    let unlisted = bomb(&mini(&[("mini.ndb", NDB)]), "evil.txt");
    assert_eq!(refusal(unlisted, "mini.cud"), Some(Rule::Unlisted));

    let before = bomb(&entry("COPYING", b"none\n"), "evil.txt");
    assert_eq!(refusal(before.clone(), "mini.cud"), Some(Rule::Ratio));
    let limits = Limits { unpacked_bytes: 1 << 20, ..Limits::default() };
    let refused = |limits| {
        let error = verify_with(before.clone(), "mini.cud", &testkit::trust_store(), limits);
        error.unwrap_err().rule()
    };
    assert_eq!(refused(&limits), Rule::UnpackedBytes);
    let limits = Limits { member_bytes: 1 << 20, ..Limits::default() };
    assert_eq!(refused(&limits), Rule::MemberBytes);
}

/// The limit on what is unpacked holds to the byte, in both forms.
#[test]
fn the_unpacked_size_is_bounded_exactly() {
    let tar = mini(&[("mini.ndb", NDB)]);
    for good in [cud(&tar), file(HEADLINE, &tar)] {
        let verify = |bytes: usize| {
            let limits = Limits { unpacked_bytes: bytes as u64, ..Limits::default() };
            verify_with(good.clone(), "mini.cud", &testkit::trust_store(), &limits)
        };
        assert!(verify(tar.len()).is_ok());
        let error = verify(tar.len() - 1).unwrap_err();
        assert_eq!(error.rule(), Rule::UnpackedBytes);
    }
}

/// Z9.
#[test]
fn optional_header_fields_are_read_over() {
    let tar = mini(&[("mini.ndb", NDB)]);
    let pack = |builder: GzBuilder| {
        let mut encoder = builder.write(file(HEADLINE, b""), Compression::default());
        encoder.write_all(&tar).unwrap();
        encoder.finish().unwrap()
    };
    let all = GzBuilder::new().filename("x").comment("y").extra(vec![0; 300]).mtime(7);
    let good = pack(all);
    assert_eq!(refusal(good.clone(), "mini.cud"), None);
    for len in 514..512 + 10 + 2 + 300 + 2 + 2 {
        assert_eq!(refusal(good[..len].to_vec(), "mini.cud"), Some(Rule::GzipEnd), "{len}");
    }
    let long = pack(GzBuilder::new().filename(vec![b'x'; 5000]));
    assert_eq!(refusal(long, "mini.cud"), Some(Rule::GzipHeader));

    // A checksum over the header, as RFC 1952 defines it.
    let mut summed = gzip(&tar);
    summed[3] = 2;
    let mut crc = Crc::new();
    crc.update(&summed[..10]);
    summed.splice(10..10, (crc.sum() as u16).to_le_bytes());
    assert_eq!(refusal(file(HEADLINE, &summed), "mini.cud"), None);
    summed[10] ^= 1;
    assert_eq!(refusal(file(HEADLINE, &summed), "mini.cud"), Some(Rule::GzipHeader));

    let mut reserved = gzip(&tar);
    reserved[3] = 0x20;
    assert_eq!(refusal(file(HEADLINE, &reserved), "mini.cud"), Some(Rule::GzipHeader));
    let mut stored = gzip(&tar);
    stored[2] = 0;
    assert_eq!(refusal(file(HEADLINE, &stored), "mini.cud"), Some(Rule::GzipHeader));
}

#[test]
fn damaged_data_are_refused() {
    let mut bad = good();
    bad[512 + 10] |= 0b110; // the reserved kind of block
    assert_eq!(refusal(bad, "mini.cud"), Some(Rule::GzipData));
}

/// Many steps of the decompressor, and members across their borders.
#[test]
fn large_members_come_back_whole() {
    let large: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(n) >> 9) as u8).collect();
    let members = [("a.ndb", &large[..]), ("b.ndb", NDB), ("c.ndb", &large[7..])];
    let verified = crate::forge::verify(cud(&mini(&members)), "mini.cud").unwrap();
    for (member, (name, bytes)) in verified.members().iter().zip(members) {
        assert_eq!(member.name(), name);
        assert!(member.bytes() == bytes, "{name}");
    }
}
