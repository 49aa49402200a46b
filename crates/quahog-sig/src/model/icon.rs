//! Icons: what a picture of a program's icon is like, in some sixty numbers.
//!
//! What each number may be at most was settled by experiments on clamscan
//! 1.4.6, which refuses a line with a larger one.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ast::Field;
use crate::{Error, ErrorKind};

/// The most telling places of one kind in an icon, the strongest first.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Areas {
    /// How strong each is.
    pub value: [u16; 3],
    /// Where each begins, from the left.
    pub x: [u8; 3],
    /// Where each begins, from the top.
    pub y: [u8; 3],
}

/// What an icon looks like, roughly.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct IconMetrics {
    /// Width and height: 16, 24 or 32.
    pub size: u8,
    /// Places of strong colour.
    pub color: Areas,
    /// Places of little colour.
    pub gray: Areas,
    /// Bright places.
    pub bright: Areas,
    /// Dark places.
    pub dark: Areas,
    /// Places with edges.
    pub edge: Areas,
    /// Places without.
    pub smooth: Areas,
    /// How much of what has a colour is red, green and blue, and how much of
    /// the icon has a colour at all, in percent.
    ///
    /// Without any colour the areas of `color` and `gray` are further ones of
    /// `edge` and `smooth`.
    pub spread: [u8; 4],
}

impl IconMetrics {
    /// Reads 124 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// There are more, fewer or other characters, the size is none of 16, 24
    /// and 32, or a number is larger than it can be in an icon of that size.
    pub fn parse(field: Field<'_>) -> Result<IconMetrics, Error> {
        if field.text.len() != DIGITS {
            return Err(field.error(ErrorKind::IconMetrics));
        }
        let mut digits = Digits { field, at: 0 };
        let size = digits.byte()?;
        if !matches!(size, 16 | 24 | 32) {
            return Err(field.slice(0, 2).error(ErrorKind::IconMetrics));
        }
        let icon = IconMetrics {
            size,
            color: digits.areas(3, size)?,
            gray: digits.areas(3, size)?,
            bright: digits.areas(2, size)?,
            dark: digits.areas(2, size)?,
            edge: digits.areas(2, size)?,
            smooth: digits.areas(2, size)?,
            spread: [digits.byte()?, digits.byte()?, digits.byte()?, digits.byte()?],
        };
        let [red, green, blue, colored] = icon.spread.map(u32::from);
        if red + green + blue > MAX_SPREAD || colored > 100 {
            return Err(field.slice(DIGITS - 8, DIGITS).error(ErrorKind::IconRange));
        }
        Ok(icon)
    }
}

/// The 124 digits that [`IconMetrics::parse`] reads.
impl fmt::Display for IconMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.size)?;
        let kinds = [&self.color, &self.gray, &self.bright, &self.dark, &self.edge, &self.smooth];
        for (kind, len) in kinds.into_iter().zip([3, 3, 2, 2, 2, 2]) {
            for at in 0..3 {
                let (value, x, y) = (kind.value[at], kind.x[at], kind.y[at]);
                write!(f, "{value:0len$x}{x:02x}{y:02x}")?;
            }
        }
        self.spread.iter().try_for_each(|share| write!(f, "{share:02x}"))
    }
}

/// The length of the metrics of an icon.
const DIGITS: usize = 124;

/// The most colour that a place can have: saturation times the root of the
/// brightness, both up to 255.
const MAX_COLOR: u16 = 4072;

/// Shares of a whole, each rounded up for each pixel.
const MAX_SPREAD: u32 = 103;

/// Numbers of a known number of digits, one after the other.
struct Digits<'l> {
    field: Field<'l>,
    at: usize,
}

