//! Builders of small inputs: signed databases and mails.

pub mod cvd;
pub mod mail;
