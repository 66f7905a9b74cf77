//! Files on a disk: includes, m4, the search path.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lvsmon::config::Diagnostic;
use lvsmon::model::{AlertProgram, Bind, MonitorProgram};
use lvsmon::site::{self, Became, LoadOptions, Loaded, Manner, Overrides};

use crate::support;

const WATCH: &str = "hostgroup web web1\n\nwatch web\n service http\n  interval 10s\n  monitor http.monitor\n  period\n   alert mail.alert ops\n";

/// A folder with files; those under `mon.d` and `alert.d` may be executed.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            folder.write(name, text.as_bytes());
        }
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        if name.contains(".d/") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        path
    }

    fn load(&self) -> Result<Loaded, Vec<Diagnostic>> {
        self.load_with("mon.cf", &LoadOptions::default())
    }

    fn load_with(&self, name: &str, options: &LoadOptions) -> Result<Loaded, Vec<Diagnostic>> {
        let folder = self.path().display();
        let mut options = options.clone();
        options.overrides.mondir = Some(format!("{folder}/first/mon.d:{folder}/mon.d"));
        options.overrides.alertdir = Some(format!("{folder}/alert.d"));
        site::load(&self.path().join(name), &options)
    }

    /// Messages without the name of the folder.
    fn messages(&self, found: &[Diagnostic]) -> Vec<String> {
        let folder = format!("{}/", self.path().display());
        found
            .iter()
            .map(|one| one.to_string().replace(&folder, ""))
            .collect()
    }
}

fn became(loaded: &Loaded, name: &str) -> Became {
    let found = loaded.programs.iter().find(|one| one.name == name);
    found
        .unwrap_or_else(|| panic!("{name} is not named"))
        .became
        .clone()
}

#[test]
fn an_included_file_stands_where_it_is_included() {
    let folder = Folder::new(&[
        (
            "mon.cf",
            "maxprocs = 1\ninclude parts/b.cf\n\ninclude parts\n",
        ),
        ("parts/a.cf", WATCH),
        ("parts/b.cf", "maxprocs = 2\n"),
        ("parts/b.cf.bak", "maxprocs = 9\n"),
        ("parts/.hidden.cf", "maxprocs = 9\n"),
    ]);
    let loaded = folder.load().unwrap();
    assert_eq!(loaded.model.globals.maxprocs, Some(2));
    assert!(loaded.model.find("web", "http").is_some());
    assert_eq!(
        loaded.warnings.len(),
        2,
        "{:?}",
        folder.messages(&loaded.warnings)
    );
}

#[test]
fn a_mistake_in_an_included_file_names_that_file() {
    let folder = Folder::new(&[("mon.cf", "include a.cf\n"), ("a.cf", "\nmaxproc = 2\n")]);
    let messages = folder.messages(&folder.load().unwrap_err());
    let expected = "\
cf error: unknown variable \"maxproc\", line 2
  --> a.cf:2:1
  |
2 | maxproc = 2
  | ^^^^^^^ did you mean \"maxprocs\"?";
    assert_eq!(messages, [expected]);
}

#[test]
fn what_cannot_be_included_is_named_where_it_is_included() {
    let folder = Folder::new(&[
        (
            "mon.cf",
            "include none.cf\n\ninclude self.cf\n\ninclude zero.cf\n",
        ),
        ("self.cf", "include mon.cf\n"),
    ]);
    folder.write("zero.cf", b"\0");
    let messages = folder.messages(&folder.load().unwrap_err());
    let first: Vec<&str> = messages
        .iter()
        .filter_map(|text| text.lines().next())
        .collect();
    assert_eq!(
        first,
        [
            "cf error: could not open cf file none.cf: no such file or directory, line 1",
            "cf error: zero.cf: this is not a text file: line 1 has a zero byte, line 5",
            "cf error: mon.cf includes itself, line 1",
        ]
    );
}

