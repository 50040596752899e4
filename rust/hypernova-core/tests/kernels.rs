//! Every kernel gives the answer of the definition, bit for bit.
//!
//! Not here: the decision (`rule.rs`).
//!
//! The oracle below is written from `FORMAT.md` alone. The scalar level must equal it, and every
//! other level must equal the scalar one.

#[macro_use]
mod support;

use std::io::Write as _;
use std::sync::OnceLock;

use hypernova_core::nearest::{MAX_TOP_K, Nearest, nearest, nearest_k, nearest_many};
use hypernova_core::{Artifact, Error, RouteOptions, SimdLevel};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::SplitMix;

/// *Nearest centroid* of `FORMAT.md`, word for word; `add` is step 1's `p + t * t`, so that a
/// wrong step can be tried too.
fn distance_by(x: &[f32], y: &[f32], add: fn(f32, f32) -> f32) -> f32 {
    let mut p = [0.0_f32; 16];
    for j in 0..x.len() {
        let t = x[j] - y[j];
        p[j % 16] = add(p[j % 16], t);
    }
    for w in [8, 4, 2, 1] {
        for i in 0..w {
            p[i] += p[i + w];
        }
    }
    p[0]
}

fn oracle_by(query: &[f32], centroids: &[f32], add: fn(f32, f32) -> f32) -> Nearest {
    let mut best = Nearest {
        index: 0,
        squared: distance_by(query, &centroids[..query.len()], add),
    };
    for (index, row) in centroids.chunks(query.len()).enumerate() {
        let squared = distance_by(query, row, add);
        if squared < best.squared {
            let index = index as u32;
            best = Nearest { index, squared };
        }
    }
    best
}

fn oracle(query: &[f32], centroids: &[f32]) -> Nearest {
    oracle_by(query, centroids, |p, t| p + t * t)
}

/// The `count` nearest by the definition: all distances, sorted.
fn top_k_oracle(query: &[f32], centroids: &[f32], count: usize) -> Vec<Nearest> {
    let rows = centroids.chunks(query.len()).enumerate();
    let mut all: Vec<Nearest> = rows
        .map(|(index, row)| Nearest {
            index: index as u32,
            squared: distance_by(query, row, |p, t| p + t * t),
        })
        .collect();
    all.sort_by(|a, b| a.squared.total_cmp(&b.squared).then(a.index.cmp(&b.index)));
    all.truncate(count);
    all
}

/// The levels of this CPU. Missing levels are printed once.
fn levels() -> Vec<SimdLevel> {
    static LEVELS: OnceLock<Vec<SimdLevel>> = OnceLock::new();
    LEVELS.get_or_init(find_levels).clone()
}

fn find_levels() -> Vec<SimdLevel> {
    let mut levels = Vec::new();
    for name in SimdLevel::NAMES {
        let feature = match name {
            "scalar" => "scalar code",
            "avx2" => "avx2",
            "avx512" => "avx512f",
            "avx512vnni" => "avx512f and avx512vnni",
            "neon" => "neon",
            other => panic!("name the feature that {other} needs"),
        };
        if let Ok(found) = SimdLevel::from_name(name) {
            assert_eq!(found.name(), name);
            levels.push(found);
        } else {
            // Not eprintln!, whose output the harness hides if a test passes.
            let note = format!("skipped: this CPU has no {feature}\n");
            std::io::stderr().write_all(note.as_bytes()).unwrap();
        }
    }
    assert!(levels.contains(&SimdLevel::Scalar));
    levels
}

/// The distribution of a value.
#[derive(Clone, Copy, Debug)]
enum Values {
    Normal,
    /// Denormal and barely normal, whose squares vanish.
    Tiny,
    /// Around 1e30, whose squares overflow.
    Huge,
    /// Around 1e19, of whose squares a few sum up to infinity.
    Brink,
    /// From a few, so that ties and zeros of both signs are common.
    TopK,
    /// Any finite bit pattern.
    Any,
}

impl Values {
    const ALL: [Self; 6] = [
        Self::Normal,
        Self::Tiny,
        Self::Huge,
        Self::Brink,
        Self::TopK,
        Self::Any,
    ];

