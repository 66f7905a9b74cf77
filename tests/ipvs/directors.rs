//! Inside the lab: two directors, each with keepalived for VRRP and lvsmon for its table.
//!
//! West is a namespace of its own and has the address first; east is the lab's own namespace.
//! keepalived runs with the files in `etc/keepalived`, in which only paths, the interface and one
//! time limit differ, and lvsmon as the user of its unit with the rights of its unit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::guest::{Farm, Said, append, attempt, batch, by, run, say};
use crate::support::{Running, lvsmon, lvsmon_path, root, wait_until};

/// A takeover takes four advertisements of a second, or three checks of lvsmon's health every two
/// seconds; on a loaded machine each step takes its time.
pub(super) const LONG: Duration = Duration::from_secs(90);
/// Where mail goes: the client's box.
const RELAY: &str = "192.168.0.9";
const MAILBOX: &str = "/run/mail";
const VIP: &str = "10.0.0.3";
/// The port of the virtual service with connections that stay open.
pub(super) const TALK: u16 = 7000;
/// Of both virtual services, in the order of the letters.
const PORTS: [u16; 2] = [TALK, 80];
/// Where keepalived finds lvsmon: nobody else may write to any folder on the way to it.
const HEALTH: &str = "/run/bin/lvsmon";
/// The user and the group of lvsmon, by name and number: nobody else has them here.
pub(super) const USER: (&str, u32) = ("lvsmon", 7_654);
/// As the unit has it run: `User`, `Group`, `AmbientCapabilities`, `CapabilityBoundingSet` and
/// `NoNewPrivileges`.
const AS_USER: [&str; 8] = [
    "setpriv",
    "--reuid=lvsmon",
    "--regid=lvsmon",
    "--init-groups",
    "--inh-caps=-all,+net_admin,+net_raw",
    "--ambient-caps=-all,+net_admin,+net_raw",
    "--bounding-set=-all,+net_admin,+net_raw",
    "--no-new-privs",
];

/// One director.
pub(super) struct Director {
    pub(super) name: &'static str,
    /// How a command gets into its network.
    by: &'static [&'static str],
    interface: &'static str,
    address: &'static str,
    peer: &'static str,
    /// Of the files in `etc/keepalived`.
    shipped: &'static str,
    keepalived: Option<Running>,
    lvsmon: Option<Running>,
}

impl Director {
    const fn west() -> Self {
        Self {
            name: "west",
            by: &["nsenter", "--net=/run/netns/west"],
            interface: "eth0",
            address: "10.0.0.1",
            peer: "10.0.0.2",
            shipped: "director1.conf",
            keepalived: None,
            lvsmon: None,
        }
    }

    const fn east() -> Self {
        Self {
            name: "east",
            by: &["env"],
            interface: "br0",
            address: "10.0.0.2",
            peer: "10.0.0.1",
            shipped: "director2.conf",
            keepalived: None,
            lvsmon: None,
        }
    }

    fn path(&self, file: &str) -> String {
        format!("/run/{}/{file}", self.name)
    }

    /// Where its keepalived makes the FIFO.
    pub(super) fn fifo(&self) -> String {
        self.path("fifo")
    }

