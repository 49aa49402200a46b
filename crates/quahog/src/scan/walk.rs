//! The walk: from layer to layer, outermost first opened, innermost first judged.

use std::cell::Cell;
use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};

use quahog_content::damage::{self, Picture};
use quahog_content::text::{html, links, plain};
use quahog_content::{Ambiguity, Budget, Format, Part, Shortfall, Switch, open};
use quahog_engine::explain::Explanation;
use quahog_engine::{
    Engine, Hit, Inside, Interrupted, Layer, Link, LinkKind, LinkOptions, Look, MIN_LAYER, Meter,
    PartEntry, PictureHasher, RegexLimits, Scratch, Undecided, exe, is_weak,
};
use quahog_sig::model::{FileType, Target};
use quahog_sig::{SigId, SigKind};

use super::evidence::{self, Claims, EvidenceKind};
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

    /// Walks the Mach-O files of a universal binary.
    fn programs_of_universal(&mut self, layer: &Layer<'_>, depth: Depth) -> ControlFlow<()> {
        if layer.file_type() != FileType::MACHO_UNIBIN {
            return ControlFlow::Continue(());
        }
        let inner = Depth { layers: depth.layers + 1, containers: depth.containers + 1, ..depth };
        for (number, slice) in exe::universal_slices(layer.bytes()).into_iter().enumerate() {
            let Some(bytes) = layer.bytes().get(slice) else { continue };
            self.piece(bytes, None, layer, inner, format!("#{}", number + 1))?;
        }
        ControlFlow::Continue(())
    }

    /// Walks a program that lies inside another one or a document.
    ///
    /// Only the first is taken: it reaches to the end, so what follows lies
    /// inside it. Each costs two layers, and its parent is of its own type
    /// (clamscan 1.4.6).
    fn program_inside(&mut self, layer: &Layer<'_>, depth: Depth) -> ControlFlow<()> {
        if !matches!(layer.file_type(), FileType::MSEXE | FileType::MSOLE2) {
            return ControlFlow::Continue(());
        }
        let start = match exe::embedded(layer.bytes(), &BudgetMeter::new(self.budget)) {
            Ok(Some(start)) => start,
            Ok(None) => return ControlFlow::Continue(()),
            Err(Interrupted) => return self.interrupted(),
        };
        let Some(bytes) = layer.bytes().get(start..) else { return ControlFlow::Continue(()) };
        if bytes.len() as u64 > self.settings.views.program {
            self.missing(Shortfall::ViewBytes);
            return ControlFlow::Continue(());
        }
        let around = Layer::new(bytes, FileType::MSEXE, Some(layer));
        let inner = Depth { layers: depth.layers + 2, containers: depth.containers + 1, ..depth };
        let assumed = Some(FileType::MSEXE);
        self.piece(bytes, assumed, &around, inner, format!("program at {start}"))
    }

    /// Walks the archives that lie inside a layer behind its start: those of
    /// programs that unpack themselves, those behind pictures, and images of
    /// discs, whose magic stands far behind their start.
    ///
    /// Formats whose stored members are layers anyway are not searched, as
    /// clamscan 1.4.6 leaves most of them out. What only looks like an archive
    /// is no shortfall.
    fn archives_inside(
        &mut self,
        layer: &Layer<'_>,
        depth: Depth,
        is_cut: bool,
    ) -> ControlFlow<()> {
        use FileType as F;
        let searched = !matches!(
            layer.file_type(),
            F::ZIP | F::GZ | F::POSIX_TAR | F::OLD_TAR | F::CPIO_CRC | F::CPIO_NEWC | F::CPIO_ODC
        ) && !layer.file_type().is_office();
        if !searched || !self.settings.archives {
            return ControlFlow::Continue(());
        }
        let meter = BudgetMeter::new(self.budget);
        let found = match self.engine.archives_inside(layer.bytes(), self.scratch, &meter) {
            Ok(found) => found,
            Err(Interrupted) => return self.interrupted(),
        };
        let (mut zip_seen, mut setup_seen) = (false, false);
        // Archives that reach to the end lie all over each other.
        let mut allowed = MAX_INSIDE.saturating_mul(layer.bytes().len());
        for (start, file_type) in found {
            let (file_type, format, start) = match file_type {
                F::ZIPSFX => (F::ZIP, Format::Zip, start),
                F::RARSFX => (F::RAR, Format::Rar, start),
                F::CABSFX => (F::MSCAB, Format::Cabinet, start),
                F::ARJSFX => (F::ARJ, Format::Arj, start),
                F::SEVENZSFX => (F::SEVENZ, Format::SevenZ, start),
                F::EGGSFX => (F::EGG, Format::Egg, start),
                // Its files are described in more than one place.
                F::ISHIELD_MSI if setup_seen => continue,
                F::ISHIELD_MSI => {
                    setup_seen = true;
                    (F::ISHIELD_MSI, Format::InstallShield, 0)
                }
                // Its descriptors have sectors before them.
                F::ISO9660 => (F::ISO9660, Format::Iso, 0),
                _ => {
                    self.missing(Shortfall::Unsupported);
                    continue;
                }
            };
            let Some(bytes) = layer.bytes().get(start..) else { continue };
            let own_start = start == 0 && !matches!(format, Format::Iso | Format::InstallShield);
            if own_start || zip_seen && format == Format::Zip || !format.starts(bytes) {
                continue;
            }
            // Its walk takes in what follows too.
            zip_seen |= format == Format::Zip;
            // Others end where they say, if they do.
            let length = format.declared_length(bytes).and_then(|n| usize::try_from(n).ok());
            let bytes = bytes.get(..length.unwrap_or(bytes.len())).unwrap_or(bytes);
            match allowed.checked_sub(bytes.len()) {
                Some(left) => allowed = left,
                None => {
                    self.missing(Shortfall::Fuel);
                    break;
                }
            }
            if let Err(shortfall) = self.budget.part() {
                self.missing(shortfall);
                return ControlFlow::Break(());
            }
            self.descend(format!("{} at {start}", file_type.name().to_ascii_lowercase()));
            self.measure(bytes);
            self.typed(file_type);
            let inside = Layer::new(bytes, file_type, Some(layer));
            let flow = self.open(&inside, depth, is_cut);
            self.ascend();
            flow?;
        }
        ControlFlow::Continue(())
    }

    /// Walks the layer again as each type that a signature asks for, unless it
    /// is such a second look itself.
    fn handled(&mut self, layer: &Layer<'_>, depth: Depth) -> ControlFlow<()> {
        let handlers = std::mem::take(&mut self.handlers);
        let again = layer.parent().is_some_and(|parent| {
            std::ptr::eq(parent.bytes(), layer.bytes()) && parent.file_type() != layer.file_type()
        });
        if again {
            return ControlFlow::Continue(());
        }
        let inner = Depth { layers: depth.layers + 1, containers: depth.containers + 1, ..depth };
        for handler in handlers {
            if handler != layer.file_type() {
                let name = format!("as {}", handler.name());
                self.piece(layer.bytes(), Some(handler), layer, inner, name)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Says what a buffer holds beside what its first bytes make it.
    fn inside(&mut self, bytes: &[u8], by_head: FileType) -> ControlFlow<(), Inside> {
        let meter = BudgetMeter::new(self.budget);
        match self.engine.identify_content(bytes, by_head, self.scratch, &meter) {
            Ok(inside) => ControlFlow::Continue(inside),
            Err(Interrupted) => self.interrupted(),
        }
    }

    /// Opens a container and walks what is inside.
    fn open(&mut self, layer: &Layer<'_>, depth: Depth, is_cut: bool) -> ControlFlow<()> {
        let inner = match self.format(layer.file_type(), layer.bytes()) {
            Opening::No => return ControlFlow::Continue(()),
            Opening::Unsupported => {
                self.missing(Shortfall::Unsupported);
                return ControlFlow::Continue(());
            }
            // What is left of an archive without its end would be guessed.
            Opening::Yes(format) if is_cut && format != Format::Mail => {
                return ControlFlow::Continue(());
            }
            Opening::Yes(format) => format,
        };
        if holds_itself(layer) {
            return ControlFlow::Continue(());
        }
        let mut depth = depth;
        depth.layers += 1;
        match inner {
            Format::Mail => depth.messages += 1,
            _ => depth.containers += 1,
        }
        if self.too_deep(depth) {
            self.missing(Shortfall::Depth);
            return ControlFlow::Continue(());
        }
        let budget = self.budget;
        let mut number = 0u32;
        let mut flow = ControlFlow::Continue(());
        let mut shortfall = None;
        let fenced = self.fenced(|walk| {
            shortfall = open(inner, layer.bytes(), budget, &mut |part| {
                number += 1;
                flow = walk.part(&part, number, layer, depth);
                flow
            });
            ControlFlow::Continue(())
        });
        debug_assert!(fenced.is_continue());
        if let Some(shortfall) = shortfall {
            self.missing(shortfall);
            if shortfall == Shortfall::Encrypted {
                self.evidence(EvidenceKind::Encrypted);
            }
            if shortfall == Shortfall::Encrypted && flow.is_continue() {
                flow = self.encrypted(layer);
            }
        }
        flow
    }

    /// Walks one part.
    fn part(
        &mut self,
        part: &Part<'_>,
        number: u32,
        parent: &Layer<'_>,
        depth: Depth,
    ) -> ControlFlow<()> {
        let name = part.name.as_deref().filter(|name| !name.is_empty());
        self.descend(name.map_or_else(|| format!("#{number}"), ToOwned::to_owned));
        if let Some(tree) = &mut self.tree {
            tree.part(part, self.budget);
        }
        let claims = self.claims(part, name.unwrap_or_default());
        if let Some(shortfall) = part.shortfall {
            self.missing(shortfall);
        }
        let message = part.declared.as_deref().is_some_and(|declared| {
            matches!(declared, "message/rfc822" | "message/news" | "message/global")
        });
        let is_body = message && part.bytes.is_some_and(|bytes| parent.bytes().ends_with(bytes));
        let mut depth = depth;
        if is_body {
            depth.layers -= 1;
            depth.bodies += 1;
        }
        let in_message = matches!(parent.file_type(), FileType::MAIL | FileType::MHTML);
        let origin = Origin {
            assumed: message.then_some(FileType::MAIL),
            is_cut: matches!(
                part.shortfall,
                Some(Shortfall::PartBytes | Shortfall::TotalBytes | Shortfall::Expansion)
            ),
            has_links: in_message && self.settings.phishing && may_be_shown_as_html(part),
            claims,
        };
        let mut flow = self.entry(part, name.unwrap_or_default(), parent);
        if flow.is_continue()
            && (part.entry.encrypted || part.shortfall == Some(Shortfall::Encrypted))
        {
            flow = self.encrypted(parent);
        }
        if flow.is_continue()
            && self.settings.alert_macros
            && let Some(name) = part.declared.as_deref().and_then(macro_alert)
            && !self.engine.allows(parent)
        {
            flow = self.heuristic(name, "entry");
        }
        if flow.is_continue()
            && let Some(bytes) = part.bytes
        {
            flow = self.fenced(|walk| walk.layer(bytes, origin, Some(parent), depth));
        } else if claims.disagree(None) {
            self.evidence(EvidenceKind::TypeMismatch);
        }
        self.ascend();
        flow
    }

    /// Notes the evidence in what a container says of a part; gives what it
    /// says that the part is.
    fn claims(&mut self, part: &Part<'_>, name: &str) -> Claims {
        if let Some(ambiguity) = part.ambiguity {
            let kind = EvidenceKind::Ambiguous(ambiguity);
            match ambiguity {
                Ambiguity::Boundary => self.evidence_around(kind),
                _ => self.evidence(kind),
            }
        }
        if part.entry.encrypted || part.shortfall == Some(Shortfall::Encrypted) {
            self.evidence(EvidenceKind::Encrypted);
        }
        let declared = part.declared.as_deref();
        if let Some(kind) = evidence::macro_of(declared, name) {
            self.evidence_around(kind);
        }
        if evidence::hides_a_program(name) {
            self.evidence(EvidenceKind::DoubleExtension);
        }
        Claims::new(name, declared)
    }

    /// Has the engine look at what a container says of a part.
    fn entry(&mut self, part: &Part<'_>, name: &str, parent: &Layer<'_>) -> ControlFlow<()> {
        let entry = PartEntry {
            name: name.as_bytes(),
            packed_size: part.entry.packed_size,
            size: part.entry.size,
            encrypted: part.entry.encrypted,
            position: part.entry.position.into(),
        };
        let mut hits = std::mem::take(&mut self.hits);
        hits.clear();
        let meter = BudgetMeter::new(self.budget);
        let mut scanned = self.engine.scan_entry(parent, &entry, &meter, &mut hits);
        // ClamAV makes file names of those in messages, and signatures may be
        // written for these.
        if scanned.is_ok() && parent.file_type() == FileType::MAIL {
            let plain = file_name(name);
            if plain.as_bytes() != entry.name {
                let entry = PartEntry { name: plain.as_bytes(), ..entry };
                scanned = self.engine.scan_entry(parent, &entry, &meter, &mut hits);
            }
        }
        let mut flow = self.judge(&hits, parent, "entry");
        self.hits = hits;
        for (number, &id) in self.watched.iter().enumerate() {
            if let SigKind::Container = id.1.kind()
                && let Ok(why) = self.engine.explain_entry(id, parent, &entry, &meter)
            {
                self.explain(number, parent, "entry", why);
            }
        }
        if scanned.is_err() && flow.is_continue() {
            flow = self.interrupted();
        }
        flow
    }

    /// Has the engine look at the links of a text of a message.
    fn links(&mut self, layer: &Layer<'_>) -> ControlFlow<()> {
        let options = LinkOptions {
            ssl: self.settings.alert_phishing_ssl,
            cloak: self.settings.alert_phishing_cloak,
        };
        if !self.engine.has_links() && options == LinkOptions::default() {
            return ControlFlow::Continue(());
        }
        let meter = BudgetMeter::new(self.budget);
        let (mut alerts, mut interrupted) = (Vec::new(), false);
        let shortfall = links::links(layer.bytes(), self.budget, &mut |link| {
            let kind = if link.is_text { LinkKind::Text } else { LinkKind::Other };
            let link = Link { real: link.real, shown: link.shown, kind };
            match self.engine.check_link(&link, options, &meter) {
                Ok(None) => return ControlFlow::Continue(()),
                Ok(Some(alert)) if alerts.contains(&alert) => return ControlFlow::Continue(()),
                Ok(Some(alert)) => alerts.push(alert),
                Err(Interrupted) => interrupted = true,
            }
            // ClamAV reports the first of a text.
            if interrupted || !self.settings.all_matches {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        if !alerts.is_empty() && !self.engine.allows(layer) {
            for alert in alerts {
                self.heuristic(alert.name(), "links")?;
            }
        }
        if let Some(shortfall) = shortfall {
            self.missing(shortfall);
        }
        if interrupted { self.interrupted() } else { ControlFlow::Continue(()) }
    }

    /// Reports that an executable or the frame of a picture is broken, if that
    /// is asked for.
    fn damage(&mut self, layer: &Layer<'_>) -> ControlFlow<()> {
        let program = match layer.file_type() {
            FileType::MSEXE => self.settings.pe,
            FileType::ELF => self.settings.elf,
            FileType::MACHO | FileType::MACHO_UNIBIN => true,
            _ => false,
        };
        if program
            && self.settings.alert_broken_executables
            && exe::is_damaged(layer.headers(), layer.bytes(), layer.file_type())
            && !self.engine.allows(layer)
        {
            return self.heuristic("Heuristics.Broken.Executable", "raw");
        }
        if !self.settings.alert_broken_media || !self.settings.images {
            return ControlFlow::Continue(());
        }
        let picture = match layer.file_type() {
            FileType::GIF => Picture::Gif,
            FileType::JPEG => Picture::Jpeg,
            FileType::PNG => Picture::Png,
            FileType::TIFF => Picture::Tiff,
            _ => return ControlFlow::Continue(()),
        };
        match damage::of_picture(picture, layer.bytes(), self.budget) {
            Ok(Some(fault)) if !self.engine.allows(layer) => {
                self.heuristic(&format!("Heuristics.Broken.Media.{fault}"), "raw")
            }
            Ok(_) => ControlFlow::Continue(()),
            Err(shortfall) => {
                self.missing(shortfall);
                ControlFlow::Break(())
            }
        }
    }

    /// Reports that there is something encrypted in a layer, if that is asked
    /// for.
    fn encrypted(&mut self, layer: &Layer<'_>) -> ControlFlow<()> {
        let name = match layer.file_type() {
            file_type if file_type.is_office() => "Heuristics.Encrypted.Zip",
            FileType::ZIP | FileType::ZIPSFX => "Heuristics.Encrypted.Zip",
            FileType::RAR | FileType::RARSFX => "Heuristics.Encrypted.RAR",
            FileType::SEVENZ | FileType::SEVENZSFX => "Heuristics.Encrypted.7Zip",
            FileType::EGG | FileType::EGGSFX => "Heuristics.Encrypted.EGG",
            FileType::PDF => "Heuristics.Encrypted.PDF",
            FileType::MSOLE2 => "Heuristics.Encrypted.OLE2",
            _ => return ControlFlow::Continue(()),
        };
        let document = matches!(layer.file_type(), FileType::PDF | FileType::MSOLE2);
        let asked = match document {
            true => self.settings.alert_encrypted_documents,
            false => self.settings.alert_encrypted_archives,
        };
        if !asked || self.engine.allows(layer) {
            return ControlFlow::Continue(());
        }
        self.heuristic(name, "entry")
    }

    /// Notes a detection that no signature stands for.
    fn heuristic(&mut self, name: &str, view: &'static str) -> ControlFlow<()> {
        let detection = Detection {
            name: name.to_owned(),
            object: self.object(),
            view,
            offset: None,
            length: None,
            source: String::new(),
            line: 0,
            weak: true,
        };
        if !self.settings.heuristic_precedence {
            keep(&mut self.weak, detection);
            return ControlFlow::Continue(());
        }
        keep(&mut self.findings.detections, detection);
        if self.settings.all_matches { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
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

    /// Whether and how a layer of this type is opened.
    fn format(&self, file_type: FileType, bytes: &[u8]) -> Opening {
        use FileType as F;
        let missing_when = |on: bool| if on { Opening::Unsupported } else { Opening::No };
        match file_type {
            F::APM | F::DMG | F::GPT | F::MBR | F::UDF => missing_when(self.settings.archives),
            F::HWP3 => missing_when(self.settings.hwp3),
            F::CRYPTFF => Opening::Unsupported,
            // For some ClamAV has no type.
            _ => match Format::of_type(file_type.name()) {
                None if file_type == F::BINARY_DATA || file_type.is_text() => {
                    self.switched(Format::recognize(bytes))
                }
                format => self.switched(format),
            },
        }
    }

    /// Leaves closed what the settings leave closed.
    fn switched(&self, format: Option<Format>) -> Opening {
        let Some(format) = format else { return Opening::No };
        let on = match format.switch() {
            Switch::Always => true,
            Switch::Archive => self.settings.archives,
            Switch::Mail => self.settings.mail,
            Switch::Ole2 => self.settings.ole2,
            Switch::OneNote => self.settings.onenote,
            Switch::Pdf => self.settings.pdf,
            Switch::Swf => self.settings.swf,
            Switch::XmlDocuments => self.settings.xml_documents,
        };
        if on { Opening::Yes(format) } else { Opening::No }
    }
}

/// How many times a layer may be walked for archives inside of it.
const MAX_INSIDE: usize = 16;

/// Whether a layer is opened.
enum Opening {
    /// There is nothing inside, or the settings leave it closed.
    No,
    /// There is something inside that this version cannot reach.
    Unsupported,
    /// There is, and here is how.
    Yes(Format),
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
/// Whether a layer lies inside itself: what it holds was seen on the way.
fn holds_itself(layer: &Layer<'_>) -> bool {
    let around = std::iter::successors(layer.parent(), |layer| layer.parent());
    around
        .filter(|around| around.file_type() == layer.file_type())
        .any(|around| around.bytes() == layer.bytes())
}

/// Whether layers of this type are opened as messages.
fn is_message(file_type: FileType) -> bool {
    matches!(file_type, FileType::MAIL | FileType::MHTML)
}

/// Whether a reader may be shown HTML in a part of a message. A text that is
/// said to be plain counts where it is all there is (clamscan 1.4.6), and so
/// does what is said to be nothing that can be told.
fn may_be_shown_as_html(part: &Part<'_>) -> bool {
    match part.declared.as_deref() {
        None => true,
        Some("text/plain") => part.is_body,
        Some(media) if !media.contains('/') => part.is_body,
        Some(media) => media.starts_with("text/"),
    }
}

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

/// The name by which a macro of this declared type is reported.
fn macro_alert(declared: &str) -> Option<&'static str> {
    match declared {
        quahog_content::MACRO_SOURCE => Some("Heuristics.OLE2.ContainsMacros.VBA"),
        quahog_content::MACRO_SHEET => Some("Heuristics.OLE2.ContainsMacros.XLM"),
        _ => None,
    }
}

/// The file name that ClamAV makes of the name of a part of a message.
fn file_name(name: &str) -> String {
    let plain =
        |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    name.chars().map(plain).collect()
}

/// Adds a detection, once for each name and object.
fn keep(list: &mut Vec<Detection>, detection: Detection) {
    let known = list.iter().any(|d| d.name == detection.name && d.object == detection.object);
    if !known && list.len() < MAX_DETECTIONS {
        list.push(detection);
    }
}
