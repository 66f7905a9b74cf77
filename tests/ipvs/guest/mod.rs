//! Inside the lab: the farm of the HOWTO, made of network namespaces, and what can be done to it.
//!
//! The director is the lab's own namespace, so that its table is read without entering another.
//! Everything is on one bridge; the client has a leg in the segment of the real servers, to
//! which direct routing answers. Each real server runs busybox httpd on [::]:80.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use lvsmon::clock::Stopwatch;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{BOOTS, table};
use crate::support::{Running, lvsmon, wait_until};

/// Schedulers and what else the scenarios want of the kernel.
const MODULES: [&str; 8] = [
    "bridge",
    "veth",
    "ip_vs",
    "ip_vs_rr",
    "ip_vs_wrr",
    "ip_vs_wlc",
    "ip_vs_sh",
    "ip_vs_mh",
];
/// Things that happen at once on an idle machine may take this long on a loaded one.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// How long each step of an HTTP request may take.
pub(super) const GET_LIMIT: Duration = Duration::from_secs(3);

/// On the host: every lab has to end in order. Inside, this test is also the door by which the
/// lab's own processes come in, told apart by LAB_ROLE.
#[test]
fn every_lab_ends_in_order() {
    match std::env::var("LAB_ROLE").as_deref() {
        Ok("driver") => drive(),
        Ok("client") => super::client::ask_until_told(),
        Ok("nobody") => super::backends::as_a_user_without_rights(),
        _ => super::lab::all_end_in_order(),
    }
}

/// A command that runs this program in one of the lab's roles, started by `how`.
pub(super) fn in_role(role: &str, how: &[&str]) -> Command {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(how[0]);
    command.args(&how[1..]).arg(program).args([
        "ipvs::guest::every_lab_ends_in_order",
        "--exact",
        "--nocapture",
    ]);
    command.env("LAB_ROLE", role).stdout(Stdio::null());
    command
}

/// Runs the scenarios of the job, one after the other, and writes down what came of each.
fn drive() {
    let results = PathBuf::from(std::env::var_os("LAB_GUEST").expect("only inside the lab"));
    let job = fs::read_to_string(results.join("job")).expect("the job");
    let mut lines = job.lines();
    let name = lines.next().expect("a name");
    let boot = BOOTS.iter().find(|boot| boot.name == name).expect("a boot");
    static PANIC: Mutex<String> = Mutex::new(String::new());
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let payload = info.payload();
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without words");
        *PANIC.lock().expect("never poisoned") = format!("{place}: {text}");
    }));
    let mut farm = Farm::new();
    for wanted in lines {
        let (name, scenario) = boot
            .scenarios
            .iter()
            .find(|(name, _)| *name == wanted)
            .expect("a scenario");
        let watch = Stopwatch::start();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            farm.reset();
            scenario(&mut farm);
        }));
        let log = farm.log();
        let text = match outcome {
            Ok(()) => "ok".to_owned(),
            Err(_) => {
                let panic = PANIC.lock().expect("never poisoned").clone();
                format!("{panic}\n{}\nthe daemon's log:\n{log}", farm.told())
            }
        };
        let took = watch.elapsed();
        let log = format!("took {took:?}\n{}\n{log}", farm.times);
        fs::write(results.join(format!("{name}.log")), log).expect("a log");
        // Renamed into place, so that the host never reads half of it.
        let draft = results.join(format!("{name}.draft"));
        fs::write(&draft, text).expect("a result");
        fs::rename(&draft, results.join(name)).expect("a result");
    }
}

/// The same command, started by a program that changes what it may do, or where it is.
pub(super) fn by(how: &[&str], command: &Command) -> Command {
    let mut other = Command::new(how[0]);
    other.args(&how[1..]);
    other.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other
}

/// What a command that came to its end said, and its exit status.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) status: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

