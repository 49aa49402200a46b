//! From rules to the set: what a rule means, and whether ClamAV would run it.

use std::collections::HashMap;

use super::ast::{Expr, ExprKind, Quantifier, Rule, StringDef, StringSet, StringValue};
use super::lexer::MAX_TEXT;
use super::parse::{self, Parsed};
use super::program::{Arithmetic, Op, StringRef, Writer};
use super::regex;
use crate::body::{self, Rules};
use crate::lower::{Admission, Oddity, SetBuilder, Skip};
use crate::model::set::{CodeRange, YaraRow, YaraStringRow};
use crate::{Error, ErrorKind};

/// The most strings of a rule that ClamAV 1.4.6 runs.
const MAX_STRINGS: usize = 64;

/// The most strings of a rule that is read at all.
const MOST_STRINGS: usize = 10_000;

/// Rules that were read, by name. One space of names for all files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    rules: HashMap<Vec<u8>, Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// Its place in the set; none if it was left out: then it never holds.
    index: Option<u32>,
    /// ClamAV 1.4.6 would not run it.
    odd: bool,
}

/// What the strings of rules in error do to the next rule in ClamAV 1.4.6,
/// which counts them as that rule's own.
#[derive(Clone, Copy, Debug, Default)]
struct Leaked {
    count: usize,
    refused: bool,
    hex_refused: bool,
}

/// Rules of one file.
pub(crate) struct Reader<'b> {
    builder: &'b mut SetBuilder,
    leaked: Leaked,
    /// The error for which ClamAV refuses the file, if the last rule is to blame.
    pub(crate) refusal: Option<Error>,
}

