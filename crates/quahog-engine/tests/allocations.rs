//! A scan of a plain buffer allocates nothing once its scratch memory is warm.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use quahog_engine::{Engine, Layer, Look, Scratch, Unmetered};
use quahog_sig::model::FileType;
use quahog_sig::{Format, SetBuilder};

/// Counts what the current thread asks for.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from `alloc` above with this layout.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

#[test]
fn a_warm_scan_allocates_nothing() {
    let mut builder = SetBuilder::new();
    builder.source("x", false);
    for (format, line) in [
        (Format::Ndb, "A:0:*:68656c6c6f{1-4}776f726c64"),
        (Format::Ndb, "B:0:*:6d697373696e67??62797465"),
        (Format::Ndb, "C:0:EOF-20,5:(6162|6364)6566"),
        (Format::Ldb, "D;Engine:81-255,Target:0;0&1>1;68656c6c6f;776f::i"),
        (Format::Ldb, "E;Engine:81-255,Target:0;0=0;6e6f7468657265"),
        (Format::Hdb, "6b875428a97a85cab2f19f595921545d:44:H"),
    ] {
        if let Err(error) = builder.line(format, 1, line.as_bytes()) {
            panic!("{line}: {error}");
        }
    }
    let engine = Engine::new(builder.finish()).expect("small tables");
    let clean = b"nothing to see here, move along, if you can.".repeat(100);
    let found = b"hello, world and hello WORLD; ab abef missing byte".repeat(100);
    let listed = b"hello, world, in as many bytes as are listed";
    assert_eq!(listed.len(), 44);
    let mut scratch = Scratch::default();
    let mut hits = Vec::new();
    let mut scan = |bytes: &[u8]| {
        let layer = Layer::new(bytes, FileType::BINARY_DATA, None);
        hits.clear();
        engine.scan(&layer, Look::Raw, &mut scratch, &Unmetered, &mut hits).expect("unmetered");
        hits.len()
    };
    for bytes in [&clean[..], &found, listed] {
        let n_hits = scan(bytes);
        scan(bytes);
        let count = allocations(|| assert_eq!(scan(bytes), n_hits));
        assert_eq!(count, 0, "{n_hits} hits in {} bytes", bytes.len());
    }
}
