//! The engine: all signatures, compiled, for one buffer at a time.

use std::collections::HashMap;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use quahog_sig::SignatureSet;
use quahog_sig::body::Pattern;
use quahog_sig::model::{
    Block, DigestKind, FileType, HashedPart, Offset, Origin, SigId, SigKind, Subsignature, Target,
    Value,
};
use sha2::{Digest, Sha256};

use crate::certificate;
use crate::context::{Layer, Look, PartEntry};
use crate::digest::{HashIndexes, digest_of};
use crate::exe::Executable;
use crate::icon::{self, Likeness};
use crate::identify::{Identifier, Inside};
use crate::lists::{Link, LinkAlert, LinkOptions};
use crate::meter::{Interrupted, Meter, Unmetered};
use crate::offset::starts_in;
use crate::prefilter::{Filters, Fit, Judge, Kernel, Passed, Seen, Sieve, SigRef, User};
use crate::segment::{Segment, picture_key};
use crate::stats::{Counting, SignatureCost, Tally};
use crate::verify::pcre::{Gate, Stack};
use crate::verify::{self, Buffers, Found, Want};
use crate::yara;

/// Why an engine could not be built.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BuildError {
    /// The tables grew past what their form can hold.
    #[error("tables too large: {0}")]
    TooLarge(String),
}

/// Whether a signature for text counts from its end, or runs a program.
fn measures_text(set: &SignatureSet) -> bool {
    let from_end = |offset: Offset| matches!(offset.base, quahog_sig::model::Base::End(_));
    let sub_from_end = |sub| matches!(sub, Subsignature::Hex { offset, .. } if from_end(offset));
    let mut logicals = set.logicals().filter(|logical| logical.block.target == Target::TEXT);
    set.bodies().any(|body| body.target == Target::TEXT && from_end(body.offset))
        || logicals.any(|logical| logical.runs_program || logical.subsignatures().any(sub_from_end))
}

/// Who an engine is: the same fingerprint means the same answers.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Fingerprint([u8; 16]);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Figures of a compiled engine.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct EngineStats {
    /// Signatures, entries of allow lists among them.
    pub n_signatures: usize,
    /// Literals that are searched for, over all groups.
    pub n_triggers: usize,
    /// Signatures that are looked at for every layer, for want of a literal.
    pub n_always: usize,
    /// Heap bytes of the prefilters, about.
    pub prefilter_bytes: usize,
}

/// All signatures in force. Immutable, `Send + Sync`, cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    segments: Vec<Arc<Segment>>,
    /// By target: what stands in front of the tables of all segments; `None`
    /// where no segment has signatures of its own: target 0's serve.
    filters: [Option<Filters>; Target::COUNT],
    identifier: Identifier,
    zip_passwords: Vec<Vec<u8>>,
    fingerprint: Fingerprint,
    /// Whether normalised text has a size of its own: see [`Engine::file_size`].
    text_is_measured: bool,
}

/// Memory that scans reuse; one for each thread.
#[derive(Debug, Default)]
pub struct Scratch {
    seen: Seen,
    /// By segment.
    live: Vec<(usize, SigRef)>,
    pub(crate) buffers: Buffers,
    pub(crate) backtracking: Stack,
    results: Vec<Option<Found>>,
    pub(crate) stack: Vec<Value>,
    yara: yara::State,
    /// What was found of expressions that may match anywhere, by their numbers,
    /// if no more than so many matches are counted: many signatures share one.
    pub(crate) pcres: HashMap<usize, (u64, Found)>,
    pub(crate) gate: Gate,
    tally: Tally,
}

impl Scratch {
    /// Forgets what was found in another view, or of another segment.
    fn begin(&mut self) {
        self.yara.clear();
        self.pcres.clear();
        self.gate.clear();
    }

    /// What the signatures of an engine cost in the scans since the last
    /// [`forget_costs`](Self::forget_costs), what costs most first. All of these
    /// scans must have been by this engine.
    pub fn costs(&self, engine: &Engine) -> Vec<SignatureCost> {
        self.tally.costs(engine)
    }

    /// Says how scans with this memory look for grams, which is for benches: what
    /// they find is the same.
    pub fn set_kernel(&mut self, kernel: Kernel) {
        self.seen.kernel = kernel;
    }

