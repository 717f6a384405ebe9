use std::fmt;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, SaltString};
use thiserror::Error;
use yescrypt::Yescrypt;

/// A password hash, in the form that crypt(3) or the PHC string format gives
/// it, with or without a `{SCHEME}` before it.
///
/// | begins with | scheme names | what it is |
/// |---|---|---|
/// | `$argon2id$`, `$argon2i$`, `$argon2d$` | `ARGON2ID`, `ARGON2I`, `ARGON2` | Argon2 (RFC 9106); what is made here |
/// | `$6$` | `SHA512-CRYPT`, `CRYPT` | SHA-512 crypt |
/// | `$5$` | `SHA256-CRYPT`, `CRYPT` | SHA-256 crypt |
/// | `$2y$`, `$2b$`, `$2a$` | `BLF-CRYPT`, `CRYPT` | bcrypt |
/// | `$y$` | `YESCRYPT`, `CRYPT` | yescrypt |
/// | `!`, `*` | any | locked: no password fits |
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    kind: Kind,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Argon2,
    Sha512Crypt,
    Sha256Crypt,
    Bcrypt,
    Yescrypt,
    Locked,
}

/// Why a text is no password hash that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HashError {
    /// The scheme in braces is not known.
    #[error("unknown password scheme {{{0}}}; known are {KNOWN}")]
    UnknownScheme(String),
    /// There is no scheme, and the hash begins like none.
    #[error("unknown kind of password hash; known are {KNOWN}")]
    UnknownKind,
    /// The hash is not of the scheme before it.
    #[error("the hash is not of the scheme {{{0}}}")]
    Mismatch(String),
    /// It begins like a hash, and is none.
    #[error("malformed {0} hash")]
    Malformed(&'static str),
    /// A hash could not be made.
    #[error("cannot hash the password: {0}")]
    Making(String),
}

const KNOWN: &str =
    "ARGON2ID, SHA512-CRYPT ($6$), SHA256-CRYPT ($5$), BLF-CRYPT ($2y$), YESCRYPT ($y$)";

const KINDS: [(&str, Kind); 9] = [
    ("$argon2id$", Kind::Argon2),
    ("$argon2i$", Kind::Argon2),
    ("$argon2d$", Kind::Argon2),
    ("$6$", Kind::Sha512Crypt),
    ("$5$", Kind::Sha256Crypt),
    ("$2y$", Kind::Bcrypt),
    ("$2b$", Kind::Bcrypt),
    ("$2a$", Kind::Bcrypt),
    ("$y$", Kind::Yescrypt),
];

impl PasswordHash {
    /// Reads the second field of a users file's line.
    ///
    /// # Errors
    /// [`HashError`], which never holds the hash.
    pub fn parse(field: &str) -> Result<Self, HashError> {
        let (scheme, text) = match field
            .strip_prefix('{')
            .and_then(|rest| rest.split_once('}'))
        {
            Some((scheme, text)) => (Some(scheme), text),
            None => (None, field),
        };
        let allowed: &[Kind] = match scheme.map(str::to_ascii_uppercase).as_deref() {
            None | Some("CRYPT") => &[
                Kind::Argon2,
                Kind::Sha512Crypt,
                Kind::Sha256Crypt,
                Kind::Bcrypt,
                Kind::Yescrypt,
            ],
            Some("ARGON2ID" | "ARGON2I" | "ARGON2") => &[Kind::Argon2],
            Some("SHA512-CRYPT") => &[Kind::Sha512Crypt],
            Some("SHA256-CRYPT") => &[Kind::Sha256Crypt],
            Some("BLF-CRYPT") => &[Kind::Bcrypt],
            Some("YESCRYPT") => &[Kind::Yescrypt],
            Some(_) => return Err(HashError::UnknownScheme(scheme.unwrap_or_default().into())),
        };
        let made = |kind| Self {
            kind,
            text: text.to_owned(),
        };
        if text.starts_with(['!', '*']) {
            return Ok(made(Kind::Locked));
        }
        let found = KINDS.iter().find(|(start, _)| text.starts_with(start));
        let Some((_, kind)) = found else {
            return Err(match scheme {
                Some(scheme) => HashError::Mismatch(scheme.into()),
                None => HashError::UnknownKind,
            });
        };
        if !allowed.contains(kind) {
            return Err(HashError::Mismatch(scheme.unwrap_or_default().into()));
        }
        let whole = match kind {
            Kind::Argon2 => argon2::PasswordHash::new(text)
                .is_ok_and(|hash| hash.salt.is_some() && hash.hash.is_some()),
            Kind::Bcrypt => text.parse::<bcrypt::HashParts>().is_ok(),
            _ => text.split('$').count() >= 4 && !text.ends_with('$'),
        };
        if !whole {
            return Err(HashError::Malformed(kind.name()));
        }
        Ok(made(*kind))
    }

