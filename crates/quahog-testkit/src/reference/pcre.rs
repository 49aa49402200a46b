//! Regular expressions: section 4.7, for the plainest part of the syntax.
//!
//! Literals, `.`, classes, `\d \s \w \xHH \n \r \t`, groups, back references,
//! `(?:`, `(?=`, `(?!`, `|`, the greedy and lazy quantifiers, `^ $ \b \B`.
//! Anything else is not decided. Matching tries each choice in turn, with a
//! closure for all that is to come; it takes exponential time where PCRE does,
//! and haystacks here are short.

use super::Reason;
use super::exe::Program;
use super::logic::Expression;
use super::offset::Offset;

/// `[offset:]trigger/regex/flags`.
#[derive(Clone, Debug)]
pub(super) struct Pcre {
    offset: Offset,
    pub(super) trigger: Expression,
    /// `None` if it has something that the reference does not know.
    tree: Option<Node>,
    flags: String,
    n_groups: usize,
}

#[derive(Clone, Debug)]
enum Node {
    Byte(Vec<bool>),
    Start,
    End,
    LineStart,
    LineEnd,
    Word(bool),
    Group(usize, Box<Node>),
    Reference(usize),
    Look(bool, Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
    Repeat(Box<Node>, usize, usize, bool),
}

impl Pcre {
    pub(super) fn parse(text: &str, index: usize, target: u32) -> Result<Pcre, Reason> {
        let text = match text.rfind('/').zip(text.rfind("::")) {
            Some((slash, colons)) if colons > slash => &text[..colons],
            _ => text,
        };
        let (before, rest) = text.split_once('/').ok_or("no regular expression")?;
        let (regex, flags) = rest.rsplit_once('/').ok_or("regular expression without its end")?;
        if regex.is_empty() {
            return Err("empty regular expression");
        }
        if !flags.bytes().all(|flag| b"greismxAEU".contains(&flag)) {
            return Err("unknown flag of a regular expression");
        }
        let (offset, trigger) = before.split_once(':').unwrap_or(("*", before));
        let offset = Offset::parse(offset, target)?;
        if matches!(offset, Offset::MacroGroup(_)) {
            return Err("macro group as the offset of a regular expression");
        }
        let trigger = Expression::parse(trigger)?;
        if trigger.highest_id() >= index {
            return Err("trigger names its own or a later subsignature");
        }
        let mut parser = Parser { rest: regex.as_bytes(), flags, n_groups: 0 };
        let known = !flags.contains(['x', 'U']);
        let tree = parser.alternation().filter(|_| parser.rest.is_empty() && known);
        let n_groups = parser.n_groups;
        Ok(Pcre { offset, trigger, tree, flags: flags.to_owned(), n_groups })
    }

    pub(super) fn is_known(&self) -> bool {
        self.tree.is_some()
    }

    /// The matches that count: start and end; `None` if finding them takes too
    /// many steps.
    ///
    /// A loop recurses once for each turn, so the search has a stack of its own.
    pub(super) fn search(&self, bytes: &[u8], program: &Program) -> Option<Vec<(usize, usize)>> {
        std::thread::scope(|scope| {
            let search = || self.search_here(bytes, program);
            let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, search);
            thread.expect("a thread can be had").join().expect("the search does not panic")
        })
    }

