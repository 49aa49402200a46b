//! What must stand where an expression matches, and which expressions a buffer
//! rules out by that.

use memchr::memmem;
use quahog_sig::regex::{Flags, Node, Regex};

use crate::literal::fold;
use crate::meter::{Interrupted, Meter};
use crate::prefilter::expense;

/// Literals without which an expression does not match.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Required {
    /// One of each list stands in every match. In lower case, for either; none is
    /// shorter than two bytes.
    lists: Vec<Vec<Vec<u8>>>,
}

/// The most literals in a list.
const MAX_LIST: usize = 16;
/// The longest literal.
const MAX_LITERAL: usize = 64;
/// The most bytes of one set that are told apart.
const MAX_SET: usize = 3;

impl Required {
    /// Those of an expression; none if it is not one.
    pub(crate) fn of(text: &[u8], flags: Flags) -> Required {
        let mut required = Required::default();
        if let Ok(regex) = Regex::parse(text, flags) {
            let mut run = nothing();
            required.collect(regex.root(), &mut run);
            required.end(&mut run);
        }
        required
    }

    /// The list that costs least to look for.
    pub(crate) fn cheapest(self) -> Option<Vec<Vec<u8>>> {
        let cost = |list: &Vec<Vec<u8>>| list.iter().map(|text| expense(text)).sum::<f64>();
        self.lists.into_iter().min_by(|a, b| cost(a).total_cmp(&cost(b)))
    }

    /// Takes in what must stand in a node, right after one of `run`.
    fn collect(&mut self, node: &Node, run: &mut Vec<Vec<u8>>) {
        if let Some(texts) = all_of(node) {
            if run.len() * texts.len() > MAX_LIST || longest(run) + longest(&texts) > MAX_LITERAL {
                self.end(run);
            }
            *run = each_with_each(run, &texts);
            return;
        }
        match node {
            Node::Concat(nodes) => nodes.iter().for_each(|node| self.collect(node, run)),
            Node::Atomic(node) | Node::Group { node, .. } => self.collect(node, run),
            Node::Alternate(nodes) => {
                self.end(run);
                let branches = nodes.iter().map(|node| {
                    let (mut branch, mut run) = (Required::default(), nothing());
                    branch.collect(node, &mut run);
                    branch.end(&mut run);
                    branch.cheapest()
                });
                if let Some(lists) = branches.collect::<Option<Vec<_>>>() {
                    self.add(lists.concat());
                }
            }
            Node::Repeat { node, min: 1.., .. } => {
                self.end(run);
                self.collect(node, run);
                self.end(run);
            }
            _ => self.end(run),
        }
    }

    /// What was collected stands together, and what follows elsewhere.
    fn end(&mut self, run: &mut Vec<Vec<u8>>) {
        self.add(std::mem::replace(run, nothing()));
    }

    fn add(&mut self, mut texts: Vec<Vec<u8>>) {
        // Where a text stands, those that are in it do.
        texts.sort_unstable_by_key(Vec::len);
        let mut list: Vec<Vec<u8>> = Vec::new();
        for text in texts {
            // What is as short may stand anywhere; and a list of very many is not
            // compared with itself.
            if text.len() < 2 || list.len() > MAX_LIST {
                return;
            }
            if !list.iter().any(|other| memmem::find(&text, other).is_some()) {
                list.push(text);
            }
        }
        if (1..=MAX_LIST).contains(&list.len()) {
            self.lists.push(list);
        }
    }
}

fn nothing() -> Vec<Vec<u8>> {
    vec![Vec::new()]
}

fn longest(texts: &[Vec<u8>]) -> usize {
    texts.iter().map(Vec::len).max().unwrap_or(0)
}

