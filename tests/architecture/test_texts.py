"""Files of the repository name no machine: no path on a disk, no host but public sites."""

import re
import shutil
import subprocess

import pytest

PATH = re.compile(r"(?<![\w.~})/])/(home|root|Users|opt|srv|mnt|scratch|work|tmp)/\w|\b[A-Z]:\\\\?\w")
"""A path that begins at the root of somebody's file system."""
ADDRESS = re.compile(r"(?<!==)(?<!\d\.)\b(?!127\.0\.0\.1\b)(?:\d{1,3}\.){3}\d{1,3}\b(?!\.)|\blocalhost\b")
URL = re.compile(r"https?://([\w.-]+)")
SITES = {"arxiv.org", "doi.org", "keepachangelog.com", "semver.org", "github.com", "www.w3.org"}
"""Public sites that texts refer to."""
COUNT = re.compile(
    r"\{(len\([^{}]*\)|[\w.]+\.size|[^{}]*\.sum\(\))(:,)?\} (\w+ )?"
    r"(atoms|elements|energies|files|frames|groups|labels|members|models|paths|runs|steps|structures|tensors|weights)\b"
)
"""A count with a plural noun, which is wrong for 1; `equisparse.wording.counted` has both forms."""
MANY = ("{len(numbers)} reference energies", "{len(frames):,} frames", "{len(group)} frames")
"""Counts that are above 1 where they stand."""


@pytest.fixture(scope="module")
def texts(root):
    """Text of every tracked file that is a text, less benchmark results and this folder."""
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        pytest.skip("not a clone")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    texts = {}
    for name in listed.rstrip("\0").split("\0"):
        if not name.startswith("tests/architecture/"):
            content = (root / name).read_bytes()
            if b"\0" not in content and not name.endswith(".gz"):
                texts[name] = content.decode()
    return texts


def hits(texts, pattern):
    """Lines in which a pattern is found, with the names of their files."""
    for name, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            for found in pattern.finditer(line):
                yield f"{name}:{number}: {found[0]}", found


def test_no_machine_paths(texts):
    assert not [where for where, _ in hits(texts, PATH)]


def test_no_hosts(texts):
    assert not [where for where, _ in hits(texts, ADDRESS)]
    assert not [where for where, found in hits(texts, URL) if found[1] not in SITES]


def test_counted_nouns_have_a_singular(texts):
    sources = {name: text for name, text in texts.items() if name.startswith("src/equisparse/")}
    assert not [where for where, found in hits(sources, COUNT) if found[0] not in MANY]
