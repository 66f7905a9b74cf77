use super::*;

fn seen(exit: i32, output: &str, named: &[&str]) -> Seen {
    let (summary, detail) = output.split_once('\n').unwrap_or((output, ""));
    Seen {
        ended: Ended::Exited(exit),
        output: output.as_bytes().to_vec(),
        took: Duration::from_millis(20),
        summary: summary.to_owned(),
        detail: detail.to_owned(),
        named: named.iter().map(|&name| name.to_owned()).collect(),
    }
}

/// The codes of what is said of runs of a monitor with this group.
fn said(runs: &[Seen], group: &str, probe: Option<&Probe>) -> Vec<&'static str> {
    let group: Vec<String> = group.split_whitespace().map(str::to_owned).collect();
    let remarks = monitor(&Told {
        runs,
        probe,
        group: &group,
        limit: Some(Duration::from_secs(10)),
        interval: None,
        all_hosts_on_failure: false,
        path: Some(Path::new("/x.monitor")),
        is_configured: false,
    });
    remarks.into_iter().map(|remark| remark.code).collect()
}

#[test]
fn a_monitor_in_good_form_is_not_criticised() {
    let good = seen(0, "", &[]);
    assert!(said(&[good.clone(), good], "h1 h2", None).is_empty());
    for summary in ["h1", "h1 h2", "h1(timeout), h2:80", "h2: refused"] {
        let bad = seen(1, &format!("{summary}\n\ndetail 1.5 s\n"), &["h1"]);
        let said = said(&[bad.clone(), bad], "h1 h2", None);
        assert!(said.is_empty(), "{summary}: {said:?}");
    }
    // A reason in the summary beside the host is no other host.
    let bad = seen(1, "h1 connection refused by 10.0.0.1:80", &["h1"]);
    assert_eq!(said(&[bad], "h1 h2", None), ["unknown_host"]);
    let bad = seen(1, "h1 does not answer: time-out", &["h1"]);
    assert!(said(&[bad], "h1 h2", None).is_empty());
}

#[test]
fn a_failure_that_names_nobody_is_a_problem_and_the_likely_host_is_shown() {
    for (output, group, words) in [
        ("all is lost", "h1 h2", "names no host"),
        ("WEB1", "web1 web2", "it says WEB1, the group says web1"),
        (
            "web1",
            "web1.example.org",
            "it says web1, the group says web1.example.org",
        ),
        (
            "down\nweb2: refused",
            "web1 web2",
            "web2 stands in the detail only",
        ),
    ] {
        let group: Vec<String> = group.split_whitespace().map(str::to_owned).collect();
        let runs = [seen(1, output, &[])];
        let remarks = monitor(&Told {
            runs: &runs,
            probe: None,
            group: &group,
            limit: None,
            interval: None,
            all_hosts_on_failure: false,
            path: Some(Path::new("/x.monitor")),
            is_configured: false,
        });
        assert_eq!(remarks.len(), 1, "{remarks:?}");
        assert_eq!(
            (remarks[0].level, remarks[0].code),
            (Level::Problem, "no_host_named")
        );
        assert!(remarks[0].text.contains(words), "{}", remarks[0].text);
    }
}

#[test]
fn each_fault_has_its_word() {
    let long = "h1 ".repeat(100);
    for (exit, output, expected) in [
        (1, "", "no_output"),
        (1, "\nh1 is down", "blank_summary"),
        (1, "h1 h7", "unknown_host"),
        (1, "h1 10.9.9.9", "unknown_host"),
        (1, "h2 h1", "not_sorted"),
        (0, "h1", "exit_0_names_host"),
        (1, "h1 \u{1b}[31mdown", "control_characters"),
        (1, &long, "long_summary"),
    ] {
        let runs = [seen(exit, output, &["h1"])];
        assert_eq!(said(&runs, "h1 h2", None), [expected], "{output:?}");
    }
}

#[test]
fn what_changes_from_run_to_run_is_noticed() {
    let one = seen(1, "h1 since 10:01", &["h1"]);
    let two = seen(1, "h1 since 10:02", &["h1"]);
    assert_eq!(said(&[one.clone(), two], "h1", None), ["summary_changes"]);
    let good = seen(0, "", &[]);
    assert_eq!(said(&[one, good], "h1", None), ["results_differ"]);
    let detail = |text| seen(1, &format!("h1\n{text}"), &["h1"]);
    assert!(said(&[detail("a"), detail("b")], "h1", None).is_empty());
}

#[test]
fn streams_apart_show_what_one_stream_hides() {
    let probe = Probe {
        out: "h1\n".to_owned(),
        errors: "Use of uninitialized value\n".to_owned(),
        reads_input: true,
        leaves_children: true,
    };
    let hidden = seen(1, "h1\nUse of uninitialized value\n", &["h1"]);
    assert_eq!(
        said(&[hidden], "h1", Some(&probe)),
        ["reads_input", "leaves_children", "stderr"]
    );
    let shown = seen(1, "Use of uninitialized value\nh1\n", &[]);
    let said = said(&[shown], "h1", Some(&probe));
    assert!(said.contains(&"stderr_in_summary"), "{said:?}");
}

#[test]
fn a_run_near_its_limit_or_interval_is_a_warning_and_beyond_a_problem() {
    let group = ["h1".to_owned()];
    let level = |took: u64, interval: Option<u64>| {
        let run = Seen {
            took: Duration::from_secs(took),
            ..seen(0, "", &[])
        };
        let remarks = monitor(&Told {
            runs: &[run],
            probe: None,
            group: &group,
            limit: Some(Duration::from_secs(100)),
            interval: interval.map(Duration::from_secs),
            all_hosts_on_failure: false,
            path: None,
            is_configured: true,
        });
        remarks.first().map(|remark| (remark.level, remark.code))
    };
    assert_eq!(level(79, None), None);
    assert_eq!(level(81, None), Some((Level::Warning, "slow")));
    assert_eq!(level(7, Some(10)), None);
    assert_eq!(level(9, Some(10)), Some((Level::Warning, "slow")));
    assert_eq!(level(11, Some(10)), Some((Level::Problem, "slow")));
}

#[test]
fn hosts_written_as_no_daemon_gives_them_are_noticed() {
    for host in ["h1,h2", "*h1"] {
        let runs = [seen(0, "", &[])];
        assert_eq!(said(&runs, host, None), ["host_syntax"]);
    }
}
