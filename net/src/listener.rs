use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How many connections a listener holds at once.
#[derive(Debug, Clone, Copy)]
pub struct ListenerLimits {
    /// In all: stops memory and file descriptors from running out.
    pub total: usize,
    /// From one address: stops one host from taking all the others' places.
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
        })
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
        mut stop: watch::Receiver<bool>,
        grace: Duration,
        session: impl Fn(TcpStream, SocketAddr) -> S,
        refuse: impl Fn(TcpStream, SocketAddr) -> R,
    ) where
        S: Future<Output = ()> + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let places = Arc::new(Places {
            limits: self.limits,
            taken: Mutex::default(),
        });
        let mut sessions = JoinSet::new();
        loop {
            while sessions.try_join_next().is_some() {}
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, or the peer has gone already: wait
                    // a little instead of spinning.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let _ = socket.set_nodelay(true);
            match Place::take(&places, peer.ip()) {
                Some(place) => {
                    let session = session(socket, peer);
                    sessions.spawn(async move {
                        session.await;
                        drop(place);
                    });
                }
                None => {
                    let farewell = refuse(socket, peer);
                    sessions.spawn(async move {
                        let _ = tokio::time::timeout(Duration::from_secs(2), farewell).await;
                    });
                }
            }
        }
        drop(self.socket);
        let all_ended = async { while sessions.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all_ended).await.is_err() {
            sessions.shutdown().await;
        }
    }
}

struct Places {
    limits: ListenerLimits,
    taken: Mutex<(usize, HashMap<IpAddr, usize>)>,
}

/// One connection's place under the limits, given back when dropped.
struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Place {
    fn take(places: &Arc<Places>, address: IpAddr) -> Option<Self> {
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (total, by_address) = &mut *taken;
        let here = by_address.get(&address).copied().unwrap_or(0);
        if *total >= places.limits.total || here >= places.limits.per_address {
            return None;
        }
        *total += 1;
        by_address.insert(address, here + 1);
        drop(taken);
        Some(Self {
            places: Arc::clone(places),
            address,
        })
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
        if let Some(here) = by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}
