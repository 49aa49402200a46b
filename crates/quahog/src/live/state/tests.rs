//! The disk fails at every step, and the process dies at any time.

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::super::build::{Built, From, Order, build};
use super::super::compile::Compiler;
use super::super::{Config, Live};
use super::*;
use crate::database::{Fault, FaultIo};

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("quahog-st-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The sources of a generation: three files, of which one is the same in all.
fn sources(folder: &Path, number: u32) -> (String, Vec<Arc<InForce>>) {
    fs::create_dir_all(folder).unwrap();
    for (name, text) in [
        ("a.ndb", format!("A.{number}:0:*:746f6b656e2d61\n")),
        ("b.ndb", format!("B.{number}:0:*:746f6b656e2d62\n")),
        ("c.ndb", "C.Same:0:*:746f6b656e2d63\n".to_owned()),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    let config = Config::new([folder]);
    let order = Order {
        config: &config,
        running: &Live::empty().snapshot(),
        from: From::Files,
        bad: &HashSet::new(),
        forced: true,
        compiler: Compiler::new(&config.build),
        versions: Versions::default(),
        now: 0,
    };
    match build(&order).unwrap_or_else(|e| panic!("{e}")) {
        Built::Candidate(candidate) => (candidate.id.clone(), candidate.sources),
        Built::Unchanged => panic!("nothing runs"),
    }
}

/// Opens a state that nobody uses; but a test beside this one may be starting a
/// program, which has our locks until it is loaded, however long that takes.
fn open(state: &Path) -> State {
    loop {
        match State::open(state) {
            Err(OpenError::Locked { .. }) => {}
            opened => return opened.unwrap_or_else(|error| panic!("{error}")),
        }
    }
}

/// The number of the newest generation that reads, which must be whole.
fn newest(state: &Path) -> Option<u32> {
    let state = open(state);
    let kept = state.generations().into_iter().find_map(|number| state.read(number).ok())?;
    let texts: Vec<_> =
        kept.sources.iter().map(|(_, bytes)| String::from_utf8(bytes.to_vec()).unwrap()).collect();
    assert_eq!(texts.len(), 3);
    let number = |text: &str, prefix: &str| {
        let rest = text.strip_prefix(prefix).unwrap_or_else(|| panic!("{text}"));
        rest.split(':').next().unwrap().parse::<u32>().unwrap()
    };
    let (a, b) = (number(&texts[0], "A."), number(&texts[1], "B."));
    assert_eq!(a, b, "a mixture of generations");
    assert!(texts[2].starts_with("C.Same:"));
    Some(a)
}

fn temporaries(folder: &Path) -> usize {
    let count = |sub: &str| {
        let entries = fs::read_dir(folder.join("state-1").join(sub)).unwrap();
        entries.flatten().filter(|e| database::is_left(&e.file_name().to_string_lossy())).count()
    };
    count("objects") + count("generations") + count("")
}

/// F1 and F2: every step of keeping a generation fails for want of room, or is
/// the last one: each creation, write, flush, rename and removal.
#[test]
fn fault_01_02_every_step_of_keeping_may_fail() {
    let folder = Folder::new();
    let (old_id, old) = sources(&folder.0.join("db"), 1);
    let (new_id, new) = sources(&folder.0.join("db"), 2);
    for fault in [Fault::Fail(io::ErrorKind::StorageFull), Fault::Crash, Fault::Short] {
        let mut failed = 0;
        for at in 0.. {
            let path = folder.0.join(format!("{fault:?}-{at}"));
            open(&path).keep(&old_id, &old).unwrap();
            let mut state = open(&path);
            let disk = Arc::new(FaultIo::new(at, fault));
            state.io = Arc::clone(&disk) as Io;
            let kept = state.keep(&new_id, &new);
            let n_steps = disk.operations();
            drop(state);
            let number = newest(&path).expect("a generation is whole");
            match kept {
                Ok(()) => assert_eq!(number, 2, "{fault:?} at {at}"),
                Err(error) => {
                    failed += 1;
                    // The rename may have happened before the folder was synced.
                    assert!(number == 1 || number == 2, "{fault:?} at {at}");
                    if fault != Fault::Crash {
                        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                        assert!(number == 2 || temporaries(&path) == 0, "{fault:?} at {at}");
                    }
                }
            }
            // Whatever happened, the next one works, and leaves no litter.
            open(&path).keep(&new_id, &new).unwrap();
            assert_eq!(newest(&path), Some(2), "{fault:?} at {at}");
            assert_eq!(temporaries(&path), 0);
            if at >= n_steps {
                break;
            }
        }
        // Two sources and the list: each is created, written, flushed and renamed.
        assert!(failed >= 12 || fault == Fault::Short && failed == 0, "{fault:?}: {failed} steps");
    }
}

/// What the killed process does: it keeps one generation after another.
fn child(folder: &Path) {
    let made: Vec<_> = (1..=8).map(|number| sources(&folder.join("db"), number)).collect();
    let mut state = open(&folder.join("state"));
    for round in 0.. {
        println!("ready");
        let (id, sources) = &made[round % made.len()];
        state.keep(&format!("{id}-{round}"), sources).unwrap();
    }
}

const CHILD: &str = "QUAHOG_TEST_STATE_CHILD";

/// F1: `kill -9` at random times. `QUAHOG_TEST_KILLS=500` for the full figure.
#[test]
fn fault_01_kill_at_any_time_leaves_old_or_new() {
    if let Some(folder) = std::env::var_os(CHILD) {
        return child(Path::new(&folder));
    }
    let kills = std::env::var("QUAHOG_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(25);
    let folder = Folder::new();
    let mut seen = HashSet::new();
    let mut random = 0x2545_f491_4f6c_dd1du64;
    for kill in 0..kills {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "live::state::tests::fault_01_kill_at_any_time_leaves_old_or_new"])
            .arg("--nocapture")
            .env(CHILD, &folder.0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Some rounds are waited for, and part of one, however slow the machine is.
        let mut output = io::BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        let mut rounds = 1 + (random >> 32) % 10;
        while rounds > 0 {
            line.clear();
            assert!(io::BufRead::read_line(&mut output, &mut line).unwrap() > 0, "no child");
            rounds -= u64::from(line.contains("ready"));
        }
        std::thread::sleep(Duration::from_micros(random % 20_000));
        process.kill().unwrap();
        process.wait().unwrap();
        match newest(&folder.0.join("state")) {
            Some(number) => _ = seen.insert(number),
            None => assert!(seen.is_empty(), "kill {kill}: there was one, and it is gone"),
        }
        assert_eq!(temporaries(&folder.0.join("state")), 0, "kill {kill}");
    }
    assert!(seen.len() > 1, "{seen:?}");
}

#[test]
fn a_damaged_generation_is_passed_over_for_the_one_before() {
    let folder = Folder::new();
    let path = folder.0.join("state");
    let mut state = open(&path);
    for number in 1..=5 {
        let (id, made) = sources(&folder.0.join("db"), number);
        state.keep(&id, &made).unwrap();
    }
    assert_eq!(state.generations(), [5, 4], "two are kept");
    drop(state);
    assert_eq!(newest(&path), Some(5));
    // One byte of the newest: of a source that only it has, or of its list.
    let own = path.join("state-1");
    let list = own.join("generations").join(format!("{:020}.json", 5));
    let text = fs::read_to_string(&list).unwrap();
    let manifest: Manifest = serde_json::from_str(&text).unwrap();
    let object = own.join("objects").join(&manifest.sources[0].sha256);
    let good = fs::read(&object).unwrap();
    let mut bad = good.clone();
    bad[3] ^= 1;
    fs::write(&object, bad).unwrap();
    assert_eq!(newest(&path), Some(4));
    // Nor is a link followed that somebody laid in its place.
    #[cfg(unix)]
    {
        fs::remove_file(&object).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &object).unwrap();
        assert_eq!(newest(&path), Some(4));
        fs::remove_file(&object).unwrap();
    }
    fs::write(&object, good).unwrap();
    assert_eq!(newest(&path), Some(5));
    fs::write(&list, text.replace("\"number\": 5", "\"number\": 6")).unwrap();
    assert_eq!(newest(&path), Some(4));
}

/// F16 and F19: two processes, and states of other formats.
#[test]
fn fault_16_19_one_process_and_one_format() {
    let folder = Folder::new();
    for other in ["state-0", "state-2", "state-99"] {
        fs::create_dir_all(folder.0.join(other)).unwrap();
        fs::write(folder.0.join(other).join("anything"), "of another version").unwrap();
    }
    let mut state = open(&folder.0);
    assert_eq!(state.set_aside.len(), 3);
    assert!(matches!(State::open(&folder.0), Err(OpenError::Locked { .. })));
    let (id, made) = sources(&folder.0.join("db"), 1);
    state.keep(&id, &made).unwrap();
    drop(state);
    let text = fs::read_to_string(folder.0.join("state-2/anything")).unwrap();
    assert_eq!(text, "of another version");
    assert_eq!(newest(&folder.0), Some(1));
    // A list of another format in our own folder is neither read nor removed.
    let alien = folder.0.join("state-1/generations").join(format!("{:020}.json", 9));
    fs::write(&alien, "{\"format\": 2, \"hello\": [1, 2, 3]}").unwrap();
    assert_eq!(newest(&folder.0), Some(1));
    assert!(alien.exists());
}
