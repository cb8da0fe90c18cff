//! The service's end of one decoder: a child process, and the wire to it.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde::de::DeserializeOwned;
use tintype_image::{Limits, Probe};
use tokio::sync::OwnedSemaphorePermit;

use super::ending::Ending;
use super::protocol::{Answer, Ask, Place, Told, receive, receive_bytes, send};
use super::report::{Enforced, Piece};
use super::verify;
use crate::preset::Preset;
use crate::process::{File, Rendered};

/// How long a fresh decoder may take to close its box.
const START: Duration = Duration::from_secs(20);
/// How long a decoder that was hung up on may take to end.
const GOODBYE: Duration = Duration::from_millis(500);
/// Bytes of address space that any job may take, beside twice what was estimated for its pixels.
const ROOM: u64 = 64 << 20;
/// Bytes of address space of a decoder at rest, where the kernel does not tell.
const AT_REST: u64 = 1 << 30;
/// Most bytes of what an ending decoder said that are read.
const LAST_WORDS: u64 = 4096;

/// One decoder, idle or in hand.
#[derive(Debug)]
pub struct Decoder {
    process: Child,
    wire: UnixStream,
    jobs: u32,
}

/// One original's pixels.
pub struct Job {
    /// The original.
    pub upload: Bytes,
    /// What to make of it.
    pub preset: Arc<Preset>,
    /// What its header says.
    pub header: Probe,
    /// What it may cost.
    pub limits: Limits,
    /// Bytes that its pixels are estimated to take.
    pub needed: u64,
    /// How long it may take.
    pub time: Duration,
    /// How much longer a decoder may take to notice.
    pub grace: Duration,
    /// Its share of the memory, held until it is done with.
    pub share: Option<OwnedSemaphorePermit>,
}

impl Job {
    /// Bytes that a decoder may grow by for it.
    fn room(&self) -> u64 {
        ROOM.saturating_add(self.needed.saturating_mul(2))
    }
}