    /// Begins to count anew.
    pub fn forget_costs(&mut self) {
        self.tally.clear();
    }
}

/// A signature that matched a view.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hit {
    /// The segment of the engine that it belongs to.
    pub segment: usize,
    /// The signature.
    pub id: SigId,
    /// The bytes of the view that matched, where there are such: those of the
    /// first match, and for a logical signature of its first subsignature that
    /// matched. A file hash matches the whole view.
    pub span: Option<Range<usize>>,
    order: Order,
    /// An icon would decide that was not looked at.
    icon_open: bool,
}

/// Which of two hits ClamAV meets first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Order {
    stage: u8,
    window: usize,
    generic: bool,
    not_plain: bool,
    at: usize,
    segment: usize,
    index: u32,
}

/// What a [`Hit`] may leave open.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Undecided {
    /// An icon would decide, and the program has more than are looked at.
    Icon,
    /// A program would decide, and programs are not run.
    Program,
}

/// How many times the bytes of a layer may be hashed as sections of it. Real
/// sections do not overlap; headers that make them do cannot make work without
/// bounds.
const MAX_OVERLAP: usize = 8;

/// The bytes that ClamAV searches at a time; patterns of the next window come
/// after all those of this one.
const WINDOW: usize = 131_072;

/// Layers of this size or less are not looked at, as in ClamAV.
pub const MIN_LAYER: usize = 6;

impl Engine {
    /// Compiles `signatures` into an engine of one segment.
    ///
    /// # Errors
    ///
    /// The tables would be too large.
    pub fn new(signatures: SignatureSet) -> Result<Engine, BuildError> {
        Engine::from_segments(vec![Arc::new(Segment::new(signatures)?)])
    }

