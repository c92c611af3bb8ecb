//! Mounts [1.3] [3]: directives, map files, copies, rule extensions.

use super::case::{Case, Scene, get, site, status_answer};
use super::run::Group;
use crate::compliance::case::Case as Talk;

/// Rules of virtual hosts.
pub(super) fn group() -> Group {
    let mut cases = directives();
    cases.extend(rules());
    cases.extend(files());
    cases.extend(aliases());
    Group {
        test: "mounts_do_the_same",
        modules: &["setenvif", "env", "dir"],
        config: "",
        workers: "",
        files: &FILES,
        cases,
    }
}

/// Virtual hosts and what they take from the main server.
pub(super) fn copying() -> Group {
    Group {
        test: "mounts_of_the_main_server_are_copied",
        modules: &["dir"],
        // Nobody is at the worker's port: a copied mount shows by its status.
        config: "JkMount /copied/* w\nJkUnMount /copied/out/* w\nJkMount /both/* w\n\
                 JkMountFile conf/main.map\nJkAutoAlias @ROOT@/webapps",
        workers: "worker.list=w\nworker.w.host=127.0.0.1\nworker.w.port=1\n\
                  worker.w.mount=/defined/*",
        files: &FILES,
        cases: copies(),
    }
}

/// Rule extensions.
pub(super) fn extending() -> Group {
    Group {
        test: "rule_extensions_do_the_same",
        modules: &["setenvif"],
        config: "",
        workers: "",
        files: &[],
        cases: extensions(),
    }
}

const FILES: [(&str, &str); 10] = [
    ("htdocs/shop/META-INF/web.txt", "of httpd\n"),
    ("htdocs/shop/web-inf/web.txt", "of httpd\n"),
    ("htdocs/folder/file.txt", "a file in a folder\n"),
    ("htdocs/shop/WEB-INF/web.txt", "of httpd\n"),
    ("htdocs/file.txt", "a file\n"),
    ("webapps/shop/page.txt", "a page of the shop\n"),
    ("webapps/shop/WEB-INF/web.txt", "not for clients\n"),
    ("webapps/shop.war", "an archive\n"),
    ("htdocs/shop.war", "of httpd\n"),
    ("conf/main.map", "/mapped/*=w\n"),
];

fn directives() -> Vec<Case> {
    vec![
        site("JkMount", "> JkMount /x @"),
        site("JkMount in a section", "<Location /x>\n> JkMount @\n</Location>"),
        site("JkUnMount", "JkMount /* @\n> JkUnMount /x @"),
        site("JkUnMount of any worker", "JkMount /* @\n> JkUnMount /x *"),
        site("JkUnMount in a section", "JkMount /* @\n<Location /x>\n> JkUnMount @\n</Location>"),
        site(
            "JkUnMount and JkMount of a part",
            "JkMount /* @\n> JkUnMount /a/* @\nJkMount /a/b/* @",
        )
        .gets(&["/a/b/c"]),
        site("JkStripSession", "JkMount /y @\n> JkStripSession On")
            .gets(&["/file.txt;jsessionid=1"]),
        site("JkStripSession with a name", "JkMount /y @\n> JkStripSession On ;sid")
            .gets(&["/file.txt;sid=1"]),
        site("JkStripSession in a folder", "JkMount /y @\n> JkStripSession On")
            .gets(&["/folder;jsessionid=1/file.txt"]),
        site("JkStripSession Off", "JkMount /y @\nJkStripSession On\n> JkStripSession Off")
            .gets(&["/file.txt;jsessionid=1"]),
        site("JkMountFile", "> JkMountFile conf/@.map").file("conf/@.map", "/x=@\n"),
        site("JkMountFileReload", "JkMountFile conf/@.map\n> JkMountFileReload 1")
            .file("conf/@.map", "/y=@\n")
            .scene(Scene::Edited { file: "conf/@.map", text: "/x=@\n", status: 200 }),
    ]
}

fn rules() -> Vec<Case> {
    let rule = |lines: &str, target: &str| {
        site(&format!("{target} by {}", lines.replace('\n', ", ")), lines).gets(&[target])
    };
    vec![
        rule("JkMount /a<<|/*>> @", "/a/b"),
        rule("JkMount /a|/* @\n> JkUnMount /a|/out @", "/a/out"),
        rule("JkMount /a<<*>> @", "/a/b"),
        rule("JkMount /a/?<<?>> @", "/a/xy"),
        rule("JkMount /*.jsp @\n> JkUnMount /*/x.jsp @", "/a/x.jsp"),
        rule("JkMount /a/* @\n<<JkMount /a/b* nobody>>", "/a/bc"),
        rule("JkMount /a/* nobody\n> JkMount /a/*/c @", "/a/b/c"),
        rule("JkMount /a/./b @", "/a/./b"),
        rule("> JkMount /a @", "//a;x=1"),
        rule("JkMount /A @\n> JkMount /a @", "/a"),
        rule("JkMount /x nobody\n> JkMount /x @", "/x"),
        rule("JkMount /* @\nJkUnMount /x nobody", "/x"),
        rule("JkMount /* nobody\n> JkMount /xy @", "/xy"),
    ]
}