    fn search_here(&self, bytes: &[u8], program: &Program) -> Option<Vec<(usize, usize)>> {
        let tree = self.tree.as_ref()?;
        let has = |flag| self.flags.contains(flag);
        let (low, shift) = match self.offset.bounds(bytes.len(), program) {
            None => (0, None),
            Some((low, shift)) => match low.map(usize::try_from) {
                Some(Ok(low)) if low < bytes.len() => {
                    (low, Some(usize::try_from(shift).unwrap_or(usize::MAX)))
                }
                _ => return Some(Vec::new()),
            },
        };
        let mut subject = &bytes[low..];
        let mut anchored = has('A');
        let mut last = usize::MAX;
        match shift {
            None => {}
            Some(0) => anchored |= !has('r'),
            Some(shift) if has('e') => subject = &subject[..shift.min(subject.len())],
            Some(shift) => last = shift,
        }
        let mut found = Vec::new();
        let (mut from, mut steps) = (0, MAX_STEPS);
        while from <= subject.len() {
            let starts = from..=if anchored { from } else { subject.len() };
            let hit = starts.into_iter().find_map(|start| {
                let spans = vec![None; self.n_groups + 1];
                let mut groups = Groups { spans, steps };
                let mut end = None;
                matches(tree, subject, start, &mut groups, &mut |at, _| {
                    end = Some(at);
                    true
                });
                steps = groups.steps;
                end.map(|end| (start, end))
            });
            let Some((start, end)) = hit.filter(|&(start, _)| start <= last) else { break };
            found.push((low + start, low + end));
            if !has('g') {
                break;
            }
            from = if end > start { end } else { end + 1 };
        }
        (steps > 0).then_some(found)
    }
}

/// What groups hold, and the steps that are left: PCRE has a limit too.
#[derive(Clone, Debug)]
struct Groups {
    spans: Vec<Option<(usize, usize)>>,
    steps: usize,
}

/// Steps of one search.
const MAX_STEPS: usize = 1_000_000;

/// Bytes of stack, enough for [`MAX_STEPS`] turns. Only what is used is ever
/// given by the system.
const STACK: usize = 4 << 30;

/// Whether `node` matches at `at` and what comes after it does so too.
fn matches(
    node: &Node,
    text: &[u8],
    at: usize,
    groups: &mut Groups,
    then: &mut dyn FnMut(usize, &mut Groups) -> bool,
) -> bool {
    let Some(left) = groups.steps.checked_sub(1) else { return false };
    groups.steps = left;
    let word = |at: Option<usize>| {
        let byte = at.and_then(|at| text.get(at));
        byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
    };
    match node {
        Node::Byte(set) => {
            text.get(at).is_some_and(|&byte| set[usize::from(byte)]) && then(at + 1, groups)
        }
        Node::Start => at == 0 && then(at, groups),
        Node::End => (at == text.len() || text[at..] == *b"\n") && then(at, groups),
        Node::LineStart => {
            let after = at > 0 && text[at - 1] == b'\n' && at < text.len();
            (at == 0 || after) && then(at, groups)
        }
        Node::LineEnd => (at == text.len() || text[at] == b'\n') && then(at, groups),
        Node::Word(boundary) => {
            (word(at.checked_sub(1)) != word(Some(at))) == *boundary && then(at, groups)
        }
        Node::Group(index, inner) => {
            let before = groups.spans[*index];
            let found = matches(inner, text, at, groups, &mut |end, groups| {
                let inside = groups.spans[*index].replace((at, end));
                let found = then(end, groups);
                if !found {
                    groups.spans[*index] = inside;
                }
                found
            });
            if !found {
                groups.spans[*index] = before;
            }
            found
        }
        Node::Reference(index) => {
            let Some((start, end)) = groups.spans[*index] else { return false };
            let held = &text[start..end];
            text[at..].starts_with(held) && then(at + held.len(), groups)
        }
        Node::Look(wanted, inner) => {
            let mut inside = groups.clone();
            let found = matches(inner, text, at, &mut inside, &mut |_, _| true);
            groups.steps = inside.steps;
            if found != *wanted {
                return false;
            }
            if !*wanted {
                return then(at, groups);
            }
            let before = std::mem::replace(groups, inside);
            let found = then(at, groups);
            if !found {
                groups.spans = before.spans;
            }
            found
        }
        Node::All(nodes) => match nodes.split_first() {
            None => then(at, groups),
            Some((first, rest)) => {
                let rest = Node::All(rest.to_vec());
                matches(first, text, at, groups, &mut |at, groups| {
                    matches(&rest, text, at, groups, then)
                })
            }
        },
        Node::Any(nodes) => nodes.iter().any(|node| matches(node, text, at, groups, then)),
        Node::Repeat(inner, min, max, lazy) => {
            let more = |groups: &mut Groups, then: &mut dyn FnMut(usize, &mut Groups) -> bool| {
                *max > 0
                    && matches(inner, text, at, groups, &mut |next, groups| {
                        if next == at && *min == 0 && *max > 1_000 {
                            // An iteration of nothing is the last one.
                            return then(next, groups);
                        }
                        let left = Node::Repeat(
                            inner.clone(),
                            min.saturating_sub(1),
                            if *max > 1_000 { *max } else { max - 1 },
                            *lazy,
                        );
                        matches(&left, text, next, groups, then)
                    })
            };
            match (*min > 0, *lazy) {
                (true, _) => more(groups, then),
                (false, true) => then(at, groups) || more(groups, then),
                (false, false) => more(groups, then) || then(at, groups),
            }
        }
    }
}

