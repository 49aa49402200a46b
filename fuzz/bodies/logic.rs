//! A line of an `.ldb` is admitted whole or not at all, and whatever was
//! admitted scans without a panic.

use quahog_engine::{Engine, Layer, Look, PictureHasher, Scratch, Unmetered};
use quahog_sig::model::FileType;
use quahog_sig::{Format, SetBuilder};

/// Holds `data` to that.
pub(crate) fn run(data: &[u8]) {
    let Some(at) = data.iter().position(|&byte| byte == b'\n') else { return };
    let (fields, haystack) = (&data[..at], &data[at + 1..]);
    if haystack.len() > 1024 || fields.len() > 512 {
        return;
    }
    let mut builder = SetBuilder::new();
    builder.line(Format::Ndb, 1, b"Member:0:$1$:6263").expect("sound");
    let line = [b"X;Engine:81-255,Target:0;" as &[u8], fields].concat();
    let admitted = builder.line(Format::Ldb, 2, &line).is_ok();
    let set = builder.finish();
    assert_eq!(set.len(), 1 + usize::from(admitted));
    let engine = Engine::new(set).expect("small tables");
    let hash = |bytes: &[u8]| Some(bytes.len() as u64);
    let layer =
        Layer::new(haystack, FileType::PNG, None).with_picture_hasher(PictureHasher::new(&hash));
    let mut hits = Vec::new();
    engine
        .scan(&layer, Look::Raw, &mut Scratch::default(), &Unmetered, &mut hits)
        .expect("nothing calls it off");
    assert!(hits.len() <= 1);
}