/// Runs a command to its end with that on its standard input.
pub(super) fn say(command: &mut Command, input: &str) -> Said {
    fs::write("/run/input", input).expect("an input");
    let input = File::open("/run/input").expect("an input");
    let output = command.stdin(input).output().expect("a command");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        status: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

/// Runs `command` to its end.
#[track_caller]
pub(super) fn run(command: &str) -> String {
    let (ok, text) = attempt(command);
    assert!(ok, "{command}: {text}");
    text
}

/// Runs `command`; says whether it succeeded and what it printed.
pub(super) fn attempt(command: &str) -> (bool, String) {
    let output = Command::new("sh").args(["-c", command]).output();
    let output = output.expect("sh starts");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

/// The network, the servers and the daemon.
pub(super) struct Farm {
    built: bool,
    servers: BTreeMap<u8, Running>,
    daemon: Option<Running>,
    starts: u32,
    /// The last table that was waited for.
    awaited: String,
    /// How long each table was waited for.
    times: String,
}

impl Farm {
    fn new() -> Farm {
        Farm {
            built: false,
            servers: BTreeMap::new(),
            daemon: None,
            starts: 0,
            awaited: String::new(),
            times: String::new(),
        }
    }

    /// Loads IPVS and builds the network; once for each lab, by the first scenario that wants it.
    pub(super) fn build(&mut self) {
        if std::mem::replace(&mut self.built, true) {
            return;
        }
        for module in MODULES {
            run(&format!("modprobe -d /run/m {module}"));
        }
        // The virtual IPv6 address is deprecated, so that it is never the source of a check.
        let mut root = String::from(
            "netns add client\nlink add name br0 type bridge\nlink set br0 up\n\
             addr add 10.0.0.1/24 dev br0\naddr add 10.0.0.3/32 dev br0\n\
             addr add 192.168.0.254/24 dev br0\n\
             addr add 2001:db8::fe/64 dev br0 nodad\naddr add 2001:db8::3/128 dev br0 nodad preferred_lft 0\n",
        );
        for (name, ..) in BOXES {
            if name != "client" {
                let _ = writeln!(root, "netns add {name}");
            }
            let _ = writeln!(
                root,
                "link add name p-{name} type veth peer name eth0 netns {name}\n\
                 link set p-{name} master br0\nlink set p-{name} up"
            );
        }
        batch("ip -batch -", &root);
        for (name, v4, v6) in BOXES {
            let mut inside = format!(
                "link set lo up\nlink set eth0 up\naddr add {v4}/24 dev eth0\n\
                 addr add {v6}/64 dev eth0 nodad\n"
            );
            if name == "client" {
                inside.push_str("addr add 10.0.0.9/24 dev eth0\n");
            } else {
                // Direct routing: the server has the virtual address, and keeps quiet about it.
                batch(
                    &format!("nsenter --net=/run/netns/{name} sh -e"),
                    "cd /proc/sys/net/ipv4/conf/all\necho 1 >arp_ignore\necho 2 >arp_announce\n",
                );
                inside.push_str(
                    "addr add 10.0.0.3/32 dev lo\naddr add 2001:db8::3/128 dev lo nodad\n\
                     route add 10.0.0.0/24 dev eth0\n",
                );
            }
            batch(&format!("ip -n {name} -batch -"), &inside);
        }
        name_hosts(["192.168.0.1", "192.168.0.2", "192.168.0.3"]);
        run("mount --bind /run/hosts /etc/hosts");
        self.reset();
    }

    /// As at the beginning: all servers well, no daemon, no state, an empty table.
    fn reset(&mut self) {
        self.daemon = None;
        self.starts = 0;
        self.awaited.clear();
        let _ = fs::remove_dir_all("/run/state");
        let _ = fs::remove_dir_all("/var/lib/mon");
        fs::create_dir_all("/var/lib/mon").expect("a state folder");
        let _ = fs::remove_file("/run/daemon.log");
        self.times.clear();
        if !self.built {
            return;
        }
        run("ipvsadm -C");
        name_hosts(["192.168.0.1", "192.168.0.2", "192.168.0.3"]);
        for server in self.servers.values() {
            server.signal(Signal::SIGCONT);
        }
        for number in 1..=3 {
            self.plug(number);
            self.answer(number, &format!("server {number} is well\n"));
            if !self.servers.contains_key(&number) {
                self.serve(number);
            }
        }
    }

    /// Starts the HTTP server of a real server.
    pub(super) fn serve(&mut self, number: u8) {
        let folder = PathBuf::from(format!("/run/r{number}"));
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/r{number}"))
            .args(["busybox", "httpd", "-f", "-vv", "-p", "80", "-h"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(append(&folder.join("log")));
        self.servers.insert(number, Running::start(&mut command));
        let address = format!("192.168.0.{number}:80")
            .parse()
            .expect("an address");
        wait_until("a real server answers", SOON, || {
            get(address).is_ok_and(|text| text.contains(&format!("server {number}")))
        });
    }

    /// Kills the HTTP server of a real server: connections are refused from now on.
    pub(super) fn kill_server(&mut self, number: u8) {
        self.servers.remove(&number);
    }

    /// Stops it: connections are accepted, and nothing follows. `SIGCONT` ends that.
    pub(super) fn signal_server(&self, number: u8, signal: Signal) {
        self.servers[&number].signal(signal);
    }

    /// What it answers from now on, with code 200.
    pub(super) fn answer(&self, number: u8, body: &str) {
        let folder = PathBuf::from(format!("/run/r{number}"));
        fs::create_dir_all(folder.join("cgi-bin")).expect("a folder");
        // Without an index the server runs this program.
        let program = folder.join("cgi-bin/index.cgi");
        if !program.exists() {
            let text = "#!/bin/sh\nprintf 'Status: 500 Internal Server Error\\r\\n\\r\\nout of order\\n'\n";
            fs::write(&program, text).expect("a program");
            run(&format!("chmod 755 {}", program.display()));
        }
        fs::write(folder.join("draft"), body).expect("an answer");
        fs::rename(folder.join("draft"), folder.join("index.html")).expect("an answer");
    }

    /// It answers 500 from now on.
    pub(super) fn answer_500(&self, number: u8) {
        fs::remove_file(format!("/run/r{number}/index.html")).expect("an answer");
        let address = format!("192.168.0.{number}:80")
            .parse()
            .expect("an address");
        let text = get(address).expect("an answer");
        assert!(
            text.starts_with("HTTP/1.") && text.contains(" 500 "),
            "{text}"
        );
    }

    /// Takes its cable out.
    pub(super) fn unplug(&self, number: u8) {
        run(&format!("ip link set p-r{number} down"));
    }

    /// Puts it in again.
    pub(super) fn plug(&self, number: u8) {
        run(&format!("ip link set p-r{number} up"));
    }

    /// Starts the daemon with that configuration.
    pub(super) fn start_daemon(&mut self, config: &str) {
        self.start_daemon_by(&["env"], config);
    }

    /// The same, by a program that changes what the daemon may do.
    pub(super) fn start_daemon_by(&mut self, how: &[&str], config: &str) {
        self.configure(config);
        self.starts += 1;
        let mut log = append(Path::new("/run/daemon.log"));
        writeln!(log, "--- start {} ---", self.starts).expect("the daemon's log");
        let errors = log.try_clone().expect("the daemon's log");
        let mut command = by(how, &lvsmon(["run", "--config", "/run/mon.cf"]));
        command.stdout(log).stderr(errors).stdin(Stdio::null());
        self.daemon = Some(Running::start(&mut command));
    }

    /// Starts it again with the same configuration.
    pub(super) fn restart_daemon(&mut self) {
        let config = fs::read_to_string("/run/mon.cf").expect("a configuration");
        self.start_daemon(&config);
    }

    /// Waits for a moment that has nothing to do with what the daemon does: `of` a thousand
    /// parts of a check interval of one second.
    pub(super) fn wait_a_part_of_a_second(&self, of: u64) {
        let watch = Stopwatch::start();
        wait_until("a moment", SOON, || {
            watch.elapsed() >= Duration::from_millis(of)
        });
    }

    /// Puts a configuration where the daemon reads it.
    pub(super) fn configure(&self, config: &str) {
        fs::write("/run/mon.cf", config).expect("a configuration");
    }

    /// `kill -9`
    pub(super) fn kill_daemon(&mut self) {
        self.daemon = None;
    }

    /// Sends the daemon a signal.
    pub(super) fn signal_daemon(&self, signal: Signal) {
        let daemon = self.daemon.as_ref().expect("a daemon");
        daemon.signal(signal);
    }

    /// Ends it with SIGTERM; it has to end with status 0.
    pub(super) fn stop_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("a daemon");
        daemon.signal(Signal::SIGTERM);
        let status = daemon.wait(SOON);
        assert!(status.success(), "lvsmon run ended with {status}");
    }

    /// Waits until the kernel's table is exactly this, lines of `ipvsadm -Sn`, by the
    /// kernel's own listing and by ipvsadm.
    #[track_caller]
    pub(super) fn expect_table(&mut self, limit: Duration, lines: &[&str]) {
        let lines: BTreeSet<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let wanted: BTreeSet<String> = lines.iter().map(|line| table::as_proc_net(line)).collect();
        self.awaited = format!("awaited: {wanted:#?}");
        self.daemon_lives();
        let watch = Stopwatch::start();
        wait_until("the table", limit, || {
            self.daemon_lives();
            table::proc_net() == wanted
        });
        let _ = writeln!(self.times, "{:?} for {wanted:?}", watch.elapsed());
        assert_eq!(table::ipvsadm(), lines, "by ipvsadm -Sn");
        self.daemon_lives();
    }

    /// Fails when the kernel's own listing differs from this at any moment until some server
    /// has answered so many requests more, or ipvsadm's at the end of it.
    #[track_caller]
    pub(super) fn keeps_table_for_checks(&mut self, lines: &[&str], checks: usize) {
        let lines: BTreeSet<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let wanted: BTreeSet<String> = lines.iter().map(|line| table::as_proc_net(line)).collect();
        self.awaited = format!("to be kept: {wanted:#?}");
        let before = requests();
        wait_until("some more checks", SOON * 2, || {
            assert_eq!(table::proc_net(), wanted, "the table changed");
            let now = requests();
            now.iter()
                .zip(&before)
                .any(|(now, old)| *now >= old + checks)
        });
        assert_eq!(table::ipvsadm(), lines, "by ipvsadm -Sn");
        self.daemon_lives();
    }

    /// Waits until some server has answered so many requests more.
    #[track_caller]
    pub(super) fn expect_checks(&mut self, checks: usize) {
        let before = requests();
        wait_until("some more checks", SOON * 2, || {
            let now = requests();
            now.iter()
                .zip(&before)
                .any(|(now, old)| *now >= old + checks)
        });
        self.daemon_lives();
    }

    /// Fails when a real server is in the table at any moment until another is in it.
    #[track_caller]
    pub(super) fn never_has(&mut self, server: &str, until: &str) {
        let has = |what: &str| {
            let what = format!(" {what} ");
            table::proc_net().iter().any(|line| line.contains(&what))
        };
        wait_until(until, SOON, || {
            assert!(!has(server), "{server} is in the table");
            has(until)
        });
        self.daemon_lives();
    }

    #[track_caller]
    fn daemon_lives(&mut self) {
        let status = self.daemon.as_mut().map(|daemon| daemon.0.try_wait());
        if let Some(status) = status {
            assert!(
                matches!(status, Ok(None)),
                "the daemon has ended: {status:?}"
            );
        }
    }

    /// What the daemon has written to its log since the last reset.
    pub(super) fn log(&self) -> String {
        fs::read_to_string("/run/daemon.log").unwrap_or_default()
    }

    /// Waits until the log says something as many times.
    #[track_caller]
    pub(super) fn expect_log(&mut self, times: usize, what: &str) {
        wait_until(what, SOON, || self.log().matches(what).count() >= times);
        self.daemon_lives();
    }

    /// Keeps a text for the scenario's log: figures that are to be read, not asserted.
    pub(super) fn note(&mut self, text: &str) {
        self.times.push_str(text);
        self.times.push('\n');
    }

    fn told(&self) -> String {
        let table = table::proc_net();
        format!("{}\nlast table: {table:#?}", self.awaited)
    }
}

/// Name, IPv4 and IPv6 address of each box beside the director.
const BOXES: [(&str, &str, &str); 4] = [
    ("client", "192.168.0.9", "2001:db8::9"),
    ("r1", "192.168.0.1", "2001:db8::11"),
    ("r2", "192.168.0.2", "2001:db8::12"),
    ("r3", "192.168.0.3", "2001:db8::13"),
];

/// What the names of the three real servers mean from now on. Written over in one go: a reader
/// never finds the file empty, and it stays the one that is mounted.
pub(super) fn name_hosts(addresses: [&str; 3]) {
    let mut text = String::from("127.0.0.1 localhost\n");
    for (number, address) in (1..).zip(addresses) {
        let _ = writeln!(text, "{address} www{number}.domain.com www{number}");
    }
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true);
    let mut file = file.open("/run/hosts").expect("a hosts file");
    file.write_all(text.as_bytes()).expect("a hosts file");
    let length = u64::try_from(text.len()).expect("a length");
    file.set_len(length).expect("a hosts file");
}

#[track_caller]
pub(super) fn batch(command: &str, input: &str) {
    let path = Path::new("/run/batch");
    fs::write(path, input).expect("a list of commands");
    run(&format!("{command} </run/batch"));
}

pub(super) fn append(path: &Path) -> File {
    let file = File::options().create(true).append(true).open(path);
    file.expect("a log")
}

/// How many requests of the director each of the real servers has answered.
pub(super) fn requests() -> [usize; 3] {
    [1, 2, 3].map(|number| {
        let log = fs::read_to_string(format!("/run/r{number}/log")).unwrap_or_default();
        log.lines()
            .filter(|line| line.contains("192.168.0.254") && line.contains("response:"))
            .count()
    })
}

/// How many clients `lvsmon table` shows as tied to a real server by persistence; none where it
/// is not in the table, or not known.
pub(super) fn tied_clients(real_server: &str) -> Option<u64> {
    let mut table = lvsmon(["table", "--json", "--config", "/run/mon.cf"]);
    let said = say(&mut table, "");
    let table: Value = serde_json::from_str(&said.out).ok()?;
    let services = table["virtual_services"].as_array()?;
    let mut rows = services
        .iter()
        .filter_map(|service| service["real_servers"].as_array())
        .flatten();
    let row = rows.find(|row| row["real_server"] == real_server)?;
    row["connections"]["persistent"].as_u64()
}

/// One HTTP request; the whole answer.
pub(super) fn get(address: SocketAddr) -> std::io::Result<String> {
    get_within(address, GET_LIMIT)
}

/// The same, with another limit for each step of it.
pub(super) fn get_within(address: SocketAddr, limit: Duration) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
