//! The queue's side: what answers requests.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};

use super::socket::socket_path;
use super::wire::{MAX_FRAME, read_frame, read_line, write_frame, write_line};
use super::{Answer, Request};
use crate::cli::message;
use crate::config::Config;
use crate::queue::{Envelope, Queue, QueueId, Recipient};

/// Commands served at once.
const MAX_CONNECTIONS: usize = 64;

/// Serves commands until `stop` turns true.
pub async fn serve(
    listener: UnixListener,
    config: Arc<Config>,
    queue: Arc<dyn Queue>,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the control socket fails");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let (config, queue) = (Arc::clone(&config), Arc::clone(&queue));
        tokio::spawn(async move {
            let uid = stream.peer_cred().ok().map(|peer| peer.uid());
            if let Err(error) = attend(stream, &config, &*queue, uid).await {
                tracing::debug!(%error, "a command broke off");
            }
            drop(place);
        });
    }
    let _ = std::fs::remove_file(socket_path(&config));
}

/// Serves one connection.
pub(super) async fn attend(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    config: &Config,
    queue: &dyn Queue,
    uid: Option<u32>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_line::<Request>(&mut stream).await? {
        let answer = match request {
            Request::List => match queue.list().await {
                Ok(listed) => {
                    for listed in listed {
                        write_line(&mut stream, &Answer::Message(listed.into())).await?;
                    }
                    Ok(Answer::Done)
                }
                Err(error) => Err(error),
            },
            Request::Flush { id } => queue
                .flush(id.map(QueueId).as_ref())
                .await
                .map(|count| Answer::Flushed { count }),
            Request::Remove { id } => {
                let removed = queue.remove(&QueueId(id.clone())).await;
                if removed.is_ok() {
                    tracing::info!(queue_id = %id, uid, status = "removed", "removed by command");
                }
                removed.map(|()| Answer::Done)
            }
            Request::Show { id } => {
                show(&mut stream, queue, QueueId(id)).await?;
                continue;
            }
            Request::Submit { sender, recipients } => {
                submit(&mut stream, config, queue, uid, sender, recipients).await?
            }
        };
        let answer = answer.unwrap_or_else(|error| Answer::Error {
            message: error.to_string(),
        });
        write_line(&mut stream, &answer).await?;
    }
    Ok(())
}

type Duplex<S> = BufReader<S>;
type QueueAnswer = Result<Answer, crate::queue::QueueError>;

async fn show<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut Duplex<S>,
    queue: &dyn Queue,
    id: QueueId,
) -> io::Result<()> {
    let found = async {
        let listed = queue.list().await?;
        let listed = listed.into_iter().find(|listed| listed.id == id);
        let entry = listed.ok_or_else(|| crate::queue::QueueError::Unknown(id.clone()))?;
        Ok::<_, crate::queue::QueueError>((entry, queue.content(&id).await?))
    };
    let (listed, mut content) = match found.await {
        Ok(found) => found,
        Err(error) => {
            let message = error.to_string();
            return write_line(stream, &Answer::Error { message }).await;
        }
    };
    write_line(stream, &Answer::Message(listed.into())).await?;
    loop {
        let chunk = content.next().await.map_err(io::Error::other)?;
        let Some(chunk) = chunk else { break };
        for frame in chunk.chunks(MAX_FRAME) {
            write_frame(stream, frame).await?;
        }
    }
    write_frame(stream, &[]).await
}

async fn submit<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut Duplex<S>,
    config: &Config,
    queue: &dyn Queue,
    uid: Option<u32>,
    sender: String,
    recipients: Vec<String>,
) -> io::Result<QueueAnswer> {
    if recipients.is_empty() {
        let message = "there is no recipient".into();
        return Ok(Ok(Answer::Error { message }));
    }
    let mut incoming = match queue.begin().await {
        Ok(incoming) => incoming,
        Err(error) => return Ok(Err(error)),
    };
    write_line(stream, &Answer::Ready).await?;
    let now = SystemTime::now();
    let from = uid.map_or_else(String::new, |uid| format!(", from userid {uid}"));
    let received = format!(
        "Received: by {} (posthaste{from})\r\n\tid {}; {}\r\n",
        config.myhostname,
        incoming.id(),
        message::date(now)
    );
    let mut failed = incoming.write(Bytes::from(received)).await.err();
    let mut size: u64 = 0;
    let mut eight_bit = false;
    // Even when it cannot be kept the rest is read: the command is still
    // writing, and must hear the reason.
    while let Some(chunk) = read_frame(stream).await? {
        size += chunk.len() as u64;
        eight_bit |= !chunk.is_ascii();
        if failed.is_none() && !exceeds(config, size) {
            failed = incoming.write(chunk).await.err();
        }
    }
    if let Some(error) = failed {
        return Ok(Err(error));
    }
    if exceeds(config, size) {
        let message = format!(
            "the message has {size} octets, over message_size_limit = {}",
            config.message_size_limit
        );
        return Ok(Ok(Answer::Error { message }));
    }
    let ascii = sender.is_ascii() && recipients.iter().all(|address| address.is_ascii());
    let count = recipients.len();
    let mut envelope = Envelope::new(
        sender.clone(),
        recipients.into_iter().map(Recipient::new),
        now,
    );
    envelope.eight_bit = eight_bit;
    envelope.smtp_utf8 = !ascii;
    let queued = incoming.commit(envelope).await;
    if let Ok(id) = &queued {
        tracing::info!(queue_id = %id, from = %sender, size, nrcpt = count, uid, "queued");
    }
    Ok(queued.map(|id| Answer::Queued { id: id.0 }))
}

fn exceeds(config: &Config, size: u64) -> bool {
    config.message_size_limit != 0 && size > config.message_size_limit
}
