//! `posthaste serve`, which is also what `posthaste` alone does.

use std::fmt::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::first_start::{DEMO_USER, Made, prepare};
use super::place::{Place, make_private_folder};
use super::{DataLock, control, print};
use crate::config::Config;
use crate::logging;
use crate::server::{Endpoint, Security, Server, Service};

pub(super) fn run(place: &Place) -> ExitCode {
    match try_run(place) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::error(format_args!("posthaste: {error}"));
            ExitCode::FAILURE
        }
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn try_run(place: &Place) -> Result<(), AnyError> {
    let config = place.load()?;
    let folder = &config.data_directory;
    make_private_folder(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let Some(lock) = DataLock::take(&config)? else {
        let folder = folder.display();
        return Err(format!("another posthaste is at work in {folder}").into());
    };
    let made = prepare(&config)?;
    // The file is there now, and what it says is in force.
    let config = Arc::new(place.load()?);
    logging::init(&config)?;
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(config, &made));
    drop(lock);
    served
}

async fn serve(config: Arc<Config>, made: &Made) -> Result<(), AnyError> {
    let server = Server::start(Arc::clone(&config)).await?;
    let socket = control::bind(&config)?;
    let (stop, stopped) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // The terminal that it was started from may go.
    let mut hangup = signal(SignalKind::hangup())?;
    let commands = tokio::spawn(control::serve(
        socket,
        Arc::clone(&config),
        server.queue(),
        stopped.clone(),
    ));
    print::line(greeting(&config, server.services(), made));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");
    let mut server = tokio::spawn(server.run(stopped));
    loop {
        tokio::select! {
            ended = &mut server => {
                ended?;
                return Err("the server has ended by itself".into());
            }
            _ = hangup.recv() => {}
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    tracing::info!("stopping");
    stop.send_replace(true);
    tokio::select! {
        ended = &mut server => ended?,
        // Whoever asks twice does not want to wait. The queue has it all.
        _ = interrupt.recv() => return Err("stopped at once".into()),
    }
    commands.await?;
    tracing::info!("stopped");
    Ok(())
}

/// Every connection is an open file.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With less, connections over the limit wait: no reason not to start.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// What a person at the terminal sees.
fn greeting(config: &Config, services: &[Service], made: &Made) -> String {
    let mut out = format!(
        "posthaste {} for {}, data in {}\n\n",
        env!("CARGO_PKG_VERSION"),
        config.myhostname,
        config.data_directory.display()
    );
    let _ = writeln!(out, "  {:<12} {:<22} SECURITY", "SERVICE", "ADDRESS");
    for service in services {
        let security = match (service.security, service.name) {
            (Security::None, _) => "none",
            (Security::StartTls, "pop3") => "STLS",
            (Security::StartTls, _) => "STARTTLS",
            (Security::Tls, _) => "TLS",
        };
        let address = service.address.to_string();
        let _ = writeln!(out, "  {:<12} {address:<22} {security}", service.name);
    }
    if let Some(password) = &made.password {
        let _ = write!(out, "\n{}", first_words(config, services, password));
    }
    out.push_str("\nCtrl-C stops it; everything is kept.");
    out
}

fn first_words(config: &Config, services: &[Service], password: &str) -> String {
    let find = |name: &str| -> Option<SocketAddr> {
        let service = services.iter().find(|service| service.name == name)?;
        match service.address {
            Endpoint::Tcp(address) => Some(address),
            Endpoint::Local(_) => None,
        }
    };
    let domain = ["localhost", &config.myorigin]
        .into_iter()
        .find(|domain| config.mydestination.iter().any(|own| own == domain))
        .unwrap_or(&config.myhostname);
    let mut out = format!(
        "This is the first start. There is one account, {DEMO_USER}, with the password\n\n  \
         {password}\n\n\
         which is not shown again; `posthaste user passwd {DEMO_USER}` sets another. To try it, paste:\n\n"
    );
    if let Some(address) = find("smtp") {
        let _ = writeln!(
            out,
            "  printf 'Subject: hello\\n\\nfirst light\\n' | curl --crlf -sT - smtp://{address} \
             --mail-from you@{domain} --mail-rcpt {DEMO_USER}@{domain}"
        );
    }
    if let Some(address) = find("imap") {
        let _ = writeln!(
            out,
            "  curl -s 'imap://{address}/INBOX;MAILINDEX=1' -u {DEMO_USER}:{password}"
        );
    }
    if let Some(address) = find("pop3s") {
        let _ = writeln!(
            out,
            "  curl -sk pop3s://{address}/1 -u {DEMO_USER}:{password}"
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &'static str, port: u16, security: Security) -> Service {
        Service {
            name,
            address: Endpoint::Tcp(([127, 0, 0, 1], port).into()),
            security,
        }
    }

    #[test]
    fn the_greeting() {
        let config =
            Config::parse("myhostname = \"mail.example.org\"", "/srv/x.toml".as_ref()).unwrap();
        let services = [
            service("smtp", 2525, Security::StartTls),
            service("imap", 2143, Security::StartTls),
            service("pop3", 2110, Security::StartTls),
            service("pop3s", 2995, Security::Tls),
        ];
        let text = greeting(&config, &services, &Made::default());
        assert!(text.starts_with("posthaste "));
        assert!(text.contains("  smtp         127.0.0.1:2525         STARTTLS\n"));
        assert!(text.contains("  pop3         127.0.0.1:2110         STLS\n"));
        assert!(text.contains("  pop3s        127.0.0.1:2995         TLS\n"));
        assert!(!text.contains("first start"));
        let made = Made {
            files: Vec::new(),
            password: Some("abcd-efgh".into()),
        };
        let text = greeting(&config, &services, &made);
        assert_eq!(text.matches("\n  curl ").count(), 2);
        assert!(text.contains("--mail-rcpt demo@localhost"));
        assert!(text.contains("-u demo:abcd-efgh"));
    }
}
