//! Targets: the kinds of layer that a signature is for.

use serde::{Deserialize, Serialize};

use crate::model::FileType;

/// The number in `Target:1`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Target(u8);

impl TryFrom<u8> for Target {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Target, &'static str> {
        Target::new(number.into()).ok_or("a target that nothing uses")
    }
}

impl From<Target> for u8 {
    fn from(target: Target) -> u8 {
        target.0
    }
}

#[allow(missing_docs)] // named after what they match
impl Target {
    pub const ANY: Target = Target(0);
    pub const PE: Target = Target(1);
    pub const OLE2: Target = Target(2);
    pub const HTML: Target = Target(3);
    pub const MAIL: Target = Target(4);
    pub const GRAPHICS: Target = Target(5);
    pub const ELF: Target = Target(6);
    pub const TEXT: Target = Target(7);
    pub const MACH_O: Target = Target(9);
    pub const PDF: Target = Target(10);
    pub const SWF: Target = Target(11);
    pub const JAVA: Target = Target(12);
    pub const OTHER: Target = Target(14);
}

impl Target {
    /// How many numbers are in use: targets are below it.
    pub const COUNT: usize = 15;

    /// The target of this number; from 15 on there is none.
    pub fn new(number: u32) -> Option<Target> {
        u8::try_from(number).ok().filter(|&n| usize::from(n) < Target::COUNT).map(Target)
    }

    /// The number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The number, for indexing an array of [`Target::COUNT`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Whether its layers are executables, with entry points and sections.
    pub fn is_executable(self) -> bool {
        matches!(self, Target::PE | Target::ELF | Target::MACH_O)
    }

    /// Whether ClamAV's prefilter works there, and refuses what it cannot filter.
    pub fn is_filtered(self) -> bool {
        matches!(self, Target::ANY | Target::PE | Target::MAIL | Target::TEXT)
    }

    /// The target whose signatures see the raw bytes of a layer of this type,
    /// besides [`Target::ANY`].
    pub fn of_raw(file_type: FileType) -> Option<Target> {
        Some(match file_type {
            FileType::MSEXE => Target::PE,
            FileType::MSOLE2 => Target::OLE2,
            FileType::MAIL => Target::MAIL,
            FileType::GRAPHICS
            | FileType::GIF
            | FileType::PNG
            | FileType::JPEG
            | FileType::TIFF => Target::GRAPHICS,
            FileType::ELF => Target::ELF,
            FileType::MACHO | FileType::MACHO_UNIBIN => Target::MACH_O,
            FileType::PDF => Target::PDF,
            FileType::SWF => Target::SWF,
            FileType::JAVA => Target::JAVA,
            FileType::BINARY_DATA | FileType::PYTHON_COMPILED => Target::OTHER,
            _ => return None,
        })
    }
}
