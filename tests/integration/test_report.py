"""The pages of real runs in a real browser: nothing fails, nothing is asked for, everything opens and shows points."""

import csv
import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import ase.io
import pytest

from equisparse.cli import main
from equisparse.data.demo import demo_files

webdriver = pytest.importorskip("selenium.webdriver")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
browser_only = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="there is no chromium with its chromedriver here")
pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",  # scenes in space without a graphics card
)


@pytest.fixture(scope="module")
def runs(small_base: str, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders of two short runs with different seeds; what changed is attributed in the first."""
    folder = tmp_path_factory.mktemp("runs")
    files = []
    for name, source, count in (("train", demo_files().train, 6), ("valid", demo_files().valid, 3)):
        files.append(str(folder / f"{name}.extxyz"))
        ase.io.write(files[-1], ase.io.read(source, f":{count}"))
    for seed in ("0", "1"):
        words = [
            files[0],
            "--valid",
            files[1],
            "--epochs",
            "2",
            "--batch-size",
            "3",
            "--changed",
            "0.02",
            "--seed",
            seed,
        ]
        assert (
            main(["finetune", *words, "--base", small_base, "--device", "cpu", "--out", str(folder / f"seed{seed}")])
            == 0
        )
    assert main(["attribute", str(folder / "seed0"), "--by", "role", "--frames", "2", "--device", "cpu"]) == 0
    return [folder / "seed0", folder / "seed1"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium that keeps a record of its console and its requests."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def open_page(browser: Any, page: Path) -> None:
    """Open a page with all that is folded."""
    browser.get_log("performance")
    browser.get(page.as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach((folded) => { folded.open = true; })")
    browser.set_script_timeout(30)
    browser.execute_async_script("setTimeout(arguments[0], 1000)")


def requested(browser: Any) -> set[str]:
    """Schemes of what the page asked for."""
    messages = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    sent = (message["params"] for message in messages if message["method"] == "Network.requestWillBeSent")
    return {parameters["request"]["url"].partition(":")[0] for parameters in sent}


POINTS = """
return [...document.querySelectorAll(arguments[0])].map(
  (plot) => (plot.data ?? []).reduce((total, trace) => total + (trace.z ?? trace.y).flat().length, 0))"""
"""Script that counts the points or cells of each plot."""


def text_of(browser: Any, selector: str) -> str:
    return browser.execute_script(f"return document.querySelector('{selector}').textContent")


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_fine_tune_ends_with_its_tables(runs: list[Path]) -> None:
    metrics = json.loads((runs[0] / "metrics.json").read_text())
    rows = read_rows(runs[0] / "interpretation" / "signatures.csv")
    assert sum(int(row["n_changed"]) for row in rows if not row["element"]) == metrics["changed_count"]
    changed = {row["element"] for row in rows if row["element"] and int(row["n_changed"])}
    assert changed == {"8", "12"}, "sparse changes only the embeddings of elements that are in the data"
    assert {row["element"] for row in read_rows(runs[0] / "interpretation" / "functional.csv")} == {"", "8", "12"}
    groups = read_rows(runs[0] / "interpretation" / "attribution_role.csv")
    assert sum(int(row["n_changed"]) for row in groups) == metrics["changed_count"]


@browser_only
def test_report_in_a_browser(runs: list[Path], browser: Any) -> None:
    open_page(browser, runs[0] / "report.html")
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert requested(browser) <= {"file", "data", "chrome"}
    shown = browser.execute_script(POINTS, ".plot")
    assert len(shown) >= 8
    assert min(shown) > 0
    assert browser.execute_script(POINTS, "#viewer")[0] > 8
    assert "attribution" in browser.execute_script("return [...document.querySelectorAll('section')].map((s) => s.id)")
    assert (runs[0] / "report.html").stat().st_size < 3e6


HEADINGS = "return [...document.querySelectorAll('h1, h2, h3, h4')].map((heading) => Number(heading.tagName[1]))"
UNNAMED = """
const named = (element) =>
  element.getAttribute("aria-label") || element.getAttribute("aria-labelledby") || element.textContent.trim();
return [...document.querySelectorAll("[role=img], [role=group], a, button, summary, th, figcaption")]
  .filter((element) => !named(element)).map((element) => element.outerHTML)"""
TEXT_CONTRAST = """
const linear = (part) => part <= 10.3 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4;
const luminance = (colour) => {
  const [red, green, blue] = colour.match(/[\\d.]+/g).map((part) => linear(Number(part)));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
return Math.min(...[...document.querySelectorAll(".plot text")].map((text) => {
  const back = luminance(getComputedStyle(text.closest("figure")).backgroundColor);
  const front = luminance(getComputedStyle(text).fill);
  return (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
}));"""
"""Script that finds the lowest contrast of a text in a plot, as WCAG defines it; axe-core does not judge drawings."""
UNREACHABLE = """
return [...document.querySelectorAll("main *")].filter((element) => element.tabIndex < 0 &&
  ["auto", "scroll"].includes(getComputedStyle(element).overflowX) && element.scrollWidth > element.clientWidth + 1 &&
  !element.closest(".plot")).map((element) => element.outerHTML.slice(0, 200))"""


@browser_only
def test_the_report_is_usable_with_a_keyboard_and_a_screen_reader(runs: list[Path], browser: Any) -> None:
    open_page(browser, runs[0] / "report.html")
    levels = browser.execute_script(HEADINGS)
    assert levels[0] == 1
    assert all(deeper <= level + 1 for level, deeper in pairwise(levels)), "no level is left out"
    assert browser.execute_script("return document.documentElement.lang") == "en"
    assert browser.execute_script(UNNAMED) == []
    assert browser.execute_script(UNREACHABLE) == [], "what scrolls can be scrolled with the keyboard"


def accessibility_faults(browser: Any) -> list[str]:
    """Rules of axe-core that the open page breaks, and where; the drawings of plots are left out."""
    axe = pytest.importorskip("axe_core_python.selenium").Axe()
    found = axe.run(browser, context={"exclude": [".plot .svg-container"]})["violations"]
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]


@browser_only
def test_a_point_leads_to_its_frame_and_a_cell_to_its_entries(runs: list[Path], browser: Any) -> None:
    open_page(browser, runs[0] / "report.html")
    click = "document.querySelector('[data-hook={}]').emit('plotly_click', {{ points: [{}] }})"
    browser.execute_script(click.format("parity", "{ customdata: 2 }"))
    assert text_of(browser, "#viewer-caption").startswith("valid.extxyz, frame 2")
    browser.execute_script(click.format("changes", "{ y: 'readout', x: 'readout 0e->0e' }"))
    titles = "return [...document.querySelectorAll('#block-detail h4')].map((title) => title.textContent)"
    assert browser.execute_script(titles) == [
        "reduce_input_to_hidden.linear.weight, 0e->0e",
        "reduce_hidden_to_energy.linear.weight, 0e->0e",
    ]


@browser_only
@pytest.mark.parametrize("width", [360, 1400])
def test_no_page_is_wider_than_its_window(runs: list[Path], browser: Any, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    open_page(browser, runs[0] / "report.html")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@browser_only
def test_colours_follow_the_system_and_axe_finds_no_fault(runs: list[Path], browser: Any) -> None:
    paper = []
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        open_page(browser, runs[0] / "report.html")
        font = "document.querySelector('.plot').layout.font.color"
        assert accessibility_faults(browser) == []
        assert browser.execute_script(TEXT_CONTRAST) >= 4.5
        paper.append(browser.execute_script(f"return [getComputedStyle(document.body).backgroundColor, {font}]"))
    assert paper[0][0] == "rgb(255, 255, 255)"
    assert paper[0][0] != paper[1][0]
    assert paper[0][1] != paper[1][1]


@browser_only
def test_print_is_light_and_complete(runs: list[Path], browser: Any) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    browser.get((runs[0] / "report.html").as_uri())
    color, count = "document.querySelector('.plot').layout.font.color", "document.querySelectorAll('{}').length"
    look = f"return [{color}, {count.format('details:not([open])')}]"
    on_screen, folded = browser.execute_script(look)
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    printed, still_folded = browser.execute_script(look)
    assert printed != on_screen
    assert (folded > 0, still_folded) == (True, 0)
    browser.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert browser.execute_script(look)[0] == on_screen


@browser_only
def test_comparison_in_a_browser(runs: list[Path], browser: Any, tmp_path: Path) -> None:
    assert main(["compare", *map(str, runs), "--out", str(tmp_path / "compare.html")]) == 0
    open_page(browser, tmp_path / "compare.html")
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert requested(browser) <= {"file", "data", "chrome"}
    assert min(browser.execute_script(POINTS, ".plot")) > 0
    assert "seed0 and seed1" in text_of(browser, "#stability")
    assert accessibility_faults(browser) == []


@pytest.mark.parametrize(("words", "message"), [(["--by", "colour"], "layer, l"), (["--frames", "0"], "at least 1")])
def test_attribution_without_meaning(
    runs: list[Path], words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["attribute", str(runs[0]), *words]) == 2
    assert message in capsys.readouterr().err


def test_one_run_cannot_be_compared(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(runs[0])]) == 2
    assert "two or more" in capsys.readouterr().err
