//! Who does it, and whether he means it.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::failure::Failure;

/// This process, as people of other computers know it.
pub(super) fn who() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = Some(host.trim()).filter(|host| !host.is_empty()).unwrap_or("a computer");
    let user = rustix::process::getuid().as_raw();
    format!("user {user} on {host} (process {})", std::process::id())
}

/// The platform's name must be typed: it is gone for good then.
pub(super) fn be_sure(name: &str, yes: Option<&str>) -> anyhow::Result<()> {
    let typed = match yes {
        Some(typed) => typed.to_owned(),
        None if io::stdin().is_terminal() => ask(name)?,
        None => {
            let sentence = "nobody is there to be asked whether it is meant".to_owned();
            let hint = format!("say so: --yes {name}");
            return Err(Failure::Typed { sentence, hint }.into());
        }
    };
    if typed == name {
        return Ok(());
    }
    let sentence = format!("{typed:?} is not the platform's name: nothing was removed");
    let hint = format!("the file describes the platform {name}");
    Err(Failure::Typed { sentence, hint }.into())
}

fn ask(name: &str) -> io::Result<String> {
    let mut stderr = io::stderr();
    write!(
        stderr,
        "This removes the platform {name}, its apps and all they have. Type its name: "
    )?;
    stderr.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_itself_removes_a_platform() {
        assert!(be_sure("shop", Some("shop")).is_ok());
        for typed in ["", "yes", "Shop", "shop2"] {
            assert!(be_sure("shop", Some(typed)).is_err(), "{typed}");
        }
    }
}