    fn draw(self, random: &mut SplitMix) -> f32 {
        const FEW: [f32; 6] = [0.0, -0.0, 1.0, -1.0, 0.5, f32::MIN_POSITIVE];
        match self {
            Self::Normal => random.normal(),
            Self::Tiny => random.normal() * f32::from_bits(1 << random.below(25)),
            Self::Huge => random.normal() * 1e30,
            Self::Brink => random.normal() * 1e19,
            Self::TopK => FEW[random.below(FEW.len())],
            Self::Any => loop {
                let value = f32::from_bits(random.bits() as u32);
                if value.is_finite() {
                    return value;
                }
            },
        }
    }
}

/// The position of the centroids to each other and to the query.
#[derive(Clone, Copy, Debug)]
enum Rows {
    Independent,
    /// Some rows are copies of earlier ones.
    Duplicates,
    /// All rows are one row, but for a unit in the last place of one coordinate.
    NearTies,
    /// As near ties, and the query is that row.
    QueryAmongThem,
}

impl Rows {
    const ALL: [Self; 4] = [
        Self::Independent,
        Self::Duplicates,
        Self::NearTies,
        Self::QueryAmongThem,
    ];
}

/// A query and centroids; both start at `offset` of a larger buffer, so that the
/// data of most cases are aligned to nothing but a value.
struct Case {
    dim: usize,
    offset: usize,
    query: Vec<f32>,
    centroids: Vec<f32>,
}

impl Case {
    fn new(dim: usize, rows: usize, offset: usize, how: (Values, Rows), seed: u64) -> Self {
        let mut random = SplitMix(seed);
        let (values, relation) = how;
        let draw = |random: &mut SplitMix, n: usize| -> Vec<f32> {
            (0..n).map(|_| values.draw(random)).collect()
        };
        let mut query = draw(&mut random, dim);
        let base = draw(&mut random, dim);
        let mut centroids: Vec<f32> = Vec::with_capacity(rows * dim);
        for row in 0..rows {
            let next = match relation {
                Rows::Duplicates if row > 0 && random.below(2) == 0 => {
                    let copied = random.below(row) * dim;
                    centroids[copied..copied + dim].to_vec()
                }
                Rows::Independent | Rows::Duplicates => draw(&mut random, dim),
                Rows::NearTies | Rows::QueryAmongThem => {
                    let mut near = base.clone();
                    let moved = &mut near[random.below(dim)];
                    let step = match random.below(3) {
                        0 => moved.next_up(),
                        1 => moved.next_down(),
                        _ => *moved,
                    };
                    *moved = if step.is_finite() { step } else { *moved };
                    near
                }
            };
            centroids.extend(next);
        }
        if matches!(relation, Rows::QueryAmongThem) {
            query = base;
        }
        let shifted = |values: Vec<f32>| [vec![f32::NAN; offset], values].concat();
        Self {
            dim,
            offset,
            query: shifted(query),
            centroids: shifted(centroids),
        }
    }

    fn query(&self) -> &[f32] {
        &self.query[self.offset..]
    }

    fn centroids(&self) -> &[f32] {
        &self.centroids[self.offset..]
    }

    /// Panics unless the scalar level equals the oracle and all levels the scalar one.
    fn check(&self, levels: &[SimdLevel]) {
        let (query, centroids) = (self.query(), self.centroids());
        assert_eq!(query.len(), self.dim);
        let bits = |n: Nearest| (n.index, n.squared.to_bits());
        let scalar = nearest(SimdLevel::Scalar, query, centroids);
        assert_eq!(
            bits(scalar),
            bits(oracle(query, centroids)),
            "scalar {scalar:?}"
        );
        for &level in levels {
            let found = nearest(level, query, centroids);
            assert_eq!(bits(found), bits(scalar), "{level:?}: {found:?}");
        }
        for count in [1, 2, 3, 8, MAX_TOP_K] {
            let right = top_k_oracle(query, centroids, count).into_iter().map(bits);
            let right: Vec<_> = right.collect();
            for &level in levels {
                let top_k = nearest_k(level, query, centroids, count);
                let found: Vec<_> = top_k.as_slice().iter().copied().map(bits).collect();
                assert_eq!(found, right, "{level:?}, {count} nearest");
            }
        }
    }
}

/// The same cases in every run; `PROPTEST_CASES` sets their number.
fn config() -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(0),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn dims() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 1_usize..=80, 1 => Just(256), 1 => Just(384), 1 => Just(1536)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn all_levels_equal_the_definition(
        dim in dims(),
        rows in 1_usize..=40,
        offset in 0_usize..16,
        values in prop::sample::select(&Values::ALL[..]),
        relation in prop::sample::select(&Rows::ALL[..]),
        seed in any::<u64>(),
    ) {
        Case::new(dim, rows, offset, (values, relation), seed).check(&levels());
    }
}

