//! Meaning: checked signatures in columns.
//!
//! A [`SignatureSet`] is built by [`SetBuilder`](crate::SetBuilder) and only
//! read afterwards. There is no object per signature: names, patterns and
//! programs lie in arenas, the rest in columns.

mod block;
mod digest;
mod expression;
mod file_type;
mod hashes;
mod icon;
mod id;
pub(crate) mod lists;
mod offset;
mod packed;
pub(crate) mod rows;
pub(crate) mod set;
pub(crate) mod subsignature;
pub mod table;
mod target;

pub use block::{Block, Range};
pub use expression::{Comparison, Expression, Op, Sign, Value};
pub use file_type::FileType;
pub use hashes::{HashColumns, HashEntry};
pub use icon::{Areas, IconMetrics};
pub use id::{Digest, DigestKind, HashedPart, Origin, SigId, SigKind};
pub use lists::{Container, Password, Phishing, Regex, SizeRange, UrlAlert, UrlHash};
pub use offset::{Base, Offset};
pub(crate) use set::Columns;
pub use set::{
    Body, Certificate, CertificateUses, Icon, Logical, Magic, MagicKind, SignatureSet,
    Subsignature, Trusted, YaraRule, YaraString,
};
pub use subsignature::{ByteCompare, ByteOrder, Macro, NumberForm, NumberTest, Pcre};
pub use target::Target;