fn files() -> Vec<Case> {
    let map = |name: &str, text: &'static str, target: &str| {
        site(name, "JkMountFile conf/@.map").file("conf/@.map", text).gets(&[target])
    };
    vec![
        map("map: a rule", "> /x=@\n", "/x"),
        map("map: an exclusion", "/*=@\n> !/x=@\n", "/x"),
        map("map: an exclusion of any worker", "/*=@\n> !/x=*\n", "/x"),
        map("map: a disabled rule", "<<->>/x=@\n", "/x"),
        map("map: a disabled exclusion", "/*=@\n<<->>!/x=@\n", "/x"),
        map("map: two rules in one", "/a<<|/*>>=@\n", "/a/b"),
        map("map: a comment", "<<#>>/x=@\n", "/x"),
        map("map: blanks", "> \t/x \t= \t@ \n", "/x"),
        map("map: the last of two wins", "/x=nobody\n> /x=@\n", "/x"),
        map("map: a variable", "> me=@\n/x=$(me)\n", "/x"),
        map("map: no rule", "/y=@\n> x@=@\n", "/y")
            .says("invalid context 'x@': does not begin with '/'", "x@"),
        map("map: an extension", "/x=@<<;use_server_errors=400>>\n", "/x")
            .answered(status_answer(404)),
        site("map beside JkMount", "JkMount /y @\n> JkMountFile conf/@.map")
            .file("conf/@.map", "/x=@\n"),
        site("map before JkMount", "JkMount /x nobody\n> JkMountFile conf/@.map")
            .file("conf/@.map", "/x=@\n"),
    ]
}

fn aliases() -> Vec<Case> {
    let alias = |name: &str, target: &str| {
        site(name, "JkMount /y @\n> JkAutoAlias {root}/webapps").gets(&[target])
    };
    vec![
        alias("JkAutoAlias", "/shop/page.txt"),
        alias("JkAutoAlias and WEB-INF", "/shop/WEB-INF/web.txt"),
        alias("JkAutoAlias and META-INF", "/shop/META-INF/web.txt"),
        alias("JkAutoAlias and web-inf", "/shop/web-inf/web.txt"),
        alias("JkAutoAlias and an archive", "/shop.war"),
        site("JkAutoAlias and an unknown folder", "JkMount /y @\nJkAutoAlias {root}/webapps")
            .gets(&["/file.txt", "/folder/file.txt", "/none/x", "/shop/none.txt"]),
        site("JkAutoAlias and a mount", "JkMount /shop/* @\nJkAutoAlias {root}/webapps")
            .gets(&["/shop/page.txt"]),
    ]
}

fn copies() -> Vec<Case> {
    let copy = |name: &str, lines: &str, target: &str| site(name, lines).gets(&[target]);
    vec![
        copy("JkMountCopy On", "> JkMountCopy On", "/copied/x"),
        copy("JkMountCopy On and own mounts", "JkMount /own @\n> JkMountCopy On", "/copied/x"),
        copy("JkMountCopy On: own mounts", "> JkMount /own @\nJkMountCopy On", "/own"),
        copy("JkMountCopy On: an own mount wins", "> JkMount /both/* @\nJkMountCopy On", "/both/x"),
        copy(
            "JkMountCopy On: an exclusion",
            "JkMount /copied/* w\n> JkMountCopy On",
            "/copied/out/x",
        ),
        copy("JkMountCopy On: the map file", "> JkMountCopy On", "/mapped/x"),
        copy(
            "JkMountCopy On: the map file, own mounts",
            "JkMount /own @\n> JkMountCopy On",
            "/mapped/x",
        ),
        copy(
            "JkMountCopy On: an own map file",
            "JkMountCopy On\n> JkMountFile conf/@.map",
            "/mapped/x",
        )
        .file("conf/@.map", "/own=@\n"),
        copy("JkMountCopy On: defined with the worker", "> JkMountCopy On", "/defined/x"),
        copy(
            "JkMountCopy On: defined with the worker, own mounts",
            "<<JkMount /own @>>\nJkMountCopy On",
            "/defined/x",
        ),
        copy("JkMountCopy On: an alias", "> JkMountCopy On", "/shop/page.txt"),
        copy("no directive of mod_jk", "", "/copied/x"),
        copy("another directive", "JkLogLevel info", "/copied/x"),
        copy("own mounts only", "JkMount /own @", "/copied/x"),
        copy("JkMountCopy on", "> JkMountCopy on", "/copied/x"),
        copy("JkMountCopy Off after On", "JkMountCopy On\n> JkMountCopy Off", "/copied/x"),
    ]
}

