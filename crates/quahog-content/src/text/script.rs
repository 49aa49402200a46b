//! Scripts, written anew.
//!
//! See [`html`](super::html) for where they come from. The text of a script
//! element, with the end tag, is cut into tokens, which are written without
//! comments and blanks, in small letters and with names for what the script
//! declares. This is no parser of JavaScript: it does what clamscan 1.4.6 was
//! seen to do, with any text at all.
//!
//! * Tokens are words (letters, digits, `$`, `_`), integers, decimals, strings,
//!   and single other characters. White space, controls, bytes from 80 and
//!   `#`, `@`, `` ` `` separate. Outside of strings `\u` counts as `\` in a word,
//!   any other `\` ends a word or is an empty one. A blank is written between two
//!   words or numbers.
//! * Comments: `/* … */`; and `//` up to the next blank or line feed.
//! * Integers are written as 32-bit decimal numbers, decimals with six
//!   significant digits.
//! * A string ends at the next equal quote that no `\` stands before. `\xNN`,
//!   `\uNNNN` (as UTF-8), `\n`-like escapes and `\0` are resolved; character 0
//!   is written as 1, white space as blank. Neighbours joined by one `+` are
//!   one string.
//! * `unescape("…")` becomes its string, `eval("…")` the tokens of its string,
//!   once, without a `;` behind it.
//! * The name after `var` and after a comma of its list, of functions and of
//!   their parameters become `n000`, `n001`, … in order of declaration, wherever
//!   they stand in their function, also before; but not after a `.`. Keywords and
//!   whatever else stands between do not matter, except a `;`, and for functions
//!   braces. A list goes on up to a `;`; that and its commas count outside of
//!   `{}` and `[]` only, so not in the body of a function.
//! * There are no regular expressions: a quote in one begins a string.
//! * Parentheses that are open at the end are closed, a word or number that the end
//!   of the document cuts off is dropped, and the end tag is written if it is not
//!   there.

use std::collections::HashMap;

use crate::Shortfall;

/// A script that is being collected.
#[derive(Debug)]
pub(super) struct Script {
    source: Vec<u8>,
    shortfall: Option<Shortfall>,
}

impl Script {
    pub(super) fn new() -> Script {
        Script { source: Vec::new(), shortfall: None }
    }

    pub(super) fn push(&mut self, byte: u8) {
        if self.source.len() < LONGEST_SCRIPT {
            self.source.push(byte);
        } else {
            self.shortfall = Some(Shortfall::PartBytes);
        }
    }

    /// Appends the script to `out`; says whether it was cut. Linear in its
    /// length.
    pub(super) fn write(self, out: &mut Vec<u8>) -> Option<Shortfall> {
        let start = out.len() + START.len();
        out.extend(START);
        let end = self.source.len();
        let mut tokens = Tokens { text: self.source, list: Vec::new() };
        tokens.lex(0, end);
        tokens.replace_unescape();
        tokens.replace_eval();
        let scopes = tokens.declare();
        tokens.write(&scopes, out);
        if !out.get(start..).is_some_and(|written| written.ends_with(END)) {
            out.extend(END);
        }
        self.shortfall
    }
}

/// In a word, it counts as `\`.
const ESCAPE: &[u8] = b"\\u";

const START: &[u8] = b"<script>";
const END: &[u8] = b"</script>";

/// Of one script, so many bytes are looked at: a token takes sixteen times the
/// memory of the single byte that it may stand for.
const LONGEST_SCRIPT: usize = 8 << 20;

/// The words, numbers, strings and signs of a script.
struct Tokens {
    /// The source, and behind it the strings with their escapes resolved.
    /// Offsets fit in `u32`: the source is bounded, strings are no longer than
    /// what they were made of, and are made of at most three times.
    text: Vec<u8>,
    list: Vec<Token>,
}

#[derive(Clone, Copy, Debug)]
struct Token {
    kind: Kind,
    /// Range in the text; a sign is its own byte.
    start: u32,
    length: u32,
    /// The function that it stands in.
    scope: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Word,
    Integer,
    Decimal,
    String,
    Sign(u8),
}

impl Token {
    fn is(&self, sign: u8) -> bool {
        self.kind == Kind::Sign(sign)
    }
}

impl Tokens {
    fn bytes(&self, token: &Token) -> &[u8] {
        self.slice(token.start as usize, token.length as usize)
    }

    fn slice(&self, start: usize, length: usize) -> &[u8] {
        self.text.get(start..start + length).unwrap_or_default()
    }

