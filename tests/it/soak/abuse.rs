//! Random abuse from both sides at once: clients that break off, lie about lengths and send garbage, in
//! front of an engine that does the same. Nobody gets the answer of another request, no process dies,
//! nobody waits for longer than the configured times.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::content::{self, Wish, chunked};
use super::seed;
use super::traffic::{page, upload};
use crate::balancer::load::count;
use crate::status::json;
use crate::support::client::{self, Client, NoResponse, Response};
use crate::support::engine::{Action, Conn, Engine};
use crate::support::httpd::{Httpd, Module, Mpm};
use crate::support::packet::{self, Request};
use crate::support::random::Random;
use crate::support::{dawdle, wait_until};

const CLIENTS: usize = 8;

/// What the engine does with a request: it follows from the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Play {
    /// Answers, in one piece or several.
    Sound,
    /// Ends the connection at any byte of the answer.
    Cut,
    /// Sends random bytes between two packets.
    Garbage,
    /// Sends a packet that does not belong there.
    OddPacket,
    /// Asks for a body that there is not, or for more than there is.
    AsksForMore,
    /// Sends the answer of another request behind its own, at once or a little later.
    AnotherAnswer,
    /// Says nothing any more after some packets.
    Stall,
    /// Content-Length says more than comes.
    TooLong,
    /// Content-Length says less than comes.
    TooShort,
    /// Answers without reading the body, and keeps the connection.
    Early,
    /// Ends the connection after a sound answer, or says that it will and does not.
    NoReuse,
}

const PLAYS: [Play; 11] = [
    Play::Sound,
    Play::Cut,
    Play::Garbage,
    Play::OddPacket,
    Play::AsksForMore,
    Play::AnotherAnswer,
    Play::Stall,
    Play::TooLong,
    Play::TooShort,
    Play::Early,
    Play::NoReuse,
];

fn play(token: u64) -> Play {
    let mut random = Random::new(token.rotate_left(17));
    match random.below(10) {
        0..5 => Play::Sound,
        _ => random.pick(&PLAYS),
    }
}

/// What the client does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ask {
    Sound,
    /// Goes away at any byte of the request, in one way or the other.
    Abort,
    /// Goes away once the request is sent or some of the answer came.
    Leave,
    /// Says that there is more of the body than there is, and ends its direction.
    HalfBody,
    /// Sends more than it said.
    TooMuch,
    /// Breaks the framing of its chunks.
    BadChunk,
    /// Sends several requests at once.
    Pipeline,
    /// Sends in small parts.
    SlowSender,
    /// Reads in small parts.
    SlowReader,
    /// Sends what is no request.
    Garbage,
}

const ASKS: [Ask; 12] = [
    Ask::Sound,
    Ask::Sound,
    Ask::Sound,
    Ask::Abort,
    Ask::Leave,
    Ask::HalfBody,
    Ask::TooMuch,
    Ask::BadChunk,
    Ask::Pipeline,
    Ask::SlowSender,
    Ask::SlowReader,
    Ask::Garbage,
];

