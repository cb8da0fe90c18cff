//! What is enforced here, in words.

use serde::{Deserialize, Serialize};

/// One layer of the box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// It is on; this is what it is.
    Holds(String),
    /// It is not, for this reason.
    Lacks(String),
}

/// What a decoder told of its box when it was closed, before it read anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforced {
    /// Limits of resources, and no privileges.
    pub limits: Piece,
    /// Seccomp: which system calls there are.
    pub filter: Piece,
    /// Landlock: no file, no port.
    pub landlock: Piece,
}

impl Enforced {
    /// Each layer by its name.
    pub fn pieces(&self) -> [(&'static str, &Piece); 3] {
        [("limits", &self.limits), ("seccomp", &self.filter), ("Landlock", &self.landlock)]
    }

    /// What is missing, each with its reason; nothing if all holds.
    pub fn lacks(&self) -> Option<String> {
        self.told(|piece| match piece {
            Piece::Holds(_) => None,
            Piece::Lacks(why) => Some(why),
        })
    }

    /// What holds.
    pub fn holds(&self) -> Option<String> {
        self.told(|piece| match piece {
            Piece::Holds(what) => Some(what),
            Piece::Lacks(_) => None,
        })
    }

    fn told<'a>(&'a self, which: impl Fn(&'a Piece) -> Option<&'a String>) -> Option<String> {
        let told = |(name, piece)| Some(format!("{name} ({})", which(piece)?));
        let told: Vec<_> = self.pieces().into_iter().filter_map(told).collect();
        (!told.is_empty()).then(|| told.join(", "))
    }
}
