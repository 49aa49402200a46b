//! Icons as pictures: out of the bytes of a resource, to a size that can be
//! compared.
//!
//! The length that the resource claims means nothing: what counts is where the
//! file ends. Headers are read leniently: only the sizes and the depth matter,
//! palettes are always whole, and compression is never looked at. Pictures in
//! the PNG format are not icons here. All of it as in clamscan 1.4.6.

/// A pixel: red, green and blue.
pub(super) type Pixel = [u8; 3];

/// A square picture.
#[derive(Debug)]
pub(super) struct Bitmap {
    /// Width and height.
    pub(super) size: usize,
    /// Row after row from the top, each from the left.
    pub(super) pixels: Vec<Pixel>,
    /// About how many pixels were touched to make it.
    pub(super) cost: u64,
}

/// Width and height of an icon.
const SIZES: std::ops::RangeInclusive<usize> = 16..=256;

const WHITE: u8 = 255;

/// Reads the icon that `bytes` begin with; `None` if it is none, is cut off, or
/// is of a size that is not compared.
pub(super) fn read(bytes: &[u8]) -> Option<Bitmap> {
    let header: &[u8; 40] = bytes.first_chunk()?;
    let u32_at = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let header_len = usize::try_from(u32_at(0)).ok().filter(|&len| len >= header.len())?;
    let width = usize::try_from(u32_at(4)).ok()?;
    // The mask counts as the upper half of the picture.
    let height = usize::try_from(u32_at(8) / 2).ok()?;
    if !SIZES.contains(&width) || !SIZES.contains(&height) {
        return None;
    }
    let (long, short) = (width.max(height), width.min(height));
    if 3 * long / 4 > short {
        return None;
    }
    let depth = Depth::of(u16::from_le_bytes([header[14], header[15]]))?;
    let rest = bytes.get(header_len..)?;
    let (palette, rest) = rest.split_at_checked(depth.palette_len())?;
    let picture = Picture { width, height, pixels: depth.pixels(palette, rest, width, height)? };
    let cost = (width * height) as u64;
    let picture = picture.scaled();
    // The work on a picture of the final size is that of about 64 passes.
    let cost = cost + 64 * (picture.width * picture.height) as u64;
    let Picture { width: size, pixels, .. } = picture;
    matches!(size, 16 | 24 | 32).then_some(Bitmap { size, pixels, cost })
}

/// How pixels are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Depth {
    /// As numbers of colours in a palette: bits of each.
    Indexed(u8),
    High,
    True,
    Alpha,
}

impl Depth {
    fn of(bits: u16) -> Option<Depth> {
        match bits {
            1 => Some(Depth::Indexed(1)),
            4 => Some(Depth::Indexed(4)),
            8 => Some(Depth::Indexed(8)),
            16 => Some(Depth::High),
            24 => Some(Depth::True),
            32 => Some(Depth::Alpha),
            _ => None,
        }
    }

    fn bits(self) -> usize {
        match self {
            Depth::Indexed(bits) => usize::from(bits),
            Depth::High => 16,
            Depth::True => 24,
            Depth::Alpha => 32,
        }
    }

    fn palette_len(self) -> usize {
        match self {
            Depth::Indexed(bits) => 4 << bits,
            _ => 0,
        }
    }

    /// The pixels, from the top; `None` if they are cut off.
    fn pixels(
        self,
        palette: &[u8],
        bytes: &[u8],
        width: usize,
        height: usize,
    ) -> Option<Vec<Pixel>> {
        let row_len = |bits: usize| (width * bits).div_ceil(32) * 4;
        let (rows, rest) = bytes.split_at_checked(row_len(self.bits()) * height)?;
        let mask = rest.get(..row_len(1) * height);
        if mask.is_none() && self != Depth::Alpha {
            return None;
        }
        // Rows are written from the bottom.
        let rows = rows.chunks_exact(row_len(self.bits())).rev();
        let mut pixels: Vec<[u8; 4]> =
            rows.flat_map(|row| (0..width).map(move |x| self.pixel(palette, row, x))).collect();
        let blended = |[red, green, blue, alpha]: [u8; 4]| {
            [red, green, blue].map(|value| blend(value, alpha))
        };
        if self == Depth::Alpha && pixels.iter().any(|pixel| pixel[3] != 0) {
            return Some(pixels.into_iter().map(blended).collect());
        }
        if let Some(mask) = mask {
            let masked = mask.chunks_exact(row_len(1)).rev();
            let masked =
                masked.flat_map(|row| (0..width).map(move |x| row[x / 8] >> (7 - x % 8) & 1 != 0));
            for (pixel, is_masked) in pixels.iter_mut().zip(masked) {
                if is_masked {
                    let [red, green, blue] = blended(*pixel);
                    *pixel = [red, green, blue, 0];
                }
            }
        }
        Some(pixels.into_iter().map(|[red, green, blue, _]| [red, green, blue]).collect())
    }

