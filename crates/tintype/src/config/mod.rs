//! What the operator decides: defaults < file < environment < flags, all mistakes reported at once.

mod callback;
mod events;
mod fields;
mod front;
mod presets;
mod reader;
mod reference;
mod shown;
mod sources;
mod value;
mod variant;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tintype_image::Tolerance;
use url::Url;

use crate::auth::ConfiguredKey;
use crate::callback::CallbackConfig;
use crate::event::order::Rule;
use crate::key::{Key, Layout, LayoutError};
use crate::ledger::LedgerUrl;
use crate::preset::Presets;
use crate::store::s3::S3Config;
use crate::upload::Method;

pub use events::{EventsConfig, OidcConfig, SharedKey};
pub use front::{FrontConfig, Origins, TlsFiles};
use reader::Reader;
pub use reference::reference;
pub use shown::Shown;
pub use sources::Sources;
pub use value::{parse_duration, without_secrets};

/// The annotated defaults, as `tintype config` prints them.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

/// One mistake in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Which key, and where it was set: `upload.expires (TINTYPE_UPLOAD__EXPIRES)`.
    pub place: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// Every mistake there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl std::fmt::Display for Mistakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.0.len();
        writeln!(f, "the configuration has {count} mistake{}:", if count == 1 { "" } else { "s" })?;
        for mistake in &self.0 {
            writeln!(f, "  {}: {}", mistake.place, mistake.problem)?;
        }
        write!(f, "`tintype config` prints every key with its default.")
    }
}

impl std::error::Error for Mistakes {}

/// Where objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// In this process.
    Embedded,
    /// In a bucket of an S3.
    S3 {
        /// Its name.
        bucket: String,
    },
}

/// Whether decoders are boxed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxMode {
    /// By whatever the system has.
    Auto,
    /// By every layer there is, or nothing starts.
    Require,
    /// Not at all.
    Off,
}

/// A configuration without mistakes.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Address clients reach the API by.
    pub public_url: Option<Url>,
    /// Address of AWS services, where it is not their own.
    pub aws_endpoint: Option<Url>,
    /// Folder for everything that is kept.
    pub data: PathBuf,
    /// Originals developed at once.
    pub workers: usize,
    /// How long running work may take to finish.
    pub drain: Duration,
    /// Where objects are.
    pub store: StoreUrl,
    /// Where the embedded store listens.
    pub store_listen: SocketAddr,
    /// Address clients reach the store by.
    pub store_endpoint: Option<Url>,
    /// Region in signatures.
    pub region: String,
    /// Address that variants are fetched from.
    pub variants_url: Option<Url>,
    /// Where the ledger is.
    pub ledger: LedgerUrl,
    /// How often the ledger is checked for damage, if it is.
    pub check_every: Option<Duration>,
    /// How often a job is tried while the store fails.
    pub attempts: u32,
    /// How often a job's process may die before the job is given up.
    pub crashes: u32,
    /// How long a job is a worker's that does not say that it is alive.
    pub lease: Duration,
    /// How long a storage event may be on its way before it counts as lost.
    pub event_time: Duration,
    /// Longest time between two listings of originals.
    pub reconcile: Duration,
    /// Prefix of uploads and folder of variants.
    pub layout: Layout,
    /// What a new upload may deliver.
    pub upload: UploadDefaults,
    /// How long originals are kept.
    pub keep_originals: Option<Duration>,
    /// Refuse mislabelled originals.
    pub strict_type: bool,
    /// Later bytes under a credential replace the earlier ones.
    pub replaceable: bool,
    /// How soon after its end a backend claims an upload that it keeps.
    pub claim_within: Option<Duration>,
    /// What can be made of an original.
    pub presets: Presets,
    /// `Cache-Control` of variants.
    pub cache_control: String,
    /// How callbacks are made.
    pub callback: Option<CallbackConfig>,
    /// Most pixels of an image.
    pub max_pixels: u64,
    /// Most frames of an animation.
    pub max_frames: u32,
    /// How much of a damaged file has to be there.
    pub damaged: Tolerance,
    /// Memory for the pixels of all originals in work together, in bytes.
    pub memory: u64,
    /// Longest time for one original's pixels.
    pub deadline: Duration,
    /// What the network's edge allows.
    pub front: FrontConfig,
    /// Where pixels are made.
    pub sandbox: SandboxMode,
    /// API keys besides those of the ledger.
    pub keys: Vec<ConfiguredKey>,
    /// Whose pushed events are taken without an API key.
    pub events: EventsConfig,
    /// Log filter.
    pub log_level: String,
    /// Log as JSON lines.
    pub log_json: bool,
    /// All of this as it was written, less what is secret.
    pub shown: Vec<Shown>,
}

/// What a new upload may deliver, where the caller says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadDefaults {
    /// Lifetime of a credential.
    pub expires: Duration,
    /// Most bytes.
    pub max_bytes: u64,
    /// Content type of a form.
    pub content_type: String,
    /// Form or signed URL.
    pub method: Method,
    /// The form's field `acl`.
    pub acl: String,
}

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Longest lifetime that AWS takes in a presigned URL.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

