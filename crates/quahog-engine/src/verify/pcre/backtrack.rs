//! The machine that goes back: for what no automaton can find.
//!
//! A tree becomes a program; running it keeps a stack of what is to be tried
//! when something fails, so no bytes and no pattern make it recurse. Choices
//! are tried in the order of PCRE2, so the match is the one that PCRE2 finds.
//! What a choice changes (groups, counters) is put on the same stack, to be
//! undone on the way back.
//!
//! Each step costs one from an allowance that belongs to a whole search, and
//! the stack is bounded; when either is used up the search ends as PCRE2 ends
//! at its limits, without a match, and the meter is told that something may
//! have been missed.

use quahog_sig::regex::{Assertion, ByteSet, Condition, Node, Regex};

use crate::meter::{Interrupted, Meter};

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Program {
    code: Vec<Op>,
    n_slots: usize,
    n_counters: usize,
    /// The bytes that a match may begin with; `None` if it may be empty.
    first: Option<ByteSet>,
}

/// One instruction; addresses are indexes of `code`.
#[derive(Clone, Debug)]
enum Op {
    Assert(Assertion),
    Backreference {
        group: u32,
        caseless: bool,
    },
    /// Ends an iteration. Where there is no largest number of them, one that
    /// consumed nothing is the last, once there are enough.
    Back {
        counter: u32,
        to: u32,
        enough: u32,
        exit: u32,
    },
    /// Goes back so many bytes.
    Behind(u32),
    Byte(u8),
    Close(u32),
    Enter(u32),
    Fail,
    /// Until `FenceEnd` it is on its own: then nothing of it is tried again.
    Fence {
        kind: Fence,
        end: u32,
        otherwise: Option<u32>,
    },
    FenceEnd,
    IfGroup {
        group: u32,
        no: u32,
    },
    Jump(u32),
    Loop {
        counter: u32,
        min: u32,
        max: u32,
        lazy: bool,
        exit: u32,
    },
    Match,
    Open(u32),
    Reset(u32),
    /// A set, again and again.
    Run {
        set: Box<ByteSet>,
        min: u32,
        max: u32,
        kind: Run,
    },
    Set(Box<ByteSet>),
    Split {
        first: u32,
        second: u32,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Run {
    Greedy,
    Lazy,
    Possessive,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fence {
    /// Goes on where the inside ended.
    Atomic,
    /// Goes on where it began, if the inside matches.
    Look,
    /// The same, if it does not match.
    NotLook,
}

/// What is done on the way back.
#[derive(Clone, Copy, Debug)]
enum Frame {
    Counter {
        counter: u32,
        count: u32,
        start: usize,
    },
    Fence {
        kind: Fence,
        end: u32,
        otherwise: u32,
        at: usize,
        outer: usize,
    },
    /// Gives back a byte of a greedy run, down to `low`.
    Greedy {
        next: u32,
        low: usize,
        high: usize,
    },
    /// Takes one more byte of a lazy run.
    Lazy {
        run: u32,
        at: usize,
        left: u32,
    },
    Slot {
        slot: u32,
        value: usize,
    },
    Try {
        next: u32,
        at: usize,
    },
}

/// Memory of the machine, reused by searches.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    frames: Vec<Frame>,
    /// For each group: where it was opened, and its start and end.
    slots: Vec<usize>,
    /// For each loop: iterations, and where the last one began.
    counters: Vec<(u32, usize)>,
}

/// What is searched.
pub(super) struct Search<'s> {
    pub(super) subject: &'s [u8],
    /// Where `\G` matches.
    pub(super) search_start: usize,
    /// A match begins at the very place.
    pub(super) anchored: bool,
    /// Frames that the stack may hold: about 40 bytes each.
    pub(super) depth: usize,
}

const UNSET: usize = usize::MAX;
const NEVER: u32 = u32::MAX;
/// Frames that are kept for the next search.
const KEPT_FRAMES: usize = 16_384;
/// Steps between two looks at the meter.
const TICK: u64 = 16_384;

impl Program {
    pub(super) fn new(regex: &Regex) -> Program {
        let mut referenced = vec![false; regex.n_groups() as usize + 1];
        mark_references(regex.root(), &mut referenced);
        let mut compiler = Compiler { code: Vec::new(), n_counters: 0, referenced };
        compiler.node(regex.root());
        compiler.code.push(Op::Match);
        let (first, may_be_empty) = first_bytes(regex.root());
        Program {
            code: compiler.code,
            n_slots: 3 * (regex.n_groups() as usize + 1),
            n_counters: compiler.n_counters as usize,
            first: (!may_be_empty).then_some(first),
        }
    }

