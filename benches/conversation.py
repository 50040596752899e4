"""Compare ways to read a conversation: last turn, first turn, one text, or mean vector.

Not here: how the turns are found (`hypernova.router.conversation`).
One half of a table is fitted. From each prompt of the other half come conversations of three
kinds: another prompt of the same group is the first turn and this prompt the last; the same with
a prompt of another group; or this prompt is the first turn, and a reply that names no subject is
the last. A conversation is scored by the outcomes of the prompt that names its task. Nothing but
the way of reading differs.

    python -m benches.conversation DATA [--embedder static] [--limit 1500] [--seed 0]
"""

from __future__ import annotations

import argparse

import numpy as np

import hypernova
from hypernova.embedder import Embedder

REPLIES = ("Looks good, commit it.", "Thanks. Please go on.", "Are you sure?", "Yes, do that.")
WEIGHTS = (0.3, 0.5, 0.7)


def mean(first, last, weight: float):
    """Average unit vectors, with `weight` for the last turn, and scale to length 1."""
    mixed = (1.0 - weight) * first + weight * last
    return np.ascontiguousarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True), np.float32)


def partners(groups, rng, *, same: bool):
    """Draw for each prompt another one of the same group, or one of another group."""
    found = np.empty(len(groups), dtype=int)
    for i, group in enumerate(groups):
        others = np.flatnonzero((groups == group) == same)
        found[i] = rng.choice(others[others != i])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("--embedder", default="static")
    parser.add_argument("--limit", type=int, default=1500, help="conversations of each kind")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    table = hypernova.OutcomeTable.read(arguments.data)
    embedder = Embedder.load(arguments.embedder)
    rng = np.random.default_rng(arguments.seed)
    order = rng.permutation(table.n_tasks)
    half = table.n_tasks // 2
    learned = table.subset(np.sort(order[:half]))
    held = table.subset(np.sort(order[half : half + arguments.limit]))
    artifact = hypernova.fit(learned, embedder=embedder, describe=False)
    limit = artifact.policy["novelty_limit"]
    print(f"{table.name}, {embedder.name}: fitted on {half}, {held.n_tasks} conversations a kind")

    prompts = np.array(held.prompts, dtype=object)
    vectors = embedder.embed(list(prompts))
    groups = np.array(held.groups, dtype=object)
    default = artifact.models.index(artifact.default_model)
    everyone = np.arange(held.n_tasks)
    kinds = {
        f"the first turn is of {'the same' if same else 'another'} kind": (
            partners(groups, rng, same=same),
            everyone,
            everyone,
        )
        for same in (True, False)
    }
    replies = rng.integers(0, len(REPLIES), held.n_tasks)
    kinds["the last turn names no subject"] = (everyone, replies, everyone)
    for kind, (first, last, scored) in kinds.items():
        reply = kind.startswith("the last")
        last_texts = np.array(REPLIES, dtype=object)[last] if reply else prompts[last]
        firsts = vectors[first]
        lasts = embedder.embed(list(REPLIES))[last] if reply else vectors[last]
        joined = [f"{a}\n\n{b}" for a, b in zip(prompts[first], last_texts, strict=True)]
        ways = {"last": lasts, "first": firsts, "one text": embedder.embed(joined)}
        ways |= {f"mean, {weight:.0%} last": mean(firsts, lasts, weight) for weight in WEIGHTS}
        single = np.nanmean(held.score[scored, default])
        print(f"\n{kind} (best single model {single:.4f})\n")
        print("| routed by | success | against the mean of both | novel |")
        print("| --- | --- | --- | --- |")
        scores, novel = {}, {}
        for way, matrix in ways.items():
            decided = artifact.decide_many(np.ascontiguousarray(matrix))
            scores[way] = held.score[scored, decided.model_indices]
            novel[way] = decided.novelties > limit
        unless = "last, the first if that is novel"
        scores[unless] = np.where(novel["last"], scores["first"], scores["last"])
        novel[unless] = novel["last"] & novel["first"]
        for way, score in scores.items():
            change = score - scores["mean, 50% last"]
            error = np.nanstd(change) / np.sqrt(np.isfinite(change).sum())
            print(
                f"| {way} | {np.nanmean(score):.4f} | {np.nanmean(change):+.4f} "
                f"(standard error {error:.4f}) | {np.mean(novel[way]):.1%} |"
            )


if __name__ == "__main__":
    main()