    /// Puts segments together.
    ///
    /// # Errors
    ///
    /// The tables of file types would be too large.
    pub fn from_segments(segments: Vec<Arc<Segment>>) -> Result<Engine, BuildError> {
        let sets: Vec<&SignatureSet> = segments.iter().map(|segment| &segment.tables.set).collect();
        let identifier = Identifier::new(&sets)?;
        let mut digest = Sha256::new();
        for segment in &segments {
            digest.update(segment.digest);
        }
        let digest: [u8; 32] = digest.finalize().into();
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&digest[..16]);
        let fingerprint = Fingerprint(fingerprint);
        let passwords = segments.iter().flat_map(|segment| segment.tables.set.passwords());
        let for_zip = passwords.filter(|p| p.file_type.is_none_or(|t| t == FileType::ZIP));
        let zip_passwords = for_zip.map(|password| password.bytes.to_vec()).collect();
        let filters = std::array::from_fn(|index| {
            let target = u32::try_from(index).ok().and_then(Target::new)?;
            let own = segments.iter().any(|segment| segment.tables.groups[index].is_some());
            let groups = segments.iter().filter_map(|segment| segment.group(target));
            own.then(|| Filters::merged(groups.map(|group| group.prefilter.filters())))
        });
        let text_is_measured = sets.iter().any(|set| measures_text(set));
        let inner =
            Inner { segments, filters, identifier, zip_passwords, fingerprint, text_is_measured };
        Ok(Engine { inner: Arc::new(inner) })
    }

    /// The segments, in the order of [`Hit::segment`].
    pub fn segments(&self) -> &[Arc<Segment>] {
        &self.inner.segments
    }

    /// Who this engine is.
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.fingerprint
    }

    /// Figures of the compiled form.
    pub fn stats(&self) -> EngineStats {
        let mut stats = EngineStats::default();
        for segment in &self.inner.segments {
            stats.n_signatures += segment.tables.set.len();
            for group in segment.tables.groups.iter().flatten() {
                stats.n_triggers += group.prefilter.n_triggers();
                stats.n_always += group.always.len();
                stats.prefilter_bytes += group.prefilter.memory();
            }
        }
        stats
    }

    /// The name that a hit is reported by: `.UNOFFICIAL` is appended unless
    /// the signature came from an officially signed container.
    pub fn reported_name(&self, segment: usize, id: SigId) -> String {
        let Some(segment) = self.inner.segments.get(segment) else { return String::new() };
        let mut name = String::from_utf8_lossy(&segment.tables.set.name(id)).into_owned();
        if !segment.tables.set.origin(id).is_some_and(|origin| origin.official) {
            name.push_str(".UNOFFICIAL");
        }
        name
    }

    /// Where the signature of a hit was defined.
    pub fn origin(&self, segment: usize, id: SigId) -> Option<Origin<'_>> {
        self.inner.segments.get(segment)?.tables.set.origin(id)
    }

    /// The type of a buffer by its first bytes, from the magic in force.
    pub fn identify(&self, bytes: &[u8], scratch: &mut Scratch) -> FileType {
        self.inner.identifier.by_head(bytes, &mut scratch.buffers)
    }

    /// What a layer holds when all of it is searched: HTML or a message, which
    /// have their magic anywhere. `by_head` is its type by its first bytes.
    ///
    /// # Errors
    ///
    /// The meter called the scan off.
    pub fn identify_content(
        &self,
        bytes: &[u8],
        by_head: FileType,
        scratch: &mut Scratch,
        meter: &dyn Meter,
    ) -> Result<Inside, Interrupted> {
        self.inner.identifier.by_content(bytes, by_head, &mut scratch.buffers, meter)
    }

    /// Where archives and images of other types lie in a layer, by their magic
    /// alone, and of which type each is: `CL_TYPE_ZIPSFX`, `CL_TYPE_ISO9660`...
    ///
    /// # Errors
    ///
    /// The meter called the scan off.
    pub fn archives_inside(
        &self,
        bytes: &[u8],
        scratch: &mut Scratch,
        meter: &dyn Meter,
    ) -> Result<Vec<(usize, FileType)>, Interrupted> {
        self.inner.identifier.archives_inside(bytes, &mut scratch.buffers, meter)
    }

    /// Whether an allow list names this layer or one around it.
    ///
    /// Costs a digest of each layer whose size is listed.
    pub fn allows(&self, layer: &Layer<'_>) -> bool {
        layer.chain().any(|layer| {
            self.inner.segments.iter().any(|segment| {
                DigestKind::ALL.into_iter().any(|kind| {
                    let index = segment.tables.allowed.of(kind);
                    let len = layer.bytes().len();
                    index.may_hold(len)
                        && index
                            .find(segment.tables.set.allowed(kind), layer.digest(kind), len)
                            .iter()
                            .any(Option::is_some)
                })
            })
        })
    }

    /// Whether the layer is a program whose signature a trusted certificate stands
    /// behind, so that nothing in it is to be looked at.
    ///
    /// The whole file is verified, as the manual's chapter `deviations` says.
    /// `now` is asked for the seconds since 1970-01-01 UTC where a signature does
    /// not say when it was made. Costs nothing where no certificate is trusted,
    /// and at most a digest of the file and some milliseconds.
    ///
    /// # Errors
    ///
    /// The meter called it off.
    pub fn trusts(
        &self,
        layer: &Layer<'_>,
        now: &dyn Fn() -> i64,
        meter: &dyn Meter,
    ) -> Result<bool, Interrupted> {
        let sets: Vec<_> = self.inner.segments.iter().map(|segment| &segment.tables.set).collect();
        certificate::is_trusted(&sets, layer, now, meter)
    }

    /// What a hit leaves open: then its signature may match, and may not.
    pub fn undecided(&self, hit: &Hit) -> Option<Undecided> {
        let set = &self.inner.segments.get(hit.segment)?.tables.set;
        let SigKind::Logical = hit.id.kind() else { return None };
        let logical = set.logical(hit.id.index())?;
        if logical.runs_program {
            return Some(Undecided::Program);
        }
        hit.icon_open.then_some(Undecided::Icon)
    }

    /// The type that a hit wants its layer to be scanned again as, if it does.
    pub fn handler(&self, hit: &Hit) -> Option<FileType> {
        let set = &self.inner.segments.get(hit.segment)?.tables.set;
        match hit.id.kind() {
            SigKind::Logical => set.logical(hit.id.index())?.block.handler,
            _ => None,
        }
    }

    /// Passwords to try on zip archives, the last one first.
    pub fn zip_passwords(&self) -> &[Vec<u8>] {
        &self.inner.zip_passwords
    }

    /// Whether layers are to be searched before what is inside them is opened,
    /// because a database asks for it.
    pub fn is_raw_first(&self) -> bool {
        self.inner.segments.iter().any(|segment| segment.tables.set.is_raw_first())
    }

    /// Appends to `hits` every signature of container metadata that matches
    /// what `container` says of a part.
    ///
    /// # Errors
    ///
    /// The meter called the scan off.
    pub fn scan_entry(
        &self,
        container: &Layer<'_>,
        entry: &PartEntry<'_>,
        meter: &dyn Meter,
        hits: &mut Vec<Hit>,
    ) -> Result<(), Interrupted> {
        for (at, segment) in self.inner.segments.iter().enumerate() {
            segment.containers.scan(&segment.tables.set, container, entry, meter, |id| {
                // Entries are judged before what their bytes hold.
                let order = Order {
                    stage: 0,
                    window: 0,
                    generic: false,
                    not_plain: true,
                    at: 0,
                    segment: at,
                    // Indexes are below 2^29.
                    index: id.index() as u32,
                };
                hits.push(Hit { segment: at, id, span: None, order, icon_open: false });
            })?;
        }
        Ok(())
    }

    /// Whether a phishing list is in force at all, be it to allow.
    pub fn has_links(&self) -> bool {
        self.inner.segments.iter().any(|segment| !segment.phishing.is_empty())
    }

    /// Judges a link of a message.
    ///
    /// # Errors
    ///
    /// The meter called the scan off.
    pub fn check_link(
        &self,
        link: &Link<'_>,
        options: LinkOptions,
        meter: &dyn Meter,
    ) -> Result<Option<LinkAlert>, Interrupted> {
        let lists: Vec<_> = self.inner.segments.iter().map(|s| &s.phishing).collect();
        crate::lists::check(&lists, link, options, meter)
    }

    /// Appends to `hits` every signature that matches a view of a layer, in
    /// the order in which ClamAV would meet them.
    ///
    /// Layers of five bytes or less match nothing. Allow lists are not looked
    /// at: see [`allows`](Self::allows).
    ///
    /// # Errors
    ///
    /// The meter called the scan off; `hits` has what was found until then.
    pub fn scan(
        &self,
        layer: &Layer<'_>,
        look: Look,
        scratch: &mut Scratch,
        meter: &dyn Meter,
        hits: &mut Vec<Hit>,
    ) -> Result<(), Interrupted> {
        if layer.bytes().len() < MIN_LAYER {
            return Ok(());
        }
        let from = hits.len();
        let result = self.search(layer, look, scratch, meter, hits);
        hits[from..].sort_by_key(|hit| hit.order);
        result
    }

    /// What stands in front of the tables for a target.
    fn filters(&self, target: Target) -> Option<&Filters> {
        self.inner.filters[target.index()].as_ref().or(self.inner.filters[0].as_ref())
    }

    /// The literal stage alone, for benches: how many literals of the signatures
    /// for a target stand in a buffer, and what led there. Nothing else is looked
    /// at.
    pub fn literal_stage(&self, target: Target, bytes: &[u8], scratch: &mut Scratch) -> Passed {
        let segments = &self.inner.segments;
        let Some(filters) = self.filters(target) else { return Passed::default() };
        let prefilter = |at: usize| Some(&segments.get(at)?.group(target)?.prefilter);
        let sieve = Sieve { filters, n_segments: segments.len(), prefilter: &prefilter };
        scratch.live.clear();
        let Scratch { seen, live, .. } = scratch;
        let passed = sieve.find(bytes, seen, &Unmetered, &mut Nobody, live);
        passed.unwrap_or_default()
    }

    /// The literals that [`literal_stage`](Self::literal_stage) searches for, and
    /// whether case does not matter (they are in lower case then).
    pub fn literals(&self, target: Target) -> impl Iterator<Item = (&[u8], bool)> {
        let groups = self.inner.segments.iter().filter_map(move |s| s.group(target));
        groups.flat_map(|group| group.prefilter.literals())
    }

    /// The size that `FileSize` speaks of.
    ///
    /// For normalised text it is that of the text before, unless any signature
    /// for text counts from the end or runs a program: ClamAV measures the view
    /// only then (clamscan 1.4.6, `testdata/scan/text.toml`). Scripts of HTML
    /// are measured as they are.
    pub(crate) fn file_size(&self, layer: &Layer<'_>, look: Look) -> u64 {
        let is_text = look == Look::Text && !is_html(layer);
        let raw = is_text && !self.inner.text_is_measured;
        (if raw { layer.raw_bytes() } else { layer.bytes() }).len() as u64
    }

    fn search(
        &self,
        layer: &Layer<'_>,
        look: Look,
        scratch: &mut Scratch,
        meter: &dyn Meter,
        hits: &mut Vec<Hit>,
    ) -> Result<(), Interrupted> {
        let segments = &self.inner.segments;
        let file_size = self.file_size(layer, look);
        let each = || segments.iter().map(|segment| &**segment).enumerate();
        for (at, segment) in each() {
            let hits = &mut *hits;
            Scan { segment, at, layer, look, file_size, scratch, meter, hits }.tables()?;
        }
        let target = look.target(layer.file_type()).unwrap_or(Target::ANY);
        let Some(filters) = self.filters(target) else { return Ok(()) };
        let Scratch { seen, live, buffers, .. } = &mut *scratch;
        live.clear();
        let mut judge = View { segments, layer, file_size, buffers, meter };
        let prefilter = |at: usize| Some(&segments.get(at)?.group(target)?.prefilter);
        let sieve = Sieve { filters, n_segments: segments.len(), prefilter: &prefilter };
        sieve.find(layer.bytes(), seen, meter, &mut judge, live)?;
        for (at, segment) in each() {
            let Some(group) = segment.group(target) else { continue };
            let signature = |&number: &u32| (at, SigRef::from_number(number));
            live.extend(group.always.iter().map(signature));
            // Only a raw picture has a hash, and only if one is asked for.
            if !group.pictures.is_empty()
                && look == Look::Raw
                && let Some(hash) = layer.picture_hash()
            {
                let key = picture_key(hash);
                let first = group.pictures.partition_point(|&[a, b, _]| [a, b] < key);
                let same = group.pictures.get(first..).unwrap_or_default().iter();
                let same = same.take_while(|&&[a, b, _]| [a, b] == key);
                live.extend(same.map(|[_, _, number]| signature(number)));
            }
        }
        live.sort_unstable();
        live.dedup();
        let meter = Counting::new(meter);
        let mut next = 0;
        for (at, segment) in each() {
            let hits = &mut *hits;
            let mut scan =
                Scan { segment, at, layer, look, file_size, scratch, meter: &meter, hits };
            scan.scratch.begin();
            while let Some(&(owner, signature)) = scan.scratch.live.get(next)
                && owner == at
            {
                next += 1;
                let n_hits = scan.hits.len();
                let result = scan.signature(signature);
                let n_hits = scan.hits.len() - n_hits;
                scan.scratch.tally.add(at, signature, n_hits, meter.take());
                result?;
            }
        }
        Ok(())
    }
}

