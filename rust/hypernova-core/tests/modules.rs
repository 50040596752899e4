//! The modules of both crates import one another in one direction only.
//!
//! Not here: the imports of Python modules, which import-linter checks.
//!
//! A file is a module. It depends on every module that one of its paths leads to, where a
//! path is followed through re-exports to the module that defines the item. `mod x;` and the
//! re-exports of a module's own children are no dependencies; `#[cfg(test)]` modules are not
//! read. A child that uses an item of its parent depends on it like on any other module.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Segments from the crate root, which is empty.
type Module = Vec<String>;
type Graph = BTreeMap<Module, BTreeSet<Module>>;

/// A path as it stands in a source: its segments, and the inline modules around it.
struct Found {
    segments: Vec<String>,
    inline: usize,
}

/// The paths of one file.
#[derive(Default)]
struct Source {
    /// `pub use`, by the name that it gives.
    exports: BTreeMap<String, Found>,
    /// `use`, by the name that it gives.
    imports: BTreeMap<String, Found>,
    /// All other paths of at least two segments.
    paths: Vec<Found>,
}

/// Names and punctuation; comments, texts and lifetimes are left out.
fn tokens(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            raw.find("\"#").map_or(rest.len(), |end| end + 5)
        } else if first == '"' {
            let mut escaped = false;
            let closing = |c: char| {
                let was_escaped = escaped;
                escaped = c == '\\' && !was_escaped;
                c == '"' && !was_escaped
            };
            rest[1..].find(closing).map_or(rest.len(), |end| end + 2)
        } else if first == '\'' {
            // A character, or the mark of a lifetime.
            let character = rest[1..].strip_prefix('\\').map_or(1, |_| 2);
            let mut marks = rest.char_indices().skip(1 + character);
            marks
                .next()
                .filter(|&(_, c)| c == '\'')
                .map_or(1, |(at, _)| at + 1)
        } else if is_name(first) {
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            found.push(rest[..end].to_owned());
            end
        } else if rest.starts_with("::") {
            found.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                found.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

/// Take the tree of a `use` apart, from `at` to its end: pairs of a name and its path.
fn tree(
    tokens: &[String],
    at: &mut usize,
    prefix: &[String],
    into: &mut Vec<(String, Vec<String>)>,
) {
    let mut path = prefix.to_vec();
    let mut name = None;
    while let Some(token) = tokens.get(*at) {
        match token.as_str() {
            "::" => *at += 1,
            "{" => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| token != "}") {
                    tree(tokens, at, &path, into);
                    if tokens.get(*at).is_some_and(|token| token == ",") {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            "as" => {
                name = tokens.get(*at + 1).cloned();
                *at += 2;
            }
            "," | "}" | ";" => break,
            "self" if !path.is_empty() => *at += 1,
            segment => {
                path.push(segment.to_owned());
                *at += 1;
            }
        }
    }
    let last = path.last().cloned().unwrap_or_default();
    into.push((name.unwrap_or(last), path));
}

/// The last token of what stands in the braces that open at `at`.
fn closing(tokens: &[String], at: usize) -> usize {
    let mut depth = 0_usize;
    for (end, token) in tokens.iter().enumerate().skip(at) {
        match token.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => return end,
            "}" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

fn read(source: &str) -> Source {
    let tokens = tokens(source);
    let is = |at: usize, expected: &[&str]| {
        (at + expected.len() <= tokens.len())
            && expected.iter().zip(&tokens[at..]).all(|(e, t)| e == t)
    };
    let mut found = Source::default();
    let mut inline_ends = Vec::new();
    let (mut at, mut public) = (0, false);
    while at < tokens.len() {
        inline_ends.retain(|&end| at < end);
        let inline = inline_ends.len();
        if is(at, &["#", "[", "cfg", "(", "test", ")", "]", "mod"]) {
            at = closing(&tokens, at) + 1;
        } else if tokens[at] == "mod" && tokens.get(at + 2).is_some_and(|token| token == "{") {
            inline_ends.push(closing(&tokens, at));
            at += 3;
        } else if tokens[at] == "pub" {
            public = true;
            at += 1;
            if is(at, &["("]) {
                at += tokens[at..]
                    .iter()
                    .position(|token| token == ")")
                    .unwrap_or(0)
                    + 1;
            }
            continue;
        } else if tokens[at] == "use" && (at == 0 || tokens[at - 1] != "<") {
            let mut names = Vec::new();
            at += 1;
            tree(&tokens, &mut at, &[], &mut names);
            for (name, segments) in names {
                let list = if public {
                    &mut found.exports
                } else {
                    &mut found.imports
                };
                // Two inline modules may import the same: both are kept.
                if let Some(before) = list.insert(name, Found { segments, inline }) {
                    found.paths.push(before);
                }
            }
        } else if tokens.get(at + 1).is_some_and(|token| token == "::") {
            let mut segments = vec![tokens[at].clone()];
            at += 1;
            while is(at, &["::"])
                && tokens
                    .get(at + 1)
                    .is_some_and(|t| t.starts_with(char::is_alphabetic) || t.starts_with('_'))
            {
                segments.push(tokens[at + 1].clone());
                at += 2;
            }
            at += usize::from(is(at, &["::"]));
            found.paths.push(Found { segments, inline });
        } else {
            at += 1;
        }
        public = false;
    }
    found
}

/// The module that defines what `path` in `module` leads to; `None` for another crate's.
fn target(
    sources: &BTreeMap<Module, Source>,
    module: &[String],
    path: &Found,
    depth: usize,
) -> Option<Module> {
    let (mut at, mut inline) = (module.to_vec(), path.inline);
    let mut segments = path.segments.iter();
    let mut left = segments.clone();
    let first = segments.next()?;
    if first == "crate" {
        (at, left) = (Module::new(), segments);
    } else if first == "self" {
        left = segments;
    } else if first != "super" {
        let child = [module, std::slice::from_ref(first)].concat();
        let source = &sources[module];
        let named = source
            .imports
            .get(first)
            .or_else(|| source.exports.get(first));
        // A name that was imported, with what follows it here.
        if let Some(named) = named.filter(|named| depth < 8 && named.segments != [first.as_str()]) {
            let segments = named.segments.iter().chain(segments).cloned().collect();
            let path = Found {
                segments,
                inline: named.inline,
            };
            return target(sources, module, &path, depth + 1);
        }
        if !sources.contains_key(&child) {
            return None;
        }
    }
    for segment in left {
        if segment == "super" {
            if inline > 0 {
                inline -= 1;
            } else {
                at.pop();
            }
            continue;
        }
        at.push(segment.clone());
        if sources.contains_key(&at) {
            continue;
        }
        at.pop();
        // An item, or a re-export to follow.
        let export = sources[&at]
            .exports
            .get(segment)
            .filter(|_| depth < 8 && at != module);
        let through = export.and_then(|export| target(sources, &at, export, depth + 1));
        return Some(through.unwrap_or(at));
    }
    Some(at)
}

fn graph(files: &BTreeMap<Module, String>) -> Graph {
    let sources: BTreeMap<_, _> = (files.iter())
        .map(|(module, source)| (module.clone(), read(source)))
        .collect();
    let depends = |(module, source): (&Module, &Source)| {
        let find = |path| target(&sources, module, path, 0);
        let used = source
            .imports
            .values()
            .chain(&source.paths)
            .filter_map(find);
        let is_of_child = |target: &Module| target.starts_with(module);
        let exported = source
            .exports
            .values()
            .filter_map(find)
            .filter(|target| !is_of_child(target));
        let all: BTreeSet<_> = used
            .chain(exported)
            .filter(|target| target != module)
            .collect();
        (module.clone(), all)
    };
    sources.iter().map(depends).collect()
}

/// The modules of a circle, the first once more at its end.
fn circle(graph: &Graph) -> Option<Vec<Module>> {
    fn visit(
        graph: &Graph,
        module: &Module,
        path: &mut Vec<Module>,
        done: &mut BTreeSet<Module>,
    ) -> bool {
        if let Some(start) = path.iter().position(|before| before == module) {
            path.drain(..start);
            path.push(module.clone());
            return true;
        }
        if !done.insert(module.clone()) {
            return false;
        }
        path.push(module.clone());
        if graph[module]
            .iter()
            .any(|next| visit(graph, next, path, done))
        {
            return true;
        }
        path.pop();
        false
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|module| {
        let mut path = Vec::new();
        visit(graph, module, &mut path, &mut done).then_some(path)
    })
}

/// A circle in words, as `nearest::level -> error -> nearest::level`.
fn shown(circle: &[Module]) -> String {
    let name = |module: &Module| match module.as_slice() {
        [] => "the crate root".into(),
        segments => segments.join("::"),
    };
    circle.iter().map(name).collect::<Vec<_>>().join(" -> ")
}

/// All sources below a folder, by module.
fn sources(folder: &Path, module: &Module, into: &mut BTreeMap<Module, String>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry can be read").path();
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a name in UTF-8");
        let of_stem = || [module.as_slice(), &[stem.to_owned()]].concat();
        if path.is_dir() {
            sources(&path, &of_stem(), into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let module = if ["lib", "mod"].contains(&stem) {
                module.clone()
            } else {
                of_stem()
            };
            into.insert(
                module,
                std::fs::read_to_string(&path).expect("a source in UTF-8"),
            );
        }
    }
}

fn check(folder: &Path) {
    let mut files = BTreeMap::new();
    sources(folder, &Module::new(), &mut files);
    let graph = graph(&files);
    assert!(
        graph.values().any(|targets| !targets.is_empty()),
        "no path was read"
    );
    if let Some(circle) = circle(&graph) {
        panic!(
            "modules of {} depend on each other: {}",
            folder.display(),
            shown(&circle)
        );
    }
}

#[test]
fn no_modules_of_the_core_depend_on_each_other() {
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
}

#[test]
fn no_modules_of_the_binding_depend_on_each_other() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hypernova-py/src");
    if folder.exists() {
        check(&folder);
    } else {
        eprintln!("skipped: the binding is not in this copy of the sources");
    }
}

/// The circle of some made-up modules.
fn circle_of(files: &[(&str, &str)]) -> Option<String> {
    let module = |name: &str| {
        name.split("::")
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let files = files
        .iter()
        .map(|&(name, source)| (module(name), source.to_owned()))
        .collect();
    circle(&graph(&files)).map(|circle| shown(&circle))
}

#[test]
fn a_circle_is_found_through_imports_paths_and_re_exports() {
    let found = circle_of(&[
        ("", "mod a; mod b; mod c;"),
        ("a", "use crate::b::{self as other, inner::{X, Y}};"),
        (
            "b",
            "mod inner; pub use inner::X; pub(crate) use inner::Y as Z;",
        ),
        ("b::inner", "fn f() { super::super::c::f(); }"),
        ("c", "use crate::{a::A};"),
    ]);
    assert_eq!(found.as_deref(), Some("a -> b::inner -> c -> a"));
    let through_an_index = circle_of(&[
        ("", "mod a; mod b;"),
        ("a", "use crate::b; fn f() -> b::X { b::X::new() }"),
        ("b", "mod inner; pub use inner::X;"),
        ("b::inner", "use crate::a::A;"),
    ]);
    assert_eq!(through_an_index.as_deref(), Some("a -> b::inner -> a"));
}

#[test]
fn a_parent_and_a_child_that_use_each_other_are_a_circle() {
    let used =
        |parent: &str| circle_of(&[("", "mod p;"), ("p", parent), ("p::c", "use super::Item;")]);
    let circle = Some("p -> p::c -> p");
    assert_eq!(
        used("mod c; struct Item; fn f() { c::g(); }").as_deref(),
        circle
    );
    assert_eq!(used("mod c; use c::g; struct Item;").as_deref(), circle);
    assert_eq!(used("mod c; pub use c::g; struct Item;"), None);
}

#[test]
fn comments_texts_tests_and_other_crates_are_no_dependencies() {
    let found = circle_of(&[
        ("", "mod a; mod b; pub use a::A;"),
        ("a", "use crate::b::B; use std::io::{self, Read}; struct A;"),
        (
            "b",
            "/* crate::a */ //! [`crate::a::A`]\n use other::a::A; use std::b; const T: &str = \"\\\"crate::a::A\"; \
             const Q: char = '\"'; fn f<'a>(x: &'a str) {} mod inline { use super::f; use super::super::b::g; } \
             #[cfg(test)] mod tests { use crate::a::A; fn f() { {} } }",
        ),
    ]);
    assert_eq!(found, None);
}