    fn push(&mut self, kind: Kind, start: usize, length: usize) {
        // See `text` for why they are not cut.
        self.list.push(Token { kind, start: start as u32, length: length as u32, scope: 0 });
    }

    /// Cuts a range of the text into tokens. A word or number that reaches the end is
    /// dropped.
    fn lex(&mut self, start: usize, end: usize) {
        let mut at = start;
        while at < end {
            let rest = self.text.get(at..end).unwrap_or_default();
            let Some((&byte, after)) = rest.split_first() else { break };
            at += match byte {
                b'"' | b'\'' => {
                    let length = string_length(after, byte);
                    let used = 1 + (length + 1).min(after.len());
                    self.push_string(at + 1, length, resolve_escapes);
                    used
                }
                b'/' if after.first() == Some(&b'*') => {
                    memchr::memmem::find(after.get(1..).unwrap_or_default(), b"*/")
                        .map_or(rest.len(), |length| length + 4)
                }
                b'/' if after.first() == Some(&b'/') => {
                    memchr::memchr2(b' ', b'\n', rest).unwrap_or(rest.len())
                }
                b'0'..=b'9' => {
                    let digits = run(rest, |byte| byte.is_ascii_digit());
                    let (kind, length) = match rest.get(digits..) {
                        Some([b'.', fraction @ ..]) => {
                            let is_part = |byte: u8| byte.is_ascii_digit() || byte | 0x20 == b'e';
                            (Kind::Decimal, digits + 1 + run(fraction, is_part))
                        }
                        _ => (Kind::Integer, digits),
                    };
                    if at + length < end {
                        self.push(kind, at, length);
                    }
                    length
                }
                _ if is_word(byte) || rest.starts_with(ESCAPE) => {
                    let length = word_length(rest);
                    // A backslash behind a word only ends it.
                    let used = match rest.get(length..) {
                        Some([b'\\', _, ..]) => length + 1,
                        _ => length,
                    };
                    if at + length < end {
                        self.push_word(at, length);
                    }
                    used
                }
                b'\\' => {
                    self.push(Kind::Word, at, 0);
                    1
                }
                b'!' | b'%'..=b'/' | b':'..=b'?' | b'[' | b']' | b'^' | b'{'..=b'~' => {
                    self.push(Kind::Sign(byte), at, 1);
                    1
                }
                _ => 1,
            };
        }
    }

    /// Adds a word, without the `u` of its escapes.
    fn push_word(&mut self, start: usize, length: usize) {
        let word = self.slice(start, length);
        if memchr::memchr(b'\\', word).is_none() {
            self.push(Kind::Word, start, length);
            return;
        }
        let mut plain = Vec::with_capacity(length);
        let mut rest = word;
        while let Some((&byte, after)) = rest.split_first() {
            plain.push(byte);
            rest = if byte == b'\\' { after.get(1..).unwrap_or_default() } else { after };
        }
        let start = self.text.len();
        self.text.append(&mut plain);
        self.push(Kind::Word, start, self.text.len() - start);
    }

    /// Adds the string that `resolve` makes of a range of the text. Behind
    /// a string and one `+` it becomes part of that string.
    fn push_string(&mut self, start: usize, length: usize, resolve: impl Fn(&[u8], &mut Vec<u8>)) {
        let mut resolved = Vec::new();
        resolve(self.slice(start, length), &mut resolved);
        let start = self.text.len();
        self.text.append(&mut resolved);
        let length = self.text.len() - start;
        if let [.., before, plus] = self.list.as_mut_slice()
            && before.kind == Kind::String
            && plus.is(b'+')
        {
            // Only a sign stood between, so this one adjoins in the text.
            before.length += length as u32;
            self.list.pop();
            return;
        }
        self.push(Kind::String, start, length);
    }

    /// Whether the tokens end in `name(`, where `name` is no property.
    fn ends_in_call(&self, list: &[Token], name: &[u8]) -> bool {
        match list {
            [before @ .., word, open] => {
                word.kind == Kind::Word
                    && open.is(b'(')
                    && self.bytes(word) == name
                    && !before.last().is_some_and(|token| token.is(b'.'))
            }
            _ => false,
        }
    }

