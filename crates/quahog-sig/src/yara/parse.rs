//! From tokens to rules.

use super::ast::{Expr, ExprKind, Quantifier, Rule, StringDef, StringSet, StringValue};
use super::lexer::{Lexer, Token};
use super::program::{Arithmetic, Read, Relation};
use crate::{Error, ErrorKind, Span};

/// How deep parentheses may nest.
pub const MAX_DEPTH: usize = 100;

/// How many expressions may be inside each other.
const MAX_HEIGHT: u16 = 400;

/// How many loops may be inside each other, as in ClamAV.
const MAX_LOOPS: usize = 4;

/// What was read up to the next rule.
#[derive(Debug)]
pub struct Parsed<'t> {
    /// The name of the rule, if it came that far.
    pub name: Option<&'t [u8]>,
    /// From its first word to where reading went on.
    pub span: Span,
    /// Its strings, also where the rule is in error: ClamAV 1.4.6 counts them
    /// for the next rule then.
    pub strings: Vec<StringDef<'t>>,
    /// ClamAV 1.4.6 does not read as far as here.
    pub behind_end: bool,
    /// The rule.
    pub outcome: Result<Rule<'t>, Error>,
}

/// Reads the rules of a text, one after the other. A rule in error is left at
/// the next word that can begin one.
///
/// `known` says whether a word is the name of a rule that stands before.
pub fn parse<'t>(
    text: &'t [u8],
    known: &mut dyn FnMut(&[u8]) -> bool,
    visit: &mut dyn FnMut(Parsed<'t>),
) {
    let mut lexer = Lexer::new(text);
    let (token, span) = lexer.next();
    let mut parser = Parser {
        lexer,
        token,
        span,
        before: Span::new(0, 0),
        strings: Vec::new(),
        loops: Vec::new(),
        in_strings: false,
        depth: 0,
        known,
    };
    loop {
        match parser.token {
            Token::End => return,
            Token::Word(b"import" | b"include") => {
                // Read and without effect, as in ClamAV.
                parser.advance();
                if matches!(parser.token, Token::Text(_)) {
                    parser.advance();
                    continue;
                }
                let start = parser.span.start();
                let error = parser.unexpected("the name of a file or module");
                parser.recover();
                let span = Span::new(start, parser.before.end());
                visit(Parsed {
                    name: None,
                    span,
                    strings: Vec::new(),
                    behind_end: false,
                    outcome: Err(error),
                });
            }
            _ => {
                let start = parser.span.start();
                parser.strings.clear();
                parser.loops.clear();
                parser.in_strings = false;
                parser.depth = 0;
                let mut name = None;
                let behind_end = parser.lexer.ended;
                let outcome = parser.rule(start, &mut name);
                if outcome.is_err() {
                    parser.recover();
                }
                let span = Span::new(start, parser.before.end().max(start));
                let strings = std::mem::take(&mut parser.strings);
                visit(Parsed { name, span, strings, behind_end, outcome });
            }
        }
    }
}

struct Parser<'t, 'k> {
    lexer: Lexer<'t>,
    /// The token to be read next, and its place.
    token: Token<'t>,
    span: Span,
    /// The place of the token before.
    before: Span,
    strings: Vec<StringDef<'t>>,
    /// Variables of the loops around; those over strings have none.
    loops: Vec<Option<&'t [u8]>>,
    /// Whether a loop over strings is around.
    in_strings: bool,
    depth: usize,
    known: &'k mut dyn FnMut(&[u8]) -> bool,
}

/// Words that are no names.
const KEYWORDS: &[&[u8]] = &[
    b"all",
    b"and",
    b"any",
    b"ascii",
    b"at",
    b"condition",
    b"contains",
    b"entrypoint",
    b"false",
    b"filesize",
    b"for",
    b"fullword",
    b"global",
    b"import",
    b"in",
    b"include",
    b"int16",
    b"int32",
    b"int8",
    b"matches",
    b"meta",
    b"nocase",
    b"not",
    b"of",
    b"or",
    b"private",
    b"rule",
    b"strings",
    b"them",
    b"true",
    b"uint16",
    b"uint32",
    b"uint8",
    b"wide",
];

