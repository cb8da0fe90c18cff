//! What is missing of a damaged file, and how much of it has to be there.

use crate::error::Error;

/// What is missing of a file.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Damage {
    /// The part of its rows that is there, 0 to 1; of the rows of all frames, if it is an animation.
    pub rows: f64,
    /// What is wrong, in half a sentence.
    pub why: String,
}

impl Damage {
    /// `there` of `all` rows are there.
    pub(crate) fn new(there: u64, all: u64, why: impl Into<String>) -> Self {
        // Rounded down: what is not whole is never said to be.
        let thousandths = there.min(all).saturating_mul(1000) / all.max(1);
        Self { rows: thousandths as f64 / 1000.0, why: why.into() }
    }

    /// All rows are there, and something else is not as it should be.
    pub(crate) fn beside_the_rows(why: impl Into<String>) -> Self {
        Self::new(1, 1, why)
    }
}

/// How much of a damaged file has to be there, for it to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Tolerance {
    /// More than half of its rows.
    #[default]
    Half,
    /// All of it: a damaged file is refused.
    Refuse,
    /// At least this part of its rows, 0 to 1. With 1, a file is taken that lacks its end marker alone.
    Rows(f64),
}

impl Tolerance {
    /// Whether this part of the rows of a damaged file is enough.
    pub fn accepts(self, rows: f64) -> bool {
        match self {
            Self::Half => rows > 0.5,
            Self::Refuse => false,
            Self::Rows(least) => rows >= least,
        }
    }

    /// Refuses a file of which too little is there.
    pub(crate) fn judge(self, damage: Option<Damage>) -> Result<Option<Damage>, Error> {
        let Some(damage) = damage else { return Ok(None) };
        let Damage { rows, why } = &damage;
        if self.accepts(*rows) {
            return Ok(Some(damage));
        }
        let part = format!("{:.1} % of its rows are there", rows * 100.0);
        Err(Error::corrupt(match self {
            Self::Refuse => why.clone(),
            Self::Half => format!("{why}: {part}, and more than half must be"),
            Self::Rows(least) => format!("{why}: {part}, and {:.1} % must be", least * 100.0),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_depends_on_how_much_is_there() {
        let taken = |tolerance: Tolerance, there| tolerance.judge(Some(Damage::new(there, 10, "it is cut"))).is_ok();
        for (tolerance, least) in
            [(Tolerance::Half, 6), (Tolerance::Refuse, 11), (Tolerance::Rows(0.8), 8), (Tolerance::Rows(0.0), 0)]
        {
            for there in 0..=10 {
                assert_eq!(taken(tolerance, there), there >= least, "{tolerance:?} of {there}");
            }
            assert_eq!(tolerance.judge(None), Ok(None));
        }
        let error = Tolerance::Half.judge(Some(Damage::new(3, 10, "it is cut"))).expect_err("too little");
        assert_eq!(error.message, "it is cut: 30.0 % of its rows are there, and more than half must be");
    }

    #[test]
    fn what_is_not_whole_is_never_said_to_be() {
        assert_eq!(Damage::new(99_999, 100_000, "").rows, 0.999);
        assert_eq!(Damage::new(5, 5, "").rows, 1.0);
        assert_eq!(Damage::new(0, 0, "").rows, 0.0);
    }
}
