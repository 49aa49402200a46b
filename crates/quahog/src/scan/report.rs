//! What a scan found, and what it did not look at.

use std::fmt;

use quahog_content::Shortfall;
use quahog_engine::Fingerprint;

use super::evidence::{Evidence, EvidenceKind};
use super::tree::Node;

/// The answer to one input.
#[derive(Clone, Debug)]
#[must_use = "a report that nobody reads is mail that nobody judged"]
pub struct ScanReport {
    available: bool,
    detections: Vec<Detection>,
    missing: Vec<Missing>,
    n_missing: u64,
    evidence: Vec<Evidence>,
    n_evidence: u64,
    tree: Option<Box<Node>>,
    generation: u64,
    fingerprint: Option<Fingerprint>,
    stats: ScanStats,
}

/// The conclusion.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict<'r> {
    /// Nothing was found in what was looked at: see [`Completeness`].
    Clean,
    /// A signature matched; the first one is named.
    Infected(&'r Detection),
    /// There is no engine: nothing was looked at.
    Unavailable,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Completeness<'r> {
    /// Everything that the settings ask for.
    Complete,
    /// Not everything; the first hundred gaps.
    Incomplete(&'r [Missing]),
}

impl fmt::Display for Completeness<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Completeness::Incomplete(missing) = self else { return f.write_str("complete") };
        f.write_str("incomplete")?;
        for (at, missing) in missing.iter().enumerate() {
            write!(f, "{} {missing}", if at == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

/// Something that was not looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing {
    /// Why.
    pub reason: Shortfall,
    /// The object that it is about, as in [`Detection::object`].
    pub object: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.object.is_empty() {
            write!(f, "{}", self.reason)
        } else {
            write!(f, "{} in {}", self.reason, self.object.escape_debug())
        }
    }
}

/// A signature that matched, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Detection {
    pub(crate) name: String,
    pub(crate) object: String,
    pub(crate) view: &'static str,
    pub(crate) offset: Option<u64>,
    pub(crate) length: Option<u64>,
    pub(crate) source: String,
    pub(crate) line: u32,
    pub(crate) weak: bool,
}

impl Detection {
    /// The name of the signature, `.UNOFFICIAL` at its end unless it came from
    /// an officially signed container.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The object that it was found in: names of parts, from the outermost to
    /// the innermost, with `!` between them; empty for the input itself. A part
    /// without a name is called by its number, `#3`.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// What of the object was looked at: `raw`, `text`, `html`, `html-tags` or
    /// `script`, in which offsets count; `entry` for what its container says of
    /// it, `links`, or `limits`.
    pub fn view(&self) -> &'static str {
        self.view
    }

    /// Where the match begins; `None` for a signature without a place.
    pub fn offset(&self) -> Option<u64> {
        self.offset
    }

    /// How long the match is.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The database of the signature: a file name, or `container/member`; empty
    /// for a heuristic, which stands in none.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The line of the signature in its database.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Whether the name begins with `PUA.` or `Heuristics.`.
    pub fn is_weak(&self) -> bool {
        self.weak
    }
}

/// Figures of one scan.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ScanStats {
    /// Buffers that were typed: the input and everything found inside it.
    pub layers: u64,
    /// Bytes of these.
    pub layer_bytes: u64,
    /// Buffers that were searched: raw ones and normalised forms.
    pub views: u64,
    /// Bytes of these.
    pub view_bytes: u64,
    /// Units of work, as [`Limits::fuel`](quahog_content::Limits::fuel) counts
    /// them.
    pub work: u64,
}

/// Gaps, and pieces of evidence, that are kept in detail.
const DETAILED: usize = 100;

/// A report in the making.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) detections: Vec<Detection>,
    missing: Vec<Missing>,
    n_missing: u64,
    evidence: Vec<Evidence>,
    n_evidence: u64,
    pub(crate) tree: Option<Box<Node>>,
    pub(crate) stats: ScanStats,
    /// The signatures of the detections: their segment, and who they are.
    pub(crate) signatures: Vec<(usize, quahog_sig::SigId)>,
}

