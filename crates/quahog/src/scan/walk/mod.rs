//! The walk: from layer to layer, outermost first opened, innermost first judged.

mod alerts;
mod inside;

use std::cell::Cell;
use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};

use quahog_content::text::{html, plain};
use quahog_content::{Budget, Shortfall};
use quahog_engine::explain::Explanation;
use quahog_engine::{
    Engine, Hit, Interrupted, Layer, Look, MIN_LAYER, Meter, PictureHasher, RegexLimits, Scratch,
    Undecided, is_weak,
};
use quahog_sig::SigId;
use quahog_sig::model::{FileType, Target};

use super::evidence::{Claims, EvidenceKind};
use super::explain::Explained;
use super::report::{Detection, Findings};
use super::tree::Sapling;
use super::{Input, Settings};
use crate::live::Mask;

/// Detections that are kept; what comes after them changes no verdict.
const MAX_DETECTIONS: usize = 1_000;

/// The layer on which a test makes the walk panic.
#[cfg(test)]
pub(super) const PANIC: &[u8] = b"panic, please";

/// One input on its way through the engine.
pub(crate) struct Walk<'w> {
    engine: &'w Engine,
    settings: &'w Settings,
    budget: &'w Budget<'w>,
    scratch: &'w mut Scratch,
    findings: Findings,
    /// Weak detections, which count only if nothing else is found.
    weak: Vec<Detection>,
    hits: Vec<Hit>,
    /// Types that hits on the current layer want it to be walked as.
    handlers: Vec<FileType>,
    /// Names of the parts around the current layer.
    path: Vec<String>,
    /// The tree of objects, if it is asked for; the current one is that of `path`.
    tree: Option<Sapling>,
    /// A limit was met and reported as a detection.
    limit_alerted: bool,
    /// Signatures that are to be explained, and what was found of them.
    watched: &'w [(usize, SigId)],
    explained: Vec<Explained>,
    /// Signatures that are silenced.
    mask: Option<&'w Mask>,
}

/// How deep a layer lies.
#[derive(Clone, Copy, Debug, Default)]
struct Depth {
    layers: u32,
    containers: u32,
    messages: u32,
    /// Messages that are the whole body of the message around them. ClamAV
    /// counts them apart from layers.
    bodies: u32,
    /// Programs that were unpacked from the program around them.
    unpacked: u32,
}

/// What is known of a buffer before it is typed.
#[derive(Clone, Copy, Debug, Default)]
struct Origin {
    assumed: Option<FileType>,
    /// These are its first bytes only.
    is_cut: bool,
    /// It is a text of a message that a reader is shown as HTML.
    has_links: bool,
    /// What its container says that it is.
    claims: Claims,
}

/// Hands the engine's work to the budget.
struct BudgetMeter<'b> {
    budget: &'b Budget<'b>,
    regex: RegexLimits,
    /// A search ended at a bound of its own.
    gave_up: Cell<bool>,
}

impl<'b> BudgetMeter<'b> {
    fn new(budget: &'b Budget<'b>) -> BudgetMeter<'b> {
        BudgetMeter { budget, regex: RegexLimits::default(), gave_up: Cell::new(false) }
    }
}

impl Meter for BudgetMeter<'_> {
    fn tick(&self, work: u64) -> Result<(), Interrupted> {
        self.budget.tick(work).map_err(|_| Interrupted)
    }

    fn gave_up(&self) {
        self.gave_up.set(true);
    }

    fn regex_limits(&self) -> RegexLimits {
        self.regex
    }
}

