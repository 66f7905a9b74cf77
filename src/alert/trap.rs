//! Traps to other daemons: one packet for each receiver, sent once and never answered.
//!
//! Used by `trap.alert` inside the daemon and alone, and by `lvsmon trap`. What differs from
//! mon's own program: an alert that a trap caused is passed on as every other (A-2 fixed);
//! acknowledgements and disables, which have no exit value, are not (A-3 kept).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::alert::secret;
use crate::clock::Clock;
use crate::engine::event::AlertCall;
use crate::options::trap::{Receiver, TrapOptions};
use crate::protocol::trap::Outgoing;

/// The port that IANA gave mon, where a receiver is named without one.
pub(crate) const PORT: u16 = 2583;

/// Longest look-up of a receiver's name.
const LOOKUP_LIMIT: Duration = Duration::from_secs(10);

/// An event, as `trap.alert` tells it.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    /// `grp`
    pub(crate) group: &'a str,
    /// `svc`
    pub(crate) service: &'a str,
    /// `sta`; none means that nothing is sent.
    pub(crate) exit: Option<i32>,
    /// `spc` where the options name none.
    pub(crate) opstatus: u8,
    /// Standard input of the alert: the first line is the summary.
    pub(crate) input: &'a [u8],
    /// `tsp`: seconds since 1970.
    pub(crate) time: i64,
    /// `MON_TRAP_USER`
    pub(crate) user: Option<String>,
    /// `MON_TRAP_PASS`
    pub(crate) password: Option<secret::Secret>,
}

/// What `lvsmon trap` is to send.
#[derive(Debug)]
pub(crate) struct Sending {
    /// Who; otherwise `MON_TRAP_USER`.
    pub(crate) user: Option<String>,
    /// Holds the password; otherwise `MON_TRAP_PASS`.
    pub(crate) password_file: Option<PathBuf>,
    /// `grp`
    pub(crate) group: String,
    /// `svc`
    pub(crate) service: String,
    /// `sta`
    pub(crate) status: u8,
    /// `spc`; without one it follows from the status.
    pub(crate) opstatus: Option<u8>,
    /// `sum`
    pub(crate) summary: String,
    /// `dtl`
    pub(crate) detail: Vec<u8>,
}

impl Sending {
    /// Sends it, and says what a datagram had no room for.
    ///
    /// # Errors
    ///
    /// The password cannot be read, or a receiver cannot be reached.
    pub(crate) async fn send(
        self,
        receivers: &[Receiver],
        port: u16,
    ) -> Result<Option<String>, String> {
        let password = match &self.password_file {
            Some(file) => secret::read(file).await?.reveal().to_owned(),
            None => std::env::var("MON_TRAP_PASS").unwrap_or_default(),
        };
        let user = self.user.or_else(|| std::env::var("MON_TRAP_USER").ok());
        let outgoing = Outgoing {
            user: user.unwrap_or_default(),
            password,
            group: self.group,
            service: self.service,
            status: self.status.to_string(),
            opstatus: self.opstatus.unwrap_or(u8::from(self.status == 0)),
            time: Clock::start().now().wall.seconds(),
            summary: self.summary,
            detail: self.detail,
        };
        send(&outgoing, receivers, port).await?;
        Ok(outgoing.left_out())
    }
}

/// Sends what an alert call tells. `Ok` also where there is nothing to tell.
///
/// # Errors
///
/// The receivers that could not be reached, and why; the others have got it.
pub(crate) async fn alert(options: &TrapOptions, call: &AlertCall) -> Result<(), String> {
    let variable = |name: &str| {
        let own = call.environment.iter().rev().find(|(key, _)| key == name);
        let value = own.map(|(_, value)| value.clone());
        value.or_else(|| std::env::var(name).ok())
    };
    let told = Told {
        group: &call.group,
        service: &call.name,
        exit: call.exit,
        opstatus: call.status.number(),
        input: &call.input,
        time: call.time.seconds(),
        user: variable("MON_TRAP_USER"),
        password: variable("MON_TRAP_PASS").map(secret::Secret::new),
    };
    tell(options, told).await
}

