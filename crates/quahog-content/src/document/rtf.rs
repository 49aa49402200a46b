//! RTF: the objects and pictures in it, which are hexadecimal or binary.
//!
//! An object is in OLE 1 form: `version:4 kind:4`, three names with their
//! lengths, a length and the data, which may be a compound file, or a file
//! that a user put in. Where that form does not fit, the bytes are handed out
//! as they are, and a compound file in them from where it begins.
//!
//! Word reads what it does not understand past, so digits may stand between
//! control words, in groups of their own, and far from `\objdata`.

use memchr::memmem;

use super::compound::MAGIC;
use super::ole::Native;
use super::{About, Outlet, Stop, length_at, narrow};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    Outlet::run(budget, visit, |outlet| Reader::new(bytes, outlet).read())
}

/// What the text at some depth of groups is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Destination {
    #[default]
    Text,
    Object,
    Picture,
    /// Inside of one of these, but nothing that a reader would take for data.
    Ignored,
}

struct Reader<'b, 'o, 'w, 'v, 'c> {
    rest: &'b [u8],
    outlet: &'o mut Outlet<'w, 'v, 'c>,
    /// Destinations of the groups that are open, up to [`MAX_DEPTH`].
    groups: Vec<Destination>,
    /// Groups that are open beyond these.
    deeper: usize,
    /// Where the data that is collected ends: the number of groups around it.
    collecting: Option<(Destination, usize)>,
    data: Vec<u8>,
    /// The first digit of a byte.
    half: Option<u8>,
    cut: bool,
}

impl<'b, 'o, 'w, 'v, 'c> Reader<'b, 'o, 'w, 'v, 'c> {
    fn new(bytes: &'b [u8], outlet: &'o mut Outlet<'w, 'v, 'c>) -> Reader<'b, 'o, 'w, 'v, 'c> {
        Reader {
            rest: bytes,
            outlet,
            groups: Vec::new(),
            deeper: 0,
            collecting: None,
            data: Vec::new(),
            half: None,
            cut: false,
        }
    }

    fn read(&mut self) -> Result<(), Stop> {
        while let Some((&byte, rest)) = self.rest.split_first() {
            match byte {
                b'{' => {
                    self.rest = rest;
                    self.outlet.budget.tick(1)?;
                    if self.groups.len() < MAX_DEPTH {
                        let inherited = self.groups.last().copied().unwrap_or_default();
                        self.groups.push(inherited);
                    } else {
                        self.deeper += 1;
                    }
                }
                b'}' => {
                    self.rest = rest;
                    self.outlet.budget.tick(1)?;
                    if self.deeper > 0 {
                        self.deeper -= 1;
                    } else {
                        self.groups.pop();
                    }
                    if self.collecting.is_some_and(|(_, depth)| self.groups.len() < depth) {
                        self.finish()?;
                    }
                }
                b'\\' => self.control(rest)?,
                _ => self.text()?,
            }
        }
        // A group that never ends is as good as one that does.
        self.finish()
    }

    /// Reads text up to the next control character.
    fn text(&mut self) -> Result<(), Stop> {
        let end = memchr::memchr3(b'{', b'}', b'\\', self.rest).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.outlet.budget.tick(1 + text.len() as u64)?;
        let destination = self.groups.last().copied().unwrap_or_default();
        if !matches!(destination, Destination::Object | Destination::Picture) {
            return Ok(());
        }
        let room = self.outlet.room();
        for &byte in text {
            // A digit is below 16.
            let Some(digit) = char::from(byte).to_digit(16).map(|digit| digit as u8) else {
                continue;
            };
            match self.half.take() {
                None => self.half = Some(digit),
                Some(_) if self.data.len() >= room => self.cut = true,
                Some(high) => self.data.push(high << 4 | digit),
            }
        }
        Ok(())
    }

    /// Reads a control word or symbol behind its backslash.
    fn control(&mut self, rest: &'b [u8]) -> Result<(), Stop> {
        let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        self.outlet.budget.tick(1 + letters as u64)?;
        if letters == 0 {
            // A symbol; `\'` has two digits, which are text.
            let skipped = match rest.first() {
                Some(b'\'') => 3,
                Some(b'*') => {
                    self.ignorable();
                    1
                }
                _ => 1,
            };
            self.rest = rest.get(skipped..).unwrap_or_default();
            return Ok(());
        }
        let (word, rest) = rest.split_at(letters);
        let sign = usize::from(rest.starts_with(b"-"));
        let digits = rest.get(sign..).unwrap_or_default();
        let digits = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, mut rest) = rest.split_at(if digits > 0 { sign + digits } else { 0 });
        if let [b' ', after @ ..] = rest {
            rest = after;
        }
        self.rest = rest;
        match word {
            b"objdata" | b"datafield" => self.collect(Destination::Object)?,
            b"pict" => self.collect(Destination::Picture)?,
            b"bin" => {
                let number = std::str::from_utf8(number).unwrap_or_default();
                let length = number.parse::<usize>().unwrap_or(0);
                let (bytes, rest) = rest.split_at(length.min(rest.len()));
                self.rest = rest;
                self.outlet.budget.tick(bytes.len() as u64)?;
                if self.collecting.is_some() && !bytes.is_empty() {
                    let room = self.outlet.room().saturating_sub(self.data.len());
                    self.cut |= bytes.len() > room;
                    self.data.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
                    self.half = None;
                }
            }
            // What is not shown is not collected, except a destination that
            // collects; and properties of pictures are no picture.
            b"picprop" | b"blipuid" | b"objclass" | b"objname" => self.ignore(),
            _ => {}
        }
        Ok(())
    }

