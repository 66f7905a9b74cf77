//! Where do names lead that a failed program looked up itself?
//!
//! It may have found another address than the one that the table has, or none, since name servers
//! are gone. So its failure is told behind a look-up of our own: what it says of a name that leads
//! elsewhere by now, or of which nobody knows where it leads, takes nobody out (D8).

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use crate::daemon::names;
use crate::engine::event::{Ended, HostName, HostVerdict, Report, Resolved, Run, RunProgram};
use crate::engine::verdict;
use crate::names::Names;

/// The names of real servers that a run looks up itself.
#[derive(Debug)]
pub(super) struct Anew {
    names: BTreeSet<HostName>,
    /// All that it checks.
    hosts: Vec<HostName>,
}

impl Anew {
    /// Those of a run; none of a check of ours that goes where it is told.
    pub(super) fn of(run: &Run) -> Self {
        let goes_where_told = match &run.program {
            RunProgram::Native(options) => options.goes_where_told(),
            RunProgram::Executable(_) => false,
        };
        let names = match goes_where_told {
            true => BTreeSet::new(),
            false => run.leads.keys().cloned().collect(),
        };
        let hosts = match names.is_empty() {
            true => Vec::new(),
            false => run.names(),
        };
        Self { names, hosts }
    }

    /// Looks those up that this report says, or may say, to be down. A name whose look-up comes to
    /// nothing is left to who keeps it fresh.
    ///
    /// Ten seconds at most, and at once where name servers have been silent just before.
    pub(super) async fn look_up(self, names: &Names, report: &Report) -> Vec<Resolved> {
        let down = self.down(report);
        if down.is_empty() {
            return Vec::new();
        }
        names.doubt(down.iter().map(HostName::as_str)).await;
        let mut lookups = JoinSet::new();
        for host in down {
            let names = names.clone();
            lookups.spawn(async move {
                let answer = names.lookup_to_its_end(host.as_str()).await.ok()?;
                Some(names::resolved(host, answer))
            });
        }
        let mut answers = Vec::new();
        while let Some(ended) = lookups.join_next().await {
            answers.extend(ended.ok().flatten());
        }
        answers
    }

    fn down(mut self, report: &Report) -> BTreeSet<HostName> {
        let is_good = match report.ended {
            Ended::Exited(0) | Ended::NotStarted(_) => true,
            Ended::Exited(_) | Ended::Signalled(_) | Ended::TimedOut(_) => false,
        };
        if self.names.is_empty() || is_good {
            return BTreeSet::new();
        }
        let told = report.hosts.iter();
        let told = told.filter(|it| matches!(it.verdict, HostVerdict::Down(_)));
        let mut down: BTreeSet<&HostName> = told.map(|it| &it.host).collect();
        down.extend(verdict::named(&report.output, &self.hosts));
        // Who names nobody may mean any of them.
        if !down.is_empty() {
            self.names.retain(|host| down.contains(host));
        }
        self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{HostResult, Reason};
    use std::time::Duration;

    fn anew() -> Anew {
        let hosts = ["web1", "web2", "10.0.0.3"].map(HostName::new);
        Anew {
            names: hosts[..2].iter().cloned().collect(),
            hosts: hosts.to_vec(),
        }
    }

    fn down(ended: Ended, output: &str, told: &[(&str, HostVerdict)]) -> String {
        let hosts = told.iter().map(|&(host, verdict)| HostResult {
            host: HostName::new(host),
            verdict,
            text: String::new(),
            weight: None,
            took: Duration::ZERO,
        });
        let report = Report {
            ended,
            output: output.into(),
            hosts: hosts.collect(),
            took: Duration::ZERO,
        };
        let down = anew().down(&report);
        let down = down.iter().map(HostName::as_str);
        down.collect::<Vec<&str>>().join(" ")
    }

    #[test]
    fn names_that_a_report_says_or_may_say_to_be_down_are_looked_up() {
        let bad = || Ended::Exited(1);
        assert_eq!(down(Ended::Exited(0), "web1", &[]), "");
        assert_eq!(down(Ended::NotStarted("gone".to_owned()), "", &[]), "");
        assert_eq!(down(bad(), "web2 web9\nweb1", &[]), "web2");
        assert_eq!(
            down(bad(), "10.0.0.3", &[]),
            "",
            "an address leads to itself"
        );
        assert_eq!(down(bad(), "no word of any", &[]), "web1 web2");
        assert_eq!(down(Ended::Signalled(9), "", &[]), "web1 web2");
        let told = [
            ("web1", HostVerdict::Down(Reason::Exit)),
            ("web2", HostVerdict::Up),
        ];
        assert_eq!(down(bad(), "", &told), "web1");
    }
}
