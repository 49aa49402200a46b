//! Headers of any bytes are read without a panic, in bounded time and memory,
//! and what they say of the file lies in it where it must.

use quahog_engine::Unmetered;
use quahog_engine::exe::{Headers, embedded, universal_slices};
use quahog_sig::model::FileType;

/// Holds `data` to that.
pub(crate) fn run(data: &[u8]) {
    for file_type in [FileType::MSEXE, FileType::ELF, FileType::MACHO, FileType::MACHO_UNIBIN] {
        let headers = Headers::read(data, file_type);
        let Some(executable) = headers.sound() else { continue };
        assert!(executable.sections().len() <= data.len() / 40);
        let keys = executable.version_keys(data);
        assert!(keys.is_sorted() && keys.iter().all(|&key| key < data.len()));
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
