//! From the text of a regular expression to its tree.
//!
//! What is accepted and refused is what PCRE2 10.42 does without options
//! beyond those of the flags; pcre2test was asked where its manual is silent.

use super::{Assertion, ByteSet, Condition, Flags, Node, Regex};
use crate::{Error, ErrorKind, Span};

/// The deepest nesting of parentheses, as in PCRE2.
const MAX_DEPTH: u32 = 250;
/// The largest number in a quantifier, and of groups.
const MAX_COUNT: u32 = 65_535;

pub(super) fn parse(text: &[u8], flags: Flags) -> Result<Regex, Error> {
    let options = Options {
        caseless: flags.has(Flags::CASELESS),
        multiline: flags.has(Flags::MULTILINE),
        dotall: flags.has(Flags::DOTALL),
        extended: flags.has(Flags::EXTENDED),
        extended_more: false,
        ungreedy: flags.has(Flags::UNGREEDY),
        no_capture: false,
    };
    let mut parser = Parser {
        text,
        at: 0,
        options,
        dollar_end_only: flags.has(Flags::DOLLAR_END_ONLY),
        groups: 0,
        total_groups: 0,
        names: Vec::new(),
        literal: false,
        depth: 0,
    };
    // A back reference may name a group that comes later, and how `\12` reads
    // depends on the number of groups before: so groups are counted first.
    parser.names = Vec::new();
    parser.leading_options()?;
    let start = parser.at;
    let mut counter = Parser { names: Vec::new(), ..parser.clone() };
    counter.total_groups = MAX_COUNT;
    counter.whole()?;
    parser.total_groups = counter.groups;
    parser.names = counter.names;
    parser.at = start;
    let root = parser.whole()?;
    Ok(Regex { root, n_groups: parser.groups })
}

/// What inline settings change; a group ends what was set inside.
#[derive(Clone, Copy, Debug)]
struct Options {
    caseless: bool,
    multiline: bool,
    dotall: bool,
    extended: bool,
    extended_more: bool,
    ungreedy: bool,
    no_capture: bool,
}

#[derive(Clone, Debug)]
struct Parser<'t> {
    text: &'t [u8],
    at: usize,
    options: Options,
    dollar_end_only: bool,
    /// Groups opened so far.
    groups: u32,
    /// Groups in all; all numbers in the first pass.
    total_groups: u32,
    /// Names of groups; those of the first pass in the second.
    names: Vec<(&'t [u8], u32)>,
    /// Between `\Q` and `\E`.
    literal: bool,
    depth: u32,
}

type Parsed<T> = Result<T, Error>;

/// Something and whether a quantifier may follow it.
struct Item {
    node: Node,
    repeatable: bool,
}

impl<'t> Parser<'t> {
    fn wrong<T>(&self, what: &'static str) -> Parsed<T> {
        self.wrong_at(self.at, what)
    }

    fn wrong_at<T>(&self, at: usize, what: &'static str) -> Parsed<T> {
        Err(Error::new(ErrorKind::Regex(what), Span::new(at, self.at)))
    }

    fn unsupported<T>(&self, at: usize, what: &'static str) -> Parsed<T> {
        Err(Error::new(ErrorKind::Unsupported(what), Span::new(at, self.at.max(at))))
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self) -> &'t [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn eat(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// `(*UTF)` and its like, which stand before everything else.
    fn leading_options(&mut self) -> Parsed<()> {
        while self.rest().starts_with(b"(*") {
            let end = memchr::memchr(b')', self.rest());
            let Some(verb) = end.and_then(|end| self.rest().get(2..end)) else { return Ok(()) };
            let name_end = memchr::memchr(b'=', verb).unwrap_or(verb.len());
            match &verb[..name_end] {
                // They change how fast something is found, or how much is tried.
                b"NO_START_OPT" | b"NO_AUTO_POSSESS" | b"NO_DOTSTAR_ANCHOR" | b"NO_JIT"
                | b"LIMIT_MATCH" | b"LIMIT_DEPTH" | b"LIMIT_HEAP" | b"LIMIT_RECURSION" | b"LF"
                | b"BSR_UNICODE" => {}
                b"UTF" | b"UCP" | b"CR" | b"CRLF" | b"ANYCRLF" | b"ANY" | b"NUL"
                | b"BSR_ANYCRLF" | b"NOTEMPTY" | b"NOTEMPTY_ATSTART" => {
                    return self
                        .unsupported(self.at, "an option at the start of a regular expression");
                }
                _ => return Ok(()),
            }
            self.at += verb.len() + 3;
        }
        Ok(())
    }

    fn whole(&mut self) -> Parsed<Node> {
        let node = self.alternation(false)?;
        match self.peek() {
            None => Ok(node),
            Some(_) => self.wrong("unmatched `)`"),
        }
    }

    /// Branches up to a `)` or the end. With `reset` each branch numbers its
    /// groups from the same start.
    fn alternation(&mut self, reset: bool) -> Parsed<Node> {
        let branches = self.branches(reset)?;
        Ok(alternate(branches))
    }

