//! What the application flushes reaches the client before the application goes on.

use super::{dumped, ok};
use crate::support::client::{self, BodyEnd, Client};
use crate::support::httpd::{Httpd, Module, Mpm};
use crate::support::tomcat::Tomcat;

/// Sends part after part; each but the first only when another request has opened its gate.
/// Nothing here waits for a time, so a part that is held back would be missed for ever.
const GATED: &str = r#"<%@ page contentType="text/plain" session="false"
  import="java.util.concurrent.*" trimDirectiveWhitespaces="true" %><%!
  static final ConcurrentHashMap<String, Semaphore> GATES = new ConcurrentHashMap<>();
%><%
  Semaphore gate = GATES.computeIfAbsent(request.getParameter("gate"), name -> new Semaphore(0));
  if (request.getParameter("open") != null) {
    gate.release();
    out.print("open");
    return;
  }
  int parts = Integer.parseInt(request.getParameter("parts"));
  if (request.getParameter("length") != null) {
    response.setContentLength(parts * 8);
  }
  if (request.getParameter("head") != null) {
    response.flushBuffer();
    gate.tryAcquire(60, TimeUnit.SECONDS);
  }
  for (int part = 0; part < parts; part++) {
    if (part > 0 && !gate.tryAcquire(60, TimeUnit.SECONDS)) {
      out.print("late");
    }
    out.print("part " + (part + 100));
    out.flush();
  }
%>"#;

/// Reads what comes in answer to one flush: as much as `text` is long.
#[track_caller]
fn expect(client: &mut Client, chunked: bool, text: &str) {
    let wire = if chunked { format!("{:x}\r\n{text}\r\n", text.len()) } else { text.to_owned() };
    let mut seen = Vec::new();
    while seen.len() < wire.len() {
        let some = client.read_some(wire.len() - seen.len()).expect("the part, in time");
        assert!(!some.is_empty(), "the connection ended after {seen:?}");
        seen.extend(some);
    }
    assert_eq!(String::from_utf8_lossy(&seen), wire);
}

#[test]
fn each_flushed_part_arrives_before_the_next_is_released() {
    let tomcat = Tomcat::builder().file("gate/index.jsp", GATED).start();
    for mpm in Mpm::ALL {
        let httpd = Httpd::builder(Module::Ours)
            .mpm(mpm)
            .worker("w", &tomcat.endpoint())
            .mount("/gate/*", "w")
            .start();
        for (name, more, chunked) in
            [("chunks", "", true), ("length", "&length=1", false), ("head", "&head=1", true)]
        {
            let gate = format!("/gate/?gate={mpm:?}-{name}");
            let open =
                || assert_eq!(client::get(httpd.addr(), &format!("{gate}&open")).text(), "open");
            let mut client = Client::connect(httpd.addr());
            let request = client::head("GET", &format!("{gate}&parts=4{more}"), &[]) + "\r\n";
            client.send(request.as_bytes()).expect("sent");

            let head = client.read_head().expect("the head, before the last part is written");
            assert_eq!(head.status, 200, "{mpm:?} {name}");
            assert_eq!(head.header("Content-Length").is_some(), !chunked, "{mpm:?} {name}");
            if name == "head" {
                open();
            }
            for part in 0..4 {
                if part > 0 {
                    open();
                }
                expect(&mut client, chunked, &format!("part {}", part + 100));
            }
            if chunked {
                let mut rest = 0;
                let end = client.read_body("GET", &head, |data| rest += data.len());
                assert_eq!((end, rest), (Ok(BodyEnd::Chunked), 0), "{mpm:?} {name}");
            }
            assert_eq!(client.get(&format!("{gate}&open")).text(), "open", "the connection lives");
        }
    }
}

#[test]
fn a_slow_answer_of_the_sample_application_arrives_whole() {
    let expected: String = (1..=20).map(|n| format!("part {n} of 20\n")).collect();
    for mpm in Mpm::ALL {
        let httpd = super::app(mpm).start();
        let mut client = Client::connect(httpd.addr());
        for flush in [true, false] {
            let target = format!("/ivy/slow.jsp?parts=20&ms=1&flush={flush}");
            assert_eq!(ok(&mut client, &target).text(), expected, "{mpm:?} {flush}");
        }
        let dump = ok(&mut client, "/ivy/dump.jsp?after=slow");
        assert_eq!(dumped(&dump.text(), "queryString"), "after=slow");
    }
}
