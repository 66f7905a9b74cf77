//! The ways to the table, shown against a kernel: they agree with each other and with what the
//! kernel and ipvsadm say, and each refusal is told as what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::Arc;

use lvsmon::clock::Clock;
use lvsmon::daemon::applier::Applier;
use lvsmon::engine::event::Event;
use lvsmon::ipvs::{Backend, IpvsRefusal, listing};
use lvsmon::lvs::{
    Command, DesiredService, Forwarding, RealServer, RealServerKey, Scheduler, ServerWish,
    ServiceWish, Strangers, Table, VirtualService, VirtualServiceKey, Weight,
};
use lvsmon::model::IpvsBackend;

use tokio::sync::{mpsc, watch};

use super::guest::{Farm, attempt, in_role, run};
use super::lab::scenarios;
use super::table;

scenarios!(
    "backends",
    [
        without_the_module_it_is_asked_for,
        the_backends_agree_with_the_kernel_on_every_kind_of_entry,
        each_backend_makes_every_kind_of_entry,
        each_backend_takes_back_what_it_made,
        an_entry_that_another_was_faster_with_is_no_error,
        a_missing_scheduler_is_named,
        a_missing_service_is_named,
        without_the_right_nothing_is_read_or_changed,
        a_module_that_was_loaded_again_is_found_again,
        the_applier_goes_on_after_a_refusal_and_tries_it_again,
        a_table_of_ten_thousand_real_servers_is_read_whole,
    ]
);

/// Both ways to the kernel.
const BACKENDS: [IpvsBackend; 2] = [IpvsBackend::Netlink, IpvsBackend::Ipvsadm];

/// Lines of `ipvsadm -Sn` for every kind of entry that this program may meet.
const EVERY_KIND: &[&str] = &[
    "-A -t 10.0.0.3:80 -s rr",
    "-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5",
    "-a -t 10.0.0.3:80 -r 192.168.0.2:8080 -m -w 70000",
    "-a -t 10.0.0.3:80 -r 192.168.0.3:80 -i -w 0 --tun-type ipip",
    "-A -t 10.0.0.3:443 -s wlc -p 600 -M 255.255.255.0",
    "-A -t 10.0.0.3:0 -s sh -p 360 -b sh-fallback,sh-port",
    "-A -t 10.0.0.3:81 -s mh -b mh-fallback,mh-port",
    "-A -t 10.0.0.3:82 -s wrr -b flag-1,flag-2,flag-3",
    "-A -u 10.0.0.3:53 -s rr -o",
    "-a -u 10.0.0.3:53 -r 192.168.0.1:53 -m -w 1",
    "-A --sctp-service 10.0.0.3:7 -s rr",
    "-a --sctp-service 10.0.0.3:7 -r 192.168.0.1:7 -m -w 1",
    "-A -t [2001:db8::3]:80 -s rr -p 60 -M 64",
    "-a -t [2001:db8::3]:80 -r 192.168.0.9:80 -i -w 1 --tun-type ipip",
    "-a -t [2001:db8::3]:80 -r [2001:db8::11]:80 -g -w 1",
    "-A -u [2001:db8::3]:53 -s rr -o",
    "-A -f 7 -s rr",
    "-a -f 7 -r 192.168.0.1:0 -g -w 1",
    "-a -f 7 -r 192.168.0.2:8080 -m -w 1",
    "-A -f 7 -6 -s rr",
    "-a -f 7 -6 -r [2001:db8::11]:0 -g -w 3",
    "-A -f -1 -s rr",
];

/// What makes them. ipvsadm prints large marks as negative numbers, and does not take those.
fn make_every_kind() {
    for line in EVERY_KIND {
        run(&format!(
            "ipvsadm {}",
            line.replace("-f -1", "-f 4294967295")
        ));
    }
}

fn every_kind() -> BTreeSet<String> {
    EVERY_KIND.iter().map(|line| (*line).to_owned()).collect()
}

