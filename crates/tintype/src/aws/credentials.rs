//! Who signs calls to AWS: the keys in the environment, then a profile of `~/.aws`, then what `object_store` finds (web identity,
//! a container's role, an instance's role).

use std::fmt;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::profile::{Files, Source};

/// Longest time for a command that prints credentials.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// Credentials that end within this time are replaced.
const EARLY: Duration = Duration::from_secs(300);
/// How soon a source is asked again whose credentials end shortly all the same, or that failed while there still were good ones.
const AGAIN: Duration = Duration::from_secs(20);
/// Most characters of what a command says that are repeated.
const SAID: usize = 300;
/// Where version 2 of the AWS command line is to be had.
const GET_VERSION_2: &str = "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html";
/// A command that is not there.
const NOT_STARTED: &str = "it cannot be started";
/// What to do where nothing gave credentials.
pub const NONE_FOUND: &str = "there are no credentials: run `aws configure`, set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
                              AWS_SECRET_ACCESS_KEY, or give this machine a role";
/// How long keys of a file are used before it is read again: other programs put temporary ones there.
const REREAD: Duration = Duration::from_secs(60);

/// A client's settings with this machine's credentials, and where these come from, to be logged.
///
/// # Errors
/// When the profile that `AWS_PROFILE` names is missing, or is not whole.
pub fn builder() -> Result<(AmazonS3Builder, String), String> {
    let set = |name: &str| std::env::var(name).ok();
    let is_set = |name: &str| set(name).is_some_and(|value| !value.is_empty());
    let builder = AmazonS3Builder::from_env();
    if is_set("AWS_ACCESS_KEY_ID") || is_set("AWS_SECRET_ACCESS_KEY") {
        return Ok((builder, "AWS_ACCESS_KEY_ID of the environment".to_owned()));
    }
    let files = Files::of(set);
    let found = match files.source()? {
        Some(Source::Keys(_, file)) => format!("profile {} of {}", files.name(), file.display()),
        Some(Source::Process(_)) => format!("credential_process of profile {}", files.name()),
        Some(Source::CommandLine) => format!("`aws configure export-credentials` for profile {}", files.name()),
        None if is_set("AWS_WEB_IDENTITY_TOKEN_FILE") => {
            return Ok((builder, "the web identity of this process".to_owned()));
        }
        None => return Ok((builder, "the role of this container or machine".to_owned())),
    };
    Ok((builder.with_credentials(Arc::new(Profile::new(files))), found))
}

/// A profile's credentials, for as long as they are good.
#[derive(Debug)]
struct Profile {
    files: Files,
    held: Mutex<Option<Held>>,
    /// Held by who asks the source.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Held {
    credential: Arc<AwsCredential>,
    /// When they end; none for keys of a file.
    ends: Option<OffsetDateTime>,
    /// When the source is asked again.
    next: Instant,
}

impl Held {
    fn is_good(&self) -> bool {
        self.ends.is_none_or(|ends| ends > OffsetDateTime::now_utc())
    }
}