fn engine_answer(conn: &mut Conn, request: &Request) -> io::Result<Action> {
    let Some(wish) = request.query().and_then(Wish::of_query) else {
        conn.send(&packet::answer(404, &[], b"no wish"))?;
        return Ok(Action::Keep);
    };
    let mut random = Random::new(wish.token.rotate_left(29));
    let play = play(wish.token);
    if play == Play::Early {
        conn.send(&packet::answer(413, &[], b"enough"))?;
        return Ok(Action::Keep);
    }
    let body = conn.read_body(request)?;
    let answer = wish.answer(&body);
    let length = match play {
        Play::TooLong => Some(answer.len() + 1 + random.below(2000)),
        Play::TooShort => Some(random.below(answer.len())),
        _ => random.one_in(2).then_some(answer.len()),
    };
    let mut packets = packets(&answer, length, &mut random);
    let place = random.below(packets.len());
    let mut action = Action::Keep;
    match play {
        Play::Garbage => {
            let bytes = (0..1 + random.below(60)).map(|_| random.next() as u8).collect();
            packets.insert(place, bytes);
            action = random.pick(&[Action::Keep, Action::Close, Action::Reset]);
        }
        Play::OddPacket => {
            let length = random.below(20);
            let odd: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
            // Codes that no engine sends, an empty packet, headers once more, the answer to a ping.
            let odd = match random.below(5) {
                0 => packet::frame(
                    &[&[random.pick(&[0, 1, 2, 7, 8, 10, 99, 255])], &odd[..]].concat(),
                ),
                1 => packet::frame(&[]),
                2 => packet::send_headers(200, "OK", &[("X-Twice", "yes")]),
                3 => packet::cpong(),
                _ => [&packet::FROM_ENGINE[..], &[0xFF, 0xFF], &odd].concat(),
            };
            packets.insert(place, odd);
            action = Action::Close;
        }
        Play::AsksForMore => {
            packets.insert(place, packet::get_body_chunk(random.pick(&[1, 8186, 65535])));
            action = Action::Close;
        }
        Play::AnotherAnswer => {
            let other = Wish { token: !wish.token, length: random.below(500), upload: None };
            let more = packet::answer(200, &[], &other.expected());
            if !is_pinged(wish) {
                // Both in one segment: what comes later nobody can tell without a ping.
                let end = packets.pop().unwrap_or_default();
                conn.send(&packets.concat())?;
                conn.send(&[end, more].concat())?;
                return Ok(Action::Keep);
            } else if random.one_in(2) {
                packets.push(more);
            } else {
                conn.send(&packets.concat())?;
                dawdle(Duration::from_millis(random.below(30) as u64));
                // Nobody may be there any more.
                let _ = conn.send(&more);
                return Ok(Action::Keep);
            }
        }
        Play::Stall => {
            conn.send(&packets[..place].concat())?;
            return Ok(Action::Hold);
        }
        Play::NoReuse => {
            *packets.last_mut().expect("the end") = packet::end_response(false);
            action = random.pick(&[Action::Keep, Action::Close]);
        }
        _ => {}
    }
    let mut bytes = packets.concat();
    if play == Play::Cut {
        bytes.truncate(random.below(bytes.len()));
        action = random.pick(&[Action::Close, Action::Reset]);
    }
    if random.one_in(4) {
        dawdle(Duration::from_millis(random.below(40) as u64));
    }
    if random.one_in(3) {
        conn.send_split(&bytes, 1 + random.below(700))?;
    } else {
        conn.send(&bytes)?;
    }
    Ok(action)
}

/// The packets of an answer: headers, chunks of random sizes, the end.
fn packets(answer: &[u8], length: Option<usize>, random: &mut Random) -> Vec<Vec<u8>> {
    let length = length.map(|length| length.to_string());
    let headers: Vec<(&str, &str)> =
        length.iter().map(|length| ("Content-Length", length.as_str())).collect();
    let mut packets = vec![packet::send_headers(200, "OK", &headers)];
    let mut rest = answer;
    while !rest.is_empty() {
        let small = 1 + random.below(300);
        let most = random.pick(&[small, packet::CHUNK_MAX, packet::CHUNK_MAX]);
        let (part, more) = rest.split_at(rest.len().min(most));
        packets.push(packet::body_chunk(part));
        rest = more;
    }
    packets.push(packet::end_response(true));
    packets
}

/// How many requests ended in which way, and what was wrong.
#[derive(Default)]
struct Found {
    outcomes: Mutex<BTreeMap<String, usize>>,
    /// Requests that were sound on both sides, and how many of those were served.
    sound: AtomicUsize,
    served: AtomicUsize,
    /// Of each play.
    plays: Mutex<BTreeMap<Play, usize>>,
    wrong: Mutex<Vec<String>>,
}

impl Found {
    /// Compares what came with what may come. `is_sound`: the client did nothing unusual.
    fn judge(
        &self,
        ask: Ask,
        wish: Wish,
        answer: Result<Response, NoResponse>,
        is_sound: bool,
    ) -> bool {
        let play = play(wish.token);
        *self.plays.lock().expect("no panic").entry(play).or_default() += 1;
        let is_both = is_sound && play == Play::Sound;
        self.sound.fetch_add(is_both.into(), Ordering::SeqCst);
        let mut goes_on = false;
        let (outcome, fault) = match answer {
            Ok(answer) => {
                let is_whole = answer.end.is_complete();
                goes_on = is_whole && answer.header("Connection") != Some("close");
                let fault = match answer.status() {
                    200 if matches!(ask, Ask::HalfBody | Ask::BadChunk) && is_whole => {
                        Some("a whole answer to half a body".to_owned())
                    }
                    200 if play == Play::TooLong && is_whole => {
                        Some("a whole answer that lacks its end".to_owned())
                    }
                    // The client has all that it was promised.
                    200 => wish.fault(&answer.body, is_whole && play != Play::TooShort),
                    413 if play == Play::Early && answer.body == b"enough" || !is_whole => None,
                    400 | 408 | 500 | 502 | 503 | 504 => {
                        // A page of httpd, which names no token.
                        let is_page = answer.text().starts_with("<!DOCTYPE");
                        (!is_page && is_whole).then(|| answer.text())
                    }
                    status => Some(format!("status {status}")),
                };
                let is_served = answer.status() == 200 && is_whole;
                self.served.fetch_add((is_both && is_served).into(), Ordering::SeqCst);
                (format!("{} whole: {is_whole}", answer.status()), fault)
            }
            Err(error @ (NoResponse::Silence | NoResponse::Garbage(_))) => {
                (String::new(), Some(format!("{error:?}")))
            }
            Err(error) => (format!("{error:?}"), None),
        };
        if let Some(fault) = fault {
            let text = format!("{ask:?} {play:?} {wish:x?}: {fault}");
            self.wrong.lock().expect("no panic").push(text);
        }
        *self.outcomes.lock().expect("no panic").entry(outcome).or_default() += 1;
        goes_on
    }
}