/// Every length of a row's tail and every remainder of rows.
#[test]
fn every_shape_equals_the_definition() {
    let levels = levels();
    let dims = (1..=80).chain([256, 384, 1536]);
    for (i, dim) in dims.enumerate() {
        for rows in (1..=9).chain([16, 39, 40]) {
            let values = Values::ALL[(dim + rows) % Values::ALL.len()];
            let relation = Rows::ALL[(i + rows / 2) % Rows::ALL.len()];
            let offset = (dim + 5 * rows) % 16;
            Case::new(dim, rows, offset, (values, relation), dim as u64).check(&levels);
        }
    }
}

#[test]
fn every_alignment_equals_the_definition() {
    let levels = levels();
    for offset in 0..16 {
        for (dim, rows) in [(1, 5), (15, 6), (16, 7), (17, 8), (48, 4), (83, 9)] {
            for relation in Rows::ALL {
                let how = (Values::Normal, relation);
                Case::new(dim, rows, offset, how, offset as u64).check(&levels);
            }
        }
    }
}

#[test]
fn ties_go_to_the_lower_index() {
    for level in levels() {
        for dim in [1_usize, 5, 16, 31, 384] {
            for rows in 1..=40_usize {
                let mut random = SplitMix(dim as u64);
                let query: Vec<f32> = (0..dim).map(|_| random.normal()).collect();
                let far: Vec<f32> = query.iter().map(|v| v + 3.0).collect();
                for first in 0..rows {
                    // The nearest row is at `first`, and again at each later position.
                    let row = |i| if i < first { &far } else { &query };
                    let centroids: Vec<f32> = (0..rows).flat_map(row).copied().collect();
                    let found = nearest(level, &query, &centroids);
                    assert_eq!(
                        (found.index, found.squared),
                        (first as u32, 0.0),
                        "{level:?}"
                    );
                    let top_k = nearest_k(level, &query, &centroids, MAX_TOP_K);
                    let found: Vec<_> = top_k.as_slice().iter().map(|n| n.index as usize).collect();
                    let right: Vec<_> = (first..rows).chain(0..first).take(MAX_TOP_K).collect();
                    assert_eq!(found, right, "{level:?}");
                }
            }
        }
    }
}

#[test]
fn distances_that_overflow_are_a_tie_too() {
    for level in levels() {
        let query = [f32::MAX; 20];
        let found = nearest(level, &query, &[-f32::MAX; 20 * 7]);
        assert_eq!(
            (found.index, found.squared),
            (0, f32::INFINITY),
            "{level:?}"
        );
        let top_k = nearest_k(level, &query, &[-f32::MAX; 20 * 7], 3);
        let found: Vec<_> = top_k.as_slice().iter().map(|n| n.index).collect();
        assert_eq!(found, [0, 1, 2], "{level:?}");
        let mut centroids = [-f32::MAX; 20 * 7];
        centroids[20 * 5..20 * 6].fill(f32::MAX);
        let found = nearest(level, &query, &centroids);
        assert_eq!((found.index, found.squared), (5, 0.0), "{level:?}");
    }
}

/// The tests above can fail: on their data a fused multiplication, or one partial sum instead of
/// 16, gives other bits, and sometimes another index.
#[test]
fn the_data_tell_kernels_apart() {
    let (mut fused_bits, mut fused_index, mut plain_bits) = (0, 0, 0);
    for seed in 0..200 {
        let how = (Values::Normal, Rows::NearTies);
        let case = Case::new(40, 12, 3, how, seed);
        let (query, centroids) = (case.query(), case.centroids());
        let right = oracle(query, centroids);
        let fused = oracle_by(query, centroids, |p, t| t.mul_add(t, p));
        fused_bits += usize::from(right.squared.to_bits() != fused.squared.to_bits());
        fused_index += usize::from(right.index != fused.index);
        let squares = query.iter().zip(centroids).map(|(x, y)| (x - y) * (x - y));
        let plain: f32 = squares.sum();
        let first = distance_by(query, &centroids[..40], |p, t| p + t * t);
        plain_bits += usize::from(plain.to_bits() != first.to_bits());
    }
    assert!(fused_bits > 20, "{fused_bits}");
    assert!(fused_index > 5, "{fused_index}");
    assert!(plain_bits > 20, "{plain_bits}");
}

