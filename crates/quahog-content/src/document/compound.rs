//! Compound files (OLE2, [MS-CFB]): a file system inside a file.
//!
//! Sectors form chains through an allocation table; small streams lie in
//! 64-byte sectors of one large stream. A chain that loops, leaves the file or
//! is shorter than its stream gives the bytes up to there. Directory entries
//! are read one after the other and not only along the tree: a stream that
//! nothing links to is still a stream.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{length_at, u16_at, u32_at, u64_at, utf16};

pub(super) const MAGIC: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// A file whose tables have been read.
pub(super) struct Compound<'b> {
    bytes: &'b [u8],
    shift: u32,
    mini_shift: u32,
    table: Vec<u32>,
    mini_table: Vec<u32>,
    mini_stream: Cow<'b, [u8]>,
    /// The directory.
    pub(super) nodes: Vec<Node>,
}

/// A directory entry.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The storage it lies in; `None` for the root and what nothing links to.
    pub(super) parent: Option<usize>,
    pub(super) start: u32,
    pub(super) size: u64,
    links: [u32; 3],
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Free,
    Root,
    Storage,
    Stream,
}

impl<'b> Compound<'b> {
    /// Reads the tables; `None` if there is no directory.
    pub(super) fn parse(bytes: &'b [u8]) -> Option<Compound<'b>> {
        let shift = match u16_at(bytes, 30)? {
            shift @ 7..=16 => u32::from(shift),
            _ => 9,
        };
        let mini_shift = match u16_at(bytes, 32)? {
            shift @ 4..=12 => u32::from(shift),
            _ => 6,
        };
        let mut file = Compound {
            bytes,
            shift,
            mini_shift,
            table: Vec::new(),
            mini_table: Vec::new(),
            mini_stream: Cow::Borrowed(&[]),
            nodes: Vec::new(),
        };
        file.table = file.read_table();
        let directory = file.chained(&file.chain(&file.table, u32_at(bytes, 48)?, usize::MAX));
        file.nodes =
            directory.chunks_exact(NODE_LENGTH).map(|entry| Node::parse(entry, shift)).collect();
        drop(directory);
        if file.nodes.is_empty() {
            return None;
        }
        file.link();
        let chain = file.chain(&file.table, u32_at(bytes, 60)?, usize::MAX);
        let mini_table = file.chained(&chain);
        file.mini_table = words(&mini_table).collect();
        if let Some(root) = file.nodes.iter().find(|node| node.kind == Kind::Root) {
            let sectors = usize::try_from(root.size.div_ceil(1 << file.shift)).ok()?;
            let chain = file.chain(&file.table, root.start, sectors);
            file.mini_stream = file.chained(&chain);
        }
        Some(file)
    }

    /// Sectors that the file can hold, the header not counted.
    fn n_sectors(&self) -> usize {
        (self.bytes.len() >> self.shift) + 1
    }

    fn sector(&self, number: u32) -> &'b [u8] {
        let Some(at) = usize::try_from(number).ok().and_then(|n| n.checked_add(1)) else {
            return &[];
        };
        let Some(start) = at.checked_mul(1 << self.shift) else { return &[] };
        let rest = self.bytes.get(start..).unwrap_or_default();
        rest.get(..1 << self.shift).unwrap_or(rest)
    }

    /// The allocation table. Where its own sectors are stands in the header,
    /// and of a large file in a chain of sectors.
    fn read_table(&self) -> Vec<u32> {
        let mut table = Vec::new();
        let limit = self.n_sectors();
        let first = self.bytes.get(76..512).unwrap_or_default();
        let mut list = words(first).collect::<Vec<u32>>();
        let mut next = u32_at(self.bytes, 68).unwrap_or(END);
        for _ in 0..=limit {
            for &sector in &list {
                if table.len() >= limit {
                    return table;
                }
                if sector > LAST {
                    continue;
                }
                let before = table.len();
                table.extend(words(self.sector(sector)));
                // A sector that is not there still counts.
                table.resize(before + (1 << (self.shift - 2)), FREE);
            }
            if next > LAST {
                break;
            }
            list = words(self.sector(next)).collect();
            next = list.pop().unwrap_or(END);
        }
        table.truncate(limit);
        table
    }

    /// The sectors of a chain, at most `most`, and none twice more often than
    /// a table has entries.
    fn chain(&self, table: &[u32], start: u32, most: usize) -> Vec<u32> {
        let mut chain = Vec::new();
        let mut next = start;
        while next <= LAST && chain.len() < most.min(table.len()) {
            chain.push(next);
            next = usize::try_from(next).ok().and_then(|at| table.get(at)).copied().unwrap_or(END);
        }
        chain
    }