impl<'b> Reader<'b> {
    pub(crate) fn new(builder: &'b mut SetBuilder) -> Reader<'b> {
        Reader { builder, leaked: Leaked::default(), refusal: None }
    }

    /// Reads all rules; each is reported with its place.
    pub(crate) fn read(
        &mut self,
        text: &[u8],
        number_of: &mut dyn FnMut(usize) -> u32,
        visit: &mut dyn FnMut(usize, Result<Admission, Error>),
    ) {
        // The parser asks for names while rules are added: so it collects first.
        // A rule is dropped as soon as it is in the set.
        let names: std::cell::RefCell<Names> =
            std::cell::RefCell::new(std::mem::take(&mut self.builder.yara));
        let mut known = |word: &[u8]| names.borrow().rules.contains_key(word);
        parse::parse(text, &mut known, &mut |parsed| {
            let at = parsed.name_place();
            let line = number_of(at);
            let outcome = self.rule(&parsed, text, line, &mut names.borrow_mut());
            let at = outcome.as_ref().map_or_else(|error| error.span().start(), |_| at);
            visit(at, outcome);
        });
        self.builder.yara = names.into_inner();
    }

    fn rule(
        &mut self,
        parsed: &Parsed<'_>,
        text: &[u8],
        line: u32,
        names: &mut Names,
    ) -> Result<Admission, Error> {
        let checked = parsed.outcome.as_ref().map_err(|error| *error).and_then(|rule| {
            check(rule, names)?;
            Ok(rule)
        });
        let rule = match checked {
            Ok(rule) => rule,
            Err(error) => {
                for string in &parsed.strings {
                    self.leaked.count += 1;
                    self.leaked.refused |= is_refused(string);
                    self.leaked.hex_refused |= hex_code(string, &mut Vec::new()).is_err();
                }
                return Err(error);
            }
        };
        let mut leaked = std::mem::take(&mut self.leaked);
        leaked.refused |= parsed.behind_end;
        names.rules.insert(rule.name.to_vec(), Known { index: None, odd: false });
        let code = self.builder.columns.code.len();
        let strings = self.builder.columns.yara_strings.len();
        let result = self.admit(rule, text, line, leaked, names);
        if !matches!(result, Ok(Admission::Admitted | Admission::Odd(_))) {
            self.builder.columns.code.to_mut().truncate(code);
            self.builder.columns.yara_strings.truncate(strings);
        }
        result
    }

    fn admit(
        &mut self,
        rule: &Rule<'_>,
        text: &[u8],
        line: u32,
        leaked: Leaked,
        names: &mut Names,
    ) -> Result<Admission, Error> {
        self.refusal = None;
        let whole = text.get(rule.text.range()).unwrap_or_default();
        if self.builder.ignore.covers(rule.name, whole) {
            return Ok(Admission::Skipped(Skip::Ignored));
        }
        if rule.strings.is_empty() {
            let kind = ErrorKind::Unsupported("a rule without strings");
            return Err(Error::new(kind, rule.span));
        }
        if rule.strings.len() > MOST_STRINGS || self.builder.is_full() {
            let kind = ErrorKind::Unsupported("a rule of this size");
            return Err(Error::new(kind, rule.span));
        }
        let first_string = self.builder.columns.yara_strings.len();
        // What ClamAV refuses the file for outweighs all else.
        let mut error = None;
        for string in &rule.strings {
            match self.string(string) {
                Ok(row) => self.builder.columns.yara_strings.push(row),
                Err(new) => {
                    if matches!(string.value, StringValue::Hex(_)) {
                        self.refusal = self.refusal.or(Some(new));
                    }
                    error = error.or(Some(new));
                }
            }
        }
        if leaked.hex_refused {
            let kind = ErrorKind::RuleRefused("hex strings of a rule before it, which is in error");
            self.refusal = self.refusal.or(Some(Error::new(kind, rule.span)));
        }
        if let Some(error) = self.refusal.filter(|_| error.is_some()).or(error) {
            return Err(error);
        }
        let oddity = if rule.strings.iter().any(is_short) {
            Some(Oddity::ShortString)
        } else if rule.strings.len() > MAX_STRINGS {
            Some(Oddity::ManyStrings)
        } else if leaked.refused
            || leaked.hex_refused
            || leaked.count + rule.strings.len() > MAX_STRINGS
        {
            Some(Oddity::RuleBefore)
        } else if rule.strings.iter().any(has_odd_layout) {
            Some(Oddity::StringLayout)
        } else if asks_for_big_endian(&rule.condition) {
            Some(Oddity::BigEndian)
        } else {
            None
        };
        if let Some(oddity) = oddity.filter(|_| self.builder.strict()) {
            return Err(Error::new(ErrorKind::RuleRefused(oddity.reason()), rule.span));
        }
        let mut lowering =
            Lowering { rule, names, odd: oddity.is_some(), writer: Writer::default() };
        lowering.expr(&rule.condition);
        let program = lowering.writer.code;
        let columns = &mut self.builder.columns;
        let start = columns.code.len();
        columns.code.to_mut().extend_from_slice(&program);
        let index = columns.yara.len();
        // All of these fit: `is_full` has checked that there is room.
        columns.yara.push(YaraRow {
            program: CodeRange::new(start, columns.code.len()),
            first_string: first_string as u32,
            n_strings: rule.strings.len() as u32,
            private: rule.private,
        });
        let name = [b"YARA.", rule.name].concat();
        columns.yara_rows.push(&name, columns.sources.len() - 1, line);
        let known = Known { index: Some(index as u32), odd: oddity.is_some() };
        names.rules.insert(rule.name.to_vec(), known);
        Ok(oddity.map_or(Admission::Admitted, Admission::Odd))
    }

    /// Compiles a string into the arena.
    fn string(&mut self, string: &StringDef<'_>) -> Result<YaraStringRow, Error> {
        let code = self.builder.columns.code.to_mut();
        let start = code.len();
        let end_of = |code: &Vec<u8>, start| CodeRange::new(start, code.len());
        match &string.value {
            StringValue::Hex(_) => {
                hex_code(string, code)?;
                Ok(YaraStringRow { code: end_of(code, start), second: None, is_regex: false })
            }
            StringValue::Regex(_) if string.wide => {
                let kind = ErrorKind::Unsupported("`wide` on a regular expression");
                Err(Error::new(kind, string.span))
            }
            StringValue::Regex(text) => {
                let text = regex::translate(text).map_err(|kind| Error::new(kind, string.span))?;
                code.extend_from_slice(&text);
                Ok(YaraStringRow { code: end_of(code, start), second: None, is_regex: true })
            }
            StringValue::Text(text) => {
                if text.is_empty() {
                    return Err(Error::new(ErrorKind::StringEmpty, string.span));
                }
                let mut second = None;
                if string.wide && string.ascii {
                    text_code(string, text, false, code)?;
                    second = Some(end_of(code, start));
                }
                let start = code.len();
                text_code(string, text, string.wide, code)?;
                Ok(YaraStringRow { code: end_of(code, start), second, is_regex: false })
            }
        }
    }
}

impl Parsed<'_> {
    /// Where the rule is told to be: at its name.
    fn name_place(&self) -> usize {
        self.outcome.as_ref().map_or(self.span.start(), |rule| rule.span.start())
    }
}

