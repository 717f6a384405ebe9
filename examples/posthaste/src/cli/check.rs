//! `posthaste check`: what is wrong with the set-up, and how to mend it.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use super::place::{DataLock, Place};
use super::print;
use crate::config::{ClientTlsLevel, Config, Ssl, TlsLevel};
use crate::route;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    /// It is well.
    Good(String),
    /// It may be meant so.
    Doubt(String),
    /// The server cannot work so; the second text mends it.
    Bad(String, String),
}

use Finding::{Bad, Doubt, Good};

pub(super) fn run(place: &Place) -> ExitCode {
    let config = match place.load() {
        Ok(config) => config,
        Err(error) => {
            print::error(error);
            return ExitCode::FAILURE;
        }
    };
    let mut findings = Vec::new();
    if config.file.exists() {
        findings.push(Good(format!("{} is well-formed", config.file.display())));
    } else {
        findings.push(Doubt(format!(
            "{} does not exist: the defaults are in force, and the first start writes it",
            config.file.display()
        )));
    }
    let serving = matches!(DataLock::take(&config), Ok(None));
    findings.extend(folder(&config));
    findings.extend(names(&config));
    findings.extend(certificates(&config));
    findings.extend(ports(&config, serving));
    findings.extend(tables(&config));
    findings.extend(relaying(&config));
    let mut bad = 0;
    for finding in &findings {
        match finding {
            Good(text) => print::line(format_args!("ok    {text}")),
            Doubt(text) => print::line(format_args!("note  {text}")),
            Bad(text, remedy) => {
                bad += 1;
                print::line(format_args!("BAD   {text}\n      {remedy}"));
            }
        }
    }
    if bad == 0 {
        print::line("All is well.");
        ExitCode::SUCCESS
    } else {
        print::line(format_args!("{bad} to be mended."));
        ExitCode::FAILURE
    }
}

fn folder(config: &Config) -> Vec<Finding> {
    let path = &config.data_directory;
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return vec![Doubt(format!(
                "{shown} does not exist: the first start makes it"
            ))];
        }
        Err(error) => {
            return vec![Bad(
                format!("{shown}: {error}"),
                "Give this user access, or name another folder with --data.".into(),
            )];
        }
        Ok(metadata) => metadata,
    };
    if !metadata.is_dir() {
        return vec![Bad(
            format!("{shown} is no folder"),
            "Move it away, or name another folder with --data.".into(),
        )];
    }
    let own = rustix::process::geteuid().as_raw();
    let mut found = Vec::new();
    if rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err() {
        found.push(Bad(
            format!("{shown} cannot be written to by user {own}"),
            format!("Run as its owner, or: chown -R {own} {shown}"),
        ));
    } else if metadata.mode() & 0o022 != 0 {
        found.push(Bad(
            format!("others may write to {shown}"),
            format!("chmod go-w {shown}"),
        ));
    } else {
        found.push(Good(format!("{shown} is writable")));
    }
    found.extend(private(&config.users_file));
    found
}

/// A file with secrets that others may read.
fn private(path: &Path) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.mode();
    let shown = path.display();
    (mode & 0o077 != 0).then(|| {
        Bad(
            format!("others may read {shown}"),
            format!("chmod 600 {shown}"),
        )
    })
}

fn names(config: &Config) -> Vec<Finding> {
    let name = &config.myhostname;
    let public = config
        .listen_smtp
        .iter()
        .any(|address| !address.ip().is_loopback());
    if !public {
        return vec![Good(format!(
            "myhostname is {name}; SMTP listens on this host alone, so the DNS need not know it"
        ))];
    }
    let addresses: Vec<IpAddr> = (name.as_str(), 25)
        .to_socket_addrs()
        .map(|addresses| addresses.map(|address| address.ip()).collect())
        .unwrap_or_default();
    if addresses.is_empty() {
        return vec![Bad(
            format!("the DNS has no address for myhostname, {name}"),
            "Set myhostname to the name under which the Internet knows this host; many servers refuse mail from others.".into(),
        )];
    }
    if !name.contains('.') || addresses.iter().all(IpAddr::is_loopback) {
        return vec![Doubt(format!(
            "myhostname, {name}, means this host only to itself; other servers may refuse its mail"
        ))];
    }
    let list: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    vec![Good(format!("{name} is {}", list.join(", ")))]
}

