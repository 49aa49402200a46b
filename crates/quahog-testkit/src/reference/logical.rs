//! Logical signatures: one line of `.ldb`.

use std::mem::discriminant;

use super::body::{Body, Demands, Modifiers, Occurrence};
use super::exe::Program;
use super::logic::Expression;
use super::offset::Offset;
use super::{FLEVEL, Reason, UnsupportedKind, View, file_type, number, range};

/// A parsed line, or `None` where the line is to be skipped.
pub(super) type Parsed = Option<Logical>;

/// A logical signature without its name.
#[derive(Clone, Debug)]
pub(super) struct Logical {
    pub(super) target: u32,
    conditions: Vec<Condition>,
    expression: Expression,
    subsignatures: Vec<Subsignature>,
}

/// A condition of the target description block, apart from engine and target.
#[derive(Clone, Debug)]
enum Condition {
    FileSize(i64, i64),
    /// Type of the parent; `None` asks for a layer without one.
    Container(Option<String>),
    /// Types of the enclosing layers, outermost first; `None` is `CL_TYPE_ANY`.
    Intermediates(Vec<Option<String>>),
    /// Names the type that the caller scans the layer again as: no condition.
    HandlerType,
    /// File offset of the entry point.
    EntryPoint(i64, i64),
    Sections(i64, i64),
    /// Asks for an icon.
    Icon,
}

/// One numbered pattern of a logical signature.
///
/// The kinds beside `Body` are read as far as the specification refuses them
/// while loading; searching for them is a later stage of the reference.
#[derive(Clone, Debug)]
enum Subsignature {
    /// Two bodies for `::wa`, otherwise one.
    Body { bodies: Vec<Body>, offset: Offset },
    /// `ref(off#opts len#cmp)`.
    ByteCompare,
    /// `trigger/regex/flags`.
    Pcre,
    /// `${min-max}g$`.
    Macro,
    /// `fuzzy_img#hash`.
    FuzzyImage,
}

/// Hits of one subsignature.
#[derive(Clone, Debug, Default)]
pub(super) struct Hits {
    pub(super) count: u64,
    pub(super) occurrences: Vec<Occurrence>,
}

impl Logical {
    /// Parses the fields after the name.
    pub(super) fn parse(line: &str) -> Result<Parsed, Reason> {
        let fields = fields(line);
        let [_, block, expression, texts @ ..] = fields.as_slice() else {
            return Err("fewer than four fields");
        };
        let expression = Expression::parse(expression)?;
        if texts.len() > 64 {
            return Err("more than 64 subsignatures");
        }
        if texts.len() != expression.highest_id() + 1 {
            return Err("the expression does not use the last subsignature, or there is none");
        }
        let Some((target, conditions)) = block_of(block)? else { return Ok(None) };
        let mut subsignatures = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            subsignatures.push(Subsignature::parse(text, index, target)?);
        }
        Ok(Some(Logical { target, conditions, expression, subsignatures }))
    }

    /// What keeps the reference from deciding this signature.
    pub(super) fn unsupported(&self) -> Option<UnsupportedKind> {
        let executable = self.conditions.iter().any(|c| matches!(c, Condition::Icon));
        let condition = executable.then_some(UnsupportedKind::ExecutableAttribute);
        condition.or_else(|| self.subsignatures.iter().find_map(Subsignature::unsupported))
    }

    /// See [`Body::clamscan_may_lose`]. With `wa` clamscan also leaves hits of
    /// one form out of the count when a chain of the other form began later.
    pub(super) fn clamscan_may_lose(&self) -> bool {
        self.subsignatures.iter().any(|sub| match sub {
            Subsignature::Body { bodies, .. } => {
                let two_forms = bodies.len() > 1 && bodies.iter().any(Body::is_split);
                two_forms || bodies.iter().any(Body::clamscan_may_lose)
            }
            _ => false,
        })
    }

    /// The hits of every subsignature and the count of the whole, if it holds.
    pub(super) fn evaluate(&self, view: &View<'_>) -> Option<(u64, Vec<Hits>)> {
        if !self.conditions.iter().all(|condition| condition.holds(view)) {
            return None;
        }
        let hits: Vec<Hits> = self.subsignatures.iter().map(|sub| sub.search(view)).collect();
        let counts: Vec<u64> = hits.iter().map(|hits| hits.count).collect();
        let value = self.expression.evaluate(&counts);
        value.truth.then_some((value.count, hits))
    }
}

