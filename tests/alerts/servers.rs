//! The servers that get the alerts: aiosmtpd for mail, Debian's `webhook` for HTTP.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Running, TempDir, find_program, free_port, have, root, skip, wait_for};

/// How long a server may take to start, on a busy machine.
const START: Duration = Duration::from_secs(60);

/// Debian's own Python: it has Debian's packages.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// False, and said so, where the SMTP server is missing.
pub(crate) fn have_relay(test: &str) -> bool {
    let probe = Command::new(PYTHON)
        .args(["-c", "import aiosmtpd"])
        .stderr(Stdio::null())
        .status();
    let found = probe.is_ok_and(|status| status.success());
    if !found {
        skip(test, "python3-aiosmtpd");
    }
    found
}

/// False, and said so, where the HTTP receiver is missing.
pub(crate) fn have_receiver(test: &str) -> bool {
    let found = have("webhook");
    if !found {
        skip(test, "webhook");
    }
    found
}

/// A mail relay with its mailbox.
#[derive(Debug)]
pub(crate) struct Relay {
    server: Option<Running>,
    box_: TempDir,
    pub(crate) port: u16,
}

/// One mail as the relay got it.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Headers and body, lines ended by `\n`.
    pub(crate) data: String,
    pub(crate) tls: bool,
    pub(crate) login: Option<String>,
}

impl Mail {
    /// The value of a header, unfolded; empty where it is absent.
    pub(crate) fn header(&self, name: &str) -> String {
        let headers = self.data.split("\n\n").next().unwrap_or("");
        let headers = headers.replace("\n ", " ").replace("\n\t", " ");
        let start = format!("{}:", name.to_lowercase());
        headers
            .lines()
            .find(|line| line.to_lowercase().starts_with(&start))
            .map(|line| line[start.len()..].trim().to_owned())
            .unwrap_or_default()
    }

    /// What Python's own mail parser makes of it: the decoded subject and body.
    pub(crate) fn parsed(&self) -> (String, String) {
        let folder = TempDir::new();
        let file = folder.write("mail", &self.data);
        let script = "import email, email.policy, json, sys\n\
            m = email.message_from_file(open(sys.argv[1]), policy=email.policy.default)\n\
            print(json.dumps([m['subject'], m.get_content(), [str(d) for d in m.defects]]))";
        let output = Command::new(PYTHON)
            .args(["-c", script])
            .arg(file)
            .output()
            .expect("python runs");
        assert!(output.status.success(), "{output:?}");
        let value: Value = serde_json::from_slice(&output.stdout).expect("json");
        assert_eq!(value[2], json!([]), "the mail has defects");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        (text(&value[0]), text(&value[1]))
    }
}

impl Relay {
    /// Starts a relay on a free port.
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut relay = Self::down();
        relay.up(options);
        relay
    }

    /// A relay that is not there yet: its port refuses connections.
    pub(crate) fn down() -> Self {
        Self {
            server: None,
            box_: TempDir::new(),
            port: free_port(),
        }
    }

    /// Starts it on its port.
    pub(crate) fn up(&mut self, options: &[&str]) {
        self.kill();
        let _ = std::fs::remove_file(self.box_.join("port"));
        let mut command = Command::new(PYTHON);
        command
            .arg(root().join("tests/alerts/relay.py"))
            .arg("--dir")
            .arg(self.box_.path())
            .args(["--port", &self.port.to_string()])
            .args(options)
            .stdout(Stdio::null());
        wait_for("the relay's port", START, || {
            // One that finds its port still held ends at once, and is started again.
            if !self.server.as_mut().is_some_and(Running::runs) {
                self.server = Some(Running::start(&mut command));
            }
            (!self.box_.read("port").is_empty()).then_some(())
        });
    }

    /// From now on it accepts no message beyond the first `count`; senders wait.
    pub(crate) fn hold_after(&self, count: usize) {
        self.box_.write("hold.new", count.to_string());
        std::fs::rename(self.box_.join("hold.new"), self.box_.join("hold")).expect("a new name");
    }

    /// It accepts everything again.
    pub(crate) fn release(&self) {
        std::fs::remove_file(self.box_.join("hold")).expect("it was held");
    }

    /// Kills it; its mailbox stays.
    pub(crate) fn kill(&mut self) {
        self.server = None;
    }

    /// As `mail_relay` wants it.
    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// What it got, in order.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        let mut files: Vec<PathBuf> = json_files(self.box_.path());
        files.sort();
        files.iter().map(|file| mail(file)).collect()
    }

    /// What one recipient got, in order.
    pub(crate) fn mails_to(&self, recipient: &str) -> Vec<Mail> {
        let is_theirs = |mail: &Mail| mail.to.iter().any(|to| to == recipient);
        self.mails().into_iter().filter(is_theirs).collect()
    }
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .expect("the folder")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect()
}

fn mail(file: &Path) -> Mail {
    let text = std::fs::read(file).expect("the mail");
    let value: Value = serde_json::from_slice(&text).expect("json");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    Mail {
        from: text(&value["from"]),
        to: value["to"]
            .as_array()
            .expect("list")
            .iter()
            .map(text)
            .collect(),
        data: text(&value["data"]).replace("\r\n", "\n"),
        tls: value["tls"].as_bool().expect("bool"),
        login: value["login"].as_str().map(str::to_owned),
    }
}

