//! Icons of programs: whether a signature that asks for one may match.
//!
//! A signature names groups of icons; an `.idb` says what those look like, in
//! some sixty numbers. Comparing a program's icons with them is not implemented,
//! so what can be said is when there is nothing to compare: no icon of the
//! group is loaded, or the program has none. Everything else stays open, and
//! whoever scans says so.

use quahog_sig::SignatureSet;
use quahog_sig::model::Block;

use crate::context::Layer;

/// Whether the icons of a layer may be those that a block asks for, if it does.
///
/// Costs a walk over the resources of the layer if icons of the group are
/// loaded, and next to nothing otherwise.
pub(crate) fn may_fit(set: &SignatureSet, layer: &Layer<'_>, block: &Block) -> bool {
    if !is_asked_for(block) {
        return true;
    }
    let wanted = |icon: [&[u8]; 2]| {
        block.icon_groups.iter().zip(icon).all(|(wanted, group)| match wanted.as_deref() {
            None | Some(b"*") => true,
            Some(wanted) => wanted == group,
        })
    };
    set.icons().any(|icon| wanted(icon.groups))
        && layer.headers().sound().is_some_and(|program| program.has_icons(layer.bytes()))
}

/// Whether a block asks for an icon.
pub(crate) fn is_asked_for(block: &Block) -> bool {
    block.icon_groups.iter().any(Option::is_some)
}
