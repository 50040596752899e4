//! A lookup embedder: batches, threads, leads, limits and texts without a vector.
//!
//! Not here: onnxruntime's vectors, which the tests in Python compare.

#[macro_use]
mod support;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use hypernova_core::text::embedder::{LookupEmbedder, TextError};
use hypernova_core::text::route::{RouteError, route_many};
use hypernova_core::{Artifact, RouteOptions};
use support::{blended, lookup_embedder, values};

const TEXTS: [&str; 5] = [
    "Sort the list of shops",
    "Join two tables\nand count the rows",
    "write a proof that two is even",
    "zebra",
    "Sort\n\nthe list",
];

fn embed(embedder: &LookupEmbedder, text: &str) -> Result<Vec<u32>, TextError> {
    let mut vector = vec![0.0; embedder.dim()];
    embedder.embed(text, &mut vector)?;
    let length: f32 = vector.iter().map(|x| x * x).sum();
    assert!((length - 1.0).abs() < 1e-5, "{text:?} has length {length}");
    Ok(vector.iter().map(|x| x.to_bits()).collect())
}

fn threads(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

#[test]
fn batches_and_threads_do_not_change_a_bit() {
    let embedder = lookup_embedder(|settings| {
        settings.reading.has_lead = true;
        settings.lead_weight = 2.0;
    });
    let texts: Vec<&str> = TEXTS.into_iter().cycle().take(333).collect();
    let alone: Vec<u32> = (texts.iter())
        .flat_map(|text| embed(&embedder, text).unwrap())
        .collect();
    for n in [1, 2, 3, 8] {
        let mut matrix = vec![0.0; texts.len() * embedder.dim()];
        let done = AtomicUsize::new(0);
        let count = |some| {
            done.fetch_add(some, Ordering::Relaxed);
            true
        };
        let embedded = embedder.embed_many(&texts, threads(n), &mut matrix, count);
        assert_eq!(embedded, Ok(()));
        assert_eq!(done.into_inner(), texts.len());
        let found: Vec<u32> = matrix.iter().map(|x| x.to_bits()).collect();
        assert!(found == alone, "{n} threads");
    }
}

#[test]
fn the_first_text_without_a_vector_is_named() {
    let embedder = lookup_embedder(|settings| settings.prompt = "the ".into());
    assert_eq!(embed(&embedder, " \u{200b}"), Err(TextError::Empty));
    assert_eq!(embed(&embedder, "\u{fffd}"), Err(TextError::NoToken));
    let mut texts: Vec<&str> = TEXTS.into_iter().cycle().take(200).collect();
    texts[150] = "";
    texts[97] = "\u{fffd}";
    texts[180] = "";
    for n in [1, 4] {
        let mut matrix = vec![0.0; texts.len() * embedder.dim()];
        let embedded = embedder.embed_many(&texts, threads(n), &mut matrix, |_| true);
        assert_eq!(embedded, Err((97, TextError::NoToken)));
    }
}

#[test]
fn special_tokens_and_limits_are_those_of_the_settings() {
    let plain = lookup_embedder(|_| {});
    let (tokens, lead) = plain.tokens("Sort the list of shops").unwrap();
    assert_eq!((&tokens[..], lead), (&[3, 4, 5, 6, 7][..], None));
    let limited = lookup_embedder(|settings| {
        settings.special_tokens = true;
        settings.max_tokens = Some(5);
        settings.tail_tokens = 1;
    });
    let (tokens, _) = limited.tokens("Sort the list of shops").unwrap();
    assert_eq!(tokens, [0, 3, 4, 7, 1]);
    assert_eq!(
        limited.key_of("sort the shops"),
        limited.key_of("sort the join shops")
    );
    assert_ne!(
        limited.key_of("sort the shops"),
        limited.key_of("sort a shops")
    );
}

#[test]
fn two_turns_have_their_mean() {
    let embedder = lookup_embedder(|_| {});
    let of = |first, last| {
        let mut vector = vec![0.0; embedder.dim()];
        let embedded = embedder.embed_turns(first, last, &mut vector);
        embedded.map(|()| vector.iter().map(|x| x.to_bits()).collect::<Vec<_>>())
    };
    assert_eq!(of("sort", ""), Ok(embed(&embedder, "sort").unwrap()));
    assert_eq!(of("", "sort"), Ok(embed(&embedder, "sort").unwrap()));
    assert_eq!(of("", "\u{fffd}"), Err(TextError::Empty));
    assert_eq!(of("\u{fffd}", ""), Err(TextError::NoToken));
    assert_ne!(of("sort", "join"), of("sort", "sort"));
}

#[test]
fn texts_are_routed_as_their_vectors_are() {
    let embedder = lookup_embedder(|_| {});
    let texts: Vec<&str> = TEXTS.into_iter().cycle().take(100).collect();
    let mut matrix = vec![0.0; texts.len() * embedder.dim()];
    let embedded = embedder.embed_many(&texts, threads(1), &mut matrix, |_| true);
    assert_eq!(embedded, Ok(()));
    let plain = values(7, embedder.dim() as u32, 5, 1);
    for values in [plain.clone(), blended(plain, 3)] {
        let artifact = Artifact::build(&values).unwrap();
        let mut options = RouteOptions::defaults(&artifact);
        options.explore(0.5, 9).unwrap();
        let decided = artifact.decide_many(&matrix, &options).unwrap();
        for n in [1, 3] {
            let go_on = |_| true;
            let routed = route_many(
                &artifact,
                &embedder,
                &texts,
                &options,
                None,
                threads(n),
                go_on,
            );
            let found: Vec<_> = routed.unwrap().into_iter().map(|(one, _)| one).collect();
            assert_eq!(found, decided, "{n} threads");
        }
        let bad = ["sort", "\u{fffd}"];
        let routed = route_many(
            &artifact,
            &embedder,
            &bad,
            &options,
            None,
            threads(1),
            |_| true,
        );
        assert!(matches!(
            routed,
            Err(RouteError::Text(1, TextError::NoToken))
        ));
    }
}
