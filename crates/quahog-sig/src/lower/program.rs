//! Bytecode: the logical signatures that would run a program.
//!
//! No program is ever run. What is admitted is its *trigger*, so that whoever
//! scans can say for which layers a program would have had the last word.

use super::{Admission, NumberedLine, SetBuilder, Skip};
use crate::ast::{Bytecode, Field, Logical};
use crate::{Error, ErrorKind, FLEVEL, Format, Level, Span};

/// Which bytecode is read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Programs {
    /// None.
    Nobody,
    /// That of officially signed containers.
    #[default]
    Official,
    /// All of it.
    Everybody,
}

impl SetBuilder {
    /// Says which bytecode is read; by default that of officially signed
    /// containers.
    pub fn programs(mut self, programs: Programs) -> SetBuilder {
        self.programs = programs;
        self
    }

    /// Admits the trigger of a bytecode file whole or not at all.
    pub(crate) fn program(&mut self, text: &[u8]) -> Result<Admission, Error> {
        let bytecode = Bytecode::parse(text)?;
        let official = self.columns.sources.last().is_some_and(|source| source.official);
        let wanted = match self.programs {
            Programs::Nobody => false,
            Programs::Official => official,
            Programs::Everybody => true,
        };
        if !wanted {
            return Ok(Admission::Skipped(Skip::Program));
        }
        let Field { text: trigger, span } = bytecode.trigger;
        if !trigger.contains(&b';') {
            // When its program runs is written in a header that we do not read.
            return Err(bytecode.trigger.error(ErrorKind::Unsupported("bytecode with a hook")));
        }
        match Level::of(Format::Ldb, trigger) {
            Level::Range(min, _) if min > FLEVEL => return Ok(Admission::Skipped(Skip::Newer)),
            Level::Range(_, max) if max < FLEVEL => return Ok(Admission::Skipped(Skip::Obsolete)),
            _ => {}
        }
        let place = |error: Error| {
            let at = |n: usize| n.saturating_add(span.start());
            Error::new(error.kind(), Span::new(at(error.span().start()), at(error.span().end())))
        };
        let code = self.columns.code.len();
        let (subs, pcres) = (self.columns.subs.len(), self.columns.n_pcres);
        let line = NumberedLine { number: 2, text: trigger, format: Format::Cbc };
        let admission = Logical::parse(trigger).and_then(|record| self.logical(line, &record));
        match admission {
            Ok(Admission::Admitted) => {
                self.columns.logicals.change_last(|row| row.runs_program = true);
                Ok(Admission::Program)
            }
            other => {
                self.columns.code.to_mut().truncate(code);
                self.columns.subs.truncate(subs);
                self.columns.n_pcres = pcres;
                other.map_err(place)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(programs: Programs, official: bool, text: &str) -> Result<Admission, &'static str> {
        let mut builder = SetBuilder::new().programs(programs);
        builder.source("a.cbc", official);
        let admission = builder.program(text.as_bytes()).map_err(|e| e.kind().code());
        let set = builder.finish();
        let runs = set.logicals().filter(|logical| logical.runs_program).count();
        assert_eq!(runs, usize::from(admission == Ok(Admission::Program)));
        admission
    }

    #[test]
    fn triggers_are_admitted_from_whom_they_are_wanted() {
        let text = "ClamBCa\nBC.Test.{A};Engine:56-255,Target:0;0;68656c6c6f\nTedf\n";
        let skipped = Ok(Admission::Skipped(Skip::Program));
        assert_eq!(admit(Programs::Official, true, text), Ok(Admission::Program));
        assert_eq!(admit(Programs::Official, false, text), skipped);
        assert_eq!(admit(Programs::Everybody, false, text), Ok(Admission::Program));
        assert_eq!(admit(Programs::Nobody, true, text), skipped);
    }

    #[test]
    fn triggers_that_are_none_are_told_apart() {
        let admit = |trigger: &str| {
            admit(Programs::Everybody, false, &format!("ClamBCa\n{trigger}\nTedf\n"))
        };
        assert_eq!(admit("BC.Hook"), Err("unsupported"));
        assert_eq!(admit("BC.A;Target:0;0;6"), Err("hex-digit"));
        // As bytecode.cvd 19 has it: the program counts what its condition leaves out.
        assert_eq!(admit("BC.A;Target:0;0;616263;616264"), Ok(Admission::Program));
        assert_eq!(admit("BC.A;Target:0;1;616263"), Err("subsignature-count"));
        let newer = "BC.A;Engine:300-400,Target:0;what;ever";
        assert_eq!(admit(newer), Ok(Admission::Skipped(Skip::Newer)));
    }
}
