//! Flash films (SWF): the film without its compression.
//!
//! The part is what an uncompressed film would be: the signature `FWS`, the
//! version, the length, and what was packed behind them.

use super::decode::{Ending, Frame, inflate};
use super::{About, Outlet, u32_at};
use crate::archive::lzma;
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
            b'Z' => unpack_lzma(packed, &mut film, room, budget),
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

/// The length of the data, the properties of LZMA, and the data, which has an
/// end mark.
fn unpack_lzma(packed: &[u8], film: &mut Vec<u8>, room: usize, budget: &Budget<'_>) -> Ending {
    let (Some(&properties), Some(dictionary)) = (packed.get(4), u32_at(packed, 5)) else {
        return Ending::Damaged;
    };
    let data = packed.get(9..).unwrap_or_default();
    // What is in the film already counts to the room of the decoder.
    let room = room.saturating_add(film.len());
    lzma::raw(data, film, room, budget, properties, dictionary, u64::MAX).1
}
