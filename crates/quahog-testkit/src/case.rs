//! Hand-written cases: `testdata/<folder>/*.toml` at the workspace root.
//!
//! ```toml
//! # Gaps count the bytes skipped, and both bounds are inclusive.
//! [[case]]
//! name = "lower-bound-is-inclusive"
//! ndb = ["Test.Gap:0:*:4142{2-4}4344"]
//! haystack = 'AB..CD'
//! matches = [{ name = "Test.Gap", span = [0, 6] }]
//! ```
//!
//! | key | meaning |
//! |---|---|
//! | `name` | kebab-case, unique within its file |
//! | `db`, `ndb`, `ldb`, `hdb`, `hsb`, `fp`, `ign2` | lines of a database file of that kind |
//! | `files` | instead or besides: a table of file name and text |
//! | `haystack` | text with the escapes `\n \r \t \0 \\ \xHH`, so best in single quotes |
//! | `haystack_hex` | the same as hex digits |
//! | `haystack_runs` | the same as texts and how often each stands there: `[["ab", 3], [".", 1]]` |
//! | `targets` | targets whose signatures are searched, `[0]` if absent |
//! | `matches` | all signatures that match, with `span` and `count` where they matter |
//! | `error` | instead: why the set is refused; a text for the reader |
//! | `first` | whether the first match ends the search (whole scans only) |
//! | `clamscan` | names that clamscan 1.4.6 finds, where these are others |
//!
//! A `span` has to be one of those found; a `count` has to be equal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};
use std::ops::Range;
use std::path::PathBuf;

use serde::Deserialize;

/// One case of a folder.
#[derive(Clone, Debug)]
pub struct Case {
    /// File and name, such as `gap/lower-bound-is-inclusive`.
    pub name: String,
    /// Database files: name and text.
    pub files: Vec<(String, String)>,
    /// The bytes to search.
    pub haystack: Vec<u8>,
    /// Targets whose signatures are searched for.
    pub targets: Vec<u32>,
    /// What has to come out.
    pub expected: Expected,
    /// Whether the first match ends the search.
    pub first: bool,
    /// What clamscan finds, where that is something else: names of signatures.
    pub clamscan: Option<BTreeSet<String>>,
}

/// What a case expects.
#[derive(Clone, Debug)]
pub enum Expected {
    /// The set is refused; the text is for the reader.
    Error(String),
    /// Exactly these match.
    Matches(Vec<ExpectedMatch>),
}

/// A match that a case expects.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedMatch {
    /// Name of the signature, without `.UNOFFICIAL`.
    pub name: String,
    /// One of the places where it matches: start and end.
    pub span: Option<[usize; 2]>,
    /// How often it matches.
    pub count: Option<u64>,
}

/// A match that an implementation found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Name of the signature, without `.UNOFFICIAL`.
    pub name: String,
    /// Where it matches; empty if the implementation does not tell.
    pub spans: Vec<Range<usize>>,
    /// How often it matches; `None` if the implementation does not tell.
    pub count: Option<u64>,
}

/// The cases of a folder.
#[derive(Clone, Debug)]
pub struct Cases {
    cases: Vec<Case>,
}

/// Reads the cases of `testdata/<folder>`.
///
/// # Panics
///
/// If a file is malformed or there is none: it is the test that is wrong then.
pub fn cases(folder: &str) -> Cases {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(folder);
    let entries = std::fs::read_dir(&path)
        .unwrap_or_else(|error| panic!("testdata/{folder} cannot be read: {error}"));
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut cases = Vec::new();
    let mut names = BTreeSet::new();
    for file in files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{stem}.toml cannot be read: {error}"));
        let parsed: File =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{stem}.toml: {error}"));
        for table in parsed.case {
            let case = table
                .into_case(&stem)
                .unwrap_or_else(|(name, error)| panic!("{stem}.toml, {name}: {error}"));
            assert!(names.insert(case.name.clone()), "{} stands there twice", case.name);
            cases.push(case);
        }
    }
    assert!(!cases.is_empty(), "no cases in testdata/{folder}");
    Cases { cases }
}

impl Cases {
    /// Runs an implementation over all cases.
    ///
    /// It gives what it found, or an error where it refuses the signatures.
    ///
    /// # Panics
    ///
    /// If any case comes out otherwise; all such cases are listed.
    pub fn run<E: Display>(&self, mut implementation: impl FnMut(&Case) -> Result<Vec<Found>, E>) {
        let mut report = String::new();
        for case in &self.cases {
            let outcome = implementation(case).map_err(|error| error.to_string());
            if let Some(difference) = case.difference(&outcome) {
                let _ = writeln!(report, "{}: {difference}", case.name);
            }
        }
        assert!(report.is_empty(), "cases that differ:\n{report}");
    }

    /// The cases one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Case> {
        self.cases.iter()
    }
}

