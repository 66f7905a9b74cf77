//! Which command is a line?
//!
//! The first word, in any case and at the first column; what follows is left to the command
//! (docs/mon.md, "Client protocol").

/// A command that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `ack GROUP SERVICE COMMENT`
    Ack,
    /// `checkauth COMMAND`
    CheckAuth,
    /// `clear timers GROUP SERVICE`
    Clear,
    /// `disable watch|service|host ...`
    Disable,
    /// `dump`: mon's own state, for its developers; nobody may.
    Dump,
    /// `enable watch|service|host ...`
    Enable,
    /// `get GROUP SERVICE VARIABLE`
    Get,
    /// `getview`
    GetView,
    /// `list ...`
    List,
    /// `loadstate TYPE...`
    LoadState,
    /// `login USER PASSWORD`
    Login,
    /// `protid NUMBER`
    Protid,
    /// `quit`
    Quit,
    /// `reload auth`
    Reload,
    /// `reset [stopped] [keepstate]`
    Reset,
    /// `savestate TYPE...`
    SaveState,
    /// `servertime`
    ServerTime,
    /// `set GROUP SERVICE VARIABLE VALUE`
    Set,
    /// `setview [VIEW]`
    SetView,
    /// `start`
    Start,
    /// `stop`
    Stop,
    /// `term`
    Term,
    /// `test monitor|alert|...|config ...`
    Test,
    /// `version`
    Version,
}

/// Every command with its word.
pub const ALL: [(&str, Command); 24] = [
    ("ack", Command::Ack),
    ("checkauth", Command::CheckAuth),
    ("clear", Command::Clear),
    ("disable", Command::Disable),
    ("dump", Command::Dump),
    ("enable", Command::Enable),
    ("get", Command::Get),
    ("getview", Command::GetView),
    ("list", Command::List),
    ("loadstate", Command::LoadState),
    ("login", Command::Login),
    ("protid", Command::Protid),
    ("quit", Command::Quit),
    ("reload", Command::Reload),
    ("reset", Command::Reset),
    ("savestate", Command::SaveState),
    ("servertime", Command::ServerTime),
    ("set", Command::Set),
    ("setview", Command::SetView),
    ("start", Command::Start),
    ("stop", Command::Stop),
    ("term", Command::Term),
    ("test", Command::Test),
    ("version", Command::Version),
];

impl Command {
    /// The word that permissions are written for; none where everybody may.
    #[must_use]
    pub const fn permission(self) -> Option<&'static str> {
        Some(match self {
            Self::CheckAuth
            | Self::GetView
            | Self::Login
            | Self::Protid
            | Self::Quit
            | Self::SetView
            | Self::Version => return None,
            Self::Ack => "ack",
            Self::Clear => "clear",
            Self::Disable => "disable",
            Self::Dump => "dump",
            Self::Enable => "enable",
            Self::Get => "get",
            Self::List => "list",
            Self::LoadState => "loadstate",
            Self::Reload => "reload",
            Self::Reset => "reset",
            Self::SaveState => "savestate",
            Self::ServerTime => "servertime",
            Self::Set => "set",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Term => "term",
            Self::Test => "test",
        })
    }
}

/// Whether this is the word of a command for which no right is asked.
pub(super) fn needs_no_right(word: &str) -> bool {
    let found = ALL.iter().find(|(known, _)| *known == word);
    found.is_some_and(|(_, command)| command.permission().is_none())
}

/// The command of a line and its arguments; none where the line is no command.
#[must_use]
pub fn parse(line: &str) -> Option<(Command, &str)> {
    let (word, arguments) = first_word(line);
    let (_, command) = ALL
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))?;
    Some((*command, arguments))
}

/// The first word, which begins at the first column, and what follows it without the blanks
/// around it.
#[must_use]
pub fn first_word(text: &str) -> (&str, &str) {
    let blank = |character: char| character.is_ascii_whitespace();
    match text.split_once(blank) {
        Some((word, rest)) => (word, rest.trim_matches(blank)),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_the_first_word_in_any_case() {
        assert_eq!(parse("list watch"), Some((Command::List, "watch")));
        assert_eq!(parse("LIST  watch \t"), Some((Command::List, "watch")));
        assert_eq!(parse("Version"), Some((Command::Version, "")));
        assert_eq!(parse("quit\t"), Some((Command::Quit, "")));
        assert_eq!(
            parse("ack web http on  it"),
            Some((Command::Ack, "web http on  it"))
        );
    }

    #[test]
    fn all_else_is_no_command() {
        for line in [
            "",
            " list watch",
            "\tlist",
            "bogus",
            "lists",
            "lis",
            "list\u{a0}watch",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn commands_stand_in_order_and_have_the_permission_of_their_own_word() {
        assert!(ALL.is_sorted_by_key(|(word, _)| *word));
        for (word, command) in ALL {
            assert_eq!(parse(word), Some((command, "")));
            assert!(command.permission().is_none_or(|name| name == word));
        }
    }
}
