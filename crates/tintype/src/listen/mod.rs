//! The network's edge: connections are taken, held to their times and bounds, and given to a router.
//!
//! What a peer may cost before anyone knows who it is is decided here: places (`connections`), seconds (`wire`, `body`),
//! bytes of a head (`head`). Who passes is the API's or the store's to judge, before a byte of a body is read.

mod body;
mod connections;
mod files;
mod head;
mod pace;
mod proxies;
mod stage;
mod tls;
mod turns;
mod wire;

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use body::{Answer, Paced};
pub use connections::{ConnectionBounds, Who, add, count, network, take};
use connections::{ConnectionLimit, Seat, UnderWay};
pub use files::allow_open_files;
pub use head::Refused;
pub use pace::Patience;
pub use proxies::Proxies;
use stage::Stage;
pub use tls::Tls;
pub use turns::Turns;
pub use wire::Times;
use wire::Wire;

use crate::seldom::Seldom;

/// Most connections that are told at once that there are too many; the rest are closed without a word.
const TURNED_AWAY: usize = 64;
/// How long such a one has to ask.
const TURN_AWAY_TIME: Duration = Duration::from_secs(2);
/// Connections that the kernel keeps for us while we are busy; beyond them, a client tries again after a second.
const BACKLOG: u32 = 4096;
/// How long to wait for something to close when no more files can be opened.
const STARVED: Duration = Duration::from_millis(200);
/// Most bytes of an answer that the kernel holds unsent: what a peer that does not read costs, in memory that is the kernel's
/// but counted as ours. And a slow peer is seen to take some now and then.
const UNSENT: u32 = 4 << 10;
/// What a peer hears that speaks HTTP where TLS is expected.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\
    Content-Length: 47\r\n\r\nthis port speaks TLS: use an https:// address.\n\n";

/// Whose request it is, among its extensions.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// Where it comes from: behind a proxy that is trusted, where that says.
    pub address: IpAddr,
    /// Whether that is a proxy itself, which says no more.
    pub is_proxy: bool,
}

impl Client {
    /// What is counted for this client by; none for a proxy, which calls for many.
    pub fn counted(&self) -> Option<IpAddr> {
        (!self.is_proxy).then(|| network(self.address))
    }
}

/// Tells who makes a request, by its head alone.
pub trait Recognize: Send + Sync {
    /// Who makes it.
    fn who<'a>(&'a self, head: &'a Parts) -> BoxFuture<'a, Who>;
}

/// Knows nobody.
pub struct Strangers;

impl Recognize for Strangers {
    fn who<'a>(&'a self, _: &'a Parts) -> BoxFuture<'a, Who> {
        Box::pin(std::future::ready(Who::Stranger))
    }
}

/// One address that is listened on, and what is behind it.
pub struct Front {
    /// `API` or `store`, for the log.
    pub name: &'static str,
    /// What answers.
    pub router: Router,
    /// How a refusal of the front is worded.
    pub refuse: fn(Refused) -> Response,
    /// What goes with every answer, unless it says otherwise.
    pub headers: HeaderMap,
    /// What a peer has time for.
    pub times: Times,
    /// How many there may be at once.
    pub bounds: ConnectionBounds,
    /// Whose word is taken on whom they call for.
    pub proxies: Proxies,
    /// Tells requests with an API key from others.
    pub recognize: Arc<dyn Recognize>,
    /// At which strangers' requests are worked on.
    pub turns: Turns,
    /// HTTPS, or none for HTTP.
    pub tls: Option<Tls>,
}

