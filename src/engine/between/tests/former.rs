//! The address in the table while its name leads elsewhere (D8).

use super::*;
use crate::config;
use crate::engine::event::{Target, Wish};
use crate::lead::Lead;
use crate::lvs::Family;

const UP: HostVerdict = HostVerdict::Up;
const REFUSED: HostVerdict = HostVerdict::Down(Reason::Refused);

impl Play {
    /// `w1` and an address, judged by a section that takes two failures in a row for one.
    fn of_names() -> Self {
        Self::of_names_with(2)
    }

    /// The same with so many failures in a row.
    fn of_names_with(fall: u32) -> Self {
        let hosts = ["w1", "10.1.0.9"];
        let mut model = fixture::model_of(vec![wired()], &hosts);
        let mut both = section(&hosts);
        both.counts.fall = NonZeroU32::new(fall).unwrap();
        model.virtual_services.push(both);
        let mut play = Self::new(model);
        play.look();
        play.leads("w1", "10.1.0.1");
        play.check(&[]);
        assert!(play.is_in("10.1.0.1"));
        play
    }

    /// A file in words, whose name `w1` leads somewhere and is good.
    fn of_file(text: &str) -> Self {
        let (model, _) = config::load_text(text).unwrap();
        let mut play = Self::new(model);
        play.leads("w1", "10.1.0.1");
        play.check(&[]);
        assert!(play.is_in("10.1.0.1"));
        play
    }

    fn leads(&mut self, name: &str, addresses: &str) -> Vec<Action> {
        let host = HostName::new(name);
        let addresses = addresses.split(' ').map(|it| it.parse().unwrap());
        let answer = Ok(addresses.collect());
        self.tell(Event::Resolved(vec![Resolved::fresh(host, answer)]))
    }

    /// Where the checks go that look at addresses of before.
    fn former(&self) -> Vec<String> {
        let runs = self
            .beside
            .iter()
            .filter(|it| it.purpose == Purpose::Former);
        let there = runs.flat_map(|run| run.leads.values().flat_map(Lead::known));
        there.map(ToString::to_string).collect()
    }

    /// Where the check of `w1` goes that is under way.
    fn goes_to(&self) -> String {
        let there = &self.going.as_ref().unwrap().leads[&HostName::new("w1")];
        let there: Vec<String> = there.known().iter().map(ToString::to_string).collect();
        there.join(" ")
    }

    /// Ends the oldest of them.
    fn end_former(&mut self, verdict: HostVerdict) -> Vec<Action> {
        assert!(!self.beside.is_empty(), "the address of before is checked");
        let run = self.beside.remove(0);
        assert_eq!(run.purpose, Purpose::Former);
        let host = run.hosts[0].clone();
        let is_up = verdict == UP;
        let result = HostResult {
            host,
            verdict,
            text: if is_up { "" } else { "gone" }.to_owned(),
            weight: None,
            took: seconds(0),
        };
        self.tell(Event::RunEnded {
            run: run.id,
            report: Report {
                ended: Ended::Exited(i32::from(!is_up)),
                output: Vec::new(),
                hosts: vec![result],
                took: seconds(0),
            },
        })
    }

    /// Lets time pass until the address of before is checked beside what else goes on.
    fn wait_for_former(&mut self) -> Mono {
        while self.beside.is_empty() {
            let mono = self.engine.next_deadline().expect("something is planned");
            let wall = Wall::from_seconds(fixture::EPOCH).after(mono.since(Mono::ZERO));
            self.now = Now { mono, wall };
            self.tell(Event::Deadline);
        }
        self.now.mono
    }
}