    /// Replaces `unescape("…")` by the string.
    fn replace_unescape(&mut self) {
        let list = std::mem::take(&mut self.list);
        let mut tokens = list.into_iter();
        while let Some(token) = tokens.next() {
            if token.kind == Kind::String && self.ends_in_call(&self.list, b"unescape") {
                self.list.truncate(self.list.len() - 2);
                let mut resolved = Vec::new();
                unescape(self.bytes(&token), &mut resolved);
                let start = self.text.len();
                self.text.append(&mut resolved);
                self.push(Kind::String, start, self.text.len() - start);
                // Whatever stands there is taken for `)`.
                tokens.next();
            } else {
                self.list.push(token);
            }
        }
    }

    /// Replaces `eval("…")` by the tokens of the string.
    fn replace_eval(&mut self) {
        let list = std::mem::take(&mut self.list);
        let mut tokens = list.into_iter().peekable();
        while let Some(token) = tokens.next() {
            if token.is(b')')
                && let [before @ .., string] = self.list.as_slice()
                && string.kind == Kind::String
                && self.ends_in_call(before, b"eval")
            {
                let (start, length) = (string.start as usize, string.length as usize);
                self.list.truncate(self.list.len() - 3);
                self.lex(start, start + length);
                tokens.next_if(|token| token.is(b';'));
            } else {
                self.list.push(token);
            }
        }
    }

    /// Finds the function that each token stands in, and what each declares.
    fn declare(&mut self) -> Vec<Scope> {
        let mut scopes = vec![Scope::default()];
        let (mut here, mut next) = (0_u32, 0);
        let mut after_dot = false;
        let mut list = std::mem::take(&mut self.list);
        for (position, token) in list.iter_mut().enumerate() {
            token.scope = here;
            let n_scopes = scopes.len();
            let Some(scope) = scopes.get_mut(here as usize) else { break };
            let in_flat_list = scope.in_list && scope.is_flat();
            match token.kind {
                Kind::Word if self.bytes(token) == b"function" => {
                    let expect = Expect::FunctionName;
                    scopes.push(Scope { parent: here, expect, ..Scope::default() });
                    // At most one for each token.
                    here = n_scopes as u32;
                }
                Kind::Word if self.bytes(token) == b"var" => {
                    scope.expect = Expect::Variable;
                    scope.in_list = true;
                }
                Kind::Word if after_dot || is_keyword(self.bytes(token)) => {}
                Kind::Word => {
                    use Expect::{FunctionName, Parameter, Variable};
                    if matches!(scope.expect, Variable | FunctionName | Parameter) {
                        // Fewer than there are bytes.
                        scope.names.push((position as u32, next));
                        next += 1;
                    }
                    scope.expect = match scope.expect {
                        FunctionName => Expect::ParameterList,
                        Parameter => Expect::Comma,
                        Variable => Expect::Use,
                        other => other,
                    };
                }
                Kind::Sign(sign) => {
                    match sign {
                        b'{' => scope.braces += 1,
                        b'[' => scope.brackets += 1,
                        b']' => scope.brackets = scope.brackets.saturating_sub(1),
                        b'}' => {
                            scope.braces = scope.braces.saturating_sub(1);
                            if scope.braces == 0 && here != 0 {
                                here = scope.parent;
                            }
                        }
                        b';' if scope.is_flat() => scope.in_list = false,
                        _ => {}
                    }
                    scope.expect = match (sign, scope.expect) {
                        (b';', _) => Expect::Use,
                        (b'{' | b'}', Expect::Variable) => Expect::Variable,
                        (b'{' | b'}', _) => Expect::Use,
                        (b'(', Expect::FunctionName | Expect::ParameterList) => Expect::Parameter,
                        (b')', Expect::Comma) => Expect::Use,
                        (b',', Expect::Comma) => Expect::Parameter,
                        (b',', Expect::Use) if in_flat_list => Expect::Variable,
                        (_, other) => other,
                    };
                }
                _ => {}
            }
            after_dot = token.is(b'.');
        }
        self.list = list;
        scopes
    }

