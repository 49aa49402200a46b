//! Tests from outside, one module for each area.

mod archive;
mod mail;
