//! Mail by way of the local sendmail (D24).

use std::path::Path;
use std::time::Duration;

use crate::alert::exec::{self, Program, Ran};
use crate::alert::mail::Fault;
use crate::engine::event::Ended;

/// One run of sendmail, which only queues.
const SENDMAIL_LIMIT: Duration = Duration::from_secs(120);
/// Exit values of sendmail that no second attempt changes (sysexits.h): usage, data, no user,
/// no host.
const SENDMAIL_PERMANENT: [i32; 4] = [64, 65, 67, 68];

/// Hands a message to the local sendmail. One run for each recipient, because its exit value
/// says whether it was taken, not for whom.
pub(super) async fn sendmail(
    path: &Path,
    from: &str,
    to: &str,
    message: &[u8],
) -> Result<(), Fault> {
    // It expects the line ends of the system.
    let message = String::from_utf8_lossy(message).replace("\r\n", "\n");
    let args = ["-i", "-f", from, "--", to].map(str::to_owned).to_vec();
    let ran = exec::run(Program {
        path,
        args,
        environment: &[],
        input: message.into_bytes().into(),
        limit: SENDMAIL_LIMIT,
    })
    .await
    .unwrap_or_else(|unstarted| Ran::not(unstarted.why()));
    match (&ran.ended, ran.fault()) {
        (_, None) => Ok(()),
        (Ended::Exited(value), Some(fault)) if SENDMAIL_PERMANENT.contains(value) => {
            Err(Fault::Permanent(format!("{}: {fault}", path.display())))
        }
        (_, Some(fault)) => Err(Fault::Temporary(format!("{}: {fault}", path.display()))),
    }
}
