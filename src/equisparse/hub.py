"""Files on the Hugging Face Hub or at a URL; tokens, cache and offline mode are those of `huggingface_hub`."""

import hashlib
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from equisparse.errors import InputError, MissingPackageError
from equisparse.files import cache_folder, replacing

HUB = "hf:"
"""Prefix of an address on the hub."""

_ADDRESS = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
_URL = re.compile(r"https?://", re.IGNORECASE)
_READ, _WRITE, _SEARCH = "read", "write", "search"
"""Kinds of requests to the hub."""
_SECONDS = 30
"""Longest wait for an answer from the server of a URL."""
_REFUSED = (401, 403)
"""Status codes of a missing or insufficient token; a repository that is not there gives the first one, too."""
_LATER = "try again later; HF_ENDPOINT and HTTPS_PROXY set another address"
_SECRET = re.compile(r"hf_\w+|(?<=://)[^/@\s]+@|\?\S+")
"""Parts of a message that can hold a token, a password or a signature."""


@dataclass(frozen=True)
class HubAddress:
    """Repository on the hub.

    Parameters
    ----------
    repository : str
        ``USER/NAME``.
    revision : str or None
        Branch, tag or commit; the main branch by default.
    """

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{HUB}{self.repository}" + (f"@{self.revision}" if self.revision else "")


def is_remote(name: object) -> bool:
    """Tell whether a name is an address on the hub or a URL."""
    return isinstance(name, str) and (name.startswith(HUB) or _URL.match(name) is not None)


def hub_address(text: str) -> HubAddress:
    """Parse an address such as ``hf:USER/NAME`` or ``hf:USER/NAME@v1``.

    Raises
    ------
    InputError
        If the text is no such address.
    """
    if (found := _ADDRESS.fullmatch(text)) is None:
        raise InputError("This is no address on the hub.", given=text, expected="hf:USER/NAME or hf:USER/NAME@REVISION")
    return HubAddress(found["repository"], found["revision"])


def fetched(name: str, file: str) -> Path:
    """Download a file and return its place in the cache.

    Parameters
    ----------
    name : str
        Address on the hub, or the URL of the file or of its folder.
    file : str
        Name of the file in the repository or folder.

    Raises
    ------
    InputError
        If the address is invalid, or the file is not there or cannot be reached.
    MissingPackageError
        If `huggingface_hub` is not installed and the address is on the hub.
    """
    return _from_hub(hub_address(name), file) if name.startswith(HUB) else _from_url(name, file)


def upload(address: HubAddress, files: Mapping[str, bytes], *, message: str, private: bool = False) -> str:
    """Write files to a repository in one commit; the repository is made if it does not exist.

    Parameters
    ----------
    address : HubAddress
        Its revision is the branch; the main branch by default.
    files : mapping of str to bytes
        Name in the repository -> contents.
    message : str
        Message of the commit.
    private : bool
        Whether a new repository is private; one that exists keeps its visibility.

    Returns
    -------
    str
        Page of the commit.

    Raises
    ------
    InputError
        If no token is known, the token may not write there, or the hub cannot be reached.
    MissingPackageError
        If `huggingface_hub` is not installed.
    """
    require_hub()
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    if get_token() is None:
        raise InputError(
            "You are not logged in to the hub.",
            given=str(address),
            expected="a token that may write",
            next_step="run hf auth login, or set HF_TOKEN",
        )
    api = HfApi(library_name="equisparse")
    with _hub_errors(str(address), _WRITE):
        api.create_repo(address.repository, private=private, exist_ok=True)
        operations = [CommitOperationAdd(name, contents) for name, contents in files.items()]
        return str(api.create_commit(address.repository, operations, commit_message=message, revision=address.revision))


