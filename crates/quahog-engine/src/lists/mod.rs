//! Lists that ask for something else than bytes of a layer: what a container
//! says of its parts, and where the links of a message lead.

mod container;
mod domain;
mod link;
mod patterns;
mod phishing;

pub(crate) use container::Containers;
pub use link::{Link, LinkAlert, LinkKind, LinkOptions};
pub(crate) use phishing::{PhishingLists, check};
