//! What an alert is told when it is tried, and what the daemon tells it of the same event.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Running, TempDir, free_port, free_udp_port, lvsmon, wait_for, wait_until};

/// Limit of everything that should happen within a second; far more, for busy machines.
const SOON: Duration = Duration::from_secs(60);

/// Looks at one event, long after which what differs is shown.
const LOOKS_MAX: u32 = 1_000;

/// Each kind of event, and the service that it happens to.
const KINDS: [(&str, &str); 8] = [
    ("startup", "http"),
    ("test", "http"),
    ("disable", "http"),
    ("failure", "http"),
    ("ack", "http"),
    ("up", "http"),
    ("trap", "told"),
    ("traptimeout", "awaited"),
];

/// Writes down what it is told, all at once.
const ALERT: &str = "#!/bin/sh
to=$MON_LOGDIR/$DUMP.$MON_SERVICE.$MON_ALERTTYPE
mkdir -p $to.$$
env -0 >$to.$$/variables
printf '%s\\0' \"$@\" >$to.$$/words
cat >$to.$$/stdin
rm -rf $to
mv $to.$$ $to
";

/// What one call was told. Times count as such, since no two calls are at the same.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    variables: BTreeMap<String, String>,
    words: Vec<String>,
    stdin: String,
}

/// `T` for every number that can be a time of today, and for what ctime(3) makes of one.
fn without_times(text: &str) -> String {
    let is_time = |word: &str| word.len() == 10 && word.bytes().all(|byte| byte.is_ascii_digit());
    let lines = text.split('\n').map(|line| match line.split_once("s at ") {
        Some((before, time)) if time.ends_with(|c: char| c.is_ascii_digit()) => {
            assert_eq!(time.split_whitespace().count(), 5, "{line}");
            format!("{before}s at T")
        }
        Some(_) | None if is_time(line) => "T".to_owned(),
        Some(_) | None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

struct Site {
    folder: TempDir,
    clients: u16,
    traps: u16,
}

impl Site {
    fn new() -> Self {
        let folder = TempDir::new();
        let (clients, traps) = (free_port(), free_udp_port());
        let path = folder.path().display().to_string();
        folder.write_executable(
            "mon.d/own.monitor",
            format!("#!/bin/sh\n[ -e {path}/broken ] || exit 0\ncat {path}/broken\nexit 1\n"),
        );
        folder.write_executable("alert.d/own.alert", ALERT);
        fs::create_dir(folder.join("state")).unwrap();
        folder.write("auth.cf", "command section\nack: all\ndisable: all\nenable: all\ntest: all\ntrap section\n* * *\n");
        // The password is "secret".
        folder.write("users", "operator: abNANd1rDfiNc\n");
        let lines: String = ["", "up", "startup", "ack", "disable"]
            .map(|kind| format!("\t    {kind}alert own.alert a 'b c'\n"))
            .concat();
        let rules =
            format!("\tDUMP=daemon\n\tOWN=of the file\n\tperiod p: wd {{Sun-Sat}}\n{lines}");
        folder.write(
            "mon.cf",
            format!(
                "statedir = {path}/state\nmondir = {path}/mon.d\nalertdir = {path}/alert.d\n\
                 logdir = {path}\ncfbasedir = {path}\nauthfile = auth.cf\nauthtype = userfile\nuserfile = {path}/users\nserverbind = 127.0.0.1\n\
                 trapbind = 127.0.0.1\nserverport = {clients}\ntrapport = {traps}\n\
                 ipvs_backend = memory\n\nhostgroup web h1 h2\n\nwatch web\n\
                 \x20   service http\n\tinterval 0.2s\n\tdescription The shop\n\tmonitor own.monitor\n{rules}\
                 \x20   service told\n{rules}\
                 \x20   service awaited\n\ttraptimeout 1s\n{rules}"
            ),
        );
        Self {
            folder,
            clients,
            traps,
        }
    }

    fn try_alerts(&self) {
        for (kind, service) in KINDS {
            let mut command = lvsmon(["try", "--alert", "--env", "DUMP=try", "--kind", kind]);
            let config = self.folder.join("mon.cf");
            command
                .arg("--config")
                .arg(config)
                .arg(format!("web/{service}"));
            let output = command.output().expect("lvsmon runs");
            assert!(output.status.success(), "{output:?}");
        }
    }

    fn start(&self) -> Running {
        let log = File::create(self.folder.join("log")).unwrap();
        let mut command = lvsmon(["run", "--config"]);
        command
            .arg(self.folder.join("mon.cf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        Running::start(&mut command)
    }

    /// Says a line to the port of mon's clients as the operator; the last line of the answer.
    fn ask(&self, line: &str) -> String {
        let stream = wait_for("the port for clients", SOON, || {
            TcpStream::connect(("127.0.0.1", self.clients)).ok()
        });
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut writer = &stream;
        let text = format!("login operator secret\n{line}\n");
        writer.write_all(text.as_bytes()).unwrap();
        let lines = BufReader::new(&stream).lines().map_while(Result::ok);
        let mut ends = lines.filter(|line| line.as_bytes().iter().take(3).all(u8::is_ascii_digit));
        let login = ends.next().expect("an answer");
        assert!(login.starts_with("220"), "{login}");
        ends.next().expect("a second answer")
    }

    /// Lets the monitor fail with these words.
    fn break_it(&self, said: &str) {
        let file = self.folder.write("broken.new", said);
        fs::rename(file, self.folder.join("broken")).unwrap();
    }

    /// Sends a trap with what a failing run says, or a good one.
    fn trap(&self, service: &str, said: Option<&str>) {
        let (summary, detail) = said.map_or(("", ""), |said| {
            said.split_once("\n\n").expect("a summary and a detail")
        });
        let status = if said.is_some() { "1" } else { "0" };
        let mut command = lvsmon(["trap", "-g", "web", "-s", service, "-r", status]);
        command.args([
            "-m",
            summary,
            "-d",
            detail,
            &format!("127.0.0.1:{}", self.traps),
        ]);
        assert!(command.status().expect("lvsmon runs").success());
    }

    /// The latest call of a kind, where there was one.
    fn told(&self, by: &str, (kind, service): (&str, &str)) -> Option<Told> {
        let read = |name: &str| {
            let path = self.folder.join(&format!("{by}.{service}.{kind}/{name}"));
            fs::read_to_string(path).ok()
        };
        let (variables, words) = (read("variables")?, read("words")?);
        let variables = variables.split_terminator('\0').filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            let is_told = name == "OWN" || name.starts_with("MON_");
            is_told.then(|| (name.to_owned(), without_times(value)))
        });
        Some(Told {
            variables: variables.collect(),
            words: words.split_terminator('\0').map(without_times).collect(),
            stdin: without_times(&read("stdin")?),
        })
    }

    /// Waits until the daemon has said of an event what the trial said, since an outage has to
    /// last for more than one run before all is as in the sample.
    #[track_caller]
    fn wait_for_the_same(&self, event: (&str, &str)) {
        let tried = self.told("try", event).expect("what the trial told");
        assert_eq!(tried.variables["MON_ALERTTYPE"], event.0);
        let mut looks = 0;
        let last = wait_for("an end of the comparison", SOON, || {
            let told = self.told("daemon", event);
            looks += 1;
            (told.as_ref() == Some(&tried) || looks > LOOKS_MAX).then_some(told)
        });
        assert_eq!(last, Some(tried), "{event:?}\n{}", self.folder.read("log"));
    }
}

#[test]
fn a_tried_alert_is_told_what_the_daemon_tells_it_of_each_kind_of_event() {
    let site = Site::new();
    site.try_alerts();
    let _daemon = site.start();
    let [startup, test, disable, failure, ack, up, trap, traptimeout] = KINDS;
    site.wait_for_the_same(startup);
    // The others are about a service that was good once.
    let config = site.folder.join("mon.cf");
    wait_until("a good run", SOON, || {
        let mut why = lvsmon(["why", "--json", "web/http", "--config"]);
        let said = why.arg(&config).output().expect("lvsmon runs").stdout;
        let said: Option<Value> = serde_json::from_slice(&said).ok();
        said.is_some_and(|said| said["service"]["status"] == "ok")
    });
    assert!(site.ask("test alert web http 0 p").starts_with("220"));
    site.wait_for_the_same(test);
    assert!(site.ask("disable service web http").starts_with("220"));
    site.wait_for_the_same(disable);
    assert!(site.ask("enable service web http").starts_with("220"));

    let said = fs::read_to_string(site.folder.join("try.http.failure/stdin")).unwrap();
    site.break_it(&said);
    site.wait_for_the_same(failure);
    fs::remove_file(site.folder.join("broken")).unwrap();
    site.wait_for_the_same(up);
    // A recovery from what was acknowledged would say so. What the first outage left behind is
    // moved away, since a slow call of it may be writing it anew.
    let told = site.folder.join("daemon.http.failure");
    wait_until("what the first outage left behind", SOON, || {
        fs::rename(&told, site.folder.join("first.failure")).is_ok()
    });
    site.break_it(&said);
    site.wait_for_the_same(failure);
    assert!(site.ask("ack web http this is a sample").starts_with("220"));
    site.wait_for_the_same(ack);

    site.trap("told", None);
    for _ in 0..2 {
        site.trap("told", Some(&said));
    }
    site.wait_for_the_same(trap);
    site.trap("awaited", None);
    site.wait_for_the_same(traptimeout);
}
