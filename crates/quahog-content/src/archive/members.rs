//! Handing out members under the budget.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::ControlFlow;

use super::{Ending, decode_name};
use crate::{Budget, Entry, Part, Shortfall, Visit};

/// Why a walk ended early.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stop {
    /// This is missing of the container.
    Short(Shortfall),
    /// The visitor has seen enough.
    Visitor,
}

impl From<Shortfall> for Stop {
    fn from(shortfall: Shortfall) -> Stop {
        Stop::Short(shortfall)
    }
}

/// What a directory says of a member.
#[derive(Clone, Debug, Default)]
pub(super) struct Member<'b> {
    pub(super) name: Option<Cow<'b, str>>,
    pub(super) packed_size: u64,
    pub(super) size: u64,
    pub(super) crc32: Option<u32>,
    pub(super) encrypted: bool,
}

impl<'b> Member<'b> {
    /// A member whose name is UTF-8, or else has one byte for each character.
    pub(super) fn named(name: &'b [u8]) -> Member<'b> {
        Member::titled(decode_name(name, char::from))
    }

    pub(super) fn titled(name: impl Into<Cow<'b, str>>) -> Member<'b> {
        Member { name: Some(name.into()), ..Member::default() }
    }

    pub(super) fn sizes(mut self, packed_size: u64, size: u64) -> Member<'b> {
        (self.packed_size, self.size) = (packed_size, size);
        self
    }
}

/// Hands out the members of one container, numbered from 1.
///
/// Work is linear: a container whose directory leads to the same bytes again
/// and again is read [`REREAD`] times at most.
pub(super) struct Members<'w, 'v> {
    pub(super) budget: &'w Budget<'w>,
    visit: &'w mut Visit<'v>,
    position: u32,
    /// Where the bytes handed out lie, and how many there are.
    given: HashSet<(usize, usize)>,
    /// Packed bytes that may still be read.
    data_left: u64,
    /// Kept from member to member.
    buffer: Vec<u8>,
}

impl<'w, 'v> Members<'w, 'v> {
    pub(super) fn new(
        container: &[u8],
        budget: &'w Budget<'w>,
        visit: &'w mut Visit<'v>,
    ) -> Members<'w, 'v> {
        Members {
            budget,
            visit,
            position: 0,
            given: HashSet::new(),
            data_left: REREAD.saturating_mul(container.len() as u64).saturating_add(REREAD_LEAST),
            buffer: Vec::new(),
        }
    }

    /// How many members there were.
    pub(super) fn count(&self) -> u32 {
        self.position
    }

    /// What [`open`](crate::open) answers for a walk that ended with `result`.
    pub(super) fn answer(&self, result: Result<(), Stop>) -> Option<Shortfall> {
        match result {
            Err(Stop::Short(shortfall)) => Some(shortfall),
            Err(Stop::Visitor) | Ok(()) => None,
        }
    }

    /// Hands out stored bytes, of which `whole` says that none is cut off.
    /// Bytes that were handed out before are not handed out again.
    pub(super) fn stored(
        &mut self,
        member: Member<'_>,
        data: &[u8],
        whole: bool,
    ) -> Result<(), Stop> {
        self.next()?;
        let shortfall = (!whole).then_some(Shortfall::Malformed);
        if !self.is_new(data) {
            return self.hand_out(member, None, shortfall);
        }
        self.budget.tick(1 + data.len() as u64 / 16)?;
        let (room, over) = self.budget.part_room();
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let (data, shortfall) = match data.get(..room) {
            Some(first) if first.len() < data.len() => (first, Some(over)),
            _ => (data, shortfall),
        };
        if !self.read(data.len()) {
            return self.hand_out(member, None, Some(Shortfall::Malformed));
        }
        self.budget.spend(data.len() as u64);
        self.hand_out(member, Some(data), shortfall)
    }

