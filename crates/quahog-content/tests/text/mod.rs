//! Normalised views of text.

mod html;
mod plain;