    /// What one of its daemons wrote: `lvsmon.log`, `keepalived.log`.
    pub(super) fn wrote(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    /// How often its keepalived has asked for the health of lvsmon.
    pub(super) fn asked(&self) -> usize {
        self.wrote("asked").lines().count()
    }

    /// What `lvsmon health` says, as its keepalived asks it.
    pub(super) fn health(&self) -> Said {
        let state = self.path("state");
        say(&mut lvsmon(["health", "--statedir", &state]), "")
    }

    /// Runs a command in its network and answers with what it printed.
    #[track_caller]
    pub(super) fn ask(&self, words: &str) -> String {
        run(&format!("{} {words}", self.by.join(" ")))
    }

    /// Both daemons.
    pub(super) fn start(&mut self) {
        fs::create_dir_all(self.path("state")).expect("a folder");
        give_to_lvsmon(&self.path("state"));
        fs::write(self.path("mon.cf"), self.mon_cf()).expect("a configuration");
        fs::write(self.path("keepalived.conf"), self.keepalived_conf()).expect("a configuration");
        self.start_lvsmon();
        self.start_keepalived();
    }

    pub(super) fn start_lvsmon(&mut self) {
        let how = [self.by, &AS_USER].concat();
        let mut command = by(&how, &lvsmon(["run", "--config", &self.path("mon.cf")]));
        self.lvsmon = Some(Running::start(self.logged(&mut command, "lvsmon.log")));
    }

    pub(super) fn start_keepalived(&mut self) {
        let mut command = Command::new(self.by[0]);
        command
            .args(&self.by[1..])
            .args(["keepalived", "--dont-fork", "--log-console", "--log-detail"])
            .args(["--vrrp", "--use-file", &self.path("keepalived.conf")])
            .args(["--pid", &self.path("keepalived.pid")])
            .args(["--vrrp_pid", &self.path("vrrp.pid")]);
        self.keepalived = Some(Running::start(self.logged(&mut command, "keepalived.log")));
    }

    fn logged<'a>(&self, command: &'a mut Command, file: &str) -> &'a mut Command {
        let log = append(Path::new(&self.path(file)));
        let errors = log.try_clone().expect("a log");
        // A group of its own: one that is stopped in ours would have the system hang all of us up.
        let command = command.process_group(0);
        command.stdin(Stdio::null()).stdout(log).stderr(errors)
    }

    fn mon_cf(&self) -> String {
        let Self {
            name,
            interface,
            address,
            peer,
            ..
        } = self;
        format!(
            "statedir = /run/{name}/state\nmail_relay = smtp://{RELAY}:25\n\
             mail_from = {name}@example.org\nmail_group_wait = 0s\n\
             notify_fifo = /run/{name}/fifo\nvip = {VIP}\nsync_daemon = {interface} syncid 51\n\
             peer = {peer}\npeer_bind = {address}\npeer_key = /run/peer.key\n\
             \n\
             hostgroup web 192.168.0.1 192.168.0.2 192.168.0.3\n\n\
             watch web\n    service http\n\tinterval 1s\n\tmonitor http.monitor -t 5 -m \"is well\"\n\
             \tperiod wd {{Sun-Sat}}\n\t    alertafter 2\n\t    alertevery 1h strict\n\
             \t    alert mail.alert ops@example.org\n\t    upalert mail.alert ops@example.org\n\n\
             virtual {VIP}:80\n    scheduler rr\n    real web weight 5\n    service web:http\n\n\
             virtual {VIP}:{TALK}\n    scheduler rr\n    real web weight 5\n    service web:http\n\n"
        )
    }

    /// The shipped file, with the places of this lab.
    fn keepalived_conf(&self) -> String {
        let Self {
            name, interface, ..
        } = self;
        let path = root().join("etc/keepalived").join(self.shipped);
        let mut text = fs::read_to_string(path).expect("a shipped file");
        for (from, to) in [
            (
                "notify_fifo /run/keepalived.lvsmon lvsmon lvsmon",
                format!("notify_fifo {} lvsmon lvsmon", self.fifo()),
            ),
            (
                "/usr/bin/lvsmon health --statedir /var/lib/lvsmon",
                format!("{HEALTH} health --statedir /run/{name}/state"),
            ),
            // On a busy machine a program takes seconds to start; whether lvsmon is stuck is known
            // within the two that it has to answer.
            ("timeout 3", "timeout 20".to_owned()),
            ("interface eth0", format!("interface {interface}")),
            ("dev eth0", format!("dev {interface}")),
        ] {
            assert!(text.contains(from), "{}: no {from}", self.shipped);
            text = text.replace(from, &to);
        }
        text
    }

    /// Whether it has the virtual address.
    pub(super) fn has_vip(&self) -> bool {
        let words = format!("ip -o address show dev {} to {VIP}", self.interface);
        attempt(&format!("{} {words}", self.by.join(" ")))
            .1
            .contains(VIP)
    }

    /// What `lvsmon role --json` says.
    pub(super) fn role(&self) -> Option<Value> {
        let state = self.path("state");
        let output = lvsmon(["role", "--json", "--statedir", &state]).output();
        serde_json::from_slice(&output.expect("lvsmon role").stdout).ok()
    }

    /// What `lvsmon table` prints.
    pub(super) fn shows_table(&self) -> String {
        let config = self.path("mon.cf");
        say(&mut lvsmon(["table", "--config", &config]), "").out
    }

    #[track_caller]
    pub(super) fn wait_for_role(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        wait_until(&format!("{}: {what}", self.name), LONG, || {
            self.role().is_some_and(|answer| is_so(&answer))
        });
    }

    /// Sends a signal to all its processes: its daemons, and what they have started.
    pub(super) fn signal(&self, signal: Signal) {
        let own = format!("/run/{}/", self.name);
        for entry in fs::read_dir("/proc").expect("processes").flatten() {
            let pid = entry.file_name().to_str().and_then(|it| it.parse().ok());
            let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if let Some(pid) = pid
                && String::from_utf8_lossy(&words).contains(&own)
            {
                // It may have ended meanwhile.
                let _ = kill(Pid::from_raw(pid), signal);
            }
        }
    }

    /// A signal to its lvsmon alone.
    pub(super) fn signal_lvsmon(&self, signal: Signal) {
        self.lvsmon.as_ref().expect("an lvsmon").signal(signal);
    }

    /// Its keepalived reads its file again.
    pub(super) fn reload_keepalived(&self) {
        let keepalived = self.keepalived.as_ref().expect("a keepalived");
        keepalived.signal(Signal::SIGHUP);
    }

    /// Its lvsmon is killed.
    pub(super) fn kill_lvsmon(&mut self) {
        self.lvsmon = None;
    }

    /// Its keepalived ends in order.
    pub(super) fn stop_keepalived(&mut self) {
        let mut keepalived = self.keepalived.take().expect("a keepalived");
        keepalived.signal(Signal::SIGTERM);
        keepalived.wait(LONG);
    }

    /// All its daemons are killed, and what a dead machine does not have is away.
    pub(super) fn die(&mut self) {
        self.signal(Signal::SIGKILL);
        self.keepalived = None;
        self.lvsmon = None;
        let words = format!("ip address del {VIP}/24 dev {}", self.interface);
        let _ = attempt(&format!("{} {words}", self.by.join(" ")));
        let _ = attempt(&format!("{} ipvsadm -C", self.by.join(" ")));
        for role in ["master", "backup"] {
            let _ = attempt(&format!(
                "{} ipvsadm --stop-daemon {role}",
                self.by.join(" ")
            ));
        }
    }

    /// The connections of port [`TALK`] that its kernel knows: from where, to which real server.
    pub(super) fn connections(&self) -> BTreeSet<(String, String)> {
        let text = self.ask("ipvsadm -Lnc");
        let lines = text.lines().map(|line| line.split_whitespace().collect());
        let connections = lines.filter_map(|words: Vec<&str>| match words[..] {
            ["TCP", _, "ESTABLISHED", client, service, server]
                if service == format!("{VIP}:{TALK}") =>
            {
                Some((client.to_owned(), server.to_owned()))
            }
            _ => None,
        });
        connections.collect()
    }

    /// How often it has become active.
    fn takeovers(&self) -> usize {
        self.wrote("lvsmon.log").matches("to=active").count()
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        if let Some(keepalived) = &mut self.keepalived {
            // It ends its own children and takes the address away.
            let _ = attempt(&format!("kill -CONT -{}", keepalived.0.id()));
            keepalived.signal(Signal::SIGTERM);
            wait_until("the end of keepalived", LONG, || !keepalived.runs());
        }
        self.die();
    }
}

