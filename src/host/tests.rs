use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;

/// A made-up machine in a folder.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine.file("/proc/self/status", "Name:\tx\nCapEff:\t0000000000003000\n");
        machine.file("/proc/sys/kernel/osrelease", "6.1.0\n");
        machine.file("/var/lib/mon/x", "");
        machine
    }

    fn file(&self, path: &str, text: &str) {
        let path = below(self.0.path(), Path::new(path));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn mode(&self, path: &str, mode: u32) {
        let path = below(self.0.path(), Path::new(path));
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn look(&self, needs: &Needs) -> Vec<Finding> {
        // The folder of the test itself may stand in a strange place.
        look(&fs::canonicalize(self.0.path()).unwrap(), needs)
    }
}

fn needs() -> Needs {
    Needs {
        table: false,
        ipvsadm: false,
        schedulers: BTreeSet::new(),
        nat: BTreeSet::new(),
        one_way: false,
        udp: false,
        ping: false,
        monitor_user: None,
        monitors: BTreeSet::new(),
        mail: Mail::None,
        program_folders: Vec::new(),
        statedir: "/var/lib/mon".into(),
        notify_fifo: None,
    }
}

/// The daemon would refuse it.
#[test]
fn a_fifo_that_others_may_write_or_that_is_none_is_a_problem() {
    let machine = Machine::new();
    let mut needs = needs();
    needs.notify_fifo = Some("/run/vrrp.fifo".into());
    let path = below(machine.0.path(), Path::new("/run/vrrp.fifo"));
    let found = || found(&machine.look(&needs), "notify_fifo");
    let place = "/run/vrrp.fifo".to_owned();
    machine.file("/run/x", "");
    // The VRRP daemon makes it when it starts.
    assert_eq!(found(), (Level::Warning, place.clone()));
    machine.file("/run/vrrp.fifo", "");
    assert_eq!(found(), (Level::Problem, place.clone()));
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/null", &path).unwrap();
    assert_eq!(found(), (Level::Problem, place.clone()));
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
    machine.mode("/run/vrrp.fifo", 0o622);
    assert_eq!(found(), (Level::Problem, place.clone()));
    machine.mode("/run/vrrp.fifo", 0o600);
    assert_eq!(found(), (Level::Good, place));
}

/// As the daemon takes it, and no safer than it is.
#[test]
fn who_may_write_the_fifo_is_said_as_it_is() {
    let machine = Machine::new();
    let mut needs = needs();
    needs.notify_fifo = Some("/run/vrrp.fifo".into());
    let path = below(machine.0.path(), Path::new("/run/vrrp.fifo"));
    let what = || {
        let findings = machine.look(&needs);
        let mut what = findings.into_iter().map(|finding| finding.what);
        what.find(|what| what.contains("notify_fifo"))
            .unwrap_or_default()
    };
    assert_eq!(
        what(),
        "the folder of notify_fifo does not exist: no VRRP daemon can make one there"
    );
    machine.file("/run/x", "");
    assert_eq!(what(), "notify_fifo is not there yet");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
    machine.mode("/run/vrrp.fifo", 0o600);
    assert_eq!(what(), "notify_fifo is a FIFO that only its user may write");
    machine.mode("/run/vrrp.fifo", 0o660);
    assert_eq!(
        what(),
        "notify_fifo is a FIFO that only its user and its group may write"
    );
}

/// The findings about something, as `level place`.
#[track_caller]
fn found(findings: &[Finding], word: &str) -> (Level, String) {
    let finding = findings.iter().find(|finding| finding.what.contains(word));
    let finding = finding.unwrap_or_else(|| panic!("nothing about {word} in {findings:#?}"));
    assert_eq!(finding.advice.is_empty(), finding.level == Level::Good);
    (finding.level, finding.place.clone())
}

#[test]
fn a_file_without_table_needs_no_ipvs() {
    let findings = Machine::new().look(&needs());
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].level, Level::Good);
}

