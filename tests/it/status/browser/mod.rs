//! The page in a real browser. `misc/dev test` runs these tests last, one at a time: several browsers
//! on a small machine wait for each other until commands time out.

mod accessibility;
mod driver;
mod looks;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use driver::Browser;

use super::{Scene, ask};
use crate::status::json::Value;
use crate::support::httpd::{Httpd, Module};
use crate::support::tomcat::Tomcat;

/// More than any of the engines has connections.
const MORE: &str = "worker.lb.recover_time=1\nworker.maintain=1";

/// The row of a member on the page.
fn row(member: &str) -> String {
    format!(
        "Array.from(document.querySelectorAll('table.cards tbody tr')).find(\
         row => row.querySelector('th').textContent === '{member}')"
    )
}

/// Whether the row of a member says a word.
fn says(member: &str, word: &str) -> String {
    format!("const row = {}; return !!row && row.textContent.includes('{word}')", row(member))
}

#[test]
#[ignore = "needs Chromium: misc/dev browser"]
fn states_are_read_while_an_engine_is_killed_and_started_again() {
    let mut tomcat = Tomcat::builder().file("lb/5", "hello").start();
    let other = super::engine();
    let httpd = Httpd::builder(Module::Ours)
        .size(16, 1)
        .workers(&format!(
            "worker.list=lb,st\nworker.lb.type=lb\nworker.lb.balance_workers=a,b\n\
             worker.lb.recover_time=3600\nworker.st.type=status\n{}{}",
            tomcat.endpoint().worker("a"),
            other.worker("b")
        ))
        .mount("/jk", "st")
        .mount("/lb/*", "lb")
        .start();
    let browser = Browser::start();
    let get = || super::request(&httpd, "GET", "/lb/5", &[], b"");
    browser.open(&httpd.http("/jk?re=1"));
    assert!(browser.text().contains("All is well"));
    for _ in 0..2 {
        assert_eq!(get(), 200);
    }
    // The page reads by itself what follows. Nobody but the person has the engine tried again.
    browser.wait("a is known to work", &says("a", "OK"));
    tomcat.kill();
    for _ in 0..4 {
        assert_eq!(get(), 200, "the other one serves");
    }
    browser.wait("a is in error", &says("a", "ERR"));
    browser.wait("in words", "return document.body.innerText.includes('a of lb: in error since')");
    browser.wait(
        "with the cause",
        "return document.body.textContent.includes('it cannot be reached, or it broke off')",
    );
    tomcat.launch();
    browser.wait("a can be tried again", &says("a", "Try"));
    browser.run("document.getElementById('pause').click()");
    browser.run(&format!("{}.querySelector('button[aria-label=\"Try a\"]').click()", row("a")));
    crate::support::wait_until("a serves again", || {
        get();
        ask(&httpd, "mime=prop&cmd=show&w=lb").text().contains("worker.a.state=OK\n")
    });
    browser.open(&httpd.http("/jk"));
    browser.wait("a is sound", &says("a", "OK"));
    assert!(browser.text().contains("All is well"));
}

#[test]
#[ignore = "needs Chromium: misc/dev browser"]
fn the_page_refreshes_and_keeps_its_place() {
    let scene = Scene::of_threads(Module::Ours, 16, "");
    scene.traffic();
    let browser = Browser::start();
    browser.resize(900, 400);
    browser.open(&scene.httpd.http("/jk?re=1"));
    browser.run(
        "window.here = 1; document.querySelectorAll('details').forEach(d => d.open = true); \
         window.scrollTo(0, 500); document.querySelector('.scroll').scrollLeft = 60; \
         document.querySelector('.scroll').focus({preventScroll: true}); \
         document.getElementById('live').old = 1",
    );
    let place = "const s = document.querySelector('.scroll'); return [window.here, window.scrollY, \
                 s.scrollLeft, document.activeElement.id, \
                 document.querySelectorAll('details:not([open])').length].join()";
    let before = browser.run(place);
    browser.wait("the content is new", "return !document.getElementById('live').old");
    assert_eq!(browser.run(place), before);
    browser.click("#pause");
    assert_eq!(
        browser.run("return document.getElementById('pause').getAttribute('aria-pressed')").text(),
        Some("true")
    );
    let script = "const done = arguments[0]; document.getElementById('live').old = 1; \
                  setTimeout(() => done(document.getElementById('live').old === 1), 2500)";
    assert_eq!(browser.run_async(script), Value::Bool(true), "it has stopped");
    // A server that is gone is told of, and the page stays.
    browser.click("#pause");
    drop(scene);
    browser.wait(
        "the page says that it is old",
        "return document.getElementById('note').textContent.includes('did not answer')",
    );
}

