//! A full disk under the queue.

use super::*;

/// A small file system of its own, as long as it is held.
struct Small(std::path::PathBuf);

impl Small {
    /// Nothing where the system does not let us.
    fn mount(at: std::path::PathBuf) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=40m", "tmpfs"])
            .arg(&at)
            .output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        // The tests with real programs run where this is allowed.
        assert!(mounted || !common::interop(), "no tmpfs can be mounted");
        mounted.then_some(Self(at))
    }

    /// Takes all the room that there is; gives it back when removed.
    fn fill(&self) -> std::path::PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = fs::File::create(&ballast).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        ballast
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Sends a message; whether it was taken.
fn offer(server: &Server, name: &str, octets: usize) -> bool {
    let mut talk = begin(server, "bob@example.org");
    talk.say(&format!("Subject: {name}\r\n"));
    let line = format!("{}\r\n", "x".repeat(78));
    talk.send(line.repeat(octets / line.len()).as_bytes());
    talk.say(".");
    let reply = talk.line();
    match &reply[..1] {
        "2" => true,
        // The sender keeps it and tries again.
        "4" => false,
        _ => panic!("{name}: {reply}"),
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let mut server = Server::prepare("");
    let Some(small) = Small::mount(server.path("queue")) else {
        return;
    };
    server.run();
    let mut taken = Vec::new();
    let mut send = |server: &Server, name: &str, octets: usize| {
        let was_taken = offer(server, name, octets);
        if was_taken {
            taken.push(name.to_owned());
        }
        was_taken
    };
    assert!(send(&server, "before", 1_000_000));
    // Its file goes a moment after the message, and would give room.
    let is_gone = || fs::read_dir(server.path("queue/big")).is_ok_and(|files| files.count() == 0);
    server.wait_until("the first", || queue_is_empty(&server) && is_gone());
    let ballast = small.fill();
    assert!(!send(&server, "large", 1_000_000));
    // The log has room set aside, for some of these at least.
    for n in 0..10 {
        send(&server, &format!("small {n}"), 1000);
        send(&server, &format!("middling {n}"), 100_000);
    }
    assert!(!send(&server, "large again", 1_000_000));
    let mut talk = smtp(&server);
    talk.say("NOOP");
    talk.expect("250");
    server.kill();
    fs::remove_file(ballast).unwrap();
    server.run();
    assert!(send(&server, "behind", 1_000_000));
    server.wait_until("all", || {
        queue_is_empty(&server) && server.mail("bob").len() >= taken.len()
    });
    let mut got: Vec<String> = server
        .mail("bob")
        .iter()
        .filter_map(|message| {
            message
                .lines()
                .find_map(|line| line.strip_prefix("Subject: "))
        })
        .map(str::to_owned)
        .collect();
    got.sort();
    got.dedup();
    taken.sort();
    assert_eq!(got, taken);
    server.stop();
}
