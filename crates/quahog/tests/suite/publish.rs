//! Whatever fails while a file is put in place, what stands there afterwards is
//! the old file or the new one, whole.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use quahog::database::{Fault, FaultIo, FileIo, Outcome, Stage, SystemIo, publish};
use quahog::{Config, Database};
use quahog_testkit::builders::cvd;

use crate::Folder;

fn container(version: u32) -> Vec<u8> {
    let line = format!("T.V{version}:0:*:616263\n");
    let builder = cvd::builder("own", &[("own.ndb", line.as_bytes())]).version(version);
    builder.cld(cvd::signing_keys()).expect("a container")
}

/// Loads what stands in the folder, and says its version.
fn version(folder: &Folder) -> u32 {
    let config = Config::new([folder.path()]).trust(cvd::trust_store());
    let (database, report) = Database::load(&config).expect("a database that loads");
    assert_eq!(database.signatures().len(), 1);
    let loaded = report.files.iter().find_map(|file| match &file.outcome {
        Outcome::Loaded { header, .. } => header.as_ref().map(|header| header.version()),
        outcome => {
            let name = file.path.file_name().and_then(|name| name.to_str());
            assert_eq!(name, Some(".own.cld.new"), "{outcome:?}");
            None
        }
    });
    loaded.expect("a container")
}

fn leftovers(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("a folder").count() - 1
}

/// Operations of an undisturbed update.
fn operations() -> u64 {
    let folder = Folder::of(&[("own.cld", container(1))]);
    let io = FaultIo::new(u64::MAX, Fault::Crash);
    publish(&io, &folder.path().join("own.cld"), &container(2)).expect("no fault");
    assert_eq!((version(&folder), leftovers(folder.path())), (2, 0));
    io.operations()
}

#[test]
fn a_fault_at_any_operation_leaves_the_old_file_or_the_new_one() {
    let all = operations();
    assert!(all >= 6, "{all}");
    let faults = [
        Fault::Fail(ErrorKind::StorageFull),
        Fault::Fail(ErrorKind::PermissionDenied),
        Fault::Fail(ErrorKind::Interrupted),
        Fault::Short,
        Fault::Crash,
    ];
    for fault in faults {
        for at in 0..all {
            let folder = Folder::of(&[("own.cld", container(1))]);
            let target = folder.path().join("own.cld");
            let io = FaultIo::new(at, fault);
            let result = publish(&io, &target, &container(2));
            let stands = version(&folder);
            match &result {
                Ok(()) => assert_eq!(stands, 2, "{fault:?} at {at}"),
                Err(error) => {
                    let wanted = if error.stage == Stage::SyncFolder { 2 } else { 1 };
                    assert_eq!(stands, wanted, "{fault:?} at {at}: {error}");
                    assert_eq!(error.path, target);
                }
            }
            // Only a process that died leaves something behind.
            let left = leftovers(folder.path());
            assert!(left == 0 || fault == Fault::Crash && left == 1, "{fault:?} at {at}");
            // A short write and an interrupted one are no failure.
            if fault == Fault::Short {
                assert!(result.is_ok());
            }
            // The next writer finds its way.
            publish(&SystemIo, &target, &container(3)).expect("no fault");
            assert_eq!((version(&folder), leftovers(folder.path())), (3, 0));
        }
    }
}

/// The process really ends: its lock is freed, and what it wrote is old or new.
#[test]
fn a_process_that_dies_at_any_operation_leaves_the_old_file_or_the_new_one() {
    for at in 0..operations() {
        let folder = Folder::of(&[("own.cld", container(1))]);
        let status = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "publish::child", "--ignored"])
            .env(CHILD, folder.path())
            .env(STEP, at.to_string())
            .output()
            .expect("a child")
            .status;
        assert!(!status.success(), "operation {at} was not reached");
        let stands = version(&folder);
        assert!((1..=2).contains(&stands), "{stands}");
        publish(&SystemIo, &folder.path().join("own.cld"), &container(3)).expect("no lock is left");
        assert_eq!((version(&folder), leftovers(folder.path())), (3, 0));
    }
}

const CHILD: &str = "QUAHOG_TEST_PUBLISH_IN";
const STEP: &str = "QUAHOG_TEST_ABORT_AT";

#[test]
#[ignore = "is run by the test above, in a process of its own"]
fn child() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let at = std::env::var(STEP).expect("a step").parse().expect("a number");
    let io = FaultIo::new(at, Fault::Abort);
    publish(&io, &Path::new(&folder).join("own.cld"), &container(2)).expect("no other fault");
}

#[test]
fn one_writer_at_a_time() {
    let folder = Folder::of(&[("own.cld", container(1))]);
    let target = folder.path().join("own.cld");
    let held = SystemIo.lock(folder.path()).expect("a free lock");
    let error = publish(&SystemIo, &target, b"x").expect_err("the lock is held");
    assert_eq!((error.stage, error.error.kind()), (Stage::Lock, ErrorKind::WouldBlock));
    assert!(error.to_string().contains("another writer is at work"), "{error}");
    drop(held);
    publish(&SystemIo, &target, &container(2)).expect("the lock is free");

    // Many at once: each succeeds or is told so, and the file is always whole.
    std::thread::scope(|scope| {
        for writer in 10..14 {
            let target = &target;
            scope.spawn(move || {
                for _ in 0..50 {
                    match publish(&SystemIo, target, &container(writer)) {
                        Ok(()) => {}
                        Err(error) => assert_eq!(error.error.kind(), ErrorKind::WouldBlock),
                    }
                }
            });
        }
        for _ in 0..50 {
            let stands = version(&folder);
            assert!(stands == 2 || (10..14).contains(&stands), "{stands}");
        }
    });
    assert_eq!(leftovers(folder.path()), 0);
}

#[cfg(unix)]
#[test]
fn links_are_replaced_and_never_followed() {
    use std::os::unix::fs::symlink;
    let folder = Folder::of(&[("elsewhere", b"mine")]);
    let path = |name: &str| folder.path().join(name);
    symlink(path("elsewhere"), path("own.cld")).expect("a link");
    // A link in the place of the hidden file is removed, not written through.
    symlink(path("elsewhere"), path(".own.cld.new")).expect("a link");
    publish(&SystemIo, &path("own.cld"), b"new").expect("no fault");
    assert_eq!(std::fs::read(path("elsewhere")).expect("a file"), b"mine");
    assert!(!path("own.cld").symlink_metadata().expect("a file").is_symlink());
    std::fs::create_dir(path("folder")).expect("a folder");
    let error = publish(&SystemIo, &path("folder"), b"new").expect_err("a folder is there");
    assert_eq!((error.stage, path(".folder.new").exists()), (Stage::Rename, false));
    let error = publish(&SystemIo, &path("none/x"), b"new").expect_err("no such folder");
    assert_eq!((error.stage, error.error.kind()), (Stage::Lock, ErrorKind::NotFound));
}
