//! What does each command come to?

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::engine::event::{Memory, Wish};
use crate::engine::saved::StateFile;
use crate::protocol::command::{self, Command, first_word};
use crate::protocol::{Credentials, DENIED, INVALID, Sight, Turn, VERSION, Work};
use crate::protocol::{list, operator, variables};

const NO_VIEW: &str = "no view selected -- all groups will be displayed";

/// Longest name of a view that is remembered; no view of a configuration is longer.
const VIEW_NAME_MAX: usize = 1_000;

/// What is remembered of one connection.
#[derive(Clone, Debug)]
pub struct Session {
    peer: IpAddr,
    user: Option<String>,
    view: Option<String>,
    /// What was said to be denied: a client that asks again and again fills no log.
    denied: BTreeSet<&'static str>,
}

impl Session {
    /// A new connection from that address: nobody is logged in, no view is selected.
    #[must_use]
    pub const fn new(peer: IpAddr) -> Self {
        Self {
            peer,
            user: None,
            view: None,
            denied: BTreeSet::new(),
        }
    }

    /// The client's address.
    #[must_use]
    pub const fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Who is logged in.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The selected view.
    pub(super) fn view(&self) -> Option<&str> {
        self.view.as_deref()
    }

    /// The reply to a login, whose password was looked at. A failed one changes nothing.
    pub fn logged_in(&mut self, user: String, is_accepted: bool) -> &'static str {
        if !is_accepted {
            return "530 login unsuccessful\n";
        }
        self.user = Some(user);
        self.denied.clear();
        "220 login accepted\n"
    }

    /// Takes one request, without its line end.
    pub fn take(&mut self, line: &[u8], sight: &Sight<'_>) -> Turn {
        let line = String::from_utf8_lossy(line);
        let Some((command, arguments)) = command::parse(&line) else {
            return Turn::Say(INVALID.to_owned());
        };
        if let Some(permission) = command.permission()
            && !sight.auth.may(self.user(), permission)
        {
            let lacks = self.denied.insert(permission).then_some(permission);
            return Turn::Denied { lacks };
        }
        match command {
            Command::Quit => Turn::Leave("220 quitting\n".to_owned()),
            Command::Protid => say(protid(arguments)),
            Command::Version => Turn::Say(format!("version {VERSION}\n220 version completed\n")),
            Command::Login => login(arguments),
            Command::SetView => Turn::Say(self.set_view(arguments, sight)),
            Command::GetView => Turn::Say(match self.view() {
                Some(view) => format!("view {view} selected\n220 getview completed\n"),
                None => format!("{NO_VIEW}\n220 getview completed\n"),
            }),
            Command::CheckAuth => say(self.check_auth(arguments, sight)),
            Command::Dump => unknown(),
            Command::ServerTime => Turn::Say(server_time(sight)),
            Command::List => list::begin(self, arguments, sight),
            Command::Start => wish(Wish::Start, "220 start completed\n"),
            Command::Stop => wish(Wish::Stop, "220 stop completed\n"),
            Command::Term => Turn::Work(Work::Term),
            Command::Reset => Turn::Work(reset(arguments)),
            Command::Reload => match arguments {
                "" | "auth" => Turn::Work(Work::ReloadAuth),
                _ => say("520 unknown reload command\n"),
            },
            Command::LoadState => match state_files(arguments) {
                files if files.is_empty() => say("220 loadstate completed\n"),
                files => Turn::Work(Work::LoadState(files)),
            },
            Command::SaveState => save_state(arguments),
            Command::Clear => operator::clear(arguments, sight),
            Command::Ack => operator::ack(self, arguments, sight),
            Command::Disable => operator::disable(self, arguments, sight),
            Command::Enable => operator::enable(arguments, sight),
            Command::Test => operator::test(arguments, sight),
            Command::Set => variables::set(arguments, sight),
            Command::Get => variables::get(arguments, sight),
        }
    }

    fn set_view(&mut self, arguments: &str, sight: &Sight<'_>) -> String {
        match first_word(arguments) {
            ("", _) => {
                self.view = None;
                format!("{NO_VIEW}\n220 setview completed\n")
            }
            (view, "") => {
                let mut views = sight.engine.model().views.iter();
                if view.len() > VIEW_NAME_MAX || !views.any(|(name, _)| &**name == view) {
                    return format!("504 unknown view {}\n", super::one_line(view));
                }
                self.view = Some(view.to_owned());
                format!("selecting view {view}\n220 setview completed\n")
            }
            (_, _) => "500 Unknown setview command\n".to_owned(),
        }
    }

    /// In any case, unlike mon.
    fn check_auth(&self, arguments: &str, sight: &Sight<'_>) -> &'static str {
        let (word, _) = first_word(arguments);
        if sight.auth.may(self.user(), &word.to_ascii_lowercase()) {
            "220 command authorized\n"
        } else {
            "520 command could not be executed\n"
        }
    }
}

fn say(reply: &str) -> Turn {
    Turn::Say(reply.to_owned())
}

fn wish(wish: Wish, done: &str) -> Turn {
    Turn::Wish {
        wish: Box::new(wish),
        done: done.to_owned(),
    }
}

fn unknown() -> Turn {
    say(DENIED)
}

/// The number counts, what follows it does not, nor do zeros before it.
fn protid(arguments: &str) -> &'static str {
    let digits = arguments.find(|character: char| !character.is_ascii_digit());
    let number = arguments.get(..digits.unwrap_or(arguments.len()));
    if number.map(|number| number.trim_start_matches('0')) == Some(VERSION) {
        "220 protocol match\n"
    } else {
        "520 protocol mismatch\n"
    }
}

/// The password is all that follows the user, blanks inside it too. Without a user nobody
/// need look.
fn login(arguments: &str) -> Turn {
    match first_word(arguments) {
        ("", _) => say("530 login unsuccessful\n"),
        (user, password) => Turn::Work(Work::Login(Credentials {
            user: user.to_owned(),
            password: password.to_owned(),
        })),
    }
}

/// As Perl's `localtime` writes it: the day is filled up with a blank.
fn server_time(sight: &Sight<'_>) -> String {
    let wall = sight.now.wall;
    let time = jiff::Timestamp::from_microsecond(wall.as_micros()).unwrap_or_default();
    let local = time.to_zoned(sight.zone.clone());
    format!(
        "{} {}\n220 servertime completed\n",
        wall.seconds(),
        local.strftime("%a %b %e %H:%M:%S %Y")
    )
}

/// The words may stand anywhere in the arguments.
fn reset(arguments: &str) -> Work {
    Work::Reset {
        stops: arguments.to_ascii_lowercase().contains("stopped"),
        memory: if arguments.contains("keepstate") {
            Memory::Kept
        } else {
            Memory::Forgotten
        },
    }
}

/// The files that are named. mon says nothing of words that it does not know.
fn state_files(arguments: &str) -> Vec<StateFile> {
    let mut files = StateFile::ALL.to_vec();
    files.retain(|file| {
        let mut words = arguments.split_ascii_whitespace();
        words.any(|word| word == file.name() || word == "all")
    });
    files
}

fn save_state(arguments: &str) -> Turn {
    match state_files(arguments) {
        _ if arguments.is_empty() => say("520 savestate error, arguments required\n"),
        files if files.is_empty() => say("220 savestate completed\n"),
        files => Turn::Work(Work::SaveState(files)),
    }
}
