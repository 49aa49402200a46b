//! The load itself: list, open, verify, choose, gather ignores, admit.

use std::collections::HashMap;

use bytes::Bytes;
use quahog_cvd::{Cvd, Kind, Trust, VerifiedCvd};
use quahog_sig::ast::Ignore;
use quahog_sig::{
    Diagnostic, ErrorKind, Format, Grammar, IgnoreList, Line, Lines, SetBuilder, Severity,
    SignatureSet, ioc,
};
use rayon::prelude::*;

use super::files::{self, NotRead, Opened};
use super::{Config, Counts, FileReport, LoadError, LoadReport, MemberReport, Outcome, Trusted};

/// Text to be read line by line.
pub(super) struct Text {
    /// `file` or `container/member`.
    pub(super) name: String,
    pub(super) format: Option<Format>,
    pub(super) bytes: Bytes,
}

/// A file on its way.
pub(super) struct Source {
    pub(super) report: FileReport,
    pub(super) official: bool,
    pub(super) texts: Vec<Text>,
    /// Name and version, for choosing among containers of the same name.
    pub(super) container: Option<(String, Kind, u32)>,
}

pub(super) fn load(config: &Config) -> Result<(SignatureSet, LoadReport), LoadError> {
    let mut sources = Vec::new();
    for path in &config.paths {
        let io = |error| LoadError::Io { path: path.clone(), error };
        let listed = files::list(path).map_err(io)?;
        let named = listed.as_slice() == [path.clone()];
        for file in listed {
            let opened = files::open(&file);
            if named && let Err(NotRead::Io(error)) = opened.result {
                return Err(LoadError::Io { path: file, error });
            }
            sources.extend(source(config, opened, named));
        }
    }
    choose(&mut sources);

    let mut ignore = IgnoreList::default();
    let ignores = |text: &&Text| text.format.is_some_and(|f| f.grammar() == Grammar::Ignore);
    for text in sources.iter().flat_map(|s| &s.texts).filter(ignores) {
        for line in lines(text) {
            // Bad lines are reported below, when every text is read.
            if let Ok(entry) = Ignore::parse(line.text) {
                ignore.add(&entry);
            }
        }
    }

    let mut builder = SetBuilder::new()
        .ignore(ignore)
        .pua(config.pua.clone())
        .phishing_signatures(config.phishing_signatures)
        .programs(config.programs)
        .strict_frames(config.strict);
    let mut report = LoadReport::default();
    let mut any_text = false;
    for source in sources {
        let mut file = source.report;
        for text in source.texts {
            any_text |= text.format.is_some();
            let counts = admit(config, &text, source.official, &mut builder, &mut report)?;
            let Text { name, format, .. } = text;
            file.members.push(MemberReport { name, format, counts });
        }
        if config.strict
            && let Outcome::Refused { reason, .. } = &file.outcome
        {
            let file = file.path.display().to_string();
            return Err(LoadError::StrictFile { file, reason: reason.clone() });
        }
        report.files.push(file);
    }
    if !any_text {
        let paths = config.paths.clone();
        return Err(LoadError::Nothing { paths, report: Box::new(report) });
    }
    Ok((builder.finish(), report))
}

/// Lines that say something.
pub(super) fn lines(text: &Text) -> impl Iterator<Item = Line<'_>> {
    Lines::new(&text.bytes).filter(|line| !line.is_blank() && !line.is_comment())
}

/// Looks at one file. `named` means that the caller named it, and it was not
/// found in a folder.
pub(super) fn source(config: &Config, opened: Opened, named: bool) -> Option<Source> {
    let Opened { path, name, result } = opened;
    let report = |outcome| FileReport { path: path.clone(), outcome, members: Vec::new() };
    let plain = |outcome| {
        let report = report(outcome);
        Some(Source { report, official: false, texts: Vec::new(), container: None })
    };
    let passed_over = |reason: &str| plain(Outcome::PassedOver { reason: reason.to_owned() });
    let refused = |reason: String| plain(Outcome::Refused { reason, replaced: false });
    let kind = Kind::of(&name);
    let format = Format::from_file_name(&name);
    let bytes = match result {
        Ok(bytes) => bytes,
        Err(NotRead::Irregular) => return passed_over("not a regular file"),
        // It vanished, or is a dangling link.
        Err(NotRead::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return passed_over("gone");
        }
        Err(NotRead::Io(error)) if kind.is_some() || format.is_some() => {
            return refused(error.to_string());
        }
        Err(NotRead::Io(error)) => return passed_over(&error.to_string()),
    };
    if let Some(kind) = kind {
        if config.official_only && !named && kind == Kind::Cud {
            return passed_over("only official databases are taken");
        }
        let verified =
            Cvd::open(bytes, &name).and_then(|c| c.verify(&config.trust, &config.limits));
        return match verified {
            Ok(container) => Some(open_container(report, &name, kind, &container)),
            Err(error) => {
                let mut source = refused(error.to_string())?;
                // So that a sibling of the same name can take its place.
                let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
                source.container = Some((stem.to_lowercase(), kind, 0));
                Some(source)
            }
        };
    }
    let Some(format) = format else {
        return passed_over("not a database by its extension");
    };
    if config.official_only && !named {
        return passed_over("only official databases are taken");
    }
    let outcome = Outcome::Loaded { trust: Trusted::Unsigned, header: None };
    let text = Text { name, format: Some(format), bytes };
    let report = report(outcome);
    Some(Source { report, official: false, texts: vec![text], container: None })
}

