//! A load in parts: each file becomes a set of its own.
//!
//! [`live`](crate::live) makes a segment of every source, so that an update
//! compiles what changed and shares the rest. Ignore lists act across parts:
//! they are gathered from all of them before one is admitted.

use std::path::Path;

use bytes::Bytes;
use quahog_cvd::Kind;
use quahog_sig::ast::Ignore;
use quahog_sig::{Grammar, IgnoreList, Line, SetBuilder, SignatureSet, pace};
use sha2::{Digest, Sha256};

use super::files::{self, NotRead, Opened};
use super::load::{self, Container, Source};
use super::versions::Replayed;
use super::{Config, FileReport, LoadError, LoadReport, MemberReport, Outcome};

/// A file as it was read, before anything of it is believed.
pub(crate) struct RawPart {
    opened: Opened,
    named: bool,
}

/// What is remembered of a part to choose it again without reading it.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) file: FileReport,
    pub(crate) official: bool,
    container: Option<Container>,
    /// The entries of its ignore lists that its source may make.
    ignores: Vec<Vec<u8>>,
}

/// A file that was looked at.
pub(crate) struct Part {
    source: Source,
    facts: Option<Facts>,
}

/// Reads the files that the configuration names, of those that may be databases.
pub(crate) fn read(config: &Config, mut take: impl FnMut(RawPart)) -> Result<(), LoadError> {
    for path in &config.paths {
        let io = |error| LoadError::Io { path: path.clone(), error };
        let mut raws = Vec::new();
        let hold = |opened, named| raws.push(RawPart { opened, named });
        files::each(path, RawPart::is_candidate, |_| false, hold).map_err(io)?;
        // What came while the folder was read stands where it always would.
        raws.sort_by(|a, b| a.path().cmp(b.path()));
        raws.into_iter().for_each(&mut take);
    }
    Ok(())
}

impl RawPart {
    /// Whether a file may hold a database, by its name.
    pub(crate) fn is_candidate(path: &Path) -> bool {
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Kind::of(&name).is_some() || quahog_sig::Format::from_file_name(&name).is_some()
    }

    /// A file whose bytes are at hand.
    pub(crate) fn of(path: &Path, bytes: Bytes) -> RawPart {
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let opened = Opened { path: path.to_owned(), name, result: Ok(bytes), later: None };
        RawPart { opened, named: true }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.opened.path
    }

    /// The bytes, if it could be read.
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        self.opened.result.as_ref().ok()
    }

    /// Why the system did not let us read it, if it is there.
    pub(crate) fn denied(&self) -> Option<&std::io::Error> {
        match &self.opened.result {
            Err(NotRead::Io(error)) if error.kind() != std::io::ErrorKind::NotFound => Some(error),
            _ => None,
        }
    }

    /// The digest of its name and bytes.
    pub(crate) fn digest(&self) -> Option<[u8; 32]> {
        let bytes = self.bytes()?;
        let digest = pace::pieces(bytes).fold(Sha256::new(), Sha256::chain_update);
        Some(digest.finalize().into())
    }

    /// Verifies a container, or takes a loose file.
    pub(crate) fn open(self, config: &Config) -> Option<Part> {
        let source = load::source(config, self.opened, self.named)?;
        Some(Part { source, facts: None })
    }
}

impl Part {
    /// A part that is known and not read again.
    pub(crate) fn known(facts: &Facts) -> Part {
        let source = Source {
            report: facts.file.clone(),
            official: facts.official,
            texts: Vec::new(),
            container: facts.container.clone(),
            events: Vec::new(),
            replayed: None,
        };
        Part { source, facts: Some(facts.clone()) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.source.report.path
    }

    pub(crate) fn file(&self) -> &FileReport {
        &self.source.report
    }

    /// Whether it takes part.
    pub(crate) fn is_loaded(&self) -> bool {
        matches!(self.source.report.outcome, Outcome::Loaded { .. })
    }

    /// Why it was refused, unless a sibling took its place.
    pub(crate) fn refusal(&self) -> Option<&str> {
        match &self.source.report.outcome {
            Outcome::Refused { reason, replaced: false } => Some(reason),
            _ => None,
        }
    }

    /// Why it was refused, if for what was in force before.
    pub(crate) fn replayed(&self) -> Option<Replayed> {
        self.source.replayed
    }

    /// Adds its ignore lists to `list` and their lines to `digest`.
    pub(crate) fn ignores(&self, list: &mut IgnoreList, digest: &mut Sha256) {
        for line in self.ignore_lines() {
            if let Ok(entry) = Ignore::parse(&line) {
                list.add(&entry);
                digest.update(&line);
                digest.update(b"\n");
            }
        }
    }

    /// The lines of its ignore lists that its source may say.
    fn ignore_lines(&self) -> Vec<Vec<u8>> {
        if let Some(facts) = &self.facts {
            return facts.ignores.clone();
        }
        let texts = self.source.texts.iter();
        texts
            .filter_map(|text| Some((text, text.format?)))
            .filter(|(_, format)| format.grammar() == Grammar::Ignore)
            .flat_map(|(text, format)| {
                let said = move |line: &Line<'_>| text.confinement.admits_line(format, line.text);
                load::lines(text).filter(said).map(|line| line.text.to_vec())
            })
            .collect()
    }

    /// Bytes of text in it.
    pub(crate) fn text_bytes(&self) -> u64 {
        self.source.texts.iter().map(|text| text.bytes.len() as u64).sum()
    }

    /// The line that a signature came from.
    pub(crate) fn line(&self, name: &str, number: u32) -> Option<&[u8]> {
        let text = self.source.texts.iter().find(|text| text.name == name)?;
        load::lines(text).find(|line| line.number == number).map(|line| line.text)
    }

    /// Admits its lines.
    pub(crate) fn admit(
        &self,
        config: &Config,
        ignore: IgnoreList,
    ) -> Result<(SignatureSet, LoadReport), LoadError> {
        let mut builder = SetBuilder::new()
            .ignore(ignore)
            .pua(config.pua.clone())
            .phishing_signatures(config.phishing_signatures)
            .programs(config.programs);
        let mut report = LoadReport::default();
        let mut file = self.source.report.clone();
        report.events.extend(self.source.events.iter().cloned());
        for text in &self.source.texts {
            let counts =
                load::admit(config, text, self.source.official, &mut builder, &mut report)?;
            let (name, format) = (text.name.clone(), text.format);
            file.members.push(MemberReport { name, format, counts });
        }
        report.note(&file, &config.thresholds);
        report.files.push(file);
        Ok((builder.finish(), report))
    }

    /// What to remember of it; `file` is its report with the counts.
    pub(crate) fn facts(&self, file: FileReport) -> Facts {
        Facts {
            file,
            official: self.source.official,
            container: self.source.container.clone(),
            ignores: self.ignore_lines(),
        }
    }
}

/// Of containers of one name in one folder takes the newest that verified.
pub(crate) fn choose(parts: Vec<Part>) -> Vec<Part> {
    let (mut sources, facts): (Vec<_>, Vec<_>) =
        parts.into_iter().map(|part| (part.source, part.facts)).unzip();
    load::choose(&mut sources);
    sources.into_iter().zip(facts).map(|(source, facts)| Part { source, facts }).collect()
}