/// One segment on one view.
pub(crate) struct Scan<'e, 's> {
    pub(crate) segment: &'e Segment,
    at: usize,
    pub(crate) layer: &'e Layer<'e>,
    look: Look,
    pub(crate) file_size: u64,
    pub(crate) scratch: &'s mut Scratch,
    pub(crate) meter: &'s dyn Meter,
    hits: &'s mut Vec<Hit>,
}

impl<'e, 's> Scan<'e, 's> {
    pub(crate) fn new(
        segment: &'e Segment,
        layer: &'e Layer<'e>,
        (look, file_size): (Look, u64),
        scratch: &'s mut Scratch,
        meter: &'s dyn Meter,
        hits: &'s mut Vec<Hit>,
    ) -> Scan<'e, 's> {
        scratch.begin();
        Scan { segment, at: 0, layer, look, file_size, scratch, meter, hits }
    }
}

impl Scan<'_, '_> {
    /// Looks up what stands in tables.
    fn tables(&mut self) -> Result<(), Interrupted> {
        if self.look != Look::Text {
            self.hashes()?;
        }
        if self.look == Look::Raw && self.layer.has_parts() {
            self.part_hashes()?;
        }
        if self.look == Look::Raw {
            self.certificates();
        }
        Ok(())
    }

    /// Looks at a signature whole.
    fn signature(&mut self, signature: SigRef) -> Result<(), Interrupted> {
        if let Some(index) = signature.as_yara() {
            return self.yara(index);
        }
        match signature.unpack() {
            (index, true) => self.logical(index),
            (index, false) => self.body(index),
        }
    }