#[test]
fn an_address_stays_checked_while_the_next_one_of_its_name_fails() {
    let mut play = Play::of_names();
    play.leads("w1", "10.1.0.2");
    // As often as the service is checked.
    for _ in 0..3 {
        play.wait();
        assert_eq!(play.former(), ["10.1.0.1"]);
        assert!(held(&play.end_former(UP)).is_empty());
        play.end(&["w1"]);
        assert!(play.is_in("10.1.0.1"));
    }
    // And as often as the section asks for, once it fails, though a check of the next one hangs.
    let began = play.wait();
    play.end_former(REFUSED);
    assert!(play.is_in("10.1.0.1"), "once is not twice");
    let again = play.wait_for_former();
    assert_eq!(again.since(began), std::time::Duration::from_millis(500));
    assert_eq!(play.former(), ["10.1.0.1"]);
    let actions = play.end_former(REFUSED);
    assert!(!play.is_in("10.1.0.1") && play.is_in("10.1.0.9"));
    let noted = format!(
        "{:?}",
        actions
            .iter()
            .filter_map(Action::noted)
            .collect::<Vec<&Note>>()
    );
    let why = "text: \"gone (at 10.1.0.1, which the name has left)\"";
    assert!(noted.contains(why), "{noted}");
    play.end(&["w1"]);
    assert!(!play.is_in("10.1.0.1") && !play.is_in("10.1.0.2"));
    // It is good again, and then the next one is.
    play.wait();
    play.end_former(UP);
    assert!(play.is_in("10.1.0.1"));
    play.end(&["w1"]);
    play.wait();
    play.end(&[]);
    assert!(play.is_in("10.1.0.2") && !play.is_in("10.1.0.1"));
    // What is found at the one that left is no word on the one that came.
    play.end_former(REFUSED);
    play.check(&["w1"]);
    assert!(play.is_in("10.1.0.2"), "once is not twice");
    assert_eq!(play.former(), Vec::<String>::new());
}

#[test]
fn a_name_that_leads_back_has_its_checks_count_as_ever() {
    let mut play = Play::of_names();
    play.leads("w1", "10.1.0.2");
    play.wait();
    play.end_former(REFUSED);
    play.end(&["w1"]);
    play.leads("w1", "10.1.0.1");
    play.check(&["w1"]);
    assert!(!play.is_in("10.1.0.1"), "the second failure there");
    assert_eq!(play.former(), Vec::<String>::new());
}

/// What only `lvs.alert` lines keep, one host by name and one by address.
const LINES: &str = "hostgroup web w1 10.1.0.9\n\nwatch web\n service s\n  interval 60s\n  \
                     monitor tcp.monitor -p 80\n  period\n   \
                     alert lvs.alert -P tcp -V 10.0.0.3:80\n   \
                     upalert lvs.alert -P tcp -V 10.0.0.3:80\n";

#[test]
fn a_line_keeps_no_address_that_fails_while_the_next_one_does() {
    let mut play = Play::of_file(LINES);
    play.leads("w1", "10.1.0.2");
    play.wait();
    play.end(&["w1"]);
    assert!(play.is_in("10.1.0.1"));
    play.end_former(REFUSED);
    assert!(!play.is_in("10.1.0.1") && play.is_in("10.1.0.9"));
    play.wait();
    play.end_former(UP);
    assert!(play.is_in("10.1.0.1"));
    play.end(&[]);
    assert!(play.is_in("10.1.0.2") && !play.is_in("10.1.0.1"));
    assert_eq!(play.former(), Vec::<String>::new());
}

#[test]
fn a_line_hears_of_no_failure_that_its_alerts_hold_back() {
    let mut play = Play::of_file(&LINES.replace("period\n", "period\n   alertafter 2\n"));
    play.leads("w1", "10.1.0.2");
    for count in 1..=2 {
        play.wait();
        play.end(&["w1"]);
        play.end_former(REFUSED);
        assert_eq!(play.is_in("10.1.0.1"), count < 2, "{count}");
    }
}

#[test]
fn nothing_is_taken_out_by_a_check_of_before_while_its_service_is_disabled() {
    let mut play = Play::of_file(LINES);
    play.leads("w1", "10.1.0.2");
    play.wait();
    play.end(&["w1"]);
    let target = crate::engine::event::Target::Service(ServiceId(0));
    play.tell(Event::Operator(crate::engine::event::Wish::Disable {
        target,
        user: "joe".to_owned(),
    }));
    play.end_former(REFUSED);
    assert!(play.is_in("10.1.0.1"), "frozen (D10)");
}