    /// One pixel of a row: red, green, blue and alpha.
    fn pixel(self, palette: &[u8], row: &[u8], x: usize) -> [u8; 4] {
        match self {
            Depth::Indexed(bits) => {
                let at = x * usize::from(bits);
                let shifted = row[at / 8] >> (8 - usize::from(bits) - at % 8);
                // All ones below the width of a number.
                let index = 4 * usize::from(shifted & (0xff >> (8 - bits)));
                [palette[index + 2], palette[index + 1], palette[index], 0]
            }
            Depth::High => high(u16::from_le_bytes([row[2 * x], row[2 * x + 1]])),
            Depth::True => [row[3 * x + 2], row[3 * x + 1], row[3 * x], 0],
            Depth::Alpha => [row[4 * x + 2], row[4 * x + 1], row[4 * x], row[4 * x + 3]],
        }
    }
}

/// A colour of 16 bits.
///
/// Not what was meant by it: clamscan 1.4.6 shifts the upper two colours too
/// far, and signatures are made with what it sees.
fn high(value: u16) -> [u8; 4] {
    let value = u32::from(value);
    let blue = (value & 0x1f) << 3 | (value & 0x1c) >> 2;
    let green = (value & 0x3e0) << 9 | (value & 0x380) << 4;
    let red = (value & 0xfc00) << 12 | (value & 0xfc00) << 7;
    let [blue, green, red, alpha] = (red | green | blue).to_le_bytes();
    [red, green, blue, alpha]
}

/// A colour on white, through which it shows.
fn blend(value: u8, alpha: u8) -> u8 {
    // A share of `alpha` is no more than it.
    (u16::from(value) * u16::from(alpha) / 255) as u8 + (WHITE - alpha)
}

/// A picture of any size.
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<Pixel>,
}

impl Picture {
    fn at(&self, x: usize, y: usize) -> Pixel {
        self.pixels[y * self.width + x]
    }

    /// To the next size that is compared. Of multiples of those, halves are
    /// taken until it is 32 at most, which need not be such a size.
    fn scaled(mut self) -> Picture {
        let (width, height) = (self.width, self.height);
        if width == height && (width.is_multiple_of(32) || width.is_multiple_of(24)) {
            while self.width > 32 {
                self = self.halved();
            }
            return self;
        }
        let size = match width + height {
            0..=40 => 16,
            41..=56 => 24,
            _ => 32,
        };
        // Rows are rounded down, columns to the next.
        let pixel =
            |x: usize, y: usize| self.at((2 * x * width + size) / (2 * size), y * height / size);
        let pixels = (0..size * size).map(|at| pixel(at % size, at / size)).collect();
        Picture { width: size, height: size, pixels }
    }

    /// Half as wide and as high: means of two pixels side by side, then of two
    /// of these, each rounded down.
    fn halved(&self) -> Picture {
        let (width, height) = (self.width / 2, self.height / 2);
        let mean = |a: Pixel, b: Pixel| [0, 1, 2].map(|at| a[at].midpoint(b[at]));
        let pixel = |x: usize, y: usize| {
            let row = |y| mean(self.at(2 * x, y), self.at(2 * x + 1, y));
            mean(row(2 * y), row(2 * y + 1))
        };
        let pixels = (0..width * height).map(|at| pixel(at % width, at / width)).collect();
        Picture { width, height, pixels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_16_bits_are_shifted_too_far() {
        assert_eq!(high(0x1f), [0, 0, 255, 0]);
        assert_eq!(high(0x03e0), [7, 248, 0, 0]);
        assert_eq!(high(0x7c00), [254, 0, 0, 7]);
    }

    #[test]
    fn halves_are_means_rounded_down_twice() {
        let halved = |values: [u8; 4]| {
            let pixels = values.map(|value| [value; 3]).to_vec();
            Picture { width: 2, height: 2, pixels }.halved().pixels[0][0]
        };
        assert_eq!(halved([1, 0, 1, 2]), 0);
        assert_eq!(halved([1, 1, 2, 0]), 1);
    }

    #[test]
    fn sizes_between_are_scaled_to_the_nearest() {
        let size = |width: usize, height: usize| {
            let pixels = vec![[0; 3]; width * height];
            Picture { width, height, pixels }.scaled().width
        };
        let sizes = [(17, 17), (20, 20), (20, 21), (28, 28), (32, 24), (25, 32), (255, 255)];
        assert_eq!(sizes.map(|(w, h)| size(w, h)), [16, 16, 24, 24, 24, 32, 32]);
        let sizes = [48, 64, 96, 192, 256, 72, 120].map(|n| size(n, n));
        assert_eq!(sizes, [24, 32, 24, 24, 32, 18, 30]);
    }
}
