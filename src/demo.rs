//! A farm of real servers on loopback and a memory table, to look at: `lvsmon demo`.
//!
//! The daemon is the real one, a child of this process with a configuration of its own; the
//! servers ([`farm`]) and the mail relay ([`relay`]) are real servers on loopback. Only the table
//! is not the kernel's. The story breaks and repairs servers and waits, with limits, for what the
//! daemon does about it; what does not happen in time is an error.

mod daemon;
mod farm;
mod relay;
mod screen;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use daemon::Daemon;
use farm::{Farm, Mode};
use relay::{Mail, Relay};
pub use screen::Look;
use screen::{Kind, Screen};

/// Longest wait for one step of the story: some ten checks.
const STEP_LIMIT: Duration = Duration::from_secs(20);
/// How often the screen looks at table, events and mail.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// So many lines of the first mail are shown in a pipe.
const MAIL_LINES: usize = 16;
/// The second server, killed in the story.
const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 12));
/// The third server, answering 500 in the story.
const THIRD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 13));

/// How to tell the story.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Pause after each step, for the reader.
    pub pace: Duration,
    /// How it is drawn.
    pub look: Look,
}

/// Why the story came to no good end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The farm, the folder or the daemon could not be set up.
    #[error("the demonstration cannot be set up")]
    Setup(#[source] io::Error),
    /// The reader's terminal or pipe.
    #[error(transparent)]
    Output(#[from] io::Error),
    /// A step did not happen.
    #[error("{what} within {} s", limit.as_secs())]
    NotInTime {
        /// What was waited for, as a sentence that says that it did not happen.
        what: String,
        /// How long.
        limit: Duration,
    },
    /// Something happened that must not.
    #[error("{0}")]
    Wrong(&'static str),
    /// The daemon ended in the middle or with an error.
    #[error("the daemon ended with {0}")]
    DaemonEnded(std::process::ExitStatus),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// Tells the story on `out`, in well under a minute.
///
/// # Errors
///
/// Where it cannot be set up or a step does not happen in time; the end of the daemon's log is
/// then on `out`. A closed `out` is [`DemoError::Output`].
pub fn run(options: &Options, out: &mut dyn Write) -> Result<(), DemoError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DemoError::Setup)?;
    runtime.block_on(async {
        let mut story = Story::start(options, out).await?;
        // Cancelled at an await, the story leaves nothing behind: dropping it ends the daemon.
        let told = tokio::select! {
            told = story.tell() => told,
            _ = tokio::signal::ctrl_c() => Err(DemoError::Interrupted),
        };
        story.screen.close()?;
        match &told {
            Ok(()) | Err(DemoError::Output(_) | DemoError::Interrupted) => {}
            Err(_) => story.explain()?,
        }
        told
    })
}

/// Everything on the stage.
struct Story<'a> {
    screen: Screen<'a>,
    pace: Duration,
    farm: Farm,
    relay: Relay,
    daemon: Daemon,
    mails: Vec<Mail>,
    folder: tempfile::TempDir,
}

impl<'a> Story<'a> {
    async fn start(options: &Options, out: &'a mut dyn Write) -> Result<Self, DemoError> {
        let farm = Farm::start().await.map_err(DemoError::Setup)?;
        let relay = Relay::start().await.map_err(DemoError::Setup)?;
        let folder = tempfile::Builder::new()
            .prefix("lvsmon-demo-")
            .tempdir()
            .map_err(DemoError::Setup)?;
        let text = configuration(folder.path(), farm.port, relay.port);
        for name in ["state", "mon.d", "alert.d"] {
            std::fs::create_dir(folder.path().join(name)).map_err(DemoError::Setup)?;
        }
        std::fs::write(folder.path().join("mon.cf"), &text).map_err(DemoError::Setup)?;
        let mut screen = Screen::new(out, options.look);
        introduce(&mut screen, &text)?;
        let daemon = Daemon::start(folder.path())?;
        Ok(Self {
            screen,
            pace: options.pace,
            farm,
            relay,
            daemon,
            mails: Vec::new(),
            folder,
        })
    }

