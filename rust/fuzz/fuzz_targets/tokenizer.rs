//! Fuzz BERT's tokenizer: any bytes as its file, and any text with a sound one.
//!
//! Not here: its tokens, which tests compare with the package tokenizers.
#![no_main]

use std::sync::LazyLock;

use hypernova_core::text::word_piece::WordPieceTokenizer;

static SOUND: LazyLock<WordPieceTokenizer> = LazyLock::new(|| {
    let bytes = include_bytes!("../../../tests/golden/export/bert-mean/tokenizer.json");
    let read = WordPieceTokenizer::from_json(bytes).expect("the golden file is sound");
    read.expect("the golden file is of BERT's kind")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    match WordPieceTokenizer::from_json(bytes) {
        Ok(Some(tokenizer)) => encode(&tokenizer, &text),
        Ok(None) => (),
        Err(error) => assert!(!error.to_string().contains('\n'), "{error:?}"),
    }
    encode(&SOUND, &text);
});

/// Encode a text: a limit keeps its first and its last tokens, and none is above the highest.
fn encode(tokenizer: &WordPieceTokenizer, text: &str) {
    let mut all = Vec::new();
    tokenizer.encode_into(text, None, &mut all);
    assert!(
        all.iter()
            .all(|&token| Some(token) <= tokenizer.max_token())
    );
    let mut limited = Vec::new();
    tokenizer.encode_into(text, Some((5, 2)), &mut limited);
    if all.len() > 5 {
        all.drain(3..all.len() - 2);
    }
    assert_eq!(limited, all);
}