    /// Hashes a password with Argon2id, 19 MiB, two passes (RFC 9106 and the
    /// OWASP's least). Takes some tens of milliseconds.
    ///
    /// # Errors
    /// When the system gives no random octets.
    pub fn new(password: &[u8]) -> Result<Self, HashError> {
        let making = |error: &dyn fmt::Display| HashError::Making(error.to_string());
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|error| making(&error))?;
        let salt = SaltString::encode_b64(&salt).map_err(|error| making(&error))?;
        let hash = Argon2::default()
            .hash_password(password, &salt)
            .map_err(|error| making(&error))?;
        Ok(Self {
            kind: Kind::Argon2,
            text: hash.to_string(),
        })
    }

    /// Whether the password is right. Costs what the hash costs: never call it
    /// on a reactor.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        match self.kind {
            Kind::Argon2 => argon2::PasswordHash::new(&self.text)
                .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok()),
            Kind::Sha512Crypt => str::from_utf8(password)
                .is_ok_and(|password| sha_crypt::sha512_check(password, &self.text).is_ok()),
            Kind::Sha256Crypt => str::from_utf8(password)
                .is_ok_and(|password| sha_crypt::sha256_check(password, &self.text).is_ok()),
            Kind::Bcrypt => bcrypt::verify(password, &self.text).unwrap_or(false),
            Kind::Yescrypt => yescrypt::PasswordVerifier::<str>::verify_password(
                &Yescrypt::default(),
                password,
                &self.text,
            )
            .is_ok(),
            Kind::Locked => false,
        }
    }

    /// Whether no password fits.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.kind == Kind::Locked
    }

    /// The scheme's name.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.kind.name()
    }

    /// The hash itself. Keep it out of logs.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The field of the users file.
    pub(super) fn to_field(&self) -> String {
        match self.kind {
            Kind::Locked => self.text.clone(),
            kind => format!("{{{}}}{}", kind.name(), self.text),
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Argon2 => "ARGON2ID",
            Self::Sha512Crypt => "SHA512-CRYPT",
            Self::Sha256Crypt => "SHA256-CRYPT",
            Self::Bcrypt => "BLF-CRYPT",
            Self::Yescrypt => "YESCRYPT",
            Self::Locked => "locked",
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash")
            .field("scheme", &self.scheme())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by crypt(3) of libxcrypt, the last by the reference Argon2.
    const HASHES: [(&str, &str); 7] = [
        (
            "Hello world!",
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        ),
        (
            "Hello world!",
            "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
        ),
        (
            "Hello world!",
            "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
        ),
        (
            "Hello world!",
            "$2y$05$abcdefghijklmnopqrstuu7nFISH/8YdwlXD3lw69A4iBUf6fvWAW",
        ),
        (
            "Hello world!",
            "$2b$04$abcdefghijklmnopqrstuuyeG8laUfZvsCmc.AE6qIDYSPGM2efmK",
        ),
        (
            "Hello world!",
            "$y$j9T$LdJMENpBABJJ3hIHjB1Bi.$zW5G4BIAAeOQpBvY3MQbaO1vXUDwmoOegrzuQYvjwo/",
        ),
        (
            "password",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        ),
    ];

    #[test]
    fn hashes_made_elsewhere() {
        for (password, text) in HASHES {
            let hash = PasswordHash::parse(text).unwrap();
            assert!(hash.verify(password.as_bytes()), "{text}");
            assert!(!hash.verify(b"wrong"), "{text}");
            assert!(!hash.verify(b""), "{text}");
            assert!(!hash.verify(b"\xFF"), "{text}");
            let again = PasswordHash::parse(&hash.to_field()).unwrap();
            assert_eq!(again, hash);
        }
    }

    #[test]
    fn a_new_hash_is_argon2id() {
        let hash = PasswordHash::new("pässword".as_bytes()).unwrap();
        assert!(
            hash.to_field()
                .starts_with("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$")
        );
        assert!(hash.verify("pässword".as_bytes()));
        assert!(!hash.verify(b"password"));
        assert_ne!(hash, PasswordHash::new("pässword".as_bytes()).unwrap());
    }

    #[test]
    fn what_is_refused_says_why() {
        let message = |text| PasswordHash::parse(text).unwrap_err().to_string();
        assert!(message("{PLAIN}secret").starts_with("unknown password scheme {PLAIN}; known are"));
        assert!(message("{MD5-CRYPT}$1$abc$def").contains("{MD5-CRYPT}"));
        assert!(message("secret").starts_with("unknown kind of password hash"));
        assert!(message("$1$abc$def").starts_with("unknown kind"));
        assert!(message("{SHA512-CRYPT}$5$a$b").contains("not of the scheme"));
        assert!(message("{ARGON2ID}$argon2id$nonsense").contains("malformed ARGON2ID"));
        assert!(message("$2y$10$short").contains("malformed BLF-CRYPT"));
        for text in ["secret", "{X}secret"] {
            assert!(!message(text).contains("secret"));
        }
    }

    #[test]
    fn locked() {
        for text in ["!", "*", "!!", "!$6$a$b", "{CRYPT}!"] {
            let hash = PasswordHash::parse(text).unwrap();
            assert!(hash.is_locked() && !hash.verify(b""));
        }
    }
}
