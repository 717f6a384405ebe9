use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use tokio::sync::watch;

use super::*;
use crate::blocking::Blocking;
use crate::cli::DataLock;
use crate::config::Config;
use crate::queue::LocalQueue;

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
