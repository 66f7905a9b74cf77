//! What does a new configuration no longer have, and was its file cut?
//!
//! What the file drops leaves the table. A file that ends within a line may be one that is being
//! written, or was cut: it cannot be told from one that an editor left so, and the operator is
//! told louder what goes. One that leaves nothing at all is not taken over.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::model::Model;

/// Names that one line of the log holds.
const NAMES_MAX: usize = 20;

/// How the last line of a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastLine {
    /// With its line end, or there is no line, or the file cannot be read any more.
    Whole,
    /// Without one.
    Open,
}

impl LastLine {
    /// Of a file. Blocks.
    pub(super) fn of(path: &Path) -> Self {
        let last = || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            std::io::Result::Ok(last)
        };
        match last() {
            Ok([b'\n']) | Err(_) => Self::Whole,
            Ok(_) => Self::Open,
        }
    }
}

/// Whether a reload would leave nothing of what there was.
pub(super) fn has_lost_everything(old: &Model, new: &Model) -> bool {
    let has_nothing =
        |model: &Model| model.services.is_empty() && model.virtual_services.is_empty();
    has_nothing(new) && !has_nothing(old)
}

/// The virtual sections that the new file no longer has, by their names; none where it has all.
pub(super) fn names(old: &Model, new: &Model) -> Option<String> {
    let sections = old.virtual_services.iter().map(|it| it.key);
    let is_gone = |key: &_| !new.virtual_services.iter().any(|it| it.key == *key);
    let gone: Vec<String> = sections.filter(is_gone).map(|it| it.to_string()).collect();
    let mut text = gone.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>();
    if gone.len() > NAMES_MAX {
        text.push(format!("{} more", gone.len() - NAMES_MAX));
    }
    (!text.is_empty()).then(|| text.join(", "))
}

/// Says which virtual sections go with a reload.
pub(super) fn say(dropped: &str, last_line: LastLine) {
    match last_line {
        LastLine::Whole => {
            tracing::info!("virtual services removed from the file: {dropped}");
        }
        LastLine::Open => {
            tracing::warn!(
                "virtual services removed from the file: {dropped}; its last line has no end, as \
                 if it were cut: look whether it is whole"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    fn model(ports: impl Iterator<Item = u16>) -> Model {
        let section = |port| format!("virtual 10.0.0.3:{port}\n real w1\n service w:s\n\n");
        let sections: String = ports.map(section).collect();
        let text = format!(
            "hostgroup w w1\n\nwatch w\n service s\n  interval 1m\n  monitor tcp.monitor -p 80\n\n{sections}"
        );
        load_text(&text).unwrap().0
    }

    #[test]
    fn what_goes_is_named_and_a_long_list_is_counted() {
        let all = model(1..=30);
        assert_eq!(names(&all, &all), None);
        assert_eq!(names(&model(1..=2), &all), None);
        let said = names(&model(1..=3), &model(2..=2));
        assert_eq!(said.as_deref(), Some("10.0.0.3:1/tcp, 10.0.0.3:3/tcp"));
        let said = names(&all, &model(1..=1)).unwrap();
        assert!(said.ends_with("10.0.0.3:21/tcp, 9 more"), "{said}");
    }

    #[test]
    fn a_file_of_virtual_sections_alone_is_no_empty_one() {
        let read = |text: &str| load_text(text).unwrap().0;
        let nothing = read("");
        let service = read("hostgroup web h1\n\nwatch web\n service http\n  monitor x\n");
        let section = read(
            "virtual 10.0.0.3:80\n protocol tcp\n scheduler wlc\n real 192.168.0.1\n service none\n",
        );
        for (old, new, is_lost) in [
            (&nothing, &nothing, false),
            (&service, &nothing, true),
            (&section, &nothing, true),
            (&service, &section, false),
            (&section, &service, false),
        ] {
            assert_eq!(has_lost_everything(old, new), is_lost);
        }
    }

    #[test]
    fn a_last_line_without_its_end_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mon.cf");
        for (text, expected) in [
            ("a\nb\n", LastLine::Whole),
            ("", LastLine::Whole),
            ("a\nb", LastLine::Open),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(LastLine::of(&path), expected, "{text:?}");
        }
        assert_eq!(LastLine::of(&folder.path().join("none")), LastLine::Whole);
    }
}