impl Profile {
    fn new(files: Files) -> Self {
        Self { files, held: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    fn held(&self) -> Option<Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hold(&self, held: Held) -> Arc<AwsCredential> {
        let credential = held.credential.clone();
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
        credential
    }
}

#[async_trait]
impl CredentialProvider for Profile {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let is_fresh = |held: &Held| Instant::now() < held.next;
        let _asking = match self.held() {
            Some(held) if is_fresh(&held) => return Ok(held.credential),
            // While one call has them renewed, the others go on with those that are still good.
            Some(held) if held.is_good() => match self.asking.try_lock() {
                Ok(asking) => asking,
                Err(_) => return Ok(held.credential),
            },
            _ => self.asking.lock().await,
        };
        let before = self.held();
        if let Some(held) = before.as_ref().filter(|held| is_fresh(held)) {
            return Ok(held.credential.clone());
        }
        let files = self.files.clone();
        let asked = tokio::task::spawn_blocking(move || ask(&files)).await;
        match (asked.map_err(|e| e.to_string()).flatten(), before.filter(Held::is_good)) {
            (Ok(new), _) => Ok(self.hold(new)),
            (Err(why), Some(held)) => {
                tracing::warn!(why, "AWS credentials were not renewed; those at hand are still good");
                Ok(self.hold(Held { next: Instant::now() + AGAIN, ..held }))
            }
            (Err(why), None) => Err(object_store::Error::Generic { store: "S3", source: Box::new(NoCredentials(why)) }),
        }
    }
}

/// Asks the profile's source. Blocks.
fn ask(files: &Files) -> Result<Held, String> {
    match files.source()? {
        Some(Source::Keys(credential, _)) => {
            Ok(Held { credential: Arc::new(credential), ends: None, next: Instant::now() + REREAD })
        }
        Some(Source::Process(command)) => {
            let printed = run(Command::new("sh").arg("-c").arg(command));
            read(&printed.map_err(|why| format!("credential_process of profile {}: {why}", files.name()))?)
        }
        Some(Source::CommandLine) => {
            let arguments = ["configure", "export-credentials", "--format", "process", "--profile", files.name()];
            let printed =
                run(Command::new("aws").args(arguments)).map_err(|why| by_command_line(files.name(), &why))?;
            read(&printed)
        }
        None => Err(format!("profile {} has no credentials any more", files.name())),
    }
}

/// Why a profile has no credentials, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoCredentials(String);

/// What a profile's owner is told, where an error comes of its credentials.
pub fn lack(error: &object_store::Error) -> Option<String> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(NoCredentials(why)) = error.downcast_ref() {
            return Some(why.clone());
        }
        cause = error.source();
    }
    None
}

/// What to say when credentials could not be had.
pub fn missing(error: &object_store::Error) -> String {
    lack(error).unwrap_or_else(|| format!("{NONE_FOUND} ({error})"))
}

