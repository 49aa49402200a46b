#![no_main]
//! No bytes make an image panic, neither when it is opened nor when it is
//! scanned with: the input says how a sound image is damaged, or is one.
use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quahog_engine::image::Check;
use quahog_engine::{Engine, Interrupted, Layer, Look, Meter, Scratch, Segment};
use quahog_sig::model::FileType;
use quahog_sig::{Format, SetBuilder};

/// Ends a scan that works too much for its little data.
struct Fuel(std::cell::Cell<u64>);

impl Meter for Fuel {
    fn tick(&self, work: u64) -> Result<(), Interrupted> {
        self.0.set(self.0.get().saturating_sub(work));
        if self.0.get() == 0 { Err(Interrupted) } else { Ok(()) }
    }
}

fn sound() -> Vec<u8> {
    let mut builder = SetBuilder::new();
    builder.source("x", false);
    for (format, line) in [
        (Format::Ndb, "A:0:*:68656c6c6f{1-4}776f726c64"),
        (Format::Ndb, "M:0:$1$:6263"),
        (Format::Ndb, "V:1:EP+0,20:6162(6162|63(64|65)66)6364"),
        (Format::Ldb, "L;Engine:81-255,Target:0;(0|1)>1,2&2&3;6162::wa;6364;0/x+y/s;0(>>2#hb2#=1)"),
        (Format::Ldb, "G;Engine:81-255,Target:0;0&1;6162;${4-9}1$"),
        (Format::Hdb, "6b875428a97a85cab2f19f595921545d:26:H-1-0"),
        (Format::Mdb, "512:6b875428a97a85cab2f19f595921545d:D-5-6"),
        (Format::Cdb, "C:CL_TYPE_ZIP:*:a+b:*:*:0:1:*:*"),
        (Format::Pdb, "H:example.com"),
    ] {
        builder.line(format, 1, line.as_bytes()).expect("a good line");
    }
    let segment = Segment::new(builder.finish()).expect("small tables");
    segment.image(Vec::new()).expect("a little-endian machine").concat()
}

fuzz_target!(|data: &[u8]| {
    let image = if data.starts_with(b"\x89quahog") {
        data.to_vec()
    } else {
        // Pieces of a place and its new bytes.
        let mut image = sound();
        for piece in data.chunks(6) {
            let &[a, b, ref bytes @ ..] = piece else { break };
            let at = 120 + usize::from(u16::from_le_bytes([a, b])) % (image.len() - 120);
            image.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
        }
        image
    };
    let Ok(segment) = Segment::open(&Bytes::from(image), Check::Structure) else { return };
    let Ok(engine) = Engine::from_segments(vec![Arc::new(segment)]) else { return };
    let haystack = b"hello, world abcdab..ab cdefxxxy a\0b\0c\0d\0 abc".repeat(2);
    let mut scratch = Scratch::default();
    for file_type in [FileType::BINARY_DATA, FileType::MSEXE, FileType::MAIL, FileType::ZIP] {
        let layer = Layer::new(&haystack, file_type, None);
        let mut hits = Vec::new();
        let fuel = Fuel(std::cell::Cell::new(10_000_000));
        let _ = engine.scan(&layer, Look::Raw, &mut scratch, &fuel, &mut hits);
        for hit in hits {
            engine.reported_name(hit.segment, hit.id);
            engine.origin(hit.segment, hit.id);
        }
    }
});
