//! Engines that several rows share.

use std::cell::OnceCell;

use tempfile::TempDir;

use super::engine::{self, BODIES, Protocol};
use super::peer::Places;
use crate::support::tomcat::Tomcat;
use crate::support::{Endpoint, ReservedPort, temp_dir};

const SMALL: &str = "<%@ page session=\"false\" contentType=\"text/plain\" %>small\n";

/// Counts a body and does nothing else with it: what costs is the way here.
const UPLOAD: &str = r#"<%@ page session="false" contentType="text/plain"
  import="java.io.InputStream" %><%
  InputStream in = request.getInputStream();
  byte[] block = new byte[65536];
  long length = 0;
  for (int n; (n = in.read(block)) > 0; ) length += n;
%><%= length %>
"#;

/// Engines, started when the first row wants them.
#[derive(Default)]
pub(super) struct Staged {
    unix: OnceCell<(TempDir, Places)>,
    tomcats: [OnceCell<(Tomcat, ReservedPort)>; 2],
}

impl Staged {
    /// The cheap engine on Unix sockets.
    pub(super) fn unix(&self) -> &Places {
        let (_, places) = self.unix.get_or_init(|| {
            let dir = temp_dir("jk-bench-");
            let at = |protocol| engine::unix(protocol, dir.path());
            let places = Places { ajp: at(Protocol::Ajp), http: at(Protocol::Http) };
            (dir, places)
        });
        places
    }

    /// A Tomcat with this `packetSize`, 8192 or something else.
    pub(super) fn tomcat(&self, packet: u32) -> Places {
        let (tomcat, http) = self.tomcats[usize::from(packet != 8192)].get_or_init(|| {
            let http = ReservedPort::v4();
            let body = "x".repeat(BODIES[2].1);
            let tomcat = Tomcat::builder()
                .packet_size(packet)
                .max_threads(100)
                .http(http.addr())
                .file("bench/s.jsp", SMALL)
                .file("bench/upload.jsp", UPLOAD)
                .file("bench/k100", &body)
                .start();
            (tomcat, http)
        });
        Places { ajp: tomcat.endpoint(), http: Endpoint::Tcp(http.addr()) }
    }
}
