//! Small files: read whole, and replaced at once.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use mailstore::{File, Fs as _, Kind, RealFs};

/// What a file is called that is not yet published: this, and a number.
pub(crate) const PREFIX: &str = ".posthaste-new-";

/// A name in a folder that nothing has: its number is drawn, so that no two
/// programs take the same one.
pub(crate) fn fresh_name(folder: &Path, prefix: &str) -> io::Result<PathBuf> {
    let mut number = [0; 8];
    getrandom::fill(&mut number).map_err(io::Error::other)?;
    let number = u64::from_ne_bytes(number);
    Ok(folder.join(format!("{prefix}{number:016x}")))
}

/// Whether [`fresh_name`] may have made this one.
pub(crate) fn is_fresh(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|number| {
        number.len() == 16 && number.bytes().all(|octet| octet.is_ascii_hexdigit())
    })
}

/// Puts a file in its place; whatever happens, the old one or the new one is
/// there, whole. It can be read by its owner alone, unless it is to be `like`
/// another.
pub(crate) fn publish(path: &Path, octets: &[u8], like: Option<&fs::Metadata>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let fresh = fresh_name(folder, PREFIX)?;
    let file = RealFs.create_excl(&fresh)?;
    let write = || {
        if let Some(like) = like {
            // Who may not give files away keeps them.
            let _ = chown(&fresh, Some(like.uid()), Some(like.gid()));
            fs::set_permissions(&fresh, like.permissions())?;
        }
        file.write_all_at(octets, 0)?;
        file.sync()?;
        RealFs.rename(&fresh, path)?;
        RealFs.fsync_dir(folder)
    };
    write().inspect_err(|_| {
        // The first error is the one to tell.
        let _ = RealFs.unlink(&fresh);
    })
}

/// A file's octets; an error for what is no file, or has more than `limit`.
///
/// It lies where others may write, a home for one: nothing is waited for that
/// is put in its place meanwhile, a pipe or a file that grows.
pub(crate) fn read(file: &dyn File, limit: u64) -> io::Result<Vec<u8>> {
    let stat = file.stat()?;
    if stat.kind != Kind::File {
        return Err(io::Error::other("not a file"));
    }
    let length = usize::try_from(stat.len).ok();
    let Some(length) = length.filter(|_| stat.len <= limit) else {
        return Err(io::ErrorKind::FileTooLarge.into());
    };
    let mut octets = vec![0; length];
    let mut read = 0;
    while let Some(rest) = octets.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    octets.truncate(read);
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_new_file_is_there_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        publish(&path, b"one", None).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let like = fs::metadata(&path).unwrap();
        publish(&path, b"two", Some(&like)).unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), mode(&path)),
            (b"two".to_vec(), 0o640)
        );
        // Nothing is left of one that cannot be published.
        fs::create_dir(folder.path().join("taken")).unwrap();
        assert!(publish(&folder.path().join("taken"), b"", None).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn fresh_names_are_known() {
        let name = fresh_name(Path::new("x"), ".a").unwrap();
        let name = name.file_name().unwrap().to_str().unwrap();
        assert!(is_fresh(name, ".a") && !is_fresh(name, ".b"));
        for other in [".a", ".a0123", ".a0123456789abcdef0", ".a0123456789abcdex"] {
            assert!(!is_fresh(other, ".a"), "{other}");
        }
    }

    #[test]
    fn only_small_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "four").unwrap();
        let read = |limit| read(&*RealFs.open(&path).unwrap(), limit);
        assert_eq!(read(4).unwrap(), b"four");
        assert_eq!(read(3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        fs::remove_file(&path).unwrap();
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(read(4).is_err());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(read(4).is_err());
    }
}