    /// Writes the tokens, with new names.
    ///
    /// Each name has a stack of the open functions that declare it, so a
    /// lookup does not depend on how deep functions are nested.
    fn write(&self, scopes: &[Scope], out: &mut Vec<u8>) {
        let mut names: HashMap<&[u8], Vec<u32>> = HashMap::new();
        let mut here = None;
        let mut open = 0_usize;
        let (mut after_word, mut after_dot) = (false, false);
        for token in &self.list {
            while here != Some(token.scope) {
                here = self.step(scopes, here, token.scope, &mut names);
            }
            let bytes = self.bytes(token);
            let is_word = matches!(token.kind, Kind::Word | Kind::Integer | Kind::Decimal);
            if after_word && is_word {
                out.push(b' ');
            }
            match token.kind {
                Kind::Word => {
                    let number = names.get(bytes).and_then(|numbers| numbers.last());
                    match number {
                        Some(number) if !after_dot => {
                            out.extend(format!("n{number:03}").as_bytes());
                        }
                        _ => out.extend(bytes.iter().map(u8::to_ascii_lowercase)),
                    }
                }
                Kind::Integer => out.extend(integer(bytes).to_string().as_bytes()),
                Kind::Decimal => write_decimal(decimal(bytes), out),
                Kind::String => {
                    out.push(b'"');
                    out.extend(bytes.iter().map(|&byte| match byte {
                        _ if is_space(byte) => b' ',
                        _ => byte.to_ascii_lowercase(),
                    }));
                    out.push(b'"');
                }
                Kind::Sign(sign) => {
                    match sign {
                        b'(' => open += 1,
                        b')' => open = open.saturating_sub(1),
                        _ => {}
                    }
                    out.push(sign);
                }
            }
            (after_word, after_dot) = (is_word, token.is(b'.'));
        }
        out.extend(std::iter::repeat_n(b')', open));
    }

    /// Opens or closes one function on the way from `here` to `to`. Functions
    /// open one at a time, and close innermost first.
    fn step<'t>(
        &'t self,
        scopes: &[Scope],
        here: Option<u32>,
        to: u32,
        names: &mut HashMap<&'t [u8], Vec<u32>>,
    ) -> Option<u32> {
        let declared =
            |scope: u32| scopes.get(scope as usize).map_or(&[][..], |scope| &scope.names);
        let parent = |scope: u32| scopes.get(scope as usize).map_or(0, |scope| scope.parent);
        let name = |position: u32| {
            self.list.get(position as usize).map(|token| self.bytes(token)).unwrap_or_default()
        };
        match here {
            // Everything is inside of function 0, which is never left.
            Some(here) if here != 0 && (to == 0 || parent(to) != here) => {
                for &(position, _) in declared(here) {
                    names.get_mut(name(position)).map(Vec::pop);
                }
                Some(parent(here))
            }
            _ => {
                for &(position, number) in declared(to) {
                    names.entry(name(position)).or_default().push(number);
                }
                Some(to)
            }
        }
    }
}

/// What a function, or the script, declares.
#[derive(Debug, Default)]
struct Scope {
    parent: u32,
    /// Position of the token, and the number of the new name.
    names: Vec<(u32, u32)>,
    /// How many are open.
    braces: u32,
    brackets: u32,
    /// In the list of a `var`.
    in_list: bool,
    expect: Expect,
}

impl Scope {
    fn is_flat(&self) -> bool {
        self.braces == 0 && self.brackets == 0
    }
}

/// What the next word is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Expect {
    #[default]
    Use,
    Variable,
    FunctionName,
    /// A use, but `(` opens the parameters.
    ParameterList,
    Parameter,
    /// A use, but a comma brings the next parameter.
    Comma,
}

/// The length of the string whose quote was read.
fn string_length(source: &[u8], quote: u8) -> usize {
    memchr::memchr_iter(quote, source)
        .find(|&at| at.checked_sub(1).and_then(|before| source.get(before)) != Some(&b'\\'))
        .unwrap_or(source.len())
}

/// The length of a word, with the escapes in it.
fn word_length(bytes: &[u8]) -> usize {
    let mut length = 0;
    loop {
        let rest = bytes.get(length..).unwrap_or_default();
        match run(rest, is_word) {
            0 if rest.starts_with(ESCAPE) => length += ESCAPE.len(),
            0 => return length,
            more => length += more,
        }
    }
}

fn run(bytes: &[u8], is_part: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&byte| !is_part(byte)).unwrap_or(bytes.len())
}

fn resolve_escapes(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&kind, after)) = rest.split_first() else { break };
        rest = after;
        match kind {
            b'x' => match after.split_first_chunk::<2>() {
                Some((digits, after)) => {
                    rest = after;
                    // Two digits; what is none counts as 15, as seen.
                    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(15);
                    let [high, low] = *digits;
                    push_byte((digit(high) << 4 | digit(low)) as u8, out);
                }
                None => {
                    out.push(b'\\');
                    rest = &[];
                }
            },
            b'u' => match hexadecimal::<4>(after) {
                Some((code, after)) => {
                    rest = after;
                    push_utf8(code, out);
                }
                None => out.push(b'\\'),
            },
            b'0' => out.push(1),
            b'n' | b'r' | b't' | b'v' | b'f' => out.push(b' '),
            b'b' => out.push(8),
            _ => out.push(kind),
        }
    }
}

