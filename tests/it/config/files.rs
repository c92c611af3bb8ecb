//! What we ship for others to copy or to read: it loads, and it is true.

use std::collections::BTreeSet;
use std::path::Path;

use super::accepted;
use crate::support::httpd::{Builder, Httpd, Module};

pub(super) fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn files_in(dir: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(dir));
    let names = entries.expect("a directory").map(|entry| entry.expect("it").file_name());
    names.map(|name| name.into_string().expect("UTF-8")).collect()
}

fn our_module() -> Vec<u8> {
    std::fs::read(Module::Ours.path()).expect("the module")
}

/// The samples bring their own LoadModule line.
fn without_module() -> Builder {
    Httpd::builder_without_jk().modules(&["alias"])
}

#[test]
fn apache_conf_loads_as_on_debian() {
    let known = ["ivy-site.conf", "jk.conf", "jk.load", "workers.properties"];
    assert_eq!(files_in("apache-conf"), known.map(str::to_owned).into(), "a file without a test");
    let load = read("apache-conf/jk.load");
    let line = "LoadModule jk_module /usr/lib/apache2/modules/mod_jk.so";
    assert_eq!(load.lines().filter(|known| *known == line).count(), 1, "{load}");
    let module = Module::Ours.path().display().to_string();
    let builder = || {
        without_module()
            .file("mods/jk.load", load.replace("/usr/lib/apache2/modules/mod_jk.so", &module))
            .file("mods/jk.conf", read("apache-conf/jk.conf"))
            .file("sites/ivy-site.conf", read("apache-conf/ivy-site.conf"))
            .config(
                "Define APACHE_LOG_DIR @ROOT@/logs\nInclude mods/jk.load\nInclude mods/jk.conf\n\
                 Include sites/ivy-site.conf",
            )
    };
    let properties = read("apache-conf/workers.properties");
    accepted(builder().file("workers.properties", &properties), &[]);
    // The lines to choose from are right, too.
    let chosen = uncomment(&properties, ".secret=", "hush");
    accepted(builder().file("workers.properties", chosen), &[]);
    let socket = uncomment(&properties, ".socket=", "").replace(".host=", ".h=");
    let socket: String = socket
        .lines()
        .filter(|line| !line.contains(".h=") && !line.contains(".port="))
        .map(|line| format!("{line}\n"))
        .collect();
    accepted(builder().file("workers.properties", socket), &[]);
}

