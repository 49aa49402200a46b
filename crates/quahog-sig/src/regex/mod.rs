//! Regular expressions: the text between the slashes of a subsignature.
//!
//! The syntax is that of PCRE2 10.42 without UTF: a pattern and its subject
//! are bytes, only ASCII letters have case, `\d`, `\s` and `\w` are ASCII.
//! [`Regex::parse`] turns the text into a tree in which all flags are
//! resolved: a caseless letter is a set of two bytes, `.` is a set, `$` says
//! which of its three meanings it has. So whoever runs a tree needs to know
//! nothing of the syntax, and no other library's idea of it can creep in.
//!
//! What PCRE2 refuses is an error of the line. What PCRE2 knows and we do not
//! run (subroutine calls, Unicode properties, backtracking verbs, callouts) is
//! [`Unsupported`](crate::ErrorKind::Unsupported), by name; nothing is read as
//! something else. Searching is no business of this module.
//!
//! Parsing takes time about linear in the text, and parentheses may be nested
//! 250 deep, as in PCRE2.
//!
//! ```
//! use quahog_sig::regex::{Flags, Node, Regex};
//!
//! let regex = Regex::parse(b"a(?:b|[c-e])$", Flags::default()).unwrap();
//! assert_eq!(regex.n_groups(), 0);
//! let error = Regex::parse(b"a(b", Flags::default()).unwrap_err();
//! assert_eq!(error.kind().code(), "regex");
//! assert_eq!(error.span().range(), 3..3);
//! ```

mod parse;
mod set;

pub use set::ByteSet;

use crate::Error;

/// The letters after the last slash.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Flags(u16);

impl Flags {
    /// `g`: count all hits that do not overlap.
    pub const GLOBAL: Flags = Flags(1 << 0);
    /// `r`: search from the offset on instead of matching at it.
    pub const ROLLING: Flags = Flags(1 << 1);
    /// `e`: the maximum shift of the offset encloses the match.
    pub const ENCOMPASS: Flags = Flags(1 << 2);
    /// `i`: letters in either case.
    pub const CASELESS: Flags = Flags(1 << 3);
    /// `s`: `.` is any byte.
    pub const DOTALL: Flags = Flags(1 << 4);
    /// `m`: `^` and `$` match at lines.
    pub const MULTILINE: Flags = Flags(1 << 5);
    /// `x`: blanks and comments mean nothing.
    pub const EXTENDED: Flags = Flags(1 << 6);
    /// `A`: matches at the start only.
    pub const ANCHORED: Flags = Flags(1 << 7);
    /// `E`: `$` is the very end, not the place before a last line feed too.
    pub const DOLLAR_END_ONLY: Flags = Flags(1 << 8);
    /// `U`: `+` is lazy and `+?` greedy.
    pub const UNGREEDY: Flags = Flags(1 << 9);

    /// The flag of a letter.
    pub fn of_letter(letter: u8) -> Option<Flags> {
        Some(match letter {
            b'g' => Flags::GLOBAL,
            b'r' => Flags::ROLLING,
            b'e' => Flags::ENCOMPASS,
            b'i' => Flags::CASELESS,
            b's' => Flags::DOTALL,
            b'm' => Flags::MULTILINE,
            b'x' => Flags::EXTENDED,
            b'A' => Flags::ANCHORED,
            b'E' => Flags::DOLLAR_END_ONLY,
            b'U' => Flags::UNGREEDY,
            _ => return None,
        })
    }

    /// Whether all of `other` are set.
    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    pub fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// The letters.
    pub fn letters(self) -> String {
        let set = |letter: &char| {
            u8::try_from(*letter).ok().and_then(Flags::of_letter).is_some_and(|f| self.has(f))
        };
        "greismxAEU".chars().filter(set).collect()
    }

    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    pub(crate) fn from_bits(bits: u16) -> Flags {
        Flags(bits)
    }
}

/// A parsed regular expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Regex {
    root: Node,
    n_groups: u32,
}

