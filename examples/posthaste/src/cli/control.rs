//! The control socket: how commands reach the queue of a running server.
//!
//! It is a Unix socket in the data folder that only the server's user may
//! open. Each side writes JSON objects, one a line: a [`Request`], then its
//! [`Answer`]s. The content of a message goes in frames: four octets of length,
//! big-endian, and so many octets; a frame of length 0 ends it, so that one
//! that broke off is never taken for a whole message.
//!
//! When no server runs, a command serves itself: it takes the data folder's
//! lock, opens the queue and speaks the same protocol to it, in memory.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

use crate::blocking::Blocking;
use crate::cli::DataLock;
use crate::config::Config;
use crate::queue::{Envelope, Listed, LocalQueue, Queue, QueueId, Recipient};

/// The longest line: stops a peer from filling the memory. A submission with
/// ten thousand recipients fits.
const MAX_LINE: u64 = 4 << 20;

/// The longest frame.
const MAX_FRAME: usize = 64 << 10;

/// Commands served at once.
const MAX_CONNECTIONS: usize = 64;

/// A peer that says nothing for so long has gone.
const IDLE: Duration = Duration::from_secs(300);

/// What a command asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Every message: [`Answer::Message`] each, then [`Answer::Done`].
    List,
    /// One message: [`Answer::Message`], then its content in frames.
    Show {
        /// Its queue id.
        id: String,
    },
    /// Tries a message, or all, at once: [`Answer::Flushed`].
    Flush {
        /// Its queue id.
        id: Option<String>,
    },
    /// Throws a message away: [`Answer::Done`].
    Remove {
        /// Its queue id.
        id: String,
    },
    /// A new message: [`Answer::Ready`], then its content in frames from the
    /// command, then [`Answer::Queued`].
    Submit {
        /// The reverse-path; empty for the null path.
        sender: String,
        /// The forward-paths.
        recipients: Vec<String>,
    },
}

/// What the queue answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// A message in the queue.
    Message(Entry),
    /// So many messages are due now.
    Flushed {
        /// How many.
        count: usize,
    },
    /// It is done, or the list is at its end.
    Done,
    /// The content may come.
    Ready,
    /// The message is in the queue, durably.
    Queued {
        /// Its name from now on.
        id: String,
    },
    /// It was not done.
    Error {
        /// Why.
        message: String,
    },
}

/// A message in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub id: String,
    /// Who it is from and for.
    pub envelope: Envelope,
    /// Octets of its content.
    pub size: u64,
    /// Whether it is being delivered.
    pub active: bool,
}

impl From<Listed> for Entry {
    fn from(listed: Listed) -> Self {
        Self {
            id: listed.id.0,
            envelope: listed.envelope,
            size: listed.size,
            active: listed.active,
        }
    }
}

/// Where the socket of `config` is.
#[must_use]
pub fn socket_path(config: &Config) -> PathBuf {
    config.data_directory.join("control")
}

/// Unix sockets have short names (108 octets): a long one is reached through
/// the open folder.
fn with_short_path<T>(path: &Path, f: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() < 100 {
        return f(path);
    }
    let folder = std::fs::File::open(path.parent().unwrap_or(Path::new("/")))?;
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&folder);
    f(&Path::new("/proc/self/fd")
        .join(descriptor.to_string())
        .join(path.file_name().unwrap_or_default()))
}