fn open_container(
    report: impl Fn(Outcome) -> FileReport,
    name: &str,
    kind: Kind,
    container: &VerifiedCvd,
) -> Source {
    let trust = match container.trust() {
        Trust::Unsigned => Trusted::Unsigned,
        signed => Trusted::Signed(signed.clone()),
    };
    let texts = container
        .members()
        .iter()
        .map(|member| Text {
            name: format!("{name}/{}", member.name()),
            format: Format::from_file_name(member.name()),
            bytes: member.bytes().clone(),
        })
        .collect();
    let header = container.header().clone();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_lowercase();
    Source {
        official: trust.is_official(),
        container: Some((stem, kind, header.version())),
        report: report(Outcome::Loaded { trust, header: Some(Box::new(header)) }),
        texts,
    }
}

/// Of containers of one name in one folder takes the newest that verified; of
/// equal versions the `.cld`.
pub(super) fn choose(sources: &mut [Source]) {
    let mut best: HashMap<(std::path::PathBuf, String), (u32, bool, usize)> = HashMap::new();
    let key = |source: &Source| {
        let (stem, kind, version) = source.container.as_ref()?;
        let folder = source.report.path.parent().map(ToOwned::to_owned).unwrap_or_default();
        (*kind != Kind::Cud).then(|| ((folder, stem.clone()), (*version, *kind == Kind::Cld)))
    };
    for (at, source) in sources.iter().enumerate() {
        let loaded = matches!(source.report.outcome, Outcome::Loaded { .. });
        if let Some((key, (version, is_cld))) = key(source).filter(|_| loaded) {
            let entry = best.entry(key).or_insert((version, is_cld, at));
            if (version, is_cld) > (entry.0, entry.1) {
                *entry = (version, is_cld, at);
            }
        }
    }
    for (at, source) in sources.iter_mut().enumerate() {
        let Some((key, _)) = key(source) else { continue };
        let Some(&(.., chosen)) = best.get(&key) else { continue };
        match &mut source.report.outcome {
            Outcome::Loaded { .. } if chosen != at => {
                let reason = "a newer container of the same name was taken".to_owned();
                source.report.outcome = Outcome::PassedOver { reason };
                source.texts.clear();
            }
            Outcome::Refused { replaced, .. } => *replaced = true,
            _ => {}
        }
    }
}

/// Reads the lines of one text.
pub(super) fn admit(
    config: &Config,
    text: &Text,
    official: bool,
    builder: &mut SetBuilder,
    report: &mut LoadReport,
) -> Result<Counts, LoadError> {
    let mut counts = Counts::default();
    let Some(format) = text.format else {
        counts.lines = Lines::count_in(&text.bytes);
        counts.not_read = counts.lines;
        return Ok(counts);
    };
    if format.grammar() == Grammar::Catalogue {
        // Binary: it has no lines.
        counts.lines = 1;
        counts.not_read = 1;
        return Ok(counts);
    }
    builder.source(&text.name, official);
    if format.grammar() == Grammar::Ioc {
        let name = text.name.rsplit('/').next().unwrap_or_default();
        for (number, line) in ioc::lines(name, &text.bytes) {
            counts.lines += 1;
            match builder.line(format, number, line.as_bytes()) {
                Ok(admission) => counts.admission(admission),
                Err(error) => {
                    counts.error(error.kind().severity());
                    let line = line.as_bytes();
                    report.keep(Diagnostic::new(&text.name, number, line, error));
                }
            }
        }
        return Ok(counts);
    }
    if format.is_document() {
        return admit_document(config, text, format, builder, report);
    }
    if !config.strict && SetBuilder::takes_pieces(format) && text.bytes.len() > PIECE {
        return Ok(admit_pieces(config, text, format, builder, report));
    }
    let all = Lines::new(&text.bytes);
    let (counts, blank_before_end) = admit_lines(config, text, format, all, builder, report)?;
    if config.strict && format.is_read() {
        check_strictly(text, format, counts, blank_before_end)?;
    }
    Ok(counts)
}

/// Bytes of a piece, about: large enough that putting pieces together costs
/// little, small enough that all threads have some.
const PIECE: usize = 2 << 20;

