//! GETQUOTA and GETQUOTAROOT (RFC 9208).

use imap_proto::{Atom, Code, IString, Mailbox, QuotaResource, Untagged};

use super::mailboxes::name_of;
use super::{Done, Machine, Result, Session};
use crate::store::{StoreError, StoreResult};

/// The root of all mailboxes of an account.
const ROOT: &str = "User quota";

impl Session<'_> {
    /// What the account uses, where it has a limit.
    async fn quota(&self) -> StoreResult<Option<Untagged>> {
        let Some((limits, used)) = self.account()?.quota().await? else {
            return Ok(None);
        };
        // Units of 1,024 octets (RFC 9208 §5.1), what is begun counts whole.
        let storage = limits.storage.map(|limit| limit.div_ceil(1024));
        let of = [
            ("STORAGE", used.storage.div_ceil(1024), storage),
            ("MESSAGE", used.messages, limits.messages),
        ];
        let resource = |(name, usage, limit): (&str, u64, Option<u64>)| {
            let (name, limit) = (Atom::new(name).ok()?, limit?);
            Some(QuotaResource { name, usage, limit })
        };
        let resources = of.into_iter().filter_map(resource).collect();
        let root = IString::lossy(ROOT);
        Ok(Some(Untagged::Quota { root, resources }))
    }

    pub(super) async fn quota_of(&self, root: &IString, conn: &mut Machine) -> Result<Done> {
        let quota = match self.quota().await {
            Ok(quota) => quota.filter(|_| *root == *ROOT),
            Err(error) => return Ok(Done::failed(&error)),
        };
        let Some(quota) = quota else {
            return Ok(Done::no("There is no such quota root").with(Code::NonExistent));
        };
        conn.machine().untagged(&quota)?;
        Ok(Done::ok("GETQUOTA completed"))
    }

    pub(super) async fn quota_root(&self, mailbox: &Mailbox, conn: &mut Machine) -> Result<Done> {
        let quota = async {
            let name = name_of(mailbox);
            match self.account()?.exists(&name).await? {
                true => self.quota().await,
                false => Err(StoreError::NoMailbox(name)),
            }
        };
        let quota = match quota.await {
            Ok(quota) => quota,
            Err(error) => return Ok(Done::failed(&error)),
        };
        let roots = quota.iter().map(|_| IString::lossy(ROOT)).collect();
        let mailbox = mailbox.clone();
        conn.machine()
            .untagged(&Untagged::QuotaRoot { mailbox, roots })?;
        if let Some(quota) = quota {
            conn.machine().untagged(&quota)?;
        }
        Ok(Done::ok("GETQUOTAROOT completed"))
    }
}
