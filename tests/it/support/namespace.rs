//! Network namespaces: hosts of their own, on which every port is free.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::process::Command;
use std::thread;

use super::process::output;

/// A network with a loopback interface that is up. It goes away with the value.
pub(crate) struct Network(File);

impl Network {
    /// A network that is connected to nothing.
    #[track_caller]
    pub(crate) fn new() -> Self {
        let fresh = thread::scope(|scope| {
            let made = scope.spawn(|| {
                // SAFETY: unshare has one integer, and changes this thread only, which ends here.
                if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                    return Err(io::Error::last_os_error());
                }
                File::open("/proc/thread-self/ns/net")
            });
            made.join().expect("no panic")
        });
        let network = Self(fresh.unwrap_or_else(|error| forbidden(&error)));
        network.run("ip link set lo up");
        network
    }

    /// The network that a process is in.
    pub(crate) fn of(pid: u32) -> Self {
        Self(File::open(format!("/proc/{pid}/ns/net")).expect("the process lives"))
    }

    /// Does `work` in this network: what it opens stays in it, and so do threads and processes
    /// that it starts itself.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let outcome = thread::scope(|scope| {
            let worker = scope.spawn(|| {
                // SAFETY: setns has two integers, and changes this thread only, which ends here.
                let entered = unsafe { libc::setns(self.0.as_raw_fd(), libc::CLONE_NEWNET) };
                assert_eq!(entered, 0, "setns: {}", io::Error::last_os_error());
                work()
            });
            worker.join()
        });
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Runs a shell command in this network and returns what it prints.
    pub(crate) fn run(&self, command: &str) -> String {
        self.inside(|| output(Command::new("sh").args(["-ec", command])))
    }

    /// Lays a cable to `other` and gives each end an address and a route to the other's.
    pub(crate) fn connect(&self, address: &str, other: &Self, other_address: &str) {
        let far = format!("/proc/{}/fd/{}", std::process::id(), other.0.as_raw_fd());
        // A name for each cable: this end may have several.
        let (near_end, far_end) = (format!("to{}", other.0.as_raw_fd()), "wire");
        self.run(&format!(
            "ip link add {near_end} type veth peer name {far_end} netns {far}\n\
             ip addr replace {address}/32 dev lo\nip link set {near_end} up"
        ));
        other.run(&format!(
            "ip addr add {other_address}/32 dev {far_end}\nip link set {far_end} up\n\
             ip route add {address}/32 dev {far_end}"
        ));
        self.run(&format!("ip route add {other_address}/32 dev {near_end} src {address}"));
    }
}

/// Ends a test that the system does not permit.
#[track_caller]
pub(crate) fn forbidden(error: &dyn std::fmt::Display) -> ! {
    panic!(
        "this test needs network and mount namespaces, which the system does not permit: {error}; \
         run misc/dev test as root, or leave these tests out by name: --skip package::deb --skip \
         package::firewall"
    )
}
