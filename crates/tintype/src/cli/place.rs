//! Which installation a command is about: what every command beside a server is told.

use std::path::PathBuf;

use clap::Args;
use tintype::config::{Config, Sources};
use tintype::upload::UploadId;

use super::load;

/// Where the settings and the rows of a server are.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// Folder for everything that is kept [default: tintype-data]
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<String>,
    /// Configuration file [default: tintype.toml, if there is one]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

impl Place {
    /// The settings in force, or none with every mistake told.
    pub fn config(&self) -> Option<Config> {
        let flags = self.data.clone().map(|data| ("server.data", data)).into_iter().collect();
        load(&Sources::of_process(self.config.clone(), flags))
    }
}

/// An upload's id among the arguments.
pub fn upload_id(text: &str) -> Result<UploadId, String> {
    UploadId::parse(text).ok_or_else(|| "an upload's id is 32 hex digits".to_owned())
}
