//! The table of `tintype doctor`: aligned, and as wide as the terminal.

use console::{Style, Term, measure_text_width, pad_str};
use tintype::doctor::{Finding, State};

/// Width of what is not a terminal.
const DEFAULT_WIDTH: usize = 100;
/// Narrower than this nothing is wrapped to.
const LEAST_WIDTH: usize = 60;
/// Longer lines are hard to read.
const MOST_WIDTH: usize = 120;
/// Width of the first two columns, with what parts them.
const CHECK: usize = 21;
const STATE: usize = 9;

/// A store's words without what would move the cursor.
pub fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || c.is_whitespace()).collect()
}

/// A table that is being written.
pub struct Table {
    text: String,
    width: usize,
}

impl Table {
    /// A table for stdout, under a line that says what it is of.
    pub fn new(head: &str) -> Self {
        let terminal = Term::stdout();
        let width = terminal.size_checked().map_or(DEFAULT_WIDTH, |(_, columns)| usize::from(columns));
        Self { text: format!("{head}\n\n"), width: width.clamp(LEAST_WIDTH, MOST_WIDTH) }
    }

    /// Adds a check.
    pub fn row(&mut self, finding: &Finding) {
        let room = self.width - CHECK - STATE;
        let mut seen = wrap(&plain(&finding.seen), room).into_iter();
        let check = pad_str(finding.check, CHECK, console::Alignment::Left, None);
        let word = pad_str(finding.state.as_str(), STATE, console::Alignment::Left, None);
        let state = style(finding.state).apply_to(word);
        self.line(&format!("{check}{state}{}", seen.next().unwrap_or_default()));
        for more in seen {
            self.indented(&more);
        }
        let Some(fix) = &finding.fix else {
            return;
        };
        let end = match &fix.command {
            Some(_) if fix.ours => " (--fix)",
            Some(_) => ":",
            None => "",
        };
        for line in wrap(&format!("-> {}{end}", plain(&fix.how)), room) {
            self.indented(&line);
        }
        if let Some(command) = fix.command.as_ref().filter(|_| !fix.ours) {
            self.command(&plain(command));
        }
    }

    /// Adds what is to be said at the end; `mend` is the command with `--fix`, where that would help.
    pub fn end(mut self, sum: &str, mend: Option<&str>, notes: &[String]) -> String {
        self.line("");
        self.line(sum);
        if let Some(mend) = mend {
            self.line("What is marked (--fix) is mended by:");
            self.command(mend);
        }
        for note in notes {
            wrap(note, self.width).iter().for_each(|line| self.line(line));
        }
        self.text.trim_end().to_owned()
    }

    /// A command is to be copied: it is not wrapped.
    fn command(&mut self, command: &str) {
        self.line(&format!("    {}", Style::new().bold().apply_to(command)));
    }

    fn indented(&mut self, text: &str) {
        self.line(&format!("{:1$}{text}", "", CHECK + STATE));
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }
}

fn style(state: State) -> Style {
    match state {
        State::Ok => Style::new().green(),
        State::Problem => Style::new().red().bold(),
        State::Warning => Style::new().yellow(),
        State::Skipped => Style::new().dim(),
    }
}

/// A text in lines of at most a width, parted between words.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if measure_text_width(line) + 1 + measure_text_width(word) <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a-long-word b", 3), ["a-long-word", "b"]);
        assert_eq!(wrap("", 3), [""]);
    }

    #[test]
    fn a_row_is_aligned_and_its_command_whole() {
        let mut table = Table { text: String::new(), width: 60 };
        table.row(
            &Finding::problem("CORS", "pages of https://app.example.com may not POST")
                .fix_by("add a rule", "x ".repeat(50)),
        );
        let lines: Vec<_> = table.text.lines().collect();
        let [rows @ .., command] = lines.as_slice() else {
            panic!("no lines");
        };
        assert!(rows.iter().all(|line| line.len() <= 60), "{rows:?}");
        assert!(rows[1..].iter().all(|line| line.starts_with(&" ".repeat(CHECK + STATE))), "{rows:?}");
        assert!(command.len() > 60 && rows.len() == 4, "{lines:?}");
    }

    #[test]
    fn a_store_moves_no_cursor() {
        assert_eq!(plain("a\x1b[2Jb\u{7}\nc"), "a[2Jb\nc");
    }
}
