//! The tokenizer against a plain definition of it, over small vocabularies and any text.
//!
//! Not here: the package tokenizers itself, with which the tests in Python compare it.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::WordPieceTokenizer;
use super::unicode::{self, BLANK, CHINESE, CONTROL, DECOMPOSES, MARK, ORDER, PUNCTUATION, UPPER};
use crate::error::Error;

const WORDS: [&str; 26] = [
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "a",
    "##a",
    "b",
    "##b",
    "aa",
    "##aab",
    "##bé",
    "é",
    "e",
    "##e",
    "A",
    "##A",
    "中",
    "##中",
    ".",
    "[",
    "##.",
    "\u{1d165}",
    "##\u{302e}\u{1d165}",
    "##\u{302e}",
    "\u{1100}\u{1161}",
    "##ß",
    "i\u{307}",
];

fn file(flags: [bool; 4], max_chars: usize, added: &[&str]) -> Value {
    let vocab: HashMap<_, _> = WORDS.into_iter().zip(0..).collect::<HashMap<&str, u32>>();
    let mut next = WORDS.len() - 1;
    let added: Vec<Value> = added
        .iter()
        .map(|text| {
            let id = vocab.get(text).map_or_else(
                || {
                    next += 1;
                    next
                },
                |&id| id as usize,
            );
            json!({"id": id, "content": text, "single_word": false, "lstrip": false,
                   "rstrip": false, "normalized": false, "special": true})
        })
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": flags[0],
                       "handle_chinese_chars": flags[1], "strip_accents": flags[2],
                       "lowercase": flags[3]},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 1], "sep": ["[SEP]", 2]},
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": max_chars, "vocab": vocab},
    })
}

fn read(file: &Value) -> Option<WordPieceTokenizer> {
    WordPieceTokenizer::from_json(file.to_string().as_bytes()).expect("the file is valid")
}

fn encoded(tokenizer: &WordPieceTokenizer, text: &str, limit: Option<(usize, usize)>) -> Vec<u32> {
    let mut tokens = vec![77];
    tokenizer.encode_into(text, limit, &mut tokens);
    assert_eq!(tokens.remove(0), 77);
    tokens
}

/// The tokens of a text by one step after the other over all of it.
fn plain(flags: [bool; 4], max_chars: usize, added: &[&str], text: &str) -> Vec<u32> {
    let ids: HashMap<&str, u32> = WORDS.into_iter().zip(0..).collect();
    let new: Vec<&&str> = added
        .iter()
        .filter(|text| !ids.contains_key(**text))
        .collect();
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        let found = rest.char_indices().find_map(|(at, _)| {
            let here = added.iter().filter(|token| rest[at..].starts_with(**token));
            here.max_by_key(|token| token.len())
                .map(|token| (at, *token))
        });
        let (at, token) = found.unwrap_or((rest.len(), ""));
        for word in plain_words(flags, &rest[..at]) {
            tokens.extend(plain_pieces(&ids, max_chars, &word));
        }
        if token.is_empty() {
            return tokens;
        }
        tokens.push(ids.get(token).copied().unwrap_or_else(|| {
            let place = new.iter().position(|text| **text == token).unwrap();
            (WORDS.len() + place) as u32
        }));
        rest = &rest[at + token.len()..];
    }
}

