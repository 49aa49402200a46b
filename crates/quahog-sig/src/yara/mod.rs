//! YARA rules, as far as ClamAV 1.4.6 reads the language.
//!
//! A rule names strings (text, hex, regular expressions) and a condition on
//! where they are found:
//!
//! ```text
//! rule Example {
//!     strings:
//!         $magic = { 4d 5a [2-8] 50 45 }
//!         $text = "hello" nocase wide
//!     condition:
//!         uint16(0) == 0x5a4d and all of them
//! }
//! ```
//!
//! Three steps lead from the text to the set: the lexer cuts it into tokens,
//! the parser gives [`Rule`]s (syntax, with spans), and lowering checks what
//! they mean and writes a [`Program`] for the condition and a compact form for
//! each string. What ClamAV reads in its own way is read in that way: numbers
//! in hex with an odd count of digits are 0, `and` and `or` work on bits, a
//! range of a loop is entered before its end is looked at, and the flags of a
//! regular expression mean nothing.
//!
//! Files come from the network: the lexer and parser take time linear in the
//! text and nest at most [`MAX_DEPTH`] deep; a program is flat.
//!
//! ```
//! use quahog_sig::{Admission, Format, SetBuilder};
//!
//! let mut builder = SetBuilder::new();
//! let text = b"rule A { strings: $a = \"hello\" condition: #a > 1 }";
//! builder.document(Format::Yar, text, &mut |entry| {
//!     assert!(matches!(entry.outcome, Ok(Admission::Admitted)));
//! });
//! assert_eq!(builder.finish().len(), 1);
//! ```

mod ast;
mod lexer;
mod lower;
mod parse;
mod program;
mod regex;

pub use ast::{Expr, ExprKind, Quantifier, Rule, StringDef, StringSet, StringValue};
pub use parse::{MAX_DEPTH, Parsed, parse};
pub use program::{Arithmetic, Op, Program, Read, Relation, StringRef, Strings};

pub(crate) use lower::{Names, Reader};