/// What makes ClamAV drop a rule before it looks at its strings.
fn check(rule: &Rule<'_>, names: &Names) -> Result<(), Error> {
    if names.rules.contains_key(rule.name) {
        return Err(Error::new(ErrorKind::RuleDuplicate, rule.span));
    }
    let mut seen = std::collections::HashSet::new();
    for string in rule.strings.iter().filter(|string| !string.name.is_empty()) {
        if !seen.insert(string.name) {
            return Err(Error::new(ErrorKind::StringDuplicate, string.span));
        }
    }
    let mut used = Used { rule, used: vec![false; rule.strings.len()] };
    used.expr(&rule.condition);
    match used.used.iter().position(|used| !used) {
        Some(at) => Err(Error::new(ErrorKind::StringUnused, rule.strings[at].span)),
        None => Ok(()),
    }
}

/// Strings that a condition speaks of.
struct Used<'r, 't> {
    rule: &'r Rule<'t>,
    used: Vec<bool>,
}

impl Used<'_, '_> {
    fn name(&mut self, name: &[u8]) {
        if let Some(at) = self.rule.strings.iter().position(|s| !name.is_empty() && s.name == name)
        {
            self.used[at] = true;
        }
    }

    fn set(&mut self, set: &StringSet<'_>) {
        for at in positions(self.rule, set) {
            self.used[at as usize] = true;
        }
    }

    fn expr(&mut self, expr: &Expr<'_>) {
        match &expr.kind {
            ExprKind::String(name)
            | ExprKind::StringAt(name, _)
            | ExprKind::StringCount(name)
            | ExprKind::StringIn(name, ..)
            | ExprKind::StringOffset(name, _) => self.name(name),
            ExprKind::ForStrings { set, .. } | ExprKind::Of(_, set) => self.set(set),
            _ => {}
        }
        children(expr).for_each(|child| self.expr(child));
    }
}

/// The expressions directly inside another.
fn children<'e, 't>(expr: &'e Expr<'t>) -> impl Iterator<Item = &'e Expr<'t>> {
    let quantified = |quantifier: &'e Quantifier<'t>| match quantifier {
        Quantifier::Count(count) => Some(&**count),
        _ => None,
    };
    let (few, many): ([Option<&'e Expr<'t>>; 4], &'e [Expr<'t>]) = match &expr.kind {
        ExprKind::And(all) | ExprKind::Or(all) => ([None; 4], all),
        ExprKind::Arithmetic(_, a, b)
        | ExprKind::Compare(_, a, b)
        | ExprKind::StringIn(_, a, b) => ([Some(&**a), Some(&**b), None, None], &[]),
        ExprKind::Complement(a)
        | ExprKind::Not(a)
        | ExprKind::Read(_, a)
        | ExprKind::StringAt(_, a)
        | ExprKind::StringOffset(_, Some(a)) => ([Some(&**a), None, None, None], &[]),
        ExprKind::ForStrings { quantifier, body, .. } => {
            ([quantified(quantifier), Some(&**body), None, None], &[])
        }
        ExprKind::ForRange { quantifier, low, high, body } => {
            ([quantified(quantifier), Some(&**low), Some(&**high), Some(&**body)], &[])
        }
        ExprKind::ForValues { quantifier, values, body } => {
            ([quantified(quantifier), Some(&**body), None, None], values)
        }
        ExprKind::Of(quantifier, _) => ([quantified(quantifier), None, None, None], &[]),
        _ => ([None; 4], &[]),
    };
    few.into_iter().flatten().chain(many)
}