impl<'a> IntoIterator for &'a Cases {
    type Item = &'a Case;
    type IntoIter = std::slice::Iter<'a, Case>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Case {
    /// The names that clamscan finds; `None` if it refuses the set.
    pub fn names_of_clamscan(&self) -> Option<BTreeSet<String>> {
        match (&self.clamscan, &self.expected) {
            (Some(names), _) => Some(names.clone()),
            (None, Expected::Matches(all)) => Some(all.iter().map(|m| m.name.clone()).collect()),
            (None, Expected::Error(_)) => None,
        }
    }

    /// The bytes to search.
    pub fn haystack(&self) -> &[u8] {
        &self.haystack
    }

    /// How an outcome differs from what is expected.
    fn difference(&self, outcome: &Result<Vec<Found>, String>) -> Option<String> {
        let (expected, found) = match (&self.expected, outcome) {
            (Expected::Error(_), Err(_)) => return None,
            (Expected::Error(why), Ok(_)) => return Some(format!("not refused, though {why}")),
            (Expected::Matches(_), Err(error)) => return Some(format!("refused: {error}")),
            (Expected::Matches(expected), Ok(found)) => (expected, found),
        };
        let want: BTreeSet<&str> = expected.iter().map(|m| m.name.as_str()).collect();
        let got: BTreeSet<&str> = found.iter().map(|m| m.name.as_str()).collect();
        if want != got {
            return Some(format!("want {want:?}, got {got:?}"));
        }
        for expected in expected {
            let same_name = || found.iter().filter(|found| found.name == expected.name);
            if let Some(span) = expected.span {
                let told = || same_name().flat_map(|found| &found.spans);
                if told().next().is_some() && !told().any(|s| [s.start, s.end] == span) {
                    let got: Vec<_> = told().collect();
                    return Some(format!("{}: want span {span:?}, got {got:?}", expected.name));
                }
            }
            if let Some(count) = expected.count
                && let Some(found) = same_name().find(|found| found.count.is_some())
                && found.count != Some(count)
            {
                let got = found.count;
                return Some(format!("{}: want count {count}, got {got:?}", expected.name));
            }
        }
        None
    }
}

/// A whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Table>,
}

/// A `[[case]]` table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: String,
    #[serde(default)]
    db: Vec<String>,
    #[serde(default)]
    ndb: Vec<String>,
    #[serde(default)]
    ldb: Vec<String>,
    #[serde(default)]
    hdb: Vec<String>,
    #[serde(default)]
    hsb: Vec<String>,
    #[serde(default)]
    fp: Vec<String>,
    #[serde(default)]
    ign2: Vec<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    haystack: Option<String>,
    haystack_hex: Option<String>,
    haystack_runs: Option<Vec<(String, usize)>>,
    #[serde(default)]
    first: bool,
    clamscan: Option<BTreeSet<String>>,
    targets: Option<Vec<u32>>,
    matches: Option<Vec<ExpectedMatch>>,
    error: Option<String>,
}

impl Table {
    fn into_case(self, stem: &str) -> Result<Case, (String, &'static str)> {
        let name = self.name.clone();
        self.convert(stem).map_err(|error| (name, error))
    }

    fn convert(self, stem: &str) -> Result<Case, &'static str> {
        let mut files: Vec<(String, String)> = self.files.into_iter().collect();
        for (extension, lines) in [
            ("db", self.db),
            ("ndb", self.ndb),
            ("ldb", self.ldb),
            ("hdb", self.hdb),
            ("hsb", self.hsb),
            ("fp", self.fp),
            ("ign2", self.ign2),
        ] {
            if !lines.is_empty() {
                files.push((format!("case.{extension}"), lines.join("\n")));
            }
        }
        let runs = match (self.haystack, self.haystack_runs) {
            (Some(text), None) => Some(vec![(text, 1)]),
            (None, runs) => runs,
            _ => return Err("has two haystacks"),
        };
        let haystack = match (runs, self.haystack_hex) {
            (Some(runs), None) => {
                let mut haystack = Vec::new();
                for (text, times) in runs {
                    let bytes = unescape(&text).ok_or("an escape of the haystack is unknown")?;
                    haystack.extend(bytes.repeat(times));
                }
                haystack
            }
            (None, Some(digits)) => crate::hex(&digits).ok_or("haystack_hex is not hex")?,
            (None, None) if self.error.is_some() => Vec::new(),
            _ => return Err("needs one of haystack, haystack_hex and haystack_runs"),
        };
        let expected = match (self.matches, self.error) {
            (Some(matches), None) => Expected::Matches(matches),
            (None, Some(error)) => Expected::Error(error),
            _ => return Err("needs matches or error"),
        };
        if files.is_empty() {
            return Err("has no signature");
        }
        let targets = self.targets.unwrap_or_else(|| vec![0]);
        let name = format!("{stem}/{}", self.name);
        let (first, clamscan) = (self.first, self.clamscan);
        Ok(Case { name, files, haystack, targets, expected, first, clamscan })
    }
}

/// Resolves `\n \r \t \0 \\ \xHH`; other characters stand for their UTF-8.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&escape, after) = rest.split_first()?;
        rest = after;
        bytes.push(match escape {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                let digits = std::str::from_utf8(digits).ok()?;
                u8::from_str_radix(digits, 16).ok()?
            }
            _ => return None,
        });
    }
    Some(bytes)
}
