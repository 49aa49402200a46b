//! What an icon looks like: its most and least coloured, brightest and darkest
//! areas, and those with the most and the fewest edges.
//!
//! An area is a square of a quarter of the icon's size; of each kind the three
//! strongest are kept that do not overlap.

use quahog_sig::model::{Areas, IconMetrics};

use super::bitmap::{Bitmap, Pixel};

/// Saturation and brightness from which on a pixel counts as coloured.
const COLORED: u8 = 86;

/// The share of coloured pixels, in percent, from which on an icon has colours.
const COLORFUL: usize = 6;

/// What an area is worth, in all, when a least one is looked for and none is
/// left.
const NONE_LEFT: u32 = 65_535;

/// Measures an icon; `None` if it is of none of the sizes 16, 24 and 32.
pub(super) fn measure(icon: &Bitmap) -> Option<IconMetrics> {
    if !matches!(icon.size, 16 | 24 | 32) {
        return None;
    }
    let map = |value: &dyn Fn(Pixel) -> u32| Map {
        size: icon.size,
        values: icon.pixels.iter().map(|&pixel| value(pixel)).collect(),
    };
    let bright = map(&|pixel| u32::from(Color::of(pixel).value)).sums();
    let edges = edges(icon).sums();
    let (strong, weak) = (edges.areas(6, true), edges.areas(6, false));
    let mut metrics = IconMetrics {
        size: icon.size as u8, // 32 at most
        color: Areas::default(),
        gray: Areas::default(),
        bright: of(&bright.areas(3, true)),
        dark: of(&bright.areas(3, false)),
        edge: of(&strong[..3]),
        smooth: of(&weak[..3]),
        spread: [0; 4],
    };
    let mut shares = [0; 3];
    let mut colored = 0;
    for color in icon.pixels.iter().map(|&pixel| Color::of(pixel)) {
        if color.value >= COLORED && color.saturation >= COLORED {
            colored += 1;
            shares.iter_mut().zip(color.shares).for_each(|(sum, share)| *sum += share);
        }
    }
    let percent = colored * 100 / icon.pixels.len();
    if percent >= COLORFUL {
        let vivid = map(&|pixel| Color::of(pixel).strength()).sums();
        (metrics.color, metrics.gray) = (of(&vivid.areas(3, true)), of(&vivid.areas(3, false)));
        // Shares and percents are 100 at most.
        let [red, green, blue] = shares.map(|sum| (sum / colored) as u8);
        metrics.spread = [red, green, blue, percent as u8];
    } else {
        // The next three areas of edges; the places of the weak ones are lost,
        // as in clamscan 1.4.6.
        metrics.color = of(&strong[3..]);
        metrics.gray =
            Areas { value: of(&weak[3..]).value, x: metrics.color.x, y: metrics.color.y };
    }
    Some(metrics)
}

/// A pixel by hue, saturation and brightness.
struct Color {
    /// The largest of its three values.
    value: u8,
    /// How far the smallest is from it, of 255.
    saturation: u8,
    /// What share red, green and blue have in the hue, in percent, rounded up;
    /// yellow counts as blue, cyan as red and magenta as green.
    shares: [usize; 3],
}

impl Color {
    fn of(pixel: Pixel) -> Color {
        let [mut low, mut middle, mut high] = [0, 1, 2];
        let swap = |a: &mut usize, b: &mut usize| {
            if pixel[*a] > pixel[*b] {
                std::mem::swap(a, b);
            }
        };
        swap(&mut low, &mut middle);
        swap(&mut middle, &mut high);
        swap(&mut low, &mut middle);
        let [low_value, middle_value, value] = [low, middle, high].map(|at| pixel[at]);
        let range = usize::from(value - low_value);
        let mut shares = [0; 3];
        if range > 0 {
            let mixed = usize::from(middle_value - low_value);
            shares[high] = (100 * (range - mixed)).div_ceil(range);
            shares[low] = (100 * mixed).div_ceil(range);
        }
        // A share of 255.
        let saturation = if value == 0 { 0 } else { (255 * range / usize::from(value)) as u8 };
        Color { value, saturation, shares }
    }

    /// How much colour there is, up to 4072.
    fn strength(&self) -> u32 {
        // Below 2^16.
        (f64::from(self.saturation) * f64::from(self.value).sqrt()) as u32
    }
}

/// How far a pixel is from a middle grey, as the eye sees it.
///
/// The distance in CIE L*a*b* of sRGB under D65.
fn distance_from_gray(pixel: Pixel) -> f64 {
    let ([l, a, b], [gray_l, gray_a, gray_b]) = (lab(pixel), lab([127; 3]));
    ((l - gray_l).powi(2) + (a - gray_a).powi(2) + (b - gray_b).powi(2)).sqrt()
}

