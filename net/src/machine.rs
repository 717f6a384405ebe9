use std::error::Error;
use std::time::Instant;

use bytes::BytesMut;
use proto_core::{Misuse, Output, Step};

/// The six methods, and the one answer that the transport itself gives.
pub trait Machine {
    /// What the machine tells its host.
    type Event;
    /// Why a connection ended early.
    type Error: Error + Send + Sync + 'static;

    fn poll(
        &mut self,
        input: &mut BytesMut,
        now: Instant,
    ) -> Result<Step<Self::Event>, Self::Error>;
    fn output(&mut self) -> &mut Output;
    fn poll_timeout(&self) -> Option<Instant>;
    fn handle_timeout(&mut self, now: Instant);
    fn handle_eof(&mut self);
    fn shutdown(&mut self);
    fn tls_started(&mut self) -> Result<(), Misuse>;
}

macro_rules! machine {
    ($($machine:ty, $event:ty, $error:ty;)*) => {$(
        impl Machine for $machine {
            type Event = $event;
            type Error = $error;

            fn poll(
                &mut self,
                input: &mut BytesMut,
                now: Instant,
            ) -> Result<Step<$event>, $error> {
                Self::poll(self, input, now)
            }
            fn output(&mut self) -> &mut Output {
                Self::output(self)
            }
            fn poll_timeout(&self) -> Option<Instant> {
                Self::poll_timeout(self)
            }
            fn handle_timeout(&mut self, now: Instant) {
                Self::handle_timeout(self, now);
            }
            fn handle_eof(&mut self) {
                Self::handle_eof(self);
            }
            fn shutdown(&mut self) {
                Self::shutdown(self);
            }
            fn tls_started(&mut self) -> Result<(), Misuse> {
                Self::tls_started(self)
            }
        }
    )*};
}

machine! {
    imap_proto::Server, imap_proto::Event, imap_proto::Error;
    imap_proto::Client, imap_proto::ClientEvent, imap_proto::Error;
    smtp_proto::Server, smtp_proto::Event, smtp_proto::Error;
    smtp_proto::Client, smtp_proto::ClientEvent, smtp_proto::ClientError;
    sieve::managesieve::Server, sieve::managesieve::Event, sieve::managesieve::Error;
    pop3_proto::Server, pop3_proto::Event, pop3_proto::ServerError;
    pop3_proto::Client, pop3_proto::ClientEvent, pop3_proto::ClientError;
}