    /// The first match that begins at `from` or later.
    pub(super) fn find(
        &self,
        search: &Search<'_>,
        from: usize,
        steps: &mut u64,
        stack: &mut Stack,
        meter: &dyn Meter,
    ) -> Result<Option<(usize, usize)>, Interrupted> {
        stack.slots.clear();
        stack.slots.resize(self.n_slots, UNSET);
        stack.counters.clear();
        stack.counters.resize(self.n_counters, (0, UNSET));
        let mut machine = Machine { program: self, search, steps, stack, meter, uncharged: 0 };
        let result = machine.find(from);
        let uncharged = machine.uncharged;
        stack.frames.clear();
        stack.frames.shrink_to(KEPT_FRAMES);
        let found = result?;
        meter.tick(uncharged)?;
        Ok(match found {
            Some(Outcome::Found(start, end)) => Some((start, end)),
            Some(Outcome::GaveUp) => {
                meter.gave_up();
                None
            }
            None => None,
        })
    }
}

enum Outcome {
    Found(usize, usize),
    GaveUp,
}

struct Machine<'m> {
    program: &'m Program,
    search: &'m Search<'m>,
    steps: &'m mut u64,
    stack: &'m mut Stack,
    meter: &'m dyn Meter,
    uncharged: u64,
}

/// How a run from one place ended.
enum Ended {
    At(usize),
    Failed,
    GaveUp,
}

