//! Between httpd's strings and the file names of the system.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// The file with a name of httpd.
#[cfg(unix)]
pub(super) fn path_of(name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(name))
}

/// The file with a name of httpd.
#[cfg(not(unix))]
pub(super) fn path_of(name: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(name).into_owned())
}

/// The name that httpd knows a file by.
#[cfg(unix)]
pub(super) fn name_of(path: &Path) -> Cow<'_, [u8]> {
    use std::os::unix::ffi::OsStrExt;
    Cow::Borrowed(path.as_os_str().as_bytes())
}

/// The name that httpd knows a file by.
#[cfg(not(unix))]
pub(super) fn name_of(path: &Path) -> Cow<'_, [u8]> {
    Cow::Owned(path.to_string_lossy().into_owned().into_bytes())
}
