//! Normalised views of text: what signatures for text and HTML are matched on.
//!
//! [`plain`] folds case and white space of any text. [`html`] makes the three
//! views of an HTML document and finds the payloads of its `data:` URLs; its
//! scripts are written anew by an inner module. [`links`] finds where the links of
//! an HTML document lead, and what they show.

pub mod plain;

mod css;
mod entities;
pub mod html;
pub mod links;
mod script;
