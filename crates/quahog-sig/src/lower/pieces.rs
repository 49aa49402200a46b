//! Reading a text in pieces, each by a builder of its own.
//!
//! Pieces can be read on several threads; put together in their order they give
//! the set that one builder would have made of the whole text.

use super::{Columns, MAX_ARENA, MAX_ROWS, SetBuilder};
use crate::model::set::{CodeRange, SubKind};
use crate::{Format, Grammar};

impl SetBuilder {
    /// Whether texts of this format may be read in pieces.
    pub fn takes_pieces(format: Format) -> bool {
        matches!(
            format.grammar(),
            Grammar::AllowHash
                | Grammar::Extended
                | Grammar::FileHash
                | Grammar::ImportHash
                | Grammar::Logical
                | Grammar::SectionHash
                | Grammar::Simple
        )
    }

    /// A builder for a piece of the current source: it leaves out what this one
    /// does, and holds no signature yet.
    pub fn piece(&self) -> SetBuilder {
        let columns = Columns { sources: self.columns.sources.clone(), ..Columns::default() };
        SetBuilder {
            columns,
            ignore: self.ignore.clone(),
            pua: self.pua.clone(),
            strict_frames: self.strict_frames,
            without_phishing: self.without_phishing,
            programs: self.programs,
            ..SetBuilder::default()
        }
    }

    /// Whether the signatures of a piece still fit.
    pub fn has_room_for(&self, piece: &SetBuilder) -> bool {
        let (own, more) = (&self.columns, &piece.columns);
        let fits = |a: usize, b: usize, most: usize| a.saturating_add(b) <= most;
        fits(own.code.len(), more.code.len(), MAX_ARENA)
            && fits(own.bodies.len(), more.bodies.len(), MAX_ROWS)
            && fits(own.logicals.len(), more.logicals.len(), MAX_ROWS)
            && fits(own.subs.len(), more.subs.len(), u32::MAX as usize)
            && rows(own).zip(rows(more)).all(|(own, more)| {
                fits(own.len(), more.len(), MAX_ROWS)
                    && fits(own.name_bytes(), more.name_bytes(), MAX_ARENA)
            })
    }

    /// Appends the signatures of a piece, behind all that are here.
    ///
    /// Of formats that come in pieces only: see
    /// [`takes_pieces`](Self::takes_pieces). What has no room is dropped, so ask
    /// [`has_room_for`](Self::has_room_for) first.
    pub fn append(&mut self, piece: &SetBuilder) {
        if !self.has_room_for(piece) {
            return;
        }
        let blocks: Vec<u32> =
            piece.columns.blocks.iter().map(|block| self.block(block.clone())).collect();
        let (own, more) = (&mut self.columns, &piece.columns);
        let code = own.code.len();
        own.code.to_mut().extend_from_slice(&more.code);
        own.bodies.extend(more.bodies.iter().map(|mut row| {
            row.code = row.code.shifted(code);
            row
        }));
        let first_sub = own.subs.len() as u32; // checked above
        own.logicals.extend(more.logicals.iter().map(|mut row| {
            row.block = blocks.get(row.block as usize).copied().unwrap_or_default();
            row.expression = row.expression.shifted(code);
            row.first_sub += first_sub;
            row
        }));
        let n_pcres = own.n_pcres;
        for mut row in more.subs.iter() {
            row.code = row.code.shifted(code);
            row.second = row.second.map(|range: CodeRange| range.shifted(code));
            if let SubKind::Pcre { index, .. } = &mut row.kind {
                *index += n_pcres;
            }
            own.subs.push(&row);
        }
        own.n_pcres += more.n_pcres;
        own.raw_first |= more.raw_first;
        own.body_rows.append(&more.body_rows);
        own.logical_rows.append(&more.logical_rows);
        let parts = own.part_rows.iter_mut().flatten();
        let more_parts = more.part_rows.iter().flatten();
        let hash_rows = own.hash_rows.iter_mut().chain(parts);
        hash_rows.zip(more.hash_rows.iter().chain(more_parts)).for_each(|(a, b)| a.append(b));
        let hashes = own.hashes.iter_mut().chain(&mut own.allowed);
        let hashes = hashes.chain(own.parts.iter_mut().flatten());
        let more_hashes = more.hashes.iter().chain(&more.allowed);
        let more_hashes = more_hashes.chain(more.parts.iter().flatten());
        hashes.zip(more_hashes).for_each(|(a, b)| a.append(b));
    }
}

fn rows(columns: &Columns) -> impl Iterator<Item = &crate::model::rows::Rows> {
    let hashes = columns.hash_rows.iter().chain(columns.part_rows.iter().flatten());
    hashes.chain([&columns.body_rows, &columns.logical_rows])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[(Format, &str)] = &[
        (Format::Ndb, "A-1-0:0:*:616263"),
        (Format::Ndb, "A-2-0:1:EP+0:6162??6465"),
        (Format::Ldb, "B-1;Target:0;0&1;6162;0/x+/"),
        (Format::Ldb, "B-2;Engine:81-255,Container:CL_TYPE_ZIP,Target:7;0|1;6162::wa;0/y/i"),
        (Format::Hdb, "6b875428a97a85cab2f19f595921545d:26:C-1"),
        (Format::Mdb, "512:6b875428a97a85cab2f19f595921545d:D-5-6"),
        (Format::Fp, "6b875428a97a85cab2f19f595921545d:27:E"),
        (Format::Db, "F=61626364"),
    ];

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let read = |builder: &mut SetBuilder, lines: &[(Format, &str)], from: u32| {
            for ((format, line), number) in lines.iter().zip(from..) {
                assert!(SetBuilder::takes_pieces(*format));
                builder.line(*format, number, line.as_bytes()).expect("a good line");
            }
        };
        let mut whole = SetBuilder::new();
        whole.source("x", false);
        read(&mut whole, LINES, 1);
        read(&mut whole, LINES, 9);
        let mut pieced = SetBuilder::new();
        pieced.source("x", false);
        for from in [1, 9] {
            let mut piece = pieced.piece();
            read(&mut piece, LINES, from);
            pieced.append(&piece);
        }
        let (whole, pieced) = (whole.finish(), pieced.finish());
        assert_eq!(whole.digest(), pieced.digest());
        assert_eq!(whole.len(), pieced.len());
        for (a, b) in whole.logicals().zip(pieced.logicals()) {
            assert_eq!(format!("{:?}", a.block), format!("{:?}", b.block));
            let subs = |l: crate::model::Logical<'_>| {
                format!("{:?}", l.subsignatures().collect::<Vec<_>>())
            };
            assert_eq!(subs(a), subs(b));
            assert_eq!(whole.origin(a.id), pieced.origin(b.id));
            assert_eq!(whole.name(a.id), pieced.name(b.id));
        }
    }
}
