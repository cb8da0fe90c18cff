//! What `tintype process` is to do: every input with its key, and no two that write the same file.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::error::Error;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tintype::error::Failure;
use tintype::key::{Key, Layout, extension_for};
use tintype::preset::Preset;
use tintype_image::Format;

/// Whether every folder can be written in that variants would go to: each is tried at the nearest folder that is there, which
/// is left as it was.
///
/// # Errors
/// The first that cannot be written in, and why.
pub fn check_writable(inputs: &[Input], out: &Path, layout: &Layout) -> Result<(), String> {
    let keys = inputs.iter().filter_map(|input| input.key.as_ref().ok());
    let inside = keys.map(|key| Path::new(key.as_str()).parent().unwrap_or(Path::new("")).to_owned());
    let folders: BTreeSet<PathBuf> = inside.map(|inside| nearest(&out.join(layout.folder()).join(inside))).collect();
    folders.iter().try_for_each(|folder| try_folder(folder))
}

/// The folder itself, or what is there of the way to it.
fn nearest(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|path| path.as_os_str().is_empty() || path.symlink_metadata().is_ok());
    // Of a relative path, the last is this folder.
    there.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn try_folder(folder: &Path) -> Result<(), String> {
    if folder.exists() && !folder.is_dir() {
        return Err(format!("{} is a file, not a folder", folder.display()));
    }
    let create = |path: &Path| fs::OpenOptions::new().write(true).create_new(true).open(path);
    let tried = tempfile::Builder::new().prefix(".tintype-").make_in(folder, create);
    // A full disk often takes the name, and no byte.
    let tried = tried.and_then(|mut file| file.write_all(&[0; 4096]));
    tried.map_err(|error| {
        let why = error.source().and_then(|inner| inner.downcast_ref::<io::Error>()).unwrap_or(&error);
        format!("cannot write in {}: {why}", folder.display())
    })
}

/// One file to work on.
#[derive(Debug, Clone)]
pub struct Input {
    /// The folder its key is relative to.
    pub root: PathBuf,
    /// As the user would name it.
    pub name: String,
    /// Its key, or why it has none.
    pub key: Result<Key, Failure>,
}

/// Every file of some paths: of a folder all but hidden ones, in the order of names; what lies in `skip` is left out.
pub fn inputs(paths: &[PathBuf], skip: &Path) -> Vec<Input> {
    let skip = fs::canonicalize(skip).ok();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk(path, path, skip.as_deref(), &mut found);
        } else {
            let root = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            found.push(input(root.unwrap_or(Path::new(".")), path));
        }
    }
    without_repeats(found)
}

/// A file that was named twice, or together with its folder, is one input.
fn without_repeats(inputs: Vec<Input>) -> Vec<Input> {
    let mut seen = HashSet::new();
    inputs.into_iter().filter(|input| input.path().is_none_or(|path| seen.insert(path))).collect()
}

fn walk(root: &Path, folder: &Path, skip: Option<&Path>, found: &mut Vec<Input>) {
    if skip.is_some() && fs::canonicalize(folder).ok().as_deref() == skip {
        return;
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            let key = Err(Failure::new("not_found", format!("cannot read the folder: {error}")));
            return found.push(Input { root: root.to_owned(), name: folder.display().to_string(), key });
        }
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        // A link to a folder may lead round in circles.
        let linked = path.is_symlink() && path.is_dir();
        if hidden || linked {
            continue;
        }
        if path.is_dir() { walk(root, &path, skip, found) } else { found.push(input(root, &path)) }
    }
}

fn input(root: &Path, path: &Path) -> Input {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let key = match relative.to_str() {
        _ if !path.exists() => Err(Failure::new("not_found", "there is no such file")),
        // A pipe or a device may never end.
        _ if !path.is_file() => Err(Failure::new("invalid_request", "not a regular file (a pipe or a device)")),
        Some(text) => Key::new(text).map_err(|e| Failure::new("invalid_request", e.to_string())),
        None => Err(Failure::new("invalid_request", "its name is not UTF-8")),
    };
    Input { root: root.to_owned(), name: path.display().to_string(), key }
}

impl Input {
    /// Where it really is.
    fn path(&self) -> Option<PathBuf> {
        fs::canonicalize(self.root.join(self.key.as_ref().ok()?.as_str())).ok()
    }
}

/// Two inputs, and the key both would write; or one that the other's variant would write over.
#[derive(Debug, PartialEq, Eq)]
pub struct Collision {
    /// The first.
    pub first: String,
    /// The second.
    pub second: String,
    /// What would be written twice.
    pub key: Key,
}