fn open(kind: IpvsBackend) -> Backend {
    Backend::open(kind, "/run".as_ref())
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

fn list(kind: IpvsBackend) -> Result<Table, IpvsRefusal> {
    block_on(async { open(kind).list().await }).map_err(|error| error.refusal)
}

fn apply(kind: IpvsBackend, command: &Command) -> Result<(), IpvsRefusal> {
    block_on(async { open(kind).apply(command).await }).map_err(|error| error.refusal)
}

fn web() -> VirtualServiceKey {
    "10.0.0.3:80/tcp".parse().expect("a key")
}

fn real(address: &str) -> RealServerKey {
    RealServerKey(address.parse().expect("an address"))
}

fn plain(scheduler: &str) -> VirtualService {
    let scheduler = Scheduler::new(scheduler).expect("a name");
    VirtualService::plain(lvsmon::lvs::Family::V4, scheduler)
}

const DR: RealServer = RealServer::new(Forwarding::Dr, Weight(5));

fn without_the_module_it_is_asked_for(_: &mut Farm) {
    let (loaded, _) = attempt("grep -q '^ip_vs ' /proc/modules");
    assert!(!loaded, "this scenario has to be the first of its lab");
    for kind in BACKENDS {
        assert_eq!(list(kind), Err(IpvsRefusal::NoModule), "{kind:?}");
    }
    let add = Command::AddService(web(), plain("rr"));
    let error = block_on(async { open(IpvsBackend::Netlink).apply(&add).await });
    assert_eq!(
        error.expect_err("no module").to_string(),
        "cannot add virtual service 10.0.0.3:80/tcp with scheduler rr: the kernel has no IPVS; \
         load it with `modprobe ip_vs`, and at each boot through /etc/modules-load.d"
    );
}

fn the_backends_agree_with_the_kernel_on_every_kind_of_entry(farm: &mut Farm) {
    farm.build();
    make_every_kind();
    run("ipvsadm -e -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5 -x 100 -y 50");
    assert_eq!(table::ipvsadm(), every_kind());
    let netlink = list(IpvsBackend::Netlink).expect("a table");
    let thresholds = netlink[&web()].servers[&real("192.168.0.1:80")];
    assert_eq!(
        (thresholds.upper_threshold, thresholds.lower_threshold),
        (100, 50)
    );
    run("ipvsadm -e -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5");
    let netlink = list(IpvsBackend::Netlink).expect("a table");
    let ipvsadm = list(IpvsBackend::Ipvsadm).expect("a table");
    assert_eq!(netlink, ipvsadm);
    let lines: BTreeSet<String> = table::proc_net();
    let shown: BTreeSet<String> = listing::format(&netlink)
        .lines()
        .map(table::as_proc_net)
        .collect();
    assert_eq!(shown, lines);
    let only = block_on(async {
        let mut backend = open(IpvsBackend::Netlink);
        backend.list_where(|key| *key == web()).await
    });
    assert_eq!(only.expect("a table").len(), 1);
}

fn each_backend_makes_every_kind_of_entry(farm: &mut Farm) {
    farm.build();
    make_every_kind();
    let wanted = list(IpvsBackend::Netlink).expect("a table");
    for kind in BACKENDS {
        run("ipvsadm -C");
        for (key, entry) in &wanted {
            let add = Command::AddService(*key, entry.service.clone());
            assert_eq!(apply(kind, &add), Ok(()), "{kind:?}: {add}");
            for (server, to) in &entry.servers {
                let add = Command::AddServer(*key, *server, *to);
                assert_eq!(apply(kind, &add), Ok(()), "{kind:?}: {add}");
            }
        }
        assert_eq!(table::ipvsadm(), every_kind(), "{kind:?}");
    }
}

fn each_backend_takes_back_what_it_made(farm: &mut Farm) {
    farm.build();
    for kind in BACKENDS {
        make_every_kind();
        let table = list(kind).expect("a table");
        for (key, entry) in &table {
            for server in entry.servers.keys() {
                let edit = Command::EditServer(*key, *server, entry.servers[server]);
                assert_eq!(apply(kind, &edit), Ok(()), "{kind:?}: {edit}");
                let delete = Command::DeleteServer(*key, *server);
                assert_eq!(apply(kind, &delete), Ok(()), "{kind:?}: {delete}");
            }
            let delete = Command::DeleteService(*key);
            assert_eq!(apply(kind, &delete), Ok(()), "{kind:?}: {delete}");
        }
        assert_eq!(table::proc_net(), BTreeSet::new(), "{kind:?}");
    }
}

fn an_entry_that_another_was_faster_with_is_no_error(farm: &mut Farm) {
    farm.build();
    for kind in BACKENDS {
        run("ipvsadm -C");
        run("ipvsadm -A -t 10.0.0.3:80 -s wrr");
        run("ipvsadm -a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 9");
        let server = real("192.168.0.1:80");
        let steps = [
            Command::AddService(web(), plain("rr")),
            Command::AddServer(web(), server, DR),
            Command::EditServer(web(), real("192.168.0.2:80"), DR),
            Command::DeleteServer(web(), real("192.168.0.3:80")),
            Command::DeleteService("10.0.0.3:81/tcp".parse().expect("a key")),
            Command::DeleteServer("10.0.0.3:81/tcp".parse().expect("a key"), server),
        ];
        for step in steps {
            assert_eq!(apply(kind, &step), Ok(()), "{kind:?}: {step}");
        }
        farm.expect_table(
            super::guest::SOON,
            &[
                "-A -t 10.0.0.3:80 -s wrr",
                "-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5",
                "-a -t 10.0.0.3:80 -r 192.168.0.2:80 -g -w 5",
            ],
        );
    }
}

fn a_missing_scheduler_is_named(farm: &mut Farm) {
    farm.build();
    for kind in BACKENDS {
        let add = Command::AddService(web(), plain("lblc"));
        let refusal = apply(kind, &add).expect_err("no such scheduler");
        assert_eq!(refusal, IpvsRefusal::NoScheduler("lblc".into()), "{kind:?}");
        assert!(refusal.to_string().contains("modprobe ip_vs_lblc"));
    }
    assert_eq!(table::proc_net(), BTreeSet::new());
}

fn a_missing_service_is_named(farm: &mut Farm) {
    farm.build();
    for kind in BACKENDS {
        let add = Command::AddServer(web(), real("192.168.0.1:80"), DR);
        assert_eq!(
            apply(kind, &add),
            Err(IpvsRefusal::NoSuchService),
            "{kind:?}"
        );
        let edit = Command::EditServer(web(), real("192.168.0.1:80"), DR);
        assert_eq!(
            apply(kind, &edit),
            Err(IpvsRefusal::NoSuchService),
            "{kind:?}"
        );
    }
}

/// The same program, as a user without rights, lists and adds.
pub(super) fn as_a_user_without_rights() {
    for kind in BACKENDS {
        assert_eq!(list(kind), Err(IpvsRefusal::NotPermitted), "{kind:?}");
        let add = Command::AddServer(web(), real("192.168.0.1:80"), DR);
        assert_eq!(
            apply(kind, &add),
            Err(IpvsRefusal::NotPermitted),
            "{kind:?}"
        );
    }
}

fn without_the_right_nothing_is_read_or_changed(farm: &mut Farm) {
    farm.build();
    run("ipvsadm -A -t 10.0.0.3:80 -s rr");
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
    ];
    let mut nobody = in_role("nobody", &nobody);
    let output = nobody.stderr(Stdio::piped()).output().expect("setpriv");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    farm.expect_table(super::guest::SOON, &["-A -t 10.0.0.3:80 -s rr"]);
}

