#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::net::TcpListener;
use std::time::Duration;

use super::*;

const TTL: Duration = Duration::from_secs(60);

fn options() -> ConnectOptions {
    ConnectOptions {
        socket_connect_timeout: Some(Duration::from_secs(10)),
        keepalive: true,
        buffer: Some(16384),
        prefer_ipv6: false,
        source: None,
        dns_ttl: TTL,
    }
}

/// A worker whose host `engine` is resolved by the test.
struct Scene {
    target: Target,
    options: ConnectOptions,
    names: Names,
    start: Instant,
    answer: RefCell<Vec<SocketAddr>>,
    asked: Cell<usize>,
}

impl Scene {
    fn new(options: ConnectOptions, answer: Vec<SocketAddr>) -> Self {
        Self {
            target: Target::Tcp { host: "engine".into(), port: 1 },
            options,
            names: Names::default(),
            start: Instant::now(),
            answer: RefCell::new(answer),
            asked: Cell::new(0),
        }
    }

    /// Connects `after` the start. Returns the result and the events that were told.
    fn connect(&self, after: Duration) -> (Result<Stream, ConnectError>, Vec<String>) {
        let resolve = |_: &str, _: u16| {
            self.asked.set(self.asked.get() + 1);
            Ok(self.answer.borrow().clone())
        };
        let mut told = Vec::new();
        let mut tell = |notice: &Notice| told.push(format!("{}: {notice}", notice.event()));
        let connector =
            Connector { target: &self.target, options: &self.options, names: &self.names };
        let result = connector.connect_at(self.start + after, &resolve, &mut tell);
        (result, told)
    }
}

fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address that refuses connections for as long as the socket lives.
fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[test]
fn what_is_never_contacted_says_why() {
    let mut scene = Scene::new(options(), Vec::new());
    scene.target = Target::Never { host: "ivy".into(), why: "port 0 is no port number".into() };
    let error = scene.connect(Duration::ZERO).0.unwrap_err();
    assert_eq!(error.event(), "never_contacted");
    assert_eq!(error.to_string(), "the engine is never contacted: port 0 is no port number");
    assert_eq!(scene.asked.get(), 0);
}

#[test]
fn addresses_are_tried_in_turn_and_the_one_that_worked_first() {
    let ((listener, good), (_held, bad)) = (listening(), refusing());
    let scene = Scene::new(options(), vec![bad, good]);
    let (stream, told) = scene.connect(Duration::ZERO);
    assert!(stream.is_ok());
    assert!(told[0].starts_with("connect_fallback: ") && told[0].contains(&bad.to_string()));
    let (stream, told) = scene.connect(Duration::ZERO);
    assert!(stream.is_ok() && told.is_empty(), "{told:?}");
    drop(listener);
    let (result, _) = scene.connect(Duration::ZERO);
    let error = result.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&bad.to_string()) && text.contains(&good.to_string()), "{text}");
    assert_eq!(error.event(), "connect_refused");
    assert_eq!(scene.asked.get(), 1, "resolved once for all");
}

#[test]
fn an_engine_that_moved_is_found_within_the_attempt() {
    let ((_held, old), (_listener, new)) = (refusing(), listening());
    let scene = Scene::new(options(), vec![old]);
    assert_eq!(scene.connect(Duration::ZERO).0.unwrap_err().event(), "connect_refused");
    scene.answer.replace(vec![old, new]);
    let (result, _) = scene.connect(Duration::from_millis(10));
    assert!(result.is_err(), "the resolver was asked just before");
    assert_eq!(scene.asked.get(), 1);
    let (result, told) = scene.connect(Duration::from_secs(2));
    assert!(result.is_ok());
    assert!(told[0].starts_with("host_moved: the known addresses of engine"), "{told:?}");
    let (result, told) = scene.connect(Duration::from_secs(2));
    assert!(result.is_ok() && told.is_empty(), "the address that worked is tried first");
    assert_eq!(scene.asked.get(), 2);
}

#[test]
fn a_name_is_resolved_again_after_dns_ttl() {
    let ((_listener, address), (_other, moved)) = (listening(), listening());
    let scene = Scene::new(options(), vec![address]);
    scene.connect(Duration::ZERO).0.unwrap();
    scene.answer.replace(vec![moved]);
    let peer = |stream: Stream| stream.socket().peer_addr().unwrap().as_socket().unwrap();
    assert_eq!(peer(scene.connect(TTL / 2).0.unwrap()), address);
    assert_eq!(peer(scene.connect(TTL).0.unwrap()), moved);
    assert_eq!(scene.asked.get(), 2);
}

#[test]
fn an_address_is_never_resolved() {
    let (_listener, address) = listening();
    let mut scene = Scene::new(options(), vec![]);
    scene.target = Target::Tcp { host: address.ip().to_string(), port: address.port() };
    scene.connect(Duration::ZERO).0.unwrap();
    assert_eq!(scene.asked.get(), 0);
}

#[test]
fn a_name_without_address_is_its_own_error() {
    let scene = Scene::new(options(), vec![]);
    let error = scene.connect(Duration::ZERO).0.unwrap_err();
    assert_eq!(error.event(), "resolve_failed");
    assert_eq!(error.to_string(), "engine cannot be resolved: it has no address");
    let target = Target::Tcp { host: "no.such.host.invalid".into(), port: 1 };
    let (options, names) = (options(), Names::default());
    let connector = Connector { target: &target, options: &options, names: &names };
    assert_eq!(connector.connect(&mut |_| ()).unwrap_err().event(), "resolve_failed");
}

#[test]
fn connections_come_from_the_source() {
    let (listener, address) = listening();
    let source = Some("127.0.0.7".to_owned());
    let scene = Scene::new(ConnectOptions { source, ..options() }, vec![address]);
    let _stream = scene.connect(Duration::ZERO).0.unwrap();
    assert_eq!(listener.accept().unwrap().1.ip().to_string(), "127.0.0.7");
}

#[test]
fn a_source_of_another_family_is_not_used() {
    let (_listener, address) = listening();
    let source = Some("::1".to_owned());
    let scene = Scene::new(ConnectOptions { source, ..options() }, vec![address]);
    let error = scene.connect(Duration::ZERO).0.unwrap_err();
    assert!(error.to_string().ends_with("source has no address of this family"), "{error}");
}

#[test]
fn a_source_that_is_not_of_this_machine_is_named() {
    let (_listener, address) = listening();
    let source = Some("192.0.2.1".to_owned());
    let scene = Scene::new(ConnectOptions { source, ..options() }, vec![address]);
    let error = scene.connect(Duration::ZERO).0.unwrap_err();
    assert!(error.to_string().contains("source 192.0.2.1 cannot be used"), "{error}");
}

#[test]
fn a_source_without_address_is_told_once_and_ignored() {
    let (_listener, address) = listening();
    let source = Some("nowhere".to_owned());
    let scene = Scene::new(ConnectOptions { source, ..options() }, vec![]);
    let scene =
        Scene { target: Target::Tcp { host: "127.0.0.1".into(), port: address.port() }, ..scene };
    let (stream, told) = scene.connect(Duration::ZERO);
    assert!(stream.is_ok());
    assert_eq!(
        told,
        ["source_unresolved: source nowhere cannot be resolved: it has no address; the system \
          chooses the local address"]
    );
    assert!(scene.connect(Duration::from_secs(9)).1.is_empty());
}
