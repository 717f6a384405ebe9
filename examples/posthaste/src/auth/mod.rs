//! Who may log in: the users file, password hashes, and the checking of
//! logins for every service.
//!
//! - [`Users`]: the users file, read again when it changes.
//! - [`edit`]: changes it; what `posthaste user` does.
//! - [`PasswordHash`]: Argon2id, and what crypt(3) made elsewhere.
//! - [`Authenticator`]: checks a login off the reactor, and slows guessing.
//! - [`Exchange`]: one SASL exchange of a session.
//! - [`Seats`]: how many connections a user holds.
//!
//! A line of the users file has the fields of passwd(5), of which only the
//! first two are needed:
//!
//! ```text
//! name:{SCHEME}hash:uid:gid:gecos:home:shell
//! ```
//!
//! `uid`, `gid`, `gecos` and `shell` are not used. A hash that begins with
//! `!` or `*` is locked: mail is delivered, but nobody can log in.

mod authenticator;
mod cache;
pub mod edit;
mod exchange;
mod hash;
mod seats;
mod throttle;
mod users;

pub use authenticator::{Authenticator, Settings, Verdict};
pub use exchange::{Exchange, ExchangeStep, MECHANISMS};
pub use hash::{HashError, PasswordHash};
pub use seats::{Seat, Seats};
pub use users::{Tested, User, Users, UsersError};
