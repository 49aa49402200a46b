//! Many regular expressions, searched together.

use quahog_sig::model::Regex;
use regex_automata::meta;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind, PatternSet};

use crate::engine::BuildError;

/// Expressions in groups: those of a group are searched in one pass.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    regex: meta::Regex,
    /// The caller's numbers of its expressions.
    rows: Vec<u32>,
}

impl Patterns {
    /// Compiles expressions, each with a number by which it is reported.
    ///
    /// # Errors
    ///
    /// An expression cannot be compiled, which its bounds should prevent.
    pub(crate) fn new<'s>(
        expressions: impl Iterator<Item = (u32, Regex<'s>)>,
    ) -> Result<Patterns, BuildError> {
        let mut groups = Vec::new();
        let mut texts: Vec<&str> = Vec::new();
        let mut rows = Vec::new();
        let mut expansion = 0;
        for (row, expression) in expressions {
            let full = texts.len() >= MAX_IN_GROUP
                || expansion + expression.expansion > MAX_EXPANSION_OF_GROUP;
            if full && !texts.is_empty() {
                groups.push(Group::new(&texts, std::mem::take(&mut rows))?);
                texts.clear();
                expansion = 0;
            }
            let text = std::str::from_utf8(expression.text)
                .map_err(|error| BuildError::TooLarge(error.to_string()))?;
            texts.push(text);
            rows.push(row);
            expansion += expression.expansion;
        }
        if !texts.is_empty() {
            groups.push(Group::new(&texts, rows)?);
        }
        Ok(Patterns { groups })
    }

    /// The passes that a search takes.
    pub(crate) fn n_passes(&self) -> usize {
        self.groups.len()
    }

    /// Calls `found` with the number of each expression that matches anywhere
    /// in `text`, or in the last 4 KiB of it.
    pub(crate) fn matching(&self, text: &[u8], mut found: impl FnMut(u32)) {
        for group in &self.groups {
            // PERF: a failed search costs no allocation.
            if !group.regex.is_match(input(text)) {
                continue;
            }
            let mut set = PatternSet::new(group.rows.len());
            group.regex.which_overlapping_matches(&input(text), &mut set);
            for id in set.iter() {
                if let Some(&row) = group.rows.get(id.as_usize()) {
                    found(row);
                }
            }
        }
    }

    /// Whether any expression matches anywhere in `text`.
    pub(crate) fn any(&self, text: &[u8]) -> bool {
        self.groups.iter().any(|group| group.regex.is_match(input(text)))
    }
}

impl Group {
    fn new(texts: &[&str], rows: Vec<u32>) -> Result<Group, BuildError> {
        let config = meta::Config::new()
            .utf8_empty(false)
            .match_kind(MatchKind::All)
            .nfa_size_limit(None)
            .hybrid_cache_capacity(CACHE);
        let syntax = syntax::Config::new().utf8(false).unicode(false).nest_limit(NESTING);
        let regex = meta::Builder::new()
            .configure(config)
            .syntax(syntax)
            .build_many(texts)
            .map_err(|error| BuildError::TooLarge(error.to_string()))?;
        Ok(Group { regex, rows })
    }
}

/// What is searched of a text: all of it, or of a very long one the end. That
/// keeps one search short, whatever expressions and text are.
fn input(text: &[u8]) -> Input<'_> {
    Input::new(text).range(text.len().saturating_sub(MAX_TEXT)..)
}

/// Bytes of a text that are searched.
const MAX_TEXT: usize = 4_096;

/// Expressions of a group, and how large they are together.
const MAX_IN_GROUP: usize = 128;
const MAX_EXPANSION_OF_GROUP: usize = 20_000;

/// Bytes of each lazy automaton of a group.
const CACHE: usize = 256 << 10;

/// Translated expressions nest to about two hundred.
const NESTING: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use quahog_sig::ast::Field;
    use quahog_sig::{Span, ere};

    fn patterns(expressions: &[&str]) -> Patterns {
        let translated: Vec<_> = expressions
            .iter()
            .map(|text| {
                let mut out = Vec::new();
                let span = Span::new(0, text.len());
                let field = Field { text: text.as_bytes(), span };
                (ere::translate(field, &mut out).unwrap().expansion, out)
            })
            .collect();
        let numbered = translated.iter().enumerate();
        let numbered = numbered
            .map(|(row, (expansion, text))| (row as u32, Regex { text, expansion: *expansion }));
        Patterns::new(numbered).unwrap()
    }

    #[test]
    fn all_that_match_are_named_whatever_their_group() {
        let expressions: Vec<String> = (0..300).map(|n| format!("^a*{n}$")).collect();
        let expressions: Vec<&str> = expressions.iter().map(String::as_str).collect();
        let patterns = patterns(&expressions);
        assert_eq!(patterns.n_passes(), 3);
        for n in [0, 127, 128, 299] {
            let mut found = Vec::new();
            patterns.matching(format!("aa{n}").as_bytes(), |row| found.push(row));
            assert_eq!(found, [n]);
        }
        assert!(!patterns.any(b"aa300"));
    }

    #[test]
    fn translations_mean_what_clamscan_means() {
        let names = [
            "Shipment x.exe.doc",
            "a+b.txt",
            "aab.txt",
            "A.TXT",
            "tab\there",
            "{x}",
            "a{2}",
            "back\\slash",
            "a]b",
            "x-y",
            "b",
            "d",
            "s1",
            "w",
            "a^b",
            "a$b",
            "a,b",
        ];
        for (expression, expected) in [
            ("(?i)shipment.{0,50}\\.exe", &[0][..]),
            ("a+b", &[2, 4]),
            ("\\t", &[0, 1, 2, 4]),
            ("a{", &[6]),
            ("\\<a", &[1, 2, 6, 8, 14, 15, 16]),
            ("[^]a]", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
            ("[\\\\]", &[7]),
            ("x{0}b", &[1, 2, 4, 7, 8, 10, 14, 15, 16]),
            ("a^b", &[]),
            ("a\\$b", &[15]),
            ("^$", &[]),
            ("(^a)", &[1, 2, 6, 8, 14, 15, 16]),
        ] {
            let patterns = patterns(&[expression]);
            let found: Vec<usize> =
                (0..names.len()).filter(|&at| patterns.any(names[at].as_bytes())).collect();
            assert_eq!(found, expected, "{expression}");
        }
    }

    #[test]
    fn the_largest_expression_compiles() {
        let patterns = patterns(&["((a{100}){100}){2}", "[bdfhjlnprtvxz]{255}", "([^a]{100}){99}"]);
        assert!(patterns.any(&[b'b'; 255]));
        assert!(!patterns.any(&[b'b'; 254]));
    }
}