    fn branches(&mut self, reset: bool) -> Parsed<Vec<Node>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.wrong("parentheses are nested too deeply");
        }
        let (first, mut most) = (self.groups, self.groups);
        let mut branches = vec![self.sequence()?];
        while self.eat(b"|") {
            most = most.max(self.groups);
            if reset {
                self.groups = first;
            }
            branches.push(self.sequence()?);
        }
        self.groups = self.groups.max(most);
        self.depth -= 1;
        Ok(branches)
    }

    fn sequence(&mut self) -> Parsed<Node> {
        let mut nodes = Vec::new();
        let mut repeatable = false;
        loop {
            self.skip_blanks()?;
            match self.peek() {
                None => break,
                Some(b'|' | b')') if !self.literal => break,
                _ => {}
            }
            let start = self.at;
            if let Some((min, max)) = self.quantifier()? {
                let Some(node) = nodes.pop().filter(|_| repeatable) else {
                    return self.wrong_at(start, "quantifier follows nothing that can be repeated");
                };
                let node = self.repeat(node, min, max);
                nodes.push(node);
                repeatable = false;
                continue;
            }
            let item = self.item()?;
            // No quantifier may follow a setting.
            repeatable = item.as_ref().is_some_and(|item| item.repeatable);
            nodes.extend(item.map(|item| item.node));
        }
        Ok(concat(nodes))
    }

    /// Skips what means nothing here: `\E`, comments, blanks with `x`.
    fn skip_blanks(&mut self) -> Parsed<()> {
        loop {
            if self.literal {
                if self.eat(b"\\E") {
                    self.literal = false;
                    continue;
                }
                return Ok(());
            }
            // `\E` alone is nothing, and no quantifier may follow `\Q\E`
            // unless something stood before.
            if self.eat(b"\\E") {
                continue;
            }
            if self.eat(b"\\Q") {
                self.literal = true;
                continue;
            }
            if self.rest().starts_with(b"(?#") {
                match memchr::memchr(b')', self.rest()) {
                    Some(end) => self.at += end + 1,
                    None => return self.wrong("comment without its end"),
                }
                continue;
            }
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r') if self.options.extended => {
                    self.at += 1;
                }
                Some(b'#') if self.options.extended => {
                    let end = memchr::memchr(b'\n', self.rest());
                    self.at = end.map_or(self.text.len(), |end| self.at + end + 1);
                }
                _ => return Ok(()),
            }
        }
    }

    /// `*`, `+`, `?`, `{n}`, `{n,}`, `{n,m}`; other braces are literals.
    fn quantifier(&mut self) -> Parsed<Option<(u32, Option<u32>)>> {
        if self.literal {
            return Ok(None);
        }
        let range = match self.peek() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            Some(b'{') => return self.braces(),
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(range))
    }

    fn braces(&mut self) -> Parsed<Option<(u32, Option<u32>)>> {
        let start = self.at;
        let rest = self.rest();
        let digits = |from: usize| {
            let tail = rest.get(from..).unwrap_or_default();
            from + tail.iter().take_while(|b| b.is_ascii_digit()).count()
        };
        let first = digits(1);
        let (second, end) = match rest.get(first) {
            Some(b'}') => (None, first),
            Some(b',') => (Some(first + 1), digits(first + 1)),
            _ => return Ok(None),
        };
        if first == 1 || rest.get(end) != Some(&b'}') {
            return Ok(None);
        }
        let number = |text: &[u8]| {
            crate::ast::number(text).filter(|&n| n <= MAX_COUNT).ok_or_else(|| {
                let span = Span::new(start, start + end + 1);
                Error::new(ErrorKind::Regex("number too big in a quantifier"), span)
            })
        };
        let min = number(&rest[1..first])?;
        let max = match second {
            None => Some(min),
            Some(from) if from == end => None,
            Some(from) => Some(number(&rest[from..end])?),
        };
        self.at += end + 1;
        if max.is_some_and(|max| max < min) {
            return self.wrong_at(start, "numbers out of order in a quantifier");
        }
        Ok(Some((min, max)))
    }

    fn repeat(&mut self, node: Node, min: u32, max: Option<u32>) -> Node {
        let possessive = self.eat(b"+");
        let question = !possessive && self.eat(b"?");
        let lazy = !possessive && question != self.options.ungreedy;
        if max == Some(0) {
            // The groups inside are still counted, but never set.
            return Node::Empty;
        }
        let node = match (min, max) {
            (1, Some(1)) => node,
            _ => Node::Repeat { node: Box::new(node), min, max, lazy },
        };
        if possessive { Node::Atomic(Box::new(node)) } else { node }
    }

    /// One thing that stands for itself; `None` if it only sets something.
    fn item(&mut self) -> Parsed<Option<Item>> {
        let start = self.at;
        let Some(byte) = self.next() else { return Ok(None) };
        let node = match byte {
            _ if self.literal => self.byte(byte),
            b'.' if self.options.dotall => Node::Set(ByteSet::ALL),
            b'.' => Node::Set(ByteSet::of(b"\n").negated()),
            b'^' | b'$' => {
                let assertion = match (byte, self.options.multiline) {
                    (b'^', false) => Assertion::Start,
                    (b'^', true) => Assertion::LineStart,
                    (_, true) => Assertion::LineEnd,
                    _ if self.dollar_end_only => Assertion::End,
                    _ => Assertion::EndOrLastLine,
                };
                return Ok(Some(Item { node: Node::Assert(assertion), repeatable: false }));
            }
            b'[' => Node::Set(self.class(start)?),
            b'(' => return self.group(start),
            b'\\' => return self.escape(start).map(Some),
            _ => self.byte(byte),
        };
        Ok(Some(Item { node, repeatable: true }))
    }

    fn byte(&self, byte: u8) -> Node {
        let set = ByteSet::of(&[byte]);
        Node::Set(if self.options.caseless { set.folded() } else { set })
    }

    fn group(&mut self, start: usize) -> Parsed<Option<Item>> {
        let outer = self.options;
        let item = self.group_inside(start)?;
        // A setting such as `(?i)` holds to the end of the group around it.
        if item.is_some() {
            self.options = outer;
        }
        Ok(item)
    }

    fn close(&mut self) -> Parsed<()> {
        if self.literal || !self.eat(b")") {
            return self.wrong("missing `)`");
        }
        Ok(())
    }

    fn plain_group(&mut self) -> Parsed<Node> {
        let node = self.alternation(false)?;
        self.close()?;
        Ok(node)
    }

    fn group_inside(&mut self, start: usize) -> Parsed<Option<Item>> {
        let some = |node| Ok(Some(Item { node, repeatable: true }));
        if self.eat(b"*") {
            return self.verb(start).and_then(some);
        }
        if !self.eat(b"?") {
            if self.options.no_capture {
                return self.plain_group().and_then(some);
            }
            return self.capture(None).and_then(some);
        }
        let Some(byte) = self.peek() else { return self.wrong("missing `)`") };
        if let Some(name_end) = self.name_terminator() {
            let name = self.name(name_end)?;
            return self.capture(Some((name, start))).and_then(some);
        }
        match byte {
            b':' => {
                self.at += 1;
                self.plain_group().and_then(some)
            }
            b'|' => {
                self.at += 1;
                let node = self.alternation(true)?;
                self.close()?;
                some(node)
            }
            b'>' => {
                self.at += 1;
                let node = self.plain_group()?;
                some(Node::Atomic(Box::new(node)))
            }
            b'=' | b'!' | b'<' => self.look(start).and_then(some),
            b'(' => {
                self.at += 1;
                self.conditional(start).and_then(some)
            }
            b'P' => {
                self.at += 1;
                match self.next() {
                    Some(b'=') => {
                        let name = self.name(b')')?;
                        self.named_reference(start, name).and_then(some)
                    }
                    Some(b'>') => self.unsupported(start, "a subroutine call"),
                    _ => self.wrong("unrecognized character after `(?P`"),
                }
            }
            b'R' | b'&' | b'+' | b'0'..=b'9' => self.call(start),
            b'-' if self.rest().get(1).is_some_and(u8::is_ascii_digit) => self.call(start),
            b'C' => self.unsupported(start, "a callout"),
            b'*' => self.unsupported(start, "a look around that is not atomic"),
            _ => self.settings(),
        }
    }

    fn call<T>(&self, start: usize) -> Parsed<T> {
        self.unsupported(start, "a subroutine call")
    }

    /// After `(?`: what ends the name of `(?<n>`, `(?P<n>` or `(?'n'`.
    fn name_terminator(&mut self) -> Option<u8> {
        let behind = self.rest().starts_with(b"<=")
            || self.rest().starts_with(b"<!")
            || self.rest().starts_with(b"<*");
        if !behind && (self.eat(b"<") || self.eat(b"P<")) {
            Some(b'>')
        } else {
            self.eat(b"'").then_some(b'\'')
        }
    }

    fn name(&mut self, terminator: u8) -> Parsed<&'t [u8]> {
        let start = self.at;
        if self.peek().is_some_and(|b| b.is_ascii_digit()) {
            return self.wrong("name of a group starts with a digit");
        }
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.at += 1;
        }
        let name = &self.text[start..self.at];
        if name.is_empty() || name.len() > 32 {
            return self.wrong("name of a group is empty or too long");
        }
        if !self.eat(&[terminator]) {
            return self.wrong("name of a group without its end");
        }
        Ok(name)
    }

    fn capture(&mut self, name: Option<(&'t [u8], usize)>) -> Parsed<Node> {
        self.groups += 1;
        let index = self.groups;
        if index > MAX_COUNT {
            return self.wrong("too many groups");
        }
        if let Some((name, start)) = name {
            let known = self.names.iter().find(|(other, _)| *other == name).map(|n| n.1);
            match known {
                None => self.names.push((name, index)),
                // In the second pass the name is known by its own number.
                Some(known) if known == index => {}
                Some(_) => return self.wrong_at(start, "two groups of the same name"),
            }
        }
        let node = self.plain_group()?;
        Ok(Node::Group { index, node: Box::new(node) })
    }

    fn look(&mut self, start: usize) -> Parsed<Node> {
        let behind = self.eat(b"<");
        let negate = match self.next() {
            Some(b'=') => false,
            Some(b'!') => true,
            _ => return self.unsupported(start, "a look around that is not atomic"),
        };
        self.look_inside(start, behind, negate)
    }

    fn look_inside(&mut self, start: usize, behind: bool, negate: bool) -> Parsed<Node> {
        let branches = self.branches(false)?;
        self.close()?;
        if !behind {
            let ahead = Box::new(alternate(branches));
            return Ok(Node::Look { behind: None, ahead, negate });
        }
        let mut measured = Vec::with_capacity(branches.len());
        for branch in branches {
            if has_backreference(&branch) {
                return self.unsupported(start, "a back reference in a look behind");
            }
            match branch.fixed_len() {
                Some(len) if len <= MAX_COUNT => measured.push((branch, len)),
                _ => return self.wrong_at(start, "look behind is not of fixed length"),
            }
        }
        Ok(Node::Look { behind: Some(measured), ahead: Box::new(Node::Empty), negate })
    }

    fn conditional(&mut self, start: usize) -> Parsed<Node> {
        // The parenthesis that opens the condition is read already.
        let condition = match self.peek() {
            Some(b'?') => {
                self.at += 1;
                let is_look = matches!(self.peek(), Some(b'=' | b'!'))
                    || self.rest().starts_with(b"<=")
                    || self.rest().starts_with(b"<!");
                if !is_look {
                    return self.unsupported(start, "this condition");
                }
                Condition::Look(Box::new(self.look(start)?))
            }
            Some(b'*') => return self.unsupported(start, "this condition"),
            Some(b'0'..=b'9' | b'+' | b'-') => {
                let number = self.relative_number()?;
                self.close()?;
                self.check_group(start, number)?;
                Condition::Group(number)
            }
            Some(b'<' | b'\'') => {
                let terminator = if self.next() == Some(b'<') { b'>' } else { b'\'' };
                let name = self.name(terminator)?;
                self.close()?;
                Condition::Group(self.group_of(start, name)?)
            }
            _ => {
                let name = self.name(b')')?;
                let known = self.names.iter().any(|(other, _)| *other == name);
                match name {
                    b"DEFINE" => Condition::Never,
                    b"R" if !known => return self.unsupported(start, "a condition on recursion"),
                    [b'R', digits @ ..] if !known && digits.iter().all(u8::is_ascii_digit) => {
                        return self.unsupported(start, "a condition on recursion");
                    }
                    b"VERSION" => return self.unsupported(start, "this condition"),
                    _ => Condition::Group(self.group_of(start, name)?),
                }
            }
        };
        let mut branches = self.branches(false)?.into_iter();
        self.close()?;
        let yes = branches.next().unwrap_or(Node::Empty);
        let no = branches.next();
        if branches.next().is_some() || (no.is_some() && condition == Condition::Never) {
            return self.wrong_at(start, "too many branches after a condition");
        }
        let no = Box::new(no.unwrap_or(Node::Empty));
        Ok(Node::Conditional { condition, yes: Box::new(yes), no })
    }

    /// `(*VERB)` and `(*atomic:...)`.
    fn verb(&mut self, start: usize) -> Parsed<Node> {
        let name_start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.at += 1;
        }
        let name = &self.text[name_start..self.at];
        let (behind, negate) = match name {
            b"F" | b"FAIL" if self.eat(b")") => return Ok(Node::Set(ByteSet::EMPTY)),
            b"F" | b"FAIL" | b"ACCEPT" | b"COMMIT" | b"PRUNE" | b"SKIP" | b"THEN" | b"MARK"
            | b"" => {
                return self.unsupported(start, "a backtracking verb");
            }
            _ if !self.eat(b":") => return self.wrong_at(start, "verb not recognized"),
            b"atomic" => return Ok(Node::Atomic(Box::new(self.plain_group()?))),
            b"pla" | b"positive_lookahead" => (false, false),
            b"nla" | b"negative_lookahead" => (false, true),
            b"plb" | b"positive_lookbehind" => (true, false),
            b"nlb" | b"negative_lookbehind" => (true, true),
            b"napla"
            | b"non_atomic_positive_lookahead"
            | b"naplb"
            | b"non_atomic_positive_lookbehind" => {
                return self.unsupported(start, "a look around that is not atomic");
            }
            b"sr" | b"script_run" | b"asr" | b"atomic_script_run" => {
                return self.unsupported(start, "a script run");
            }
            _ => return self.wrong_at(start, "verb not recognized"),
        };
        self.look_inside(start, behind, negate)
    }

    /// `(?i-s)`, `(?i-s:...)`, `(?^i)`.
    fn settings(&mut self) -> Parsed<Option<Item>> {
        let mut options = self.options;
        let mut on = true;
        if self.eat(b"^") {
            options = Options {
                caseless: false,
                multiline: false,
                dotall: false,
                extended: false,
                extended_more: false,
                no_capture: false,
                ..options
            };
        }
        loop {
            let Some(byte) = self.next() else { return self.wrong("missing `)`") };
            match byte {
                b'-' if on => on = false,
                b'i' => options.caseless = on,
                b'm' => options.multiline = on,
                b's' => options.dotall = on,
                b'n' => options.no_capture = on,
                b'U' => options.ungreedy = on,
                b'x' => {
                    options.extended = on;
                    options.extended_more = self.eat(b"x") && on;
                }
                b'J' => return self.unsupported(self.at, "groups of the same name"),
                b')' => {
                    self.options = options;
                    return Ok(None);
                }
                b':' => {
                    self.options = options;
                    let node = self.plain_group()?;
                    return Ok(Some(Item { node, repeatable: true }));
                }
                _ => return self.wrong("unrecognized character after `(?`"),
            }
        }
    }

    fn relative_number(&mut self) -> Parsed<u32> {
        let sign = match self.peek() {
            Some(sign @ (b'+' | b'-')) => {
                self.at += 1;
                Some(sign)
            }
            _ => None,
        };
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        let number = crate::ast::number(&self.text[start..self.at]).unwrap_or(0);
        let absolute = match sign {
            _ if self.at == start || number == 0 => None,
            Some(b'-') => (self.groups + 1).checked_sub(number).filter(|&n| n > 0),
            Some(_) => self.groups.checked_add(number),
            None => Some(number),
        };
        match absolute {
            Some(absolute) => Ok(absolute),
            None => self.wrong_at(start, "reference to a group that does not exist"),
        }
    }

    fn check_group(&self, start: usize, group: u32) -> Parsed<()> {
        if group > self.total_groups {
            return self.wrong_at(start, "reference to a group that does not exist");
        }
        Ok(())
    }

    fn group_of(&self, start: usize, name: &[u8]) -> Parsed<u32> {
        match self.names.iter().find(|(other, _)| *other == name) {
            Some((_, group)) => Ok(*group),
            // The first pass does not know the names of later groups.
            None if self.total_groups == MAX_COUNT => Ok(1),
            None => self.wrong_at(start, "reference to a group that does not exist"),
        }
    }

    fn reference(&self, start: usize, group: u32) -> Parsed<Node> {
        self.check_group(start, group)?;
        Ok(Node::Backreference { group, caseless: self.options.caseless })
    }

    fn named_reference(&self, start: usize, name: &[u8]) -> Parsed<Node> {
        self.reference(start, self.group_of(start, name)?)
    }

    fn escape(&mut self, start: usize) -> Parsed<Item> {
        let Some(byte) = self.peek() else { return self.wrong("`\\` at the end") };
        let assertion = match byte {
            b'A' => Some(Assertion::Start),
            b'B' => Some(Assertion::NotWordBoundary),
            b'G' => Some(Assertion::SearchStart),
            b'Z' => Some(Assertion::EndOrLastLine),
            b'b' => Some(Assertion::WordBoundary),
            b'z' => Some(Assertion::End),
            _ => None,
        };
        if let Some(assertion) = assertion {
            self.at += 1;
            return Ok(Item { node: Node::Assert(assertion), repeatable: false });
        }
        let node = match byte {
            b'1'..=b'9' => match self.numbered(start)? {
                Some(node) => node,
                None => self.byte_escape(start)?,
            },
            b'C' => {
                self.at += 1;
                Node::Set(ByteSet::ALL)
            }
            b'K' => return self.unsupported(start, "\\K"),
            b'N' => {
                self.at += 1;
                if self.rest().starts_with(b"{U+") {
                    return self.wrong_at(start, "`\\N{U+}` needs UTF");
                }
                if self.peek() == Some(b'{') && !self.is_quantifier() {
                    return self.wrong_at(start, "unsupported escape");
                }
                Node::Set(ByteSet::of(b"\n").negated())
            }
            b'P' | b'p' => return self.unsupported(start, "a Unicode property"),
            b'R' => {
                self.at += 1;
                let ends = ByteSet::range(b'\n', b'\r').union(ByteSet::of(b"\x85"));
                let pair = [b'\r', b'\n'].map(|b| Node::Set(ByteSet::of(&[b])));
                let branches = vec![Node::Concat(pair.into()), Node::Set(ends)];
                Node::Atomic(Box::new(Node::Alternate(branches)))
            }
            b'X' => return self.unsupported(start, "\\X"),
            b'g' => {
                self.at += 1;
                self.escape_g(start)?
            }
            b'k' => {
                self.at += 1;
                let terminator = match self.next() {
                    Some(b'{') => b'}',
                    Some(b'<') => b'>',
                    Some(b'\'') => b'\'',
                    _ => return self.wrong_at(start, "`\\k` without a name"),
                };
                let name = self.name(terminator)?;
                self.named_reference(start, name)?
            }
            _ => match class_escape(byte) {
                Some(set) => {
                    self.at += 1;
                    Node::Set(set)
                }
                None => self.byte_escape(start)?,
            },
        };
        Ok(Item { node, repeatable: true })
    }

    /// Whether the brace here begins a quantifier.
    fn is_quantifier(&self) -> bool {
        matches!(self.clone().braces(), Ok(Some(_)))
    }

    fn byte_escape(&mut self, start: usize) -> Parsed<Node> {
        let byte = self.escaped_byte(start)?;
        Ok(self.byte(byte))
    }

    /// `\1` and so on; `None` if the digits are an octal number.
    fn numbered(&mut self, start: usize) -> Parsed<Option<Node>> {
        let digits = self.rest().iter().take_while(|b| b.is_ascii_digit()).count();
        let text = &self.rest()[..digits];
        let number = crate::ast::number(text).unwrap_or(u32::MAX);
        if number < 10 || text[0] >= b'8' || number <= self.groups {
            self.at += digits;
            return self.reference(start, number).map(Some);
        }
        Ok(None)
    }

    fn escape_g(&mut self, start: usize) -> Parsed<Node> {
        match self.peek() {
            Some(b'<' | b'\'') => self.call(start),
            Some(b'{') => {
                self.at += 1;
                if self.peek().is_some_and(|b| b.is_ascii_digit() || b == b'+' || b == b'-') {
                    let number = self.relative_number()?;
                    if !self.eat(b"}") {
                        return self.wrong_at(start, "`\\g{` without its end");
                    }
                    return self.reference(start, number);
                }
                let name = self.name(b'}')?;
                self.named_reference(start, name)
            }
            Some(b'0'..=b'9' | b'+' | b'-') => {
                let number = self.relative_number()?;
                self.reference(start, number)
            }
            _ => self.wrong_at(start, "`\\g` without a name or number"),
        }
    }

    /// An escape that stands for one byte, here or in a class.
    fn escaped_byte(&mut self, start: usize) -> Parsed<u8> {
        let Some(byte) = self.next() else { return self.wrong("`\\` at the end") };
        Ok(match byte {
            b'a' => 7,
            b'e' => 0x1b,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'0'..=b'7' => {
                self.at -= 1;
                return self.octal(start, 3);
            }
            b'c' => match self.next() {
                Some(control @ 0x20..=0x7e) => control.to_ascii_uppercase() ^ 0x40,
                _ => return self.wrong_at(start, "`\\c` without a printable character"),
            },
            b'o' => {
                if !self.eat(b"{") {
                    return self.wrong_at(start, "`\\o` without `{`");
                }
                self.braced(start, 8)?
            }
            b'x' if self.eat(b"{") => self.braced(start, 16)?,
            b'x' => {
                let mut value = 0;
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|b| char::from(b).to_digit(16)) else {
                        break;
                    };
                    // Two digits fit.
                    value = value << 4 | digit as u8;
                    self.at += 1;
                }
                value
            }
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                return self.wrong_at(start, "unrecognized character after `\\`");
            }
            _ => byte,
        })
    }

    fn octal(&mut self, start: usize, most: usize) -> Parsed<u8> {
        let mut value = 0u32;
        for _ in 0..most {
            let Some(digit @ b'0'..=b'7') = self.peek() else { break };
            value = value << 3 | u32::from(digit - b'0');
            self.at += 1;
        }
        match u8::try_from(value) {
            Ok(value) => Ok(value),
            Err(_) => self.wrong_at(start, "octal value above \\377"),
        }
    }

    fn braced(&mut self, start: usize, radix: u32) -> Parsed<u8> {
        let from = self.at;
        let mut value = 0u32;
        while let Some(digit) = self.peek().and_then(|b| char::from(b).to_digit(radix)) {
            value = value.saturating_mul(radix).saturating_add(digit);
            self.at += 1;
        }
        if self.at == from || !self.eat(b"}") {
            return self.wrong_at(start, "digits in braces expected");
        }
        match u8::try_from(value) {
            Ok(value) => Ok(value),
            Err(_) => self.wrong_at(start, "code point above 255"),
        }
    }

    /// A class, whose `[` is read already.
    fn class(&mut self, start: usize) -> Parsed<ByteSet> {
        if let Some((_, b':')) = posix_here(&self.text[start..]) {
            return self.wrong_at(start, "POSIX class outside of a class");
        }
        let negate = self.eat(b"^");
        let mut set = ByteSet::EMPTY;
        let mut first = true;
        let mut quoted = false;
        loop {
            if quoted && self.eat(b"\\E") {
                quoted = false;
                continue;
            }
            if !quoted && self.eat(b"\\E") {
                continue;
            }
            if !quoted && self.eat(b"\\Q") {
                quoted = true;
                continue;
            }
            let Some(byte) = self.peek() else {
                return self.wrong_at(start, "missing `]`");
            };
            if !quoted && byte == b']' && !first {
                self.at += 1;
                break;
            }
            if !quoted && self.options.extended_more && matches!(byte, b' ' | b'\t') {
                self.at += 1;
                continue;
            }
            first = false;
            match self.member(start, quoted)? {
                Member::Class(class) => {
                    set = set.union(class);
                    // A hyphen after a class is a literal only if it is the last.
                    if !quoted && self.peek() == Some(b'-') {
                        match self.rest().get(1) {
                            Some(b']') | None => {}
                            _ => return self.wrong("invalid range in a class"),
                        }
                    }
                }
                Member::Byte(low) => {
                    let high = self.range_end(start, low, &mut quoted)?;
                    let range = ByteSet::range(low, high);
                    set = set.union(if self.options.caseless { range.folded() } else { range });
                }
            }
        }
        Ok(if negate { set.negated() } else { set })
    }

    /// The upper end of a range that begins with `low`; `low` if it is none.
    fn range_end(&mut self, start: usize, low: u8, quoted: &mut bool) -> Parsed<u8> {
        let before = self.at;
        let was_quoted = *quoted;
        // `\Qa\E-z` is a range, and so is `a-\Qz\E`.
        if *quoted && self.eat(b"\\E") {
            *quoted = false;
        }
        let hyphen = !*quoted && self.peek() == Some(b'-');
        if !hyphen || matches!(self.rest().get(1), Some(b']') | None) {
            (self.at, *quoted) = (before, was_quoted);
            return Ok(low);
        }
        self.at += 1;
        while self.eat(b"\\E") {}
        if self.peek() == Some(b']') {
            (self.at, *quoted) = (before, was_quoted);
            return Ok(low);
        }
        if self.eat(b"\\Q") {
            *quoted = true;
        }
        match self.member(start, *quoted)? {
            Member::Byte(high) if high >= low => Ok(high),
            Member::Byte(_) => self.wrong_at(before, "range out of order in a class"),
            Member::Class(_) => self.wrong_at(before, "invalid range in a class"),
        }
    }

    fn member(&mut self, class: usize, quoted: bool) -> Parsed<Member> {
        let start = self.at;
        let Some(byte) = self.next() else { return self.wrong_at(class, "missing `]`") };
        if quoted {
            return Ok(Member::Byte(byte));
        }
        if byte == b'['
            && let Some((len, kind)) = posix_here(&self.text[start..])
        {
            if kind != b':' {
                return self.wrong_at(start, "POSIX collating elements are not supported");
            }
            let name = &self.text[start + 2..start + len - 2];
            self.at = start + len;
            let (negate, name) = match name.strip_prefix(b"^") {
                Some(name) => (true, name),
                None => (false, name),
            };
            let Some(mut set) = posix_class(name) else {
                return self.wrong_at(start, "unknown POSIX class");
            };
            if self.options.caseless && matches!(name, b"lower" | b"upper") {
                set = set.folded();
            }
            return Ok(Member::Class(if negate { set.negated() } else { set }));
        }
        if byte != b'\\' {
            return Ok(Member::Byte(byte));
        }
        let Some(escaped) = self.peek() else { return self.wrong_at(class, "missing `]`") };
        match escaped {
            b'b' => {
                self.at += 1;
                Ok(Member::Byte(8))
            }
            b'B' | b'R' | b'X' => self.wrong_at(start, "escape is invalid in a class"),
            b'N' => self.wrong_at(start, "`\\N` is invalid in a class"),
            b'8' | b'9' => {
                self.at += 1;
                Ok(Member::Byte(escaped))
            }
            b'P' | b'p' => self.unsupported(start, "a Unicode property"),
            _ => match class_escape(escaped) {
                Some(set) => {
                    self.at += 1;
                    Ok(Member::Class(set))
                }
                None => self.escaped_byte(start).map(Member::Byte),
            },
        }
    }
}

