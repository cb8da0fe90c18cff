//! The secrets of one installation, in its data folder.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, bail};
use rand::RngExt;

use crate::preset::hex;
use crate::presign::Credential;

/// The secret of tokens, to be offered to the ledger, which keeps the first: the one of a version that had it in the data
/// folder, or a new one.
pub fn token_secret(data: &Path) -> anyhow::Result<String> {
    let path = data.join("token-secret");
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().len() == 64 && text.trim().bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(text.trim().to_owned())
        }
        // What a crash cut off is no secret.
        Ok(_) => bail!(
            "{} does not hold the 64 hex digits it was made with; restore it, or remove it to get a new one",
            path.display()
        ),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(hex(&rand::rng().random::<[u8; 32]>())),
        Err(e) => Err(e).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The embedded store's account, in the format of AWS's shared credentials file, so that S3 clients can use it.
pub fn load_account(path: &Path) -> anyhow::Result<Credential> {
    if !path.exists() {
        let mut rng = rand::rng();
        let id = hex(&rng.random::<[u8; 8]>()).to_uppercase();
        let secret = hex(&rng.random::<[u8; 20]>());
        write_private(path, &format!("[default]\naws_access_key_id = TT{id}\naws_secret_access_key = {secret}\n"))?;
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix('='));
        line.map(|value| value.trim().to_owned()).with_context(|| format!("{} has no {name}", path.display()))
    };
    Ok(Credential { key_id: value("aws_access_key_id")?, secret: value("aws_secret_access_key")?, token: None })
}

/// Whole or not at all.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || {
        // A temporary file is its owner's alone.
        let mut part = tempfile::NamedTempFile::new_in(folder)?;
        part.write_all(text.as_bytes())?;
        part.as_file().sync_all()?;
        part.persist_noclobber(path)?;
        Ok::<_, std::io::Error>(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
