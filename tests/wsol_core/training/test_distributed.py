"""Two real processes on the CPU train as one does."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest
import torch

from tests.wsol_core.training.training_doubles import CLASSES, CONFIG, CPU, DrawnSource, draw, make_context, same, train
from wsol_core.errors import TrainingCancelled
from wsol_core.localization.model_folder import CHECKPOINT, load_model
from wsol_core.training.checkpoint import load_checkpoint
from wsol_core.training.distributed import Distributed, Peers, process_group
from wsol_core.training.fit import fit
from wsol_core.training.progress import Progress, TrainingHooks

pytestmark = pytest.mark.slow


def work(rank: int, folder: str) -> None:
    """One of two processes: trains a network without BatchNorm, then one with it, cancelled and resumed."""
    torch.set_num_threads(1)
    here = Distributed(rank, 2, rank, init_method=f"file://{folder}/meeting")
    with process_group(here, CPU):
        peers = Peers(here, CPU)
        # Weights that differ between the processes until they are shared.
        context = make_context(Path(folder, "plain"), seed=0, plain=True, peers=peers, source=DrawnSource(4, rank, 2))
        torch.save(train(context), Path(folder, f"plain{rank}.pt"))
        source = DrawnSource(4, rank, 2)
        torch.save(
            train(make_context(Path(folder, "whole"), peers=peers, source=source)), Path(folder, f"whole{rank}.pt")
        )
        seen: list[Progress] = []
        hooks = TrainingHooks(on_progress=seen.append, should_stop=lambda: len(seen) == 5)
        with pytest.raises(TrainingCancelled):
            train(make_context(Path(folder, "cut"), peers=peers, source=source, hooks=hooks))
        torch.distributed.barrier()  # the main process has written its checkpoint
        checkpoint = load_checkpoint(Path(folder, "cut"))
        resumed = train(make_context(Path(folder, "cut"), peers=peers, source=source), checkpoint=checkpoint)
        torch.save(resumed, Path(folder, f"cut{rank}.pt"))
        card = fit(CONFIG, draw(Path(folder), 12, boxed=True), CLASSES, Path(folder, "fitted"), distributed=here)
        Path(folder, f"card{rank}.json").write_text(json.dumps(card.to_dict()))
        answers = [peers.any(rank == 1), peers.any(False), peers.broadcast(f"said by {rank}")]
        other = torch.nn.Linear(2, 2)
        torch.nn.init.constant_(other.weight, float(rank))
        peers.broadcast_weights(other)
        torch.save({"answers": answers, "weight": other.weight.sum().item()}, Path(folder, f"answers{rank}.pt"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("two")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # torch is loaded once for both
    processes = [context.Process(target=work, args=(rank, str(path))) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    return path


def weights_of(folder: Path, name: str) -> list[dict[str, torch.Tensor]]:
    return [torch.load(folder / f"{name}{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("name", ["plain", "whole", "cut"])
def test_both_processes_hold_the_same_weights_and_buffers(folder: Path, name: str) -> None:
    first, second = weights_of(folder, name)
    assert same(first, second)


def test_two_processes_with_half_batches_train_as_one_with_whole_batches(folder: Path, tmp_path: Path) -> None:
    whole = train(make_context(tmp_path, plain=True, source=DrawnSource(8)))
    for name, value in weights_of(folder, "plain")[0].items():
        torch.testing.assert_close(value, whole[name], rtol=1e-3, atol=1e-4)


def test_resuming_is_exact_with_two_processes(folder: Path) -> None:
    assert same(weights_of(folder, "cut")[0], weights_of(folder, "whole")[0])


def test_only_the_main_process_writes_and_the_other_follows_it(folder: Path) -> None:
    assert (folder / "plain" / CHECKPOINT).exists()
    for rank in range(2):
        told = torch.load(folder / f"answers{rank}.pt", weights_only=True)
        assert told == {"answers": [True, False, "said by 0"], "weight": 0.0}


def test_a_whole_training_gives_every_process_the_card_of_the_one_model(folder: Path) -> None:
    cards = [json.loads((folder / f"card{rank}.json").read_text()) for rank in range(2)]
    assert cards[0] == cards[1] == load_model(folder / "fitted")[1].to_dict()
    assert cards[0]["metrics"]["train_steps"] == 2  # 2 epochs of 10 images, 8 a step


def test_one_process_alone_asks_nobody() -> None:
    peers = Peers(Distributed(), CPU)
    with process_group(Distributed(), CPU):
        assert not torch.distributed.is_initialized()
    assert (peers.any(True), peers.any(False), peers.broadcast({"a": 1})) == (True, False, {"a": 1})