fn certificates(config: &Config) -> Vec<Finding> {
    let mut files: Vec<(&str, &Path, &Path)> = Vec::new();
    if config.smtpd_tls_security_level != TlsLevel::None {
        files.push((
            "smtpd_tls_cert_file",
            &config.smtpd_tls_cert_file,
            &config.smtpd_tls_key_file,
        ));
    }
    if config.ssl != Ssl::No && config.ssl_cert.is_some() {
        let (certificate, key) = config.ssl_files();
        files.push(("ssl_cert", certificate, key));
    }
    let mut found = Vec::new();
    for (name, certificate, key) in files {
        let absent = !certificate.exists() && !key.exists();
        if absent && !config.is_set(name) {
            found.push(Doubt(format!(
                "{} does not exist: the first start makes a self-signed one",
                certificate.display()
            )));
            continue;
        }
        match net::tls::acceptor(certificate, key) {
            Ok(_) => found.push(Good(format!("{} and its key fit", certificate.display()))),
            Err(error) => found.push(Bad(
                format!("{name}: {error}"),
                "Name a PEM certificate with its chain and the key that belongs to it; take both away to have a self-signed one made.".into(),
            )),
        }
        found.extend(private(key));
    }
    if config.smtp_tls_security_level == ClientTlsLevel::Verify && config.relayhost.is_none() {
        found.push(Doubt(
            "smtp_tls_security_level is \"verify\": mail to hosts without a valid certificate never leaves".into(),
        ));
    }
    found
}

fn ports(config: &Config, serving: bool) -> Vec<Finding> {
    let services: [(&str, &[SocketAddr]); 8] = [
        ("listen_smtp", &config.listen_smtp),
        ("listen_submission", &config.listen_submission),
        ("listen_submissions", &config.listen_submissions),
        ("listen_imap", &config.listen_imap),
        ("listen_imaps", &config.listen_imaps),
        ("listen_pop3", &config.listen_pop3),
        ("listen_pop3s", &config.listen_pop3s),
        ("listen_managesieve", &config.listen_managesieve),
    ];
    let mut found = Vec::new();
    let mut seen: Vec<(SocketAddr, &str)> = Vec::new();
    let mut free = 0;
    for (name, addresses) in services {
        for address in addresses {
            if let Some((_, other)) = seen.iter().find(|(known, _)| known == address) {
                found.push(Bad(
                    format!("{name} and {other} both want {address}"),
                    "Give one of them another port.".into(),
                ));
                continue;
            }
            seen.push((*address, name));
            match TcpListener::bind(address) {
                Ok(_) => free += 1,
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && serving => free += 1,
                Err(error) => found.push(Bad(
                    format!("{name}: {address}: {error}"),
                    remedy(address, &error),
                )),
            }
        }
    }
    if seen.is_empty() {
        found.push(Bad(
            "every listen_ key is empty".into(),
            "Give at least one of them an address.".into(),
        ));
    } else if serving {
        found.push(Good(format!(
            "a server is running; {free} ports are its own or free"
        )));
    } else {
        found.push(Good(format!("{free} ports are free")));
    }
    found
}

fn remedy(address: &SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "Ports below 1024 need leave: setcap cap_net_bind_service=+ep on the program, \
             or redirect port {} to a higher one.",
            address.port()
        ),
        io::ErrorKind::AddrInUse => {
            "Another program has it: stop that one, or choose another port.".into()
        }
        io::ErrorKind::AddrNotAvailable => {
            "This host has no such address; 0.0.0.0 or [::] is all that it has.".into()
        }
        _ => "Choose another address.".into(),
    }
}