fn asks_for_big_endian(expr: &Expr<'_>) -> bool {
    matches!(expr.kind, ExprKind::Read(read, _) if read.big_endian)
        || children(expr).any(asks_for_big_endian)
}

/// Whether the condition, or this part of it, looks at no string.
fn is_cheap(expr: &Expr<'_>) -> bool {
    !matches!(
        expr.kind,
        ExprKind::ForRange { .. }
            | ExprKind::ForStrings { .. }
            | ExprKind::ForValues { .. }
            | ExprKind::Of(..)
            | ExprKind::Rule(_)
            | ExprKind::String(_)
            | ExprKind::StringAt(..)
            | ExprKind::StringCount(_)
            | ExprKind::StringIn(..)
            | ExprKind::StringOffset(..)
    ) && children(expr).all(is_cheap)
}

/// The positions of the strings of a set, as often as they are named.
fn positions(rule: &Rule<'_>, set: &StringSet<'_>) -> Vec<u32> {
    let all = 0..rule.strings.len() as u32;
    match set {
        StringSet::Them => all.collect(),
        StringSet::Named(names) => {
            let mut found = Vec::new();
            for &(name, prefix) in names {
                let fits = |at: &u32| {
                    let known = rule.strings[*at as usize].name;
                    if prefix { known.starts_with(name) } else { !name.is_empty() && known == name }
                };
                found.extend(all.clone().filter(fits));
                if found.len() > MOST_STRINGS {
                    break;
                }
            }
            found
        }
    }
}

/// A text that ClamAV finds too short.
fn is_short(string: &StringDef<'_>) -> bool {
    matches!(&string.value, StringValue::Text(text) if text.len() < 2)
}

/// Whether ClamAV cannot read a string as it is written: a comment or carriage
/// return in a hex string, or a very long one.
fn has_odd_layout(string: &StringDef<'_>) -> bool {
    match &string.value {
        StringValue::Hex(text) => text.contains(&b'/') || text.contains(&b'\r'),
        StringValue::Regex(text) | StringValue::Text(text) => text.len() > MAX_TEXT,
    }
}

/// Whether ClamAV drops a rule with this string, and only that rule.
fn is_refused(string: &StringDef<'_>) -> bool {
    is_short(string) || (matches!(string.value, StringValue::Regex(_)) && string.wide)
}

/// Compiles a hex string, if it is one: jumps become gaps, and the rules of
/// body patterns apply.
fn hex_code(string: &StringDef<'_>, code: &mut Vec<u8>) -> Result<(), Error> {
    let StringValue::Hex(text) = string.value else { return Ok(()) };
    let fail = |kind| Err(Error::new(kind, string.span));
    let text: Vec<u8> = super::lexer::without_comments(text)
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| match byte {
            b'[' => b'{',
            b']' => b'}',
            other => *other,
        })
        .collect();
    if text.len() < 4 {
        return fail(ErrorKind::PatternTooShort);
    }
    let mut pieces = text.split(|&byte| byte == b'{');
    let first = pieces.next().unwrap_or_default();
    let mut jumps = false;
    let is_byte = |piece: &[u8]| piece.len() == 2 && piece != b"??";
    let mut alone = false;
    for piece in pieces {
        jumps = true;
        let behind = memchr::memchr(b'}', piece).map_or(&[][..], |at| &piece[at + 1..]);
        alone |= is_byte(behind);
    }
    if alone || (jumps && is_byte(first)) {
        return fail(ErrorKind::HexByteAlone);
    }
    let rules = Rules { generic_alternates: true, filtered: true, ..Rules::default() };
    let result = body::parse(&text).and_then(|body| body.compile(&rules, code));
    result.map_err(|error| Error::new(error.kind(), string.span))
}