    fn hit(&mut self, id: SigId, span: Option<Range<usize>>, order: Order) {
        self.hits.push(Hit { segment: self.at, id, span, order, icon_open: false });
    }

    fn order(&self, stage: u8, target: Target, index: usize) -> Order {
        Order {
            stage,
            window: 0,
            generic: target == Target::ANY,
            not_plain: false,
            at: 0,
            segment: self.at,
            // Indexes are below 2^29.
            index: index as u32,
        }
    }

    fn hashes(&mut self) -> Result<(), Interrupted> {
        let bytes = self.layer.bytes();
        let indexes = &self.segment.tables.hashes;
        self.layer.compute_digests(|layer| indexes.wanted(layer.bytes().len()));
        for (stage, kind) in DigestKind::ALL.into_iter().enumerate() {
            let index = self.segment.tables.hashes.of(kind);
            if !index.may_hold(bytes.len()) {
                continue;
            }
            self.meter.tick(bytes.len() as u64)?;
            let columns = self.segment.tables.set.hashes(kind);
            let rows = index.find(columns, self.layer.digest(kind), bytes.len());
            for row in rows.into_iter().flatten() {
                let id = self.segment.tables.set.hash_id(kind, row);
                let mut order = self.order(1, Target::ANY, row);
                order.window = stage;
                self.hit(id, Some(0..bytes.len()), order);
            }
        }
        Ok(())
    }