impl Decoder {
    /// Starts one: with the wire as its input, an empty environment, and nothing else of this process. Call it on a
    /// thread that outlives it: the kernel kills it with its thread.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start(program: &Path, arguments: &[&str]) -> io::Result<Self> {
        let (wire, other) = UnixStream::pair()?;
        let process = Command::new(program)
            .arg0("tintype")
            .args(arguments)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(other))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C at a terminal is for the service.
            .process_group(0)
            .spawn()?;
        Ok(Self { process, wire, jobs: 0 })
    }

    /// Waits until it has closed its box; gives what holds it.
    ///
    /// # Errors
    /// When it does not.
    pub fn greet(&mut self) -> io::Result<Enforced> {
        let mut enforced: Enforced = match self.hear() {
            Ok(enforced) => enforced,
            Err(_) => return Err(io::Error::other(format!("it ended before it began: {}", self.describe()))),
        };
        if let Err(error) = self.bound_memory(ROOM) {
            enforced.limits = Piece::Lacks(format!("memory cannot be bounded: {error}"));
        }
        Ok(enforced)
    }

    /// Reads a head within the time of a start.
    ///
    /// # Errors
    /// Those of the wire.
    pub fn hear<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        receive(&mut Timed { wire: &self.wire, until: Instant::now() + START })
    }

    /// Whether it is there to be given a job.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Jobs that it has done.
    pub fn jobs(&self) -> u32 {
        self.jobs
    }

    /// Bytes of memory that it holds; none where the kernel does not tell.
    pub fn resident(&self) -> Option<u64> {
        self.pages(1)
    }

    /// Has it do a job. The inner result is the image's.
    ///
    /// # Errors
    /// How the decoder failed; it is good for nothing more.
    pub fn render(&mut self, job: &Job) -> Result<Result<Rendered, tintype_image::Error>, Ending> {
        let until = Instant::now() + job.time + job.grace;
        // Where memory cannot be bounded, the start has told so.
        let _ = self.bound_memory(job.room());
        let made = self.exchange(job, until);
        self.jobs += 1;
        made.map_err(|failed| match failed {
            Failed::Wire(error) if is_slow(&error) => Ending::Slow(job.time),
            Failed::Wire(error) if error.kind() == ErrorKind::InvalidData => Ending::Garbled(error.to_string()),
            Failed::Wire(_) => self.ended(job),
            Failed::Answer(why) => Ending::Garbled(why.to_owned()),
        })
    }

    fn exchange(&self, job: &Job, until: Instant) -> Result<Result<Rendered, tintype_image::Error>, Failed> {
        let mut wire = Timed { wire: &self.wire, until };
        let specs = &job.preset.variants;
        let ask = Ask {
            specs: specs.into(),
            metadata: job.preset.metadata,
            max_pixels: job.limits.max_pixels,
            max_frames: job.limits.max_frames,
            damaged: job.limits.damaged,
            millis: job.time.as_millis().try_into().unwrap_or(u64::MAX),
            upload: job.upload.len() as u64,
        };
        send(&mut wire, &ask)?;
        wire.write_all(&job.upload)?;
        let (facts, told, damaged) = match receive(&mut wire)? {
            Answer::Rendered { facts, variants, damaged } => (facts, variants, damaged),
            Answer::Refused(error) => return Ok(Err(verify::refusal(error))),
        };
        verify::facts(&facts, &job.header)?;
        let damaged = damaged.map(|damage| verify::damage(damage, ask.damaged)).transpose()?;
        verify::variants(&told, specs, &job.header, ask.upload, job.room())?;
        let files = told.into_iter().map(|told| file(&mut wire, told, &job.upload));
        Ok(Ok(Rendered { facts, files: files.collect::<Result<_, Failed>>()?, damaged }))
    }

    /// Lets it grow by so many bytes and no more.
    fn bound_memory(&self, room: u64) -> io::Result<()> {
        let most = self.pages(0).unwrap_or(AT_REST).saturating_add(room);
        let hard = getrlimit(Resource::As).maximum;
        let bound = Rlimit { current: Some(hard.map_or(most, |hard| hard.min(most))), maximum: hard };
        prlimit(Pid::from_raw(self.process.id().cast_signed()), Resource::As, bound)?;
        Ok(())
    }

    /// A field of its `statm`, in bytes: 0 what it has mapped, 1 what of that is in memory.
    fn pages(&self, field: usize) -> Option<u64> {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.process.id())).ok()?;
        Some(statm.split(' ').nth(field)?.parse::<u64>().ok()? * rustix::param::page_size() as u64)
    }

    /// How it ended, that hung up in the middle of a job.
    fn ended(&mut self, job: &Job) -> Ending {
        let status = self.end();
        let said = self.last_words();
        // Rust's own words, where memory has run out. C code tells of that itself.
        if status.signal() == Some(libc::SIGABRT) && said.contains("memory allocation of") {
            return Ending::Exhausted(job.room());
        }
        Ending::Crashed { how: status.to_string(), said }
    }

    fn describe(&mut self) -> String {
        let status = self.end();
        format!("{status} {}", self.last_words()).trim().to_owned()
    }

    /// Sees to it that it is no more, and how it ended. What ends by itself has a moment to do so.
    pub fn end(&mut self) -> ExitStatus {
        let _ = self.wire.shutdown(std::net::Shutdown::Both);
        let until = Instant::now() + GOODBYE;
        loop {
            match self.process.try_wait() {
                Ok(Some(status)) => return status,
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(1)),
                _ => return self.kill(),
            }
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) -> ExitStatus {
        let _ = self.process.kill();
        self.process.wait().unwrap_or_default()
    }

    /// What it wrote before it ended, in printable characters. For the log alone: it may be the image's words.
    fn last_words(&mut self) -> String {
        let mut said = Vec::new();
        if let Some(stderr) = &mut self.process.stderr {
            let _ = rustix::io::ioctl_fionbio(&*stderr, true);
            let _ = stderr.take(LAST_WORDS).read_to_end(&mut said);
        }
        let plain = |byte: u8| if matches!(byte, 0x20..=0x7E) { char::from(byte) } else { ' ' };
        said.into_iter().map(plain).collect::<String>().trim().to_owned()
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.end();
    }
}

/// What went wrong in an exchange.
enum Failed {
    Wire(io::Error),
    Answer(verify::Garbled),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Wire(error)
    }
}

impl From<verify::Garbled> for Failed {
    fn from(why: verify::Garbled) -> Self {
        Self::Answer(why)
    }
}

fn is_slow(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// A variant's file, from the wire or from the upload.
fn file(wire: &mut Timed<'_>, told: Told, upload: &Bytes) -> Result<File, Failed> {
    let bytes = match told.place {
        // Both lie within the upload: that was looked at.
        Place::Upload { start, end } => upload.slice(start as usize..end as usize),
        Place::Follows(length) => receive_bytes(wire, length)?.into(),
    };
    verify::file(&bytes, &told)?;
    let Told { name, format, width, height, .. } = told;
    Ok(File { name, bytes, format, width, height })
}

/// The wire, up to a time.
struct Timed<'a> {
    wire: &'a UnixStream,
    until: Instant,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wire.set_read_timeout(self.left()?)?;
        (&mut &*self.wire).read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wire.set_write_timeout(self.left()?)?;
        (&mut &*self.wire).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
