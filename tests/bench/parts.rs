//! `cargo bench --bench parts`: codec, mapping, choice of a member, properties.

#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "a program")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mod_jk::ajp::forward::ForwardRequest;
use mod_jk::ajp::message::{Message, encode_body_chunk, encode_end, encode_head};
use mod_jk::ajp::{MAX_PACKET_SIZE, MIN_PACKET_SIZE, frame};
use mod_jk::config::{Defaults, Place, Problems, Properties, WorkerConfig, Workers, validate};
use mod_jk::mapping::{Rule, Table, normalize};
use mod_jk::net::NameCache;
use mod_jk::shared::{Heap, Layout, Positions};
use mod_jk::worker::Balancer;

type Header = (Vec<u8>, Vec<u8>);

fn headers(count: usize) -> Vec<Header> {
    let usual = [("Host", "shop.example"), ("Accept", "text/html"), ("Cookie", "a=1; b=2")];
    let usual = usual.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let more = (0..).map(|index| (format!("X-Bench-{index}"), format!("value-{index}")));
    usual.chain(more).take(count).map(|(name, value)| (name.into(), value.into())).collect()
}

fn pairs(headers: &[Header]) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
    headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
}

fn codec(c: &mut Criterion) {
    let request = ForwardRequest {
        method: b"GET",
        protocol: b"HTTP/1.1",
        uri: b"/shop/list",
        server_name: b"shop.example",
        server_port: 443,
        ..ForwardRequest::default()
    };
    let mut group = c.benchmark_group("codec");
    for count in [10, 200] {
        let headers = headers(count);
        let mut packet = Vec::with_capacity(MAX_PACKET_SIZE);
        group.bench_function(BenchmarkId::new("encode a request, headers", count), |b| {
            b.iter(|| {
                packet.clear();
                request.encode(pairs(&headers), &mut packet, MAX_PACKET_SIZE).expect("it fits");
                black_box(&packet);
            });
        });
        let mut answer = Vec::new();
        encode_head(200, Some(b"OK"), pairs(&headers), &mut answer, MAX_PACKET_SIZE)
            .expect("it fits");
        encode_body_chunk(&[b'x'; 128], &mut answer, MIN_PACKET_SIZE).expect("it fits");
        encode_end(true, &mut answer).expect("it fits");
        group.throughput(Throughput::Elements(3));
        group.bench_function(BenchmarkId::new("decode an answer, headers", count), |b| {
            b.iter(|| decode(black_box(&answer)));
        });
    }
    group.finish();
}

/// Decodes all packets and looks at every header.
fn decode(mut bytes: &[u8]) {
    while let Ok(frame::Frame::Packet { payload, consumed }) =
        frame::split(bytes, frame::TO_SERVER, MAX_PACKET_SIZE)
    {
        match Message::decode(payload).expect("a message") {
            Message::Head(head) => head.headers().for_each(|header| {
                black_box(header);
            }),
            message => {
                black_box(message);
            }
        }
        bytes = bytes.get(consumed..).expect("what is left");
    }
    assert!(bytes.is_empty(), "packets are left over");
}

fn mapping(c: &mut Criterion) {
    let mut group = c.benchmark_group("mapping");
    group.bench_function("normalize", |b| {
        b.iter(|| normalize(black_box(b"/app/list/../page;a=b")).expect("a path").len());
    });
    for count in [10, 1_000, 10_000] {
        let place = Place::new("bench", 1);
        let mut problems = Problems::new();
        let rules: Vec<Rule> = (0..count)
            .flat_map(|rule| {
                let path = format!("/app{rule}/*");
                Rule::mount(path.as_bytes(), b"w", &place, &mut problems)
            })
            .collect();
        let table = Table::new(rules, |_| Some(0));
        let path = format!("/app{}/list", count - 1);
        group.bench_function(BenchmarkId::new("look up, rules", count), |b| {
            b.iter(|| table.lookup(black_box(path.as_bytes())));
        });
    }
    group.finish();
}

/// A file with one balancer of so many members.
fn workers_file(members: usize) -> String {
    let names: Vec<String> = (0..members).map(|member| format!("m{member}")).collect();
    let mut text = format!(
        "worker.list=lb\nworker.lb.type=lb\nworker.lb.balance_workers={}\n",
        names.join(",")
    );
    for (name, port) in names.iter().zip(8009..) {
        text += &format!(
            "worker.{name}.type=ajp13\nworker.{name}.host=127.0.0.1\nworker.{name}.port={port}\n"
        );
    }
    text
}

fn workers(text: &str) -> Workers {
    let mut problems = Problems::new();
    let mut properties = Properties::new();
    properties.read_text(text.as_bytes(), "bench", &|_| None, &mut problems);
    let workers = validate(&mut properties, &Defaults { pool_size: 25 }, &mut problems);
    assert!(!problems.has_errors(), "the file has errors");
    workers
}

fn balancer(c: &mut Criterion) {
    let mut group = c.benchmark_group("balancer");
    for members in [1, 10, 100] {
        let found = workers(&workers_file(members)).workers.into_iter().next();
        let Some(worker @ WorkerConfig::Balancer(_)) = found else { panic!("no balancer") };
        let memory = Arc::new(Heap::new(Layout { requests: 8, ..Layout::of(&worker) }));
        let WorkerConfig::Balancer(config) = worker else { panic!("no balancer") };
        let at = Positions::first(members);
        let balancer = Balancer::new(*config, &NameCache::default(), memory, at, None);
        assert!(balancer.next_member(0).is_some(), "no member");
        group.bench_function(BenchmarkId::new("choose, members", members), |b| {
            b.iter(|| balancer.next_member(black_box(1_000)));
        });
    }
    group.finish();
}

fn properties(c: &mut Criterion) {
    let mut group = c.benchmark_group("properties");
    for members in [10, 1_000] {
        let text = workers_file(members);
        group.bench_function(BenchmarkId::new("read and validate, members", members), |b| {
            b.iter(|| workers(black_box(&text)));
        });
    }
    group.finish();
}

criterion_group!(benches, codec, mapping, balancer, properties);
criterion_main!(benches);
