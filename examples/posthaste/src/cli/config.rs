//! `posthaste config`

use std::process::ExitCode;

use clap::Args;
use clap::Subcommand;

use super::print;
use crate::config::{Config, KEYS, Key, unknown_key};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print what is in force, with paths and names filled in
    Show(Show),
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// Every key with its help
    #[arg(long, conflicts_with = "non_default")]
    all: bool,
    /// Only the keys that the file sets
    #[arg(long)]
    non_default: bool,
    /// Only these keys
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
}

pub(super) fn run(config: &Config, command: &Command) -> ExitCode {
    let Command::Show(show) = command;
    match lines(config, show) {
        Ok(lines) => {
            for line in lines {
                print::line(line);
            }
            ExitCode::SUCCESS
        }
        Err(errors) => {
            for error in errors {
                print::error(error);
            }
            ExitCode::FAILURE
        }
    }
}

fn lines(config: &Config, show: &Show) -> Result<Vec<String>, Vec<String>> {
    let unknown: Vec<String> = show
        .keys
        .iter()
        .filter(|name| KEYS.iter().all(|key| key.name != name.as_str()))
        .map(|name| unknown_key(name))
        .collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let wanted = |key: &&Key| {
        (show.keys.is_empty() || show.keys.iter().any(|name| name == key.name))
            && (!show.non_default || config.is_set(key.name))
    };
    let mut lines = Vec::new();
    for key in KEYS.iter().filter(wanted) {
        if show.all {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            lines.push(format!("# {}", key.help()));
            lines.push(format!("# Value: {}", key.expected));
        }
        lines.push(format!("{} = {}", key.name, key.show(config)));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(all: bool, non_default: bool, keys: &[&str]) -> Result<Vec<String>, Vec<String>> {
        let config = Config::parse("ssl = \"required\"", "/srv/x".as_ref()).unwrap();
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        lines(
            &config,
            &Show {
                all,
                non_default,
                keys,
            },
        )
    }

    #[test]
    fn all_some_and_one() {
        assert_eq!(shown(false, false, &[]).unwrap().len(), KEYS.len());
        assert_eq!(shown(false, true, &[]).unwrap(), ["ssl = \"required\""]);
        assert_eq!(
            shown(false, false, &["users_file"]).unwrap(),
            ["users_file = \"/srv/users\""]
        );
        assert!(shown(true, false, &[]).unwrap().len() > 3 * KEYS.len());
        assert_eq!(shown(true, false, &["ssl"]).unwrap().len(), 3);
        assert_eq!(
            shown(false, false, &["sll"]).unwrap_err(),
            ["unknown key sll; did you mean ssl?"]
        );
    }
}
