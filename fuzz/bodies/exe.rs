//! Headers of any bytes are read without a panic, in bounded time and memory,
//! and what they say of the file lies in it where it must. Of all programs, a
//! rule trusts those alone that its owner signed.

use std::sync::LazyLock;

use quahog_engine::exe::{Headers, embedded, universal_slices};
use quahog_engine::{Engine, Layer, Unmetered};
use quahog_sig::model::FileType;
use quahog_sig::{Format, SetBuilder};
use quahog_testkit::builders::authenticode::{CHECKSUM, Cert, Key, Signing, program, sign};

/// The one signed program, without what is not signed, and who trusts it.
static SIGNED: LazyLock<(Vec<u8>, Engine)> = LazyLock::new(|| {
    let root = Cert::new("Root", Key::ROOT).issuer();
    let inter = Cert::new("Inter", Key::INTER).issuer().signed_by(&root);
    let leaf = Cert { purposes: vec![3], ..Cert::new("Leaf", Key::LEAF) }.signed_by(&inter);
    let plain = program(b"some code");
    let file = sign(&plain, &Signing::new(&leaf));
    let mut builder = SetBuilder::new();
    let line = root.crb("A", true, [true; 3]);
    builder.line(Format::Crb, 1, line.as_bytes()).expect("a good line");
    let engine = Engine::new(builder.finish()).expect("a good set");
    let layer = Layer::new(&file, FileType::MSEXE, None);
    assert_eq!(engine.trusts(&layer, &|| NOW, &Unmetered), Ok(true));
    (plain, engine)
});

/// 2026-01-01.
const NOW: i64 = 1_767_225_600;

pub(crate) fn run(data: &[u8]) {
    let (plain, engine) = &*SIGNED;
    let layer = Layer::new(data, FileType::MSEXE, None);
    if engine.trusts(&layer, &|| NOW, &Unmetered) == Ok(true) {
        assert_eq!(data[..CHECKSUM], plain[..CHECKSUM]);
        assert_eq!(data[0x400..plain.len()], plain[0x400..]);
    }
    for file_type in [FileType::MSEXE, FileType::ELF, FileType::MACHO, FileType::MACHO_UNIBIN] {
        let headers = Headers::read(data, file_type);
        let Some(executable) = headers.sound() else { continue };
        assert!(executable.sections().len() <= data.len() / 40);
        let keys = executable.version_keys(data);
        assert!(keys.is_sorted() && keys.iter().all(|&key| key < data.len()));
        assert!(executable.signers(data).len() <= 64);
        let _ = executable.signature(data);
        if let Some(text) = executable.imports(data) {
            assert!(text.len() <= 2 << 20);
        }
    }
    for slice in universal_slices(data) {
        assert!(0 < slice.start && slice.start < slice.end && slice.end <= data.len());
    }
    if let Ok(Some(start)) = embedded(data, &Unmetered) {
        let inner = Headers::read(&data[start..], FileType::MSEXE);
        assert!(start > 0 && inner.sound().is_some());
    }
}
