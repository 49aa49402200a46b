//! placeholder
use crate::{Budget, Shortfall, Visit};
pub(crate) fn open(_bytes: &[u8], _budget: &Budget<'_>, _visit: &mut Visit<'_>) -> Option<Shortfall> {
    Some(Shortfall::Unsupported)
}
