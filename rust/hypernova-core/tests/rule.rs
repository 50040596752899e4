//! The decision rule, clause by clause, with decisions worked out by hand.
//!
//! Not here: random artifacts against a second implementation of the rule
//! (`tests/core/test_rule.py`), and the search for the nearest centroid (`kernels.rs`).
//!
//! The numbers are sums of powers of two, so that every step is exact and a tie
//! is a tie.

#![expect(clippy::float_cmp, reason = "answers are equal bit by bit")]

#[macro_use]
mod support;

use hypernova_core::format::Policy;
use hypernova_core::policy::RankingEntry;
use hypernova_core::{
    Artifact, ArtifactValues, Decision, Error, Group, GroupProfiles, OnNovel, Price, PromptFacts,
    PromptLength, Reason, Request, RouteOptions, TokenProfiles,
};
use support::{embedder, entry_values, in_row, neutral_policy, values};

const NAN: f32 = f32::NAN;

/// One row of the profiles for four models: a, b (the default), c, d.
#[derive(Clone, Copy)]
struct Row {
    success: [f32; 4],
    gain_error: [f32; 4],
    cost: [f32; 4],
    latency: [f32; 4],
}

/// The row that the cases start from: c looks better than b by 1/8, which is one
/// standard error; d is unknown.
const ROW: Row = Row {
    success: [0.5, 0.625, 0.75, 0.25],
    gain_error: [0.0, 0.0, 0.125, 0.0],
    cost: [0.25, 0.5, 1.0, NAN],
    latency: [1.0, 2.0, 4.0, NAN],
};

/// An artifact of one cluster at the origin, of dimension 1. A prompt farther
/// than 16 from it is novel where the policy has a limit below 1.
fn artifact(cluster: Row, whole: Row, policy: Policy) -> Artifact {
    let both = |values: fn(&Row) -> [f32; 4]| [values(&cluster), values(&whole)].concat();
    let models = ["a", "b", "c", "d"].map(String::from).into();
    let values = with!(ArtifactValues::new(1, 1, models, policy, embedder(1)), {
        centroids: vec![0.0],
        counts: vec![1.0, 2.0, 3.0, 0.0, 10.0, 20.0, 30.0, 0.5],
        mean: vec![0.0; 8],
        success: both(|r| r.success),
        standard_error: vec![0.0; 8],
        gain_error: both(|r| r.gain_error),
        cost: both(|r| r.cost),
        latency: both(|r| r.latency),
        novelty: vec![8.0, 16.0],
    });
    Artifact::build(&values).expect("the values are valid")
}

