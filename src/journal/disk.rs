//! Where segments live: a directory, or whatever a test puts in its place.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Holds segments by name.
pub trait Disk {
    /// A segment open for writing.
    type Segment: Segment + fmt::Debug;

    /// A new segment of `bytes` zeros, durable by name when this returns.
    fn create(&mut self, name: &str, bytes: u64) -> io::Result<Self::Segment>;

    /// Names of all segments, in order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// A whole segment.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Forgets a segment.
    fn remove(&mut self, name: &str) -> io::Result<()>;
}

/// Takes bytes from front to back.
pub trait Segment {
    /// Writes the first of `bytes` behind what was written before, and says how many.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes what was written survive the loss of power.
    fn sync(&mut self) -> io::Result<()>;

    /// Gives back what lies beyond `bytes`.
    fn trim(&mut self, bytes: u64) -> io::Result<()>;
}

/// What segments are called.
pub const EXTENSION: &str = "journal";

/// A directory of segments.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Creates the directory if there is none.
    pub fn create(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Self::open(path)
    }

    /// A directory that must be there.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::read_dir(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Disk for Directory {
    type Segment = File;

    fn create(&mut self, name: &str, bytes: u64) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create_new(true).open(self.path.join(name))?;
        reserve(&file, bytes)?;
        file.sync_all()?;
        File::open(&self.path)?.sync_all()?;
        Ok(file)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if Path::new(&name).extension().is_some_and(|extension| extension == EXTENSION) {
                names.extend(name.into_string());
            }
        }
        names.sort();
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.path.join(name))?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }
}

impl Segment for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn trim(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)?;
        self.sync_all()
    }
}

/// Gives the file its length, with blocks behind it where the file system can: the disk is then full at start-up, not in
/// the middle of a session.
#[cfg(target_os = "linux")]
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    use std::os::fd::AsFd;
    match rustix::fs::fallocate(file.as_fd(), rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(bytes),
        result => Ok(result?),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    file.set_len(bytes)
}
