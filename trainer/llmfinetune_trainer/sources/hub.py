"""Models and data sets of the Hugging Face hub, pinned to a commit."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from llmfinetune_trainer.atomic import write_atomically
from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.errors import RunError, network_error, user_error
from llmfinetune_trainer.sources.context import FetchContext, Kind, access_error
from llmfinetune_trainer.sources.digest import digest_json

COMMIT: Final = re.compile(r"^[0-9a-f]{40}$")


class HubRevision(NamedTuple):
    """One repository at one commit, with the names of its files."""

    repository: str
    kind: Kind
    commit: str
    files: tuple[str, ...]


def resolve(repository: str, revision: str, kind: Kind, context: FetchContext) -> HubRevision:
    """Finds the commit that a revision stands for now, and the files it has.

    Raises:
        RunError: not found, gated, private, or no answer.
    """
    if context.offline:
        return _resolve_cached(repository, revision, kind, context)
    from huggingface_hub import HfApi  # takes half a second

    api = HfApi(endpoint=context.endpoint, token=context.token or False)
    with _explained(repository, revision, kind, context):
        describe = api.model_info if kind == "model" else api.dataset_info
        info = describe(repository, revision=revision)
    names = tuple(sorted(sibling.rfilename for sibling in info.siblings or ()))
    noted = json.dumps({"commit": info.sha, "files": names})
    write_atomically(_record(repository, revision, kind, context), noted)
    return HubRevision(repository, kind, str(info.sha), names)


def fetch(found: HubRevision, names: Sequence[str], context: FetchContext) -> Path:
    """Downloads those of some files of a revision that are not there yet; returns their directory."""
    from huggingface_hub import snapshot_download  # takes half a second
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    with _explained(found.repository, found.commit, found.kind, context):
        return Path(
            snapshot_download(
                found.repository,
                repo_type=found.kind,
                revision=found.commit,
                cache_dir=context.layout.cache / "hub",
                endpoint=context.endpoint,
                token=context.token or False,
                allow_patterns=[_literal(name) for name in names],
                local_files_only=context.offline,
                max_workers=4,
            )
        )


def remove_unfinished(layout: Layout) -> None:
    """Removes what killed downloads left, as the library begins each anew under another name. Only for a
    cache into which nobody downloads meanwhile."""
    for path in (layout.cache / "hub").glob("*/blobs/*.incomplete"):
        path.unlink(missing_ok=True)


def _record(repository: str, revision: str, kind: Kind, context: FetchContext) -> Path:
    """Where it is noted what a revision was resolved to, for runs that are offline."""
    name = digest_json([kind, repository, revision])
    return context.layout.cache / "revisions" / f"{name}.json"


def _resolve_cached(repository: str, revision: str, kind: Kind, context: FetchContext) -> HubRevision:
    try:
        noted = json.loads(_record(repository, revision, kind, context).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        raise _not_cached(f"{kind} hf://{repository}", revision, kind, offline=True) from None
    return HubRevision(repository, kind, noted["commit"], tuple(noted["files"]))


def _literal(name: str) -> str:
    """A pattern that matches just this name."""
    return re.sub(r"([*?\[])", r"[\1]", name)


@contextmanager
def _explained(repository: str, revision: str, kind: Kind, context: FetchContext) -> Iterator[None]:
    """Turns the hub library's errors into ours."""
    import httpx  # comes with huggingface_hub
    from huggingface_hub import errors

    what = f"{kind} hf://{repository}"
    try:
        yield
    except errors.GatedRepoError:
        raise _gated(what, kind, has_token=context.token is not None) from None
    except errors.RevisionNotFoundError:
        raise access_error(
            kind,
            "RevisionNotFound",
            f"{what} has no revision {revision!r}",
            hint=f"correct spec.{kind}.revision",
        ) from None
    except errors.RepositoryNotFoundError:
        raise _not_found(what, kind, has_token=context.token is not None) from None
    except errors.HFValidationError as error:
        raise user_error("RepositoryNameInvalid", f"{what}: {error}", hint="use hf://owner/name") from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.CacheNotFound):
        raise _not_cached(what, revision, kind, offline=context.offline) from None
    except errors.HfHubHTTPError as error:
        raise _http_error(what, error.response.status_code, kind) from None
    except (httpx.HTTPError, ConnectionError, TimeoutError) as error:
        raise _unreachable(what, str(error) or type(error).__name__) from None


def _gated(what: str, kind: Kind, *, has_token: bool) -> RunError:
    first = "accept its terms on its page at the hub, then "
    second = (
        "set spec.model.tokenSecretRef to a Secret with a Hugging Face token (HF_TOKEN outside a cluster)"
    )
    if has_token:
        second = "use a token of the account that accepted them in spec.model.tokenSecretRef"
    return access_error(
        kind, "Gated", f"{what} is gated: the hub does not give it to you", hint=first + second
    )


def _not_found(what: str, kind: Kind, *, has_token: bool) -> RunError:
    token = "the token in" if has_token else "a token by"
    hint = (
        f"correct spec.{kind}.source; a private one needs {token} spec.model.tokenSecretRef that may read it"
    )
    return access_error(kind, "RepositoryNotFound", f"{what} does not exist, or is private", hint=hint)


def _not_cached(what: str, revision: str, kind: Kind, *, offline: bool) -> RunError:
    if not offline:
        return _unreachable(what, "the hub did not answer")
    return access_error(
        kind,
        "NotInCache",
        f"{what} at revision {revision!r} was not fetched before, and this run is offline",
        hint="run `llmfinetune prepare` once with access to the hub, or name a local path",
    )


def _http_error(what: str, status: int, kind: Kind) -> RunError:
    if status in {401, 403}:
        hint = (
            "renew the token that spec.model.tokenSecretRef names; it must be allowed to read this repository"
        )
        return access_error(kind, "TokenRefused", f"the hub refuses access to {what} ({status})", hint=hint)
    if status == 404:
        return access_error(
            kind, "FileNotFound", f"{what} lacks a file that it lists", hint="try another revision"
        )
    return network_error("HubUnavailable", f"the hub answers {status} for {what}", hint="try again later")


def _unreachable(what: str, detail: str) -> RunError:
    return network_error(
        "HubUnreachable",
        f"cannot reach the Hugging Face hub for {what}: {detail}",
        hint="check that this machine or pod may reach it (proxy, NetworkPolicy, DNS), or put the files on a "
        "volume and name them with pvc://claim/path; a gated one also needs spec.model.tokenSecretRef",
    )
