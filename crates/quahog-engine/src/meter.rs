//! How a caller bounds the work of a scan.

use std::fmt;

/// Charges work and calls a scan off.
///
/// The engine reads no clock and knows no limits: it tells its caller what it
/// does, in units of about one byte touched.
pub trait Meter {
    /// Charges `work` units.
    ///
    /// # Errors
    ///
    /// The scan must end; every later call says so too.
    fn tick(&self, work: u64) -> Result<(), Interrupted>;

    /// Says that a search ended at a bound of its own: something may have been
    /// missed, and the scan goes on.
    fn gave_up(&self) {}

    /// How far regular expressions go.
    fn regex_limits(&self) -> RegexLimits {
        RegexLimits::default()
    }
}

/// How far regular expressions go, those of YARA rules aside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RegexLimits {
    /// The longest view that they are searched in.
    pub bytes: u64,
    /// Steps that a search may take in all, beside some for each byte, where
    /// no automaton can do it.
    pub steps: u64,
    /// The most choices that such a search keeps open at a time.
    pub depth: usize,
}

impl Default for RegexLimits {
    /// 100 MiB, as in ClamAV; steps for about a tenth of a second.
    fn default() -> RegexLimits {
        RegexLimits { bytes: 100 << 20, steps: 20_000_000, depth: 2_000_000 }
    }
}

/// The scan was called off by its [`Meter`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scan called off")
    }
}

impl std::error::Error for Interrupted {}

/// Allows everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unmetered;

impl Meter for Unmetered {
    fn tick(&self, _work: u64) -> Result<(), Interrupted> {
        Ok(())
    }
}
