"""Border mosaics: what each kind shows, and that nothing else tells them apart."""

from __future__ import annotations

import torch

from wsol_core.methods.mosaics import border_mosaics, shuffled_cells


def white_middle() -> torch.Tensor:
    images = torch.zeros(8, 3, 32, 32)
    images[:, :, 8:24, 8:24] = 1
    return images


def test_the_middle_stays_in_the_middle_of_one_and_is_nowhere_in_the_other() -> None:
    torch.manual_seed(0)
    objects, backgrounds = border_mosaics(white_middle())
    assert torch.equal(objects, white_middle())
    assert not backgrounds.any()


def test_every_cell_of_a_mosaic_is_a_cell_of_its_own_image_flipped_or_not() -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 3, 16, 16)
    for mosaic in border_mosaics(images):
        for image, laid in zip(images, mosaic, strict=True):
            cells = [image[:, y : y + 4, x : x + 4] for y in range(0, 16, 4) for x in range(0, 16, 4)]
            known = [*cells, *(cell.flip(2) for cell in cells)]
            corner = laid[:, :4, :4]
            assert any(torch.equal(corner, cell) for cell in known)


def test_shuffled_cells_say_of_each_cell_whether_it_was_the_middle() -> None:
    torch.manual_seed(0)
    mosaics, is_middle = shuffled_cells(white_middle())
    assert is_middle.sum((1, 2)).tolist() == [4.0] * 8
    assert torch.equal(mosaics[:, 0], is_middle.repeat_interleave(8, 1).repeat_interleave(8, 2))
    assert not torch.equal(mosaics[0], mosaics[1])


def test_no_images_give_no_mosaics() -> None:
    objects, backgrounds = border_mosaics(torch.zeros(0, 3, 16, 16))
    assert len(objects) == len(backgrounds) == 0
