//! Container metadata (5.1): lines of a `.cdb` against one entry.
//!
//! Regular expressions are tried by keeping the set of all places that a
//! match could have reached, element by element.

use std::collections::BTreeSet;

use super::{Reason, file_type};

/// What a container says of a part, and what is known of the container.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The type of the container, such as `CL_TYPE_ZIP`.
    pub file_type: String,
    /// Its size.
    pub container_size: u64,
    /// The part's name.
    pub name: Vec<u8>,
    /// The bytes that the part takes in the container.
    pub packed_size: u64,
    /// The bytes of the part.
    pub size: u64,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Its position.
    pub position: u64,
}

/// Whether a line of a `.cdb` matches an entry.
///
/// # Errors
///
/// The line is malformed.
pub fn container_line_matches(line: &str, entry: &Entry) -> Result<bool, Reason> {
    let fields: Vec<&str> = line.split(':').collect();
    if !(10..=12).contains(&fields.len()) {
        return Err("fields");
    }
    if fields[0].is_empty() {
        return Err("name");
    }
    let mut holds = true;
    holds &= match fields[1] {
        "*" | "CL_TYPE_ANY" => true,
        known if known.starts_with("CL_TYPE_") => file_type::fits(&entry.file_type, known),
        _ => return Err("type"),
    };
    holds &= in_range(fields[2], entry.container_size)?;
    holds &= fields[3] == "*" || Expression::parse(fields[3].as_bytes())?.is_in(&entry.name);
    holds &= in_range(fields[4], entry.packed_size)?;
    holds &= in_range(fields[5], entry.size)?;
    holds &= match fields[6] {
        "*" => true,
        "0" => !entry.encrypted,
        "1" => entry.encrypted,
        _ => return Err("encrypted"),
    };
    holds &= in_range(fields[7], entry.position)?;
    Ok(holds)
}

fn in_range(field: &str, value: u64) -> Result<bool, Reason> {
    let number = |text: &str| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(0u64)).ok_or("number")
    };
    if field == "*" {
        return Ok(true);
    }
    match field.split_once('-') {
        None => Ok(number(field)? == value),
        Some(("", _) | (_, "")) => Err("range"),
        Some((low, high)) => {
            let (low, high) = (number(low)?, number(high)?);
            let open = high == 0 && low != 0;
            Ok(low <= value && (open || value <= high))
        }
    }
}

/// A POSIX extended expression.
#[derive(Clone, Debug)]
struct Expression(Vec<Branch>);

type Branch = Vec<Element>;

#[derive(Clone, Debug)]
struct Element {
    what: What,
    least: usize,
    most: Option<usize>,
}

#[derive(Clone, Debug)]
enum What {
    OneOf(Vec<u8>),
    Group(Expression),
    Start,
    End,
}

impl Expression {
    fn parse(text: &[u8]) -> Result<Expression, Reason> {
        let (fold, text) = match text.strip_prefix(b"(?i)") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut rest = text;
        let expression = Expression::branches(&mut rest, fold, 0)?;
        if rest.is_empty() { Ok(expression) } else { Err("rest") }
    }

    fn branches(rest: &mut &[u8], fold: bool, depth: usize) -> Result<Expression, Reason> {
        let mut branches = vec![Vec::new()];
        loop {
            let closes = rest.first() == Some(&b')') && depth > 0;
            let Some((&byte, after)) = rest.split_first().filter(|_| !closes) else { break };
            if byte == b'|' {
                *rest = after;
                branches.push(Vec::new());
                continue;
            }
            let what = what(rest, fold, depth)?;
            let element = repeated(what, rest)?;
            branches.last_mut().ok_or("branch")?.push(element);
        }
        let lone_group = depth > 0 && branches.len() == 1;
        if !lone_group && branches.iter().any(Vec::is_empty) {
            return Err("empty branch");
        }
        Ok(Expression(branches))
    }

    fn is_in(&self, text: &[u8]) -> bool {
        (0..=text.len()).any(|start| !self.ends(text, start).is_empty())
    }

    fn ends(&self, text: &[u8], start: usize) -> BTreeSet<usize> {
        self.0
            .iter()
            .flat_map(|branch| {
                branch.iter().fold(BTreeSet::from([start]), |places, element| {
                    places.into_iter().flat_map(|place| element.ends(text, place)).collect()
                })
            })
            .collect()
    }
}

impl Element {
    fn ends(&self, text: &[u8], start: usize) -> BTreeSet<usize> {
        let mut places = BTreeSet::from([start]);
        let mut reached = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for n in 0.. {
            if n >= self.least {
                reached.extend(places.iter().copied());
            }
            // Past the least, going on from the same places adds nothing.
            let stuck = n > self.least && !seen.insert(places.clone());
            if places.is_empty() || self.most == Some(n) || stuck {
                break;
            }
            places = places.iter().flat_map(|&place| self.what.ends(text, place)).collect();
        }
        reached
    }
}

