//! Logical signatures: one line of `.ldb`.

use std::mem::discriminant;

use super::body::{Body, Demands, Modifiers, Occurrence};
use super::compare::ByteCompare;
use super::exe::Program;
use super::icon::Icon;
use super::logic::Expression;
use super::offset::Offset;
use super::pcre::Pcre;
use super::{FLEVEL, Reason, UnsupportedKind, View, file_type, number, range};

/// A regular expression takes more steps than the reference has.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooManySteps;

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
    /// Ask for an icon of a group, `*` for any.
    IconGroup1(String),
    IconGroup2(String),
}

/// One numbered pattern of a logical signature.
#[derive(Clone, Debug)]
enum Subsignature {
    /// Two bodies for `::wa`, otherwise one.
    Body { bodies: Vec<Body>, offset: Offset },
    /// `ref(off#opts len#cmp)`.
    ByteCompare(ByteCompare),
    /// `trigger/regex/flags`.
    Pcre(Pcre),
    /// `${min-max}g$`.
    Macro { min: i64, max: i64, group: i64 },
    /// `fuzzy_img#hash`.
    FuzzyImage(u64),
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
        self.subsignatures.iter().find_map(Subsignature::unsupported)
    }

    /// Whether the view has an icon that is asked for, if one is.
    fn has_icon(&self, view: &View<'_>, icons: &[Icon]) -> bool {
        let wanted: Vec<(usize, &String)> = self
            .conditions
            .iter()
            .filter_map(|condition| match condition {
                Condition::IconGroup1(group) => Some((0, group)),
                Condition::IconGroup2(group) => Some((1, group)),
                _ => None,
            })
            .collect();
        if wanted.is_empty() {
            return true;
        }
        let offsets = Program::of(view).icons(view.bytes);
        let fits =
            |icon: &Icon| wanted.iter().all(|&(n, group)| group == "*" || *group == icon.groups[n]);
        icons.iter().any(|icon| fits(icon) && icon.is_in(view.bytes, &offsets))
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
    ///
    /// # Errors
    ///
    /// A regular expression takes more steps than the reference has.
    ///
    /// `members` gives the hits of a macro group; `icons` are those loaded.
    pub(super) fn evaluate(
        &self,
        view: &View<'_>,
        members: &dyn Fn(i64) -> Vec<Occurrence>,
        icons: &[Icon],
    ) -> Result<Option<(u64, Vec<Hits>)>, TooManySteps> {
        if !self.conditions.iter().all(|condition| condition.holds(view))
            || !self.has_icon(view, icons)
        {
            return Ok(None);
        }
        // Body patterns, then byte compares, pictures, regular expressions.
        let mut hits: Vec<Hits> = self.subsignatures.iter().map(|sub| sub.search(view)).collect();
        self.macros(&mut hits, members);
        for (index, sub) in self.subsignatures.iter().enumerate() {
            if let Subsignature::ByteCompare(compare) = sub {
                hits[index] = self.compare(compare, view.bytes, &hits);
            }
        }
        for (index, sub) in self.subsignatures.iter().enumerate() {
            if let Subsignature::FuzzyImage(hash) = sub
                && view.picture == Some(*hash)
            {
                let whole = Occurrence { start: 0, end: view.bytes.len() };
                hits[index] = Hits { count: 1, occurrences: vec![whole] };
            }
        }
        for (index, sub) in self.subsignatures.iter().enumerate() {
            let counts: Vec<u64> = hits.iter().map(|hits| hits.count).collect();
            if let Subsignature::Pcre(pcre) = sub
                && pcre.trigger.evaluate(&counts).truth
            {
                let found = pcre.search(view.bytes, &Program::of(view)).ok_or(TooManySteps)?;
                let found: Vec<_> =
                    found.into_iter().map(|(start, end)| Occurrence { start, end }).collect();
                hits[index] = Hits { count: found.len() as u64, occurrences: found };
            }
        }
        let counts: Vec<u64> = hits.iter().map(|hits| hits.count).collect();
        let value = self.expression.evaluate(&counts);
        Ok(value.truth.then_some((value.count, hits)))
    }
}

impl Logical {
    /// The number near the last hit of another subsignature.
    fn compare(&self, compare: &ByteCompare, bytes: &[u8], hits: &[Hits]) -> Hits {
        let known = hits.get(compare.reference).filter(|hits| hits.count > 0);
        let place = match (self.subsignatures.get(compare.reference), known) {
            (Some(Subsignature::Body { .. }), Some(hits)) => {
                hits.occurrences.iter().max_by_key(|found| found.end).map(|found| found.start)
            }
            // A byte compare that has matched did so at the start.
            (Some(Subsignature::ByteCompare(_)), Some(_)) => Some(0),
            _ => None,
        };
        match place {
            Some(place) if compare.holds(bytes, place) => {
                Hits { count: 1, occurrences: vec![Occurrence { start: place, end: place }] }
            }
            _ => Hits::default(),
        }
    }

