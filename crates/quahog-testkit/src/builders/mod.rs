//! Builders of small inputs: signed databases, executables, signed and packed
//! ones, mails and bombs.

pub mod attack;
pub mod authenticode;
pub mod bomb;
pub mod cvd;
pub mod exe;
pub mod mail;
pub mod packed;
pub mod zip;
