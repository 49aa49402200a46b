//! What lies inside a layer: parts of containers, programs, archives behind other
//! bytes.

use std::ops::ControlFlow;

use quahog_content::{Ambiguity, Format, Part, Shortfall, Switch, open, packer};
use quahog_engine::{Inside, Interrupted, Layer, PartEntry, exe};
use quahog_sig::SigKind;
use quahog_sig::model::FileType;

use super::{BudgetMeter, Depth, Origin, Walk};
use crate::scan::evidence::{self, Claims, EvidenceKind};

impl Walk<'_> {
    /// Walks the Mach-O files of a universal binary.
    pub(super) fn programs_of_universal(
        &mut self,
        layer: &Layer<'_>,
        depth: Depth,
    ) -> ControlFlow<()> {
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
    pub(super) fn program_inside(&mut self, layer: &Layer<'_>, depth: Depth) -> ControlFlow<()> {
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

    /// Walks the program that a packed one unpacks itself to. That is tried once more
    /// with what comes out, as some pack twice; behind it, what runs is the program.
    pub(super) fn unpacked(&mut self, layer: &Layer<'_>, depth: Depth) -> ControlFlow<()> {
        if layer.file_type() != FileType::MSEXE || !self.settings.pe || depth.unpacked >= 2 {
            return ControlFlow::Continue(());
        }
        let packer::Unpacked { program, shortfall } = packer::unpack(layer.bytes(), self.budget);
        if let Some(shortfall) = shortfall {
            self.missing(shortfall);
        }
        let Some(program) = program else { return ControlFlow::Continue(()) };
        let inner = Depth {
            layers: depth.layers + 1,
            containers: depth.containers + 1,
            unpacked: depth.unpacked + 1,
            ..depth
        };
        self.piece(&program, Some(FileType::MSEXE), layer, inner, "unpacked".to_owned())
    }

    /// Walks the archives that lie inside a layer behind its start: those of
    /// programs that unpack themselves, those behind pictures, and images of
    /// discs, whose magic stands far behind their start.
    ///
    /// Formats whose stored members are layers anyway are not searched, as
    /// clamscan 1.4.6 leaves most of them out. What only looks like an archive
    /// is no shortfall.
    pub(super) fn archives_inside(
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
                F::NULSFT => (F::NULSFT, Format::Nsis, start),
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
    pub(super) fn handled(&mut self, layer: &Layer<'_>, depth: Depth) -> ControlFlow<()> {
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
    pub(super) fn inside(&mut self, bytes: &[u8], by_head: FileType) -> ControlFlow<(), Inside> {
        let meter = BudgetMeter::new(self.budget);
        match self.engine.identify_content(bytes, by_head, self.scratch, &meter) {
            Ok(inside) => ControlFlow::Continue(inside),
            Err(Interrupted) => self.interrupted(),
        }
    }

    /// Opens a container and walks what is inside.
    pub(super) fn open(
        &mut self,
        layer: &Layer<'_>,
        depth: Depth,
        is_cut: bool,
    ) -> ControlFlow<()> {
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
    pub(super) fn part(
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

/// Whether a layer lies inside itself: what it holds was seen on the way.
fn holds_itself(layer: &Layer<'_>) -> bool {
    let around = std::iter::successors(layer.parent(), |layer| layer.parent());
    around
        .filter(|around| around.file_type() == layer.file_type())
        .any(|around| around.bytes() == layer.bytes())
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

/// The file name that ClamAV makes of the name of a part of a message.
fn file_name(name: &str) -> String {
    let plain =
        |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    name.chars().map(plain).collect()
}

/// The name by which a macro of this declared type is reported.
fn macro_alert(declared: &str) -> Option<&'static str> {
    match declared {
        quahog_content::MACRO_SOURCE => Some("Heuristics.OLE2.ContainsMacros.VBA"),
        quahog_content::MACRO_SHEET => Some("Heuristics.OLE2.ContainsMacros.XLM"),
        _ => None,
    }
}
