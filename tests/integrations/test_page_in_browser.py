"""The page of `hypernova serve --page` in a real Chromium, at two widths, light and dark.

With HYPERNOVA_PICTURES=FOLDER it writes what it sees there. Not here: the page's files and
headers (`test_page.py`).
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import hypernova
from support.browser import CHROMIUM, DRIVER, MISSING, SPACE, TAB, Browser, browser
from support.factories import fitted_to_example
from support.paths import TABLE
from support.server import Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason=MISSING),
]

TOKEN = "s3cret"
LOOKS = [(1280, 900, "light"), (1280, 900, "dark"), (400, 800, "light"), (400, 800, "dark")]
TEXT = "Join two tables on the customer's id and list those without an order"
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Write a parser for <b>HTML</b>\u202e"},
    {"role": "assistant", "content": "In which language?"},
    {"role": "user", "content": [{"type": "text", "text": "In Python"}]},
]
HOSTILE = "<img src=x onerror=\"document.title='read as HTML'\">"
PICTURES = os.environ.get("HYPERNOVA_PICTURES")
SET_SLIDER = """
const slider = document.querySelector(arguments[0]);
slider.value = arguments[1];
slider.dispatchEvent(new Event('input', {bubbles: true}));
"""
VIOLATIONS = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (e) => violations.push(e.violatedDirective));
"""
AUDIT = (Path(__file__).parent.parent / "support" / "accessibility.js").read_text()


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "r.hnv"
    fitted_to_example(4).save(path)
    (path.parent / "token").write_text(TOKEN)
    return path


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of the same models, of which one has a name that is HTML."""
    folder = tmp_path_factory.mktemp("hostile")
    table = TABLE.read_text(encoding="utf-8")
    (folder / "t.jsonl").write_text(table.replace("simulated-writer", json.dumps(HOSTILE)[1:-1]))
    path = folder / "r.hnv"
    hypernova.fit(hypernova.OutcomeTable.read(folder / "t.jsonl"), clusters=2).save(path)
    return path


@pytest.fixture(scope="module")
def server(artifact: Path) -> Iterator[Server]:
    """A server that has decided something, and refused something, before the page is opened."""
    options = ("--page", "--token-file", artifact.parent / "token")
    with serving("-a", artifact, *options) as server:
        with server.client(headers={"authorization": f"Bearer {TOKEN}"}) as client:
            for number in range(60):
                text = f"{TEXT} {number}" if number % 3 else "Write a sonnet about the sea"
                sent = {"text": text, "cost_weight": 20 * (number % 4)}
                client.post("/v1/route", json=sent).raise_for_status()
            for _ in range(4):
                client.post("/v1/route", json={"text": ""})
        yield server


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as tab:
        tab.devtools("Page.addScriptToEvaluateOnNewDocument", source=VIOLATIONS)
        yield tab


@pytest.fixture
def tab(chromium: Browser) -> Browser:
    """An empty tab, with nothing logged yet."""
    chromium.leave()
    return chromium


def opened(tab: Browser, server: Server, look: tuple[int, int, str] = LOOKS[0]) -> Browser:
    """Open the page and give it the token."""
    width, height, scheme = look
    tab.open(f"{server.url}/", width=width, height=height, scheme=scheme)
    tab.type("#token", TOKEN)
    tab.click("#unlock button")
    tab.wait_for_text("#artifact", "5 models")
    return tab


def chosen_for(tab: Browser, text: str) -> str:
    """Type a prompt, and return the model that is decided on."""
    tab.type("#prompt", text)
    tab.wait_for(lambda: tab.run("return document.querySelector('.chosen') !== null"), "a decision")
    return chosen(tab)


def chosen(tab: Browser) -> str:
    return str(tab.run("return document.querySelector('.chosen')?.firstChild.data ?? ''"))


def picture(tab: Browser, name: str) -> None:
    if PICTURES is not None:
        folder = Path(PICTURES)
        folder.mkdir(parents=True, exist_ok=True)
        tab.picture(folder / f"{name}.png")


def assert_clean(tab: Browser, server: Server, allowed: tuple[str, ...] = ()) -> None:
    """Nothing was asked of another address, and neither console nor policy complains."""
    tab.read_logs()
    asked = {url for url in tab.requested if not url.startswith(("data:", "about:"))}
    tab.requested.clear()
    assert {url for url in asked if not url.startswith(f"{server.url}/")} == set()
    complaints = [line for line in tab.logged if not any(one in line for one in allowed)]
    tab.logged.clear()
    assert complaints == []
    assert tab.run("return window.violations") == []
    assert tab.run("return document.title") == "hypernova: which model would answer?"
    assert tab.run("return document.images.length") == 0


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look[0]} {look[2]}")
def test_a_reader_types_moves_and_sees_the_decision_change(
    tab: Browser, server: Server, look: tuple[int, int, str]
) -> None:
    opened(tab, server, look)
    first = chosen_for(tab, TEXT)
    assert first in ("simulated-large", "simulated-coder")
    assert TEXT in tab.text("#read")
    assert f"all of {len(TEXT)} characters" in tab.text("#read")
    assert "rows" in tab.text("#clusters")
    assert len(tab.text("#ranking").split("points")) > 1

    # Cost counts a little, as a picture of all that the page shows.
    tab.run(SET_SLIDER, "#dial-cost-weight", 130)
    tab.wait_for_text("#ranking", "utility")
    tab.wait_for_text("#hour-note", "60 decisions and 4 errors")
    picture(tab, f"{look[0]}-{look[2]}")

    # Cost counts: the cheapest model is chosen, without a button being pressed.
    tab.run(SET_SLIDER, "#dial-cost-weight", 200)
    tab.wait_for(lambda: chosen(tab) == "simulated-small", "the cheapest model")
    assert "Before the last change: simulated-" in tab.run(
        "return document.querySelector('.before').textContent"
    )
    tab.wait_for(lambda: "simulated-small" in tab.run(
        "return document.getElementById('announce').textContent"
    ))  # fmt: skip

    # It is not allowed: another one is chosen, and the ranking says why it is not.
    tab.run("document.querySelectorAll('#model-list input')[3].click()")
    tab.wait_for(lambda: chosen(tab) not in ("", "simulated-small"), "another model")
    assert "not among the allowed models" in tab.text("#ranking li.out")
    assert "4 of 5 models" in tab.text("#allowed-count")

    # The last hour counts what the server decided, and nothing of this.
    tab.wait_for_text("#hour-note", "60 decisions and 4 errors")
    assert "400" in tab.text("#hour-body")
    assert tab.run("return document.documentElement.scrollWidth") <= look[0]
    faults = tab.run(AUDIT)
    assert faults == []
    picture(tab, f"{look[0]}-{look[2]}-limited")
    if look[0] == 400:  # and narrower, as with letters enlarged
        tab.resize(320, look[1])
        assert tab.run("return document.documentElement.scrollWidth") <= 320
    assert_clean(tab, server)


def test_moving_a_slider_asks_seldom_and_ends_with_what_stands(
    tab: Browser, server: Server
) -> None:
    opened(tab, server)
    chosen_for(tab, TEXT)
    tab.read_logs()
    tab.requested.clear()
    tab.run("""
        const slider = document.getElementById('dial-cost-weight');
        for (let at = 0; at <= 200; at++) {
          slider.value = at;
          slider.dispatchEvent(new Event('input', {bubbles: true}));
        }
    """)
    tab.wait_for(lambda: chosen(tab) == "simulated-small", "the decision for the last place")
    tab.read_logs()
    assert 1 <= sum(url.endswith("/v1/explain") for url in tab.requested) <= 3


def test_a_chat_is_read_by_its_turns(tab: Browser, server: Server) -> None:
    opened(tab, server)
    tab.type("#prompt", json.dumps(CHAT, indent=1))
    tab.wait_for_text("#prompt-note", "a chat of 4 messages, 2 of the user")
    tab.wait_for_text("#read", "In Python")
    # Text is text, whatever it looks like, and nothing turns it around.
    assert "Write a parser for <b>HTML</b>\ufffd" in tab.text("#read")
    assert "Be brief" not in tab.text("#read")
    assert tab.run("return document.querySelector('#read b')") is None
    # The chat stays with its model while a switch costs more than another model gains.
    model = next(m for m in ("simulated-maths", "simulated-coder") if m != chosen(tab))
    tab.type("#previous", model, clear=False)
    tab.wait_for(lambda: tab.text("#switch"), "the cost of a switch")
    tab.run(SET_SLIDER, "#dial-switch-cost", 200)
    tab.wait_for_text("#decision", "stayed")
    assert chosen(tab) == model
    assert tab.run(AUDIT) == []
    picture(tab, "chat")
    tab.click("#as-text")
    tab.wait_for_text("#read", '"role": "system"')
    tab.type("#prompt", '[{"role": "user", "content": ')
    tab.wait_for_text("#prompt-note", "it is no chat")
    assert_clean(tab, server)


def test_what_was_cut_is_marked(tab: Browser, server: Server) -> None:
    opened(tab, server)
    text = "".join(f"{i} Explain the \U0001f600 join of table {i}. " for i in range(300))
    tab.type("#prompt", text)
    tab.wait_for_text("#read", "the rest is cut")
    shown = tab.run("return [...document.querySelectorAll('#read del')].map(e => e.textContent)")
    assert shown
    assert "not read: " in shown[0]
    assert "\U0001f600" in shown[0]
    picture(tab, "cut")
    assert_clean(tab, server)


def test_a_limit_that_leaves_no_model_is_said(tab: Browser, server: Server) -> None:
    opened(tab, server)
    chosen_for(tab, TEXT)
    tab.type("#dial-min-success-exact", "1")
    tab.wait_for_text("#decision", "No model is left")
    picture(tab, "no-model")
    tab.click("#reset")
    tab.wait_for_text("#decision", "simulated")
    assert tab.run("return document.getElementById('dial-min-success').value") == "0"
    assert_clean(tab, server, allowed=("/v1/explain - Failed to load resource",))


def test_a_wrong_token_is_refused_and_the_right_one_forgotten(tab: Browser, server: Server) -> None:
    tab.open(f"{server.url}/", width=400, height=800, scheme="light")
    for wrong in ("wrong", "\u00fcber"):
        tab.type("#token", wrong)
        tab.click("#unlock button")
        tab.wait_for(lambda: tab.text("#token-error"), "a refusal")
        assert tab.run("return document.getElementById('work').hidden")
        picture(tab, "token")
        tab.run("document.getElementById('token-error').replaceChildren()")
    assert tab.run(AUDIT) == []
    opened(tab, server)
    chosen_for(tab, TEXT)
    tab.click("#forget")
    assert tab.run("return document.getElementById('prompt').value") == ""
    assert "simulated" not in tab.run("return document.body.textContent")
    kept = "return [localStorage.length, sessionStorage.length, document.cookie, location.href]"
    assert tab.run(kept) == [0, 0, "", f"{server.url}/"]
    assert_clean(tab, server, allowed=("/v1/artifact - Failed to load resource",))


def test_a_server_that_stops_is_said_and_its_return_seen(
    tab: Browser, artifact: Path, hostile: Path
) -> None:
    with serving("-a", artifact, "--page") as first:
        tab.open(f"{first.url}/", width=1280, height=900, scheme="light")
        chosen_for(tab, TEXT)  # no token is asked for
        tab.run("document.querySelectorAll('#model-list input')[0].click()")
        tab.wait_for_text("#allowed-count", "4 of 5")
        port = first.port
        assert first.stop(signal.SIGTERM) == 0
        tab.run(SET_SLIDER, "#dial-cost-weight", 200)
        weight = "return document.getElementById('dial-cost-weight-exact').value"
        value = tab.run(weight)
        tab.wait_for_text("#connection", "does not answer")
        assert chosen(tab)  # what was decided stays, marked as old
        picture(tab, "stopped")
        assert tab.run(AUDIT) == []
        # It comes back with another artifact: its models take their places, settings stay. The
        # request for the old one's models is refused, which is how the page learns of it.
        with serving("-a", hostile, "--page", "--port", port):
            tab.wait_for(lambda: not tab.text("#connection"), "the server's return")
            tab.wait_for_text("#artifact", "2 clusters")
            tab.wait_for(lambda: chosen(tab) == "simulated-small", "the decision for what stands")
            assert tab.run(weight) == value
            assert tab.text("#allowed-count") == "4 of 5 models"
            for place in ("#model-list", "#ranking"):
                assert HOSTILE in tab.text(place)
                assert "simulated-writer" not in tab.text(place)
            picture(tab, "hostile")
        refused = "/v1/explain - Failed to load resource"
        assert_clean(tab, first, allowed=("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET",
                                          "ERR_EMPTY_RESPONSE", refused))  # fmt: skip


def test_the_keyboard_reaches_every_control_in_the_order_of_the_page(
    tab: Browser, server: Server
) -> None:
    opened(tab, server)
    chosen_for(tab, TEXT)
    tab.run("document.querySelector('.skip').focus()")
    seen: list[Any] = ["skip"]
    focus = """
    const e = document.activeElement;
    const style = getComputedStyle(e);
    return [e.id || e.closest('label')?.textContent || e.className, e === document.body,
            style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
            e.getBoundingClientRect().bottom > 0];
    """
    for _ in range(40):
        tab.press(TAB)
        name, is_end, is_shown, is_in_sight = tab.run(focus)
        if is_end or (seen and name == seen[0]):
            break
        assert is_shown, f"{name} has the focus and does not show it"
        assert is_in_sight, f"{name} has the focus out of sight"
        seen.append(name)
    assert seen == [
        "skip", "forget", "prompt",
        "dial-cost-weight-exact", "dial-cost-weight",
        "dial-latency-weight-exact", "dial-latency-weight",
        "dial-max-cost-usd-exact", "dial-max-cost-usd",
        "dial-min-success-exact", "dial-min-success",
        "allow-all", "allow-none",
        "simulated-coder", "simulated-large default", "simulated-maths", "simulated-small",
        "simulated-writer", "on-novel",
    ]  # fmt: skip
    tab.run("document.getElementById('allow-none').focus()")
    tab.press(SPACE)
    tab.wait_for_text("#decision", "No model is left")
    assert_clean(tab, server, allowed=("/v1/explain - Failed to load resource",))