    async fn tell(&mut self) -> Result<(), DemoError> {
        self.screen.say(Kind::Deed, "the daemon starts")?;
        self.until_in(
            &[SECOND, THIRD],
            "the healthy servers did not enter the table",
        )
        .await?;
        self.shown("all three servers are in the table").await?;

        self.deed(SECOND, Mode::Killed, "127.0.0.12 is killed")?;
        self.until_out(SECOND).await?;
        self.until_mails(1).await?;
        self.shown("it left the table, the others stay, ops got mail")
            .await?;

        self.deed(SECOND, Mode::Healthy, "127.0.0.12 is started again")?;
        self.until_in(&[SECOND], "127.0.0.12 did not come back")
            .await?;
        self.until_mails(2).await?;
        self.shown("it is back, ops got mail").await?;

        self.deed(THIRD, Mode::Broken, "127.0.0.13 answers 500")?;
        self.until_out(THIRD).await?;
        self.until_mails(3).await?;
        self.shown("a server that answers badly leaves too").await?;

        self.deed(
            SECOND,
            Mode::Killed,
            "127.0.0.12 is killed while 127.0.0.13 is still broken",
        )?;
        self.until_out(SECOND).await?;
        self.deed(
            THIRD,
            Mode::Healthy,
            "127.0.0.13 is repaired while 127.0.0.12 is still dead",
        )?;
        self.until_in(&[THIRD], "127.0.0.13 did not come back")
            .await?;
        if self.daemon.servers_in_table().contains(&SECOND) {
            return Err(DemoError::Wrong(
                "127.0.0.12 is in the table although it is dead",
            ));
        }
        self.shown("one outage, two servers, each judged by its own result")
            .await?;

        let before = self.mails.len();
        self.deed(SECOND, Mode::Healthy, "127.0.0.12 is started again")?;
        self.until_in(&[SECOND, THIRD], "127.0.0.12 did not come back")
            .await?;
        self.until(
            "the mail about the recovery did not reach the relay",
            |story| {
                let mut new = story.mails.iter().skip(before);
                new.any(|mail| mail.subject.contains("UPALERT"))
            },
        )
        .await?;
        self.shown("the farm is whole again").await?;

        self.screen
            .say(Kind::Deed, "somebody empties the table (ipvsadm -C)")?;
        self.daemon.flush_table().map_err(DemoError::Setup)?;
        self.show_table(true)?;
        self.until_in(&[SECOND, THIRD], "the emptied table was not repaired")
            .await?;
        self.shown("the daemon looked again and repaired it")
            .await?;
        self.end().await
    }

    /// Ends the daemon and says how to go on.
    async fn end(&mut self) -> Result<(), DemoError> {
        self.screen
            .say(Kind::Deed, "the daemon is told to end (SIGTERM)")?;
        let before = self.daemon.table();
        let status = self.daemon.stop().await?;
        self.take_mails()?;
        if !status.success() {
            return Err(DemoError::DaemonEnded(status));
        }
        if self.daemon.table() != before {
            return Err(DemoError::Wrong("the table changed when the daemon ended"));
        }
        self.show_table(false)?;
        let text = format!(
            "it ended with status 0 and left the table as it is; {} mails in all",
            self.mails.len()
        );
        self.screen.say(Kind::Shown, &text)?;
        self.screen
            .say(Kind::Word, "next: lvsmon check --config etc/mon.cf")?;
        Ok(())
    }

    /// Makes a server behave differently, and says so.
    fn deed(&mut self, server: IpAddr, mode: Mode, text: &str) -> Result<(), DemoError> {
        self.screen.say(Kind::Deed, text)?;
        self.farm.set(server, mode);
        self.show_table(false)
    }

    /// Shows the table and gives the reader time.
    async fn shown(&mut self, text: &str) -> Result<(), DemoError> {
        self.screen.say(Kind::Shown, text)?;
        self.show_table(true)?;
        let start = self.screen.elapsed();
        while self.screen.elapsed().saturating_sub(start) < self.pace {
            tokio::time::sleep(LOOK_AGAIN).await;
            self.look()?;
        }
        Ok(())
    }

    async fn until_in(&mut self, servers: &[IpAddr], otherwise: &str) -> Result<(), DemoError> {
        self.until(otherwise, |story| {
            let found = story.daemon.servers_in_table();
            servers.iter().all(|server| found.contains(server))
        })
        .await
    }

