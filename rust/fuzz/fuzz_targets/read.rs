//! Fuzz the reading of a text: the cut, courtesies and the lead.
//!
//! Not here: tokens.
#![no_main]

use hypernova_core::text::{ReadingRules, cut, cut_spans, kept_spans, visible_span};

libfuzzer_sys::fuzz_target!(|text: &str| {
    for (head_chars, tail_chars) in [(1536, 512), (40, 12), (1, 0)] {
        let rules = ReadingRules {
            head_chars,
            tail_chars,
            lead_chars: 9,
            has_lead: true,
            skip_courtesy: true,
        };
        let short = cut(text, head_chars, tail_chars);
        assert_eq!(cut(&short, head_chars, tail_chars), short);
        assert_eq!(rules.read(&short), rules.read(text));
        let (first, last) = cut_spans(text, head_chars, tail_chars);
        for span in first.into_iter().chain(last) {
            assert!(!text[span].is_empty());
        }
    }
    for span in kept_spans(text) {
        assert!(!text[span].is_empty());
    }
    let _ = &text[visible_span(text)];
});
