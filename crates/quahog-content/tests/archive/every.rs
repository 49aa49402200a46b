//! What holds for every format, whatever the bytes.

use std::ops::ControlFlow;

use proptest::prelude::*;
use quahog_content::{Budget, Format, Limits, open};

use super::parts_within;

/// Beginnings that lead a format's walk past its first look.
const BEGINNINGS: &[&[u8]] = &[
    b"!<arch>\nname            0           0     0     644     100       `\n",
    b"BZh91AY&SY",
    b"\x1f\x9d\x90",
    b"070701",
    b"070707",
    b"\xc7\x71",
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
    b"LZIP\x01\x0c",
    b"\x04\x22\x4d\x18\x64\x40\xa7",
    b"\x02\x21\x4c\x18",
    b"]\0\0\x10\0\xff\xff\xff\xff\xff\xff\xff\xff\0",
    b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46",
    b"PK\x03\x04\x14\0\0\0\x06\0",
    b"\x28\xb5\x2f\xfd\0\x58",
    b"7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\x01\x04\x06\0\x01\x09",
    b"ALZ\x01\x0a\0\0\0BLZ\x01\x01\0\x20\0\0\0\0\x10\0\x02",
    b"EGGA\0\x01\0\0\0\0\0\0\0\0\x22\x82\xe2\x08\xe3\x90\x85\x0a",
    b"\x60\xea\x20\0\x1e",
    b"MSCF\0\0\0\0\0\0\0\0\0\0\0\0\x2c\0\0\0\0\0\0\0\x03\x01\x01\0\x01\0\0\0\0\0\0\0",
    b"ITSF\x03\0\0\0",
    b"\x20\0-lh5-\x80\0\0\0\0\x01\0\0\0\0\0\0\x20\0\x01a\0\0",
    b"Rar!\x1a\x07\0\0\0\x73\0\0\x0d\0\0\0\0\0\0\0",
    b"Rar!\x1a\x07\x01\0",
    b"SZDD\x88\xf0\x27\x33A\0\0\x10\0\0",
    b"\0data1.hdr\0Disk1\\data1.hdr\x000.0\x00900\0ISc(\0\x95\0\x01\0\0\0\0\x20\0\0\0",
    b"\xef\xbe\xad\xdeNullsoftInst\x06\0\0\0\0\x10\0\0\x20\0\0\x80",
    b"\xef\xbe\xad\xdeNullsoftInst\x06\0\0\0\0\x10\0\0\x5d\0\0\x10\0\0",
    b"xar!\0\x1c\0\x01",
    b"\x7a\x1a\x20\x10............\x0c\0\0\0",
    b"\x01CD001\x01",
    b"",
];

fn check(format: Format, bytes: &[u8]) {
    let limits = Limits {
        part_bytes: 1 << 16,
        total_bytes: 1 << 18,
        parts: 50,
        fuel: 1 << 22,
        ..Limits::default()
    };
    let (found, _) = parts_within(format, bytes, limits);
    assert!(found.len() <= 50);
    let sizes = || found.iter().filter_map(|part| part.bytes.as_ref()).map(Vec::len);
    assert!(sizes().all(|size| size <= 1 << 16), "{format:?}");
    assert!(sizes().sum::<usize>() <= 1 << 18, "{format:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_stay_within_the_budget(
        beginning in prop::sample::select(BEGINNINGS),
        noise in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let bytes = [beginning, &noise].concat();
        for &format in Format::ARCHIVES {
            check(format, &bytes);
        }
    }
}

/// Magic in the middle of a file is an archive only if more of it agrees.
#[test]
fn magic_alone_starts_no_archive() {
    let checked = |mut bytes: Vec<u8>, at: usize, sum: u32| {
        bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
        bytes
    };
    let sevenz = b"7z\xbc\xaf\x27\x1c\0\x04....\x05\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0....".to_vec();
    let rar = b"Rar!\x1a\x07\x01\0....\x03\x01\0\0".to_vec();
    let zip = b"PK\x03\x04\x14\0\0\0\x08\0................\x01\0\0\0a".to_vec();
    for (format, wrong, right) in [
        (Format::SevenZ, sevenz.clone(), checked(sevenz.clone(), 8, super::crc32(&sevenz[12..]))),
        (Format::Rar, rar.clone(), checked(rar.clone(), 8, super::crc32(&rar[12..]))),
        (Format::Zip, zip[..30].to_vec(), checked(zip.clone(), 26, 1)),
    ] {
        assert!(!format.starts(&wrong) && format.starts(&right), "{format:?}");
    }
    assert_eq!(Format::SevenZ.declared_length(&sevenz), Some(32 + 5 + 7));
    assert_eq!(Format::Zip.declared_length(&zip), None);
}

/// What is stored is not copied: it lies in the archive.
#[test]
fn stored_members_are_slices_of_the_archive() {
    let text = "stored as it is";
    let size = u32::try_from(text.len()).unwrap().to_le_bytes();
    let zip = [b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0", &size[..], &size, b"\x01\0\0\0a"];
    let cpio = format!("070707{}{:011o}{:06o}{:011o}a\0", "000001".repeat(7), 0, 2, text.len());
    let ar = format!("!<arch>\n{:16}{:12}{:6}{:6}{:8}{:<10}`\n", "a/", 0, 0, 0, 644, text.len());
    for (format, head) in [
        (Format::Zip, zip.concat()),
        (Format::Cpio, cpio.into_bytes()),
        (Format::Ar, ar.into_bytes()),
    ] {
        let archive = [&head, text.as_bytes()].concat();
        let mut slices = 0;
        open(format, &archive, &Budget::new(Limits::default()), &mut |part| {
            if part.bytes == Some(text.as_bytes()) {
                let place = part.bytes.unwrap_or_default().as_ptr();
                assert_eq!(place, archive[head.len()..].as_ptr(), "{format:?}");
                slices += 1;
            }
            ControlFlow::Continue(())
        });
        assert_eq!(slices, 1, "{format:?}");
    }
}