/// Both directors, and the relay.
pub(super) struct Pair {
    pub(super) west: Director,
    pub(super) east: Director,
    _relay: Running,
}

impl Pair {
    /// The network, both directors with full tables, west with the address.
    pub(super) fn start(farm: &mut Farm) -> Self {
        farm.build();
        build();
        let mut command = Command::new("nsenter");
        command
            .args(["--net=/run/netns/client", "python3"])
            .arg(root().join("tests/alerts/relay.py"))
            .args(["--dir", MAILBOX, "--host", RELAY, "--port", "25"])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let relay = Running::start(&mut command);
        let mut pair = Self {
            west: Director::west(),
            east: Director::east(),
            _relay: relay,
        };
        pair.west.start();
        wait_until("west has the address", LONG, || pair.west.has_vip());
        pair.east.start();
        wait_until("the relay", LONG, || {
            Path::new(MAILBOX).join("port").exists()
        });
        pair.settled(&pair.west, &pair.east);
        pair.expect_tables(&[1, 2, 3]);
        pair
    }

    /// Waits until one is active and the other its standby, linked.
    #[track_caller]
    pub(super) fn settled(&self, active: &Director, standby: &Director) {
        for (director, role) in [(active, "active"), (standby, "standby")] {
            director.wait_for_role(&format!("{role}, and linked"), |answer| {
                answer["role"] == role && answer["peer"]["linked"] == true
            });
        }
        assert!(
            active.has_vip() && !standby.has_vip(),
            "one has the address"
        );
    }

