//! The walk: from layer to layer, outermost first opened, innermost first judged.

use std::cell::Cell;
use std::ops::ControlFlow;

use quahog_content::text::{html, plain};
use quahog_content::{Budget, Format, Part, Shortfall, open};
use quahog_engine::{
    Engine, Hit, Inside, Interrupted, Layer, Look, MIN_LAYER, Meter, PictureHasher, Scratch, exe,
    is_weak,
};
use quahog_sig::model::{FileType, Target};

use super::report::{Detection, Findings};
use super::{Input, Settings};

/// Detections that are kept; what comes after them changes no verdict.
const MAX_DETECTIONS: usize = 1_000;

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
}

/// How deep a layer lies.
#[derive(Clone, Copy, Debug, Default)]
struct Depth {
    layers: u32,
    containers: u32,
    messages: u32,
}

/// Hands the engine's work to the budget.
struct BudgetMeter<'b> {
    budget: &'b Budget<'b>,
    /// A search ended at a bound of its own.
    gave_up: Cell<bool>,
}

impl<'b> BudgetMeter<'b> {
    fn new(budget: &'b Budget<'b>) -> BudgetMeter<'b> {
        BudgetMeter { budget, gave_up: Cell::new(false) }
    }
}

impl Meter for BudgetMeter<'_> {
    fn tick(&self, work: u64) -> Result<(), Interrupted> {
        self.budget.tick(work).map_err(|_| Interrupted)
    }

    fn gave_up(&self) {
        self.gave_up.set(true);
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
        }
    }

    pub(crate) fn run(mut self, input: &[u8]) -> Findings {
        let limit = usize::try_from(self.settings.limits.part_bytes).unwrap_or(usize::MAX);
        let cut = &input[..input.len().min(limit)];
        if cut.len() < input.len() {
            self.missing(Shortfall::PartBytes);
        }
        let assumed = (self.settings.input == Input::Message).then_some(FileType::MAIL);
        let depth = Depth { layers: 1, ..Depth::default() };
        // `Break` only means that enough is known.
        let _ = self.layer(cut, assumed, None, depth);
        let weak = std::mem::take(&mut self.weak);
        let found = &mut self.findings.detections;
        if self.settings.all_matches || found.is_empty() {
            let room = if self.settings.all_matches { MAX_DETECTIONS } else { 1 };
            found.extend(weak.into_iter().take(room));
        }
        self.findings
    }

    fn missing(&mut self, reason: Shortfall) {
        let object = self.object();
        self.findings.missing(reason, object);
    }

    fn object(&self) -> String {
        self.path.join("!")
    }

    /// Types a buffer, opens it, and has the engine look at it.
    fn layer(
        &mut self,
        bytes: &[u8],
        assumed: Option<FileType>,
        parent: Option<&Layer<'_>>,
        depth: Depth,
    ) -> ControlFlow<()> {
        if bytes.len() < MIN_LAYER {
            return ControlFlow::Continue(());
        }
        self.findings.stats.layers += 1;
        self.findings.stats.layer_bytes += bytes.len() as u64;
        let mut by_head = match assumed {
            Some(file_type) => file_type,
            None => self.engine.identify(bytes, self.scratch),
        };
        if by_head == FileType::IGNORED {
            return ControlFlow::Continue(());
        }
        // A message without a header that can be told has itself as its part.
        let again = parent.is_some_and(|p| is_message(p.file_type()) && p.bytes() == bytes);
        if again && is_message(by_head) {
            by_head = FileType::TEXT_ASCII;
        }
        let inside = self.inside(bytes, by_head)?;
        let message = inside.message.filter(|_| !again);
        let unread = Cell::new(None);
        let budget = self.budget;
        let hash = |bytes: &[u8]| picture_hash(bytes, budget, &unread);
        let mut opened = Layer::new(bytes, message.unwrap_or(by_head), parent);
        if Target::of_raw(by_head) == Some(Target::GRAPHICS) {
            opened = opened.with_picture_hasher(PictureHasher::new(&hash));
        }
        self.open(&opened, depth)?;
        self.programs_of_universal(&opened, depth)?;
        if by_head == FileType::HTML && self.settings.html && self.settings.normalize {
            return self.html(&opened, depth);
        }
        // Signatures for mail see what turns out to be MAIL. Of MHTML they do
        // not: that layer stays what its first bytes make it.
        let own = match message {
            Some(FileType::MHTML) => &Layer::new(bytes, by_head, parent),
            _ => &opened,
        };
        let looked = self.look(own, Look::Raw, "raw");
        if let Some(reason) = unread.take() {
            self.missing(reason);
        }
        looked?;
        self.handled(own, depth)?;
        self.program_inside(own, depth)?;
        if (by_head == FileType::HTML || inside.html) && !self.settings.normalize {
            return self.look(own, Look::Html, "raw");
        }
        if inside.html && self.settings.html && self.settings.normalize {
            self.html(&Layer::new(bytes, FileType::HTML, parent), depth)?;
        }
        // What is nothing but HTML has no view of text.
        let text = by_head.is_text() && (message.is_some() || !inside.html);
        if text && self.settings.normalize {
            let mut text = Vec::with_capacity(bytes.len());
            plain::normalize(bytes, &mut text);
            self.charge(bytes.len())?;
            self.look(&Layer::view(&text, own), Look::Text, "text")?;
        }
        ControlFlow::Continue(())
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
        self.path.push(name);
        let (room, shortfall) = self.budget.part_room();
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let cut = &bytes[..bytes.len().min(room)];
        if cut.len() < bytes.len() {
            self.missing(shortfall);
        }
        let flow = match self.budget.part() {
            Ok(()) => {
                self.budget.spend(cut.len() as u64);
                self.layer(cut, assumed, Some(parent), depth)
            }
            Err(shortfall) => {
                self.missing(shortfall);
                ControlFlow::Break(())
            }
        };
        self.path.pop();
        flow
    }

    fn too_deep(&self, depth: Depth) -> bool {
        let limits = &self.settings.limits;
        match self.settings.recursion {
            Some(most) => depth.layers > most,
            None => depth.containers > limits.container_depth || depth.messages > limits.mail_depth,
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
        let around = Layer::new(bytes, FileType::MSEXE, Some(layer));
        let inner = Depth { layers: depth.layers + 2, containers: depth.containers + 1, ..depth };
        let assumed = Some(FileType::MSEXE);
        self.piece(bytes, assumed, &around, inner, format!("program at {start}"))
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
    fn open(&mut self, layer: &Layer<'_>, depth: Depth) -> ControlFlow<()> {
        let inner = match self.format(layer.file_type()) {
            Opening::No => return ControlFlow::Continue(()),
            Opening::Unsupported => {
                self.missing(Shortfall::Unsupported);
                return ControlFlow::Continue(());
            }
            Opening::Yes(format) => format,
        };
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
        let shortfall = open(inner, layer.bytes(), budget, &mut |part| {
            number += 1;
            flow = self.part(&part, number, layer, depth);
            flow
        });
        if let Some(shortfall) = shortfall {
            self.missing(shortfall);
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
        self.path.push(name.map_or_else(|| format!("#{number}"), ToOwned::to_owned));
        if let Some(shortfall) = part.shortfall {
            self.missing(shortfall);
        }
        let message = part.declared.as_deref().is_some_and(|declared| {
            matches!(declared, "message/rfc822" | "message/news" | "message/global")
        });
        let assumed = message.then_some(FileType::MAIL);
        let flow = match part.bytes {
            Some(bytes) => self.layer(bytes, assumed, Some(parent), depth),
            None => ControlFlow::Continue(()),
        };
        self.path.pop();
        flow
    }

    /// Makes the views of HTML and looks at them; the raw bytes are not
    /// searched, as in ClamAV.
    fn html(&mut self, layer: &Layer<'_>, depth: Depth) -> ControlFlow<()> {
        let mut views = html::HtmlViews::default();
        if let Some(shortfall) = html::normalize(layer.bytes(), self.budget, &mut views) {
            self.missing(shortfall);
        }
        self.look(&Layer::view(&views.nocomment, layer), Look::Html, "html")?;
        self.look(&Layer::view(&views.notags, layer), Look::Html, "html-tags")?;
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
            self.path.push("data:".to_owned());
            let bytes = &url.bytes[..url.bytes.len().min(room)];
            if bytes.len() < url.bytes.len() {
                self.missing(shortfall);
            }
            self.budget.spend(bytes.len() as u64);
            let flow = match charged {
                Ok(()) => self.layer(bytes, None, Some(layer), depth),
                Err(shortfall) => {
                    self.missing(shortfall);
                    ControlFlow::Break(())
                }
            };
            self.path.pop();
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
        let meter = BudgetMeter::new(self.budget);
        let scanned = self.engine.scan(layer, look, self.scratch, &meter, &mut hits);
        if meter.gave_up.get() {
            self.missing(Shortfall::Fuel);
        }
        let mut flow = self.judge(&hits, layer, view);
        self.hits = hits;
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
            // In first-match mode a weak plain pattern ends the search of its
            // window for others (clamscan 1.4.6, case `order-005`).
            if hidden_by.is_some_and(|weak| weak.hides(hit)) {
                continue;
            }
            if let Some(handler) = self.engine.handler(hit)
                && !self.handlers.contains(&handler)
            {
                self.handlers.push(handler);
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
        // The budget says again what it said to the engine.
        let reason = self.budget.tick(u64::MAX - 1).err().unwrap_or(Shortfall::Fuel);
        self.missing(reason);
        ControlFlow::Break(())
    }

    /// Whether and how a layer of this type is opened.
    fn format(&self, file_type: FileType) -> Opening {
        use FileType as F;
        let when = |on: bool, format| if on { Opening::Yes(format) } else { Opening::No };
        let missing_when = |on: bool| if on { Opening::Unsupported } else { Opening::No };
        match file_type {
            F::MAIL | F::MHTML => when(self.settings.mail, Format::Mail),
            F::ZIP | F::ZIPSFX | F::OOXML_WORD | F::OOXML_PPT | F::OOXML_XL | F::OOXML_HWP => {
                when(self.settings.archives, Format::Zip)
            }
            F::GZ => when(self.settings.archives, Format::Gzip),
            F::ALZ
            | F::APM
            | F::ARJ
            | F::BZ
            | F::CPIO_CRC
            | F::CPIO_NEWC
            | F::CPIO_ODC
            | F::CPIO_OLD
            | F::DMG
            | F::EGG
            | F::GPT
            | F::ISO9660
            | F::MBR
            | F::MSCAB
            | F::MSCHM
            | F::MSSZDD
            | F::OLD_TAR
            | F::POSIX_TAR
            | F::RAR
            | F::SEVENZ
            | F::SIS
            | F::UDF
            | F::XAR
            | F::XZ => missing_when(self.settings.archives),
            F::BINHEX | F::TNEF | F::UUENCODED => missing_when(self.settings.mail),
            F::CRYPTFF
            | F::HWP3
            | F::HWPOLE2
            | F::MSOLE2
            | F::ONENOTE
            | F::PDF
            | F::RTF
            | F::SCRENC
            | F::SWF
            | F::XML_HWP
            | F::XML_WORD
            | F::XML_XL => Opening::Unsupported,
            _ => Opening::No,
        }
    }
}

/// Whether a layer is opened.
enum Opening {
    /// There is nothing inside, or the settings leave it closed.
    No,
    /// There is something inside that this version cannot reach.
    Unsupported,
    /// There is, and here is how.
    Yes(Format),
}

/// Whether layers of this type are opened as messages.
fn is_message(file_type: FileType) -> bool {
    matches!(file_type, FileType::MAIL | FileType::MHTML)
}

/// The perceptual hash of a picture; notes why there is none.
#[cfg(feature = "picture")]
fn picture_hash(
    bytes: &[u8],
    budget: &Budget<'_>,
    unread: &Cell<Option<Shortfall>>,
) -> Option<u64> {
    let hash = quahog_content::picture::hash(bytes, budget);
    hash.map_err(|reason| unread.set(Some(reason))).ok()
}

/// Notes that a picture was not looked at: this build cannot read any.
#[cfg(not(feature = "picture"))]
fn picture_hash(
    _bytes: &[u8],
    _budget: &Budget<'_>,
    unread: &Cell<Option<Shortfall>>,
) -> Option<u64> {
    unread.set(Some(Shortfall::Unsupported));
    None
}

/// Adds a detection, once for each name and object.
fn keep(list: &mut Vec<Detection>, detection: Detection) {
    let known = list.iter().any(|d| d.name == detection.name && d.object == detection.object);
    if !known && list.len() < MAX_DETECTIONS {
        list.push(detection);
    }
}
