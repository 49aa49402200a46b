//! Icons of programs: what they look like, and whether two are alike.
//!
//! Pictures are rows of pixels here and areas are added up one by one. The
//! rules were learnt from what clamscan 1.4.6 prints of icons made for it.

use super::Reason;
use super::exe::number;

/// Icons that are compared, of any one program.
const MOST: usize = 100;

/// An icon of an `.idb`.
#[derive(Clone, Debug)]
pub(super) struct Icon {
    pub(super) groups: [String; 2],
    look: Look,
}

/// Strength and place (right and down) of an area.
type Area = (i64, i64, i64);

/// What an icon looks like.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Look {
    size: i64,
    /// Most and least coloured, brightest, darkest, most and least edged.
    kinds: [Vec<Area>; 6],
    /// Red, green, blue and the coloured, in percent.
    shares: Vec<i64>,
}

impl Icon {
    /// Parses a line of four fields.
    pub(super) fn parse(fields: &[&str]) -> Result<Icon, Reason> {
        let [_, first, second, digits] = fields else { return Err("not four fields") };
        if digits.len() != 124 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err("not 124 digits");
        }
        let groups = [(*first).to_owned(), (*second).to_owned()];
        Ok(Icon { groups, look: Look::parse(digits)? })
    }

    /// Whether one of the icons of a program is like this one.
    pub(super) fn is_in(&self, bytes: &[u8], offsets: &[i64]) -> bool {
        let pictures = offsets.iter().take(MOST).filter_map(|&at| picture(bytes, at));
        pictures.filter_map(|picture| Look::of(&picture)).any(|look| look.is_like(&self.look))
    }
}

type Pixel = [i64; 3];
type Rows<T> = Vec<Vec<T>>;

/// The picture of the icon at an offset, as large as it is compared.
fn picture(bytes: &[u8], at: i64) -> Option<Rows<Pixel>> {
    let get = |n, size| number(bytes, at + n, size, false);
    let (header, width, height) = (get(0, 4)?, get(4, 4)?, get(8, 4)? / 2);
    // The last field of the header has to be there.
    get(36, 4)?;
    let bits = get(14, 2)?;
    let is_size = |size| (16..=256).contains(&size);
    if header < 40
        || !is_size(width)
        || !is_size(height)
        || width.max(height) * 3 / 4 > width.min(height)
        || ![1, 4, 8, 16, 24, 32].contains(&bits)
    {
        return None;
    }
    let palette = at + header;
    let start = palette + if bits <= 8 { 4 << bits } else { 0 };
    let row = (width * bits + 31) / 32 * 4;
    let mask = start + row * height;
    let mask_row = (width + 31) / 32 * 4;
    let has = |end: i64| usize::try_from(end).is_ok_and(|end| end <= bytes.len());
    let has_mask = has(mask + mask_row * height);
    if !has(mask) || !has_mask && bits != 32 {
        return None;
    }
    // Colour and opacity, from the top.
    let pixel = |x: i64, y: i64| -> Option<(Pixel, i64)> {
        let line = start + row * (height - 1 - y);
        let rgb = |at| Some([get_at(bytes, at + 2)?, get_at(bytes, at + 1)?, get_at(bytes, at)?]);
        match bits {
            32 => Some((rgb(line + 4 * x)?, get_at(bytes, line + 4 * x + 3)?)),
            24 => Some((rgb(line + 3 * x)?, 0)),
            16 => Some(high_color(number(bytes, line + 2 * x, 2, false)?)),
            _ => {
                let bit = x * bits;
                let index = get_at(bytes, line + bit / 8)? >> (8 - bits - bit % 8);
                Some((rgb(palette + 4 * (index % (1 << bits)))?, 0))
            }
        }
    };
    let on_white = |(color, alpha): (Pixel, i64)| color.map(|c| c * alpha / 255 + 255 - alpha);
    let all: Rows<(Pixel, i64)> = (0..height)
        .map(|y| (0..width).map(|x| pixel(x, y)).collect::<Option<_>>())
        .collect::<Option<_>>()?;
    let has_alpha = bits == 32 && all.iter().flatten().any(|pixel| pixel.1 != 0);
    let is_masked = |x: i64, y: i64| {
        let byte = get_at(bytes, mask + mask_row * (height - 1 - y) + x / 8);
        has_mask && byte.is_some_and(|byte| byte >> (7 - x % 8) & 1 == 1)
    };
    let shown = (0..).zip(&all).map(|(y, line)| {
        let cell = |(x, pixel): (i64, &(Pixel, i64))| {
            if has_alpha || is_masked(x, y) { on_white(*pixel) } else { pixel.0 }
        };
        (0..).zip(line).map(cell).collect()
    });
    Some(scaled(shown.collect()))
}

