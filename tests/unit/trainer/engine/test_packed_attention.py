"""Packed documents compute what each would compute alone, in every architecture, and never see each other."""

import numpy as np
import pytest
import torch

from llmfinetune_trainer.engine.batches import MicroBatch, micro_batch
from llmfinetune_trainer.model.load import head_of

from .tiny import ARCHITECTURES, MemorySamples, adapted, base_model

LENGTHS = [12, 7, 7, 3, 9, 1]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_hidden_states_of_a_pack_equal_those_of_each_document_alone_under_plain_attention(
    architecture: str,
) -> None:
    samples = MemorySamples(LENGTHS)
    batch = micro_batch(samples, range(len(LENGTHS)))
    packed = base_model(architecture).base_model(
        input_ids=batch.input_ids, position_ids=batch.position_ids, document_groups=batch.document_groups
    )
    plain = base_model(architecture, implementation="eager").base_model
    alone = [plain(input_ids=ids_of(samples, index)).last_hidden_state[0] for index in batch.samples]
    torch.testing.assert_close(packed.last_hidden_state[0], torch.cat(alone), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_changing_one_document_changes_no_other_documents_states(architecture: str) -> None:
    samples = MemorySamples(LENGTHS)
    before = states(architecture, samples)
    samples.documents[1] = (samples.documents[1] + 1) % 61
    after = states(architecture, samples)
    changed = [index for index in before if not torch.equal(before[index], after[index])]
    assert changed == [1]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_head_computes_the_models_own_logits(architecture: str) -> None:
    model = base_model(architecture, implementation="eager")
    ids = torch.arange(9).unsqueeze(0)
    head, hidden = head_of(model), model.base_model(input_ids=ids).last_hidden_state
    logits = torch.nn.functional.linear(hidden, head.weight, head.bias)
    logits = logits if head.transform is None else head.transform(logits)
    torch.testing.assert_close(logits, model(input_ids=ids).logits)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_packing_changes_neither_loss_nor_gradients(architecture: str) -> None:
    samples = MemorySamples(LENGTHS)
    _, adapters, computer = adapted(architecture)
    packed = computer.forward_backward(micro_batch(samples, range(6)), scale=0.1, dropout_seed=0)
    together = adapters.gradient.clone()
    adapters.bucket.zero_()
    alone = sum(
        computer.forward_backward(micro_batch(samples, [index]), scale=0.1, dropout_seed=0)
        for index in range(6)
    )
    assert packed == pytest.approx(alone, rel=1e-5)
    assert together.norm() > 0
    torch.testing.assert_close(together, adapters.gradient, rtol=1e-4, atol=1e-6)


def states(architecture: str, samples: MemorySamples) -> dict[int, torch.Tensor]:
    batch = micro_batch(samples, range(samples.num_samples))
    _, _, computer = adapted(architecture)
    sizes = [int(samples.lengths[index]) for index in batch.samples]
    return dict(zip(batch.samples, computer.hidden(batch).detach().split(sizes), strict=True))


def ids_of(samples: MemorySamples, index: int) -> torch.Tensor:
    return torch.from_numpy(samples.tokens(index).astype(np.int64)).unsqueeze(0)


def test_micro_batch_lays_equally_long_documents_side_by_side() -> None:
    batch: MicroBatch = micro_batch(MemorySamples([3, 5, 3]), [0, 1, 2])
    assert batch.samples == (1, 0, 2)
    assert batch.document_groups == ((1, 5), (2, 3))
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2]]
    # of 5 tokens 2, 3, 4 carry loss, of 3 tokens 1, 2: predicted from the positions before them
    assert batch.rows.tolist() == [1, 2, 3, 5, 6, 8, 9]
    assert batch.targets.tolist() == batch.input_ids[0, batch.rows + 1].tolist()
