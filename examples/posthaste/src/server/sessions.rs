//! Who serves the connections of a listener.

use std::net::SocketAddr;
use std::sync::Arc;

use net::{Listener, LocalListener};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use super::GRACE;
use crate::imap::ImapService;
use crate::managesieve::ManageSieve;
use crate::pop3::Pop3;
use crate::reception::Reception;

/// What a connection over a limit is told, by SMTP and LMTP.
const TOO_MANY: &[u8] = b"421 4.7.0 Error: too many connections\r\n";

/// Who serves a listener's connections.
#[derive(Clone)]
pub(super) enum Sessions {
    Reception(Arc<Reception>),
    Imap(Arc<ImapService>),
    Pop3(Arc<Pop3>),
    ManageSieve(Arc<ManageSieve>),
}

impl Sessions {
    pub(super) async fn serve(self, listener: Listener, stop: watch::Receiver<bool>) {
        let farewell: &'static [u8] = match &self {
            Self::Reception(_) => TOO_MANY,
            Self::Imap(_) => b"* BYE Too many connections\r\n",
            Self::Pop3(_) => Pop3::FAREWELL,
            Self::ManageSieve(_) => ManageSieve::FAREWELL,
        };
        let session_stop = stop.clone();
        let session = move |socket, peer: SocketAddr| {
            let (sessions, stop) = (self.clone(), session_stop.clone());
            async move {
                match &sessions {
                    Self::Reception(reception) => {
                        reception.serve(socket, Some(peer.ip()), stop).await;
                    }
                    Self::Imap(imap) => imap.serve(socket, peer, stop).await,
                    Self::Pop3(pop3) => Arc::clone(pop3).serve(socket, peer, stop).await,
                    Self::ManageSieve(service) => service.serve(socket, peer, stop).await,
                }
            }
        };
        let refuse = move |mut socket: tokio::net::TcpStream, peer: SocketAddr| async move {
            tracing::warn!(client = %peer.ip(), "too many connections");
            let _ = socket.write_all(farewell).await;
        };
        listener.serve(stop, GRACE, session, refuse).await;
    }
}

pub(super) async fn serve_local(
    listener: LocalListener,
    reception: Arc<Reception>,
    stop: watch::Receiver<bool>,
) {
    let session_stop = stop.clone();
    let session = move |socket| {
        let (reception, stop) = (Arc::clone(&reception), session_stop.clone());
        async move { reception.serve(socket, None, stop).await }
    };
    let refuse = |mut socket: tokio::net::UnixStream| async move {
        tracing::warn!("too many connections");
        let _ = socket.write_all(TOO_MANY).await;
    };
    listener.serve(stop, GRACE, session, refuse).await;
}
