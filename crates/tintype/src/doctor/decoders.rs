//! What this machine holds its decoders by. No bucket is needed for that.

use super::finding::Finding;
use crate::config::SandboxMode;

const BOX: &str = "decoder box";

/// Has decoders started for it close their box and try to get out.
pub async fn check(mode: SandboxMode) -> Vec<Finding> {
    if mode == SandboxMode::Off {
        return vec![Finding::skipped(BOX, "sandbox.mode is \"off\": images are decoded in the service's own process")];
    }
    let findings = tokio::task::spawn_blocking(move || here::look(mode)).await;
    findings.unwrap_or_else(|_| vec![Finding::problem(BOX, "looking at it crashed")])
}

#[cfg(target_os = "linux")]
mod here {
    use std::io;
    use std::path::Path;

    use super::{BOX, Finding, SandboxMode};
    use crate::sandbox::{Attempt, Layers, Piece, Pool, Seen, program};

    const WAYS_OUT: &str = "ways out of the box";
    const DOCS: &str = "docs/sandbox.md says what each layer needs";

    pub fn look(mode: SandboxMode) -> Vec<Finding> {
        let mut findings = match Pool::open(program(), 1) {
            Ok(pool) => pool.enforced().pieces().map(|(name, piece)| layer(name, piece, mode)).to_vec(),
            Err(error) => return vec![lacking(BOX, format!("no decoder can be started: {error}"), mode)],
        };
        findings.push(match ways_out(&program()) {
            Ok((closed, open)) if open.is_empty() => Finding::ok(WAYS_OUT, format!("tried: {}", closed.join(", "))),
            Ok((_, open)) => lacking(WAYS_OUT, format!("open: {}", open.join(", ")), mode),
            Err(error) => lacking(WAYS_OUT, format!("they cannot be tried: {error}"), mode),
        });
        findings
    }

    fn layer(name: &'static str, piece: &Piece, mode: SandboxMode) -> Finding {
        let check = match name {
            "limits" => "box: limits",
            "seccomp" => "box: seccomp",
            _ => "box: Landlock",
        };
        match piece {
            Piece::Holds(what) => Finding::ok(check, what),
            Piece::Lacks(why) => lacking(check, why.clone(), mode),
        }
    }

    /// The service starts all the same, but where all is required.
    fn lacking(check: &'static str, why: String, mode: SandboxMode) -> Finding {
        match mode {
            SandboxMode::Require => Finding::problem(check, why).fix(format!("{DOCS}; the service will not start")),
            _ => Finding::warning(check, why).fix(DOCS),
        }
    }

    type Ways = (Vec<String>, Vec<&'static str>);

    /// Every way out, by whether it is closed or open.
    fn ways_out(program: &Path) -> io::Result<Ways> {
        let mut ways = Ways::default();
        for (attempt, name) in Attempt::ALL {
            match attempt.see(program, Layers::All)? {
                Seen::Killed => ways.0.push(format!("{name} killed")),
                Seen::Refused(_) => ways.0.push(format!("{name} refused")),
                Seen::Done => ways.1.push(name),
            }
        }
        Ok(ways)
    }
}

#[cfg(not(target_os = "linux"))]
mod here {
    use super::{BOX, Finding, SandboxMode};

    pub fn look(_mode: SandboxMode) -> Vec<Finding> {
        vec![Finding::skipped(BOX, "only Linux can box decoders")]
    }
}
