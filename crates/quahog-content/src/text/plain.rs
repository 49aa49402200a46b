//! Plain text with case and white space folded.
//!
//! Signatures for text are written against this view. A run of white space
//! (09 to 0D, 20) is one blank, also at both ends; capital letters are
//! small; other bytes from 21 to 7F are copied. All others are dropped, and do
//! not end a run of white space. Nothing is decoded: no entities, no
//! quoted-printable, no charset, so UTF-16 text becomes its ASCII letters.
//!
//! Takes one pass; the view is never longer than the text.
//!
//! ```
//! let mut view = Vec::new();
//! quahog_content::text::plain::normalize(b"  Hello\tWORLD\r\n\xe9X", &mut view);
//! assert_eq!(view, b" hello world x");
//! ```

/// Replaces the content of `view` by the normalised form of `text`.
pub fn normalize(text: &[u8], view: &mut Vec<u8>) {
    view.clear();
    Normalizer::new().push(text, view);
}

/// The same for text that comes in chunks.
///
/// ```
/// use quahog_content::text::plain::Normalizer;
///
/// let (mut normalizer, mut view) = (Normalizer::new(), Vec::new());
/// normalizer.push(b"A ", &mut view);
/// normalizer.push(b" B", &mut view);
/// assert_eq!(view, b"a b");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Normalizer {
    /// Whether the last byte written was a blank.
    in_blank: bool,
}

impl Normalizer {
    /// Stands at the start of a text.
    pub fn new() -> Normalizer {
        Normalizer::default()
    }

    /// Appends the normalised form of the next `chunk` to `view`.
    pub fn push(&mut self, chunk: &[u8], view: &mut Vec<u8>) {
        let start = view.len();
        view.resize(start + chunk.len(), 0);
        let room = view.get_mut(start..).unwrap_or_default();
        let written = self.write(chunk, room);
        view.truncate(start + written);
    }

    /// Writes to `room`, which is as long as `chunk`; returns how much.
    fn write(&mut self, chunk: &[u8], room: &mut [u8]) -> usize {
        let mut written = 0;
        let mut in_blank = u8::from(self.in_blank);
        let (blocks, tail) = chunk.as_chunks::<BLOCK>();
        for block in blocks {
            // PERF: ordinary prose has words with one blank between them. Such
            // a block keeps its length, so it is folded without looking at
            // one byte after the other (the compiler uses vectors). The last
            // byte before the block stands for the state.
            let mut folded = [0; BLOCK];
            let mut odd = 0;
            let mut before = in_blank;
            for (to, &byte) in folded.iter_mut().zip(block) {
                let blank = u8::from(is_blank(byte));
                *to = if blank != 0 { b' ' } else { byte.to_ascii_lowercase() };
                odd |= (blank & before) | u8::from(is_dropped(byte));
                before = blank;
            }
            if odd == 0
                && let Some(to) = room.get_mut(written..written + BLOCK)
            {
                to.copy_from_slice(&folded);
                written += BLOCK;
                in_blank = before;
            } else {
                bytewise(block, room, &mut written, &mut in_blank);
            }
        }
        bytewise(tail, room, &mut written, &mut in_blank);
        self.in_blank = in_blank != 0;
        written
    }
}

/// Any text, a byte at a time and without a branch that depends on it.
fn bytewise(chunk: &[u8], room: &mut [u8], written: &mut usize, in_blank: &mut u8) {
    for &byte in chunk {
        let Fold { to, kept, blank } = FOLD[usize::from(byte)];
        if let Some(slot) = room.get_mut(*written) {
            *slot = to;
        }
        *written += usize::from(kept & !(blank & *in_blank));
        *in_blank = (*in_blank & !kept) | blank;
    }
}

/// What becomes of a byte. The flags are 0 or 1.
#[derive(Clone, Copy)]
struct Fold {
    to: u8,
    kept: u8,
    blank: u8,
}

static FOLD: [Fold; 256] = {
    let mut table = [Fold { to: 0, kept: 0, blank: 0 }; 256];
    let mut at = 0;
    while at < table.len() {
        // `at` is below 256.
        let byte = at as u8;
        table[at] = if is_blank(byte) {
            Fold { to: b' ', kept: 1, blank: 1 }
        } else if is_dropped(byte) {
            Fold { to: 0, kept: 0, blank: 0 }
        } else {
            Fold { to: byte.to_ascii_lowercase(), kept: 1, blank: 0 }
        };
        at += 1;
    }
    table
};

const fn is_blank(byte: u8) -> bool {
    matches!(byte, 0x09..=0x0d | b' ')
}

const fn is_dropped(byte: u8) -> bool {
    !is_blank(byte) && !matches!(byte, 0x21..=0x7f)
}

/// Bytes looked at together: most blocks of this size in prose have no line
/// end, and longer ones are folded bytewise too often.
const BLOCK: usize = 16;
