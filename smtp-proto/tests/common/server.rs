//! A server machine as transcripts drive it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use proto_core::transcript::{self, Machine, Shown, Side, run};
use smtp_proto::{BareNewline, Config, Event, FutureRelease, Misuse, Reply, Server, Step};

pub(crate) struct Host {
    server: Server,
}

impl Machine for Host {
    fn poll(&mut self, input: &mut BytesMut, now: Instant) -> Result<Step<Shown>, String> {
        match self.server.poll(input, now) {
            Ok(step) => Ok(step.map(show)),
            Err(error) => Err(error.to_string()),
        }
    }
    transcript::forward!(server);
    fn answer(&mut self, text: &str) -> Result<(), Misuse> {
        match text.split_once(' ').unwrap_or((text, "")) {
            ("accept", _) => self.server.accept_payload(),
            ("tls", _) => self.server.tls_started(),
            ("challenge", data) => self.server.challenge(data.as_bytes()),
            _ => self.server.reply(reply(text)),
        }
    }
}

/// `250 2.1.0 Ok`; `|` parts lines.
pub(crate) fn reply(text: &str) -> Reply {
    let (code, text) = text.split_once(' ').unwrap_or((text, ""));
    let code = code.parse().unwrap();
    let text = text.replace('|', "\n");
    match smtp_proto::EnhancedCode::parse_prefix(&text) {
        Some((enhanced, rest)) => Reply::new(code, enhanced, rest.to_owned()),
        None => Reply::bare(code, text),
    }
}

pub(crate) fn show(event: Event) -> Shown {
    Shown::Event(match event {
        Event::Payload(octets) => return Shown::Payload(octets.to_vec()),
        Event::Hello(hello) => hello.to_string(),
        Event::Mail(mail) => mail.to_string(),
        Event::Rcpt(rcpt) => rcpt.to_string(),
        Event::Vrfy(lookup) => format!("VRFY {lookup}"),
        Event::Expn(lookup) => format!("EXPN {lookup}"),
        Event::Etrn(etrn) => etrn.to_string(),
        Event::Burl(burl) => burl.to_string(),
        Event::Auth(auth) => match auth.initial_response {
            Some(secret) => format!(
                "Auth {} {:?}",
                auth.mechanism,
                String::from_utf8_lossy(secret.expose())
            ),
            None => format!("Auth {}", auth.mechanism),
        },
        Event::AuthData(secret) => {
            format!("AuthData {:?}", String::from_utf8_lossy(secret.expose()))
        }
        Event::Xclient(attributes) => format!("XCLIENT{attributes}"),
        Event::Xforward(attributes) => format!("XFORWARD{attributes}"),
        Event::Rejected(rejected) => format!("Rejected {}", rejected.reply.code()),
        Event::PayloadStart(payload) => match payload.chunked {
            true => "PayloadStart BDAT".into(),
            false => "PayloadStart".into(),
        },
        other => format!("{other:?}"),
    })
}

/// `#! key value` lines of a script, as a configuration.
pub(crate) fn configure(script: &str) -> (Config, bool) {
    let lmtp = script.contains("#! lmtp");
    let mut config = match lmtp {
        true => Config::lmtp("foo.com"),
        false => Config::new("foo.com"),
    };
    let mut tls = false;
    for line in script.lines().filter_map(|line| line.strip_prefix("#! ")) {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let extensions = &mut config.extensions;
        let words = || value.split(' ').map(str::to_owned).collect::<Vec<_>>();
        match key {
            "lmtp" => {}
            "tls" => tls = true,
            "auth" => extensions.auth = words(),
            "auth_required" => config.auth_required = true,
            "auth_plain_text" => config.auth_needs_tls = false,
            "tls_required" => config.tls_required = true,
            "starttls" => extensions.starttls = true,
            "smtputf8" => extensions.smtputf8 = true,
            "dsn" => extensions.dsn = true,
            "etrn" => extensions.etrn = true,
            "burl" => extensions.burl = Some(value.into()),
            "expn" => extensions.expn = true,
            "vrfy" => extensions.vrfy = true,
            "help" => extensions.help = true,
            "binary" => extensions.binary_mime = true,
            "mtrk" => extensions.mtrk = true,
            "requiretls" => extensions.requiretls = true,
            "rrvs" => extensions.rrvs = true,
            "limits" => extensions.limits = true,
            "solicit" => extensions.no_soliciting = Some(Some(value.into())),
            "priority" => extensions.mt_priority = Some(Some(value.into())),
            "priority_unnamed" => extensions.mt_priority = Some(None),
            "deliver_by" => extensions.deliver_by = Some(value.parse().unwrap()),
            "hold" => {
                extensions.future_release = Some(FutureRelease {
                    max_interval: 86_400,
                    max_date_time: value.into(),
                });
            }
            "xclient" => extensions.xclient = words(),
            "xforward" => extensions.xforward = words(),
            "bare" => {
                extensions.pipelining = false;
                extensions.size = false;
                extensions.eight_bit_mime = false;
                extensions.enhanced_status_codes = false;
                extensions.chunking = false;
            }
            "size" => config.limits.message_size = value.parse().unwrap(),
            "errors" => config.limits.errors = value.parse().unwrap(),
            "recipients" => config.limits.recipients = value.parse().unwrap(),
            "transactions" => config.limits.transactions = Some(value.parse().unwrap()),
            "idle_commands" => config.limits.idle_commands = value.parse().unwrap(),
            "line" => config.limits.command_line = value.parse().unwrap(),
            "session" => {
                config.timeouts.session = Some(Duration::from_secs(value.parse().unwrap()));
            }
            "delay" => config.timeouts.greeting_delay = Duration::from_secs(value.parse().unwrap()),
            "pass" => config.bare_newline = BareNewline::Pass,
            "normalise" => config.bare_newline = BareNewline::Normalise,
            "lf" => config.lenient.bare_lf_commands = true,
            "space" => config.lenient.space_after_colon = true,
            "brackets" => config.lenient.missing_brackets = true,
            "any_hello" => config.lenient.any_hello_domain = true,
            "unknown" => config.unknown_parameters = true,
            other => panic!("unknown configuration {other:?}"),
        }
    }
    (config, tls)
}

pub(crate) fn play(script: &str) {
    let (config, tls) = configure(script);
    let config = Arc::new(config);
    run(script, Side::Server, |now| {
        let mut server = Server::new(Arc::clone(&config), now);
        if tls {
            server.tls_started().unwrap();
        }
        Host { server }
    });
}
