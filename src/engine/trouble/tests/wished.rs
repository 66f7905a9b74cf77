//! What operators take away is told as what fails is, and no trouble ends for it that goes on.

use super::*;

/// Three servers, of which two are to serve.
fn with_three() -> Model {
    let mut model = model(|section| {
        section.min_live = MinLive::Count(2);
        let mut third = section.servers[1].clone();
        third.host = HostName::new("10.1.0.3");
        section.servers.push(third);
    });
    let names = ["10.1.0.1", "10.1.0.2", "10.1.0.3"];
    model.hostgroups = fixture::model_of(vec![fixture::service("web", "http")], &names).hostgroups;
    model
}

impl Director {
    /// A director whose servers are all good.
    fn good(model: Model) -> Self {
        let mut director = Self::start(model, Saved::default(), Table::new(), 0.0);
        director.reports(&fixture::exited(0, ""));
        director
    }

    /// What is said of sections, after an operator's wish has lasted.
    fn says_of(&mut self, server: &str, wish: ManualWish) -> Vec<String> {
        let mut actions = self.orders(server, wish);
        actions.extend(self.lasts());
        said(&actions)
    }

    pub(super) fn says_when_enabled(&mut self, server: &str) -> Vec<String> {
        let aim = Aim {
            server: RealServerName(server.to_owned()),
            within: None,
        };
        let mut actions = self.tell(Event::Operator(Wish::EnableServer(aim)));
        actions.extend(self.looks());
        actions.extend(self.lasts());
        said(&actions)
    }

    fn says_after(&mut self, report: &Report) -> Vec<String> {
        let mut actions = self.hears(report);
        actions.extend(self.lasts());
        said(&actions)
    }
}

/// The news of sections, without the time that a trouble went on.
pub(super) fn said(actions: &[Action]) -> Vec<String> {
    let text = |action: &Action| {
        let Action::Note(Note::Section { news, .. }) = action else {
            return None;
        };
        match news {
            SectionNews::Began(_, text) => Some(text.clone()),
            SectionNews::Over(_, text) => Some(text.split(", after ").next()?.to_owned()),
            SectionNews::Mend { .. } => None,
        }
    };
    let texts = actions.iter().filter_map(text);
    let prefix = format!("virtual service {VS} ");
    texts.map(|it| it.replace(&prefix, "")).collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn below_min_live_goes_on_where_operators_take_away_what_it_keeps() {
    let mut director = Director::good(with_three());
    let failed = fixture::exited(1, "10.1.0.2 10.1.0.3");
    let few = "has fewer healthy real servers than min_live 2: the last ones that failed stay in";
    assert_eq!(director.says_after(&failed), [few]);
    for server in ["10.1.0.2", "10.1.0.3"] {
        assert_eq!(director.says_of(server, ManualWish::Quiesce), NOTHING);
    }
    assert!(!director.is_in("10.1.0.2") && !director.is_in("10.1.0.3"));
    // Nor does it end while they are good and operators keep them out.
    assert_eq!(director.says_after(&fixture::exited(0, "")), NOTHING);
    let enough = "has enough healthy real servers again";
    assert_eq!(director.says_when_enabled("10.1.0.3"), [enough]);
}

#[test]
fn that_operators_leave_fewer_than_min_live_is_told_until_enough_take_clients() {
    let mut director = Director::good(with_three());
    assert_eq!(director.says_of("10.1.0.2", ManualWish::Quiesce), NOTHING);
    let few = "has fewer real servers that take clients than min_live 2: operators keep 2 of 3 \
               from their clients";
    assert_eq!(director.says_of("10.1.0.3", ManualWish::Disable), [few]);
    // Known already.
    let failed = fixture::exited(1, "10.1.0.2 10.1.0.3");
    assert_eq!(director.says_after(&failed), NOTHING);
    assert_eq!(director.says_when_enabled("10.1.0.2"), NOTHING);
    assert!(director.is_in("10.1.0.2"), "kept");
    let enough = "has enough healthy real servers again";
    assert_eq!(director.says_after(&fixture::exited(0, "")), [enough]);
}

#[test]
fn a_fallback_that_is_taken_away_while_it_serves_is_not_called_needless() {
    let gone = "is to be served by its fallback no more";
    let (serves, keeps) = (
        "has no healthy real server: the fallback 10.1.0.9:80 serves",
        "has fewer healthy real servers than min_live 2: the last ones that failed stay in",
    );
    let all = fixture::exited(1, "10.1.0.1 10.1.0.2");
    let mut director = Director::good(with_fallback());
    assert_eq!(director.says_after(&all), [serves]);
    let said = director.says_of("10.1.0.9", ManualWish::Disable);
    assert_eq!(said, [keeps, gone]);
    let said = director.says_when_enabled("10.1.0.9");
    assert_eq!(said, ["has no real server left that serves", serves]);
    let said = director.says_after(&fixture::exited(0, ""));
    assert_eq!(said, ["needs its fallback no more"]);
}

#[test]
fn where_only_one_that_failed_comes_in_nobody_is_said_to_serve() {
    let mut director = Director::good(model(|section| section.min_live = MinLive::Count(1)));
    let nobody = "has no real server that serves and nothing in their place, operators keep all 2 \
                  from their clients: its clients are refused";
    assert_eq!(director.says_of("10.1.0.1", ManualWish::Disable), NOTHING);
    assert_eq!(director.says_of("10.1.0.2", ManualWish::Disable), [nobody]);
    let all = fixture::exited(1, "10.1.0.1 10.1.0.2");
    assert_eq!(director.says_after(&all), NOTHING);
    let few = "has fewer healthy real servers than min_live 1 (operators keep 1 of 2 from their \
               clients): the last ones that failed stay in";
    let said = director.says_when_enabled("10.1.0.1");
    assert_eq!(said, [few, "has a real server in again"]);
    let said = director.says_when_enabled("10.1.0.2");
    assert_eq!(said, NOTHING);
    let said = director.says_after(&fixture::exited(0, "10.1.0.2"));
    assert_eq!(said, ["has enough healthy real servers again"]);
}

#[test]
fn an_alarm_that_is_told_again_behind_a_restart_counts_those_that_serve() {
    let mut director = Director::good(with_three());
    director.orders("10.1.0.2", ManualWish::Disable);
    director.orders("10.1.0.3", ManualWish::Disable);
    let (journal, kernel, seconds) = (director.journal, director.kernel, director.seconds);
    let mut director = Director::start(with_three(), journal, kernel, seconds);
    let mut actions = std::mem::take(&mut director.at_start);
    actions.extend(director.lasts());
    let lines = listed(&actions);
    assert_eq!(lines[0], ", 2 of 3 without clients:");
    assert_eq!(
        lines[3],
        "  as found  10.1.0.1:80  no verdict yet of web/http"
    );
}