/// A certificate for `localhost`, 127.0.0.1 and 192.0.2.25 with its key; none, and said so, without
/// openssl.
pub(crate) fn certificate(test: &str, folder: &TempDir) -> Option<(String, String)> {
    let Some(openssl) = find_program("openssl") else {
        skip(test, "openssl");
        return None;
    };
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let output = Command::new(openssl)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:192.0.2.25",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .expect("openssl runs");
    assert!(output.status.success(), "{output:?}");
    let text = |path: PathBuf| path.to_str().expect("text").to_owned();
    Some((text(cert), text(key)))
}

/// A receiver of webhooks with what it got.
#[derive(Debug)]
pub(crate) struct Receiver {
    server: Option<Running>,
    folder: TempDir,
    pub(crate) port: u16,
}

/// One request as the receiver's command got it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// When it came, in nanoseconds.
    pub(crate) at: u128,
    /// The body, read and written again by the receiver.
    pub(crate) body: Value,
    /// What the hook passes on of the headers.
    pub(crate) headers: Vec<String>,
}

impl Receiver {
    /// Starts a receiver with one hook, `/hooks/alert`, whose settings are extended by `more`.
    pub(crate) fn start(more: &Value) -> Self {
        let mut receiver = Self::down();
        receiver.up(more);
        receiver
    }

    /// A receiver that is not there yet: its port refuses connections.
    pub(crate) fn down() -> Self {
        let folder = TempDir::new();
        std::fs::create_dir(folder.join("got")).expect("a folder");
        // While the file `broken` is there, the receiver answers 500.
        let script = "#!/bin/sh\n\
            cd \"$(dirname \"$0\")\" || exit 1\n\
            at=$(date +%s%N)\n\
            test -e broken && { echo $at >>refused; exit 1; }\n\
            for word in \"$@\"; do printf '%s\\n' \"$word\"; done >\"$at\"\n\
            mv \"$at\" \"got/$at.json\"\n";
        folder.write_executable("store.sh", script);
        Self {
            server: None,
            folder,
            port: free_port(),
        }
    }

    /// Starts it on its port.
    pub(crate) fn up(&mut self, more: &Value) {
        self.change(more);
        wait_for("the receiver to serve its port", START, || {
            // A child that the killed one was about to start holds the port until it runs: then
            // the new one ends at once, and is started again.
            let runs = self.server.as_mut().is_some_and(Running::runs);
            if !runs {
                self.server = Some(self.launch());
            }
            let says = std::fs::read_to_string(self.folder.join("log")).ok()?;
            says.contains("serving hooks").then_some(())
        });
    }

    fn launch(&self) -> Running {
        let log = std::fs::File::create(self.folder.join("log")).expect("a log");
        let mut command = Command::new(find_program("webhook").expect("webhook"));
        command
            .args(["-ip", "127.0.0.1", "-port", &self.port.to_string()])
            .args(["-verbose", "-hotreload", "-hooks"])
            .arg(self.folder.join("hooks.json"))
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        Running::start(&mut command)
    }

    /// Writes the hook's settings; a running receiver reads them at once.
    pub(crate) fn change(&self, more: &Value) {
        let mut hook = json!({
            "id": "alert",
            "execute-command": self.folder.join("store.sh"),
            "include-command-output-in-response": true,
            "pass-arguments-to-command": [
                {"source": "entire-payload"},
                {"source": "header", "name": "Idempotency-Key"},
                {"source": "header", "name": "Content-Type"},
                {"source": "header", "name": "Authorization"},
            ],
        });
        for (name, value) in more.as_object().expect("an object") {
            hook[name] = value.clone();
        }
        self.folder.write("hooks.json", json!([hook]).to_string());
    }

    /// Kills it; what it got stays.
    pub(crate) fn kill(&mut self) {
        self.server = None;
    }

    /// Where the hook is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks/alert", self.port)
    }

    /// From now on it answers 500, or does not.
    pub(crate) fn set_broken(&self, broken: bool) {
        if broken {
            self.folder.write("broken", "");
        } else {
            std::fs::remove_file(self.folder.join("broken")).expect("it was broken");
        }
    }

    /// How many requests it answered with 500.
    pub(crate) fn refused(&self) -> usize {
        self.folder.read("refused").lines().count()
    }

    /// What it got, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let mut files = json_files(&self.folder.join("got"));
        files.sort();
        let request = |file: &PathBuf| {
            let text = std::fs::read_to_string(file).expect("a request");
            let mut lines = text.lines().map(str::to_owned);
            let body = lines.next().expect("a body");
            let name = file.file_stem().expect("a name").to_str().expect("text");
            Request {
                at: name.parse().expect("nanoseconds"),
                body: serde_json::from_str(&body).expect("json"),
                headers: lines.collect(),
            }
        };
        files.iter().map(request).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.join("log"));
            let got = json_files(&self.folder.join("got")).len();
            // A panic in a destructor would end the test program; a closed pipe is no reason.
            let _ = writeln!(
                std::io::stderr(),
                "the receiver got {got} messages and says:\n{}",
                log.unwrap_or_default()
            );
        }
    }
}
