"""The order of images: every index once an epoch, the same for a seed from any position."""

from __future__ import annotations

from wsol_core.data.sampler import EpochSampler, seeded_generator


def test_each_index_comes_once_an_epoch_from_any_position() -> None:
    sampler = EpochSampler([4, 5, 6], seed=0, stream=0)
    taken = sampler.take(0, 7)
    assert [epoch for epoch, _ in taken] == [0, 0, 0, 1, 1, 1, 2]
    assert {index for _, index in taken[:3]} == {index for _, index in taken[3:6]} == {4, 5, 6}
    assert sampler.take(2, 3) == taken[2:5]


def test_epochs_seeds_and_streams_have_orders_of_their_own() -> None:
    def order(seed: int, stream: int, start: int = 0) -> tuple[int, ...]:
        return tuple(index for _, index in EpochSampler(range(50), seed, stream).take(start, 50))

    assert order(0, 0) == order(0, 0)
    assert len({order(0, 0), order(0, 0, start=50), order(1, 0), order(0, 1)}) == 4


def test_a_generator_follows_from_its_key_whatever_its_sign_and_size() -> None:
    def draw(*key: int) -> int:
        return int(seeded_generator(*key).integers(2**62))

    assert draw(1, 2) == draw(1, 2)
    assert len({draw(1, 2), draw(2, 1), draw(-1, 2), draw(2**70 + 5, 2)}) == 4