/// Binds the socket; whoever calls it holds the data folder's lock, so one that
/// is there already was left by a server that was killed.
///
/// # Errors
/// When the folder cannot be written to.
pub fn bind(config: &Config) -> io::Result<UnixListener> {
    let path = socket_path(config);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // The folder keeps others away until the socket has its own mode.
    let listener = with_short_path(&path, |path| UnixListener::bind(path))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

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
async fn attend(
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
        super::message::date(now)
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

async fn read_line<T: DeserializeOwned>(
    stream: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    let mut limited = stream.take(MAX_LINE);
    tokio::time::timeout(IDLE, limited.read_until(b'\n', &mut line)).await??;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => serde_json::from_slice(&line)
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

async fn write_line<T: Serialize>(
    stream: &mut (impl AsyncWrite + Unpin),
    value: &T,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.flush().await
}

async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Bytes>> {
    let length = tokio::time::timeout(IDLE, stream.read_u32()).await??;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a frame is too long",
        ));
    }
    if length == 0 {
        return Ok(None);
    }
    let mut frame = vec![0; length];
    tokio::time::timeout(IDLE, stream.read_exact(&mut frame)).await??;
    Ok(Some(frame.into()))
}

async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
    stream.write_u32(length).await?;
    stream.write_all(frame).await?;
    stream.flush().await
}

trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

/// A command's connection to the queue.
pub(crate) struct Control {
    stream: BufReader<Box<dyn Both>>,
    /// Whether a server is at the other end.
    pub(crate) served: bool,
}

impl Control {
    /// The running server's queue, or that in the data folder.
    pub(crate) async fn open(config: Arc<Config>) -> io::Result<Self> {
        // A server that is just starting holds the lock before it listens.
        let mut last = None;
        for _ in 0..20 {
            let path = socket_path(&config);
            match with_short_path(&path, |path| std::os::unix::net::UnixStream::connect(path)) {
                Ok(stream) => {
                    stream.set_nonblocking(true)?;
                    return Ok(Self::over(UnixStream::from_std(stream)?, true));
                }
                Err(error) => last = Some(error),
            }
            if let Some(lock) = DataLock::take(&config)? {
                return Self::direct(config, lock);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::TimedOut.into()))
    }

    fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, served: bool) -> Self {
        Self {
            stream: BufReader::new(Box::new(stream)),
            served,
        }
    }

    fn direct(config: Arc<Config>, lock: DataLock) -> io::Result<Self> {
        let queue = LocalQueue::open(&config.queue_directory, Blocking::new(4))
            .map_err(io::Error::other)?;
        let (ours, theirs) = tokio::io::duplex(2 * MAX_FRAME);
        let uid = rustix::process::getuid().as_raw();
        tokio::spawn(async move {
            let _ = attend(theirs, &config, &queue, Some(uid)).await;
            drop(queue);
            drop(lock);
        });
        Ok(Self::over(ours, false))
    }

    pub(crate) async fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        write_line(&mut self.stream, request).await?;
        self.next().await
    }

    pub(crate) async fn next(&mut self) -> io::Result<Answer> {
        read_line(&mut self.stream)
            .await?
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    pub(crate) async fn content(&mut self) -> io::Result<Option<Bytes>> {
        read_frame(&mut self.stream).await
    }

    pub(crate) async fn send(&mut self, content: &[u8]) -> io::Result<()> {
        for frame in content.chunks(MAX_FRAME) {
            write_frame(&mut self.stream, frame).await?;
        }
        Ok(())
    }

    pub(crate) async fn end(&mut self) -> io::Result<Answer> {
        write_frame(&mut self.stream, &[]).await?;
        self.next().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn submit(control: &mut Control, to: &str, content: &[u8]) -> Answer {
        let request = Request::Submit {
            sender: "ann@example.org".into(),
            recipients: vec![to.into()],
        };
        assert_eq!(control.ask(&request).await.unwrap(), Answer::Ready);
        control.send(content).await.unwrap();
        control.end().await.unwrap()
    }

    async fn list(control: &mut Control) -> Vec<Entry> {
        let mut found = Vec::new();
        let mut answer = control.ask(&Request::List).await.unwrap();
        while let Answer::Message(entry) = answer {
            found.push(entry);
            answer = control.next().await.unwrap();
        }
        assert_eq!(answer, Answer::Done);
        found
    }

    async fn all_requests(control: &mut Control) {
        let big = vec![b'x'; 200_000];
        let Answer::Queued { id } = submit(control, "bob@example.org", &big).await else {
            panic!("not queued");
        };
        let listed = list(control).await;
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].id, id);
        assert_eq!(listed[0].envelope.sender, "ann@example.org");
        assert!(!listed[0].envelope.eight_bit);

        let shown = control
            .ask(&Request::Show { id: id.clone() })
            .await
            .unwrap();
        assert_eq!(shown, Answer::Message(listed[0].clone()));
        let mut content = Vec::new();
        while let Some(chunk) = control.content().await.unwrap() {
            content.extend_from_slice(&chunk);
        }
        assert!(content.starts_with(b"Received: by "));
        assert!(content.ends_with(&big));

        let flush = |id: Option<String>| Request::Flush { id };
        let flushed = control.ask(&flush(None)).await.unwrap();
        // It is due already.
        assert!(matches!(flushed, Answer::Flushed { .. }), "{flushed:?}");
        let none = control.ask(&flush(Some("nothing".into()))).await.unwrap();
        assert!(matches!(none, Answer::Error { .. }));

        let remove = Request::Remove { id };
        assert_eq!(control.ask(&remove).await.unwrap(), Answer::Done);
        assert!(matches!(
            control.ask(&remove).await.unwrap(),
            Answer::Error { .. }
        ));
        assert!(list(control).await.is_empty());
    }

    fn config(folder: &tempfile::TempDir, text: &str) -> Arc<Config> {
        Arc::new(Config::parse(text, &folder.path().join("posthaste.toml")).unwrap())
    }

    #[tokio::test]
    async fn without_a_server() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder, "");
        let mut control = Control::open(Arc::clone(&config)).await.unwrap();
        assert!(!control.served);
        all_requests(&mut control).await;
        // What was submitted is there for the next one.
        let queued = submit(&mut control, "bob@example.org", b"one \xff\r\n").await;
        assert!(matches!(queued, Answer::Queued { .. }));
        drop(control);
        let mut control = Control::open(config).await.unwrap();
        let listed = list(&mut control).await;
        assert_eq!(listed.len(), 1);
        assert!(listed[0].envelope.eight_bit);
    }

    #[tokio::test]
    async fn with_a_server() {
        let folder = tempfile::tempdir().unwrap();
        // Too long a name for a Unix socket.
        let deep = folder.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let config = Arc::new(Config::parse("", &deep.join("posthaste.toml")).unwrap());
        let lock = DataLock::take(&config).unwrap().unwrap();
        let queue = LocalQueue::open(&config.queue_directory, Blocking::new(4)).unwrap();
        let listener = bind(&config).unwrap();
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(
            listener,
            Arc::clone(&config),
            Arc::new(queue),
            stopped,
        ));
        let mode = std::fs::metadata(socket_path(&config))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut control = Control::open(Arc::clone(&config)).await.unwrap();
        assert!(control.served);
        all_requests(&mut control).await;
        stop.send(true).unwrap();
        server.await.unwrap();
        assert!(!socket_path(&config).exists());
        drop(lock);
    }

    #[tokio::test]
    async fn a_message_that_breaks_off_is_not_queued() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder, "");
        let mut control = Control::open(Arc::clone(&config)).await.unwrap();
        let request = Request::Submit {
            sender: String::new(),
            recipients: vec!["bob@example.org".into()],
        };
        assert_eq!(control.ask(&request).await.unwrap(), Answer::Ready);
        control.send(b"half").await.unwrap();
        drop(control);
        let mut control = Control::open(config).await.unwrap();
        assert!(list(&mut control).await.is_empty());
    }

    #[tokio::test]
    async fn the_size_limit_holds() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder, "message_size_limit = 100000");
        let mut control = Control::open(config).await.unwrap();
        let answer = submit(&mut control, "bob", &vec![b'x'; 300_000]).await;
        let Answer::Error { message } = answer else {
            panic!("{answer:?}");
        };
        assert!(message.contains("message_size_limit"), "{message}");
        assert!(list(&mut control).await.is_empty());
    }
}