fn unescape(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            out.push(byte);
        } else if let Some((code, after)) = after.strip_prefix(b"u").and_then(hexadecimal::<4>) {
            push_utf8(code, out);
            rest = after;
        } else if let Some((code, after)) = hexadecimal::<2>(after) {
            // Two digits.
            push_byte(code as u8, out);
            rest = after;
        } else {
            out.push(byte);
        }
    }
}

fn is_keyword(word: &[u8]) -> bool {
    KEYWORDS.binary_search(&word).is_ok()
}

/// Words that are no names: those that early JavaScript kept for itself. Sorted.
const KEYWORDS: &[&[u8]] = &[
    b"abstract",
    b"boolean",
    b"break",
    b"byte",
    b"case",
    b"catch",
    b"char",
    b"class",
    b"const",
    b"continue",
    b"debugger",
    b"default",
    b"delete",
    b"do",
    b"double",
    b"else",
    b"enum",
    b"export",
    b"extends",
    b"false",
    b"final",
    b"finally",
    b"float",
    b"for",
    b"function",
    b"goto",
    b"if",
    b"implements",
    b"import",
    b"in",
    b"instanceof",
    b"int",
    b"interface",
    b"long",
    b"native",
    b"new",
    b"null",
    b"package",
    b"private",
    b"protected",
    b"public",
    b"return",
    b"short",
    b"static",
    b"super",
    b"switch",
    b"synchronized",
    b"this",
    b"throw",
    b"throws",
    b"transient",
    b"true",
    b"try",
    b"typeof",
    b"var",
    b"void",
    b"volatile",
    b"while",
    b"with",
];

fn push_byte(byte: u8, out: &mut Vec<u8>) {
    out.push(byte.max(1));
}

fn push_utf8(code: u32, out: &mut Vec<u8>) {
    // Surrogates are written like any other code.
    match code {
        0..0x80 => push_byte(code as u8, out),
        0x80..0x800 => out.extend([0xc0 | (code >> 6) as u8, 0x80 | (code & 0x3f) as u8]),
        _ => out.extend([
            0xe0 | (code >> 12 & 0x0f) as u8,
            0x80 | (code >> 6 & 0x3f) as u8,
            0x80 | (code & 0x3f) as u8,
        ]),
    }
}

fn hexadecimal<const N: usize>(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = bytes.split_first_chunk::<N>()?;
    let mut code = 0;
    for &digit in digits {
        code = code << 4 | char::from(digit).to_digit(16)?;
    }
    Some((code, rest))
}

/// The low 32 bits of a number that stops at 63 bits.
fn integer(digits: &[u8]) -> i32 {
    let number = digits.iter().fold(0_i64, |number, digit| {
        number.saturating_mul(10).saturating_add(i64::from(digit & 0x0f))
    });
    number as i32
}

fn decimal(text: &[u8]) -> f64 {
    // `1.e` is 1, and so is `1.e5e`'s tail cut off.
    let exponents = text.iter().enumerate().filter(|(_, byte)| **byte | 0x20 == b'e');
    let ends = exponents.map(|(at, _)| at).take(2).collect::<Vec<_>>();
    let parse = |end: usize| {
        std::str::from_utf8(text.get(..end).unwrap_or_default()).ok()?.parse::<f64>().ok()
    };
    let whole = ends.get(1).copied().unwrap_or(text.len());
    parse(whole).or_else(|| parse(*ends.first()?)).unwrap_or(0.0)
}

/// Six significant digits, as `%g` of C.
fn write_decimal(number: f64, out: &mut Vec<u8>) {
    let scientific = format!("{number:.5e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        out.extend(scientific.as_bytes());
        return;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match usize::try_from(5 - exponent) {
        Ok(places) if places <= 9 => out.extend(trim(&format!("{number:.places$}")).as_bytes()),
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            let exponent = exponent.abs();
            out.extend(format!("{}e{sign}{exponent:02}", trim(mantissa)).as_bytes());
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'$' || byte == b'_'
}

fn is_space(byte: u8) -> bool {
    matches!(byte, 0x09..=0x0d | b' ')
}