fn get_at(bytes: &[u8], at: i64) -> Option<i64> {
    number(bytes, at, 1, false)
}

/// A colour of 16 bits, with the bits where clamscan moves them.
fn high_color(value: i64) -> (Pixel, i64) {
    let bit = |n: i64, to: i64| (value >> n & 1) << to;
    let blue =
        (0..5).map(|n| bit(n, n + 3)).sum::<i64>() + (2..5).map(|n| bit(n, n - 2)).sum::<i64>();
    let green = bit(5, 6) + bit(6, 7) + bit(7, 3) + bit(8, 4) + bit(9, 5);
    let red = [
        (7, 0),
        (8, 1),
        (9, 2),
        (10, 6),
        (11, 7),
        (10, 1),
        (11, 2),
        (12, 3),
        (13, 4),
        (14, 5),
        (15, 6),
    ];
    let red = red.into_iter().fold(0, |red, (from, to)| red | bit(from, to));
    (([red, green, blue]), (12..16).map(|n| bit(n, n - 12)).sum())
}

fn scaled(mut rows: Rows<Pixel>) -> Rows<Pixel> {
    let (mut width, height) = (rows[0].len(), rows.len());
    if width == height && (width % 24 == 0 || width % 32 == 0) {
        while width > 32 {
            width /= 2;
            let half = |a: Pixel, b: Pixel| [0, 1, 2].map(|n| (a[n] + b[n]) / 2);
            let across: Rows<Pixel> = rows
                .iter()
                .map(|row| row.chunks(2).map(|pair| half(pair[0], pair[1])).collect())
                .collect();
            let down = |pair: &[Vec<Pixel>]| {
                pair[0].iter().zip(&pair[1]).map(|(&a, &b)| half(a, b)).collect()
            };
            rows = across.chunks(2).map(down).collect();
        }
        return rows;
    }
    let size = [16, 24].into_iter().find(|size| width + height <= 2 * size + 8).unwrap_or(32);
    let column = |x: usize| (x as f64 * width as f64 / size as f64 + 0.5).floor() as usize;
    (0..size).map(|y| (0..size).map(|x| rows[y * height / size][column(x)]).collect()).collect()
}

impl Look {
    fn parse(digits: &str) -> Result<Look, Reason> {
        let mut rest = digits;
        let mut take = |count: usize| {
            let (digits, after) = rest.split_at(count);
            rest = after;
            i64::from_str_radix(digits, 16).unwrap_or(i64::MAX)
        };
        let size = take(2);
        if ![16, 24, 32].contains(&size) {
            return Err("icon of another size");
        }
        let kinds = [3, 3, 2, 2, 2, 2]
            .map(|count| (0..3).map(|_| (take(count), take(2), take(2))).collect::<Vec<Area>>());
        let shares: Vec<i64> = (0..4).map(|_| take(2)).collect();
        let limit = size * 7 / 8;
        if kinds.iter().flatten().any(|&(value, x, y)| value > 4072 || x > limit || y > limit) {
            return Err("area that no icon has");
        }
        if shares[..3].iter().sum::<i64>() > 103 || shares[3] > 100 {
            return Err("shares that no icon has");
        }
        Ok(Look { size, kinds, shares })
    }

