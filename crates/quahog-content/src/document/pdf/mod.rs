//! PDF: streams, strings of JavaScript, embedded files.
//!
//! A cross-reference table says where objects are, and readers that find it
//! broken search the file for `1 0 obj`. This walk only searches, so that it
//! finds what either kind of reader would: old versions of objects, objects
//! inside of the data of others, objects that no table names.
//!
//! Parts are
//! * every stream, decoded by its filters, as clamscan 1.4.6 has them; and,
//!   if a predictor was applied, also without it;
//! * every string that is JavaScript: as it stands in the file up to the end
//!   of its value, which is the form that clamscan searches, and decoded,
//!   if that is another form;
//! * strings that are objects of their own, and objects inside of object
//!   streams, in the same way.
//!
//! Pictures keep their own compression. An embedded file has the name of the
//! file specification that points to it.
//!
//! A document whose user password is empty is decrypted; any other is
//! [`Shortfall::Encrypted`], and its streams are not handed out, for they
//! would be noise.

mod crypt;
mod filter;
mod value;

use std::collections::{HashMap, HashSet};

use memchr::memmem;

use self::crypt::Key;
use self::filter::{Filter, unpredicted};
use self::value::Value;
use super::decode::Ending;
use super::{About, Allowance, Outlet, Stop};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    Outlet::run(budget, visit, |outlet| {
        budget.tick(2 * bytes.len() as u64)?;
        let objects = objects(bytes);
        let mut document = Document {
            bytes,
            outlet,
            starts: objects.iter().map(|object| object.start).collect(),
            by_number: objects.iter().map(|object| (object.number, object.start)).collect(),
            ends: memmem::find_iter(bytes, b"endstream").collect(),
            allowance: Allowance::of(bytes),
            to_parse: Allowance::of(bytes),
            names: HashMap::new(),
            scripts: HashSet::new(),
            key: None,
            is_encrypted: false,
        };
        // Object streams first: names and scripts may stand in them.
        let lists = document.read_ahead(&objects)?;
        for (object, is_list) in objects.iter().zip(&lists) {
            if *is_list {
                document.object(object)?;
            }
        }
        for (object, is_list) in objects.iter().zip(&lists) {
            if !is_list {
                document.object(object)?;
            }
        }
        Ok(())
    })
}

/// Where an object is.
#[derive(Clone, Copy, Debug)]
struct Object {
    number: u32,
    generation: u16,
    /// Behind `obj`.
    start: usize,
}

/// Finds every `1 0 obj`.
fn objects(bytes: &[u8]) -> Vec<Object> {
    let mut found = Vec::new();
    for at in memmem::find_iter(bytes, b"obj") {
        let start = at + 3;
        if bytes.get(start).is_some_and(|&byte| value::is_regular(byte)) {
            // Some writers leave no blank before a number or a name.
            if bytes[start].is_ascii_alphabetic() {
                continue;
            }
        }
        let before = bytes.get(at.saturating_sub(LONGEST_HEAD)..at).unwrap_or_default();
        let Some((generation, before)) = number_before(before) else { continue };
        let Some((number, _)) = number_before(before) else { continue };
        let generation = u16::try_from(generation).unwrap_or(0);
        found.push(Object { number, generation, start });
    }
    found
}

/// The number at the end of `bytes`, blanks behind it left out.
fn number_before(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let is_blank = |byte: &u8| matches!(byte, 0 | b'\t' | b'\n' | 12 | b'\r' | b' ');
    let end = bytes.iter().rposition(|byte| !is_blank(byte))? + 1;
    let digits = bytes.get(..end)?.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, digits) = bytes.get(..end)?.split_at(end - digits);
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, before))
}

