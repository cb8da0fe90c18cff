//! First layer: what any process can take from itself. Holds on every Linux.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

use super::report::Piece;

/// What there is to be none of: bytes written to files, new descriptors, new processes, core dumps, locked memory,
/// message queues.
const NONE_OF: [Resource; 6] =
    [Resource::Fsize, Resource::Nofile, Resource::Nproc, Resource::Core, Resource::Memlock, Resource::Msgqueue];

/// Sets them. Memory is bounded by the service, job by job: see `decoder`.
pub fn set() -> Piece {
    match try_set() {
        Ok(()) => Piece::Holds("no new file, process or privilege; memory bounded by job".to_owned()),
        Err(error) => Piece::Lacks(format!("a limit could not be set: {error}")),
    }
}

fn try_set() -> io::Result<()> {
    for resource in NONE_OF {
        setrlimit(resource, Rlimit { current: Some(0), maximum: Some(0) })?;
    }
    set_no_new_privs(true)?;
    // Neither traced nor looked into, not by another decoder either.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(())
}
