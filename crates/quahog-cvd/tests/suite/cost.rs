//! What a hostile file may cost: time in proportion, memory of a stated multiple.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use quahog_cvd::{Cvd, Files, Limits, Script};

use crate::forge::{cud, file, mini};
use crate::{forge, testkit};

const MIB: usize = 1 << 20;

/// Text that neither repeats itself nor resists packing.
fn text(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        b"0123456789abcdef"[(state >> 60) as usize]
    };
    (0..length).map(|at| if at % 64 == 63 { b'\n' } else { next() }).collect()
}

/// Inputs of one kind, whose size grows with `n`.
fn input(kind: &str, n: usize) -> Vec<u8> {
    match kind {
        "packed" => cud(&mini(&[("mini.ndb", &text(n))])),
        "plain" => file(forge::HEADLINE, &mini(&[("mini.ndb", &text(n))])),
        "zeros" => cud(&mini(&[("mini.ndb", &vec![0; n])])),
        "members" => {
            let names: Vec<String> = (0..n / 1024).map(|at| format!("m{at}.ndb")).collect();
            let members: Vec<_> = names.iter().map(|name| (name.as_str(), &b"x\n"[..])).collect();
            cud(&mini(&members))
        }
        "edits" => (0..n / 16).fold(b"OPEN a\n".to_vec(), |mut script, at| {
            script.extend_from_slice(format!("XCHG {} 0 {at:08}\n", at + 1).as_bytes());
            script
        }),
        _ => (0..n / 8).fold(b"OPEN a\n".to_vec(), |mut script, _| {
            script.extend_from_slice(b"ADD line\n");
            script
        }),
    }
}

const KINDS: &[&str] = &["packed", "plain", "zeros", "members", "edits", "adds"];

/// Does all there is to do, and says how many bytes came out of the archive. Limits that nothing
/// here meets, but for the ratio.
fn run(kind: &str, bytes: Bytes) -> usize {
    let limits = Limits { members: 1 << 20, info_bytes: 1 << 30, ..Limits::default() };
    if matches!(kind, "edits" | "adds") {
        let close = [&bytes[..], b"CLOSE\n"].concat();
        let script = Script::parse(close.into()).unwrap();
        let lines = "0\n".repeat(bytes.len() / 16);
        let files: Files = [("a".into(), Bytes::from(lines))].into();
        return script.apply(&files, &limits).unwrap().values().map(Bytes::len).sum();
    }
    match forge::verify_with(bytes, "mini.cud", &testkit::trust_store(), &limits) {
        // A header and padding for each.
        Ok(verified) => verified.members().iter().map(|m| m.bytes().len() + 1024).sum(),
        Err(error) => {
            assert_eq!((kind, error.code()), ("zeros", "ratio"));
            0
        }
    }
}

/// Time that this thread had a processor, on which other work has little say.
#[cfg(target_os = "linux")]
fn worked() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[cfg(target_os = "linux")]
fn fastest(kind: &str, n: usize) -> Duration {
    let bytes = Bytes::from(input(kind, n));
    let time = |_| {
        let start = worked();
        run(kind, bytes.clone());
        worked() - start
    };
    (0..5).map(time).min().unwrap()
}

/// Four times the input takes about four times as long; sixteen would be a square.
#[cfg(target_os = "linux")]
#[test]
fn time_is_linear() {
    for kind in KINDS {
        let (small, large) = (fastest(kind, MIB / 2), fastest(kind, 2 * MIB));
        let floor = Duration::from_millis(2);
        assert!(large < 9 * small.max(floor), "{kind}: {small:?}, then {large:?}");
    }
}

/// Peak of the resident memory while `run` is at it. In a process of its own,
/// because the other tests are at it too.
#[cfg(target_os = "linux")]
#[test]
fn memory_is_three_times_input_and_output_and_eight_mebibytes() {
    for kind in KINDS {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cost::child", "--ignored", "--nocapture"])
            .env(CHILD, kind)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let numbers = text.lines().find_map(|line| line.split_once("MEASURED ")).unwrap().1;
        let numbers: Vec<usize> = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
        let [n_in, n_out, peak] = numbers[..] else { panic!("{text}") };
        // A script is also kept in its typed form: 16 bytes for a byte at worst.
        let script = if matches!(*kind, "edits" | "adds") { 16 * n_in } else { 0 };
        let most = 3 * (n_in + n_out) + script + 8 * MIB;
        assert!(peak <= most, "{kind}: {peak} for {n_in} in and {n_out} out");
    }
}

const CHILD: &str = "QUAHOG_TEST_COST_OF";

#[cfg(target_os = "linux")]
#[test]
#[ignore = "is run by the test above, in a process of its own"]
fn child() {
    let Ok(kind) = std::env::var(CHILD) else { return };
    let status = |field: &str| {
        let text = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = text.lines().find(|line| line.starts_with(field)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    };
    let bytes = Bytes::from(input(&kind, 16 * MIB));
    let n_in = bytes.len();
    // Sets the mark back to what is resident now.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:");
    let n_out = run(&kind, bytes);
    let peak = status("VmHWM:").saturating_sub(before);
    println!("MEASURED {n_in} {n_out} {peak}");
}

/// Sizes that a header or a list declares cost nothing.
#[test]
fn declared_sizes_allocate_nothing() {
    let huge = forge::Entry { size: b"77777777777".to_vec(), ..forge::Entry::of(b"") }.build();
    let limits = Limits { member_bytes: u64::MAX, unpacked_bytes: u64::MAX, ..Limits::default() };
    let bytes = cud(&[mini(&[]), huge].concat());
    let cvd = Cvd::open(bytes.into(), "mini.cud").unwrap();
    assert!(cvd.dangerous_unverified(&limits).is_err());
}
