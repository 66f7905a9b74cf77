//! Two directors with the real keepalived, in network namespaces on one bridge.
//!
//! The host's kernel need not have IPVS: the table is the one in memory. What is looked at is the
//! role, the address, who tells people, and that nothing remains untold.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Running, TempDir, have, is_root, lvsmon_path, skip, wait_for, wait_until};

/// A takeover takes four advertisements of a second and three checks of lvsmon's health; far more
/// on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A network namespace, for as long as its one idle process lives.
struct Space {
    holder: Running,
}

impl Space {
    fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args([
            "--net",
            "sh",
            "-c",
            "ip link set lo up && echo ready && exec sleep 3600",
        ]);
        let mut holder = Running::start(command.stdout(Stdio::piped()));
        // Ready when the other namespace is entered.
        let mut first = [0; 5];
        let out = holder.0.stdout.as_mut().unwrap();
        std::io::Read::read_exact(out, &mut first).unwrap();
        Self { holder }
    }

    fn pid(&self) -> String {
        self.holder.0.id().to_string()
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--net", "--target", &self.pid()])
            .arg(program);
        command
    }

    #[track_caller]
    fn ip(&self, words: &str) {
        let output = self.command("ip").args(words.split(' ')).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "ip {words}: {said}");
    }
}

/// How keepalived says what a director is.
#[derive(Clone, Copy)]
enum Way {
    /// By the FIFO, and the address is looked at.
    Fifo,
    /// By `lvsmon role` as its notify script, and by nothing else.
    Script,
}

/// Whether keepalived runs it with `enable_script_security`: nobody but root may write to any part
/// of its path.
fn is_safe_to_run(program: &Path) -> bool {
    program.ancestors().all(|part| {
        let about = part.metadata().unwrap();
        about.uid() == 0 && about.mode() & 0o022 == 0
    })
}

/// One of the two directors.
struct Director {
    number: usize,
    space: Space,
    folder: TempDir,
    lvsmon: Option<Running>,
    keepalived: Option<Running>,
}

impl Director {
    /// On the bridge of `hub`, with its files; nothing runs yet. `world` has what both read.
    fn new(number: usize, hub: &Space, world: &TempDir, way: Way) -> Self {
        let space = Space::new();
        let pid = space.pid();
        hub.ip(&format!(
            "link add p{number} type veth peer name eth0 netns {pid}"
        ));
        hub.ip(&format!("link set p{number} master br0"));
        hub.ip(&format!("link set p{number} up"));
        space.ip(&format!("address add 10.9.0.{number}/24 dev eth0"));
        space.ip("link set eth0 up");
        let folder = TempDir::new();
        let path = folder.path().display();
        let shared = world.path().display();
        let lvsmon = lvsmon_path().display();
        let (pair, globals, notify) = match way {
            Way::Fifo => (
                format!("notify_fifo = {path}/fifo\nvip = 10.9.0.100\n"),
                format!(" notify_fifo {path}/fifo\n fifo_write_vrrp_states_on_reload\n"),
                String::new(),
            ),
            Way::Script => (
                String::new(),
                match is_safe_to_run(lvsmon_path()) {
                    true => " enable_script_security\n".to_owned(),
                    false => String::new(),
                },
                format!(" notify \"{lvsmon} role --statedir {path}/state\"\n"),
            ),
        };
        folder.write(
            "mon.cf",
            format!(
                "statedir = {path}/state\nmondir = {shared}\nalertdir = {path}\n\
                 serverport = 0\ntrapport = 0\nipvs_backend = memory\n\
                 {pair}sync_daemon = eth0 syncid 7\n\n\
                 hostgroup web web1\n\nwatch web\n    service http\n\tinterval 1s\n\t\
                 monitor probe.monitor\n\tperiod wd {{Sun-Sat}}\n\t    alertevery 1h\n\t    alert page.alert\n\t    upalert page.alert\n"
            ),
        );
        // The line of one call is written at once.
        folder.write_executable(
            "page.alert",
            format!(
                "#!/bin/sh\ncat >/dev/null\necho \"{number} $MON_ALERTTYPE\" >> {shared}/told\n"
            ),
        );
        let priority = 200 - 50 * number;
        let other = 3 - number;
        folder.write(
            "keepalived.conf",
            format!(
                "global_defs {{\n router_id d{number}\n script_user root\n{globals}}}\n\
                 vrrp_script lvsmon {{\n script \"{lvsmon} health --statedir {path}/state --limit 1s\"\n interval 1\n timeout 3\n \
                 fall 2\n rise 1\n}}\nvrrp_instance VI_1 {{\n state BACKUP\n nopreempt\n \
                 interface eth0\n virtual_router_id 51\n priority {priority}\n advert_int 1\n \
                 unicast_src_ip 10.9.0.{number}\n unicast_peer {{\n 10.9.0.{other}\n }}\n{notify} \
                 virtual_ipaddress {{\n 10.9.0.100/24 dev eth0\n }}\n track_script {{\n lvsmon\n }}\n}}\n"
            ),
        );
        Self {
            number,
            space,
            folder,
            lvsmon: None,
            keepalived: None,
        }
    }