    async fn until_out(&mut self, server: IpAddr) -> Result<(), DemoError> {
        let others = self.farm.servers().count() - 1;
        let otherwise = format!("{server} alone did not leave the table");
        let healthy: Vec<IpAddr> = self
            .farm
            .servers()
            .filter(|(_, mode)| *mode == Mode::Healthy)
            .map(|(address, _)| address)
            .collect();
        self.until(&otherwise, |story| {
            let found = story.daemon.servers_in_table();
            !found.contains(&server)
                && found.len() <= others
                && healthy.iter().all(|server| found.contains(server))
        })
        .await
    }

    async fn until_mails(&mut self, count: usize) -> Result<(), DemoError> {
        self.until("the mail did not reach the relay", |story| {
            story.mails.len() >= count
        })
        .await
    }

    /// Looks until `condition` holds.
    async fn until(
        &mut self,
        otherwise: &str,
        condition: impl Fn(&Self) -> bool,
    ) -> Result<(), DemoError> {
        let start = self.screen.elapsed();
        loop {
            self.look()?;
            if condition(self) {
                return Ok(());
            }
            if let Some(status) = self.daemon.ended() {
                return Err(DemoError::DaemonEnded(status));
            }
            if self.screen.elapsed().saturating_sub(start) > STEP_LIMIT {
                return Err(DemoError::NotInTime {
                    what: otherwise.to_owned(),
                    limit: STEP_LIMIT,
                });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Shows what is new: events, mails, the table.
    fn look(&mut self) -> Result<(), DemoError> {
        for event in self.daemon.events() {
            let text = match event.service {
                Some(service) => format!("{service}: {}", event.text),
                None => event.text,
            };
            self.screen.say(Kind::Event, &text)?;
        }
        self.take_mails()?;
        self.show_table(false)
    }

    fn take_mails(&mut self) -> Result<(), DemoError> {
        while let Some(mail) = self.relay.next() {
            let text = format!("to {}: {}", mail.to.join(", "), mail.subject);
            self.screen.say(Kind::Mail, &text)?;
            if self.mails.is_empty() {
                // One is enough to know how they look.
                self.screen.show_text(mail.body.iter().take(MAIL_LINES))?;
            }
            self.mails.push(mail);
        }
        Ok(())
    }

    fn show_table(&mut self, now: bool) -> Result<(), DemoError> {
        let servers: Vec<(IpAddr, Mode)> = self.farm.servers().collect();
        Ok(self
            .screen
            .show_table(&self.daemon.table(), &servers, now)?)
    }

    /// What the daemon's log says about a story that went wrong.
    fn explain(&mut self) -> Result<(), DemoError> {
        let tail = self.daemon.log_tail();
        let folder = self.folder.path().display().to_string();
        self.screen.plain(&format!(
            "\nThe end of the daemon's log ({folder}):\n{tail}\n"
        ))?;
        Ok(())
    }
}

/// The opening words.
fn introduce(screen: &mut Screen<'_>, configuration: &str) -> io::Result<()> {
    screen.open()?;
    if !screen.is_live() {
        screen.plain(
            "lvsmon demo: three web servers on loopback and the real daemon, which keeps a table\n\
             in memory. It needs no root and no IPVS, and changes nothing on this machine.\n\n\
             The daemon's mon.cf:\n\n",
        )?;
        for line in configuration.lines() {
            screen.plain(format!("    {line}").trim_end())?;
            screen.plain("\n")?;
        }
        screen.plain("\n")?;
    }
    Ok(())
}

/// The configuration of the daemon: that of a real farm, but for folder, backend and relay.
fn configuration(folder: &Path, port: u16, relay: u16) -> String {
    let folder = folder.display();
    format!(
        "basedir   = {folder}
cfbasedir = {folder}
statedir  = {folder}/state
serverport = 0
trapport  = 0
logdir    = {folder}
mondir    = {folder}/mon.d
alertdir  = {folder}/alert.d
ipvs_backend    = memory
mail_relay      = smtp://127.0.0.1:{relay}
mail_from       = lvsmon@demo.example
mail_domain     = demo.example
mail_group_wait = 1s

hostgroup web 127.0.0.11 127.0.0.12 127.0.0.13

watch web
    service http
        interval 1s
        monitor http.monitor -p {port} -t 1
        period
            alertevery 1h
            alert mail.alert ops
            upalert mail.alert ops
            alert lvs.alert -P tcp -V 10.0.0.3:{port} -F dr -W 5 -B -S wlc
            upalert lvs.alert -P tcp -V 10.0.0.3:{port} -F dr -W 5 -B -S wlc
"
    )
}