    /// Blocked certificates that a PE file carries.
    fn certificates(&mut self) {
        let segment = self.segment;
        let mut found = Vec::new();
        certificate::scan(&segment.tables.set, self.layer, |id| found.push(id));
        for id in found {
            let order = self.order(5, Target::ANY, id.index());
            self.hit(id, None, order);
        }
    }

    /// Hashes of a PE file's sections and of its imports.
    ///
    /// Costs a digest for each section of a listed size, and nothing where no
    /// such hash is loaded.
    fn part_hashes(&mut self) -> Result<(), Interrupted> {
        let segment = self.segment;
        let [section_index, import_index] = &segment.tables.parts;
        if section_index.is_empty() && import_index.is_empty() {
            return Ok(());
        }
        let Some(executable) = self.layer.headers().sound().filter(|e| e.is_pe()) else {
            return Ok(());
        };
        let bytes = self.layer.bytes();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for section in executable.sections() {
            let (Ok(start), Ok(len)) =
                (usize::try_from(section.offset), usize::try_from(section.len))
            else {
                continue;
            };
            let range = start..start.saturating_add(len).min(bytes.len());
            // Headers can name the same bytes any number of times.
            if range.start < range.end && section_index.may_hold_any(range.len()) {
                ranges.push(range);
            }
        }
        ranges.sort_unstable_by_key(|range| (range.len(), range.start));
        ranges.dedup();
        let mut room = bytes.len().saturating_mul(MAX_OVERLAP);
        for range in ranges {
            let Some(left) = room.checked_sub(range.len()) else { break };
            room = left;
            let bytes = &bytes[range.clone()];
            self.part_hash(HashedPart::Section, section_index, bytes, Some(&range))?;
        }
        if !import_index.is_empty()
            && let Some(text) = executable.imports(bytes)
        {
            self.part_hash(HashedPart::Imports, import_index, text, None)?;
        }
        Ok(())
    }