/// The name, if the line has enough fields.
pub(super) fn name(line: &str) -> Result<&str, Reason> {
    match fields(line).as_slice() {
        [name, _, _, _, ..] => Ok(name),
        _ => Err("fewer than four fields"),
    }
}

/// Cuts a line at `;`, but not within a regular expression.
fn fields(line: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let (mut start, mut within, mut before) = (0, false, 0);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'/' if fields.len() >= 2 && before != b'\\' => within = !within,
            b';' if !within => {
                fields.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        before = byte;
    }
    fields.push(&line[start..]);
    fields
}

/// Parses the target description block: target and conditions, or `None` to
/// skip the signature.
///
/// An unknown key or type skips the signature at once. A functionality level
/// outside and an unknown target do so after all attributes were read.
fn block_of(block: &str) -> Result<Option<(u32, Vec<Condition>)>, Reason> {
    let (mut target, mut engine) = (None, None);
    let mut conditions = Vec::new();
    let (mut executable_only, mut icons) = (false, false);
    for (index, attribute) in block.split(',').enumerate() {
        let (key, value) = attribute.split_once(':').ok_or("attribute without `:`")?;
        let mut replace = |condition: Condition| {
            // A repeated key replaces the earlier one.
            let same = |other: &Condition| discriminant(other) == discriminant(&condition);
            conditions.retain(|other| !same(other));
            conditions.push(condition);
        };
        match key {
            "Engine" => {
                if index > 0 {
                    return Err("engine is not the first attribute");
                }
                engine = Some(range(value).ok_or("engine is not a range")?);
            }
            "Target" => target = Some(number(value).ok_or("target is not a number")?),
            "FileSize" => {
                let (min, max) = range(value).ok_or("file size is not a range")?;
                replace(Condition::FileSize(min, max));
            }
            "Container" => {
                let Some(name) = type_or_any(value) else { return Ok(None) };
                replace(Condition::Container(name));
            }
            "Intermediates" => {
                let names: Option<Vec<_>> = value.split('>').map(type_or_any).collect();
                let Some(names) = names else { return Ok(None) };
                if names.len() > 16 {
                    return Err("more than 16 intermediates");
                }
                replace(Condition::Intermediates(names));
            }
            "HandlerType" => {
                if !file_type::is_known(value) {
                    return Ok(None);
                }
                replace(Condition::HandlerType);
            }
            "EntryPoint" | "NumberOfSections" => {
                let (min, max) = range(value).ok_or("not a range")?;
                executable_only = true;
                replace(match key {
                    "EntryPoint" => Condition::EntryPoint(min, max),
                    _ => Condition::Sections(min, max),
                });
            }
            "IconGroup1" | "IconGroup2" => {
                icons = true;
                replace(Condition::Icon);
            }
            _ => return Ok(None),
        }
    }
    if !conditions.is_empty() && engine.is_none_or(|(min, _)| min < 51) {
        return Err("an attribute needs an engine of 51 or more");
    }
    if engine.is_some_and(|(min, max)| !(min..=max).contains(&FLEVEL)) {
        return Ok(None);
    }
    let Ok(target @ 0..15) = u32::try_from(target.ok_or("no target")?) else { return Ok(None) };
    if (executable_only && !matches!(target, 1 | 6 | 9)) || (icons && target != 1) {
        return Err("attribute of executables, the target is none");
    }
    Ok(Some((target, conditions)))
}

/// A known type name, with `CL_TYPE_ANY` as `Some(None)`.
fn type_or_any(name: &str) -> Option<Option<String>> {
    match name {
        "CL_TYPE_ANY" => Some(None),
        _ => file_type::is_known(name).then(|| Some(name.to_owned())),
    }
}

