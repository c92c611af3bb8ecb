//! The Debian package takes the place of Debian's own, and gives it back.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use super::docs::tested_by;
use super::machine::Machine;
use super::{built, our_package, root};
use crate::support::client;
use crate::support::engine::Engine;
use crate::support::httpd::Module;
use crate::support::process::output;
use crate::support::temp_dir;

const CONFFILES: [&str; 3] = [
    "/etc/apache2/mods-available/jk.conf",
    "/etc/apache2/mods-available/jk.load",
    "/etc/libapache2-mod-jk/workers.properties",
];

/// Debian's package, which `misc/dev deb` has fetched for its configuration files.
fn debians_package() -> PathBuf {
    our_package();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from);
    let entries = std::fs::read_dir(target.join("debian")).expect("target/debian");
    // The newest, where several versions were fetched over time.
    let files = entries.map(|entry| entry.expect("it").path());
    files.max_by_key(|file| file.metadata().expect("it").modified().expect("it")).expect("a file")
}

fn field(package: &Path, name: &str) -> String {
    output(Command::new("dpkg-deb").arg("-f").arg(package).arg(name)).trim().to_owned()
}

fn sorts_above(higher: &str, lower: &str) -> bool {
    Command::new("dpkg")
        .args(["--compare-versions", higher, "gt", lower])
        .status()
        .expect("dpkg")
        .success()
}

#[test]
fn its_version_is_above_every_c_mod_jk() {
    let ours = field(our_package(), "Version");
    for theirs in [&*field(&debians_package(), "Version"), "1:1.2.50-1", "1:99-1", "1.2.48-1"] {
        assert!(sorts_above(&ours, theirs), "{ours} {theirs}");
    }
    assert!(!sorts_above(&ours, "3:0-1"), "{ours}");
}