fn each_with_each(first: &[Vec<u8>], second: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let pairs = first.iter().flat_map(|a| second.iter().map(move |b| [&a[..], &b[..]].concat()));
    let mut all: Vec<_> = pairs.collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// All that a node can consume, in lower case, if these are few texts.
fn all_of(node: &Node) -> Option<Vec<Vec<u8>>> {
    let texts = match node {
        Node::Set(set) => {
            let mut bytes: Vec<u8> = set.iter().map(|byte| byte.to_ascii_lowercase()).collect();
            bytes.sort_unstable();
            bytes.dedup();
            if bytes.len() > MAX_SET {
                return None;
            }
            bytes.into_iter().map(|byte| vec![byte]).collect()
        }
        Node::Concat(nodes) => nodes.iter().try_fold(nothing(), |texts, node| {
            let next = all_of(node)?;
            let few = texts.len() * next.len() <= MAX_LIST
                && longest(&texts) + longest(&next) <= MAX_LITERAL;
            few.then(|| each_with_each(&texts, &next))
        })?,
        Node::Alternate(nodes) => {
            let mut all = nodes.iter().map(all_of).collect::<Option<Vec<_>>>()?.concat();
            all.sort_unstable();
            all.dedup();
            all
        }
        Node::Atomic(node) | Node::Group { node, .. } => all_of(node)?,
        Node::Repeat { node, min: 0, max: Some(1), .. } => {
            let mut all = all_of(node)?;
            all.push(Vec::new());
            all
        }
        Node::Assert(_) | Node::Empty | Node::Look { .. } => nothing(),
        _ => return None,
    };
    (texts.len() <= MAX_LIST).then_some(texts)
}

/// Which triples of bytes a view has, folded, once several expressions were asked
/// for in it, and which of their literals.
///
/// Every expression alone is found about as fast as the triples are; but it is
/// the same bytes for all, and many ask for the same literals.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    asked: u32,
    /// A bit for each hash of a triple; a power of two of them. Of an earlier view
    /// unless `asked` is above [`FREE`].
    triples: Vec<u64>,
    /// What was looked for in the view.
    known: Vec<Known>,
    /// The literals of these.
    texts: Vec<u8>,
}

/// Whether a literal stands in the view; its bytes end here.
#[derive(Clone, Copy, Debug)]
struct Known {
    end: usize,
    stands: bool,
}

/// So many expressions are let through before the view is read.
const FREE: u32 = 4;
/// The fewest and the most words: the latter are 128 KiB.
const WORDS: [usize; 2] = [1 << 7, 1 << 14];
/// Literals that are looked for in a view. With more different ones, expressions
/// are let through that may match nothing.
const MAX_KNOWN: usize = 64;

impl Gate {
    /// Another view.
    pub(crate) fn clear(&mut self) {
        self.asked = 0;
        self.known.clear();
        self.texts.clear();
    }

