//! Read a `tokenizer.json`.
//!
//! Not here: what the parts of it mean (`words.rs`, `added.rs`).
//!
//! The file may come from a stranger. It is read in one pass, the vocabulary straight into its
//! table. Whatever is not known to mean the same here as in the package tokenizers is left to it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde_core::Deserializer;
use serde_core::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::added::{self, AddedTokens};
use super::vocabulary::Vocabulary;
use super::words::{Normalizer, Words};
use crate::error::Error;

/// Words of more characters than this are not looked for: the time is their square.
const MAX_WORD_CHARS: u64 = 10_000;
/// Bytes of a file for each word of its vocabulary; that of BERT has 15.
const BYTES_OF_WORD: usize = 14;
/// Bytes of any part but the model, which would take 16 times as many once it is read.
const MAX_PART: usize = 1 << 20;
/// Characters of an error: it may quote a text of the file.
const MAX_DETAIL: usize = 200;

/// What a file holds.
pub(super) struct Contents {
    pub(super) words: Words,
    pub(super) added: AddedTokens,
    /// Number of words and added tokens.
    pub(super) vocabulary: usize,
    pub(super) max_token: Option<u32>,
    /// Special tokens before and after a text.
    pub(super) special: (Vec<u32>, Vec<u32>),
}

/// Read a file; `None` for a tokenizer of another kind.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Contents>, Error> {
    let refuse = |error: serde_json::Error| {
        let (message, line, column) = (error.to_string(), error.line(), error.column());
        let is_short = message.len() <= MAX_DETAIL;
        Error::Tokenizer {
            detail: if is_short {
                message
            } else {
                let start: String = message.chars().take(MAX_DETAIL).collect();
                format!("{start}... at line {line} column {column}")
            },
        }
    };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let file = json
        .deserialize_any(FileSeed { bytes: bytes.len() })
        .map_err(refuse)?;
    json.end().map_err(refuse)?;
    Ok(file.and_then(File::contents))
}

/// The parts of a file, as they stand in it; the model is read already.
struct File<'a> {
    /// By name.
    parts: Vec<(&'static str, &'a RawValue)>,
    model: Model,
}

/// All parts but the model that a file may have, and the package knows.
const PARTS: [&str; 8] = [
    "version",
    "truncation",
    "padding",
    "added_tokens",
    "normalizer",
    "pre_tokenizer",
    "post_processor",
    "decoder",
];

/// A model of the kind `WordPiece`.
struct Model {
    vocabulary: Vocabulary,
    unknown: String,
    prefix: String,
    max_chars: usize,
}

impl File<'_> {
    /// A part; null if the file lacks it, and `None` if it is too large.
    fn part(&self, name: &str) -> Option<Value> {
        let Some((_, raw)) = self.parts.iter().find(|&&(part, _)| part == name) else {
            return Some(Value::Null);
        };
        let raw = Some(raw.get()).filter(|raw| raw.len() <= MAX_PART);
        serde_json::from_str(raw?).ok()
    }

    /// What it holds, unless its tokenizer is of another kind.
    fn contents(self) -> Option<Contents> {
        let normalizer = normalizer(&self.part("normalizer")?)?;
        let truncation = self.part("truncation")?;
        if self.part("version")? != "1.0"
            || self.part("pre_tokenizer")?["type"] != "BertPreTokenizer"
            || !truncation.is_null() && truncation["direction"] != "Right"
        {
            return None;
        }
        let special = special_tokens(&self.part("post_processor")?)?;
        let added_tokens_part = self.part("added_tokens")?;
        let model = self.model;
        let unknown = model.vocabulary.get(&model.unknown)?;
        let added = added_tokens(&added_tokens_part, &model.vocabulary)?;
        let highest = added.iter().map(|&(_, token)| token);
        let max_token = highest.chain(model.vocabulary.max_token()).max();
        let new = added
            .iter()
            .filter(|(text, _)| model.vocabulary.get(text).is_none());
        Some(Contents {
            vocabulary: model.vocabulary.len() + new.count(),
            max_token,
            special,
            added: AddedTokens::new(added),
            words: Words::new(
                model.vocabulary,
                normalizer,
                unknown,
                &model.prefix,
                model.max_chars,
            ),
        })
    }
}

