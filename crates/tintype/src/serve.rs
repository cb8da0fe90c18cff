//! `tintype serve`: everything in one process, from the first line of the log to the last job drained.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use axum::Router;
use axum::response::Response;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, header};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::{App, EmbeddedParts, InProcess, lock, look_at_followed};
use crate::auth::NoKey;
use crate::callback::deliver::Deliverer;
use crate::callback::send::Sender;

use crate::config::{Config, StoreUrl, without_secrets};
use crate::ledger::sql::News;
use crate::listen::{self, ConnectionBounds, Front, Patience, Proxies, Recognize, Refused, Strangers, Times, Tls};
use crate::process::worker::{self, Stop};
use crate::store::embedded::{self, Endpoint};
use crate::{api, checkup, ledger, sweep};

/// Longest time that the start waits for the store's first answer.
const STORE_TRY: Duration = Duration::from_secs(3);
/// What is left for a job to be handed on in, once its time is up.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves until `stop` is done, then drains.
///
/// # Errors
/// When an address is taken, data cannot be opened, or a part fails.
pub async fn serve(config: Config, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let _locks = lock(&config)?;
    let api_listener = bind(config.listen, "--listen")?;
    let mut config = config;
    config.listen = api_listener.local_addr()?;
    let store_listener = match config.store {
        StoreUrl::Embedded => {
            let listener = bind(config.store_listen, "--store-listen")?;
            config.store_listen = listener.local_addr()?;
            Some(listener)
        }
        StoreUrl::S3 { .. } => None,
    };
    let metrics_listener = bind_metrics(&mut config)?;
    let drain = config.drain;
    let tls = config.front.tls.as_ref().map(Tls::new).transpose()?;
    let (app, parts) = App::open(config).await?;
    let app = Arc::new(app);
    must_ask(&app, app.config.beyond_loopback()).await?;
    recover(&app).await;
    allow_open_files(&app.config);

    let (closing, working) = (app.signals.stopping.clone(), Stop::default());
    let workers = start_workers(&app, &working)?;
    // Before the first answer, so that who reads the log of a server that answers finds it.
    let store = try_store(&app).await;
    announce(&app, app.keys.asks().await?, store.as_ref().err());
    let mut servers = JoinSet::new();
    servers.spawn(listen::run(api_front(&app, tls.clone()), api_listener, closing.clone()));
    if let (Some(listener), Some(parts)) = (store_listener, parts) {
        servers.spawn(listen::run(store_front(&app, parts, tls.clone()), listener, closing.clone()));
    }
    if let Some(listener) = metrics_listener {
        servers.spawn(listen::run(metrics_front(&app, tls), listener, closing.clone()));
    }
    warn(&app, store);

    tokio::select! {
        () = stop => {}
        Some(ended) = servers.join_next() => ended?,
    }
    tracing::info!("stopping: no new requests; work in hand is finished");
    closing.cancel();
    finish(servers, workers, &working, drain).await;
    app.processor.renderer.close();
    Ok(())
}

/// Works until `stop` is done, then drains: jobs and callbacks of a ledger and a store that others serve from.
///
/// # Errors
/// When ledger or store cannot be shared, or a part fails.
pub async fn work(config: Config, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    if !config.ledger.is_shared() {
        bail!(
            "{} is for one process, which is `tintype serve`: set ledger.url to postgres://… for both",
            config.ledger
        );
    }
    if config.store == StoreUrl::Embedded {
        bail!("the embedded store is inside `tintype serve`: set store.url to s3://… for both");
    }
    let mut config = config;
    let metrics_listener = bind_metrics(&mut config)?;
    let drain = config.drain;
    let tls = config.front.tls.as_ref().map(Tls::new).transpose()?;
    let (app, _) = App::open(config).await?;
    let app = Arc::new(app);
    must_ask(&app, app.config.front.metrics_listen.filter(|at| !at.ip().is_loopback())).await?;
    let (closing, working) = (app.signals.stopping.clone(), Stop::default());
    let workers = start_workers(&app, &working)?;
    let mut servers = JoinSet::new();
    if let Some(listener) = metrics_listener {
        servers.spawn(listen::run(metrics_front(&app, tls), listener, closing.clone()));
    }
    announce_work(&app);
    warn(&app, try_store(&app).await);
    stop.await;
    tracing::info!("stopping: work in hand is finished");
    closing.cancel();
    finish(servers, workers, &working, drain).await;
    app.processor.renderer.close();
    Ok(())
}

