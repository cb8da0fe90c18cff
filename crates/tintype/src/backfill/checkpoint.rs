//! What came of each object, in a file that outlives a kill: a line is appended for each, none is ever changed.
//!
//! The first line says what the file is of, and a run that is of something else is refused. Lines go to the system as
//! they come, so a killed process loses none; they are forced to disk at most once a second and at the end, so a machine
//! that loses power may lose a second of them. Those objects are found done by their manifests.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::place::Place;
use super::select::Selection;
use super::{Finished, Outcome};
use crate::aside::aside;
use crate::config::Config;
use crate::error::Failure;
use crate::manifest::{ENGINE, PresetRef};
use crate::preset::hex;
use crate::store::Listed;

/// The version of the format.
const FORMAT: u32 = 1;
/// Lines are forced to disk once in this time.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// What a checkpoint is of: the first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format; its name tells what the file is.
    pub tintype_backfill: u32,
    /// The bucket.
    pub bucket: String,
    /// The prefix.
    pub prefix: String,
    /// The store, if it is not AWS.
    pub endpoint: Option<String>,
    /// Where keys of variants come from.
    pub upload_prefix: String,
    /// Where variants go.
    pub variants_folder: String,
    /// Every preset that may be used.
    pub presets: Vec<PresetRef>,
    /// Which program.
    pub engine: String,
}

/// One line for one object.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    key: String,
    etag: Option<String>,
    result: Was,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    retryable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

/// What came of an object that needs no more work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Was {
    /// Every variant is there.
    Done,
    /// It came to nothing.
    Failed,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It is of another run, or no checkpoint at all.
    #[error("{0}")]
    Wrong(String),
    /// Another backfill has it.
    #[error("another backfill is running on {0}: wait for it, or give this one a file of its own with --checkpoint")]
    Busy(PathBuf),
    /// The disk.
    #[error("cannot use the checkpoint {0}: {1}")]
    Io(PathBuf, io::Error),
}

impl Header {
    /// Of a run.
    pub fn new(config: &Config, place: &Place, selection: &Selection) -> Self {
        Self {
            tintype_backfill: FORMAT,
            bucket: place.bucket.clone(),
            prefix: place.prefix.clone(),
            endpoint: config.s3(&place.bucket).endpoint.map(String::from),
            upload_prefix: selection.layout.prefix().to_owned(),
            variants_folder: selection.layout.folder().to_owned(),
            presets: selection.presets.all().into_iter().map(|preset| preset.reference()).collect(),
            engine: ENGINE.to_owned(),
        }
    }

    /// The file's name where none was given: equal runs have equal ones.
    pub fn default_path(&self) -> PathBuf {
        let hash = hex(&Sha256::digest(self.line())[..4]);
        PathBuf::from(format!("tintype-backfill-{}-{hash}.jsonl", self.bucket))
    }

    fn line(&self) -> String {
        line(self)
    }

    /// The first thing in which a file's header is of something else.
    fn difference(&self, file: &Self) -> Option<String> {
        let presets = |header: &Self| {
            let presets = header.presets.iter().map(|preset| format!("{} ({})", preset.name, preset.version));
            presets.collect::<Vec<_>>().join(", ")
        };
        let endpoint = |header: &Self| header.endpoint.clone().unwrap_or_else(|| "AWS".to_owned());
        let pairs = [
            ("format", file.tintype_backfill.to_string(), self.tintype_backfill.to_string()),
            ("bucket", file.bucket.clone(), self.bucket.clone()),
            ("prefix", format!("{:?}", file.prefix), format!("{:?}", self.prefix)),
            ("endpoint", endpoint(file), endpoint(self)),
            ("upload.prefix", file.upload_prefix.clone(), self.upload_prefix.clone()),
            ("variants.folder", file.variants_folder.clone(), self.variants_folder.clone()),
            ("preset", presets(file), presets(self)),
            ("engine", file.engine.clone(), self.engine.clone()),
        ];
        let (what, file, run) = pairs.into_iter().find(|(_, file, run)| file != run)?;
        Some(format!("it is of {what} {file}, and this run is of {what} {run}"))
    }
}