fn tables(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    for (key, tables, problems) in [
        (
            "alias_maps",
            &config.alias_maps,
            route::check_aliases as fn(&Path) -> io::Result<Vec<String>>,
        ),
        (
            "virtual_alias_maps",
            &config.virtual_alias_maps,
            route::check_virtual_aliases,
        ),
    ] {
        for table in tables {
            let shown = table.0.display();
            match problems(&table.0) {
                Ok(problems) => found.extend(problems.into_iter().map(|problem| {
                    Bad(
                        format!("{shown}:{problem}"),
                        "The line is left out until it is mended.".into(),
                    )
                })),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if config.is_set(key) {
                        found.push(Doubt(format!("{key}: {shown} does not exist")));
                    }
                }
                Err(error) => found.push(Bad(
                    format!("{key}: {shown}: {error}"),
                    "Until it can be read, mail for local names is put off.".into(),
                )),
            }
        }
    }
    for (key, paths) in [
        ("sieve_before", config.sieve_before.as_slice()),
        ("sieve_after", config.sieve_after.as_slice()),
        ("sieve_default", config.sieve_default.as_slice()),
    ] {
        for path in paths.iter().filter(|path| !path.exists()) {
            found.push(Bad(
                format!("{key}: {} does not exist", path.display()),
                "Put the script there, or take the path away.".into(),
            ));
        }
    }
    for program in &config.program_allow {
        if rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_err() {
            found.push(Doubt(format!(
                "program_allow: {} cannot be run",
                program.display()
            )));
        }
    }
    found
}

fn relaying(config: &Config) -> Vec<Finding> {
    // One of each end of the world.
    let strangers: [IpAddr; 2] = [
        IpAddr::from([192, 0, 2, 1]),
        IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
    ];
    let open = strangers.iter().any(|address| config.trusts(*address));
    if open {
        return vec![Bad(
            "mynetworks holds the whole Internet: this is an open relay".into(),
            "Name your own networks alone; everybody else logs in.".into(),
        )];
    }
    vec![Good(
        "only mynetworks and users who log in may relay".into(),
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn config(folder: &Path, text: &str) -> Config {
        Config::parse(text, &folder.join("posthaste.toml")).unwrap()
    }

    fn bad(findings: &[Finding]) -> Vec<&str> {
        let texts = findings.iter().map(|finding| match finding {
            Bad(text, _) => Some(text.as_str()),
            _ => None,
        });
        texts.flatten().collect()
    }

    #[test]
    fn folders_and_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let plain = config(folder.path(), "");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(bad(&super::folder(&plain)).is_empty());
        fs::write(&plain.users_file, "").unwrap();
        fs::set_permissions(&plain.users_file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(bad(&super::folder(&plain)).len(), 1);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(bad(&super::folder(&plain)).len(), 2);
        let missing = config(&folder.path().join("none"), "");
        assert!(matches!(super::folder(&missing).as_slice(), [Doubt(_)]));
        let file = config(&plain.users_file, "");
        assert_eq!(bad(&super::folder(&file)).len(), 1);
    }

    #[test]
    fn ports_in_use_and_twice() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let none = "listen_submission = []\nlisten_submissions = []\nlisten_imap = []\nlisten_imaps = []\n\
            listen_pop3 = []\nlisten_pop3s = []\nlisten_managesieve = []\n";
        let one = config(
            "/nowhere".as_ref(),
            &format!("{none}listen_smtp = \"{address}\""),
        );
        assert_eq!(bad(&ports(&one, false)).len(), 1);
        assert!(bad(&ports(&one, true)).is_empty());
        let empty = config("/nowhere".as_ref(), &format!("{none}listen_smtp = []"));
        assert_eq!(bad(&ports(&empty, false)).len(), 1);
        let twice = config(
            "/nowhere".as_ref(),
            &format!("{none}listen_smtp = [\"{address}\", \"{address}\"]"),
        );
        assert_eq!(bad(&ports(&twice, true)).len(), 1);
    }

    #[test]
    fn certificates_that_fit_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "");
        assert!(bad(&certificates(&config)).is_empty());
        let (certificate, key) = config.ssl_files();
        net::tls::make_self_signed(&["localhost".into()], certificate, key).unwrap();
        assert!(bad(&certificates(&config)).is_empty());
        fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(bad(&certificates(&config)).len(), 1);
        fs::write(certificate, "nothing").unwrap();
        assert_eq!(bad(&certificates(&config)).len(), 2);
    }

    #[test]
    fn tables_and_open_relays() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("aliases"), "good: ann\nbad line\n").unwrap();
        let aliases = config(folder.path(), "sieve_before = \"none.sieve\"");
        let findings = tables(&aliases);
        let found = bad(&findings);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("aliases:2: "), "{found:?}");
        assert!(bad(&relaying(&aliases)).is_empty());
        let open = config(folder.path(), "mynetworks = \"0.0.0.0/0\"");
        assert_eq!(bad(&relaying(&open)).len(), 1);
    }
}
