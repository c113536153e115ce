"""Adapters and their cards on a hub: pushed, found by name, and refused with a reason."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import yaml

from equisparse.adapters.adapter import Adapter
from equisparse.adapters.file import ADAPTER, save_adapter
from equisparse.cli import main
from equisparse.config.card import CardDetails
from equisparse.errors import AdapterMismatchError, InputError, MissingPackageError
from equisparse.hub import fetched, hub_address
from equisparse.inputs.adapters import adapter_name, loaded_adapter
from equisparse.report.card.read import shared_adapter
from equisparse.run.files import RunFolder
from equisparse.run.metrics import read_metrics, write_metrics
from equisparse.run.sparsity import SparsityRow
from equisparse.tasks.push import CARD, push, write_card
from equisparse.tasks.search import search
from equisparse.tasks.sparsify import base_of

huggingface_hub = pytest.importorskip("huggingface_hub")

_SPEC = spec_from_file_location("hub_server", Path(__file__).with_name("hub_server.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
hub_server = module_from_spec(_SPEC)
_SPEC.loader.exec_module(hub_server)
TOKEN = hub_server.TOKEN


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Server with the protocol of the hub, which all calls of the library reach, and a token that may write."""
    from huggingface_hub import constants

    with hub_server.serving() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        yield server
        huggingface_hub.close_session()


@pytest.fixture
def run(make_run: Callable[..., Path], planted: Adapter) -> Path:
    """Finished run with an adapter and a curve."""
    folder = make_run()
    files = RunFolder(folder)
    save_adapter(planted, files.adapter)
    row = SparsityRow(3, 0.0075, 1234, ADAPTER, "test", "force_mae_mev_per_ang", 12.0)
    files.sparsity.write([row, replace(row, changed_count=9, changed_fraction_model=0.02, value=11.0)])
    write_metrics(files.metrics, replace(read_metrics(files.metrics)))
    return folder


def header_of(card: str) -> dict[str, Any]:
    """YAML header of a card."""
    header: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return header


def test_a_card_says_what_the_adapter_is(run: Path) -> None:
    details = CardDetails(license="mit", data="MgO, r2SCAN", data_license="cc-by-4.0", citation="Us, 2026")
    text = write_card(run, details=details).read_text()
    assert (run / CARD).is_file()
    for part in ("ab" * 32, "7net-0", "0.75 %", "95 % bootstrap", "MgO, r2SCAN.", "cc-by-4.0", "Us, 2026", "arXiv"):
        assert part in text
    header = header_of(text)
    assert header["license"] == "mit"
    assert {"equisparse", "base-7net-0", "sevennet", "element-Mg", "method-soft-threshold"} <= set(header["tags"])
    assert header["equisparse"]["base_sha256"] == "ab" * 32
    assert "Errors against changed weights" in text


def test_a_card_of_an_adapter_alone_says_less(planted: Adapter, tmp_path: Path) -> None:
    path = tmp_path / "one-percent.safetensors"
    save_adapter(replace(planted, metrics={"final": {"valid": {"force_mae_mev_per_ang": 12.0}}}), path)
    assert main(["card", str(path), "--out", str(tmp_path / "card.md"), "-q"]) == 0
    text = (tmp_path / "card.md").read_text()
    assert text.count("not stated") >= 3
    assert "without intervals" in text
    assert huggingface_hub.ModelCard(text).data.eval_results[0].metric_value == 12.0


def test_a_card_names_no_path_and_no_file_of_the_user(run: Path) -> None:
    text = write_card(run).read_text()
    assert str(run.parent) not in text
    assert "frames</b>" not in text


def test_what_was_pushed_is_found_by_its_name(hub: Any, run: Path, planted: Adapter) -> None:
    page = push(run, "hf:someone/oxide", details=CardDetails(license="mit"), private=True)
    assert page.startswith(f"{hub.url}/someone/oxide/commit/")
    assert set(hub.repositories["someone/oxide"]) == {ADAPTER, CARD}, "no frames, no configuration"
    assert hub.private["someone/oxide"]
    assert "hf:someone/oxide" in hub.repositories["someone/oxide"][CARD].decode()
    for name in ("hf:someone/oxide", "hf:someone/oxide@v1"):
        assert loaded_adapter(name).base == planted.base
    assert base_of("hf:someone/oxide") == "7net-0"
    assert adapter_name("hf:someone/oxide") == "oxide"
    assert main(["push", str(run), "hf:someone/oxide"]) == 0  # a second time: a new commit
    assert main(["inspect", "hf:someone/oxide", "-q"]) == 0


def test_the_cache_serves_without_the_hub(hub: Any, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push(run, "hf:someone/oxide")
    loaded_adapter("hf:someone/oxide")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    asked = len(hub.requests)
    assert loaded_adapter("hf:someone/oxide").base["source"] == "7net-0"
    with pytest.raises(InputError, match="not in the cache"):
        loaded_adapter("hf:someone/other")
    assert len(hub.requests) == asked


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf:someone/none", "no such repository"),
        ("hf:someone/oxide@v9", "no such revision"),
        ("hf:someone/empty", "has no adapter"),
        ("hf:someone", "no address on the hub"),
        ("hf:a/b/c", "no address on the hub"),
    ],
)
def test_what_is_not_there_is_said(hub: Any, run: Path, name: str, message: str) -> None:
    push(run, "hf:someone/oxide")
    hub.repositories["someone/empty"] = {}
    with pytest.raises(InputError, match=message) as caught:
        loaded_adapter(name)
    assert TOKEN not in str(caught.value)