#[test]
fn where_no_check_can_be_sent_the_address_stays_as_it_was_and_that_is_said() {
    let says = |play: &Play| {
        let views = play.engine.real_servers();
        let problems = views.iter().filter_map(|it| it.problem.clone());
        problems.collect::<Vec<String>>().join("; ")
    };
    let checked = "counts, by what its own checks find";
    let mut play = Play::of_file(LINES);
    play.leads("w1", "10.1.0.2");
    play.wait();
    play.end(&["w1"]);
    assert!(says(&play).contains(checked), "{}", says(&play));
    // It fails too: what is said of it is as true.
    play.wait();
    play.end_former(REFUSED);
    assert!(!play.is_in("10.1.0.1"));
    assert!(says(&play).contains(checked), "{}", says(&play));
    // A program looks its names up itself.
    let program = LINES.replace("tcp.monitor -p 80", "plugin.monitor /bin/true");
    let mut play = Play::of_file(&program);
    play.leads("w1", "10.1.0.2");
    play.wait();
    assert_eq!(play.former(), Vec::<String>::new());
    play.end(&["w1"]);
    assert!(play.is_in("10.1.0.1"));
    let unchecked = "counts as it stands, and is not checked any more";
    assert!(says(&play).contains(unchecked), "{}", says(&play));
}

#[test]
fn a_server_whose_name_got_a_second_address_is_judged_by_its_own() {
    let mut play = Play::of_names();
    let both = ["10.1.0.1", "10.1.0.5"].map(|it| it.parse().unwrap());
    let host = HostName::new("w1");
    let answer = Ok(both.to_vec());
    play.tell(Event::Resolved(vec![Resolved::fresh(host, answer)]));
    play.wait();
    let run = play.going.as_ref().unwrap();
    assert_eq!(
        run.leads[&HostName::new("w1")],
        Lead::To(both[..1].to_vec())
    );
    assert_eq!(play.former(), Vec::<String>::new());
    play.end(&["w1"]);
    assert!(play.is_in("10.1.0.1"), "once is not twice");
    play.check(&["w1"]);
    assert!(!play.is_in("10.1.0.1") && play.is_in("10.1.0.9"));
}

#[test]
fn no_check_goes_to_an_address_of_a_family_that_its_service_does_not_judge() {
    let mut play = Play::of_names();
    // It moves, and the machine at the old address dies: that it answers by IPv6 is no word on it.
    play.leads("w1", "10.1.0.2 2001:db8::1");
    play.wait();
    assert_eq!(play.goes_to(), "10.1.0.2");
    assert_eq!(play.former(), ["10.1.0.1"]);
    for _ in 0..2 {
        play.wait_for_former();
        play.end_former(REFUSED);
    }
    assert!(!play.is_in("10.1.0.1"));
    // The same where it has an IPv6 address only.
    let mut play = Play::of_names();
    play.leads("w1", "2001:db8::1");
    play.wait();
    assert_eq!(play.goes_to(), "10.1.0.1");
    assert_eq!(play.former(), ["10.1.0.1"]);
}

#[test]
fn a_report_counts_while_an_address_changes_that_is_not_its_services_to_judge() {
    let mut play = Play::of_names();
    play.leads("w1", "10.1.0.1 2001:db8::1");
    for (second, is_in) in [(2, true), (3, false)] {
        play.wait();
        play.leads("w1", &format!("10.1.0.1 2001:db8::{second}"));
        play.end(&["w1"]);
        assert_eq!(play.is_in("10.1.0.1"), is_in, "{second}");
    }
}

/// Where the first check goes of a service `g:s` of hostgroup `g` w1 with this monitor, beside
/// `rest`: of this host, once `w1` leads to both families and while it is not known.
fn leads_of(monitor: &str, rest: &str, host: &str) -> [Option<Lead>; 2] {
    ["", "10.1.0.1 2001:db8::1"].map(|answer| {
        let file = format!(
            "hostgroup g w1\n\nwatch g\n service s\n  interval 60s\n  monitor {monitor}\n{rest}\n"
        );
        let (model, _) = config::load_text(&file).unwrap();
        let mut play = Play::new(model);
        if !answer.is_empty() {
            play.leads("w1", answer);
            play.check(&[]);
        }
        play.wait();
        let run = play.going.as_ref().unwrap();
        run.leads.get(&HostName::new(host)).cloned()
    })
}