impl<'t> Parser<'t, '_> {
    fn advance(&mut self) -> Token<'t> {
        let (token, span) = self.lexer.next();
        self.before = std::mem::replace(&mut self.span, span);
        std::mem::replace(&mut self.token, token)
    }

    /// An error at the next token.
    fn unexpected(&self, wanted: &'static str) -> Error {
        let kind = match self.token {
            Token::Broken(what) => ErrorKind::RuleSyntax(what),
            _ => ErrorKind::RuleSyntax(wanted),
        };
        Error::new(kind, self.span)
    }

    fn is_byte(&self, byte: u8) -> bool {
        self.token == Token::Byte(byte)
    }

    fn is_word(&self, word: &[u8]) -> bool {
        matches!(self.token, Token::Word(w) if w == word)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let here = self.is_byte(byte);
        if here {
            self.advance();
        }
        here
    }

    fn eat_word(&mut self, word: &[u8]) -> bool {
        let here = self.is_word(word);
        if here {
            self.advance();
        }
        here
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.eat(byte) {
            return Ok(());
        }
        Err(match self.token {
            Token::Broken(_) => self.unexpected(""),
            _ => Error::new(ErrorKind::Expected(byte), self.span),
        })
    }

    /// A word that is no keyword.
    fn name(&mut self) -> Result<&'t [u8], Error> {
        match self.token {
            Token::Word(word) if !KEYWORDS.contains(&word) => {
                self.advance();
                Ok(word)
            }
            _ => Err(self.unexpected("expected a name")),
        }
    }

    /// Moves on to the next word that can begin a rule.
    fn recover(&mut self) {
        loop {
            match self.token {
                Token::End
                | Token::Word(b"rule" | b"private" | b"global" | b"import" | b"include") => return,
                _ => {
                    self.advance();
                }
            }
        }
    }

    /// `[private|global] rule NAME [: tags] { [meta: ...] [strings: ...] condition: ... }`
    fn rule(&mut self, start: usize, found: &mut Option<&'t [u8]>) -> Result<Rule<'t>, Error> {
        let mut private = false;
        loop {
            match self.token {
                Token::Word(b"private") => private = true,
                Token::Word(b"global") => {}
                _ => break,
            }
            self.advance();
        }
        if !self.eat_word(b"rule") {
            let error = self.unexpected("expected `rule`");
            // What stands here may begin no rule: at least this much is read.
            self.advance();
            return Err(error);
        }
        let name = self.name()?;
        let span = self.before;
        *found = Some(name);
        if self.eat(b':') {
            while matches!(self.token, Token::Word(word) if !KEYWORDS.contains(&word)) {
                self.advance();
            }
        }
        // Braces that hold nothing but hex digits and blanks look like a hex string.
        self.expect(b'{')?;
        if self.eat_word(b"meta") {
            self.expect(b':')?;
            self.meta()?;
        }
        if self.eat_word(b"strings") {
            self.expect(b':')?;
            self.string_defs()?;
        }
        if !self.eat_word(b"condition") {
            return Err(self.unexpected("expected `condition`"));
        }
        self.expect(b':')?;
        let condition = self.boolean()?;
        self.expect(b'}')?;
        let text = Span::new(start, self.before.end());
        Ok(Rule { name, span, text, private, strings: self.strings.clone(), condition })
    }

    fn meta(&mut self) -> Result<(), Error> {
        self.name()?;
        loop {
            self.expect(b'=')?;
            match self.token {
                Token::Text(_) | Token::Number(_) | Token::Word(b"true" | b"false") => {
                    self.advance();
                }
                _ => return Err(self.unexpected("expected a text, a number, `true` or `false`")),
            }
            match self.token {
                Token::Word(word) if !KEYWORDS.contains(&word) => self.advance(),
                _ => return Ok(()),
            };
        }
    }

    fn string_defs(&mut self) -> Result<(), Error> {
        loop {
            let Token::StringId(name) = self.token else {
                return match self.strings.is_empty() {
                    true => Err(self.unexpected("expected a string, such as `$a`")),
                    false => Ok(()),
                };
            };
            let start = self.span.start();
            self.advance();
            self.expect(b'=')?;
            let value = match self.advance() {
                Token::Text(text) => StringValue::Text(text),
                Token::Hex(text) => StringValue::Hex(text),
                Token::Regex(text) => {
                    // Flags are letters right behind the slash.
                    if self.span.start() == self.before.end()
                        && matches!(self.token, Token::Word(b"i" | b"s" | b"is" | b"si"))
                    {
                        self.advance();
                    }
                    StringValue::Regex(text)
                }
                Token::Broken(what) => {
                    return Err(Error::new(ErrorKind::RuleSyntax(what), self.before));
                }
                _ => {
                    let what = "expected a text, a hex string or a regular expression";
                    return Err(Error::new(ErrorKind::RuleSyntax(what), self.before));
                }
            };
            let mut string = StringDef {
                name,
                span: Span::new(start, self.before.end()),
                value,
                ascii: false,
                fullword: false,
                nocase: false,
                wide: false,
            };
            if !matches!(string.value, StringValue::Hex(_)) {
                loop {
                    match self.token {
                        Token::Word(b"ascii") => string.ascii = true,
                        Token::Word(b"fullword") => string.fullword = true,
                        Token::Word(b"nocase") => string.nocase = true,
                        Token::Word(b"wide") => string.wide = true,
                        _ => break,
                    }
                    self.advance();
                }
            }
            string.span = Span::new(start, self.before.end());
            self.strings.push(string);
        }
    }

    fn node(&self, start: usize, kind: ExprKind<'t>, inner: &[u16]) -> Result<Expr<'t>, Error> {
        let height = 1 + inner.iter().copied().max().unwrap_or(0);
        let span = Span::new(start, self.before.end());
        if height > MAX_HEIGHT {
            return Err(Error::new(ErrorKind::ExpressionDepth, span));
        }
        Ok(Expr { kind, span, height })
    }

    /// Runs `inner` one step deeper.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= MAX_DEPTH {
            return Err(Error::new(ErrorKind::ExpressionDepth, self.span));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// `a or b or c`
    fn boolean(&mut self) -> Result<Expr<'t>, Error> {
        let start = self.span.start();
        let mut all = vec![self.conjunction()?];
        while self.eat_word(b"or") {
            all.push(self.conjunction()?);
        }
        self.chain(start, all, ExprKind::Or)
    }

    /// `a and b and c`
    fn conjunction(&mut self) -> Result<Expr<'t>, Error> {
        let start = self.span.start();
        let mut all = vec![self.negation()?];
        while self.eat_word(b"and") {
            all.push(self.negation()?);
        }
        self.chain(start, all, ExprKind::And)
    }

    fn chain(
        &self,
        start: usize,
        mut all: Vec<Expr<'t>>,
        kind: impl FnOnce(Vec<Expr<'t>>) -> ExprKind<'t>,
    ) -> Result<Expr<'t>, Error> {
        if all.len() == 1
            && let Some(only) = all.pop()
        {
            return Ok(only);
        }
        let heights: Vec<u16> = all.iter().map(|expr| expr.height).collect();
        self.node(start, kind(all), &heights)
    }

    /// `not not a`
    fn negation(&mut self) -> Result<Expr<'t>, Error> {
        let start = self.span.start();
        let mut count = 0;
        while self.eat_word(b"not") {
            count += 1;
        }
        let mut expr = self.comparison()?;
        for _ in 0..count {
            let height = expr.height;
            expr = self.node(start, ExprKind::Not(Box::new(expr)), &[height])?;
        }
        Ok(expr)
    }

    /// `a < b`, `n of set`
    fn comparison(&mut self) -> Result<Expr<'t>, Error> {
        let start = self.span.start();
        let quantifier = match self.token {
            Token::Word(b"all") => Some(Quantifier::All),
            Token::Word(b"any") => Some(Quantifier::Any),
            _ => None,
        };
        if let Some(quantifier) = quantifier {
            self.advance();
            if !self.eat_word(b"of") {
                return Err(self.unexpected("expected `of`"));
            }
            let set = self.string_set()?;
            return self.node(start, ExprKind::Of(quantifier, set), &[]);
        }
        let left = self.bits()?;
        if self.is_word(b"of") {
            self.number_wanted(&left)?;
            self.advance();
            let height = left.height;
            let set = self.string_set()?;
            let quantifier = Quantifier::Count(Box::new(left));
            return self.node(start, ExprKind::Of(quantifier, set), &[height]);
        }
        let relation = match self.token {
            Token::Equal => Relation::Equal,
            Token::NotEqual => Relation::NotEqual,
            Token::Byte(b'<') => Relation::Less,
            Token::LessEqual => Relation::LessEqual,
            Token::Byte(b'>') => Relation::More,
            Token::MoreEqual => Relation::MoreEqual,
            _ => return Ok(left),
        };
        self.number_wanted(&left)?;
        self.advance();
        let right = self.bits()?;
        self.number_wanted(&right)?;
        let heights = [left.height, right.height];
        self.node(start, ExprKind::Compare(relation, Box::new(left), Box::new(right)), &heights)
    }

    fn number_wanted(&self, expr: &Expr<'t>) -> Result<(), Error> {
        if expr.kind.is_number() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::RuleSyntax("expected a number here"), expr.span))
    }

    /// Operators of one precedence, from the left.
    fn operators(
        &mut self,
        operand: fn(&mut Self) -> Result<Expr<'t>, Error>,
        known: fn(&Token<'t>) -> Option<Arithmetic>,
    ) -> Result<Expr<'t>, Error> {
        let start = self.span.start();
        let mut left = operand(self)?;
        while let Some(operator) = known(&self.token) {
            self.number_wanted(&left)?;
            self.advance();
            let right = operand(self)?;
            self.number_wanted(&right)?;
            let heights = [left.height, right.height];
            let kind = ExprKind::Arithmetic(operator, Box::new(left), Box::new(right));
            left = self.node(start, kind, &heights)?;
        }
        Ok(left)
    }

    /// `a & b | c ^ d`: one precedence, above comparisons.
    fn bits(&mut self) -> Result<Expr<'t>, Error> {
        self.operators(Self::shift, |token| match token {
            Token::Byte(b'&') => Some(Arithmetic::And),
            Token::Byte(b'|') => Some(Arithmetic::Or),
            Token::Byte(b'^') => Some(Arithmetic::Xor),
            _ => None,
        })
    }

    fn shift(&mut self) -> Result<Expr<'t>, Error> {
        self.operators(Self::sum, |token| match token {
            Token::ShiftLeft => Some(Arithmetic::ShiftLeft),
            Token::ShiftRight => Some(Arithmetic::ShiftRight),
            _ => None,
        })
    }

    fn sum(&mut self) -> Result<Expr<'t>, Error> {
        self.operators(Self::product, |token| match token {
            Token::Byte(b'+') => Some(Arithmetic::Add),
            Token::Byte(b'-') => Some(Arithmetic::Subtract),
            _ => None,
        })
    }

    fn product(&mut self) -> Result<Expr<'t>, Error> {
        self.operators(Self::complement, |token| match token {
            Token::Byte(b'*') => Some(Arithmetic::Multiply),
            Token::Byte(b'\\') => Some(Arithmetic::Divide),
            Token::Byte(b'%') => Some(Arithmetic::Remainder),
            _ => None,
        })
    }

    /// `~~a`
    fn complement(&mut self) -> Result<Expr<'t>, Error> {
        let start = self.span.start();
        let mut count = 0;
        while self.eat(b'~') {
            count += 1;
        }
        let mut expr = self.primary()?;
        for _ in 0..count {
            self.number_wanted(&expr)?;
            let height = expr.height;
            expr = self.node(start, ExprKind::Complement(Box::new(expr)), &[height])?;
        }
        Ok(expr)
    }

    fn primary(&mut self) -> Result<Expr<'t>, Error> {
        let start = self.span.start();
        let leaf = |parser: &mut Self, kind| {
            parser.advance();
            parser.node(start, kind, &[])
        };
        match self.token {
            Token::Byte(b'(') => {
                self.advance();
                let inner = self.deeper(Self::boolean)?;
                self.expect(b')')?;
                Ok(inner)
            }
            Token::Number(value) => leaf(self, ExprKind::Number(value)),
            Token::StringCount(name) => {
                self.string_name(name)?;
                leaf(self, ExprKind::StringCount(name))
            }
            Token::StringOffset(name) => {
                self.string_name(name)?;
                self.advance();
                if !self.eat(b'[') {
                    return self.node(start, ExprKind::StringOffset(name, None), &[]);
                }
                let index = self.inner_number()?;
                self.expect(b']')?;
                let height = index.height;
                let kind = ExprKind::StringOffset(name, Some(Box::new(index)));
                self.node(start, kind, &[height])
            }
            Token::StringId(name) => self.string(name),
            Token::Word(b"filesize") => leaf(self, ExprKind::FileSize),
            Token::Word(b"entrypoint") => leaf(self, ExprKind::EntryPoint),
            Token::Word(b"true") => leaf(self, ExprKind::Truth(true)),
            Token::Word(b"false") => leaf(self, ExprKind::Truth(false)),
            Token::Word(b"for") => self.for_loop(),
            Token::Word(word) => match read(word) {
                Some(read) => {
                    self.advance();
                    self.expect(b'(')?;
                    let offset = self.inner_number()?;
                    self.expect(b')')?;
                    let height = offset.height;
                    self.node(start, ExprKind::Read(read, Box::new(offset)), &[height])
                }
                None if KEYWORDS.contains(&word) => Err(self.unexpected("expected an operand")),
                None => self.word(word),
            },
            Token::Text(_) | Token::Regex(_) => {
                let kind = ErrorKind::Unsupported("a text in a condition");
                Err(Error::new(kind, self.span))
            }
            _ => Err(self.unexpected("expected an operand")),
        }
    }

    /// The variable of a loop around, or the name of a rule.
    fn word(&mut self, word: &'t [u8]) -> Result<Expr<'t>, Error> {
        let start = self.span.start();
        let variables = self.loops.iter().flatten();
        let kind = if let Some(at) = variables.clone().position(|&variable| variable == word) {
            ExprKind::Variable(at as u8) // at most four loops
        } else if (self.known)(word) {
            ExprKind::Rule(word)
        } else {
            return Err(Error::new(ErrorKind::IdentifierUnknown, self.span));
        };
        self.advance();
        self.node(start, kind, &[])
    }

    /// A name without more is that of the loop around, and only there.
    fn string_name(&self, name: &'t [u8]) -> Result<(), Error> {
        let known = if name.is_empty() {
            self.in_strings
        } else {
            self.strings.iter().any(|string| string.name == name)
        };
        if known { Ok(()) } else { Err(Error::new(ErrorKind::StringUnknown, self.span)) }
    }

    /// `$a`, `$a at n`, `$a in (n..m)`
    fn string(&mut self, name: &'t [u8]) -> Result<Expr<'t>, Error> {
        let start = self.span.start();
        self.string_name(name)?;
        self.advance();
        if self.eat_word(b"at") {
            let offset = self.deeper(Self::bits)?;
            self.number_wanted(&offset)?;
            let height = offset.height;
            return self.node(start, ExprKind::StringAt(name, Box::new(offset)), &[height]);
        }
        if self.eat_word(b"in") {
            self.expect(b'(')?;
            let low = self.inner_number()?;
            let high = self.range_end()?;
            let heights = [low.height, high.height];
            let kind = ExprKind::StringIn(name, Box::new(low), Box::new(high));
            return self.node(start, kind, &heights);
        }
        self.node(start, ExprKind::String(name), &[])
    }

    fn inner_number(&mut self) -> Result<Expr<'t>, Error> {
        let expr = self.deeper(Self::bits)?;
        self.number_wanted(&expr)?;
        Ok(expr)
    }

    /// `..n)`
    fn range_end(&mut self) -> Result<Expr<'t>, Error> {
        if self.token != Token::Dots {
            return Err(self.unexpected("expected `..`"));
        }
        self.advance();
        let high = self.inner_number()?;
        self.expect(b')')?;
        Ok(high)
    }

    /// `them`, `($a, $b*)`
    fn string_set(&mut self) -> Result<StringSet<'t>, Error> {
        if self.eat_word(b"them") {
            return Ok(StringSet::Them);
        }
        self.expect(b'(')?;
        let mut names = Vec::new();
        loop {
            match self.token {
                Token::StringId(name) => names.push((name, false)),
                Token::StringPrefix(name) => names.push((name, true)),
                _ => return Err(self.unexpected("expected a string, such as `$a`")),
            }
            self.advance();
            if !self.eat(b',') {
                self.expect(b')')?;
                return Ok(StringSet::Named(names));
            }
        }
    }

    /// `for n of set : (body)`, `for n i in (low..high) : (body)`,
    /// `for n i in (a, b) : (body)`
    fn for_loop(&mut self) -> Result<Expr<'t>, Error> {
        let start = self.span.start();
        self.advance();
        let quantifier = if self.eat_word(b"all") {
            Quantifier::All
        } else if self.eat_word(b"any") {
            Quantifier::Any
        } else {
            Quantifier::Count(Box::new(self.inner_number()?))
        };
        let mut heights = vec![match &quantifier {
            Quantifier::Count(count) => count.height,
            _ => 0,
        }];
        if self.loops.len() >= MAX_LOOPS {
            return Err(self.unexpected("more than four loops inside each other"));
        }
        if self.is_word(b"of") {
            if self.in_strings {
                return Err(self.unexpected("a loop over strings inside another"));
            }
            self.advance();
            let set = self.string_set()?;
            if let StringSet::Named(names) = &set {
                let is_known = |name: &[u8], prefix| {
                    self.strings
                        .iter()
                        .any(|s| if prefix { s.name.starts_with(name) } else { s.name == name })
                };
                if !names.iter().all(|&(name, prefix)| is_known(name, prefix)) {
                    return Err(Error::new(ErrorKind::StringUnknown, self.before));
                }
            }
            self.in_strings = true;
            let body = self.body(None);
            self.in_strings = false;
            let body = Box::new(body?);
            heights.push(body.height);
            return self.node(start, ExprKind::ForStrings { quantifier, set, body }, &heights);
        }
        let variable_span = self.span;
        let variable = self.name()?;
        if self.loops.contains(&Some(variable)) {
            let what = ErrorKind::RuleSyntax("a loop around has the same variable");
            return Err(Error::new(what, variable_span));
        }
        if !self.eat_word(b"in") {
            return Err(self.unexpected("expected `in`"));
        }
        self.expect(b'(')?;
        let low = self.inner_number()?;
        heights.push(low.height);
        if self.token == Token::Dots {
            let (low, high) = (Box::new(low), Box::new(self.range_end()?));
            let body = Box::new(self.body(Some(variable))?);
            heights.extend([high.height, body.height]);
            let kind = ExprKind::ForRange { quantifier, low, high, body };
            return self.node(start, kind, &heights);
        }
        let mut values = vec![low];
        while self.eat(b',') {
            let value = self.inner_number()?;
            heights.push(value.height);
            values.push(value);
        }
        self.expect(b')')?;
        let body = Box::new(self.body(Some(variable))?);
        heights.push(body.height);
        self.node(start, ExprKind::ForValues { quantifier, values, body }, &heights)
    }

    /// `: ( ... )`
    fn body(&mut self, variable: Option<&'t [u8]>) -> Result<Expr<'t>, Error> {
        self.expect(b':')?;
        self.expect(b'(')?;
        self.loops.push(variable);
        let body = self.deeper(Self::boolean)?;
        self.loops.pop();
        self.expect(b')')?;
        Ok(body)
    }
}

/// `uint16` and its kin. Those whose name ends in `be` are unknown to ClamAV.
fn read(word: &[u8]) -> Option<Read> {
    let (word, big_endian) = match word.strip_suffix(b"be") {
        Some(word) => (word, true),
        None => (word, false),
    };
    let (word, signed) = match word.strip_prefix(b"u") {
        Some(word) => (word, false),
        None => (word, true),
    };
    let width = match word {
        b"int8" => 1,
        b"int16" => 2,
        b"int32" => 4,
        _ => return None,
    };
    Some(Read { width, signed, big_endian })
}