enum Member {
    Byte(u8),
    Class(ByteSet),
}

fn concat(mut nodes: Vec<Node>) -> Node {
    match nodes.len() {
        0 => Node::Empty,
        1 => nodes.remove(0),
        _ => Node::Concat(nodes),
    }
}

fn alternate(mut branches: Vec<Node>) -> Node {
    if branches.len() == 1 { branches.remove(0) } else { Node::Alternate(branches) }
}

fn has_backreference(node: &Node) -> bool {
    match node {
        Node::Backreference { .. } => true,
        Node::Alternate(nodes) | Node::Concat(nodes) => nodes.iter().any(has_backreference),
        Node::Atomic(node) | Node::Group { node, .. } | Node::Repeat { node, .. } => {
            has_backreference(node)
        }
        // A look inside of a look consumes nothing, whatever it holds.
        _ => false,
    }
}

/// The sets of `\d`, `\h`, `\s`, `\v`, `\w` and their negations.
fn class_escape(letter: u8) -> Option<ByteSet> {
    let set = match letter.to_ascii_lowercase() {
        b'd' => ByteSet::range(b'0', b'9'),
        b'h' => ByteSet::of(b"\t \xa0"),
        b's' => ByteSet::range(b'\t', b'\r').union(ByteSet::of(b" ")),
        b'v' => ByteSet::range(b'\n', b'\r').union(ByteSet::of(b"\x85")),
        b'w' => word_bytes(),
        _ => return None,
    };
    Some(if letter.is_ascii_uppercase() { set.negated() } else { set })
}

