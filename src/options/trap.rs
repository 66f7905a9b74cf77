//! The options of `trap.alert`: `[-U USER] [-P PASSWORD | -f FILE] [-o OPSTATUS] HOST[:PORT]...`
//!
//! The letters are those of mon's own program; `-f` and the port are ours. What a trap says is
//! described in `protocol::trap`, how it is sent in `alert::trap`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::options::words::{Faults, PlainWords, Word, late_option, split};
use crate::options::{OptionError, OptionErrors, masked};

/// What a `trap.alert` line says. Its `Debug` does not show the password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TrapOptions {
    /// `-U USER`; `MON_TRAP_USER` wins.
    pub user: Option<String>,
    /// `-P PASSWORD`; `MON_TRAP_PASS` wins.
    pub password: Option<String>,
    /// `-f FILE`: lines `user NAME` and `password WORD`; read at each alert, and wins over all.
    pub login: Option<PathBuf>,
    /// `-o OPSTATUS`: mon's number of the status, instead of the service's.
    pub opstatus: Option<u8>,
    /// Who gets the trap, one packet each.
    pub receivers: Vec<Receiver>,
}

impl fmt::Debug for TrapOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TrapOptions")
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("login", &self.login)
            .field("opstatus", &self.opstatus)
            .field("receivers", &self.receivers)
            .finish()
    }
}

/// A host that takes traps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// A name or an address.
    pub host: String,
    /// Its port; none for that of the system's service `mon`.
    pub port: Option<u16>,
}

impl fmt::Display for Receiver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) if self.host.contains(':') => write!(out, "[{}]:{port}", self.host),
            Some(port) => write!(out, "{}:{port}", self.host),
            None => out.write_str(&self.host),
        }
    }
}

impl Receiver {
    /// Longest word, in bytes: that of a host name and a port.
    const LENGTH_MAX: usize = 262;

    /// Reads `HOST`, `HOST:PORT`, `[ADDRESS]:PORT` or an address.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plain = |host: &str, port| Self {
            host: host.to_owned(),
            port,
        };
        if text.parse::<IpAddr>().is_ok() {
            return Ok(plain(text, None));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return match address.port() {
                0 => Err("no trap can be sent to port 0".to_owned()),
                port => Ok(plain(&address.ip().to_string(), Some(port))),
            };
        }
        let (host, port) = match text.split_once(':') {
            None => (text, None),
            Some((host, port)) => {
                let number = port.parse().ok().filter(|&port: &u16| port > 0);
                let wrong =
                    || "what stands behind its colon is not a port from 1 to 65535".to_owned();
                (host, Some(number.ok_or_else(wrong)?))
            }
        };
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        if host.is_empty() || !host.chars().all(is_name) || text.len() > Self::LENGTH_MAX {
            return Err("it is not HOST, HOST:PORT or an address".to_owned());
        }
        Ok(plain(host, port))
    }
}

impl TrapOptions {
    /// The option letters, as `crate::options::words` wants them.
    pub(crate) const LETTERS: &'static str = "U:P:f:o:";
    /// Receivers of one line: each costs a packet at once.
    const RECEIVERS_MAX: usize = 100;
    /// mon's highest number of a status.
    const OPSTATUS_MAX: u8 = 9;

    /// Reads the arguments of a line.
    ///
    /// # Errors
    ///
    /// Unknown options, no host, what is no host or no status.
    pub(crate) fn parse(args: &[String]) -> Result<Self, OptionErrors> {
        let mut options = Self::default();
        let mut faults = Faults::default();
        let mut hosts_count = 0;
        for (index, word) in split(args, Self::LETTERS, PlainWords::EndOptions, &mut faults) {
            match word {
                Word::Value('U', user) => options.user = Some(user.to_owned()),
                Word::Value('P', password) => options.password = Some(password.to_owned()),
                Word::Value('f', file) => options.login = Some(PathBuf::from(file)),
                Word::Value('o', text) => options.opstatus = faults.take(opstatus(index, text)),
                Word::Value(..) | Word::Flag(_) => {}
                Word::Plain(late) if late.starts_with('-') => {
                    faults.add(index, late_option(late, "host"));
                    break;
                }
                Word::Plain(text) => {
                    hosts_count += 1;
                    let read = Receiver::parse(text);
                    let wrong = |why| format!("{}: {why}", masked::position(index));
                    let read = read.map_err(|why| OptionError::new(index, wrong(why)));
                    options.receivers.extend(faults.take(read));
                }
            }
        }
        if hosts_count == 0 {
            let what = "trap.alert needs a host, such as \"trap.alert mon.example.org\"";
            faults.add(args.len(), what);
        }
        if hosts_count > Self::RECEIVERS_MAX {
            let most = Self::RECEIVERS_MAX;
            faults.add(args.len(), format!("trap.alert takes {most} hosts at most"));
        }
        faults.finish(options)
    }
}

fn opstatus(index: usize, text: &str) -> Result<u8, OptionError> {
    let number = text.parse().ok();
    number
        .filter(|&number: &u8| number <= TrapOptions::OPSTATUS_MAX)
        .ok_or_else(|| OptionError::new(index, "-o takes a number of a status from 0 to 9"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<TrapOptions, OptionErrors> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        TrapOptions::parse(&args)
    }

    #[test]
    fn no_mistake_repeats_a_word_that_may_be_a_password() {
        for line in [
            "h:s3cret",
            "me:s3cret@h",
            "s3cret! h",
            "h -Ps3cret",
            "-o s3cret h",
            "--password=s3cret h",
        ] {
            let args: Vec<&str> = line.split(' ').collect();
            let said = parse(&args).unwrap_err().to_string();
            assert!(!said.contains("s3cret"), "{line}: {said}");
        }
    }

    #[test]
    fn all_options_are_read_and_the_password_is_not_shown() {
        let line = [
            "-U",
            "joe",
            "-Ps3cret",
            "-f",
            "/etc/login",
            "-o",
            "6",
            "mon1",
            "10.0.0.1:25830",
            "[::1]:7",
            "2001:db8::1",
        ];
        let options = parse(&line).unwrap();
        let receivers: Vec<String> = options.receivers.iter().map(ToString::to_string).collect();
        assert_eq!(
            receivers,
            ["mon1", "10.0.0.1:25830", "[::1]:7", "2001:db8::1"]
        );
        assert_eq!(options.user.as_deref(), Some("joe"));
        assert_eq!(options.password.as_deref(), Some("s3cret"));
        assert_eq!((options.opstatus, options.login.is_some()), (Some(6), true));
        assert!(!format!("{options:?}").contains("s3cret"));
    }

    #[test]
    fn mistakes_name_the_word() {
        let many = vec!["h"; 101];
        let cases: [(&[&str], usize); 10] = [
            (&[], 0),
            (&["-U", "x"], 2),
            (&["-o", "10", "h"], 0),
            (&["-o", "ok", "h"], 0),
            (&["-T", "h"], 0),
            (&["h:0"], 0),
            (&["h:x"], 0),
            (&["127.0.0.1:0"], 0),
            (&["h", "a b"], 1),
            (&many, 101),
        ];
        for (args, index) in cases {
            assert_eq!(parse(args).unwrap_err().list()[0].index, index, "{args:?}");
        }
    }
}
