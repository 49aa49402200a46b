//! Normalised views of text.

mod html;
mod links;
mod plain;