    /// Macros and the patterns before them: 4.8. The check is made at each hit
    /// of the pattern but the first.
    fn macros(&self, hits: &mut [Hits], members: &dyn Fn(i64) -> Vec<Occurrence>) {
        for index in 1..self.subsignatures.len() {
            let (before, own) = (&self.subsignatures[index - 1], &self.subsignatures[index]);
            let (Subsignature::Body { .. }, Subsignature::Macro { min, max, group }) =
                (before, own)
            else {
                continue;
            };
            let mut pattern = hits[index - 1].occurrences.clone();
            pattern.sort_by_key(|found| (found.end, found.start));
            let mut member = members(*group);
            member.sort_by_key(|found| (found.end, found.start));
            let mut from: Option<usize> = None;
            let mut passed = 0;
            let mut last_passed = false;
            for hit in &pattern {
                if let Some(start) = from {
                    let seen = member.iter().rev().find(|found| found.end <= hit.end);
                    let distance = seen.map(|found| found.start as i64 - start as i64);
                    last_passed = distance.is_some_and(|d| (*min..=*max).contains(&d));
                    passed += u64::from(last_passed);
                }
                if !last_passed {
                    from = Some(hit.start);
                }
            }
            hits[index].count = passed + u64::from(last_passed);
            if !pattern.is_empty() {
                hits[index - 1].count = hits[index].count.max(1);
            }
        }
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
                let group = value.to_owned();
                replace(match key {
                    "IconGroup1" => Condition::IconGroup1(group),
                    _ => Condition::IconGroup2(group),
                });
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
            Condition::Container(Some(name)) => view
                .ancestors
                .first()
                .is_some_and(|parent| file_type::fits(&parent.file_type, name)),
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
                            found.is_some_and(|found| file_type::fits(&found.file_type, name))
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
            // Of both groups: see `has_icon`.
            Condition::IconGroup1(_) | Condition::IconGroup2(_) => true,
        }
    }
}

impl Subsignature {
    fn parse(text: &str, index: usize, target: u32) -> Result<Subsignature, Reason> {
        if let Some(rest) = text.strip_prefix("fuzzy_img#") {
            return fuzzy_image(rest);
        }
        if text.contains('/') {
            return Pcre::parse(text, index, target).map(Subsignature::Pcre);
        }
        if let Some(rest) = text.strip_prefix("${") {
            return macro_of(rest);
        }
        if text.contains('#') {
            return ByteCompare::parse(text).map(Subsignature::ByteCompare);
        }
        let fields: Vec<&str> = text.split(':').collect();
        let (offset, pattern, letters) = match fields.as_slice() {
            [pattern] => ("*", *pattern, ""),
            [offset, pattern] => (*offset, *pattern, ""),
            // What stands between the two colons is not looked at.
            [pattern, _, letters] => ("*", *pattern, *letters),
            [offset, pattern, _, letters] => (*offset, *pattern, *letters),
            // Nor is anything behind the first of more colons.
            _ => ("*", fields[0], ""),
        };
        if !letters.bytes().all(|letter| b"iwfa".contains(&letter)) {
            return Err("unknown modifier");
        }
        let offset = match Offset::parse(offset, target)? {
            Offset::MacroGroup(_) => return Err("macro group as the offset of a subsignature"),
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
            Subsignature::Pcre(pcre) if !pcre.is_known() => Some(UnsupportedKind::Pcre),
            _ => None,
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
    let mut fields = rest.split('#');
    let hash = fields.next().unwrap_or_default();
    if fields.next().is_some_and(|distance| distance.is_empty() || number(distance) != Some(0)) {
        return Err("distance of a picture hash is not 0");
    }
    if hash.len() != 16 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("picture hash is not 16 hex digits");
    }
    u64::from_str_radix(hash, 16)
        .map(Subsignature::FuzzyImage)
        .map_err(|_| "picture hash is not 16 hex digits")
}

/// `min-max}g$` after `${`.
fn macro_of(rest: &str) -> Result<Subsignature, Reason> {
    let parts = rest.strip_suffix('$').and_then(|rest| rest.split_once('}'));
    let (between, group) = parts.ok_or("macro is malformed")?;
    let (min, max) = between.split_once('-').ok_or("macro without a range")?;
    let written = |digits: &str| if digits.is_empty() { None } else { number(digits) };
    match (written(min), written(max), written(group)) {
        (Some(min), Some(max), Some(group @ 0..32)) => Ok(Subsignature::Macro { min, max, group }),
        _ => Err("macro needs two numbers and a group below 32"),
    }
}

/// A number as C writes it: decimal, `0x` hex or `0` octal.
pub(super) fn c_number(text: &str) -> Option<i64> {
    // What reads digits below would take a sign, too.
    if text.contains(['-', '+']) {
        return None;
    }
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).ok();
    }
    match text.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => i64::from_str_radix(octal, 8).ok(),
        _ => text.parse().ok(),
    }
}
