//! Syntax: what a rule says.

use super::program::{Arithmetic, Read, Relation};
use crate::Span;

/// A rule as it is written.
#[derive(Clone, Debug)]
pub struct Rule<'t> {
    /// Its name.
    pub name: &'t [u8],
    /// Where the name stands.
    pub span: Span,
    /// The whole rule, from its first word on.
    pub text: Span,
    /// It is for other rules, and reports nothing.
    pub private: bool,
    /// Its strings, in order.
    pub strings: Vec<StringDef<'t>>,
    /// What must hold.
    pub condition: Expr<'t>,
}

/// A string of a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StringDef<'t> {
    /// Its name without the sign; empty for `$`.
    pub name: &'t [u8],
    /// Where it stands, from its name to its last modifier.
    pub span: Span,
    /// What is looked for.
    pub value: StringValue<'t>,
    /// `ascii`
    pub ascii: bool,
    /// `fullword`
    pub fullword: bool,
    /// `nocase`
    pub nocase: bool,
    /// `wide`
    pub wide: bool,
}

/// What a string looks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StringValue<'t> {
    /// What is between the braces.
    Hex(&'t [u8]),
    /// The expression between the slashes.
    Regex(Vec<u8>),
    /// Bytes.
    Text(Vec<u8>),
}

/// A part of a condition.
#[derive(Clone, Debug)]
pub struct Expr<'t> {
    /// What it is.
    pub kind: ExprKind<'t>,
    /// Where it stands.
    pub span: Span,
    /// How many expressions are inside each other here.
    pub(super) height: u16,
}

/// How many of a set.
#[derive(Clone, Debug)]
pub enum Quantifier<'t> {
    /// `all`
    All,
    /// `any`
    Any,
    /// At least this many.
    Count(Box<Expr<'t>>),
}

/// Names of strings.
#[derive(Clone, Debug)]
pub enum StringSet<'t> {
    /// Some, and whether a name is a prefix (`$a*`).
    Named(Vec<(&'t [u8], bool)>),
    /// `them`
    Them,
}

/// What an expression is. A name without a sign in front is empty where the
/// string of the loop around it is meant.
#[derive(Clone, Debug)]
pub enum ExprKind<'t> {
    /// All of these.
    And(Vec<Expr<'t>>),
    /// `a + b`
    Arithmetic(Arithmetic, Box<Expr<'t>>, Box<Expr<'t>>),
    /// `a < b`
    Compare(Relation, Box<Expr<'t>>, Box<Expr<'t>>),
    /// `~a`
    Complement(Box<Expr<'t>>),
    /// `entrypoint`
    EntryPoint,
    /// `filesize`
    FileSize,
    /// `for n of (set) : (body)`
    ForStrings {
        /// How many strings the body must hold for.
        quantifier: Quantifier<'t>,
        /// Which.
        set: StringSet<'t>,
        /// What must hold.
        body: Box<Expr<'t>>,
    },
    /// `for n i in (low..high) : (body)`
    ForRange {
        /// How many numbers the body must hold for.
        quantifier: Quantifier<'t>,
        /// The first number.
        low: Box<Expr<'t>>,
        /// The last number.
        high: Box<Expr<'t>>,
        /// What must hold.
        body: Box<Expr<'t>>,
    },
    /// `for n i in (1, 2, 3) : (body)`
    ForValues {
        /// How many numbers the body must hold for.
        quantifier: Quantifier<'t>,
        /// The numbers.
        values: Vec<Expr<'t>>,
        /// What must hold.
        body: Box<Expr<'t>>,
    },
    /// `not a`
    Not(Box<Expr<'t>>),
    /// A number.
    Number(i64),
    /// `n of (set)`
    Of(Quantifier<'t>, StringSet<'t>),
    /// One of these.
    Or(Vec<Expr<'t>>),
    /// `uint16(a)`
    Read(Read, Box<Expr<'t>>),
    /// The name of another rule.
    Rule(&'t [u8]),
    /// `$a`
    String(&'t [u8]),
    /// `$a at b`
    StringAt(&'t [u8], Box<Expr<'t>>),
    /// `#a`
    StringCount(&'t [u8]),
    /// `$a in (b..c)`
    StringIn(&'t [u8], Box<Expr<'t>>, Box<Expr<'t>>),
    /// `@a` (the first) and `@a[b]`
    StringOffset(&'t [u8], Option<Box<Expr<'t>>>),
    /// `true` and `false`
    Truth(bool),
    /// The variable of the loop so many loops around, the outermost being 0.
    Variable(u8),
}

impl ExprKind<'_> {
    /// Whether it is a number; otherwise it is a truth.
    pub fn is_number(&self) -> bool {
        use ExprKind as E;
        matches!(
            self,
            E::Arithmetic(..)
                | E::Complement(_)
                | E::EntryPoint
                | E::FileSize
                | E::Number(_)
                | E::Read(..)
                | E::StringCount(_)
                | E::StringOffset(..)
                | E::Variable(_)
        )
    }
}
