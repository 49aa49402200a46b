//! Immutable matchers of ClamAV-format signatures for one buffer.
//!
//! An [`Engine`] is compiled from a [`SignatureSet`](quahog_sig::SignatureSet)
//! and then only read: any number of threads may scan with it. A scan looks at
//! one *view* of one [`Layer`]: the raw bytes, or a normalised form of them.
//! What changes while scanning lives in a [`Scratch`] that the caller owns.
//!
//! How it works: for every signature the *plan* picks literals without which
//! it cannot match, the *needles*. One pass over the buffer finds the needles
//! in it, by grams; what stands around a needle is checked on the spot, and only
//! signatures that pass are looked at, each by its own search of the buffer. So the work is in proportion to what is hit, not to
//! what is loaded. File hashes are computed only if some signature has a file
//! of that size, and the headers of a program are read only if some signature
//! speaks of its parts: see [`exe`].
//!
//! Opening containers, decoding and normalising are no business of this crate:
//! its caller hands it buffers and says what they are.
//!
//! ```
//! use quahog_engine::{Engine, Layer, Look, Scratch, Unmetered};
//! use quahog_sig::{Format, SetBuilder};
//!
//! let mut builder = SetBuilder::new();
//! builder.line(Format::Ndb, 1, b"Test.Hello:0:*:68656c6c6f{1-4}776f726c64").unwrap();
//! let engine = Engine::new(builder.finish()).unwrap();
//!
//! let mut scratch = Scratch::default();
//! let bytes = b"..hello, world";
//! let layer = Layer::new(bytes, engine.identify(bytes, &mut scratch), None);
//! let mut hits = Vec::new();
//! engine.scan(&layer, Look::Raw, &mut scratch, &Unmetered, &mut hits).unwrap();
//! assert_eq!(hits[0].span, Some(2..14));
//! assert_eq!(engine.reported_name(0, hits[0].id), "Test.Hello.UNOFFICIAL");
//! ```
#![deny(unsafe_code)]

mod context;
mod engine;
mod identify;
pub mod image;
mod meter;

pub mod exe;
mod logic;

pub mod explain;

mod stats;

mod certificate;
mod cost;
mod digest;
mod icon;
mod lists;
mod literal;
mod md5;
mod offset;
mod plan;
mod prefilter;
mod running;
mod segment;
#[allow(unsafe_code)]
mod simd;
mod verify;
mod yara;

pub use crate::context::{Layer, Look, PartEntry, PictureHasher};
pub use crate::cost::{Cost, costs};
pub use crate::engine::{
    BuildError, Engine, EngineStats, Fingerprint, Hit, MIN_LAYER, Scratch, Undecided, is_weak,
};
pub use crate::identify::Inside;
pub use crate::lists::{Link, LinkAlert, LinkKind, LinkOptions};
pub use crate::meter::{Interrupted, Meter, RegexLimits, Unmetered};
pub use crate::prefilter::{Kernel, Passed};
pub use crate::segment::Segment;
pub use crate::stats::SignatureCost;

/// What fuzz targets reach of the inside.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    /// Asserts that the vector twins of the probes find what the loops find; the
    /// filter has a power of two of words, and the range lies in the block.
    pub fn assert_twins(filter: &[u32], block: &[u8], range: std::ops::Range<usize>) {
        #[cfg(target_arch = "x86_64")]
        crate::simd::assert_twins(filter, block, range);
    }
}