struct Parser<'t> {
    rest: &'t [u8],
    flags: &'t str,
    n_groups: usize,
}

/// Stands for no largest number.
const WITHOUT_END: usize = usize::MAX;

impl Parser<'_> {
    fn eat(&mut self, text: &[u8]) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn alternation(&mut self) -> Option<Node> {
        let mut branches = vec![self.sequence()?];
        while self.eat(b"|") {
            branches.push(self.sequence()?);
        }
        Some(Node::Any(branches))
    }

    fn sequence(&mut self) -> Option<Node> {
        let mut nodes = Vec::new();
        while let Some(&byte) = self.rest.first() {
            if matches!(byte, b'|' | b')') {
                break;
            }
            let (node, repeatable) = self.item()?;
            let node = match self.quantifier()? {
                Some((min, max)) if repeatable => {
                    let lazy = self.eat(b"?");
                    Node::Repeat(Box::new(node), min, max, lazy)
                }
                Some(_) => return None,
                None => node,
            };
            // Possessive or doubled quantifiers.
            if matches!(self.rest.first(), Some(b'*' | b'+' | b'?')) {
                return None;
            }
            nodes.push(node);
        }
        Some(Node::All(nodes))
    }

    fn quantifier(&mut self) -> Option<Option<(usize, usize)>> {
        Some(match self.rest.first() {
            Some(b'*') if self.eat(b"*") => Some((0, WITHOUT_END)),
            Some(b'+') if self.eat(b"+") => Some((1, WITHOUT_END)),
            Some(b'?') if self.eat(b"?") => Some((0, 1)),
            Some(b'{') => {
                let end = self.rest.iter().position(|&b| b == b'}')?;
                let inside = std::str::from_utf8(&self.rest[1..end]).ok()?;
                let (min, max) = match inside.split_once(',') {
                    None => (inside.parse().ok()?, inside.parse().ok()?),
                    Some((min, "")) => (min.parse().ok()?, WITHOUT_END),
                    Some((min, max)) => (min.parse().ok()?, max.parse().ok()?),
                };
                if max < min || (max > 100 && max != WITHOUT_END) {
                    return None;
                }
                self.rest = &self.rest[end + 1..];
                Some((min, max))
            }
            _ => None,
        })
    }

    fn set(&self, mut test: impl FnMut(u8) -> bool) -> Node {
        let plain: Vec<bool> = (0..=255).map(&mut test).collect();
        let other = |byte: u8| plain[usize::from(byte ^ 0x20)];
        let folds = self.flags.contains('i');
        let set = (0..=255_u8).map(|byte| {
            plain[usize::from(byte)] || (folds && byte.is_ascii_alphabetic() && other(byte))
        });
        Node::Byte(set.collect())
    }

    fn item(&mut self) -> Option<(Node, bool)> {
        let lines = self.flags.contains('m');
        let node = match self.next()? {
            b'.' if self.flags.contains('s') => self.set(|_| true),
            b'.' => self.set(|b| b != b'\n'),
            b'^' => return Some((if lines { Node::LineStart } else { Node::Start }, false)),
            b'$' if self.flags.contains('E') => return None,
            b'$' => return Some((if lines { Node::LineEnd } else { Node::End }, false)),
            b'(' => {
                let group = if self.eat(b"?:") {
                    None
                } else if self.eat(b"?=") || self.rest.starts_with(b"?!") {
                    let wanted = !self.eat(b"?!");
                    let inner = self.alternation()?;
                    return self.eat(b")").then(|| (Node::Look(wanted, Box::new(inner)), false));
                } else if matches!(self.rest.first(), Some(b'?' | b'*')) {
                    return None;
                } else {
                    self.n_groups += 1;
                    Some(self.n_groups)
                };
                let inner = self.alternation()?;
                if !self.eat(b")") {
                    return None;
                }
                match group {
                    Some(index) => Node::Group(index, Box::new(inner)),
                    None => inner,
                }
            }
            b'[' => self.class()?,
            b'\\' => match self.next()? {
                b'b' => return Some((Node::Word(true), false)),
                b'B' => return Some((Node::Word(false), false)),
                // References in either case are not decided.
                digit @ b'1'..=b'9' if !self.flags.contains('i') => {
                    let index = usize::from(digit - b'0');
                    if index > self.n_groups || self.rest.first().is_some_and(u8::is_ascii_digit) {
                        return None;
                    }
                    Node::Reference(index)
                }
                letter => {
                    let set = self.escape(letter)?;
                    self.set(|b| set[usize::from(b)])
                }
            },
            b')' | b'*' | b'+' | b'?' | b'{' => return None,
            byte => self.set(|b| b == byte),
        };
        Some((node, true))
    }

    fn escape(&mut self, letter: u8) -> Option<Vec<bool>> {
        let of = |test: &dyn Fn(u8) -> bool| Some((0..=255).map(test).collect());
        match letter {
            b'd' => of(&|b| b.is_ascii_digit()),
            b's' => of(&|b| matches!(b, b' ' | 9..=13)),
            b'w' => of(&|b| b.is_ascii_alphanumeric() || b == b'_'),
            b'n' => of(&|b| b == b'\n'),
            b'r' => of(&|b| b == b'\r'),
            b't' => of(&|b| b == b'\t'),
            b'x' => {
                let digits = std::str::from_utf8(self.rest.get(..2)?).ok()?;
                let byte = u8::from_str_radix(digits, 16).ok()?;
                self.rest = &self.rest[2..];
                of(&|b| b == byte)
            }
            letter if letter.is_ascii_alphanumeric() => None,
            byte => of(&|b| b == byte),
        }
    }

    fn class(&mut self) -> Option<Node> {
        let negated = self.eat(b"^");
        let mut set = vec![false; 256];
        loop {
            let low = match self.next()? {
                b']' => break,
                b'[' => return None,
                b'\\' => {
                    let letter = self.next()?;
                    let escape = self.escape(letter)?;
                    if self.rest.first() == Some(&b'-') {
                        return None;
                    }
                    (0..256).for_each(|at| set[at] |= escape[at]);
                    continue;
                }
                byte => byte,
            };
            let range = self.rest.first() == Some(&b'-') && self.rest.get(1) != Some(&b']');
            let high = if range && self.eat(b"-") { self.next()? } else { low };
            if high < low || matches!(high, b'\\' | b'[') {
                return None;
            }
            (low..=high).for_each(|byte| set[usize::from(byte)] = true);
        }
        if !set.contains(&true) {
            return None;
        }
        // Case is folded first, then the class is turned around.
        let Node::Byte(folded) = self.set(|b| set[usize::from(b)]) else { return None };
        Some(Node::Byte(folded.into_iter().map(|inside| inside != negated).collect()))
    }
}
