//! The library as its users see it.

mod archives;
mod cases;
mod certificates;
mod conformance;
mod databases;
mod documents;
mod doubling;
mod evidence;
mod faults;
mod incidents;
mod lists;
mod live;
mod malformed;
mod manual;
mod messages;
mod programs;
mod publish;
mod real;
mod regressions;
mod thresholds;
mod tree;
mod tricks;
mod trust;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use quahog::{Config, Database, Engine, Live, LoadError, LoadReport, ScanReport, Settings};

/// A folder that is removed when it goes out of scope.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("quahog-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }

    fn of<B: AsRef<[u8]>>(files: &[(&str, B)]) -> Folder {
        let folder = Folder::new();
        files.iter().for_each(|(name, bytes)| folder.write(name, bytes));
        folder
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.0.join(name), bytes).expect("a file in a temporary folder");
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A leftover in the temporary folder hurts nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn load(folder: &Folder) -> Result<(Database, LoadReport), LoadError> {
    Database::load(&Config::new([folder.path()]))
}

fn live(folder: &Folder) -> Live {
    let (database, _) = load(folder).expect("a database");
    Live::new(Engine::new(database.into_signatures()).expect("an engine"))
}

fn scan_all(live: &Live, input: &[u8]) -> ScanReport {
    live.scanner_with(Settings::default().all_matches(true)).scan(input)
}

fn names(report: &ScanReport) -> Vec<&str> {
    report.detections().iter().map(quahog::Detection::name).collect()
}
