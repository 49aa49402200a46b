//! Icons of programs: whether a signature that asks for one may match.
//!
//! A signature names groups of icons; an `.idb` says what those look like, in
//! some sixty numbers. [`of_program`] measures the icons of a program in the
//! same way, and [`fits`] tells whether one of them is alike enough.
//!
//! What is measured, and what is alike, was settled by experiments on clamscan
//! 1.4.6, which prints the numbers of each icon that it looks at: of many
//! thousand pictures made for it, and as many lines near the border between a
//! match and none, every one came out the same.
//!
//! The icons of a layer are measured once, when the first signature asks: the
//! first [`MAX_ICONS`] of the first group, at most 256 by 256 pixels each.

mod bitmap;
mod likeness;
mod metrics;

use quahog_sig::SignatureSet;
use quahog_sig::model::{Block, IconMetrics};

use crate::context::Layer;
use crate::meter::{Interrupted, Meter};

/// The most icons of a program that are looked at, as in clamscan 1.4.6.
pub(crate) const MAX_ICONS: usize = 100;

/// The icons of a program.
#[derive(Debug, Default)]
pub(crate) struct Icons {
    /// What those look like that are of a size that can be compared.
    pub(crate) metrics: Vec<IconMetrics>,
    /// There are more than are looked at.
    pub(crate) more: bool,
    /// What measuring them cost, about in pixels touched.
    pub(crate) cost: u64,
}

/// Whether the icons of a layer are those that a block asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Likeness {
    /// One is, or none is asked for.
    Yes,
    /// None is.
    No,
    /// None of those that were looked at is.
    Open,
}

/// Measures the icons of a layer.
pub(crate) fn of_program(layer: &Layer<'_>) -> Icons {
    let Some(program) = layer.headers().sound() else { return Icons::default() };
    let bytes = layer.bytes();
    let mut icons = Icons::default();
    let offsets = program.icons(bytes);
    icons.more = offsets.len() > MAX_ICONS;
    for bitmap in offsets.into_iter().take(MAX_ICONS).filter_map(|at| bitmap::read(&bytes[at..])) {
        icons.cost += bitmap.cost;
        icons.metrics.extend(metrics::measure(&bitmap));
    }
    icons
}

/// Whether the icons of a layer are those that a block asks for.
///
/// Costs measuring them if icons of the groups are loaded and it is the first
/// time, and some hundred steps for each pair of an icon and a loaded one.
pub(crate) fn fits(
    set: &SignatureSet,
    layer: &Layer<'_>,
    block: &Block,
    meter: &dyn Meter,
) -> Result<Likeness, Interrupted> {
    if !is_asked_for(block) {
        return Ok(Likeness::Yes);
    }
    let mut wanted = set.icons().filter(|icon| is_wanted(block, icon.groups)).peekable();
    if wanted.peek().is_none() {
        return Ok(Likeness::No);
    }
    let (icons, is_new) = layer.icons();
    if is_new {
        meter.tick(icons.cost)?;
    }
    for wanted in wanted {
        meter.tick(icons.metrics.len() as u64 * likeness::COST)?;
        if icons.metrics.iter().any(|icon| likeness::is_alike(icon, wanted.metrics)) {
            return Ok(Likeness::Yes);
        }
    }
    Ok(if icons.more { Likeness::Open } else { Likeness::No })
}

/// Whether a block asks for icons of these groups; `*` stands for any.
fn is_wanted(block: &Block, groups: [&[u8]; 2]) -> bool {
    block.icon_groups.iter().zip(groups).all(|(wanted, group)| match wanted.as_deref() {
        None | Some(b"*") => true,
        Some(wanted) => wanted == group,
    })
}

/// Whether a block asks for an icon.
pub(crate) fn is_asked_for(block: &Block) -> bool {
    block.icon_groups.iter().any(Option::is_some)
}

#[cfg(test)]
mod tests {
    use quahog_sig::Span;
    use quahog_sig::ast::Field;
    use quahog_testkit::builders::exe::made_up_icon;

    use super::*;

    fn words(data: &str) -> impl Iterator<Item = Vec<&str>> {
        data.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').collect())
    }

    /// `testdata/icon/pictures.txt`: every depth, and sizes that are scaled.
    #[test]
    fn pictures_measure_what_clamscan_says() {
        let mut count = 0;
        for line in words(include_str!("../../../../testdata/icon/pictures.txt")) {
            let [seed, width, height, bits, mask, wanted] = line[..] else { panic!("{line:?}") };
            let number = |text: &str| text.parse::<u32>().expect("a number");
            let masked = mask == "masked";
            let bits = number(bits) as u16;
            let icon = made_up_icon(number(seed), number(width), number(height), bits, masked);
            let measured = bitmap::read(&icon.build()).and_then(|bitmap| metrics::measure(&bitmap));
            assert_eq!(measured.expect("an icon").to_string(), wanted, "{line:?}");
            count += 1;
        }
        assert!(count >= 15);
    }

    /// `testdata/icon/likeness.txt`: both sides of the border.
    #[test]
    fn likeness_ends_where_it_does_for_clamscan() {
        let metrics = |text: &str| {
            let span = Span::new(0, text.len());
            IconMetrics::parse(Field { text: text.as_bytes(), span }).expect("metrics")
        };
        let mut counts = [0, 0];
        for line in words(include_str!("../../../../testdata/icon/likeness.txt")) {
            let [icon, loaded, wanted] = line[..] else { panic!("{line:?}") };
            let is_alike = likeness::is_alike(&metrics(icon), &metrics(loaded));
            assert_eq!(is_alike, wanted == "alike", "{line:?}");
            counts[usize::from(is_alike)] += 1;
        }
        assert!(counts.iter().all(|&count| count > 10), "{counts:?}");
    }

    #[test]
    fn what_is_cut_off_or_of_another_shape_is_no_icon() {
        let icon = made_up_icon(3, 16, 16, 24, true).build();
        let read = |bytes: &[u8]| bitmap::read(bytes).is_some();
        assert!(read(&icon));
        assert!(!read(&icon[..icon.len() - 1]));
        // With an alpha of its own a picture needs no mask.
        let icon = made_up_icon(3, 16, 16, 32, true).build();
        let pixels = 40 + 4 * 16 * 16;
        assert!(read(&icon[..pixels]) && !read(&icon[..pixels - 1]));
        let of = |width, height| read(&made_up_icon(3, width, height, 1, false).build());
        assert!(!of(15, 15) && !of(257, 257));
        // Three quarters, rounded down, are square enough.
        assert!(of(24, 33) && !of(24, 34) && of(43, 32) && !of(44, 32));
        assert!(!read(b"\x89PNG\r\n\x1a\n and the rest of a picture, but none that counts"));
    }
}
