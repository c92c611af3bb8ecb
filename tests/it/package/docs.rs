//! Every command and every block of configuration in the documents is run by a test, or says why not.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::config::said;
use crate::support::httpd::{Builder, Httpd, Module, Refusal};
use crate::support::namespace::Network;
use crate::support::process::output;
use crate::support::temp_dir;
use crate::support::tls::certificates;

use super::{read, root};

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// `file:line` of its fence.
    place: String,
    kind: String,
    /// The text of the HTML comment right above it.
    note: String,
    pub(super) text: String,
}

/// The blocks of a document, and what is wrong with how they are written.
fn parse(name: &str, document: &str) -> (Vec<Block>, Vec<String>) {
    let (mut blocks, mut problems) = (Vec::new(), Vec::new());
    let mut open: Option<Block> = None;
    let (mut note, mut after_text) = (String::new(), false);
    for (line, number) in document.lines().zip(1..) {
        let place = || format!("{name}:{number}");
        if let Some(kind) = line.strip_prefix("```") {
            match open.take() {
                Some(block) => blocks.push(block),
                None => {
                    if kind.is_empty() {
                        problems.push(format!("{}: the fence names no type", place()));
                    }
                    let (kind, note) = (kind.to_owned(), std::mem::take(&mut note));
                    open = Some(Block { place: place(), kind, note, text: String::new() });
                }
            }
        } else if let Some(block) = &mut open {
            block.text += line;
            block.text.push('\n');
        } else {
            if line.starts_with("    ") && !after_text {
                problems.push(format!("{}: an indented block: fence it", place()));
            }
            let comment = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
            note = comment.unwrap_or_default().to_owned();
            after_text = !line.trim().is_empty() && !line.starts_with('#');
        }
    }
    problems.extend(open.map(|block| format!("{}: the fence is not closed", block.place)));
    (blocks, problems)
}

/// README.md and all documents below misc, with their text.
fn documents() -> Vec<(String, String)> {
    let found = output(
        Command::new("find").args(["README.md", "misc", "-name", "*.md"]).current_dir(root()),
    );
    let mut names: Vec<&str> = found.lines().collect();
    names.sort_unstable();
    assert!(names.len() > 5, "{names:?}");
    names.into_iter().map(|name| (name.to_owned(), read(name))).collect()
}

fn blocks(kind: &str) -> Vec<Block> {
    let all = documents().into_iter().flat_map(|(name, text)| parse(&name, &text).0);
    all.filter(|block| block.kind == kind && block.note.is_empty()).collect()
}

/// The blocks of a document that say that this test runs them.
#[track_caller]
pub(super) fn tested_by(name: &str, test: &str) -> Vec<Block> {
    let note = format!("tested by: {test}");
    let mut blocks = parse(name, &read(name)).0;
    blocks.retain(|block| block.note == note);
    assert!(!blocks.is_empty(), "{name} has no block with {note}");
    blocks
}

/// What is wrong with the note above a block.
fn note_is_wrong(note: &str) -> Option<String> {
    if let Some(reason) = note.strip_prefix("untested: ") {
        return (reason.len() < 5).then(|| format!("no reason: {note}"));
    }
    let Some(test) = note.strip_prefix("tested by: ") else {
        return Some("write <!-- tested by: TEST --> or <!-- untested: REASON --> above it".into());
    };
    let (path, name) = test.rsplit_once("::").unwrap_or_default();
    let file = root().join("tests/it").join(path.replace("::", "/") + ".rs");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    (!text.contains(&format!("#[test]\nfn {name}("))).then(|| format!("there is no test {test}"))
}

