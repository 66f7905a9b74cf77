//! What each built-in monitor and alert can be told: arguments in, typed options out.
//!
//! Pure. One file for each built-in; the words are those of the classic scripts
//! of mon 1.3.6. The same parsers serve `monitor` and `alert` lines of mon.cf and
//! the stand-alone commands, so a wrong option is an error at load, not a failing service.
//! How the words of a command line are walked over is in `words`, which of them people may see in
//! `masked`.

pub mod agent;
pub mod fping;
pub mod ftp;
pub mod http;
pub mod lvs;
pub mod mail;
pub mod masked;
pub mod misc;
pub mod plugin;
pub mod tcp;
pub mod trap;
pub mod webhook;
pub(crate) mod words;

use std::path::PathBuf;
use std::time::Duration;

pub use words::{OptionError, OptionErrors};

/// The options of a built-in monitor.
#[derive(Clone, Debug, PartialEq)]
pub enum MonitorOptions {
    /// `fping.monitor`
    Fping(fping::FpingOptions),
    /// `http.monitor`
    Http(http::HttpOptions),
    /// `tcp.monitor`
    Tcp(tcp::TcpOptions),
    /// `ftp.monitor`
    Ftp(ftp::FtpOptions),
    /// `plugin.monitor`
    Plugin(plugin::PluginOptions),
    /// `misc.monitor`
    Misc(misc::MiscOptions),
    /// `agent.monitor`
    Agent(agent::AgentOptions),
}

impl MonitorOptions {
    /// The names of the built-in monitors, as files in `mondir` are called.
    pub const NAMES: [&'static str; 7] = [
        "agent.monitor",
        "fping.monitor",
        "ftp.monitor",
        "http.monitor",
        "misc.monitor",
        "plugin.monitor",
        "tcp.monitor",
    ];

    /// The stand-ins of `mon.d` (D29): a file in `mondir` with exactly these bytes is the built-in
    /// of that name.
    pub const STAND_INS: [(&'static str, &'static [u8]); 7] = [
        ("agent.monitor", include_bytes!("../mon.d/agent.monitor")),
        ("misc.monitor", include_bytes!("../mon.d/misc.monitor")),
        ("fping.monitor", include_bytes!("../mon.d/fping.monitor")),
        ("ftp.monitor", include_bytes!("../mon.d/ftp.monitor")),
        ("http.monitor", include_bytes!("../mon.d/http.monitor")),
        ("plugin.monitor", include_bytes!("../mon.d/plugin.monitor")),
        ("tcp.monitor", include_bytes!("../mon.d/tcp.monitor")),
    ];

    /// The options of the built-in of that name (`http.monitor`); `None` where there is none.
    #[must_use]
    pub fn parse(name: &str, args: &[String]) -> Option<Result<Self, OptionErrors>> {
        Some(match name {
            "agent.monitor" => agent::AgentOptions::parse(args).map(Self::Agent),
            "misc.monitor" => misc::MiscOptions::parse(args).map(Self::Misc),
            "fping.monitor" => fping::FpingOptions::parse(args).map(Self::Fping),
            "ftp.monitor" => ftp::FtpOptions::parse(args).map(Self::Ftp),
            "http.monitor" => http::HttpOptions::parse(args).map(Self::Http),
            "plugin.monitor" => plugin::PluginOptions::parse(args).map(Self::Plugin),
            "tcp.monitor" => tcp::TcpOptions::parse(args).map(Self::Tcp),
            _ => return None,
        })
    }

    /// How long the check of one host takes at most (D22).
    #[must_use]
    pub fn limit(&self) -> Duration {
        match self {
            Self::Fping(options) => options.limit(),
            Self::Ftp(options) => options.timeout,
            Self::Http(options) => options.timeout,
            Self::Plugin(options) => options.timeout,
            Self::Misc(options) => options.timeout,
            Self::Agent(options) => options.timeout,
            Self::Tcp(options) => options.timeout,
        }
    }

    /// The TCP port on which an idle connection tells of the end of the server (D18); none for
    /// checks of another kind.
    #[must_use]
    pub const fn tcp_port(&self) -> Option<u16> {
        match self {
            Self::Ftp(options) => Some(options.port),
            Self::Http(options) => Some(options.port),
            Self::Tcp(options) => Some(options.port),
            Self::Agent(_) | Self::Fping(_) | Self::Misc(_) | Self::Plugin(_) => None,
        }
    }

