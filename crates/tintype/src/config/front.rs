//! `[server]`, `[store]` and `[limits]`: what the network's edge allows.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::reader::Reader;

/// What peers may cost, and which pages may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontConfig {
    /// Where metrics are told besides the API.
    pub metrics_listen: Option<SocketAddr>,
    /// Certificate and key, for HTTPS.
    pub tls: Option<TlsFiles>,
    /// Whether the embedded store speaks HTTPS too.
    pub store_tls: bool,
    /// Pages that may read uploads from the API.
    pub api_origins: Origins,
    /// Pages that may use the embedded store.
    pub store_origins: Origins,
    /// Most connections to one listener.
    pub max_connections: u32,
    /// Most of them from one address; 0 for no bound.
    pub max_per_address: u32,
    /// Of all, those that only requests with an API key may hold.
    pub reserved_connections: u32,
    /// Proxies whose word is taken on whom they call for.
    pub trusted_proxies: Vec<IpNet>,
    /// Most requests of one API key at once; 0 for no bound.
    pub requests_per_key: u32,
    /// Memory for the bodies of all requests together.
    pub body_memory: u64,
    /// Most event streams and long polls at once.
    pub streams: u32,
    /// Most of them by one upload's token; 0 for no bound.
    pub streams_per_upload: u32,
    /// Most of them from one address; 0 for no bound.
    pub streams_per_address: u32,
    /// Most of them with one API key; 0 for no bound.
    pub streams_per_key: u32,
    /// Longest time for a request's head.
    pub header_timeout: Duration,
    /// How long a connection waits for its next request.
    pub keep_alive: Duration,
    /// Longest stall of a body or an answer.
    pub stall_timeout: Duration,
    /// Bytes a second in the long run; 0 for no bound.
    pub min_rate: u64,
    /// Most jobs that wait before new uploads are refused; 0 for no bound.
    pub max_queue: u64,
    /// Uploads a minute of one caller; 0 for no bound.
    pub uploads_per_minute: u32,
    /// Free bytes on disk below which uploads are refused; 0 for no bound.
    pub min_free_disk: u64,
}

/// Files in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then its issuers'.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Which web pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// All of them.
    Any,
    /// Those of these origins, as browsers write them; perhaps none.
    These(Vec<String>),
}

impl Origins {
    /// Whether an origin is named; not whether any is.
    pub fn name(&self, origin: &str) -> bool {
        matches!(self, Self::These(known) if known.iter().any(|known| known == origin))
    }
}

/// Reads all of it.
pub fn read(r: &mut Reader) -> Option<FrontConfig> {
    let (moment, hour) = (Duration::from_millis(100), Duration::from_secs(3600));
    let metrics_listen = r.optional_address("server.metrics_listen");
    let tls = read_tls(r);
    let store_tls = r.boolean("store.tls");
    let api_origins = r.origins("server.cors_origins");
    let store_origins = r.origins("store.cors_origins");
    let max_connections = r.number("server.max_connections", 1, 1_000_000);
    let max_per_address = r.number("server.max_connections_per_address", 0, 1_000_000);
    let reserved_connections = r.number("server.reserved_connections", 0, 1_000_000);
    let trusted_proxies = r.networks("server.trusted_proxies");
    let requests_per_key = r.number("limits.requests_per_key", 0, 1_000_000);
    let body_memory = r.bytes("limits.body_memory", 16 << 20, 1 << 40);
    let streams = r.number("limits.streams", 1, 1_000_000);
    let streams_per_upload = r.number("limits.streams_per_upload", 0, 1_000_000);
    let streams_per_address = r.number("limits.streams_per_address", 0, 1_000_000);
    let streams_per_key = r.number("limits.streams_per_key", 0, 1_000_000);
    let header_timeout = r.duration("server.header_timeout", moment, hour);
    let keep_alive = r.duration("server.keep_alive", moment, hour);
    let stall_timeout = r.duration("server.stall_timeout", moment, hour);
    let min_rate = r.bytes("server.min_rate", 0, 1 << 30);
    let max_queue = r.bytes("limits.max_queue", 0, u64::from(u32::MAX));
    let uploads_per_minute = r.number("limits.uploads_per_minute", 0, u32::MAX);
    let min_free_disk = r.bytes("limits.min_free_disk", 0, 1 << 50);
    Some(FrontConfig {
        metrics_listen: metrics_listen?,
        tls: tls?,
        store_tls: store_tls?,
        api_origins: api_origins?,
        store_origins: store_origins?,
        max_connections: max_connections?,
        max_per_address: max_per_address?,
        reserved_connections: reserved_connections?,
        trusted_proxies: trusted_proxies?,
        requests_per_key: requests_per_key?,
        body_memory: body_memory?,
        streams: streams?,
        streams_per_upload: streams_per_upload?,
        streams_per_address: streams_per_address?,
        streams_per_key: streams_per_key?,
        header_timeout: header_timeout?,
        keep_alive: keep_alive?,
        stall_timeout: stall_timeout?,
        min_rate: min_rate?,
        max_queue: max_queue?,
        uploads_per_minute: uploads_per_minute?,
        min_free_disk: min_free_disk?,
    })
}

fn read_tls(r: &mut Reader) -> Option<Option<TlsFiles>> {
    let (certificate, key) = (r.path("server.tls_cert")?, r.path("server.tls_key")?);
    match (certificate.as_os_str().is_empty(), key.as_os_str().is_empty()) {
        (true, true) => Some(None),
        (false, false) => Some(Some(TlsFiles { certificate, key })),
        (true, false) => r.mistake("server.tls_cert", "server.tls_key is set: set this too, or neither"),
        (false, true) => r.mistake("server.tls_key", "server.tls_cert is set: set this too, or neither"),
    }
}
