//! The engine's ivy.yaml and the line that names it: read within bounds, whatever aliases repeat;
//! the secret is never shown, and a denied path is one that can be met.

use std::path::PathBuf;

use mod_jk::ajp::message::is_token_byte;
use mod_jk::config::ivy::{
    Engine, EngineFiles, EngineLine, FrontEnd, Source, check_base_url, check_user_header,
};
use mod_jk::config::{
    Defaults, Place, Problems, Properties, Secret, WorkerConfig, WorkerName, validate,
};
use mod_jk::mapping::normalize;

use super::memory;
use super::properties::said_well;

/// Texts with a line `%%` between them: ivy.yaml, the words of the line, ivy.webserver.yaml.
pub fn ivy_yaml(data: &[u8]) {
    let mut parts = split(data);
    let web_server = parts.pop().flatten();
    let words = parts.pop().flatten().unwrap_or_default();
    let ivy = parts.pop().flatten().unwrap_or_default();
    let mut problems = Problems::new();
    let limit = 40_000_000 + data.len() * 10_000;
    let files = memory::at_most(limit, || {
        let web_server = web_server.map(|text| Source { name: "web", text });
        EngineFiles::read(Source { name: "ivy", text: ivy }, web_server, &mut problems)
    });
    let place = Place::new("c", 1);
    let words: Vec<Vec<u8>> = words
        .split(|byte| matches!(byte, b' ' | b'\n'))
        .filter(|w| !w.is_empty())
        .map(Into::into)
        .collect();
    let line = EngineLine::parse(PathBuf::from("/ivy"), &words, &place, &mut problems);
    checked(&files);
    if let Some(line) = &line {
        connected(&Engine { line, files: &files }, &mut problems);
    }
    check_base_url(&files, &servers(), &place, &mut problems);
    let lines = data.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    // Other characters may end lines of YAML as well.
    said_well(&problems, lines + data.len() / 2 + 2);
    hides_secret(&files, &words, data, &problems);
}

fn split(data: &[u8]) -> Vec<Option<&[u8]>> {
    let mut rest = Some(data);
    let mut parts = Vec::new();
    for _ in 0..3 {
        let Some(text) = rest else {
            parts.push(None);
            continue;
        };
        match text.windows(4).position(|window| window == b"\n%%\n") {
            Some(at) => {
                parts.push(Some(&text[..at + 1]));
                rest = Some(&text[at + 4..]);
            }
            None => {
                parts.push(Some(text));
                rest = None;
            }
        }
    }
    parts
}

fn checked(files: &EngineFiles) {
    let ports = [&files.ajp_port, &files.frontend_port];
    assert!(ports.into_iter().flatten().all(|found| found.value > 0 && found.place.line > 0));
    for address in [&files.ajp_address, &files.http_address].into_iter().flatten() {
        assert!(!address.value.is_empty(), "{address:?}");
    }
    if let Some(context) = &files.context {
        assert!(!context.value.starts_with(b"/") && !context.value.ends_with(b"/"));
    }
    if let Some(header) = &files.sso_header {
        assert!(!header.value.is_empty() && header.value.bytes().all(is_token_byte), "{header:?}");
    }
    assert_eq!(files.user_header().is_some(), files.sso_enabled.as_ref().is_some_and(|f| f.value));
    assert!(check_user_header(b"X-Forwarded-User").is_none());
    assert!(!format!("{files:?}").contains("Secret(["));
}

/// The worker that comes of it is the one that the files and the line describe.
fn connected(engine: &Engine<'_>, problems: &mut Problems) {
    let mount = engine.mount();
    assert!(mount.starts_with(b"/") && mount.ends_with(b"/*"));
    for denied in engine.denied() {
        assert!(denied.starts_with(b"/"), "{}", denied.escape_ascii());
        let is_met = normalize(&denied).is_ok_and(|normal| *normal == *denied);
        assert!(is_met, "{}", denied.escape_ascii());
    }
    let redirect = engine.redirect();
    assert!(redirect.is_none_or(|to| to.starts_with(b"/") && to.ends_with(b"/") && to.len() > 2));
    engine.check(problems);
    for text in ["", "worker.list=b\nworker.AxonIvyEngine.host=h\nworker.AxonIvyEngine.secret=s\n"]
    {
        let mut properties = Properties::new();
        properties.read_text(text.as_bytes(), "w", &|_| None, &mut Problems::new());
        engine.add_to(&mut properties, problems);
        let workers = validate(&mut properties, &Defaults { pool_size: 8 }, problems).workers;
        let name: &WorkerName = &engine.line.worker;
        let worker = workers.iter().find(|worker| worker.name() == name);
        let has_list = properties.value(b"worker.list").is_some();
        assert!(worker.is_some() && has_list, "the worker is there");
        if let Some(WorkerConfig::Ajp13(config)) = worker
            && let Some(found) = &engine.files.secret
            && text.is_empty()
        {
            assert_eq!(config.secret.as_ref().map(Secret::expose), Some(found.value.expose()));
        }
        engine.check_access(worker, problems);
    }
    assert_eq!(engine.beside_socket().is_some(), engine.line.socket.is_some());
}

fn servers() -> [FrontEnd; 2] {
    let server = |is_tls, names: &[&str], ports: &[u16], is_virtual| FrontEnd {
        is_tls,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ports: ports.to_vec(),
        is_virtual,
    };
    [
        server(false, &["localhost"], &[80, 8080], false),
        server(true, &["www.example.com", "*.example.com"], &[443], true),
    ]
}

/// A secret that stands nowhere else is in no message.
fn hides_secret(files: &EngineFiles, words: &[Vec<u8>], data: &[u8], problems: &Problems) {
    let Some(secret) = files.secret.as_ref().map(|found| found.value.expose()) else { return };
    let times = data.windows(secret.len().max(1)).filter(|window| *window == secret).count();
    if secret.len() < 8 || times != 1 || words.iter().any(|word| word == secret) {
        return;
    }
    let secret = String::from_utf8_lossy(secret);
    for problem in problems {
        let text = problem.to_string();
        // Short words of the messages themselves are no secrets.
        assert!(!text.contains(&*secret), "{text}");
    }
}
