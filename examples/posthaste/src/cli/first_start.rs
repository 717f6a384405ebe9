//! What the first start makes: everything that is needed to send and read mail
//! on this host, and nothing that a configuration already names.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::BASE32_NOPAD;
use thiserror::Error;

use super::place::make_private_folder;
use crate::auth::{self, UsersError};
use crate::config::{Config, Ssl, TlsLevel, commented_toml};

/// The account of the first start.
pub(super) const DEMO_USER: &str = "demo";

const ALIASES: &str = "\
# Aliases of local names, as in aliases(5): name: target, target
# Changes count at once.
postmaster: demo
mailer-daemon: postmaster
abuse: postmaster
root: postmaster
";

/// What could not be made.
#[derive(Debug, Error)]
pub(super) enum FirstStartError {
    #[error("{path}: {error}")]
    Write { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Certificate(#[from] net::tls::TlsError),
    #[error(transparent)]
    Users(#[from] UsersError),
    #[error("the system gives no random octets: {0}")]
    Random(getrandom::Error),
}

/// What was made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// Files, in the order of making.
    pub(super) files: Vec<PathBuf>,
    /// The password of [`DEMO_USER`], which stands nowhere else.
    pub(super) password: Option<String>,
}

/// Makes what is missing; what is there stays as it is.
pub(super) fn prepare(config: &Config) -> Result<Made, FirstStartError> {
    let mut made = Made::default();
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| FirstStartError::Write { path, error }
    };
    let folder = &config.data_directory;
    make_private_folder(folder).map_err(at(folder))?;
    if write_new(&config.file, &commented_toml()).map_err(at(&config.file))? {
        made.files.push(config.file.clone());
    }
    let tls = config.smtpd_tls_security_level != TlsLevel::None
        || (config.ssl != Ssl::No && config.ssl_cert.is_none());
    let certificate = &config.smtpd_tls_cert_file;
    let own = !config.is_set("smtpd_tls_cert_file") && !config.is_set("smtpd_tls_key_file");
    if tls && own && !certificate.exists() {
        let key = &config.smtpd_tls_key_file;
        // A key alone was left by a start that was cut off.
        match fs::remove_file(key) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(key)(error)),
            _ => {}
        }
        let mut names = vec![config.myhostname.clone()];
        if config.myhostname != "localhost" {
            names.push("localhost".into());
        }
        net::tls::make_self_signed(&names, certificate, key)?;
        made.files.extend([certificate.clone(), key.clone()]);
    }
    if !config.is_set("users_file") && !config.users_file.exists() {
        if let ([aliases], false) = (config.alias_maps.as_slice(), config.is_set("alias_maps"))
            && write_new(&aliases.0, ALIASES).map_err(at(&aliases.0))?
        {
            made.files.push(aliases.0.clone());
        }
        let password = password()?;
        auth::edit::add(&config.users_file, DEMO_USER, password.as_bytes())?;
        made.files.push(config.users_file.clone());
        made.password = Some(password);
    }
    Ok(made)
}

/// Whether the file was written; one that is there is not.
fn write_new(path: &Path, text: &str) -> io::Result<bool> {
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match opened {
        Ok(mut file) => {
            file.write_all(text.as_bytes())?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// 80 random bits in letters and digits that are easy to type.
pub(super) fn password() -> Result<String, FirstStartError> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(FirstStartError::Random)?;
    let letters = BASE32_NOPAD.encode(&random).to_ascii_lowercase();
    let groups: Vec<&str> = [0..4, 4..8, 8..12, 12..16]
        .into_iter()
        .filter_map(|range| letters.get(range))
        .collect();
    Ok(groups.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_start_makes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let config = Config::default_in(&data);
        let first = prepare(&config).unwrap();
        assert_eq!(first.files.len(), 5);
        assert_eq!(first.password.as_ref().unwrap().len(), 19);
        let config = Config::load(&config.file).unwrap();
        net::tls::acceptor(&config.smtpd_tls_cert_file, &config.smtpd_tls_key_file).unwrap();
        let users = auth::Users::open(&config.users_file).unwrap();
        let password = first.password.unwrap();
        assert!(matches!(
            users.test(DEMO_USER, password.as_bytes()),
            auth::Tested::Accepted { .. }
        ));
        assert_eq!(prepare(&config).unwrap(), Made::default());

        // A start that was cut off between key and certificate.
        fs::remove_file(&config.smtpd_tls_cert_file).unwrap();
        assert_eq!(prepare(&config).unwrap().files.len(), 2);
        net::tls::acceptor(&config.smtpd_tls_cert_file, &config.smtpd_tls_key_file).unwrap();
    }

    #[test]
    fn what_is_configured_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("posthaste.toml");
        let text = "users_file = \"mine\"\nsmtpd_tls_cert_file = \"mine.pem\"";
        fs::write(&file, text).unwrap();
        let config = Config::load(&file).unwrap();
        assert_eq!(prepare(&config).unwrap(), Made::default());
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}
