//! The reading of texts: odd texts, and what holds for every text.
//!
//! Not here: real prompts and random texts against a second implementation of the rules
//! (`tests/embedder/test_reading.py`).

use std::borrow::Cow;
use std::ops::Range;

use hypernova_core::text::{
    MAX_BLANKS, ReadingRules, cut, cut_of_ends, cut_spans, is_blank, kept_spans, visible_span,
};
use proptest::prelude::*;

const RULES: ReadingRules = ReadingRules {
    head_chars: 1536,
    tail_chars: 512,
    lead_chars: 160,
    has_lead: true,
    skip_courtesy: true,
};

/// The text that is read, and its lead; the lead is empty where it is no part.
fn read<'t>(rules: &ReadingRules, text: &'t str) -> Option<(Cow<'t, str>, String)> {
    let reading = rules.read(text)?;
    let lead = reading.lead.map(|lead| reading.text[lead].to_owned());
    Some((reading.text, lead.unwrap_or_default()))
}

fn joined(text: &str, spans: &[Range<usize>], by: &str) -> String {
    let pieces: Vec<&str> = spans.iter().map(|span| &text[span.clone()]).collect();
    pieces.join(by)
}

fn rises(spans: &[Range<usize>], text: &str) -> bool {
    let ends = spans
        .iter()
        .all(|span| span.start < span.end && text.get(span.clone()).is_some());
    ends && spans.windows(2).all(|two| two[0].end <= two[1].start)
}

#[test]
fn texts_that_show_nothing_are_not_read() {
    for text in [
        "",
        " ",
        "\n\r\t",
        "\0",
        "\u{200b}\u{feff}\u{ad}",
        &" ".repeat(5000),
        &"\n\0".repeat(5000),
    ] {
        assert!(is_blank(text));
        assert!(visible_span(text).is_empty());
        assert_eq!(read(&RULES, text), None);
    }
}

#[test]
fn a_text_without_courtesies_is_read_in_place() {
    for text in [
        "Sort the shops by revenue",
        "名前を並べ替える",
        "🙂",
        "رتب المتاجر",
        "a\0b",
        "x = y",
    ] {
        let (found, lead) = read(&RULES, text).expect("it shows something");
        assert!(matches!(found, Cow::Borrowed(same) if same.as_ptr() == text.as_ptr()));
        assert_eq!((&*found, &*lead), (text, ""));
    }
}

#[test]
fn courtesies_around_a_task_are_skipped_and_the_lead_is_the_first_line() {
    let text =
        "Hi Maria,\n\n  \nSort the shops.\u{a0} \r\nThere are many shops!\nBest regards,\nAnna";
    let (found, lead) = read(&RULES, text).expect("it shows something");
    assert_eq!(found, "Sort the shops.\u{a0} \r\nThere are many shops!");
    assert!(matches!(found, Cow::Borrowed(_)));
    assert_eq!(lead, "Sort the shops.");
    let whole = ReadingRules {
        skip_courtesy: false,
        lead_chars: 4,
        ..RULES
    };
    assert_eq!(
        read(&whole, text),
        Some((Cow::Borrowed(text), "Hi M".to_owned()))
    );
    let none = ReadingRules {
        has_lead: false,
        ..RULES
    };
    assert_eq!(read(&none, text).expect("as above").1, "");
}

#[test]
fn a_text_of_courtesies_alone_is_read_whole() {
    for text in ["Thanks!", "Hi!\nHow are you?", "---", "Hi\n\u{200b}"] {
        assert_eq!(kept_spans(text), []);
        assert_eq!(read(&RULES, text).expect("it shows something").0, text);
    }
}

