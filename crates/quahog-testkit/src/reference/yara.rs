//! YARA rules (section 5.9), read and run in the plainest way.
//!
//! A string is a subsignature, as the specification has it: text becomes hex
//! with modifiers, jumps become gaps. A condition is a tree that is walked
//! anew for each view; nothing is cut short, and every match of every string is
//! listed. Regular expressions are not decided.
//!
//! Numbers are those of ClamAV 1.4.6: 64 bits, or undefined. `and` and `or`
//! work on bits; a comparison with something undefined is false; the last byte
//! of a file cannot be read; a loop over a range runs at least once; a loop sums
//! up what its body gives.

use super::exe::Program;
use super::logical::Logical;
use super::{Reason, View};

/// The one reason for which a file is refused.
pub(super) const ALONE: Reason = "one byte beside a jump";

/// A rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) private: bool,
    strings: Vec<Text>,
    condition: Tree,
    /// The rules before it, by name.
    earlier: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Text {
    name: String,
    /// None for a regular expression.
    pattern: Option<Logical>,
}

#[derive(Clone, Debug)]
enum Tree {
    Number(i64),
    /// "all", as a quantifier
    All,
    Size,
    Entry,
    Read {
        width: usize,
        signed: bool,
        offset: Box<Tree>,
    },
    Two(&'static str, Box<Tree>, Box<Tree>),
    Not(Box<Tree>),
    Complement(Box<Tree>),
    Found(Which),
    Count(Which),
    Offset(Which, Box<Tree>),
    At(Which, Box<Tree>),
    In(Which, Box<Tree>, Box<Tree>),
    Of(Box<Tree>, Vec<usize>),
    ForStrings(Box<Tree>, Vec<usize>, Box<Tree>),
    ForRange(Box<Tree>, Box<Tree>, Box<Tree>, Box<Tree>),
    ForList(Box<Tree>, Vec<Tree>, Box<Tree>),
    Variable(usize),
    Rule(String),
}

/// A string: that of the loop around, or one by its place.
#[derive(Clone, Copy, Debug)]
enum Which {
    Current,
    Place(usize),
}

/// Rules of a file, or why one is left out, with the line it begins on.
pub(super) fn parse(text: &str) -> Vec<Result<Rule, (usize, Reason)>> {
    let tokens = match tokens(text) {
        Ok(tokens) => tokens,
        Err(error) => return vec![Err(error)],
    };
    let mut rules: Vec<Rule> = Vec::new();
    let mut all = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let line = tokens[at].1;
        let mut parser = Parser {
            tokens: &tokens,
            at,
            strings: Vec::new(),
            used: Vec::new(),
            earlier: &rules,
            variables: Vec::new(),
            in_strings: false,
        };
        match parser.rule() {
            Ok(rule) => {
                at = parser.at;
                rules.push(rule.clone());
                all.push(Ok(rule));
            }
            Err(reason) => {
                at = parser.at.max(at + 1);
                while at < tokens.len() && !matches!(tokens[at].0.as_str(), "rule" | "private") {
                    at += 1;
                }
                all.push(Err((line, reason)));
            }
        }
    }
    all
}

impl Rule {
    /// Whether it has a regular expression, or asks for a rule that has.
    pub(super) fn is_decided(&self) -> bool {
        self.strings.iter().all(|text| text.pattern.is_some())
            && self.earlier.iter().all(Rule::is_decided)
    }

    pub(super) fn holds(&self, view: &View<'_>) -> bool {
        let places = |text: &Text| {
            let pattern = text.pattern.as_ref()?;
            // A body pattern: no step is counted, and no group is asked for.
            let (_, hits) = pattern.evaluate(view, &|_| Vec::new(), &[]).ok()??;
            let mut starts: Vec<usize> =
                hits.first()?.occurrences.iter().map(|found| found.start).collect();
            starts.sort_unstable();
            Some(starts)
        };
        let places: Vec<Vec<usize>> =
            self.strings.iter().map(|text| places(text).unwrap_or_default()).collect();
        let run = Run { rule: self, view, places, current: None, variables: Vec::new() };
        run.value(&self.condition).is_some_and(|value| value != 0)
    }
}