/// The same for an event from elsewhere.
pub(crate) async fn tell(options: &TrapOptions, told: Told<'_>) -> Result<(), String> {
    let Some(exit) = told.exit.filter(|exit| *exit >= 0) else {
        return Ok(());
    };
    let set = |value: Option<String>, option: &Option<String>| {
        let value = value.filter(|value| !value.is_empty());
        value.or_else(|| option.clone()).unwrap_or_default()
    };
    let password = told.password.map(|secret| secret.reveal().to_owned());
    let (user, password) = match &options.login {
        Some(file) => {
            let (user, password) = secret::login(&secret::read(file).await?)?;
            (user, password.reveal().to_owned())
        }
        None => (
            set(told.user, &options.user),
            set(password, &options.password),
        ),
    };
    let (summary, detail) = split_input(told.input);
    let outgoing = Outgoing {
        user,
        password,
        group: told.group.to_owned(),
        service: told.service.to_owned(),
        status: exit.to_string(),
        opstatus: options.opstatus.unwrap_or(told.opstatus),
        time: told.time,
        summary: String::from_utf8_lossy(summary).into_owned(),
        detail: detail.to_vec(),
    };
    send(&outgoing, &options.receivers, PORT).await
}

/// The first line, and the rest without the newline at its end.
fn split_input(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|&byte| byte == b'\n');
    let (summary, rest) = input.split_at(end.unwrap_or(input.len()));
    let rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    (summary, rest.strip_suffix(b"\n").unwrap_or(rest))
}

/// Sends a trap to each receiver; `port` is that of receivers that are named without one.
///
/// # Errors
///
/// The receivers that could not be reached, and why; the others have got it.
pub(crate) async fn send(
    outgoing: &Outgoing,
    receivers: &[Receiver],
    port: u16,
) -> Result<(), String> {
    let packet = outgoing.render();
    let mut faults = Vec::new();
    for receiver in receivers {
        let port = receiver.port.unwrap_or(port);
        if let Err(why) = send_to(&packet, &receiver.host, port).await {
            faults.push(format!("no trap to {receiver}: {why}"));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("; "))
    }
}

async fn send_to(packet: &[u8], host: &str, port: u16) -> Result<(), String> {
    let address = address_of(host, port).await?;
    let own: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let said = |error: std::io::Error| error.to_string();
    let socket = UdpSocket::bind((own, 0)).await.map_err(said)?;
    socket.send_to(packet, address).await.map_err(said)?;
    Ok(())
}

/// One address of a host, IPv4 where it has one: mon itself listens nowhere else.
async fn address_of(host: &str, port: u16) -> Result<SocketAddr, String> {
    let found = timeout(LOOKUP_LIMIT, tokio::net::lookup_host((host, port))).await;
    let found = found.map_err(|_| "its name was not found in time".to_owned())?;
    let addresses: Vec<SocketAddr> = found.map_err(|error| error.to_string())?.collect();
    let ipv4 = addresses.iter().find(|address| address.is_ipv4());
    let first = ipv4.or(addresses.first()).copied();
    first.ok_or_else(|| "its name has no address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detail_is_what_follows_the_first_line_without_its_last_newline() {
        for (input, expected) in [
            ("", ("", "")),
            ("a", ("a", "")),
            ("a\n", ("a", "")),
            ("a\nb", ("a", "b")),
            ("a\nb\nc\n", ("a", "b\nc")),
            ("\n\nc\n\n", ("", "\nc\n")),
        ] {
            let (summary, detail) = split_input(input.as_bytes());
            assert_eq!(
                (summary, detail),
                (expected.0.as_bytes(), expected.1.as_bytes())
            );
        }
    }
}