    fn start_lvsmon(&mut self) {
        let mut command = self.space.command(lvsmon_path());
        command
            .args(["run", "--config"])
            .arg(self.folder.join("mon.cf"));
        let log = File::create(self.folder.join("log")).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        self.lvsmon = Some(Running::start(&mut command));
    }

    fn start_keepalived(&mut self) {
        let mut command = self.space.command("keepalived");
        command.args(["--dont-fork", "--log-console", "--vrrp"]);
        for (option, file) in [
            ("--use-file", "keepalived.conf"),
            ("--pid", "keepalived.pid"),
            ("--vrrp_pid", "vrrp.pid"),
        ] {
            command.arg(option).arg(self.folder.join(file));
        }
        let log = File::create(self.folder.join("keepalived.log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.keepalived = Some(Running::start(&mut command));
    }

    fn answer(&self) -> Option<Value> {
        let mut command = Command::new(lvsmon_path());
        command.args(["role", "--json", "--statedir"]);
        let output = command.arg(self.folder.join("state")).output().unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    #[track_caller]
    fn wait_for_role(&self, role: &str) -> Value {
        let what = format!("director {} to be {role}", self.number);
        wait_for(&what, LIMIT, || {
            self.answer().filter(|it| it["role"] == role)
        })
    }

    fn has_address(&self) -> bool {
        let output = self.space.command("ip").args(["-br", "address"]).output();
        String::from_utf8_lossy(&output.unwrap().stdout).contains("10.9.0.100/")
    }

    fn log(&self) -> String {
        self.folder.read("log")
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        // It ends its own children, which a killed one leaves behind.
        if let Some(mut keepalived) = self.keepalived.take() {
            keepalived.signal(Signal::SIGTERM);
            keepalived.wait(LIMIT);
        }
        if std::thread::panicking() {
            let keepalived = self.folder.read("keepalived.log");
            let text = format!("director {}:\n{}\n{keepalived}\n", self.number, self.log());
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
        }
    }
}

/// What people were told: director and words.
fn told(world: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(world.join("told")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Two directors on a bridge, nothing of which runs yet, and a service that is well.
fn pair(world: &TempDir, way: Way) -> (Space, Director, Director) {
    let shared = world.path().display();
    world.write("up", "");
    world.write_executable(
        "probe.monitor",
        format!("#!/bin/sh\ntest -e {shared}/up && exit 0\necho web1\nexit 1\n"),
    );
    let hub = Space::new();
    hub.ip("link add br0 type bridge");
    hub.ip("link set br0 up");
    let one = Director::new(1, &hub, world, way);
    let two = Director::new(2, &hub, world, way);
    (hub, one, two)
}

/// Whether two directors can be built here.
fn can_run(test: &str) -> bool {
    let has_all = ["keepalived", "unshare", "nsenter", "ip"]
        .into_iter()
        .all(have);
    let can = is_root() && has_all;
    if !can {
        skip(test, "root, keepalived, unshare, nsenter and ip");
    }
    can
}

#[test]
fn of_two_directors_one_speaks_and_the_other_goes_on_where_it_fails() {
    if !can_run("of_two_directors_one_speaks_and_the_other_goes_on_where_it_fails") {
        return;
    }
    let world = TempDir::new();
    let (hub, mut one, mut two) = pair(&world, Way::Fifo);
    one.start_lvsmon();
    two.start_lvsmon();
    one.wait_for_role("standby");
    two.wait_for_role("standby");
    one.start_keepalived();
    let active = one.wait_for_role("active");
    assert_eq!(active["sync"]["wanted"], "master on eth0, syncid 7");
    two.start_keepalived();
    wait_until("the word of the second keepalived", LIMIT, || {
        two.answer()
            .is_some_and(|it| it["said"][0]["state"] == "backup")
    });
    assert_eq!(
        two.wait_for_role("standby")["sync"]["wanted"],
        "backup on eth0, syncid 7"
    );

    // Both see the failure, one tells it.
    std::fs::remove_file(world.join("up")).unwrap();
    wait_until("the message of the active one", LIMIT, || {
        told(world.path()) == ["1 failure"]
    });
    wait_until("the standby to hold its own", LIMIT, || {
        two.answer().is_some_and(|it| it["held"] == 1)
    });

    // Its lvsmon is killed: keepalived notices and lets the address go.
    one.lvsmon.take().unwrap().signal(Signal::SIGKILL);
    two.wait_for_role("active");
    assert!(two.has_address());
    wait_until("the message that was held", LIMIT, || {
        told(world.path()) == ["1 failure", "2 failure"]
    });
    wait_until("the address to leave the first", LIMIT, || {
        !one.has_address()
    });
    // It comes back, and nothing moves.
    one.start_lvsmon();
    one.wait_for_role("standby");
    world.write("up", "");
    wait_until("the end of the outage", LIMIT, || {
        told(world.path()).last().is_some_and(|line| line == "2 up")
    });
    assert_eq!(told(world.path()).len(), 3, "{:?}", told(world.path()));

    // The link of the active one is cut, and mended.
    hub.ip("link set p2 down");
    two.wait_for_role("fault");
    one.wait_for_role("active");
    hub.ip("link set p2 up");
    two.wait_for_role("standby");
    assert!(one.has_address() && !two.has_address());

    // Its keepalived ends in order: STOP, and the address goes.
    let mut keepalived = one.keepalived.take().unwrap();
    keepalived.signal(Signal::SIGTERM);
    keepalived.wait(LIMIT);
    one.wait_for_role("fault");
    two.wait_for_role("active");
    one.start_keepalived();
    one.wait_for_role("standby");
}

#[test]
fn lvsmon_role_as_the_notify_script_of_keepalived_is_enough() {
    if !can_run("lvsmon_role_as_the_notify_script_of_keepalived_is_enough") {
        return;
    }
    let world = TempDir::new();
    let (hub, mut one, mut two) = pair(&world, Way::Script);
    one.start_lvsmon();
    two.start_lvsmon();
    one.wait_for_role("alone");
    two.wait_for_role("alone");
    one.start_keepalived();
    let active = one.wait_for_role("active");
    assert_eq!(active["why"], "lvsmon role said MASTER of VI_1", "{active}");
    two.start_keepalived();
    let standby = two.wait_for_role("standby");
    assert_eq!(standby["why"], "lvsmon role said BACKUP of VI_1");
    std::fs::remove_file(world.join("up")).unwrap();
    wait_until("the message of the active one", LIMIT, || {
        told(world.path()) == ["1 failure"]
    });
    wait_until("the standby to hold its own", LIMIT, || {
        two.answer().is_some_and(|it| it["held"] == 1)
    });
    hub.ip("link set p1 down");
    one.wait_for_role("fault");
    two.wait_for_role("active");
    hub.ip("link set p1 up");
    one.wait_for_role("standby");
    two.wait_for_role("active");
}