/// A walk over a condition.
#[derive(Clone)]
struct Run<'r, 'v> {
    rule: &'r Rule,
    view: &'r View<'v>,
    /// Where each string starts, in order.
    places: Vec<Vec<usize>>,
    current: Option<usize>,
    variables: Vec<Option<i64>>,
}

impl Run<'_, '_> {
    fn starts(&self, which: Which) -> &[usize] {
        let place = match which {
            Which::Current => self.current,
            Which::Place(place) => Some(place),
        };
        place.and_then(|place| self.places.get(place)).map_or(&[], Vec::as_slice)
    }

    fn value(&self, tree: &Tree) -> Option<i64> {
        let truth = |truth: bool| Some(i64::from(truth));
        match tree {
            Tree::Number(value) => Some(*value),
            Tree::All => None,
            Tree::Size => Some(self.view.size as i64),
            Tree::Entry => Some(Program::of(self.view).entry().unwrap_or(0)),
            Tree::Read { width, signed, offset } => {
                let start = usize::try_from(self.value(offset)?).ok()?;
                // The last byte is never read.
                let bytes = &self.view.bytes[..self.view.bytes.len().saturating_sub(1)];
                let mut value = 0i64;
                for place in (0..*width).rev() {
                    value = value * 256 + i64::from(*bytes.get(start.checked_add(place)?)?);
                }
                let limit = 1i64 << (8 * width);
                Some(if *signed && value >= limit / 2 { value - limit } else { value })
            }
            Tree::Two(operator, a, b) => two(operator, self.value(a), self.value(b)),
            Tree::Not(a) => self.value(a).map(|value| i64::from(value == 0)),
            Tree::Complement(a) => self.value(a).map(|value| -1 - value),
            Tree::Found(which) => truth(!self.starts(*which).is_empty()),
            Tree::Count(which) => Some(self.starts(*which).len() as i64),
            Tree::Offset(which, index) => {
                let index = usize::try_from(self.value(index)?).ok()?.checked_sub(1)?;
                self.starts(*which).get(index).map(|&start| start as i64)
            }
            Tree::At(which, offset) => {
                let offset = self.value(offset);
                truth(self.starts(*which).iter().any(|&start| Some(start as i64) == offset))
            }
            Tree::In(which, low, high) => {
                let (low, high) = (self.value(low), self.value(high));
                let inside = |start: &usize| {
                    let start = *start as i64;
                    low.is_some_and(|low| low <= start) && high.is_some_and(|high| start <= high)
                };
                truth(self.starts(*which).iter().any(inside))
            }
            Tree::Of(quantifier, places) => {
                let found = places.iter().filter(|&&place| !self.places[place].is_empty()).count();
                let wanted = self.value(quantifier).unwrap_or(places.len() as i64);
                truth(found as i64 >= wanted)
            }
            Tree::ForStrings(quantifier, places, body) => {
                let values = places.iter().map(|&place| {
                    let run = Run { current: Some(place), ..self.clone() };
                    run.value(body)
                });
                truth(enough(self.value(quantifier), values.collect()))
            }
            Tree::ForRange(quantifier, low, high, body) => {
                let (mut number, high) = (self.value(low), self.value(high));
                let mut values = Vec::new();
                loop {
                    values.push(self.turn(number, body));
                    number = number.map(|number| number + 1);
                    let goes_on = number.zip(high).is_some_and(|(number, high)| number <= high);
                    if !goes_on {
                        break;
                    }
                }
                truth(enough(self.value(quantifier), values))
            }
            Tree::ForList(quantifier, list, body) => {
                let values = list.iter().map(|number| self.turn(self.value(number), body));
                truth(enough(self.value(quantifier), values.collect()))
            }
            Tree::Variable(depth) => self.variables.get(*depth).copied().flatten(),
            Tree::Rule(name) => {
                let rule = self.rule.earlier.iter().find(|rule| rule.name == *name);
                truth(rule.is_some_and(|rule| rule.holds(self.view)))
            }
        }
    }

