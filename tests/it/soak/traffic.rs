//! Clients of every kind, and what each request came to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::content::{Wish, chunked, head};
use super::http2::{self, Http2, Order};
use crate::support::client::{Client, NoResponse};
use crate::support::dawdle;
use crate::support::random::Random;

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A GET on a connection that is kept.
    Page,
    /// A body with a Content-Length.
    Upload,
    /// A body in chunks.
    Chunked,
    /// The answer is read in small parts with pauses.
    SlowReader,
    /// The request is sent in small parts with pauses.
    SlowSender,
    /// The client goes away in any phase.
    Abort,
    /// Streams of HTTP/2, some of which are reset.
    Http2,
    /// HTTP/2 over TLS.
    Tls,
    /// A page of the status worker.
    Status,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// Its whole answer came, each byte of it right.
    Served,
    /// An error page of httpd.
    Refused(u16),
    /// The beginning of its answer came, and an end that can be told from a whole answer.
    Cut,
    /// The connection ended before the answer.
    Closed,
    /// The client went away; what had come was right.
    Aborted,
    /// Anything else.
    Wrong(String),
}

/// Whether requests may fail: an engine is down or stopped, or was during the request.
#[derive(Debug, Default)]
pub(super) struct Weather {
    faults: AtomicUsize,
    changes: AtomicUsize,
    restarts: AtomicUsize,
}

/// What the weather was at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outlook {
    changes: usize,
    restarts: usize,
}