fn policy() -> Policy {
    with!(neutral_policy(), {
        guard_z: 1.0,
        default_model: 1,
    })
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn prices(prices: &[(&str, f64)]) -> Vec<(String, Price)> {
    let price = |&(name, usd): &(&str, f64)| (name.to_owned(), Price::Task(usd));
    prices.iter().map(price).collect()
}

/// A row, a policy and a request, and the expected ranking and reason.
struct Case {
    clause: &'static str,
    row: Row,
    policy: Policy,
    request: Request,
    /// The ranking, the chosen model first; empty if no model is left.
    ranking: &'static str,
    reason: Reason,
}

/// The base of all cases: no options, no model proven.
fn case(clause: &'static str) -> Case {
    Case {
        clause,
        row: ROW,
        policy: policy(),
        request: Request::default(),
        ranking: "b c a d",
        reason: Reason::DefaultNoEvidence,
    }
}

impl Case {
    fn row(mut self, change: fn(&mut Row)) -> Self {
        change(&mut self.row);
        self
    }

    fn policy(mut self, change: fn(&mut Policy)) -> Self {
        change(&mut self.policy);
        self
    }

    fn asked(mut self, change: fn(&mut Request)) -> Self {
        change(&mut self.request);
        self
    }

    fn gives(mut self, ranking: &'static str, reason: Reason) -> Self {
        (self.ranking, self.reason) = (ranking, reason);
        self
    }
}

fn spell(artifact: &Artifact, ranking: &[RankingEntry]) -> String {
    let names = ranking.iter().map(|e| artifact.model_name(e.model));
    names.collect::<Vec<_>>().join(" ")
}

fn check(cases: impl IntoIterator<Item = Case>) {
    for case in cases {
        let clause = case.clause;
        // The other row would give another answer: only d is good there.
        let other = Row {
            success: [0.0, 0.0, 0.0, 1.0],
            ..ROW
        };
        let novel = with!(case.policy, { novelty_limit: 0.5 });
        // As a cluster's row, and as the whole table's for a novel prompt.
        for (artifact, query, is_novel) in [
            (artifact(case.row, other, case.policy), 0.0, false),
            (artifact(other, case.row, novel), 20.0, true),
        ] {
            let options = RouteOptions::resolve(&artifact, &case.request).expect(clause);
            let decided = artifact.decide(&[query], &options);
            let shown = decided.as_ref().map_or(in_row(u32::from(is_novel)), |d| *d);
            let ranking = artifact.rank(&shown, &[], &options);
            assert_eq!(spell(&artifact, &ranking), case.ranking, "{clause}");
            match decided {
                Ok(decision) => {
                    assert_eq!(ranking[0].model, decision.model, "{clause}");
                    let reason = match case.reason {
                        Reason::Constrained | Reason::Stayed => case.reason,
                        _ if is_novel => Reason::DefaultNovel,
                        reason => reason,
                    };
                    assert_eq!(decision.reason, reason, "{clause}");
                    assert_eq!(decision.cluster, 0, "{clause}");
                    assert_eq!(decision.row, u32::from(is_novel), "{clause}");
                }
                Err(Error::NoCandidate { cluster, .. }) => {
                    assert_eq!((case.ranking, cluster), ("", 0), "{clause}");
                }
                Err(error) => panic!("{clause}: {error}"),
            }
        }
    }
}

#[test]
fn guard() {
    check([
        case("a gain of just the bound is not proven"),
        case("a gain above the bound is proven")
            .policy(|p| p.guard_z = 0.5)
            .gives("c b a d", Reason::Routed),
        case("without a guard any gain is proven")
            .row(|r| r.gain_error = [9.0; 4])
            .policy(|p| p.guard_z = 0.0)
            .gives("c b a d", Reason::Routed),
        case("without a guard, no gain is still not proven")
            .row(|r| r.success = [0.5; 4])
            .policy(|p| p.guard_z = 0.0)
            .gives("b a c d", Reason::DefaultNoEvidence),
        case("the default's own gain error does not count")
            .row(|r| r.gain_error[1] = 9.0)
            .policy(|p| p.guard_z = 0.5)
            .gives("c b a d", Reason::Routed),
        case("a proven model goes before a better one that is not")
            .row(|r| r.success = [0.6875, 0.625, 0.75, 0.25])
            .gives("a b c d", Reason::Routed),
        case("several proven ones, by utility")
            .row(|r| r.success = [0.75, 0.625, 1.0, 0.875])
            .gives("c d a b", Reason::Routed),
        case("the gain is one of utility, not of success")
            .asked(|r| r.cost_weight = Some(1.0))
            // 0.25, 0.125, -0.25, 0.25 - 1
            .gives("a b c d", Reason::Routed),
    ]);
}

#[test]
fn margin() {
    check([
        case("a gain of just the margin is not proven").policy(|p| {
            (p.guard_z, p.margin) = (0.0, 0.125);
        }),
        case("a gain above the margin is proven")
            .policy(|p| (p.guard_z, p.margin) = (0.0, 0.125_f64.next_down()))
            .gives("c b a d", Reason::Routed),
        case("a gain of just margin and guard together is not proven").policy(|p| {
            (p.guard_z, p.margin) = (0.5, 0.0625);
        }),
        case("a gain above both together is proven")
            .policy(|p| (p.guard_z, p.margin) = (0.5, 0.0625 - f64::EPSILON))
            .gives("c b a d", Reason::Routed),
        case("what a model gains beyond the margin does not change its place")
            .row(|r| r.success = [0.75, 0.625, 0.9375, 1.0])
            .policy(|p| (p.guard_z, p.margin) = (0.0, 0.25))
            .gives("d c b a", Reason::Routed),
        case("the margin takes from gains in success, not from savings")
            .policy(|p| (p.guard_z, p.margin) = (0.0, 1.0))
            .asked(|r| r.cost_weight = Some(1.0))
            // 0.25, 0.125, -0.25, 0.25 - 1
            .gives("a b c d", Reason::Routed),
        case("a gain in success is none where the margin takes all of it")
            .row(|r| r.cost = [0.5; 4])
            .policy(|p| (p.guard_z, p.margin) = (0.0, 1.0))
            .asked(|r| r.cost_weight = Some(1.0)),
        case("the margin takes no more than the gain in success, and leaves the savings")
            .row(|r| r.cost = [0.25, 0.5, 0.25, NAN])
            .policy(|p| (p.guard_z, p.margin) = (0.0, 1.0))
            .asked(|r| r.cost_weight = Some(0.25))
            // 0.4375, 0.5, 0.6875, 0.25 - 0.125: c gains 0.125 in success, and saves 0.0625
            .gives("c b a d", Reason::Routed),
        case("the savings must pass the guard then")
            .row(|r| r.cost = [0.25, 0.5, 0.25, NAN])
            .policy(|p| (p.guard_z, p.margin) = (0.5, 1.0))
            .asked(|r| r.cost_weight = Some(0.25)),
        case("a limit takes the default out, and the rest goes by utility")
            .policy(|p| p.margin = 1.0)
            .asked(|r| r.deny = Some(names(&["b"])))
            .gives("c a d", Reason::Constrained),
        case("a conversation stays or not, whatever the margin is")
            .policy(|p| p.margin = 1.0)
            .asked(|r| r.previous_model = Some("c".into()))
            .gives("c b a d", Reason::Stayed),
    ]);
}

/// In the group "d's" d gains 1/2 over b, without an error; in the cluster it loses.
#[test]
fn the_margin_does_not_hold_for_a_group_that_the_caller_names() {
    let plain = with_groups_and_tokens(0.5);
    for margin in [0.0, 0.25, 0.5, f64::MAX] {
        let mut values = support::values_of(&plain);
        values.policy.margin = margin;
        values.policy.guard_z = 0.0;
        let artifact = Artifact::build(&values).expect("the values are valid");
        let decide = |query: f32, group: Option<&str>| {
            let request = with!(Request::default(), { group: group.map(str::to_owned) });
            let options = RouteOptions::resolve(&artifact, &request).expect("all is known");
            let decision = artifact.decide(&[query], &options).expect("no limits");
            let explained = artifact.explain(&[query], &options).expect("finite");
            let models = explained.models.iter();
            let bounds: Vec<(f64, f64)> = models.map(|m| (m.success, m.bound)).collect();
            let ranking = spell(&artifact, &artifact.rank(&decision, &[], &options));
            (ranking, decision.reason, bounds)
        };
        let proven = margin < 0.125; // what c gains in the cluster and the whole table
        let ranking = if proven { "c b a d" } else { "b c a d" };
        for query in [0.0, 20.0] {
            let (found, reason, bounds) = decide(query, Some("d's"));
            assert_eq!((found.as_str(), reason), ("d b a c", Reason::Routed));
            assert!(bounds.iter().all(|&(_, bound)| bound == 0.0), "{bounds:?}");
            for group in [None, Some("unheard of")] {
                let (found, reason, bounds) = decide(query, group);
                let expected = match proven {
                    _ if query > 0.0 => Reason::DefaultNovel,
                    true => Reason::Routed,
                    false => Reason::DefaultNoEvidence,
                };
                assert_eq!((found.as_str(), reason), (ranking, expected), "{margin}");
                for (success, bound) in bounds {
                    assert_eq!(bound, (success - 0.625).max(0.0).min(margin), "{margin}");
                }
            }
        }
    }
}

/// A guard holds for it all the same.
#[test]
fn the_guard_holds_for_a_group_under_a_margin() {
    let mut values = support::values_of(&with_groups_and_tokens(1.0));
    (values.policy.margin, values.policy.guard_z) = (0.5, 2.0);
    let groups = values.groups.as_mut().expect("there are groups");
    groups.gain_error = [[0.0; 4], [0.0, 0.0, 0.0, 0.25]].concat();
    let artifact = Artifact::build(&values).expect("the values are valid");
    let request = with!(Request::default(), { group: Some("d's".into()) });
    let options = RouteOptions::resolve(&artifact, &request).expect("all is known");
    let decision = artifact.decide(&[0.0], &options).expect("no limits");
    assert_eq!(
        (decision.model, decision.reason),
        (1, Reason::DefaultNoEvidence)
    );
}

#[test]
fn ties() {
    check([
        case("of equal proven ones the lower index")
            .row(|r| r.success = [0.875, 0.625, 0.875, 0.875])
            .gives("a c d b", Reason::Routed),
        case("of equal others the lower index")
            .row(|r| r.success = [0.5, 0.625, 0.5, 0.5])
            .gives("b a c d", Reason::DefaultNoEvidence),
        case("of equal others and the default the default")
            .row(|r| r.success = [0.625; 4])
            .gives("b a c d", Reason::DefaultNoEvidence),
        case("0 and -0 are equal")
            .row(|r| r.success = [-0.0, 0.5, 0.0, -0.0])
            .gives("b a c d", Reason::DefaultNoEvidence),
        case("utilities that differ in terms and are equal in sum")
            .asked(|r| r.cost_weight = Some(0.5))
            // 0.375, 0.375, 0.25, 0.25 - 0.5
            .gives("b a c d", Reason::DefaultNoEvidence),
    ]);
}

#[test]
fn weights() {
    check([
        case("an unknown cost counts as the dearest known one")
            .row(|r| {
                r.success = [0.5, 0.625, 0.75, 0.75];
                r.gain_error = [1.0; 4];
            })
            .asked(|r| r.cost_weight = Some(0.25))
            // 0.4375, 0.5, 0.5, 0.75 - 0.25: c and d tie
            .gives("b c d a", Reason::DefaultNoEvidence),
        case("an unknown latency counts as the slowest known one")
            .row(|r| {
                r.success = [0.5, 0.625, 0.75, 0.75];
                r.gain_error = [1.0; 4];
            })
            .asked(|r| r.latency_weight = Some(0.0625))
            // 0.4375, 0.5, 0.5, 0.75 - 0.25
            .gives("b c d a", Reason::DefaultNoEvidence),
        case("where no cost is known it counts as 0")
            .row(|r| r.cost = [NAN; 4])
            .asked(|r| r.cost_weight = Some(7.0)),
        case("where no latency is known it counts as 0")
            .row(|r| r.latency = [NAN; 4])
            .asked(|r| r.latency_weight = Some(7.0)),
        case("the default's unknown cost counts as the dearest too")
            .row(|r| r.cost = [0.25, NAN, 1.0, 0.5])
            .asked(|r| r.cost_weight = Some(0.5))
            // 0.375, 0.125, 0.25, 0: the gain of c is just its bound
            .gives("a b c d", Reason::Routed),
        case("a weight of 0 leaves the term out").row(|r| r.cost = [f32::MAX, f32::MAX, 0.0, NAN]),
        case("the policy's weight holds where none is asked for")
            .policy(|p| p.cost_weight = 1.0)
            .gives("a b c d", Reason::Routed),
        case("the caller's weight goes before the policy's, 0 too")
            .policy(|p| p.cost_weight = 1.0)
            .asked(|r| r.cost_weight = Some(0.0)),
        case("the policy's weight of latency")
            .policy(|p| p.latency_weight = 0.25)
            // 0.25, 0.125, -0.25, 0.25 - 1
            .gives("a b c d", Reason::Routed),
        case("the caller's weight of latency goes before it")
            .policy(|p| p.latency_weight = 0.25)
            .asked(|r| r.latency_weight = Some(0.0)),
        case("weights so large that utilities overflow tie")
            .row(|r| r.cost = [f32::MAX; 4])
            .asked(|r| r.cost_weight = Some(f64::MAX))
            .gives("b a c d", Reason::DefaultNoEvidence),
    ]);
}

#[test]
fn caller_prices() {
    check([
        case("a price goes before the profile's cost")
            .asked(|r| {
                r.cost_weight = Some(0.5);
                r.prices = Some(prices(&[("c", 0.125)]));
            })
            // 0.375, 0.375, 0.6875, 0.25 - 0.25
            .gives("c b a d", Reason::Routed),
        case("a price makes an unknown cost known")
            .asked(|r| {
                r.cost_weight = Some(0.5);
                r.prices = Some(prices(&[("d", 0.0)]));
            })
            // 0.375, 0.375, 0.25, 0.25
            .gives("b a c d", Reason::DefaultNoEvidence),
        case("a price can be the dearest")
            .row(|r| r.cost = [NAN, 0.25, 0.25, NAN])
            .asked(|r| {
                r.cost_weight = Some(1.0);
                r.prices = Some(prices(&[("d", 2.0)]));
            })
            // 0.5 - 2, 0.375, 0.5, 0.25 - 2
            .gives("b c a d", Reason::DefaultNoEvidence),
        case("a price that replaces the dearest is not counted twice")
            .row(|r| r.success = [0.5, 0.625, 0.75, 0.5])
            .asked(|r| {
                r.cost_weight = Some(0.5);
                r.prices = Some(prices(&[("c", 0.0)]));
            })
            // 0.375, 0.375, 0.75, 0.5 - 0.25
            .gives("c b a d", Reason::Routed),
        case("prices without a weight or limit change nothing").asked(|r| {
            r.prices = Some(prices(&[("a", 100.0), ("b", 0.0)]));
        }),
        case("of two prices of a model the later").asked(|r| {
            r.max_cost_usd = Some(1.0);
            r.prices = Some(prices(&[("b", 100.0), ("b", 0.0), ("d", 1.0)]));
        }),
    ]);
}

/// USD of a million tokens by which 1,024 of them cost 1 USD.
const EACH_1024: f64 = 1e6 / 1024.0;

/// The artifact of [`ROW`] with tokens, and two groups, of which the second is that of d.
///
/// b reads 1,024 and writes 512 tokens of a task, and reads 8 and half a token for each character.
fn with_groups_and_tokens(limit: f64) -> Artifact {
    let policy = with!(policy(), { novelty_limit: limit });
    let plain = artifact(ROW, ROW, policy);
    let mut values = support::values_of(&plain);
    values.groups = Some(GroupProfiles {
        names: names(&["sql", "d's"]),
        tasks: vec![4.0, 1.0],
        counts: vec![5.0; 8],
        mean: vec![0.0; 8],
        success: [ROW.success, [0.25, 0.25, 0.25, 0.75]].concat(),
        standard_error: vec![0.0; 8],
        gain_error: vec![0.0; 8],
        cost: [ROW.cost, [NAN, NAN, NAN, 4.0]].concat(),
        latency: [ROW.latency, [1.0; 4]].concat(),
        correction: None,
    });
    values.tokens = Some(TokenProfiles {
        per_prompt: vec![NAN, 0.5, 8.0, 0.5, 16.0, NAN, f32::MAX, f32::MAX],
        input: [[512.0, 1024.0, NAN, NAN], [512.0, 1024.0, 256.0, 512.0]].concat(),
        output: [[256.0, 512.0, 256.0, 128.0], [256.0, 512.0, 256.0, 128.0]].concat(),
        group_input: [[2048.0; 4], [NAN; 4]].concat(),
        group_output: [[1024.0; 4], [1024.0, 1024.0, 1024.0, NAN]].concat(),
    });
    Artifact::build(&values).expect("the values are valid")
}

/// The costs of a, b, c and d, for a prompt at 0 and these facts, by a price for tokens of all.
fn costs(group: &str, length: PromptLength, input: f64, output: f64) -> [Option<f64>; 4] {
    let artifact = with_groups_and_tokens(1.0);
    let price = Price::Tokens {
        input: input * EACH_1024,
        output: output * EACH_1024,
    };
    let mut request = Request::default();
    request.prices = Some(
        names(&["a", "b", "c", "d"])
            .into_iter()
            .map(|name| (name, price))
            .collect(),
    );
    request.group = Some(group.into());
    request.length = length;
    request.cost_weight = Some(1.0);
    let options = RouteOptions::resolve(&artifact, &request).expect("all tokens are known");
    let decision = artifact
        .decide(&[0.0], &options)
        .expect("there are no limits");
    let ranking = artifact.rank(&decision, &[], &options);
    assert_eq!(ranking[0].model, decision.model);
    assert!(ranking.iter().all(|entry| !entry.utility.is_nan()));
    let mut costs = [None; 4];
    for entry in ranking {
        costs[entry.model as usize] = entry.cost_usd;
    }
    costs
}

#[test]
fn prices_for_tokens() {
    use PromptLength::{Chars, Tokens, Unknown};
    let usd = |numbers: [f64; 4]| numbers.map(Some);
    // Of the profile; those that c and d read are unknown in the cluster.
    let of_profile = [Some(1.0), Some(2.0), None, None];
    assert_eq!(costs("none", Unknown, 1.0, 2.0), of_profile);
    assert_eq!(
        costs("none", Unknown, 0.0, 0.0),
        [Some(0.0), Some(0.0), None, None]
    );
    // Of the prompt's number of tokens.
    let written = |tokens: f64| [256.0, 512.0, 256.0, 128.0].map(|n| (n + tokens) / 1024.0);
    assert_eq!(costs("none", Tokens(512.0), 1.0, 1.0), usd(written(512.0)));
    assert_eq!(costs("none", Tokens(0.0), 1.0, 1.0), usd(written(0.0)));
    // Of its length, where both numbers are known: 8 and half of 1,008 tokens of b.
    let by_chars = costs("none", Chars(1008.0), 1.0, 0.0);
    assert_eq!(by_chars[..3], [Some(0.5), Some(0.5), None]);
    assert_eq!(costs("none", Chars(0.0), 1024.0, 0.0)[1], Some(8.0));
    // Of the group, and NaN there is unknown, though the whole table knows.
    assert_eq!(costs("sql", Unknown, 1.0, 1.0), usd([3.0; 4]));
    assert_eq!(costs("sql", Tokens(0.0), 1.0, 1.0), usd([1.0; 4]));
    assert_eq!(
        costs("d's", Tokens(0.0), 1.0, 1.0),
        [Some(1.0), Some(1.0), Some(1.0), None]
    );
    assert_eq!(costs("d's", Unknown, 1.0, 1.0), [None; 4]);
    // A cost that overflows is unknown, also by a price of 0.
    for (input, output) in [(0.0, 1.0), (1e290, 0.0)] {
        assert_eq!(costs("none", Chars(f64::MAX), input, output)[3], None);
    }
    assert_eq!(costs("none", Tokens(f64::MAX), 1e290, 0.0), [None; 4]);
}

#[test]
fn a_price_for_tokens_needs_their_numbers() {
    let price = Price::Tokens {
        input: 1.0,
        output: 2.0,
    };
    let resolve = |artifact: &Artifact, name: &str, price| {
        let request = with!(Request::default(), { prices: Some(vec![(name.into(), price)]) });
        RouteOptions::resolve(artifact, &request).map(|_| ())
    };
    let refused = |artifact: &Artifact, name: &str| match resolve(artifact, name, price) {
        Err(Error::TokensUnknown { model }) => assert_eq!(model, name),
        other => panic!("{other:?}"),
    };
    refused(&artifact(ROW, ROW, policy()), "a");
    let known = with_groups_and_tokens(1.0);
    resolve(&known, "d", price).expect("the whole table has its tokens");
    for (name, unknown) in [("a", "input"), ("d", "output")] {
        let mut values = support::values_of(&known);
        let tokens = values.tokens.as_mut().expect("there are tokens");
        let model = usize::from(name == "d");
        let table = if unknown == "input" {
            &mut tokens.input
        } else {
            &mut tokens.output
        };
        table[4 + 3 * model] = NAN;
        let artifact = Artifact::build(&values).expect("the values are valid");
        refused(&artifact, name);
        resolve(&artifact, "b", price).expect("b's are known");
        resolve(&artifact, name, Price::Task(1.0)).expect("USD of a task need no tokens");
    }
    for (input, output, at) in [(-1.0, 0.0, 0), (0.0, f64::NAN, 1), (f64::INFINITY, 0.0, 0)] {
        let found = resolve(&known, "b", Price::Tokens { input, output });
        let expected = format!("prices[\"b\"][{at}]");
        assert!(matches!(found, Err(Error::Option { argument, .. }) if argument == expected));
    }
    for length in [-1.0, f64::NAN, f64::INFINITY] {
        for (argument, length) in [
            ("prompt_chars", PromptLength::Chars(length)),
            ("input_tokens", PromptLength::Tokens(length)),
        ] {
            let found = RouteOptions::defaults(&known).length(length);
            assert!(matches!(found, Err(Error::Option { argument: a, .. }) if a == argument));
        }
    }
}

#[test]
fn the_profile_of_a_group_decides_alone() {
    let artifact = with_groups_and_tokens(0.5);
    let decide = |group: &str, query: f32, on_novel| {
        let mut request = Request::default();
        request.group = Some(group.into());
        request.on_novel = on_novel;
        let options = RouteOptions::resolve(&artifact, &request).expect("a group may be unknown");
        artifact.decide(&[query], &options).map(|decision| {
            let ranking = artifact.rank(&decision, &[], &options);
            assert_eq!(ranking[0].model, decision.model);
            (decision, spell(&artifact, &ranking))
        })
    };
    let at_0 = decide("d's", 0.0, OnNovel::Default).expect("there are no limits");
    assert_eq!(
        (at_0.1.as_str(), at_0.0.reason),
        ("d b a c", Reason::Routed)
    );
    assert_eq!((at_0.0.cluster, at_0.0.row), (0, 3));
    assert_eq!(at_0.0.facts.group, Group::Known(1));
    // Far from all clusters it is the same, whatever a novel prompt gets.
    for on_novel in [OnNovel::Default, OnNovel::BestOverall, OnNovel::Error] {
        let far = decide("d's", 20.0, on_novel).expect("its kind is known");
        assert_eq!(
            (&far.1, far.0.reason, far.0.row),
            (&at_0.1, Reason::Routed, 3)
        );
        assert!(far.0.novelty > 0.5);
    }
    // Without errors, c is proven in this group and not in the cluster.
    let sql = decide("sql", 0.0, OnNovel::Default).expect("there are no limits");
    assert_eq!((sql.1.as_str(), sql.0.reason), ("c b a d", Reason::Routed));
    for (name, facts) in [("D's", Group::Unknown), ("", Group::Unknown)] {
        let near = decide(name, 0.0, OnNovel::Default).expect("there are no limits");
        assert_eq!(
            (near.1.as_str(), near.0.reason),
            ("b c a d", Reason::DefaultNoEvidence)
        );
        assert_eq!((near.0.facts.group, near.0.row), (facts, 0));
        let far = decide(name, 20.0, OnNovel::Error);
        assert!(matches!(far, Err(Error::Novel { .. })));
    }
}

#[test]
fn facts_of_rows_replace_those_of_the_options() {
    let artifact = with_groups_and_tokens(1.0);
    let mut options = RouteOptions::defaults(&artifact);
    options.group(Group::Known(1));
    let facts = [
        Group::Unstated,
        Group::Known(0),
        Group::Known(1),
        Group::Unknown,
        Group::Known(1),
    ];
    let facts = facts.map(|group| PromptFacts::new(group, PromptLength::Unknown));
    let mut decided = Vec::new();
    artifact
        .decide_into(&[0.0; 5], &options, Some(&facts), &mut decided)
        .expect("there are no limits");
    let rows: Vec<u32> = decided.iter().map(|decision| decision.row).collect();
    assert_eq!(rows, [0, 2, 3, 0, 3]);
    // The next part of a matrix has the facts of its rows.
    decided.truncate(2);
    artifact
        .decide_into(&[0.0; 3], &options, Some(&facts), &mut decided)
        .expect("there are no limits");
    let again: Vec<u32> = decided.iter().map(|decision| decision.row).collect();
    assert_eq!(again, rows);
    decided.clear();
    artifact
        .decide_into(&[0.0; 5], &options, None, &mut decided)
        .expect("there are no limits");
    assert!(decided.iter().all(|decision| decision.row == 3));
}

#[test]
fn limits() {
    use Reason::{Constrained, DefaultNoEvidence, Routed};
    check([
        case("a cost limit takes out what is dearer or unknown")
            .asked(|r| r.max_cost_usd = Some(0.5))
            .gives("b a", DefaultNoEvidence),
        case("a cost of just the limit stays")
            .asked(|r| r.max_cost_usd = Some(1.0))
            .gives("b c a", DefaultNoEvidence),
        case("a price goes before the cost here too")
            .asked(|r| {
                r.max_cost_usd = Some(0.5);
                r.prices = Some(prices(&[("b", 0.75), ("d", 0.5)]));
            })
            .gives("a d", Constrained),
        case("the policy's cost limit holds where none is asked for")
            .policy(|p| p.max_cost_usd = Some(0.25))
            .gives("a", Constrained),
        case("the caller's cost limit goes before it")
            .policy(|p| p.max_cost_usd = Some(0.25))
            .asked(|r| r.max_cost_usd = Some(0.5))
            .gives("b a", DefaultNoEvidence),
        case("an infinite cost limit removes the policy's, and allows unknown costs")
            .policy(|p| p.max_cost_usd = Some(0.25))
            .asked(|r| r.max_cost_usd = Some(f64::INFINITY)),
        case("a cost limit of 0 leaves what costs nothing")
            .row(|r| r.cost = [0.0, 0.5, NAN, 0.0])
            .asked(|r| r.max_cost_usd = Some(0.0))
            .gives("a d", Constrained),
        case("a least success takes out what is below it")
            .asked(|r| r.min_success = Some(0.625))
            .gives("b c", DefaultNoEvidence),
        case("the policy's least success")
            .policy(|p| p.min_success = 0.5)
            .gives("b c a", DefaultNoEvidence),
        case("the caller's least success goes before it")
            .policy(|p| p.min_success = 1.0)
            .asked(|r| r.min_success = Some(0.0)),
        case("what is taken out still counts as the dearest")
            .row(|r| {
                r.success = [0.5, 0.625, 0.75, 1.0];
                r.cost = [0.25, 0.5, 2.0, NAN];
            })
            .asked(|r| {
                r.cost_weight = Some(0.5);
                r.deny = Some(names(&["c"]));
            })
            // 0.375, 0.375, (-0.25), 1 - 1
            .gives("b a d", DefaultNoEvidence),
        case("what is taken out is still what the guard compares with")
            .asked(|r| r.deny = Some(names(&["b"])))
            .gives("c a d", Constrained),
        case("constrained: the first of the ranking was taken out")
            .policy(|p| p.guard_z = 0.5)
            .asked(|r| r.max_cost_usd = Some(0.5))
            .gives("b a", Constrained),
        case("constrained: also where the next is proven as well")
            .row(|r| r.success = [0.75, 0.625, 1.0, 0.25])
            .asked(|r| r.deny = Some(names(&["c"])))
            .gives("a b d", Constrained),
        case("not constrained: others than the first were taken out")
            .policy(|p| p.guard_z = 0.5)
            .asked(|r| r.deny = Some(names(&["a", "b"])))
            .gives("c d", Routed),
        case("no model meets the limits")
            .asked(|r| r.max_cost_usd = Some(0.125))
            .gives("", Constrained),
        case("no model reaches the least success")
            .asked(|r| r.min_success = Some(1.0))
            .gives("", Constrained),
    ]);
}

#[test]
fn allow_and_deny() {
    use Reason::{Constrained, DefaultNoEvidence};
    check([
        case("only what is allowed")
            .asked(|r| r.allow = Some(names(&["d", "b"])))
            .gives("b d", DefaultNoEvidence),
        case("the default need not be allowed")
            .asked(|r| r.allow = Some(names(&["d", "a"])))
            .gives("a d", Constrained),
        case("all but what is denied")
            .asked(|r| r.deny = Some(names(&["a"])))
            .gives("b c d", DefaultNoEvidence),
        case("what is allowed and denied is denied")
            .asked(|r| {
                r.allow = Some(names(&["a", "b"]));
                r.deny = Some(names(&["b", "c"]));
            })
            .gives("a", Constrained),
        case("a name twice is once")
            .asked(|r| r.allow = Some(names(&["a", "a"])))
            .gives("a", Constrained),
        case("to deny nothing changes nothing").asked(|r| r.deny = Some(names(&[]))),
        case("to allow nothing leaves nothing")
            .asked(|r| r.allow = Some(names(&[])))
            .gives("", Constrained),
        case("to deny all leaves nothing")
            .asked(|r| r.deny = Some(names(&["a", "b", "c", "d"])))
            .gives("", Constrained),
    ]);
}

#[test]
fn a_novel_prompt_is_judged_by_the_whole_table() {
    // c is proven in the cluster, a in the whole table.
    let mut whole = ROW;
    whole.success = [0.875, 0.625, 0.5, 0.25];
    let policy = with!(policy(), {
        guard_z: 0.5,
        novelty_limit: 0.5,
    });
    let artifact = artifact(ROW, whole, policy);
    let defaults = RouteOptions::defaults(&artifact);
    let near = artifact.decide(&[12.0], &defaults).unwrap(); // novelty 0.5
    let far = artifact.decide(&[-13.0], &defaults).unwrap();
    let model = |d: Decision| artifact.model_name(d.model);
    assert_eq!(
        (model(near), near.reason, near.row),
        ("c", Reason::Routed, 0)
    );
    assert_eq!(
        (model(far), far.reason, far.row),
        ("a", Reason::DefaultNovel, 1)
    );
    assert_eq!((far.cluster, far.distance, far.novelty), (0, 13.0, 0.625));

    let request = with!(Request::default(), { deny: Some(names(&["a"])) });
    let options = RouteOptions::resolve(&artifact, &request).unwrap();
    let far = artifact.decide(&[-13.0], &options).unwrap();
    assert_eq!((model(far), far.reason), ("b", Reason::Constrained));
}

#[test]
fn a_ranking_has_the_estimates_that_it_goes_by() {
    let artifact = artifact(ROW, ROW, policy());
    let request = with!(Request::default(), {
        cost_weight: Some(0.5),
        latency_weight: Some(0.125),
        prices: Some(prices(&[("a", 2.0)])),
    });
    let options = RouteOptions::resolve(&artifact, &request).unwrap();
    let expected = [
        (1, 0.625, Some(0.5), Some(2.0), 2.0, 0.625 - 0.25 - 0.25),
        (2, 0.75, Some(1.0), Some(4.0), 3.0, 0.75 - 0.5 - 0.5),
        (0, 0.5, Some(2.0), Some(1.0), 1.0, 0.5 - 1.0 - 0.125),
        // The dearest is a's price, the slowest is c.
        (3, 0.25, None, None, 0.0, 0.25 - 1.0 - 0.5),
    ];
    let found = artifact.rank(&in_row(0), &[], &options);
    assert_eq!(found.iter().map(entry_values).collect::<Vec<_>>(), expected);
    let whole = artifact.rank(&in_row(1), &[], &options);
    let whole: Vec<f64> = whole.iter().map(|e| e.n).collect();
    assert_eq!(whole, [20.0, 30.0, 10.0, 0.5]);
}

#[test]
fn utility_is_computed_in_f64_from_left_to_right() {
    let mut row = ROW;
    (row.success[2], row.cost[2], row.latency[2]) = (0.7, 0.1, 0.3);
    let artifact = artifact(row, row, policy());
    let request = with!(Request::default(), {
        cost_weight: Some(0.3),
        latency_weight: Some(0.7),
    });
    let options = RouteOptions::resolve(&artifact, &request).unwrap();
    let ranking = artifact.rank(&in_row(0), &[], &options);
    let found = ranking.iter().find(|e| e.model == 2).unwrap().utility;
    let [success, cost, latency] = [0.7_f32, 0.1, 0.3].map(f64::from);
    let terms = (0.3 * cost, 0.7 * latency);
    assert_eq!(found.to_bits(), ((success - terms.0) - terms.1).to_bits());
    assert_ne!(found.to_bits(), (success - (terms.0 + terms.1)).to_bits());
}

#[test]
fn an_option_out_of_range_is_named() {
    let artifact = artifact(ROW, ROW, policy());
    let request = Request::default;
    for value in [f64::NAN, f64::INFINITY, -f64::INFINITY, -1e-300] {
        let some = Some(value);
        let cases = [
            ("cost_weight", with!(request(), { cost_weight: some })),
            ("latency_weight", with!(request(), { latency_weight: some })),
            ("max_cost_usd", with!(request(), { max_cost_usd: some })),
            ("min_success", with!(request(), { min_success: some })),
            (
                "prices[\"c\"]",
                with!(request(), { prices: Some(prices(&[("c", value)])) }),
            ),
        ];
        for (name, request) in cases {
            match RouteOptions::resolve(&artifact, &request) {
                Ok(_) if name == "max_cost_usd" && value == f64::INFINITY => {} // no limit
                Err(Error::Option {
                    argument,
                    value: found,
                    ..
                }) => {
                    assert_eq!(
                        (argument.as_str(), found.to_bits()),
                        (name, value.to_bits())
                    );
                }
                other => panic!("{name} {value}: {other:?}"),
            }
        }
    }
    let above_1 = with!(request(), { min_success: Some(1.0_f64.next_up()) });
    let error = RouteOptions::resolve(&artifact, &above_1).unwrap_err();
    assert!(matches!(error, Error::Option { .. }), "{error:?}");
}

#[test]
fn an_unknown_model_is_named_with_the_known_ones() {
    let artifact = artifact(ROW, ROW, policy());
    let request = Request::default;
    let cases = [
        (
            "allow",
            with!(request(), { allow: Some(names(&["a", "e"])) }),
        ),
        ("deny", with!(request(), { deny: Some(names(&["e"])) })),
        (
            "prices",
            with!(request(), { prices: Some(prices(&[("b", 1.0), ("e", 1.0)])) }),
        ),
    ];
    for (argument, request) in cases {
        let error = RouteOptions::resolve(&artifact, &request)
            .unwrap_err()
            .to_string();
        let expected = format!("{argument} names the model \"e\"");
        assert!(error.starts_with(&expected), "{error}");
        assert!(error.ends_with("it holds a, b, c, d"), "{error}");
    }
    let many = Artifact::build(&values(1, 1, 40, 1)).unwrap();
    let unknown = with!(request(), { deny: Some(names(&["e"])) });
    let error = RouteOptions::resolve(&many, &unknown)
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("model 29, and 10 more"), "{error}");
}

