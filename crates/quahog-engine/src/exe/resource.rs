//! Resources of a PE file: a tree of three levels, type, name and language.

use std::collections::BTreeMap;

use super::bytes::Reader;
use super::pe::Image;
use crate::icon::MAX_ICONS;

/// A leaf of the tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Resource {
    /// The number that it is called by; with the highest bit, where its name is.
    pub(super) name: u32,
    /// Where its bytes are in memory.
    pub(super) address: u32,
    /// How many there are.
    pub(super) size: u32,
}

/// The most entries of a tree that are looked at: directories can refer to
/// each other again and again.
const MAX_ENTRIES: usize = 10_000;

/// The type of icons among resources.
const ICON: u32 = 3;

/// The type of groups of icons.
const GROUP_ICON: u32 = 14;

/// The resources of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resources<'b> {
    image: &'b Image,
    bytes: &'b [u8],
    root: u32,
}

impl<'b> Resources<'b> {
    pub(super) fn new(image: &'b Image, bytes: &'b [u8]) -> Option<Resources<'b>> {
        Some(Resources { image, bytes, root: image.resources()? })
    }

    /// All resources of one type, in the order of the tree.
    pub(super) fn of_type(self, wanted: u32) -> Vec<Resource> {
        let mut found = Vec::new();
        let mut left = MAX_ENTRIES;
        for (kind, names) in self.directory(self.root, &mut left) {
            let Some(names) = names.directory() else { continue };
            if kind != wanted {
                continue;
            }
            for (name, languages) in self.directory(self.root.wrapping_add(names), &mut left) {
                let Some(languages) = languages.directory() else { continue };
                let languages = self.root.wrapping_add(languages);
                for (_, data) in self.directory(languages, &mut left) {
                    let Link::Data(data) = data else { continue };
                    found.extend(self.leaf(name, self.root.wrapping_add(data)));
                }
            }
        }
        found
    }

    /// Where the icons of the first group stand in the file, at most
    /// [`MAX_ICONS`] and one more.
    ///
    /// As in clamscan 1.4.6 other groups do not count, nor does a second
    /// directory of the same type; each language of the group and of an icon
    /// does.
    pub(super) fn icons(self) -> Vec<usize> {
        let mut left = MAX_ENTRIES;
        let groups = self.leaves(GROUP_ICON, &mut left);
        let mut icons: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (name, leaf) in self.leaves(ICON, &mut left) {
            let offset = leaf.and_then(|leaf| self.image.offset(leaf.address, self.len()));
            // One without bytes counts, too.
            let offset = offset.and_then(|at| usize::try_from(at).ok()).unwrap_or(self.bytes.len());
            icons.entry(name).or_default().push(offset.min(self.bytes.len()));
        }
        let first = groups.first().map(|group| group.0);
        let groups = groups.into_iter().take_while(|group| Some(group.0) == first);
        let mut found = Vec::new();
        for leaf in groups.filter_map(|(_, leaf)| leaf) {
            let Some(bytes) = self.image.at(self.bytes, leaf.address) else { continue };
            let len = usize::try_from(leaf.size).unwrap_or(usize::MAX).min(bytes.len());
            let reader = Reader::little(&bytes[..len]);
            // Entries of 14 bytes behind a header of 6; the last field names
            // the icon.
            for entry in 0..u64::from(reader.u16(4).unwrap_or(0)) {
                let Some(name) = reader.u16(6 + 14 * entry + 12) else { break };
                found.extend(icons.get(&u32::from(name)).into_iter().flatten());
                if found.len() > MAX_ICONS {
                    found.truncate(MAX_ICONS + 1);
                    return found;
                }
            }
        }
        found
    }

    /// Names and leaves of the first directory of a type; `None` for a leaf
    /// that lies nowhere.
    fn leaves(self, wanted: u32, left: &mut usize) -> Vec<(u32, Option<Resource>)> {
        let kinds = self.directory(self.root, left);
        let kind = kinds.into_iter().find(|(kind, _)| *kind == wanted);
        let names = kind.and_then(|(_, names)| names.directory());
        let Some(names) = names else { return Vec::new() };
        let mut found = Vec::new();
        for (name, languages) in self.directory(self.root.wrapping_add(names), left) {
            let Some(languages) = languages.directory() else { continue };
            for (_, data) in self.directory(self.root.wrapping_add(languages), left) {
                let Link::Data(data) = data else { continue };
                found.push((name, self.leaf(name, self.root.wrapping_add(data))));
            }
        }
        found
    }

    fn len(self) -> u64 {
        // No `usize` is wider.
        self.bytes.len() as u64
    }

    fn leaf(self, name: u32, address: u32) -> Option<Resource> {
        let reader = Reader::little(self.image.at(self.bytes, address)?);
        Some(Resource { name, address: reader.u32(0)?, size: reader.u32(4)? })
    }

    /// The entries of a directory: number or name, and where it leads.
    fn directory(self, address: u32, left: &mut usize) -> Vec<(u32, Link)> {
        let Some(bytes) = self.image.at(self.bytes, address) else { return Vec::new() };
        let reader = Reader::little(bytes);
        let named = usize::from(reader.u16(12).unwrap_or(0));
        let numbered = usize::from(reader.u16(14).unwrap_or(0));
        let count = (named + numbered).min(*left);
        *left -= count;
        (0..count as u64)
            .map_while(|n| {
                let (name, to) = (reader.u32(16 + 8 * n)?, reader.u32(20 + 8 * n)?);
                let is_directory = to >> 31 != 0;
                let link =
                    if is_directory { Link::Directory(to & !(1 << 31)) } else { Link::Data(to) };
                Some((name, link))
            })
            .collect()
    }
}

/// Where an entry of a directory leads, from the start of all resources.
#[derive(Clone, Copy, Debug)]
enum Link {
    Data(u32),
    Directory(u32),
}

impl Link {
    fn directory(self) -> Option<u32> {
        match self {
            Link::Directory(at) => Some(at),
            Link::Data(_) => None,
        }
    }
}
