use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::engine::event::Contested;
use crate::lvs::{
    DesiredService, Family, Forwarding, RealServer, RealServerKey, Scheduler, ServerWish,
    ServiceWish, Strangers, VirtualService, VirtualServiceKey, Weight,
};
use crate::model::IpvsBackend;

/// Everything here happens within milliseconds or, after a pause of its own, a few seconds.
const LIMIT: Duration = Duration::from_secs(20);

const BOTH: &str = "\
-A -t 10.0.0.3:80 -s wlc
-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5
-a -t 10.0.0.3:80 -r 192.168.0.2:80 -g -w 5
";

/// An applier on a table in a file.
struct Bench {
    folder: TempDir,
    desired: watch::Sender<Arc<Desired>>,
    events: mpsc::Receiver<Event>,
    applier: Applier,
}

impl Bench {
    fn new(table: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("table"), table).unwrap();
        let (desired, wishes) = watch::channel(Arc::new(Desired::new()));
        let (sender, events) = mpsc::channel(16);
        let backend = Backend::open(IpvsBackend::Memory, folder.path());
        let applier = Applier::start(backend, wishes, sender, Clock::start()).unwrap();
        Self {
            folder,
            desired,
            events,
            applier,
        }
    }

    /// A worker of its own, whose table is the same file.
    fn worker(&self) -> Worker {
        let backend = Backend::open(IpvsBackend::Memory, self.folder.path());
        let senders = (
            watch::channel(None).0,
            watch::channel(Arc::default()).0,
            watch::channel(Looks::default()).0,
        );
        let asked = watch::channel(Asked::default()).1;
        Worker::new(backend, Clock::start(), senders, asked)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("table")
    }

    fn table(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    fn disturb(&self, table: &str) {
        std::fs::write(self.file(), table).unwrap();
    }

    fn want(&self, desired: Desired) {
        self.desired.send(Arc::new(desired)).unwrap();
    }

    async fn outcome(&mut self) -> TableOutcome {
        next(&mut self.events).await
    }
}

/// The place that somebody else writes.
fn placed(it: &Contested) -> Place {
    place(&it.repair)
}

async fn next(events: &mut mpsc::Receiver<Event>) -> TableOutcome {
    match tokio::time::timeout(LIMIT, events.recv()).await {
        Ok(Some(Event::Table(outcome))) => outcome,
        other => panic!("{other:?}"),
    }
}

fn web() -> VirtualServiceKey {
    "10.0.0.3:80/tcp".parse().unwrap()
}

fn real(number: u8) -> RealServerKey {
    RealServerKey(format!("192.168.0.{number}:80").parse().unwrap())
}

const WISH: ServerWish = ServerWish::In(RealServer::new(Forwarding::Dr, Weight(5)));

fn wanted(service: ServiceWish, servers: &[(u8, ServerWish)]) -> Desired {
    let servers = servers
        .iter()
        .map(|(number, wish)| (real(*number), *wish))
        .collect();
    Desired::from([(
        web(),
        DesiredService {
            service,
            servers,
            strangers: Strangers::Ignored,
        },
    )])
}

/// A virtual service that is owned whole.
fn owned_whole(servers: &[(u8, ServerWish)]) -> Desired {
    let plain = VirtualService::plain(Family::V4, Scheduler::wlc());
    let mut desired = wanted(ServiceWish::Owned(plain), servers);
    for wish in desired.values_mut() {
        wish.strangers = Strangers::Removed;
    }
    desired
}

fn ours() -> ServiceWish {
    ServiceWish::Present(VirtualService::plain(Family::V4, Scheduler::wlc()))
}

