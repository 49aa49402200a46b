//! What a scanner does, and how far it goes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use quahog_content::Limits;
use quahog_engine::RegexLimits;

/// What the caller knows of the input.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Input {
    /// Nothing: the first bytes decide.
    #[default]
    Any,
    /// It is a message, whatever its first bytes look like.
    Message,
}

/// Sizes past which a normalised form is not made, and a program inside another
/// file is not taken out. What is left out for them is reported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ViewLimits {
    /// Of HTML that is normalised at all.
    pub html: u64,
    /// Of HTML whose text without tags is made.
    pub html_text: u64,
    /// Of text that is normalised.
    pub text: u64,
    /// Of a program inside another file.
    pub program: u64,
}

impl Default for ViewLimits {
    /// ClamAV's: 40, 8, 20 and 40 MiB.
    fn default() -> ViewLimits {
        ViewLimits { html: 40 << 20, html_text: 8 << 20, text: 20 << 20, program: 40 << 20 }
    }
}

/// What a scanner does, and how far it goes.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the input is. A mail server says [`Input::Message`].
    pub input: Input,
    /// Report every signature that matches, and not only the first.
    pub all_matches: bool,
    /// Bounds of the work on one input.
    pub limits: Limits,
    /// Bounds of what views and programs inside others are made of.
    pub views: ViewLimits,
    /// Bounds of regular expressions.
    pub regex: RegexLimits,
    /// The most layers inside each other, of all kinds and the input among
    /// them, as clamscan's `--max-recursion` counts; `None` leaves it to
    /// [`Limits::container_depth`] and [`Limits::mail_depth`].
    pub recursion: Option<u32>,
    /// The longest time for one input. Without one, no clock is read.
    pub deadline: Option<Duration>,
    /// Ends a scan when another thread sets it.
    pub cancel: Option<Arc<AtomicBool>>,
    /// Make normalised views of text and HTML. Without, HTML is searched as it is.
    pub normalize: bool,
    /// Open messages.
    pub mail: bool,
    /// Open archives.
    pub archives: bool,
    /// Make views of HTML.
    pub html: bool,
    /// Look at the sections and imports of PE files, and for broken ones, and
    /// have packed ones unpack themselves.
    /// Offsets that refer to their parts keep their meaning.
    pub pe: bool,
    /// Look at the certificates of PE files, be it to report or to trust them.
    pub certificates: bool,
    /// The time at which certificates must be valid, in seconds since 1970-01-01
    /// UTC, for signatures that do not say when they were made. By default the
    /// clock is asked, and the report may change when a certificate runs out.
    pub now: Option<i64>,
    /// Look for broken ELF files.
    pub elf: bool,
    /// Open OLE2 documents.
    pub ole2: bool,
    /// Open PDF documents.
    pub pdf: bool,
    /// Open Flash files.
    pub swf: bool,
    /// Open documents that are XML.
    pub xml_documents: bool,
    /// Open documents of Hangul 3.
    pub hwp3: bool,
    /// Open OneNote documents.
    pub onenote: bool,
    /// Look at what pictures show, and for broken ones.
    pub images: bool,
    /// Compute the perceptual hashes of pictures, if `images` is set.
    pub image_hashes: bool,
    /// Judge the links of HTML texts of messages by the phishing lists.
    pub phishing: bool,
    /// Report links that show `https:` and lead elsewhere, though no list
    /// watches them.
    pub alert_phishing_ssl: bool,
    /// Report links that hide where they lead, though no list watches them.
    pub alert_phishing_cloak: bool,
    /// Report encrypted members of archives.
    pub alert_encrypted_archives: bool,
    /// Report encrypted documents.
    pub alert_encrypted_documents: bool,
    /// Report executables whose headers are broken, as
    /// `Heuristics.Broken.Executable`.
    pub alert_broken_executables: bool,
    /// Report documents with macros.
    pub alert_macros: bool,
    /// Report pictures whose frame is broken, as `Heuristics.Broken.Media.`
    /// and what is wrong.
    pub alert_broken_media: bool,
    /// Report the first limit that keeps something from being looked at, as
    /// `Heuristics.Limits.Exceeded.` and its name. It stands in the report's
    /// completeness in any case.
    pub alert_exceeded_limits: bool,
    /// Report weak detections (`PUA.`, `Heuristics.`) as soon as they are met,
    /// and not only if nothing else is found.
    pub heuristic_precedence: bool,
    /// Keep the tree of objects, with their digests, for
    /// [`ScanReport::tree`](super::ScanReport::tree). The tree ends where the
    /// scan does: for all of it ask for `all_matches`, too. Its digests take
    /// some time and, like all work, fuel.
    pub tree: bool,
}

impl Default for Settings {
    /// The input may be anything; the first match ends the scan; limits are
    /// those of [`Limits::default`], and there is no deadline.
    fn default() -> Settings {
        Settings {
            input: Input::Any,
            all_matches: false,
            limits: Limits::default(),
            views: ViewLimits::default(),
            regex: RegexLimits::default(),
            recursion: None,
            deadline: None,
            cancel: None,
            normalize: true,
            mail: true,
            archives: true,
            html: true,
            pe: true,
            certificates: true,
            now: None,
            elf: true,
            ole2: true,
            pdf: true,
            swf: true,
            xml_documents: true,
            hwp3: true,
            onenote: true,
            images: true,
            image_hashes: true,
            phishing: true,
            alert_phishing_ssl: false,
            alert_phishing_cloak: false,
            alert_encrypted_archives: false,
            alert_encrypted_documents: false,
            alert_broken_executables: false,
            alert_macros: false,
            alert_broken_media: false,
            alert_exceeded_limits: false,
            heuristic_precedence: false,
            tree: false,
        }
    }
}

impl Settings {
    /// Says what the input is.
    pub fn input(mut self, input: Input) -> Settings {
        self.input = input;
        self
    }

    /// Reports every signature that matches, or only the first.
    pub fn all_matches(mut self, all: bool) -> Settings {
        self.all_matches = all;
        self
    }

    /// Bounds the work on one input.
    pub fn limits(mut self, limits: Limits) -> Settings {
        self.limits = limits;
        self
    }

    /// Bounds the time for one input.
    pub fn deadline(mut self, deadline: Option<Duration>) -> Settings {
        self.deadline = deadline;
        self
    }
}