struct Document<'b, 'o, 'w, 'v, 'c> {
    bytes: &'b [u8],
    outlet: &'o mut Outlet<'w, 'v, 'c>,
    /// Where objects begin.
    starts: Vec<usize>,
    /// The last object of each number.
    by_number: HashMap<u32, usize>,
    /// Where `endstream` stands.
    ends: Vec<usize>,
    /// Bytes of streams that may be read, and bytes of values.
    allowance: Allowance,
    to_parse: Allowance,
    /// Names of embedded files, by the number of their stream.
    names: HashMap<u32, String>,
    /// Numbers of objects that are JavaScript.
    scripts: HashSet<u32>,
    key: Option<Key>,
    is_encrypted: bool,
}

impl Document<'_, '_, '_, '_, '_> {
    /// Where the next object begins.
    fn next_object(&self, at: usize) -> usize {
        let next = self.starts.partition_point(|&start| start <= at);
        self.starts.get(next).copied().unwrap_or(self.bytes.len())
    }

    /// Parses the value at a place.
    ///
    /// Values that have no end reach to that of the file. When enough was
    /// read of such, a value is not looked for behind the next object: what
    /// was to hide the others by its cost hides no more than itself.
    fn value(&mut self, at: usize) -> Result<(Value, usize), Stop> {
        let limit = if self.to_parse.0 == 0 { self.next_object(at) } else { self.bytes.len() };
        let (value, end) = value::parse(self.bytes.get(..limit).unwrap_or_default(), at);
        let end = end.clamp(at, limit.max(at));
        self.to_parse.take(end - at);
        self.outlet.budget.tick((end - at) as u64)?;
        Ok((value, end))
    }

    /// Notes what objects say of others: names of files, what is JavaScript,
    /// and the encryption. Tells which objects are object streams.
    fn read_ahead(&mut self, objects: &[Object]) -> Result<Vec<bool>, Stop> {
        let mut lists = Vec::with_capacity(objects.len());
        let mut encryption = None;
        let mut identifier = None;
        let trailers = memmem::find_iter(self.bytes, b"trailer").map(|at| at + 7);
        let starts: Vec<usize> =
            objects.iter().map(|object| object.start).chain(trailers).collect();
        for start in starts {
            let (value, _) = self.value(start)?;
            self.note(&value);
            lists.push(is_type(&value, b"ObjStm"));
            if let Some(dictionary) = value.get(b"Encrypt") {
                identifier = value
                    .get(b"ID")
                    .and_then(|id| id.each().first().cloned())
                    .filter(|id| id.string().is_some())
                    .or(identifier);
                encryption = Some(dictionary.clone());
            }
        }
        let Some(encryption) = encryption else { return Ok(lists) };
        let dictionary = match encryption {
            Value::Reference(number, _) => match self.by_number.get(&number) {
                Some(&start) => value::parse(self.bytes, start).0,
                None => Value::Other,
            },
            direct => direct,
        };
        // What points nowhere encrypts nothing.
        if dictionary.get(b"Filter").is_none() {
            return Ok(lists);
        }
        self.is_encrypted = true;
        let identifier = identifier.as_ref().and_then(Value::string).unwrap_or_default();
        self.key = Key::new(&dictionary, identifier);
        if self.key.is_none() {
            self.outlet.miss(Shortfall::Encrypted);
        }
        Ok(lists)
    }

    fn note(&mut self, value: &Value) {
        if let Some(files) = value.get(b"EF") {
            let name = [b"UF".as_slice(), b"F", b"DOS", b"Unix", b"Mac"]
                .iter()
                .find_map(|key| value.get(key)?.string());
            if let (Some(name), Value::Dictionary(files)) = (name, files) {
                for (_, file) in files {
                    if let Value::Reference(number, _) = file {
                        self.names.entry(*number).or_insert_with(|| text(name));
                    }
                }
            }
        }
        if let Some(Value::Reference(number, _)) = value.get(b"JS") {
            self.scripts.insert(*number);
        }
        match value {
            Value::Array(members) => members.iter().for_each(|member| self.note(member)),
            Value::Dictionary(members) => {
                members.iter().for_each(|(_, member)| self.note(member));
            }
            _ => {}
        }
    }

    fn object(&mut self, object: &Object) -> Result<(), Stop> {
        let (value, end) = self.value(object.start)?;
        if !self.is_encrypted || self.key.is_some() {
            let text = self.bytes.get(object.start..end).unwrap_or_default();
            self.strings(&value, text, object.start, Some(object))?;
        }
        match self.data_start(end) {
            Some(start) => self.stream(object, &value, start),
            None => Ok(()),
        }
    }

    /// Where the data of a stream begins whose dictionary ends at `end`.
    fn data_start(&self, end: usize) -> Option<usize> {
        let rest = self.bytes.get(end..)?;
        let blanks = rest.iter().take(64).take_while(|byte| byte.is_ascii_whitespace()).count();
        let after = rest.get(blanks..)?.strip_prefix(b"stream")?;
        let line = match after {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            [b' ' | b'\t', b'\r', b'\n', ..] => 3,
            [b' ' | b'\t', b'\n', ..] => 2,
            _ => 0,
        };
        Some(end + blanks + b"stream".len() + line)
    }

    /// The value, or what it refers to. Many may refer to the same one, so no
    /// more of it is read than a length or filters take.
    fn resolved(&mut self, value: &Value) -> Result<Value, Stop> {
        let Value::Reference(number, _) = value else { return Ok(value.clone()) };
        let Some(&start) = self.by_number.get(number) else { return Ok(Value::Other) };
        let limit = start.saturating_add(LONGEST_REFERRED).min(self.bytes.len());
        let (value, end) = value::parse(self.bytes.get(..limit).unwrap_or_default(), start);
        self.outlet.budget.tick(end.saturating_sub(start) as u64)?;
        Ok(value)
    }

    /// The data of a stream: as long as it says, if it ends there, else up to
    /// the next end.
    fn data(&mut self, dictionary: &Value, start: usize) -> Result<&[u8], Stop> {
        let rest = self.bytes.get(start..).unwrap_or_default();
        let ending = self.ends.partition_point(|&end| end < start);
        let ending = self.ends.get(ending).map(|end| end - start);
        let mut length = ending.unwrap_or(rest.len());
        let mut said = None;
        if let Some(value) = dictionary.get(b"Length").cloned() {
            said = self.resolved(&value)?.integer().and_then(|length| usize::try_from(length).ok());
        }
        let ends_there = |length: &usize| {
            let after = rest.get(*length..).unwrap_or_default();
            let blanks = after.iter().take(4).take_while(|byte| byte.is_ascii_whitespace()).count();
            after.get(blanks..).is_some_and(|after| after.starts_with(b"endstream"))
        };
        match said.filter(ends_there) {
            Some(said) => length = said,
            // The line end before it belongs to `endstream`.
            None if ending.is_some() => {
                let data = rest.get(..length).unwrap_or(rest);
                let data = data.strip_suffix(b"\n").unwrap_or(data);
                length = data.strip_suffix(b"\r").unwrap_or(data).len();
            }
            None => {}
        }
        // As with values.
        let granted = match self.allowance.take(length) {
            0 => length.min(self.next_object(start) - start),
            granted => granted,
        };
        Ok(rest.get(..granted).unwrap_or(rest))
    }

    fn stream(&mut self, object: &Object, dictionary: &Value, start: usize) -> Result<(), Stop> {
        if self.is_encrypted && self.key.is_none() {
            return Ok(());
        }
        let is_table = is_type(dictionary, b"XRef");
        let bytes = self.bytes;
        let data = self.data(dictionary, start)?.len();
        let packed = bytes.get(start..start + data).unwrap_or_default();
        if packed.is_empty() {
            return Ok(());
        }
        let (filters, parameters) = self.filters(dictionary)?;
        let decrypted;
        let mut current: &[u8] = packed;
        if let Some(key) = self.key.as_ref().filter(|_| !is_table) {
            self.outlet.budget.tick(packed.len() as u64)?;
            decrypted = key.stream(object.number, object.generation, packed);
            current = &decrypted;
        }
        let room = self.outlet.room();
        let over = self.outlet.over();
        let mut shortfall = None;
        let mut out;
        let mut unpredicted_form = None;
        for (at, filter) in filters.iter().enumerate() {
            if matches!(filter, Filter::Identity | Filter::Final) {
                continue;
            }
            if *filter == Filter::Unknown {
                shortfall = Some(Shortfall::Unsupported);
                break;
            }
            let parameters = parameters.get(at);
            let mut next = Vec::new();
            let ending = filter.decode(current, parameters, &mut next, room, self.outlet.budget);
            if let Ending::Stopped(why) = ending {
                return Err(why.into());
            }
            shortfall = shortfall.or(ending.shortfall(over));
            let plain = match filter {
                Filter::Flate | Filter::Lzw => unpredicted(&next, parameters, self.outlet.budget)?,
                _ => None,
            };
            let is_last = at + 1 == filters.len();
            // What lies between two filters is decoded as well.
            if !is_last || is_table {
                self.outlet.budget.spend(next.len() as u64);
            }
            out = match plain {
                Some(plain) if is_last => {
                    unpredicted_form = Some(plain);
                    next
                }
                Some(plain) => plain,
                None => next,
            };
            current = &out;
            if matches!(ending, Ending::Damaged) && current.is_empty() {
                break;
            }
        }
        let name = self.names.get(&object.number).cloned();
        let name = name.unwrap_or_else(|| format!("{} {} obj", object.number, object.generation));
        let about = About { shortfall, packed: Some(packed.len()), ..About::named(&name) };
        if !is_table {
            if !current.is_empty() || shortfall.is_some() {
                self.outlet.hand(about, current)?;
            }
            if let Some(plain) = unpredicted_form.as_deref().filter(|plain| !plain.is_empty()) {
                self.outlet.hand(about, plain)?;
            }
        }
        if is_type(dictionary, b"ObjStm") {
            let plain = unpredicted_form.as_deref().unwrap_or(current);
            self.object_stream(dictionary, plain)?;
        }
        Ok(())
    }

    /// The filters of a stream, and the parameters of each.
    fn filters(&mut self, dictionary: &Value) -> Result<(Vec<Filter>, Vec<Value>), Stop> {
        let mut filters = Vec::new();
        let mut parameters = Vec::new();
        let first = |keys: [&[u8]; 2]| keys.iter().find_map(|key| dictionary.get(key)).cloned();
        if let Some(value) = first([b"Filter", b"F"]) {
            let value = self.resolved(&value)?;
            for filter in value.each().iter().take(MAX_FILTERS) {
                if let Value::Name(name) = self.resolved(filter)? {
                    filters.push(Filter::of(&name));
                }
            }
        }
        if let Some(value) = first([b"DecodeParms", b"DP"]) {
            let value = self.resolved(&value)?;
            for each in value.each().iter().take(MAX_FILTERS) {
                parameters.push(self.resolved(each)?);
            }
        }
        Ok((filters, parameters))
    }

    /// The objects in an object stream: `number offset` for each, then the
    /// objects from where the dictionary says.
    fn object_stream(&mut self, dictionary: &Value, data: &[u8]) -> Result<(), Stop> {
        let first = dictionary.get(b"First").cloned().unwrap_or(Value::Other);
        let first = self.resolved(&first)?.integer();
        let Some(first) = first.and_then(|first| usize::try_from(first).ok()) else {
            return Ok(());
        };
        let mut at = 0;
        // The table cannot be longer than what comes before the objects.
        while at < first.min(data.len()) {
            let (Value::Integer(number), after) = value::parse(data, at) else { break };
            let (Value::Integer(offset), after) = value::parse(data, after) else { break };
            at = after;
            let (Ok(number), Ok(offset)) = (u32::try_from(number), usize::try_from(offset)) else {
                continue;
            };
            let Some(rest) = first.checked_add(offset).and_then(|at| data.get(at..)) else {
                continue;
            };
            if self.to_parse.0 == 0 {
                break;
            }
            let (value, end) = value::parse(rest, 0);
            self.to_parse.take(end);
            self.outlet.budget.tick(1 + end as u64)?;
            // A script that an object in here points to may stand before it.
            self.note(&value);
            let is_script = self.scripts.contains(&number);
            if let Value::String(script, start) = &value
                && is_script
            {
                self.script(script, rest.get(*start..end).unwrap_or_default())?;
            }
            self.strings(&value, rest.get(..end).unwrap_or(rest), 0, None)?;
        }
        Ok(())
    }

    /// Hands out strings of JavaScript inside of a value that was parsed from
    /// `text`, which begins at `base`. `object` is where it stands if its
    /// strings may be encrypted.
    fn strings(
        &mut self,
        value: &Value,
        text: &[u8],
        base: usize,
        object: Option<&Object>,
    ) -> Result<(), Stop> {
        let is_script = object.is_some_and(|object| self.scripts.contains(&object.number));
        let mut found: Vec<(Vec<u8>, usize)> = Vec::new();
        match value {
            Value::String(script, start) if is_script => found.push((script.clone(), *start)),
            _ => collect_scripts(value, &mut found),
        }
        for (script, start) in found {
            let raw = start.checked_sub(base).and_then(|start| text.get(start..));
            let raw = raw.unwrap_or_default();
            let raw = raw.get(..self.allowance.take(raw.len())).unwrap_or_default();
            self.outlet.budget.tick((raw.len() + script.len()) as u64)?;
            match (self.key.as_ref(), object) {
                (Some(key), Some(object)) => {
                    let script = key.string(object.number, object.generation, &script);
                    self.script(&script, b"")?;
                }
                _ => self.script(&script, raw)?,
            }
        }
        Ok(())
    }

    /// Hands out a script as it stands in the file, and as a reader reads it.
    fn script(&mut self, script: &[u8], raw: &[u8]) -> Result<(), Stop> {
        let about = About { declared: Some("text/javascript"), ..About::default() };
        if !raw.is_empty() {
            self.outlet.hand(about, raw)?;
        }
        let script = match script {
            [0xfe, 0xff, ..] => text(script).into_bytes(),
            _ => script.to_vec(),
        };
        if script.is_empty() || raw.starts_with(&script) {
            return Ok(());
        }
        self.outlet.hand(about, &script)
    }
}