#[test]
fn module_and_schedulers_are_found_loaded_built_in_or_loadable() {
    let machine = Machine::new();
    let mut needs = needs();
    needs.table = true;
    needs.schedulers = ["wlc", "rr", "sh", "mh"].map(str::to_owned).into();
    let findings = machine.look(&needs);
    assert_eq!(found(&findings, "has no IPVS").0, Level::Problem);
    assert_eq!(found(&findings, "scheduler wlc").0, Level::Warning);
    machine.file(
        "/lib/modules/6.1.0/modules.dep",
        "kernel/net/netfilter/ipvs/ip_vs.ko: kernel/x.ko\nkernel/net/netfilter/ipvs/ip_vs_rr.ko.xz:\n",
    );
    machine.file(
        "/lib/modules/6.1.0/modules.builtin",
        "kernel/net/netfilter/ipvs/ip_vs_sh.ko\n",
    );
    machine.file("/proc/modules", "ip_vs_wlc 16384 0 - Live 0x0\n");
    let findings = machine.look(&needs);
    assert_eq!(found(&findings, "IPVS is not loaded").0, Level::Warning);
    for name in ["wlc", "rr", "sh"] {
        assert_eq!(
            found(&findings, &format!("scheduler {name}")).0,
            Level::Good
        );
    }
    assert_eq!(found(&findings, "no scheduler mh").0, Level::Problem);
    machine.file("/proc/net/ip_vs", "");
    assert_eq!(found(&machine.look(&needs), "has IPVS").0, Level::Good);
}

#[test]
fn sysctls_are_judged_by_what_the_file_needs() {
    let machine = Machine::new();
    let mut needs = needs();
    needs.table = true;
    needs.nat = [Family::V4, Family::V6].into();
    machine.file("/proc/sys/net/ipv4/ip_forward", "0\n");
    machine.file("/proc/sys/net/ipv6/conf/all/forwarding", "1\n");
    machine.file("/proc/sys/net/ipv4/vs/expire_nodest_conn", "0\n");
    let findings = machine.look(&needs);
    assert_eq!(
        found(&findings, "not forwarded"),
        (Level::Problem, "/proc/sys/net/ipv4/ip_forward".to_owned())
    );
    assert_eq!(found(&findings, "packets are forwarded").0, Level::Good);
    assert_eq!(found(&findings, "hang until").0, Level::Warning);
    machine.file("/proc/sys/net/ipv4/vs/expire_nodest_conn", "1\n");
    assert_eq!(found(&machine.look(&needs), "end at once").0, Level::Good);
}

#[test]
fn clients_of_udp_services_are_thought_of() {
    let machine = Machine::new();
    machine.file("/proc/sys/net/ipv4/vs/expire_nodest_conn", "0\n");
    for (udp, expected) in [(false, false), (true, true)] {
        let needs = Needs {
            table: true,
            udp,
            ..needs()
        };
        let findings = machine.look(&needs);
        assert_eq!(found(&findings, "left the table").0, Level::Warning);
        let is_told = findings.iter().any(|it| it.what.contains("UDP"));
        assert_eq!(is_told, expected, "{findings:#?}");
    }
}

#[test]
fn ports_that_clients_use_again_are_thought_of_where_they_hold_up_a_drain() {
    let machine = Machine::new();
    let with = |table, one_way| Needs {
        table,
        one_way,
        ..needs()
    };
    let is_told = |findings: &[Finding]| findings.iter().any(|it| it.what.contains("port again"));
    assert!(!is_told(&machine.look(&with(true, true))));
    for (mode, expires, one_way, level) in [
        ("0", "0", false, Level::Warning),
        ("0", "1", true, Level::Warning),
        ("1", "0", true, Level::Warning),
        ("1", "0", false, Level::Good),
        ("1", "1", true, Level::Good),
        ("3", "0", true, Level::Good),
    ] {
        machine.file(
            "/proc/sys/net/ipv4/vs/conn_reuse_mode",
            &format!("{mode}\n"),
        );
        machine.file(
            "/proc/sys/net/ipv4/vs/expire_nodest_conn",
            &format!("{expires}\n"),
        );
        let said = found(&machine.look(&with(true, one_way)), "port again");
        let place = "/proc/sys/net/ipv4/vs/conn_reuse_mode".to_owned();
        assert_eq!(said, (level, place), "{mode} {expires} {one_way}");
    }
    assert!(!is_told(&machine.look(&with(false, true))));
}

