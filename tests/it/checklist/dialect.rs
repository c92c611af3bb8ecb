//! The dialect of workers.properties [2.1] [2.2].

use super::case::{Case, Look, get, post, site, status_answer, worker};
use super::run::Group;

pub(super) fn group() -> Group {
    let mut cases = lines();
    cases.extend(variables());
    cases.extend(duplicates());
    cases.extend(references());
    cases.extend(values());
    Group {
        test: "the_properties_dialect_is_the_same",
        modules: &[],
        config: "",
        workers: "",
        files: &[],
        cases,
    }
}

/// A line about the secret, which every request shows.
fn secret(name: &str, lines: &str) -> Case {
    site(name, "JkMount /* @").workers(lines)
}

fn lines() -> Vec<Case> {
    vec![
        secret("a comment behind a value", "worker.@.secret=a<<#>>b"),
        secret("a comment", "<<#>>worker.@.secret=a"),
        secret("blanks around key and value", ">  \tworker.@.secret \t=  a b \t"),
        secret("the first = counts", "> worker.@.secret=a=b"),
        secret("no =", "worker.@.secret<<=>>a"),
        secret("no value", "worker.@.secret=<<a>>"),
        secret("no continuation", "worker.@.secret=a\\\nb"),
        secret("no escapes", "worker.@.secret=\\u0041\\t"),
        secret("no quotes", "worker.@.secret=\"a b\""),
        secret("no colon", "worker.@.secret: a"),
        secret("an exclamation mark is no comment", "!worker.@.secret=a\nworker.@.secret=!b"),
        secret("bytes that are no ASCII", "> worker.@.secret=\u{e4}\u{20ac}"),
        secret("a long line", &format!("> worker.@.secret={}", "x".repeat(3000))),
        site("a worker with dots in its name", "JkMount /* @.a.b")
            .workers("<<worker.list=@.a.b>>\nworker.@.a.b.host=127.0.0.1\nworker.@.a.b.port={one}"),
        site("a list with commas, blanks and tabs", "JkMount /* @y")
            .workers("worker.list=@\nworker.list=@x, @z\t<<@y>>\nworker.@y.host=127.0.0.1")
            .workers("worker.@y.port={one}"),
        site("a list on two lines", "JkMount /* @").workers("worker.list=@x\n> worker.list=@"),
        site("mount", "").workers("> worker.@.mount=/@/*").in_main().gets(&["/@/x"]),
        site("mount of several", "")
            .workers("worker.@.mount=/@/y<<,/@/x>>")
            .in_main()
            .gets(&["/@/x"]),
        site("mount with a bar", "").workers("worker.@.mount=/@|/*").in_main().gets(&["/@/x"]),
    ]
}

fn variables() -> Vec<Case> {
    vec![
        secret("a variable", "> @v=a\nworker.@.secret=$(@v)"),
        secret("a variable with a dot", "> @.v=a\nworker.@.secret=x$(@.v)y"),
        secret("two variables", "@v=a\n@w=b\nworker.@.secret=$(@v)<<-$(@w)>>"),
        secret("a variable defined below", "worker.@.secret=$(@v)\n@v=a"),
        secret("a variable in a variable", "@w=b\n@v=$(@w)\n> @u=$(@v)\nworker.@.secret=$(@u)"),
        secret("a variable that is not there", "worker.@.secret=$(@nowhere)"),
        secret("a variable of the environment", "worker.@.secret=<<$(LANG)>>"),
        secret(
            "a property as a variable",
            "worker.@.source=127.0.0.1\nworker.@.secret=<<$(worker.@.source)>>",
        ),
        secret("a variable that is not closed", "@v=a\nworker.@.secret=$(@v"),
    ]
}

fn duplicates() -> Vec<Case> {
    vec![
        secret("the last of two", "worker.@.secret=a\n> worker.@.secret=b"),
        secret("two variables of a name", "@v=a\n> @v=b\nworker.@.secret=$(@v)"),
        worker("two lists", "retries=1\nfail_on_status=404\n> fail_on_status=500")
            .asks([get("/x")])
            .answered(status_answer(500)),
    ]
}

fn references() -> Vec<Case> {
    let reference = |name: &str, lines: &str| site(name, "JkMount /* @").workers(lines);
    vec![
        reference("reference", "worker.@t.secret=a\n> worker.@.reference=worker.@t"),
        reference(
            "reference: its own value wins",
            "worker.@t.secret=a\nworker.@.reference=worker.@t\n> worker.@.secret=b",
        ),
        reference(
            "reference of a reference",
            "worker.@u.secret=a\n<<worker.@t.reference=worker.@u>>\n\
             worker.@t.socket_timeout=5\nworker.@.reference=worker.@t",
        ),
        reference("reference defined below", "> worker.@.reference=worker.@t\nworker.@t.secret=a"),
        reference(
            "reference of a longer name",
            "worker.@t.secret=a\nworker.@tt.secret=b\n> worker.@.reference=worker.@tt",
        ),
    ]
}

/// A word that switches something on.
fn switch(word: &str) -> Case {
    worker(&format!("a switch: {word}"), &format!("> socket_keepalive={word}"))
        .looks(Look::Keepalive)
}

fn values() -> Vec<Case> {
    let large = || post("/x", &[b'x'; 12000]);
    let size = |value: &str| {
        worker(&format!("a number: {value}"), &format!("> max_packet_size={value}")).asks([large()])
    };
    vec![
        size("16k"),
        size("16K"),
        size("16384x"),
        size("1m"),
        size(" 16384"),
        size("+16384"),
        switch("on"),
        switch("On"),
        switch("true"),
        switch("T"),
        switch("yes"),
        switch("Yonder"),
        switch("1"),
        worker("a switch: 2", "socket_keepalive=2").looks(Look::Keepalive),
        worker("a switch: off", "socket_keepalive=off").looks(Look::Keepalive),
        worker("a switch: enabled", "socket_keepalive=enabled").looks(Look::Keepalive),
        worker("a number: x16384", "max_packet_size=x16384").asks([large()]),
        worker("a number: -16384", "max_packet_size=-16384").asks([large()]),
        worker("a number: 0x4000", "max_packet_size=0x4000").asks([large()]),
        worker("a number: 99999999999999999999", "max_packet_size=99999999999999999999")
            .asks([large()]),
    ]
}