#[test]
fn a_conversation_stays_unless_a_switch_gains_enough() {
    // The first choice is c, with a utility of 0.75; b has 0.625, a 0.5, d 0.25.
    fn talk(clause: &'static str) -> Case {
        case(clause).policy(|p| p.guard_z = 0.5)
    }
    check([
        talk("without a price any gain is enough")
            .asked(|r| r.previous_model = Some("a".into()))
            .gives("c b a d", Reason::Routed),
        talk("a gain of just the price is not enough")
            .asked(|r| {
                r.previous_model = Some("a".into());
                r.switch_cost = Some(0.25);
            })
            .gives("a c b d", Reason::Stayed),
        talk("a gain above the price is")
            .asked(|r| {
                r.previous_model = Some("d".into());
                r.switch_cost = Some(0.25);
            })
            .gives("c b a d", Reason::Routed),
        talk("the gain is one of utility")
            .asked(|r| {
                r.previous_model = Some("b".into());
                r.switch_cost = Some(0.125);
                r.prices = Some(prices(&[("a", 0.0), ("b", 0.0), ("c", 0.0625), ("d", 0.0)]));
                r.cost_weight = Some(1.0);
            })
            // c is proven by 0.0625 only from a guard of 0.5 on: 0.0625 is just the bound.
            .gives("b c a d", Reason::DefaultNoEvidence),
        talk("the first choice itself stays for its own reason")
            .asked(|r| {
                r.previous_model = Some("c".into());
                r.switch_cost = Some(1.0);
            })
            .gives("c b a d", Reason::Routed),
        talk("a model that meets the limits no more is left")
            .asked(|r| {
                r.previous_model = Some("a".into());
                r.switch_cost = Some(1.0);
                r.deny = Some(names(&["a"]));
            })
            .gives("c b d", Reason::Routed),
        case("a better model than the default stays, though it is not proven")
            .asked(|r| r.previous_model = Some("c".into()))
            .gives("c b a d", Reason::Stayed),
    ]);
}

