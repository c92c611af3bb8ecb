//! Workers of type status: what they show, beside what the C mod_jk shows.

mod access;
mod actions;
mod bench;
mod browser;
mod compare;
mod counters;
mod document;
mod formats;
mod hostile;
pub(crate) mod json;
mod killed;
mod lasting;
mod occupied;
mod work;

use crate::support::client::{self, Client, Response};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Httpd, Module};
use crate::support::packet;

/// A program or file that misc/dev has put beside what cargo builds.
fn tool(name: &str) -> std::path::PathBuf {
    let binary = std::env::current_exe().expect("the test binary has a path");
    binary.ancestors().nth(3).expect("the target directory").join("tools").join(name)
}

/// What a status worker answers to a query.
fn ask(httpd: &Httpd, query: &str) -> Response {
    client::get(httpd.addr(), &format!("/jk?{query}"))
}

/// An engine that answers with as many bytes as the path's last part says.
fn engine() -> Engine {
    Engine::scripted(|conn, request| {
        conn.read_body(request)?;
        let uri = request.uri.as_deref().unwrap_or_default();
        let length = uri.rsplit('/').next().and_then(|n| n.parse().ok()).unwrap_or(7);
        let headers = [("Content-Type", "text/plain")];
        conn.send(&packet::answer(200, &headers, &vec![b'x'; length]))?;
        Ok(Action::Keep)
    })
    .start()
}

/// One request on a connection of its own.
fn request(
    httpd: &Httpd,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> u16 {
    Client::connect(httpd.addr()).request(method, target, headers, body).status()
}

/// A balancer of two engines, one engine by itself, and traffic of every kind.
struct Scene {
    httpd: Httpd,
    engines: Vec<Engine>,
}

impl Scene {
    fn start(module: Module, workers: &str) -> Self {
        Self::of_threads(module, 1, workers)
    }

    /// A browser opens several connections at a time, some of which it does not use.
    fn of_threads(module: Module, threads: u32, workers: &str) -> Self {
        let engines: Vec<Engine> = (0..3).map(|_| engine()).collect();
        let [a, b, one] = [0, 1, 2].map(|at: usize| engines[at].port());
        let httpd = Httpd::builder(module)
            .size(threads, 1)
            .workers(&format!(
                "worker.list=lb,one,st\n\
                 worker.lb.type=lb\n\
                 worker.lb.balance_workers=a,b\n\
                 worker.lb.method=Traffic\n\
                 worker.lb.sticky_session_force=on\n\
                 worker.t.host=127.0.0.1\n\
                 worker.t.retries=1\n\
                 worker.a.reference=worker.t\n\
                 worker.a.port={a}\n\
                 worker.a.lbfactor=3\n\
                 worker.b.reference=worker.t\n\
                 worker.b.port={b}\n\
                 worker.b.route=r\n\
                 worker.b.redirect=a\n\
                 worker.b.domain=dd\n\
                 worker.b.distance=1\n\
                 worker.b.secret=s3cret\n\
                 worker.one.host=127.0.0.1\n\
                 worker.one.port={one}\n\
                 worker.one.ping_mode=A\n\
                 worker.one.connection_pool_timeout=100\n\
                 worker.one.recovery_options=3\n\
                 worker.one.socket_timeout=3\n\
                 worker.one.retries=1\n\
                 worker.st.type=status\n\
                 {workers}"
            ))
            .mount("/jk", "st")
            .mount("/lb/*", "lb;reply_timeout=20000;stateless=1;use_server_errors=600")
            .mount("/x/*|/y", "lb;fail_on_status=500,-503;active=a;disabled=b;sticky_ignore=1")
            .mount("/one/*", "one")
            .config("JkUnMount /lb/no/* lb\nJkUnMount /*.gif *")
            .vhost("vh", "JkMountCopy On\nJkMount /v/* one")
            .start();
        Self { httpd, engines }
    }

    fn traffic(&self) {
        let get = |target: &str| request(&self.httpd, "GET", target, &[], b"");
        for n in [10, 300, 5000, 70] {
            assert_eq!(get(&format!("/lb/{n}")), 200);
            assert_eq!(get(&format!("/one/{n}")), 200);
        }
        assert_eq!(request(&self.httpd, "POST", "/one/3", &[], &[b'b'; 20_000]), 200);
        let large = "v".repeat(7000);
        let large = [("X-A", large.as_str()), ("X-B", large.as_str())];
        assert_eq!(request(&self.httpd, "GET", "/one/1", &large, b""), 413);
        for at in [0, 2] {
            self.engines[at].refuse();
            self.engines[at].close_connections();
        }
        assert_eq!(get("/lb/2"), 200);
        assert_eq!(get("/one/2"), 503);
    }
}
