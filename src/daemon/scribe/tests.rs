use std::sync::mpsc::{Sender, channel};

use super::*;

const SOON: Duration = Duration::from_secs(20);

fn close(scribe: Scribe) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(scribe.close(SOON));
}

/// Keeps the thread busy until the sender speaks or is gone.
fn hang(scribe: &mut Scribe) -> Sender<()> {
    let (go_on, told) = channel::<()>();
    scribe.give(Job::Run {
        what: Box::new(move |_| {
            let _ = told.recv();
        }),
        reply: Box::new(|_| {}),
    });
    go_on
}

/// A reply that says its name and the outcome.
fn reply(said: &Sender<(usize, Result<(), String>)>, number: usize) -> Reply {
    let said = said.clone();
    Box::new(move |outcome| said.send((number, outcome)).unwrap())
}

fn page(path: &Path, text: String) -> Page {
    Page {
        path: path.to_owned(),
        text,
        modified: Modified(1_700_000_000, 0),
    }
}

fn line(text: String) -> Job {
    let path = "/nowhere/at/all".into();
    Job::Append { path, text }
}

#[test]
fn a_disk_that_hangs_holds_a_bounded_number_of_jobs_and_the_others_are_answered() {
    let mut scribe = Scribe::default();
    let go_on = hang(&mut scribe);
    for _ in 0..JOBS_MAX + 5 {
        scribe.give(line(String::new()));
    }
    assert_eq!(scribe.waiting.jobs.len(), JOBS_MAX);
    assert_eq!(scribe.waiting.lost, 5);
    let (said, outcomes) = channel();
    scribe.give(Job::Run {
        what: Box::new(|reply| reply(Ok(()))),
        reply: reply(&said, 7),
    });
    let (number, outcome) = outcomes.recv_timeout(SOON).unwrap();
    assert_eq!(number, 7);
    assert!(outcome.unwrap_err().contains("too slow"));
    drop(go_on);
    close(scribe);
}

#[test]
fn a_disk_that_hangs_holds_a_bounded_number_of_bytes() {
    let mut scribe = Scribe::default();
    let go_on = hang(&mut scribe);
    let long = BYTES_MAX / 4;
    for _ in 0..9 {
        scribe.give(line("x".repeat(long)));
    }
    assert_eq!(scribe.waiting.jobs.len(), 3);
    assert!(scribe.waiting.bytes <= BYTES_MAX);
    assert_eq!(scribe.waiting.lost, 6);
    // What is small still fits.
    scribe.give(line("x".to_owned()));
    assert_eq!(scribe.waiting.jobs.len(), 4);
    drop(go_on);
    close(scribe);
}

#[test]
fn one_text_that_is_larger_than_all_that_may_wait_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("opstatus");
    let mut scribe = Scribe::default();
    let go_on = hang(&mut scribe);
    let text = "x".repeat(BYTES_MAX + 1);
    scribe.give(Job::Replace {
        files: vec![page(&path, text)],
        replies: Vec::new(),
    });
    drop(go_on);
    close(scribe);
    let length = std::fs::metadata(&path).unwrap().len();
    assert_eq!(length, BYTES_MAX as u64 + 1);
}

#[test]
fn of_a_file_that_is_replaced_only_the_newest_text_waits_and_all_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut scribe = Scribe::default();
    let go_on = hang(&mut scribe);
    let (said, outcomes) = channel();
    let mut give = |number: usize, names: &[&str]| {
        let text = || format!("{number}").repeat(BYTES_MAX / 3);
        let files = names.iter().map(|name| page(&path(name), text()));
        scribe.give(Job::Replace {
            files: files.collect(),
            replies: vec![reply(&said, number)],
        });
        (scribe.waiting.jobs.len(), scribe.waiting.bytes)
    };
    assert_eq!(give(1, &["opstatus"]).0, 1);
    assert_eq!(give(2, &["disabled"]).0, 2);
    // Both in one.
    let (jobs, bytes) = give(3, &["disabled", "opstatus"]);
    assert!(jobs == 1 && bytes <= BYTES_MAX, "{jobs} {bytes}");
    assert_eq!(give(4, &["disabled"]).0, 1);
    drop(go_on);
    close(scribe);
    drop(said);
    let mut told: Vec<_> = outcomes.iter().collect();
    told.sort_by_key(|(number, _)| *number);
    assert_eq!(told, [1, 2, 3, 4].map(|number| (number, Ok(()))));
    let first = |name: &str| std::fs::read_to_string(path(name)).unwrap().remove(0);
    assert_eq!((first("opstatus"), first("disabled")), ('3', '4'));
}

#[test]
fn what_is_read_in_its_turn_finds_the_text_that_was_given_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disabled");
    let mut scribe = Scribe::default();
    let go_on = hang(&mut scribe);
    let replace = |text: &str| Job::Replace {
        files: vec![page(&path, text.to_owned())],
        replies: Vec::new(),
    };
    scribe.give(replace("before"));
    let (found, texts) = channel();
    let read = path.clone();
    scribe.give(Job::Run {
        what: Box::new(move |_| found.send(std::fs::read_to_string(read).unwrap()).unwrap()),
        reply: Box::new(|_| {}),
    });
    scribe.give(replace("after"));
    drop(go_on);
    close(scribe);
    assert_eq!(texts.recv().unwrap(), "before");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "after");
}