/// Listens on an address.
///
/// # Errors
/// When it is taken, or none of this machine's.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As every server does: an address that was listened on a moment ago can be again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `closing`; then connections without a request are closed, and the others once theirs are answered.
pub async fn run(front: Front, listener: TcpListener, closing: CancellationToken) {
    let limit = ConnectionLimit::new(front.bounds);
    let door = Arc::new(Door {
        front,
        limit,
        turned_away: Arc::new(Semaphore::new(TURNED_AWAY)),
        closing: closing.clone(),
        full: Seldom::default(),
        starved: Seldom::default(),
    });
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = closing.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => door.clone().admit(stream, peer, &connections),
            // A peer that was gone before it was there.
            Err(error) if is_of_peer(error.kind()) => {}
            Err(error) => {
                if let Some(times) = door.starved.again() {
                    let name = door.front.name;
                    tracing::error!(%error, times, "the {name} cannot take connections; raise the limit of open files (ulimit -n), or lower server.max_connections");
                }
                tokio::time::sleep(STARVED).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

fn is_of_peer(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}

/// A front that is open.
struct Door {
    front: Front,
    limit: Arc<ConnectionLimit>,
    turned_away: Arc<Semaphore>,
    closing: CancellationToken,
    full: Seldom,
    starved: Seldom,
}

impl Door {
    fn admit(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, connections: &TaskTracker) {
        let counted = (!self.front.proxies.trust(peer.ip())).then_some(peer.ip());
        if let Some(seat) = self.limit.enter(counted) {
            connections.spawn(async move { self.meet(stream, peer, Some(&seat)).await });
            return;
        }
        if let Some(times) = self.full.again() {
            let name = self.front.name;
            tracing::warn!(%peer, times, "the {name} turns connections away: server.max_connections is reached, or by this peer \
                server.max_connections_per_address (a proxy belongs into server.trusted_proxies)");
        }
        if let Ok(permit) = self.turned_away.clone().try_acquire_owned() {
            connections.spawn(async move {
                let _ = timeout(TURN_AWAY_TIME, self.meet(stream, peer, None)).await;
                drop(permit);
            });
        }
    }

    /// One connection, until it ends or its place is another's.
    async fn meet(&self, stream: TcpStream, peer: SocketAddr, seat: Option<&Arc<Seat>>) {
        let Some(place) = seat else { return self.serve(stream, peer, None).await };
        tokio::select! {
            () = self.serve(stream, peer, seat) => {}
            () = place.lost() => tracing::debug!(%peer, "closed while it waited, for another"),
        }
    }

    /// One connection from its first byte to its last. Without a seat, it is told that there is none.
    async fn serve(&self, mut stream: TcpStream, peer: SocketAddr, seat: Option<&Arc<Seat>>) {
        let socket = SockRef::from(&stream);
        // A socket that refuses them is slower, no more.
        let _ = socket.set_tcp_nodelay(true);
        let _ = socket.set_tcp_notsent_lowat(UNSENT);
        let Some(tls) = &self.front.tls else {
            return self.converse(stream, peer, seat).await;
        };
        let shake_hands = async {
            if !Tls::is_spoken(&stream).await? {
                // Closed with bytes unread, TCP would take the answer back.
                let _ = stream.try_read(&mut [0; 8192]);
                stream.write_all(SPEAK_TLS).await?;
                return Err(ErrorKind::InvalidData.into());
            }
            tls.accept(stream).await
        };
        let met = tokio::select! {
            met = timeout(self.front.times.head, shake_hands) => met,
            () = self.closing.cancelled() => return,
        };
        match met {
            Ok(Ok(stream)) => self.converse(stream, peer, seat).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS came about"),
            Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
        }
    }

    async fn converse(&self, stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr, seat: Option<&Arc<Seat>>) {
        let stage = Arc::new(Stage::default());
        let wire = Wire::new(stream, self.front.times, stage.clone(), &self.front.turns);
        let service = service_fn(|request| self.answer(request, peer, stage.clone(), seat));
        let mut http = http1::Builder::new();
        http.max_buf_size(head::MAX_BUFFER).max_header_size(head::MAX_BUFFER).max_headers(head::MAX_HEADER_COUNT * 2);
        let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(wire), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        stage: Arc<Stage>,
        seat: Option<&Arc<Seat>>,
    ) -> Result<Response<Answer>, Infallible> {
        let turn = stage.begin();
        let (mut head, body) = request.into_parts();
        let (begun, who) = self.begin(&mut head, peer, seat).await;
        let is_strangers = begun.as_ref().is_ok_and(UnderWay::is_strangers);
        stage.set_strangers(is_strangers);
        let mut response = match &begun {
            Err(refused) => {
                // Dropped unread, it is still on its way.
                drop(Paced::new(body, self.front.times.patience, stage.clone()));
                self.refuse(*refused)
            }
            Ok(_) => {
                let body = Body::new(Paced::new(body, self.front.times.patience, stage.clone()));
                let answer = self.pass(Request::from_parts(head, body));
                let response = if is_strangers { self.front.turns.take(answer).await } else { answer.await };
                if stage.was_too_slow() { self.refuse_late(Refused::TooSlow, &response) } else { response }
            }
        };
        // A body that nobody read is still on its way, so the connection will end: a client must not use it again.
        let is_dense = self.limit.is_dense() && !matches!(who, Who::Key(_));
        if is_dense || stage.is_unread() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        for (name, value) in &self.front.headers {
            response.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
        Ok(response.map(|body| Answer::new(body, stage, turn, begun.ok())))
    }

    /// Lets a request begin, or says why not: by its head, whose it is, and what there is already.
    async fn begin(
        &self,
        head: &mut Parts,
        peer: SocketAddr,
        seat: Option<&Arc<Seat>>,
    ) -> (Result<UnderWay, Refused>, Who) {
        let Some(seat) = seat else { return (Err(Refused::Crowded), Who::Stranger) };
        if let Err(refused) = head::check(head) {
            return (Err(refused), Who::Stranger);
        }
        let address = self.front.proxies.client(peer.ip(), &head.headers);
        let client = Client { address, is_proxy: self.front.proxies.trust(address) };
        head.extensions.insert(client);
        let who = self.front.recognize.who(head).await;
        // A peer's own connections are counted already.
        let for_another = client.counted().filter(|_| address != peer.ip().to_canonical());
        (seat.begin(&who, for_another), who)
    }

    async fn pass(&self, request: Request<Body>) -> Response {
        let mut router = self.front.router.clone();
        match tower::Service::call(&mut router, request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    fn refuse(&self, why: Refused) -> Response {
        let mut response = (self.front.refuse)(why);
        // What was not read is still on its way, so the connection will end: a client must not use it again.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }

    /// A refusal instead of an answer, of which a page of another origin may read as much.
    fn refuse_late(&self, why: Refused, instead: &Response) -> Response {
        let mut response = self.refuse(why);
        for (name, value) in instead.headers() {
            if *name == header::VARY || name.as_str().starts_with("access-control-") {
                response.headers_mut().append(name, value.clone());
            }
        }
        response
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// Accepts any key that is shown.
    struct AnyKey;

    impl Recognize for AnyKey {
        fn who<'a>(&'a self, head: &'a Parts) -> BoxFuture<'a, Who> {
            let who = if head.headers.contains_key("x-api-key") { Who::Key("a".into()) } else { Who::Stranger };
            Box::pin(std::future::ready(who))
        }
    }

    fn front(turns: Turns) -> Front {
        let (minute, none) = (Duration::from_secs(60), Proxies(Vec::new()));
        Front {
            name: "test",
            router: Router::new().route("/", axum::routing::get(|| async { "done" })),
            refuse: |_| Response::default(),
            headers: HeaderMap::new(),
            times: Times { head: minute, idle: minute, patience: Patience { stall: minute, rate: 0 } },
            bounds: ConnectionBounds { connections: 10, reserved: 2, per_address: 0, per_key: 0 },
            proxies: none,
            recognize: Arc::new(AnyKey),
            turns,
            tls: None,
        }
    }

    async fn answer(at: SocketAddr, header: &str) -> String {
        let mut wire = TcpStream::connect(at).await.unwrap();
        wire.write_all(format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{header}\r\n").as_bytes())
            .await
            .unwrap();
        let mut heard = String::new();
        wire.read_to_string(&mut heard).await.unwrap();
        heard
    }

    #[tokio::test]
    async fn a_request_with_a_key_is_answered_before_strangers_requests() {
        let (turns, closing) = (Turns::of(1), CancellationToken::new());
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let at = listener.local_addr().unwrap();
        let serving = tokio::spawn(run(front(turns.clone()), listener, closing.clone()));
        let turn = turns.to_poll().clone_inner().acquire_owned().await.unwrap();
        let strangers: Vec<_> = (0..3).map(|_| tokio::spawn(async move { answer(at, "").await })).collect();
        let with_key = timeout(Duration::from_secs(5), answer(at, "x-api-key: k\r\n")).await;
        assert!(with_key.unwrap().ends_with("done"));
        assert!(strangers.iter().all(|stranger| !stranger.is_finished()), "it is another's turn");
        drop(turn);
        for stranger in strangers {
            assert!(timeout(Duration::from_secs(5), stranger).await.unwrap().unwrap().ends_with("done"));
        }
        closing.cancel();
        serving.await.unwrap();
    }
}