fn lab(pixel: Pixel) -> [f64; 3] {
    let [r, g, b] = pixel.map(|value| {
        let value = f64::from(value) / 255.0;
        if value > 0.04045 { ((value + 0.055) / 1.055).powf(2.4) } else { value / 12.92 }
    });
    let xyz = [
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883,
    ];
    let [x, y, z] =
        xyz.map(|t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// A number for each pixel.
struct Map {
    size: usize,
    values: Vec<u32>,
}

/// Where the colours change: the gradient after Sobel, up to 255, blurred.
///
/// The border has none. A picture without any change counts with its blue.
fn edges(icon: &Bitmap) -> Map {
    let size = icon.size;
    let distances: Vec<f64> = icon.pixels.iter().map(|&pixel| distance_from_gray(pixel)).collect();
    let inside = || (1..size - 1).flat_map(|y| (1..size - 1).map(move |x| y * size + x));
    let mut edges = vec![0; size * size];
    for at in inside() {
        let slope = |from: usize, to: usize, step: usize| {
            let sum = |at: usize| distances[at - step] + 2.0 * distances[at] + distances[at + step];
            sum(to) - sum(from)
        };
        let (across, down) = (slope(at - 1, at + 1, size), slope(at - size, at + size, 1));
        // Distances are below 300, so this is far below 2^16.
        edges[at] = (across * across + down * down).sqrt() as u32;
    }
    let most = edges.iter().copied().max().unwrap_or(0);
    for at in inside() {
        edges[at] = match most {
            0 => u32::from(icon.pixels[at][2]),
            most => edges[at] * 255 / most,
        };
    }
    // Across from the edges, but downwards from what was blurred already.
    let mut blurred = vec![0; size * size];
    for at in inside() {
        blurred[at] = (edges[at - 1] + 2 * edges[at] + edges[at + 1]) / 4;
    }
    for at in inside() {
        blurred[at] = (blurred[at - size] + 2 * blurred[at] + blurred[at + size]) / 4;
    }
    Map { size, values: blurred }
}

impl Map {
    /// Sums of all that is above and to the left of a place.
    fn sums(self) -> Sums {
        let stride = self.size + 1;
        let mut sums = vec![0; stride * stride];
        for (y, row) in self.values.chunks_exact(self.size).enumerate() {
            let mut sum = 0;
            for (x, value) in row.iter().enumerate() {
                sum += value;
                sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + sum;
            }
        }
        Sums { size: self.size, sums }
    }
}

/// A map whose areas are summed up quickly.
struct Sums {
    size: usize,
    sums: Vec<u32>,
}

/// An area: what it is worth on average, and where it begins.
#[derive(Clone, Copy, Default)]
struct Area {
    value: u32,
    x: usize,
    y: usize,
}

impl Sums {
    fn sum(&self, x: usize, y: usize, width: usize) -> u32 {
        let at = |x: usize, y: usize| self.sums[y * (self.size + 1) + x];
        at(x + width, y + width) + at(x, y) - at(x, y + width) - at(x + width, y)
    }

    /// The `count` areas that are worth the most or the least, one after the
    /// other, without those that overlap with one already taken. Where none is
    /// left, nothing stands at the origin.
    fn areas(&self, count: usize, most: bool) -> Vec<Area> {
        let width = self.size / 4;
        let pixels = (width * width) as u32; // 64 at most
        let mut taken: Vec<Area> = Vec::new();
        for _ in 0..count {
            let mut best: Option<(u32, Area)> = None;
            // The last row and the last two columns are never looked at.
            for (y, x) in
                (0..self.size - width).flat_map(|y| (0..self.size - width - 1).map(move |x| (y, x)))
            {
                let overlaps =
                    |area: &Area| area.x.abs_diff(x) < width && area.y.abs_diff(y) < width;
                let sum = self.sum(x, y, width);
                let is_better = match best {
                    None => !most || sum > 0,
                    Some((best, _)) if most => sum > best,
                    Some((best, _)) => sum < best,
                };
                if is_better && !taken.iter().any(overlaps) {
                    best = Some((sum, Area { value: sum / pixels, x, y }));
                }
            }
            let none = Area { value: if most { 0 } else { NONE_LEFT / pixels }, x: 0, y: 0 };
            let area = best.map_or(none, |(_, area)| area);
            // One that is none keeps nothing from being taken: there is no
            // other after it.
            taken.push(area);
        }
        taken
    }
}

/// The areas in the form of signatures; the first three are taken.
fn of(areas: &[Area]) -> Areas {
    let mut out = Areas::default();
    for (at, area) in areas.iter().take(3).enumerate() {
        // Values are 4095 at most, places below 32.
        (out.value[at], out.x[at], out.y[at]) = (area.value as u16, area.x as u8, area.y as u8);
    }
    out
}
