//! Watching folders: an update is noticed when it is there, and read when it
//! has settled.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::builder::{Control, Request};
use super::config::Config;

/// The watcher, for as long as it is held.
#[derive(Debug)]
pub(super) struct Watch {
    // Dropping it ends its thread, and with the channel ours.
    _watcher: RecommendedWatcher,
}

/// The longest that a folder which is never quiet is waited for.
const MAX_SETTLE: u32 = 20;

impl Watch {
    pub(super) fn start(config: &Config, control: &Arc<Control>) -> notify::Result<Watch> {
        let (sender, receiver) = channel();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Our own reading is no change; an error may hide one.
                let is_change = event.map_or(true, |event| !event.kind.is_access());
                if is_change {
                    // Nobody listens any more when the builder has ended.
                    let _ = sender.send(());
                }
            })?;
        for path in folders(config) {
            watcher.watch(&path, RecursiveMode::NonRecursive)?;
        }
        let (control, settle) = (Arc::clone(control), config.watch.settle);
        std::thread::Builder::new()
            .name("quahog-watch".to_owned())
            .spawn(move || settled(&receiver, settle, &control))
            .map_err(notify::Error::io)?;
        Ok(Watch { _watcher: watcher })
    }
}

/// What is watched: folders, and of files the folder, in which they are
/// replaced by renaming.
fn folders(config: &Config) -> Vec<PathBuf> {
    let mut folders: Vec<_> = config
        .database
        .paths
        .iter()
        .filter_map(|path| match path.is_dir() {
            true => Some(path.clone()),
            false => path.parent().map(ToOwned::to_owned),
        })
        .filter(|folder| folder.is_dir())
        .collect();
    folders.sort_unstable();
    folders.dedup();
    folders
}

/// Asks for a look when there was a change and then quiet.
fn settled(changes: &Receiver<()>, settle: Duration, control: &Control) {
    while changes.recv().is_ok() {
        let until = Instant::now() + settle * MAX_SETTLE;
        while Instant::now() < until {
            match changes.recv_timeout(settle) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        control.request(Request::Look);
    }
}
