//! HTTPS without a proxy: certificate and key from files, read again when they change.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;

use crate::config::TlsFiles;

/// How often to look whether the files have changed, at most.
const LOOK: Duration = Duration::from_secs(1);
/// Most bytes of an answer that are held encrypted while the peer takes none: as many as a record has.
const UNSENT: usize = 16 << 10;
/// The first byte of every TLS connection.
const HANDSHAKE: u8 = 0x16;

/// Speaks TLS with a certificate of the files.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// When a file cannot be read or holds nothing of the kind, or the key is not the certificate's.
    pub fn new(files: &TlsFiles) -> anyhow::Result<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pair = Pair::new(files, provider.clone())?;
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = config.with_no_client_auth().with_cert_resolver(Arc::new(pair));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Whether a new connection begins as TLS does; waits for its first byte.
    pub async fn is_spoken(stream: &TcpStream) -> std::io::Result<bool> {
        let mut first = [0];
        Ok(stream.peek(&mut first).await? == 0 || first == [HANDSHAKE])
    }

    /// The handshake.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept_with(stream, |connection| connection.set_buffer_limit(Some(UNSENT))).await
    }
}

/// Certificate and key as the files have them.
#[derive(Debug)]
struct Pair {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    key: RwLock<Arc<CertifiedKey>>,
    seen: Mutex<Seen>,
}

/// When the files were looked at last, and how they were then.
#[derive(Debug)]
struct Seen {
    at: Instant,
    stamps: Stamps,
}

type Stamps = [Option<(SystemTime, u64)>; 2];

impl Pair {
    fn new(files: &TlsFiles, provider: Arc<CryptoProvider>) -> anyhow::Result<Self> {
        let stamps = stamps(files);
        let key = RwLock::new(Arc::new(read(files, &provider)?));
        Ok(Self { files: files.clone(), provider, key, seen: Mutex::new(Seen { at: Instant::now(), stamps }) })
    }

    /// Takes up new files. Until both are whole and belong together, the old pair serves on.
    fn renew(&self) {
        let Ok(mut seen) = self.seen.try_lock() else { return };
        if seen.at.elapsed() < LOOK {
            return;
        }
        seen.at = Instant::now();
        let now = stamps(&self.files);
        if now == seen.stamps {
            return;
        }
        seen.stamps = now;
        match read(&self.files, &self.provider) {
            Ok(key) => {
                *self.key.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                tracing::info!(certificate = %self.files.certificate.display(), "a new certificate is in use");
            }
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "the certificate's files have changed and cannot be used; the old one is used on"
            ),
        }
    }
}

impl ResolvesServerCert for Pair {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.renew();
        Some(self.key.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// Time and size of what is behind each path, through links.
fn stamps(files: &TlsFiles) -> Stamps {
    let stamp = |path: &Path| {
        let found = fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    [stamp(&files.certificate), stamp(&files.key)]
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> anyhow::Result<CertifiedKey> {
    let place = |setting: &str, path: &PathBuf| format!("{setting} = {:?}", path.display().to_string());
    let (of_certificate, of_key) = (place("server.tls_cert", &files.certificate), place("server.tls_key", &files.key));
    let pem = fs::read(&files.certificate).with_context(|| format!("{of_certificate} cannot be read"))?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .with_context(|| format!("{of_certificate} is no file of PEM certificates"))?;
    if chain.is_empty() {
        bail!("{of_certificate} holds no certificate: it must be PEM, the server's own first, then its issuers'");
    }
    let pem = fs::read(&files.key).with_context(|| format!("{of_key} cannot be read"))?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| anyhow::anyhow!("{of_key} holds no private key in PEM without a password: {error}"))?;
    CertifiedKey::from_der(chain, key, provider).with_context(|| format!("{of_key} is not the key of {of_certificate}"))
}