#[test]
fn a_novel_prompt_gets_the_answer_of_on_novel() {
    let whole = Row {
        success: [0.5, 0.625, 0.6875, 0.25],
        ..ROW
    };
    // Utility alone ranks the best overall, without guard and margin.
    let limit = with!(policy(), {
        novelty_limit: 0.5,
        margin: 0.25,
    });
    let artifact = artifact(ROW, whole, limit);
    let decide = |query: f32, on_novel: OnNovel| {
        let request = with!(Request::default(), { on_novel });
        let options = RouteOptions::resolve(&artifact, &request).expect("nothing is out of range");
        let decision = artifact.decide(&[query], &options)?;
        let ranking = spell(&artifact, &artifact.rank(&decision, &[], &options));
        Ok::<_, Error>((ranking, decision.reason))
    };
    for on_novel in [OnNovel::Default, OnNovel::BestOverall, OnNovel::Error] {
        let near = decide(0.0, on_novel).expect("it is not novel");
        assert_eq!(near, ("b c a d".into(), Reason::DefaultNoEvidence));
    }
    let found = decide(20.0, OnNovel::Default).expect("it has an answer");
    assert_eq!(found, ("b c a d".into(), Reason::DefaultNovel));
    let found = decide(20.0, OnNovel::BestOverall).expect("it has an answer");
    assert_eq!(found, ("c b a d".into(), Reason::BestOverall));
    let found = decide(20.0, OnNovel::Error).expect_err("it is novel");
    assert!(
        matches!(found, Error::Novel { row: None, novelty, limit } if novelty == 1.0 && limit == 0.5)
    );
    let request = with!(Request::default(), { on_novel: OnNovel::Error });
    let options = RouteOptions::resolve(&artifact, &request).expect("nothing is out of range");
    let found = artifact.decide_many(&[0.0, 1.0, 20.0, 0.0], &options);
    assert!(matches!(found, Err(Error::Novel { row: Some(2), .. })));
    assert!(matches!(OnNovel::from_name("none"), Err(Error::OnNovel(name)) if name == "none"));
}

