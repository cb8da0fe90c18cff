//! Who calls: API keys, what each may do, and which are good just now.

mod key;
#[cfg(feature = "server")]
mod ring;
mod scope;

#[cfg(feature = "server")]
pub use key::id_of;
pub use key::{KeyHash, NewKey};
#[cfg(feature = "server")]
pub use ring::{Identity, Keyring, Known, NoKey};
pub use scope::{Scope, Scopes};

/// A key of the configuration (`auth.keys`).
#[derive(Debug, Clone)]
pub struct ConfiguredKey {
    /// SHA-256 of the key.
    pub hash: KeyHash,
    /// What it may do.
    pub scopes: Scopes,
}

impl ConfiguredKey {
    /// What logs and quotas name it by: the start of its hash.
    pub fn id(&self) -> String {
        format!("config-{}", &self.hash.to_string()[..8])
    }
}