    /// Both tables have these servers and nothing else.
    #[track_caller]
    pub(super) fn expect_tables(&self, servers: &[u8]) {
        for director in [&self.west, &self.east] {
            expect_table(director, servers);
        }
    }

    /// How often each event was mailed.
    pub(super) fn mailed(&self) -> BTreeMap<String, usize> {
        let mut events = BTreeMap::new();
        for entry in fs::read_dir(MAILBOX).expect("a mailbox").flatten() {
            if entry.path().extension().is_some_and(|end| end == "json") {
                let text = fs::read_to_string(entry.path()).expect("a mail");
                // Written in place: it may be seen before it is whole.
                let Ok(mail) = serde_json::from_str::<Value>(&text) else {
                    continue;
                };
                let data = mail["data"].as_str().expect("data");
                let ids = data
                    .lines()
                    .filter_map(|line| line.strip_prefix("X-Lvsmon-Event:"));
                for id in ids {
                    *events.entry(id.trim().to_owned()).or_default() += 1;
                }
            }
        }
        events
    }

    /// Waits until events of exactly these kinds were mailed, each of its own id.
    #[track_caller]
    pub(super) fn expect_mails(&self, kinds: &[&str]) {
        let wanted = sorted(kinds.iter().copied());
        let mut found = BTreeMap::new();
        let found = &mut found;
        let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until("mails", LONG, || {
                *found = self.mailed();
                sorted(found.keys().map(|id| kind(id))).len() >= wanted.len()
            });
        }));
        let kinds = sorted(found.keys().map(|id| kind(id)));
        assert!(
            said.is_ok() && kinds == wanted,
            "wanted {wanted:?}, mailed {found:?}"
        );
    }

    /// At the end of a scenario: nothing is held any more, all these kinds were mailed and no
    /// other, and each takeover made at most one mail come twice.
    #[track_caller]
    pub(super) fn expect_all_told_once(&self, farm: &mut Farm, kinds: &[&str]) {
        for director in [&self.west, &self.east] {
            director.wait_for_role("nothing is held", |answer| answer["held"] == 0);
        }
        self.expect_mails(kinds);
        let mailed = self.mailed();
        let twice = mailed.values().sum::<usize>() - mailed.len();
        let takeovers = self.west.takeovers() + self.east.takeovers();
        farm.note(&format!(
            "mails: {mailed:?}, {twice} of them repeated, {takeovers} times active"
        ));
        assert!(twice < takeovers.max(1), "{mailed:?}");
    }
}

impl Drop for Pair {
    /// What the daemons said goes to the log of the scenario.
    fn drop(&mut self) {
        let mut all = append(Path::new("/run/daemon.log"));
        for director in [&self.west, &self.east] {
            for file in ["lvsmon.log", "keepalived.log"] {
                let path = director.path(file);
                let log = fs::read_to_string(&path).unwrap_or_default();
                let _ = writeln!(all, "--- {path}\n{log}");
            }
        }
    }
}

fn sorted<'a>(kinds: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut kinds: Vec<&str> = kinds.collect();
    kinds.sort_unstable();
    kinds
}