impl<'w> Walk<'w> {
    pub(crate) fn new(
        engine: &'w Engine,
        settings: &'w Settings,
        budget: &'w Budget<'w>,
        scratch: &'w mut Scratch,
    ) -> Walk<'w> {
        Walk {
            engine,
            settings,
            budget,
            scratch,
            findings: Findings::default(),
            weak: Vec::new(),
            hits: Vec::new(),
            handlers: Vec::new(),
            path: Vec::new(),
            tree: settings.tree.then(Sapling::default),
            limit_alerted: false,
            watched: &[],
            explained: Vec::new(),
            mask: None,
        }
    }

    /// Explains these signatures on everything that is looked at.
    pub(crate) fn watch(self, watched: &'w [(usize, SigId)]) -> Walk<'w> {
        Walk { watched, ..self }
    }

    /// Walks the input; gives the explanations that were asked for, too.
    pub(crate) fn run_explained(mut self, input: &[u8]) -> (Findings, Vec<Explained>) {
        self.walk(input);
        (self.findings, self.explained)
    }

    /// Takes no notice of the signatures that are silenced.
    pub(crate) fn muted(mut self, mask: &'w Mask) -> Walk<'w> {
        self.mask = Some(mask);
        self
    }

    pub(crate) fn run(mut self, input: &[u8]) -> Findings {
        self.walk(input);
        self.findings
    }

    fn walk(&mut self, input: &[u8]) {
        let limit = usize::try_from(self.settings.limits.part_bytes).unwrap_or(usize::MAX);
        let cut = &input[..input.len().min(limit)];
        if cut.len() < input.len() {
            self.missing(Shortfall::PartBytes);
        }
        let origin = Origin {
            assumed: (self.settings.input == Input::Message).then_some(FileType::MAIL),
            is_cut: cut.len() < input.len(),
            ..Origin::default()
        };
        self.measure(cut);
        let depth = Depth { layers: 1, ..Depth::default() };
        // `Break` only means that enough is known.
        let _ = self.layer(cut, origin, None, depth);
        self.findings.stats.work = self.budget.work();
        self.findings.tree = self.tree.take().map(|tree| Box::new(tree.grown()));
        let weak = std::mem::take(&mut self.weak);
        let found = &mut self.findings.detections;
        if self.settings.all_matches || found.is_empty() {
            let room = if self.settings.all_matches { MAX_DETECTIONS } else { 1 };
            found.extend(weak.into_iter().take(room));
        }
    }

    /// Keeps an explanation of what is looked at.
    fn explain(
        &mut self,
        signature: usize,
        layer: &Layer<'_>,
        view: &'static str,
        why: Explanation,
    ) {
        if self.explained.len() < MAX_EXPLAINED {
            self.explained.push(Explained {
                signature,
                object: self.object(),
                view,
                file_type: layer.file_type().name(),
                excerpts: why.facts.iter().map(|fact| excerpt(fact.span.as_ref(), layer)).collect(),
                why,
            });
        }
    }

    /// Goes on to an object inside of the current one.
    fn descend(&mut self, name: String) {
        if let Some(tree) = &mut self.tree {
            tree.descend(&name);
        }
        self.path.push(name);
    }

    /// Goes back to the object around the current one.
    fn ascend(&mut self) {
        self.path.pop();
        if let Some(tree) = &mut self.tree {
            tree.ascend();
        }
    }

    /// Notes the bytes of the current object for the tree.
    fn measure(&mut self, bytes: &[u8]) {
        if let Some(tree) = &mut self.tree {
            tree.measure(bytes, self.budget);
        }
    }

    /// Does work that may fail on a mistake of ours: then the current object is
    /// incomplete, and what is beside it is looked at all the same.
    fn fenced(&mut self, work: impl FnOnce(&mut Self) -> ControlFlow<()>) -> ControlFlow<()> {
        let depth = self.path.len();
        let done = catch_unwind(AssertUnwindSafe(|| work(self)));
        done.unwrap_or_else(|_| {
            while self.path.len() > depth {
                self.ascend();
            }
            // What was in use may be in any state.
            *self.scratch = Scratch::default();
            self.hits.clear();
            self.handlers.clear();
            metrics::counter!("quahog_scan_panics_total").increment(1);
            self.missing(Shortfall::Panicked);
            ControlFlow::Continue(())
        })
    }

    /// Notes what the current object is for the tree.
    fn typed(&mut self, file_type: FileType) {
        if let Some(tree) = &mut self.tree {
            tree.typed(file_type);
        }
    }

    /// Notes something that a policy may want to know, of the current object.
    fn evidence(&mut self, kind: EvidenceKind) {
        self.findings.evidence(kind, &self.path);
        if let Some(tree) = &mut self.tree {
            tree.flag(kind, self.path.len());
        }
    }

    /// As [`evidence`](Self::evidence), of the object around the current one.
    fn evidence_around(&mut self, kind: EvidenceKind) {
        let around = self.path.len().saturating_sub(1);
        self.findings.evidence(kind, &self.path[..around]);
        if let Some(tree) = &mut self.tree {
            tree.flag(kind, around);
        }
    }

    fn missing(&mut self, reason: Shortfall) {
        if let Some(tree) = &mut self.tree {
            tree.missing(reason);
        }
        let object = self.object();
        self.findings.missing(reason, object);
        if self.settings.alert_exceeded_limits
            && !self.limit_alerted
            && let Some(name) = limit_name(reason)
        {
            self.limit_alerted = true;
            // Where it happened, enough is known or there is nothing more.
            let _ = self.heuristic(name, "limits");
        }
    }

    fn object(&self) -> String {
        self.path.join("!")
    }

    /// Types a buffer, opens it, and has the engine look at it.
    fn layer(
        &mut self,
        bytes: &[u8],
        origin: Origin,
        parent: Option<&Layer<'_>>,
        depth: Depth,
    ) -> ControlFlow<()> {
        if bytes.len() < MIN_LAYER {
            return ControlFlow::Continue(());
        }
        #[cfg(test)]
        assert!(bytes != PANIC, "a mistake of ours, made for a test");
        self.findings.stats.layers += 1;
        self.findings.stats.layer_bytes += bytes.len() as u64;
        let mut by_head = match origin.assumed {
            Some(file_type) => file_type,
            None => self.engine.identify(bytes, self.scratch),
        };
        self.typed(by_head);
        if origin.claims.disagree(Some(by_head)) {
            self.evidence(EvidenceKind::TypeMismatch);
        }
        if by_head == FileType::IGNORED {
            return ControlFlow::Continue(());
        }
        if by_head == FileType::MSEXE && self.is_trusted(&Layer::new(bytes, by_head, parent))? {
            return ControlFlow::Continue(());
        }
        // A message without a header that can be told has itself as its part.
        let again = parent.is_some_and(|p| is_message(p.file_type()) && p.bytes() == bytes);
        if again && is_message(by_head) {
            by_head = FileType::TEXT_ASCII;
        }
        let inside = self.inside(bytes, by_head)?;
        let message = inside.message.filter(|_| !again);
        if let Some(file_type) = message.or(inside.html.then_some(FileType::HTML)) {
            self.typed(file_type);
        }
        let unread = Cell::new(None);
        let budget = self.budget;
        let hash = |bytes: &[u8]| picture_hash(bytes, budget, &unread);
        let mut opened = Layer::new(bytes, message.unwrap_or(by_head), parent);
        let hashed = self.settings.images && self.settings.image_hashes;
        if hashed && Target::of_raw(by_head) == Some(Target::GRAPHICS) {
            opened = opened.with_picture_hasher(PictureHasher::new(&hash));
        }
        if !self.settings.pe {
            opened = opened.without_parts();
        }
        if !self.settings.certificates {
            opened = opened.without_signers();
        }
        // Signatures for mail see what turns out to be MAIL. Of MHTML they do
        // not: that layer stays what its first bytes make it.
        let own = match message {
            Some(FileType::MHTML) => &Layer::new(bytes, by_head, parent),
            _ => &opened,
        };
        if origin.has_links && (by_head == FileType::HTML || by_head.is_text()) {
            self.links(own)?;
        }
        self.damage(own)?;
        let views_only = by_head == FileType::HTML && self.settings.html && self.settings.normalize;
        let raw_first = self.engine.is_raw_first() && !views_only;
        if raw_first {
            self.raw(own, &unread)?;
        }
        self.open(&opened, depth, origin.is_cut)?;
        self.programs_of_universal(&opened, depth)?;
        if views_only {
            return self.html(&opened, depth);
        }
        if !raw_first {
            self.raw(own, &unread)?;
        }
        self.handled(own, depth)?;
        self.program_inside(own, depth)?;
        self.unpacked(own, depth)?;
        self.archives_inside(own, depth, origin.is_cut)?;
        if (by_head == FileType::HTML || inside.html) && !self.settings.normalize {
            return self.look(own, Look::Html, "raw");
        }
        if inside.html && self.settings.html && self.settings.normalize {
            self.html(&Layer::new(bytes, FileType::HTML, parent), depth)?;
        }
        // What is nothing but HTML has no view of text. Scripts are text by their
        // magic alone.
        let is_text = by_head.is_text() || by_head == FileType::SCRIPT;
        let text = is_text && (message.is_some() || !inside.html);
        if text && self.settings.normalize && bytes.len() as u64 > self.settings.views.text {
            self.missing(Shortfall::ViewBytes);
        } else if text && self.settings.normalize {
            let mut text = Vec::with_capacity(bytes.len());
            plain::normalize(bytes, &mut text);
            self.charge(bytes.len())?;
            self.look(&Layer::view(&text, own), Look::Text, "text")?;
        }
        ControlFlow::Continue(())
    }

    /// Whether a program is not to be looked at, nor anything inside it, for
    /// whoever signed it (clamscan 1.4.6).
    fn is_trusted(&mut self, layer: &Layer<'_>) -> ControlFlow<(), bool> {
        if !self.settings.certificates {
            return ControlFlow::Continue(false);
        }
        let now = || self.settings.now.unwrap_or_else(present);
        let trusted = self.engine.trusts(layer, &now, &BudgetMeter::new(self.budget));
        let Ok(trusted) = trusted else { return self.interrupted() };
        for number in 0..if trusted { self.watched.len() } else { 0 } {
            self.explain(number, layer, "raw", Explanation::of_trusted());
        }
        ControlFlow::Continue(trusted)
    }

    /// Looks at a layer as it is.
    fn raw(&mut self, layer: &Layer<'_>, unread: &Cell<Option<Shortfall>>) -> ControlFlow<()> {
        let flow = self.look(layer, Look::Raw, "raw");
        if let Some(reason) = unread.take() {
            self.missing(reason);
        }
        flow
    }

    /// Walks bytes of `parent` that are a layer of their own, under the budget.
    fn piece(
        &mut self,
        bytes: &[u8],
        assumed: Option<FileType>,
        parent: &Layer<'_>,
        depth: Depth,
        name: String,
    ) -> ControlFlow<()> {
        if self.too_deep(depth) {
            self.missing(Shortfall::Depth);
            return ControlFlow::Continue(());
        }
        self.descend(name);
        let (room, shortfall) = self.budget.part_room();
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let cut = &bytes[..bytes.len().min(room)];
        if cut.len() < bytes.len() {
            self.missing(shortfall);
        }
        let flow = match self.budget.part() {
            Ok(()) => {
                self.budget.spend(cut.len() as u64);
                self.measure(cut);
                let is_cut = cut.len() < bytes.len();
                let origin = Origin { assumed, is_cut, ..Origin::default() };
                self.layer(cut, origin, Some(parent), depth)
            }
            Err(shortfall) => {
                self.missing(shortfall);
                ControlFlow::Break(())
            }
        };
        self.ascend();
        flow
    }

    fn too_deep(&self, depth: Depth) -> bool {
        let limits = &self.settings.limits;
        match self.settings.recursion {
            Some(most) => depth.layers > most || depth.bodies > most,
            None => {
                // The container itself is the first layer of the depth.
                let layers = depth.containers + u32::from(depth.containers > 0);
                layers > limits.container_depth || depth.messages > limits.mail_depth
            }
        }
    }

    /// Makes the views of HTML and looks at them; the raw bytes are not
    /// searched, as in ClamAV.
    fn html(&mut self, layer: &Layer<'_>, depth: Depth) -> ControlFlow<()> {
        let limits = self.settings.views;
        let len = layer.bytes().len() as u64;
        if len > limits.html {
            self.missing(Shortfall::ViewBytes);
            return ControlFlow::Continue(());
        }
        let mut views = html::HtmlViews::default();
        if let Some(shortfall) = html::normalize(layer.bytes(), self.budget, &mut views) {
            self.missing(shortfall);
        }
        self.look(&Layer::view(&views.nocomment, layer), Look::Html, "html")?;
        if len > limits.html_text {
            self.missing(Shortfall::ViewBytes);
        } else {
            self.look(&Layer::view(&views.notags, layer), Look::Html, "html-tags")?;
        }
        if let Some(script) = &views.javascript {
            let script = Layer::view(script, layer);
            self.look(&script, Look::Html, "script")?;
            self.look(&script, Look::Text, "script")?;
        }
        let depth = Depth { layers: depth.layers + 1, ..depth };
        for url in &views.embedded {
            let (room, shortfall) = self.budget.part_room();
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let charged = self.budget.part();
            self.descend("data:".to_owned());
            let bytes = &url.bytes[..url.bytes.len().min(room)];
            if bytes.len() < url.bytes.len() {
                self.missing(shortfall);
            }
            self.budget.spend(bytes.len() as u64);
            let flow = match charged {
                Ok(()) => {
                    self.measure(bytes);
                    let is_cut = bytes.len() < url.bytes.len();
                    let origin = Origin { is_cut, ..Origin::default() };
                    self.layer(bytes, origin, Some(layer), depth)
                }
                Err(shortfall) => {
                    self.missing(shortfall);
                    ControlFlow::Break(())
                }
            };
            self.ascend();
            flow?;
        }
        ControlFlow::Continue(())
    }

    /// Has the engine look at one view.
    fn look(&mut self, layer: &Layer<'_>, look: Look, view: &'static str) -> ControlFlow<()> {
        self.handlers.clear();
        self.findings.stats.views += 1;
        self.findings.stats.view_bytes += layer.bytes().len() as u64;
        let mut hits = std::mem::take(&mut self.hits);
        hits.clear();
        let meter = BudgetMeter { regex: self.settings.regex, ..BudgetMeter::new(self.budget) };
        let scanned = self.engine.scan(layer, look, self.scratch, &meter, &mut hits);
        if meter.gave_up.get() {
            self.missing(Shortfall::Fuel);
        }
        let mut flow = self.judge(&hits, layer, view);
        self.hits = hits;
        for (number, &id) in self.watched.iter().enumerate() {
            if let Ok(why) = self.engine.explain(id, layer, look, self.scratch, &meter) {
                self.explain(number, layer, view, why);
            }
        }
        if scanned.is_err() && flow.is_continue() {
            flow = self.interrupted();
        }
        flow
    }

    /// Turns the hits on a view into detections.
    fn judge(&mut self, hits: &[Hit], layer: &Layer<'_>, view: &'static str) -> ControlFlow<()> {
        if hits.is_empty() || self.engine.allows(layer) {
            return ControlFlow::Continue(());
        }
        let mut hidden_by: Option<&Hit> = None;
        for hit in hits {
            if self.mask.is_some_and(|mask| mask.is_muted(hit.segment, hit.id)) {
                continue;
            }
            // In first-match mode a weak plain pattern ends the search of its
            // window for others (clamscan 1.4.6, case `order-005`).
            if hidden_by.is_some_and(|weak| weak.hides(hit)) {
                continue;
            }
            if let Some(open) = self.engine.undecided(hit) {
                self.missing(match open {
                    Undecided::Program => Shortfall::Program,
                    _ => Shortfall::Unsupported,
                });
                continue;
            }
            if let Some(handler) = self.engine.handler(hit)
                && !self.handlers.contains(&handler)
            {
                self.handlers.push(handler);
            }
            let signature = (hit.segment, hit.id);
            let known = &mut self.findings.signatures;
            if known.len() < MAX_DETECTIONS && !known.contains(&signature) {
                known.push(signature);
            }
            let detection = self.detection(hit, view);
            if detection.weak && !self.settings.heuristic_precedence {
                if !self.settings.all_matches {
                    hidden_by = hidden_by.or(Some(hit));
                }
                keep(&mut self.weak, detection);
                continue;
            }
            keep(&mut self.findings.detections, detection);
            if !self.settings.all_matches {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn detection(&self, hit: &Hit, view: &'static str) -> Detection {
        let name = self.engine.reported_name(hit.segment, hit.id);
        let origin = self.engine.origin(hit.segment, hit.id);
        Detection {
            weak: is_weak(&name),
            name,
            object: self.object(),
            view,
            offset: hit.span.as_ref().map(|span| span.start as u64),
            length: hit.span.as_ref().map(|span| span.len() as u64),
            source: origin.map_or_else(String::new, |origin| origin.source.to_owned()),
            line: origin.map_or(0, |origin| origin.line),
        }
    }

    fn charge(&mut self, work: usize) -> ControlFlow<()> {
        match self.budget.tick(work as u64) {
            Ok(()) => ControlFlow::Continue(()),
            Err(shortfall) => {
                self.missing(shortfall);
                ControlFlow::Break(())
            }
        }
    }

    /// Notes why the budget ended the engine's work.
    fn interrupted<T>(&mut self) -> ControlFlow<(), T> {
        let reason = self.budget.ended().unwrap_or(Shortfall::Fuel);
        self.missing(reason);
        ControlFlow::Break(())
    }
}

/// Explanations that are kept.
const MAX_EXPLAINED: usize = 1_000;

/// The bytes that a fact is about, the first of them.
fn excerpt(span: Option<&Range<usize>>, layer: &Layer<'_>) -> Vec<u8> {
    let bytes = span.and_then(|span| layer.bytes().get(span.clone())).unwrap_or_default();
    bytes[..bytes.len().min(MAX_EXCERPT)].to_vec()
}

/// Bytes of a match that are shown.
const MAX_EXCERPT: usize = 32;
/// The perceptual hash of a picture; notes why there is none.
fn picture_hash(
    bytes: &[u8],
    budget: &Budget<'_>,
    unread: &Cell<Option<Shortfall>>,
) -> Option<u64> {
    let hash = quahog_content::picture::hash(bytes, budget);
    hash.map_err(|reason| unread.set(Some(reason))).ok()
}

/// The seconds since 1970-01-01 UTC.
fn present() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A clock that stands before 1970 makes all that ever ended valid no more.
    since.ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or(i64::MAX)
}

/// The name by which a limit is reported; `None` for what is no limit of
/// ClamAV's.
fn limit_name(reason: Shortfall) -> Option<&'static str> {
    Some(match reason {
        Shortfall::PartBytes | Shortfall::Expansion => "Heuristics.Limits.Exceeded.MaxFileSize",
        Shortfall::TotalBytes => "Heuristics.Limits.Exceeded.MaxScanSize",
        Shortfall::Depth => "Heuristics.Limits.Exceeded.MaxRecursion",
        Shortfall::Parts => "Heuristics.Limits.Exceeded.MaxFiles",
        Shortfall::Deadline | Shortfall::Fuel => "Heuristics.Limits.Exceeded.MaxScanTime",
        _ => return None,
    })
}

/// Adds a detection, once for each name and object.
fn keep(list: &mut Vec<Detection>, detection: Detection) {
    let known = list.iter().any(|d| d.name == detection.name && d.object == detection.object);
    if !known && list.len() < MAX_DETECTIONS {
        list.push(detection);
    }
}

/// Whether layers of this type are opened as messages.
fn is_message(file_type: FileType) -> bool {
    matches!(file_type, FileType::MAIL | FileType::MHTML)
}
