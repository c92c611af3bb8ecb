//! What becomes of a session whose engine is killed: in an application whose sessions a and b
//! replicate, and in one whose sessions are on one engine.

use super::load::is_long;
use super::trio::{NAMES, route, trio};
use crate::support::client::{Client, Response};
use crate::support::httpd::{Httpd, Module};
use crate::support::{ReservedPort, tomcat, wait_until};

/// Counts the requests of a session and names the engine and what it was told.
const PAGE: &str = r#"<%@ page contentType="text/plain" %><%
Integer before = (Integer) session.getAttribute("count");
session.setAttribute("count", before == null ? 1 : before + 1);
if (request.getParameter("user") != null) session.setAttribute("user", request.getParameter("user"));
%>user=<%= session.getAttribute("user") %> count=<%= session.getAttribute("count") %> node=NODE"#;

const WEB_XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0"><distributable/></web-app>
"#;

/// The `<Cluster>` of the member with this number: replication is done before a request is answered,
/// and who belongs to it is written down, so that nothing is sent to anybody else.
fn element(number: usize, ports: &[ReservedPort; 2]) -> String {
    let groups = "org.apache.catalina.tribes.group";
    let id = |number: usize| format!("{{0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,{}}}", number + 1);
    let others: String = ports
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != number)
        .map(|(other, port)| {
            format!(
                "<Member className=\"org.apache.catalina.tribes.membership.StaticMember\" \
                 host=\"127.0.0.1\" port=\"{}\" uniqueId=\"{}\"/>\n",
                port.port(),
                id(other)
            )
        })
        .collect();
    format!(
        "<Cluster className=\"org.apache.catalina.ha.tcp.SimpleTcpCluster\" \
         channelSendOptions=\"6\" channelStartOptions=\"3\">\n\
         <Manager className=\"org.apache.catalina.ha.session.DeltaManager\"/>\n\
         <Channel className=\"{groups}.GroupChannel\">\n\
         <Receiver className=\"org.apache.catalina.tribes.transport.nio.NioReceiver\" \
         address=\"127.0.0.1\" port=\"{}\" autoBind=\"0\"/>\n\
         <Sender className=\"org.apache.catalina.tribes.transport.ReplicationTransmitter\">\
         <Transport className=\
         \"org.apache.catalina.tribes.transport.nio.PooledParallelSender\"/></Sender>\n\
         <Interceptor className=\"{groups}.interceptors.TcpPingInterceptor\" interval=\"500\"/>\n\
         <Interceptor className=\"{groups}.interceptors.TcpFailureDetector\"/>\n\
         <Interceptor className=\"{groups}.interceptors.MessageDispatchInterceptor\"/>\n\
         <Interceptor className=\"{groups}.interceptors.StaticMembershipInterceptor\">\n\
         <LocalMember className=\"org.apache.catalina.tribes.membership.StaticMember\" \
         uniqueId=\"{}\"/>\n{others}</Interceptor>\n</Channel>\n\
         <Valve className=\"org.apache.catalina.ha.tcp.ReplicationValve\"/>\n\
         <Valve className=\"org.apache.catalina.ha.session.JvmRouteBinderValve\"/>\n\
         <ClusterListener className=\"org.apache.catalina.ha.session.ClusterSessionListener\"/>\n\
         </Cluster>",
        ports[number].port(),
        id(number)
    )
}

/// Makes a Tomcat one of the two of a cluster.
pub(super) fn member(
    tomcat: tomcat::Builder,
    number: usize,
    ports: &[ReservedPort; 2],
) -> tomcat::Builder {
    tomcat
        .cluster(&element(number, ports))
        .file("shop/WEB-INF/web.xml", WEB_XML)
        .file("shop/index.jsp", &PAGE.replace("NODE", &route(NAMES[number])))
}

/// A browser that knows one cookie.
#[derive(Default)]
struct Browser {
    cookie: String,
}

impl Browser {
    fn get(&mut self, httpd: &Httpd, target: &str) -> Response {
        let headers = [("Cookie", &*self.cookie)];
        let response = Client::connect(httpd.addr()).request("GET", target, &headers, b"");
        let set = response.head.header_values("Set-Cookie");
        assert!(set.len() <= 1, "{set:?}");
        if let Some(cookie) = set.first() {
            self.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        }
        response
    }

