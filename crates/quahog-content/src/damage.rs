//! What is broken in a picture: its frame, not what it shows.
//!
//! [`of_picture`] follows the chunks, blocks, segments or directories of a
//! picture to its end and names the first thing that is not as it must be, by
//! the names of clamscan 1.4.6. It decodes nothing. Linear in the picture; no
//! step goes back.

use crate::{Budget, Shortfall};

/// A format of pictures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs)] // their names
pub enum Picture {
    Gif,
    Jpeg,
    Png,
    Tiff,
}

/// What is broken in a picture, such as `PNG.EOFReadingChunk`.
///
/// # Errors
///
/// The budget ended the work.
pub fn of_picture(
    picture: Picture,
    bytes: &[u8],
    budget: &Budget<'_>,
) -> Result<Option<&'static str>, Shortfall> {
    let mut reader = Reader { bytes, at: 0, budget };
    match picture {
        Picture::Gif => reader.gif(),
        Picture::Jpeg => reader.jpeg(),
        Picture::Png => reader.png(),
        Picture::Tiff => reader.tiff(),
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    budget: &'b Budget<'b>,
}

impl<'b> Reader<'b> {
    /// The next `n` bytes, if they are all there.
    fn take(&mut self, n: usize) -> Option<&'b [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(n)?)?;
        self.at += n;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn skip(&mut self, n: usize) {
        self.at = self.at.saturating_add(n);
    }

