//! Flash films (SWF): the film without its compression.
//!
//! The part is what an uncompressed film would be: the signature `FWS`, the
//! version, the length, and what was packed behind them.

use super::decode::{Ending, Frame, inflate};
use super::{About, Outlet};
use crate::{Budget, Shortfall, Visit};

pub(crate) fn open(bytes: &[u8], budget: &Budget<'_>, visit: &mut Visit<'_>) -> Option<Shortfall> {
    let Some((head, packed)) = bytes.split_first_chunk::<8>() else {
        return Some(Shortfall::Malformed);
    };
    let mut film = head.to_vec();
    film[0] = b'F';
    Outlet::run(budget, visit, |outlet| {
        let room = outlet.room().saturating_sub(head.len());
        let ending = match head[0] {
            b'C' => inflate(packed, Frame::Zlib, &mut film, room, budget).1,
            // Not compressed: it is its own part already.
            b'F' => return Ok(()),
            _ => {
                outlet.miss(Shortfall::Unsupported);
                return Ok(());
            }
        };
        let about = About {
            shortfall: ending.shortfall(outlet.over()),
            packed: Some(bytes.len()),
            ..About::default()
        };
        outlet.hand(about, &film)?;
        match ending {
            Ending::Stopped(why) => Err(why.into()),
            _ => Ok(()),
        }
    })
}