    fn part_hash(
        &mut self,
        part: HashedPart,
        indexes: &HashIndexes,
        bytes: &[u8],
        span: Option<&Range<usize>>,
    ) -> Result<(), Interrupted> {
        for (window, kind) in DigestKind::ALL.into_iter().enumerate() {
            let index = indexes.of(kind);
            if !index.may_hold(bytes.len()) {
                continue;
            }
            self.meter.tick(bytes.len() as u64)?;
            let mut digest = [0; 32];
            if kind == DigestKind::Md5 {
                let whole = &self.segment.tables.hashes;
                let wanted = |layer: &Layer<'_>| whole.wanted(layer.bytes().len());
                digest[..16].copy_from_slice(&self.layer.md5_of_part(bytes, wanted));
            } else {
                digest = digest_of(kind, bytes);
            }
            let columns = self.segment.tables.set.part_hashes(part, kind);
            for row in index.find(columns, &digest[..kind.len()], bytes.len()).into_iter().flatten()
            {
                let id = self.segment.tables.set.part_hash_id(part, kind, row);
                let mut order = self.order(3 + part as u8, Target::ANY, row);
                (order.at, order.window) = (span.map_or(0, |s| s.start), window);
                self.hit(id, span.cloned(), order);
            }
        }
        Ok(())
    }

    pub(crate) fn search(
        &mut self,
        pattern: Pattern<'_>,
        offset: Offset,
        want: Want,
    ) -> Result<Found, Interrupted> {
        let bytes = self.layer.bytes();
        let buffers = &mut self.scratch.buffers;
        let mut found = Found::default();
        let Some(starts) = starts_in(offset, self.layer) else { return Ok(found) };
        for starts in starts.ranges() {
            found = found.merge(verify::search(pattern, bytes, starts, want, buffers, self.meter)?);
            if want == Want::First && found.first.is_some() {
                break;
            }
        }
        Ok(found)
    }

    fn body(&mut self, index: usize) -> Result<(), Interrupted> {
        let segment = self.segment;
        let Some(body) = segment.tables.set.body(index) else { return Ok(()) };
        let found = self.search(body.pattern, body.offset, Want::First)?;
        if let Some((start, end)) = found.first {
            let mut order = self.order(0, body.target, index);
            order.window = start / WINDOW;
            // ClamAV searches plain patterns first.
            order.not_plain = !body.is_static;
            order.at = start;
            self.hit(body.id, Some(start..end), order);
        }
        Ok(())
    }

    fn logical(&mut self, index: usize) -> Result<(), Interrupted> {
        let segment = self.segment;
        let Some(logical) = segment.tables.set.logical(index) else { return Ok(()) };
        if !applies(self.layer, self.file_size, logical.block) {
            return Ok(());
        }
        let mut results = std::mem::take(&mut self.scratch.results);
        let holds = self.evaluate(logical, &mut results);
        let span = results.iter().flatten().find_map(|found| found.first);
        self.scratch.results = results;
        if !holds? {
            return Ok(());
        }
        // Pictures cost more than patterns, so they come last.
        let fit = icon::fits(&segment.tables.set, self.layer, logical.block, self.meter)?;
        if fit != Likeness::No {
            let order = self.order(2, logical.block.target, index);
            let span = span.map(|(start, end)| start..end);
            let icon_open = fit == Likeness::Open;
            self.hits.push(Hit { segment: self.at, id: logical.id, span, order, icon_open });
        }
        Ok(())
    }

    fn yara(&mut self, index: usize) -> Result<(), Interrupted> {
        let segment = self.segment;
        let Some(rule) = segment.tables.set.yara_rule(index) else { return Ok(()) };
        if let Some(held) = self.yara_holds(index)? {
            let order = self.order(3, Target::ANY, index);
            self.hit(rule.id, held.span.map(|(start, end)| start..end), order);
        }
        Ok(())
    }

    pub(crate) fn yara_holds(&mut self, index: usize) -> Result<Option<yara::Held>, Interrupted> {
        let segment = self.segment;
        let bytes = self.layer.bytes();
        // Scripts of HTML are looked at as text, too, but read as they are.
        let is_text = self.look == Look::Text && !is_html(self.layer);
        let raw = if is_text { self.layer.raw_bytes() } else { bytes };
        let entry_point = self.layer.headers().sound().map_or(0, Executable::entry);
        let view = yara::View { bytes, raw, entry_point };
        let Scratch { yara: state, buffers, .. } = &mut *self.scratch;
        let (set, regexes) = (&segment.tables.set, &segment.regexes);
        yara::holds(set, regexes, index, view, state, buffers, self.meter)
    }
}

/// Whether a view is one of HTML, such as its scripts.
fn is_html(layer: &Layer<'_>) -> bool {
    matches!(layer.file_type(), FileType::HTML | FileType::HTML_UTF16)
}