#[test]
fn draws_are_as_likely_as_the_propensities_say() {
    const N: usize = 40_000;
    let artifact = artifact(ROW, ROW, policy());
    let request = with!(Request::default(), {
        explore: Some(0.3),
        seed: 7,
        deny: Some(names(&["d"])),
    });
    let options = RouteOptions::resolve(&artifact, &request).expect("nothing is out of range");
    let decided = artifact
        .decide_many(&vec![0.0; N], &options)
        .expect("a model is left");
    assert_eq!(
        decided,
        artifact
            .decide_many(&vec![0.0; N], &options)
            .expect("again")
    );
    // The first choice is b; a and c are drawn once in ten.
    let expected = [0.1, 0.8, 0.1, 0.0];
    for (model, share) in expected.into_iter().enumerate() {
        let taken: Vec<_> = decided.iter().filter(|d| d.model == model as u32).collect();
        let error = (share * (1.0 - share) / N as f64).sqrt();
        assert!(
            (taken.len() as f64 / N as f64 - share).abs() <= 5.0 * error,
            "{model}"
        );
        for decision in taken {
            assert!((decision.propensity - share).abs() < 1e-12);
            let first = model == 1;
            assert_eq!(decision.reason == Reason::Explored, !first);
            let ranking = artifact.rank(decision, &[], &options);
            assert_eq!(ranking[0].model, decision.model);
            assert_eq!(ranking.len(), 3);
        }
    }
    let seeds = (0..50).map(|seed| {
        let options = RouteOptions::resolve(&artifact, &with!(request.clone(), { seed }));
        artifact
            .decide(&[0.0], &options.expect("nothing is out of range"))
            .map(|d| d.model)
    });
    let models: Result<std::collections::BTreeSet<_>, _> = seeds.collect();
    assert!(
        models.expect("a model is left").len() > 1,
        "another seed draws another"
    );
    let always = RouteOptions::resolve(&artifact, &with!(request, { explore: Some(1.0) }));
    let decided = artifact.decide_many(&[0.0; 100], &always.expect("1 is in range"));
    for decision in decided.expect("a model is left") {
        assert!((decision.propensity - 1.0 / 3.0).abs() < 1e-12);
    }
}