#[test]
fn a_check_goes_to_the_addresses_that_its_service_decides_over() {
    const TCP: &str = "tcp.monitor -p 80";
    let v4 = "\nvirtual 10.0.0.3:80\n real w1 service g:s\n";
    let whole = "\nvirtual 10.0.0.3:80\n real 10.1.0.1 service g:s\n";
    let line = "  period\n   alert lvs.alert -P tcp -V 10.0.0.3:80 -R 10.1.0.1 -F dr -W 1\n   \
                upalert lvs.alert -P tcp -V 10.0.0.3:80 -R 10.1.0.1 -F dr -W 1\n";
    let of_nobody = "\nvirtual [2001:db8::3]:80\n real w1 service none\n";
    let both = format!("{whole}\nvirtual [2001:db8::3]:80\n real [2001:db8::1] service g:s\n");
    let there = Some(Lead::To(vec!["10.1.0.1".parse().unwrap()]));
    let [within, rather] = [Lead::Within, Lead::Rather].map(|lead| Some(lead(Family::V4)));
    for (monitor, rest, host, unknown, known) in [
        (TCP, v4, "w1", &within, &there),
        // Among the words of the monitor itself.
        ("tcp.monitor -p 80 w1 ;;", v4, "w1", &within, &there),
        // A real server that is written otherwise than the host.
        (TCP, whole, "w1", &rather, &rather),
        (TCP, line, "w1", &rather, &rather),
        ("tcp.monitor -p 80 db ;;", whole, "db", &rather, &rather),
        // What decides over both, or over nothing, goes where it likes.
        (TCP, &both, "w1", &None, &None),
        (TCP, of_nobody, "w1", &None, &None),
    ] {
        let found = leads_of(monitor, rest, host);
        assert_eq!(found, [unknown.clone(), known.clone()], "{monitor} {rest}");
    }
}

#[test]
fn a_check_that_goes_to_the_other_family_is_none_behind_a_reload() {
    let file = |address: &str| {
        let text = format!(
            "hostgroup g w1\n\nwatch g\n service s\n  interval 60s\n  \
             monitor tcp.monitor -p 80\n\nvirtual {address}\n real w1\n service g:s\n"
        );
        config::load_text(&text).unwrap().0
    };
    let mut play = Play::new(file("10.0.0.3:80"));
    play.leads("w1", "10.1.0.1 2001:db8::1");
    play.look();
    play.check(&[]);
    assert!(play.is_in("10.1.0.1"));
    play.wait();
    let run = play.going.as_ref().unwrap().id;
    let reload = |address| Event::Reload {
        model: Arc::new(file(address)),
        memory: Memory::Kept,
    };
    let actions = play.tell(reload("[2001:db8::3]:80"));
    assert!(actions.contains(&Action::Stop(run)), "{actions:?}");
    let before = play.now.mono;
    play.wait();
    assert_eq!(play.now.mono, before, "at once");
    assert_eq!(play.goes_to(), "2001:db8::1");
    play.look();
    assert!(!play.is_in("2001:db8::1"), "not before it was looked at");
    play.end(&[]);
    assert!(play.is_in("2001:db8::1"));
    // A reload that leaves the families as they are stops nothing.
    play.wait();
    let run = play.going.as_ref().unwrap().id;
    let actions = play.tell(reload("[2001:db8::3]:80"));
    assert!(!actions.contains(&Action::Stop(run)), "{actions:?}");
}

#[test]
fn a_check_of_a_name_without_an_address_is_told_its_family() {
    let file = "hostgroup web w1\n\nwatch web\n service s\n  interval 60s\n  \
                monitor tcp.monitor -p 80\n\nvirtual 10.0.0.3:80\n real web\n service web:s\n";
    let (model, _) = config::load_text(file).unwrap();
    let mut play = Play::new(model);
    let told = |play: &Play| {
        let run = play.going.as_ref().unwrap();
        run.leads[&HostName::new("w1")].clone()
    };
    for answer in ["", "2001:db8::1"] {
        if !answer.is_empty() {
            play.leads("w1", answer);
        }
        play.wait();
        assert_eq!(told(&play), Lead::Within(Family::V4), "{answer}");
        play.end(&["w1"]);
    }
    play.leads("w1", "10.1.0.1 2001:db8::1");
    play.wait();
    assert_eq!(play.goes_to(), "10.1.0.1");
}

#[test]
fn a_connection_is_held_to_where_its_name_is_checked() {
    let mut play = Play::of_names();
    play.check(&["w1"]);
    for (answer, checked) in [
        ("2001:db8::1 10.1.0.1", "10.1.0.1"),
        ("10.1.0.2", "10.1.0.2"),
    ] {
        play.leads("w1", answer);
        let (_, actions) = play.check(&[]);
        let wires = held(&actions);
        let mut mine = wires.iter().filter(|wire| wire.host.as_str() == "w1");
        let there = Lead::To(vec![checked.parse().unwrap()]);
        assert_eq!(mine.next().unwrap().lead, Some(there), "{answer}");
    }
}