/// Compiles a text, as ClamAV does it: as a hex subsignature with modifiers.
fn text_code(
    string: &StringDef<'_>,
    text: &[u8],
    wide: bool,
    code: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut pattern = String::with_capacity(text.len() * 2);
    for byte in text {
        pattern.push_str(&format!("{byte:02x}"));
    }
    let mut pattern = pattern.into_bytes();
    if string.fullword {
        pattern = body::fullword(&pattern);
    }
    if wide {
        pattern = body::wide(&pattern);
    }
    let short = text.len() < 2;
    let rules = Rules {
        nocase: string.nocase,
        generic_alternates: true,
        wide_words: wide,
        short_parts: short,
        filtered: !short,
        ..Rules::default()
    };
    let result = body::parse(&pattern).and_then(|body| body.compile(&rules, code));
    result.map_err(|error| Error::new(error.kind(), string.span))
}

/// Writes the program of a condition. Expressions nest as deep as the parser
/// lets them.
struct Lowering<'r, 't> {
    rule: &'r Rule<'t>,
    names: &'r Names,
    odd: bool,
    writer: Writer,
}

impl Lowering<'_, '_> {
    fn string(&self, name: &[u8]) -> StringRef {
        let position = self.rule.strings.iter().position(|s| !name.is_empty() && s.name == name);
        // The parser knows every name; at most ten thousand strings.
        position.map_or(StringRef::Current, |at| StringRef::Index(at as u32))
    }

    fn quantifier(&mut self, quantifier: &Quantifier<'_>) {
        match quantifier {
            Quantifier::All => self.writer.op(Op::PushUndefined),
            Quantifier::Any => self.writer.op(Op::Push(1)),
            Quantifier::Count(count) => {
                self.expr(count);
            }
        }
    }

    /// Writes an expression; says whether its value is 0, 1 or undefined.
    fn expr(&mut self, expr: &Expr<'_>) -> bool {
        match &expr.kind {
            ExprKind::And(all) => return self.conjunction(all),
            ExprKind::Or(all) => return self.disjunction(all),
            ExprKind::Arithmetic(operator, a, b) => {
                self.expr(a);
                self.expr(b);
                self.writer.op(Op::Arithmetic(*operator));
                return false;
            }
            ExprKind::Compare(relation, a, b) => {
                self.expr(a);
                self.expr(b);
                self.writer.op(Op::Compare(*relation));
            }
            ExprKind::Complement(a) => {
                self.expr(a);
                self.writer.op(Op::Complement);
                return false;
            }
            ExprKind::EntryPoint => {
                self.writer.op(Op::EntryPoint);
                return false;
            }
            ExprKind::FileSize => {
                self.writer.op(Op::FileSize);
                return false;
            }
            ExprKind::ForStrings { quantifier, set, body } => {
                self.quantifier(quantifier);
                let strings = positions(self.rule, set);
                self.writer.loop_strings(&strings);
                self.body(body);
            }
            ExprKind::ForRange { quantifier, low, high, body } => {
                self.quantifier(quantifier);
                self.expr(low);
                self.expr(high);
                self.writer.op(Op::LoopRange);
                self.body(body);
            }
            ExprKind::ForValues { quantifier, values, body } => {
                self.quantifier(quantifier);
                values.iter().for_each(|value| {
                    self.expr(value);
                });
                let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
                self.writer.op(Op::LoopValues(count));
                self.body(body);
            }
            ExprKind::Not(a) => {
                self.expr(a);
                self.writer.op(Op::Not);
            }
            ExprKind::Number(value) => {
                self.writer.op(Op::Push(*value));
                return matches!(value, 0 | 1);
            }
            ExprKind::Of(quantifier, set) => {
                self.quantifier(quantifier);
                let strings = positions(self.rule, set);
                self.writer.of(&strings);
            }
            ExprKind::Read(read, offset) => {
                self.expr(offset);
                self.writer.op(Op::Read(*read));
                return false;
            }
            ExprKind::Rule(name) => {
                let known = self.names.rules.get(*name);
                // A rule that ClamAV runs must not see one that it does not.
                let seen = known.filter(|rule| self.odd || !rule.odd).and_then(|rule| rule.index);
                self.writer.op(seen.map_or(Op::Push(0), Op::Rule));
            }
            ExprKind::String(name) => self.writer.op(Op::Found(self.string(name))),
            ExprKind::StringAt(name, offset) => {
                self.expr(offset);
                self.writer.op(Op::At(self.string(name)));
            }
            ExprKind::StringCount(name) => {
                self.writer.op(Op::Count(self.string(name)));
                return false;
            }
            ExprKind::StringIn(name, low, high) => {
                self.expr(low);
                self.expr(high);
                self.writer.op(Op::In(self.string(name)));
            }
            ExprKind::StringOffset(name, index) => {
                match index {
                    Some(index) => {
                        self.expr(index);
                    }
                    None => self.writer.op(Op::Push(1)),
                }
                self.writer.op(Op::Offset(self.string(name)));
                return false;
            }
            ExprKind::Truth(truth) => self.writer.op(Op::Push(i64::from(*truth))),
            ExprKind::Variable(index) => {
                self.writer.op(Op::Variable(*index));
                return false;
            }
        }
        true
    }

