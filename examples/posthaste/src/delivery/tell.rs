//! What senders are told of their messages.

use std::time::Duration;

use mime::build::Action;

use super::attempt::Attempt;
use super::bounce::{self, About, Tidings};
use super::{DeliveryAgent, Failure, age};
use crate::queue::{Born, QueueError, Status};

impl DeliveryAgent {
    /// Puts reports of what has failed and succeeded to what is born; false
    /// when that cannot be done now.
    pub(super) async fn tell_sender(&self, attempt: &mut Attempt) -> bool {
        let reports = [
            (About::Failures, attempt.failed.clone()),
            (About::Successes, attempt.succeeded.clone()),
        ];
        let mut born = Vec::new();
        for (about, tidings) in reports {
            match self.report(attempt, about, &tidings).await {
                Ok(report) => born.extend(report),
                Err(reason) => {
                    tracing::error!(queue_id = %attempt.id, reason, "cannot write a report");
                    return false;
                }
            }
        }
        attempt.born.extend(born);
        attempt.failed.clear();
        attempt.succeeded.clear();
        true
    }

    /// Tells the sender, once, of recipients that are not reached for long
    /// (RFC 3461 §5.2.5).
    pub(super) async fn tell_of_delay(
        &self,
        attempt: &mut Attempt,
        age: Duration,
        lifetime: Duration,
    ) {
        let warning = self.config.delay_warning;
        if warning.is_zero() || age < warning {
            return;
        }
        let late: Vec<Tidings> = attempt
            .envelope
            .recipients
            .iter()
            .enumerate()
            .filter_map(|(index, recipient)| match &recipient.status {
                Status::Deferred { code, reason }
                    if recipient.tells_delay() && !recipient.delay_told =>
                {
                    let said = Failure::new(code.clone(), reason.clone());
                    Some(Tidings {
                        index,
                        action: Action::Delayed,
                        said,
                    })
                }
                _ => None,
            })
            .collect();
        let about = About::Delays(attempt.envelope.arrived + lifetime);
        match self.report(attempt, about, &late).await {
            Ok(report) => {
                attempt.born.extend(report);
                for Tidings { index, .. } in late {
                    if let Some(recipient) = attempt.envelope.recipients.get_mut(index) {
                        recipient.delay_told = true;
                    }
                }
            }
            // Not owed; the next attempt tries again.
            Err(reason) => {
                tracing::error!(queue_id = %attempt.id, reason, "cannot write a report");
            }
        }
    }

    /// A report, if there is anything to tell and anybody to be told.
    async fn report(
        &self,
        attempt: &Attempt,
        about: About,
        tidings: &[Tidings],
    ) -> Result<Option<Born>, String> {
        if tidings.is_empty() || attempt.envelope.sender.is_empty() {
            return Ok(None);
        }
        let read = async {
            let mut content = self.queue.content(&attempt.id).await?;
            let size = content.size();
            let first = content.next().await;
            let first = first.map_err(|error| QueueError::Storage(error.to_string()))?;
            Ok::<_, QueueError>((first.unwrap_or_default(), size))
        };
        let (id, envelope) = (&attempt.id, &attempt.envelope);
        let content = match read.await {
            Ok(content) => Some(content),
            // There is no more time to wait until it can be read.
            Err(error) if age(envelope) >= self.lifetime(envelope) => {
                tracing::error!(queue_id = %id, %error, "a report goes without the message");
                None
            }
            Err(error) => return Err(error.to_string()),
        };
        let hostname = &self.config.hostname;
        let report = bounce::report(hostname, id, envelope, about, tidings, content);
        Ok(Some(report))
    }
}