#[test]
fn what_a_file_forwards_one_way_is_known() {
    let text = |forward: &str| {
        format!(
            "hostgroup w 10.0.0.1\n\nwatch w\n service s\n  interval 5s\n  monitor fping.monitor\n\n\
             virtual 10.0.0.3:80\n    real w\n    forward {forward}\n    service w:s\n"
        )
    };
    for (forward, expected) in [("dr", true), ("tun", true), ("nat", false)] {
        let (model, _) = crate::config::load_text(&text(forward)).unwrap();
        assert_eq!(Needs::of(&model).one_way, expected, "{forward}");
    }
}

#[test]
fn rights_to_change_the_table_and_to_ping_are_told_apart() {
    let machine = Machine::new();
    let mut needs = needs();
    needs.table = true;
    needs.ping = true;
    let findings = machine.look(&needs);
    assert_eq!(found(&findings, "has CAP_NET_ADMIN").0, Level::Good);
    assert_eq!(found(&findings, "may ping (CAP_NET_RAW)").0, Level::Good);
    machine.file("/proc/self/status", "CapEff:\t0000000000000000\n");
    machine.file("/proc/sys/net/ipv4/ping_group_range", "1\t0\n");
    let findings = machine.look(&needs);
    assert_eq!(found(&findings, "lacks CAP_NET_ADMIN").0, Level::Problem);
    assert_eq!(found(&findings, "may not ping").0, Level::Problem);
    machine.file("/proc/sys/net/ipv4/ping_group_range", "0\t2147483647\n");
    let findings = machine.look(&needs);
    assert_eq!(found(&findings, "ping_group_range").0, Level::Good);
}

#[test]
fn rights_to_run_monitors_as_another_user_are_looked_at() {
    let machine = Machine::new();
    let user = MonitorUser {
        name: "watcher".into(),
        uid: u32::MAX - 7,
        gid: u32::MAX - 7,
        groups: Vec::new(),
        home: "/nonexistent".into(),
    };
    let mut needs = needs();
    needs.monitor_user = Some(user.into());
    for (caps, level, word) in [
        (
            "0000000000003000",
            Level::Problem,
            "CAP_KILL and CAP_SETGID and CAP_SETUID",
        ),
        ("00000000000000c0", Level::Problem, "lacks CAP_KILL:"),
        (
            "00000000000000e0",
            Level::Good,
            "can run as monitor_user watcher",
        ),
    ] {
        machine.file("/proc/self/status", &format!("CapEff:\t{caps}\n"));
        assert_eq!(found(&machine.look(&needs), word).0, level, "{caps}");
    }
    let own = MonitorUser {
        name: "own".into(),
        uid: nix::unistd::geteuid().as_raw(),
        gid: 0,
        groups: Vec::new(),
        home: "/nonexistent".into(),
    };
    needs.monitor_user = Some(own.into());
    machine.file("/proc/self/status", "CapEff:\t0000000000000000\n");
    assert_eq!(found(&machine.look(&needs), "own itself").0, Level::Good);
}