#[test]
fn a_connection_to_a_name_without_an_address_is_told_its_family() {
    let hosts = ["w1"];
    let mut model = fixture::model_of(vec![wired()], &hosts);
    model.virtual_services.push(section(&hosts));
    let mut play = Play::new(model);
    let (_, actions) = play.check(&[]);
    let lead = held(&actions)[0].lead.clone();
    assert_eq!(lead, Some(Lead::Within(Family::V4)));
}

#[test]
fn where_a_name_leads_now_is_looked_at_at_once() {
    let mut play = Play::of_names();
    play.leads("w1", "10.1.0.2");
    assert_eq!(
        (play.goes_to(), play.former()),
        ("10.1.0.2".into(), vec!["10.1.0.1".into()])
    );
    play.end_former(REFUSED);
    play.end(&[]);
    assert!(play.is_in("10.1.0.2") && !play.is_in("10.1.0.1"));
    // The grid of the slots stays, and the same answer again is no news.
    let began = play.now.mono;
    play.leads("w1", "10.1.0.2");
    assert!(play.going.is_none());
    assert_eq!(play.wait().since(began), seconds(60));
    // A check that goes to the one of before says nothing about the one that is next.
    play.leads("w1", "10.1.0.3");
    assert_eq!((play.goes_to(), play.beside.len()), ("10.1.0.2".into(), 0));
    play.end(&["w1"]);
    assert_eq!(
        (play.goes_to(), play.former()),
        ("10.1.0.3".into(), vec!["10.1.0.2".into()])
    );
    play.end(&[]);
    assert!(play.is_in("10.1.0.3") && !play.is_in("10.1.0.2"));
    // Where that is not good either, the next slot is time enough.
    play.beside.clear();
    play.leads("w1", "10.1.0.4");
    play.end(&["w1"]);
    assert!(play.going.is_none());
}

#[test]
fn failures_go_on_being_counted_where_a_name_led_before() {
    let mut play = Play::of_names();
    play.wait();
    play.end(&["w1"]);
    assert!(play.is_in("10.1.0.1"), "once is not twice");
    let began = play.now.mono;
    play.leads("w1", "10.1.0.2");
    assert_eq!(play.now.mono, began);
    play.end_former(REFUSED);
    assert!(!play.is_in("10.1.0.1") && play.is_in("10.1.0.9"));
}

#[test]
fn a_count_of_failures_goes_on_whichever_way_the_name_leads() {
    let mut play = Play::of_names_with(5);
    play.wait();
    play.end(&["w1"]);
    play.leads("w1", "10.1.0.2");
    play.end_former(REFUSED);
    play.end(&["w1"]);
    play.wait_for_former();
    play.end_former(REFUSED);
    // Back: the next one comes at once, and those behind it as often as the section asks for.
    play.leads("w1", "10.1.0.1");
    let going = play.going.as_ref().expect("at once");
    assert_eq!(going.purpose, Purpose::Slot);
    assert_eq!(play.goes_to(), "10.1.0.1");
    let began = play.now.mono;
    play.end(&["w1"]);
    assert!(play.is_in("10.1.0.1"), "four are not five");
    let again = play.wait();
    assert_eq!(again.since(began), std::time::Duration::from_millis(500));
    assert_eq!(play.going.as_ref().unwrap().purpose, Purpose::Recheck);
    play.end(&["w1"]);
    assert!(!play.is_in("10.1.0.1") && play.is_in("10.1.0.9"));
}

#[test]
fn a_name_that_turns_with_each_answer_keeps_no_dead_server_in() {
    let mut play = Play::of_names_with(4);
    for turn in 0..3 {
        play.leads("w1", ["10.1.0.2", "10.1.0.1"][turn % 2]);
        while !play.beside.is_empty() {
            play.end_former(REFUSED);
        }
        play.end(&["w1"]);
        assert!(play.is_in("10.1.0.1"), "{turn}");
    }
    play.leads("w1", "10.1.0.1");
    play.end(&["w1"]);
    assert!(!play.is_in("10.1.0.1") && play.is_in("10.1.0.9"));
}

#[test]
fn what_was_counted_where_a_name_led_before_is_no_count_of_where_it_leads_now() {
    let mut play = Play::of_names();
    play.wait();
    play.end(&["w1"]);
    play.leads("w1", "10.1.0.2");
    play.end(&[]);
    assert!(play.is_in("10.1.0.2"));
    play.end_former(REFUSED);
    play.check(&["w1"]);
    assert!(play.is_in("10.1.0.2"), "once is not twice");
    play.check(&["w1"]);
    assert!(!play.is_in("10.1.0.2"));
}