    /// The value of a loop's body for one number.
    fn turn(&self, number: Option<i64>, body: &Tree) -> Option<i64> {
        let mut run = self.clone();
        run.variables.push(number);
        run.value(body)
    }
}

/// Whether a loop whose body gave these values holds: not if one is undefined.
fn enough(wanted: Option<i64>, values: Vec<Option<i64>>) -> bool {
    let turns = values.len() as i64;
    let values: Option<Vec<i64>> = values.into_iter().collect();
    values.is_some_and(|values| {
        values.iter().fold(0i64, |sum, value| sum.wrapping_add(*value)) >= wanted.unwrap_or(turns)
    })
}

fn two(operator: &str, a: Option<i64>, b: Option<i64>) -> Option<i64> {
    if operator == "and" || operator == "&" {
        return Some(if let (Some(a), Some(b)) = (a, b) { a & b } else { 0 });
    }
    if operator == "or" || operator == "|" {
        return if let (Some(a), Some(b)) = (a, b) { Some(a | b) } else { a.or(b) };
    }
    let compared =
        |truth: fn(i64, i64) -> bool| Some(i64::from(a.zip(b).is_some_and(|(a, b)| truth(a, b))));
    match operator {
        "==" => return compared(|a, b| a == b),
        "!=" => return compared(|a, b| a != b),
        "<" => return compared(|a, b| a < b),
        "<=" => return compared(|a, b| a <= b),
        ">" => return compared(|a, b| a > b),
        ">=" => return compared(|a, b| a >= b),
        _ => {}
    }
    let (a, b) = (a?, b?);
    match operator {
        "+" => Some(a.wrapping_add(b)),
        "-" => Some(a.wrapping_sub(b)),
        "*" => Some(a.wrapping_mul(b)),
        "\\" if b != 0 => Some(a.wrapping_div(b)),
        "%" if b != 0 => Some(a.wrapping_rem(b)),
        "^" => Some(a ^ b),
        "<<" => Some(a.wrapping_shl(b.rem_euclid(64) as u32)),
        ">>" => Some(a.wrapping_shr(b.rem_euclid(64) as u32)),
        _ => None,
    }
}

/// A token and the number of its line. Texts keep their quotation marks, hex
/// strings their braces and regular expressions their slashes.
type Token = (String, usize);

fn tokens(text: &str) -> Result<Vec<Token>, (usize, Reason)> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '\n' {
            line += 1;
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = |text: &str| text.find(|c| !is_word(c)).unwrap_or(text.len());
        let length = match first {
            ' ' | '\t' | '\r' | '\n' => {
                rest = &rest[1..];
                continue;
            }
            '/' if rest.starts_with("//") => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '/' if rest.starts_with("/*") => {
                let end = rest.find("*/").map_or(rest.len(), |end| end + 2);
                line += rest[..end].matches('\n').count();
                rest = &rest[end..];
                continue;
            }
            '"' | '/' => {
                let mut escaped = false;
                let end = rest.char_indices().skip(1).find(|&(_, c)| {
                    let ends = c == first && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends || c == '\n'
                });
                match end {
                    Some((end, c)) if c == first => end + 1,
                    _ => return Err((line, "a text without its end")),
                }
            }
            '{' => {
                let end = rest.find('}').unwrap_or(0);
                let inside = rest.get(1..end).unwrap_or_default();
                let hex = |c: char| c.is_ascii_hexdigit() || " \t\n?-|[]()".contains(c);
                if !inside.is_empty() && inside.chars().all(hex) { end + 1 } else { 1 }
            }
            '$' => {
                let length = 1 + words(&rest[1..]);
                length + usize::from(rest[length..].starts_with('*'))
            }
            '#' | '@' => 1 + words(&rest[1..]),
            c if is_word(c) => words(rest),
            _ if ["..", "==", "!=", "<=", ">=", "<<", ">>"].iter().any(|o| rest.starts_with(o)) => {
                2
            }
            c if c.is_ascii_graphic() => 1,
            _ => return Err((line, "a byte that stands in no rule")),
        };
        let (token, behind) = rest.split_at(length);
        line += token.matches('\n').count();
        tokens.push((token.to_owned(), line));
        rest = behind;
    }
    Ok(tokens)
}

