#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::net::TcpListener;
use std::time::Instant;

use super::super::NameCache;
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
    /// What the resolver answers; `None`: nothing.
    answer: RefCell<Option<Vec<SocketAddr>>>,
    asked: Cell<usize>,
}

impl Scene {
    /// `answer` has addresses of one port.
    fn new(options: ConnectOptions, answer: Vec<SocketAddr>) -> Self {
        let port = answer.first().map_or(1, SocketAddr::port);
        Self {
            target: Target::Tcp { host: "engine".into(), port },
            options,
            names: Names::default(),
            start: Instant::now(),
            answer: RefCell::new(Some(answer)),
            asked: Cell::new(0),
        }
    }

    /// Does something that long `after` the start. Returns the result and the events that were told.
    fn at<T>(
        &self,
        after: Duration,
        act: impl FnOnce(&Connector<'_>, &Resolver<'_>, &mut dyn FnMut(&Notice)) -> T,
    ) -> (T, Vec<String>) {
        let resolve = |_: &str| {
            self.asked.set(self.asked.get() + 1);
            let mut answer = self.answer.borrow().clone().ok_or(ErrorKind::TimedOut)?;
            answer.iter_mut().for_each(|address| address.set_port(0));
            Ok(answer)
        };
        let mut told = Vec::new();
        let mut tell = |notice: &Notice| told.push(format!("{}: {notice}", notice.event()));
        let connector =
            Connector { target: &self.target, options: &self.options, names: &self.names };
        let resolver = Resolver { now: &|| self.start + after, resolve: &resolve };
        let result = act(&connector, &resolver, &mut tell);
        (result, told)
    }

    fn connect(&self, after: Duration) -> (Result<Stream, ConnectError>, Vec<String>) {
        self.at(after, |connector, resolver, tell| connector.connect_by(resolver, tell))
    }

    fn renew_names(&self, after: Duration) -> Vec<String> {
        self.at(after, |connector, resolver, tell| connector.renew_names_by(resolver, tell)).1
    }
}

fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A listener, and beside it an address of the same port that refuses connections for as long as
/// the socket lives.
fn listening_and_refusing() -> ((TcpListener, SocketAddr), (Socket, SocketAddr)) {
    loop {
        let (listener, good) = listening();
        let bad = SocketAddr::from(([127, 0, 0, 2], good.port()));
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // Another test may have the port there.
        if socket.bind(&bad.into()).is_ok() {
            return ((listener, good), (socket, bad));
        }
    }
}

fn peer(stream: &Stream) -> SocketAddr {
    stream.socket().peer_addr().unwrap().as_socket().unwrap()
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
    let ((listener, good), (_held, bad)) = listening_and_refusing();
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
    let ((_listener, new), (_held, old)) = listening_and_refusing();
    let scene = Scene::new(options(), vec![old]);
    assert_eq!(scene.connect(Duration::ZERO).0.unwrap_err().event(), "connect_refused");
    scene.answer.replace(Some(vec![old, new]));
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
fn a_resolver_that_is_away_is_told_where_the_known_addresses_fail() {
    let (_listening, (_held, bad)) = listening_and_refusing();
    let scene = Scene::new(options(), vec![bad]);
    assert!(scene.connect(Duration::ZERO).0.is_err());
    scene.answer.replace(None);
    let (result, told) = scene.connect(Duration::from_secs(2));
    assert_eq!(result.unwrap_err().event(), "connect_refused");
    assert!(told[0].starts_with("host_outdated: engine cannot be resolved any more: "), "{told:?}");
    assert!(scene.connect(Duration::from_secs(2)).1.is_empty(), "told once for each question");
}

#[test]
fn no_request_waits_for_a_name_to_be_renewed() {
    let ((_listener, address), (held, other)) = listening_and_refusing();
    held.listen(1).unwrap();
    let scene = Scene::new(options(), vec![address]);
    assert_eq!(peer(&scene.connect(Duration::ZERO).0.unwrap()), address);
    scene.answer.replace(Some(vec![other]));
    assert_eq!(peer(&scene.connect(9 * TTL).0.unwrap()), address);
    assert_eq!(scene.asked.get(), 1, "the known addresses do");
    assert!(scene.renew_names(9 * TTL).is_empty());
    assert_eq!(peer(&scene.connect(9 * TTL).0.unwrap()), other);
    assert_eq!(scene.asked.get(), 2);
}

#[test]
fn names_are_renewed_once_in_dns_ttl_and_a_failure_takes_nothing_away() {
    let (_listener, address) = listening();
    let source = Some("source".to_owned());
    let scene = Scene::new(ConnectOptions { source, ..options() }, vec![address]);
    scene.connect(Duration::ZERO).0.unwrap();
    assert_eq!(scene.asked.get(), 2, "host and source");
    assert!(scene.renew_names(TTL - Duration::from_millis(1)).is_empty());
    assert_eq!(scene.asked.get(), 2);
    scene.answer.replace(None);
    let told = scene.renew_names(TTL);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("host_outdated: engine cannot be resolved any more: "), "{told:?}");
    assert!(told[1].starts_with("host_outdated: source cannot be resolved any more: "), "{told:?}");
    assert!(scene.renew_names(TTL).is_empty());
    assert_eq!(scene.asked.get(), 4);
    assert!(scene.connect(TTL).0.is_ok());
}

