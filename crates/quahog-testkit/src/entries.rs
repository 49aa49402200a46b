//! Random lines of container metadata, and entries that they may match.
//!
//! Like [`generate`](crate::generate), over a small alphabet; every construct
//! of the regular expressions occurs, and so do malformed ones.

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::reference::Entry;

/// Lines of a `.cdb`, and an entry.
#[derive(Clone, Debug)]
pub struct ContainerCase {
    /// The lines.
    pub lines: Vec<String>,
    /// What a container says of a part.
    pub entry: Entry,
}

impl<'a> Arbitrary<'a> for ContainerCase {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<ContainerCase> {
        let mut name = Vec::new();
        for _ in 0..u.int_in_range(0..=8)? {
            name.push(*u.choose(b"aabbAB.]{")?);
        }
        let entry = Entry {
            file_type: (*u.choose(&["CL_TYPE_ZIP", "CL_TYPE_RAR"])?).to_owned(),
            container_size: u.int_in_range(0..=9)?,
            name,
            packed_size: u.int_in_range(0..=3)?,
            size: u.int_in_range(0..=3)?,
            encrypted: u.arbitrary()?,
            position: u.int_in_range(0..=3)?,
        };
        let mut lines = Vec::new();
        for number in 0..u.int_in_range(1..=4)? {
            let file_type = u.choose(&["*", "*", "CL_TYPE_ANY", "CL_TYPE_ZIP", "CL_TYPE_RAR"])?;
            let [container, packed, size, position] =
                [range(u, 9)?, range(u, 3)?, range(u, 3)?, range(u, 3)?];
            let encrypted = u.choose(&["*", "*", "*", "0", "1"])?;
            let pattern = if u.ratio(1, 6)? { "*".to_owned() } else { expression(u, 3)? };
            let fold = if u.ratio(1, 4)? { "(?i)" } else { "" };
            let pattern = if pattern == "*" { pattern } else { format!("{fold}{pattern}") };
            lines.push(format!(
                "N{number}:{file_type}:{container}:{pattern}:{packed}:{size}:{encrypted}:{position}:*:*"
            ));
        }
        Ok(ContainerCase { lines, entry })
    }
}

fn range(u: &mut Unstructured<'_>, most: u64) -> Result<String> {
    let (low, high) = (u.int_in_range(0..=most)?, u.int_in_range(0..=most)?);
    Ok(match u.int_in_range(0..=9)? {
        0 => low.to_string(),
        1..=3 => format!("{low}-{high}"),
        _ => "*".to_owned(),
    })
}

fn expression(u: &mut Unstructured<'_>, depth: u32) -> Result<String> {
    let mut out = String::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let atom = match u.int_in_range(0..=13)? {
            0 if depth > 0 => format!("({})", expression(u, depth - 1)?),
            1 if depth > 0 => {
                format!("({}|{})", expression(u, depth - 1)?, expression(u, depth - 1)?)
            }
            2 => ".".to_owned(),
            3 => (*u.choose(&["^", "$", "|"])?).to_owned(),
            4 => (*u.choose(&["[ab]", "[^a]", "[]a]", "[a-b.]", "[A-]"])?).to_owned(),
            5 => (*u.choose(&["\\.", "\\a", "\\{", "{", ")", "]"])?).to_owned(),
            _ => (*u.choose(&["a", "b", "A", "B"])?).to_owned(),
        };
        out.push_str(&atom);
        if u.ratio(1, 4)? {
            let signs = ["*", "+", "?", "{2}", "{0,1}", "{1,}", "{0}", "{2,1}", "**"];
            out.push_str(u.choose(&signs)?);
        }
    }
    Ok(out)
}