    /// A group whose destination may be unknown: inside of data it is skipped.
    fn ignorable(&mut self) {
        if self.collecting.is_some_and(|(_, depth)| self.groups.len() > depth) {
            self.ignore();
        }
    }

    fn ignore(&mut self) {
        if let Some(last) = self.groups.last_mut() {
            *last = Destination::Ignored;
        }
    }

    /// Begins to collect data in the group that is open.
    fn collect(&mut self, destination: Destination) -> Result<(), Stop> {
        self.finish()?;
        if self.groups.is_empty() {
            self.groups.push(destination);
        }
        if let Some(last) = self.groups.last_mut() {
            *last = destination;
        }
        self.collecting = Some((destination, self.groups.len()));
        Ok(())
    }

    /// Hands out what was collected.
    fn finish(&mut self) -> Result<(), Stop> {
        let data = std::mem::take(&mut self.data);
        let cut = std::mem::take(&mut self.cut);
        self.half = None;
        let Some((destination, _)) = self.collecting.take() else { return Ok(()) };
        if data.is_empty() {
            return Ok(());
        }
        let shortfall = cut.then(|| self.outlet.over());
        if destination == Destination::Picture {
            return self.outlet.hand(About { shortfall, ..About::default() }, &data);
        }
        self.outlet.budget.tick(data.len() as u64)?;
        let object = Object::parse(&data);
        match &object {
            Some(Object { native: Some(native), .. }) => {
                let about = About { shortfall, ..About::named(&native.name) };
                self.outlet.hand(about, native.data)?;
            }
            Some(Object { data, class, .. }) if !data.is_empty() => {
                let about = About { shortfall, ..About::named(class) };
                self.outlet.hand(about, data)?;
            }
            _ => self.outlet.hand(About { shortfall, ..About::default() }, &data)?,
        }
        // Word finds it there, whatever stands before.
        let found = memmem::find(&data, MAGIC).and_then(|at| data.get(at..));
        if let Some(file) = found
            && !object.is_some_and(|object| object.data.starts_with(MAGIC))
        {
            self.outlet.hand(About { shortfall, ..About::default() }, file)?;
        }
        Ok(())
    }
}

/// An object in OLE 1 form.
struct Object<'d> {
    class: String,
    data: &'d [u8],
    native: Option<Native<'d>>,
}

impl<'d> Object<'d> {
    fn parse(bytes: &'d [u8]) -> Option<Object<'d>> {
        let (class, rest) = counted(bytes.get(8..)?)?;
        let (_topic, rest) = counted(rest)?;
        let (_item, rest) = counted(rest)?;
        let length = length_at(rest, 0)?;
        let data = rest.get(4..)?;
        let data = data.get(..length).unwrap_or(data);
        Some(Object { class: narrow(class), data, native: Native::parse(rest) })
    }
}

/// A text with its length before it.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = length_at(bytes, 0)?;
    bytes.get(4..)?.split_at_checked(length)
}

/// Groups deeper than this are not told apart.
const MAX_DEPTH: usize = 10_000;