/// What a checkpoint knows: seventeen bytes an object, whatever its name is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known(Arc<Vec<(Id, Was)>>);

type Id = [u8; 16];

impl Known {
    /// Of lines in their order: the last on an object counts.
    fn new(mut lines: Vec<(Id, Option<Was>)>) -> Self {
        lines.sort_by_key(|(id, _)| *id);
        let mut last: Vec<(Id, Was)> = Vec::new();
        let mut rest = lines.into_iter().peekable();
        while let Some((id, was)) = rest.next() {
            if rest.peek().is_none_or(|(next, _)| *next != id) {
                last.extend(was.map(|was| (id, was)));
            }
        }
        Self(Arc::new(last))
    }

    /// What came of an object, in the state it is in now.
    pub fn was(&self, object: &Listed) -> Option<Was> {
        let id = id(&object.name, object.etag.as_deref());
        let at = self.0.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.0[at].1)
    }

    /// How many of each it knows: done and failed.
    pub fn counts(&self) -> (usize, usize) {
        let done = self.0.iter().filter(|(_, was)| *was == Was::Done).count();
        (done, self.0.len() - done)
    }
}

/// A replaced object is another one.
fn id(name: &str, etag: Option<&str>) -> Id {
    let hash = Sha256::digest([name, etag.unwrap_or_default()].join("\0"));
    let mut id = Id::default();
    id.copy_from_slice(&hash[..16]);
    id
}

/// A checkpoint in use by this run.
#[derive(Debug)]
pub struct Checkpoint {
    file: Arc<File>,
    known: Known,
    synced: Instant,
    unsynced: bool,
}

impl Checkpoint {
    /// Opens or makes it. No other run can until it is dropped, however this process ends.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(path: &Path, header: &Header) -> Result<Self, CheckpointError> {
        let io = |error| CheckpointError::Io(path.to_owned(), error);
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CheckpointError::Busy(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let read = read(&file, path, header)?;
        // What a crash cut off is gone, and the next line begins a new one.
        file.set_len(read.whole).map_err(io)?;
        if read.whole == 0 {
            (&file).write_all(header.line().as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        }
        Ok(Self { file: Arc::new(file), known: read.known, synced: Instant::now(), unsynced: false })
    }

    /// What it knows, without using it; nothing, if there is none.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn peek(path: &Path, header: &Header) -> Result<Known, CheckpointError> {
        match File::open(path) {
            Ok(file) => Ok(read(&file, path, header)?.known),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Known::default()),
            Err(error) => Err(CheckpointError::Io(path.to_owned(), error)),
        }
    }

    /// What it knew when it was opened. A listing names no object twice, so what came since is not asked for.
    pub fn known(&self) -> Known {
        self.known.clone()
    }

    /// Appends what came of an object.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub async fn record(&mut self, finished: &Finished) -> io::Result<()> {
        let Some(line) = line_of(finished) else { return Ok(()) };
        // One write, so that a line is cut off by the disk alone.
        (&*self.file).write_all(line.as_bytes())?;
        self.unsynced = true;
        if self.synced.elapsed() >= SYNC_EVERY { self.sync().await } else { Ok(()) }
    }

    /// Forces all lines to disk.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub async fn sync(&mut self) -> io::Result<()> {
        if self.unsynced {
            let file = self.file.clone();
            aside(move || file.sync_data()).await.map_err(io::Error::other)??;
            self.unsynced = false;
        }
        self.synced = Instant::now();
        Ok(())
    }
}

/// The line on an object, if there is anything worth keeping.
fn line_of(finished: &Finished) -> Option<String> {
    let (result, error, retryable) = match &finished.outcome {
        Outcome::Done(_) | Outcome::Already(_) => (Was::Done, None, false),
        Outcome::Failed(failure) => (Was::Failed, Some(failure.clone()), false),
        Outcome::Passing(failure) => (Was::Failed, Some(failure.clone()), true),
        Outcome::Known(_) | Outcome::Skipped(_) | Outcome::NotBegun => return None,
    };
    let (key, etag) = (finished.object.name.clone(), finished.object.etag.clone());
    Some(line(&Line { key, etag, result, retryable, error }))
}

