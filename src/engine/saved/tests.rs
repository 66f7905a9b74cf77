//! Records written and read back.

use super::*;
use crate::engine::fixture::{EPOCH, alerting, at, exited, seconds, service, silent};
use crate::time::Mono;

fn failing() -> (Service, ServiceState) {
    let service = Service {
        periods: vec![alerting(), silent("night")],
        ..service("g", "s")
    };
    let mut state = ServiceState {
        last_check: Some(at(9.0).wall),
        last_success: Some(at(3.0).wall),
        ..ServiceState::default()
    };
    state.fail(at(10.0), EPOCH + 10, 2, Box::default());
    state.set_text(EventText::of(exited(2, "h1\nno answer\n")));
    if let Some(outage) = &mut state.outage {
        outage.calls = 4;
    }
    let memory = state.memory(&service);
    memory[0].alert_sent = 2;
    memory[0].last_alert = Some(Moment::of(at(10.0)));
    memory[0].messages = Window {
        first: Some(Moment::of(at(8.0))),
        count: 5,
    };
    memory[0].gate.count = 1;
    (service, state)
}

fn written(record: Record) -> Saved {
    let text = serde_json::to_string(&record).unwrap();
    let record: Record = serde_json::from_str(&text).unwrap();
    Saved {
        records: BTreeMap::from([(record.key, record.value)]),
    }
}

#[test]
fn a_state_written_and_read_back_decides_the_same() {
    let (service, mut state) = failing();
    let saved = written(record(&service, &state, at(12.0)));
    // Two seconds later another daemon starts, whose clock begins at zero.
    let now = Now {
        mono: Mono::ZERO,
        wall: Wall::from_seconds(EPOCH + 14),
    };
    let restored = restore(&saved, &service, now).unwrap().unwrap();
    let memory = restored.periods.as_deref().unwrap();
    assert_eq!(memory[0].last_alert.unwrap().ago(now), seconds(4));
    assert_eq!(memory[0].messages.first.unwrap().ago(now), seconds(6));
    assert_eq!((memory[0].alert_sent, memory[0].messages.count), (2, 5));
    assert_eq!(memory[0].gate.count, 1);
    assert_eq!(memory[1], PeriodMemory::default());
    let outage = restored.outage.as_deref().unwrap();
    assert_eq!(outage.began.moment.ago(now), seconds(4));
    // What remains is equal but for the clock.
    let text = restored.text.as_deref().unwrap();
    assert!(text.says_the_same(state.text.as_deref().unwrap()));
    let again = record(&service, &restored, now);
    state.text = restored.text.clone();
    assert_eq!(again, record(&service, &state, at(14.0)));
}

#[test]
fn a_moment_in_the_future_counts_as_now_but_the_id_of_the_outage_stays() {
    let (service, state) = failing();
    let saved = written(record(&service, &state, at(12.0)));
    let now = Now {
        mono: Mono::ZERO,
        wall: Wall::from_seconds(EPOCH - 500),
    };
    let restored = restore(&saved, &service, now).unwrap().unwrap();
    assert_eq!(restored.last_success, Some(now.wall));
    let outage = restored.outage.as_deref().unwrap();
    assert_eq!(outage.began.wall, now.wall);
    assert_eq!(outage.began.moment.ago(now), seconds(0));
    assert_eq!(outage.id, EPOCH + 10);
}

#[test]
fn long_output_is_cut_at_a_character() {
    let (service, mut state) = failing();
    let long = format!("h1\n{}", "é".repeat(OUTPUT_MAX));
    state.set_text(EventText::of(exited(2, &long)));
    let record = record(&service, &state, at(12.0));
    assert!(record.value.to_string().len() < OUTPUT_MAX + 1_000);
    let restored = restore(&written(record), &service, at(20.0))
        .unwrap()
        .unwrap();
    let text = restored.text.as_deref().unwrap();
    assert_eq!(text.kept, Kept::Beginning);
    assert!(text.says_the_same(&EventText::of(exited(2, &long))));
}

#[test]
fn unknown_and_missing_fields_are_no_mistake() {
    let service = service("g", "s");
    let saved = |value| Saved {
        records: BTreeMap::from([("service g/s".to_owned(), value)]),
    };
    let empty = restore(&saved(serde_json::json!({})), &service, at(0.0));
    assert_eq!(empty, Ok(Some(ServiceState::default())));
    let newer = serde_json::json!({"status": "ok", "of_tomorrow": [1], "periods": {"gone": {}}});
    let newer = restore(&saved(newer), &service, at(0.0)).unwrap().unwrap();
    assert_eq!(newer.status, Status::Ok);
    let failing_without_outage = serde_json::json!({"status": "fail"});
    let state = restore(&saved(failing_without_outage), &service, at(0.0)).unwrap();
    assert_eq!(state.unwrap().status, Status::Untested);
    assert_eq!(
        restore(&saved(serde_json::Value::Null), &service, at(0.0)),
        Ok(None)
    );
    assert_eq!(restore(&Saved::default(), &service, at(0.0)), Ok(None));
    assert!(restore(&saved(serde_json::json!("x")), &service, at(0.0)).is_err());
}

#[test]
fn wishes_that_are_forgotten_are_forgotten_by_the_journal_too() {
    let record = |key: &str, value: serde_json::Value| (key.to_owned(), value);
    let mut saved = Saved {
        records: BTreeMap::from([
            record("disabled watch web", serde_json::json!(true)),
            record("scheduler stopped", serde_json::json!(7)),
            record(
                "service a/b",
                serde_json::json!({"disabled": true, "failure_count": 3, "ack": {"time": 1}}),
            ),
            record("service c/d", serde_json::json!({"failure_count": 4})),
        ]),
    };
    let mut journal = saved.clone();
    let forgotten = saved.forget_wishes(&[]);
    assert!(forgotten.was_stopped);
    assert_eq!(forgotten.disabled, ["watch web", "service a/b"]);
    assert_eq!(forgotten.acknowledged, ["service a/b"]);
    for Record { key, value } in forgotten.records {
        assert_ne!(key, "service c/d", "it did not change");
        journal.records.insert(key, value);
    }
    journal.records.retain(|_, value| !value.is_null());
    assert_eq!(journal, saved);
    let kept = serde_json::json!({"failure_count": 3});
    assert_eq!(saved.records.get("service a/b"), Some(&kept));
    assert_eq!(saved.records.len(), 2);
}

#[test]
fn the_wishes_of_a_state_file_that_is_loaded_stay_as_the_journal_has_them() {
    let journal = Saved {
        records: BTreeMap::from([
            ("disabled watch web".to_owned(), serde_json::json!(true)),
            ("scheduler stopped".to_owned(), serde_json::json!(7)),
            (
                "service a/b".to_owned(),
                serde_json::json!({"disabled": true, "ack": {"time": 1}}),
            ),
        ]),
    };
    let left = |loaded: &[StateFile]| {
        let mut saved = journal.clone();
        let forgotten = saved.forget_wishes(loaded);
        let fields = saved.records["service a/b"].as_object().unwrap();
        let kept: Vec<String> = fields.keys().cloned().collect();
        let others = saved.records.len() - 1;
        (forgotten.records.len(), kept.join(" "), others)
    };
    assert_eq!(left(&StateFile::ALL), (0, "ack disabled".to_owned(), 2));
    assert_eq!(left(&[StateFile::Disabled]), (2, "disabled".to_owned(), 1));
    assert_eq!(left(&[StateFile::Opstatus]), (3, "ack".to_owned(), 0));
    assert_eq!(left(&[]), (3, String::new(), 0));
}