impl Weather {
    pub(super) fn begin(&self) {
        self.faults.fetch_add(1, Ordering::SeqCst);
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn end(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.faults.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn restart(&self) {
        self.restarts.fetch_add(1, Ordering::SeqCst);
    }

    fn now(&self) -> Outlook {
        Outlook {
            changes: self.changes.load(Ordering::SeqCst),
            restarts: self.restarts.load(Ordering::SeqCst),
        }
    }

    /// Whether no engine failed since then.
    fn was_calm(&self, since: Outlook) -> bool {
        self.faults.load(Ordering::SeqCst) == 0
            && self.changes.load(Ordering::SeqCst) == since.changes
    }

    fn was_restarted(&self, since: Outlook) -> bool {
        self.restarts.load(Ordering::SeqCst) != since.restarts
    }
}

/// Where requests go, and what became of them.
pub(super) struct Traffic {
    pub(super) addr: SocketAddr,
    /// `https://host:port`.
    pub(super) tls: String,
    pub(super) over: AtomicBool,
    pub(super) weather: Weather,
    begun: Instant,
    tally: Mutex<BTreeMap<(Kind, Outcome), u64>>,
    wrong: Mutex<Vec<String>>,
}

/// A connection that is kept between requests.
struct Kept {
    client: Client,
    uses: usize,
    since: Outlook,
}

impl Traffic {
    pub(super) fn new(addr: SocketAddr, tls: String) -> Self {
        Self {
            addr,
            tls,
            over: AtomicBool::new(false),
            weather: Weather::default(),
            begun: Instant::now(),
            tally: Mutex::default(),
            wrong: Mutex::default(),
        }
    }

    pub(super) fn tally(&self) -> BTreeMap<(Kind, Outcome), u64> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn record(&self, kind: Kind, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Wrong(what) => {
                let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
                let at = self.begun.elapsed().as_secs_f64();
                wrong.push(format!("after {at:.1} s, {kind:?}: {what}"));
                Outcome::Wrong(String::new())
            }
            outcome => outcome,
        };
        *self
            .tally
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((kind, outcome))
            .or_default() += 1;
    }

    /// Asks until it is over, with a pause between two requests: two cores are to have time for
    /// everybody. All that it does follows from the seed.
    pub(super) fn ask(&self, seed: u64) {
        let mut random = Random::new(seed);
        let mut kept = None;
        while !self.over.load(Ordering::SeqCst) {
            match random.below(100) {
                0..45 => {
                    let wish = page(&mut random);
                    self.plain(Kind::Page, wish, &head(wish, "").into_bytes(), &mut kept);
                }
                45..60 => {
                    let wish = upload(&mut random);
                    let length = format!("Content-Length: {}\r\n", wish.upload.unwrap_or(0));
                    let bytes = [head(wish, &length).into_bytes(), wish.request_body()].concat();
                    self.plain(Kind::Upload, wish, &bytes, &mut kept);
                }
                60..70 => {
                    let wish = upload(&mut random);
                    let bytes = chunked_request(wish, &mut random);
                    self.plain(Kind::Chunked, wish, &bytes, &mut kept);
                }
                70..75 => self.slow_reader(&mut random),
                75..80 => self.slow_sender(&mut random),
                80..90 => self.abort(&mut random),
                _ => self.http2(&mut random),
            }
            dawdle(Duration::from_millis(random.below(80) as u64));
        }
    }

    /// Asks over TLS until it is over.
    pub(super) fn ask_tls(&self, seed: u64) {
        let mut random = Random::new(seed);
        while !self.over.load(Ordering::SeqCst) {
            let wish = page(&mut random);
            let before = self.weather.now();
            let output = Command::new("curl")
                .args(["-q", "-sS", "--noproxy", "*", "--insecure", "--http2", "--max-time", "30"])
                .arg(format!("{}{}", self.tls, wish.target()))
                .output()
                .expect("curl");
            let is_whole = output.status.success();
            let outcome = if is_whole && output.stdout.starts_with(b"<!DOCTYPE") {
                Outcome::Refused(500)
            } else {
                match wish.fault(&output.stdout, is_whole) {
                    Some(fault) => Outcome::Wrong(fault),
                    None if is_whole => Outcome::Served,
                    None => Outcome::Cut,
                }
            };
            self.judge(Kind::Tls, wish, outcome, before, false);
            dawdle(Duration::from_millis(200 + random.below(400) as u64));
        }
    }

    /// Records an outcome. A failure is wrong unless an engine failed meanwhile; a connection may end
    /// where httpd restarted, and before the answer where it had been idle.
    fn judge(&self, kind: Kind, wish: Wish, outcome: Outcome, since: Outlook, is_reused: bool) {
        let is_excused = !self.weather.was_calm(since)
            || match outcome {
                Outcome::Closed => is_reused || self.weather.was_restarted(since),
                Outcome::Cut if matches!(kind, Kind::Http2 | Kind::Tls) => {
                    self.weather.was_restarted(since)
                }
                _ => false,
            };
        let outcome = match outcome {
            Outcome::Served | Outcome::Aborted => outcome,
            Outcome::Wrong(what) => Outcome::Wrong(format!("{wish:x?}: {what}")),
            outcome if is_excused => outcome,
            outcome => Outcome::Wrong(format!("{wish:x?}: {outcome:?} while all engines served")),
        };
        self.record(kind, outcome);
    }

    /// Sends a request on a connection that is kept, and reads its answer.
    fn plain(&self, kind: Kind, wish: Wish, request: &[u8], kept: &mut Option<Kept>) {
        let (before, mut used) = (self.weather.now(), kept.take());
        let mut connection = used.take().unwrap_or_else(|| Kept {
            client: Client::connect(self.addr),
            uses: 0,
            since: before,
        });
        // Whoever refuses a body may close before it has come.
        let _ = connection.client.send(request);
        let outcome = read(&mut connection.client, wish);
        let stays = outcome.1;
        connection.uses += 1;
        let is_reused = connection.uses > 1;
        let since = Outlook { restarts: connection.since.restarts, ..before };
        self.judge(kind, wish, outcome.0, since, is_reused);
        if stays && connection.uses < 50 {
            *kept = Some(connection);
        }
    }

    fn slow_reader(&self, random: &mut Random) {
        let wish = Wish { length: 20_000 + random.below(300_000), ..page(random) };
        let (before, mut client) = (self.weather.now(), Client::connect(self.addr));
        let _ = client.send(head(wish, "Connection: close\r\n").as_bytes());
        dawdle(Duration::from_millis(random.below(300) as u64));
        let mut pauses = 30;
        let outcome = match client.read_head() {
            Ok(head) => {
                let mut body = Vec::new();
                let end = client.read_body("GET", &head, |data| {
                    body.extend_from_slice(data);
                    if pauses > 0 {
                        pauses -= 1;
                        dawdle(Duration::from_millis(10));
                    }
                });
                compare(wish, head.status, &body, end.is_ok_and(|end| end.is_complete()))
            }
            Err(error) => no_response(error),
        };
        self.judge(Kind::SlowReader, wish, outcome, before, false);
    }

    fn slow_sender(&self, random: &mut Random) {
        let wish = Wish { upload: Some(random.below(60_000)), ..page(random) };
        let (before, mut client) = (self.weather.now(), Client::connect(self.addr));
        let bytes = chunked_request(wish, random);
        for part in bytes.chunks(1 + bytes.len() / (2 + random.below(20))) {
            if client.send(part).is_err() {
                break;
            }
            dawdle(Duration::from_millis(random.below(60) as u64));
        }
        let outcome = read(&mut client, wish).0;
        self.judge(Kind::SlowSender, wish, outcome, before, false);
    }

    /// Goes away within the head of the request, within its body, before the answer, or within it.
    fn abort(&self, random: &mut Random) {
        let wish = if random.one_in(2) { page(random) } else { upload(random) };
        let mut client = Client::connect(self.addr);
        let bytes = match wish.upload {
            None => head(wish, "").into_bytes(),
            Some(length) if random.one_in(2) => {
                let length = format!("Content-Length: {length}\r\n");
                [head(wish, &length).into_bytes(), wish.request_body()].concat()
            }
            Some(_) => chunked_request(wish, random),
        };
        let cut = random.one_in(2).then(|| random.below(bytes.len()));
        let _ = client.send(&bytes[..cut.unwrap_or(bytes.len())]);
        let mut outcome = Outcome::Aborted;
        if cut.is_none() && random.one_in(2) {
            let most = 1 + random.below(wish.length + 200);
            // Part of the head, or all of it and part of the body.
            if most > 200
                && let Ok(head) = client.read_head()
                && head.status == 200
                && head.header("Transfer-Encoding").is_none()
            {
                let body = client.read_some(most - 200).unwrap_or_default();
                if let Some(fault) = wish.fault(&body, false) {
                    outcome = Outcome::Wrong(fault);
                }
            } else {
                let _ = client.read_some(most.min(200));
            }
        } else if random.one_in(2) {
            dawdle(Duration::from_millis(random.below(20) as u64));
        }
        if random.one_in(2) {
            client.abort();
        }
        let now = self.weather.now();
        self.judge(Kind::Abort, wish, outcome, now, false);
    }

    /// One connection with some rounds of streams.
    fn http2(&self, random: &mut Random) {
        let before = self.weather.now();
        let Ok(mut client) = Http2::connect(self.addr) else {
            self.record(Kind::Http2, Outcome::Wrong("no connection".into()));
            return;
        };
        for round in 0..1 + random.below(3) {
            let orders: Vec<Order> = (0..1 + random.below(5))
                .map(|number| {
                    let mut wish = page(random);
                    if round == 0 && number == 0 && random.one_in(3) {
                        wish.upload = Some(random.below(30_000));
                    }
                    let length = wish.length;
                    let reset_after = random.one_in(4).then(|| random.below(length + 1));
                    Order { wish, reset_after }
                })
                .collect();
            let now = self.weather.now();
            let since = Outlook { restarts: before.restarts, ..now };
            for (order, stream) in orders.iter().zip(client.run(&orders)) {
                let outcome = of_stream(order.wish, &stream);
                self.judge(Kind::Http2, order.wish, outcome, since, round > 0);
            }
        }
    }
}

fn of_stream(wish: Wish, stream: &http2::Stream) -> Outcome {
    let is_whole = stream.end == Some(http2::End::Clean);
    let compared = compare(wish, stream.status, &stream.body, is_whole);
    match (stream.end, compared) {
        (_, Outcome::Wrong(what)) => Outcome::Wrong(what),
        (Some(http2::End::Silence), _) => Outcome::Wrong("silence".into()),
        (Some(http2::End::ByUs), _) => Outcome::Aborted,
        (Some(http2::End::Lost), _) if stream.status == 0 => Outcome::Closed,
        (_, outcome) => outcome,
    }
}

/// Reads one answer. The second: whether the connection can be used again.
pub(super) fn read(client: &mut Client, wish: Wish) -> (Outcome, bool) {
    match client.try_read_response(wish.method()) {
        Ok(answer) => {
            let is_whole = answer.end.is_complete();
            let stays = is_whole && answer.header("Connection") != Some("close");
            (compare(wish, answer.status(), &answer.body, is_whole), stays)
        }
        Err(error) => (no_response(error), false),
    }
}

fn compare(wish: Wish, status: u16, body: &[u8], is_whole: bool) -> Outcome {
    match status {
        0 | 200 => match wish.fault(body, is_whole) {
            Some(fault) => Outcome::Wrong(fault),
            None if is_whole => Outcome::Served,
            None => Outcome::Cut,
        },
        // The streams of HTTP/2 tell not which.
        1 | 400 | 500 | 502 | 503 | 504 => Outcome::Refused(status),
        status => Outcome::Wrong(format!("status {status}")),
    }
}

fn no_response(error: NoResponse) -> Outcome {
    match error {
        NoResponse::Closed | NoResponse::Reset => Outcome::Closed,
        NoResponse::Truncated => Outcome::Cut,
        NoResponse::Silence | NoResponse::Garbage(_) => Outcome::Wrong(format!("{error:?}")),
    }
}

/// A page: mostly small.
pub(super) fn page(random: &mut Random) -> Wish {
    let most = random.pick(&[100, 100, 5_000, 20_000, 100_000]);
    Wish { token: random.next(), length: random.below(most), upload: None }
}

pub(super) fn upload(random: &mut Random) -> Wish {
    let most = random.pick(&[100, 9_000, 9_000, 100_000]);
    Wish { upload: Some(random.below(most)), ..page(random) }
}

fn chunked_request(wish: Wish, random: &mut Random) -> Vec<u8> {
    let mut bytes = head(wish, "Transfer-Encoding: chunked\r\n").into_bytes();
    bytes.extend(chunked(&wish.request_body(), random));
    bytes
}
