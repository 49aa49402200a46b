//! The ClamAV signature language: text, syntax, meaning.
//!
//! A database is text; each line is a signature. [`ast`] holds what a line
//! *says*: borrowed fields with their spans, whose `Display` gives the text
//! back. [`SetBuilder`] checks what it *means* and admits it, whole or not at
//! all, into a [`SignatureSet`]: columns and arenas, so that eight million
//! hash lines cost their table and not their objects. [`body`] is the hex
//! language in which most patterns are written.
//!
//! Files, containers and trust are no business of this crate, nor is matching.
//!
//! ```
//! use quahog_sig::{Admission, Format, SetBuilder};
//!
//! let mut builder = SetBuilder::new();
//! builder.source("local.ndb", false);
//! let admission = builder.line(Format::Ndb, 1, b"Test.Hello:0:*:68656c6c6f");
//! assert!(matches!(admission, Ok(Admission::Admitted)));
//! let error = builder.line(Format::Ndb, 2, b"Test.Bad:0:*:6865{4-x}6c6f").unwrap_err();
//! assert_eq!(error.kind().code(), "expected");
//! assert_eq!(error.span().range(), 20..21);
//! assert_eq!(builder.finish().len(), 1);
//! ```
#![forbid(unsafe_code)]

mod error;
mod format;
mod level;
mod lines;

pub mod ast;
pub mod body;
pub mod ere;
pub mod ioc;
pub mod model;
pub mod pace;
pub mod progress;
pub mod regex;

mod capability;
mod document;
mod ignore;
mod lower;

pub mod yara;

pub mod words;

pub use crate::capability::{Capability, Feature};
pub use crate::document::{Entry, Refusal};
pub use crate::error::{Diagnostic, Error, ErrorKind, Severity, Span};
pub use crate::format::{Format, Grammar};
pub use crate::ignore::IgnoreList;
pub use crate::level::{FLEVEL, Level};
pub use crate::lines::{Line, Lines};
pub use crate::lower::{Admission, Oddity, Programs, PuaFilter, SetBuilder, Skip};
pub use crate::model::{SigId, SigKind, SignatureSet};