impl Findings {
    pub(crate) fn missing(&mut self, reason: Shortfall, object: String) {
        self.n_missing += 1;
        let missing = Missing { reason, object };
        if self.missing.len() < DETAILED && self.missing.last() != Some(&missing) {
            self.missing.push(missing);
        }
    }

    /// Notes a piece of evidence about the object of this path.
    pub(crate) fn evidence(&mut self, kind: EvidenceKind, path: &[String]) {
        let evidence = Evidence { kind, object: path.join("!") };
        if self.evidence.contains(&evidence) {
            return;
        }
        self.n_evidence += 1;
        if self.evidence.len() < DETAILED {
            self.evidence.push(evidence);
        }
    }

    pub(crate) fn into_report(self, generation: u64, fingerprint: Fingerprint) -> ScanReport {
        ScanReport {
            available: true,
            detections: self.detections,
            missing: self.missing,
            n_missing: self.n_missing,
            evidence: self.evidence,
            n_evidence: self.n_evidence,
            tree: self.tree,
            generation,
            fingerprint: Some(fingerprint),
            stats: self.stats,
        }
    }
}

impl ScanReport {
    pub(crate) fn unavailable(generation: u64) -> ScanReport {
        ScanReport {
            available: false,
            detections: Vec::new(),
            missing: Vec::new(),
            n_missing: 0,
            evidence: Vec::new(),
            n_evidence: 0,
            tree: None,
            generation,
            fingerprint: None,
            stats: ScanStats::default(),
        }
    }

    /// The conclusion. `Clean` alone says nothing: see [`completeness`](Self::completeness).
    pub fn verdict(&self) -> Verdict<'_> {
        match self.detections.first() {
            Some(detection) => Verdict::Infected(detection),
            None if self.available => Verdict::Clean,
            None => Verdict::Unavailable,
        }
    }

    /// How much was looked at.
    pub fn completeness(&self) -> Completeness<'_> {
        if self.n_missing == 0 && self.available {
            Completeness::Complete
        } else {
            Completeness::Incomplete(&self.missing)
        }
    }

    /// Everything that matched: strong names first, then in the order in which
    /// ClamAV would meet them; one, unless the settings ask for all.
    pub fn detections(&self) -> &[Detection] {
        &self.detections
    }

    /// How many gaps there are, detailed or not.
    pub fn n_missing(&self) -> u64 {
        self.n_missing
    }

    /// What a policy may want to know besides: what is encrypted, ambiguous,
    /// a macro, or not what it says that it is. The first hundred pieces, in the
    /// order in which they were met; of what was looked at, which is not
    /// everything if the scan ended at its first detection.
    ///
    /// Evidence never changes the [`verdict`](Self::verdict).
    ///
    /// ```
    /// # use quahog::{Database, Engine, Live};
    /// # let live = Live::new(Engine::new(Database::demonstration().into_signatures())?);
    /// use quahog::EvidenceKind;
    ///
    /// let message = b"Subject: x\n\
    ///     Content-Type: application/pdf; name=\"invoice.pdf.exe\"\n\
    ///     Content-Transfer-Encoding: base64\n\n\
    ///     aGVsbG8gd29ybGQ=\n";
    /// let report = live.scanner().scan(message);
    /// let kinds: Vec<EvidenceKind> = report.evidence().iter().map(|e| e.kind).collect();
    /// assert_eq!(kinds, [EvidenceKind::DoubleExtension, EvidenceKind::TypeMismatch]);
    /// assert_eq!(report.evidence()[0].object, "invoice.pdf.exe");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// How many pieces of evidence there are, detailed or not. Past the first
    /// hundred the same one may count more than once.
    pub fn n_evidence(&self) -> u64 {
        self.n_evidence
    }

    /// The tree of objects, if [`Settings::tree`](super::Settings::tree) asks
    /// for it and the scan came to an end.
    pub fn tree(&self) -> Option<&Node> {
        self.tree.as_deref()
    }

    /// The generation that answered.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The engine that answered; `None` if there was none.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    /// Figures of this scan.
    pub fn stats(&self) -> ScanStats {
        self.stats
    }
}