impl Machine<'_> {
    fn find(&mut self, from: usize) -> Result<Option<Outcome>, Interrupted> {
        let subject = self.search.subject;
        let mut start = from;
        while start <= subject.len() {
            if let Some(first) = &self.program.first {
                let tail = subject.get(start..).unwrap_or_default();
                let limit = if self.search.anchored { 1 } else { tail.len() };
                match tail.iter().take(limit).position(|&byte| first.contains(byte)) {
                    Some(skip) => {
                        start += skip;
                        self.charge(skip as u64 / 8)?;
                    }
                    None => {
                        self.charge(limit as u64 / 8)?;
                        return Ok(None);
                    }
                }
            }
            match self.run(start)? {
                Ended::At(end) => return Ok(Some(Outcome::Found(start, end))),
                Ended::GaveUp => return Ok(Some(Outcome::GaveUp)),
                Ended::Failed if self.search.anchored => return Ok(None),
                Ended::Failed => start += 1,
            }
        }
        Ok(None)
    }

    fn charge(&mut self, steps: u64) -> Result<(), Interrupted> {
        self.uncharged += steps;
        if self.uncharged >= TICK {
            self.meter.tick(std::mem::take(&mut self.uncharged))?;
        }
        Ok(())
    }

    /// Takes steps from the allowance; gives whether there were enough.
    fn step(&mut self, steps: usize) -> Result<bool, Interrupted> {
        let steps = steps as u64;
        self.charge(steps)?;
        let enough = *self.steps >= steps;
        *self.steps = self.steps.saturating_sub(steps);
        Ok(enough)
    }

    fn run(&mut self, start: usize) -> Result<Ended, Interrupted> {
        let code = self.program.code.as_slice();
        let subject = self.search.subject;
        let (mut pc, mut at) = (0usize, start);
        // The innermost fence on the stack.
        let mut fence = UNSET;
        self.stack.frames.clear();
        loop {
            if !self.step(1)? || self.stack.frames.len() > self.search.depth {
                return Ok(Ended::GaveUp);
            }
            let Some(op) = code.get(pc) else { return Ok(Ended::Failed) };
            let goes_on = match op {
                Op::Byte(byte) => self.eat(&mut at, |b| b == *byte),
                Op::Set(set) => self.eat(&mut at, |b| set.contains(b)),
                Op::Assert(assertion) => self.holds(*assertion, at),
                Op::Backreference { group, caseless } => {
                    let slot = 3 * *group as usize;
                    let range = self.stack.slots[slot + 1]..self.stack.slots[slot + 2];
                    // Unset is past every end, and so is no range.
                    let held = if range.end == UNSET { None } else { subject.get(range) };
                    let len = held.map_or(0, <[u8]>::len);
                    if !self.step(len / 8)? {
                        return Ok(Ended::GaveUp);
                    }
                    let here = subject.get(at..at.saturating_add(len));
                    let same = held.zip(here).is_some_and(|(held, here)| {
                        if *caseless { held.eq_ignore_ascii_case(here) } else { held == here }
                    });
                    if same {
                        at += len;
                    }
                    same
                }
                Op::Behind(len) => match at.checked_sub(*len as usize) {
                    Some(before) => {
                        at = before;
                        true
                    }
                    None => false,
                },
                Op::Fail => false,
                Op::Jump(to) => {
                    pc = *to as usize;
                    continue;
                }
                Op::Split { first, second } => {
                    self.push(Frame::Try { next: *second, at });
                    pc = *first as usize;
                    continue;
                }
                Op::Open(group) => {
                    self.set_slot(3 * group, at);
                    true
                }
                Op::Close(group) => {
                    let opened = self.stack.slots[3 * *group as usize];
                    self.set_slot(3 * group + 1, opened);
                    self.set_slot(3 * group + 2, at);
                    true
                }
                Op::IfGroup { group, no } => {
                    if self.stack.slots[3 * *group as usize + 2] == UNSET {
                        pc = *no as usize;
                        continue;
                    }
                    true
                }
                Op::Reset(counter) => {
                    self.set_counter(*counter, 0, UNSET);
                    true
                }
                Op::Enter(counter) => {
                    let (count, _) = self.stack.counters[*counter as usize];
                    self.set_counter(*counter, count.saturating_add(1), at);
                    true
                }
                Op::Loop { counter, min, max, lazy, exit } => {
                    let (count, _) = self.stack.counters[*counter as usize];
                    // `Enter` is the next instruction.
                    let enter = pc + 1;
                    if count < *min {
                        pc = enter;
                    } else if count >= *max {
                        pc = *exit as usize;
                    } else if *lazy {
                        self.push(Frame::Try { next: enter as u32, at });
                        pc = *exit as usize;
                    } else {
                        self.push(Frame::Try { next: *exit, at });
                        pc = enter;
                    }
                    continue;
                }
                Op::Back { counter, to, enough, exit } => {
                    let (count, began) = self.stack.counters[*counter as usize];
                    let last = began == at && count >= *enough;
                    pc = if last { *exit as usize } else { *to as usize };
                    continue;
                }
                Op::Run { set, min, max, kind } => {
                    let tail = subject.get(at..).unwrap_or_default();
                    let most = usize::try_from(*max).unwrap_or(usize::MAX);
                    let least = *min as usize;
                    let wanted = if *kind == Run::Lazy { least } else { most };
                    let taken = tail.iter().take(wanted).take_while(|&&b| set.contains(b)).count();
                    if !self.step(taken / 4)? {
                        return Ok(Ended::GaveUp);
                    }
                    if taken < least {
                        false
                    } else {
                        let next = pc as u32 + 1;
                        if *kind == Run::Greedy && taken > least {
                            let (low, high) = (at + least, at + taken);
                            self.push(Frame::Greedy { next, low, high });
                        }
                        at += taken;
                        if *kind == Run::Lazy && max > min {
                            self.push(Frame::Lazy { run: pc as u32, at, left: max - min });
                        }
                        true
                    }
                }
                Op::Fence { kind, end, otherwise } => {
                    let otherwise = otherwise.unwrap_or(NEVER);
                    self.push(Frame::Fence { kind: *kind, end: *end, otherwise, at, outer: fence });
                    fence = self.stack.frames.len() - 1;
                    true
                }
                Op::FenceEnd => {
                    let Some(&Frame::Fence { kind, otherwise, at: began, outer, .. }) =
                        self.stack.frames.get(fence)
                    else {
                        return Ok(Ended::Failed);
                    };
                    if !self.step((self.stack.frames.len() - fence) / 4)? {
                        return Ok(Ended::GaveUp);
                    }
                    if kind == Fence::NotLook {
                        while self.stack.frames.len() > fence {
                            self.undo();
                        }
                        fence = outer;
                        if otherwise == NEVER {
                            false
                        } else {
                            at = began;
                            pc = otherwise as usize;
                            continue;
                        }
                    } else {
                        self.forget_choices(fence);
                        fence = outer;
                        if kind == Fence::Look {
                            at = began;
                        }
                        true
                    }
                }
                Op::Match => return Ok(Ended::At(at)),
            };
            if goes_on {
                pc += 1;
                continue;
            }
            match self.back(&mut fence)? {
                Some((next, place)) => (pc, at) = (next, place),
                None => return Ok(Ended::Failed),
            }
        }
    }

    #[inline]
    fn eat(&self, at: &mut usize, test: impl Fn(u8) -> bool) -> bool {
        let fits = self.search.subject.get(*at).is_some_and(|&byte| test(byte));
        if fits {
            *at += 1;
        }
        fits
    }

    fn push(&mut self, frame: Frame) {
        self.stack.frames.push(frame);
    }

    fn set_slot(&mut self, slot: u32, value: usize) {
        let old = std::mem::replace(&mut self.stack.slots[slot as usize], value);
        self.push(Frame::Slot { slot, value: old });
    }

    fn set_counter(&mut self, counter: u32, count: u32, start: usize) {
        let place = &mut self.stack.counters[counter as usize];
        let (old_count, old_start) = std::mem::replace(place, (count, start));
        self.push(Frame::Counter { counter, count: old_count, start: old_start });
    }

    /// Takes a frame off, and undoes what it stands for.
    fn undo(&mut self) -> Option<Frame> {
        let frame = self.stack.frames.pop()?;
        match frame {
            Frame::Counter { counter, count, start } => {
                self.stack.counters[counter as usize] = (count, start);
            }
            Frame::Slot { slot, value } => self.stack.slots[slot as usize] = value,
            _ => {}
        }
        Some(frame)
    }

    /// Drops a fence and the choices inside; what they set stays to be undone.
    fn forget_choices(&mut self, fence: usize) {
        let frames = &mut self.stack.frames;
        let mut kept = fence;
        for at in fence + 1..frames.len() {
            if matches!(frames[at], Frame::Counter { .. } | Frame::Slot { .. }) {
                frames[kept] = frames[at];
                kept += 1;
            }
        }
        frames.truncate(kept);
    }

    /// Goes back to the last choice; gives where to go on, and at which byte.
    fn back(&mut self, fence: &mut usize) -> Result<Option<(usize, usize)>, Interrupted> {
        let subject = self.search.subject;
        while let Some(frame) = self.undo() {
            match frame {
                Frame::Counter { .. } | Frame::Slot { .. } => self.charge(1)?,
                Frame::Try { next, at } => return Ok(Some((next as usize, at))),
                Frame::Fence { kind, end, otherwise, at, outer } => {
                    *fence = outer;
                    match kind {
                        Fence::NotLook => return Ok(Some((end as usize, at))),
                        _ if otherwise != NEVER => return Ok(Some((otherwise as usize, at))),
                        _ => {}
                    }
                }
                Frame::Greedy { next, low, high } => {
                    // Only where the next byte fits is anything to be tried.
                    let mut place = high - 1;
                    if let Some(Op::Byte(byte)) = self.program.code.get(next as usize) {
                        while place > low && subject.get(place) != Some(byte) {
                            place -= 1;
                        }
                        if !self.step((high - place) / 4)? {
                            return self.used_up();
                        }
                    }
                    if place > low {
                        self.push(Frame::Greedy { next, low, high: place });
                    }
                    return Ok(Some((next as usize, place)));
                }
                Frame::Lazy { run, at, left } => {
                    let Some(Op::Run { set, .. }) = self.program.code.get(run as usize) else {
                        continue;
                    };
                    let next = run + 1;
                    let (mut place, mut left) = (at, left);
                    let more = |place: usize, left: u32| {
                        left > 0 && subject.get(place).is_some_and(|&byte| set.contains(byte))
                    };
                    if !more(place, left) {
                        continue;
                    }
                    (place, left) = (place + 1, left - 1);
                    if let Some(Op::Byte(byte)) = self.program.code.get(next as usize) {
                        while subject.get(place) != Some(byte) && more(place, left) {
                            (place, left) = (place + 1, left - 1);
                        }
                    }
                    if !self.step((place - at) / 4)? {
                        return self.used_up();
                    }
                    self.push(Frame::Lazy { run, at: place, left });
                    return Ok(Some((next as usize, place)));
                }
            }
        }
        Ok(None)
    }

    /// Lets the next step find that there are none left.
    fn used_up(&mut self) -> Result<Option<(usize, usize)>, Interrupted> {
        *self.steps = 0;
        Ok(Some((0, 0)))
    }

    fn holds(&self, assertion: Assertion, at: usize) -> bool {
        let subject = self.search.subject;
        let byte = |at: Option<usize>| at.and_then(|at| subject.get(at)).copied();
        let (before, here) = (byte(at.checked_sub(1)), byte(Some(at)));
        let is_word = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        match assertion {
            Assertion::End => at == subject.len(),
            Assertion::EndOrLastLine => {
                at == subject.len() || (at + 1 == subject.len() && here == Some(b'\n'))
            }
            Assertion::LineEnd => at == subject.len() || here == Some(b'\n'),
            Assertion::LineStart => at == 0 || (before == Some(b'\n') && at < subject.len()),
            Assertion::NotWordBoundary => is_word(before) == is_word(here),
            Assertion::SearchStart => at == self.search.search_start,
            Assertion::Start => at == 0,
            Assertion::WordBoundary => is_word(before) != is_word(here),
        }
    }
}

