//! The way into the box, layer by layer. There is none out.

use std::fs::File;
use std::io::{stderr, stdin};
use std::os::fd::{AsFd, AsRawFd};

use rustix::process::{Signal, set_parent_process_death_signal};

use super::report::Enforced;
use super::{landlock, limits, seccomp, sys};

/// Kept free by everything that is thrown away, so that the wire is the only descriptor past the three usual ones.
const FIRST_OTHER: i32 = 3;
/// Bytes of freed memory that a decoder keeps for the next job.
const KEPT: i32 = 32 << 20;

/// Which layers to put on; all, but to try one of them alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layers {
    /// Every one.
    All,
    /// Without the filter of system calls, before which nothing else is ever seen.
    BelowFilter,
}

/// What is done before anything else: the process is set apart from who started it. Gives the wire.
pub fn set_apart() -> std::io::Result<File> {
    // Who stops the service by a signal to all its processes lets decoders finish what they have in hand.
    sys::ignore(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT]);
    set_parent_process_death_signal(Some(Signal::KILL))?;
    sys::close_from(FIRST_OTHER);
    sys::keep_heap(KEPT);
    // A full pipe must not stop a decoder that nobody listens to.
    rustix::io::ioctl_fionbio(stderr(), true)?;
    Ok(stdin().as_fd().try_clone_to_owned()?.into())
}

/// Closes the box. A layer that this kernel lacks is told, not fatal.
pub fn close(wire: &File, layers: Layers) -> Enforced {
    // Landlock needs a descriptor, so it comes before the limits; the filter would forbid both.
    let landlock = landlock::set();
    let limits = limits::set();
    let filter = match layers {
        Layers::All => seccomp::set(wire.as_raw_fd()),
        Layers::BelowFilter => super::report::Piece::Lacks("left out".to_owned()),
    };
    Enforced { limits, filter, landlock }
}