#[test]
fn a_check_counts_where_it_went_though_the_name_led_elsewhere_meanwhile() {
    let mut play = Play::of_names();
    play.wait();
    play.leads("w1", "10.1.0.2");
    play.leads("w1", "10.1.0.1");
    play.end(&["w1"]);
    assert!(play.going.is_none(), "it has looked where the name leads");
    assert!(play.is_in("10.1.0.1"), "once is not twice");
    play.check(&["w1"]);
    assert!(!play.is_in("10.1.0.1"));
}

#[test]
fn a_failure_at_another_address_is_none_of_a_service_as_a_whole_either() {
    let alone = LINES.replace(" 10.1.0.9\n", "\n");
    let mut play = Play::of_file(&alone.replace("10.0.0.3:80\n", "10.0.0.3:80 -R w1\n"));
    play.leads("w1", "10.1.0.2");
    assert_eq!(play.goes_to(), "10.1.0.2");
    play.leads("w1", "10.1.0.1");
    play.end(&["w1"]);
    assert!(play.is_in("10.1.0.1"));
    assert_eq!(play.goes_to(), "10.1.0.1");
    play.end(&["w1"]);
    assert!(!play.is_in("10.1.0.1"));
}

#[test]
fn a_name_that_leads_back_is_looked_at_at_once() {
    let mut play = Play::of_names();
    let slot = play.wait();
    play.end(&[]);
    play.leads("w1", "10.1.0.2");
    play.end_former(UP);
    play.end(&["w1"]);
    let failed = |play: &Play| play.engine.states[0].status == Status::Fail;
    assert!(failed(&play));
    play.leads("w1", "10.1.0.1");
    assert_eq!(play.goes_to(), "10.1.0.1");
    play.end(&[]);
    assert!(!failed(&play));
    // The grid stays, and the same answer again is no news.
    play.leads("w1", "10.1.0.1");
    assert!(play.going.is_none());
    assert_eq!(play.wait().since(slot), seconds(60));
    // A check that had begun before the name led back is none of where it leads now.
    play.leads("w1", "10.1.0.2");
    play.end(&[]);
    assert!(play.is_in("10.1.0.1"), "it began there");
    assert_eq!(play.goes_to(), "10.1.0.2");
    play.leads("w1", "10.1.0.1");
    play.end(&["w1"]);
    assert_eq!(play.goes_to(), "10.1.0.1");
    play.end(&[]);
    assert!(play.going.is_none());
}

#[test]
fn a_check_that_began_before_the_name_led_back_has_no_last_word() {
    let mut play = Play::of_names_with(1);
    play.leads("w1", "10.1.0.2");
    play.end(&["w1"]);
    play.leads("w1", "10.1.0.1");
    play.end(&[]);
    play.end_former(REFUSED);
    assert!(play.is_in("10.1.0.1"), "it was good since");
}

#[test]
fn a_run_that_says_nothing_of_the_host_leaves_the_check_of_before_its_word() {
    let says_nothing = [
        (Ended::NotStarted("no room".to_owned()), None),
        (
            Ended::Exited(1),
            Some(HostVerdict::Unknown(Reason::NoHostNamed)),
        ),
    ];
    for (ended, verdict) in says_nothing {
        let what = format!("{ended:?}");
        let mut play = Play::of_names_with(1);
        play.leads("w1", "10.1.0.2");
        play.end(&["w1"]);
        play.leads("w1", "10.1.0.1");
        assert_eq!(play.goes_to(), "10.1.0.1");
        let run = play.going.take().unwrap();
        let result = |(host, verdict): (&HostName, HostVerdict)| HostResult {
            host: host.clone(),
            verdict,
            text: String::new(),
            weight: None,
            took: seconds(0),
        };
        let hosts = run.hosts.iter().zip(verdict.into_iter().cycle());
        play.tell(Event::RunEnded {
            run: run.id,
            report: Report {
                ended,
                output: Vec::new(),
                hosts: hosts.map(result).collect(),
                took: seconds(0),
            },
        });
        play.end_former(REFUSED);
        assert!(
            !play.is_in("10.1.0.1"),
            "nobody said anything since: {what}"
        );
    }
}