fn a_module_that_was_loaded_again_is_found_again(farm: &mut Farm) {
    farm.build();
    block_on(async {
        let mut backend = open(IpvsBackend::Netlink);
        assert_eq!(backend.list().await, Ok(Table::new()));
        run("modprobe -r -d /run/m ip_vs_rr ip_vs_wrr ip_vs_wlc ip_vs_sh ip_vs_mh ip_vs");
        let error = backend.list().await.expect_err("no module");
        assert_eq!(error.refusal, IpvsRefusal::NoModule);
        run("modprobe -d /run/m ip_vs_rr");
        assert_eq!(backend.list().await, Ok(Table::new()));
        let add = Command::AddService(web(), plain("rr"));
        assert_eq!(backend.apply(&add).await, Ok(()));
        run("modprobe -d /run/m ip_vs_wrr");
    });
    farm.expect_table(super::guest::SOON, &["-A -t 10.0.0.3:80 -s rr"]);
    run("for m in ip_vs_wlc ip_vs_sh ip_vs_mh; do modprobe -d /run/m $m; done");
}

fn the_applier_goes_on_after_a_refusal_and_tries_it_again(farm: &mut Farm) {
    farm.build();
    let with = |scheduler: &str, server: &str| DesiredService {
        service: ServiceWish::Present(plain(scheduler)),
        servers: BTreeMap::from([(real(server), ServerWish::In(DR))]),
        strangers: Strangers::Ignored,
    };
    let other: VirtualServiceKey = "10.0.0.3:81/tcp".parse().expect("a key");
    let desired = BTreeMap::from([
        (web(), with("lblc", "192.168.0.1:80")),
        (other, with("rr", "192.168.0.1:81")),
    ]);
    block_on(async {
        let (_wish, wishes) = watch::channel(Arc::new(desired));
        let (sender, mut events) = mpsc::channel(4);
        let backend = open(IpvsBackend::Netlink);
        let applier = Applier::start(backend, wishes, sender, Clock::start()).expect("a thread");
        let Some(Event::Table(outcome)) = events.recv().await else {
            panic!("no outcome");
        };
        let [(command, why)] = &outcome.refused[..] else {
            panic!("{outcome:?}");
        };
        assert_eq!(*command, Command::AddService(web(), plain("lblc")));
        assert!(why.contains("modprobe ip_vs_lblc"), "{why}");
        assert_eq!(outcome.applied.len(), 2);
        run("modprobe -d /run/m ip_vs_lblc");
        let Some(Event::Table(outcome)) = events.recv().await else {
            panic!("no outcome");
        };
        assert_eq!((outcome.applied.len(), outcome.refused.len()), (2, 0));
        assert_eq!(outcome.drift, 0);
        applier.stop(None).await;
    });
    farm.expect_table(
        super::guest::SOON,
        &[
            "-A -t 10.0.0.3:80 -s lblc",
            "-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5",
            "-A -t 10.0.0.3:81 -s rr",
            "-a -t 10.0.0.3:81 -r 192.168.0.1:81 -g -w 5",
        ],
    );
}

fn a_table_of_ten_thousand_real_servers_is_read_whole(farm: &mut Farm) {
    farm.build();
    block_on(async {
        let mut backend = open(IpvsBackend::Netlink);
        let mut wanted = Table::new();
        for service in 0..10_u16 {
            let key = format!("10.0.0.3:{}/tcp", 1000 + service);
            let key: VirtualServiceKey = key.parse().expect("a key");
            let add = Command::AddService(key, plain("rr"));
            backend.apply(&add).await.expect("added");
            let mut servers = BTreeMap::new();
            let low = |number: u16| u8::try_from(number).expect("below 251");
            for server in 0..1000_u16 {
                let address =
                    std::net::Ipv4Addr::new(10, 1, low(server / 250), low(server % 250 + 1));
                let server = real(&format!("{address}:80"));
                let nat = RealServer::new(Forwarding::Nat, Weight(1));
                let add = Command::AddServer(key, server, nat);
                backend.apply(&add).await.expect("added");
                servers.insert(server, nat);
            }
            let service = plain("rr");
            wanted.insert(key, lvsmon::lvs::TableEntry { service, servers });
        }
        assert_eq!(backend.list().await, Ok(wanted));
    });
    assert_eq!(table::proc_net().len(), 10_010);
}
