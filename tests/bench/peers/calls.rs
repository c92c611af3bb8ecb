//! System calls on the sockets between the web server and the engine, by strace, in a run of their own.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::load::{self, Load};
use crate::support::client::{Client, head};
use crate::support::httpd::Httpd;
use crate::support::process::{self, Target};
use crate::support::{DEADLINE, temp_dir};

/// System calls per request on sockets that strace gives a name with one of `marks`.
pub(super) fn per_request(
    httpd: &Httpd,
    marks: &[String],
    load: &Load,
    path: &str,
) -> Result<f64, String> {
    let count: u32 = if matches!(load, Load::Upload { .. }) { 1 } else { 50 };
    let mut client = Client::connect(httpd.addr());
    let mut ask = |count: u32| (0..count).try_for_each(|_| request(&mut client, load, path));
    ask(3)?;
    let dir = temp_dir("jk-strace-");
    let log = dir.path().join("calls");
    let mut command = Command::new("strace");
    command
        // %desc and %network: everything that takes a descriptor. -yy names the ends of a socket.
        .args(["-f", "-yy", "-s0", "-e", "trace=%desc,%network", "-o"])
        .arg(&log)
        .args(["-p", &httpd.only_child().to_string()])
        .stderr(Stdio::piped());
    let mut strace = process::spawn(command, libc::SIGTERM).map_err(|e| format!("strace: {e}"))?;
    let mut said = BufReader::new(strace.stderr.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).map_err(|error| error.to_string())?;
    if !line.contains("attached") {
        return Err(format!("strace said: {line}"));
    }
    let asked = ask(count);
    process::signal(Target::Process(strace.id()), libc::SIGINT);
    process::wait(&mut strace, DEADLINE).ok_or("strace does not end")?;
    asked?;
    let text = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
    Ok(counted(&text, marks) as f64 / f64::from(count))
}

/// The calls on a socket with one of the marks. Of a call that was interrupted by another
/// thread's, strace writes two lines.
fn counted(log: &str, marks: &[String]) -> usize {
    log.lines()
        .filter(|line| !line.contains(" resumed>"))
        .filter(|line| marks.iter().any(|mark| line.contains(mark.as_str())))
        .count()
}

/// One request of the kind that `load` makes.
pub(super) fn request(client: &mut Client, load: &Load, path: &str) -> Result<(), String> {
    let text = match load {
        Load::Upload { bytes } => {
            let response = client.request("POST", path, &[], &vec![b'u'; *bytes]);
            return (response.status() == 200).then_some(()).ok_or("an upload failed".into());
        }
        Load::Get { headers, .. } => {
            let headers = load::headers(*headers);
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            head("GET", path, &headers) + "\r\n"
        }
        Load::Http2 { .. } => return Err("calls are counted over HTTP/1.1 only".into()),
    };
    client.send(text.as_bytes()).map_err(|error| error.to_string())?;
    match client.read_response("GET").status() {
        200 => Ok(()),
        status => Err(format!("a request was answered with {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_in_two_lines_counts_once_and_other_sockets_not_at_all() {
        let log = "\
7 read(9<TCP:[127.0.0.1:5->127.0.0.1:8009]>, \"\"..., 8) = 8
8 poll([{fd=9<TCP:[127.0.0.1:5->127.0.0.1:8009]>, events=POLLIN}], 1, 9 <unfinished ...>
8 <... poll resumed>[{fd=9<TCP:[127.0.0.1:5->127.0.0.1:8009]>}]) = 1
7 writev(4<TCP:[127.0.0.1:80->127.0.0.1:5]>, [], 1) = 3
";
        assert_eq!(counted(log, &["->127.0.0.1:8009]".into()]), 2);
    }
}
