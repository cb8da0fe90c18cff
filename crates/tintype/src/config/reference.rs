//! The annotated defaults as a page for people: `tintype config --markdown`, kept as docs/configuration.md.

use super::DEFAULTS;
use super::sources::as_variable;

const HEAD: &str = "\
# Configuration

Every setting with its default, as `tintype config --markdown` prints it. `tintype config` prints the same as a file to edit, and
`tintype config --check` says what is wrong with yours.
";

/// The page, in Markdown.
pub fn reference() -> String {
    let mut page = Page { text: HEAD.to_owned(), section: String::new(), comment: Vec::new(), keys: Vec::new() };
    for line in DEFAULTS.lines() {
        page.read(line);
    }
    page.finish()
}

/// A page on its way, with what was read and not written yet.
struct Page {
    text: String,
    section: String,
    comment: Vec<&'static str>,
    /// Keys that share the comment before them, each with its default.
    keys: Vec<(String, &'static str)>,
}

impl Page {
    fn read(&mut self, line: &'static str) {
        if let Some(comment) = line.strip_prefix('#') {
            if !self.keys.is_empty() {
                self.write_keys();
            }
            self.comment.push(comment.strip_prefix(' ').unwrap_or(comment));
        } else if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section.clone_into(&mut self.section);
            self.write(&format!("## {section}"));
            self.write_comment();
        } else if let Some((key, default)) = line.split_once(" = ") {
            self.keys.push((format!("{}.{key}", self.section), default));
        } else if !self.keys.is_empty() {
            self.write_keys();
        } else if self.section.is_empty() {
            self.write_comment();
        }
    }

    /// What is left is a comment on what has no default: presets.
    fn finish(mut self) -> String {
        self.write_keys();
        let comment = std::mem::take(&mut self.comment);
        let end = comment.iter().position(|line| line.is_empty()).unwrap_or(comment.len());
        self.write("## presets");
        self.comment = comment[..end].to_vec();
        self.write_comment();
        let example = comment[end..].join("\n");
        self.write(&format!("```toml\n{}\n```", example.trim()));
        self.text
    }

    fn write_keys(&mut self) {
        let keys = std::mem::take(&mut self.keys);
        let names: Vec<_> = keys.iter().map(|(key, _)| format!("`{key}`")).collect();
        if names.is_empty() {
            return;
        }
        self.write(&format!("### {}", names.join(", ")));
        self.write_comment();
        let line = |(key, default): &(String, &str)| format!("- `{}`, default `{default}`", as_variable(key));
        self.write(&keys.iter().map(line).collect::<Vec<_>>().join("\n"));
    }

    /// The comment's paragraphs; what is indented is a list where it is numbered, else code.
    fn write_comment(&mut self) {
        let comment = std::mem::take(&mut self.comment);
        let kind = |line: &str| (line.is_empty(), line.starts_with("  "));
        for block in comment.chunk_by(|a, b| kind(a) == kind(b)) {
            let text = block.iter().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect::<Vec<_>>().join("\n");
            let is_list = text.starts_with(|first: char| first.is_ascii_digit());
            match kind(block[0]) {
                (true, _) => {}
                (_, true) if !is_list => self.write(&format!("```sh\n{text}\n```")),
                _ => self.write(&escaped(&text)),
            }
        }
    }

    fn write(&mut self, block: &str) {
        self.text.push('\n');
        self.text.push_str(block);
        self.text.push('\n');
    }
}

/// Text that Markdown shows as it is; what is in backticks it does anyway.
fn escaped(text: &str) -> String {
    let part = |(n, part): (usize, &str)| match n % 2 {
        0 => part.replace('<', "\\<").replace('*', "\\*"),
        _ => part.to_owned(),
    };
    text.split('`').enumerate().map(part).collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::super::sources::defaults;
    use super::*;

    /// `BLESS=1 cargo test -p tintype reference` writes it anew.
    #[test]
    fn the_page_that_is_kept_is_this_one() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, reference()).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == reference(), "docs/configuration.md is not current: BLESS=1 cargo test -p tintype reference");
    }

    #[test]
    fn every_setting_is_on_the_page_with_its_default_and_a_word_about_it() {
        let page = reference();
        for (key, setting) in defaults() {
            let told = format!("- `{}`, default `{}`\n", as_variable(&key), setting.value);
            assert_eq!(page.matches(&told).count(), 1, "{told}");
        }
        for setting in page.split("\n### ").skip(1) {
            let said = setting.lines().nth(2).unwrap();
            assert!(!said.starts_with("- `"), "nothing is said of {setting}");
        }
    }
}