#[test]
fn after_failures_the_others_follow_in_order() {
    let artifact = artifact(ROW, ROW, policy());
    let request = with!(Request::default(), {
        previous_model: Some("a".into()),
        switch_cost: Some(1.0),
        explore: Some(0.5),
        max_cost_usd: Some(2.0),
    });
    let mut options = RouteOptions::resolve(&artifact, &request).expect("nothing is out of range");
    let mut decision = artifact.decide(&[0.0], &options).expect("a model is left");
    let mut tried = vec![decision.model];
    let failed = |model| artifact.model_name(model);
    loop {
        match artifact.after_failure(&decision, &[], &options, failed(decision.model)) {
            Ok((next, left)) => {
                assert_eq!((next.reason, next.propensity), (Reason::Fallback, 1.0));
                assert_eq!((next.cluster, next.row), (decision.cluster, decision.row));
                (decision, options) = (next, left);
                tried.push(decision.model);
            }
            Err(Error::NoCandidate { allowed, .. }) => {
                assert_eq!(allowed, 1, "d is allowed and its cost unknown");
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    // After any first model the others follow by the rule: b, c, a.
    let rest: Vec<_> = [1, 2, 0].into_iter().filter(|m| *m != tried[0]).collect();
    assert_eq!(tried[1..], rest);
    let found = artifact.after_failure(&decision, &[], &options, "nobody");
    assert!(matches!(
        found,
        Err(Error::UnknownModel {
            argument: "after_failure",
            ..
        })
    ));
    // If another model fails, the chosen one stays first.
    let plain = RouteOptions::defaults(&artifact);
    let decision = artifact.decide(&[0.0], &plain).expect("a model is left");
    let (next, _) = artifact
        .after_failure(&decision, &[], &plain, "d")
        .expect("three are left");
    assert_eq!(next.model, decision.model);
}

#[test]
fn options_of_a_service_are_checked() {
    let artifact = artifact(ROW, ROW, policy());
    let resolve = |request: Request| RouteOptions::resolve(&artifact, &request);
    for value in [-0.5, f64::NAN, f64::INFINITY] {
        let found = resolve(with!(Request::default(), { switch_cost: Some(value) }));
        assert!(matches!(found, Err(Error::Option { argument, .. }) if argument == "switch_cost"));
        let found = resolve(with!(Request::default(), { explore: Some(value) }));
        assert!(matches!(found, Err(Error::Option { argument, .. }) if argument == "explore"));
    }
    let found = resolve(with!(Request::default(), { previous_model: Some("e".into()) }));
    assert!(matches!(
        found,
        Err(Error::UnknownModel {
            argument: "previous_model",
            ..
        })
    ));
}