/// What was in hand when the last process on this ledger ended is free, if there can be no other. On a shared one the
/// leases run out.
async fn recover(app: &App) {
    if app.config.ledger.is_shared() {
        return;
    }
    let jobs = app.queue.recover().await.map_err(|error| error.to_string());
    let callbacks = app.ledger.recover().await.map_err(|error| error.to_string());
    // On a full disk, say.
    if let Err(error) = jobs.and(callbacks) {
        tracing::warn!(error, "what the last run had in hand is taken up once its leases run out");
    }
}

fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    listen::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("cannot listen on {address}: it is in use. Stop what listens there, or choose another with {flag}")
        }
        ErrorKind::AddrNotAvailable => anyhow!("cannot listen on {address}: this machine has no such address"),
        _ => anyhow!("cannot listen on {address}: {error}"),
    })
}

fn bind_metrics(config: &mut Config) -> anyhow::Result<Option<TcpListener>> {
    let listen = &mut config.front.metrics_listen;
    let listener = listen.map(|at| bind(at, "server.metrics_listen")).transpose()?;
    // Of port 0, the one that it became.
    *listen = listener.as_ref().map(TcpListener::local_addr).transpose()?;
    Ok(listener)
}

/// What others can reach needs a key that is good.
async fn must_ask(app: &App, beyond_loopback: Option<SocketAddr>) -> anyhow::Result<()> {
    match beyond_loopback {
        Some(at) if !app.keys.any_good().await? => Err(NoKey(at).into()),
        _ => Ok(()),
    }
}

fn allow_open_files(config: &Config) {
    let most = u64::from(config.front.max_connections);
    let of_store = if config.store == StoreUrl::Embedded { most } else { 0 };
    listen::allow_open_files(most + of_store, of_store);
}

fn api_front(app: &Arc<App>, tls: Option<Tls>) -> Front {
    let front = front(app, "API", api::router(app.clone()), api::refuse, api::headers(), tls);
    for_keys(app, front)
}

fn metrics_front(app: &Arc<App>, tls: Option<Tls>) -> Front {
    let front = front(app, "metrics", api::metrics_router(app.clone()), api::refuse, api::headers(), tls);
    for_keys(app, front)
}

fn store_front(app: &Arc<App>, parts: EmbeddedParts, tls: Option<Tls>) -> Front {
    let tls = tls.filter(|_| app.config.front.store_tls);
    let router = embedded::router(endpoint(app, parts));
    front(app, "store", router, embedded::refuse, embedded::headers(), tls)
}