#[test]
fn the_user_of_monitors_has_to_get_to_them() {
    let machine = Machine::new();
    machine.file("/proc/self/status", "CapEff:\t00000000000000e0\n");
    machine.file("/usr/lib/mon/mon.d/own.monitor", "");
    for path in [
        "/usr",
        "/usr/lib",
        "/usr/lib/mon",
        "/usr/lib/mon/mon.d",
        "/usr/lib/mon/mon.d/own.monitor",
    ] {
        machine.mode(path, 0o755);
    }
    let user = |groups: &[u32]| MonitorUser {
        name: "watcher".into(),
        uid: u32::MAX - 7,
        gid: u32::MAX - 7,
        groups: groups.to_vec(),
        home: "/nonexistent".into(),
    };
    let mut needs = needs();
    needs.monitors = ["/usr/lib/mon/mon.d/own.monitor", "/etc/mon/gone.monitor"]
        .map(PathBuf::from)
        .into();
    needs.monitor_user = Some(user(&[]).into());
    let is_good = |findings: &[Finding]| {
        let mut good = findings.iter().filter(|it| it.level == Level::Good);
        good.any(|it| it.what == "monitors can run as monitor_user watcher")
    };
    assert!(is_good(&machine.look(&needs)));
    for (path, mode, word) in [
        ("/usr/lib/mon/mon.d", 0o700, "may not enter a folder"),
        ("/usr/lib/mon/mon.d", 0o754, "may not enter a folder"),
        ("/usr/lib/mon", 0o700, "may not enter a folder"),
        ("/usr/lib/mon/mon.d/own.monitor", 0o700, "may not run"),
    ] {
        machine.mode(path, mode);
        let findings = machine.look(&needs);
        assert_eq!(found(&findings, word), (Level::Problem, path.to_owned()));
        assert!(!is_good(&findings), "{findings:#?}");
        machine.mode(path, 0o755);
    }
    // By one of its groups.
    machine.mode("/usr/lib/mon/mon.d", 0o710);
    assert!(!is_good(&machine.look(&needs)));
    let path = below(machine.0.path(), Path::new("/usr/lib/mon/mon.d"));
    let group = fs::metadata(path).unwrap().gid();
    needs.monitor_user = Some(user(&[7, group]).into());
    assert!(is_good(&machine.look(&needs)));
    // A link is followed: what is above its end counts.
    machine.mode("/usr/lib/mon/mon.d", 0o755);
    machine.file("/opt/closed/x.monitor", "");
    machine.mode("/opt/closed/x.monitor", 0o755);
    machine.mode("/opt/closed", 0o700);
    let root = machine.0.path();
    let link = below(root, Path::new("/usr/lib/mon/mon.d/x.monitor"));
    let end = below(root, Path::new("/opt/closed/x.monitor"));
    std::os::unix::fs::symlink(end, link).unwrap();
    needs.monitors.insert("/usr/lib/mon/mon.d/x.monitor".into());
    let findings = machine.look(&needs);
    assert_eq!(found(&findings, "may not enter a folder").1, "/opt/closed");
    assert!(!is_good(&findings));
}

#[test]
fn every_part_of_a_program_folder_is_looked_at() {
    let machine = Machine::new();
    machine.file("/usr/lib/mon/mon.d/http.monitor", "");
    machine.file("/usr/lib/mon/mon.d/own.monitor", "");
    let mut needs = needs();
    needs.program_folders = vec![
        ("mondir", "/usr/lib/mon/mon.d".into()),
        ("alertdir", "/usr/lib/mon/alert.d".into()),
    ];
    let findings = machine.look(&needs);
    assert_eq!(found(&findings, "programs of mondir").0, Level::Good);
    assert_eq!(
        found(&findings, "alertdir folder is missing").0,
        Level::Warning
    );
    for path in [
        "/usr/lib/mon",
        "/usr/lib/mon/mon.d",
        "/usr/lib/mon/mon.d/own.monitor",
    ] {
        machine.mode(path, 0o777);
        let findings = machine.look(&needs);
        assert_eq!(
            found(&findings, "everybody may write"),
            (Level::Problem, path.to_owned())
        );
        machine.mode(path, 0o755);
    }
    machine.mode("/usr/lib/mon/mon.d", 0o1777);
    assert_eq!(
        found(&machine.look(&needs), "programs of mondir").0,
        Level::Good
    );
}

