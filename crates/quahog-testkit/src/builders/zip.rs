//! Builder of zip archives: stored and deflated members, and nothing else.
//!
//! ```
//! use quahog_testkit::builders::zip::{Member, zip};
//!
//! let archive = zip(&[Member::stored("a.txt", b"hello")]);
//! assert!(archive.starts_with(b"PK\x03\x04"));
//! assert!(archive.windows(5).any(|window| window == b"hello"));
//! ```

use std::io::Write as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// A member as it lies in the archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member<'m> {
    name: String,
    /// Bytes as they are in the archive.
    data: std::borrow::Cow<'m, [u8]>,
    method: u16,
    size: u32,
    crc: u32,
}

impl<'m> Member<'m> {
    /// A member whose bytes are in the archive as they are.
    pub fn stored(name: &str, content: &'m [u8]) -> Member<'m> {
        Member { method: 0, ..Member::packed(name, 0, content, crc32(content), content.len()) }
    }

    /// A deflated member.
    pub fn deflated(name: &str, content: &[u8]) -> Member<'m> {
        let data = deflate(content);
        Member { data: data.into(), ..Member::packed(name, 8, &[], crc32(content), content.len()) }
    }

    /// A member of this method, packed already, with what the headers say of it.
    ///
    /// # Panics
    ///
    /// The size does not fit 32 bits.
    pub fn packed(name: &str, method: u16, data: &'m [u8], crc: u32, size: usize) -> Member<'m> {
        let size = u32::try_from(size).expect("no zip64 here");
        Member { name: name.to_owned(), data: data.into(), method, size, crc }
    }

    /// Method, time, checksum, sizes and length of the name: what both headers have.
    fn fields(&self) -> Vec<u8> {
        let packed = u32::try_from(self.data.len()).expect("no zip64 here");
        let name = u16::try_from(self.name.len()).expect("a short name");
        let mut fields = [self.method.to_le_bytes(), [0; 2], [0x21, 0x5a]].concat();
        for number in [self.crc, packed, self.size] {
            fields.extend(number.to_le_bytes());
        }
        fields.extend(name.to_le_bytes());
        fields
    }

    /// The local header, without the data.
    pub fn header(&self) -> Vec<u8> {
        let fields = self.fields();
        [b"PK\x03\x04\x14\0\0\0", &fields[..], &[0; 2], self.name.as_bytes()].concat()
    }

    fn entry(&self, offset: u32) -> Vec<u8> {
        let fields = self.fields();
        let head = [b"PK\x01\x02\x14\0\x14\0\0\0", &fields[..], &[0; 12]].concat();
        [&head[..], &offset.to_le_bytes(), self.name.as_bytes()].concat()
    }
}

/// An archive of these members.
pub fn zip(members: &[Member<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut entries = Vec::new();
    for member in members {
        entries.push((member.clone(), body.len()));
        body.extend(member.header());
        body.extend_from_slice(&member.data);
    }
    directory(body, &entries)
}

/// An archive of a body that is there already, and a directory of members at
/// these places in it.
///
/// # Panics
///
/// The archive is longer than 4 GiB. More than 65,535 members are not counted
/// in full.
pub fn directory(mut body: Vec<u8>, members: &[(Member<'_>, usize)]) -> Vec<u8> {
    let start = u32::try_from(body.len()).expect("no zip64 here");
    for (member, offset) in members {
        body.extend(member.entry(u32::try_from(*offset).expect("no zip64 here")));
    }
    let length = u32::try_from(body.len()).expect("no zip64 here") - start;
    let count = u16::try_from(members.len()).unwrap_or(u16::MAX).to_le_bytes();
    body.extend([b"PK\x05\x06\0\0\0\0", &count[..], &count].concat());
    body.extend([length.to_le_bytes(), start.to_le_bytes()].concat());
    body.extend([0; 2]);
    body
}

/// A raw deflate stream.
pub fn deflate(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default()
}

/// The checksum of zip and gzip.
pub fn crc32(content: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    crc.sum()
}