#[tokio::test]
async fn the_table_is_written_while_the_loop_does_not_turn() {
    let bench = Bench::new("");
    bench.want(wanted(ours(), &[(1, WISH), (2, WISH)]));
    // Nothing of this thread's runtime goes on here.
    let watch = Stopwatch::start();
    while bench.table() != BOTH {
        assert!(watch.elapsed() < LIMIT, "{}", bench.table());
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_new_wish_is_carried_out_and_reported() {
    let mut bench = Bench::new("");
    bench.want(wanted(ours(), &[(1, WISH), (2, WISH)]));
    let outcome = bench.outcome().await;
    assert_eq!(outcome.applied.len(), 3, "{outcome:?}");
    assert_eq!((outcome.drift, outcome.refused.len()), (0, 0));
    assert_eq!(outcome.table.read().unwrap()[&web()].servers.len(), 2);
    assert_eq!(bench.table(), BOTH);
    bench.want(wanted(ours(), &[(1, ServerWish::Out), (2, WISH)]));
    let outcome = bench.outcome().await;
    assert_eq!(outcome.applied, [Command::DeleteServer(web(), real(1))]);
    bench.applier.stop(None).await;
}

#[tokio::test]
async fn what_others_break_is_repaired_and_counted() {
    let mut bench = Bench::new(BOTH);
    bench.want(wanted(ours(), &[(1, WISH), (2, WISH)]));
    let adopted = bench.outcome().await;
    assert_eq!((adopted.applied.len(), adopted.drift), (0, 0));
    bench.disturb("");
    let outcome = bench.outcome().await;
    assert_eq!((outcome.applied.len(), outcome.drift), (3, 3));
    assert_eq!(bench.table(), BOTH);
    bench.disturb(&BOTH.replace("2:80 -g -w 5", "2:80 -g -w 1"));
    let outcome = bench.outcome().await;
    assert_eq!((outcome.applied.len(), outcome.drift), (1, 1));
    assert_eq!(bench.table(), BOTH);
}

#[tokio::test]
async fn a_stranger_in_a_service_that_is_owned_whole_is_removed_and_counted() {
    let mut bench = Bench::new(BOTH);
    bench.want(owned_whole(&[(1, WISH), (2, WISH)]));
    let adopted = bench.outcome().await;
    assert_eq!((adopted.applied.len(), adopted.drift), (0, 0));
    bench.disturb(&format!(
        "{BOTH}-a -t 10.0.0.3:80 -r 192.168.0.9:80 -m -w 3\n"
    ));
    let outcome = bench.outcome().await;
    assert_eq!(outcome.applied, [Command::DeleteServer(web(), real(9))]);
    assert_eq!(outcome.drift, 1);
    assert_eq!(bench.table(), BOTH);
}

#[tokio::test]
async fn what_is_not_owned_stays_and_is_not_even_reported() {
    let foreign = "\
-A -t 10.0.0.3:80 -s rr
-a -t 10.0.0.3:80 -r 192.168.0.9:80 -m -w 3
-A -t 10.0.0.4:80 -s wlc
";
    let mut bench = Bench::new(foreign);
    bench.want(wanted(ServiceWish::Foreign, &[(1, WISH)]));
    let outcome = bench.outcome().await;
    let table = outcome.table.read().unwrap();
    assert_eq!(table.len(), 1);
    assert!(table[&web()].servers.keys().eq([&real(1)]));
    let mut lines: Vec<&str> = foreign.lines().collect();
    lines.insert(1, "-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5");
    assert!(bench.table().lines().eq(lines));
}

#[tokio::test]
async fn a_foreign_service_is_said_to_be_missing_and_filled_when_it_comes() {
    let mut bench = Bench::new("");
    bench.want(wanted(ServiceWish::Foreign, &[(1, WISH), (2, WISH)]));
    let outcome = bench.outcome().await;
    assert_eq!(outcome.missing, [web()]);
    assert_eq!(outcome.applied, []);
    bench.disturb("-A -t 10.0.0.3:80 -s wlc\n");
    let outcome = bench.outcome().await;
    assert_eq!((outcome.missing.len(), outcome.applied.len()), (0, 2));
    assert_eq!(outcome.drift, 0, "it was waited for");
    assert_eq!(bench.table(), BOTH);
}

#[tokio::test]
async fn a_table_that_cannot_be_read_is_tried_again() {
    let mut bench = Bench::new("what is this\n");
    bench.want(wanted(ours(), &[(1, WISH), (2, WISH)]));
    let outcome = bench.outcome().await;
    assert_eq!(outcome.table.read(), None);
    let why = outcome.table.unreadable().unwrap();
    assert!(
        why.contains("line 1 of the listing, \"what is this\""),
        "{why}"
    );
    assert_eq!(bench.table(), "what is this\n", "nothing was written");
    bench.disturb("");
    let outcome = bench.outcome().await;
    assert_eq!(
        (outcome.table.unreadable(), outcome.applied.len()),
        (None, 3)
    );
    assert_eq!(bench.table(), BOTH);
}

#[tokio::test]
async fn a_batch_that_could_not_be_written_was_not_applied() {
    let mut bench = Bench::new("");
    // The state folder leads nowhere: no table is there, and none can be written.
    let folder = bench.folder.path().join("state");
    std::os::unix::fs::symlink("nowhere", &folder).unwrap();
    let (sender, events) = mpsc::channel(16);
    let backend = Backend::open(IpvsBackend::Memory, &folder);
    let wishes = bench.desired.subscribe();
    bench.applier = Applier::start(backend, wishes, sender, Clock::start()).unwrap();
    bench.events = events;
    bench.want(wanted(ours(), &[(1, WISH), (2, WISH)]));
    let outcome = bench.outcome().await;
    assert_eq!((outcome.applied.len(), outcome.refused.len()), (0, 3));
    let (_, why) = &outcome.refused[0];
    assert!(why.contains("cannot be written: "), "{why}");
    assert_eq!(bench.applier.refusals(), 3);
    std::fs::create_dir(bench.folder.path().join("nowhere")).unwrap();
    let outcome = bench.outcome().await;
    assert_eq!((outcome.applied.len(), outcome.refused.len()), (3, 0));
    assert_eq!(bench.applier.refusals(), 3);
    let table = std::fs::read_to_string(folder.join("table")).unwrap();
    assert_eq!(table, BOTH);
}

/// Looking through many refusals costs no more for each than through few: each of the two
/// questions about the last look goes once through what that refused.
#[tokio::test]
async fn two_thousand_refusals_are_looked_through_in_one_pass() {
    let bench = Bench::new("");
    let mut worker = bench.worker();
    let refusals = |count: u32| -> Vec<(Command, String)> {
        let server = |number: u32| {
            let ip = std::net::Ipv4Addr::from(0x0a00_0000 + number);
            RealServerKey(std::net::SocketAddr::from((ip, 80)))
        };
        let ServerWish::In(to) = WISH else {
            unreachable!()
        };
        (0..count)
            .map(|number| {
                let command = Command::AddServer(web(), server(number), to);
                (command, "no room".to_owned())
            })
            .collect()
    };
    for count in [2, 2_000] {
        let refused = refusals(count);
        let commands: Vec<Command> = refused.iter().map(|(it, _)| it.clone()).collect();
        worker.seen.outcome.table = TableLook::Read(Arc::default());
        worker.seen.outcome.refused.clone_from(&refused);
        let outcome = TableOutcome {
            refused,
            ..TableOutcome::default()
        };
        let now = worker.clock.now().mono;
        let visits = crate::effort::visits(|| {
            for command in &commands {
                worker.waiting.refused(command, "no room".to_owned(), now);
                assert!(worker.waiting.not_yet(command, now).is_some());
            }
            assert_eq!(worker.drifted(&Desired::new(), &commands).len(), 0);
            worker.log(&outcome);
        });
        assert_eq!(worker.waiting.len(), commands.len());
        assert_eq!(visits, 2 * u64::from(count));
    }
}

#[tokio::test]
async fn connections_are_told_of_real_servers_that_get_no_new_ones() {
    let mut bench = Bench::new(BOTH);
    let counts = |first: u32, second: u32| {
        let new = bench.folder.path().join("connections.new");
        let text = format!(
            "TCP 10.0.0.3:80\n  -> 192.168.0.1:80  0  0  {first}  0\n  \
             -> 192.168.0.2:80  5  7  {second}  2\n  -> 192.168.0.9:80  5  0  1  0\n"
        );
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, bench.folder.path().join("connections")).unwrap();
    };
    let quiesced = ServerWish::In(RealServer::new(Forwarding::Dr, Weight(0)));
    counts(2, 30);
    bench.want(wanted(ours(), &[(1, quiesced), (2, WISH)]));
    let active = |outcome: &TableOutcome, number| {
        let counts = outcome.connections.get(&(web(), real(number)));
        counts.map(|counts| counts.active)
    };
    let told = next(&mut bench.events).await;
    let all = [1, 2, 9].map(|number| active(&told, number));
    assert_eq!(all, [Some(2), Some(30), None]);
    let second = told.connections[&(web(), real(2))];
    assert_eq!((second.inactive, second.persistent), (2, 7));
    // What has other connections than before only where new ones come is not told, but known.
    counts(2, 31);
    let newest = || bench.applier.connections()[&(web(), real(2))].active;
    let looked = async {
        while newest() != 31 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, looked).await.unwrap();
    counts(1, 32);
    let told = next(&mut bench.events).await;
    assert_eq!([1, 2].map(|it| active(&told, it)), [Some(1), Some(32)]);
    assert_eq!((told.applied.len(), told.drift), (0, 0));
    bench.applier.stop(None).await;
}

#[tokio::test]
async fn nothing_is_read_while_nothing_is_owned() {
    let mut bench = Bench::new("what is this\n");
    bench.want(Desired::new());
    let silence = tokio::time::timeout(LOOK_MIN * 2, bench.events.recv()).await;
    assert!(silence.is_err(), "{silence:?}");
    bench.applier.stop(None).await;
}

#[tokio::test]
async fn it_ends_when_nobody_listens_any_more() {
    let bench = Bench::new("");
    drop(bench.events);
    bench
        .desired
        .send(Arc::new(wanted(ours(), &[(1, WISH)])))
        .unwrap();
    let ended = tokio::time::timeout(LIMIT, bench.applier.ended).await;
    assert!(ended.is_ok(), "{ended:?}");
}

#[tokio::test]
async fn a_call_that_hangs_in_the_kernel_does_not_keep_the_daemon_from_ending() {
    for last in [None, Some(Arc::default())] {
        let mut bench = Bench::new("");
        let (hangs, ended) = oneshot::channel();
        bench.applier.ended = ended;
        let stop = bench.applier.stop_within(last, Duration::from_millis(10));
        let stopped = tokio::time::timeout(LIMIT, stop).await;
        assert!(stopped.is_ok(), "it waits for ever");
        drop(hangs);
    }
}

#[tokio::test]
async fn a_place_that_somebody_else_writes_too_is_left_to_rest() {
    let bench = Bench::new(BOTH);
    let mut worker = bench.worker();
    let desired = Arc::new(wanted(ours(), &[(1, WISH), (2, WISH)]));
    worker.look(Arc::clone(&desired)).await;
    let theirs = BOTH.replace("-w 5", "-w 9");
    for _ in 0..6 {
        bench.disturb(&theirs);
        let (told, _) = worker.look(Arc::clone(&desired)).await;
        assert_eq!(told.unwrap().applied.len(), 2);
    }
    bench.disturb(&theirs);
    let (told, _) = worker.look(Arc::clone(&desired)).await;
    let told = told.unwrap();
    assert_eq!((told.applied.len(), told.drift), (0, 0));
    let places = [(web(), Some(real(1))), (web(), Some(real(2)))];
    assert!(told.contested.iter().map(placed).eq(places));
    assert!(told.contested.iter().all(|it| it.rests_until.is_some()));
    // Another wish is carried out at once.
    let light = ServerWish::In(RealServer::new(Forwarding::Dr, Weight(1)));
    let other = Arc::new(wanted(ours(), &[(1, light), (2, WISH)]));
    let (told, _) = worker.look(other).await;
    assert_eq!(told.unwrap().applied.len(), 1);
}

#[tokio::test]
async fn who_fights_for_a_place_is_seen_while_other_wishes_change() {
    let bench = Bench::new(BOTH);
    let mut worker = bench.worker();
    let with = |weight: u32| {
        let third = ServerWish::In(RealServer::new(Forwarding::Dr, Weight(weight)));
        Arc::new(wanted(ours(), &[(1, WISH), (2, WISH), (3, third)]))
    };
    worker.look(with(1)).await;
    let theirs = BOTH.replace("-w 5", "-w 9");
    for turn in 2..8 {
        bench.disturb(&theirs);
        let (told, _) = worker.look(with(turn)).await;
        let told = told.unwrap();
        assert_eq!((told.applied.len(), told.drift), (3, 2));
    }
    bench.disturb(&theirs);
    let (told, _) = worker.look(with(8)).await;
    let told = told.unwrap();
    assert_eq!((told.applied.len(), told.drift), (1, 0));
    let places = [(web(), Some(real(1))), (web(), Some(real(2)))];
    assert!(told.contested.iter().map(placed).eq(places));
    assert!(told.contested.iter().all(|it| it.rests_until.is_some()));
}

#[tokio::test]
async fn a_refused_command_rests_while_other_wishes_change() {
    let bench = Bench::new("");
    let folder = bench.folder.path().join("state");
    std::os::unix::fs::symlink("nowhere", &folder).unwrap();
    let mut worker = bench.worker();
    worker.backend = Backend::open(IpvsBackend::Memory, &folder);
    let (told, _) = worker.look(Arc::new(wanted(ours(), &[(1, WISH)]))).await;
    assert_eq!(told.unwrap().refused.len(), 2);
    // However slow this machine is.
    let later = worker.clock.now().mono.after(LIMIT * 100);
    worker.waiting.put_all_off(later);
    std::fs::create_dir(bench.folder.path().join("nowhere")).unwrap();
    let other = Arc::new(wanted(ours(), &[(1, WISH), (2, WISH)]));
    let (told, _) = worker.look(other).await;
    let told = told.unwrap();
    assert_eq!((told.applied, told.refused.len()), (Vec::new(), 1));
}

/// What is said of the strangers that stay.
fn why_kept(told: &TableOutcome, now: Mono) -> Vec<String> {
    let kept = told.kept.iter();
    kept.map(|it| format!("{} {}", it.stranger, told.why_kept(it, now)))
        .collect()
}

#[tokio::test]
async fn a_stranger_stays_while_a_real_server_of_the_file_is_refused() {
    let stranger = "-a -t 10.0.0.3:80 -r 192.168.0.2:80 -g -w 5\n";
    let failed = "-a -t 10.0.0.3:80 -r 192.168.0.3:80 -g -w 5\n";
    let bench = Bench::new(&format!("-A -t 10.0.0.3:80 -s wlc\n{stranger}{failed}"));
    let mut worker = bench.worker();
    let add = Command::AddServer(web(), real(1), RealServer::new(Forwarding::Dr, Weight(5)));
    let now = worker.clock.now().mono;
    worker.waiting.refused(&add, "no room".to_owned(), now);
    worker.waiting.put_all_off(now.after(LIMIT * 100));
    let desired = Arc::new(owned_whole(&[(1, WISH), (3, ServerWish::Out)]));
    let (told, _) = worker.look(Arc::clone(&desired)).await;
    let told = told.unwrap();
    let reasons: Vec<&str> = told.refused.iter().map(|(_, why)| why.as_str()).collect();
    assert_eq!(reasons, ["no room"]);
    assert_eq!(
        why_kept(&told, now),
        [
            "192.168.0.2:80 stays until 192.168.0.1:80 is in as the file says, which cannot be put \
             in: no room"
        ]
    );
    assert!(bench.table().contains("192.168.0.2"), "{}", bench.table());
    // One of the file that is to be out leaves all the same.
    assert!(!bench.table().contains("192.168.0.3"), "{}", bench.table());
    worker.waiting = Rests::default();
    let (told, _) = worker.look(desired).await;
    assert_eq!(told.unwrap().applied.len(), 2);
    assert!(!bench.table().contains("192.168.0.2"));
}

#[tokio::test]
async fn a_stranger_stays_while_somebody_else_keeps_a_real_server_of_the_file_out() {
    let bench = Bench::new(BOTH);
    let mut worker = bench.worker();
    let desired = Arc::new(owned_whole(&[(1, WISH), (2, WISH)]));
    worker.look(Arc::clone(&desired)).await;
    let lines: Vec<&str> = BOTH.lines().collect();
    let without = format!("{}\n{}\n", lines[0], lines[1]);
    for _ in 0..6 {
        bench.disturb(&without);
        let (told, _) = worker.look(Arc::clone(&desired)).await;
        assert_eq!(told.unwrap().applied.len(), 1);
    }
    let stranger = "-a -t 10.0.0.3:80 -r 192.168.0.9:80 -g -w 5\n";
    bench.disturb(&format!("{without}{stranger}"));
    let (told, _) = worker.look(Arc::clone(&desired)).await;
    let told = told.unwrap();
    let places = [(web(), Some(real(2)))];
    assert!(told.contested.iter().map(placed).eq(places));
    let rests = told.contested[0].rests_until.unwrap();
    let until = rests.since(Mono::ZERO);
    let now = Mono::ZERO.after(until.saturating_sub(Duration::from_secs(9)));
    assert_eq!(
        why_kept(&told, now),
        [
            "192.168.0.9:80 stays until 192.168.0.2:80 is in as the file says, which somebody else \
             changes again and again, tried again in 9s"
        ]
    );
    assert_eq!((told.applied, told.refused), (vec![], vec![]));
    bench.disturb(&format!("{BOTH}{stranger}"));
    let (told, _) = worker.look(desired).await;
    assert_eq!(told.unwrap().applied.len(), 1);
    assert_eq!(bench.table(), BOTH);
}

/// The lines of a table in a file, but for those of these real servers.
fn without(servers: &[u8]) -> String {
    let is_left = |line: &&str| {
        !servers
            .iter()
            .any(|it| line.contains(&real(*it).to_string()))
    };
    let lines = BOTH.lines().filter(is_left);
    lines.map(|line| format!("{line}\n")).collect()
}

/// Somebody else makes the table so until it is not put right any more.
async fn fight(bench: &Bench, worker: &mut Worker, theirs: &str, desired: &Arc<Desired>) {
    worker.look(Arc::clone(desired)).await;
    for _ in 0..6 {
        bench.disturb(theirs);
        worker.look(Arc::clone(desired)).await;
    }
    bench.disturb(theirs);
    let (told, _) = worker.look(Arc::clone(desired)).await;
    assert_eq!(told.unwrap().applied, []);
}

#[tokio::test]
async fn what_a_check_of_ours_took_out_and_puts_in_again_does_not_rest() {
    let bench = Bench::new(BOTH);
    let mut worker = bench.worker();
    let both = Arc::new(wanted(ours(), &[(1, WISH), (2, WISH)]));
    fight(&bench, &mut worker, &without(&[1]), &both).await;
    let out = Arc::new(wanted(ours(), &[(1, ServerWish::Out), (2, WISH)]));
    let (told, _) = worker.look(out).await;
    let told = told.unwrap();
    assert_eq!((told.applied.len(), told.drift), (0, 0));
    let (told, _) = worker.look(Arc::clone(&both)).await;
    let told = told.unwrap();
    assert_eq!((told.applied.len(), told.drift), (1, 0));
    assert_eq!(bench.table(), BOTH);
    // It was our own addition: the fight is as young as when it began.
    bench.disturb(&without(&[1]));
    let (told, _) = worker.look(both).await;
    let told = told.unwrap();
    assert_eq!((told.applied.len(), told.drift), (1, 1));
}

#[tokio::test]
async fn a_wish_that_came_while_the_table_could_not_be_read_does_not_rest_either() {
    let bench = Bench::new(BOTH);
    let mut worker = bench.worker();
    let both = Arc::new(wanted(ours(), &[(1, WISH), (2, WISH)]));
    fight(&bench, &mut worker, &without(&[1]), &both).await;
    bench.disturb("what is this\n");
    worker
        .look(Arc::new(wanted(ours(), &[(1, ServerWish::Out), (2, WISH)])))
        .await;
    worker.look(Arc::clone(&both)).await;
    bench.disturb(&without(&[1]));
    let (told, _) = worker.look(both).await;
    assert_eq!(told.unwrap().applied.len(), 1);
    assert_eq!(bench.table(), BOTH);
}

#[tokio::test]
async fn who_asks_has_what_rests_put_right_at_once() {
    let bench = Bench::new(BOTH);
    let mut worker = bench.worker();
    let (asked, heard) = watch::channel(Asked::default());
    worker.asked = heard;
    let desired = Arc::new(wanted(ours(), &[(1, WISH), (2, WISH)]));
    let theirs = BOTH.replace("-w 5", "-w 9");
    fight(&bench, &mut worker, &theirs, &desired).await;
    asked.send_modify(|asked| asked.ask((web(), Some(real(2)))));
    let (told, _) = worker.look(Arc::clone(&desired)).await;
    let told = told.unwrap();
    assert_eq!((told.applied.len(), told.drift), (1, 0));
    let rests: Vec<bool> = told
        .contested
        .iter()
        .map(|it| it.rests_until.is_some())
        .collect();
    assert_eq!(rests, [true, false]);
    asked.send_modify(Asked::ask_everywhere);
    let (told, _) = worker.look(desired).await;
    let told = told.unwrap();
    assert_eq!((told.applied.len(), told.drift), (1, 0));
    assert_eq!(bench.table(), BOTH);
}

#[tokio::test]
async fn a_virtual_service_that_somebody_deletes_again_and_again_rests_for_seconds_only() {
    let bench = Bench::new(BOTH);
    let mut worker = bench.worker();
    let desired = Arc::new(wanted(ours(), &[(1, WISH), (2, WISH)]));
    worker.look(Arc::clone(&desired)).await;
    let told = loop {
        bench.disturb("");
        let (told, _) = worker.look(Arc::clone(&desired)).await;
        let told = told.unwrap();
        if told.applied.is_empty() {
            break told;
        }
    };
    let places = [None, Some(real(1)), Some(real(2))].map(|server| (web(), server));
    assert_eq!(
        told.contested.iter().map(placed).collect::<Vec<Place>>(),
        places
    );
    let seconds = worker.clock.now().mono.after(Duration::from_secs(5));
    assert!(
        told.contested
            .iter()
            .all(|it| it.rests_until.unwrap() <= seconds)
    );
}

/// A second writer that empties the table contests all of it.
#[tokio::test]
async fn ten_thousand_contests_are_looked_through_in_one_pass() {
    let bench = Bench::new("");
    let mut worker = bench.worker();
    let contested = |count: u32| -> Vec<Contested> {
        let server = |number: u32| {
            let ip = std::net::Ipv4Addr::from(0x0a00_0000 + number);
            RealServerKey(std::net::SocketAddr::from((ip, 80)))
        };
        let repairs = (0..count).map(|it| Command::DeleteServer(web(), server(it)));
        let contested = repairs.map(|repair| Contested {
            repair,
            rests_until: None,
        });
        contested.collect()
    };
    for count in [10, 10_000] {
        worker.seen.outcome.contested = contested(count);
        let outcome = TableOutcome {
            contested: contested(count),
            ..TableOutcome::default()
        };
        let visits = crate::effort::visits(|| worker.log_contests(&outcome));
        let steps = 2 * u64::from(count);
        assert!(visits <= steps * 16, "{visits} for {count}");
    }
}

#[test]
fn looking_takes_a_hundredth_of_the_time_and_the_next_look_comes_within_a_minute() {
    for (took, pause) in [
        (Duration::ZERO, LOOK_MIN),
        (Duration::from_millis(5), LOOK_MIN),
        (Duration::from_millis(10), LOOK_MIN),
        (Duration::from_millis(200), Duration::from_secs(20)),
        (Duration::from_secs(3), LOOK_MAX),
        (Duration::MAX, LOOK_MAX),
    ] {
        assert_eq!(look_again(took), pause, "{took:?}");
    }
}
