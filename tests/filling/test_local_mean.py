"""The local mean of log counts."""

from __future__ import annotations

import pytest
import torch
from scipy import ndimage

from bcdi_inpaint.filling.local_mean import NARROW, WIDE, gaussian, local_mean


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("shape", [(1, 3, 300), (48, 64, 40)])
def test_gaussian_is_the_convolution(shape: tuple[int, int, int], width: float) -> None:
    field = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    expected = ndimage.gaussian_filter(
        field.double().numpy(), width, mode="constant", truncate=8, radius=max(shape)
    )
    found = gaussian(field, width)
    # The kernel sums to 1 over all voxels, inside or not.
    torch.testing.assert_close(found.double(), torch.from_numpy(expected), rtol=1e-3, atol=1e-5)


def test_a_constant_has_itself_as_mean_whatever_is_known() -> None:
    known = (torch.rand((20, 30, 40), generator=torch.Generator().manual_seed(0)) > 0.5).float()
    values = torch.where(known > 0, 3.0, torch.nan).nan_to_num(-99.0)
    torch.testing.assert_close(local_mean(values, known), torch.full_like(known, 3.0))