    fn png(&mut self) -> Result<Option<&'static str>, Shortfall> {
        self.skip(8);
        loop {
            self.budget.tick(STEP)?;
            let Some(length) = self.take(4).and_then(|field| field.first_chunk()) else {
                return Ok(None);
            };
            let length = u32::from_be_bytes(*length);
            if length > 0x7fff_ffff {
                return Ok(Some("PNG.InvalidChunkLength"));
            }
            let Some(kind) = self.take(4) else {
                return Ok(Some("PNG.EOFReadingChunkType"));
            };
            // Below 2^31, so it fits.
            if self.take(length as usize).is_none() {
                return Ok(Some("PNG.EOFReadingChunk"));
            }
            if self.take(4).is_none() {
                return Ok(Some("PNG.EOFReadingChunkCRC"));
            }
            if kind == b"IEND" {
                return Ok(None);
            }
        }
    }

    fn gif(&mut self) -> Result<Option<&'static str>, Shortfall> {
        self.skip(6);
        let Some(screen) = self.take(7) else {
            return Ok(Some("GIF.TruncatedScreenDescriptor"));
        };
        let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
        if self.take(table(screen[4])).is_none() {
            return Ok(Some("GIF.TruncatedGlobalColorTable"));
        }
        let mut any_image = false;
        loop {
            self.budget.tick(STEP)?;
            match self.byte() {
                None if any_image => return Ok(None),
                None => return Ok(Some("GIF.MissingImageData")),
                Some(b';') => return Ok(None),
                Some(b',') => {
                    any_image = true;
                    let Some(image) = self.take(9) else {
                        return Ok(Some("GIF.TruncatedImageDescriptor"));
                    };
                    self.skip(table(image[8]) + 1);
                    if !self.blocks()?.is_whole() {
                        return Ok(Some("GIF.TruncatedImageDataBlock"));
                    }
                }
                Some(b'!') => match self.byte() {
                    None => return Ok(Some("GIF.TruncatedExtension")),
                    // A graphic control: of one length, and not looked into.
                    Some(0xf9) => self.skip(6),
                    Some(_) => match self.blocks()? {
                        Blocks::Whole => {}
                        Blocks::NoLength => return Ok(Some("GIF.TruncatedExtension")),
                        Blocks::NoData => return Ok(Some("GIF.TruncatedExtensionSubBlock")),
                    },
                },
                Some(_) => return Ok(Some("GIF.UnknownBlockLabel")),
            }
        }
    }

    /// Passes over the blocks of a GIF up to an empty one.
    fn blocks(&mut self) -> Result<Blocks, Shortfall> {
        loop {
            self.budget.tick(STEP)?;
            match self.byte() {
                None => return Ok(Blocks::NoLength),
                Some(0) => return Ok(Blocks::Whole),
                Some(length) => {
                    if self.take(length.into()).is_none() {
                        return Ok(Blocks::NoData);
                    }
                }
            }
        }
    }

    fn jpeg(&mut self) -> Result<Option<&'static str>, Shortfall> {
        self.skip(2);
        let mut seen = Seen::default();
        for index in 0usize.. {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(mark) = memchr::memchr(0xff, rest) else {
                return Ok(Some("JPEG.CantReadSegmentSize"));
            };
            let fill = rest.iter().skip(mark).take_while(|&&b| b == 0xff).count();
            self.budget.tick((mark + fill) as u64 + STEP)?;
            self.skip(mark + fill);
            let start = self.at.saturating_sub(1);
            let (marker, size) = (self.byte(), self.take(2));
            let (Some(marker), Some(&[high, low])) = (marker, size) else {
                return Ok(Some("JPEG.CantReadSegmentSize"));
            };
            let size = usize::from(u16::from_be_bytes([high, low]));
            if size < 2 {
                return Ok(Some("JPEG.InvalidSegmentSize"));
            }
            if start + size >= self.bytes.len() {
                return Ok(Some("JPEG.SegmentDataOutOfFile"));
            }
            if marker == 0xda {
                return Ok(None);
            }
            let from = self.at;
            self.skip(size - 2);
            let data = self.bytes.get(from..self.at).unwrap_or_default();
            if let Some(fault) = seen.segment(marker, data, index) {
                return Ok(Some(fault));
            }
        }
        Ok(None)
    }

    fn tiff(&mut self) -> Result<Option<&'static str>, Shortfall> {
        let big_endian = self.bytes.starts_with(b"MM");
        let word = |field: &[u8]| {
            field.first_chunk::<4>().map_or(0, |field| match big_endian {
                true => u32::from_be_bytes(*field),
                false => u32::from_le_bytes(*field),
            })
        };
        let half = |field: &[u8]| {
            field.first_chunk::<2>().map_or(0, |field| match big_endian {
                true => u16::from_be_bytes(*field),
                false => u16::from_le_bytes(*field),
            })
        };
        self.skip(4);
        let Some(offset) = self.take(4).map(word) else {
            return Ok(Some("TIFF.EOFReadingFirstIFDOffset"));
        };
        if offset == 0 {
            return Ok(Some("TIFF.InvalidIFDOffset"));
        }
        let mut offset = offset;
        loop {
            self.budget.tick(STEP)?;
            self.at = usize::try_from(offset).unwrap_or(usize::MAX);
            let Some(count) = self.take(2).map(half) else {
                return Ok(Some("TIFF.EOFReadingNumIFDDirectoryEntries"));
            };
            for _ in 0..count {
                self.budget.tick(STEP)?;
                let Some(entry) = self.take(12) else {
                    return Ok(Some("TIFF.EOFReadingIFDEntry"));
                };
                let size = match half(&entry[2..]) {
                    1 | 2 | 6 | 7 => 1,
                    3 | 8 => 2,
                    4 | 9 | 11 => 4,
                    5 | 10 | 12 => 8,
                    _ => 0u64,
                };
                let length = size * u64::from(word(&entry[4..]));
                let end = length + u64::from(word(&entry[8..]));
                if length > 4 && end > self.bytes.len() as u64 {
                    return Ok(Some("TIFF.OutOfBoundsAccess"));
                }
            }
            let Some(next) = self.take(4).map(word) else {
                return Ok(Some("TIFF.EOFReadingChunkCRC"));
            };
            if next == 0 {
                return Ok(None);
            }
            // Each directory must lie behind the last, so this ends.
            if next <= offset {
                return Ok(Some("TIFF.OutOfOrderIFDOffset"));
            }
            offset = next;
        }
    }
}

/// How the blocks of a GIF end.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Blocks {
    Whole,
    NoLength,
    NoData,
}

impl Blocks {
    fn is_whole(self) -> bool {
        self == Blocks::Whole
    }
}

/// The headers that a JPEG had so far.
#[derive(Default)]
struct Seen {
    jfif: bool,
    exif: bool,
    spiff: bool,
    /// Segments that may stand before a JFIF header, each once.
    comments: usize,
    app1: usize,
}

