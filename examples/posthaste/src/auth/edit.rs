//! Changes the users file: under a lock, and so that a reader or a crash
//! finds either the old file or the new one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use mailstore::{Fs, RealFs};

use super::hash::PasswordHash;
use super::users::check_name;
use super::{User, UsersError};

/// Adds a user.
///
/// # Errors
/// [`UsersError`]: the name is no name or is taken, the password is empty, or
/// the file cannot be changed.
pub fn add(path: &Path, name: &str, password: &[u8]) -> Result<(), UsersError> {
    check_name(name).map_err(|reason| UsersError::Name {
        name: name.to_owned(),
        reason,
    })?;
    let field = hash(password)?;
    change(path, |lines| {
        if position(lines, name).is_some() {
            return Err(UsersError::Exists(name.to_owned()));
        }
        lines.push(format!("{name}:{field}"));
        Ok(())
    })
}

/// Gives a user another password; everything else of the line stays.
///
/// # Errors
/// [`UsersError`]: there is no such user, the password is empty, or the file
/// cannot be changed.
pub fn set_password(path: &Path, name: &str, password: &[u8]) -> Result<(), UsersError> {
    let field = hash(password)?;
    change(path, |lines| {
        let line = position(lines, name)
            .and_then(|at| lines.get_mut(at))
            .ok_or_else(|| UsersError::Unknown(name.to_owned()))?;
        let rest = line.splitn(3, ':').nth(2);
        *line = match rest {
            Some(rest) => format!("{name}:{field}:{rest}"),
            None => format!("{name}:{field}"),
        };
        Ok(())
    })
}

/// Takes a user away; the mail stays where it is.
///
/// # Errors
/// [`UsersError`]: there is no such user, or the file cannot be changed.
pub fn delete(path: &Path, name: &str) -> Result<(), UsersError> {
    change(path, |lines| {
        let at = position(lines, name).ok_or_else(|| UsersError::Unknown(name.to_owned()))?;
        lines.remove(at);
        Ok(())
    })
}

/// Every user, in the order of names, those included who cannot log in.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn list(path: &Path) -> Result<Vec<std::sync::Arc<User>>, UsersError> {
    Ok(super::Users::open(path)?.list())
}

fn hash(password: &[u8]) -> Result<String, UsersError> {
    if password.is_empty() {
        return Err(UsersError::EmptyPassword);
    }
    Ok(PasswordHash::new(password)?.to_field())
}

fn position(lines: &[String], name: &str) -> Option<usize> {
    lines
        .iter()
        .position(|line| line.split(':').next() == Some(name))
}

/// Reads the lines, changes them, and puts the new file in the old one's
/// place.
fn change(
    path: &Path,
    edit: impl FnOnce(&mut Vec<String>) -> Result<(), UsersError>,
) -> Result<(), UsersError> {
    let failed = |error| UsersError::Io {
        path: path.to_owned(),
        error,
    };
    // The file itself where a symbolic link leads to it, or the link would be
    // replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let _lock = lock(&beside(&path, "lock")).map_err(failed)?;
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    edit(&mut lines)?;
    let mut text = lines.join("\n");
    text.push('\n');
    replace(&path, text.as_bytes()).map_err(failed)
}

/// Waits for the lock; it is gone with the file that is given back.
fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.lock()?;
    Ok(file)
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let fresh = beside(path, "new");
    // Left behind by a crash; the lock says that nobody else is writing.
    match RealFs.unlink(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = RealFs.create_excl(&fresh)?;
    if let Ok(metadata) = fs::metadata(path) {
        fs::set_permissions(&fresh, metadata.permissions())?;
    }
    file.write_all_at(content, 0)?;
    file.sync()?;
    RealFs.rename(&fresh, path)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => RealFs.fsync_dir(folder),
        _ => RealFs.fsync_dir(Path::new(".")),
    }
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::{Tested, Users};
    use super::*;

    #[test]
    fn add_change_delete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let users = Users::open(&path).unwrap();
        add(&path, "ann", b"one").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(
            add(&path, "ann", b"x"),
            Err(UsersError::Exists(_))
        ));
        assert!(matches!(users.test("ann", b"one"), Tested::Accepted { .. }));
        // Comments, order and other fields stay.
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("# mine\n\nbob:!:1:1::/srv/bob:\n{text}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        set_password(&path, "bob", b"two").unwrap();
        assert!(matches!(users.test("bob", b"two"), Tested::Accepted { .. }));
        assert!(matches!(users.test("ann", b"one"), Tested::Accepted { .. }));
        assert_eq!(
            users.find("bob").unwrap().home.as_deref(),
            Some(Path::new("/srv/bob"))
        );
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# mine\n\nbob:{ARGON2ID}$argon2id$"));
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        delete(&path, "ann").unwrap();
        assert_eq!(users.test("ann", b"one"), Tested::UnknownUser);
        assert!(matches!(delete(&path, "ann"), Err(UsersError::Unknown(_))));
        assert!(matches!(
            set_password(&path, "ann", b"x"),
            Err(UsersError::Unknown(_))
        ));
        assert_eq!(list(&path).unwrap().len(), 1);
    }

    #[test]
    fn names_and_passwords_that_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        for name in ["", ".", "..", "a/b", "a:b", "a b", "#a", "-a", ".a", "a\nb"] {
            assert!(
                matches!(add(&path, name, b"x"), Err(UsersError::Name { .. })),
                "{name:?}"
            );
        }
        assert!(matches!(
            add(&path, "a", b""),
            Err(UsersError::EmptyPassword)
        ));
        assert!(!path.exists());
        add(&path, "ann@example.org", b"x").unwrap();
    }

    #[test]
    fn many_writers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = &path;
                scope.spawn(move || add(path, &format!("user{number}"), b"x").unwrap());
            }
        });
        assert_eq!(list(&path).unwrap().len(), 8);
    }

    #[test]
    fn a_symbolic_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("users"), folder.path().join("link"));
        fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        add(&link, "ann", b"x").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(list(&path).unwrap().len(), 1);
    }
}
