//! How much may be wrong with a source: shares and counts, and why.

use super::Counts;

/// How much may be wrong with a source before it is refused.
///
/// A source has lost a line if the line is malformed or holds an unknown word.
/// Lines that are sound but not run by this version count nowhere here. A bound
/// is inclusive: what is exactly as much as allowed is allowed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// A signed container may lose this many lines ...
    pub container_lines: u64,
    /// ... or this share of them, whichever is more. Its bytes are authentic: a
    /// line that cannot be read is a question to quahog, and no reason to lose
    /// the other millions. Default: 10 and 0.1 %.
    pub container_share: f64,
    /// Anything else may lose this many lines ...
    pub file_lines: u64,
    /// ... or this share of them, whichever is more: it is written by hand, or
    /// cut off. Default: 10 and 1 %.
    pub file_share: f64,
    /// Above this share of lines for newer engines an event says so: it is the
    /// first sign that this engine must be upgraded. A single load says nothing
    /// of `file_lines` or fewer. Default: 5 %.
    pub newer_warn: f64,
    /// Above this share it is refused, unless that is only a handful of lines:
    /// too little of it would protect. Default: 25 %.
    pub newer_refuse: f64,
    /// Above this difference between the signatures that the header of a
    /// container counts and those in it, as a share of the former, an event says
    /// so, unless it is no more than `container_lines`: published containers of
    /// 3 to 80 signatures hold 1 to 5 more than their headers say. It refuses
    /// nothing, for nobody vouches for the count of a `.cud`. Default: 5 %.
    pub count_off: f64,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            container_lines: 10,
            container_share: 0.001,
            file_lines: 10,
            file_share: 0.01,
            newer_warn: 0.05,
            newer_refuse: 0.25,
            count_off: 0.05,
        }
    }
}

/// Which threshold a source broke.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Broken {
    /// Too many lines cannot be read.
    #[error("{lost} of {lines} lines cannot be read, {allowed} are allowed")]
    LostLines {
        /// Malformed and unknown ones.
        lost: u64,
        /// Of how many.
        lines: u64,
        /// What is allowed.
        allowed: u64,
    },
    /// Too many lines are for newer engines.
    #[error("{newer} of {lines} lines are for newer engines")]
    Outdated {
        /// Lines for newer engines.
        newer: u64,
        /// Of how many.
        lines: u64,
    },
}

impl Thresholds {
    /// Judges a source by what became of its lines. `is_signed` says that it is
    /// a container whose signature was verified.
    ///
    /// # Errors
    ///
    /// The first threshold that it breaks.
    pub fn judge(&self, is_signed: bool, counts: &Counts) -> Result<(), Broken> {
        let (least, share) = match is_signed {
            true => (self.container_lines, self.container_share),
            false => (self.file_lines, self.file_share),
        };
        let lines = counts.said();
        let allowed = least.max(share_of(lines, share) as u64);
        let lost = counts.malformed + counts.unknown;
        // Of a file of ten lines nothing but garbage is left with ten of them.
        if lost > allowed || (lost > 0 && lost == lines) {
            return Err(Broken::LostLines { lost, lines, allowed: allowed.min(lines) });
        }
        let newer = counts.newer;
        // A share of three lines says nothing.
        if newer > least && exceeds(newer, lines, self.newer_refuse) {
            return Err(Broken::Outdated { newer, lines });
        }
        Ok(())
    }
}

/// Whether `part` is more than this share of `whole`.
pub(crate) fn exceeds(part: u64, whole: u64, share: f64) -> bool {
    part as f64 > share_of(whole, share)
}

/// A share of a count, so that 1 % of 2900 is 29, whatever a double makes of it.
fn share_of(whole: u64, share: f64) -> f64 {
    // Counts of lines are exact in a double.
    whole as f64 * share + 1e-6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(lines: u64, malformed: u64, unknown: u64, newer: u64) -> Counts {
        Counts {
            lines: lines + 7,
            comments: 4,
            blank: 3,
            malformed,
            unknown,
            newer,
            ..Counts::default()
        }
    }

    /// `lost` of `lines` is the most that is allowed.
    fn edge(is_signed: bool, lines: u64, lost: u64) {
        let judge = |malformed, unknown| {
            Thresholds::default().judge(is_signed, &counts(lines, malformed, unknown, 0))
        };
        assert_eq!(judge(lost, 0), Ok(()), "{lines}");
        assert_eq!(judge(lost - 1, 1), Ok(()), "{lines}");
        let broken = Broken::LostLines { lost: lost + 1, lines, allowed: lost };
        assert_eq!(judge(lost + 1, 0), Err(broken));
        assert_eq!(judge(1, lost), Err(broken), "malformed and unknown count together");
    }

    #[test]
    fn ten_lines_or_a_share_may_be_lost() {
        for (lines, lost) in [(12, 10), (1000, 10), (1099, 10), (1100, 11), (2900, 29)] {
            edge(false, lines, lost);
        }
        for (lines, lost) in [(12, 10), (10_999, 10), (11_000, 11), (29_000, 29), (9_000_000, 9000)]
        {
            edge(true, lines, lost);
        }
    }

    #[test]
    fn a_source_of_which_nothing_is_left_is_refused_however_short() {
        let judge = |lost| Thresholds::default().judge(false, &counts(3, lost, 0, 0));
        assert_eq!(judge(2), Ok(()));
        assert_eq!(judge(3), Err(Broken::LostLines { lost: 3, lines: 3, allowed: 3 }));
        assert_eq!(Thresholds::default().judge(true, &Counts::default()), Ok(()));
    }

    #[test]
    fn a_quarter_may_be_for_newer_engines() {
        let judge = |lines, newer| Thresholds::default().judge(true, &counts(lines, 0, 0, newer));
        assert_eq!(judge(400, 100), Ok(()));
        assert_eq!(judge(400, 101), Err(Broken::Outdated { newer: 101, lines: 400 }));
        // A handful is no share.
        assert_eq!(judge(12, 10), Ok(()));
        assert_eq!(judge(12, 11), Err(Broken::Outdated { newer: 11, lines: 12 }));
    }

    #[test]
    fn lines_that_are_sound_count_nowhere() {
        let sound =
            Counts { unsupported: 900, not_read: 50, untrusted: 49, ..counts(1000, 0, 0, 0) };
        assert_eq!(Thresholds::default().judge(true, &sound), Ok(()));
    }

    #[test]
    fn shares_are_exact_at_their_edge() {
        for whole in (100..100_000).step_by(100) {
            assert!(!exceeds(whole / 100, whole, 0.01) && exceeds(whole / 100 + 1, whole, 0.01));
            assert!(!exceeds(whole / 20, whole, 0.05) && exceeds(whole / 20 + 1, whole, 0.05));
        }
    }
}
