//! From one buffer to the buffers inside it, under a budget.
//!
//! A message holds parts, an archive holds members; each is a [`Part`]. [`open`]
//! finds them and *pushes* them, one at a time, to a visitor, which may open
//! them in turn: recursion is the caller's. A part that is stored as it is
//! (7-bit mail, a stored zip member) is a slice of its parent; a decoded one
//! lives exactly as long as its visit, so memory is bounded by depth times
//! part size. [`text`] makes the normalised views that some signatures are
//! written for.
//!
//! Everything here is hostile. Nothing panics, nothing returns an error:
//! what could not be looked at is a [`Shortfall`], and every loop consumes
//! input or [`Budget`].
//!
//! Signatures are no business of this crate; which format a buffer has is its
//! caller's decision, because the databases in force take part in it.
//!
//! ```
//! use quahog_content::{Budget, Format, Limits, open};
//! use std::ops::ControlFlow;
//!
//! let message = b"Subject: x\nContent-Transfer-Encoding: base64\n\naGVsbG8gd29ybGQ=\n";
//! let budget = Budget::new(Limits::default());
//! let mut found = Vec::new();
//! let shortfall = open(Format::Mail, message, &budget, &mut |part| {
//!     found.push(part.bytes.unwrap_or_default().to_vec());
//!     ControlFlow::Continue(())
//! });
//! assert_eq!(shortfall, None);
//! assert_eq!(found, [b"hello world"]);
//! ```
#![forbid(unsafe_code)]

mod budget;
mod format;
mod part;

mod archive;
pub mod damage;
mod document;
mod mail;
pub mod packer;
pub mod picture;
pub mod text;

use std::ops::ControlFlow;

pub use crate::budget::{Budget, Limits, Shortfall};
pub use crate::document::ole::{MACRO_SHEET, MACRO_SOURCE};
pub use crate::format::{Facts, Format, Switch, open};
pub use crate::part::{Ambiguity, Entry, Part};

/// The visitor that [`open`] hands parts to; `Break` stops the walk.
pub type Visit<'v> = dyn FnMut(Part<'_>) -> ControlFlow<()> + 'v;
