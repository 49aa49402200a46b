//! What a scan asks of the allocator: bombs end within their budget, parts are
//! decoded into memory that is used again, and a message costs no more
//! allocations than it did.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use quahog::{Completeness, Database, Engine, Input, Limits, Live, Settings, Shortfall};
use quahog_testkit::builders::bomb::{self, bombs};
use quahog_testkit::builders::mail::{Encoding, Part, message};
use quahog_testkit::builders::zip::{Member, zip};

/// Counts the bytes that the current thread holds, and the most it ever held.
struct Counting;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
    static MOST: Cell<i64> = const { Cell::new(0) };
    /// How often, and how many bytes in all, it asked for.
    static ASKED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

fn count(bytes: i64) {
    if bytes > 0 {
        let (times, sum) = ASKED.get();
        ASKED.set((times + 1, sum + bytes.unsigned_abs()));
    }
    let held = HELD.get() + bytes;
    HELD.set(held);
    MOST.set(MOST.get().max(held));
}

/// A size that is never above `isize::MAX`.
fn signed(size: usize) -> i64 {
    size as i64
}

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller keeps the promises of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: `at` came from above with this layout.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(signed(size) - signed(layout.size()));
        // SAFETY: `at` came from above with this layout.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that `work` held beside those that were there before.
fn most_held(work: impl FnOnce()) -> i64 {
    let before = HELD.get();
    MOST.set(before);
    work();
    MOST.get() - before
}

/// How often `work` asks for memory, and for how many bytes.
fn asked(work: impl FnOnce()) -> (u64, u64) {
    let before = ASKED.get();
    work();
    let after = ASKED.get();
    (after.0 - before.0, after.1 - before.1)
}

fn live() -> Live {
    Live::new(Engine::new(Database::demonstration().into_signatures()).expect("a small engine"))
}

fn reasons(completeness: &Completeness<'_>) -> Vec<Shortfall> {
    match completeness {
        Completeness::Complete => Vec::new(),
        Completeness::Incomplete(missing) => missing.iter().map(|m| m.reason).collect(),
    }
}