impl Play {
    /// The daemon is killed, and starts a second later.
    fn restarted(self) -> Self {
        let now = Now {
            mono: self.now.mono.after(seconds(1)),
            wall: self.now.wall.after(seconds(1)),
        };
        Self::of_journal(self.model, self.journal, now)
    }
}

#[test]
fn the_first_check_after_a_restart_goes_where_names_lead_by_then() {
    let mut play = Play::of_names().restarted();
    let began = play.now.mono;
    assert!(play.going.is_none(), "nobody knows yet where w1 leads");
    play.look();
    play.leads("w1", "10.1.0.2");
    assert_eq!((play.goes_to(), play.now.mono), ("10.1.0.2".into(), began));
    play.end(&[]);
    assert!(play.is_in("10.1.0.2") && !play.is_in("10.1.0.1"));

    // Nobody answers.
    let mut play = play.restarted();
    play.look();
    let began = play.now.mono;
    assert_eq!(
        play.wait().since(began),
        std::time::Duration::from_millis(500)
    );
    assert_eq!(play.goes_to(), "10.1.0.2");
    // An answer that comes late.
    play.leads("w1", "10.1.0.3");
    play.end(&["w1"]);
    assert_eq!(play.goes_to(), "10.1.0.3");
    play.end(&[]);
    assert!(play.is_in("10.1.0.3"));
    // One without an address is an answer.
    let mut play = play.restarted();
    let (host, answer) = (HostName::new("w1"), Err("no server answers".to_owned()));
    play.tell(Event::Resolved(vec![Resolved::fresh(host, answer)]));
    assert_eq!(play.goes_to(), "10.1.0.3");
}

impl Play {
    /// A file in words, whose name `w1` led somewhere and was good before a restart.
    fn of_file_restarted(text: &str) -> Self {
        let (model, _) = config::load_text(text).unwrap();
        let mut play = Self::new(model);
        play.look();
        play.leads("w1", "10.1.0.1");
        play.check(&[]);
        assert!(play.is_in("10.1.0.1"));
        let mut play = play.restarted();
        play.look();
        play
    }

    /// Whether the host is wanted out of the table.
    fn is_out(&self, host: &str) -> bool {
        let servers = self.engine.desired().values().flat_map(|it| &it.servers);
        let mut out = servers.filter(|(_, wish)| matches!(wish, ServerWish::Out));
        out.any(|(server, _)| server.0.ip().to_string() == host)
    }
}

/// What only a section keeps, judged by a program: it looks its names up itself.
const PROGRAM: &str = "hostgroup web w1 10.1.0.9\n\nwatch web\n service s\n  interval 60s\n  \
                       monitor plugin.monitor /bin/true\n\nvirtual 10.0.0.3:80\n real web\n \
                       service web:s\n";

#[test]
fn a_program_that_ran_ahead_of_the_first_answer_takes_nobody_out() {
    let program = LINES.replace("tcp.monitor -p 80", "plugin.monitor /bin/true");
    let held_back = program.replace("period\n", "period\n   alertevery 1h\n");
    let alone = program.replace(" 10.1.0.9\n", "\n");
    let whole = alone.replace("10.0.0.3:80\n", "10.0.0.3:80 -R w1\n");
    let fails = "no server answers";
    for file in [PROGRAM, &program, &held_back, &whole] {
        for answer in ["10.1.0.2", "10.1.0.1", fails] {
            let what = format!("{answer}: {file}");
            let mut play = Play::of_file_restarted(file);
            play.check(&["w1"]);
            assert!(!play.is_out("10.1.0.1"), "{what}");
            assert!(play.going.is_none(), "{what}");
            if answer == fails {
                let (host, answer) = (HostName::new("w1"), Err(fails.to_owned()));
                play.tell(Event::Resolved(vec![Resolved::fresh(host, answer)]));
            } else {
                play.leads("w1", answer);
            }
            assert!(play.going.is_some(), "at once {what}");
            play.end(&["w1"]);
            assert_eq!(play.is_out("10.1.0.1"), answer != "10.1.0.2", "{what}");
            assert!(play.going.is_none(), "{what}");
        }
    }
}

