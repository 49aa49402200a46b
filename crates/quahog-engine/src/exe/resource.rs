//! Resources of a PE file: a tree of three levels, type, name and language.

use super::bytes::Reader;
use super::pe::Image;

/// A leaf of the tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Resource {
    /// The number that it is called by; `None` if it has a name.
    pub(super) name: Option<u32>,
    /// Where its bytes are in memory.
    pub(super) address: u32,
    /// How many there are.
    pub(super) size: u32,
}

/// The most entries of a tree that are looked at: directories can refer to
/// each other again and again.
const MAX_ENTRIES: usize = 10_000;

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
            if kind != Some(wanted) {
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

    fn leaf(self, name: Option<u32>, address: u32) -> Option<Resource> {
        let reader = Reader::little(self.image.at(self.bytes, address)?);
        Some(Resource { name, address: reader.u32(0)?, size: reader.u32(4)? })
    }

    /// The entries of a directory: number, if it is one, and where it leads.
    fn directory(self, address: u32, left: &mut usize) -> Vec<(Option<u32>, Link)> {
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
                Some(((name >> 31 == 0).then_some(name), link))
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