/// Whether the layer is one that the block speaks of.
fn applies(layer: &Layer<'_>, file_size: u64, block: &Block) -> bool {
    let size_fits = block.file_size.is_none_or(|range| range.contains(file_size));
    let container_fits = block
        .container
        .is_none_or(|wanted| layer.containers().next().unwrap_or(FileType::ANY).fits(wanted));
    size_fits && container_fits && intermediates_fit(layer, block) && headers_fit(layer, block)
}

/// Whether the layer is an executable such as the block asks for, if it does.
pub(crate) fn headers_fit(layer: &Layer<'_>, block: &Block) -> bool {
    if block.entry_point.is_none() && block.n_sections.is_none() {
        return true;
    }
    let Some(executable) = layer.headers().sound() else { return false };
    block.entry_point.is_none_or(|range| range.contains(executable.entry()))
        && block.n_sections.is_none_or(|range| range.contains(executable.sections().len() as u64))
}

/// The last name is that of the immediate parent, and so on outwards.
/// `CL_TYPE_ANY` accepts anything, and does not move on to the next layer
/// (clamscan 1.4.6).
pub(crate) fn intermediates_fit(layer: &Layer<'_>, block: &Block) -> bool {
    let mut containers = layer.containers();
    if containers.by_ref().count() < block.intermediates.len() {
        return false;
    }
    let mut containers = layer.containers();
    let mut current = containers.next();
    for &wanted in block.intermediates.iter().rev() {
        if wanted == FileType::ANY {
            continue;
        }
        if !current.is_some_and(|current| current.fits(wanted)) {
            return false;
        }
        current = containers.next();
    }
    true
}

/// A view, as far as the users of literals are judged by it.
struct View<'v> {
    segments: &'v [Arc<Segment>],
    layer: &'v Layer<'v>,
    file_size: u64,
    buffers: &'v mut Buffers,
    meter: &'v dyn Meter,
}

impl Judge for View<'_> {
    fn applies(&self, segment: usize, signature: SigRef) -> bool {
        if signature.as_yara().is_some() {
            return true;
        }
        match (self.segments.get(segment), signature.unpack()) {
            (Some(segment), (index, true)) => {
                let logical = segment.tables.set.logical(index);
                logical.is_some_and(|it| applies(self.layer, self.file_size, it.block))
            }
            (segment, _) => segment.is_some(),
        }
    }

    /// The part that the literal belongs to must stand there, and must be allowed
    /// to start there if it is the first one.
    fn fit(&mut self, segment: usize, user: &User, at: usize) -> Fit {
        let Some(segment) = self.segments.get(segment) else { return Fit::Never };
        let Some(around) = user.surroundings(&segment.tables.set) else { return Fit::Yes };
        let Some(allowed) = starts_in(around.offset, self.layer) else { return Fit::Never };
        let within = |starts: RangeInclusive<usize>| allowed.meet(&starts);
        let View { layer, buffers, meter, .. } = self;
        let (pattern, part) = (around.pattern(), around.part);
        let bytes = layer.bytes();
        let stands = verify::stands_around(pattern, part, at, bytes, within, buffers, *meter);
        if stands { Fit::Yes } else { Fit::No }
    }
}

/// No user matches anything: for benches.
struct Nobody;

impl Judge for Nobody {
    fn applies(&self, _: usize, _: SigRef) -> bool {
        false
    }

    fn fit(&mut self, _: usize, _: &User, _: usize) -> Fit {
        Fit::Never
    }
}

/// Whether a name is a *weak* one: reported in first-match mode only if
/// nothing else is found.
pub fn is_weak(name: &str) -> bool {
    ["PUA.", "Heuristics.", "BC.Heuristics."].iter().any(|prefix| name.starts_with(prefix))
}

impl Hit {
    /// Whether ClamAV, stopping at this weak hit, would never meet `other`: both
    /// are plain patterns of the same window and group.
    pub fn hides(&self, other: &Hit) -> bool {
        let group = |hit: &Hit| (hit.order.stage, hit.order.window, hit.order.generic);
        let plain = |hit: &Hit| hit.order.stage == 0 && !hit.order.not_plain;
        plain(self) && plain(other) && group(self) == group(other)
    }
}
