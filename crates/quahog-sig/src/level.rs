//! Functionality levels: what a line demands of the engine.
//!
//! Read *before* anything else of a line, by a scan that works for any number
//! of fields, so that a line written for a newer engine is never an error.

use crate::ast;
use crate::{Format, Grammar};

/// The level whose language this crate reads: that of ClamAV 1.4.6.
pub const FLEVEL: u32 = 216;

/// What a line says of the levels that it is meant for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// Nothing.
    Absent,
    /// Both ends, inclusive; an open end is 0 or `u32::MAX`.
    Range(u32, u32),
    /// There is a level field, and it is no number.
    Unreadable,
}

impl Level {
    /// Reads the level of a line, whatever the rest of it looks like.
    pub fn of(format: Format, line: &[u8]) -> Level {
        let (min, max) = match format.grammar() {
            Grammar::Extended => (4, 5),
            Grammar::FileHash | Grammar::AllowHash | Grammar::SectionHash | Grammar::ImportHash => {
                (3, 4)
            }
            Grammar::Container => (10, 11),
            Grammar::Feature => (2, 3),
            Grammar::Ioc => (3, 4),
            Grammar::Magic => (6, 7),
            Grammar::Logical | Grammar::Password => return Level::of_block(line),
            Grammar::Certificate => return Level::of_certificate(line),
            Grammar::Phishing => {
                let levels = ast::Phishing::parse(line).ok().and_then(|entry| entry.levels);
                let levels = levels.and_then(|levels| ast::levels_of(levels.text));
                return levels.map_or(Level::Absent, |(min, max)| Level::Range(min, max));
            }
            _ => return Level::Absent,
        };
        let mut fields = ast::fields(line, b':').map(|field| field.text);
        let Some(low) = fields.nth(min) else { return Level::Absent };
        let high = fields.nth(max - min - 1);
        // A hash line's level is read the way C's atoi reads: `abc` is 0.
        let lenient = matches!(
            format.grammar(),
            Grammar::FileHash
                | Grammar::AllowHash
                | Grammar::SectionHash
                | Grammar::ImportHash
                | Grammar::Feature
        );
        let read = |text: &[u8]| match ast::number(text) {
            Some(n) => Some(n),
            None if lenient => Some(leading_number(text)),
            None => None,
        };
        match (read(low), high.map(read)) {
            (Some(low), None) => Level::Range(low, u32::MAX),
            (Some(low), Some(Some(high))) => Level::Range(low, high),
            _ => Level::Unreadable,
        }
    }

    /// The `Engine:` attribute of a target description block, wherever it stands.
    fn of_block(line: &[u8]) -> Level {
        let Some(block) = ast::fields(line, b';').nth(1) else { return Level::Absent };
        let value = block.text.split(|&b| b == b',').find_map(|a| a.strip_prefix(b"Engine:"));
        let Some(value) = value else { return Level::Absent };
        Level::parse_range(value)
    }

    /// The last fields of a rule for certificates.
    fn of_certificate(line: &[u8]) -> Level {
        let mut fields = line.split(|&b| b == b';').skip(11);
        match (fields.next().map(ast::number), fields.next().map(ast::number)) {
            (None, _) => Level::Absent,
            (Some(Some(low)), None) => Level::Range(low, u32::MAX),
            (Some(Some(low)), Some(Some(high))) => Level::Range(low, high),
            _ => Level::Unreadable,
        }
    }

    /// Reads `min-max`, where each side may be missing: an empty side is 0, as
    /// everywhere in this language.
    pub(crate) fn parse_range(value: &[u8]) -> Level {
        let mut sides = value.splitn(2, |&b| b == b'-');
        let low = ast::number(sides.next().unwrap_or_default());
        let high = sides.next().map(ast::number);
        match (low, high) {
            (_, None) => Level::Unreadable,
            (Some(low), Some(Some(high))) => Level::Range(low, high),
            _ => Level::Unreadable,
        }
    }
}

fn leading_number(text: &[u8]) -> u32 {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    ast::number(&text[..digits]).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_found_whatever_the_rest_looks_like() {
        let of = |format, line: &str| Level::of(format, line.as_bytes());
        assert_eq!(of(Format::Ndb, "a:0:*:61"), Level::Absent);
        assert_eq!(of(Format::Ndb, "a:0:*:zz:300:400:extra:extra"), Level::Range(300, 400));
        assert_eq!(of(Format::Ndb, "a:0:*:61:51"), Level::Range(51, u32::MAX));
        assert_eq!(of(Format::Ndb, "a:0:*:61:51:"), Level::Range(51, 0));
        assert_eq!(of(Format::Ndb, "a:0:*:61:x"), Level::Unreadable);
        assert_eq!(of(Format::Hdb, "a:1:n:x"), Level::Range(0, u32::MAX));
        assert_eq!(of(Format::Ldb, "a;Target:0,Engine:300-400;??"), Level::Range(300, 400));
        assert_eq!(of(Format::Ldb, "a;Target:0;0;61"), Level::Absent);
    }
}