/// Reads the lines of a text on all threads of the pool, in pieces that are put
/// together in their order.
fn admit_pieces(
    config: &Config,
    text: &Text,
    format: Format,
    builder: &mut SetBuilder,
    report: &mut LoadReport,
) -> Counts {
    let mut counts = Counts::default();
    let mut pieces = Lines::new(&text.bytes).pieces(PIECE).into_iter().peekable();
    // As many at a time as keep all threads busy, so that they are not all in
    // memory twice.
    let at_a_time = 4 * rayon::current_num_threads();
    while pieces.peek().is_some() {
        let wave: Vec<_> = pieces.by_ref().take(at_a_time).collect();
        let read: Vec<_> = wave
            .into_par_iter()
            .map(|lines| {
                let (mut piece, mut report) = (builder.piece(), LoadReport::default());
                let read = admit_lines(config, text, format, lines, &mut piece, &mut report);
                // Only a strict load ends at a line.
                let counts = read.map(|(counts, _)| counts).unwrap_or_default();
                (piece, counts, report)
            })
            .collect();
        for (piece, mut read, details) in read {
            if builder.has_room_for(&piece) {
                builder.append(&piece);
            } else {
                read.unsupported += std::mem::take(&mut read.admitted);
            }
            counts.add(&read);
            details.diagnostics.into_iter().for_each(|diagnostic| report.keep(diagnostic));
        }
    }
    counts
}

/// Reads lines; gives also the first blank one, if there is any.
fn admit_lines<'t>(
    config: &Config,
    text: &Text,
    format: Format,
    lines: Lines<'t>,
    builder: &mut SetBuilder,
    report: &mut LoadReport,
) -> Result<(Counts, Option<Line<'t>>), LoadError> {
    let mut counts = Counts::default();
    let mut blank_before_end = None;
    for line in lines {
        counts.lines += 1;
        if line.is_comment() {
            counts.comments += 1;
            continue;
        }
        if line.is_blank() {
            counts.blank += 1;
            blank_before_end = blank_before_end.or(Some(line));
            continue;
        }
        if !format.is_read() {
            counts.not_read += 1;
            continue;
        }
        match line.check().and_then(|()| builder.line(format, line.number, line.text)) {
            Ok(admission) => {
                counts.admission(admission);
                if config.strict && matches!(admission, quahog_sig::Admission::Odd(_)) {
                    let kind = quahog_sig::ErrorKind::Level;
                    let span = quahog_sig::Span::new(0, line.text.len());
                    return Err(strict(text, line, quahog_sig::Error::new(kind, span)));
                }
            }
            Err(error) => {
                let severity = error.kind().severity();
                counts.error(severity);
                // A container of an unknown type is refused, like magic for one.
                let typed = matches!(format.grammar(), Grammar::Container | Grammar::Magic);
                let refused = severity == Severity::Malformed
                    || typed && error.kind() == ErrorKind::FileTypeUnknown;
                if config.strict && refused {
                    return Err(strict(text, line, error));
                }
                report.keep(Diagnostic::new(&text.name, line.number, line.text, error));
            }
        }
    }
    Ok((counts, blank_before_end))
}

/// Reads a text whose entries are no lines. Each entry is counted as a line.
fn admit_document(
    config: &Config,
    text: &Text,
    format: Format,
    builder: &mut SetBuilder,
    report: &mut LoadReport,
) -> Result<Counts, LoadError> {
    let mut counts = Counts::default();
    let refusal = builder.document(format, &text.bytes, &mut |entry| {
        counts.lines += 1;
        match entry.outcome {
            Ok(admission) => counts.admission(admission),
            Err(error) => {
                counts.error(error.kind().severity());
                let Line { number, text: line } = entry.line;
                report.keep(Diagnostic::new(&text.name, number, line, error));
            }
        }
    });
    match refusal {
        Some(refusal) if config.strict => Err(strict(text, refusal.line, refusal.error)),
        _ => Ok(counts),
    }
}

/// What ClamAV refuses beside malformed lines.
fn check_strictly(
    text: &Text,
    format: Format,
    counts: Counts,
    blank: Option<Line<'_>>,
) -> Result<(), LoadError> {
    let blanks_allowed = matches!(format.grammar(), Grammar::Phishing | Grammar::Feature);
    if let Some(line) = blank.filter(|_| !blanks_allowed) {
        let kind = quahog_sig::ErrorKind::Blank;
        let span = quahog_sig::Span::new(0, line.text.len());
        return Err(strict(text, line, quahog_sig::Error::new(kind, span)));
    }
    let reason = match format.grammar() {
        Grammar::Ignore | Grammar::Phishing | Grammar::Feature => return Ok(()),
        Grammar::Magic | Grammar::Password if counts.admitted == 0 => "no entry was loaded",
        _ if counts.lines == 0 => "the file is empty",
        _ => return Ok(()),
    };
    Err(LoadError::StrictFile { file: text.name.clone(), reason: reason.to_owned() })
}

fn strict(text: &Text, line: Line<'_>, error: quahog_sig::Error) -> LoadError {
    LoadError::Strict(Box::new(Diagnostic::new(&text.name, line.number, line.text, error)))
}
