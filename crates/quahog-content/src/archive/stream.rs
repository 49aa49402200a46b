//! Streams that the decoders of crates read: bounded, metered and fenced.
//!
//! A decoder pulls its input from a [`Source`], which charges the budget for
//! each byte, and is asked for output only while there is room. A decoder
//! that panics is a decoder that found damage: what it gave before stays.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Ending;
use super::members::{Member, Members, Stop};
use crate::{Budget, Shortfall, Visit};

/// The input of a decoder.
pub(super) struct Source<'s> {
    rest: &'s [u8],
    progress: &'s Progress<'s>,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.rest.len()).min(STEP);
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), self.rest.get(..length)) {
            to.copy_from_slice(from);
        }
        self.rest = self.rest.get(length..).unwrap_or_default();
        self.progress.charge(length)?;
        Ok(length)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.progress.charge(0)?;
        Ok(self.rest.get(..STEP).unwrap_or(self.rest))
    }

    fn consume(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
        // The next `fill_buf` reports that the budget has ended.
        let _ = self.progress.charge(length);
    }
}

/// What became of the input; outlives the decoder.
pub(super) struct Progress<'s> {
    pub(super) budget: &'s Budget<'s>,
    used: Cell<usize>,
    stopped: Cell<Option<Shortfall>>,
}

impl<'s> Progress<'s> {
    pub(super) fn new(budget: &'s Budget<'s>) -> Progress<'s> {
        Progress { budget, used: Cell::new(0), stopped: Cell::new(None) }
    }

    /// A reader of `bytes` that charges what is read.
    pub(super) fn source(&'s self, bytes: &'s [u8]) -> Source<'s> {
        Source { rest: bytes, progress: self }
    }

    /// How many bytes were read.
    pub(super) fn used(&self) -> usize {
        self.used.get()
    }

    /// Charges input that a decoder of ours reads without a [`Source`].
    pub(super) fn charge(&self, length: usize) -> io::Result<()> {
        self.used.set(self.used.get().saturating_add(length));
        if self.stopped.get().is_none() {
            self.stopped.set(self.budget.tick(length as u64).err());
        }
        match self.stopped.get() {
            None => Ok(()),
            Some(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn ending_of(&self, error: &io::Error) -> Ending {
        match (self.stopped.get(), error.kind()) {
            (Some(why), _) => Ending::Stopped(why),
            (_, io::ErrorKind::OutOfMemory | io::ErrorKind::Unsupported) => Ending::Unsupported,
            _ => Ending::Damaged,
        }
    }
}

/// A decoder at work, and how it ended once it has.
pub(super) struct Stream<'s> {
    decoder: Option<Box<dyn Read + 's>>,
    progress: &'s Progress<'s>,
    ended: Option<Ending>,
    /// Bytes given so far, and what was charged for their number.
    made: usize,
    charged: u64,
}

impl<'s> Stream<'s> {
    /// Makes the decoder, which may read a header.
    pub(super) fn start(
        progress: &'s Progress<'s>,
        make: impl FnOnce() -> io::Result<Box<dyn Read + 's>>,
    ) -> Stream<'s> {
        let made = catch_unwind(AssertUnwindSafe(make));
        let (decoder, ended) = match made {
            Ok(Ok(decoder)) => (Some(decoder), None),
            Ok(Err(error)) => (None, Some(progress.ending_of(&error))),
            Err(_) => (None, Some(Ending::Damaged)),
        };
        Stream { decoder, progress, ended, made: 0, charged: 0 }
    }

    /// Appends to `out` until it has `room` bytes and one more was seen, or
    /// until the stream ends.
    pub(super) fn read(&mut self, out: &mut Vec<u8>, room: usize) -> Ending {
        // One byte more than the room tells "exactly full" from "goes on".
        let ending = self.fill(out, room.saturating_add(1));
        let full = out.len() > room;
        out.truncate(room);
        match ending {
            None => Ending::Full,
            Some(_) if full => Ending::Full,
            Some(ending) => ending,
        }
    }

    /// Appends `length` bytes, or those that there are.
    pub(super) fn take(&mut self, out: &mut Vec<u8>, length: usize) -> Ending {
        match self.fill(out, out.len().saturating_add(length)) {
            None => Ending::Complete,
            Some(Ending::Complete) => Ending::Damaged,
            Some(other) => other,
        }
    }

    /// Appends until `out` has `most` bytes. Says why it has fewer.
    fn fill(&mut self, out: &mut Vec<u8>, most: usize) -> Option<Ending> {
        let Some(decoder) = &mut self.decoder else {
            return Some(self.ended.unwrap_or(Ending::Damaged));
        };
        let progress = self.progress;
        let (made, charged) = (&mut self.made, &mut self.charged);
        // Nothing that the closure touches is relied upon after a panic but
        // `out`, which grows by whole steps.
        let fenced = catch_unwind(AssertUnwindSafe(|| {
            let mut step = vec![0; STEP.min(most.saturating_sub(out.len()))];
            while out.len() < most {
                let wanted = step.len().min(most - out.len());
                let given = match decoder.read(step.get_mut(..wanted).unwrap_or_default()) {
                    Ok(0) => return Some(Ending::Complete),
                    Ok(given) => given,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Some(progress.ending_of(&error)),
                };
                out.extend_from_slice(step.get(..given).unwrap_or_default());
                if let Err(why) = progress.budget.tick(given as u64) {
                    return Some(Ending::Stopped(why));
                }
                *made = made.saturating_add(given);
                if !progress.budget.expand(progress.used(), *made, charged) {
                    return Some(Ending::Swollen);
                }
            }
            None
        }));
        let ended = fenced.unwrap_or(Some(Ending::Damaged));
        if ended.is_some() {
            (self.ended, self.decoder) = (ended, None);
        }
        ended
    }
}