struct Parser<'p> {
    tokens: &'p [Token],
    at: usize,
    strings: Vec<Text>,
    used: Vec<bool>,
    earlier: &'p [Rule],
    variables: Vec<String>,
    in_strings: bool,
}

type Parsed = Result<Tree, Reason>;

/// Operators on numbers, the loosest first.
const LEVELS: [&[&str]; 4] = [&["&", "|", "^"], &["<<", ">>"], &["+", "-"], &["*", "\\", "%"]];

impl Parser<'_> {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", |token| token.0.as_str())
    }

    fn next(&mut self) -> String {
        let token = self.peek().to_owned();
        self.at += 1;
        token
    }

    fn eat(&mut self, token: &str) -> bool {
        let here = self.peek() == token;
        self.at += usize::from(here);
        here
    }

    fn expect(&mut self, token: &str) -> Result<(), Reason> {
        if self.eat(token) { Ok(()) } else { Err("another token was wanted") }
    }

    fn rule(&mut self) -> Result<Rule, Reason> {
        let private = self.eat("private");
        self.expect("rule")?;
        let name = self.next();
        if self.earlier.iter().any(|rule| rule.name == name) {
            return Err("a rule of this name stands before");
        }
        self.expect("{")?;
        let mut refused = None;
        if self.eat("strings") {
            self.expect(":")?;
            while self.peek().starts_with('$') {
                let name = self.peek()[1..].to_owned();
                let text = self.string()?.unwrap_or_else(|reason| {
                    refused = Some(reason);
                    Text { name, pattern: None }
                });
                self.strings.push(text);
            }
        }
        self.expect("condition")?;
        self.expect(":")?;
        self.used = vec![false; self.strings.len()];
        let condition = self.or()?;
        self.expect("}")?;
        if let Some(reason) = refused {
            return Err(reason);
        }
        if self.strings.is_empty() {
            return Err("no strings");
        }
        if self.used.contains(&false) {
            return Err("a string that is not used");
        }
        let strings = std::mem::take(&mut self.strings);
        Ok(Rule { name, private, strings, condition, earlier: self.earlier.to_vec() })
    }

    /// A string; the inner error is one that leaves the text readable.
    fn string(&mut self) -> Result<Result<Text, Reason>, Reason> {
        let name = self.next()[1..].to_owned();
        self.expect("=")?;
        let token = self.next();
        let mut letters = String::from("a");
        let mut has_ascii = false;
        let mut wide = false;
        if !token.starts_with('{') {
            loop {
                match self.peek() {
                    "nocase" => letters.push('i'),
                    "fullword" => letters.push('f'),
                    "wide" => wide = true,
                    "ascii" => has_ascii = true,
                    _ => break,
                }
                self.at += 1;
            }
        }
        let inside = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
        let hex = match token.chars().next() {
            Some('"') => {
                let bytes = unescape(inside)?;
                if bytes.len() < 2 {
                    return Ok(Err("a string of one byte"));
                }
                bytes.iter().map(|byte| format!("{byte:02x}")).collect()
            }
            Some('{') => {
                let hex: String = inside.chars().filter(|c| !c.is_whitespace()).collect();
                let hex = hex.replace('[', "{").replace(']', "}");
                let pieces: Vec<&str> = hex.split(['{', '}']).step_by(2).collect();
                if pieces.len() > 1 && pieces.iter().any(|p| p.len() == 2 && *p != "??") {
                    return Ok(Err(ALONE));
                }
                if hex.len() < 4 {
                    return Ok(Err("a hex string of one byte"));
                }
                hex
            }
            Some('/') => return Ok(Ok(Text { name, pattern: None })),
            _ => return Err("a string was wanted"),
        };
        if wide {
            letters.push('w');
            if !has_ascii {
                letters = letters.replace('a', "");
            }
        }
        let line = format!("X;Engine:81-255,Target:0;0;{hex}::{letters}");
        Ok(match Logical::parse(&line) {
            Ok(Some(pattern)) => Ok(Text { name, pattern: Some(pattern) }),
            Ok(None) => Err("not for this engine"),
            Err(reason) => Err(reason),
        })
    }

    fn or(&mut self) -> Parsed {
        let mut left = self.and()?;
        while self.eat("or") {
            left = Tree::Two("or", Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.not()?;
        while self.eat("and") {
            left = Tree::Two("and", Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed {
        if self.eat("not") {
            return Ok(Tree::Not(Box::new(self.not()?)));
        }
        let left = match self.peek() {
            "all" | "any" => self.quantifier()?,
            _ => self.number(0)?,
        };
        if self.eat("of") {
            let places = self.set()?;
            return Ok(Tree::Of(Box::new(left), places));
        }
        for operator in ["==", "!=", "<=", ">=", "<", ">"] {
            if self.eat(operator) {
                return Ok(Tree::Two(operator, Box::new(left), Box::new(self.number(0)?)));
            }
        }
        Ok(left)
    }

    fn quantifier(&mut self) -> Parsed {
        if self.eat("all") {
            return Ok(Tree::All);
        }
        if self.eat("any") { Ok(Tree::Number(1)) } else { self.number(0) }
    }

    fn number(&mut self, level: usize) -> Parsed {
        let Some(operators) = LEVELS.get(level) else { return self.operand() };
        let mut left = self.number(level + 1)?;
        loop {
            let Some(operator) = operators.iter().find(|operator| **operator == self.peek()) else {
                return Ok(left);
            };
            self.at += 1;
            left = Tree::Two(operator, Box::new(left), Box::new(self.number(level + 1)?));
        }
    }

    fn operand(&mut self) -> Parsed {
        let token = self.next();
        let boxed = |tree: Parsed| tree.map(Box::new);
        match token.as_str() {
            "(" => {
                let inside = self.or()?;
                self.expect(")")?;
                return Ok(inside);
            }
            "~" => return Ok(Tree::Complement(boxed(self.operand())?)),
            "true" => return Ok(Tree::Number(1)),
            "false" => return Ok(Tree::Number(0)),
            "filesize" => return Ok(Tree::Size),
            "entrypoint" => return Ok(Tree::Entry),
            "for" => return self.loop_tree(),
            _ => {}
        }
        let widths = [("int8", 1), ("int16", 2), ("int32", 4)];
        let unsigned = token.strip_prefix('u').unwrap_or(&token);
        if let Some((_, width)) = widths.iter().find(|(name, _)| *name == unsigned) {
            self.expect("(")?;
            let offset = boxed(self.number(0))?;
            self.expect(")")?;
            return Ok(Tree::Read { width: *width, signed: !token.starts_with('u'), offset });
        }
        if token.starts_with(|c: char| c.is_ascii_digit()) {
            return literal(&token).map(Tree::Number).ok_or("a number was wanted");
        }
        if let Some(name) = token.strip_prefix('$') {
            let which = self.which(name)?;
            if self.eat("at") {
                return Ok(Tree::At(which, boxed(self.number(0))?));
            }
            if self.eat("in") {
                self.expect("(")?;
                let low = boxed(self.number(0))?;
                self.expect("..")?;
                let high = boxed(self.number(0))?;
                self.expect(")")?;
                return Ok(Tree::In(which, low, high));
            }
            return Ok(Tree::Found(which));
        }
        if let Some(name) = token.strip_prefix('#') {
            return Ok(Tree::Count(self.which(name)?));
        }
        if let Some(name) = token.strip_prefix('@') {
            let which = self.which(name)?;
            if !self.eat("[") {
                return Ok(Tree::Offset(which, Box::new(Tree::Number(1))));
            }
            let index = boxed(self.number(0))?;
            self.expect("]")?;
            return Ok(Tree::Offset(which, index));
        }
        if let Some(depth) = self.variables.iter().position(|name| *name == token) {
            return Ok(Tree::Variable(depth));
        }
        if self.earlier.iter().any(|rule| rule.name == token) {
            return Ok(Tree::Rule(token));
        }
        Err("an operand was wanted")
    }

    fn which(&mut self, name: &str) -> Result<Which, Reason> {
        if name.is_empty() && self.in_strings {
            return Ok(Which::Current);
        }
        let place = self.strings.iter().position(|text| text.name == name);
        let place = place.ok_or("a string that is not there")?;
        self.used[place] = true;
        Ok(Which::Place(place))
    }

    fn set(&mut self) -> Result<Vec<usize>, Reason> {
        let mut places = Vec::new();
        if self.eat("them") {
            places.extend(0..self.strings.len());
        } else {
            self.expect("(")?;
            loop {
                let token = self.next();
                let name = token.strip_prefix('$').ok_or("a string was wanted")?;
                for (place, text) in self.strings.iter().enumerate() {
                    let fits = match name.strip_suffix('*') {
                        Some(start) => text.name.starts_with(start),
                        None => text.name == name,
                    };
                    if fits {
                        places.push(place);
                    }
                }
                if !self.eat(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        for &place in &places {
            self.used[place] = true;
        }
        Ok(places)
    }

    fn loop_tree(&mut self) -> Parsed {
        let quantifier = Box::new(self.quantifier()?);
        if self.eat("of") {
            let places = self.set()?;
            self.expect(":")?;
            self.expect("(")?;
            let before = std::mem::replace(&mut self.in_strings, true);
            let body = Box::new(self.or()?);
            self.in_strings = before;
            self.expect(")")?;
            return Ok(Tree::ForStrings(quantifier, places, body));
        }
        let name = self.next();
        self.expect("in")?;
        self.expect("(")?;
        let mut list = vec![self.number(0)?];
        let mut high = None;
        if self.eat("..") {
            high = Some(Box::new(self.number(0)?));
        }
        while high.is_none() && self.eat(",") {
            list.push(self.number(0)?);
        }
        self.expect(")")?;
        self.expect(":")?;
        self.expect("(")?;
        self.variables.push(name);
        let body = Box::new(self.or()?);
        self.variables.pop();
        self.expect(")")?;
        Ok(match high {
            Some(high) => {
                let low = Box::new(list.remove(0));
                Tree::ForRange(quantifier, low, high, body)
            }
            None => Tree::ForList(quantifier, list, body),
        })
    }
}

/// A number as it is written. Hex digits count in pairs.
fn literal(token: &str) -> Option<i64> {
    if let Some(digits) = token.strip_prefix("0x") {
        if digits.len() % 2 == 1 {
            return Some(0);
        }
        let last = &digits[digits.len().saturating_sub(8)..];
        return u32::from_str_radix(last, 16).ok().map(|value| i64::from(value as i32));
    }
    if let Some(digits) = token.strip_suffix("KB") {
        return digits.parse::<i64>().ok().map(|value| value << 10);
    }
    if let Some(digits) = token.strip_suffix("MB") {
        return digits.parse::<i64>().ok().map(|value| value << 20);
    }
    token.parse().ok()
}

fn unescape(text: &str) -> Result<Vec<u8>, Reason> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b't') => bytes.push(b'\t'),
            Some(b'n') => bytes.push(b'\n'),
            Some(&other @ (b'"' | b'\\')) => bytes.push(other),
            Some(b'x') => {
                let digits = std::str::from_utf8(rest.as_slice().get(..2).unwrap_or_default());
                let value = digits.ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
                if let Some(value) = value {
                    bytes.push(value);
                    rest.nth(1);
                }
            }
            _ => {}
        }
    }
    Ok(bytes)
}