    /// Id and route of its session.
    fn session(&self) -> (&str, &str) {
        let id = self.cookie.strip_prefix("JSESSIONID=").expect("a session");
        id.split_once('.').expect("a route")
    }
}

#[test]
fn a_session_goes_on_at_another_node() {
    let mut trio = trio();
    let routes = [route(NAMES[0]), route(NAMES[1])];
    let mut workers = String::from(
        "worker.list=lb\nworker.maintain=1\nworker.lb.type=lb\nworker.lb.recover_time=1\n\
         worker.lb.balance_workers=a,b\n",
    );
    for ((name, route), tomcat) in NAMES.iter().zip(&routes).zip(&trio.tomcats) {
        workers += &tomcat.endpoint().worker(name);
        workers += &format!("worker.{name}.route={route}\n");
    }
    let httpd = Httpd::builder(Module::Ours)
        .modules(&["log_config"])
        .config("CustomLog logs/route.log %{JK_WORKER_ROUTE}n")
        .workers(&workers)
        .mount("/*", "lb")
        .start();
    for route in &routes {
        let target = format!("/shop/index.jsp;jsessionid=warm.{route}");
        assert_eq!(Client::connect(httpd.addr()).get(&target).status(), 200);
    }
    let mut browser = Browser::default();
    let first = browser.get(&httpd, "/shop/index.jsp?user=ivy");
    let (id, home) = browser.session();
    let (id, home) = (id.to_owned(), home.to_owned());
    assert_eq!(first.text(), format!("user=ivy count=1 node={home}"));
    assert_eq!(
        browser.get(&httpd, "/shop/index.jsp").text(),
        format!("user=ivy count=2 node={home}")
    );

    // Another application of that node, whose sessions are nowhere else.
    let mut other_user = Browser { cookie: format!("JSESSIONID=0.{home}") };
    for visit in 1..=2 {
        let answer = other_user.get(&httpd, "/ivy/session.jsp");
        assert!(answer.text().ends_with(&format!("count={visit}\n")), "{}", answer.text());
    }
    assert_eq!(other_user.session().1, home);
    let lost = other_user.session().0.to_owned();

    let at = routes.iter().position(|route| *route == home).expect("a known route");
    let other = &*routes[1 - at];
    trio.tomcats[at].kill();
    let moved = browser.get(&httpd, "/shop/index.jsp");
    assert_eq!(moved.text(), format!("user=ivy count=3 node={other}"), "{}", httpd.jk_log());
    assert_eq!(browser.session(), (&*id, other), "the engine renames the session");
    let notes = || std::fs::read_to_string(httpd.path("logs/route.log")).unwrap_or_default();
    wait_until("it is logged", || notes().matches('\n').count() == 7);
    assert_eq!(notes().lines().last(), Some(other));
    let next = browser.get(&httpd, "/shop/index.jsp");
    assert_eq!(next.text(), format!("user=ivy count=4 node={other}"));
    assert!(next.header("Set-Cookie").is_none(), "{:?}", next.head);

    // Its user gets a new session and no error page.
    let answer = other_user.get(&httpd, "/ivy/session.jsp");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(answer.text().ends_with("new=true count=1\n"), "{}", answer.text());
    let (new, at_other) = other_user.session();
    assert!(new != lost && at_other == other, "{}", other_user.cookie);
    let answer = other_user.get(&httpd, "/ivy/session.jsp");
    assert!(answer.text().ends_with("new=false count=2\n"), "{}", answer.text());

    if !is_long() {
        return;
    }
    // The node comes back and learns of the session, which stays where it is.
    trio.tomcats[at].launch();
    wait_until("the node serves again", || {
        let target = format!("/shop/index.jsp;jsessionid=new.{home}");
        Client::connect(httpd.addr()).get(&target).text().ends_with(&home)
    });
    let stays = browser.get(&httpd, "/shop/index.jsp");
    assert_eq!(stays.text(), format!("user=ivy count=5 node={other}"));
    trio.tomcats[1 - at].kill();
    let back = browser.get(&httpd, "/shop/index.jsp");
    assert_eq!(back.text(), format!("user=ivy count=6 node={home}"));
    assert_eq!(browser.session(), (&*id, &*home));
}
