//! Files that only their owner may read.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Serialize;

use crate::output::Failure;

/// A folder, which is made if it does not exist.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A new file, never over another.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Says so before anything else is done, where a file is there that must not be.
pub(crate) fn refuse_existing(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!("{}: the file exists; it is not overwritten", path.display())));
    }
    Ok(())
}

/// A file without a name, beside this path: gone when it is closed, however that comes.
pub(crate) fn scratch(beside: &Path) -> io::Result<File> {
    let mut name = beside.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let path = beside.with_file_name(name);
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// A new file with these bytes, never over another. They are on the disk when this returns.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A new file with this as JSON, never over another.
pub(crate) fn write_new_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_vec_pretty(value).map_err(|error| Failure::usage(error.to_string()))?;
    write_new(path, &json).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// A file that grows at its end; new if it does not exist.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}
