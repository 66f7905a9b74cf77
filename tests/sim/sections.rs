//! Random `virtual` sections, as text.

use std::fmt::Write as _;

use fastrand::Rng;

/// A group of hosts with its services.
pub(crate) struct Group<'a> {
    pub(crate) number: u32,
    pub(crate) hosts: u32,
    /// Numbers of its services, never none.
    pub(crate) services: &'a [u32],
}

/// The sections of a group: one beside whatever its `lvs.alert` lines say, and one that nobody
/// else writes.
pub(crate) fn sections(random: &mut Rng, group: &Group<'_>, out: &mut String) {
    let number = group.number;
    for (network, chance) in [(0, 150), (1, 200)] {
        if random.u8(..) < chance {
            let _ = writeln!(out, "virtual 10.0.{network}.{number}:80");
            let mut section = Section { random, out };
            section.servers(group);
            section.rules(group);
            section.out.push('\n');
        }
    }
}

struct Section<'a> {
    random: &'a mut Rng,
    out: &'a mut String,
}

impl Section<'_> {
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "    {text}");
    }

    fn option(&mut self, chance: u8, text: &str) {
        if self.random.u8(..) < chance {
            self.line(text);
        }
    }

    fn one_of<'b>(&mut self, words: &[&'b str]) -> &'b str {
        words[self.random.usize(..words.len())]
    }

    fn servers(&mut self, group: &Group<'_>) {
        let number = group.number;
        if self.random.u8(..) < 60 {
            for host in 0..group.hosts {
                let weight = self.random.u32(1..=9);
                let own = self.one_of(&["", "", "", " service none"]);
                self.line(&format!("real g{number}h{host} weight {weight}{own}"));
            }
        } else {
            let weight = self.random.u32(1..=9);
            self.line(&format!("real g{number} weight {weight}"));
        }
        let mut judges = String::new();
        for service in group.services {
            if judges.is_empty() || self.random.bool() {
                let _ = write!(judges, " g{number}:s{service}");
            }
        }
        self.line(&format!("service{judges}"));
    }

    fn rules(&mut self, group: &Group<'_>) {
        let is_udp = self.random.u8(..) < 50;
        if is_udp {
            self.line("protocol udp");
            self.option(100, "one_packet");
        }
        let scheduler = self.one_of(&["wlc", "wrr", "sh sh-fallback sh-port"]);
        self.line(&format!("scheduler {scheduler}"));
        let (fall, rise) = (self.random.u32(1..=3), self.random.u32(1..=3));
        self.option(150, &format!("fall {fall}"));
        self.option(150, &format!("rise {rise}"));
        self.option(60, "recheck 2s");
        let on_failure = self.one_of(&["remove", "quiesce", "drain 20s", "drain 3m"]);
        self.option(180, &format!("on_failure {on_failure}"));
        let min_live = match self.random.bool() {
            true => self.random.u32(1..=group.hosts).to_string(),
            false => format!("{}%", self.random.u32(1..=100)),
        };
        self.option(140, &format!("min_live {min_live}"));
        let fallback = format!("fallback 192.168.99.{} weight 2", group.number);
        self.option(120, &fallback);
        let slow_start = self.random.u32(1..=60);
        self.option(120, &format!("slow_start {slow_start}s"));
        let initial = self.one_of(&["in", "out", "as_found"]);
        self.option(120, &format!("initial {initial}"));
        self.option(80, "foreign keep");
        self.option(80, "weight_from check");
        self.option(40, "persistent 300");
        let on_exit = self.one_of(&["quiesce", "remove"]);
        self.option(80, &format!("on_exit {on_exit}"));
        self.option(200, "alert page.alert trouble");
        self.option(60, "alert siren.alert");
        self.option(200, "upalert page.alert over");
    }
}
