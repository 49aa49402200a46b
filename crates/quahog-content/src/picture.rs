//! Pictures: decoded under the budget, to a perceptual hash of 64 bits.
//!
//! The hash is that of ClamAV's `fuzzy_img`: the picture is made grey and
//! 32 by 32 pixels large, a cosine transform of both directions is taken, and
//! each of its 64 lowest frequencies is one bit, set where it lies above their
//! median. Pictures that look alike have hashes that are alike.
//!
//! ```
//! use quahog_content::{Budget, Limits, Shortfall, picture};
//!
//! let budget = Budget::new(Limits::default());
//! assert_eq!(picture::hash(b"GIF89a...", &budget), Err(Shortfall::Malformed));
//! ```

use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageReader};
use rustdct::DctPlanner;

use crate::{Budget, Shortfall};

/// The most pixels of one side.
const MAX_SIDE: u32 = 16_384;
/// The most memory that decoding may take.
const MAX_MEMORY: u64 = 256 << 20;
/// What is left of the picture, in pixels of one side.
const SIDE: usize = 32;
/// Frequencies of one direction that make the hash.
const FREQUENCIES: usize = 8;

/// The hash of a picture; the highest bit is that of the lowest frequency.
///
/// Costs time linear in the pixels, which are charged to the budget.
///
/// # Errors
///
/// The budget is used up, the picture is too large for the memory that one may
/// take, or it cannot be read.
pub fn hash(bytes: &[u8], budget: &Budget<'_>) -> Result<u64, Shortfall> {
    let reader = || {
        let mut reader = ImageReader::new(Cursor::new(bytes));
        let mut limits = image::Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        limits.max_alloc = Some(MAX_MEMORY);
        reader.limits(limits);
        reader.with_guessed_format().map_err(|_| Shortfall::Malformed)
    };
    // The size stands in the header: it is charged before anything is decoded.
    let (width, height) = reader()?.into_dimensions().map_err(|e| shortfall(&e))?;
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(Shortfall::PartBytes);
    }
    let pixels = u64::from(width) * u64::from(height);
    budget.tick(bytes.len() as u64 + pixels.saturating_mul(4))?;
    let picture = reader()?.decode().map_err(|e| shortfall(&e))?;
    Ok(hash_of(&picture))
}

fn shortfall(error: &image::ImageError) -> Shortfall {
    match error {
        image::ImageError::Limits(_) => Shortfall::PartBytes,
        image::ImageError::Unsupported(_) => Shortfall::Unsupported,
        _ => Shortfall::Malformed,
    }
}

fn hash_of(picture: &DynamicImage) -> u64 {
    let side = SIDE as u32;
    let small = imageops::resize(&grey(picture), side, side, FilterType::Lanczos3);
    let mut values: Vec<f32> = small.into_raw().into_iter().map(f32::from).collect();
    let transform = DctPlanner::new().plan_dct2(SIDE);
    for row in values.chunks_exact_mut(SIDE) {
        transform.process_dct2(row);
    }
    transpose(&mut values);
    for column in values.chunks_exact_mut(SIDE) {
        transform.process_dct2(column);
    }
    transpose(&mut values);
    let low: Vec<f32> = values
        .chunks_exact(SIDE)
        .take(FREQUENCIES)
        .flat_map(|row| row.iter().copied().take(FREQUENCIES))
        .collect();
    let mut sorted = low.clone();
    sorted.sort_by(f32::total_cmp);
    let middle = sorted.len() / 2;
    let median = match sorted.get(middle - 1..=middle) {
        Some([below, above]) => (below + above) / 2.0,
        _ => 0.0,
    };
    low.iter().fold(0, |hash, &value| hash << 1 | u64::from(value > median))
}

/// Grey by the weights of ITU-R 601, as ClamAV has it; `image` itself uses
/// others, which turn bits around in a third of all pictures.
fn grey(picture: &DynamicImage) -> GrayImage {
    match picture {
        DynamicImage::ImageLuma8(_)
        | DynamicImage::ImageLuma16(_)
        | DynamicImage::ImageLumaA8(_)
        | DynamicImage::ImageLumaA16(_) => picture.to_luma8(),
        _ => {
            let pixels = picture.to_rgb8();
            GrayImage::from_fn(pixels.width(), pixels.height(), |x, y| {
                let image::Rgb([red, green, blue]) = *pixels.get_pixel(x, y);
                let [red, green, blue] = [red, green, blue].map(u32::from);
                // The weights add up to 1,000, so the rounded sum fits a byte.
                let sum = red * 299 + green * 587 + blue * 114 + 500;
                image::Luma([(sum / 1000) as u8])
            })
        }
    }
}

/// Turns rows to columns.
fn transpose(values: &mut [f32]) {
    for row in 0..SIDE {
        for column in row + 1..SIDE {
            values.swap(row * SIDE + column, column * SIDE + row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use image::{ImageFormat, RgbImage};

    /// A picture that is the same on every machine.
    fn picture(width: u32, height: u32) -> DynamicImage {
        DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| {
            let at = |n: u32| (n % 256) as u8;
            image::Rgb([at(x * x / 7 + y), at(x * 3 + y * y / 5), at(x ^ y)])
        }))
    }

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn lossless_formats_have_the_same_hash() {
        let picture = picture(100, 60);
        let budget = Budget::new(Limits::default());
        let png = hash(&encoded(&picture, ImageFormat::Png), &budget);
        assert!(png.is_ok());
        for format in [ImageFormat::Bmp, ImageFormat::Tiff] {
            assert_eq!(hash(&encoded(&picture, format), &budget), png);
        }
    }

    #[test]
    fn what_is_cut_short_is_no_picture() {
        let budget = Budget::new(Limits::default());
        let png = encoded(&picture(100, 60), ImageFormat::Png);
        for len in [0, 8, 20, 40, png.len() / 2] {
            assert!(hash(&png[..len], &budget).is_err());
        }
    }

    #[test]
    fn pixels_are_charged_before_they_are_decoded() {
        let budget = Budget::new(Limits { fuel: 10_000, ..Limits::default() });
        let png = encoded(&picture(100, 60), ImageFormat::Png);
        assert_eq!(hash(&png, &budget), Err(Shortfall::Fuel));
    }

    #[test]
    fn a_huge_picture_is_not_decoded() {
        let mut png = encoded(&picture(10, 10), ImageFormat::Png);
        // The width stands in the header; its checksum need not be right for
        // the size to be refused.
        png[16..20].copy_from_slice(&0x7fff_ffffu32.to_be_bytes());
        assert!(hash(&png, &Budget::new(Limits::default())).is_err());
    }
}
