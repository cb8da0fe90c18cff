//! XML of S3's settings: read by its elements, changed as text, so that what is not ours stays byte for byte.

use roxmltree::{Document, Node};

/// The text of the first element of a name, wherever it is.
pub fn text_of(document: &str, name: &str) -> Option<String> {
    let document = Document::parse(document).ok()?;
    let found = document.descendants().find(|node| node.has_tag_name_of(name))?;
    found.text().map(|text| text.trim().to_owned())
}

/// Elements by their name alone: stores differ in whether they write the namespace.
pub trait Named<'a, 'input: 'a>: Sized {
    /// Whether this is an element of that name.
    fn has_tag_name_of(&self, name: &str) -> bool;
    /// Its children of a name.
    fn all(&self, name: &str) -> Vec<Node<'a, 'input>>;
    /// Its first child of a name.
    fn child(&self, name: &str) -> Option<Node<'a, 'input>> {
        self.all(name).into_iter().next()
    }
    /// The text of its first child of a name; none if there is no such child.
    fn value(&self, name: &str) -> Option<String> {
        Some(self.child(name)?.text().unwrap_or_default().trim().to_owned())
    }
    /// The texts of its children of a name.
    fn values(&self, name: &str) -> Vec<String> {
        self.all(name).iter().map(|node| node.text().unwrap_or_default().trim().to_owned()).collect()
    }
}

impl<'a, 'input: 'a> Named<'a, 'input> for Node<'a, 'input> {
    fn has_tag_name_of(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }

    fn all(&self, name: &str) -> Vec<Node<'a, 'input>> {
        self.children().filter(|node| node.has_tag_name_of(name)).collect()
    }
}

/// A document with an element put in as the last child of its root, but before children of the names in `before`.
/// All else is as it was. None if the document is no XML.
pub fn insert(document: &str, element: &str, before: &[&str]) -> Option<String> {
    let parsed = Document::parse(document).ok()?;
    let root = parsed.root_element();
    let source = &document[root.range()];
    let name = source[1..].split(|c: char| c.is_whitespace() || "/>".contains(c)).next()?;
    let element = in_namespace_of(name, root, element);
    let next = root.children().find(|node| node.is_element() && before.contains(&node.tag_name().name()));
    let changed = if let Some(next) = next {
        splice(document, next.range().start, &element)
    } else if source.ends_with("/>") && !root.has_children() {
        let open = source.strip_suffix("/>")?.trim_end();
        replace(document, root, &format!("{open}>{element}</{name}>"))
    } else {
        splice(document, root.range().start + source.rfind("</")?, &element)
    };
    Some(changed)
}

/// A root that names its namespace by a prefix does not hand it down to an element without one.
fn in_namespace_of(root_name: &str, root: Node<'_, '_>, element: &str) -> String {
    match (root_name.contains(':'), root.tag_name().namespace()) {
        (true, Some(namespace)) => {
            let end = element.find(['>', '/']).unwrap_or(element.len());
            format!("{} xmlns=\"{namespace}\"{}", &element[..end], &element[end..])
        }
        _ => element.to_owned(),
    }
}

/// A document with the text of a leaf below its root replaced, or the leaf put in where there is none.
pub fn set(document: &str, name: &str, text: &str) -> Option<String> {
    let parsed = Document::parse(document).ok()?;
    let leaf = parsed.root_element().child(name);
    match leaf.map(|leaf| leaf.first_child().filter(Node::is_text).unwrap_or(leaf)) {
        Some(old) if old.is_text() => Some(replace(document, old, text)),
        Some(empty) => Some(replace(document, empty, &format!("<{name}>{text}</{name}>"))),
        None => insert(document, &format!("<{name}>{text}</{name}>"), &[]),
    }
}

fn splice(document: &str, at: usize, text: &str) -> String {
    format!("{}{text}{}", &document[..at], &document[at..])
}

fn replace(document: &str, node: Node<'_, '_>, text: &str) -> String {
    format!("{}{text}{}", &document[..node.range().start], &document[node.range().end..])
}

/// Text as it stands in an element.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_there_stays_byte_for_byte() {
        let before =
            "<?xml version=\"1.0\"?>\n<!-- theirs -->\n<R xmlns=\"urn:a\">\n  <A  x='1'>1</A><!-- > </R> -->\n</R>\n";
        let after = insert(before, "<A>2</A>", &[]).unwrap();
        let (head, tail) = after.split_once("<A>2</A>").unwrap();
        assert_eq!(format!("{head}{tail}"), before);
        assert!(tail.starts_with("</R>"), "{after}");
    }

    #[test]
    fn an_element_comes_before_those_named() {
        assert_eq!(insert("<R><A/><C/></R>", "<B/>", &["C"]).unwrap(), "<R><A/><B/><C/></R>");
        assert_eq!(insert("<R><A/></R>", "<B/>", &["C"]).unwrap(), "<R><A/><B/></R>");
    }

    #[test]
    fn an_empty_root_is_opened() {
        for empty in ["<R/>", "<R />", "<R></R>"] {
            assert_eq!(insert(empty, "<A/>", &[]).unwrap(), "<R><A/></R>");
        }
        assert_eq!(insert("<R a=\"/\"/>", "<A/>", &[]).unwrap(), "<R a=\"/\"><A/></R>");
        assert_eq!(insert("no XML", "<A/>", &[]), None);
    }

    #[test]
    fn the_namespace_holds_for_what_comes_in() {
        let after = insert("<s:R xmlns:s=\"urn:a\"></s:R>", "<A><B/></A>", &[]).unwrap();
        assert_eq!(after, "<s:R xmlns:s=\"urn:a\"><A xmlns=\"urn:a\"><B/></A></s:R>");
    }

    #[test]
    fn a_leaf_is_set() {
        assert_eq!(set("<R><A>false</A><B/></R>", "A", "true").unwrap(), "<R><A>true</A><B/></R>");
        assert_eq!(set("<R><A/></R>", "A", "true").unwrap(), "<R><A>true</A></R>");
        assert_eq!(set("<R><B/></R>", "A", "true").unwrap(), "<R><B/><A>true</A></R>");
    }

    #[test]
    fn values_are_found_with_and_without_namespace() {
        for document in ["<E><Code>X</Code></E>", "<E xmlns=\"urn:a\"><Code> X </Code></E>"] {
            assert_eq!(text_of(document, "Code").as_deref(), Some("X"));
        }
        assert_eq!(escape("a<b&c"), "a&lt;b&amp;c");
    }
}
