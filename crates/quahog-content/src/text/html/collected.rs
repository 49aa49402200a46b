//! What is collected of a document until it is known what to make of it: a name,
//! bytes of a character, a value.

/// A name that is compared with a few short ones.
#[derive(Debug, Default)]
pub(super) struct Word {
    bytes: [u8; LONGEST_WORD],
    length: usize,
}

impl Word {
    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    pub(super) fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte.to_ascii_lowercase();
            self.length += 1;
        }
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        bytes.iter().take(LONGEST_WORD).for_each(|&byte| self.push(byte));
    }

    /// In small letters, and cut after the length of any name of interest.
    pub(super) fn lower(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Up to three bytes from 80 that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Wide {
    bytes: [u8; 3],
    length: usize,
}

impl Wide {
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.length == self.bytes.len()
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    pub(super) fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
            self.length += 1;
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    pub(super) fn is_full_stop(&self) -> bool {
        matches!(self.bytes(), b"\xe3\x80\x82" | b"\xef\xb9\x92" | b"\xef\xbc\x8e")
    }

    /// With the last byte replaced by the one before it.
    pub(super) fn smeared(&self) -> impl Iterator<Item = u8> {
        let [first, second, _] = self.bytes;
        match self.length {
            1 => [0, 0, 0],
            2 => [first, first, 0],
            _ => [first, second, second],
        }
        .into_iter()
        .take(self.length)
    }
}

/// The value of an attribute, as far as links need it.
#[derive(Debug, Default)]
pub(super) struct Value {
    bytes: Vec<u8>,
    /// It began with a quote.
    pub(super) quoted: bool,
    /// It did, but had white space.
    pub(super) lost_quote: bool,
}

impl Value {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.quoted = false;
        self.lost_quote = false;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn push(&mut self, byte: u8) {
        if self.bytes.len() < LONGEST_LINK {
            self.bytes.push(byte);
        }
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let room = LONGEST_LINK.saturating_sub(self.bytes.len());
        self.bytes.extend(bytes.iter().take(room));
    }

    pub(super) fn is_data(&self) -> bool {
        self.bytes == b"data"
    }

    /// The value up to the first NUL (of `&#0;`). Its last byte is taken for
    /// the closing quote where that was lost or cut off.
    pub(super) fn link(&self) -> &[u8] {
        let nul = memchr::memchr(0, &self.bytes);
        let bytes = nul.and_then(|at| self.bytes.get(..at)).unwrap_or(&self.bytes);
        match bytes.split_last() {
            Some((_, before)) if self.lost_quote || self.quoted && nul.is_some() => before,
            _ => bytes,
        }
    }
}

/// The longest name that any rule asks for is shorter.
const LONGEST_WORD: usize = 8;

/// Of a link, `notags` shows so many bytes.
const LONGEST_LINK: usize = 1022;