fn line(content: &impl Serialize) -> String {
    format!("{}\n", serde_json::to_string(content).unwrap_or_default())
}

struct Read {
    known: Known,
    /// Bytes up to the end of the last whole line.
    whole: u64,
}

fn read(mut file: &File, path: &Path, header: &Header) -> Result<Read, CheckpointError> {
    let io = |error| CheckpointError::Io(path.to_owned(), error);
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let mut from = BufReader::new(file);
    let (mut text, mut lines, mut whole, mut number) = (Vec::new(), Vec::new(), 0, 0);
    loop {
        text.clear();
        let length = from.read_until(b'\n', &mut text).map_err(io)?;
        number += 1;
        if text.last() != Some(&b'\n') {
            // Of a first line that was cut off there is nothing but its beginning: all else is another file.
            if number == 1 && !header.line().as_bytes().starts_with(&text) {
                return Err(not_one(path));
            }
            return Ok(Read { known: Known::new(lines), whole });
        }
        if number == 1 {
            let of: Header = serde_json::from_slice(&text).map_err(|_| not_one(path))?;
            if let Some(difference) = header.difference(&of) {
                return Err(CheckpointError::Wrong(format!(
                    "{} is the checkpoint of another backfill: {difference}. Leave --checkpoint out, or name another file",
                    path.display()
                )));
            }
        } else {
            let Line { key, etag, result, retryable, .. } = serde_json::from_slice(&text).map_err(|error| {
                CheckpointError::Wrong(format!("{} is damaged in line {number}: {error}. Move it away: the manifests in the bucket still tell what is done", path.display()))
            })?;
            lines.push((id(&key, etag.as_deref()), Some(result).filter(|_| !retryable)));
        }
        whole += length as u64;
    }
}

