//! How often an engine gets a request: `recovery_options`, `fail_on_status`, reply timeouts
//! ([5.4], [5.5], [5.7]; spec/reliability.md 0).

use std::io;

use crate::support::client::{self, Client};
use crate::support::engine::{Action, Conn, Engine, echo};
use crate::support::httpd::{Httpd, Module};
use crate::support::packet::{self, Request};

/// Values of `recovery_options` and how often the engine gets a request with it: C mod_jk, ours.
type Row = (Option<u32>, [usize; 6], [usize; 6]);

/// What the columns of a [`Row`] are: method, what the engine does, what the client gets.
const COLUMNS: [(&str, &str, u16); 6] = [
    ("GET", "closes", 502),
    ("POST", "closes", 502),
    ("HEAD", "closes", 502),
    ("GET", "breaks", 502),
    ("GET", "silent", 504),
    ("GET", "fails", 503),
];

const ROWS: [Row; 8] = [
    (None, [2, 2, 2, 2, 2, 2], [1, 1, 1, 1, 1, 1]),
    (Some(0), [2, 2, 2, 2, 2, 2], [2, 2, 2, 2, 2, 2]),
    (Some(1), [1, 1, 1, 2, 1, 2], [1, 1, 1, 2, 1, 2]),
    (Some(2), [2, 2, 2, 1, 2, 2], [2, 2, 2, 1, 2, 1]),
    (Some(3), [1, 1, 1, 1, 1, 2], [1, 1, 1, 1, 1, 1]),
    (Some(11), [1, 1, 2, 1, 1, 2], [1, 1, 2, 1, 1, 1]),
    (Some(19), [2, 1, 1, 1, 2, 2], [2, 1, 1, 1, 2, 1]),
    // C mod_jk does not look at 16 where 8 is set (trap 4).
    (Some(27), [1, 1, 2, 1, 1, 2], [2, 1, 2, 1, 2, 1]),
];

/// The engine does what the last part of the path says, each time.
fn play(conn: &mut Conn, request: &Request) -> io::Result<Action> {
    conn.read_body(request)?;
    match request.uri().rsplit('/').next().unwrap_or_default() {
        "closes" => Ok(Action::Close),
        "breaks" => {
            conn.send(&packet::send_headers(200, "OK", &[]))?;
            conn.send(&packet::body_chunk(b"part"))?;
            Ok(Action::Close)
        }
        "silent" => Ok(Action::Hold),
        _ => {
            conn.send(&packet::answer(503, &[("X-Engine", "1")], b"engine page"))?;
            Ok(Action::Keep)
        }
    }
}

fn name(bits: Option<u32>) -> String {
    bits.map_or_else(|| "unset".to_owned(), |bits| format!("r{bits}"))
}

fn executions(module: Module) -> Vec<[usize; 6]> {
    let engine = Engine::scripted(play).start();
    let mut builder = Httpd::builder(module).size(ROWS.len() as u32, 1);
    for (bits, ..) in ROWS {
        for worker in [name(bits), format!("{}s", name(bits))] {
            let common = "retry_interval=1\nfail_on_status=503\nconnection_acquire_timeout=20000";
            let own = common.lines().map(|line| format!("worker.{worker}.{line}\n"));
            let mut own: String = own.collect();
            if let Some(bits) = bits {
                own += &format!("worker.{worker}.recovery_options={bits}\n");
            }
            if worker.ends_with('s') {
                own += &format!("worker.{worker}.reply_timeout=200\n");
            }
            builder = builder
                .worker(&worker, &engine.endpoint())
                .workers(&own)
                .mount(&format!("/{worker}/*"), &worker);
        }
    }
    let httpd = builder.start();
    let row = |bits| {
        COLUMNS.map(|(method, what, status)| {
            let worker = name(bits) + if what == "silent" { "s" } else { "" };
            let path = format!("/{worker}/{}/{method}/{what}", module_name(module));
            let body = if method == "POST" { "body" } else { "" };
            let answer = Client::connect(httpd.addr()).request(method, &path, &[], body.as_bytes());
            assert_eq!(answer.status(), status, "{module:?} {path}: {answer:?}");
            assert_eq!(answer.header("X-Engine"), None, "{module:?} {path}");
            engine.requests().iter().filter(|request| request.uri() == path).count()
        })
    };
    std::thread::scope(|scope| {
        let rows = ROWS.map(|(bits, ..)| scope.spawn(move || row(bits)));
        rows.map(|row| row.join().expect("a row")).to_vec()
    })
}

fn module_name(module: Module) -> &'static str {
    match module {
        Module::Ours => "ours",
        Module::C => "c",
    }
}

#[test]
fn recovery_options_say_how_often_an_engine_gets_a_request() {
    for (bits, row) in ROWS.iter().zip(executions(Module::C)) {
        assert_eq!(row, bits.1, "C mod_jk, {}", name(bits.0));
    }
    for (bits, row) in ROWS.iter().zip(executions(Module::Ours)) {
        assert_eq!(row, bits.2, "ours, {}", name(bits.0));
    }
}

#[test]
fn an_answer_counts_although_the_connection_ends_right_behind_it() {
    for end in [Action::Close, Action::Reset] {
        let engine = Engine::scripted(move |conn, request| {
            conn.send(&echo(request, 0))?;
            Ok(end)
        })
        .start();
        let httpd = Httpd::builder(Module::Ours)
            .worker("w", &engine.endpoint())
            .workers("worker.w.reply_timeout=20000\nworker.w.retries=1")
            .mount("/w/*", "w")
            .start();
        for number in 0..20 {
            let path = format!("/w/{number}");
            let answer = client::get(httpd.addr(), &path);
            // A reset may overtake the answer: then there is none, but never a wrong one.
            let is_lost = matches!(end, Action::Reset) && answer.status() == 502;
            assert!(is_lost || answer.text() == path, "{answer:?}");
        }
    }
}
