"""Renaming models, and names that look like one model: which do, and above all which do not.

Not here: the rules for names in a table (tests/table/test_names.py).
"""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova.errors import NotFoundError, TableError
from hypernova.table.importing.names import (
    read_renames,
    similar_names,
    suggested_renames,
    unused_renames,
)

# Each line is one model under several names.
ONE_MODEL = [
    ("gpt-4o", "openai/gpt-4o", "GPT 4o (2024-08-06)", "gpt-4o-2024-05-13", "openai__gpt-4o"),
    ("azure/gpt-4o-mini", "gpt-4o-mini-2024-07-18", "gpt_4o_mini", "openai/gpt-4o-mini:free"),
    ("gpt-4", "gpt-4-0613"),
    (
        "anthropic/claude-3.5-sonnet",
        "claude-3-5-sonnet-20241022",
        "us.anthropic.claude-3-5-sonnet-20241022-v2:0",
        "claude-3-5-sonnet-v2@20241022",
        "claude-3-5-sonnet@20240620",
        "claude-3-5-sonnet-latest",
    ),
    ("anthropic.claude-v2:1", "claude-2.1"),
    ("mistral.mistral-7b-instruct-v0:2", "mistralai/Mistral-7B-Instruct-v0.2"),
    (
        "meta-llama/Meta-Llama-3.1-8B-Instruct",
        "meta.llama3-1-8b-instruct-v1:0",
        "accounts/fireworks/models/llama-v3p1-8b-instruct",
        "llama-3.1-8b-instruct:free",
    ),
    ("qwen2.5:7b", "Qwen/Qwen2.5-7B"),
    ("cohere/command-r", "command-r-08-2024"),
    ("cohere.command-r-plus-v1:0", "command-r+"),
    ("amazon.nova-pro-v1:0", "Nova Pro"),
    ("gemini-2.5-flash-preview-05-20", "google/gemini-2.5-flash-preview"),
    ("mistral-large-2407", "mistral-large-latest"),
]
# No two of these are one model.
FAMILIES = [
    "gpt-4", "gpt-4-32k", "gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-4o-mini", "gpt-4-turbo",
    "gpt-4-turbo-preview", "chatgpt-4o-latest", "o1", "o1-mini", "o3", "o3-mini", "o4-mini",
    "claude-3-5-sonnet", "claude-3-7-sonnet", "claude-3-5-haiku", "claude-3-opus", "claude-opus-4",
    "claude-opus-4-1", "claude-2", "claude-2.1", "claude-3-7-sonnet:thinking", "claude-instant-v1",
    "qwen2.5-7b", "qwen2.5-72b", "qwen2-72b", "qwen-1.8b", "qwen1-8b", "qwen2.5-7b-instruct",
    "llama-3-8b", "llama-3.1-8b", "llama-3-18b", "llama-31-8b", "llama-3-70b", "Llama-3.1-8B-FP8",
    "mistral-7b-instruct-v0.1", "mistral-7b-instruct-v0.2", "mixtral-8x7b", "mixtral-8x22b",
    "command-r", "command-r+", "phi-3-mini-4k", "phi-3-mini-128k", "encoder-2048", "encoder-4096",
    "gemini-1.5-pro-001", "gemini-1.5-pro-002", "模型甲-7b", "模型乙-7b", "2024-08-06",
    "2024-08-07",
]  # fmt: skip


def spellings(name: str) -> st.SearchStrategy[str]:
    """Other ways in which tools and gateways write a name."""

    def written(provider: str, date: str, suffix: str, upper: bool, blank: str) -> str:
        text = name.upper() if upper else name
        return provider + text.replace("-", blank) + date + suffix

    return st.builds(
        written,
        st.sampled_from(["", "openai/", "openrouter/x-ai/", "vertex_ai/", "together__"]),
        st.sampled_from(["", "-2024-08-06", "-20240806", "@20240806", " (2024-08-06)"]),
        st.sampled_from(["", ":free", ":nitro"]),
        st.booleans(),
        st.sampled_from(["-", "_", " "]),
    )


# A date follows the name in these.
PLAIN = [name for name in FAMILIES if not name.endswith((":thinking", "-v1", "-latest"))][:-2]


