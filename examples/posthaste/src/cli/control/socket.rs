//! The socket in the data folder.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::config::Config;

/// Where the socket of `config` is.
#[must_use]
pub fn socket_path(config: &Config) -> PathBuf {
    config.data_directory.join("control")
}

/// Unix sockets have short names (108 octets): a long one is reached through
/// the open folder.
pub(super) fn with_short_path<T>(
    path: &Path,
    f: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
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