#[test]
fn a_thread_that_breaks_is_replaced_and_what_waited_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history");
    let mut scribe = Scribe::default();
    scribe.give(Job::Run {
        what: Box::new(|_| panic!("a defect, on purpose")),
        reply: Box::new(|_| {}),
    });
    scribe.give(Job::Append {
        path: path.clone(),
        text: "line\n".to_owned(),
    });
    close(scribe);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "line\n");
}

#[test]
fn jobs_are_done_in_order_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut scribe = Scribe::default();
    for number in 0..100 {
        let text = format!("{number}\n");
        let path = path.clone();
        scribe.give(Job::Append { path, text });
    }
    close(scribe);
    let written = std::fs::read_to_string(&path).unwrap();
    let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
    assert_eq!(written, expected);
}

#[test]
fn a_file_is_replaced_as_a_whole_and_whoever_waits_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disabled");
    std::fs::write(&path, "old").unwrap();
    let (said, outcomes) = channel();
    let replace = |files: Vec<Page>| {
        let mut scribe = Scribe::default();
        scribe.give(Job::Replace {
            files,
            replies: vec![reply(&said, 0)],
        });
        close(scribe);
        outcomes.recv_timeout(SOON).unwrap().1
    };
    assert_eq!(replace(vec![page(&path, "new".to_owned())]), Ok(()));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    // It is known again by its time.
    let found = std::fs::metadata(&path).unwrap().modified().unwrap();
    let since = found.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(since, Duration::from_secs(1_700_000_000));
    let gone = folder.path().join("gone/opstatus");
    let outcome = replace(vec![page(&gone, String::new()), page(&path, String::new())]);
    assert!(outcome.unwrap_err().contains("gone/opstatus"));
}

#[test]
fn a_disk_that_fails_is_named_once_until_it_works_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gone/log");
    let mut desk = Desk::default();
    for _ in 0..3 {
        desk.append(&path, "x\n".to_owned());
        assert_eq!(desk.failing.len(), 1);
    }
    std::fs::create_dir(folder.path().join("gone")).unwrap();
    desk.append(&path, "x\n".to_owned());
    assert!(desk.failing.is_empty());
}

#[test]
fn a_head_that_cannot_be_written_comes_before_the_next_line_that_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gone/log");
    let mut desk = Desk::default();
    let head = |text: &str| Job::Head {
        path: path.clone(),
        text: text.to_owned(),
    };
    desk.work(head("# first\n"));
    desk.append(&path, "lost\n".to_owned());
    desk.work(head("# second\n"));
    std::fs::create_dir(folder.path().join("gone")).unwrap();
    for text in ["one\n", "two\n"] {
        desk.append(&path, text.to_owned());
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written, "# second\none\ntwo\n");
    desk.work(head("# third\n"));
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written.ends_with("two\n# third\n"), "{written}");
}

#[test]
fn a_log_that_is_a_pipe_or_a_device_holds_nobody_up_and_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("history");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut scribe = Scribe::default();
    for path in [pipe, "/dev/full".into()] {
        let text = "a line\n".to_owned();
        scribe.give(Job::Append { path, text });
    }
    let (said, outcomes) = channel();
    scribe.give(Job::Run {
        what: Box::new(|reply| reply(Ok(()))),
        reply: reply(&said, 7),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let all = async {
            while scribe.is_busy {
                scribe.idle().await;
                scribe.go_on();
            }
        };
        // The thread would hang on the pipe for ever.
        tokio::time::timeout(SOON, all).await.unwrap();
    });
    assert_eq!(outcomes.try_recv(), Ok((7, Ok(()))));
}

#[test]
fn what_is_to_be_written_waits_where_the_system_refuses_the_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history");
    let mut scribe = Scribe {
        begin: || Err(io::Error::from(io::ErrorKind::WouldBlock)),
        ..Scribe::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        for text in ["one\n", "two\n"] {
            let (path, text) = (path.clone(), text.to_owned());
            scribe.give(Job::Append { path, text });
        }
        // Tried again, in vain.
        scribe.idle().await;
        scribe.go_on();
        assert_eq!(scribe.waiting.jobs.len(), 2);
        scribe.begin = begin;
        scribe.idle().await;
        scribe.go_on();
        assert!(scribe.waiting.jobs.is_empty());
        // A stop writes what waits, too.
        scribe.close(SOON).await;
    });
    assert_eq!(std::fs::read_to_string(path).unwrap(), "one\ntwo\n");
}

#[test]
fn nobody_waits_for_a_thread_that_the_system_refuses_and_files_are_written_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("opstatus");
    let mut scribe = Scribe {
        begin: || Err(io::Error::from(io::ErrorKind::WouldBlock)),
        ..Scribe::default()
    };
    let (said, outcomes) = channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        scribe.give(Job::Replace {
            files: vec![page(&path, "text".to_owned())],
            replies: vec![reply(&said, 1)],
        });
        scribe.give(Job::Run {
            what: Box::new(|_| panic!("its asker was told that it is not done")),
            reply: reply(&said, 2),
        });
        for number in [1, 2] {
            let (told, outcome) = outcomes.try_recv().unwrap();
            assert_eq!(told, number);
            assert!(outcome.unwrap_err().contains("limit of processes"));
        }
        assert_eq!(scribe.waiting.jobs.len(), 1);
        scribe.begin = begin;
        scribe.idle().await;
        scribe.go_on();
        scribe.close(SOON).await;
    });
    assert_eq!(std::fs::read_to_string(path).unwrap(), "text");
}