def find_cards(tags: Sequence[str], words: str, limit: int) -> list[tuple[str, Mapping[str, object]]]:
    """Find public repositories by tags, those that changed last first.

    Parameters
    ----------
    tags : sequence of str
        Tags that a repository must have, all of them.
    words : str
        Part of its name; any name if it is empty.
    limit : int
        Largest number of repositories.

    Returns
    -------
    list of (str, mapping)
        ``USER/NAME``, and the header of the card; empty if there is none.

    Raises
    ------
    InputError
        If the hub cannot be reached.
    MissingPackageError
        If `huggingface_hub` is not installed.
    """
    require_hub()
    from huggingface_hub import HfApi

    api = HfApi(library_name="equisparse")
    with _hub_errors("a search for " + " ".join([*filter(None, [words]), *tags]), _SEARCH):
        models = api.list_models(
            filter=list(tags), search=words or None, sort="last_modified", limit=limit, full=True, cardData=True
        )
        return [(model.id, model.card_data.to_dict() if model.card_data else {}) for model in models]


def require_hub() -> None:
    """Check that `huggingface_hub` is installed.

    Raises
    ------
    MissingPackageError
        If it is not.
    """
    try:
        import huggingface_hub  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            "The package huggingface_hub is not installed.",
            expected="the extra hub, for adapters on the hub and for their cards",
            next_step="pip install 'equisparse[hub]'",
        ) from error


def _from_hub(address: HubAddress, file: str) -> Path:
    """Download a file of a repository, or take it from the cache."""
    require_hub()
    from huggingface_hub import hf_hub_download

    with _hub_errors(str(address), _READ):
        return Path(hf_hub_download(address.repository, file, revision=address.revision, library_name="equisparse"))


def _from_url(url: str, file: str) -> Path:
    """Download a file to the cache of this package; the copy in the cache serves only while the URL is in use."""
    address = url if url.partition("?")[0].endswith(Path(file).suffix) else f"{url.rstrip('/')}/{file}"
    name = hashlib.sha256(address.encode()).hexdigest()[:16]
    path = cache_folder("adapters") / f"{name}{Path(file).suffix}"
    try:
        with urllib.request.urlopen(address, timeout=_SECONDS) as answer, replacing(path) as target:  # noqa: S310
            shutil.copyfileobj(answer, target)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise InputError(
            "The file cannot be downloaded.",
            given=_without_secrets(address),
            cause=_without_secrets(str(error)),
            next_step="open the address in a browser, or download the file and give its path",
        ) from None
    return path


@contextmanager
def _hub_errors(given: str, doing: str) -> Iterator[None]:
    """Raise errors of the hub and of the network within the block as an InputError about what was given."""
    from httpx2 import HTTPError
    from huggingface_hub import errors

    try:
        yield
    except (HTTPError, OSError, ValueError, errors.EntryNotFoundError) as error:
        problem, next_step = _explained(error, doing)
        cause = f"{type(error).__name__}: {_without_secrets(str(error).strip().splitlines()[0])}" if str(error) else ""
        raise InputError(problem, given=given, cause=cause, next_step=next_step) from None


def _explained(error: Exception, doing: str) -> tuple[str, str]:
    """Problem and next step for an error of the hub."""
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return "The repository is gated.", "ask for access on its page, then run hf auth login"
    if status in _REFUSED and (doing != _READ or not isinstance(error, errors.RepositoryNotFoundError)):
        return "The hub refuses your token.", "run hf auth login with a token that may use this repository"
    if isinstance(error, errors.RevisionNotFoundError):
        return "The repository has no such revision.", "give a branch, tag or commit that is on its page"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "There is no such repository, or it is private.", "correct USER/NAME; run hf auth login if it is private"
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return "The repository has no adapter.", "give a repository that was written by equisparse push"
    if doing == _SEARCH:
        return _search_explained(error)
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        return (
            "The adapter is not in the cache, and the hub cannot be reached.",
            "use it once while online; HF_HUB_OFFLINE=1 allows the cache only",
        )
    return "The hub cannot be used.", _LATER


def _search_explained(error: Exception) -> tuple[str, str]:
    """Problem and next step for a search that failed."""
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return "A search needs the network, and HF_HUB_OFFLINE is set.", "unset HF_HUB_OFFLINE, or give hf:USER/NAME"
    return "The hub cannot be searched.", _LATER


def _without_secrets(text: str) -> str:
    """Text in which tokens, passwords and query strings are replaced."""
    return _SECRET.sub("***", text)
