//! `misc/dev install` and the archive of `misc/dev dist`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::docs::tested_by;
use super::{built, dev};
use crate::config::accepted;
use crate::support::httpd::{Httpd, Module};
use crate::support::process::output;
use crate::support::temp_dir;

fn same(one: &Path, other: &Path) -> bool {
    fs::read(one).expect("a file") == fs::read(other).expect("a file")
}

#[test]
fn what_a_debian_package_owns_is_not_overwritten() {
    let theirs = Module::C.path();
    let before = fs::read(&theirs).expect("Debian's module");
    let refused = dev(&["install"]).stdin(Stdio::null()).output().expect("misc/dev");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{said}");
    assert!(fs::read(&theirs).expect("Debian's module") == before);
    let expected = format!(
        "misc/dev: {} belongs to the Debian package libapache2-mod-jk, which would overwrite it at \
         its next upgrade. Either build and install a package that takes its place: misc/dev deb, \
         then apt install ./target/dist/libapache2-mod-jk_*.deb; or remove that package first, its \
         configuration stays: apt-get remove libapache2-mod-jk\n",
        theirs.display()
    );
    assert_eq!(said, expected);
}

#[test]
fn install_puts_everything_in_its_place_and_leaves_configuration_alone() {
    let stage = temp_dir("jk-stage-");
    let at = |path: &str| stage.path().join(path.trim_start_matches('/'));
    let install = || output(dev(&["install"]).env("DESTDIR", stage.path()));
    install();
    let module = at(&Module::C.path().display().to_string());
    assert!(same(&module, &Module::Ours.path()));
    for (source, target, mode) in [
        ("jk.load", "/etc/apache2/mods-available/jk.load", "644"),
        ("jk.conf", "/etc/apache2/mods-available/jk.conf", "644"),
        ("workers.properties", "/etc/apache2/workers.properties", "600"),
    ] {
        assert!(same(&super::root().join("apache-conf").join(source), &at(target)), "{target}");
        let is = output(Command::new("stat").args(["-c", "%a"]).arg(at(target)));
        assert_eq!(is.trim(), mode, "{target}");
    }
    // Again: the module is new, what the administrator wrote is not touched.
    fs::write(&module, "old").expect("write");
    fs::write(at("/etc/apache2/workers.properties"), "worker.list=mine\n").expect("write");
    fs::write(at("/etc/apache2/mods-available/jk.conf"), "# mine\n").expect("write");
    install();
    assert!(same(&module, &Module::Ours.path()));
    let workers = fs::read_to_string(at("/etc/apache2/workers.properties")).expect("it");
    assert_eq!(workers, "worker.list=mine\n");
    let conf = fs::read_to_string(at("/etc/apache2/mods-available/jk.conf")).expect("it");
    assert_eq!(conf, "# mine\n");
    // A jk.conf that is not ours names its own workers file.
    fs::remove_file(at("/etc/apache2/workers.properties")).expect("it");
    install();
    assert!(!at("/etc/apache2/workers.properties").exists());
}

#[test]
fn the_archive_is_whole_and_always_the_same() {
    let dirs = [temp_dir("jk-dist-"), temp_dir("jk-dist-")];
    let files = dirs.each_ref().map(|dir| built("dist", dir.path(), ".tar.gz"));
    assert!(same(&files[0], &files[1]), "two archives of the same sources differ");
    let machine = output(Command::new("uname").arg("-m"));
    let name = format!("mod_jk-{}-linux-{}", env!("CARGO_PKG_VERSION"), machine.trim());
    assert!(files[0].ends_with(format!("{name}.tar.gz")), "{files:?}");
    let sum = format!("{name}.tar.gz.sha256");
    output(Command::new("sha256sum").args(["-c", &sum]).current_dir(&dirs[0]));

    output(Command::new("tar").arg("-xzf").arg(&files[0]).arg("-C").arg(dirs[0].path()));
    let tree = dirs[0].path().join(&name);
    output(Command::new("sha256sum").args(["-c", "--strict", "SHA256SUMS"]).current_dir(&tree));
    let sums = fs::read_to_string(tree.join("SHA256SUMS")).expect("SHA256SUMS");
    let found = output(Command::new("find").arg(&tree).args(["-type", "f"]));
    assert_eq!(sums.lines().count() + 1, found.lines().count(), "SHA256SUMS leaves a file out");
    for file in ["README.md", "LICENSE", "misc/apache/mod_jk.so", "misc/apache/mod_jk.conf"] {
        assert!(tree.join(file).is_file(), "{file}");
    }
    let parts = fs::read_to_string(tree.join("misc/mod_jk.cdx.json")).expect("a list of parts");
    super::lists_what_is_linked(&parts);
    // Links of the documents lead to files of the archive.
    for document in found.lines().filter(|file| file.ends_with(".md")) {
        let text = fs::read_to_string(document).expect("UTF-8");
        let dir = Path::new(document).parent().expect("a directory");
        for link in super::links(&text) {
            assert!(dir.join(&link).exists(), "{document}: {link}");
        }
    }
}

#[test]
fn the_archive_connects_an_httpd() {
    let blocks =
        tested_by("misc/doc/install.md", "package::install::the_archive_connects_an_httpd");
    let dir = temp_dir("jk-dist-");
    built("dist", dir.path(), ".tar.gz");
    let httpd = Httpd::builder_without_jk();
    let place = dir.path().join("my ivy");
    let text = blocks[0].text.replace("/opt/my ivy", &place.display().to_string());
    output(Command::new("sh").arg("-ec").arg(text).current_dir(&dir));
    let lines = format!(
        "Define IVY_FRONTEND \"{}\"\nInclude \"${{IVY_FRONTEND}}/mod_jk.conf\"",
        place.display()
    );
    accepted(httpd.config(&lines), &[]);
}

#[test]
fn the_packages_of_the_documents_exist() {
    let test = "package::install::the_packages_of_the_documents_exist";
    for block in tested_by("README.md", test) {
        // -s: what would be done.
        let text = block.text.replace("apt-get ", "apt-get -s ");
        output(Command::new("sh").arg("-ec").arg(text));
    }
}

#[test]
fn the_demo_shows_a_page() {
    for (document, ending) in [("README.md", ""), ("misc/doc/CONTRIBUTING.md", " --once")] {
        let test = "package::install::the_demo_shows_a_page";
        let blocks = tested_by(document, test);
        assert!(blocks[0].text.trim_end().ends_with(&format!("misc/dev demo{ending}")));
    }
    let page = output(&mut dev(&["demo", "--once"]));
    assert!(page.contains("HTTP/1.1 200 ") && page.contains("hello=world"), "{page}");
}