#[test]
fn a_level_is_selected_by_name() {
    let available = levels();
    assert_eq!(available, SimdLevel::available().collect::<Vec<_>>());
    for name in SimdLevel::NAMES {
        match SimdLevel::from_name(name) {
            Ok(found) => assert_eq!(found.name(), name),
            Err(error) => assert_names_levels(&error, name, &available),
        }
    }
    for unknown in ["", "AVX2", "sse2", "avx2 ", "avx512f"] {
        let error = SimdLevel::from_name(unknown).expect_err("there is no such level");
        assert_names_levels(&error, unknown, &available);
    }
    assert_eq!(available.last(), Some(&SimdLevel::detect()));
}

fn assert_names_levels(error: &Error, asked: &str, available: &[SimdLevel]) {
    let message = error.to_string();
    assert!(matches!(error, Error::SimdLevel { .. }), "{error:?}");
    assert!(message.contains(&format!("{asked:?}")), "{message}");
    let names: Vec<_> = available.iter().map(|l| l.name()).collect();
    assert!(message.ends_with(&names.join(", ")), "{message}");
}

#[test]
fn many_vectors_give_the_result_of_each_alone() {
    let case = Case::new(37, 11, 0, (Values::Normal, Rows::Independent), 5);
    let matrix = Case::new(37, 29, 0, (Values::Normal, Rows::Independent), 6);
    let found = nearest_many(matrix.centroids(), case.centroids(), 37).unwrap();
    assert_eq!(found.len(), 29);
    for (vector, (index, distance)) in matrix.centroids().chunks(37).zip(found) {
        let one = oracle(vector, case.centroids());
        assert_eq!(u32::try_from(index), Ok(one.index));
        assert_eq!(distance.to_bits(), one.squared.sqrt().to_bits());
    }
    assert_eq!(nearest_many(&[], &[1.0, 2.0], 2).unwrap(), []);
}

#[test]
fn shapes_and_values_that_do_not_fit_are_refused() {
    let dim = |matrix: &[f32], centroids: &[f32], dim| {
        let error = nearest_many(matrix, centroids, dim).expect_err("the shape is wrong");
        assert!(matches!(error, Error::VectorDim { .. }), "{error:?}");
    };
    dim(&[0.0; 4], &[0.0; 4], 0);
    dim(&[0.0; 4], &[], 2);
    dim(&[0.0; 4], &[0.0; 3], 2);
    dim(&[0.0; 5], &[0.0; 4], 2);
    dim(&[0.0; 1], &[0.0; 4], 2);

    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for at in 0..6 {
            let mut matrix = [0.0; 6];
            matrix[at] = bad;
            match nearest_many(&matrix, &[1.0; 4], 2) {
                Err(Error::VectorNotFinite { row, index, value }) => {
                    assert_eq!((row, index), (Some(at / 2), at % 2));
                    assert_eq!(value.to_bits(), bad.to_bits());
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(nearest_many(&[0.0; 6], &[1.0, bad], 2).is_err());
    }
}

/// Through the artifact, which prunes most centroids before it scores any.
#[test]
fn an_artifact_decides_by_the_definition_at_every_level() {
    let mut random = SplitMix(5);
    for (clusters, dim) in [(31, 8), (32, 8), (33, 100), (300, 3), (700, 33), (40, 700)] {
        let values = support::values(clusters, dim, 3, u64::from(clusters));
        let dim = dim as usize;
        let matrix: Vec<f32> = (0..11 * dim).map(|_| random.normal()).collect();
        for level in levels() {
            let artifact = Artifact::build(&values).unwrap().with_level(level);
            let options = RouteOptions::defaults(&artifact);
            let many = artifact.decide_many(&matrix, &options).unwrap();
            assert_eq!(many.len(), 11);
            for (row, decided) in matrix.chunks(dim).zip(many) {
                let expected = oracle(row, &values.centroids);
                assert_eq!(decided.cluster, expected.index, "{level:?}");
                assert_eq!(
                    decided.distance.to_bits(),
                    expected.squared.sqrt().to_bits()
                );
                assert_eq!(artifact.decide(row, &options).unwrap(), decided);
            }
            for bad in 0..11 {
                let mut matrix = matrix.clone();
                matrix[bad * dim + dim / 2] = f32::NAN;
                let refused = artifact.decide_many(&matrix, &options).unwrap_err();
                let Error::VectorNotFinite { row, index, .. } = refused else {
                    panic!("{refused}");
                };
                assert_eq!((row, index), (Some(bad), dim / 2));
            }
        }
    }
}