    /// The bytes of a chain: a slice of the file where they lie in a row.
    fn chained(&self, chain: &[u32]) -> Cow<'b, [u8]> {
        let row = chain.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1]));
        if let (true, Some(&first)) = (row, chain.first()) {
            let start = usize::try_from(first)
                .ok()
                .and_then(|n| n.checked_add(1)?.checked_mul(1 << self.shift));
            let rest = start.and_then(|start| self.bytes.get(start..)).unwrap_or_default();
            let length = chain.len().saturating_mul(1 << self.shift);
            return Cow::Borrowed(rest.get(..length).unwrap_or(rest));
        }
        chain.iter().flat_map(|&sector| self.sector(sector)).copied().collect()
    }

    /// The bytes of a stream, at most `most`, as far as they are there.
    pub(super) fn stream(&self, node: &Node, most: usize) -> Cow<'b, [u8]> {
        let size = usize::try_from(node.size).unwrap_or(usize::MAX).min(most);
        if node.size >= CUTOFF || node.kind == Kind::Root {
            let sectors = size.div_ceil(1 << self.shift);
            let chain = self.chain(&self.table, node.start, sectors);
            return match self.chained(&chain) {
                Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(..size).unwrap_or(bytes)),
                Cow::Owned(mut bytes) => {
                    bytes.truncate(size);
                    Cow::Owned(bytes)
                }
            };
        }
        let length = 1_usize << self.mini_shift;
        let mut bytes = Vec::with_capacity(size);
        for sector in self.chain(&self.mini_table, node.start, size.div_ceil(length)) {
            let at = usize::try_from(sector).ok().and_then(|n| n.checked_mul(length));
            let rest = at.and_then(|at| self.mini_stream.get(at..)).unwrap_or_default();
            bytes.extend_from_slice(rest.get(..length).unwrap_or(rest));
        }
        bytes.truncate(size);
        Cow::Owned(bytes)
    }

    /// Gives each node the storage that it lies in.
    fn link(&mut self) {
        let mut seen = vec![false; self.nodes.len()];
        let index = |link: u32| usize::try_from(link).ok();
        let storages: Vec<usize> = (0..self.nodes.len())
            .filter(|&at| matches!(self.nodes[at].kind, Kind::Root | Kind::Storage))
            .collect();
        for storage in storages {
            let mut todo: Vec<usize> = index(self.nodes[storage].links[2]).into_iter().collect();
            while let Some(at) = todo.pop() {
                let Some(node) = self.nodes.get_mut(at) else { continue };
                if std::mem::replace(&mut seen[at], true) || node.kind == Kind::Free {
                    continue;
                }
                node.parent = Some(storage);
                todo.extend(node.links[..2].iter().filter_map(|&link| index(link)));
            }
        }
    }

    /// The path of a node, `/` between names, the root left out.
    pub(super) fn path(&self, at: usize) -> String {
        let mut names = Vec::new();
        let mut next = Some(at);
        while let Some(node) = next.and_then(|at| self.nodes.get(at)) {
            // A storage that lies in itself would never end.
            if node.kind == Kind::Root || names.len() >= MAX_NAMES {
                break;
            }
            names.push(node.name.as_str());
            next = node.parent;
        }
        names.reverse();
        names.join("/")
    }

    /// Streams by storage and lower-case name.
    pub(super) fn by_name(&self) -> HashMap<(Option<usize>, String), usize> {
        let streams = self.nodes.iter().enumerate().filter(|(_, node)| node.kind == Kind::Stream);
        streams.map(|(at, node)| ((node.parent, node.name.to_lowercase()), at)).collect()
    }
}

impl Node {
    fn parse(entry: &[u8], shift: u32) -> Node {
        let length = usize::from(u16_at(entry, 64).unwrap_or(0)).min(64);
        let kind = match entry.get(66) {
            Some(1) => Kind::Storage,
            Some(2) => Kind::Stream,
            Some(5) => Kind::Root,
            _ => Kind::Free,
        };
        // The upper half of the size is garbage where sectors are small.
        let wide = u64_at(entry, 120).unwrap_or(0);
        let size = if shift <= 9 { wide & 0xffff_ffff } else { wide };
        Node {
            name: utf16(entry.get(..length).unwrap_or_default()),
            kind,
            parent: None,
            start: u32_at(entry, 116).unwrap_or(END),
            size,
            links: [68, 72, 76].map(|at| u32_at(entry, at).unwrap_or(FREE)),
        }
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

/// Whether the file begins as a compound file with a header that is whole.
pub(super) fn is_compound(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC) && length_at(bytes, 508).is_some()
}

const NODE_LENGTH: usize = 128;
/// Streams of fewer bytes lie in the mini stream.
const CUTOFF: u64 = 4096;
/// The last number that is a sector.
const LAST: u32 = 0xffff_fff9;
const END: u32 = 0xffff_fffe;
const FREE: u32 = 0xffff_ffff;
/// The most names of one path that are shown.
const MAX_NAMES: usize = 20;
