"""Opens the model of a run: what computes is chosen, the frozen base loaded, the adapters attached."""

import logging
from typing import NamedTuple

import torch
from peft import PeftModel

from llmfinetune_trainer.config.layout import Layout
from llmfinetune_trainer.config.messages import RuntimeFacts
from llmfinetune_trainer.config.quantity import memory_text
from llmfinetune_trainer.config.run import RunConfig
from llmfinetune_trainer.data.prepared import Prepared
from llmfinetune_trainer.engine import trial
from llmfinetune_trainer.engine.backend import (
    Backend,
    choose_backend,
    fused_obstacle,
    gradient_computer,
    runtime_facts,
)
from llmfinetune_trainer.engine.batches import TOKEN_BUDGET
from llmfinetune_trainer.engine.distributed import Ranks
from llmfinetune_trainer.engine.gradients import GradientComputer
from llmfinetune_trainer.engine.machine import Machine
from llmfinetune_trainer.engine.proof import PROVEN, prove
from llmfinetune_trainer.estimate.choice import Choice
from llmfinetune_trainer.estimate.limits import worker_limits
from llmfinetune_trainer.estimate.make import Estimator
from llmfinetune_trainer.estimate.subject import Subject, prepared_subject
from llmfinetune_trainer.model.load import load_base
from llmfinetune_trainer.model.lora import Adapters, attach_adapters
from llmfinetune_trainer.model.targets import model_skeleton

log = logging.getLogger(__name__)


class OpenModel(NamedTuple):
    """A model that is ready to compute."""

    peft: PeftModel
    adapters: Adapters
    computer: GradientComputer
    facts: RuntimeFacts
    token_budget: int
    """Most tokens of a micro-batch; 0 computes one sample at a time."""


def open_model(
    config: RunConfig, prepared: Prepared, *, layout: Layout, ranks: Ranks, machine: Machine
) -> OpenModel:
    """Opens the model, alike on every rank: the first one decides what the configuration leaves open.

    Raises:
        RunError: what is asked for is not there, or the architecture cannot be trained.
    """
    own = choose_backend(config.runtime, precision=config.training.precision, machine=machine)
    backend = ranks.from_first(lambda: own)
    torch.manual_seed(config.training.seed)
    quantization = config.model.quantization
    lora, max_length = config.method.lora, config.training.max_sequence_length
    skeleton = model_skeleton(prepared.model_path)
    obstacle = fused_obstacle(backend, skeleton.config, lora=lora, max_length=max_length)
    proof = PROVEN if obstacle is None else prove(skeleton)
    base = load_base(
        prepared.model_path,
        dtype=backend.dtype,
        device=backend.device,
        quantization=quantization,
        attention=proof.attention,
    )
    settled = ranks.from_first(
        lambda: _settled(backend, prepared, obstacle=obstacle, layout=layout, machine=machine)
    )
    choice = _choice(config, settled, prepared_subject(skeleton, prepared), workers=ranks.world_size)
    peft, adapters = attach_adapters(base, lora, seed=config.training.seed)
    computer, engine = gradient_computer(
        settled, peft, adapters, lora=lora, max_length=max_length, recompute=choice.recompute, proof=proof
    )
    reason = "; ".join(filter(None, (obstacle, proof.why)))
    log.info("the %s engine computes this model%s", engine, f": {reason}" if reason else "")
    facts = runtime_facts(
        settled,
        communication=ranks.communication,
        world_size=ranks.world_size,
        engine=engine,
        engine_reason=reason,
        quantization=quantization,
    )
    split = {"micro_batch_tokens": choice.tokens, "recompute": choice.recompute}
    budget = choice.tokens if proof.packs else 0
    return OpenModel(peft, adapters, computer, facts.model_copy(update=split), budget)


def _choice(config: RunConfig, backend: Backend, subject: Subject, *, workers: int) -> Choice:
    """How to compute within this process's memory. Ranks may differ: the result does not depend on it."""
    usual = Choice(config.runtime.micro_batch_tokens or TOKEN_BUDGET, recompute=False)
    if backend.device != "cpu":
        return usual
    limits = worker_limits()._replace(workers=workers)
    try:
        fit = Estimator(config, subject, limits, backend=backend).fit()
    except Exception as error:  # an estimate that cannot be made must not keep a run from being tried
        log.warning("no estimate of the memory: %s: %s", type(error).__name__, error)
        return usual
    if fit.memory.total > limits.memory:
        log.warning(
            "%s allows %s, and about %s are needed",
            limits.source,
            memory_text(limits.memory),
            memory_text(fit.memory.total),
        )
    return fit.choice


def _settled(
    backend: Backend, prepared: Prepared, *, obstacle: str | None, layout: Layout, machine: Machine
) -> Backend:
    """The backend, measured where the configuration leaves it open."""
    return trial.settled(
        backend,
        obstacle=obstacle,
        path=trial.verdict_path(layout, backend, model_path=prepared.model_path, machine=machine),
        measure=lambda: trial.measure_apart(prepared.model_path, precision=backend.precision),
    )