/// Whether its worker pings the engine before each request.
fn is_pinged(wish: Wish) -> bool {
    wish.token.is_multiple_of(2)
}

/// The head of a request to the worker that the token says.
fn head(wish: Wish, more: &str) -> String {
    let head = content::head(wish, more);
    if is_pinged(wish) { head } else { head.replacen("/soak/", "/plain/", 1) }
}

/// A request with its body, framed in one way or the other.
fn request(wish: Wish, random: &mut Random) -> Vec<u8> {
    let body = wish.request_body();
    match wish.upload {
        None => head(wish, "").into_bytes(),
        Some(length) if random.one_in(2) => {
            let head = head(wish, &format!("Content-Length: {length}\r\n"));
            [head.as_bytes(), &body].concat()
        }
        Some(_) => {
            let head = head(wish, "Transfer-Encoding: chunked\r\n");
            [head.into_bytes(), chunked(&body, random)].concat()
        }
    }
}

/// One connection with one request or some. Returns how many requests it sent.
fn abuse(httpd: &Httpd, found: &Found, random: &mut Random) -> usize {
    let ask = random.pick(&ASKS);
    let mut wish = if random.one_in(2) { page(random) } else { upload(random) };
    let mut client = Client::connect(httpd.addr());
    match ask {
        Ask::Sound => {
            let mut asked = 0;
            for _ in 0..1 + random.below(4) {
                let _ = client.send(&request(wish, random));
                asked += 1;
                // A connection that was kept may end before the next request.
                let answer = client.try_read_response(wish.method());
                if !found.judge(ask, wish, answer, asked == 1) {
                    break;
                }
                wish = page(random);
            }
            return asked;
        }
        Ask::Abort | Ask::Leave => {
            let bytes = request(wish, random);
            let end = if ask == Ask::Abort { random.below(bytes.len()) } else { bytes.len() };
            let _ = client.send(&bytes[..end]);
            if ask == Ask::Leave && random.one_in(2) {
                let _ = client.read_some(1 + random.below(2000));
            }
            if random.one_in(2) {
                client.abort();
            }
            return 1;
        }
        Ask::HalfBody => {
            let length = 1 + random.below(40_000);
            wish = Wish { upload: Some(random.below(length)), ..wish };
            let head = head(wish, &format!("Content-Length: {length}\r\n"));
            let _ = client.send(&[head.into_bytes(), wish.request_body()].concat());
            client.finish_sending();
        }
        Ask::TooMuch => {
            wish = Wish { upload: Some(random.below(3000)), ..wish };
            let _ = client.send(&request(wish, random));
            let _ = client.send(b"\x00more than it said\r\n\r\n");
        }
        Ask::BadChunk => {
            wish = Wish { upload: Some(1 + random.below(30_000)), ..wish };
            let head = head(wish, "Transfer-Encoding: chunked\r\n").into_bytes();
            let chunks = chunked(&wish.request_body(), random);
            let end = chunks.len() - 5 - random.below(chunks.len() - 5);
            let bad: &[u8] = random.pick(&[&b"\r\nxyz\r\n"[..], b"-1\r\n", b"\r\n\r\n\r\n"]);
            let _ = client.send(&[&head, &chunks[..end], bad].concat());
            client.finish_sending();
        }
        Ask::Pipeline => {
            let wishes: Vec<Wish> = (0..2 + random.below(3)).map(|_| page(random)).collect();
            let all: Vec<u8> = wishes.iter().flat_map(|wish| request(*wish, random)).collect();
            let _ = client.send(&all);
            let mut asked = 0;
            for wish in wishes {
                asked += 1;
                let answer = client.try_read_response("GET");
                if !found.judge(ask, wish, answer, asked == 1) {
                    break;
                }
            }
            return asked;
        }
        Ask::SlowSender => {
            let bytes = request(wish, random);
            for part in bytes.chunks(1 + bytes.len() / (1 + random.below(8))) {
                dawdle(Duration::from_millis(random.below(40) as u64));
                if client.send(part).is_err() {
                    break;
                }
            }
        }
        Ask::SlowReader => {
            wish = Wish { length: 200_000, ..page(random) };
            let _ = client.send(&request(wish, random));
            dawdle(Duration::from_millis(random.below(200) as u64));
        }
        Ask::Garbage => {
            let bytes: Vec<u8> = (0..1 + random.below(300)).map(|_| random.next() as u8).collect();
            let _ = client.send(&[bytes, b"\r\n\r\n".to_vec()].concat());
            client.finish_sending();
            // Anything but an answer of the engine.
            if let Ok(answer) = client.try_read_response("GET")
                && answer.status() == 200
            {
                let text = format!("{ask:?}: {:?}", answer.text());
                found.wrong.lock().expect("no panic").push(text);
            }
            return 1;
        }
    }
    let is_sound = matches!(ask, Ask::SlowSender | Ask::SlowReader);
    let answer = client.try_read_response(wish.method());
    found.judge(ask, wish, answer, is_sound);
    1
}