/// Each bomb is 32 times smaller than it is known, and so is what it may hold,
/// decoders with their windows aside.
#[test]
fn bombs_hold_little_and_say_what_was_cut() {
    const SHRINK: usize = 32;
    const DECODERS: i64 = 12 << 20;
    let live = live();
    let limits = Limits { expansion_bytes: (16 << 20) / SHRINK as u64, ..Limits::default() };
    let mut wrong = Vec::new();
    for bomb in bombs(SHRINK) {
        let input = if bomb.is_message { Input::Message } else { Input::Any };
        let settings = Settings::default().input(input).limits(limits);
        let mut scanner = live.scanner_with(settings);
        let mut missing = Vec::new();
        let most = most_held(|| missing = reasons(&scanner.scan(&bomb.bytes).completeness()));
        if most > DECODERS + (64 << 20) / SHRINK as i64 || bomb.is_cut == missing.is_empty() {
            wrong.push((bomb.name, most, missing));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_first_bytes_of_a_bomb_are_searched() {
    let lure = b"quahog-demo-lure, quahog-demo-link ".repeat(100);
    let limits = Limits { expansion_bytes: 1 << 20, ..Limits::default() };
    let mut scanner = live().scanner_with(Settings::default().limits(limits));
    let bomb = bomb::gzip_of(&bomb::repeated(&lure, 64 << 20), 0);
    let report = scanner.scan(&bomb);
    assert_eq!(report.detections().len(), 1, "{report:?}");
    // Of many members, those that are packed as usual are looked at all the same.
    let zeros = bomb::zeros(16 << 20);
    let bomb = Member::packed("bomb", 8, &zeros, 0, 16 << 20);
    let report = scanner.scan(&zip(&[bomb, Member::stored("lure", &lure)]));
    assert_eq!(report.detections().len(), 1);
    assert_eq!(reasons(&report.completeness()), [Shortfall::Expansion]);
}

#[test]
fn an_archive_in_itself_is_opened_once() {
    let mut scanner = live().scanner_with(Settings::default());
    let report = scanner.scan(&bomb::quine());
    assert_eq!((report.stats().layers, reasons(&report.completeness())), (2, vec![]));
    // Also where it is not the outermost.
    let quine = bomb::quine();
    let inside = zip(&[Member::stored("quine.gz", &quine), Member::stored("again.gz", &quine)]);
    let report = scanner.scan(&inside);
    assert_eq!((report.stats().layers, reasons(&report.completeness())), (5, vec![]));
}

/// Bytes that look like no text, and pack badly.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn scan_message(scanner: &mut quahog::Scanner, message: &[u8]) -> (u64, u64) {
    // The first scan warms what the scanner keeps.
    let _ = scanner.scan(message);
    asked(|| {
        let report = scanner.scan(message);
        assert_eq!(reasons(&report.completeness()), []);
    })
}

fn message_scanner() -> quahog::Scanner {
    live().scanner_with(Settings::default().input(Input::Message))
}

/// Decoded parts share two buffers; what is 7bit, or stored in an archive, is a
/// slice of what is around it (tests of quahog-content see the addresses).
#[test]
fn parts_are_decoded_into_memory_that_is_used_again() {
    const LEN: usize = 200_000;
    let mut scanner = message_scanner();
    let attached = |bytes: &[u8], encoding, count: usize| {
        let part = Part::attachment("a.bin", bytes, encoding);
        message("x", &Part::mixed(vec![part; count]))
    };
    for encoding in [Encoding::Base64, Encoding::QuotedPrintable] {
        let one = scan_message(&mut scanner, &attached(&noise(LEN), encoding, 1));
        let ten = scan_message(&mut scanner, &attached(&noise(LEN), encoding, 10));
        assert!(one.1 < 3 * LEN as u64, "{encoding:?}: {one:?}");
        // Nine parts more need no buffer more, only what is small.
        assert!(ten.1 - one.1 < 9 * 30_000, "{encoding:?}: {one:?} {ten:?}");
    }
    // Nothing of this size is ever asked for where nothing is decoded.
    let binary = [&b"\x01\x02\0\x01\0\x01"[..], &noise(LEN)].concat();
    let stored = zip(&[Member::stored("a.bin", &binary)]);
    let mut scanner = live().scanner_with(Settings::default());
    let _ = scanner.scan(&stored);
    let most = asked(|| drop(scanner.scan(&stored)));
    assert!(most.1 < LEN as u64 / 2, "{most:?}");
}

/// The ceilings are what was counted when they were written. A change that needs
/// more says why, and raises them.
#[test]
fn messages_cost_a_known_number_of_allocations() {
    let text = "A short answer: thank you, the invoice has been paid.\n".repeat(40);
    let html =
        format!("<html><body><p>{text}</p><a href=\"http://a.example/\">b</a></body></html>");
    let blob = noise(5_000);
    let plain = message("x", &Part::text(&text));
    let alternative = message("x", &Part::alternative([Part::text(&text), Part::html(&html)]));
    let attached = |n: usize| {
        let part = Part::attachment("a.bin", &blob, Encoding::Base64);
        message("x", &Part::mixed([vec![Part::text(&text)], vec![part; n]].concat()))
    };
    let packed = zip(&[Member::deflated("a.bin", &blob), Member::stored("b.txt", text.as_bytes())]);
    let archive = Part::attachment("a.zip", &packed, Encoding::Base64);
    let archive = message("x", &Part::mixed([Part::text(&text), archive]));
    let mut scanner = message_scanner();
    let counted = [
        ("plain", &plain, PLAIN),
        ("alternative", &alternative, ALTERNATIVE),
        ("attachment", &attached(1), ATTACHMENT),
        ("ten attachments", &attached(10), ATTACHMENTS),
        ("archive", &archive, ARCHIVE),
    ]
    .map(|(name, message, ceiling)| (name, scan_message(&mut scanner, message).0, ceiling));
    println!("allocations: {counted:?}");
    assert!(counted.iter().all(|(_, count, ceiling)| count <= ceiling), "{counted:?}");
}

const PLAIN: u64 = 36;
const ALTERNATIVE: u64 = 94;
const ATTACHMENT: u64 = 82;
const ATTACHMENTS: u64 = 361;
const ARCHIVE: u64 = 99;
