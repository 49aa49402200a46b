//! Regular expressions of YARA strings: compiled, searched, and the literals
//! without which they cannot match.

use quahog_sig::SignatureSet;
use quahog_sig::model::YaraString;
use rayon::prelude::*;
use regex_automata::Input;
use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;
use regex_syntax::hir::{Class, ClassBytesRange, ClassUnicodeRange, Hir, HirKind};

use crate::BuildError;
use crate::prefilter::expense;

/// The largest automaton of one expression. What the set lets through stays
/// far below.
const MAX_AUTOMATON: usize = 64 << 20;

/// The compiled expressions of a set, by the position of their strings.
#[derive(Debug, Default)]
pub(crate) struct Regexes {
    rows: Vec<u32>,
    compiled: Vec<Regex>,
}

impl Regexes {
    /// Compiles all expressions.
    ///
    /// # Errors
    ///
    /// One of them is too large.
    pub(crate) fn new(set: &SignatureSet) -> Result<Regexes, BuildError> {
        let texts: Vec<(u32, &[u8])> = set
            .yara_strings()
            .enumerate()
            .filter_map(|(row, string)| match string {
                // A set holds less than 2^29 strings.
                YaraString::Regex(text) => Some((row as u32, text)),
                YaraString::Pattern { .. } => None,
            })
            .collect();
        let rows = texts.iter().map(|&(row, _)| row).collect();
        let compiled = texts.into_par_iter().map(|(_, text)| compile(text)).collect();
        Ok(Regexes { rows, compiled: Result::<_, BuildError>::from_iter::<Vec<_>>(compiled)? })
    }

    /// The first match of the expression of a string.
    pub(crate) fn find(&self, row: usize, bytes: &[u8]) -> Option<(usize, usize)> {
        let row = u32::try_from(row).ok()?;
        let regex = self.compiled.get(self.rows.binary_search(&row).ok()?)?;
        // The expression's own pool of caches would keep some megabytes for
        // each of them and each thread.
        let mut cache = regex.create_cache();
        let found = regex.search_with(&mut cache, &Input::new(bytes))?;
        Some((found.start(), found.end()))
    }
}

/// Bytes, not characters.
fn syntax_of() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false)
}

fn compile(text: &[u8]) -> Result<Regex, BuildError> {
    // The set writes ASCII only.
    let text = String::from_utf8_lossy(text);
    let config = Config::new().utf8_empty(false).nfa_size_limit(Some(MAX_AUTOMATON));
    Regex::builder()
        .configure(config)
        .syntax(syntax_of())
        .build(&text)
        .map_err(|error| BuildError::TooLarge(format!("a regular expression: {error}")))
}

/// Literals in lower case, one of which stands in every match; none if there
/// are no good ones.
pub(super) fn literals(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let text = String::from_utf8_lossy(text);
    let hir = syntax::parse_with(&text, &syntax_of()).ok()?;
    needed(&hir)
}

/// The texts of [`literals`]. Groups nest at most as deep as the set lets them.
fn needed(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Capture(capture) => needed(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => needed(&repetition.sub),
        HirKind::Alternation(branches) => {
            let all: Option<Vec<_>> = branches.iter().map(needed).collect();
            all.map(|all| all.into_iter().flatten().collect())
        }
        HirKind::Concat(items) => {
            let mut best: Option<Vec<Vec<u8>>> = None;
            let mut run = Vec::new();
            for item in items {
                if let Some(exact) = exact(item) {
                    run.extend_from_slice(&exact);
                    continue;
                }
                best = better(best, one(std::mem::take(&mut run)));
                best = better(best, needed(item));
            }
            better(best, one(run))
        }
        _ => exact(hir).and_then(one),
    }
}

/// The bytes, in lower case, that an expression always takes.
fn exact(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(text) => Some(text.0.to_ascii_lowercase()),
        HirKind::Class(class) => {
            let mut bytes = match class {
                Class::Bytes(class) => {
                    let ranges = class.ranges();
                    if ranges.iter().map(ClassBytesRange::len).sum::<usize>() > 2 {
                        return None;
                    }
                    let bytes = ranges.iter().flat_map(|range| range.start()..=range.end());
                    bytes.collect::<Vec<u8>>()
                }
                Class::Unicode(class) => {
                    let ranges = class.ranges();
                    if ranges.iter().map(ClassUnicodeRange::len).sum::<usize>() > 2 {
                        return None;
                    }
                    let chars = ranges.iter().flat_map(|range| range.start()..=range.end());
                    chars
                        .map(|c| u8::try_from(c).ok().filter(u8::is_ascii))
                        .collect::<Option<_>>()?
                }
            };
            bytes.iter_mut().for_each(|byte| *byte = byte.to_ascii_lowercase());
            bytes.dedup();
            (bytes.len() == 1).then_some(bytes)
        }
        _ => None,
    }
}

fn one(run: Vec<u8>) -> Option<Vec<Vec<u8>>> {
    (run.len() > 1).then(|| vec![run])
}

/// The list that costs less to look for.
fn better(a: Option<Vec<Vec<u8>>>, b: Option<Vec<Vec<u8>>>) -> Option<Vec<Vec<u8>>> {
    let cost = |list: &Vec<Vec<u8>>| list.iter().map(|text| expense(text)).sum::<f64>();
    match (a, b) {
        (Some(a), Some(b)) => Some(if cost(&a) <= cost(&b) { a } else { b }),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_needed_by_every_match() {
        let texts = |regex: &str| {
            literals(regex.as_bytes()).map(|list| {
                list.into_iter().map(|t| String::from_utf8(t).unwrap()).collect::<Vec<_>>()
            })
        };
        let list = |texts: &[&str]| Some(texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(texts("ab(?:cd)?xyzq+"), list(&["xyz"]));
        assert_eq!(texts("(?:hello|world)\\x20?"), list(&["hello", "world"]));
        assert_eq!(texts("(?i)HeLLo"), list(&["hello"]));
        assert_eq!(texts("(?:abc|d)"), None);
        assert_eq!(texts("[\\x00-\\xff]*"), None);
        assert_eq!(texts("(?:xyz){2,}a"), list(&["xyz"]));
    }
}