    fn of(rows: &Rows<Pixel>) -> Option<Look> {
        let size = i64::try_from(rows.len()).ok()?;
        if ![16, 24, 32].contains(&size) {
            return None;
        }
        let each = |value: &dyn Fn(Pixel) -> i64| -> Rows<i64> {
            rows.iter().map(|row| row.iter().map(|&pixel| value(pixel)).collect()).collect()
        };
        let value = |pixel: Pixel| pixel.into_iter().max().unwrap_or(0);
        let range = |pixel: Pixel| value(pixel) - pixel.into_iter().min().unwrap_or(0);
        let saturation = |pixel: Pixel| 255 * range(pixel) / value(pixel).max(1);
        let bright = each(&value);
        let (edged, plain) = (areas(&edges(rows), 6, true), areas(&edges(rows), 6, false));
        let colored: Vec<Pixel> = rows
            .iter()
            .flatten()
            .copied()
            .filter(|&pixel| value(pixel) > 85 && saturation(pixel) > 85)
            .collect();
        let count = i64::try_from(colored.len()).ok()?;
        let percent = count * 100 / (size * size);
        let (color, gray, shares);
        if percent > 5 {
            let vivid = each(&|pixel| {
                (saturation(pixel) as f64 * (value(pixel) as f64).sqrt()).floor() as i64
            });
            (color, gray) = (areas(&vivid, 3, true), areas(&vivid, 3, false));
            let share = |n: usize| {
                let sum: i64 = colored.iter().map(|&pixel| share(pixel, n)).sum();
                sum / count
            };
            shares = vec![share(0), share(1), share(2), percent];
        } else {
            color = edged[3..].to_vec();
            let rest = plain[3..].iter().zip(&color);
            gray = rest.map(|(&(value, ..), &(_, x, y))| (value, x, y)).collect();
            shares = vec![0; 4];
        }
        let kinds = [
            color,
            gray,
            areas(&bright, 3, true),
            areas(&bright, 3, false),
            edged[..3].to_vec(),
            plain[..3].to_vec(),
        ];
        Some(Look { size, kinds, shares })
    }

    fn is_like(&self, loaded: &Look) -> bool {
        if self.size != loaded.size {
            return false;
        }
        let reach = self.size * 3 / 16;
        // The mean worth of the areas of some kinds.
        let mean = |kinds: &[usize], tolerance: i64| {
            let all = |look: &Look| -> Vec<Area> {
                kinds.iter().flat_map(|&kind| look.kinds[kind].clone()).collect()
            };
            let worth = |&(value, x, y): &Area| {
                let near = |&(other, other_x, other_y): &Area| {
                    let off = (((x - other_x).pow(2) + (y - other_y).pow(2)) as f64).sqrt();
                    let off = off.floor() as i64;
                    let fits = (value - other).abs() <= tolerance && off <= reach;
                    // Bytes are all that edges can be worth.
                    let real = tolerance != 51 || value < 256;
                    if fits && real { 100 - 60 * off / reach } else { 0 }
                };
                all(loaded).iter().map(near).max().unwrap_or(0)
            };
            let areas = all(self);
            areas.iter().map(worth).sum::<i64>() / i64::try_from(areas.len()).unwrap_or(1)
        };
        let colors = [self.shares[3] > 0, loaded.shares[3] > 0];
        let (bright, dark) = (mean(&[2], 51), mean(&[3], 51));
        if colors == [false, false] {
            let (edged, plain) = (mean(&[4, 0], 51), mean(&[5, 1], 51));
            return (bright + dark + 2 * edged + plain) / 5 >= 84;
        }
        let both = colors == [true, true];
        let (color, gray) = if both { (mean(&[0], 814), mean(&[1], 814)) } else { (0, 0) };
        let shares = self.shares.iter().zip(&loaded.shares);
        let shares = shares.map(|(a, b)| (100 - 10 * (a - b).abs()).max(0)).sum::<i64>() / 4;
        let heavy = color + dark + mean(&[4], 51) + shares;
        let light = gray + bright + mean(&[5], 51);
        // 72, 68 and 64 percent of 18 times 100.
        3 * heavy + 2 * light >= 18 * (80 - self.size / 2)
    }
}

/// What a colour of the wheel has in a pixel, in percent, rounded up: red,
/// green or blue, or the one that lies across from it.
fn share(pixel: Pixel, n: usize) -> i64 {
    let mut sorted = pixel;
    sorted.sort_unstable();
    let [low, middle, high] = sorted;
    let up = |part: i64| (100 * part + high - low - 1) / (high - low);
    // Of two highest values none is the highest: their mixture is.
    if pixel[n] == high && middle < high {
        up(high - middle)
    } else if pixel[n] == low && middle > low {
        up(middle - low)
    } else {
        0
    }
}