#[test]
fn what_a_program_found_counts_once_the_first_answer_confirms_it() {
    let whole = PROGRAM.replace(" 10.1.0.9", "");
    for (file, answer, is_out) in [
        (PROGRAM, "10.1.0.1", true),
        (PROGRAM, "10.1.0.2", false),
        (&whole, "10.1.0.2", false),
    ] {
        let mut play = Play::of_file_restarted(file);
        play.wait();
        play.leads("w1", answer);
        play.end(&["w1"]);
        assert_eq!(play.is_out("10.1.0.1"), is_out, "{answer}: {file}");
    }
    // Of others it says what it found.
    let mut play = Play::of_file_restarted(PROGRAM);
    play.check(&["w1", "10.1.0.9"]);
    assert!(!play.is_out("10.1.0.1") && play.is_out("10.1.0.9"));
}

#[test]
fn a_program_that_ran_ahead_of_the_first_answer_puts_no_withdrawn_server_in() {
    let program = LINES.replace("tcp.monitor -p 80", "plugin.monitor /bin/true");
    let alone = program.replace(" 10.1.0.9\n", "\n");
    let whole = alone.replace("10.0.0.3:80\n", "10.0.0.3:80 -R w1\n");
    let of_whole = PROGRAM
        .replace(" 10.1.0.9", "")
        .replace("real web", "real w1");
    let fails = "no server answers";
    for file in [PROGRAM, &program, &whole, &of_whole] {
        for answer in ["10.1.0.2", "10.1.0.1", fails] {
            let what = format!("{answer}: {file}");
            let mut play = Play::of_file_restarted(file);
            play.leads("w1", "10.1.0.1");
            play.end(&["w1"]);
            assert!(play.is_out("10.1.0.1"), "{what}");
            let mut play = play.restarted();
            play.look();
            for _ in 0..2 {
                play.check(&[]);
                assert!(!play.is_in("10.1.0.1"), "{what}");
                assert!(play.going.is_none(), "{what}");
            }
            if answer == fails {
                let (host, answer) = (HostName::new("w1"), Err(fails.to_owned()));
                play.tell(Event::Resolved(vec![Resolved::fresh(host, answer)]));
            } else {
                play.leads("w1", answer);
            }
            assert!(play.going.is_some(), "at once {what}");
            play.end(&[]);
            assert_eq!(play.is_in("10.1.0.1"), answer != "10.1.0.2", "{what}");
            assert_eq!(play.is_in("10.1.0.2"), answer == "10.1.0.2", "{what}");
        }
        // One that was in stays in by it, behind a boot too.
        let mut play = Play::of_file_restarted(file);
        play.check(&[]);
        assert!(play.is_in("10.1.0.1"), "{file}");
    }
}

#[test]
fn a_host_that_is_not_checked_brings_no_check_forward_for_ever() {
    let mut play = Play::of_names();
    let user = "joe".to_owned();
    let target = Target::Hosts(vec![HostName::new("w1")]);
    play.tell(Event::Operator(Wish::Disable { target, user }));
    play.leads("w1", "10.1.0.2");
    let began = play.now.mono;
    play.end(&[]);
    assert_eq!(play.wait().since(began), seconds(60));
}

#[test]
fn a_service_that_cannot_run_is_tried_once_where_a_name_leads_now() {
    let hosts = ["w1", "10.1.0.9"];
    let mut gone = fixture::monitor("gone.monitor");
    gone.program = MonitorProgram::Missing("no such file".to_owned());
    let service = Service {
        monitor: Some(Arc::new(gone)),
        ..wired()
    };
    let mut model = fixture::model_of(vec![service], &hosts);
    model.virtual_services.push(section(&hosts));
    let mut play = Play::new(model);
    play.look();
    play.leads("w1", "10.1.0.1");
    let failures = |play: &Play| play.journal.records["service web/s"]["failure_count"].clone();
    let before = failures(&play).as_u64().unwrap();
    for _ in 0..5 {
        play.leads("w1", "10.1.0.2");
    }
    assert_eq!(failures(&play).as_u64(), Some(before + 1));
}

#[test]
fn a_check_between_slots_is_none_of_where_a_name_leads_now() {
    let mut play = Play::of_names();
    play.wait();
    play.end(&["10.1.0.9"]);
    // The re-check of another host has begun when the name moves.
    play.wait();
    assert_eq!(play.going.as_ref().unwrap().purpose, Purpose::Recheck);
    play.leads("w1", "10.1.0.2");
    play.end(&["10.1.0.9"]);
    assert_eq!(play.going.as_ref().unwrap().purpose, Purpose::Slot);
    assert_eq!(play.goes_to(), "10.1.0.2");
}