fn word_bytes() -> ByteSet {
    ByteSet::range(b'a', b'z').folded().union(ByteSet::range(b'0', b'9')).union(ByteSet::of(b"_"))
}

fn posix_class(name: &[u8]) -> Option<ByteSet> {
    let of = |test: fn(u8) -> bool| {
        let bytes: Vec<u8> = (0..=u8::MAX).filter(|&b| test(b)).collect();
        ByteSet::of(&bytes)
    };
    Some(match name {
        b"alnum" => of(|b| b.is_ascii_alphanumeric()),
        b"alpha" => of(|b| b.is_ascii_alphabetic()),
        b"ascii" => ByteSet::range(0, 0x7f),
        b"blank" => ByteSet::of(b" \t"),
        b"cntrl" => of(|b| b.is_ascii_control()),
        b"digit" => of(|b| b.is_ascii_digit()),
        b"graph" => of(|b| b.is_ascii_graphic()),
        b"lower" => of(|b| b.is_ascii_lowercase()),
        b"print" => ByteSet::range(b' ', b'~'),
        b"punct" => of(|b| b.is_ascii_punctuation()),
        b"space" => ByteSet::range(b'\t', b'\r').union(ByteSet::of(b" ")),
        b"upper" => of(|b| b.is_ascii_uppercase()),
        b"word" => word_bytes(),
        b"xdigit" => of(|b| b.is_ascii_hexdigit()),
        _ => return None,
    })
}