struct Compiler {
    code: Vec<Op>,
    n_counters: u32,
    /// Groups that something asks for.
    referenced: Vec<bool>,
}

impl Compiler {
    fn here(&self) -> u32 {
        // A line has at most 32,768 bytes, and no node more than ten of these.
        self.code.len() as u32
    }

    /// Puts a place holder, to be replaced when its target is known.
    fn hole(&mut self) -> usize {
        self.code.push(Op::Fail);
        self.code.len() - 1
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Alternate(nodes) => {
                let branches: Vec<_> = nodes.iter().map(|node| (node, None)).collect();
                self.alternate(&branches);
            }
            Node::Assert(assertion) => self.code.push(Op::Assert(*assertion)),
            Node::Atomic(inner) => match &**inner {
                Node::Repeat { node, min, max, lazy } if matches!(**node, Node::Set(_)) => {
                    let max = if *lazy { Some(*min) } else { *max };
                    self.run(node, *min, max, Run::Possessive);
                }
                inner => {
                    self.fence(Fence::Atomic, None, |compiler| compiler.node(inner));
                }
            },
            Node::Backreference { group, caseless } => {
                self.code.push(Op::Backreference { group: *group, caseless: *caseless });
            }
            Node::Concat(nodes) => nodes.iter().for_each(|node| self.node(node)),
            Node::Conditional { condition, yes, no } => self.conditional(condition, yes, no),
            Node::Empty => {}
            Node::Group { index, node } => {
                let keep = self.referenced.get(*index as usize).copied().unwrap_or(false);
                if keep {
                    self.code.push(Op::Open(*index));
                }
                self.node(node);
                if keep {
                    self.code.push(Op::Close(*index));
                }
            }
            Node::Look { .. } => {
                self.look(node, None);
            }
            Node::Repeat { node, min, max, lazy } => self.repeat(node, *min, *max, *lazy),
            Node::Set(set) => {
                let mut bytes = set.iter();
                let only = bytes.next().filter(|_| bytes.next().is_none());
                self.code.push(match only {
                    Some(byte) => Op::Byte(byte),
                    None => Op::Set(Box::new(*set)),
                });
            }
        }
    }

    /// Branches, each with the number of bytes to go back before it.
    fn alternate(&mut self, branches: &[(&Node, Option<u32>)]) {
        let mut ends = Vec::new();
        for (at, (node, behind)) in branches.iter().enumerate() {
            let is_last = at + 1 == branches.len();
            let split = (!is_last).then(|| self.hole());
            if let Some(len) = behind {
                self.code.push(Op::Behind(*len));
            }
            self.node(node);
            if let Some(split) = split {
                ends.push(self.hole());
                let first = split as u32 + 1;
                self.code[split] = Op::Split { first, second: self.here() };
            }
        }
        let end = self.here();
        for hole in ends {
            self.code[hole] = Op::Jump(end);
        }
    }

    /// Fences what `inside` compiles; gives the place of the fence.
    fn fence(
        &mut self,
        kind: Fence,
        otherwise: Option<u32>,
        inside: impl FnOnce(&mut Compiler),
    ) -> usize {
        let hole = self.hole();
        inside(self);
        self.code.push(Op::FenceEnd);
        self.code[hole] = Op::Fence { kind, end: self.here(), otherwise };
        hole
    }

    fn look(&mut self, node: &Node, otherwise: Option<u32>) -> Option<usize> {
        let Node::Look { behind, ahead, negate } = node else { return None };
        let kind = if *negate { Fence::NotLook } else { Fence::Look };
        Some(self.fence(kind, otherwise, |compiler| match behind {
            None => compiler.node(ahead),
            Some(branches) => {
                let branches: Vec<_> =
                    branches.iter().map(|(node, len)| (node, Some(*len))).collect();
                compiler.alternate(&branches);
            }
        }))
    }

    fn conditional(&mut self, condition: &Condition, yes: &Node, no: &Node) {
        let test = match condition {
            Condition::Group(_) | Condition::Never => self.hole(),
            Condition::Look(look) => match self.look(look, Some(0)) {
                Some(fence) => fence,
                None => return,
            },
        };
        self.node(yes);
        let end = self.hole();
        let start_of_no = self.here();
        self.node(no);
        self.code[end] = Op::Jump(self.here());
        match (&mut self.code[test], condition) {
            (Op::Fence { otherwise, .. }, _) => *otherwise = Some(start_of_no),
            (hole, Condition::Group(group)) => {
                *hole = Op::IfGroup { group: *group, no: start_of_no };
            }
            (hole, _) => *hole = Op::Jump(start_of_no),
        }
    }

    fn run(&mut self, node: &Node, min: u32, max: Option<u32>, kind: Run) {
        if let Node::Set(set) = node {
            let max = max.unwrap_or(u32::MAX);
            self.code.push(Op::Run { set: Box::new(*set), min, max, kind });
        }
    }

    fn repeat(&mut self, node: &Node, min: u32, max: Option<u32>, lazy: bool) {
        if matches!(node, Node::Set(_)) {
            return self.run(node, min, max, if lazy { Run::Lazy } else { Run::Greedy });
        }
        let split = |body: u32, exit: u32| {
            let (first, second) = if lazy { (exit, body) } else { (body, exit) };
            Op::Split { first, second }
        };
        match (min, max) {
            (0, Some(1)) => {
                let hole = self.hole();
                self.node(node);
                self.code[hole] = split(hole as u32 + 1, self.here());
            }
            // Iterations that consume something need not be counted.
            (0, None) if node.min_len() > 0 => {
                let hole = self.hole();
                self.node(node);
                self.code.push(Op::Jump(hole as u32));
                self.code[hole] = split(hole as u32 + 1, self.here());
            }
            (1, None) if node.min_len() > 0 => {
                let body = self.here();
                self.node(node);
                let next = self.here() + 1;
                self.code.push(split(body, next));
            }
            _ => {
                let counter = self.n_counters;
                self.n_counters += 1;
                self.code.push(Op::Reset(counter));
                let head = self.hole();
                self.code.push(Op::Enter(counter));
                self.node(node);
                let exit = self.here() + 1;
                let enough = if max.is_none() { min } else { u32::MAX };
                self.code.push(Op::Back { counter, to: head as u32, enough, exit });
                let max = max.unwrap_or(u32::MAX);
                self.code[head] = Op::Loop { counter, min, max, lazy, exit };
            }
        }
    }
}

