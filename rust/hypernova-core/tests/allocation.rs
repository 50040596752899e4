//! A decision allocates nothing, nor does the vector of a text.
//!
//! Not here: other tests, because the counting allocator replaces that of the whole binary.

// A global allocator cannot be written without it.
#![expect(unsafe_code, reason = "an allocator that counts")]

#[macro_use]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use hypernova_core::{Artifact, Group, Reason, Request, RouteOptions, SimdLevel};
use support::{SplitMix, blended, grouped, in_row, priced, values, with_tokens};

thread_local! {
    /// Per thread: the test harness allocates in others meanwhile.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    ALLOCATIONS.with(|n| n.set(n.get() + 1));
}

// SAFETY: every call is handed to the system's allocator unchanged. The counter is
// a plain number that is initialised at compile time and has no destructor, so that access to
// it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Count the allocations of this thread while `work` runs.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// Queries that are near a centroid, between centroids, and novel.
fn queries(artifact: &Artifact) -> Vec<Vec<f32>> {
    let mut random = SplitMix(7);
    let dim = artifact.dim();
    let mut queries: Vec<Vec<f32>> = (0..20)
        .map(|_| (0..dim).map(|_| random.normal()).collect())
        .collect();
    queries.push(artifact.centroids()[..dim].to_vec());
    queries.push(vec![1e30; dim]);
    queries
}

fn levels() -> impl Iterator<Item = SimdLevel> {
    SimdLevel::available()
}

#[test]
fn a_decision_allocates_nothing() {
    for (clusters, dim, models) in [(1, 1, 1), (7, 83, 25), (100, 384, 300)] {
        let plain = values(clusters, dim, models, 1);
        let both = blended(plain.clone(), 15); // the most clusters that can have a share
        for (values, level) in [plain, both]
            .iter()
            .flat_map(|p| levels().map(move |l| (p, l)))
        {
            let artifact = Artifact::build(values).unwrap();
            let artifact = artifact.with_level(level);
            let queries = queries(&artifact);
            let mut reasons = Vec::with_capacity(queries.len());
            let counted = allocations(|| {
                let options = RouteOptions::defaults(&artifact);
                for query in &queries {
                    let decision = artifact.decide(query, &options).unwrap();
                    // Reading the decision allocates nothing either.
                    assert!(!artifact.model_name(decision.model).is_empty());
                    assert!(!decision.reason.name().is_empty());
                    reasons.push(decision.reason);
                }
            });
            assert_eq!(counted, 0, "{level:?} {clusters}x{dim}, {models} models");
            assert!(reasons.contains(&Reason::DefaultNovel));
        }
    }
}

#[test]
fn a_decision_on_a_mapped_file_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.hnv");
    let built = Artifact::build(&values(20, 48, 9, 2)).unwrap();
    built.save(&path).unwrap();
    let artifact = Artifact::open(&path).unwrap();
    let queries = queries(&artifact);
    let counted = allocations(|| {
        let options = RouteOptions::defaults(&artifact);
        for query in &queries {
            artifact.decide(query, &options).unwrap();
        }
    });
    assert_eq!(counted, 0);
}

#[test]
fn options_are_allocated_once_and_not_by_a_decision() {
    for values in [values(20, 48, 9, 3), blended(values(20, 48, 9, 3), 7)] {
        options_are_allocated_once(&Artifact::build(&values).unwrap());
    }
}

fn options_are_allocated_once(artifact: &Artifact) {
    let request = with!(Request::default(), {
        cost_weight: Some(0.5),
        latency_weight: Some(0.001),
        min_success: Some(0.0),
        deny: Some(vec!["model 3".into()]),
        prices: Some(vec![("model 1".into(), hypernova_core::Price::Task(0.01))]),
    });
    let options = RouteOptions::resolve(artifact, &request).unwrap();
    let queries = queries(artifact);
    let counted = allocations(|| {
        for query in &queries {
            artifact.decide(query, &options).unwrap();
        }
    });
    assert_eq!(counted, 0);
}

#[test]
fn groups_and_prices_for_tokens_allocate_nothing() {
    for seed in 0..4 {
        let plain = values(20, 48, 9, seed);
        let blended = blended(plain.clone(), seed);
        for own in [plain, blended] {
            let values = with_tokens(grouped(own, 7, seed), seed);
            let artifact = Artifact::build(&values).unwrap();
            let queries = queries(&artifact);
            let mut options = priced(&artifact);
            assert_ne!(options, RouteOptions::defaults(&artifact));
            let counted = allocations(|| {
                for name in ["group 0", "group 6", "no such group"] {
                    options.group(artifact.group(name));
                    for query in &queries {
                        let decision = artifact.decide(query, &options).unwrap();
                        if let Group::Known(group) = decision.facts.group {
                            assert_eq!(artifact.group_name(group), name);
                            assert_ne!(decision.reason, Reason::DefaultNovel);
                        }
                    }
                }
            });
            assert_eq!(counted, 0);
        }
    }
}

#[test]
fn the_counter_counts_an_allocation() {
    let artifact = Artifact::build(&values(2, 3, 4, 4)).unwrap();
    let options = RouteOptions::defaults(&artifact);
    assert_eq!(allocations(|| drop(Box::new(1))), 1);
    assert_eq!(allocations(|| drop(vec![0_u8; 100])), 1);
    assert!(allocations(|| drop(artifact.rank(&in_row(0), &[], &options))) > 0);
    let refused = allocations(|| drop(artifact.decide(&[f32::NAN; 3], &options)));
    assert_eq!(refused, 0, "a refused vector is no allocation");
}

#[test]
fn the_vector_of_a_text_allocates_nothing() {
    let embedder = support::lookup_embedder(|settings| {
        settings.reading.has_lead = true;
        settings.lead_weight = 0.5;
    });
    let texts = [
        "Sort the list of shops",
        "Join two tables\nand count the rows",
    ];
    let mut vector = vec![0.0; embedder.dim()];
    for text in texts {
        embedder.embed(text, &mut vector).unwrap(); // buffers grow to the longest text
    }
    let counted = allocations(|| {
        for text in texts {
            embedder.embed(text, &mut vector).unwrap();
        }
        assert!(embedder.embed(" ", &mut vector).is_err());
    });
    assert_eq!(counted, 0);
}
