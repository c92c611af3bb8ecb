//! Whether everybody can use the page: axe-core in the live page, and what it does not look at.

use super::driver::Browser;
use super::{MORE, Scene};
use crate::status::json::Value;
use crate::support::httpd::Module;

/// Every view.
const VIEWS: [&str; 8] = [
    "/jk",
    "/jk?re=5",
    "/jk?cmd=show&w=lb&sw=b",
    "/jk?cmd=edit&w=lb",
    "/jk?cmd=edit&w=lb&sw=b",
    "/jk?cmd=edit&w=one",
    "/jk?cmd=dump",
    "/jk?cmd=foo",
];

/// axe-core, which `misc/dev browser` puts in place.
fn axe() -> String {
    let file = crate::status::tool("axe.min.js");
    std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}; misc/dev browser fetches it", file.display()))
}

#[test]
#[ignore = "needs Chromium: misc/dev browser"]
fn axe_finds_no_violation() {
    let scene = Scene::of_threads(Module::Ours, 16, MORE);
    scene.traffic();
    let (browser, axe) = (Browser::start(), axe());
    let check = "const done = arguments[0]; axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', \
                 'wcag21aa', 'wcag22aa', 'best-practice']}).then(r => done([r.passes.length].concat(\
                 r.violations.map(v => v.id + ': ' + v.help + ' ' + v.nodes.slice(0, 3).map(\
                 n => n.html.slice(0, 200) + ' ' + (n.any[0] || n.all[0] || n.none[0] || \
                 {message: ''}).message).join(' | ')))), e => done([0, String(e)]))";
    let mut wrong = Vec::new();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for width in [1400, 380] {
            browser.resize(width, 900);
            for view in VIEWS {
                browser.open(&scene.httpd.http(view));
                browser.run("document.querySelectorAll('details').forEach(d => d.open = true)");
                browser.run(&axe);
                let found = browser.run_async(check);
                let found = found.list();
                assert!(found[0].number().is_some_and(|passes| passes > 10.0), "{found:?}");
                let found = found[1..].iter().filter_map(Value::text);
                wrong.extend(found.map(|text| format!("{view} {scheme} {width}: {text}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // It would find something.
    browser.run("document.querySelector('h1').style.color = 'rgba(128, 128, 128, .2)'");
    assert!(browser.run_async(check).list().len() > 1);
}

#[test]
#[ignore = "needs Chromium: misc/dev browser"]
fn the_keyboard_reaches_everything_and_shows_where_it_is() {
    let scene = Scene::of_threads(Module::Ours, 16, MORE);
    scene.traffic();
    let browser = Browser::start();
    for view in VIEWS {
        browser.open(&scene.httpd.http(view));
        let all = browser.run(
            "window.seen = []; window.all = Array.from(document.querySelectorAll('a[href], button, \
             input:not([type=hidden]), select, textarea, summary, [tabindex=\"0\"]')).filter(\
             e => e.checkVisibility()); return all.length",
        );
        let count = all.number().expect("a number") as usize;
        for _ in 0..count {
            browser.press('\u{e004}');
            browser.run(
                "const e = document.activeElement, s = getComputedStyle(e); seen.push([\
                 all.indexOf(e), s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2])",
            );
        }
        let wrong = browser.run(
            "return seen.filter((s, at) => s[0] !== at || !s[1]).map(s => s[0] + ' ' + s[1] + ' ' + \
             (all[s[0]] || {outerHTML: ''}).outerHTML.slice(0, 150)).slice(0, 5)",
        );
        assert_eq!(wrong.list(), [], "{view}: in the order of the page, each with its outline");
    }
    // The first stop leads past the navigation.
    browser.open(&scene.httpd.http("/jk"));
    browser.press('\u{e004}');
    browser.press('\u{e006}');
    assert_eq!(browser.run("return location.hash").text(), Some("#live"));
}