#[test]
fn the_way_of_mail_is_looked_at_only_where_mail_is_sent() {
    let machine = Machine::new();
    let mut needs = needs();
    for (mail, level) in [
        (Mail::Sendmail, Level::Problem),
        (Mail::Default, Level::Warning),
    ] {
        needs.mail = mail;
        assert_eq!(found(&machine.look(&needs), "sendmail").0, level);
    }
    machine.file("/usr/sbin/sendmail", "");
    assert_eq!(
        found(&machine.look(&needs), "no sendmail").0,
        Level::Warning,
        "not executable"
    );
    machine.mode("/usr/sbin/sendmail", 0o755);
    assert_eq!(
        found(&machine.look(&needs), "through sendmail"),
        (Level::Good, "/usr/sbin/sendmail".to_owned())
    );
    needs.mail = Mail::Relay("smtp://relay:25".to_owned());
    assert_eq!(found(&machine.look(&needs), "relay").0, Level::Good);
}

#[test]
fn the_state_folder_must_be_ours_or_be_makeable() {
    let machine = Machine::new();
    let mut needs = needs();
    machine.mode("/var/lib/mon", 0o777);
    assert_eq!(
        found(&machine.look(&needs), "state folder is unsafe").0,
        Level::Problem
    );
    machine.mode("/var/lib/mon", 0o700);
    assert_eq!(
        found(&machine.look(&needs), "can be written").0,
        Level::Good
    );
    needs.statedir = "/var/lib/new/state".into();
    assert_eq!(found(&machine.look(&needs), "will be made").0, Level::Good);
    needs.statedir = "/var/lib/mon/x".into();
    assert_eq!(found(&machine.look(&needs), "no folder").0, Level::Problem);
}

#[test]
fn a_section_needs_what_an_lvs_alert_line_would() {
    let text = "hostgroup web 192.168.0.1\n\nwatch web\n    service tcp\n\tmonitor tcp.monitor -p 80\n\n\
                virtual 10.0.0.3:80\n    scheduler mh\n    real web\n    service web:tcp\n    \
                fallback 192.168.0.9:8080 forward nat\n    alert mail.alert ops\n";
    let (model, _) = crate::config::load_text(text).unwrap();
    let needs = Needs::of(&model);
    assert!(needs.table && !needs.ipvsadm);
    assert_eq!(needs.schedulers, BTreeSet::from(["mh".to_owned()]));
    assert_eq!(needs.nat, BTreeSet::from([Family::V4]));
    assert_eq!(needs.mail, Mail::Default);
    let memory = format!("ipvs_backend = memory\n\n{text}");
    let (model, _) = crate::config::load_text(&memory).unwrap();
    assert!(!Needs::of(&model).table);
}

