"""What a run of the demonstration made that was not there before, so that `down` removes just that."""

import json
from pathlib import Path
from typing import NamedTuple

PLACE = "build/demo/state.json"


class Made(NamedTuple):
    """What was made, in the cluster of one kubectl context."""

    context: str
    provider: str = "auto"
    cluster: bool = False
    operator: bool = False
    training_operator: bool = False

    def joined(self, earlier: "Made") -> "Made":
        """Returns what either made."""
        pairs = zip(self[2:], earlier[2:], strict=True)
        return Made(self.context, self.provider, *(one or other for one, other in pairs))


def remember(repository: Path, made: Made) -> None:
    """Records what a run is about to make; what an earlier one made in the same cluster stays on record."""
    earlier = recall(repository)
    if earlier is not None and earlier.context == made.context:
        made = made.joined(earlier)
    replace(repository, made)


def replace(repository: Path, made: Made) -> None:
    """Records what is there now."""
    path = repository / PLACE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made._asdict()))


def recall(repository: Path) -> Made | None:
    """Returns what is on record; None where no run recorded anything."""
    path = repository / PLACE
    return Made(**json.loads(path.read_text())) if path.exists() else None


def forget(repository: Path) -> None:
    """Removes the record."""
    (repository / PLACE).unlink(missing_ok=True)