    /// Whether its checks go where the daemon says that names lead; programs are told names, and
    /// look them up themselves.
    #[must_use]
    pub const fn goes_where_told(&self) -> bool {
        match self {
            Self::Agent(_) | Self::Fping(_) | Self::Ftp(_) | Self::Http(_) | Self::Tcp(_) => true,
            Self::Misc(_) | Self::Plugin(_) => false,
        }
    }

    /// The same options, with the variables that programs of this check are to have; most start
    /// none.
    #[must_use]
    pub(crate) fn in_environment(
        mut self,
        variables: impl FnOnce() -> Vec<(String, String)>,
    ) -> Self {
        match &mut self {
            Self::Plugin(options) => options.environment = variables(),
            Self::Misc(options) => options.environment = variables(),
            Self::Agent(_) | Self::Fping(_) | Self::Ftp(_) | Self::Http(_) | Self::Tcp(_) => {}
        }
        self
    }

    /// The program that is run for each host; most run none.
    #[must_use]
    pub fn runs(&self) -> Option<Runs> {
        match self {
            Self::Misc(options) => Some(Runs::Program(options.program.clone())),
            Self::Plugin(options) => Some(Runs::Plugin {
                name: options.command.first()?.clone(),
                folder: options.folder.clone(),
            }),
            Self::Agent(_) | Self::Fping(_) | Self::Ftp(_) | Self::Http(_) | Self::Tcp(_) => None,
        }
    }

    /// Hosts that the options themselves name, beside those of the group.
    #[must_use]
    pub fn own_hosts(&self) -> &[String] {
        match self {
            Self::Fping(options) => &options.hosts,
            Self::Ftp(options) => &options.hosts,
            Self::Http(options) => &options.hosts,
            Self::Plugin(options) => &options.hosts,
            Self::Misc(options) => &options.hosts,
            Self::Agent(options) => &options.hosts,
            Self::Tcp(options) => &options.hosts,
        }
    }
}

/// What a built-in monitor is told to run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runs {
    /// By `misc.monitor`, the program of this path.
    Program(PathBuf),
    /// By `plugin.monitor`, the check plugin of this name.
    Plugin {
        /// As written; a path where it has a `/`.
        name: String,
        /// `-d`
        folder: Option<PathBuf>,
    },
}

/// The options of a built-in alert.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertOptions {
    /// `lvs.alert` and `ipvs.alert`
    Lvs(lvs::LvsOptions),
    /// `mail.alert`
    Mail(mail::MailOptions),
    /// `trap.alert`
    Trap(trap::TrapOptions),
    /// `webhook.alert`
    Webhook(webhook::WebhookOptions),
}

impl AlertOptions {
    /// The names of the built-in alerts, as files in `alertdir` are called.
    pub const NAMES: [&'static str; 5] = [
        "ipvs.alert",
        "lvs.alert",
        "mail.alert",
        "trap.alert",
        "webhook.alert",
    ];

    /// The stand-ins of `alert.d` (D29): a file in `alertdir` with exactly these bytes is the
    /// built-in of that name.
    pub const STAND_INS: [(&'static str, &'static [u8]); 5] = [
        ("ipvs.alert", include_bytes!("../alert.d/ipvs.alert")),
        ("lvs.alert", include_bytes!("../alert.d/lvs.alert")),
        ("mail.alert", include_bytes!("../alert.d/mail.alert")),
        ("trap.alert", include_bytes!("../alert.d/trap.alert")),
        ("webhook.alert", include_bytes!("../alert.d/webhook.alert")),
    ];

    /// The options of the built-in of that name (`mail.alert`); `None` where there is none.
    #[must_use]
    pub fn parse(name: &str, args: &[String]) -> Option<Result<Self, OptionErrors>> {
        Some(match name {
            "ipvs.alert" | "lvs.alert" => lvs::LvsOptions::parse(args).map(Self::Lvs),
            "mail.alert" => mail::MailOptions::parse(args).map(Self::Mail),
            "trap.alert" => trap::TrapOptions::parse(args).map(Self::Trap),
            "webhook.alert" => webhook::WebhookOptions::parse(args).map(Self::Webhook),
            _ => return None,
        })
    }
}
