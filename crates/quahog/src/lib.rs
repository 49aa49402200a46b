//! Matches ClamAV-format signatures in mail: the crate that a mail server links.
//!
//! Three things happen here. [`Database::load`] reads files and folders,
//! verifies containers and admits signatures, line by line, with a
//! [`LoadReport`] of what was left out and why. [`Live`] holds the engine that
//! answers, and swaps in a new one between two messages: [`Live::start`] does
//! the loading, too, and is the way for a mail server. A [`Scanner`] looks at
//! a message and everything inside it, and gives a [`ScanReport`].
//!
//! ```
//! use quahog::{Completeness, Config, Database, Engine, Live, Verdict};
//!
//! // A real server names its folder: Config::new(["/var/lib/clamav"]).
//! let database = Database::demonstration();
//! let live = Live::new(Engine::new(database.into_signatures())?);
//!
//! let mut scanner = live.scanner(); // one for each worker thread
//! let message = b"Subject: hello\r\n\r\nIs this thing on?\r\n";
//! let report = scanner.scan(message);
//! match (report.verdict(), report.completeness()) {
//!     (Verdict::Infected(found), _) => println!("reject: {}", found.name()),
//!     (Verdict::Clean, Completeness::Complete) => println!("accept"),
//!     (_, incomplete) => println!("policy: {incomplete}"), // not all was looked at
//! }
//! # assert_eq!(report.verdict(), Verdict::Clean);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The [`manual`] is the book: what is matched, how it differs from ClamAV,
//! and what to do when something is wrong.
#![forbid(unsafe_code)]

mod beside;
pub mod database;
pub mod image;
pub mod live;
pub mod scan;

pub mod manual;

pub use quahog_content::{Limits, Shortfall};
pub use quahog_cvd as cvd;
pub use quahog_engine::{BuildError, Engine, EngineStats, Fingerprint, Segment};
pub use quahog_sig as sig;
pub use quahog_sig::Capability;

pub use crate::database::{Config, Database, LoadError, LoadReport};
pub use crate::live::{Config as LiveConfig, Event, Live, Observer, Snapshot};
pub use crate::scan::{
    Completeness, Detection, Evidence, EvidenceKind, Input, Missing, ScanReport, Scanner, Settings,
    Verdict, scan_batch,
};

/// The README's example is compiled as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
