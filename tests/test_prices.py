"""Files of prices: every form, LiteLLM's map, and what is wrong in one line.

Not here: costs computed from prices (tests/table/test_tokens.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

import hypernova
from hypernova.errors import NotFoundError, PriceError
from hypernova.prices import PriceList, price_template
from support.commands import run_python
from support.paths import PACKAGES

if TYPE_CHECKING:
    from pathlib import Path

LITELLM = {
    "sample_spec": {
        "input_cost_per_token": 0.0,
        "output_cost_per_token": 0.0,
        "max_tokens": "LEGACY parameter",
    },
    "gpt": {"input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06, "mode": "chat"},
    "mini": {"input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07},
    "picture": {"output_cost_per_image": 0.04},
}


def written(tmp_path, content: object, name: str = "prices.json"):
    path = tmp_path / name
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


class TestForms:
    def test_json_and_toml_hold_the_same(self, tmp_path) -> None:
        content = {"gpt-4.1": [2, 8.0], "b": {"output": 8.0, "input": 2}, "c": 0.01}
        toml = '"gpt-4.1" = [2, 8.0]\nc = 0.01\n[b]\noutput = 8.0\ninput = 2\n'
        expected = {"gpt-4.1": (2.0, 8.0), "b": (2.0, 8.0), "c": 0.01}
        for path in (
            written(tmp_path, content),
            written(tmp_path, "\ufeff" + json.dumps(content), "bom.json"),
            written(tmp_path, toml, "prices.TOML"),
        ):
            found = hypernova.read_prices(path)
            assert found == expected
            assert all(isinstance(x, float) for x in (found["c"], *found["b"]))

    def test_litellms_map_is_read_as_it_is(self, tmp_path) -> None:
        path = written(tmp_path, LITELLM)
        found = hypernova.read_prices(path)
        assert found == {"sample_spec": (0.0, 0.0), "gpt": (2.0, 8.0), "mini": (0.15, 0.6)}
        assert hypernova.read_prices(path, models=("gpt", "other")) == {"gpt": (2.0, 8.0)}

    def test_litellms_own_map_is_read(self) -> None:
        litellm = pytest.importorskip("litellm", reason="its map is NOT read: no litellm")
        from pathlib import Path

        name = "model_prices_and_context_window_backup.json"
        path = Path(litellm.__file__).parent / name
        found = hypernova.read_prices(path, models=("gpt-4o",))
        assert found == {"gpt-4o": (2.5, 10.0)}

    def test_prices_of_other_models_are_not_looked_at(self, tmp_path) -> None:
        path = written(tmp_path, {"a": [1, 2], "odd": "free", "worse": -1})
        assert hypernova.read_prices(path, models=["a"]) == {"a": (1.0, 2.0)}

    def test_reading_prices_loads_no_library(self, tmp_path) -> None:
        path = written(tmp_path, {"a": [1, 2]})
        program = (
            "import sys\nimport hypernova\nbefore = set(sys.modules)\n"
            f"hypernova.read_prices({str(path)!r})\n"
            "print(sorted(m for m in set(sys.modules) - before if m.startswith('hypernova.')))"
        )
        run = [sys.executable, "-c", program]
        told = subprocess.run(run, check=True, capture_output=True, text=True).stdout
        assert told == "['hypernova.paths', 'hypernova.prices', 'hypernova.strict_json']\n"


class TestRefusals:
    @pytest.mark.parametrize(
        ("content", "parts"),
        [
            ({"a": "2.0"}, ("'a'", "found '2.0'", "number from 0 to 1e+12")),
            ({"a": True}, ("'a'", "found True")),
            ({"a": None}, ("'a'", "found None")),
            ({"a": [1, 2, 3]}, ("'a'", "found 3 numbers", "[input, output]")),
            ({"a": [1]}, ("'a'", "one number in a list")),
            ({"a": [1, -2]}, ("'a'", "found -2")),
            ('{"a": NaN}', ("'a'", "found nan")),
            ('{"a": 1e999}', ("'a'", "found inf")),
            ('{"a": 1' + "0" * 400 + "}", ("'a'", "found 1000")),
            ({"a": {"in": 1, "out": 2}}, ("'a'", "found 'in', 'out'")),
            ({"a": {"input": 1}}, ("'a'", "found 'input'")),
            ({"a": {"input_cost_per_token": "x", "output_cost_per_token": 0}}, ("'a'", "'x'")),
            ('{"a": 1, "a": 2}', ("not valid JSON", "'a' stands twice")),
            ('{"a": 1,,}', ("not valid JSON",)),
            ([1], ("found [1]", "an object from models to prices")),
            ({}, ("holds no price of any model",)),
            ({"line\nbreak": -1}, ("line", "found -1")),
            ("[" * 100_000, ("not valid JSON",)),
        ],
    )
    def test_one_line_says_the_file_the_model_and_what_is_wrong(
        self, tmp_path, content, parts
    ) -> None:
        path = written(tmp_path, content)
        with pytest.raises(PriceError) as caught:
            hypernova.read_prices(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert message.isprintable()
        assert all(part in message for part in parts), message

    def test_a_name_with_dots_in_toml_asks_for_quotes(self, tmp_path) -> None:
        path = written(tmp_path, "gpt-4.1 = 2\n", "p.toml")
        with pytest.raises(PriceError, match=r"'gpt-4'.*quote names with dots"):
            hypernova.read_prices(path)
        with pytest.raises(PriceError, match="not valid TOML"):
            hypernova.read_prices(written(tmp_path, "a = [", "p.toml"))

    def test_none_of_the_models_asked_for(self, tmp_path) -> None:
        path = written(tmp_path, LITELLM)
        with pytest.raises(PriceError, match=r"models asked for; .* such as 'mine'"):
            hypernova.read_prices(path, models=["mine"])

    def test_a_file_that_is_none(self, tmp_path) -> None:
        with pytest.raises(NotFoundError, match="no such file"):
            hypernova.read_prices(tmp_path / "nowhere.json")
        with pytest.raises(PriceError, match="cannot be read"):
            hypernova.read_prices(tmp_path)
        (tmp_path / "latin.json").write_bytes('{"é": 1}'.encode("latin-1"))
        with pytest.raises(PriceError, match="not UTF-8"):
            hypernova.read_prices(tmp_path / "latin.json")


class TestTemplate:
    MODELS = ("gpt-4.1", 'quo"ted\\', "模型")

    @pytest.mark.parametrize("name", ["t.toml", "t.json"])
    def test_it_is_refused_until_it_is_filled_in(self, tmp_path, name) -> None:
        text = price_template(self.MODELS, toml=name.endswith(".toml"))
        path = written(tmp_path, text, name)
        with pytest.raises(PriceError, match=r"'gpt-4\.1': the price is not filled in; replace"):
            hypernova.read_prices(path)
        path.write_text(text.replace('"fill in"', "2.5", 1), encoding="utf-8")
        with pytest.raises(PriceError, match=r"'gpt-4\.1': the price is not filled in"):
            hypernova.read_prices(path)
        path.write_text(text.replace('"fill in"', "2.5"), encoding="utf-8")
        assert hypernova.read_prices(path) == dict.fromkeys(self.MODELS, (2.5, 2.5))
        assert list(hypernova.read_prices(path)) == list(self.MODELS)


class TestLiteLLM:
    """Its map is read from the package, of which no line is run."""

    PROGRAM = (
        "import sys, hypernova\n"
        "print(hypernova.read_prices('litellm', models=sys.argv[1:]))\n"
        "assert not any(m.partition('.')[0] == 'litellm' for m in sys.modules)"
    )

    def told(self, *models: str, code: int = 0) -> str:
        done = run_python("-c", self.PROGRAM, *models, code=code)
        return done.stdout.strip() if code == 0 else done.stderr.splitlines()[-1]

    @pytest.fixture
    def beside(self, tmp_path, monkeypatch) -> Path:
        """A package that must not be run, in a folder that Python looks into."""
        folder = tmp_path / "litellm"
        folder.mkdir()
        (folder / "__init__.py").write_text("raise SystemExit('its code was run')")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), str(PACKAGES))))
        return folder

    def test_the_map_of_the_package_is_read(self, beside) -> None:
        written(beside, LITELLM, "model_prices_and_context_window_backup.json")
        assert self.told("gpt") == "{'gpt': (2.0, 8.0)}"
        assert "LiteLLM's map of prices: holds no price" in self.told("other", code=1)

    def test_a_package_without_a_map_or_none_at_all(self, beside) -> None:
        assert "need litellm: pip install" in self.told("gpt", code=1)
        (beside / "__init__.py").unlink()
        beside.rmdir()
        if find_spec("litellm") is None:
            assert "need litellm: pip install" in self.told("gpt", code=1)

    @pytest.mark.skipif(
        "HYPERNOVA_LITELLM" not in os.environ, reason="its map is NOT read: run `make test-litellm`"
    )
    def test_the_real_one(self) -> None:
        done = subprocess.run(
            [os.environ["HYPERNOVA_LITELLM"], "-c", self.PROGRAM, "gpt-4o"],
            env={**os.environ, "PYTHONPATH": str(PACKAGES)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout == "{'gpt-4o': (2.5, 10.0)}\n"

    def test_a_provider_before_the_name_is_the_one_that_the_map_states(self, tmp_path) -> None:
        entries = {
            "gpt": LITELLM["gpt"] | {"litellm_provider": "openai"},
            "azure/gpt": LITELLM["mini"],
            "plain": [1, 2],
        }
        prices = PriceList.read(written(tmp_path, entries))
        assert prices.named_by("gpt") == "gpt"
        assert prices.named_by("openai/gpt") == "gpt"
        assert prices.named_by("azure/gpt") == "azure/gpt"
        assert [prices.named_by(name) for name in ("groq/gpt", "x/plain", "openai/", "")] == [
            None
        ] * 4


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("p.json", "", "p.json: is empty; write an object from models to prices"),
        ("p.json", " \n", "p.json: is empty; write an object from models to prices"),
        ("p.json", '{"a": "b', "starting at line 1, character 7); mend it there"),
        ("p.json", f'{{"a": {"9" * 5000}}}', "(a whole number of more than 4,300 digits)"),
        ("p.toml", f"a = {'9' * 5000}", "(a whole number of more than 4,300 digits)"),
    ],
    ids=range(5),
)
def test_a_file_that_is_no_object_is_told_why(name: str, text: str, words: str, tmp_path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(PriceError) as caught:
        hypernova.read_prices(tmp_path / name)
    assert words in str(caught.value)
    assert "set_int" not in str(caught.value)


def test_a_path_that_cannot_be_read_has_a_remedy(tmp_path) -> None:
    for path in (tmp_path, "\x00"):
        with pytest.raises(PriceError, match=r"cannot be read \(.*\); name a file that can"):
            hypernova.read_prices(path)