const WORKERS: &str = "worker.list=w,plain,jk
worker.jk.type=status
worker.maintain=1
worker.w.reply_timeout=1000
worker.w.prepost_timeout=1000
worker.plain.reply_timeout=1000
";

fn abuse_all(mpm: Mpm, requests: usize) {
    let seed = seed();
    let engine = Engine::scripted(engine_answer).forget_all().start();
    let builder = Httpd::builder(Module::Ours).mpm(mpm);
    let builder = match mpm {
        Mpm::Prefork => builder.size(CLIENTS as u32 + 2, 1),
        _ => builder.size(8, 2),
    };
    let httpd = builder
        .workers(&format!("{WORKERS}{}{}", engine.worker("w"), engine.worker("plain")))
        .mount("/soak/*", "w")
        .mount("/plain/*", "plain")
        .mount("/jk", "jk")
        .config("Timeout 10")
        .start();
    let children = httpd.child_pids();
    let found = Found::default();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS as u64 {
            let (httpd, found) = (&httpd, &found);
            scope.spawn(move || {
                let mut random = Random::new(seed.wrapping_add(client << 40) ^ (mpm as u64) << 60);
                let mut asked = 0;
                while asked < requests.div_ceil(CLIENTS) {
                    asked += abuse(httpd, found, &mut random);
                }
            });
        }
    });
    let wrong = found.wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "JK_SEED={seed}, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    let (sound, served) = (found.sound.into_inner(), found.served.into_inner());
    let outcomes = found.outcomes.into_inner().expect("no panic");
    eprintln!("{mpm:?}: {served} of {sound} sound requests served; {outcomes:?}");
    // What is left on a connection by the exchange before costs some of them theirs.
    assert!(sound > requests / 10 && served * 10 >= sound * 9, "{served} of {sound}");
    let plays = found.plays.into_inner().expect("no panic");
    assert_eq!(plays.len(), PLAYS.len(), "{plays:?}");
    let after = httpd.child_pids();
    assert!(children.iter().all(|pid| after.contains(pid)), "{children:?} {after:?}");
    let (error_log, log) = (httpd.error_log(), httpd.jk_log());
    assert!(!error_log.contains("exit signal") && !error_log.contains("panic"), "{error_log}");
    assert!(!log.contains("panic") && !log.contains("_repaired"));
    wait_until("nothing is counted", || {
        let status = json::parse(&client::get(httpd.addr(), "/jk?mime=json").text());
        ["0", "1"]
            .iter()
            .all(|worker| status.path(&format!("ajp_workers.{worker}.busy")).number() == Some(0.0))
    });
}

#[test]
fn abuse_from_both_sides_under_event() {
    abuse_all(Mpm::Event, count(2500, 300));
}

#[test]
fn abuse_from_both_sides_under_prefork() {
    abuse_all(Mpm::Prefork, count(2500, 200));
}
