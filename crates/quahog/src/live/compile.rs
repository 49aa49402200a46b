//! Compiling: on the builder's thread, or by a helper, a process of its own.
//!
//! A helper gets admitted signatures on its standard input and gives the image
//! of the segment on its standard output (`quahog::image::help`). Both are files
//! without a name, so that nothing is left behind by whoever dies, and neither
//! side waits for the other within a pipe. The limits of its memory and of its
//! time are set from here and are no matter of its good will. What it gives is
//! believed as little as a file from a stranger: its digest must hold, and the
//! signatures in it must be those that were sent; then it is proved, as any
//! candidate is.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quahog_engine::Segment;
use quahog_engine::image::{self as engine_image, Check};
use quahog_sig::SignatureSet;
use serde::Serialize;

use super::config::BuildConfig;
use super::event::Refusal;

/// What became of a helper that gave no image.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HelperFault {
    /// It ended and said that it failed: for want of memory, too.
    Failed,
    /// What it gave is no image, of another format, damaged, or of other
    /// signatures.
    Image,
    /// It crashed, or was killed.
    Killed,
    /// It was not done in time, and was killed for it.
    Late,
    /// It could not be started.
    NotStarted,
}

/// Makes bytes of the file of an image: reads it, or maps it.
pub(super) type OpenImage = Arc<dyn Fn(File) -> io::Result<Bytes> + Send + Sync>;

/// Who compiles.
pub(super) struct Compiler<'c> {
    pub(super) config: &'c BuildConfig,
    /// Where files without a name are made.
    pub(super) folder: PathBuf,
    pub(super) open: Option<OpenImage>,
    /// Whether nobody waits for the answer any longer.
    pub(super) is_stopped: &'c (dyn Fn() -> bool + Sync),
}

impl Compiler<'_> {
    /// Works as configured, with files in the system's folder for temporary ones.
    pub(super) fn new(config: &BuildConfig) -> Compiler<'_> {
        Compiler { config, folder: std::env::temp_dir(), open: None, is_stopped: &|| false }
    }

    /// Compiles a set; the signatures that it holds are freed before a helper
    /// begins.
    pub(super) fn compile(&self, set: SignatureSet) -> Result<Segment, Refusal> {
        match &self.config.helper {
            Some(helper) => self.ask(helper, set),
            None => Segment::new(set).map_err(|error| Refusal::Build { error: error.to_string() }),
        }
    }

    fn ask(&self, helper: &Path, set: SignatureSet) -> Result<Segment, Refusal> {
        let not_started = |error: io::Error| refusal(HelperFault::NotStarted, &error.to_string());
        let digest = set.digest();
        let bad_image =
            |error: &dyn std::fmt::Display| refusal(HelperFault::Image, &error.to_string());
        let pieces = engine_image::write_set(&set).map_err(|error| bad_image(&error))?;
        let mut input = nameless(&self.folder).map_err(not_started)?;
        pieces.iter().try_for_each(|piece| input.write_all(piece)).map_err(not_started)?;
        drop((pieces, set));
        input.seek(SeekFrom::Start(0)).map_err(not_started)?;
        let output = nameless(&self.folder).map_err(not_started)?;
        let errors = nameless(&self.folder).map_err(not_started)?;

        let mut command = Command::new(helper);
        command
            .args(["compile", "--helper"])
            .env_clear()
            .current_dir("/")
            .stdin(input)
            .stdout(output.try_clone().map_err(not_started)?)
            .stderr(errors.try_clone().map_err(not_started)?);
        let child = command.spawn().map_err(not_started)?;
        let ended = self.wait(child);
        let said = said(errors);
        match ended {
            Err(fault) => return Err(refusal(fault, &said)),
            Ok(status) if status.success() => {}
            Ok(status) => {
                let fault = match status.code() {
                    Some(_) => HelperFault::Failed,
                    None => HelperFault::Killed,
                };
                return Err(refusal(fault, &format!("{status} {said}")));
            }
        }
        let bytes = self.bytes(output).map_err(|error| bad_image(&error))?;
        let segment = Segment::open(&bytes, Check::Digest).map_err(|error| bad_image(&error))?;
        if segment.signatures().digest() != digest {
            return Err(bad_image(&"the image is one of other signatures"));
        }
        Ok(segment)
    }

    /// The bytes of the file of an image.
    pub(super) fn bytes(&self, file: File) -> io::Result<Bytes> {
        match &self.open {
            Some(open) => open(file),
            None => read(file),
        }
    }

    /// Waits for a helper within its limits; kills it if it does not keep them.
    fn wait(&self, mut child: Child) -> Result<ExitStatus, HelperFault> {
        self.limit(&child);
        let until = Instant::now() + self.config.time;
        let mut pause = Duration::from_millis(1);
        let fault = loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Err(_) => break HelperFault::Killed,
                Ok(None) if Instant::now() >= until || (self.is_stopped)() => {
                    break HelperFault::Late;
                }
                Ok(None) => std::thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(50));
        };
        // It may have ended by itself just now.
        let _ = child.kill();
        let _ = child.wait();
        Err(fault)
    }

    #[cfg(target_os = "linux")]
    fn limit(&self, child: &Child) {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        // It may have ended by now.
        let pid = Pid::from_child(child);
        // An image is no larger than the memory that it was made in.
        let memory = self.config.memory;
        let limits = [(Resource::As, memory), (Resource::Fsize, memory), (Resource::Core, 0)];
        for (resource, most) in limits {
            let limit = Rlimit { current: Some(most), maximum: Some(most) };
            let _ = prlimit(Some(pid), resource, limit);
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn limit(&self, _: &Child) {}
}

fn refusal(fault: HelperFault, said: &str) -> Refusal {
    Refusal::Helper { fault, said: said.trim().chars().take(300).collect() }
}

/// A file that has no name, and that only we read and write.
fn nameless(folder: &Path) -> io::Result<File> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!(".quahog-{}-{number}", std::process::id()));
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = match options.open(&path) {
        // Of a process of our number that died between two lines.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(&path)?;
            options.open(&path)?
        }
        opened => opened?,
    };
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// The bytes of a file, all of which are there.
fn read(mut file: File) -> io::Result<Bytes> {
    file.seek(SeekFrom::Start(0))?;
    let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(io::Error::other)?;
    file.take(len as u64).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

/// The beginning of what a helper had to say.
fn said(mut errors: File) -> String {
    let mut bytes = Vec::new();
    // What cannot be read was not said.
    let _ = errors.seek(SeekFrom::Start(0));
    let _ = errors.take(2_000).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
