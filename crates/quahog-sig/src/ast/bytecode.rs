//! Bytecode files, as far as they say when a program would run.

use super::{Field, Logical, whole};
use crate::{Error, ErrorKind, Span};

/// The head of a bytecode file: its first two lines.
///
/// The programs themselves are never run. What triggers one is a name (a
/// *hook*), or a logical signature; [`trigger`](Self::trigger) is where a
/// matcher would begin.
#[derive(Clone, Debug)]
pub struct Bytecode<'t> {
    /// The first line, behind its `ClamBC`.
    pub header: Field<'t>,
    /// The second line.
    pub trigger: Field<'t>,
}

impl<'t> Bytecode<'t> {
    /// Reads the head of a file.
    ///
    /// # Errors
    ///
    /// It is no bytecode, or has no second line.
    pub fn parse(text: &'t [u8]) -> Result<Bytecode<'t>, Error> {
        let mut start = 0;
        let mut lines = text.split(|&b| b == b'\n').map(|line| {
            let trimmed = line.trim_ascii_end();
            let field = Field { text: trimmed, span: Span::new(start, start + trimmed.len()) };
            start += line.len() + 1;
            field
        });
        let first = lines.next().unwrap_or(Field { text: b"", span: whole(text) });
        if !first.text.starts_with(b"ClamBC") {
            return Err(first.error(ErrorKind::BytecodeHeader));
        }
        let header = first.slice(6, first.text.len());
        match lines.next().filter(|line| !line.text.is_empty()) {
            Some(trigger) => Ok(Bytecode { header, trigger }),
            None => Err(first.error(ErrorKind::BytecodeHeader)),
        }
    }

    /// The logical signature that runs the program, if its trigger is one.
    pub fn logical(&self) -> Option<Logical<'t>> {
        let is_logical = self.trigger.text.contains(&b';');
        is_logical.then(|| Logical::parse(self.trigger.text).ok()).flatten()
    }

    /// What the program is called: its name, or that of its trigger.
    pub fn name(&self) -> &'t [u8] {
        self.trigger.text.split(|&b| b == b';').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_a_name_or_a_logical_signature() {
        let text = b"ClamBCafhd`d|af`|:\nBC.Test.{A,B};Target:0;0;68656c6c6f\nTedfa\n";
        let bytecode = Bytecode::parse(text).unwrap();
        assert_eq!(bytecode.name(), b"BC.Test.{A,B}");
        assert_eq!(bytecode.logical().unwrap().subsignatures.len(), 1);
        let bytecode = Bytecode::parse(b"ClamBCa\r\nBC.Hook\r\n").unwrap();
        assert_eq!((bytecode.name(), bytecode.logical().is_none()), (&b"BC.Hook"[..], true));
        assert!(Bytecode::parse(b"ClamBCa").is_err());
        assert!(Bytecode::parse(b"rule A").is_err());
    }
}
