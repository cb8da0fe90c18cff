//! Second layer: Landlock, from Linux 5.13 on. No file may be named, no port bound or connected to, no process outside
//! signalled; each as far as the kernel has it.

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope,
};

use super::report::Piece;

/// The newest rights that are asked for; what the kernel does not know is left out, and told.
const NEWEST: ABI = ABI::V6;

/// Gives up every right.
pub fn set() -> Piece {
    match try_set() {
        Ok((RulesetStatus::NotEnforced, _)) => Piece::Lacks("this kernel has none, or it is turned off".to_owned()),
        Ok((_, abi)) => Piece::Holds(format!("ABI {abi}")),
        Err(error) => Piece::Lacks(error.to_string()),
    }
}

fn try_set() -> Result<(RulesetStatus, i32), RulesetError> {
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    let status = rules.create()?.restrict_self()?;
    let abi = match status.landlock {
        LandlockStatus::Available { effective_abi, kernel_abi } => kernel_abi.unwrap_or(effective_abi as i32),
        _ => 0,
    };
    Ok((status.ruleset, abi))
}