fn plain_words([clean, chinese, strip, lower]: [bool; 4], text: &str) -> Vec<String> {
    let mut chars: Vec<char> = text.chars().collect();
    if clean {
        chars.retain(|&c| unicode::class(c) & CONTROL == 0);
    }
    if chinese {
        let spaced = |c| match unicode::class(c) & CHINESE {
            0 => vec![c],
            _ => vec![' ', c, ' '],
        };
        chars = chars.into_iter().flat_map(spaced).collect();
    }
    if strip {
        let mut decomposed = Vec::new();
        for c in chars {
            match unicode::class(c) & DECOMPOSES {
                0 => decomposed.push(c),
                _ => unicode::decompose(c, |c| decomposed.push(c)),
            }
        }
        // Marks are sorted between characters that are none; dropped marks of this kind count.
        let is_fixed = |&c: &char| {
            let class = unicode::class(c);
            class & (MARK | ORDER) == 0 || class & (MARK | ORDER) == MARK | ORDER
        };
        let mut at = 0;
        while at < decomposed.len() {
            let end = (at..decomposed.len())
                .find(|&end| is_fixed(&decomposed[end]))
                .unwrap_or(decomposed.len());
            decomposed[at..end].sort_by_key(|&c| unicode::order(c));
            at = end + 1;
        }
        decomposed.retain(|&c| unicode::class(c) & MARK == 0);
        chars = decomposed;
    }
    if lower {
        let lowered = |c| match unicode::class(c) & UPPER {
            0 => (c, None),
            _ => unicode::lower(c),
        };
        chars = chars
            .into_iter()
            .map(lowered)
            .flat_map(|(first, second)| std::iter::once(first).chain(second))
            .collect();
    }
    let mut words = vec![String::new()];
    for c in chars {
        if unicode::class(c) & BLANK != 0 {
            words.push(String::new());
        } else if unicode::class(c) & PUNCTUATION != 0 {
            words.extend([c.to_string(), String::new()]);
        } else {
            words.last_mut().unwrap().push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn plain_pieces(ids: &HashMap<&str, u32>, max_chars: usize, word: &str) -> Vec<u32> {
    if word.chars().count() > max_chars {
        return vec![0];
    }
    let (mut start, mut tokens) = (0, Vec::new());
    while start < word.len() {
        let prefix = if start == 0 { "" } else { "##" };
        let ends = (start + 1..=word.len()).rev();
        let found = ends
            .filter(|&end| word.is_char_boundary(end))
            .find_map(|end| {
                let piece = format!("{prefix}{}", &word[start..end]);
                Some((end, *ids.get(piece.as_str())?))
            });
        let Some((end, token)) = found else {
            return vec![0];
        };
        tokens.push(token);
        start = end;
    }
    tokens
}

/// Texts of characters that matter, and of any others.
fn text() -> impl Strategy<Value = String> {
    let char = prop_oneof![
        4 => proptest::sample::select(
            "aabbeéÉABß中가. [SEP]\u{301}\u{302e}\u{1d165}\u{34f}\u{130}\u{0}\u{b}\u{200b}\u{2003}\n"
                .chars()
                .collect::<Vec<_>>()
        ),
        1 => any::<char>(),
    ];
    let piece = prop_oneof![
        8 => char.prop_map(String::from),
        1 => Just("[SEP]".to_owned()),
        1 => Just("<x>".to_owned()),
        1 => Just("ab".to_owned()),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn flags() -> impl Strategy<Value = [bool; 4]> {
    any::<[bool; 4]>()
}

const ADDED: [&[&str]; 4] = [
    &[],
    &["[SEP]", "[SEP", "<x>"],
    &["[CLS]", "ba", "é中"],
    &["a b", "."],
];

proptest! {
    #[test]
    fn tokens_are_those_of_the_plain_definition(
        text in text(),
        flags in flags(),
        max_chars in prop_oneof![Just(100_usize), 0..6_usize],
        added in proptest::sample::select(ADDED.to_vec()),
    ) {
        let tokenizer = read(&file(flags, max_chars, added)).expect("of this kind");
        prop_assert_eq!(
            encoded(&tokenizer, &text, None),
            plain(flags, max_chars, added, &text)
        );
    }

    #[test]
    fn a_limit_keeps_the_first_and_the_last(
        text in text(),
        times in 1..30_usize,
        all in 0..40_usize,
        last in 0..45_usize,
        flags in flags(),
        added in proptest::sample::select(ADDED.to_vec()),
    ) {
        let text = text.repeat(times);
        let tokenizer = read(&file(flags, 5, added)).expect("of this kind");
        let mut expected = encoded(&tokenizer, &text, None);
        if expected.len() > all {
            let last = last.min(all);
            expected.drain(all - last..expected.len() - last);
        }
        prop_assert_eq!(encoded(&tokenizer, &text, Some((all, last))), expected);
    }

    #[test]
    fn a_damaged_file_is_refused_or_left_or_read(at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = file([true; 4], 100, ADDED[1]).to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        match WordPieceTokenizer::from_json(&bytes) {
            Ok(None) => (),
            Ok(Some(tokenizer)) => {
                encoded(&tokenizer, "a [SEP] bé中.", Some((3, 1)));
            }
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
        prop_assert!(WordPieceTokenizer::from_json(&bytes[..at]).is_err());
    }
}

#[test]
fn what_a_file_says_of_itself() {
    let tokenizer = read(&file([true; 4], 100, &["[SEP]", "<x>"])).unwrap();
    assert_eq!(tokenizer.vocabulary(), WORDS.len() + 1);
    assert_eq!(tokenizer.max_token(), Some(WORDS.len() as u32));
    assert_eq!(tokenizer.special_tokens(), (vec![1], vec![2]));
}

#[test]
fn a_template_has_special_tokens() {
    let mut file = file([true; 4], 100, &[]);
    let token = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    file["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [token("x"), text, token("y"), token("x")],
        "pair": [],
        "special_tokens": {"x": {"id": "x", "ids": [7, 8], "tokens": ["x", "x"]},
                           "y": {"id": "y", "ids": [9], "tokens": ["y"]}},
    });
    assert_eq!(
        read(&file).unwrap().special_tokens(),
        (vec![7, 8], vec![9, 7, 8])
    );
    for single in [
        json!([]),
        json!([token("x")]),
        json!([text, text]),
        json!([text, token("z")]),
    ] {
        file["post_processor"]["single"] = single;
        assert!(read(&file).is_none());
    }
    file["post_processor"] = Value::Null;
    assert_eq!(read(&file).unwrap().special_tokens(), (vec![], vec![]));
}

#[test]
fn another_kind_is_left() {
    let changes: [(&str, Value); 23] = [
        ("/model/type", json!("BPE")),
        ("/model/type", Value::Null),
        ("/model", json!([1, [2]])),
        ("/model", json!(3)),
        ("/model/unk_token", json!("none")),
        ("/model/unk_token", Value::Null),
        ("/model/continuing_subword_prefix", json!(1)),
        ("/model/max_input_chars_per_word", json!(-1)),
        ("/model/max_input_chars_per_word", json!(1_000_000)),
        ("/model/more", json!({})),
        ("/more", json!({})),
        ("/version", json!("2.0")),
        ("/truncation", json!({"direction": "Left", "max_length": 4})),
        ("/normalizer", Value::Null),
        ("/normalizer/type", json!("Lowercase")),
        ("/normalizer/clean_text", json!("yes")),
        ("/normalizer/strip_accents", json!(1)),
        ("/pre_tokenizer/type", json!("Whitespace")),
        ("/post_processor/type", json!("ByteLevel")),
        ("/post_processor/cls", json!(["[CLS]"])),
        ("/added_tokens", Value::Null),
        ("/added_tokens/0/normalized", json!(true)),
        ("/added_tokens/0/id", json!(5)),
    ];
    for (path, value) in changes {
        let mut file = file([true; 4], 100, &["[SEP]", "<x>"]);
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = file.pointer_mut(parent).unwrap();
        parent[name] = value;
        assert!(read(&file).is_none(), "{path}");
    }
}

#[test]
fn added_tokens_are_left_where_their_flags_matter() {
    for (name, others, is_read) in [
        ("single_word", &[][..], false),
        ("lstrip", &[], true),
        ("rstrip", &["x"], true),
        ("lstrip", &["x y"], false),
        ("rstrip", &["\u{3000}"], false),
    ] {
        let mut file = file([true; 4], 100, &[&["[SEP]"], others].concat());
        file["added_tokens"][0][name] = json!(true);
        assert_eq!(read(&file).is_some(), is_read, "{name} {others:?}");
    }
    let many: Vec<String> = (0..1_001).map(|i| format!("<{i}>")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(read(&file([true; 4], 100, &many)).is_none());
    assert!(read(&file([true; 4], 100, &many[1..])).is_some());
    assert!(read(&file([true; 4], 100, &["x", "x"])).is_none());
    assert!(read(&file([true; 4], 100, &[""])).is_none());
}

#[test]
fn no_tokenizer_is_refused() {
    let text = file([true; 4], 100, &[]).to_string();
    let with_id = |id: &str| text.replace("\"[UNK]\":0", &format!("\"[UNK]\":{id}"));
    for (text, said) in [
        (String::new(), "EOF"),
        ("[]".into(), "expected a tokenizer"),
        ("3".into(), "expected a tokenizer"),
        (format!("{text} 1"), "trailing"),
        (with_id("-1"), "`-1`, expected a token id"),
        (with_id("4294967296"), "expected a token id"),
        (with_id("1.5"), "expected a token id"),
        (with_id("\"0\""), "expected a token id"),
        (
            with_id(&format!("\"{}\"", "x".repeat(10_000))),
            "... at line 1",
        ),
        (text.replace("\"vocab\":{", "\"vocab\":["), "line 1"),
        (format!("{}1", "[".repeat(100_000)), "expected a tokenizer"),
        (
            format!("{{\"model\":{{\"a\":{}", "[".repeat(100_000)),
            "line 1",
        ),
    ] {
        let error = WordPieceTokenizer::from_json(text.as_bytes()).err();
        let Some(error @ Error::Tokenizer { .. }) = error else {
            panic!("{said}: {error:?}");
        };
        let message = error.to_string();
        assert!(message.contains(said), "{message}");
        assert!(message.len() < 400 && !message.contains('\n'), "{message}");
    }
    assert!(WordPieceTokenizer::from_json(b"{\"\xff\": 1}").is_err());
}

#[test]
fn a_word_with_two_ids_has_the_last() {
    let text = file([true; 4], 100, &[]).to_string();
    let twice = text.replace("\"[UNK]\":0", "\"[UNK]\":0,\"\\u0061\":500,\"a\":600");
    let tokenizer = WordPieceTokenizer::from_json(twice.as_bytes())
        .unwrap()
        .unwrap();
    let expected = if twice.find("\"a\":3") > twice.find("\"a\":600") {
        3
    } else {
        600
    };
    assert_eq!(encoded(&tokenizer, "A", None), [expected]);
}

#[test]
fn long_words_and_long_texts() {
    let tokenizer = read(&file([true; 4], 100, &["[SEP]"])).unwrap();
    assert_eq!(encoded(&tokenizer, &"a".repeat(1_000_000), None), [0]);
    assert_eq!(
        encoded(&tokenizer, &"\u{1d165}".repeat(100_000), Some((5, 2))),
        [0]
    );
    assert_eq!(
        encoded(&tokenizer, &"中".repeat(100_000), Some((5, 2))),
        [15; 5]
    );
    assert_eq!(
        encoded(&tokenizer, &".".repeat(100_000), Some((5, 5))),
        [17; 5]
    );
    assert!(encoded(&tokenizer, &"\0".repeat(100_000), None).is_empty());
}