fn front(
    app: &App,
    name: &'static str,
    router: Router,
    refuse: fn(Refused) -> Response,
    mut headers: HeaderMap,
    tls: Option<Tls>,
) -> Front {
    let config = &app.config.front;
    // It is of the host, not the port: not to be said while anything of ours is plain HTTP.
    if tls.is_some() && (config.store_tls || app.config.store != StoreUrl::Embedded) {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    let times = Times {
        head: config.header_timeout,
        idle: config.keep_alive,
        patience: Patience { stall: config.stall_timeout, rate: config.min_rate },
    };
    let (connections, per_address) = (config.max_connections as usize, config.max_per_address as usize);
    let bounds = ConnectionBounds { connections, reserved: 0, per_address, per_key: 0 };
    let (proxies, recognize) = (Proxies(config.trusted_proxies.clone()), Arc::new(Strangers));
    Front { name, router, refuse, headers, times, bounds, proxies, recognize, turns: app.turns.clone(), tls }
}

/// Keeps a share of the places for requests with an API key, and none of these for one key alone.
fn for_keys(app: &Arc<App>, mut front: Front) -> Front {
    let config = &app.config.front;
    let half = front.bounds.connections / 2;
    front.bounds.reserved = half.min(config.reserved_connections as usize);
    front.bounds.per_key = match config.requests_per_key as usize {
        0 => half,
        bound => half.min(bound),
    };
    let recognize: Arc<dyn Recognize> = Arc::new(api::Keys(app.clone()));
    Front { recognize, ..front }
}

fn endpoint(app: &Arc<App>, parts: EmbeddedParts) -> Endpoint {
    Endpoint {
        https: app.config.store_scheme() == "https",
        room: app.room.clone(),
        origins: app.config.front.store_origins.clone(),
        disk: parts.disk,
        account: parts.account,
        public_folder: app.layout.folder().to_owned(),
        longest_lifetime: app.config.upload.expires,
        max_bytes: app.config.upload.max_bytes,
        forms: Default::default(),
        sending: Default::default(),
        arrivals: Arc::new(InProcess(app.clone())),
    }
}

fn start_workers(app: &Arc<App>, working: &Stop) -> anyhow::Result<JoinSet<()>> {
    let mut workers = JoinSet::new();
    for _ in 0..app.config.workers {
        workers.spawn(worker::run(app.clone(), working.clone()));
    }
    workers.spawn(hear(app.clone(), working.gently.clone()));
    workers.spawn(look_at_followed(app.clone(), working.gently.clone()));
    workers.spawn(sweep::run(app.clone(), working.gently.clone()));
    workers.spawn(checkup::run(app.clone(), working.gently.clone()));
    if let Some(callback) = &app.config.callback {
        let sender = Sender::new(callback, app.signing.clone());
        let sender = sender.map_err(anyhow::Error::msg).context("cannot set up callbacks")?;
        let deliverer = Deliverer::new(app.ledger.clone(), sender, callback.clone(), app.signals.callbacks.clone());
        workers.spawn(Arc::new(deliverer).run(working.gently.clone()));
    }
    Ok(workers)
}

/// Wakes workers and whoever waits when another process has done something.
async fn hear(app: Arc<App>, stop: CancellationToken) {
    let tell = |news| match news {
        News::Job => app.signals.jobs.notify_one(),
        News::Delivery => app.signals.callbacks.notify_one(),
        News::Upload(id) => app.signals.changed(&id),
    };
    tokio::select! {
        () = ledger::sql::hear(&app.config.ledger, tell) => {}
        () = stop.cancelled() => {}
    }
}

/// Requests and work under way end; what is not done when the time is up is handed on.
async fn finish(mut servers: JoinSet<()>, mut workers: JoinSet<()>, working: &Stop, drain: Duration) {
    working.gently.cancel();
    let all = async {
        while workers.join_next().await.is_some() {}
        while servers.join_next().await.is_some() {}
    };
    if tokio::time::timeout(drain, all).await.is_err() {
        tracing::warn!(?drain, "not all work was finished in time; another process or the next start takes it up");
        working.now.cancel();
        let _ = tokio::time::timeout(LAST_WORDS, async { while workers.join_next().await.is_some() {} }).await;
    }
}

/// Asks the store for something once. A bucket is listed: that names what is wrong with it, which the answer to a HEAD cannot.
async fn try_store(app: &App) -> Result<(), String> {
    let asked = async {
        match app.store.is_remote() {
            true => app.store.scan(app.layout.prefix(), "").next().await.transpose().map(|_| ()),
            false => app.store.check().await,
        }
    };
    match tokio::time::timeout(STORE_TRY, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", STORE_TRY.as_secs())),
    }
}

/// What works, but hardly as it was meant.
fn warn(app: &App, store: Result<(), String>) {
    let config = &app.config;
    if app.room.is_low() {
        tracing::warn!(
            free = app.room.free(),
            least = config.front.min_free_disk,
            "the disk is nearly full: no uploads are taken. Free some space, or lower limits.min_free_disk"
        );
    }
    if let Err(error) = store {
        tracing::warn!(
            error,
            "the store does not answer; uploads wait until it does. Look at store.url, store.endpoint, store.region and the credentials"
        );
    }
    if !config.listen.ip().is_loopback() {
        if config.public_url.is_none() {
            tracing::warn!(address = %config.listen, "clients are told to come to this address: set server.public_url");
        }
        if config.store == StoreUrl::Embedded && config.store_endpoint.is_none() {
            tracing::warn!(address = %config.store_listen, "clients are told to upload to this address: set store.endpoint");
        }
    }
    let mode = std::fs::metadata(&config.data).map(|data| data.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        tracing::warn!(data = %config.data.display(), "others can read the data folder: chmod 700 it");
    }
}

/// What a process without an API does.
fn announce_work(app: &App) {
    let config = &app.config;
    if config.log_json {
        tracing::info!(engine = crate::manifest::ENGINE, workers = config.workers, ledger = %config.ledger, "at work");
        return;
    }
    eprintln!("{} is at work: {} workers, {}", crate::manifest::ENGINE, config.workers, config.ledger);
    if let Some(at) = config.front.metrics_listen {
        eprintln!("  metrics    {}://{at}/metrics", config.scheme());
    }
}

/// Where to go, for a person at a terminal.
fn announce(app: &App, asks_for_keys: bool, store_fails: Option<&String>) {
    let config = &app.config;
    if config.log_json {
        // A reader of JSON stops at the first line that is none.
        tracing::info!(engine = crate::manifest::ENGINE, api = %app.api_url(), data = %config.data.display(), "ready");
        return;
    }
    let line = |name: &str, value: &str| eprintln!("  {name:<10} {value}");
    eprintln!("{} is ready", crate::manifest::ENGINE);
    line("page", &format!("{}/", app.api_url()));
    line("operator", &format!("{}/admin", app.api_url()));
    line("API", &app.api_url());
    match &config.store {
        StoreUrl::Embedded => {
            let account = config.data.join("store-credentials");
            line(
                "store",
                &format!(
                    "{}://{}/{} (S3; account in {})",
                    config.store_scheme(),
                    config.store_listen,
                    app.bucket,
                    account.display()
                ),
            );
        }
        StoreUrl::S3 { bucket } => {
            let fails = store_fails.map(|why| format!(" (NOT REACHABLE: {why})")).unwrap_or_default();
            line("store", &format!("s3://{bucket}{fails}"));
        }
    }
    match &config.callback {
        Some(callback) => {
            let to =
                if callback.url.is_empty() { "where presets say".to_owned() } else { without_secrets(&callback.url) };
            let unsigned = if callback.is_signed() { "" } else { " (NOT SIGNED: set callback.secret)" };
            line("callback", &format!("{} {to}{unsigned}", callback.method));
        }
        None => line("callback", "none: set CALLBACK_URL to be told of outcomes"),
    }
    let at = config.front.metrics_listen.map(|at| format!("{}://{at}", config.scheme()));
    line("metrics", &format!("{}/metrics", at.unwrap_or_else(|| app.api_url())));
    if config.store == StoreUrl::Embedded || matches!(config.ledger, ledger::LedgerUrl::Sqlite(_)) {
        line("data", &config.data.display().to_string());
    }
    if !asks_for_keys {
        line("keys", "none: only this machine can call. `tintype keys create` makes one");
    }
    line("workers", &config.workers.to_string());
}
