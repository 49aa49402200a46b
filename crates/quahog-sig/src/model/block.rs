//! Target description blocks: on which layers a logical signature applies.

use serde::{Deserialize, Serialize};

use crate::ast::{Attribute, Field, Logical, number};
use crate::level::Level;
use crate::model::{FileType, Target};
use crate::{Error, ErrorKind};

/// An inclusive range of numbers.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Range {
    /// The smallest.
    pub min: u32,
    /// The largest.
    pub max: u32,
}

impl Range {
    /// Whether `value` lies in the range.
    pub fn contains(self, value: u64) -> bool {
        (u64::from(self.min)..=u64::from(self.max)).contains(&value)
    }
}

/// What a layer must be for a logical signature to apply.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Block {
    /// The target.
    pub target: Target,
    /// The size of the layer.
    pub file_size: Option<Range>,
    /// The file offset of the entry point.
    pub entry_point: Option<Range>,
    /// The number of sections.
    pub n_sections: Option<Range>,
    /// The type of the immediate parent.
    pub container: Option<FileType>,
    /// The types of the enclosing layers; the last is the immediate parent.
    pub intermediates: Vec<FileType>,
    /// Names of icon groups.
    pub icon_groups: [Option<Box<[u8]>>; 2],
    /// On a match the layer is scanned again as this type.
    pub handler: Option<FileType>,
}

/// Why a block leads to no signature, though nothing is wrong with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Skipped {
    /// The target has a number that nothing uses.
    Target,
}

/// The most names in `Intermediates`.
const MAX_INTERMEDIATES: usize = 16;

impl Block {
    /// What stands for a block that is not there: no layer is such.
    pub(crate) fn unknown() -> &'static Block {
        static UNKNOWN: Block = {
            let mut block = Block::plain(Target::ANY);
            block.file_size = Some(Range { min: 1, max: 0 });
            block
        };
        &UNKNOWN
    }

    /// A block for `target` and nothing else.
    const fn plain(target: Target) -> Block {
        Block {
            target,
            file_size: None,
            entry_point: None,
            n_sections: None,
            container: None,
            intermediates: Vec::new(),
            icon_groups: [None, None],
            handler: None,
        }
    }

    /// Whether layers of the target can differ in what it asks for: their size, what
    /// they lie in, or the headers of a program.
    pub fn asks_for_more(&self) -> bool {
        self.file_size.is_some()
            || self.entry_point.is_some()
            || self.n_sections.is_some()
            || self.container.is_some()
            || !self.intermediates.is_empty()
    }

    /// Whether it asks for nothing but the target.
    pub fn is_plain(&self) -> bool {
        *self == Block::plain(self.target)
    }

    /// Reads the block of a signature.
    pub(crate) fn parse(logical: &Logical<'_>) -> Result<Result<Block, Skipped>, Error> {
        let mut block = Block::plain(Target::ANY);
        let mut target = None;
        let mut engine_min = None;
        let mut needs = [None; 2]; // executable targets, PE
        let mut needs_level = None;
        for (at, attribute) in logical.attributes().enumerate() {
            let Attribute { key, value } = attribute?;
            match key.text {
                b"Engine" => {
                    if at > 0 {
                        return Err(key.error(ErrorKind::Attribute));
                    }
                    match Level::parse_range(value.text) {
                        Level::Range(min, _) => engine_min = Some(min),
                        _ => return Err(value.error(ErrorKind::Level)),
                    }
                    continue;
                }
                b"Target" => {
                    target = Some(value.number(ErrorKind::Target)?);
                    continue;
                }
                b"FileSize" => block.file_size = Some(range(value)?),
                b"EntryPoint" => {
                    needs[0] = Some(key);
                    block.entry_point = Some(range(value)?);
                }
                b"NumberOfSections" => {
                    needs[0] = Some(key);
                    block.n_sections = Some(range(value)?);
                }
                b"Container" => match FileType::from_name(value.text) {
                    Some(file_type) => block.container = Some(file_type),
                    None => return Err(value.error(ErrorKind::FileTypeUnknown)),
                },
                b"Intermediates" => {
                    let names: Vec<_> = value.text.split(|&b| b == b'>').collect();
                    if names.len() > MAX_INTERMEDIATES {
                        return Err(value.error(ErrorKind::NumberRange));
                    }
                    match names.iter().map(|name| FileType::from_name(name)).collect() {
                        Some(types) => block.intermediates = types,
                        None => return Err(value.error(ErrorKind::FileTypeUnknown)),
                    }
                }
                b"IconGroup1" | b"IconGroup2" => {
                    needs[1] = Some(key);
                    let at = usize::from(key.text == b"IconGroup2");
                    block.icon_groups[at] = Some(value.text.into());
                }
                b"HandlerType" => match FileType::from_name(value.text) {
                    Some(file_type) => block.handler = Some(file_type),
                    None => return Err(value.error(ErrorKind::FileTypeUnknown)),
                },
                // An unknown word leaves the signature out whatever stands behind it.
                _ => return Err(key.error(ErrorKind::AttributeUnknown)),
            }
            needs_level = needs_level.or(Some(key));
        }
        if let Some(key) = needs_level
            && engine_min.is_none_or(|min| min < 51)
        {
            return Err(key.error(ErrorKind::AttributeLevel));
        }
        let Some(target) = target else {
            return Err(logical.block.error(ErrorKind::TargetMissing));
        };
        let Some(target) = Target::new(target) else { return Ok(Err(Skipped::Target)) };
        block.target = target;
        if let Some(key) = needs[0].filter(|_| !target.is_executable()) {
            return Err(key.error(ErrorKind::AttributeTarget));
        }
        if let Some(key) = needs[1].filter(|_| target != Target::PE) {
            return Err(key.error(ErrorKind::AttributeTarget));
        }
        Ok(Ok(block))
    }
}

/// Reads `min-max`.
fn range(value: Field<'_>) -> Result<Range, Error> {
    let wrong = || value.error(ErrorKind::ExpectedNumber);
    let at = memchr::memchr(b'-', value.text).ok_or_else(wrong)?;
    let min = number(&value.text[..at]).ok_or_else(wrong)?;
    let max = number(&value.text[at + 1..]).ok_or_else(wrong)?;
    Ok(Range { min, max })
}
