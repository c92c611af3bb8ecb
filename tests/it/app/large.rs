//! Transfers that fit no memory: right to the last byte, and the child does not grow.
//!
//! 64 MiB (16 MiB under worker and prefork), or 1 GiB with JK_LONG=1 (`misc/dev long`).

use std::time::Instant;

use super::{SplitMix, app};
use crate::support::client::{self, BodyEnd, Client, Upload};
use crate::support::httpd::{Httpd, Mpm};
use crate::support::process::{Sha256, status_kib};

const MIB: u64 = 1024 * 1024;

/// What the child may grow by, KiB.
const GROWTH: u64 = 8 * 1024;

fn amount(mpm: Mpm) -> u64 {
    match mpm {
        _ if std::env::var_os("JK_LONG").is_some() => 1024 * MIB,
        Mpm::Event => 64 * MIB,
        Mpm::Worker | Mpm::Prefork => 16 * MIB,
    }
}

fn download(client: &mut Client, length: u64, seed: u64, known: bool) {
    let target = format!("/ivy/download.jsp?bytes={length}&seed={seed}&length={known}");
    client.send((client::head("GET", &target, &[]) + "\r\n").as_bytes()).expect("sent");
    let got = client.read_streamed("GET").expect("an answer");
    let (mut hash, mut source, mut block) =
        (Sha256::new(), SplitMix::new(length, seed), Vec::new());
    while source.next_block(&mut block) {
        hash.update(&block);
    }
    let end = if known { BodyEnd::Length } else { BodyEnd::Chunked };
    assert_eq!((got.head.status, got.length, got.end), (200, length, end));
    assert_eq!(got.sha256, hash.finish());
}

fn upload(client: &mut Client, length: u64, how: Upload) {
    let sha256 = client.upload("POST", "/ivy/upload.jsp", &[], length, how).expect("sent");
    let answer = client.read_response("POST");
    assert_eq!(answer.text(), format!("size={length} sha256={sha256}\n"));
}

/// Runs `transfer` and tells by how many KiB the peak of the child's memory is above what it had.
#[track_caller]
fn grows_little(httpd: &Httpd, name: &str, transfer: impl FnOnce()) {
    let child = httpd.only_child();
    // 5 resets the peak, see proc(5); it is the kernel that watches, so nothing is missed.
    std::fs::write(format!("/proc/{child}/clear_refs"), "5").expect("our own child");
    let (before, anon) = (httpd.rss_kib(child), httpd.anon_kib(child));
    let started = Instant::now();
    transfer();
    let time = started.elapsed();
    let peak = status_kib(child, "VmHWM").expect("the child lives");
    let grown = peak.saturating_sub(before);
    let anon = httpd.anon_kib(child).saturating_sub(anon);
    eprintln!("{name}: {time:.1?}, peak +{grown} KiB, kept +{anon} KiB");
    assert!(grown < GROWTH, "{name}: the child grew from {before} to {peak} KiB");
    assert_eq!(httpd.only_child(), child, "{name}: another child serves now");
}

fn transfers(mpm: Mpm) {
    let length = amount(mpm);
    let httpd = app(mpm).size(if mpm == Mpm::Prefork { 1 } else { 8 }, 1).start();
    // What the first requests bring in once, code above all, is no growth.
    let mut client = Client::connect(httpd.addr());
    for known in [true, false] {
        download(&mut client, MIB, 1, known);
    }
    for how in [Upload::ContentLength, Upload::Chunked(50_000)] {
        upload(&mut client, MIB, how);
    }
    let run = |name: &str, transfer: &mut dyn FnMut()| {
        grows_little(&httpd, &format!("{mpm:?}, {} MiB {name}", length / MIB), transfer);
    };
    run("down", &mut || download(&mut client, length, 2, true));
    run("down, chunked", &mut || download(&mut client, length, 3, false));
    run("up", &mut || upload(&mut client, length, Upload::ContentLength));
    run("up, chunked", &mut || upload(&mut client, length, Upload::Chunked(64 * 1024)));
    assert!(!httpd.jk_log().contains("[error]"), "{}", httpd.jk_log());
}

#[test]
fn large_transfers_need_no_memory_under_event() {
    transfers(Mpm::Event);
}

#[test]
fn large_transfers_need_no_memory_under_worker() {
    transfers(Mpm::Worker);
}

#[test]
fn large_transfers_need_no_memory_under_prefork() {
    transfers(Mpm::Prefork);
}