fn normalizer(value: &Value) -> Option<Normalizer> {
    let flag = |name: &str| value[name].as_bool();
    let lowercase = flag("lowercase")?;
    let strip_accents = match &value["strip_accents"] {
        Value::Null => lowercase,
        other => other.as_bool()?,
    };
    (value["type"] == "BertNormalizer").then_some(Normalizer {
        clean_text: flag("clean_text")?,
        chinese: flag("handle_chinese_chars")?,
        strip_accents,
        lowercase,
    })
}

/// The text and the token of each added token.
fn added_tokens(value: &Value, vocabulary: &Vocabulary) -> Option<Vec<(String, u32)>> {
    let tokens = value
        .as_array()
        .filter(|tokens| tokens.len() <= added::MAX_TOKENS)?;
    // Tokens that the vocabulary lacks are counted on from its size.
    let mut next = u32::try_from(vocabulary.len()).ok()?;
    let mut added = Vec::with_capacity(tokens.len());
    let (mut texts, mut ids) = (HashSet::new(), HashSet::new());
    let mut any_strips = false;
    for token in tokens {
        let flag = |name: &str| token[name].as_bool();
        let text = token["content"].as_str().filter(|text| !text.is_empty())?;
        let id = u32::try_from(token["id"].as_u64()?).ok()?;
        let expected = vocabulary.get(text).or_else(|| {
            next = next.checked_add(1)?;
            Some(next - 1)
        })?;
        let is_plain = !flag("normalized")? && !flag("single_word")? && flag("special").is_some();
        any_strips |= flag("lstrip")? | flag("rstrip")?;
        if !is_plain || id != expected || !texts.insert(text) || !ids.insert(id) {
            return None;
        }
        added.push((text.to_owned(), id));
    }
    // Blanks beside an added token are dropped in any case, but for those of another.
    let has_blank = texts.iter().any(|text| text.contains(char::is_whitespace));
    (!(any_strips && has_blank)).then_some(added)
}

/// Special tokens before and after a text.
fn special_tokens(value: &Value) -> Option<(Vec<u32>, Vec<u32>)> {
    let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
    match value["type"].as_str() {
        None => value.is_null().then(Default::default),
        Some("BertProcessing" | "RobertaProcessing") => {
            let token = |name: &str| match value[name].as_array()?.as_slice() {
                [Value::String(_), id] => Some(vec![number(id)?]),
                _ => None,
            };
            Some((token("cls")?, token("sep")?))
        }
        Some("TemplateProcessing") => {
            let mut special = (Vec::new(), Vec::new());
            let mut has_text = false;
            for piece in value["single"].as_array()? {
                if let Some(name) = piece["SpecialToken"]["id"].as_str() {
                    let ids = value["special_tokens"][name]["ids"].as_array()?;
                    let ids: Option<Vec<u32>> = ids.iter().map(number).collect();
                    if has_text {
                        special.1.extend(ids?);
                    } else {
                        special.0.extend(ids?);
                    }
                } else if piece["Sequence"]["id"] != "A" || std::mem::replace(&mut has_text, true) {
                    return None;
                }
            }
            has_text.then_some(special)
        }
        Some(_) => None,
    }
}

/// Reads the file; `None` if it has parts twice, or of another kind.
struct FileSeed {
    /// Bytes of the file.
    bytes: usize,
}

/// The methods of a visitor that takes one kind of value for all values of another.
macro_rules! other_kinds {
    ($value:expr; $($visit:ident: $kind:ty),*) => {$(
        fn $visit<E>(self, _: $kind) -> Result<Self::Value, E> {
            Ok($value)
        }
    )*};
}

