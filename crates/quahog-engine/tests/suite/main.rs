//! The engine held to the reference interpreter and to the cases.

mod containers;
mod exe;
mod yara;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use quahog_engine::{Engine, Hit, Layer, Look, Scratch, Unmetered};
use quahog_sig::ast::Ignore;
use quahog_sig::model::{FileType, Target};
use quahog_sig::{
    Admission, Error, ErrorKind, Format, IgnoreList, Lines, SetBuilder, Severity, SignatureSet,
    Span,
};
use quahog_testkit::ArbitraryCase;
use quahog_testkit::reference::{self, Options};

/// Reads database files; gives the set and the lines that ClamAV refuses.
fn read(files: &[(String, String)]) -> (SignatureSet, BTreeMap<(String, usize), Error>) {
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
fn scan(engine: &Engine, haystack: &[u8], targets: &[u32]) -> Vec<Hit> {
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

fn names(engine: &Engine, hits: &[Hit]) -> BTreeSet<String> {
    hits.iter().map(|hit| engine.reported_name(hit.segment, hit.id)).collect()
}

/// Says how the engine and the reference differ on a case, if they do.
fn difference(case: &ArbitraryCase) -> Option<String> {
    let database = reference::Database::load(&case.files, &Options::default()).expect("lenient");
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

/// Seeds of a random test: the first so many, or those of a soak.
///
/// `QUAHOG_SEEDS=1000000` runs so many, `QUAHOG_FIRST_SEED=5000000` from this one
/// on, so that slices of a soak repeat nothing.
fn seeds(default: u64) -> Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first: u64 = number("QUAHOG_FIRST_SEED").unwrap_or(0);
    first..first.saturating_add(number("QUAHOG_SEEDS").unwrap_or(default))
}

#[test]
fn random_cases_agree_with_the_reference() {
    let seeds = seeds(3_000);
    let mut differing = 0;
    let mut with_matches = 0;
    for seed in seeds.clone() {
        let case = ArbitraryCase::from_seed(seed);
        if let Some(difference) = difference(&case) {
            differing += 1;
            if differing <= 5 {
                println!("seed {seed}: {difference}\n{case:?}\n");
            }
        }
        let database =
            reference::Database::load(&case.files, &Options::default()).expect("lenient");
        with_matches += u64::from(!database.matches(&case.view()).is_empty());
    }
    let n_cases = seeds.end - seeds.start;
    println!("{n_cases} cases, {with_matches} with matches, {differing} differ");
    assert_eq!(differing, 0);
    assert!(with_matches * 4 > n_cases, "the generator makes too few matches");
}

#[test]
fn testdata_match() {
    quahog_testkit::cases("match").run(|case| {
        let (set, refused) = read(&case.files);
        let malformed = |error: &&Error| error.kind().severity() == Severity::Malformed;
        if let Some(error) = refused.values().find(malformed) {
            return Err(*error);
        }
        let engine = Engine::new(set).expect("an engine");
        let hits = scan(&engine, case.haystack(), &case.targets);
        let found = |hit: &Hit| {
            let name = engine.reported_name(hit.segment, hit.id);
            quahog_testkit::Found {
                name: name.strip_suffix(".UNOFFICIAL").unwrap_or(&name).to_owned(),
                spans: hit.span.clone().into_iter().collect(),
                count: None,
            }
        };
        Ok(hits.iter().map(found).collect())
    });
}
