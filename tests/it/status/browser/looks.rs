//! Pictures of the page, to be looked at.

use super::driver::Browser;
use super::{MORE, Scene};
use crate::support::httpd::Module;

#[test]
#[ignore = "needs Chromium: misc/dev browser"]
fn it_fits_every_width() {
    let scene = Scene::of_threads(Module::Ours, 16, MORE);
    scene.traffic();
    let browser = Browser::start();
    for (name, path) in
        [("list", "/jk?re=10"), ("edit", "/jk?cmd=edit&w=lb&sw=b"), ("show", "/jk?cmd=show&w=lb")]
    {
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            for (size, width) in [("wide", 1400), ("narrow", 380)] {
                browser.resize(width, 900);
                browser.open(&scene.httpd.http(path));
                browser.picture(&format!("{name}-{scheme}-{size}"));
                let excess = "return document.documentElement.scrollWidth - window.innerWidth";
                let excess = browser.run(excess).number().expect("a number");
                let wide = browser.run(
                    "return Array.from(document.querySelectorAll('main *')).filter(e => \
                     !e.closest('.scroll') && e.getBoundingClientRect().right > innerWidth)\
                     .slice(0, 4).map(e => e.outerHTML.slice(0, 120))",
                );
                assert!(excess <= 0.0, "{name} of {width} pixels is {excess} too wide: {wide:?}");
            }
        }
    }
}