impl Condition {
    fn holds(&self, view: &View<'_>) -> bool {
        match self {
            Condition::FileSize(min, max) => {
                i64::try_from(view.size).is_ok_and(|size| (*min..=*max).contains(&size))
            }
            Condition::Container(None) => view.ancestors.is_empty(),
            Condition::Container(Some(name)) => {
                view.ancestors.first().is_some_and(|parent| parent.file_type == *name)
            }
            Condition::Intermediates(names) => {
                // Read from the immediate parent outwards. `CL_TYPE_ANY` does
                // not move on to the next ancestor, as clamscan has it.
                let mut ancestor = 0;
                names.len() <= view.ancestors.len()
                    && names.iter().rev().all(|name| match name {
                        None => true,
                        Some(name) => {
                            let found = view.ancestors.get(ancestor);
                            ancestor += 1;
                            found.is_some_and(|found| found.file_type == *name)
                        }
                    })
            }
            Condition::HandlerType => true,
            Condition::EntryPoint(min, max) => {
                Program::of(view).entry().is_some_and(|entry| (*min..=*max).contains(&entry))
            }
            Condition::Sections(min, max) => {
                let program = Program::of(view);
                // A file of 2^63 sections is not to be had.
                let count = program.sections().len() as i64;
                program.entry().is_some() && (*min..=*max).contains(&count)
            }
            Condition::Icon => false,
        }
    }
}

impl Subsignature {
    fn parse(text: &str, index: usize, target: u32) -> Result<Subsignature, Reason> {
        if let Some(rest) = text.strip_prefix("fuzzy_img#") {
            return fuzzy_image(rest);
        }
        if text.contains('/') {
            return pcre(text, index, target);
        }
        if let Some(rest) = text.strip_prefix("${") {
            return macro_of(rest);
        }
        if text.contains('#') {
            return byte_compare(text);
        }
        let fields: Vec<&str> = text.split(':').collect();
        let (offset, pattern, letters) = match fields.as_slice() {
            [pattern] => ("*", *pattern, ""),
            [offset, pattern] => (*offset, *pattern, ""),
            // What stands between the two colons is not looked at.
            [pattern, _, letters] => ("*", *pattern, *letters),
            [offset, pattern, _, letters] => (*offset, *pattern, *letters),
            _ => return Err("more than four fields in a subsignature"),
        };
        if !letters.bytes().all(|letter| b"iwfa".contains(&letter)) {
            return Err("unknown modifier");
        }
        let offset = match Offset::parse(offset, target)? {
            Offset::MacroGroup => return Err("macro group as the offset of a subsignature"),
            offset => offset,
        };
        let demands = Demands { three_exact: false, filter: matches!(target, 0 | 1 | 4 | 7) };
        let bodies = rewrite(pattern, letters)
            .into_iter()
            .map(|(text, modifiers)| Body::parse(&text, modifiers, demands))
            .collect::<Result<Vec<Body>, Reason>>()?;
        Ok(Subsignature::Body { bodies, offset })
    }

    fn unsupported(&self) -> Option<UnsupportedKind> {
        match self {
            Subsignature::Body { .. } => None,
            Subsignature::ByteCompare => Some(UnsupportedKind::ByteCompare),
            Subsignature::Pcre => Some(UnsupportedKind::Pcre),
            Subsignature::Macro => Some(UnsupportedKind::Macro),
            Subsignature::FuzzyImage => Some(UnsupportedKind::FuzzyImage),
        }
    }

    fn search(&self, view: &View<'_>) -> Hits {
        let mut hits = Hits::default();
        if let Subsignature::Body { bodies, offset } = self {
            let program = Program::of(view);
            for body in bodies {
                let accepts = |start| offset.accepts(start, view.bytes.len(), &program);
                let found = body.search(view.bytes, accepts);
                hits.count += found.len() as u64; // no `usize` is wider
                hits.occurrences.extend(found);
            }
        }
        hits
    }
}

/// What the modifiers make of a pattern: its text once, or twice for `wa`.
fn rewrite(pattern: &str, letters: &str) -> Vec<(String, Modifiers)> {
    let has = |letter| letters.contains(letter);
    let modifiers = Modifiers { nocase: has('i'), wide: false, any: !letters.is_empty() };
    let mut text = pattern.to_owned();
    if has('f') {
        text = format!("(W){}(W)", text.replace('[', "{").replace(']', "}"));
    }
    if !has('w') {
        return vec![(text, modifiers)];
    }
    let mut rewritten = vec![(widen(&text), Modifiers { wide: true, ..modifiers })];
    if has('a') {
        rewritten.push((text, modifiers));
    }
    rewritten
}

