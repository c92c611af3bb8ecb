//! What a large page costs, counted and never timed, and that nobody waits for it.

use std::sync::LazyLock;

use super::engine;
use crate::support::callgrind::{self, HANDLER};
use crate::support::client::{self, Client};
use crate::support::engine::Engine;
use crate::support::httpd::{Builder, Httpd, Module};

const MEMBERS: usize = 10;
const FORMATS: [&str; 6] = ["html", "xml", "prop", "txt", "json", "prom"];

/// An httpd with so many balancers, each with a rule of its own.
pub(super) fn balancers(module: Module, engine: &Engine, balancers: usize) -> Builder {
    let mut workers = String::from("worker.st.type=status\nworker.list=st\n");
    for balancer in 0..balancers {
        let names: Vec<String> = (0..MEMBERS).map(|at| format!("m{balancer}x{at}")).collect();
        workers += &format!(
            "worker.list=lb{balancer}\nworker.lb{balancer}.type=lb\n\
             worker.lb{balancer}.balance_workers={}\n",
            names.join(",")
        );
        for name in names {
            workers +=
                &format!("worker.{name}.host=127.0.0.1\nworker.{name}.port={}\n", engine.port());
        }
    }
    let mounts: Vec<String> = (0..balancers).map(|at| format!("JkMount /b{at}/* lb{at}")).collect();
    Httpd::builder(module).workers(&workers).mount("/jk", "st").config(&mounts.join("\n"))
}

/// Instructions of a page in each of `formats`.
fn instructions(module: Module, number: usize, formats: &[&str]) -> Vec<u64> {
    let engine = engine();
    let run = callgrind::Run::new();
    let httpd = run.under_each(balancers(module, &engine, number)).size(2, 1).start();
    // What is done once is not of the first page.
    let before =
        ["/jk?mime=txt&cmd=version".to_owned(), format!("/jk?mime=txt&w=lb{}", number - 1)];
    let pages = formats.iter().map(|format| format!("/jk?mime={format}"));
    for target in before.iter().cloned().chain(pages) {
        assert_eq!(client::get(httpd.addr(), &target).status(), 200, "{target}");
    }
    let profiles = run.end_each(httpd, before.len() + formats.len());
    let counts = profiles.iter().map(|profile| profile.inclusive(&[HANDLER], &["mod_jk.so"]));
    counts.skip(before.len()).collect()
}

/// Balancers of a small page and of a large one.
const FEW: usize = 8;
const MANY: usize = 8 * FEW;

static OF_MANY: LazyLock<Vec<u64>> = LazyLock::new(|| instructions(Module::Ours, MANY, &FORMATS));

/// Eight times the workers cost eight times as much. Where each member was looked for among all, they
/// would cost more.
#[test]
fn a_page_costs_in_proportion_to_what_it_shows() {
    let few = instructions(Module::Ours, FEW, &FORMATS);
    for ((format, few), many) in FORMATS.iter().zip(few).zip(&*OF_MANY) {
        assert!(few > 100_000, "{few} instructions for {format}");
        assert!(many * 10 < few * 84, "{format}: {many} instructions, {few} for an eighth of it");
    }
}

/// What C mod_jk does not have is compared with its XML. A module that is not optimized says nothing
/// of one that is.
#[test]
#[ignore = "needs an optimized module: misc/dev test runs it"]
fn a_page_costs_no_more_than_that_of_the_c_module() {
    assert!(std::env::var_os("JK_MODULE").is_some(), "JK_MODULE names no optimized module");
    let theirs = instructions(Module::C, MANY, &FORMATS[..4]);
    for (at, (format, ours)) in FORMATS.iter().zip(&*OF_MANY).enumerate() {
        let theirs = theirs.get(at).unwrap_or(&theirs[1]);
        println!("{format}: ratio {:.2}", *ours as f64 / *theirs as f64);
        assert!(ours <= theirs, "{format}: {ours} instructions, {theirs} of C mod_jk");
    }
}

/// A client that does not read its page keeps nobody from anything: no lock is held while it is sent.
#[test]
fn nobody_waits_for_a_page_that_is_not_read() {
    let engine = engine();
    let httpd = balancers(Module::Ours, &engine, 100).start();
    let mut slow = Client::connect(httpd.addr());
    slow.send(b"GET /jk HTTP/1.0\r\n\r\n").expect("sent");
    slow.wait_for_bytes().expect("it is being sent");
    for balancer in [0, 50, 99] {
        assert_eq!(client::get(httpd.addr(), &format!("/b{balancer}/x/10")).status(), 200);
    }
    let update = "/jk?cmd=update&mime=txt&w=lb99&sw=m99x9&vwa=D";
    assert_eq!(client::get(httpd.addr(), update).status(), 200);
    let page = client::get(httpd.addr(), "/jk?mime=prop&cmd=show&w=lb99").text();
    assert!(page.contains("worker.m99x9.activation=DIS"), "{page}");
    assert!(slow.read_response("GET").text().ends_with("</html>\n"));
}
