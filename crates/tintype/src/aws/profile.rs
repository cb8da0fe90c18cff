//! Profiles of the AWS command line: `~/.aws/credentials` and `~/.aws/config`.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use object_store::aws::AwsCredential;

/// Settings of profiles whose credentials only the AWS command line can get.
const BY_COMMAND_LINE: [&str; 8] = [
    "sso_session",
    "sso_start_url",
    "sso_account_id",
    "role_arn",
    "source_profile",
    "credential_source",
    "web_identity_token_file",
    "login_session",
];

/// The files of this user, and the profile in use.
#[derive(Debug, Clone)]
pub struct Files {
    /// `~/.aws/credentials`, or `AWS_SHARED_CREDENTIALS_FILE`.
    credentials: Option<PathBuf>,
    /// `~/.aws/config`, or `AWS_CONFIG_FILE`.
    config: Option<PathBuf>,
    /// `AWS_PROFILE`; `default` where that is not set.
    name: String,
    /// Whether the profile was asked for by its name.
    named: bool,
}

/// Where a profile's credentials come from.
pub enum Source {
    /// Keys in this file.
    Keys(AwsCredential, PathBuf),
    /// `credential_process`: a command that prints them.
    Process(String),
    /// `aws configure export-credentials`, which knows SSO, roles, and all that is to come.
    CommandLine,
}

impl Files {
    /// By the environment, as AWS programs find them.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let home = set("HOME").map(PathBuf::from);
        let file = |name: &str, usual: &str| match (set(name), &home) {
            (Some(path), Some(home)) => {
                Some(path.strip_prefix("~/").map_or(PathBuf::from(&path), |rest| home.join(rest)))
            }
            (Some(path), None) => Some(PathBuf::from(path)),
            (None, home) => home.as_ref().map(|home| home.join(usual)),
        };
        let named = set("AWS_PROFILE").or_else(|| set("AWS_DEFAULT_PROFILE"));
        Self {
            credentials: file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
            config: file("AWS_CONFIG_FILE", ".aws/config"),
            named: named.is_some(),
            name: named.unwrap_or_else(|| "default".to_owned()),
        }
    }

    /// The profile's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The profile's region.
    pub fn region(&self) -> Option<String> {
        let profile = self.read().ok()??;
        profile.get("region").map(|(region, _)| region.clone())
    }

    /// Where the profile's credentials come from; none where the files have none, and no profile was asked for.
    ///
    /// # Errors
    /// When the profile that was asked for is missing, or its keys are not whole.
    pub fn source(&self) -> Result<Option<Source>, String> {
        let Some(profile) = self.read()? else { return Ok(None) };
        if BY_COMMAND_LINE.iter().any(|name| profile.contains_key(*name)) {
            return Ok(Some(Source::CommandLine));
        }
        let get = |name: &str| profile.get(name).filter(|(value, _)| !value.is_empty());
        let lacks = |what: &str, file: &Path| format!("profile {} in {} has no {what}", self.name, file.display());
        match (get("aws_access_key_id"), get("aws_secret_access_key")) {
            (Some((key, file)), Some((secret, _))) => {
                let token = get("aws_session_token").map(|(token, _)| token.clone());
                let credential = AwsCredential { key_id: key.clone(), secret_key: secret.clone(), token };
                Ok(Some(Source::Keys(credential, file.clone())))
            }
            (Some((_, file)), None) => Err(lacks("aws_secret_access_key", file)),
            (None, Some((_, file))) => Err(lacks("aws_access_key_id", file)),
            (None, None) => Ok(get("credential_process").map(|(command, _)| Source::Process(command.clone()))),
        }
    }

    /// What both files say of the profile, each value with its file; the credentials' file counts more.
    fn read(&self) -> Result<Option<Profile>, String> {
        let name = self.name.as_str();
        let mut found = None;
        let config = |section: &str| {
            section.strip_prefix("profile").is_some_and(|rest| rest.starts_with([' ', '\t']) && rest.trim() == name)
                || (name == "default" && section == "default")
        };
        self.add(&mut found, self.config.as_deref(), config)?;
        self.add(&mut found, self.credentials.as_deref(), |section| section == name)?;
        match found {
            None if self.named => Err(format!(
                "AWS_PROFILE is {name}, and there is no such profile in {}, nor in {}: `aws configure list-profiles` names those there are",
                shown(self.credentials.as_deref()),
                shown(self.config.as_deref()),
            )),
            found => Ok(found),
        }
    }

    fn add(
        &self,
        found: &mut Option<Profile>,
        file: Option<&Path>,
        is_it: impl Fn(&str) -> bool,
    ) -> Result<(), String> {
        let Some(file) = file else { return Ok(()) };
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            // A service that may not look into its home has none.
            Err(error) if !self.named => {
                tracing::debug!(file = %file.display(), %error, "AWS profiles cannot be read");
                return Ok(());
            }
            Err(error) => return Err(format!("cannot read {}: {error}", file.display())),
        };
        for (section, properties) in sections(&text) {
            if is_it(&section) {
                let profile = found.get_or_insert_default();
                profile.extend(properties.into_iter().map(|(name, value)| (name, (value, file.to_owned()))));
            }
        }
        Ok(())
    }
}