/// Appends to `out` what the decoder that `start` makes gives for `input`,
/// until `out` has `room` bytes. Returns how many bytes of the input were
/// taken, and why decoding ended.
pub(super) fn decode(
    input: &[u8],
    out: &mut Vec<u8>,
    room: usize,
    budget: &Budget<'_>,
    start: impl for<'s> FnOnce(Source<'s>) -> io::Result<Box<dyn Read + 's>>,
) -> (usize, Ending) {
    let progress = Progress::new(budget);
    let ending = Stream::start(&progress, || start(progress.source(input))).read(out, room);
    (progress.used(), ending)
}

/// A member that is a range of what a stream decodes to.
pub(super) struct Piece<'b> {
    pub(super) member: Member<'b>,
    pub(super) start: u64,
    pub(super) length: u64,
}

/// Hands out ranges of a stream, in the order in which they lie in it. What
/// lies between them is decoded and left out, under the budget too.
pub(super) fn pieces(
    members: &mut Members<'_, '_>,
    stream: &mut Stream<'_>,
    mut pieces: Vec<Piece<'_>>,
) -> Result<(), Stop> {
    pieces.sort_by_key(|piece| piece.start);
    let mut at = 0_u64;
    let mut last = None;
    for Piece { member, start, length } in pieces {
        if last == Some((start, length)) || length == 0 {
            members.empty(member)?;
            continue;
        }
        if start < at {
            // Part of it was handed out; a stream does not go back.
            members.closed(member, Shortfall::Malformed)?;
            continue;
        }
        let mut ending = Ending::Complete;
        let mut skipped = Vec::new();
        while at < start && ending == Ending::Complete {
            let step = usize::try_from(start - at).unwrap_or(STEP).min(STEP);
            if members.budget.part_room().0 < step as u64 {
                ending = Ending::Stopped(Shortfall::TotalBytes);
                break;
            }
            members.budget.spend(step as u64);
            skipped.clear();
            ending = stream.take(&mut skipped, step);
            at += skipped.len() as u64;
        }
        if ending != Ending::Complete {
            let why = ending.shortfall(Shortfall::PartBytes).unwrap_or(Shortfall::Malformed);
            members.closed(member, why)?;
            if let Ending::Stopped(why) = ending {
                return Err(why.into());
            }
            continue;
        }
        last = Some((start, length));
        members.decoded(member, &[], |_, out, room, _| {
            let wanted = usize::try_from(length).unwrap_or(usize::MAX);
            let ending = stream.take(out, wanted.min(room));
            at += out.len() as u64;
            match ending {
                Ending::Complete if wanted > room => Ending::Full,
                other => other,
            }
        })?;
    }
    Ok(())
}

/// A decoder of one of the streams of a file.
pub(super) type Decode = fn(&[u8], &mut Vec<u8>, usize, &Budget<'_>) -> (usize, Ending);

/// Hands out one part: the streams of a file, joined. Zero bytes between and
/// behind them are padding; anything else behind is damage of the container.
pub(super) fn joined(
    bytes: &[u8],
    budget: &Budget<'_>,
    visit: &mut Visit<'_>,
    is_start: fn(&[u8]) -> bool,
    decode: Decode,
) -> Option<Shortfall> {
    if !is_start(bytes) {
        return Some(Shortfall::Malformed);
    }
    let mut members = Members::new(bytes, budget, visit);
    let mut junk = false;
    let member = Member::default().sizes(bytes.len() as u64, 0);
    let result = members.decoded(member, bytes, |bytes, out, room, budget| {
        let mut rest = bytes;
        while is_start(rest) {
            let (used, ending) = decode(rest, out, room, budget);
            // A stream has a header, so that each round uses bytes.
            rest = rest.get(used.max(1)..).unwrap_or_default();
            // After a cut the rest belongs to the part, whose shortfall says so.
            if ending != Ending::Complete {
                return ending;
            }
            let padding = rest.iter().take_while(|&&byte| byte == 0).count();
            rest = rest.get(padding..).unwrap_or_default();
        }
        junk = !rest.is_empty();
        Ending::Complete
    });
    let result = result.and(if junk { Err(Shortfall::Malformed.into()) } else { Ok(()) });
    members.answer(result)
}

/// Bytes that go in or out at once; bounds how long the budget is not asked.
const STEP: usize = 64 << 10;

/// The memory that a decoder may take for what was decoded before.
pub(super) const LARGEST_DICTIONARY: u32 = 128 << 20;
