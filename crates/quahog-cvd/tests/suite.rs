//! Containers as a whole, genuine and hostile.
//!
//! The rows of the tables of malformed input (H headers, Z compression, T tar,
//! I `.info`, U patches) are named in the comments of the tests; those about the form of a
//! header or an `.info` alone are unit tests beside the code.

// The test keys live in the testkit; taken from there as a file, so that these
// tests need nothing else of it.
#[allow(unreachable_pub)] // public there
#[path = "../../quahog-testkit/src/builders/cvd.rs"]
mod testkit;

#[path = "suite/cdiff.rs"]
mod cdiff;
#[path = "suite/compression.rs"]
mod compression;
#[path = "suite/cost.rs"]
mod cost;
#[path = "suite/detached.rs"]
mod detached;
#[path = "suite/forge.rs"]
mod forge;
#[path = "suite/genuine.rs"]
mod genuine;
#[path = "suite/header.rs"]
mod header;
#[path = "suite/hostile.rs"]
mod hostile;
#[path = "suite/info.rs"]
mod info;
#[path = "suite/keys.rs"]
mod keys;
#[path = "suite/tar.rs"]
mod tar;
#[path = "suite/write.rs"]
mod write;