impl Digits<'_> {
    fn number(&mut self, len: usize) -> Result<u16, Error> {
        let digits = self.field.slice(self.at, self.at + len);
        self.at += len;
        digits.text.iter().try_fold(0u16, |number, &digit| {
            let value = char::from(digit).to_digit(16).ok_or(digits.error(ErrorKind::HexDigit))?;
            // A digit is below 16, and there are three at most.
            Ok(number << 4 | value as u16)
        })
    }

    fn byte(&mut self) -> Result<u8, Error> {
        // Two digits fit.
        Ok(self.number(2)? as u8)
    }

    fn areas(&mut self, value_len: usize, size: u8) -> Result<Areas, Error> {
        let mut areas = Areas::default();
        let start = self.at;
        for at in 0..3 {
            areas.value[at] = self.number(value_len)?;
            areas.x[at] = self.byte()?;
            areas.y[at] = self.byte()?;
        }
        let last = size - size / 8;
        if areas.value.iter().any(|&value| value > MAX_COLOR)
            || areas.x.iter().chain(&areas.y).any(|&at| at > last)
        {
            return Err(self.field.slice(start, self.at).error(ErrorKind::IconRange));
        }
        Ok(areas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    const TEXT: &str = "107b3000168306015c20a0105b07060be0a0b11c050bea0706cb0a0bbb060b\
                        6f00017c06018301068109086b03046705081b000a270a002a000039002b17";

    fn parse(text: &str) -> Result<IconMetrics, &'static str> {
        let field = Field { text: text.as_bytes(), span: Span::new(0, text.len()) };
        IconMetrics::parse(field).map_err(|e| e.kind().code())
    }

    #[test]
    fn numbers_stand_in_a_fixed_order() {
        let icon = parse(TEXT).unwrap();
        assert_eq!(icon.size, 16);
        assert_eq!(icon.color.value, [1971, 1667, 1474]);
        assert_eq!((icon.color.x, icon.color.y), ([0, 6, 10], [1, 1, 1]));
        assert_eq!(icon.gray.value, [91, 190, 284]);
        assert_eq!(icon.bright.value, [234, 203, 187]);
        assert_eq!(icon.dark.value, [111, 124, 131]);
        assert_eq!(icon.edge.value, [129, 107, 103]);
        assert_eq!((icon.smooth.x, icon.smooth.y), ([0, 10, 0], [10, 0, 0]));
        assert_eq!(icon.spread, [57, 0, 43, 23]);
    }

    #[test]
    fn display_gives_the_digits_back() {
        let field = Field { text: TEXT.as_bytes(), span: Span::new(0, TEXT.len()) };
        assert_eq!(IconMetrics::parse(field).unwrap().to_string(), TEXT);
    }

    #[test]
    fn other_lengths_sizes_and_digits_are_refused() {
        assert_eq!(parse(&TEXT[1..]), Err("icon-metrics"));
        assert_eq!(parse(&format!("{TEXT}0")), Err("icon-metrics"));
        assert_eq!(parse(&TEXT.replacen("10", "11", 1)), Err("icon-metrics"));
        assert_eq!(parse(&TEXT.replacen("7b", "7g", 1)), Err("hex-digit"));
    }

    /// Each number at its largest, and one more.
    #[test]
    fn numbers_that_no_icon_has_are_refused() {
        let with = |at: usize, digits: &str| {
            let mut text = TEXT.to_owned();
            text.replace_range(at..at + digits.len(), digits);
            parse(&text).map(|icon| icon.size)
        };
        assert_eq!((with(2, "fe8"), with(2, "fe9")), (Ok(16), Err("icon-range")));
        assert_eq!((with(5, "0e"), with(5, "0f")), (Ok(16), Err("icon-range")));
        assert_eq!((with(28, "0e"), with(28, "0f")), (Ok(16), Err("icon-range")));
        assert_eq!((with(44, "ff0e0e"), with(44, "ff0e0f")), (Ok(16), Err("icon-range")));
        let last = |size: &str, at: &str| {
            let mut text = TEXT.replacen("10", size, 1);
            text.replace_range(5..7, at);
            parse(&text).map(|icon| icon.size)
        };
        assert_eq!((last("18", "15"), last("18", "16")), (Ok(24), Err("icon-range")));
        assert_eq!((last("20", "1c"), last("20", "1d")), (Ok(32), Err("icon-range")));
        assert_eq!((with(116, "67000064"), with(116, "67000065")), (Ok(16), Err("icon-range")));
        assert_eq!((with(116, "33330100"), with(116, "33330200")), (Ok(16), Err("icon-range")));
    }
}
