use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::proxy::{ProxyHeader, read_proxy_header};

/// How long a farewell to a connection over a limit may take.
const REFUSAL: Duration = Duration::from_secs(2);

/// Farewells at once: a flood beyond the limits must not take descriptors by
/// being told of it. Whoever is not told is closed without a word.
const REFUSALS: usize = 64;

/// Stands for a client whose address its proxy does not tell: nobody's.
const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// How many connections a listener holds at once.
#[derive(Debug, Clone, Copy)]
pub struct ListenerLimits {
    /// In all: stops memory and file descriptors from running out.
    pub total: usize,
    /// From one address: stops one host from taking all the others' places.
    /// Of IPv6 a whole network of 64 bits counts as one: a host can have any
    /// address in it.
    pub per_address: usize,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            total: 4096,
            per_address: 256,
        }
    }
}

/// A bound TCP socket that hands its connections to sessions.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    limits: ListenerLimits,
    proxies: Option<Proxies>,
}

/// Whose word is taken for where a connection comes from.
#[derive(Clone)]
struct Proxies {
    trusted: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    limit: Duration,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Proxies");
        debug.field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Listener {
    /// Binds `address`; port 0 takes any free port.
    ///
    /// # Errors
    /// As the system says: in use, not permitted, no such address.
    pub async fn bind(address: SocketAddr, limits: ListenerLimits) -> io::Result<Self> {
        let socket = if address.is_ipv6() {
            tokio::net::TcpSocket::new_v6()?
        } else {
            tokio::net::TcpSocket::new_v4()?
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self {
            socket: socket.listen(1024)?,
            limits,
            proxies: None,
        })
    }

    /// Connections from addresses that are `trusted` must begin with the
    /// header of a proxy ([`read_proxy_header`]), within `limit`; the session
    /// is told the address that the header names, and the limit per address
    /// counts that one. A header from anybody else is not looked for.
    ///
    /// The proxy's own connections ([`ProxyHeader::Local`]) keep its address.
    /// Clients that it knows nothing of ([`ProxyHeader::Unknown`]) all have
    /// `0.0.0.0:0`, which nobody has: what is allowed to the proxy, such as
    /// relaying, is not allowed to them.
    #[must_use]
    pub fn behind_proxies(
        mut self,
        trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
        limit: Duration,
    ) -> Self {
        self.proxies = Some(Proxies {
            trusted: Arc::new(trusted),
            limit,
        });
        self
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// As the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until `stop` turns true, then waits for the sessions to end,
    /// for `grace` at most; what is left then is aborted.
    ///
    /// A connection over a limit is given to `refuse`, which should say a
    /// short farewell.
    pub async fn serve<S, R>(
        self,
        stop: watch::Receiver<bool>,
        grace: Duration,
        session: impl Fn(TcpStream, SocketAddr) -> S + Send + Sync + 'static,
        refuse: impl Fn(TcpStream, SocketAddr) -> R + Send + Sync + 'static,
    ) where
        S: Future<Output = ()> + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let Self {
            socket,
            limits,
            proxies,
        } = self;
        let places = Arc::new(Places {
            limits,
            taken: Mutex::default(),
            refusals: Semaphore::new(REFUSALS),
        });
        let (session, refuse) = (Arc::new(session), Arc::new(refuse));
        let accepted = |(socket, peer): (TcpStream, SocketAddr)| {
            let _ = socket.set_nodelay(true);
            let proxies = proxies.clone();
            let proxies = proxies.filter(|known| (known.trusted)(peer.ip().to_canonical()));
            let (session, refuse) = (Arc::clone(&session), Arc::clone(&refuse));
            let places = Arc::clone(&places);
            // Taken at once: nobody waits for a place without having one.
            let place = match proxies {
                None => Place::take(&places, Some(peer.ip())),
                Some(_) => Place::take(&places, None),
            };
            async move {
                let Some(mut place) = place else {
                    return places.refuse(refuse(socket, peer)).await;
                };
                let (mut socket, mut peer) = (socket, peer);
                if let Some(proxies) = proxies {
                    match read_proxy_header(&mut socket, proxies.limit).await {
                        Ok(ProxyHeader::Proxied(ends)) => peer = ends.source,
                        Ok(ProxyHeader::Local) => {}
                        Ok(ProxyHeader::Unknown) => peer = UNKNOWN,
                        Err(error) => {
                            tracing::warn!(proxy = %peer.ip(), %error, "connection dropped");
                            return;
                        }
                    }
                    if !place.count(peer.ip()) {
                        return places.refuse(refuse(socket, peer)).await;
                    }
                }
                session(socket, peer).await;
                drop(place);
            }
        };
        serve(stop, grace, move |cx| socket.poll_accept(cx), accepted).await;
    }
}

/// A bound socket in the file system that hands its connections to sessions.
/// Its file goes with it.
#[derive(Debug)]
pub struct LocalListener {
    socket: UnixListener,
    path: PathBuf,
    total: usize,
}

impl LocalListener {
    /// Makes the socket `path`, which those may connect to whom `mode` (as of
    /// chmod) lets write. What nobody listens to any more is replaced.
    ///
    /// # Errors
    /// As the system says: in use, not permitted, path too long.
    pub fn bind(path: &Path, mode: u32, total: usize) -> io::Result<Self> {
        let socket = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                // Connecting to a file that is no socket is refused, too.
                let socket = std::fs::symlink_metadata(path)?.file_type().is_socket();
                let alive = std::os::unix::net::UnixStream::connect(path);
                match alive {
                    Err(dead) if socket && dead.kind() == io::ErrorKind::ConnectionRefused => {
                        std::fs::remove_file(path)?;
                        UnixListener::bind(path)?
                    }
                    _ => return Err(error),
                }
            }
            bound => bound?,
        };
        let listener = Self {
            socket,
            path: path.to_owned(),
            total,
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        Ok(listener)
    }

