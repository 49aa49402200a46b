//! From the tree to an automaton, where there is one.

use quahog_sig::regex::{Assertion, ByteSet, Node};
use regex_automata::meta;
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, Look, Repetition};

/// Bytes that a compiled automaton may take before another machine is used.
const MAX_SIZE: usize = 4 << 20;
/// Bytes that the states of a search may take; they are dropped after it.
const MAX_CACHE: usize = 1 << 20;
/// How deep a tree may nest: building an automaton recurses, with large frames.
const MAX_DEPTH: u8 = 60;

/// How well an automaton fits its tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fit {
    /// Matches start and end where they should.
    Exact,
    /// Matches start where they should; some may end elsewhere.
    Starts,
    /// It matches wherever the tree does, and perhaps elsewhere.
    Larger,
}

/// An automaton for a tree, if there is one that fits so well.
pub(super) fn compile(node: &Node, fit: Fit) -> Option<meta::Regex> {
    build(&convert(node, Place { last: true, bytes_follow: false, depth: 0 }, fit)?)
}

fn build(hir: &Hir) -> Option<meta::Regex> {
    let config = meta::Config::new()
        .utf8_empty(false)
        .nfa_size_limit(Some(MAX_SIZE))
        .hybrid_cache_capacity(MAX_CACHE)
        .onepass(false);
    meta::Builder::new().configure(config).build_from_hir(hir).ok()
}

/// What stands behind a node.
#[derive(Clone, Copy)]
struct Place {
    /// Nothing does.
    last: bool,
    /// At least one byte does.
    bytes_follow: bool,
    /// In how many nodes the node stands.
    depth: u8,
}

/// `None` if nothing fits, or it nests too deep.
fn convert(node: &Node, mut place: Place, fit: Fit) -> Option<Hir> {
    place.depth += 1;
    if place.depth > MAX_DEPTH {
        return None;
    }
    let unless_exact = |hir: Hir| (fit == Fit::Larger).then_some(hir);
    Some(match node {
        Node::Alternate(nodes) => {
            let nodes = nodes.iter().map(|node| convert(node, place, fit));
            Hir::alternation(nodes.collect::<Option<Vec<_>>>()?)
        }
        Node::Assert(assertion) => match assertion {
            Assertion::End => Hir::look(Look::End),
            // It consumes the line feed, which nothing can notice at the end.
            Assertion::EndOrLastLine if place.last => {
                let feed = repetition(set(&ByteSet::of(b"\n")), 0, Some(1), false);
                Hir::concat(vec![feed, Hir::look(Look::End)])
            }
            Assertion::EndOrLastLine => unless_exact(Hir::look(Look::EndLF))?,
            Assertion::LineEnd => Hir::look(Look::EndLF),
            // PCRE2's `^` does not match after a line feed that is the last
            // byte; where a byte follows, that makes no difference.
            Assertion::LineStart if place.bytes_follow => Hir::look(Look::StartLF),
            Assertion::LineStart => unless_exact(Hir::look(Look::StartLF))?,
            Assertion::NotWordBoundary => Hir::look(Look::WordAsciiNegate),
            Assertion::SearchStart => unless_exact(Hir::empty())?,
            Assertion::Start => Hir::look(Look::Start),
            Assertion::WordBoundary => Hir::look(Look::WordAscii),
        },
        Node::Atomic(node) => unless_exact(convert(node, place, fit)?)?,
        Node::Backreference { .. } => unless_exact(repetition(set(&ByteSet::ALL), 0, None, true))?,
        Node::Concat(nodes) => {
            let mut hirs = Vec::with_capacity(nodes.len());
            for node in nodes.iter().rev() {
                hirs.push(convert(node, place, fit)?);
                place.last = false;
                place.bytes_follow |= node.min_len() > 0;
            }
            hirs.reverse();
            Hir::concat(hirs)
        }
        Node::Conditional { yes, no, .. } => {
            let yes = convert(yes, place, fit)?;
            unless_exact(Hir::alternation(vec![yes, convert(no, place, fit)?]))?
        }
        Node::Empty => Hir::empty(),
        Node::Group { node, .. } => convert(node, place, fit)?,
        Node::Look { .. } => unless_exact(Hir::empty())?,
        Node::Repeat { node, min, max, lazy } => {
            let place = Place { last: place.last && *max == Some(1), ..place };
            let hir = repetition(convert(node, place, fit)?, *min, *max, *lazy);
            // After an empty iteration PCRE2 is done; an automaton looks for a
            // longer one, which may end later.
            let may_differ = max.is_none() && node.min_len() == 0;
            if may_differ && fit == Fit::Exact {
                return None;
            }
            hir
        }
        Node::Set(bytes) => set(bytes),
    })
}

fn repetition(hir: Hir, min: u32, max: Option<u32>, lazy: bool) -> Hir {
    Hir::repetition(Repetition { min, max, greedy: !lazy, sub: Box::new(hir) })
}

fn set(set: &ByteSet) -> Hir {
    let ranges = set.ranges().into_iter().map(|(low, high)| ClassBytesRange::new(low, high));
    Hir::class(Class::Bytes(ClassBytes::new(ranges)))
}