    /// Whether an expression may match in the view: it may where one of each list
    /// of its literals stands. Reads the view once for all expressions, and once for
    /// each of few literals.
    ///
    /// # Errors
    ///
    /// The meter called the scan off.
    pub(crate) fn lets_through(
        &mut self,
        required: &Required,
        view: &[u8],
        meter: &dyn Meter,
    ) -> Result<bool, Interrupted> {
        if self.asked < FREE {
            self.asked += 1;
            return Ok(true);
        }
        if self.asked == FREE {
            meter.tick(view.len() as u64)?;
            self.read(view);
            self.asked += 1;
        }
        for list in &required.lists {
            let mut stands = false;
            for text in list {
                stands = stands
                    || text.windows(3).all(|triple| self.has(triple))
                        && self.stands(text, view, meter)?;
            }
            if !stands {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a literal stands in the view, in either case; or may stand there,
    /// where too many were looked for.
    fn stands(&mut self, text: &[u8], view: &[u8], meter: &dyn Meter) -> Result<bool, Interrupted> {
        let mut start = 0;
        for known in &self.known {
            if self.texts.get(start..known.end) == Some(text) {
                return Ok(known.stands);
            }
            start = known.end;
        }
        if self.known.len() >= MAX_KNOWN {
            return Ok(true);
        }
        meter.tick(view.len() as u64)?;
        let stands = stands(text, view);
        self.texts.extend_from_slice(text);
        self.known.push(Known { end: self.texts.len(), stands });
        Ok(stands)
    }

    fn read(&mut self, view: &[u8]) {
        let [least, most] = WORDS;
        let words = (view.len() / 4).next_power_of_two().clamp(least, most);
        self.triples.clear();
        self.triples.resize(words, 0);
        let bits = words.ilog2() + 6;
        for triple in view.windows(3) {
            let slot = slot(triple, bits);
            self.triples[slot / 64] |= 1 << (slot % 64);
        }
    }

    fn has(&self, triple: &[u8]) -> bool {
        let slot = slot(triple, self.triples.len().ilog2() + 6);
        self.triples.get(slot / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }
}

/// Whether a text in lower case stands in a view, in either case.
fn stands(text: &[u8], view: &[u8]) -> bool {
    let finder = memmem::Finder::new(text);
    if !text.iter().any(u8::is_ascii_lowercase) {
        return finder.find(view).is_some();
    }
    let mut piece = [0; 4_096];
    let step = piece.len() - MAX_LITERAL;
    (0..view.len()).step_by(step).any(|from| {
        let bytes = &view[from..view.len().min(from + piece.len())];
        let lower = &mut piece[..bytes.len()];
        lower.copy_from_slice(bytes);
        lower.make_ascii_lowercase();
        finder.find(lower).is_some()
    })
}

/// Where a triple stands in a table of `1 << bits`.
fn slot(triple: &[u8], bits: u32) -> usize {
    let &[a, b, c] = triple else { return 0 };
    let key = u32::from_le_bytes([fold(a), fold(b), fold(c), 0]);
    (key.wrapping_mul(0x9e37_79b1) >> (32 - bits)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Unmetered;

    fn required(text: &str) -> Vec<String> {
        let lists = Required::of(text.as_bytes(), Flags::default()).lists;
        let texts = |list: &Vec<Vec<u8>>| {
            list.iter().map(|t| String::from_utf8_lossy(t).into_owned()).collect::<Vec<_>>()
        };
        lists.iter().map(|list| texts(list).join("|")).collect()
    }

    #[test]
    fn what_must_stand_is_told_list_by_list() {
        assert_eq!(required("FedEx"), ["fedex"]);
        assert_eq!(
            required(r"\b(FedEx|DHL|US?PS).{0,100}\.(exe|scr|js)"),
            ["dhl|ups|usps|fedex", ".js|.exe|.scr"]
        );
        assert_eq!(required("(ab.*cd|ef+gh)x"), ["ab|gh"]);
        assert_eq!(required("a(bc|)d"), ["ad|abcd"]);
        assert_eq!(required("[Aa]b[cd]e"), ["abce|abde"]);
        assert_eq!(required("abcd?e?"), ["abc"]);
        assert_eq!(required("ab[0-9]cd"), ["ab", "cd"]);
        assert_eq!(required("ab(?=xyz)cd"), ["abcd"]);
        assert_eq!(required("(?!ab)c"), [""; 0]);
        assert_eq!(required("(ab)*cd(ef)+"), ["cd", "ef"]);
        assert_eq!(required("(ab|c.)"), [""; 0]);
        assert_eq!(required("(ab){3}"), ["ab"]);
        assert_eq!(required("("), [""; 0]);
        let many = |n: u32| (100..100 + n).map(|n| format!("{n}.")).collect::<Vec<_>>().join("|");
        assert_eq!(required(&many(16)).len(), 1);
        assert_eq!(required(&many(17)), [""; 0]);
    }

    #[test]
    fn a_literal_stands_wherever_it_is() {
        let mut view = vec![b'-'; 10_000];
        for at in [0, 1, 4_000, 4_031, 4_032, 4_090, 4_096, 8_063, 9_996] {
            view[at..at + 4].copy_from_slice(b".eXe");
            assert!(stands(b".exe", &view), "{at}");
            assert!(stands(b"-", &view) && !stands(b".exe.", &view));
            view[at..at + 4].fill(b'-');
        }
        assert!(!stands(b".exe", &view) && !stands(b".exe", b""));
    }

    #[test]
    fn only_what_may_stand_is_let_through() {
        let view = b"..Your FEDEX parcel: label.SCR..abcAB";
        let mut gate = Gate::default();
        let mut asks = |text: &str| {
            let required = Required::of(text.as_bytes(), Flags::default());
            gate.lets_through(&required, view, &Unmetered).unwrap()
        };
        for _ in 0..FREE {
            assert!(asks("absent"));
        }
        assert!(!asks("absent"));
        assert!(asks("(DHL|FedEx).*[.](exe|scr)"));
        assert!(!asks("(DHL|UPS).*[.](exe|scr)"));
        assert!(!asks("FedEx.*[.](exe|pif)"));
        assert!(asks("[0-9]+"));
        // All triples of these stand there.
        assert!(asks("Abcab"));
        let cycles = (6..40).flat_map(|len| [("abc", len), ("bca", len), ("cab", len)]);
        let absent = cycles.map(|(cycle, len)| cycle.chars().cycle().take(len).collect::<String>());
        let passed = absent.map(|text| asks(&text)).collect::<Vec<_>>();
        let known = passed.iter().position(|&passed| passed).expect("too many literals");
        assert!(passed[known..].iter().all(|&passed| passed) && known > MAX_KNOWN / 2);
        gate.clear();
        let absent = Required::of(b"absent", Flags::default());
        assert!(gate.lets_through(&absent, b"", &Unmetered).unwrap());
    }
}
