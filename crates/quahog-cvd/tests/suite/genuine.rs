//! Published files, which stand beside the checkout. Where they do not, these
//! tests say so and pass.

use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use quahog_cvd::{Cvd, Limits, Rule, Trust, TrustStore};

use crate::forge::verify_with;

/// Name and bytes of every file with this suffix in a folder of real data.
pub(crate) fn files(folder: &str, suffix: &str) -> Vec<(String, Bytes)> {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/real").join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no {}", folder.display());
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == suffix))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap().into())
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "nothing to test with in {}", folder.display());
    files
}

fn containers() -> Vec<(String, Bytes)> {
    [files("clamav-bytecode", "cvd"), files("clamav-test-series", "cvd")].concat()
}

pub(crate) fn official(
    file: &Bytes,
    name: &str,
) -> Result<quahog_cvd::VerifiedCvd, quahog_cvd::Error> {
    // One store for all: building three keys costs more than most checks here.
    static STORE: std::sync::LazyLock<TrustStore> = std::sync::LazyLock::new(TrustStore::official);
    verify_with(file.clone(), name, &STORE, &Limits::default())
}

#[test]
fn all_published_containers_verify() {
    for (name, file) in containers() {
        let verified = official(&file, &name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(verified.trust(), &Trust::Official);
        let (database, rest) = name.split_once('-').unwrap();
        assert_eq!(verified.database(), database);
        assert_eq!(rest, format!("{}.cvd", verified.header().version()));
        let members = match name.as_str() {
            "bytecode-19.cvd" => 4,
            "bytecode-268.cvd" => 49,
            "bytecode-339.cvd" => 85,
            "test-1.cvd" | "test-2.cvd" => 2,
            _ => 18,
        };
        assert_eq!(verified.members().len(), members, "{name}");
        assert!(verified.copying().unwrap().len() > 10_000);

        // H21, H22; and the members are the same without any check.
        let cld = official(&file, &name.replace("cvd", "cld")).unwrap();
        assert_eq!(cld.members(), verified.members());
        let cud = official(&file, &name.replace("cvd", "cud")).unwrap_err();
        assert_eq!(cud.rule(), Rule::SignedCud);
        let raw = Cvd::open(file, &name).unwrap().dangerous_unverified(&Limits::default()).unwrap();
        assert_eq!(raw[2..], *verified.members());
    }
}

#[test]
fn all_published_patches_verify() {
    let store = TrustStore::official();
    for (name, file) in files("clamav-test-series", "cdiff") {
        let signed = store.verify_cdiff(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(signed.trust(), &Trust::Official);
        assert!(file[signed.frame().len()..].starts_with(b":"));
        // Every cut and every addition of one byte.
        for len in 0..file.len() {
            assert!(store.verify_cdiff(&file[..len]).is_err(), "{name} cut to {len}");
        }
        assert!(store.verify_cdiff(&[&file[..], b"\n"].concat()).is_err());
    }
}

/// No byte of a patch is free.
#[test]
fn every_byte_of_a_patch_counts() {
    let store = TrustStore::official();
    for (name, file) in files("clamav-test-series", "cdiff").into_iter().take(2) {
        for at in 0..file.len() {
            let mut bad = file.to_vec();
            bad[at] ^= 1 << (at % 8);
            assert!(store.verify_cdiff(&bad).is_err(), "{name}, byte {at}");
        }
    }
}

/// Time text and builder: the ranges of a header that no signature covers.
fn free_ranges(file: &[u8]) -> [Range<usize>; 2] {
    let colons: Vec<_> = (0..512).filter(|at| file[*at] == b':').collect();
    [colons[0] + 1..colons[1], colons[6] + 1..colons[7]]
}

/// True if a byte at `at` may become `byte` in any kind of container.
fn is_free(file: &[u8], at: usize, byte: u8) -> bool {
    let printable = (b' '..=b'~').contains(&byte) && byte != b':';
    printable && free_ranges(file).iter().any(|range| range.contains(&at))
}

/// Every bit of the header, of every file.
#[test]
fn every_header_byte_but_time_text_and_builder_counts() {
    for (name, file) in containers() {
        // The payload of the large ones would be hashed for each bit.
        let bits = if file.len() < 20_000 { 8 } else { 1 };
        for at in 0..512 {
            for bit in 0..bits {
                let mut bad = file.to_vec();
                bad[at] ^= 1 << ((bit + at) % 8);
                let free = is_free(&file, at, bad[at]);
                let verified = official(&bad.into(), &name);
                assert_eq!(verified.is_ok(), free, "{name}, byte {at}, bit {bit}: {verified:?}");
            }
        }
    }
}

/// Every byte of the payload; a sample of the large ones.
#[test]
fn every_payload_byte_of_a_cvd_counts() {
    for (name, file) in containers() {
        let step = if file.len() < 20_000 { 1 } else { 97 };
        for at in (512..file.len()).step_by(step) {
            let mut bad = file.to_vec();
            bad[at] ^= 1 << (at % 8);
            let rule = official(&bad.into(), &name).unwrap_err().rule();
            assert_eq!(rule, Rule::PayloadMd5, "{name}, byte {at}");
        }
    }
}

/// Of a `.cld` only what it holds is protected, not how it is packed.
#[test]
fn a_changed_payload_of_a_cld_is_refused_or_holds_the_same() {
    for (name, file) in containers().into_iter().filter(|(_, file)| file.len() < 20_000).take(2) {
        let name = name.replace("cvd", "cld");
        let good = official(&file, &name).unwrap();
        let mut described = 0;
        for at in 512..file.len() {
            let mut changed = file.to_vec();
            changed[at] ^= 1 << (at % 8);
            let Ok(verified) = official(&changed.into(), &name) else { continue };
            assert_eq!(verified.members(), good.members(), "{name}, byte {at}");
            assert_eq!(verified.copying(), good.copying(), "{name}, byte {at}");
            assert_eq!(verified.info().text(), good.info().text(), "{name}, byte {at}");
            described += usize::from((512 + 4..512 + 10).contains(&at));
        }
        assert_eq!(described, 6, "time, speed and system of the gzip header are free");
    }
}

#[test]
fn a_published_container_cut_anywhere_is_refused() {
    for (name, file) in files("clamav-test-series", "cvd").into_iter().take(1) {
        for name in [name.clone(), name.replace("cvd", "cld")] {
            for len in 0..file.len() {
                assert!(official(&file.slice(..len), &name).is_err(), "{name} cut to {len}");
            }
        }
    }
}

/// A hundred random changes of one to four bits anywhere behind the header, in
/// each signed file; ten thousand if `QUAHOG_TEST_FULL` is set. As a `.cvd` each
/// is refused; as a `.cld` a few only describe the packing, and then all that is
/// in the container is the same.
#[test]
fn random_flips_are_refused_or_change_nothing() {
    let n_flips = if std::env::var_os("QUAHOG_TEST_FULL").is_some() { 10_000 } else { 100 };
    // A fixed sequence: what fails once fails again.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    for (name, file) in containers() {
        let as_cld = name.replace("cvd", "cld");
        let good = official(&file, &as_cld).unwrap();
        let mut harmless = 0;
        for _ in 0..n_flips {
            let mut bad = file.to_vec();
            for _ in 0..=random(4) {
                let at = 512 + random(file.len() - 512);
                bad[at] ^= 1 << random(8);
            }
            if bad == file {
                continue;
            }
            let bad = Bytes::from(bad);
            let refused = official(&bad, &name).unwrap_err();
            assert_eq!(refused.rule(), Rule::PayloadMd5);
            if let Ok(verified) = official(&bad, &as_cld) {
                assert_eq!(verified.files(), good.files(), "{name}");
                harmless += 1;
            }
        }
        // Six bytes of the gzip header only describe, of at least 8000.
        assert!(harmless <= n_flips / 100 + 3, "{name}: {harmless}");
        if harmless > 0 {
            println!("{as_cld}: {harmless} of {n_flips} flips change only how it is packed");
        }
    }
}