    fn body(&mut self, body: &Expr<'_>) {
        let start = self.writer.code.len();
        let plain = self.expr(body) && is_defined(body);
        self.writer.next(start, plain);
    }

    /// `and` works on bits, so one side that is 0 settles it, and the order
    /// means nothing: what is cheap comes first.
    fn conjunction(&mut self, all: &[Expr<'_>]) -> bool {
        let mut plain = false;
        let mut jumps = Vec::new();
        let cheap = all.iter().filter(|expr| is_cheap(expr));
        let others = all.iter().filter(|expr| !is_cheap(expr));
        for (at, expr) in cheap.chain(others).enumerate() {
            plain |= self.expr(expr);
            if at > 0 {
                self.writer.op(Op::Arithmetic(Arithmetic::And));
            }
            if at + 1 < all.len() {
                jumps.push(self.writer.jump(false));
            }
        }
        jumps.into_iter().for_each(|jump| self.writer.land(jump));
        plain
    }

    /// `or` works on bits too: a side that is 1 settles it only where all
    /// sides are 0 or 1.
    fn disjunction(&mut self, all: &[Expr<'_>]) -> bool {
        let plain = all.iter().all(is_plain);
        let mut jumps = Vec::new();
        for (at, expr) in all.iter().enumerate() {
            self.expr(expr);
            if at > 0 {
                self.writer.op(Op::Arithmetic(Arithmetic::Or));
            }
            if plain && at + 1 < all.len() {
                jumps.push(self.writer.jump(true));
            }
        }
        jumps.into_iter().for_each(|jump| self.writer.land(jump));
        plain
    }
}

/// Whether a value can never be undefined.
fn is_defined(expr: &Expr<'_>) -> bool {
    match &expr.kind {
        ExprKind::Or(all) => all.iter().any(is_defined),
        ExprKind::Not(a) => is_defined(a),
        ExprKind::EntryPoint
        | ExprKind::FileSize
        | ExprKind::Number(_)
        | ExprKind::StringCount(_) => true,
        kind => !kind.is_number(),
    }
}

/// Whether a value is 0, 1 or undefined.
fn is_plain(expr: &Expr<'_>) -> bool {
    match &expr.kind {
        ExprKind::And(all) => all.iter().any(is_plain),
        ExprKind::Or(all) => all.iter().all(is_plain),
        ExprKind::Number(value) => matches!(value, 0 | 1),
        kind => !kind.is_number(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;

    /// What became of each rule, and for what the file would be refused.
    fn read(text: &str, strict: bool) -> (Vec<String>, Option<&'static str>) {
        let mut builder = SetBuilder::new().strict_frames(strict);
        let mut outcomes = Vec::new();
        let refusal = builder.document(Format::Yar, text.as_bytes(), &mut |entry| {
            outcomes.push(match entry.outcome {
                Ok(Admission::Admitted) => "ok".to_owned(),
                Ok(Admission::Odd(oddity)) => format!("{oddity:?}"),
                Ok(Admission::Program) => "program".to_owned(),
                Ok(Admission::Skipped(skip)) => format!("{skip:?}"),
                Err(error) => error.kind().code().to_owned(),
            });
        });
        (outcomes, refusal.map(|refusal| refusal.error.kind().code()))
    }

    fn rule(strings: &str, condition: &str) -> String {
        read(&format!("rule R {{ strings: {strings} condition: {condition} }}"), false).0.join(" ")
    }

    #[test]
    fn strings_are_checked_as_clamav_checks_them() {
        for (string, outcome) in [
            ("\"he\" nocase wide ascii fullword", "ok"),
            ("\"h\"", "ShortString"),
            ("\"h\" wide", "ShortString"),
            ("\"\"", "string-empty"),
            ("\"hello\" xor", "rule-syntax"),
            // What stops the first error is read as the start of a rule.
            ("\"hello\" private", "rule-syntax rule-syntax"),
            ("/h.llo/is", "ok"),
            ("/h.llo/x", "rule-syntax"),
            ("/hello/ wide", "unsupported"),
            ("/(?=a)b/", "unsupported"),
            ("/a(/", "regex-syntax"),
            ("{ 68 65 [0-2] 6c 6f }", "ok"),
            ("{ 68 65 [-] 6c 6f }", "ok"),
            ("{ 68 65 [] 6c 6f }", "ok"),
            ("{ 68 65 (6c | 6d 6e) }", "ok"),
            ("{ 6 8 6 5 }", "ok"),
            ("{ 68 65 // x\n 6c }", "StringLayout"),
            ("{ 68 65\r\n 6c }", "StringLayout"),
            ("{ 68 65 [1-3] 6f }", "hex-byte-alone"),
            ("{ 68 [2] 6c 6f }", "hex-byte-alone"),
            ("{ 68 }", "pattern-too-short"),
            ("{ 68 6? 6c }", "part-too-short"),
            ("{ 68 (65|2e) 6c 6c }", "filter-too-short"),
            ("{ 68 65 ~6c }", "rule-syntax"),
            ("{ 68 65 6c } wide", "rule-syntax"),
        ] {
            assert_eq!(rule(&format!("$a = {string}"), "$a"), outcome, "{string}");
        }
    }

    #[test]
    fn conditions_are_checked_as_clamav_checks_them() {
        for (condition, outcome) in [
            ("$a", "ok"),
            ("true", "string-unused"),
            ("$a and $b", "string-unknown"),
            ("$a and pe.x", "identifier-unknown"),
            ("$a and i == 1", "identifier-unknown"),
            ("$a == 1", "rule-syntax"),
            ("1 == 1 == 1 and $a", "expected"),
            ("true == 1 and $a", "rule-syntax"),
            ("$a and 0 - 1", "ok"),
            ("$a and -1 < 0", "rule-syntax"),
            ("$a and 1.5 > 1", "expected"),
            ("$a and #", "string-unknown"),
            ("!a == 5", "rule-syntax"),
            ("any of ($x, $a)", "ok"),
            ("$a or for any of ($x) : ($)", "string-unknown"),
            ("for any of ($a) : (for any of ($a) : ($))", "rule-syntax"),
            ("$a and for any i in (1..2) : (for any i in (1..2) : (true))", "rule-syntax"),
            ("$a and \"x\" contains \"y\"", "unsupported"),
            ("$a and uint16be(0) == 1", "BigEndian"),
            ("$a and", "rule-syntax"),
        ] {
            assert_eq!(rule("$a = \"hello\"", condition), outcome, "{condition}");
        }
        let deep = format!("{}$a{}", "(".repeat(5_000), ")".repeat(5_000));
        assert_eq!(rule("$a = \"hello\"", &deep), "expression-depth");
        let long = format!("$a and 0 == {}", vec!["1"; 5_000].join("+"));
        assert_eq!(rule("$a = \"hello\"", &long), "expression-depth");
        let wide = vec!["$a"; 5_000].join(" or ");
        assert_eq!(rule("$a = \"hello\"", &wide), "ok");
        let nots = format!("{}$a", "not ".repeat(5_000));
        assert_eq!(rule("$a = \"hello\"", &nots), "expression-depth");
    }

    const GOOD: &str = "rule G { strings: $a = \"hello\" condition: $a }";

    #[test]
    fn a_rule_in_error_leaves_the_others() {
        for (text, outcomes) in [
            (
                format!("rule S {{ strings: $a = \"x\" xor condition: $a }} {GOOD}"),
                "rule-syntax RuleBefore",
            ),
            (
                format!("rule S {{ strings: $a = \"xy\" xor condition: $a }} {GOOD}"),
                "rule-syntax ok",
            ),
            (format!("rule N {{ condition: true }} {GOOD}"), "unsupported ok"),
            (format!("junk {GOOD} junk"), "rule-syntax ok rule-syntax"),
            (format!("import \"pe\" include \"x\" global {GOOD}"), "ok"),
            (format!("{GOOD} {GOOD}"), "ok rule-duplicate"),
            (format!("\u{a0} {GOOD}"), "rule-syntax RuleBefore"),
            (format!("rule S {{ condition: {GOOD}"), "rule-syntax ok"),
        ] {
            assert_eq!(read(&text, false).0.join(" "), outcomes, "{text}");
        }
    }

    #[test]
    fn clamav_refuses_a_file_whose_last_rule_has_a_bad_hex_string() {
        let bad = "rule B { strings: $a = { 68 [2] 6c } condition: $a }";
        let good_last = read(&format!("{bad} {GOOD}"), true);
        assert_eq!(good_last, (vec!["hex-byte-alone".to_owned(), "ok".to_owned()], None));
        let bad_last = read(&format!("{GOOD} {bad}"), true);
        assert_eq!(bad_last.1, Some("hex-byte-alone"));
    }

    #[test]
    fn what_clamav_does_not_run_is_left_out_strictly() {
        let strings: String = (0..65).map(|n| format!("$s{n} = \"text{n}\" ")).collect();
        let many = format!("rule M {{ strings: {strings} condition: any of them }}");
        let short = "rule S { strings: $a = \"h\" condition: $a }";
        // A rule that ClamAV runs does not see one that it does not.
        let asks = "rule A { strings: $b = \"world\" condition: not S or $b }";
        let text = format!("{many} {short} {asks}");
        assert_eq!(read(&text, false).0, ["ManyStrings", "ShortString", "ok"]);
        assert_eq!(read(&text, true).0, ["rule-refused", "rule-refused", "ok"]);
        let mut builder = SetBuilder::new();
        builder.document(Format::Yar, text.as_bytes(), &mut |_| {});
        let set = builder.finish();
        assert_eq!(set.yara_rule(2).unwrap().condition.rules().count(), 0);
    }

    #[test]
    fn diagnostics_have_line_and_column() {
        let text = "\n  rule A {\n strings: $a = \"hello\"\n condition: $a and foo }";
        let mut seen = Vec::new();
        SetBuilder::new().document(Format::Yar, text.as_bytes(), &mut |entry| {
            let error = entry.outcome.unwrap_err();
            seen.push((entry.line.number, &entry.line.text[error.span().range()]));
        });
        assert_eq!(seen, [(4, &b"foo"[..])]);
    }
}