fn is_type(dictionary: &Value, name: &[u8]) -> bool {
    dictionary.get(b"Type").is_some_and(|kind| kind.is_name(name))
}

/// Strings under the key `JS`, anywhere in a value.
fn collect_scripts(value: &Value, found: &mut Vec<(Vec<u8>, usize)>) {
    match value {
        Value::Dictionary(members) => {
            for (key, member) in members {
                match member {
                    Value::String(text, start) if key == b"JS" => {
                        found.push((text.clone(), *start));
                    }
                    _ => collect_scripts(member, found),
                }
            }
        }
        Value::Array(members) => members.iter().for_each(|member| collect_scripts(member, found)),
        _ => {}
    }
}

/// A text string: UTF-16 with a mark, or else taken for one byte a character.
fn text(bytes: &[u8]) -> String {
    match bytes.strip_prefix(b"\xfe\xff") {
        Some(wide) => encoding_rs::UTF_16BE.decode_without_bom_handling(wide).0.into_owned(),
        None => super::narrow(bytes),
    }
}

/// Bytes before `obj` that its two numbers may take, with blanks.
const LONGEST_HEAD: usize = 64;
/// Filters of one stream that are applied.
const MAX_FILTERS: usize = 16;
/// Bytes of a value that another one refers to: a length, filters.
const LONGEST_REFERRED: usize = 1 << 10;
