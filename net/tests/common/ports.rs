//! Ports for the servers that tests start.
//!
//! A port that the system hands out and that is let go again may be anybody's a moment later: a server's in another
//! test, or one end of some client's connection. These are below what Linux hands out, and of each block of them the
//! first is held to the end of the process, so that no two tests have the same ones.

use std::net::TcpListener;
use std::sync::Mutex;

/// The ports in all: below 32,768, where Linux begins to hand out ports by itself.
const ALL: std::ops::Range<u16> = 12_000..32_000;
/// How many ports go together, the one that is held among them.
const BLOCK: u16 = 32;

static STATE: Mutex<State> = Mutex::new(State {
    held: Vec::new(),
    rest: Vec::new(),
});

struct State {
    held: Vec<TcpListener>,
    rest: Vec<u16>,
}

fn bind(port: u16) -> Option<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).ok()
}

/// A port of this host for a server of the test: free, and nobody else's until the process ends.
pub(crate) fn free_port() -> u16 {
    let mut state = STATE.lock().unwrap();
    loop {
        match state.rest.pop() {
            Some(port) if bind(port).is_some() => return port,
            Some(_) => (),
            None => {
                let begin = std::process::id() as usize % ALL.step_by(BLOCK.into()).count();
                let blocks = ALL.step_by(BLOCK.into()).cycle().skip(begin);
                let blocks = blocks.take(ALL.len() / usize::from(BLOCK));
                let (first, held) = blocks
                    .filter_map(|first| Some((first, bind(first)?)))
                    .next()
                    .unwrap();
                state.held.push(held);
                state.rest = (first + 1..first + BLOCK).rev().collect();
            }
        }
    }
}
