//! What does a file of the spool come to, without being delivered?
//!
//! For those who look whether any file can do harm: all that is made of one on its way out, but for
//! the delivery itself.

use jiff::tz::TimeZone;

use crate::alert::notice::Notice;
use crate::alert::{exec, mail};
use crate::daemon::outbox::spool::program::KeptProgram;
use crate::daemon::outbox::spool::{self, Destination, Item};
use crate::daemon::outbox::{group, jobs};

/// The file of the message that another one comes to: of a mail the one that is made ready, of a
/// program the call as it is kept once more.
///
/// # Errors
///
/// Why it holds no message, or no mail can be made of it.
pub fn retold(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let item = spool::item_of(bytes)?;
    let _ = item.destination.receiver();
    let retold = match item.destination {
        Destination::Webhook(_) => item,
        Destination::Mail { .. } => {
            let sealed = group::seal(vec![(1, item)], 0, "localhost").ok_or("it tells no event")?;
            let email = jobs::email_of(&sealed, &TimeZone::UTC).ok_or("it is not a mail")?;
            mail::bytes(&email)?;
            sealed
        }
        Destination::Program(kept) => {
            let notice = item.notices.into_iter().next();
            let call = kept.into_call(1, notice.ok_or("it tells no event")?);
            let _ = exec::arguments(&call.call);
            Item {
                destination: Destination::Program(Box::new(KeptProgram::of(&call))),
                notices: vec![Notice::new(&call.call, None)],
                ..item
            }
        }
    };
    Ok(retold.to_bytes())
}
