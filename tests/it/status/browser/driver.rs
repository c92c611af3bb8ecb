//! A headless Chromium behind chromedriver: WebDriver is JSON over HTTP on loopback.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::status::json::{self, Value, quote};
use crate::support::process::{self, Target};
use crate::support::{client, eventually, temp_dir};

/// The name of an element in an answer.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One window with a profile of its own.
pub(super) struct Browser {
    driver: Child,
    addr: std::net::SocketAddr,
    session: String,
    dir: TempDir,
}

impl Browser {
    pub(super) fn start() -> Self {
        let dir = temp_dir("jk-browser-");
        let log = dir.path().join("driver.log");
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").current_dir(dir.path()).env("HOME", dir.path());
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command.stdout(std::fs::File::create(&log).expect("a log"));
        let driver = process::spawn(command, libc::SIGKILL)
            .unwrap_or_else(|error| panic!("chromedriver: {error}; misc/dev browser installs it"));
        let mut port = None;
        eventually(Duration::from_secs(60), || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let said = text.split("successfully on port ").nth(1).map(str::to_owned);
            port = said.and_then(|rest| rest.split('.').next()?.trim().parse::<u16>().ok());
            port.is_some()
        });
        let port = port.expect("chromedriver says its port");
        let addr = ([127, 0, 0, 1], port).into();
        let mut browser = Self { driver, addr, session: String::new(), dir };
        let profile = browser.dir.path().join("profile");
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-background-networking".to_owned(),
            "--no-first-run".to_owned(),
            "--no-proxy-server".to_owned(),
            "--lang=en".to_owned(),
            format!("--user-data-dir={}", profile.display()),
        ]
        .map(|argument| quote(&argument));
        let answer = browser.call(
            "POST",
            "/session",
            &format!(
                "{{\"capabilities\":{{\"alwaysMatch\":{{\"browserName\":\"chrome\",\
                 \"goog:chromeOptions\":{{\"args\":[{}]}}}}}}}}",
                arguments.join(",")
            ),
        );
        browser.session = answer.path("sessionId").text().expect("a session").to_owned();
        browser
    }

    /// One command; panics at an error.
    #[track_caller]
    fn call(&self, method: &str, path: &str, body: &str) -> Value {
        let host = self.addr.to_string();
        let mut client = client::Client::connect(self.addr);
        let headers = [("Content-Type", "application/json"), ("Host", host.as_str())];
        let answer = client.request(method, path, &headers, body.as_bytes());
        let text = answer.text();
        assert_eq!(answer.status(), 200, "{method} {path} {body:.200}: {text:.600}");
        let answer = json::parse(&text);
        answer.path("value").clone()
    }

    #[track_caller]
    fn post(&self, path: &str, body: &str) -> Value {
        self.call("POST", &format!("/session/{}/{path}", self.session), body)
    }

    /// Opens a page and waits until it is there.
    #[track_caller]
    pub(super) fn open(&self, url: &str) {
        self.post("url", &format!("{{\"url\":{}}}", quote(url)));
    }

    /// What the body of a function returns in the page.
    #[track_caller]
    pub(super) fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &format!("{{\"script\":{},\"args\":[]}}", quote(script)))
    }

    /// What a script hands to its last argument.
    #[track_caller]
    pub(super) fn run_async(&self, script: &str) -> Value {
        self.post("execute/async", &format!("{{\"script\":{},\"args\":[]}}", quote(script)))
    }

    /// The text of the page as a person reads it.
    #[track_caller]
    pub(super) fn text(&self) -> String {
        self.run("return document.body.innerText").text().expect("a text").to_owned()
    }

    #[track_caller]
    fn element(&self, selector: &str) -> String {
        let body = format!("{{\"using\":\"css selector\",\"value\":{}}}", quote(selector));
        self.post("element", &body).path(ELEMENT).text().expect("an element").to_owned()
    }

    /// Clicks as a person does.
    #[track_caller]
    pub(super) fn click(&self, selector: &str) {
        self.post(&format!("element/{}/click", self.element(selector)), "{}");
    }

    /// Replaces what is in a field.
    #[track_caller]
    pub(super) fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.post(&format!("element/{element}/clear"), "{}");
        self.post(&format!("element/{element}/value"), &format!("{{\"text\":{}}}", quote(text)));
    }

    /// Presses a key: `\u{e004}` is Tab.
    #[track_caller]
    pub(super) fn press(&self, key: char) {
        let key = quote(&key.to_string());
        self.post(
            "actions",
            &format!(
                "{{\"actions\":[{{\"type\":\"key\",\"id\":\"k\",\"actions\":[\
                 {{\"type\":\"keyDown\",\"value\":{key}}},{{\"type\":\"keyUp\",\"value\":{key}}}]}}]}}"
            ),
        );
    }

    /// Waits until a script returns true.
    #[track_caller]
    pub(super) fn wait(&self, what: &str, script: &str) {
        let is_so = eventually(crate::support::DEADLINE, || self.run(script) == Value::Bool(true));
        assert!(is_so, "{what}: {}", self.text());
    }

    #[track_caller]
    fn devtools(&self, command: &str, parameters: &str) -> Value {
        self.post(
            "goog/cdp/execute",
            &format!("{{\"cmd\":{},\"params\":{parameters}}}", quote(command)),
        )
    }

    /// The colours that the person prefers: `light` or `dark`.
    #[track_caller]
    pub(super) fn prefer(&self, scheme: &str) {
        self.devtools(
            "Emulation.setEmulatedMedia",
            &format!(
                "{{\"features\":[{{\"name\":\"prefers-color-scheme\",\"value\":\"{scheme}\"}}]}}"
            ),
        );
    }

    /// Size of the window's content.
    #[track_caller]
    pub(super) fn resize(&self, width: u32, height: u32) {
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &format!(
                "{{\"width\":{width},\"height\":{height},\"deviceScaleFactor\":1,\"mobile\":false}}"
            ),
        );
    }

    /// Keeps a picture of the page, `JK_SCREENSHOTS/name.png`, where a directory is named.
    #[track_caller]
    pub(super) fn picture(&self, name: &str) {
        let Some(dir) = std::env::var_os("JK_SCREENSHOTS").map(PathBuf::from) else { return };
        let shot = self.devtools("Page.captureScreenshot", "{\"captureBeyondViewport\":true}");
        let data = shot.path("data").text().expect("a picture");
        std::fs::create_dir_all(&dir).expect("a directory");
        let encoded = self.dir.path().join("picture");
        std::fs::write(&encoded, data).expect("written");
        let picture = process::output_bytes(Command::new("base64").arg("-d").arg(&encoded));
        std::fs::write(Path::new(&dir).join(format!("{name}.png")), picture).expect("written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser is in the group that chromedriver leads.
        process::signal(Target::Group(self.driver.id()), libc::SIGKILL);
        let _ = self.driver.wait();
    }
}
