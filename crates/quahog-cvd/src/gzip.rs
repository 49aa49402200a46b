//! A gzip stream: one member, every byte of it accounted for, bounded.
//!
//! The decompressor is `flate2`'s; header and trailer are read here, because a
//! general reader takes what follows, several members, or a missing trailer.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::error::{Error, Offset, Rule};

/// What every gzip stream begins with.
pub(crate) const MAGIC: &[u8] = &[0x1f, 0x8b];

/// Unpacks the one gzip member that `payload` must be, and shows `step` all that
/// has come out, again and again as it grows.
///
/// `payload` starts at the byte `origin` of its file. More than `room` bytes
/// break the rule `over`.
pub(crate) fn inflate(
    payload: &[u8],
    origin: usize,
    room: u64,
    over: Rule,
    step: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
) -> Result<Vec<u8>, Error> {
    let fault = |rule, at: usize| in_file(rule, origin, at);
    let start = header(payload, origin)?;
    let stream = payload.get(start..).unwrap_or_default();
    // Genuine databases unpack to about three times their size, so most need no
    // growth at all.
    let expected = (payload.len() as u64).saturating_mul(3).min(room).min(MAX_AHEAD);
    // A small file need not clear a large buffer.
    let piece = payload.len().saturating_mul(4).clamp(BLOCK, STEP);
    let mut out = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    let mut crc = Crc::new();
    let mut raw = Decompress::new(false);
    let mut filled = 0;
    let mut taken = 0;
    loop {
        // The new room is zeroed while it is about to be in the cache anyway.
        out.resize(filled + piece, 0);
        let input = stream.get(taken..).unwrap_or_default();
        let output = out.get_mut(filled..).unwrap_or_default();
        let (total_in, total_out) = (raw.total_in(), raw.total_out());
        let status = raw
            .decompress(input, output, FlushDecompress::None)
            .map_err(|_| fault(Rule::GzipData, start + taken))?;
        // Neither difference is longer than its slice, so no cast cuts.
        let n_in = (raw.total_in() - total_in) as usize;
        let n_out = (raw.total_out() - total_out) as usize;
        crc.update(output.get(..n_out).unwrap_or_default());
        taken += n_in;
        filled += n_out;
        if filled as u64 > room {
            return Err(Error::new(over));
        }
        step(out.get(..filled).unwrap_or_default())?;
        match status {
            Status::StreamEnd => break,
            // Nothing moved: the input is used up without an end.
            _ if n_in == 0 && n_out == 0 => {
                return Err(fault(Rule::GzipEnd, payload.len()));
            }
            _ => {}
        }
    }
    out.truncate(filled);
    out.shrink_to_fit();

    let end = start + taken;
    let trailer = payload.get(end..).unwrap_or_default();
    let Some((&[c0, c1, c2, c3, l0, l1, l2, l3], rest)) = trailer.split_first_chunk() else {
        return Err(fault(Rule::GzipEnd, payload.len()));
    };
    if u32::from_le_bytes([c0, c1, c2, c3]) != crc.sum() {
        return Err(fault(Rule::GzipChecksum, end));
    }
    // The format keeps the length modulo 2^32, which is what the cast does.
    if u32::from_le_bytes([l0, l1, l2, l3]) != filled as u32 {
        return Err(fault(Rule::GzipLength, end + 4));
    }
    if !rest.is_empty() {
        return Err(fault(Rule::AfterGzip, end + 8));
    }
    Ok(out)
}

/// Length of a gzip header (RFC 1952): ten bytes, then what the flags announce.
fn header(bytes: &[u8], origin: usize) -> Result<usize, Error> {
    let fault = |rule, at: usize| in_file(rule, origin, at);
    let cut = || fault(Rule::GzipEnd, bytes.len());
    let Some(&[_, _, method, flags, ..]) = bytes.first_chunk::<10>() else {
        return Err(cut());
    };
    if method != 8 || flags & 0xe0 != 0 {
        return Err(fault(Rule::GzipHeader, 2));
    }
    let mut at = 10;
    if flags & 4 != 0 {
        let length = bytes.get(at..).and_then(<[u8]>::first_chunk::<2>).ok_or_else(cut)?;
        at += 2 + usize::from(u16::from_le_bytes(*length));
    }
    for text in [8, 16] {
        if flags & text != 0 {
            // A name or a comment: up to a NUL, and no longer than a path.
            let rest = bytes.get(at..).ok_or_else(cut)?;
            let head = rest.get(..MAX_GZIP_TEXT).unwrap_or(rest);
            match memchr::memchr(0, head) {
                Some(nul) => at += nul + 1,
                None if head.len() == MAX_GZIP_TEXT => {
                    return Err(fault(Rule::GzipHeader, at));
                }
                None => return Err(cut()),
            }
        }
    }
    if flags & 2 != 0 {
        let header = bytes.get(..at).ok_or_else(cut)?;
        let given = bytes.get(at..).and_then(<[u8]>::first_chunk::<2>).ok_or_else(cut)?;
        let mut crc = Crc::new();
        crc.update(header);
        // The lower half of the CRC-32, by definition.
        if u16::from_le_bytes(*given) != crc.sum() as u16 {
            return Err(fault(Rule::GzipHeader, at));
        }
        at += 2;
    }
    if at > bytes.len() { Err(cut()) } else { Ok(at) }
}

fn in_file(rule: Rule, origin: usize, at: usize) -> Error {
    Error::new(rule).at(Offset::File((origin + at) as u64))
}

/// Bytes of a name or comment in a gzip header.
const MAX_GZIP_TEXT: usize = 4096;

/// Bytes reserved before the first is unpacked, at most.
const MAX_AHEAD: u64 = 512 << 20;

/// Bytes unpacked between two looks at the limits; fits the second-level cache.
const STEP: usize = 256 << 10;

/// Bytes of the smallest piece.
const BLOCK: usize = 512;
