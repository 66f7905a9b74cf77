//! What becomes of a file that was cut: no mistake in what is written, and no real server that
//! the whole file does not have or that nobody checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lvsmon::config;
use lvsmon::import::{self, Include, Reading, Refused};
use lvsmon::model::Model;

use crate::support;

/// keepalived's own samples.
const SAMPLES: &str = "/usr/share/doc/keepalived/samples";

/// Files are cut at each line and brace, and behind every so many bytes: all of them would take
/// half a minute.
const STRIDE: usize = 29;

/// The real servers of a model, and by how many services each is decided over.
type Servers = BTreeMap<String, usize>;

/// The model of what came of a text; none where nothing did.
fn imported(name: &str, text: &[u8]) -> Option<Model> {
    let mut none = |_: &Include| Err("no files here".to_owned());
    match import::import(&Reading::default(), name, text, &mut none) {
        Ok(imported) => match config::load_text(&imported.text) {
            Ok((model, _)) => Some(model),
            Err(errors) => panic!("{name}: {errors:#?}\n{}", imported.text),
        },
        Err(Refused::Empty { .. } | Refused::Unknown) => None,
        Err(refused) => panic!("{name}: {refused}"),
    }
}

fn servers(model: &Model) -> Servers {
    let mut servers = Servers::new();
    for section in &model.virtual_services {
        for server in &section.servers {
            // The line with the protocol may be the one that is cut off.
            let key = section.key.to_string();
            let key = key.split('/').next().unwrap_or_default();
            let place = format!("{key} {} {}", server.host, server.port);
            let judges = servers.entry(place).or_insert(usize::MAX);
            *judges = server.judges.len().min(*judges);
        }
    }
    servers
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in [super::data(), PathBuf::from(SAMPLES)] {
        let Ok(entries) = fs::read_dir(&folder) else {
            support::skip("import::cut", folder.display());
            continue;
        };
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let is_theirs = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            (name.starts_with("keepalived.conf")
                || name.ends_with(".cf")
                || name.ends_with(".conf"))
                && !name.ends_with(".mon.cf")
        };
        files.extend(paths.filter(is_theirs));
    }
    files.sort();
    files
}

fn cuts(text: &[u8]) -> impl Iterator<Item = usize> {
    let is_edge = |at: &usize| text[at - 1] == b'\n' || matches!(text[*at], b'{' | b'\n');
    (1..text.len()).filter(move |at| at % STRIDE == 0 || is_edge(at))
}

/// How many cuts behind the first real server were tried, and how many of them were imported.
#[derive(Debug, Default)]
struct Count {
    tried: usize,
    imported: usize,
}

fn try_file(path: &Path, count: &mut Count) {
    let name = path.display().to_string();
    let text = fs::read(path).expect("a file");
    let Some(whole) = imported(&name, &text) else {
        return;
    };
    let whole = servers(&whole);
    assert!(!whole.is_empty(), "{name}");
    let mut has_server = false;
    for at in cuts(&text) {
        let shown = format!("{name}, cut behind byte {at}");
        let cut = imported(&shown, &text[..at]);
        has_server |= cut.is_some();
        count.tried += usize::from(has_server);
        let Some(cut) = cut else {
            continue;
        };
        count.imported += 1;
        for (server, judges) in servers(&cut) {
            match whole.get(&server) {
                Some(0) => {}
                Some(_) => assert!(judges > 0, "{shown}: {server} is always in"),
                None => panic!("{shown}: {server} is not in the file"),
            }
        }
    }
}

#[test]
fn what_comes_of_a_cut_file_has_no_mistake_and_no_server_of_its_own() {
    let files = files();
    assert!(files.len() >= 4, "{files:?}");
    let mut count = Count::default();
    for path in files {
        try_file(&path, &mut count);
    }
    assert!(count.tried > 500, "{count:?}");
    assert!(count.imported * 10 >= count.tried * 9, "{count:?}");
}
