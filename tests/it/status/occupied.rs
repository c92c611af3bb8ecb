//! A change that meets another process which is changing the same worker.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;

use super::{ask, engine};
use crate::support::httpd::{Httpd, Module};

/// A word of the memory that httpd's processes share.
struct Word {
    memory: File,
    at: u64,
}

impl Word {
    /// Who is writing the edits of a worker: the word before its edits, which were written twice and
    /// have `known` in them. See src/shared/edits.rs.
    fn of_writer(httpd: &Httpd, known: &[u8]) -> Self {
        let process = format!("/proc/{}", httpd.pid());
        let maps = std::fs::read_to_string(format!("{process}/maps")).expect("mappings");
        let memory = OpenOptions::new().read(true).write(true).open(format!("{process}/mem"));
        let memory = memory.expect("memory of a process of ours");
        for line in maps.lines().filter(|line| line.contains(" rw-s ")) {
            let (begin, end) =
                line.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
            let [begin, end] =
                [begin, end].map(|at| u64::from_str_radix(at, 16).expect("an address"));
            let mut bytes = vec![0; usize::try_from(end - begin).expect("a length")];
            if memory.read_exact_at(&mut bytes, begin).is_err() {
                continue;
            }
            let words: Vec<u64> = bytes
                .chunks_exact(8)
                .map(|word| u64::from_ne_bytes(word.try_into().expect("8 bytes")))
                .collect();
            // Version, writer, length, checksum, edits.
            let is_board = |at: &usize| {
                words[*at] == 2
                    && words[at + 1] == 0
                    && usize::try_from(words[at + 2]).is_ok_and(|length| {
                        let edits = bytes.get((at + 4) * 8..).and_then(|rest| rest.get(..length));
                        edits.is_some_and(|edits| {
                            edits.windows(known.len()).any(|part| part == known)
                        })
                    })
            };
            if let Some(at) = (0..words.len().saturating_sub(4)).find(is_board) {
                return Self { memory, at: begin + 8 * (at as u64 + 1) };
            }
        }
        panic!("no edits in the shared memory:\n{maps}");
    }

    fn set(&self, value: u64) {
        self.memory.write_all_at(&value.to_ne_bytes(), self.at).expect("written");
    }
}

#[test]
fn a_change_beside_another_is_refused_for_now() {
    let engine = engine();
    let httpd = Httpd::builder(Module::Ours)
        .worker("w", &engine.endpoint())
        .workers("worker.list=lb,st\nworker.st.type=status\nworker.lb.type=lb\nworker.lb.balance_workers=w")
        .mount("/jk", "st")
        .start();
    let update = |route: &str| ask(&httpd, &format!("cmd=update&mime=prop&w=lb&sw=w&vwn={route}"));
    let route = || {
        let text = ask(&httpd, "cmd=show&mime=prop&w=lb&opt=2").text();
        text.lines().find_map(|line| line.strip_prefix("worker.w.route=").map(str::to_owned))
    };
    assert_eq!(update("first").status(), 200);
    assert_eq!(update("known-route").status(), 200);
    let writer = Word::of_writer(&httpd, b"known-route");
    // A process that lives, and makes its change for as long as we like.
    writer.set(std::process::id().into());
    let answer = update("other");
    assert_eq!(answer.status(), 503);
    let reason = "Update failed: another process is making changes to this worker; try again";
    assert!(
        answer.text().lines().any(|line| line == format!("worker.result.message={reason}")),
        "{}",
        answer.text()
    );
    assert_eq!(route().as_deref(), Some("known-route"), "nothing is changed");
    let told = format!("(st) status_refused: {reason}; user=- from=127.0.0.1 outcome=503");
    assert!(httpd.jk_log().contains(&told), "{}", httpd.jk_log());
    // Nobody has this number.
    writer.set(u64::from(u32::MAX >> 1));
    assert_eq!(update("other").status(), 200);
    assert_eq!(route().as_deref(), Some("other"));
    writer.set(0);
    assert_eq!(update("last").status(), 200);
    assert_eq!(route().as_deref(), Some("last"));
}