/// `JkMountCopy All` in the main server.
pub(super) fn copying_to_all() -> Group {
    Group {
        test: "mounts_are_copied_to_all_sites",
        modules: &[],
        config: "JkMount /copied/* w\nJkMount /both/* w\nJkMountCopy All",
        workers: "worker.list=w\nworker.w.host=127.0.0.1\nworker.w.port=1\n\
                  worker.w.mount=/defined/*",
        files: &[("conf/main.map", "/mapped/*=w\n")],
        cases: vec![
            site("no directive of mod_jk", "").gets(&["/copied/x"]),
            site("no directive of mod_jk: defined with the worker", "").gets(&["/defined/x"]),
            site("another directive", "JkLogLevel info").gets(&["/copied/x"]),
            site("own mounts", "> JkMount /own @").gets(&["/own"]),
            site("own mounts: the main server's", "JkMount /own @").gets(&["/copied/x"]),
            site("own mounts win", "> JkMount /both/* @").gets(&["/both/x"]),
            site("JkMountCopy Off in a site", "> JkMountCopy Off").gets(&["/copied/x"]),
            site("JkMountCopy On in a site", "JkMountCopy On").gets(&["/copied/x"]),
        ],
    }
}

fn session(cookie: &str) -> Talk {
    get("/x").header("Cookie", cookie)
}

/// A rule extension of a balancer: ours does not balance yet.
fn balanced(extension: &str, workers: &str) -> Case {
    site(&format!("{extension} of a balancer"), &format!("JkMount /x* \"@<<;{extension}>>\""))
        .balances()
        .workers(workers)
}

/// The rule extensions that say something to a plain worker.
fn extensions() -> Vec<Case> {
    let rule = |extension: &str| site(extension, &format!("JkMount /* @<<;{extension}>>"));
    let failing = |extension: &str, status: u16| {
        rule(extension).props("retries=1").gets(&["/x"]).answered(status_answer(status))
    };
    vec![
        rule("reply_timeout=100").ends_first(),
        failing("use_server_errors=400", 404),
        failing("use_server_errors=404", 404).named("at the limit"),
        failing("fail_on_status=404", 404),
        failing("fail_on_status=500,404", 404),
        failing("fail_on_status=-404", 404),
        rule("nonsense@=1").says("unknown rule extension 'nonsense@=1'", "nonsense@"),
        rule("active=@").says(
            "Worker @ is not of type lb, activation extension active=",
            "rule extension active: worker @ is no balancer",
        ),
        rule("disabled=@").says(
            "Worker @ is not of type lb, activation extension disabled=",
            "rule extension disabled: worker @ is no balancer",
        ),
        rule("stopped=@").says(
            "Worker @ is not of type lb, activation extension stopped=",
            "rule extension stopped: worker @ is no balancer",
        ),
        rule("session_cookie=SID").says(
            "Worker @ is not of type lb, extension session_cookie=",
            "rule extension session_cookie: worker @ is no balancer",
        ),
        rule("session_path=;sid").says(
            "Worker @ is not of type lb, extension session_path=",
            "rule extension session_path: worker @ is no balancer",
        ),
        rule("session_cookie_path=/x").says(
            "Worker @ is not of type lb, extension session_cookie_path=",
            "rule extension session_cookie_path: worker @ is no balancer",
        ),
        rule("set_session_cookie=1").says(
            "Worker @ is not of type lb, extension set_session_cookie=",
            "rule extension set_session_cookie: worker @ is no balancer",
        ),
        site("sticky_ignore of a plain worker", "JkMount /* @;sticky_ignore=1;stateless=1"),
        balanced("active=@x", "worker.@x.activation=disabled"),
        balanced("disabled=@x", ""),
        balanced("stopped=@x,@y", ""),
        balanced("stopped=@x @y", "").named("blanks"),
        balanced("sticky_ignore=1", "").asks([session("JSESSIONID=a.@y")]),
        balanced("session_cookie=SID", "").asks([session("SID=a.@y")]),
        balanced("session_path=;sid", "").gets(&["/x;sid=a.@y"]),
        balanced("set_session_cookie=1", ""),
        balanced("stateless=1", "worker.@.method=Sessions")
            .gets(&["/x"])
            .status_line("worker.@x.sessions=0")
            .c_alone(),
        site("an extension twice", "JkLogFile logs/@.log\nJkMountFile conf/@.map")
            .file("conf/@.map", "/x=@;fail_on_status=500<<;fail_on_status=404>>\n")
            .says(
                "rule extension 'fail_on_status=' only allowed once",
                "@.map:1: /x: rule extension fail_on_status is set again, the first value is used",
            ),
    ]
}
