"""Cheap identities of sources, to know whether they changed without fetching or reading them again."""

from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.config.source import parse_source
from llmfinetune_trainer.errors import RunError
from llmfinetune_trainer.sources import hub
from llmfinetune_trainer.sources.context import FetchContext, Kind
from llmfinetune_trainer.sources.digest import stat_fingerprint
from llmfinetune_trainer.sources.local import local_path


def identities(config: RunConfig, context: FetchContext) -> dict[str, str | None]:
    """Identity of the model's and the data set's source; None where it cannot be known, as when offline."""
    return {
        "model": _identity(config.model.source, config.model.revision, "model", context),
        "dataset": _identity(config.dataset.source, config.dataset.revision, "dataset", context),
    }


def _identity(uri: str, revision: str, kind: Kind, context: FetchContext) -> str | None:
    source = parse_source(uri)
    match source.scheme:
        case "https":
            return f"sha256:{source.sha256}"
        case "hf":
            return _commit(source.name, revision, kind, context)
    path = local_path(source, kind, context)
    entries = sorted(path.rglob("*")) if path.is_dir() else [path]
    return stat_fingerprint(
        {str(entry.relative_to(path.parent)): entry for entry in entries if entry.is_file()}
    )


def _commit(repository: str, revision: str, kind: Kind, context: FetchContext) -> str | None:
    if hub.COMMIT.match(revision):
        return revision
    try:
        return hub.resolve(repository, revision, kind, context).commit
    except RunError as error:
        if error.failure.category == "Network" or error.failure.reason == "NotInCache":
            return None
        raise