    /// Hands out what `decoder` makes of `data`. It is given an empty buffer,
    /// how many bytes may go there, and the budget, and says how it ended.
    pub(super) fn decoded(
        &mut self,
        member: Member<'_>,
        data: &[u8],
        decoder: impl FnOnce(&[u8], &mut Vec<u8>, usize, &Budget<'_>) -> Ending,
    ) -> Result<(), Stop> {
        self.next()?;
        if !data.is_empty() && !self.is_new(data) {
            return self.hand_out(member, None, None);
        }
        if !self.read(data.len()) {
            return self.hand_out(member, None, Some(Shortfall::Malformed));
        }
        let mut out = std::mem::take(&mut self.buffer);
        out.clear();
        // Ranges of a stream have no bytes of their own; the stream is charged.
        let (room, over) = match data.is_empty() {
            true => self.budget.part_room(),
            false => self.budget.unpacked_room(data.len()),
        };
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let before = self.budget.expansion_left();
        let ending = decoder(data, &mut out, room, self.budget);
        out.truncate(room);
        if !data.is_empty() {
            // Some decoders are charged while they work.
            let mut charged = before - self.budget.expansion_left();
            self.budget.expand(data.len(), out.len(), &mut charged);
        }
        let result = self.given(member, &out, ending.shortfall(over));
        // One large member must not hold its memory for all that follow.
        if out.capacity() <= LARGEST_BUFFER {
            self.buffer = out;
        }
        result?;
        match ending {
            Ending::Stopped(why) => Err(why.into()),
            _ => Ok(()),
        }
    }

    /// Hands out decoded bytes that lie in a buffer of the caller's.
    pub(super) fn made(
        &mut self,
        member: Member<'_>,
        bytes: &[u8],
        shortfall: Option<Shortfall>,
    ) -> Result<(), Stop> {
        self.next()?;
        self.given(member, bytes, shortfall)
    }

    fn given(
        &mut self,
        mut member: Member<'_>,
        bytes: &[u8],
        shortfall: Option<Shortfall>,
    ) -> Result<(), Stop> {
        if member.size == 0 {
            member.size = bytes.len() as u64;
        }
        self.budget.spend(bytes.len() as u64);
        let nothing = bytes.is_empty() && shortfall.is_some();
        self.hand_out(member, (!nothing).then_some(bytes), shortfall)
    }

    /// Hands out a member whose bytes cannot be had.
    pub(super) fn closed(&mut self, member: Member<'_>, why: Shortfall) -> Result<(), Stop> {
        self.next()?;
        self.hand_out(member, None, Some(why))
    }

    /// Hands out a member that has no bytes, such as a folder.
    pub(super) fn empty(&mut self, member: Member<'_>) -> Result<(), Stop> {
        self.next()?;
        self.hand_out(member, None, None)
    }

    /// Charges the next part, before the work that it takes: what ends in the
    /// middle of it is handed out all the same.
    fn next(&mut self) -> Result<(), Stop> {
        self.position = self.position.saturating_add(1);
        Ok(self.budget.part()?)
    }

    /// Whether bytes of the container may be read once more.
    pub(super) fn read(&mut self, length: usize) -> bool {
        let length = length as u64;
        let allowed = length <= self.data_left;
        self.data_left = self.data_left.saturating_sub(length);
        allowed
    }

    /// Slices are told apart by their place in memory.
    fn is_new(&mut self, data: &[u8]) -> bool {
        data.is_empty() || self.given.insert((data.as_ptr().addr(), data.len()))
    }

    fn hand_out(
        &mut self,
        member: Member<'_>,
        bytes: Option<&[u8]>,
        shortfall: Option<Shortfall>,
    ) -> Result<(), Stop> {
        let entry = Entry {
            position: self.position,
            packed_size: member.packed_size,
            size: member.size,
            crc32: member.crc32,
            encrypted: member.encrypted,
        };
        let part = Part {
            bytes,
            name: member.name,
            shortfall,
            entry,
            declared: None,
            is_body: false,
            ambiguity: None,
        };
        match (self.visit)(part) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Visitor),
        }
    }
}

/// How often a container may be read when its members overlap.
const REREAD: u64 = 4;

/// And what may be read of the smallest one.
const REREAD_LEAST: u64 = 4 << 10;

/// The largest output buffer that is kept for the next member.
const LARGEST_BUFFER: usize = 4 << 20;