#[test]
fn an_address_is_never_resolved() {
    let (_listener, address) = listening();
    let mut scene = Scene::new(options(), vec![]);
    scene.target = Target::Tcp { host: address.ip().to_string(), port: address.port() };
    scene.connect(Duration::ZERO).0.unwrap();
    scene.renew_names(TTL);
    assert_eq!(scene.asked.get(), 0);
}

#[test]
fn a_name_without_address_is_its_own_error() {
    let scene = Scene::new(options(), vec![]);
    let error = scene.connect(Duration::ZERO).0.unwrap_err();
    assert_eq!(error.event(), "resolve_failed");
    assert_eq!(error.to_string(), "engine cannot be resolved: it has no address");
    let error = scene.connect(Duration::from_millis(100)).0.unwrap_err();
    assert_eq!(
        (error.event(), scene.asked.get()),
        ("resolve_failed", 1),
        "a repetition does not ask"
    );
    assert!(scene.renew_names(TTL).is_empty(), "the requests say it");
    assert_eq!(scene.asked.get(), 2);
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
    assert_eq!(scene.asked.get(), 1, "no request waits for it twice");
}

#[test]
fn all_workers_of_a_host_have_what_the_start_found() {
    let (_listener, address) = listening();
    let source = Some("127.0.0.7".to_owned());
    let mut scene = Scene::new(ConnectOptions { source, ..options() }, vec![address]);
    let mut cache = NameCache::default();
    for _ in 0..2 {
        scene.at(Duration::ZERO, |_, resolver, _| cache.look_up_by("engine", resolver)).0.unwrap();
    }
    assert_eq!(scene.asked.get(), 1);
    // In a child process the resolver is away.
    scene.answer.replace(None);
    for port in [address.port(), 1] {
        scene.target = Target::Tcp { host: "engine".into(), port };
        scene.names = cache.names(&scene.target, &scene.options);
        let (result, _) = scene.connect(Duration::from_millis(1));
        assert_eq!(result.is_ok(), port == address.port(), "its own port");
    }
    assert_eq!(scene.asked.get(), 1);
    assert_eq!(scene.renew_names(TTL).len(), 1, "counts from the start");
}

#[test]
fn what_the_start_cannot_resolve_is_looked_up_once() {
    let mut scene = Scene::new(options(), vec![]);
    let mut cache = NameCache::default();
    for after in [0, 9] {
        let look_up = |_: &Connector<'_>, resolver: &Resolver<'_>, _: &mut dyn FnMut(&Notice)| {
            cache.look_up_by("engine", resolver).unwrap_err().to_string()
        };
        assert_eq!(scene.at(Duration::from_secs(after), look_up).0, "it has no address");
    }
    assert_eq!(scene.asked.get(), 1);
    let ((_listener, address), options) = (listening(), options());
    scene.answer.replace(Some(vec![address]));
    scene.target = Target::Tcp { host: "engine".into(), port: address.port() };
    scene.names = cache.names(&scene.target, &options);
    assert!(scene.connect(Duration::from_secs(9)).0.is_ok(), "a child finds it later");
}