/// Names in lower case, each with its value and the file it is from.
type Profile = BTreeMap<String, (String, PathBuf)>;

/// Sections and what is set in each, in their order. Nested properties, which are indented, are of no interest.
fn sections(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut indent = None;
    for line in text.lines() {
        let content = line.trim();
        let depth = line.len() - line.trim_start().len();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if let Some(head) = content.strip_prefix('[') {
            let section = head.split(']').next().unwrap_or_default().trim().replace(['"', '\''], "");
            found.push((section, Vec::new()));
            indent = None;
        } else if let (Some((_, properties)), Some((name, value))) = (found.last_mut(), content.split_once('='))
            && indent.is_none_or(|indent| depth <= indent)
        {
            properties.push((name.trim().to_lowercase(), without_comment(value).trim().to_owned()));
            indent = Some(depth);
        }
    }
    found
}

/// A comment within a line begins after a blank.
fn without_comment(value: &str) -> &str {
    let starts = [" #", " ;", "\t#", "\t;"].iter().filter_map(|start| value.find(start));
    starts.min().map_or(value, |end| &value[..end])
}

fn shown(file: Option<&Path>) -> String {
    match file {
        Some(file) if file.exists() => file.display().to_string(),
        Some(file) => format!("{} (which is not there)", file.display()),
        None => "a home folder (HOME is not set)".to_owned(),
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A command may have a secret among its arguments.
        f.write_str(match self {
            Self::Keys(..) => "Keys",
            Self::Process(_) => "Process",
            Self::CommandLine => "CommandLine",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn files(credentials: &str, config: &str, profile: Option<&str>) -> (Files, tempfile::TempDir) {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        for (name, text) in [("credentials", credentials), ("config", config)] {
            std::fs::write(home.path().join(".aws").join(name), text).unwrap();
        }
        let at = home.path().to_str().unwrap().to_owned();
        let files = Files::of(|name| match name {
            "HOME" => Some(at.clone()),
            "AWS_PROFILE" => profile.map(str::to_owned),
            _ => None,
        });
        (files, home)
    }

    fn keys(credentials: &str, config: &str, profile: Option<&str>) -> (String, String, Option<String>) {
        match files(credentials, config, profile).0.source().unwrap().unwrap() {
            Source::Keys(found, _) => (found.key_id, found.secret_key, found.token),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_aws_configure_writes_is_read() {
        let text = "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = a+b/c==\n\n[photos]\naws_access_key_id=AKIA2\n\
                    aws_secret_access_key=two\naws_session_token = FwoG=\n";
        assert_eq!(keys(text, "", None), ("AKIA1".into(), "a+b/c==".into(), None));
        assert_eq!(keys(text, "", Some("photos")), ("AKIA2".into(), "two".into(), Some("FwoG=".into())));
        assert_eq!(keys("", &text.replace("[photos]", "[profile photos]"), Some("photos")).0, "AKIA2");
    }

    #[test]
    fn comments_case_and_nested_settings_do_not_matter() {
        let config = "# mine\n[profile \"photos\"]\nregion = eu-west-1 # Ireland\ns3 =\n  region = us-east-1\n  addressing_style = path\n\
                      AWS_ACCESS_KEY_ID = AKIA1 ; old\n\taws_secret_access_key = nested\naws_secret_access_key = s#t\n";
        let (files, _home) = files("", config, Some("photos"));
        assert_eq!(files.region().as_deref(), Some("eu-west-1"));
        assert_eq!(keys("", config, Some("photos")), ("AKIA1".into(), "s#t".into(), None));
    }

    #[test]
    fn the_credentials_file_counts_more() {
        let config = "[default]\naws_access_key_id = old\naws_secret_access_key = old\nregion = eu-west-1\n";
        assert_eq!(keys("[default]\naws_access_key_id = new\naws_secret_access_key = new\n", config, None).0, "new");
    }

    #[test]
    fn a_profile_says_who_knows_its_credentials() {
        let source = |text: &str| files("", text, Some("p")).0.source();
        for text in
            ["sso_session = work", "sso_start_url = https://x.example", "role_arn = arn\nsource_profile = default"]
        {
            assert!(matches!(source(&format!("[profile p]\n{text}\n")).unwrap(), Some(Source::CommandLine)), "{text}");
        }
        let by_process = source("[profile p]\ncredential_process = /opt/keys --for \"a b\"\n").unwrap();
        assert!(matches!(by_process, Some(Source::Process(command)) if command == "/opt/keys --for \"a b\""));
        assert!(source("[profile p]\nregion = eu-west-1\n").unwrap().is_none());
    }

    #[test]
    fn what_is_missing_is_named_with_its_file() {
        let (asked, home) = files("[default]\n", "", Some("photso"));
        let why = asked.source().unwrap_err();
        assert!(
            why.contains("photso") && why.contains(home.path().join(".aws/credentials").to_str().unwrap()),
            "{why}"
        );
        let why = files("[default]\naws_access_key_id = AKIA1\n", "", None).0.source().unwrap_err();
        assert!(why.contains("aws_secret_access_key") && !why.contains("AKIA1"), "{why}");
        assert!(files("", "", None).0.source().unwrap().is_none(), "nobody asked for one");
        assert!(Files::of(|_| None).source().unwrap().is_none());
    }
}
