//! When two icons are alike.
//!
//! Each kind of areas is worth up to 100. An area counts if a loaded one of
//! the same kind is about as strong and not far off, the more the nearer; the
//! weighted mean of all has to reach a threshold.

use quahog_sig::model::{Areas, IconMetrics};

/// About how many steps [`is_alike`] takes.
pub(super) const COST: u64 = 128;

/// How much values of colour, and all others, may differ: a fifth of the
/// largest.
const COLOR_TOLERANCE: u16 = 814;
const TOLERANCE: u16 = 51;

/// Whether an icon looks like one that is loaded.
pub(super) fn is_alike(icon: &IconMetrics, wanted: &IconMetrics) -> bool {
    if icon.size != wanted.size {
        return false;
    }
    // How far areas may be apart, and the threshold in percent.
    let (reach, threshold) = match icon.size {
        16 => (3, 72),
        24 => (4, 68),
        _ => (6, 64),
    };
    let alike = |icon: &[&Areas], wanted: &[&Areas], tolerance| {
        let worth: u32 = areas(icon).map(|area| worth(area, wanted, tolerance, reach)).sum();
        // Three in each, and two kinds at most.
        worth / (3 * icon.len() as u32)
    };
    let bright = alike(&[&icon.bright], &[&wanted.bright], TOLERANCE);
    let dark = alike(&[&icon.dark], &[&wanted.dark], TOLERANCE);
    let is_colored = [icon, wanted].map(|icon| icon.spread[3] > 0);
    if is_colored == [false, false] {
        let edge = alike(&[&icon.edge, &icon.color], &[&wanted.edge, &wanted.color], TOLERANCE);
        let smooth = alike(&[&icon.smooth, &icon.gray], &[&wanted.smooth, &wanted.gray], TOLERANCE);
        return bright + dark + 2 * edge + smooth >= 5 * 84;
    }
    let edge = alike(&[&icon.edge], &[&wanted.edge], TOLERANCE);
    let smooth = alike(&[&icon.smooth], &[&wanted.smooth], TOLERANCE);
    let (mut color, mut gray) = (0, 0);
    // Between one with colours and one without they say nothing.
    if is_colored == [true, true] {
        color = alike(&[&icon.color], &[&wanted.color], COLOR_TOLERANCE);
        gray = alike(&[&icon.gray], &[&wanted.gray], COLOR_TOLERANCE);
    }
    let spread = icon.spread.iter().zip(&wanted.spread);
    let spread: u32 =
        spread.map(|(a, b)| 100u32.saturating_sub(10 * u32::from(a.abs_diff(*b)))).sum();
    3 * (color + dark + edge + spread / 4) + 2 * (gray + bright + smooth) >= 18 * threshold
}

/// Value and place of each area.
fn areas<'a>(kinds: &'a [&'a Areas]) -> impl Iterator<Item = (u16, u8, u8)> + 'a {
    kinds.iter().flat_map(|kind| (0..3).map(move |at| (kind.value[at], kind.x[at], kind.y[at])))
}

/// What an area counts: that of the nearest wanted one which is about as
/// strong, from 100 in the same place down to 40 at the limit of the reach.
fn worth(area: (u16, u8, u8), wanted: &[&Areas], tolerance: u16, reach: u32) -> u32 {
    let (value, x, y) = area;
    // No average is that large where values are bytes: there was no such area.
    if tolerance == TOLERANCE && value > 255 {
        return 0;
    }
    let near = areas(wanted).filter(|other| value.abs_diff(other.0) <= tolerance);
    let distance = |(_, other_x, other_y): (u16, u8, u8)| {
        let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
        (square(x, other_x) + square(y, other_y)).isqrt()
    };
    let nearest = near.map(distance).min().filter(|&distance| distance <= reach);
    nearest.map_or(0, |distance| 100 - 60 * distance / reach)
}