fn mark_references(node: &Node, referenced: &mut [bool]) {
    let mark = |group: u32, referenced: &mut [bool]| {
        if let Some(place) = referenced.get_mut(group as usize) {
            *place = true;
        }
    };
    match node {
        Node::Alternate(nodes) | Node::Concat(nodes) => {
            nodes.iter().for_each(|node| mark_references(node, referenced));
        }
        Node::Assert(_) | Node::Empty | Node::Set(_) => {}
        Node::Atomic(node) | Node::Group { node, .. } | Node::Repeat { node, .. } => {
            mark_references(node, referenced);
        }
        Node::Backreference { group, .. } => mark(*group, referenced),
        Node::Conditional { condition, yes, no } => {
            match condition {
                Condition::Group(group) => mark(*group, referenced),
                Condition::Look(look) => mark_references(look, referenced),
                Condition::Never => {}
            }
            mark_references(yes, referenced);
            mark_references(no, referenced);
        }
        Node::Look { behind, ahead, .. } => {
            let behind = behind.iter().flatten();
            behind.for_each(|(node, _)| mark_references(node, referenced));
            mark_references(ahead, referenced);
        }
    }
}

/// The bytes that a match may begin with, and whether it may be empty.
fn first_bytes(node: &Node) -> (ByteSet, bool) {
    match node {
        Node::Alternate(nodes) => nodes
            .iter()
            .map(first_bytes)
            .fold((ByteSet::EMPTY, false), |(set, empty), (other, other_empty)| {
                (set.union(other), empty || other_empty)
            }),
        Node::Assert(_) | Node::Empty | Node::Look { .. } => (ByteSet::EMPTY, true),
        Node::Atomic(node) | Node::Group { node, .. } => first_bytes(node),
        Node::Backreference { .. } => (ByteSet::ALL, true),
        Node::Concat(nodes) => {
            let mut set = ByteSet::EMPTY;
            for node in nodes {
                let (first, empty) = first_bytes(node);
                set = set.union(first);
                if !empty {
                    return (set, false);
                }
            }
            (set, true)
        }
        Node::Conditional { yes, no, .. } => {
            let ((yes, yes_empty), (no, no_empty)) = (first_bytes(yes), first_bytes(no));
            (yes.union(no), yes_empty || no_empty)
        }
        Node::Repeat { node, min, .. } => {
            let (set, empty) = first_bytes(node);
            (set, empty || *min == 0)
        }
        Node::Set(set) => (*set, false),
    }
}
