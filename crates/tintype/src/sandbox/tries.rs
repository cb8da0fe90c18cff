//! Attempts to get out of the box, each by a decoder that was started for it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::net::UdpSocket;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::Command;

use rustix::process::{getppid, test_kill_process};
use serde::{Deserialize, Serialize};

use super::confine::Layers;
use super::decoder::Decoder;
use super::{child, sys};

/// What a decoder that was taken over would try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// To read a file.
    ReadFile,
    /// To list a folder.
    ReadFolder,
    /// To write a file.
    WriteFile,
    /// To make a socket.
    Socket,
    /// To become another program.
    Exec,
    /// To start another program.
    Fork,
    /// To start a thread.
    Thread,
    /// To reach the service by a signal. None is sent: whether it may be is asked.
    Signal,
    /// To have another process look into it.
    Trace,
    /// To make memory that code can be run in.
    Code,
}

/// What came of it, as who tried sees it.
#[derive(Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// It worked.
    Done,
    /// The kernel said no.
    Refused(String),
}

/// What came of it, as the service sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It worked: the box has a hole.
    Done,
    /// The kernel said no.
    Refused(String),
    /// The kernel killed who tried.
    Killed,
}

impl Attempt {
    /// All there are, with their names.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::ReadFile, "read-file"),
        (Self::ReadFolder, "read-folder"),
        (Self::WriteFile, "write-file"),
        (Self::Socket, "socket"),
        (Self::Exec, "exec"),
        (Self::Fork, "fork"),
        (Self::Thread, "thread"),
        (Self::Signal, "signal"),
        (Self::Trace, "trace"),
        (Self::Code, "code"),
    ];
    /// What is begun with when the filter is left out.
    const BELOW_FILTER: &'static str = "below-filter:";

    /// By its name, and which layers are to hold it.
    pub fn named(name: &OsStr) -> Option<(Self, Layers)> {
        let name = name.to_str()?;
        let (name, layers) = match name.strip_prefix(Self::BELOW_FILTER) {
            Some(name) => (name, Layers::BelowFilter),
            None => (name, Layers::All),
        };
        Some((Self::ALL.into_iter().find(|(_, known)| *known == name)?.0, layers))
    }

    fn argument(self, layers: Layers) -> String {
        let name = Self::ALL.into_iter().find(|(attempt, _)| *attempt == self).map_or("", |(_, name)| name);
        match layers {
            Layers::All => name.to_owned(),
            Layers::BelowFilter => format!("{}{name}", Self::BELOW_FILTER),
        }
    }

    /// Tries it in this process.
    pub fn outcome(self) -> Outcome {
        match self.make() {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Refused(error.to_string()),
        }
    }

    fn make(self) -> io::Result<()> {
        match self {
            Self::ReadFile => File::open("/proc/self/exe").map(drop),
            Self::ReadFolder => fs::read_dir("/").map(drop),
            // There, and never to be written to.
            Self::WriteFile => File::options().append(true).open("/dev/null").map(drop),
            Self::Socket => UdpSocket::bind("127.0.0.1:0").map(drop),
            Self::Exec => Err(Command::new("/proc/self/exe").arg("--version").exec()),
            Self::Fork => {
                Command::new("/proc/self/exe").arg("--version").spawn().and_then(|mut other| other.wait()).map(drop)
            }
            Self::Thread => std::thread::Builder::new().spawn(|| ()).map(drop),
            Self::Signal => getppid().map_or(Ok(()), |service| Ok(test_kill_process(service)?)),
            Self::Trace => sys::be_traced(),
            Self::Code => sys::executable_memory(),
        }
    }

    /// Has a decoder try it, and sees what comes of it.
    ///
    /// # Errors
    /// When the decoder cannot be started.
    pub fn see(self, program: &Path, layers: Layers) -> io::Result<Seen> {
        let mut decoder = Decoder::start(program, &[child::ARGUMENT, &self.argument(layers)])?;
        decoder.greet()?;
        match decoder.hear() {
            Ok(Outcome::Done) => Ok(Seen::Done),
            Ok(Outcome::Refused(why)) => Ok(Seen::Refused(why)),
            // Nothing was told: it became another program, or it is no more.
            Err(_) => Ok(match decoder.end().signal() {
                Some(libc::SIGSYS) => Seen::Killed,
                _ => Seen::Done,
            }),
        }
    }
}

/// Tries every way out; gives those that are open.
///
/// # Errors
/// When no decoder can be started to try.
pub fn holes(program: &Path, layers: Layers) -> io::Result<Vec<&'static str>> {
    let mut open = Vec::new();
    for (attempt, name) in Attempt::ALL {
        if attempt.see(program, layers)? == Seen::Done {
            open.push(name);
        }
    }
    Ok(open)
}