impl Config {
    /// Reads and checks all sources.
    ///
    /// # Errors
    /// All mistakes, each with its key and a remedy.
    pub fn load(sources: &Sources) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(sources);
        let config = Self::read(&mut reader);
        match config {
            Some(config) if reader.mistakes.is_empty() => Ok(config),
            _ => Err(Mistakes(reader.mistakes)),
        }
    }

    /// Reads every key before it gives up, so that every mistake is seen.
    fn read(r: &mut Reader) -> Option<Self> {
        let listen = r.address("server.listen");
        let keys = r.keys("auth.keys");
        let store_listen = r.address("store.listen");
        let data = r.path("server.data");
        let loopback = listen.is_some_and(|at| at.ip().is_loopback());
        let public_url = r.optional_url("server.public_url");
        let workers = r.number("server.workers", 0, 1024);
        let drain = r.duration("server.drain", Duration::ZERO, Duration::from_secs(3600));
        let store = read_store(r);
        let store_endpoint = r.optional_url("store.endpoint");
        let region = r.name("store.region");
        let aws_endpoint = r.optional_url("aws.endpoint");
        let variants_url = r.optional_url("store.public_url");
        let ledger = read_ledger(r, data.as_deref());
        let check_every = r.duration("ledger.check_every", Duration::ZERO, Duration::from_secs(30 * 24 * 3600));
        r.one_of("queue.url", &["ledger"]);
        let attempts = r.number("queue.attempts", 1, 10_000);
        let crashes = r.number("queue.crashes", 1, 1000);
        let lease = r.duration("queue.lease", Duration::from_secs(1), Duration::from_secs(3600));
        let event_time = r.duration("queue.event_time", Duration::ZERO, DAY);
        let reconcile = r.duration("queue.reconcile", Duration::from_secs(1), DAY);
        let layout = read_layout(r);
        let upload = read_upload(r);
        let keep_originals = r.duration("upload.keep_originals", Duration::ZERO, Duration::from_secs(3650 * 24 * 3600));
        let strict_type = r.boolean("upload.strict_type");
        let replaceable = r.boolean("upload.replaceable");
        let claim_within = r.duration("upload.claim_within", Duration::ZERO, 30 * DAY);
        let presets = presets::read(r, layout.as_ref());
        let cache_control = r.text("variants.cache_control");
        let callback = callback::read(r, loopback, presets.as_ref());
        let max_pixels = r.bytes("limits.max_pixels", 1, u64::from(u32::MAX));
        let max_frames = r.number("limits.max_frames", 1, 1_000_000);
        let damaged = r.tolerance("limits.damaged");
        let memory = r.bytes("limits.memory", 1 << 20, 1 << 40);
        let deadline = r.duration("limits.deadline", Duration::from_millis(1), Duration::from_secs(3600));
        let front = front::read(r);
        let events = events::read(r);
        let sandbox = r.one_of("sandbox.mode", &["auto", "require", "off"]);
        let log_level = read_log_level(r);
        let log_format = r.one_of("log.format", &["human", "json"]);
        Some(Self {
            listen: listen?,
            public_url: public_url?,
            data: data?,
            workers: match workers? {
                0 => std::thread::available_parallelism().map_or(1, usize::from),
                workers => workers as usize,
            },
            drain: drain?,
            store: store?,
            store_listen: store_listen?,
            store_endpoint: store_endpoint?,
            region: region?,
            aws_endpoint: aws_endpoint?,
            variants_url: variants_url?,
            ledger: ledger?,
            check_every: check_every.map(|every| Some(every).filter(|every| !every.is_zero()))?,
            attempts: attempts?,
            crashes: crashes?,
            lease: lease?,
            event_time: event_time?,
            reconcile: reconcile?,
            layout: layout?,
            upload: upload?,
            keep_originals: keep_originals.map(|kept| Some(kept).filter(|kept| !kept.is_zero()))?,
            strict_type: strict_type?,
            replaceable: replaceable?,
            claim_within: claim_within.map(|within| Some(within).filter(|within| !within.is_zero()))?,
            presets: presets?,
            cache_control: cache_control?,
            callback: callback?,
            max_pixels: max_pixels?,
            max_frames: max_frames?,
            damaged: damaged?,
            memory: memory?,
            deadline: deadline?,
            sandbox: match sandbox?.as_str() {
                "require" => SandboxMode::Require,
                "off" => SandboxMode::Off,
                _ => SandboxMode::Auto,
            },
            keys: keys?,
            front: front?,
            events: events?,
            log_level: log_level?,
            log_json: log_format? == "json",
            shown: r.shown(),
        })
    }
}

