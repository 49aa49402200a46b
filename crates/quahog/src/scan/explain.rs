//! Why a signature matches an input, or how far it came.

use quahog_engine::explain::{Conclusion, Explanation};
use quahog_sig::words;

use super::report::ScanReport;

/// What became of the signatures of a name on an input.
#[derive(Clone, Debug)]
pub struct Explanations {
    /// The signatures of that name.
    pub signatures: Vec<Explainable>,
    /// What became of them on everything that was looked at, in that order.
    pub looks: Vec<Explained>,
    /// The report of the scan, with all matches.
    pub report: ScanReport,
}

/// A signature that is explained.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explainable {
    /// Its name, as it is reported.
    pub name: String,
    /// What kind of signature it is.
    pub kind: String,
    /// Its database: a file name, or `container/member`.
    pub source: String,
    /// Its line there.
    pub line: u32,
    /// What it says, a fact a line.
    pub words: Vec<String>,
}

/// What became of a signature on one view of one object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explained {
    /// Which of [`Explanations::signatures`].
    pub signature: usize,
    /// The object, as in [`Detection::object`](super::Detection::object).
    pub object: String,
    /// What of it was looked at, as in [`Detection::view`](super::Detection::view).
    pub view: &'static str,
    /// The type of the object, without `CL_TYPE_`.
    pub file_type: &'static str,
    /// What became of it.
    pub why: Explanation,
    /// For each fact the first bytes that it is about.
    pub excerpts: Vec<Vec<u8>>,
}

impl Explanations {
    /// The best that came of any of them, anywhere; `None` if nothing was
    /// looked at.
    pub fn conclusion(&self) -> Option<Conclusion> {
        self.looks.iter().map(|look| look.why.conclusion).max()
    }
}

impl Explainable {
    pub(super) fn new(
        engine: &quahog_engine::Engine,
        (segment, id): (usize, quahog_sig::SigId),
    ) -> Explainable {
        let set = engine.segments().get(segment).map(|segment| segment.signatures());
        let origin = engine.origin(segment, id);
        Explainable {
            name: engine.reported_name(segment, id),
            kind: words::kind(id.kind()),
            source: origin.map_or_else(String::new, |origin| origin.source.to_owned()),
            line: origin.map_or(0, |origin| origin.line),
            words: set.map(|set| words::of_signature(set, id)).unwrap_or_default(),
        }
    }
}