#[test]
fn every_block_is_run_or_says_why_not() {
    // These are run by tests below; `text` is what a program prints.
    const RUN: [&str; 6] = ["apache", "properties", "uriworkermap", "xml", "yaml", "text"];
    let mut problems = Vec::new();
    for (name, text) in documents() {
        let (blocks, wrong) = parse(&name, &text);
        problems.extend(wrong);
        for block in blocks {
            if block.note.is_empty() && RUN.contains(&&*block.kind) {
                continue;
            }
            let wrong = note_is_wrong(&block.note);
            problems.extend(wrong.map(|wrong| format!("{}: {}: {wrong}", block.place, block.kind)));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn blocks_that_nobody_runs_are_found() {
    let problems = |text: &str| parse("x.md", text).1;
    assert_eq!(problems("```\na\n```\n"), ["x.md:1: the fence names no type"]);
    assert_eq!(problems("Text\n\n    a\n"), ["x.md:3: an indented block: fence it"]);
    assert_eq!(problems("```sh\na\n"), ["x.md:1: the fence is not closed"]);
    assert_eq!(problems("* item\n    continued\n\n```sh\n    a\n```\n"), [""; 0]);
    let (blocks, _) = parse("x.md", "<!-- untested: why -->\n```sh\na\n```\n```nft\nb\n```\n");
    let seen: Vec<_> = blocks.iter().map(|block| (&*block.kind, &*block.note)).collect();
    assert_eq!(seen, [("sh", "untested: why"), ("nft", "")]);

    let known = "tested by: package::docs::blocks_that_nobody_runs_are_found";
    assert_eq!(note_is_wrong(known), None);
    assert_eq!(note_is_wrong("untested: Windows"), None);
    for note in ["", "untested: x", "tested by: package::docs::gone", "tested by: package::parse"] {
        assert!(note_is_wrong(note).is_some(), "{note}");
    }
}

#[test]
fn links_lead_somewhere() {
    for (name, text) in documents() {
        let dir = root().join(&name).parent().expect("a directory").to_owned();
        for link in super::links(&text) {
            assert!(dir.join(&link).exists(), "{name}: {link}");
        }
    }
}

#[test]
fn the_commands_of_misc_dev_exist() {
    let script = read("misc/dev");
    for (name, text) in documents() {
        for (at, _) in text.match_indices("misc/dev ") {
            let is_letter = |c: &char| c.is_ascii_lowercase() || *c == '-';
            let word: String = text[at + 9..].chars().take_while(is_letter).collect();
            let is_known = word.is_empty()
                || word == "help"
                || script.contains(&format!("#:   {word} "))
                || text[at + 9..].starts_with("--");
            assert!(is_known, "{name}: misc/dev {word} does not exist, or misc/dev help hides it");
        }
    }
    // What the help lists, there is.
    for line in script.lines().filter_map(|line| line.strip_prefix("#:   ")) {
        let word = line.split(' ').next().unwrap_or_default();
        let listed = word.is_empty() || word == "help" || script.contains(&format!(" {word} "));
        assert!(listed, "{word}");
    }
}

/// Asserts that httpd accepts what a block says, and that our module has nothing against it.
#[track_caller]
fn judge(block: &Block, result: &Refusal, problems: &mut Vec<String>) {
    // The files that a test writes are for everybody; that is no fault of the document.
    let is_mode = |line: &String| line.contains("every user of this host can read it");
    let is_good = result.status.success() && said(result).iter().all(is_mode);
    if !is_good {
        problems.push(format!("{}:\n{}{}", block.place, block.text, result.output));
    }
}

/// A minimal httpd with the files and modules that samples name.
fn stage() -> Builder {
    Httpd::builder_without_jk()
        .modules(&[
            "alias",
            "authn_core",
            "auth_basic",
            "authn_file",
            "authz_user",
            "authz_host",
            "headers",
            "http2",
            "proxy",
            "proxy_wstunnel",
            "rewrite",
            "setenvif",
            "ssl",
        ])
        .file("modules/mod_jk.so", std::fs::read(Module::Ours.path()).expect("the module"))
        .file("conf/sites.conf", "# whatever else\n")
        .file("ivy/configuration/ivy.yaml", "Connector.AJP.Port: 8009\n")
        .file("conf/uriworkermap.properties", "/app|/*=AxonIvyEngine\n")
        .file(
            "conf/workers.properties",
            "worker.list=AxonIvyEngine,app\nworker.AxonIvyEngine.port=8009\nworker.app.port=8010\n",
        )
}

fn path(file: &Path) -> String {
    file.display().to_string()
}

/// Lines that a sample takes for granted.
fn before(block: &str) -> String {
    let mut lines = String::new();
    if !block.contains("LoadModule jk_module") && !block.contains("mod_jk.conf") {
        lines += "LoadModule jk_module modules/mod_jk.so\n";
        if !block.contains("JkWorkersFile") && !block.contains("JkIvyEngine") {
            lines += "JkWorkersFile conf/workers.properties\n";
        }
    }
    lines
}

#[test]
fn the_configuration_of_httpd_loads() {
    let blocks = blocks("apache");
    assert!(blocks.len() > 5, "{}", blocks.len());
    let mut problems = Vec::new();
    for block in &blocks {
        let certificates = certificates();
        let text = block
            .text
            .replace("/opt/my ivy", "@ROOT@/my ivy")
            .replace("/opt/ivy", "@ROOT@/ivy")
            .replace("/etc/ssl/certs/ivy.example.com.pem", &path(&certificates.server))
            .replace("/etc/ssl/private/ivy.example.com.key", &path(&certificates.server_key))
            .replace("/etc/ssl/certs/our-ca.pem", &path(&certificates.ca));
        let integration = [
            "mod_jk.conf",
            "workers.properties",
            "uriworkermap.properties",
            "cluster_loadbalancer_workers.properties",
        ];
        let builder = integration.iter().fold(stage(), |builder, file| {
            let local = read(&format!("misc/apache/{file}"))
                .replace("ivynode1.example.com\n", "127.0.0.1\n");
            builder.file(&format!("my ivy/{file}"), local)
        });
        let builder =
            builder.file("my ivy/mod_jk.so", std::fs::read(Module::Ours.path()).expect("it"));
        let builder = builder
            .file("conf/block.conf", &text)
            .config(&(before(&text) + "Include conf/block.conf"));
        judge(block, &builder.config_test(), &mut problems);
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn the_worker_properties_load() {
    let blocks = blocks("properties");
    assert!(blocks.len() > 3, "{}", blocks.len());
    let mut problems = Vec::new();
    for block in &blocks {
        let list =
            if block.text.contains("worker.list=") { "" } else { "worker.list=AxonIvyEngine\n" };
        // Nobody asks for addresses that only exist in samples.
        let mut text = list.to_owned();
        for line in block.text.lines() {
            match line.split_once(".host=") {
                Some((worker, _)) => text += &format!("{worker}.host=127.0.0.1\n"),
                None => text += &format!("{line}\n"),
            }
        }
        let builder = stage().file("conf/workers.properties", text).config(&before(""));
        judge(block, &builder.config_test(), &mut problems);
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn the_rules_in_files_load() {
    let mut problems = Vec::new();
    for block in &blocks("uriworkermap") {
        let builder = stage()
            .file("conf/uriworkermap.properties", &block.text)
            .config(&(before("") + "JkMountFile conf/uriworkermap.properties\n"));
        judge(block, &builder.config_test(), &mut problems);
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn the_settings_of_engines_are_good() {
    let mut problems = Vec::new();
    for block in &blocks("yaml") {
        let builder = stage()
            .file("ivy/configuration/ivy.yaml", &block.text)
            .config("LoadModule jk_module modules/mod_jk.so\nJkIvyEngine ivy");
        judge(block, &builder.config_test(), &mut problems);
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// Tomcat sets up each connector as the documents write it, in a network where its port is free.
#[test]
fn the_connectors_of_tomcat_are_accepted() {
    let connectors = blocks("xml");
    assert!(!connectors.is_empty());
    let network = Network::new();
    // A name for each port: the documents all use the same.
    let mut server = String::from("<Server port=\"-1\">\n");
    let base = temp_dir("jk-tomcat-");
    for (block, number) in connectors.iter().zip(1..) {
        let text = block
            .text
            .replace("\"8009\"", &format!("\"{}\"", 8000 + number))
            .replace("/run/ivy/", &format!("{}/run/{number}", base.path().display()));
        server += &format!(
            "<Service name=\"s{number}\">\n{text}<Engine name=\"e{number}\" defaultHost=\"localhost\"/></Service>\n"
        );
    }
    server += "</Server>\n";
    for dir in ["conf", "logs", "run", "temp", "webapps", "work"] {
        std::fs::create_dir(base.path().join(dir)).expect("mkdir");
    }
    // Tomcat refuses a directory that others may enter; exclusive-access.md gives it this mode.
    let private = std::fs::Permissions::from_mode(0o2750);
    std::fs::set_permissions(base.path().join("run"), private).expect("chmod");
    network.run("ip addr add 192.0.2.20/32 dev lo");
    std::fs::write(base.path().join("conf/server.xml"), &server).expect("write");
    let result = network.inside(|| {
        Command::new("/usr/share/tomcat10/bin/catalina.sh")
            .arg("configtest")
            .env("CATALINA_BASE", base.path())
            .env("CATALINA_HOME", "/usr/share/tomcat10")
            .output()
            .expect("Tomcat")
    });
    let said = String::from_utf8_lossy(&result.stdout) + String::from_utf8_lossy(&result.stderr);
    let is_good = result.status.success()
        && !["WARNING", "SEVERE"].iter().any(|word| said.contains(word))
        && said.matches("Initializing ProtocolHandler").count() == connectors.len();
    assert!(is_good, "{server}\n{said}");
}

#[test]
fn a_document_is_not_about_this_machine() {
    for (name, text) in documents() {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).display().to_string();
        assert!(!text.contains(&home), "{name}");
    }
}

#[test]
fn migrate_names_what_there_is() {
    let reference = read("misc/doc/reference.md");
    let text = read("misc/doc/migrate.md");
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.matches('|').count() > 4);
    let mut names = 0;
    for row in rows.skip(1) {
        let cells = row.replace("\\|", "\0");
        let ours = cells.split('|').nth(2).unwrap_or_default();
        for code in ours.split('`').skip(1).step_by(2) {
            let code = code.trim_start_matches(';');
            let name = code.split(['=', ' ']).next().unwrap_or_default();
            let is_there = reference.contains(&format!("| worker.X.{name} |"))
                || reference.contains(&format!("| {name} |"));
            assert!(is_there, "{name}: {row}");
            // JkOptions +Option, and a value that a property may have.
            if let Some(option) = code.strip_prefix("JkOptions +") {
                assert!(reference.contains(&format!("| {option} |")), "{row}");
            }
            names += 1;
        }
    }
    assert!(names > 25, "{names}");
}