#[test]
fn a_name_without_its_one_address_is_named_with_its_line() {
    let machine = Machine::new();
    machine.file(
        "/etc/hosts",
        "192.168.0.1 www1\n192.168.0.2 www2\n192.168.0.3 www2\n2001:db8::6 six\n127.0.0.1 gate\n",
    );
    // Nobody answers there.
    machine.file(
        "/etc/resolv.conf",
        "nameserver 127.0.0.255\noptions timeout:1 attempts:1\n",
    );
    let text = "hostgroup web www1 www2 six\nhostgroup other gone.invalid gate\n\n\
                watch web\n    service tcp\n\tmonitor tcp.monitor -p 80\n\
                \tperiod\n\t    upalert trap.alert gate mon.invalid:99\n\
                \t    upalert mail.alert ops@lab.example\n\n\
                watch other\n    service tcp\n\tmonitor tcp.monitor -p 80\n\n\
                virtual 10.0.0.3:80\n    real web\n    real 192.168.0.7 service none\n    \
                real LOST.invalid service none\n    \
                service web:tcp\n    fallback fb.invalid:8080 forward nat\n";
    let path = machine.0.path().join("mon.cf");
    // Debian's mon may be on this machine.
    let own = machine.0.path().display();
    fs::write(
        &path,
        format!(
            "alertdir = {own}\ntrapbind = bind.invalid\nmail_relay = smtp://mial.invalid:25\n{text}"
        ),
    )
    .unwrap();
    let loaded = crate::site::load(&path, &crate::site::LoadOptions::default()).unwrap();
    let findings = names::look(machine.0.path(), &loaded.model, &loaded.hosts);
    let said = |what: &str, level, line: u32| {
        let place = format!("{}:{line}", path.display());
        let found = findings
            .iter()
            .find(|it| it.what.contains(what))
            .unwrap_or_else(|| panic!("{what}: {findings:#?}"));
        assert_eq!((found.level, &found.place), (level, &place), "{what}");
    };
    said(
        "www2 has 2 IPv4 addresses (192.168.0.2, 192.168.0.3)",
        Level::Problem,
        4,
    );
    said("six has no IPv4 address", Level::Problem, 4);
    said("cannot resolve \"gone.invalid\"", Level::Warning, 5);
    said("cannot resolve \"lost.invalid\"", Level::Problem, 21);
    said("cannot resolve \"fb.invalid\"", Level::Problem, 23);
    // A list that is cut has the worst.
    assert!(
        findings.iter().map(|it| it.level).is_sorted(),
        "{findings:#?}"
    );
    let found = |name: &str| {
        let what = format!("cannot resolve \"{name}\"");
        findings.iter().find(|it| it.what.contains(&what)).unwrap()
    };
    let told = found("mon.invalid");
    assert!(told.level == Level::Warning && told.advice.contains("trap.alert"));
    let relay = found("mial.invalid");
    assert!(relay.level == Level::Warning && relay.advice.contains("mail_relay"));
    let bound = found("bind.invalid");
    assert!(bound.level == Level::Problem && bound.advice.contains("does not start"));
    let good = findings.iter().filter(|it| it.level == Level::Good);
    let good: Vec<&str> = good.map(|it| it.what.as_str()).collect();
    assert_eq!(good, ["2 names found"]);
}

#[test]
fn names_of_one_address_in_one_section_are_said() {
    let machine = Machine::new();
    machine.file("/etc/hosts", "192.168.0.1 www1 www2\n192.168.0.2 www3\n");
    machine.file("/etc/resolv.conf", "nameserver 127.0.0.255\n");
    let path = machine.0.path().join("mon.cf");
    let own = machine.0.path().display();
    let text = format!(
        "alertdir = {own}\nhostgroup web www1\n\nwatch web\n    service tcp\n\t\
         monitor tcp.monitor -p 80\n\nvirtual 10.0.0.3:80\n    forward nat\n    \
         real www1 weight 3 service web:tcp\n    real 192.168.0.1 weight 5 service none\n    \
         real www3 service none\n\nvirtual 10.0.0.3:81\n    forward nat\n    \
         real www1 service none\n    real www2 port 82 service none\n"
    );
    fs::write(&path, text).unwrap();
    let loaded = crate::site::load(&path, &crate::site::LoadOptions::default()).unwrap();
    let findings = names::look(machine.0.path(), &loaded.model, &loaded.hosts);
    let said = findings.iter().filter(|it| it.level != Level::Good);
    let said: Vec<(Level, &str, &str)> = said
        .map(|it| (it.level, it.what.as_str(), it.place.as_str()))
        .collect();
    let place = format!("{}:11", path.display());
    assert_eq!(
        said,
        [(
            Level::Problem,
            "www1 and 192.168.0.1 have one address, 192.168.0.1: they are one real server of \
             10.0.0.3:80/tcp, with nat weight 3, as the first of them says",
            place.as_str()
        )]
    );
}
