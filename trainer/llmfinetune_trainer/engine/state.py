"""Everything that changes while training: what a checkpoint holds, the same on every rank."""

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from llmfinetune_trainer.checkpoint.store import Checkpoint
from llmfinetune_trainer.engine.history import LossHistory
from llmfinetune_trainer.engine.optimizer import FlatAdamW
from llmfinetune_trainer.errors import user_error
from llmfinetune_trainer.model.lora import Adapters
from llmfinetune_trainer.report.sink import History, StepRecord

LOSS_WINDOW = 10
"""Steps over which the reported training loss is averaged."""
NUM_RECORDS = 128
"""Last steps whose records a checkpoint carries. Ranks are at most one step apart; the rest covers lines that
a node took along when it lost its power."""


class TrainingState:
    """Adapters, optimizer and position of a run.

    There is no state of a random generator: the order of samples and every dropout seed are functions of the
    configured seed and the position. `lock` is held while a step changes the state, so that a copy is never
    torn. `settings` are what another run must share to go on from here.
    """

    def __init__(
        self,
        adapters: Adapters,
        optimizer: FlatAdamW,
        *,
        config_digest: str,
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.adapters = adapters
        self.optimizer = optimizer
        self.config_digest = config_digest
        self.settings = settings
        self.step = 0
        self.cursor = 0
        self.recent_losses: list[float] = []
        self.records: list[StepRecord] = []
        self.history = LossHistory()
        self.eval_step: int | None = None
        self.eval_loss: float | None = None
        self.eval_loss_before: float | None = None
        self.lock = threading.RLock()

    @property
    def loss(self) -> float | None:
        """Mean training loss of the last steps."""
        return sum(self.recent_losses) / len(self.recent_losses) if self.recent_losses else None

    @property
    def behind(self) -> History:
        """What lies behind these weights."""
        return History(step=self.step, records=tuple(self.records))

    def advance(self, record: StepRecord) -> None:
        """Counts one finished step."""
        self.step, self.cursor = record.step, record.cursor
        self.records = [*self.records, record][-NUM_RECORDS:]
        self.recent_losses = [*self.recent_losses, record.loss][-LOSS_WINDOW:]
        self.history.add(record.step, record.loss)

    def evaluated(self, loss: float | None) -> None:
        """Takes in an evaluation of the weights as they are."""
        with self.lock:
            self.eval_step, self.eval_loss = self.step, loss
            if self.step == 0:
                self.eval_loss_before = loss

    def checkpoint(self) -> Checkpoint:
        """A copy of the state."""
        with self.lock:
            flat = {
                "adapter": self.adapters.master,
                "optimizer_first": self.optimizer.first,
                "optimizer_second": self.optimizer.second,
            }
            copies = {name: self.adapters.views_of(tensor.clone()) for name, tensor in flat.items()}
            return Checkpoint(step=self.step, tensors=copies, state=self._values())

    def _values(self) -> dict[str, Any]:
        return {
            "configDigest": self.config_digest,
            "settings": dict(self.settings),
            "cursor": self.cursor,
            "updates": self.optimizer.num_updates,
            "recentLosses": self.recent_losses,
            "records": self.records,
            "history": self.history.to_json(),
            "evalStep": self.eval_step,
            "evalLoss": self.eval_loss,
            "evalLossBefore": self.eval_loss_before,
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Takes over a checkpoint.

        Raises:
            RunError: it belongs to another configuration.
        """
        values = checkpoint.state
        if values["configDigest"] != self.config_digest:
            raise user_error(
                "CheckpointOfAnotherRun",
                f"the checkpoint of step {checkpoint.step} belongs to another model, data set or setting",
                hint="use another workspace or name for the changed fine-tune, or remove its checkpoints",
            )
        self._take_over(checkpoint)

    def begin_from(self, origin: Checkpoint) -> None:
        """Starts from another run's state, or from its adapter alone."""
        if origin.state["origin"]["mode"] == "continue":
            self._take_over(origin)
        else:
            self.adapters.load(origin.tensors["adapter"])

    def _take_over(self, checkpoint: Checkpoint) -> None:
        values = checkpoint.state
        self._restore_tensors(checkpoint)
        self.step, self.cursor = checkpoint.step, values["cursor"]
        self.recent_losses = list(values["recentLosses"])
        self.records = [StepRecord(*record) for record in values["records"]]
        self.history = LossHistory.from_json(values["history"])
        self.eval_step = values["evalStep"]
        self.eval_loss, self.eval_loss_before = values["evalLoss"], values["evalLossBefore"]

    def _restore_tensors(self, checkpoint: Checkpoint) -> None:
        self.adapters.load(checkpoint.tensors["adapter"])
        self.optimizer.num_updates = checkpoint.state["updates"]
        for moment, name in (
            (self.optimizer.first, "optimizer_first"),
            (self.optimizer.second, "optimizer_second"),
        ):
            for key, view in self.adapters.views_of(moment).items():
                view.copy_(checkpoint.tensors[name][key])