/// Writes `00` after every pair of hex digits or `??`; gaps keep their byte
/// counts, brackets become gaps, classes stay.
fn widen(text: &str) -> String {
    let mut wide = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let class = ["(B)", "(L)", "(W)"].into_iter().find(|class| rest.starts_with(class));
        if let Some(class) = class {
            wide.push_str(class);
            rest = &rest[class.len()..];
        } else if matches!(first, '{' | '[') {
            let end = rest.find(['}', ']']).map_or(rest.len(), |end| end + 1);
            let gap = rest[..end].replace('[', "{").replace(']', "}");
            wide.push_str(&gap);
            rest = &rest[end..];
        } else if let Some(pair) = rest.get(..2)
            && pair.bytes().all(|b| b.is_ascii_hexdigit() || b == b'?')
        {
            wide.push_str(pair);
            wide.push_str("00");
            rest = &rest[2..];
        } else {
            wide.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    wide
}

/// `hash[#0]` after `fuzzy_img#`.
fn fuzzy_image(rest: &str) -> Result<Subsignature, Reason> {
    let hash = match rest.split_once('#') {
        None => rest,
        Some((hash, "0")) => hash,
        Some(_) => return Err("distance of a picture hash is not 0"),
    };
    if hash.len() != 16 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("picture hash is not 16 hex digits");
    }
    Ok(Subsignature::FuzzyImage)
}

/// `min-max}g$` after `${`.
fn macro_of(rest: &str) -> Result<Subsignature, Reason> {
    let parts = rest.strip_suffix('$').and_then(|rest| rest.split_once('}'));
    let (between, group) = parts.ok_or("macro is malformed")?;
    let (min, max) = between.split_once('-').ok_or("macro without a range")?;
    let written = |digits: &str| if digits.is_empty() { None } else { number(digits) };
    match (written(min), written(max), written(group)) {
        (Some(_), Some(_), Some(0..32)) => Ok(Subsignature::Macro),
        _ => Err("macro needs two numbers and a group below 32"),
    }
}

/// `[offset:]trigger/regex/flags[::rubbish]`.
fn pcre(text: &str, index: usize, target: u32) -> Result<Subsignature, Reason> {
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
    Offset::parse(offset, target)?;
    let trigger = Expression::parse(trigger)?;
    if trigger.highest_id() >= index {
        return Err("trigger names its own or a later subsignature");
    }
    Ok(Subsignature::Pcre)
}

/// `ref(off#opts len#cmp[,cmp])`, as 4.6 has it.
fn byte_compare(text: &str) -> Result<Subsignature, Reason> {
    const MALFORMED: Reason = "byte compare is malformed";
    let (reference, rest) = text.split_once('(').ok_or(MALFORMED)?;
    number(reference).ok_or(MALFORMED)?;
    let (inside, _) = rest.rsplit_once(')').ok_or(MALFORMED)?;
    let fields: Vec<&str> = inside.split('#').collect();
    let [offset, options, comparisons] = fields.as_slice() else { return Err(MALFORMED) };
    let distance = offset.strip_prefix(">>").or_else(|| offset.strip_prefix("<<"));
    match distance {
        Some(distance) => {
            c_number(distance).ok_or(MALFORMED)?;
        }
        None if offset.is_empty() || *offset == "0" => {}
        None => return Err(MALFORMED),
    }

    let end = options.bytes().position(|b| b.is_ascii_digit()).ok_or(MALFORMED)?;
    let (letters, length) = options.split_at(end);
    let length = c_number(length).ok_or(MALFORMED)?;
    if !letters.bytes().all(|letter| b"hdailbe".contains(&letter)) {
        return Err("unknown option of a byte compare");
    }
    let kinds = letters.bytes().filter(|letter| b"hdai".contains(letter)).count();
    let has = |letter| letters.contains(letter);
    let fits = match () {
        () if has('i') => matches!(length, 1 | 2 | 4 | 8),
        () if has('h') => (1..=18).contains(&length),
        () => length > 0,
    };
    if kinds != 1 || !fits || (has('d') && has('l')) || (has('l') && has('b')) {
        return Err("options of a byte compare do not go together");
    }
    let comparisons: Vec<&str> = comparisons.split(',').collect();
    if comparisons.len() > 2 {
        return Err("more than two comparisons");
    }
    for comparison in comparisons {
        let value = comparison.strip_prefix(['<', '>', '=']).ok_or(MALFORMED)?;
        c_number(value.strip_prefix('-').unwrap_or(value)).ok_or(MALFORMED)?;
    }
    Ok(Subsignature::ByteCompare)
}

/// A number as C writes it: decimal, `0x` hex or `0` octal.
fn c_number(text: &str) -> Option<i64> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).ok();
    }
    match text.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => i64::from_str_radix(octal, 8).ok(),
        _ => text.parse().ok(),
    }
}