impl What {
    fn ends(&self, text: &[u8], place: usize) -> BTreeSet<usize> {
        match self {
            What::OneOf(bytes) => {
                let fits = text.get(place).is_some_and(|byte| bytes.contains(byte));
                fits.then_some(place + 1).into_iter().collect()
            }
            What::Group(inner) => inner.ends(text, place),
            What::Start => (place == 0).then_some(place).into_iter().collect(),
            What::End => (place == text.len()).then_some(place).into_iter().collect(),
        }
    }
}

/// Reads one element without its repetition.
fn what(rest: &mut &[u8], fold: bool, depth: usize) -> Result<What, Reason> {
    let (&byte, after) = rest.split_first().ok_or("end")?;
    *rest = after;
    let literal = |byte: u8| What::OneOf(if fold { both_cases(byte) } else { vec![byte] });
    match byte {
        b'(' => {
            let inner = Expression::branches(rest, fold, depth + 1)?;
            *rest = rest.strip_prefix(b")").ok_or("unclosed group")?;
            Ok(What::Group(inner))
        }
        b'*' | b'+' | b'?' => Err("nothing to repeat"),
        b'{' if after.first().is_some_and(u8::is_ascii_digit) => Err("nothing to repeat"),
        b'^' => Ok(What::Start),
        b'$' => Ok(What::End),
        b'.' => Ok(What::OneOf((0..=255).collect())),
        b'\\' => {
            let (&escaped, after) = after.split_first().ok_or("lone backslash")?;
            *rest = after;
            Ok(literal(escaped))
        }
        b'[' => {
            let negated = rest.first() == Some(&b'^');
            let inside = if negated { &rest[1..] } else { *rest };
            // A `]` in the first place is a member.
            let end = inside.iter().skip(1).position(|&b| b == b']').ok_or("unclosed set")? + 1;
            let (mut members, mut left) = (Vec::new(), &inside[..end]);
            while let Some((&low, after)) = left.split_first() {
                let (high, after) = match after {
                    [b'-', high, after @ ..] => (*high, after),
                    _ => (low, after),
                };
                if high < low {
                    return Err("range");
                }
                members.extend(low..=high);
                left = after;
            }
            if fold {
                members = members.into_iter().flat_map(both_cases).collect();
            }
            *rest = &inside[end + 1..];
            Ok(What::OneOf((0..=255).filter(|b| members.contains(b) != negated).collect()))
        }
        _ => Ok(literal(byte)),
    }
}

fn both_cases(byte: u8) -> Vec<u8> {
    vec![byte.to_ascii_lowercase(), byte.to_ascii_uppercase()]
}

fn repeated(what: What, rest: &mut &[u8]) -> Result<Element, Reason> {
    let is_repetition = |rest: &[u8]| match rest {
        [b'*' | b'+' | b'?', ..] => true,
        [b'{', digit, ..] => digit.is_ascii_digit(),
        _ => false,
    };
    if !is_repetition(rest) {
        return Ok(Element { what, least: 1, most: Some(1) });
    }
    let (least, most) = match rest[0] {
        b'*' => (0, None),
        b'+' => (1, None),
        b'?' => (0, Some(1)),
        _ => {
            let end = rest.iter().position(|&b| b == b'}').ok_or("unclosed repetition")?;
            let inside = std::str::from_utf8(&rest[1..end]).map_err(|_| "repetition")?;
            let number = |text: &str| text.parse::<usize>().ok().filter(|&n| n <= 255);
            let (low, high) = inside.split_once(',').unwrap_or((inside, inside));
            let least = number(low).ok_or("repetition")?;
            let most = match high {
                "" => None,
                high => Some(number(high).ok_or("repetition")?),
            };
            if most.is_some_and(|most| most < least) {
                return Err("repetition");
            }
            *rest = &rest[end..];
            (least, most)
        }
    };
    *rest = &rest[1..];
    if is_repetition(rest) || matches!(what, What::Start) {
        return Err("nothing to repeat");
    }
    Ok(Element { what, least, most })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(expression: &str, text: &str) -> Option<bool> {
        Some(Expression::parse(expression.as_bytes()).ok()?.is_in(text.as_bytes()))
    }

    #[test]
    fn expressions_are_posix_extended_ones() {
        for (expression, text, expected) in [
            ("a+b", "xaab", Some(true)),
            ("^a(b|cc)*$", "abccb", Some(true)),
            ("^a(b|cc)*$", "abcb", Some(false)),
            ("a{2,3}b", "ab", Some(false)),
            ("a{,2}", "a{,2}", Some(true)),
            ("(?i)[a-c]X", "Bx", Some(true)),
            ("[^]a]", "]a", Some(false)),
            ("()", "", Some(true)),
            ("(a|)", "a", None),
            ("a**", "a", None),
            ("a)", "a)", Some(true)),
        ] {
            assert_eq!(finds(expression, text), expected, "{expression}");
        }
    }

    #[test]
    fn ranges_are_open_where_they_are_0() {
        let holds = |field, value| in_range(field, value).ok();
        assert_eq!(holds("5-0", 9), Some(true));
        assert_eq!(holds("0-5", 3), Some(true));
        assert_eq!(holds("0-0", 3), Some(false));
        assert_eq!(holds("", 0), Some(true));
        assert_eq!(holds("5-", 9), None);
    }
}