/// The length of `[:name:]`, `[.x.]` or `[=x=]` at the start of `text`, and
/// which of them it is.
fn posix_here(text: &[u8]) -> Option<(usize, u8)> {
    let &[b'[', kind @ (b':' | b'.' | b'='), ref rest @ ..] = text else { return None };
    for (at, &byte) in rest.iter().enumerate() {
        match byte {
            b']' | b'\\' => return None,
            _ if byte == kind && rest.get(at + 1) == Some(&b']') => return Some((at + 4, kind)),
            b'[' if matches!(rest.get(at + 1), Some(b':' | b'.' | b'=')) => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        Regex::parse(text.as_bytes(), Flags::default()).unwrap().root
    }

    fn refused(text: &[u8]) -> &'static str {
        match Regex::parse(text, Flags::default()) {
            Ok(_) => "ok",
            Err(e) => e.kind().code(),
        }
    }

    fn byte(byte: u8) -> Node {
        Node::Set(ByteSet::of(&[byte]))
    }

    #[test]
    fn what_pcre2_refuses_is_malformed() {
        for text in [
            "[\\w-.]",
            "[a-\\d]",
            "^*a",
            "\\b*",
            "(?i)*",
            "a(?i)+",
            "a**",
            "a{1}{2}",
            "a{2,1}",
            "a{65536}",
            "\\8",
            "\\777",
            "[\\777]",
            "\\x{100}",
            "\\y",
            "\\c",
            "[]",
            "[^]",
            "[a",
            "[b-a]",
            "[[.a.]]",
            "[[:foo:]]",
            "[:alpha:]",
            "(?<=a+)",
            "(?<=(a|bc)d)",
            "(?<=a?)",
            "(?P<a>x)(?P<a>y)",
            "(?P=a)",
            "\\k<a>",
            "(?<1a>x)",
            "\\g1",
            "\\g",
            "(*FOO)a",
            "\\E*",
            "a|*",
            "(?(1)a|b)",
            "(c)?(?(1)a|b|d)",
            "\\u0041",
            "\\x{}",
            "\\x{g}",
            "[\\B]",
            "[\\R]",
            "[\\N]",
            "a)",
            "(?z)",
            "(?i",
            "a+++",
            "(",
            "\\",
            "(?P<n",
            "(?P<>a)",
            "(?P<n-a>a)",
            "\\k",
            "(?n)(a)\\1",
            "x{1,99999999999}",
            "\\400",
            "[\\E]",
        ] {
            assert_eq!(refused(text.as_bytes()), "regex", "{text}");
        }
        assert_eq!(refused("\\c\u{e9}".as_bytes()), "regex");
        assert_eq!(refused("(".repeat(10_000).as_bytes()), "regex");
    }

    #[test]
    fn what_is_not_run_is_named() {
        for text in [
            "(a)(?1)",
            "(?R)",
            "(?&n)(?<n>a)",
            "\\p{L}",
            "\\X",
            "(*UTF)a",
            "a(*PRUNE)b",
            "(?C1)a",
            "\\Ka",
            "(?*a)b",
            "(?J)a",
        ] {
            assert_eq!(refused(text.as_bytes()), "unsupported", "{text}");
        }
    }

    #[test]
    fn what_pcre2_accepts() {
        for text in [
            "[\\w-]",
            "a{,3}",
            "{",
            "\\1(a)",
            "[\\8]",
            "[]]",
            "[^]]",
            "(?<=a|bc)",
            "(?|(a)|(b))\\1",
            "(*FAIL)",
            "\\R+",
            "\\Q*\\E*",
            "(|a)*",
            "(?#abc)a",
            "a(?#c)+",
            "(?(1)a|b)(c)",
            "\\x",
            "\\0",
            "[\\b]",
            "x{0}",
            "(?:){5}",
            "\\d{1,2}+",
            "x{1 }",
            "(?xx)[a b]",
            "[a-]",
            "[-a]",
            "[a-c-e]",
            "[]-a]",
            "[[a]",
            "[a[:digit:]b]",
            "(?>a)+",
            "(?=a){3}b",
            "(*pla:a)b",
            "\\10()",
            "\\08",
            "(?<n>a)|(?P=n)",
            "(?(?=a)b)",
            "(?(DEFINE)(?<x>a))",
            "(?^i:a)",
        ] {
            assert_eq!(refused(text.as_bytes()), "ok", "{text}");
        }
    }

    #[test]
    fn flags_are_resolved() {
        let both = Node::Set(ByteSet::of(b"aA"));
        assert_eq!(tree("(?i)a"), both);
        assert_eq!(tree("(?i:a)b"), Node::Concat(vec![both.clone(), byte(b'b')]));
        assert_eq!(tree("((?i)a)b"), {
            let group = Node::Group { index: 1, node: Box::new(both.clone()) };
            Node::Concat(vec![group, byte(b'b')])
        });
        assert_eq!(tree("x|(?i)a|b"), {
            Node::Alternate(vec![byte(b'x'), both, Node::Set(ByteSet::of(b"bB"))])
        });
        assert_eq!(tree("$"), Node::Assert(Assertion::EndOrLastLine));
        assert_eq!(tree("(?m)$"), Node::Assert(Assertion::LineEnd));
        let end_only = Regex::parse(b"$", Flags::DOLLAR_END_ONLY).unwrap();
        assert_eq!(end_only.root, Node::Assert(Assertion::End));
        let lazy = |text: &str, flags| match Regex::parse(text.as_bytes(), flags).unwrap().root {
            Node::Repeat { lazy, .. } => lazy,
            _ => panic!("a repeat"),
        };
        assert!(lazy("a+", Flags::UNGREEDY) && !lazy("a+?", Flags::UNGREEDY));
    }

    #[test]
    fn escapes_are_bytes() {
        for (text, expected) in [
            ("\\x4", 4u8),
            ("\\x41", b'A'),
            ("\\x{41}", b'A'),
            ("\\012", 10),
            ("\\o{101}", b'A'),
            ("\\cA", 1),
            ("\\c{", b';'),
            ("\\e", 0x1b),
            ("\\_", b'_'),
            ("\\19", 1),
        ] {
            let node = tree(text);
            let first = match node {
                Node::Concat(nodes) => nodes[0].clone(),
                other => other,
            };
            assert_eq!(first, byte(expected), "{text}");
        }
        assert_eq!(tree("[\\x30-9]"), Node::Set(ByteSet::range(b'0', b'9')));
    }

    #[test]
    fn extended_text_has_blanks_and_comments() {
        assert_eq!(tree("(?x)a b # c\nd"), tree("abd"));
        assert_eq!(tree("(?x)a +"), tree("a+"));
        assert_eq!(tree("(?x)[a b]"), tree("[a b]"));
    }
}