/// Gradients of the distance from a middle grey, blurred.
fn edges(rows: &Rows<Pixel>) -> Rows<i64> {
    let size = rows.len();
    let far: Rows<f64> =
        rows.iter().map(|row| row.iter().map(|&pixel| from_gray(pixel)).collect()).collect();
    let inner = || (1..size - 1).flat_map(|y| (1..size - 1).map(move |x| (x, y)));
    let mut found = vec![vec![0; size]; size];
    for (x, y) in inner() {
        let (mut across, mut down) = (0.0, 0.0);
        for (step, weight) in [(0, 1.0), (1, 2.0), (2, 1.0)] {
            across += weight * (far[y + step - 1][x + 1] - far[y + step - 1][x - 1]);
            down += weight * (far[y + 1][x + step - 1] - far[y - 1][x + step - 1]);
        }
        found[y][x] = across.hypot(down).floor() as i64;
    }
    let most = found.iter().flatten().copied().max().unwrap_or(0);
    for (x, y) in inner() {
        found[y][x] = if most == 0 { rows[y][x][2] } else { found[y][x] * 255 / most };
    }
    let mut blurred = vec![vec![0; size]; size];
    for (x, y) in inner() {
        blurred[y][x] = (found[y][x - 1] + 2 * found[y][x] + found[y][x + 1]) / 4;
    }
    // In place: what is above is blurred already.
    for (x, y) in inner() {
        blurred[y][x] = (blurred[y - 1][x] + 2 * blurred[y][x] + blurred[y + 1][x]) / 4;
    }
    blurred
}

/// The distance of a colour from a middle grey in CIE L*a*b*.
fn from_gray(pixel: Pixel) -> f64 {
    let lab = |pixel: Pixel| {
        let linear = pixel.map(|value| {
            let value = value as f64 / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        let light = |weights: [f64; 3], white: f64| {
            let sum: f64 = weights.iter().zip(linear).map(|(weight, value)| weight * value).sum();
            let t = sum / white;
            if t <= 0.008856 { 7.787 * t + 16.0 / 116.0 } else { t.powf(1.0 / 3.0) }
        };
        let x = light([0.4124, 0.3576, 0.1805], 0.95047);
        let y = light([0.2126, 0.7152, 0.0722], 1.0);
        let z = light([0.0193, 0.1192, 0.9505], 1.08883);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    };
    let (color, gray) = (lab(pixel), lab([127; 3]));
    color.iter().zip(gray).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// The areas that are worth the most or the least, none over another.
fn areas(map: &Rows<i64>, count: usize, most: bool) -> Vec<Area> {
    let size = map.len();
    let side = size / 4;
    let mut all = Vec::new();
    for y in 0..size - side {
        for x in 0..size - side - 1 {
            let sum: i64 = map[y..y + side].iter().flat_map(|row| &row[x..x + side]).sum();
            all.push((if most { -sum } else { sum }, y, x));
        }
    }
    // Of equals the first counts, row after row.
    all.sort_unstable();
    let pixels = i64::try_from(side * side).unwrap_or(1);
    let mut taken: Vec<(usize, usize)> = Vec::new();
    let mut found = Vec::new();
    for (sum, y, x) in all {
        let free = taken.iter().all(|&(a, b)| a.abs_diff(y) >= side || b.abs_diff(x) >= side);
        if found.len() < count && free && (!most || sum < 0) {
            taken.push((y, x));
            let place = |at: usize| i64::try_from(at).unwrap_or(0);
            found.push((sum.abs() / pixels, place(x), place(y)));
        }
    }
    found.resize(count, (if most { 0 } else { 65_535 / pixels }, 0, 0));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builders::exe::made_up_icon;

    fn words(data: &str) -> impl Iterator<Item = Vec<&str>> {
        data.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').collect())
    }

    #[test]
    fn pictures_look_as_clamscan_says() {
        for line in words(include_str!("../../../../testdata/icon/pictures.txt")) {
            let [seed, width, height, bits, mask, wanted] = line[..] else { panic!("{line:?}") };
            let number = |text: &str| text.parse::<u32>().expect("a number");
            let masked = mask == "masked";
            let bits = number(bits) as u16;
            let icon = made_up_icon(number(seed), number(width), number(height), bits, masked);
            let look = picture(&icon.build(), 0).as_ref().and_then(Look::of);
            assert_eq!(look, Look::parse(wanted).ok(), "{line:?}");
        }
    }

    #[test]
    fn likeness_is_decided_as_by_clamscan() {
        for line in words(include_str!("../../../../testdata/icon/likeness.txt")) {
            let [icon, loaded, wanted] = line[..] else { panic!("{line:?}") };
            let look = |digits| Look::parse(digits).expect("metrics");
            assert_eq!(look(icon).is_like(&look(loaded)), wanted == "alike", "{line:?}");
        }
    }
}