fn not_one(path: &Path) -> CheckpointError {
    CheckpointError::Wrong(format!("{} is no checkpoint of a backfill; it was left as it is", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    use tempfile::TempDir;
    use time::OffsetDateTime;

    fn header() -> Header {
        Header {
            tintype_backfill: FORMAT,
            bucket: "photos".into(),
            prefix: "temp/".into(),
            endpoint: None,
            upload_prefix: "temp/".into(),
            variants_folder: "image/".into(),
            presets: vec![PresetRef { name: "default".into(), version: "0123".into() }],
            engine: ENGINE.into(),
        }
    }

    fn object(name: &str, etag: &str) -> Listed {
        Listed { name: name.into(), size: 1, etag: Some(etag.into()), modified: OffsetDateTime::UNIX_EPOCH }
    }

    fn failed(name: &str) -> Finished {
        Finished { object: object(name, "e"), outcome: Outcome::Failed(Failure::new("corrupt", "cut off")) }
    }

    fn path(dir: &TempDir) -> PathBuf {
        dir.path().join("checkpoint")
    }

    async fn with_failures(path: &Path, names: &[&str]) {
        let mut checkpoint = Checkpoint::open(path, &header()).unwrap();
        for name in names {
            checkpoint.record(&failed(name)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_was_recorded_is_known_the_next_time() {
        let dir = TempDir::new().unwrap();
        with_failures(&path(&dir), &["a", "b"]).await;
        let known = Checkpoint::open(&path(&dir), &header()).unwrap().known();
        assert_eq!(known.was(&object("a", "e")), Some(Was::Failed));
        assert_eq!(known.was(&object("a", "replaced")), None);
        assert_eq!(known.was(&object("c", "e")), None);
        assert_eq!(known.counts(), (0, 2));
        assert_eq!(Checkpoint::peek(&path(&dir), &header()).unwrap(), known);
    }

    #[tokio::test]
    async fn the_last_line_counts_and_what_may_pass_is_not_known() {
        let dir = TempDir::new().unwrap();
        with_failures(&path(&dir), &["a", "b"]).await;
        let mut text = std::fs::read_to_string(path(&dir)).unwrap();
        text.push_str("{\"key\":\"a\",\"etag\":\"e\",\"result\":\"done\"}\n");
        text.push_str("{\"key\":\"b\",\"etag\":\"e\",\"result\":\"failed\",\"retryable\":true}\n");
        std::fs::write(path(&dir), text).unwrap();
        let known = Checkpoint::peek(&path(&dir), &header()).unwrap();
        assert_eq!(known.was(&object("a", "e")), Some(Was::Done));
        assert_eq!(known.was(&object("b", "e")), None);
    }

    #[tokio::test]
    async fn a_line_that_was_cut_off_costs_that_line_alone() {
        let dir = TempDir::new().unwrap();
        with_failures(&path(&dir), &["a", "b", "c"]).await;
        let whole = std::fs::read(path(&dir)).unwrap();
        let last_line = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
        for cut in last_line..whole.len() {
            std::fs::write(path(&dir), &whole[..cut]).unwrap();
            assert_eq!(Checkpoint::peek(&path(&dir), &header()).unwrap().counts(), (0, 2), "{cut}");
            with_failures(&path(&dir), &["c"]).await;
            assert_eq!(std::fs::read(path(&dir)).unwrap(), whole, "{cut}");
        }
    }

    #[tokio::test]
    async fn a_first_line_that_was_cut_off_is_written_again() {
        let dir = TempDir::new().unwrap();
        for cut in 0..header().line().len() {
            std::fs::write(path(&dir), &header().line()[..cut]).unwrap();
            drop(Checkpoint::open(&path(&dir), &header()).unwrap());
            assert_eq!(std::fs::read_to_string(path(&dir)).unwrap(), header().line(), "{cut}");
        }
    }

    #[test]
    fn another_run_and_another_file_are_refused_and_left_alone() {
        let dir = TempDir::new().unwrap();
        let other = |change: fn(&mut Header)| {
            let mut other = header();
            change(&mut other);
            other.line()
        };
        for (text, says) in [
            (other(|h| h.bucket = "elsewhere".into()), "it is of bucket elsewhere, and this run is of bucket photos"),
            (other(|h| h.prefix = "x/".into()), "prefix \"x/\""),
            (other(|h| h.endpoint = Some("http://localhost".into())), "endpoint http://localhost"),
            (other(|h| h.presets[0].version = "4567".into()), "preset default (4567)"),
            (other(|h| h.engine = "tintype 0.0.1".into()), "engine tintype 0.0.1"),
            (other(|h| h.variants_folder = "thumbs/".into()), "variants.folder thumbs/"),
            ("a letter\n".to_owned(), "no checkpoint"),
            ("no line".to_owned(), "no checkpoint"),
            (format!("{}broken\n{}", header().line(), "{}\n"), "damaged in line 2"),
        ] {
            std::fs::write(path(&dir), &text).unwrap();
            let error = Checkpoint::open(&path(&dir), &header()).unwrap_err();
            assert!(matches!(&error, CheckpointError::Wrong(why) if why.contains(says)), "{error}");
            assert_eq!(std::fs::read_to_string(path(&dir)).unwrap(), text);
        }
    }

    #[test]
    fn two_runs_do_not_share_one() {
        let dir = TempDir::new().unwrap();
        let first = Checkpoint::open(&path(&dir), &header()).unwrap();
        assert!(matches!(Checkpoint::open(&path(&dir), &header()), Err(CheckpointError::Busy(_))));
        drop(first);
        assert!(Checkpoint::open(&path(&dir), &header()).is_ok());
    }

    #[test]
    fn equal_runs_have_equal_files() {
        let other = Header { prefix: "x/".into(), ..header() };
        assert_eq!(header().default_path(), header().default_path());
        assert_ne!(header().default_path(), other.default_path());
        assert!(header().default_path().to_str().unwrap().starts_with("tintype-backfill-photos-"));
    }
}