/// Of an event id: GROUP/SERVICE/NUMBER/KIND/COUNT.
fn kind(id: &str) -> &str {
    id.split('/').nth(3).unwrap_or(id)
}

#[track_caller]
pub(super) fn expect_table(director: &Director, servers: &[u8]) {
    let mut wanted = String::new();
    for port in PORTS {
        let _ = writeln!(wanted, "-A -t {VIP}:{port} -s rr");
    }
    for port in PORTS {
        for number in servers {
            let _ = writeln!(
                wanted,
                "-a -t {VIP}:{port} -r 192.168.0.{number}:{port} -g -w 5"
            );
        }
    }
    let what = format!("the table of {}: {wanted}", director.name);
    wait_until(&what, LONG, || {
        let table = director.ask("ipvsadm -Sn");
        let mut lines: Vec<&str> = table.lines().map(str::trim).collect();
        lines.sort_unstable();
        lines.iter().copied().eq(wanted.lines())
    });
}

/// Cuts the link of west, as a cable that is taken out.
pub(super) fn cut_west() {
    run("ip link set p-west down");
}

/// Puts it in again.
pub(super) fn mend_west() {
    run("ip link set p-west up");
}

fn give_to_lvsmon(path: &str) {
    run(&format!("chown {0}:{0} {path}", USER.0));
}

/// Folders as at the beginning, and once in each lab: west's box, and the addresses.
fn build() {
    let _ = fs::remove_dir_all(MAILBOX);
    fs::create_dir_all(MAILBOX).expect("a mailbox");
    for name in ["west", "east"] {
        let _ = fs::remove_dir_all(format!("/run/{name}"));
        fs::create_dir_all(format!("/run/{name}")).expect("a folder");
    }
    if Path::new("/run/netns/west").exists() {
        return mend_west();
    }
    let (name, number) = USER;
    for (file, line) in [
        (
            "passwd",
            format!("{name}:x:{number}:{number}::/run:/bin/false"),
        ),
        ("group", format!("{name}:x:{number}:")),
    ] {
        run(&format!(
            "(cat /etc/{file}; echo '{line}') >/run/{file} && mount --bind /run/{file} /etc/{file}"
        ));
    }
    run("chmod 755 /run && umask 077 && head -c 32 /dev/urandom | base64 >/run/peer.key");
    give_to_lvsmon("/run/peer.key");
    fs::create_dir_all("/run/bin").expect("a folder");
    // Called as `health --statedir DIRECTOR/state`: a line in DIRECTOR/asked for each time.
    let script = format!(
        "#!/bin/sh\necho health >>\"${{3%/state}}/asked\"\nexec {} \"$@\"\n",
        lvsmon_path().display()
    );
    fs::write(HEALTH, script).expect("a program");
    fs::set_permissions(HEALTH, fs::Permissions::from_mode(0o755)).expect("a program");
    batch(
        "ip -batch -",
        "address del 10.0.0.3/32 dev br0\naddress del 10.0.0.1/24 dev br0\n\
         address add 10.0.0.2/24 dev br0\n",
    );
    end_connections_of_servers_out("");
    build_west();
}

/// What `lvsmon check --host` asks a director of dr for: a client that uses a port again within two
/// minutes would else wait for a server that has left.
fn end_connections_of_servers_out(within: &str) {
    run(&format!(
        "{within} sysctl -qw net.ipv4.vs.expire_nodest_conn=1"
    ));
}

/// Another machine in the place of west, which has died: its kernel knows nothing.
pub(super) fn renew_west() {
    // Sockets that nobody owns any more may keep the old network for minutes, without a name.
    run("ip link del p-west && ip netns del west");
    build_west();
}

fn build_west() {
    batch(
        "ip -batch -",
        "netns add west\nlink add name p-west type veth peer name eth0 netns west\n\
         link set p-west master br0\nlink set p-west up\n",
    );
    batch(
        "ip -n west -batch -",
        "link set lo up\nlink set eth0 up\naddr add 10.0.0.1/24 dev eth0\n\
         addr add 192.168.0.252/24 dev eth0\n",
    );
    end_connections_of_servers_out("nsenter --net=/run/netns/west");
}
