//! Drives the built `quahog` over temporary folders, as a script would.

#[path = "suite/containers.rs"]
mod containers;
#[path = "suite/databases.rs"]
mod databases;
#[path = "suite/explain.rs"]
mod explain;
#[cfg(target_os = "linux")]
#[path = "suite/helper.rs"]
mod helper;
#[path = "suite/mails.rs"]
mod mails;
#[path = "suite/options.rs"]
mod options;
#[path = "suite/output.rs"]
mod output;
#[path = "suite/tools.rs"]
mod tools;
#[path = "suite/walk.rs"]
mod walk;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A new folder, removed at the end, in which the command runs.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("quahog-cli-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    /// A folder with a small database in `db`, and files for it.
    fn with_database() -> Folder {
        let folder = Folder::new();
        folder.write("db/words.ndb", "Test.Alpha:0:*:616c706861\nTest.Beta:0:*:6265746131\n");
        folder.write("in/alpha.txt", "here is alpha\n");
        folder.write("in/both.txt", "alpha and beta1 and alpha\n");
        folder.write("in/clean.txt", "nothing here\n");
        folder.write("in/empty.txt", "");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs `quahog` here; `line` is split at blanks.
    fn quahog(&self, line: &str) -> Done {
        self.run(line.split_whitespace(), b"")
    }

    fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>, input: &[u8]) -> Done {
        done(self.command().args(arguments), input)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quahog"));
        command.current_dir(&self.0).env_remove("QUAHOG_DATABASE");
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn done(command: &mut Command, input: &[u8]) -> Done {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end without having read it all.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let done = Done {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!done.err.contains("panicked"), "{}", done.err);
    done
}

/// What a run left behind.
#[derive(Debug)]
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Done {
    /// Checks code and standard output, and that standard error is empty.
    #[track_caller]
    fn is(&self, code: i32, out: &[&str]) {
        assert_eq!((self.code, self.lines().as_slice()), (Some(code), out), "{}", self.err);
        assert_eq!(self.err, "");
    }

    /// Checks that the run failed, with this in the message and no result.
    #[track_caller]
    fn fails(&self, message: &str) {
        assert_eq!((self.code, self.out.as_str()), (Some(2), ""), "{}", self.err);
        assert!(self.err.contains(message), "{message:?} is not in {:?}", self.err);
    }

    fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}