class TestSimilarNames:
    @pytest.mark.parametrize("names", ONE_MODEL, ids=lambda names: names[0])
    def test_spellings_providers_and_dates_of_one_model(self, names) -> None:
        assert similar_names(names) == (tuple(sorted(names)),)

    def test_models_of_different_lines_stay_apart(self) -> None:
        every = [name for names in ONE_MODEL for name in names]
        assert sorted(similar_names(every)) == sorted(tuple(sorted(n)) for n in ONE_MODEL)

    def test_versions_and_sizes_of_a_family_are_not_reported(self) -> None:
        assert similar_names(FAMILIES) == ()

    @given(st.data(), st.sampled_from(PLAIN))
    def test_a_name_looks_like_its_spellings(self, data, name) -> None:
        other = data.draw(spellings(name).filter(lambda text: text != name))
        assert similar_names([name, other]) == (tuple(sorted((name, other))),)

    @given(st.data(), st.sampled_from(list(itertools.combinations(PLAIN, 2))))
    def test_spellings_of_two_models_do_not_look_alike(self, data, pair) -> None:
        names = [data.draw(spellings(name)) for name in pair]
        assert similar_names(names) == ()

    @given(
        st.sampled_from(["model", "qwen", "llama-chat"]),
        st.lists(
            st.tuples(st.integers(1, 30), st.none() | st.integers(0, 9), st.integers(1, 900)),
            min_size=2,
            max_size=2,
            unique=True,
        ),
    )
    def test_no_two_versions_or_sizes_look_alike(self, family, numbers) -> None:
        names = [
            f"{family}-{major}{'' if minor is None else f'.{minor}'}-{size}b"
            for major, minor, size in numbers
        ]
        assert similar_names(names) == ()

    @given(st.lists(st.text(max_size=12), max_size=12))
    def test_any_names_give_disjoint_sorted_sets_whatever_their_order(self, names) -> None:
        found = similar_names(names)
        assert found == similar_names(reversed(names))
        every = [name for group in found for name in group]
        assert len(every) == len(set(every))
        assert set(every) <= set(names)
        assert all(len(group) > 1 and list(group) == sorted(group) for group in found)


class TestSuggestion:
    @pytest.mark.parametrize("names", ONE_MODEL, ids=lambda names: names[0])
    def test_it_is_a_file_of_renames_that_makes_one_model(self, names, tmp_path) -> None:
        path = tmp_path / "names.json"
        path.write_text(suggested_renames(names), encoding="utf-8")
        renames = read_renames(path)
        assert len({renames.get(name, name) for name in names}) == 1
        assert min(map(len, names)) == len(next(iter(renames.values())))


class TestReadRenames:
    def test_json_and_toml_hold_the_same(self, tmp_path) -> None:
        expected = {"openai/gpt-4o": "gpt-4o", "gpt-4.1": "four"}
        (tmp_path / "n.json").write_text("\ufeff" + json.dumps(expected | {"a": "a"}))
        (tmp_path / "n.TOML").write_text('"openai/gpt-4o" = "gpt-4o"\n"gpt-4.1" = "four"\n')
        assert read_renames(tmp_path / "n.json") == expected
        assert read_renames(tmp_path / "n.TOML") == expected

    @pytest.mark.parametrize(
        ("name", "content", "parts"),
        [
            ("n.json", "{", ("not valid JSON",)),
            ("n.json", "[" * 100_000, ("not valid JSON",)),
            ("n.json", '["a"]', ("found ['a']", "an object from names to new names")),
            ("n.json", '{"a": 1}', ("'a'", "found 1")),
            ("n.json", '{"a": null}', ("'a'", "found None")),
            ("n.json", '{"a": ""}', ("'a'", "an empty name")),
            ("n.json", '{"a": "b\\nc"}', ("'a'", "control character")),
            ("n.json", '{"a": "b "}', ("blank before or after",)),
            ("n.json", '{"a": "b", "a": "c"}', ("'a' stands twice",)),
            ("n.json", '{"a": "b", "b": "c"}', ("'a' becomes 'b', which becomes 'c'",)),
            ("n.json", '{"a": "b", "b": "a"}', ("'a' becomes 'b', which becomes 'a'",)),
            ("n.toml", "a = [", ("not valid TOML",)),
            ("n.toml", 'gpt-4.1 = "x"', ("'gpt-4'", "with dots in quotes")),
        ],
    )
    def test_what_is_wrong_is_one_line(self, tmp_path, name, content, parts) -> None:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        with pytest.raises(TableError) as caught:
            read_renames(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert message.isprintable()
        assert all(part in message for part in parts), message

    def test_a_file_that_is_none(self, tmp_path) -> None:
        with pytest.raises(NotFoundError, match="no such file"):
            read_renames(tmp_path / "none.json")
        with pytest.raises(TableError, match="cannot be read"):
            read_renames(tmp_path)
        (tmp_path / "latin.json").write_bytes('{"é": "e"}'.encode("latin-1"))
        with pytest.raises(TableError, match="not UTF-8"):
            read_renames(tmp_path / "latin.json")

    def test_names_that_no_log_has(self) -> None:
        assert unused_renames({"a": "x", "b": "y", "c": "x"}, {"b", "z"}) == ("a", "c")
