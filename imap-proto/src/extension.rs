use std::fmt;

use crate::Invalid;
use crate::cursor::{Cursor, Parsed};
use crate::types::Chars;

/// `capability`: one word of a CAPABILITY list, in upper case but for the
/// RFCs' own spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Capability(Box<str>);

impl Capability {
    /// A capability of this name, say `AUTH=PLAIN`.
    ///
    /// # Errors
    /// When it is not an atom.
    pub fn new(name: &str) -> Result<Self, Invalid> {
        if name.is_empty() || !name.bytes().all(|octet| Chars::ATOM.holds(octet)) {
            return Err(Invalid { term: "capability" });
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The extension that it announces, if this crate knows it.
    #[must_use]
    pub fn extension(&self) -> Option<Extension> {
        Extension::from_name(&self.0)
    }

    /// The capability that announces `extension` with this value, say
    /// [`Extension::MessageLimit`] with `1000`.
    ///
    /// # Errors
    /// When the extension takes no value, or it is not one an atom can hold.
    pub fn with_value(extension: Extension, value: &str) -> Result<Self, Invalid> {
        if !extension.takes_value() || value.is_empty() {
            return Err(Invalid { term: "capability" });
        }
        Self::new(&format!("{}{value}", extension.name()))
    }

    /// What stands behind the name of an extension that takes a value: the
    /// `1000` of `MESSAGELIMIT=1000`, the `texk` of `RIGHTS=texk`.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        let extension = self.extension().filter(|one| one.takes_value())?;
        self.0.get(extension.name().len()..)
    }

    pub(crate) fn parse(c: &mut Cursor<'_>) -> Parsed<Self> {
        c.element()?;
        Ok(Self(c.atom_text()?.into()))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! extensions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// An extension that this crate knows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Extension {
            $($(#[$doc])* $variant,)*
        }

        impl Extension {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The capability's name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

extensions! {
    /// RFC 3501.
    Imap4Rev1 = "IMAP4rev1",
    /// RFC 9051.
    Imap4Rev2 = "IMAP4rev2",
    /// Non-synchronizing literals of any size (RFC 7888).
    LiteralPlus = "LITERAL+",
    /// Non-synchronizing literals up to 4,096 octets (RFC 7888).
    LiteralMinus = "LITERAL-",
    /// RFC 2177.
    Idle = "IDLE",
    /// RFC 4315.
    UidPlus = "UIDPLUS",
    /// RFC 2342.
    Namespace = "NAMESPACE",
    /// RFC 3691.
    Unselect = "UNSELECT",
    /// RFC 5161.
    Enable = "ENABLE",
    /// RFC 6851.
    Move = "MOVE",
    /// RFC 6154.
    SpecialUse = "SPECIAL-USE",
    /// RFC 6154.
    CreateSpecialUse = "CREATE-SPECIAL-USE",
    /// RFC 2971.
    Id = "ID",
    /// RFC 4959.
    SaslIr = "SASL-IR",
    /// RFC 3348.
    Children = "CHILDREN",
    /// RFC 5258.
    ListExtended = "LIST-EXTENDED",
    /// RFC 5819.
    ListStatus = "LIST-STATUS",
    /// RFC 8440.
    ListMyRights = "LIST-MYRIGHTS",
    /// RFC 4731.
    ESearch = "ESEARCH",
    /// RFC 5182.
    SearchRes = "SEARCHRES",
    /// RFC 8438.
    StatusSize = "STATUS=SIZE",
    /// RFC 5032.
    Within = "WITHIN",
    /// RFC 3516.
    Binary = "BINARY",
    /// RFC 6855.
    Utf8Accept = "UTF8=ACCEPT",
    /// RFC 7162.
    CondStore = "CONDSTORE",
    /// RFC 7162.
    QResync = "QRESYNC",
    /// RFC 5256.
    Sort = "SORT",
    /// RFC 5957.
    SortDisplay = "SORT=DISPLAY",
    /// RFC 5267.
    ESort = "ESORT",
    /// RFC 5256.
    ThreadOrderedSubject = "THREAD=ORDEREDSUBJECT",
    /// RFC 5256.
    ThreadReferences = "THREAD=REFERENCES",
    /// RFC 9208, RFC 2087.
    Quota = "QUOTA",
    /// RFC 9208.
    QuotaSet = "QUOTASET",
    /// RFC 5464.
    Metadata = "METADATA",
    /// RFC 5464: server annotations only.
    MetadataServer = "METADATA-SERVER",
    /// RFC 4314.
    Acl = "ACL",
    /// RFC 8474.
    ObjectId = "OBJECTID",
    /// RFC 8514.
    SaveDate = "SAVEDATE",
    /// RFC 8970.
    Preview = "PREVIEW",
    /// RFC 8508.
    Replace = "REPLACE",
    /// RFC 3502.
    MultiAppend = "MULTIAPPEND",
    /// RFC 9394.
    Partial = "PARTIAL",
    /// RFC 9586.
    UidOnly = "UIDONLY",
    /// RFC 4978; the transport's part is the host's.
    CompressDeflate = "COMPRESS=DEFLATE",
    /// RFC 8437.
    Unauthenticate = "UNAUTHENTICATE",
    /// RFC 6203.
    SearchFuzzy = "SEARCH=FUZZY",
    /// RFC 4469.
    Catenate = "CATENATE",
    /// RFC 4467.
    UrlAuth = "URLAUTH",
    /// RFC 5524: URLFETCH of decoded parts.
    UrlAuthBinary = "URLAUTH=BINARY",
    /// RFC 5550: `;PARTIAL=` in the URLs of CATENATE and URLAUTH.
    UrlPartial = "URL-PARTIAL",
    /// RFC 5465.
    Notify = "NOTIFY",
    /// RFC 5267.
    ContextSearch = "CONTEXT=SEARCH",
    /// RFC 5267.
    ContextSort = "CONTEXT=SORT",
    /// RFC 5257.
    Annotate = "ANNOTATE-EXPERIMENT-1",
    /// RFC 7377.
    MultiSearch = "MULTISEARCH",
    /// RFC 5466.
    Filters = "FILTERS",
    /// RFC 5255.
    Language = "LANGUAGE",
    /// RFC 5255: comparisons by i;unicode-casemap.
    I18nLevel1 = "I18NLEVEL=1",
    /// RFC 5255: comparisons as COMPARATOR chooses.
    I18nLevel2 = "I18NLEVEL=2",
    /// RFC 2221.
    LoginReferrals = "LOGIN-REFERRALS",
    /// RFC 2193.
    MailboxReferrals = "MAILBOX-REFERRALS",
    /// Threads by References alone (draft-ietf-morg-inthread).
    ThreadRefs = "THREAD=REFS",
    /// RFC 9585.
    InProgress = "INPROGRESS",
    /// draft-ietf-mailmaint-imap-uidbatches.
    UidBatches = "UIDBATCHES",
    /// Apple's push notifications.
    XApplePushService = "XAPPLEPUSHSERVICE",
    /// RFC 9698.
    JmapAccess = "JMAPACCESS",
    /// RFC 9590.
    ListMetadata = "LIST-METADATA",
    /// RFC 4314: the rights beyond those of RFC 2086. Takes a value.
    Rights = "RIGHTS=",
    /// RFC 9208: a quota resource. Takes a value, the resource's name.
    QuotaResource = "QUOTA=RES-",
    /// RFC 6785. Takes a value, the ManageSieve server's URL.
    ImapSieve = "IMAPSIEVE=",
    /// RFC 9738: the most messages that a command works on. Takes a value.
    MessageLimit = "MESSAGELIMIT=",
    /// RFC 9738: the most messages that COPY and APPEND take. Takes a value.
    SaveLimit = "SAVELIMIT=",
    /// RFC 7889: the largest message that APPEND takes. Takes a value.
    AppendLimit = "APPENDLIMIT=",
}

impl Extension {
    /// The extension of this name, in any case, whatever its value.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let found = |extension: &&Self| {
            let known = extension.name();
            if !extension.takes_value() {
                return known.eq_ignore_ascii_case(name);
            }
            let front = name.get(..known.len());
            name.len() > known.len() && front.is_some_and(|front| front.eq_ignore_ascii_case(known))
        };
        Self::ALL.iter().find(found).copied()
    }

    /// Whether the capability's name is followed by a value: `MESSAGELIMIT=`
    /// by a number. A server announces such by
    /// [`Config::capabilities`](crate::Config::capabilities).
    #[must_use]
    pub fn takes_value(self) -> bool {
        matches!(
            self,
            Self::Rights
                | Self::QuotaResource
                | Self::ImapSieve
                | Self::MessageLimit
                | Self::SaveLimit
                | Self::AppendLimit
        )
    }

    fn bit(self) -> u128 {
        1 << (self as u8)
    }

    /// Whether IMAP4rev2 has it in its base (RFC 9051 §E).
    #[must_use]
    pub fn in_rev2(self) -> bool {
        matches!(
            self,
            Self::LiteralMinus
                | Self::Idle
                | Self::UidPlus
                | Self::Namespace
                | Self::Unselect
                | Self::Enable
                | Self::Move
                | Self::SpecialUse
                | Self::SaslIr
                | Self::Children
                | Self::ListExtended
                | Self::ListStatus
                | Self::ESearch
                | Self::SearchRes
                | Self::StatusSize
                | Self::Binary
        )
    }
}

/// A set of extensions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions(u128);

impl Extensions {
    /// Whether `extension` is among them, or part of an IMAP4rev2 that is.
    #[must_use]
    pub fn has(self, extension: Extension) -> bool {
        self.holds(extension)
            || extension.in_rev2() && self.holds(Extension::Imap4Rev2)
            || match extension {
                Extension::LiteralMinus => self.holds(Extension::LiteralPlus),
                Extension::CondStore => self.holds(Extension::QResync),
                Extension::MetadataServer => self.holds(Extension::Metadata),
                // RFC 5267 §4.4 has it too, without ranges from the end.
                Extension::Partial => {
                    self.holds(Extension::ContextSearch) || self.holds(Extension::ContextSort)
                }
                Extension::I18nLevel1 => self.holds(Extension::I18nLevel2),
                _ => false,
            }
    }

    /// Whether `extension` itself is among them.
    #[must_use]
    pub fn holds(self, extension: Extension) -> bool {
        self.0 & extension.bit() != 0
    }

    /// Adds one.
    pub fn insert(&mut self, extension: Extension) {
        self.0 |= extension.bit();
    }

    /// Takes one away.
    pub fn remove(&mut self, extension: Extension) {
        self.0 &= !extension.bit();
    }

    /// One by one.
    pub fn iter(self) -> impl Iterator<Item = Extension> {
        let all = Extension::ALL.iter().copied();
        all.filter(move |extension| self.holds(*extension))
    }
}

impl FromIterator<Extension> for Extensions {
    fn from_iter<I: IntoIterator<Item = Extension>>(extensions: I) -> Self {
        let mut set = Self::default();
        for extension in extensions {
            set.insert(extension);
        }
        set
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(Extension::name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again() {
        for extension in Extension::ALL {
            let name = match extension.takes_value() {
                true => format!("{}x", extension.name().to_lowercase()),
                false => extension.name().to_lowercase(),
            };
            assert_eq!(Extension::from_name(&name), Some(*extension), "{name}");
            let set: Extensions = [*extension].into_iter().collect();
            assert_eq!(set.iter().collect::<Vec<_>>(), [*extension]);
        }
        assert_eq!(Extension::from_name("MESSAGELIMIT="), None);
        assert_eq!(Extension::from_name("IDLE="), None);
    }

    #[test]
    fn values() {
        let limit = Capability::with_value(Extension::MessageLimit, "1000").unwrap();
        assert_eq!(limit.as_str(), "MESSAGELIMIT=1000");
        assert_eq!(limit.value(), Some("1000"));
        assert_eq!(Capability::new("IDLE").unwrap().value(), None);
        assert_eq!(
            Capability::new("quota=res-storage").unwrap().value(),
            Some("storage")
        );
        assert!(Capability::with_value(Extension::Idle, "1").is_err());
        assert!(Capability::with_value(Extension::MessageLimit, "").is_err());
    }
}