impl Seen {
    fn segment(&mut self, marker: u8, data: &[u8], index: usize) -> Option<&'static str> {
        match marker {
            0xe0 if data.starts_with(b"JFIF\0") => {
                if self.jfif {
                    return Some("JPEG.JFIFdupAppMarker");
                }
                if index > self.comments.min(1) + self.app1.min(1) {
                    return Some("JPEG.JFIFmarkerBadPosition");
                }
                if data.len() < 14 {
                    return Some("JPEG.JFIFheaderTooShort");
                }
                self.jfif = true;
            }
            0xe1 => {
                let is_exif = data.starts_with(b"Exif\0\0");
                self.app1 += usize::from(is_exif || data.starts_with(XMP));
                if is_exif {
                    if self.exif || self.spiff {
                        return Some("JPEG.ExifDupAppMarker");
                    }
                    if index > 2 {
                        return Some("JPEG.ExifHeaderBadPosition");
                    }
                    if data.len() < 14 {
                        return Some("JPEG.ExifHeaderTooShort");
                    }
                    self.exif = true;
                }
            }
            0xe8 if data.starts_with(b"SPIFF\0") => {
                if self.spiff || self.jfif || self.exif {
                    return Some("JPEG.SPIFFdupAppMarker");
                }
                if index > self.comments.min(1) {
                    return Some("JPEG.SPIFFmarkerBadPosition");
                }
                if data.len() < 14 {
                    return Some("JPEG.SPIFFheaderTooShort");
                }
                self.spiff = true;
            }
            0xfe => self.comments += 1,
            _ => {}
        }
        None
    }
}

/// How a segment of XMP begins.
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/";