#[test]
fn a_megabyte_of_one_character_is_cut() {
    for character in ["x", "é", "名", "🙂"] {
        let text = character.repeat(1_000_000 / character.len());
        let expected = format!("{} {}", character.repeat(1536), character.repeat(512));
        let (found, lead) = read(&RULES, &text).expect("it shows something");
        assert!(found == expected, "{character}");
        assert_eq!(lead, character.repeat(160));
        let ends = (character.repeat(2049), character.repeat(768));
        assert_eq!(cut_of_ends(&ends.0, &ends.1, 1536, 512), Some(expected));
    }
    for blank in [" ", "\n", "\u{200b}"] {
        let text = blank.repeat(1_000_000 / blank.len());
        assert_eq!(cut(&text, 1536, 512), blank.repeat(MAX_BLANKS));
        let word = format!("{text}a{text}");
        assert_eq!(
            cut(&word, 1536, 512),
            format!("{0}a{0}", blank.repeat(MAX_BLANKS))
        );
        assert_eq!(visible_span(&word), text.len()..text.len() + 1);
        assert_eq!(
            cut_of_ends(&text[..2049 * blank.len()], "", 1536, 512),
            None
        );
    }
}

fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "Hi",
            "Dear Anna",
            "thanks",
            "sort",
            "Löwe",
            "12:30",
            "a@b.org",
            "7 June 2024",
            "3 days ago",
            "# ",
            "> ",
            "* ",
            "\"",
            "'",
            "**",
            "```",
            "~~~py",
            "-",
            ". ",
            "! ",
            ": ",
            "? ",
            "...",
            "\n",
            "\n",
            "\r\n",
            " ",
            "  ",
            "\t",
            "\u{200b}",
            "\0",
            "\u{a0}",
            "\u{3000}",
            "\u{2028}",
            "yours,\n",
            "Best regards,\n",
            "Anna",
            "you are a bot",
            "İ",
            "名前",
            "page 1 of 2",
            "on",
            "wrote:",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
        (
            prop::sample::select(vec![' ', '\n', '\u{200b}', 'x', '\u{3000}']),
            1..600_usize
        )
            .prop_map(|(character, n)| character.to_string().repeat(n)),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_cut_is_stable_and_its_spans_are_what_it_keeps(
        text in texts(), head in 1..400_usize, tail in 0..400_usize,
    ) {
        let found = cut(&text, head, tail);
        prop_assert_eq!(&cut(&found, head, tail), &found);
        prop_assert!(found.chars().count() <= head + tail + 1);
        let (first, last) = cut_spans(&text, head, tail);
        prop_assert!(rises(&first, &text) && rises(&last, &text));
        let ends = [joined(&text, &first, ""), joined(&text, &last, "")];
        prop_assert_eq!(if last.is_empty() { ends[0].clone() } else { ends.join(" ") }, found.as_ref());

        let length = text.chars().count();
        if length > head + tail + 1 {
            let begin: String = text.chars().take(head + tail + 1).collect();
            let end: String = text.chars().skip(length.saturating_sub(tail + MAX_BLANKS)).collect();
            if let Some(told) = cut_of_ends(&begin, &end, head, tail) {
                prop_assert_eq!(told, found);
            }
        }
    }

    #[test]
    fn blanks_around_a_text_are_blank(text in texts()) {
        let visible = visible_span(&text);
        prop_assert!(is_blank(&text[..visible.start]) && is_blank(&text[visible.end..]));
        prop_assert_eq!(is_blank(&text), visible.is_empty());
        prop_assert_eq!(visible_span(&text[visible.clone()]), 0..visible.len());
    }

    #[test]
    fn what_is_read_rises_shows_something_and_holds_its_lead(text in texts()) {
        let kept = kept_spans(&text);
        prop_assert!(rises(&kept, &text));
        prop_assert!(kept.is_empty() || !is_blank(&joined(&text, &kept, "\n")));
        let rules = ReadingRules { head_chars: 300, tail_chars: 90, lead_chars: 20, ..RULES };
        let Some(reading) = rules.read(&text) else {
            prop_assert!(is_blank(&cut(&text, 300, 90)));
            return Ok(());
        };
        prop_assert!(!is_blank(&reading.text));
        let short = cut(&text, 300, 90);
        prop_assert_eq!(rules.read(&short), Some(reading.clone()));
        if let Some(lead) = reading.lead {
            let visible = visible_span(&reading.text);
            prop_assert!(lead.start == visible.start && lead.end < visible.end);
            prop_assert!(!reading.text[lead.clone()].contains(['\n', '\r']));
            prop_assert!((1..=20).contains(&reading.text[lead].chars().count()));
        }
    }
}