/// What lintian would complain about.
#[test]
fn it_is_a_sound_package() {
    let package = our_package();
    for name in ["Maintainer", "Description", "Section", "Installed-Size", "Architecture"] {
        assert!(!field(package, name).is_empty(), "{name}");
    }
    let depends = field(package, "Depends");
    for needed in ["apache2-api-20120211", "apache2-bin (>= 2.4.16)", "libc6 (>= 2."] {
        assert!(depends.contains(needed), "{depends}");
    }
    let dir = temp_dir("jk-unpacked-");
    output(Command::new("dpkg-deb").arg("-R").arg(package).arg(dir.path()));
    let original = temp_dir("jk-unpacked-");
    output(Command::new("dpkg-deb").arg("-R").arg(debians_package()).arg(original.path()));

    let read =
        |path: &str| std::fs::read(dir.path().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    assert_eq!(String::from_utf8_lossy(&read("DEBIAN/conffiles")), CONFFILES.join("\n") + "\n");
    for conffile in CONFFILES {
        let relative = conffile.trim_start_matches('/');
        let theirs = std::fs::read(original.path().join(relative)).expect(relative);
        assert!(read(relative) == theirs, "{conffile} is not Debian's");
    }
    let link = std::fs::read_link(dir.path().join("etc/libapache2-mod-jk/httpd-jk.conf"));
    assert_eq!(link.expect("a link"), Path::new("../apache2/mods-available/jk.conf"));
    for script in ["postinst", "prerm", "postrm"] {
        let file = dir.path().join("DEBIAN").join(script);
        output(Command::new("sh").arg("-n").arg(&file));
        output(Command::new("test").arg("-x").arg(&file));
    }
    for document in ["copyright", "changelog.Debian.gz", "changelog.gz", "README.Debian", "NOTICE"]
    {
        read(&format!("usr/share/doc/libapache2-mod-jk/{document}"));
    }
    let parts = read("usr/share/doc/libapache2-mod-jk/mod_jk.cdx.json");
    super::lists_what_is_linked(&String::from_utf8_lossy(&parts));
    // Every file is in the list, with its sum.
    output(Command::new("md5sum").args(["-c", "--quiet", "DEBIAN/md5sums"]).current_dir(&dir));
    let listed = String::from_utf8_lossy(&read("DEBIAN/md5sums")).lines().count();
    let files = output(Command::new("find").arg(dir.path().join("usr")).args(["-type", "f"]));
    assert_eq!(listed, files.lines().count());
    // Owners and modes.
    let listing = output(Command::new("dpkg-deb").arg("-c").arg(package));
    for line in listing.lines() {
        let mut words = line.split_whitespace();
        let (mode, owner) = (words.next().expect("a mode"), words.next().expect("an owner"));
        assert!(["drwxr-xr-x", "-rw-r--r--", "lrwxrwxrwx"].contains(&mode), "{line}");
        assert_eq!(owner, "root/root", "{line}");
    }
}

#[test]
fn the_same_sources_give_the_same_package() {
    let dir = temp_dir("jk-deb-");
    let again = std::fs::read(built("deb", dir.path(), ".deb")).expect("a package");
    assert!(again == std::fs::read(our_package()).expect("a package"), "the bytes differ");
}

/// httpd as Debian's user has it: the site forwards to the worker that Debian's file defines.
const SITE: &str = "\
<VirtualHost *:80>
    DocumentRoot /var/www/html
    <IfModule jk_module>
        JkMount /app|/* ajp13_worker
    </IfModule>
</VirtualHost>
";

/// apt's only source: the packages in /repo.
fn offer(machine: &Machine, package: &Path) {
    let name = package.file_name().expect("a file");
    let dir = temp_dir("jk-repo-");
    std::fs::copy(package, dir.path().join(name)).expect("copy");
    let entry = output(Command::new("dpkg-scanpackages").arg(".").current_dir(&dir));
    std::fs::create_dir_all(machine.path("/repo")).expect("mkdir");
    std::fs::copy(package, machine.path("/repo").join(name)).expect("copy");
    machine.write("/repo/Packages", &format!("{}{entry}\n", machine.read("/repo/Packages")));
    machine.run("rm -f /etc/apt/sources.list.d/*");
    machine.write("/etc/apt/sources.list", "deb [trusted=yes] file:/repo ./\n");
    machine.run("apt-get update");
}

/// Every file and the package's directories, but for what apt, dpkg and httpd write for themselves.
fn files(machine: &Machine) -> BTreeSet<String> {
    let listing = machine.run(
        "find / -xdev \\( -path /proc -o -path /repo -o -path /var/lib/dpkg -o -path /var/cache \
         -o -path /var/lib/apt -o -path /var/log/apt -o -path /run -o -path /tmp \\) -prune \
         -o ! -type d -print -o -name '*jk*' -print",
    );
    let own = ["/var/log/apache2/access.log", "/var/log/apache2/error.log", "/var/log/dpkg.log"];
    listing.lines().filter(|line| !own.contains(line)).map(str::to_owned).collect()
}

fn status(machine: &Machine) -> u16 {
    let address = SocketAddr::from(([127, 0, 0, 1], 80));
    machine.network.inside(|| client::get(address, "/app/page").status())
}

/// Which mod_jk the last generation of httpd says that it runs with.
fn serving(machine: &Machine) -> String {
    let log = machine.read("/var/log/apache2/error.log");
    let line = log.lines().rfind(|line| line.contains("resuming normal operations"));
    let words = line.unwrap_or_default().split_whitespace();
    words.filter_map(|word| word.strip_prefix("mod_jk/")).next().unwrap_or_default().to_owned()
}

/// Requests go on while `work` is done, and every one of them is answered.
fn while_serving(machine: &Machine, work: impl FnOnce()) {
    let done = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        let requests = scope.spawn(|| {
            let mut answers = Vec::new();
            while !done.load(Ordering::Relaxed) || answers.is_empty() {
                answers.push(status(machine));
            }
            answers
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        let answers = requests.join().expect("requests");
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        answers
    });
    assert!(answers.iter().all(|answer| *answer == 200), "{answers:?}");
}

#[test]
fn apt_upgrades_debians_package_in_place_and_back() {
    let machine = Machine::boot();
    let engine = machine
        .network
        .inside(|| Engine::recording().at(SocketAddr::from(([127, 0, 0, 1], 8009))).start());
    let (theirs, ours) = (debians_package(), our_package());
    let debian = field(&theirs, "Version");
    let version = field(ours, "Version");
    // 1:1.2.48-2 is the C mod_jk 1.2.48.
    let c_mod_jk = debian.trim_start_matches("1:").split('-').next().expect("a version");
    let installed = || machine.run("dpkg-query -W -f='${Version}' libapache2-mod-jk");
    let empty = files(&machine);

    offer(&machine, &theirs);
    machine.run("apt-get install -y libapache2-mod-jk");
    machine.write("/etc/apache2/sites-available/000-default.conf", SITE);
    // Edited: worker properties. As delivered: jk.conf and jk.load.
    let edited = machine.read(CONFFILES[2]) + "# the administrator's\nworker.maintain=30\n";
    machine.write(CONFFILES[2], &edited);
    let delivered = CONFFILES.map(|file| machine.read(file));
    let untouched = || {
        for (file, text) in CONFFILES.iter().zip(&delivered) {
            assert_eq!(machine.read(file), *text, "{file}");
        }
        let left = machine.run("find /etc -name '*.dpkg-*' -o -name '*.ucf-*'");
        assert_eq!(left, "");
        machine.run("test -e /etc/apache2/mods-enabled/jk.load");
    };
    machine.start_httpd();
    assert_eq!((status(&machine), &*serving(&machine)), (200, c_mod_jk));

    offer(&machine, ours);
    while_serving(&machine, || {
        let said = machine.run("apt-get upgrade -y");
        assert!(!said.contains("Configuration file"), "{said}");
        assert_eq!(installed(), version);
        machine.graceful();
    });
    assert_eq!((status(&machine), &*serving(&machine)), (200, env!("CARGO_PKG_VERSION")));
    untouched();

    while_serving(&machine, || {
        machine.run(&format!("apt-get install -y --allow-downgrades libapache2-mod-jk={debian}"));
        assert_eq!(installed(), debian);
        machine.graceful();
    });
    untouched();
    // Our module stays in the process for as long as that lives, so Debian's needs a new one.
    machine.stop_httpd();
    machine.start_httpd();
    assert_eq!((status(&machine), &*serving(&machine)), (200, c_mod_jk));
    assert!(engine.accepted() > 0);

    machine.run("apt-get upgrade -y");
    assert_eq!(installed(), version);
    machine.graceful();
    machine.stop_httpd();
    machine.run("apt-get purge -y libapache2-mod-jk");
    let left: Vec<String> = files(&machine).difference(&empty).cloned().collect();
    assert_eq!(left, [""; 0]);
    machine.start_httpd();
    assert_eq!((status(&machine), &*serving(&machine)), (404, ""));
}

/// The commands of the documents, as an administrator types them.
#[test]
fn the_documented_commands_work() {
    let test = "package::deb::the_documented_commands_work";
    let machine = Machine::boot();
    offer(&machine, &debians_package());
    // What `misc/dev deb` leaves behind.
    machine.run("mkdir -p /target/dist");
    let package = our_package();
    let name = package.file_name().expect("a file");
    std::fs::copy(package, machine.path("/target/dist").join(name)).expect("copy");
    let version = || machine.run("dpkg-query -W -f='${Version}' libapache2-mod-jk");
    let run = |text: &str| {
        // Built above; no systemd runs in a chroot; nobody is there to say yes.
        let text = text
            .replace("misc/dev deb\n", "")
            .replace("systemctl restart apache2", "apachectl restart")
            .replace("apt-get install", "apt-get install -y");
        machine.run(&text);
    };
    for document in ["README.md", "misc/doc/install.md"] {
        machine.run("apt-get install -y --allow-downgrades libapache2-mod-jk=1:*");
        machine.stop_httpd();
        machine.start_httpd();
        let mut blocks = tested_by(document, test).into_iter();
        let install = blocks.next().expect("a block").text;
        assert!(install.starts_with("misc/dev deb\n"), "{install}");
        run(&install);
        assert_eq!(version(), field(package, "Version"), "{document}");
        for back in blocks {
            run(&back.text);
            assert_eq!(version(), field(&debians_package(), "Version"), "{document}");
        }
    }
}

/// From Debian's package, removed, to a module from sources; the package's configuration stays.
#[test]
fn install_takes_the_place_of_a_removed_package() {
    let machine = Machine::boot();
    offer(&machine, &debians_package());
    machine.run("apt-get install -y libapache2-mod-jk && mkdir -p /src/misc");
    let copy = |from: &str, to: &str| {
        output(Command::new("cp").arg("-R").arg(root().join(from)).arg(machine.path(to)));
    };
    for (from, to) in [
        ("misc/dev", "/src/misc"),
        ("misc/packaging", "/src/misc"),
        ("misc/sanitize.sh", "/src/misc"),
        ("apache-conf", "/src"),
        (&*Module::Ours.path().display().to_string(), "/src/libmod_jk.so"),
    ] {
        copy(from, to);
    }
    // What apache2-dev would bring is large; one answer of it is all that is needed.
    machine.write("/src/apxs", "#!/bin/sh\necho /usr/lib/apache2/modules\n");
    machine.run("chmod +x /src/apxs");
    let install = "cd /src && APXS=/src/apxs JK_MODULE=libmod_jk.so misc/dev install";
    let (installed, said) = machine.try_run(install);
    assert!(!installed && said.contains("apt-get remove libapache2-mod-jk"), "{said}");

    machine.run("apt-get remove -y libapache2-mod-jk");
    machine.run("test ! -e /etc/apache2/mods-enabled/jk.load");
    let conf = machine.read(CONFFILES[0]);
    for _ in 0..2 {
        machine.run(install);
        assert_eq!(machine.read(CONFFILES[0]), conf);
        machine.run("test -e /etc/apache2/mods-enabled/jk.load && test ! -e /etc/apache2/workers.properties");
    }
    machine.start_httpd();
    assert_eq!(serving(&machine), env!("CARGO_PKG_VERSION"));

    // Where there was no package, our own configuration comes with it.
    machine.stop_httpd();
    machine.run("a2dismod jk && apt-get purge -y libapache2-mod-jk");
    machine.run("rm -f /usr/lib/apache2/modules/mod_jk.so");
    machine.run(install);
    assert_eq!(machine.read(CONFFILES[0]), super::read("apache-conf/jk.conf"));
    machine.start_httpd();
    assert_eq!(serving(&machine), env!("CARGO_PKG_VERSION"));
}