/// A part of a regular expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// The first of these that leads to a match.
    Alternate(Vec<Node>),
    /// A test that consumes nothing.
    Assert(Assertion),
    /// Keeps the first match of what is inside, without trying others.
    Atomic(Box<Node>),
    /// The bytes that a group matched; fails if it matched nothing yet.
    Backreference {
        /// The number of the group.
        group: u32,
        /// Whether letters may differ in case.
        caseless: bool,
    },
    /// One of two, by a test.
    Conditional {
        /// The test.
        condition: Condition,
        /// If it holds.
        yes: Box<Node>,
        /// If not.
        no: Box<Node>,
    },
    /// One after the other.
    Concat(Vec<Node>),
    /// Nothing.
    Empty,
    /// Remembers what is inside as a group.
    Group {
        /// Its number, from 1.
        index: u32,
        /// What it holds.
        node: Box<Node>,
    },
    /// Looks ahead or behind.
    Look {
        /// Behind the place, not ahead of it: the branches and their lengths.
        behind: Option<Vec<(Node, u32)>>,
        /// What must stand ahead; nothing for a look behind.
        ahead: Box<Node>,
        /// Whether it must not match.
        negate: bool,
    },
    /// Again and again.
    Repeat {
        /// What.
        node: Box<Node>,
        /// At least so often.
        min: u32,
        /// At most so often; `None` for no limit.
        max: Option<u32>,
        /// Whether fewer are tried first.
        lazy: bool,
    },
    /// One byte out of a set; an empty set never matches.
    Set(ByteSet),
}

/// A test that consumes nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Assertion {
    /// `\z`: the end.
    End,
    /// `$`, `\Z`: the end, or before a line feed that ends the subject.
    EndOrLastLine,
    /// `$` with `m`: the end, or before a line feed.
    LineEnd,
    /// `^` with `m`: the start, or after a line feed that is not the last byte.
    LineStart,
    /// `\B`
    NotWordBoundary,
    /// `\G`: where the search began.
    SearchStart,
    /// `\A`: the start.
    Start,
    /// `\b`
    WordBoundary,
}

/// The test of a conditional.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A group has matched.
    Group(u32),
    /// A look around succeeds.
    Look(Box<Node>),
    /// Never: `(?(DEFINE)...)`.
    Never,
}

impl Regex {
    /// Parses a pattern. `flags` that do not change the syntax mean nothing.
    ///
    /// # Errors
    ///
    /// PCRE2 refuses the pattern, or it has what is not supported here.
    pub fn parse(text: &[u8], flags: Flags) -> Result<Regex, Error> {
        parse::parse(text, flags)
    }

    /// The whole of it.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The number of groups that remember what they matched.
    pub fn n_groups(&self) -> u32 {
        self.n_groups
    }
}

impl Node {
    /// The fewest bytes that it consumes; never more than there are.
    pub fn min_len(&self) -> usize {
        match self {
            Node::Alternate(nodes) => nodes.iter().map(Node::min_len).min().unwrap_or(0),
            Node::Atomic(node) | Node::Group { node, .. } => node.min_len(),
            Node::Concat(nodes) => {
                nodes.iter().fold(0, |sum: usize, node| sum.saturating_add(node.min_len()))
            }
            Node::Conditional { yes, no, .. } => yes.min_len().min(no.min_len()),
            Node::Repeat { node, min, .. } => node.min_len().saturating_mul(*min as usize),
            Node::Set(_) => 1,
            Node::Assert(_) | Node::Backreference { .. } | Node::Empty | Node::Look { .. } => 0,
        }
    }

    /// The number of bytes that it consumes, if that is always the same and
    /// PCRE2 sees it: all branches of an alternate must have the same length.
    fn fixed_len(&self) -> Option<u32> {
        match self {
            Node::Alternate(nodes) => {
                let mut lengths = nodes.iter().map(Node::fixed_len);
                let first = lengths.next()??;
                lengths.all(|len| len == Some(first)).then_some(first)
            }
            Node::Assert(_) | Node::Empty | Node::Look { .. } => Some(0),
            Node::Atomic(node) | Node::Group { node, .. } => node.fixed_len(),
            // A length that is only known while matching has no place behind.
            Node::Backreference { .. } => None,
            Node::Conditional { yes, no, .. } => {
                let len = yes.fixed_len()?;
                (no.fixed_len()? == len).then_some(len)
            }
            Node::Concat(nodes) => {
                nodes.iter().try_fold(0u32, |sum, node| sum.checked_add(node.fixed_len()?))
            }
            Node::Repeat { node, min, max, .. } => {
                // How often a look is repeated makes no difference.
                if matches!(**node, Node::Look { .. }) {
                    return Some(0);
                }
                (*max == Some(*min)).then(|| node.fixed_len()?.checked_mul(*min)).flatten()
            }
            Node::Set(_) => Some(1),
        }
    }
}