fn by_command_line(profile: &str, why: &str) -> String {
    // Version 1 does not know the subcommand, and prints how it is used.
    if why.contains("usage:") || why.starts_with(NOT_STARTED) {
        let found = if why.starts_with(NOT_STARTED) { why } else { "the `aws` that is found is older" };
        return format!(
            "profile {profile} takes version 2 of the AWS command line (aws configure export-credentials); {found}. Get \
             version 2 from {GET_VERSION_2} (pip has version 1 alone), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        );
    }
    format!(
        "profile {profile}: aws configure export-credentials said: {why}. Log in again (aws sso login --profile {profile}), or set \
         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )
}

/// What a command prints, if it ends well and in time.
fn run(command: &mut Command) -> Result<String, String> {
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|e| format!("{NOT_STARTED}: {e}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let out = std::thread::spawn(move || text(out));
    let err = std::thread::spawn(move || text(err));
    let Some(status) = wait(&mut child) else {
        return Err(format!("it did not end within {} seconds", COMMAND_TIMEOUT.as_secs()));
    };
    if status.success() {
        return Ok(out.join().unwrap_or_default());
    }
    let said = err.join().unwrap_or_default();
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(if said.is_empty() { format!("it ended with {status}") } else { shortened(said.trim_end_matches('.')) })
}

/// A long text up to the end of a word.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SAID) {
        Some((end, _)) => {
            let whole = text[..end].rfind(char::is_whitespace).unwrap_or(end);
            format!("{} …", text[..whole].trim_end())
        }
        None => text.to_owned(),
    }
}

/// A child that is not done in time is ended.
fn wait(child: &mut Child) -> Option<std::process::ExitStatus> {
    let end = Instant::now() + COMMAND_TIMEOUT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

fn text(stream: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // Credentials are short.
        let _ = stream.take(1 << 16).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

fn read(printed: &str) -> Result<Held, String> {
    // The error of the parser may repeat what it read.
    let found: Printed = serde_json::from_str(printed)
        .map_err(|_| "what was printed for credentials is not the JSON of credential_process".to_owned())?;
    if found.version != 1 {
        return Err(format!("credentials of version {} are not understood", found.version));
    }
    let parse =
        |text: &String| OffsetDateTime::parse(text, &Rfc3339).map_err(|_| format!("{text:?} is no time of expiration"));
    let ends = found.expiration.as_ref().map(parse).transpose()?;
    let left = ends.map(|ends| ends - OffsetDateTime::now_utc());
    if left.is_some_and(|left| !left.is_positive()) {
        return Err("the credentials that were printed have ended already".to_owned());
    }
    let soon = left.map_or(Duration::from_secs(86400), |left| left.unsigned_abs().saturating_sub(EARLY));
    Ok(Held {
        credential: Arc::new(AwsCredential {
            key_id: found.access_key_id,
            secret_key: found.secret_access_key,
            token: found.session_token.filter(|token| !token.is_empty()),
        }),
        ends,
        next: Instant::now() + soon.max(AGAIN.min(left.map_or(AGAIN, |left| left.unsigned_abs()))),
    })
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("ends", &self.ends).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn printed(left: i64) -> String {
        let ends = (OffsetDateTime::now_utc() + time::Duration::seconds(left)).format(&Rfc3339).unwrap();
        format!(
            r#"{{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "S", "SessionToken": "T", "Expiration": "{ends}"}}"#
        )
    }

    #[test]
    fn they_are_replaced_before_they_end() {
        let hour = read(&printed(3600)).unwrap();
        let until = hour.next.duration_since(Instant::now()).as_secs();
        assert!((3200..=3300).contains(&until), "{until}");
        assert_eq!(hour.credential.token.as_deref(), Some("T"));
        let minute = read(&printed(60)).unwrap();
        assert!(minute.next.duration_since(Instant::now()) <= AGAIN, "asked again, but not for each call");
        let moment = read(&printed(5)).unwrap();
        assert!(moment.next.duration_since(Instant::now()).as_secs() <= 5, "never used past their end");
        let lasting = read(r#"{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "S"}"#).unwrap();
        assert!(lasting.ends.is_none());
    }

    #[test]
    fn what_is_no_credential_is_refused_and_not_repeated() {
        for bad in
            ["", "secret", r#"{"Version": 2, "AccessKeyId": "secret", "SecretAccessKey": "secret"}"#, &printed(-1)]
        {
            let why = read(bad).unwrap_err();
            assert!(!why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn commands_say_why_they_failed() {
        let shell = |script: &str| run(Command::new("sh").arg("-c").arg(script));
        assert_eq!(shell("echo yes").unwrap(), "yes\n");
        assert_eq!(shell("echo 'log in first' >&2; exit 3").unwrap_err(), "log in first");
        assert!(shell("exit 3").unwrap_err().contains('3'));
        assert!(run(&mut Command::new("no-such-command-anywhere")).unwrap_err().contains("cannot be started"));
        let long = shell("i=100; while [ $i -lt 200 ]; do echo word$i; i=$((i+1)); done >&2; exit 1").unwrap_err();
        assert!(long.chars().count() < 310 && long.split_whitespace().all(|w| w == "…" || w.len() == 7), "{long}");
    }

    #[test]
    fn version_1_of_the_command_line_is_told_from_a_session_that_ended() {
        let usage = "usage: Note: AWS CLI version 2, the latest major version of the AWS CLI, is now stable\n\nusage: aws [options]";
        for why in [usage, &run(&mut Command::new("no-such-command-anywhere")).unwrap_err()] {
            let told = by_command_line("work", why);
            assert!(told.contains("takes version 2") && told.contains(GET_VERSION_2), "{told}");
            assert!(!told.contains("usage") && !told.contains("log in"), "{told}");
            assert_eq!(told.matches("set AWS_ACCESS_KEY_ID").count(), 1, "{told}");
        }
        let told = by_command_line("work", "Error loading SSO Token");
        assert!(told.contains("aws sso login --profile work") && !told.contains("version 2"), "{told}");
    }
}