#[test]
fn a_chain_of_includes_has_a_bound() {
    let folder = Folder::new(&[("mon.cf", "include 0.cf\n")]);
    for number in 0..30 {
        let text = format!("include {}.cf\n", number + 1);
        folder.write(&format!("{number}.cf"), text.as_bytes());
    }
    let messages = folder.messages(&folder.load().unwrap_err());
    assert!(
        messages[0].starts_with("cf error: more than 16 files include each other"),
        "{messages:?}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_one_clear_error() {
    let folder = Folder::new(&[]);
    let messages = folder.messages(&folder.load().unwrap_err());
    assert_eq!(
        messages,
        [
            "cf error: could not open cf file mon.cf: no such file or directory\n  = make this file, or take away what names it"
        ]
    );
    fs::create_dir(folder.path().join("mon.cf")).unwrap();
    let messages = folder.messages(&folder.load().unwrap_err());
    assert_eq!(
        messages,
        [
            "cf error: could not open cf file mon.cf: it is a folder\n  = name a file in it, or take it away"
        ]
    );
}

/// Files that are none: a pipe would be waited for, a device read for ever.
fn odd_files(folder: &Folder) -> [(&'static str, &'static str); 5] {
    let path = |name: &str| folder.path().join(name);
    nix::unistd::mkfifo(&path("fifo.cf"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::net::UnixListener::bind(path("socket.cf")).unwrap();
    fs::create_dir(path("folder.cf")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", path("zero.cf")).unwrap();
    std::os::unix::fs::symlink("nowhere", path("dangling.cf")).unwrap();
    [
        ("fifo.cf", "it is a pipe (FIFO), not a regular file"),
        ("socket.cf", "it is a socket, not a regular file"),
        ("folder.cf", "it is a folder"),
        ("zero.cf", "it is a device, not a regular file"),
        ("dangling.cf", "no such file or directory"),
    ]
}

/// What `load` gives, or a failure where it waits.
fn in_time<T: Send + 'static>(load: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(load()));
    receiver
        .recv_timeout(std::time::Duration::from_secs(10))
        .expect("loading does not wait")
}

#[test]
fn what_is_no_file_is_refused_without_waiting_for_it() {
    let folder = Folder::new(&[]);
    for (name, why) in odd_files(&folder) {
        let path = folder.path().join(name);
        for m4 in [None, Some("m4".to_owned())] {
            let (path, options) = (
                path.clone(),
                LoadOptions {
                    m4,
                    ..LoadOptions::default()
                },
            );
            let errors = in_time(move || site::load(&path, &options).unwrap_err());
            let messages = folder.messages(&errors);
            let expected = format!("cf error: could not open cf file {name}: {why}\n  = ");
            assert!(
                messages.len() == 1 && messages[0].starts_with(&expected),
                "{messages:?}"
            );
        }
    }
}

#[test]
fn what_is_no_file_is_named_where_it_or_its_folder_is_included() {
    let folder = Folder::new(&[]);
    for (name, why) in odd_files(&folder) {
        // Of a folder, the files in it would be read.
        let why = if name == "folder.cf" { "is empty" } else { why };
        folder.write("mon.cf", format!("include {name}\n").as_bytes());
        let path = folder.path().join("mon.cf");
        let errors = in_time(move || site::load(&path, &LoadOptions::default()).unwrap_err());
        let messages = folder.messages(&errors);
        assert!(messages[0].contains(why), "{messages:?}");
    }
    let folder = Folder::new(&[("parts/good.cf", WATCH)]);
    let parts = Folder::new(&[]);
    let odd = odd_files(&parts);
    for (name, _) in odd {
        fs::rename(
            parts.path().join(name),
            folder.path().join("parts").join(name),
        )
        .unwrap();
    }
    folder.write("mon.cf", b"maxprocs = 5\n\ninclude parts\n");
    let path = folder.path().join("mon.cf");
    let mut errors = in_time(move || site::load(&path, &LoadOptions::default()).unwrap_err());
    // Where mon is installed, its own http.monitor is warned of.
    errors.retain(Diagnostic::is_error);
    let messages = folder.messages(&errors);
    assert_eq!(messages.len(), odd.len(), "{messages:?}");
    for (name, why) in odd {
        let expected = format!("cf error: could not open cf file parts/{name}: {why}, line 3\n");
        assert!(
            messages.iter().any(|one| one.starts_with(&expected)),
            "{name}: {messages:?}"
        );
    }
}

#[test]
fn a_file_of_a_hundred_megabytes_is_refused_unread() {
    let folder = Folder::new(&[("mon.cf", "include big.cf\n")]);
    let big = fs::File::create(folder.path().join("big.cf")).unwrap();
    // Without a byte on the disk.
    big.set_len(100 << 20).unwrap();
    let messages = folder.messages(&folder.load().unwrap_err());
    let expected =
        "cf error: could not open cf file big.cf: it has 100 MB, more than 64 MB, line 1\n";
    assert!(messages[0].starts_with(expected), "{messages:?}");
}

#[test]
fn a_folder_of_ten_thousand_files_is_read() {
    let folder = Folder::new(&[("mon.cf", "include parts\n")]);
    fs::create_dir(folder.path().join("parts")).unwrap();
    for number in 0..10_000 {
        let text = format!(
            "watch g{number}\nservice s\ninterval 1m\nmonitor http.monitor\n\nhostgroup g{number} h\n"
        );
        fs::write(folder.path().join(format!("parts/{number}.cf")), text).unwrap();
    }
    let loaded = folder.load().unwrap();
    assert_eq!(
        (loaded.model.services.len(), loaded.warnings.len()),
        (10_000, 0)
    );
}

#[test]
fn line_ends_marks_and_a_missing_last_newline_change_nothing() {
    let folder = Folder::new(&[]);
    folder.write("mon.cf", WATCH.as_bytes());
    let plain = folder.load().unwrap();
    assert_eq!(plain.warnings, []);
    let windows = WATCH.replace('\n', "\r\n");
    for text in [
        windows.clone(),
        format!("\u{feff}{WATCH}"),
        format!("\u{feff}{windows}"),
        WATCH.trim_end().to_owned(),
        windows.trim_end().to_owned(),
    ] {
        folder.write("mon.cf", text.as_bytes());
        let loaded = folder.load().unwrap();
        assert_eq!(loaded.model, plain.model, "{text:?}");
        assert_eq!(loaded.warnings, [], "{text:?}");
        // In an included file too.
        folder.write("part.cf", text.as_bytes());
        folder.write("mon.cf", b"include part.cf\n");
        assert_eq!(folder.load().unwrap().model, plain.model, "{text:?}");
    }
}

#[test]
fn a_file_that_may_not_be_read_says_who_must_be_able_to() {
    if nix::unistd::geteuid().is_root() && !support::have("setpriv") {
        return support::skip(
            "a_file_that_may_not_be_read_says_who_must_be_able_to",
            "setpriv",
        );
    }
    let folder = Folder::new(&[("mon.cf", "include secret.cf\n"), ("secret.cf", WATCH)]);
    let secret = folder.path().join("secret.cf");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let config = folder.path().join("mon.cf");
    let output = unprivileged(&["check", "--config", &config.display().to_string()]);
    let said = String::from_utf8_lossy(&output.stdout)
        .replace(&format!("{}/", folder.path().display()), "");
    let expected = "\
cf error: could not open cf file secret.cf: permission denied, line 1
  --> mon.cf:1:9
  |
1 | include secret.cf
  |         ^^^^^^^^^ let the user of lvsmon read the file and enter its folder
mon.cf: 1 mistake
";
    assert_eq!((said.as_str(), output.status.code()), (expected, Some(1)));
}

/// Runs the program as a user who is not root.
fn unprivileged(args: &[&str]) -> std::process::Output {
    if !nix::unistd::geteuid().is_root() {
        return support::lvsmon(args).output().unwrap();
    }
    // The folder of the build may be closed to others; a descriptor stays open.
    let program = fs::File::open(env!("CARGO_BIN_EXE_lvsmon")).unwrap();
    std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg("/dev/stdin")
        .args(args)
        .stdin(program)
        .output()
        .unwrap()
}

#[test]
fn a_name_that_ends_in_m4_goes_through_m4() {
    if !support::have("m4") {
        return support::skip("a_name_that_ends_in_m4_goes_through_m4", "m4");
    }
    let text = format!(
        "define(`PORT', 8080)dnl\n{}",
        WATCH.replace("http.monitor", "http.monitor -p PORT")
    );
    let folder = Folder::new(&[("mon.m4", &text)]);
    let loaded = folder.load_with("mon.m4", &LoadOptions::default()).unwrap();
    assert_eq!(
        loaded.model.services[0].monitor.as_ref().unwrap().args,
        ["-p", "8080"]
    );
}

#[test]
fn the_m4_of_the_command_line_may_carry_options() {
    let folder = Folder::new(&[("mon.cf", WATCH)]);
    let through = |command: &str| {
        let m4 = Some(command.to_owned());
        folder.load_with(
            "mon.cf",
            &LoadOptions {
                m4,
                ..LoadOptions::default()
            },
        )
    };
    let loaded = through("sed -e s/10s/7s/").unwrap();
    assert_eq!(loaded.model.services[0].interval.unwrap().as_secs(), 7);
    let messages = folder.messages(&through("sed -x").unwrap_err());
    assert!(
        messages[0].starts_with(
            "cf error: could not open m4 pipe: sed -x mon.cf ended with exit status: 1"
        ),
        "{messages:?}"
    );
    let loaded = through("sh -c 'echo careful >&2; cat \"$0\"'").unwrap();
    let messages = folder.messages(&loaded.warnings);
    assert!(
        messages.iter().any(|one| one.ends_with("says: careful")),
        "{messages:?}"
    );
}

#[test]
fn an_m4_that_has_much_to_say_is_not_ended_for_it() {
    let folder = Folder::new(&[("mon.cf", WATCH)]);
    // More than a pipe holds, behind what is shown of it.
    let command = "sh -c 'head -c 300000 /dev/zero | tr \"\\0\" x >&2 && cat \"$0\"'";
    let options = LoadOptions {
        m4: Some(command.to_owned()),
        ..LoadOptions::default()
    };
    let loaded = folder.load_with("mon.cf", &options).unwrap();
    assert_eq!(loaded.model.services.len(), 1);
}

#[test]
fn c2_an_m4_without_a_name_is_the_one_of_the_path() {
    if !support::have("m4") {
        return support::skip("c2_an_m4_without_a_name_is_the_one_of_the_path", "m4");
    }
    let folder = Folder::new(&[("mon.cf", &format!("changequote([,])dnl\n{WATCH}"))]);
    for m4 in ["", "  "] {
        let options = LoadOptions {
            m4: Some(m4.to_owned()),
            ..LoadOptions::default()
        };
        let loaded = folder.load_with("mon.cf", &options).unwrap();
        assert_eq!(loaded.model.services.len(), 1);
        assert_eq!(loaded.warnings, [], "m4 took its own line away");
    }
}

#[test]
fn c20_a_search_folder_may_have_blanks_in_its_name() {
    let folder = Folder::new(&[("my own mon.d/own.monitor", "#!/bin/sh\n")]);
    let program = folder.path().join("my own mon.d/own.monitor");
    let parent = program.parent().unwrap().display();
    let text = WATCH.replace("http.monitor", "own.monitor -x");
    folder.write("mon.cf", format!("mondir = {parent}\n\n{text}").as_bytes());
    let loaded = site::load(&folder.path().join("mon.cf"), &LoadOptions::default()).unwrap();
    let monitor = loaded.model.services[0].monitor.as_ref().unwrap();
    assert_eq!(monitor.program, MonitorProgram::Executable(program));
    assert_eq!(monitor.args, ["-x"]);
}

#[test]
fn a_stand_in_is_the_built_in_and_any_other_file_wins() {
    let http = include_str!("../../mon.d/http.monitor");
    let folder = Folder::new(&[("mon.cf", WATCH), ("mon.d/http.monitor", http)]);
    let loaded = folder.load().unwrap();
    assert_eq!(became(&loaded, "http.monitor"), Became::BuiltIn);
    assert_eq!(became(&loaded, "mail.alert"), Became::BuiltIn);
    let own = folder.write("mon.d/http.monitor", format!("{http}\n# ours\n").as_bytes());
    let loaded = folder.load().unwrap();
    assert_eq!(
        became(&loaded, "http.monitor"),
        Became::Executable(own.clone())
    );
    let monitor = loaded.model.services[0].monitor.as_ref().unwrap();
    assert_eq!(monitor.program, MonitorProgram::Executable(own));
    let earlier = folder.write("first/mon.d/http.monitor", b"#!/bin/sh\n");
    let loaded = folder.load().unwrap();
    assert_eq!(became(&loaded, "http.monitor"), Became::Executable(earlier));
}

#[test]
fn lvs_alert_is_built_in_unless_the_file_asks_for_the_script() {
    let line = "   alert lvs.alert -V 10.0.0.3:80 -R 192.168.0.1\n";
    let folder = Folder::new(&[
        ("mon.cf", &format!("{WATCH}{line}")),
        (
            "external.cf",
            &format!("external_lvs_alert = yes\n\n{WATCH}{line}"),
        ),
        ("alert.d/lvs.alert", "#!/usr/bin/perl\n"),
    ]);
    let loaded = folder.load().unwrap();
    assert_eq!(became(&loaded, "lvs.alert"), Became::BuiltIn);
    assert_eq!(loaded.model.bindings.len(), 1);
    let loaded = folder
        .load_with("external.cf", &LoadOptions::default())
        .unwrap();
    let script = folder.path().join("alert.d/lvs.alert");
    assert_eq!(
        became(&loaded, "lvs.alert"),
        Became::Executable(script.clone())
    );
    assert_eq!(loaded.model.bindings, []);
    let alert = &loaded.model.services[0].periods[0].alerts[1];
    assert_eq!(alert.program, AlertProgram::Executable(script.clone()));
    fs::remove_file(script).unwrap();
    let loaded = folder
        .load_with("external.cf", &LoadOptions::default())
        .unwrap();
    assert_eq!(became(&loaded, "lvs.alert"), Became::Missing);
}

#[test]
fn a_missing_program_is_a_warning_that_says_where_was_looked() {
    let folder = Folder::new(&[("mon.cf", &WATCH.replace("http.monitor", "own.monitor"))]);
    let loaded = folder.load().unwrap();
    assert_eq!(became(&loaded, "own.monitor"), Became::Missing);
    let messages = folder.messages(&loaded.warnings);
    let expected = "monitor \"own.monitor\" is missing: no such file in mondir: first/mon.d (no such folder), mon.d (no such folder), line 6";
    assert_eq!(
        messages[0].lines().next().unwrap(),
        format!("cf warning: {expected}")
    );
    let path = folder.write("mon.d/own.monitor", b"#!/bin/sh\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let messages = folder.messages(&folder.load().unwrap().warnings);
    assert!(
        messages[0].contains("mon.d/own.monitor may not be executed"),
        "{messages:?}"
    );
}

#[test]
fn what_a_built_in_is_told_to_run_and_cannot_is_a_warning_at_its_place() {
    let folder = Folder::new(&[("x.d/there", "#!/bin/sh\n"), ("folder/x", "")]);
    let path = folder.path().display().to_string();
    for (line, expected) in [
        ("plugin.monitor -t 6 -- sh -H %h", ""),
        ("plugin.monitor -d PATH/x.d there -H %h", ""),
        ("plugin.monitor PATH/x.d/there", ""),
        ("misc.monitor -- PATH/x.d/there %h ;;", ""),
        (
            "plugin.monitor -t 6 -- check_nosuch -H %h",
            "plugin.monitor cannot run \"check_nosuch\": there is no plugin check_nosuch in",
        ),
        (
            "plugin.monitor -d PATH/folder x -H %h",
            "plugin.monitor cannot run \"x\": folder/x may not be executed",
        ),
        (
            "misc.monitor -t 3 -- PATH/x.d/none %h",
            "misc.monitor cannot run \"x.d/none\": there is no file x.d/none",
        ),
        (
            "misc.monitor PATH/folder %h",
            "misc.monitor cannot run \"folder\": folder is not a file",
        ),
    ] {
        let line = line.replace("PATH", &path);
        let text = WATCH.replace("http.monitor", &line);
        folder.write("mon.cf", text.as_bytes());
        let found = folder.load().unwrap().warnings;
        let messages: Vec<String> = found.iter().map(|it| it.to_string()).collect();
        let messages: Vec<String> = messages
            .iter()
            .map(|it| it.replace(&format!("{path}/"), "").replace(&path, ""))
            .collect();
        let hit = messages.iter().find(|it| it.contains("cannot run"));
        match hit {
            None => assert_eq!(expected, "", "{line}: {messages:?}"),
            Some(hit) => {
                assert!(!expected.is_empty(), "{line}: {hit}");
                assert!(hit.contains(expected), "{line}: {hit}");
                assert!(hit.contains(", line 6"), "{hit}");
            }
        }
    }
}

#[test]
fn a_program_that_many_services_run_is_said_once_and_not_where_a_file_wins() {
    let service = "hostgroup web web1\n\nwatch web\n service a\n  interval 10s\n  monitor \
                   plugin.monitor -t 6 -- check_nosuch\n service b\n  interval 10s\n  monitor \
                   plugin.monitor -t 7 -- check_nosuch\n";
    let folder = Folder::new(&[("mon.cf", service)]);
    let count = |folder: &Folder| {
        let messages = folder.messages(&folder.load().unwrap().warnings);
        messages
            .iter()
            .filter(|it| it.contains("check_nosuch"))
            .count()
    };
    assert_eq!(count(&folder), 1);
    folder.write("mon.d/plugin.monitor", b"#!/bin/sh\n");
    assert_eq!(count(&folder), 0);
}

#[test]
fn a_program_may_be_named_by_its_path() {
    let folder = Folder::new(&[("mon.d/sub/a.monitor", "#!/bin/sh\n")]);
    let path = folder.path().join("mon.d/sub/a.monitor");
    for name in ["sub/a.monitor".to_owned(), path.display().to_string()] {
        folder.write("mon.cf", WATCH.replace("http.monitor", &name).as_bytes());
        assert_eq!(
            became(&folder.load().unwrap(), &name),
            Became::Executable(path.clone())
        );
    }
}

#[test]
fn paths_are_rebased_as_mon_does_it() {
    let settings = "basedir = /b\nstatedir = state\nlogdir = /l\ncfbasedir = /c\nmail_login = login\nmondir = x:/opt/monitors:/srv/y/\nalertdir = a\n";
    let folder = Folder::new(&[("mon.cf", settings)]);
    let load = |overrides: Overrides| {
        let options = LoadOptions {
            overrides,
            ..LoadOptions::default()
        };
        site::load(&folder.path().join("mon.cf"), &options)
            .unwrap()
            .model
            .globals
    };
    let globals = load(Overrides::default());
    let text = |path: &Path| path.display().to_string();
    assert_eq!(text(&globals.statedir), "/b/state");
    assert_eq!(text(&globals.logdir), "/l");
    assert_eq!(text(globals.mail.login.as_ref().unwrap()), "/c/login");
    assert_eq!(
        globals.mondir,
        ["/b/x", "/opt/monitors", "/srv/y"].map(PathBuf::from)
    );
    assert_eq!(globals.alertdir, ["/b/a"].map(PathBuf::from));
    let globals = load(Overrides {
        basedir: Some("/o".to_owned()),
        statedir: Some("/s".to_owned()),
        ..Overrides::default()
    });
    assert_eq!(
        (text(&globals.statedir), text(&globals.alertdir[0])),
        ("/s".to_owned(), "/o/a".to_owned())
    );
}

#[test]
fn a_file_of_passwords_that_is_named_has_to_be_there_under_cfbasedir() {
    for name in ["authfile", "userfile"] {
        let folder = Folder::new(&[("etc/here.cf", "")]);
        let cfbasedir = folder.path().join("etc");
        let load = |file: &str| {
            let cfbasedir = cfbasedir.display();
            let text = format!("cfbasedir = {cfbasedir}\n{name} = {file}\n");
            folder.write("mon.cf", text.as_bytes());
            folder.load()
        };
        // C-11: mon looks for it where it was started.
        load("here.cf").unwrap();
        let said = folder.messages(&load("gone.cf").unwrap_err());
        let expected = format!(
            "{name} etc/gone.cf does not exist or is not readable: no such file or directory, line 2"
        );
        assert!(said.iter().any(|one| one.contains(&expected)), "{said:?}");
    }
    // Of mon's own name it need not: then nobody may do anything.
    let folder = Folder::new(&[("mon.cf", "maxprocs = 1\n")]);
    folder.write(
        "mon.cf",
        format!("cfbasedir = {}\n", folder.path().display()).as_bytes(),
    );
    folder.load().unwrap();
}

#[test]
fn the_command_line_wins_over_the_file_at_every_reading() {
    let folder = Folder::new(&[("own.cf", "")]);
    let text = format!(
        "cfbasedir = {}\nauthfile = gone.cf\npidfile = /file.pid\nhistlength = 1\nmaxprocs = 1\n\
         serverport = 1\ntrapport = 1\nrandstart = 1s\nsyslog_facility = mail\n",
        folder.path().display()
    );
    folder.write("mon.cf", text.as_bytes());
    let overrides = Overrides {
        authfile: Some("own.cf".to_owned()),
        pidfile: Some(String::new()),
        histlength: Some(2),
        maxprocs: Some(2),
        serverport: Some(2),
        trapport: Some(2),
        randstart: Some(std::time::Duration::from_secs(2)),
        syslog_facility: Some("local0".parse().unwrap()),
        cfbasedir: Some("/nowhere".to_owned()),
        ..Overrides::default()
    };
    let options = LoadOptions {
        overrides,
        manner: Manner::Mon,
        ..LoadOptions::default()
    };
    let globals = folder.load_with("mon.cf", &options).unwrap().model.globals;
    assert_eq!(globals.auth.authfile, folder.path().join("own.cf"));
    assert_eq!(globals.process.pidfile, None);
    assert_eq!((globals.histlength, globals.maxprocs), (2, Some(2)));
    assert_eq!((globals.server.port, globals.trap.port), (2, 2));
    assert_eq!(globals.randstart, Some(std::time::Duration::from_secs(2)));
    // Of these two the file has the last word, as in mon.
    assert_eq!(globals.process.syslog_facility.to_string(), "mail");
    assert_eq!(globals.cfbasedir, folder.path());
    assert_eq!(globals.server.bind, Bind::Everywhere);

    folder.write("mon.cf", b"maxprocs = 1\n");
    let globals = folder
        .load_with("mon.cf", &LoadOptions::default())
        .unwrap()
        .model
        .globals;
    assert_eq!(globals.server.bind, Bind::Loopback);
    assert_eq!(globals.process.pidfile, None);
}

#[test]
fn a_file_without_any_setting_or_record_is_a_mistake() {
    for text in ["", "\n\n", "# hostgroup web web1\n", "include nothing.d\n"] {
        let folder = Folder::new(&[("mon.cf", text)]);
        fs::create_dir(folder.path().join("nothing.d")).unwrap();
        let error = site::load(&folder.path().join("mon.cf"), &LoadOptions::default());
        let said: Vec<String> = error
            .unwrap_err()
            .iter()
            .map(Diagnostic::to_string)
            .collect();
        let last = said.last().unwrap();
        assert!(last.contains("mon.cf is empty"), "{text:?}: {said:?}");
    }
}

#[test]
fn a_tripwire_beside_a_program_is_said_to_do_nothing() {
    let text = WATCH.replace("  monitor http", "  tripwire on\n  monitor http");
    let folder = Folder::new(&[("mon.cf", &text)]);
    let said = |folder: &Folder| folder.messages(&folder.load().unwrap().warnings).concat();
    assert!(!said(&folder).contains("tripwire"), "{}", said(&folder));
    folder.write("mon.d/http.monitor", b"#!/bin/sh\n");
    let said = said(&folder);
    let expected = "tripwire does nothing: mon.d/http.monitor is a program, and lvsmon does not know \
                    which port it checks; a crash is noticed by the next check, line 6";
    assert!(said.contains(expected), "{said}");
}