impl Config {
    /// `https` if the API speaks TLS itself, else `http`.
    pub fn scheme(&self) -> &'static str {
        if self.front.tls.is_some() { "https" } else { "http" }
    }

    /// The same of the embedded store.
    pub fn store_scheme(&self) -> &'static str {
        if self.front.store_tls { self.scheme() } else { "http" }
    }

    /// An address beyond loopback that is listened on.
    pub fn beyond_loopback(&self) -> Option<SocketAddr> {
        let addresses = [Some(self.listen), self.front.metrics_listen];
        addresses.into_iter().flatten().find(|at| !at.ip().is_loopback())
    }

    /// Which bytes count under a key: of an upload that was asked for, which its key tells, the first.
    pub fn rule(&self, key: &Key) -> Rule {
        if self.layout.is_upload_key(key) && !self.replaceable { Rule::FirstBytes } else { Rule::Newest }
    }

    /// A bucket of the S3 that is configured.
    pub fn s3(&self, bucket: &str) -> S3Config {
        let endpoint = self.store_endpoint.as_ref().or(self.aws_endpoint.as_ref()).cloned();
        S3Config { bucket: bucket.to_owned(), endpoint, region: self.region.clone() }
    }
}

fn read_store(r: &mut Reader) -> Option<StoreUrl> {
    let text = r.text("store.url")?;
    if text == "embedded" {
        return Some(StoreUrl::Embedded);
    }
    match text.strip_prefix("s3://").map(|name| name.trim_end_matches('/')) {
        Some(bucket) => match check_bucket(bucket) {
            Ok(()) => Some(StoreUrl::S3 { bucket: bucket.to_owned() }),
            Err(problem) => r.mistake("store.url", problem),
        },
        None => r.mistake("store.url", "this build knows \"embedded\" and \"s3://bucket\""),
    }
}

/// Whether a bucket can be called so.
fn check_bucket(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        return Err("s3:// must be followed by the name of a bucket alone, e.g. \"s3://my-bucket\"");
    }
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("the name of a bucket has no capital letters, e.g. \"s3://my-bucket\"");
    }
    match name.len() {
        0..3 => Err("the name of a bucket has at least 3 characters, e.g. \"s3://my-bucket\""),
        3..=63 => Ok(()),
        _ => Err("the name of a bucket has at most 63 characters"),
    }
}

fn read_ledger(r: &mut Reader, data: Option<&std::path::Path>) -> Option<LedgerUrl> {
    let text = r.text("ledger.url")?;
    match text.split_once(':') {
        Some(("sqlite", "")) => Some(LedgerUrl::Sqlite(data?.join("tintype.db"))),
        Some(("sqlite", path)) => Some(LedgerUrl::Sqlite(PathBuf::from(path.trim_start_matches("//")))),
        // The address may hold a password: the mistake does not repeat it.
        Some(("postgres" | "postgresql", _)) => match text.parse::<Url>() {
            Ok(url) if url.path().len() > 1 => Some(LedgerUrl::Postgres(url)),
            Ok(_) => r.mistake("ledger.url", "name a database: postgres://user:password@host/database"),
            Err(error) => r.mistake(
                "ledger.url",
                &format!(
                    "it is no address ({error}): postgres://user:password@host/database, with % escapes in the password"
                ),
            ),
        },
        _ => r.mistake(
            "ledger.url",
            "this build knows \"sqlite:\", \"sqlite:PATH\" and \"postgres://user:password@host/database\"",
        ),
    }
}

fn read_layout(r: &mut Reader) -> Option<Layout> {
    let (prefix, folder) = (r.text("upload.prefix")?, r.text("variants.folder")?);
    match Layout::new(&prefix, &folder) {
        Ok(layout) => Some(layout),
        Err(error @ LayoutError::Overlap { .. }) => {
            r.mistake("variants.folder", &format!("{error}; name two folders that lie apart"))
        }
        Err(error @ LayoutError::NotAFolder(..)) => {
            let key = if Layout::for_files(&prefix).is_err() { "upload.prefix" } else { "variants.folder" };
            r.mistake(key, &format!("{error}; write a folder such as \"temp/\""))
        }
    }
}

fn read_log_level(r: &mut Reader) -> Option<String> {
    const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
    let level = r.text("log.level")?;
    if level.contains('=') || LEVELS.contains(&level.as_str()) {
        return Some(level);
    }
    r.mistake("log.level", &format!("{level:?} is none of: {}; a filter has a `=`", LEVELS.join(", ")))
}

fn read_upload(r: &mut Reader) -> Option<UploadDefaults> {
    let expires = r.duration("upload.expires", Duration::from_secs(1), WEEK);
    let max_bytes = r.bytes("upload.max_bytes", 1, 5 << 30);
    let mut content_type = r.text("upload.content_type");
    if let Some(text) = &content_type
        && !crate::upload::is_image_type(text)
    {
        content_type = r.mistake(
            "upload.content_type",
            &format!("{text:?} is no image type; use \"image/*\", or \"image/png\", say"),
        );
    }
    let method = r.one_of("upload.method", &["POST", "PUT"]);
    let acl = r.text("upload.acl");
    Some(UploadDefaults {
        expires: expires?,
        max_bytes: max_bytes?,
        content_type: content_type?,
        method: if method? == "PUT" { Method::Put } else { Method::Post },
        acl: acl?,
    })
}

#[cfg(test)]
mod tests;
