//! Builders of small inputs: signed databases, executables and mails.

pub mod cvd;
pub mod exe;
pub mod mail;