/// The inputs whose variants would write over each other's, or over an input.
pub fn collisions(inputs: &[Input], out: &Path, layout: &Layout, preset: &Preset) -> Vec<Collision> {
    let originals: HashMap<PathBuf, &Input> = inputs.iter().filter_map(|i| Some((i.path()?, i))).collect();
    let mut owners: HashMap<Key, &Input> = HashMap::new();
    let mut found: Vec<Collision> = Vec::new();
    for input in inputs {
        for key in outputs(input, layout, preset) {
            let overwritten = fs::canonicalize(out.join(key.as_str())).ok().and_then(|path| originals.get(&path));
            match overwritten.or(owners.get(&key)) {
                Some(first) if found.last().is_none_or(|last| last.second != input.name) => {
                    found.push(Collision { first: first.name.clone(), second: input.name.clone(), key });
                }
                Some(_) => {}
                None => drop(owners.insert(key, input)),
            }
        }
    }
    found
}

fn outputs(input: &Input, layout: &Layout, preset: &Preset) -> Vec<Key> {
    let Ok(key) = &input.key else {
        return Vec::new();
    };
    let format = sniff(&input.root.join(key.as_str())).unwrap_or(Format::Jpeg);
    let extension = extension_for(key, None, format);
    let mut keys = layout.possible_keys(key, preset, &extension);
    keys.extend(layout.manifest_key(key, &extension).ok());
    keys
}

fn sniff(path: &Path) -> Option<Format> {
    let mut head = Vec::new();
    fs::File::open(path).ok()?.take(32).read_to_end(&mut head).ok()?;
    Format::sniff(&head)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    use tintype_image::{MetadataPolicy, OutputFormat, VariantSpec};

    fn preset(format: OutputFormat) -> Preset {
        let spec = |name: &str, format| VariantSpec { name: name.into(), format, ..VariantSpec::default() };
        let variants = vec![spec("original", OutputFormat::Same), spec("50x50", format)];
        Preset::new("test", variants, MetadataPolicy::Keep, Vec::new())
    }

    fn plan(files: &[&str]) -> (Vec<String>, Vec<(String, String)>) {
        plan_as(files, OutputFormat::Same)
    }

    fn plan_as(files: &[&str], format: OutputFormat) -> (Vec<String>, Vec<(String, String)>) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
        let inputs = inputs(&[dir.path().to_owned()], &dir.path().join("image"));
        let layout = Layout::for_files("image/").unwrap();
        let name = |text: &str| text.rsplit('/').next().unwrap().to_owned();
        let pairs = collisions(&inputs, dir.path(), &layout, &preset(format))
            .iter()
            .map(|c| (name(&c.first), name(&c.second)))
            .collect();
        (inputs.iter().map(|i| i.key.clone().unwrap().to_string()).collect(), pairs)
    }

    #[test]
    fn a_folder_gives_all_files_but_hidden_ones_and_its_own_output() {
        let (keys, collisions) = plan(&["b.jpg", "a/c.png", ".hidden", "image/old_50x50.jpg", "temp/d.gif"]);
        assert_eq!(keys, ["a/c.png", "b.jpg", "temp/d.gif"]);
        assert!(collisions.is_empty());
    }

    #[test]
    fn inputs_that_would_write_over_each_other_are_named() {
        let pair = |a: &str, b: &str| vec![(a.to_owned(), b.to_owned())];
        assert_eq!(plan(&["a.JPG", "a.jpg"]).1, pair("a.JPG", "a.jpg"));
        assert_eq!(plan(&["a.jpg", "a_50x50.jpg"]).1, pair("a.jpg", "a_50x50.jpg"));
        assert!(plan(&["a.jpg", "a.png"]).1.is_empty());
        for format in [OutputFormat::WebP, OutputFormat::Auto] {
            assert_eq!(plan_as(&["a.jpg", "a.png"], format).1, pair("a.jpg", "a.png"), "{format:?}");
        }
    }

    #[test]
    fn an_input_is_never_written_over_and_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("image/own.jpg");
        fs::create_dir_all(own.parent().unwrap()).unwrap();
        fs::write(&own, b"x").unwrap();
        let inputs = inputs(&[own.clone(), own.clone()], &dir.path().join("elsewhere"));
        assert_eq!(inputs.len(), 1);
        let layout = Layout::for_files("image/").unwrap();
        assert_eq!(collisions(&inputs, dir.path(), &layout, &preset(OutputFormat::Same)).len(), 1);
        assert!(collisions(&inputs, &dir.path().join("out"), &layout, &preset(OutputFormat::Same)).is_empty());
    }
}
