//! Builders of small inputs: signed databases, executables, signed ones and mails.

pub mod authenticode;
pub mod cvd;
pub mod exe;
pub mod mail;