/// What a chunk, block or directory costs.
const STEP: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn fault(picture: Picture, bytes: &[u8]) -> &'static str {
        let budget = Budget::new(Limits::default());
        of_picture(picture, bytes, &budget).unwrap().unwrap_or("")
    }

    fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap();
        [&length.to_be_bytes(), kind, data, b"sum!"].concat()
    }

    #[test]
    fn a_png_is_followed_to_its_end() {
        let head = [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &[0; 13])].concat();
        let whole = [head.clone(), chunk(b"IDAT", b"data"), chunk(b"IEND", b"")].concat();
        let at = head.len();
        assert_eq!(fault(Picture::Png, &whole), "");
        assert_eq!(fault(Picture::Png, &[&whole[..], b"trailing"].concat()), "");
        for (length, expected) in [
            (at + 3, ""),
            (at + 6, "PNG.EOFReadingChunkType"),
            (at + 10, "PNG.EOFReadingChunk"),
            (at + 14, "PNG.EOFReadingChunkCRC"),
            (at + 16, ""),
        ] {
            assert_eq!(fault(Picture::Png, &whole[..length]), expected, "{length}");
        }
        let huge = [&head[..], b"\x80\0\0\x01IDATx"].concat();
        assert_eq!(fault(Picture::Png, &huge), "PNG.InvalidChunkLength");
    }

    #[test]
    fn a_gif_is_followed_to_its_end() {
        let gif = b"GIF89a\x02\0\x02\0\x80\0\0colors\x21\xfe\x03abc\0\
            \x2c\0\0\0\0\x02\0\x02\0\0\x02\x02\x44\x01\0;";
        for (length, expected) in [
            (gif.len(), ""),
            (gif.len() - 1, ""),
            (gif.len() - 2, "GIF.TruncatedImageDataBlock"),
            (gif.len() - 8, "GIF.TruncatedImageDescriptor"),
            (26, "GIF.MissingImageData"),
            (25, "GIF.TruncatedExtension"),
            (23, "GIF.TruncatedExtensionSubBlock"),
            (20, "GIF.TruncatedExtension"),
            (18, "GIF.TruncatedGlobalColorTable"),
            (12, "GIF.TruncatedScreenDescriptor"),
        ] {
            assert_eq!(fault(Picture::Gif, &gif[..length]), expected, "{length}");
        }
        assert_eq!(fault(Picture::Gif, b"GIF89a\x02\0\x02\0\0\0\0?"), "GIF.UnknownBlockLabel");
    }

    #[test]
    fn a_jpeg_is_followed_to_its_scan() {
        let segment = |marker: u8, data: &[u8]| {
            let length = u16::try_from(data.len() + 2).unwrap().to_be_bytes();
            [&[0xff, marker][..], &length, data].concat()
        };
        let jfif = segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
        let exif = segment(0xe1, b"Exif\0\0MM\0*\0\0\0\x08\0\0");
        let spiff = segment(0xe8, b"SPIFF\0\x01\0.............");
        let comment = segment(0xfe, b"hello");
        let table = segment(0xdb, &[1; 65]);
        let scan = [segment(0xda, &[1; 6]), b"data\xff\xd9".to_vec()].concat();
        let jpeg = |parts: &[&Vec<u8>]| {
            let parts: Vec<u8> = parts.iter().flat_map(|part| part.iter()).copied().collect();
            fault(Picture::Jpeg, &[b"\xff\xd8", &parts[..], &scan].concat())
        };
        assert_eq!(jpeg(&[&jfif, &exif, &table]), "");
        assert_eq!(jpeg(&[&comment, &exif, &jfif]), "");
        assert_eq!(jpeg(&[&b"junk".to_vec(), &table]), "");
        assert_eq!(jpeg(&[&jfif, &jfif]), "JPEG.JFIFdupAppMarker");
        assert_eq!(jpeg(&[&table, &jfif]), "JPEG.JFIFmarkerBadPosition");
        assert_eq!(jpeg(&[&exif, &exif]), "JPEG.ExifDupAppMarker");
        assert_eq!(jpeg(&[&jfif, &table, &table, &exif]), "JPEG.ExifHeaderBadPosition");
        assert_eq!(jpeg(&[&segment(0xe1, b"Exif\0\0")]), "JPEG.ExifHeaderTooShort");
        assert_eq!(jpeg(&[&table, &spiff]), "JPEG.SPIFFmarkerBadPosition");
        assert_eq!(jpeg(&[&b"\xff\xdb\0\x01".to_vec()]), "JPEG.InvalidSegmentSize");
        assert_eq!(jpeg(&[&b"\xff\xdb\xff\xff".to_vec()]), "JPEG.SegmentDataOutOfFile");
        assert_eq!(fault(Picture::Jpeg, b"\xff\xd8\xff\xe0"), "JPEG.CantReadSegmentSize");
    }

    #[test]
    fn a_tiff_is_followed_to_its_last_directory() {
        let tiff = |entry: [u16; 2], count: u32, value: u32, next: u32| {
            let mut bytes = b"II*\0\x08\0\0\0\x01\0".to_vec();
            entry.iter().for_each(|half| bytes.extend(half.to_le_bytes()));
            [count, value, next].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
            bytes
        };
        assert_eq!(fault(Picture::Tiff, &tiff([256, 3], 1, 9, 0)), "");
        assert_eq!(fault(Picture::Tiff, &tiff([256, 3], 3, 9, 0)), "");
        assert_eq!(fault(Picture::Tiff, &tiff([256, 3], 9, 9, 0)), "TIFF.OutOfBoundsAccess");
        assert_eq!(fault(Picture::Tiff, &tiff([256, 3], 1, 9, 8)), "TIFF.OutOfOrderIFDOffset");
        let next = "TIFF.EOFReadingNumIFDDirectoryEntries";
        assert_eq!(fault(Picture::Tiff, &tiff([256, 3], 1, 9, 99)), next);
        let whole = tiff([256, 3], 1, 9, 0);
        assert_eq!(fault(Picture::Tiff, &whole[..24]), "TIFF.EOFReadingChunkCRC");
        assert_eq!(fault(Picture::Tiff, &whole[..20]), "TIFF.EOFReadingIFDEntry");
        assert_eq!(fault(Picture::Tiff, &whole[..6]), "TIFF.EOFReadingFirstIFDOffset");
        assert_eq!(fault(Picture::Tiff, b"MM\0*\0\0\0\0"), "TIFF.InvalidIFDOffset");
    }
}