impl<'de> Visitor<'de> for FileSeed {
    type Value = Option<File<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a tokenizer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut parts: Vec<(&str, &RawValue)> = Vec::with_capacity(PARTS.len());
        let (mut model, mut models, mut is_known) = (None, 0, true);
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if name == "model" {
                model = map.next_value_seed(ModelSeed { file: self.bytes })?;
                models += 1;
                continue;
            }
            let known = PARTS.into_iter().find(|&part| part == name);
            let value = map.next_value()?;
            let is_new = !parts.iter().any(|&(part, _)| part == name);
            match known.filter(|_| is_new) {
                Some(part) => parts.push((part, value)),
                None => is_known = false,
            }
        }
        let model = model.filter(|_| is_known && models == 1);
        Ok(model.map(|model| File { parts, model }))
    }
}

/// Reads the model; `None` for one of another kind.
struct ModelSeed {
    /// Bytes of the file.
    file: usize,
}

impl<'de> DeserializeSeed<'de> for ModelSeed {
    type Value = Option<Model>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ModelSeed {
    type Value = Option<Model>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a model")
    }

    other_kinds!(None; visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut kind, mut unknown, mut prefix, mut max_chars) = Default::default();
        let mut vocabulary = None;
        let mut is_known = true;
        while let Some(name) = map.next_key::<String>()? {
            let value: &mut Value = match name.as_str() {
                "type" => &mut kind,
                "unk_token" => &mut unknown,
                "continuing_subword_prefix" => &mut prefix,
                "max_input_chars_per_word" => &mut max_chars,
                // The kind stands before the vocabulary; if not, the package may read it.
                "vocab" if is_known && vocabulary.is_none() && kind == "WordPiece" => {
                    vocabulary = map.next_value_seed(VocabularySeed { file: self.file })?;
                    is_known &= vocabulary.is_some();
                    continue;
                }
                _ => {
                    is_known = false;
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            is_known &= value.is_null();
            *value = map.next_value()?;
        }
        let max_chars = max_chars.as_u64().filter(|&chars| chars <= MAX_WORD_CHARS);
        Ok(match (unknown, prefix, max_chars, vocabulary) {
            (Value::String(unknown), Value::String(prefix), Some(max_chars), Some(vocabulary))
                if is_known =>
            {
                Some(Model {
                    vocabulary,
                    unknown,
                    prefix,
                    max_chars: max_chars as usize,
                })
            }
            _ => None,
        })
    }
}

/// Reads the vocabulary; `None` if it is too large, or was made to be slow.
struct VocabularySeed {
    /// Bytes of the file.
    file: usize,
}

impl<'de> DeserializeSeed<'de> for VocabularySeed {
    type Value = Option<Vocabulary>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for VocabularySeed {
    type Value = Option<Vocabulary>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a vocabulary: an object of words and their token ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut vocabulary = Vocabulary::with_room(self.file / BYTES_OF_WORD, self.file / 2);
        while let Some(word) = map.next_key_seed(WordSeed)? {
            let token = map.next_value_seed(TokenSeed)?;
            if vocabulary.insert(&word, token).is_err() {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
        }
        vocabulary.finish();
        Ok(Some(vocabulary))
    }
}

/// Reads a word, where it stands if it has no escapes.
struct WordSeed;

impl<'de> DeserializeSeed<'de> for WordSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for WordSeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a word")
    }

    fn visit_borrowed_str<E>(self, word: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(word))
    }

    fn visit_str<E>(self, word: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(word.to_owned()))
    }
}

/// Reads a token id.
struct TokenSeed;

impl<'de> DeserializeSeed<'de> for TokenSeed {
    type Value = u32;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_u32(self)
    }
}

impl Visitor<'_> for TokenSeed {
    type Value = u32;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a token id from 0 to 4294967295")
    }

    fn visit_u64<E: serde_core::de::Error>(self, token: u64) -> Result<Self::Value, E> {
        let refuse = |_| E::invalid_value(Unexpected::Unsigned(token), &self);
        u32::try_from(token).map_err(refuse)
    }
}