    /// As [`Listener::serve`].
    pub async fn serve<S, R>(
        self,
        stop: watch::Receiver<bool>,
        grace: Duration,
        session: impl Fn(UnixStream) -> S + Send + Sync + 'static,
        refuse: impl Fn(UnixStream) -> R + Send + Sync + 'static,
    ) where
        S: Future<Output = ()> + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let places = Arc::new(Places {
            limits: ListenerLimits {
                total: self.total,
                per_address: usize::MAX,
            },
            taken: Mutex::default(),
            refusals: Semaphore::new(REFUSALS),
        });
        let (session, refuse) = (Arc::new(session), Arc::new(refuse));
        let accepted = |(socket, _)| {
            let (session, refuse) = (Arc::clone(&session), Arc::clone(&refuse));
            let place = Place::take(&places, None);
            let places = Arc::clone(&places);
            async move {
                match place {
                    Some(_place) => session(socket).await,
                    None => {
                        places.refuse(refuse(socket)).await;
                    }
                }
            }
        };
        serve(stop, grace, move |cx| self.socket.poll_accept(cx), accepted).await;
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Accepts until `stop` turns true, then waits for what has begun.
async fn serve<T, F: Future<Output = ()> + Send + 'static>(
    mut stop: watch::Receiver<bool>,
    grace: Duration,
    mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
    accepted: impl Fn(T) -> F,
) {
    let mut sessions = JoinSet::new();
    loop {
        while sessions.try_join_next().is_some() {}
        let next = tokio::select! {
            next = poll_fn(&mut accept) => next,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match next {
            Ok(next) => {
                sessions.spawn(accepted(next));
            }
            Err(error) => {
                // Out of descriptors, or the peer has gone already: wait
                // a little instead of spinning.
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    // Whoever comes now is told so by the system, and does not wait in vain.
    drop(accept);
    let all_ended = async { while sessions.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, all_ended).await.is_err() {
        sessions.shutdown().await;
    }
}

struct Places {
    limits: ListenerLimits,
    taken: Mutex<(usize, HashMap<IpAddr, usize>)>,
    refusals: Semaphore,
}

impl Places {
    /// Says the farewell to a connection that has no place.
    async fn refuse(&self, farewell: impl Future<Output = ()>) {
        if let Ok(_turn) = self.refusals.try_acquire() {
            let _ = tokio::time::timeout(REFUSAL, farewell).await;
        }
    }
}

/// One connection's place under the limits, given back when dropped.
struct Place {
    places: Arc<Places>,
    /// Absent while it is not known, or does not count.
    address: Option<IpAddr>,
}

impl Place {
    fn take(places: &Arc<Places>, address: Option<IpAddr>) -> Option<Self> {
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.0 >= places.limits.total {
            return None;
        }
        taken.0 += 1;
        drop(taken);
        let mut place = Self {
            places: Arc::clone(places),
            address: None,
        };
        match address {
            Some(address) if !place.count(address) => None,
            _ => Some(place),
        }
    }

    /// Counts it for an address; false when that has its share.
    fn count(&mut self, address: IpAddr) -> bool {
        let address = network(address);
        let mut taken = self
            .places
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let here = taken.1.get(&address).copied().unwrap_or(0);
        if here >= self.places.limits.per_address {
            return false;
        }
        taken.1.insert(address, here + 1);
        drop(taken);
        self.address = Some(address);
        true
    }
}

/// What counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        four => four,
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self
            .places
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (total, by_address) = &mut *taken;
        *total -= 1;
        let Some(address) = self.address else { return };
        if let Some(here) = by_address.get_mut(&address) {
            *here -= 1;
            if *here == 0 {
                by_address.remove(&address);
            }
        }
    }
}