def test_a_push_needs_a_token_that_may_write(
    hub: Any, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = "hf_" + "w" * 34
    monkeypatch.setenv("HF_TOKEN", wrong)
    assert main(["push", str(run), "hf:someone/oxide", "-v"]) == 2
    printed = "".join(capsys.readouterr())
    assert "The hub refuses your token." in printed
    assert wrong not in printed
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(InputError, match=r"not logged in[\s\S]*hf auth login"):
        push(run, "hf:someone/oxide")
    assert not hub.repositories


def test_an_adapter_of_another_base_is_refused(hub: Any, run: Path, tmp_path: Path) -> None:
    push(run, "hf:someone/oxide")
    with pytest.raises(AdapterMismatchError, match="another base model"):
        loaded_adapter("hf:someone/oxide").check_base({"source": "mine.pth", "sha256": "0" * 64})
    other = replace(loaded_adapter(run), base={**loaded_adapter(run).base, "sha256": "0" * 64})
    save_adapter(other, tmp_path / "other.safetensors")
    assert push(run, tmp_path / "shared") == str(tmp_path / "shared")
    with pytest.raises(AdapterMismatchError, match="adapter of another base"):
        push(tmp_path / "other.safetensors", tmp_path / "shared")


def test_a_folder_and_a_url_serve_too(
    hub: Any, run: Path, planted: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    push(run, "hf:someone/oxide")
    place = f"{hub.url}/someone/oxide/resolve/main"
    for name in (place, f"{place}/{ADAPTER}", run):
        assert loaded_adapter(name).base == planted.base
    with pytest.raises(InputError, match="cannot be downloaded") as caught:
        loaded_adapter(f"{hub.url}/nothing.safetensors?signature=secret")
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match="cannot be written"):
        push(run, place)


def test_environment_variables_of_the_library_are_obeyed(hub: Any, run: Path, tmp_path: Path) -> None:
    push(run, "hf:someone/oxide")
    variables = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    words = [sys.executable, "-m", "equisparse", "inspect", "hf:someone/oxide", "--json"]
    done = subprocess.run(words, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "home" / "hub" / "models--someone--oxide").is_dir()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingPackageError, match=r"equisparse\[hub\]"):
        fetched("hf:someone/oxide", ADAPTER)


def test_search_finds_what_was_pushed_by_its_tags(
    hub: Any, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push(run, "hf:someone/oxide")
    other = replace(loaded_adapter(run), base={**loaded_adapter(run).base, "source": "mine.pth"})
    save_adapter(other, tmp_path / "other.safetensors")
    push(tmp_path / "other.safetensors", "hf:someone/other")
    assert [adapter.address for adapter in search()] == ["hf:someone/oxide", "hf:someone/other"]
    assert [adapter.address for adapter in search("oth")] == ["hf:someone/other"]
    assert [adapter.address for adapter in search(base="folder/mine.pth")] == ["hf:someone/other"]
    assert search(elements=["Mg", "U"]) == []
    (found,) = search(base="7net-0", elements=["Mg"])
    assert (found.base, found.base_sha256, found.elements) == ("7net-0", "ab" * 32, ("Mg",))
    errors = read_metrics(RunFolder(run).metrics).final["test"]
    assert found.errors["force_mae_mev_per_ang"] == pytest.approx(errors["force_mae_mev_per_ang"])
    capsys.readouterr()
    assert main(["search", "--base", "7net-0", "--json"]) == 0
    (printed,) = json.loads(capsys.readouterr().out)
    assert printed["address"] == "hf:someone/oxide"
    assert main(["search", "oxide"]) == 0
    assert "hf:someone/oxide" in capsys.readouterr().out
    assert main(["search", "--base", "none"]) == 0
    assert "no adapters found" in capsys.readouterr().out


def test_a_foreign_card_is_read_with_caution(hub: Any) -> None:
    facts = {"base": "7net-0\x1b[31m" + 200 * "x", "base_sha256": 5, "elements": ["Mg", "Xx", 3], "adapter_bytes": True}
    values = [{"name": "force MAE (meV/Angstrom)", "value": "12"}, {"name": "energy MAE (meV/atom)", "value": 2}, 7]
    results = {"model-index": [{"results": [{"metrics": values}, None]}]}
    adapter = shared_adapter("hf:a/b", {"equisparse": facts, **results})
    assert adapter.base.startswith("7net-0[31mx")
    assert len(adapter.base) == 80
    assert (adapter.base_sha256, adapter.elements, adapter.adapter_bytes) == ("", ("Mg",), None)
    assert adapter.errors == {"energy_mae_mev_per_atom": 2.0}
    hub.repositories["a/b"] = {CARD: b"---\ntags: [equisparse]\nequisparse: 3\nmodel-index: 5\n---\n"}
    assert [found.elements for found in search()] == [()]


def test_a_search_that_fails_says_why(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no such element"):
        search(elements=["Xx"])
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url.rpartition(":")[0] + ":9")
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the attempts of the library
    with pytest.raises(InputError, match=r"cannot be searched(.|\n)*HTTPS_PROXY"):
        search()
    huggingface_hub.close_session()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"needs the network(.|\n)*unset HF_HUB_OFFLINE"):
        search()


def test_addresses() -> None:
    assert str(hub_address("hf:a/b@refs/pr/1")) == "hf:a/b@refs/pr/1"
    assert hub_address("hf:a/b").revision is None