/// Makes the commented line with `key` a line in force.
fn uncomment(text: &str, key: &str, value: &str) -> String {
    assert_eq!(
        text.lines().filter(|line| line.starts_with("#worker.") && line.contains(key)).count(),
        1
    );
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with("worker.") && rest.contains(key) => {
            format!("{rest}{value}\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn the_integration_directory_loads_from_any_place() {
    let known = ["mod_jk.conf", "workers.properties"];
    assert_eq!(files_in("misc/apache"), known.map(str::to_owned).into(), "a file without a test");
    let properties = read("misc/apache/workers.properties");
    for dir in ["ivy", "Program Files/Axon Ivy"] {
        for properties in [properties.clone(), uncomment(&properties, ".secret=", "hush")] {
            let builder = without_module()
                .file(&format!("{dir}/mod_jk.conf"), read("misc/apache/mod_jk.conf"))
                .file(&format!("{dir}/workers.properties"), properties)
                .file(&format!("{dir}/mod_jk.so"), our_module())
                .config(&format!(
                    "Define IVY_APACHE \"@ROOT@/{dir}\"\nInclude \"@ROOT@/{dir}/mod_jk.conf\""
                ));
            accepted(builder, &[]);
        }
    }
    // Where httpd has the module already, its own line is not needed.
    let builder = Httpd::builder(Module::Ours)
        .no_jk_log()
        .file("ivy/mod_jk.conf", read("misc/apache/mod_jk.conf"))
        .file("ivy/workers.properties", &properties)
        .config("Define IVY_APACHE \"@ROOT@/ivy\"\nInclude ivy/mod_jk.conf");
    accepted(builder, &[]);
}

/// The indented blocks of a document.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.lines() {
        match (line.strip_prefix("    "), line.trim()) {
            (Some(code), _) => *blocks.last_mut().expect("one") += &format!("{code}\n"),
            (None, "") => {}
            (None, _) => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

#[test]
fn the_lines_of_the_readme_load_as_they_stand() {
    let blocks = blocks(&read("README.md"));
    let block = |begin: &str| {
        let mut found = blocks.iter().filter(|block| block.starts_with(begin));
        let block = found.next().unwrap_or_else(|| panic!("no block begins with {begin}"));
        assert!(found.next().is_none(), "two blocks begin with {begin}");
        block.clone()
    };
    let lines = block("LoadModule");
    assert_eq!(lines.lines().count(), 4, "the four lines: {lines}");
    let httpd = without_module()
        .file("modules/mod_jk.so", our_module())
        .file("conf/workers.properties", block("worker.list="))
        .file("conf/sites.conf", "# whatever else\n")
        .config(&lines);
    accepted(httpd, &[]);
}

#[test]
fn the_commands_of_the_readme_exist() {
    let script = read("misc/dev");
    let documents = ["README.md", "misc/doc/CONTRIBUTING.md", "misc/doc/install.md"].map(read);
    let text = documents.concat();
    let mut commands = BTreeSet::new();
    for (at, _) in text.match_indices("misc/dev ") {
        let word: String = text[at + 9..].chars().take_while(char::is_ascii_lowercase).collect();
        commands.extend((!word.is_empty()).then_some(word));
    }
    assert!(commands.contains("demo") && commands.contains("test"), "{commands:?}");
    for command in commands {
        let is_known = command == "help" || script.contains(&format!("cmd_{command}() {{"));
        assert!(is_known, "misc/dev {command} is documented and does not exist");
        assert!(script.contains(&format!("#:   {command} ")), "misc/dev help hides {command}");
    }
    // A file that a document links or names with its path is there.
    for word in text.split(|c: char| c.is_whitespace() || "()[]`\"',|".contains(c)) {
        let is_path = ["misc/doc/", "misc/apache/", "apache-conf/", "misc/demo/"]
            .iter()
            .any(|dir| word.starts_with(dir));
        if is_path {
            let file =
                Path::new(env!("CARGO_MANIFEST_DIR")).join(word.trim_end_matches(['.', ':', ';']));
            assert!(file.exists(), "{word} is documented and does not exist");
        }
    }
}

/// The event names in the table "By event" of troubleshoot.md.
fn documented_events() -> BTreeSet<String> {
    let text = read("misc/doc/troubleshoot.md");
    let table = text.split("## By event").nth(1).expect("the section");
    let table = table.split("\n## ").next().expect("the section");
    let column = table.lines().filter_map(|line| line.split('|').nth(2));
    let names = column.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

/// All of our source, tests left out.
fn source() -> String {
    let mut todo = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut all = String::new();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(
                std::fs::read_dir(&path).expect("src").map(|entry| entry.expect("it").path()),
            );
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            all += text.split("#[cfg(test)]").next().unwrap_or_default();
        }
    }
    all
}

#[test]
fn every_documented_event_is_one_that_the_module_writes() {
    let (events, source) = (documented_events(), source());
    assert!(events.len() > 30, "{events:?}");
    let unknown: Vec<&String> = events
        .iter()
        .filter(|name| {
            // A name by itself, or the beginning of a line's text.
            ![format!("\"{name}\""), format!("\"{name}: "), format!(") {name}: ")]
                .iter()
                .any(|text| source.contains(text))
        })
        .collect();
    assert!(unknown.is_empty(), "documented, but nowhere in src: {unknown:?}");
}

#[test]
fn every_event_that_the_module_writes_is_documented() {
    let (events, source) = (documented_events(), source());
    let is_name =
        |name: &str| name.len() > 3 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    // `Self::X => "name"` within the functions that name events, and `({}) name: …` in log lines.
    let mut written = BTreeSet::new();
    for function in source.split("fn event(").skip(1) {
        let body = function.split("\n    }").next().unwrap_or_default();
        let names = body.split('"').skip(1).step_by(2).filter(|name| is_name(name));
        written.extend(names.map(str::to_owned));
    }
    for line in source.split("\"({}) ").skip(1) {
        let name = line.split(':').next().unwrap_or_default();
        written.extend(is_name(name).then(|| name.to_owned()));
    }
    for text in source.split("jk_log!(").skip(1) {
        let name = text.split('"').nth(1).and_then(|text| text.split(':').next());
        written.extend(name.filter(|name| is_name(name) && name.contains('_')).map(str::to_owned));
    }
    assert!(written.len() > 30, "{written:?}");
    let missing: Vec<&String> = written.difference(&events).collect();
    assert!(missing.is_empty(), "not in misc/doc/troubleshoot.md: {missing:?}");
}
