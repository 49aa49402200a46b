//! The engine refuses the lines that the reference interpreter refuses, and
//! finds exactly the names that it finds.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::{Arbitrary, Unstructured};
use quahog_engine::{Engine, Hit, Layer, Look, Scratch, Unmetered};
use quahog_sig::ast::Ignore;
use quahog_sig::model::{FileType, Target};
use quahog_sig::{
    Admission, Error, ErrorKind, Format, IgnoreList, Lines, SetBuilder, Severity, SignatureSet,
    Span,
};
use quahog_testkit::ArbitraryCase;
use quahog_testkit::reference::{self, Options};

/// Holds the case that `data` makes to that.
pub(crate) fn run(data: &[u8]) {
    let Ok(case) = ArbitraryCase::arbitrary_take_rest(Unstructured::new(data)) else { return };
    if case.haystack.len() > 4096 {
        return;
    }
    if let Some(difference) = difference(&case) {
        panic!("{difference}\n{case:?}");
    }
}

/// Reads database files; gives the set and the lines that ClamAV refuses.
pub(crate) fn read(files: &[(String, String)]) -> (SignatureSet, BTreeMap<(String, usize), Error>) {
    let mut ignore = IgnoreList::default();
    for (_, text) in files.iter().filter(|(name, _)| name.contains(".ign")) {
        for line in Lines::new(text.as_bytes()).filter(|line| !line.is_comment()) {
            // A bad line is refused below.
            if let Ok(entry) = Ignore::parse(line.text) {
                ignore.add(&entry);
            }
        }
    }
    let mut builder = SetBuilder::new().strict_frames(true).ignore(ignore);
    let mut refused = BTreeMap::new();
    for (name, text) in files {
        let format = Format::from_file_name(name).expect("a known extension");
        builder.source(name, false);
        for line in Lines::new(text.as_bytes()).filter(|line| !line.is_comment()) {
            let whole = Span::new(0, line.text.len());
            let outcome = match builder.line(format, line.number, line.text) {
                _ if line.is_blank() => Err(Error::new(ErrorKind::Blank, whole)),
                Ok(Admission::Odd(_)) => Err(Error::new(ErrorKind::Level, whole)),
                other => other.map(|_| ()),
            };
            if let Err(error) = outcome {
                refused.insert((name.clone(), line.number as usize), error);
            }
        }
    }
    (builder.finish(), refused)
}

/// Scans a haystack as a layer whose type has the given target.
pub(crate) fn scan(engine: &Engine, haystack: &[u8], targets: &[u32]) -> Vec<Hit> {
    let types = [
        FileType::BINARY_DATA,
        FileType::MSOLE2,
        FileType::MAIL,
        FileType::MSEXE,
        FileType::ELF,
        FileType::MACHO,
    ];
    let wanted = targets.iter().find(|&&t| t != 0).and_then(|&t| Target::new(t));
    let file_type = types
        .into_iter()
        .find(|&t| wanted.is_some() && Target::of_raw(t) == wanted)
        .unwrap_or(FileType::ZIP);
    let layer = Layer::new(haystack, file_type, None);
    let mut hits = Vec::new();
    engine
        .scan(&layer, Look::Raw, &mut Scratch::default(), &Unmetered, &mut hits)
        .expect("nothing calls it off");
    if engine.allows(&layer) {
        hits.clear();
    }
    hits
}

pub(crate) fn names(engine: &Engine, hits: &[Hit]) -> BTreeSet<String> {
    hits.iter().map(|hit| engine.reported_name(hit.segment, hit.id)).collect()
}

/// Says how the engine and the reference differ on a case, if they do.
pub(crate) fn difference(case: &ArbitraryCase) -> Option<String> {
    let Ok(database) = reference::Database::load(&case.files, &Options::default()) else {
        return Some("the reference cannot be lenient".to_owned());
    };
    let verdict = database.verdict(&case.view());
    let (set, refused) = read(&case.files);
    for error in database.refused() {
        if !refused.contains_key(&(error.file.clone(), error.line)) {
            return Some(format!("only the reference refuses {error}"));
        }
    }
    for ((file, line), error) in &refused {
        let known = database.refused().iter().any(|e| e.file == *file && e.line == *line);
        // The reference does not judge the less plain regular expressions.
        let judged = !matches!(error.kind(), ErrorKind::Regex(_));
        if !known && judged && error.kind().severity() == Severity::Malformed {
            return Some(format!("only the engine refuses {file}:{line}: {error}"));
        }
    }
    let engine = Engine::new(set).expect("an engine");
    let mut found = names(&engine, &scan(&engine, &case.haystack, &case.targets));
    for (_, name) in &verdict.unsupported {
        found.remove(&format!("{name}.UNOFFICIAL"));
    }
    (found != verdict.names)
        .then(|| format!("reference: {:?}\nengine:    {found:?}", verdict.names))
}
