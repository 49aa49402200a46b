//! A part: what a container hands out.

use std::borrow::Cow;

use crate::Shortfall;

/// A buffer found inside another one, with what its container says of it.
///
/// Everything that the container *says* is evidence, not truth: names may hold
/// any character, sizes may lie.
#[derive(Clone, Debug)]
pub struct Part<'p> {
    /// The decoded bytes; `None` if they could not be had at all (encrypted,
    /// unsupported), or, without a [`shortfall`](Self::shortfall), if the same
    /// bytes were handed out before under another name. With a shortfall
    /// beside them they are the first bytes only.
    pub bytes: Option<&'p [u8]>,
    /// The name that the container gives, decoded to Unicode as far as that
    /// goes (bytes that are no text become U+FFFD); `None` if it gives none.
    pub name: Option<Cow<'p, str>>,
    /// What is missing of this part, and why.
    pub shortfall: Option<Shortfall>,
    /// The container's directory entry.
    pub entry: Entry,
    /// The media type that a message declares, lower-case, without parameters
    /// (`text/html`); `None` outside of messages.
    pub declared: Option<Cow<'p, str>>,
    /// Whether it is all the body that a message has, and not one of several.
    pub is_body: bool,
    /// In what mail readers disagree about the part; of several things the
    /// first of [`Ambiguity`].
    pub ambiguity: Option<Ambiguity>,
}

/// In what mail readers disagree. Every reading is handed out.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Ambiguity {
    /// Which lines divide the multipart that the part is in.
    Boundary,
    /// Which media type is declared.
    MediaType,
    /// Which transfer encoding is declared, or what its bytes decode to.
    Encoding,
    /// Where the header ends and the body begins.
    HeaderEnd,
    /// Which name is given, with which suffix.
    Name,
}

/// A container's directory entry, as container signatures ask for it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Entry {
    /// Position in the container, from 1; always 0 for parts of a message.
    pub position: u32,
    /// Bytes that the part takes in the container (declared; decoded size in mail).
    pub packed_size: u64,
    /// Bytes of the part once decoded (declared; decoded size in mail).
    pub size: u64,
    /// CRC-32 of the decoded bytes, where the format declares one.
    pub crc32: Option<u32>,
    /// Whether the container says that the part is encrypted.
    pub encrypted: bool,
}