#[test]
#[ignore = "needs Chromium: misc/dev browser"]
fn a_person_drains_a_node_and_edits_a_factor() {
    let scene = Scene::of_threads(Module::Ours, 16, "");
    let browser = Browser::start();
    browser.open(&scene.httpd.http("/jk"));
    browser.click("a[aria-label='Edit b']");
    browser.fill("input[name=vwf]", "7");
    browser.run("document.querySelector('select[name=vwa]').value = 'Disabled'");
    browser.run("document.querySelector('main form button').focus()");
    browser.press('\u{e006}');
    browser.wait("it is done", "return document.body.innerText.includes('lbfactor')");
    let all = ask(&scene.httpd, "mime=prop&cmd=list").text();
    for line in ["worker.b.lbfactor=7", "worker.b.activation=DIS"] {
        assert!(all.lines().any(|known| known == line), "{line} in {all}");
    }
    // It leads back by itself to where it came from.
    browser.wait("back", &says("b", "DIS"));
    browser.click("a[aria-label='Edit b']");
    browser.fill("input[name=vwf]", "lots");
    browser.fill("input[name=vwd]", "-9");
    browser.click("main form button");
    browser.wait("it is refused", "return document.body.innerText.includes('ERROR')");
    let text = browser.text();
    assert!(text.contains("lots") && text.contains("-9"), "every reason: {text}");
    assert!(ask(&scene.httpd, "mime=prop&cmd=list").text().contains("worker.b.lbfactor=7\n"));
}

/// A server of another origin with one page.
fn stranger(page: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let page = page.clone();
            // Browsers open connections that they do not use.
            std::thread::spawn(move || {
                let _ = client.read(&mut [0; 4096]);
                let _ = write!(
                    client,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{page}",
                    page.len()
                );
            });
        }
    });
    addr
}

#[test]
#[ignore = "needs Chromium: misc/dev browser"]
fn another_site_changes_nothing() {
    let scene = Scene::of_threads(Module::Ours, 16, "");
    let page = scene.httpd.http("/jk");
    let update = "?cmd=update&w=lb&sw=b&vwf=55";
    let addr = stranger(format!(
        "<title>x</title><form id=post method=post action=\"{page}\"><input name=cmd value=update>\
         <input name=w value=lb><input name=sw value=b><input name=vwf value=55></form>\
         <form id=get method=get action=\"{page}\"><input name=cmd value=update>\
         <input name=w value=lb><input name=sw value=b><input name=vwf value=55></form>\
         <a id=link href=\"{page}{update}\">x</a><img src=\"{page}{update}\">"
    ));
    let browser = Browser::start();
    // Another port, and another name of the same host.
    for host in ["127.0.0.1", "localhost"] {
        for act in ["post.submit()", "get.submit()", "link.click()"] {
            browser.open(&format!("http://{host}:{}/", addr.port()));
            browser.run(&format!("document.getElementById('{}", act.replacen('.', "').", 1)));
            browser.wait("it is answered", "return document.title !== 'x'");
            let text = browser.text();
            assert!(text.contains("ERROR"), "{host} {act}: {text}");
        }
    }
    let all = ask(&scene.httpd, "mime=prop&cmd=list").text();
    assert!(all.contains("worker.b.lbfactor=1\n"), "{all}");
    assert!(scene.httpd.jk_log().contains("status_refused: "));
}

/// A proxy before httpd that has another name for it, as one that ends TLS may have.
fn proxy(httpd: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            std::thread::spawn(move || forward(client, httpd));
        }
    });
    addr
}

/// Forwards one request and its answer; nothing where the browser does not use its connection.
fn forward(mut client: TcpStream, httpd: SocketAddr) -> Option<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).ok()?;
    let lines = head.trim_end().lines().map(|line| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            "host" => "Host: inside.example",
            "connection" => "Connection: close",
            _ => line,
        }
    });
    let head = lines.collect::<Vec<_>>().join("\r\n") + "\r\n\r\n";
    let mut server = TcpStream::connect(httpd).ok()?;
    server.write_all(head.as_bytes()).ok()?;
    let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    Some(())
}

#[test]
#[ignore = "needs Chromium: misc/dev browser"]
fn a_proxy_that_changes_the_name_does_not_keep_a_person_out() {
    let scene = Scene::of_threads(Module::Ours, 16, "");
    let page = format!("http://{}/jk", proxy(scene.httpd.addr()));
    let browser = Browser::start();
    browser.open(&format!("{page}?cmd=edit&w=lb&sw=b"));
    browser.fill("input[name=vwf]", "7");
    browser.click("main form button");
    browser.wait("it is done", "return document.body.innerText.includes('lbfactor')");
    let factor = || {
        let all = ask(&scene.httpd, "mime=prop&cmd=list").text();
        all.lines().find_map(|line| line.strip_prefix("worker.b.lbfactor=").map(str::to_owned))
    };
    assert_eq!(factor().as_deref(), Some("7"));
    // Another site is another site all the same.
    let addr = stranger(format!(
        "<title>x</title><a id=link href=\"{page}?cmd=update&w=lb&sw=b&vwf=55\">x</a>"
    ));
    browser.open(&format!("http://127.0.0.1:{}/", addr.port()));
    browser.run("document.getElementById('link').click()");
    browser.wait("it is answered", "return document.title !== 'x'");
    assert!(browser.text().contains("ERROR"));
    assert_eq!(factor().as_deref(), Some("7"));
}
