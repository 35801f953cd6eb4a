from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from bcdi_inpaint.lab.reference import filler as reference
from bcdi_inpaint.lab.reference.network import (
    WIDTHS,
    ReferenceNetwork,
    gap_in_patch,
    reference_loss,
    reference_patch,
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return ReferenceNetwork().eval()


class _Constant(torch.nn.Module):
    """Says the same everywhere; records what it was asked."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value
        self.patches: list[torch.Tensor] = []

    def forward(self, patch: torch.Tensor) -> torch.Tensor:
        self.patches.append(patch)
        return torch.full_like(patch, self.value)


def _pattern(shape=(32, 40, 48), peak=5000.0):
    grid = np.indices(shape) - (np.array(shape) / 2).reshape(3, 1, 1, 1)
    rate = peak * np.exp(-((np.sqrt((grid**2).sum(axis=0))) / 4)) + 0.2
    return np.random.default_rng(0).poisson(rate).astype(np.float32)


def _line(shape, axis, start, width):
    mask = np.zeros(shape, bool)
    mask.swapaxes(0, axis)[start : start + width] = True
    return mask


def test_parameter_count_is_the_published_one(network):
    assert sum(p.numel() for p in network.parameters()) == 2_771_309
    parts = [*network.encoders, *network.decoders]
    assert [sum(p.numel() for p in part.parameters()) for part in parts] == [
        896,
        16_960,
        99_456,
        262_400,
        979_422,
        1_076_478,
        245_088,
        33_056,
    ]


def test_patch_in_patch_out(network):
    out = network(torch.rand(2, 1, 32, 32, 32))
    assert out.shape == (2, 1, 32, 32, 32)
    assert 0 <= out.min() < out.max() <= 1


@pytest.mark.slow
def test_network_learns(network):
    torch.manual_seed(1)
    student = ReferenceNetwork()
    patch = reference_patch(_pattern(), 6, np.random.default_rng(0))
    truth, mask = (torch.from_numpy(a)[None, None] for a in patch)
    optimiser = torch.optim.Adam(student.parameters(), 1e-3)
    losses = []
    for _ in range(3):
        loss = reference_loss(student(truth * ~mask), truth, mask)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > losses[1] > losses[2]


def test_loss_of_the_truth_is_zero_and_outside_the_gap_nothing_counts():
    rng = torch.Generator().manual_seed(0)
    truth = torch.rand(2, 1, 32, 32, 32, generator=rng)
    mask = torch.zeros(truth.shape, dtype=torch.bool)
    mask[:, :, :, 13:19] = True
    assert reference_loss(truth, truth, mask).item() == pytest.approx(0, abs=1e-5)
    garbage = torch.where(mask, truth, torch.rand(truth.shape, generator=rng))
    assert reference_loss(garbage, truth, mask).item() == pytest.approx(0, abs=1e-5)


def test_loss_by_hand():
    """A constant gap in a constant patch: every term can be written down."""
    truth = torch.zeros(1, 1, 32, 32, 32)
    mask = torch.zeros(truth.shape, dtype=torch.bool)
    mask[:, :, :, :] = True
    # Filled with 0.5 everywhere against 0: no gradients, structure alike, and luminance c1 / (1/4 + c1).
    value = reference_loss(torch.full_like(truth, 0.5), truth, mask).item()
    similarity = 1e-4 / (0.25 + 1e-4)
    assert value == pytest.approx(0.5 + 32 / 3 * (1 - similarity), rel=1e-4)


def test_loss_is_in_effect_a_structural_similarity():
    """Shares that were measured on noisy patches, linear across a 6 px gap: 93, 6 and 1 percent."""
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(32, 32, 32)), 2.5)
    truth = np.log1p(rng.poisson(np.exp(2 * smooth / smooth.std() + 1)))
    truth = torch.from_numpy((truth / truth.max()).astype(np.float32))[None, None]
    mask = torch.zeros(truth.shape, dtype=torch.bool)
    mask[:, :, :, 13:19] = True
    weight = torch.linspace(0, 1, 8)[1:-1].reshape(6, 1)
    linear = truth.clone()
    linear[:, :, :, 13:19] = truth[:, :, :, 12:13] * (1 - weight) + truth[:, :, :, 19:20] * weight
    total = reference_loss(linear, truth, mask).item()
    absolute = (linear - truth).abs().mean().item()
    assert 0.5 < total < 2
    assert absolute < 0.02 * total


@pytest.mark.parametrize("width", WIDTHS)
def test_training_patches(width):
    rng = np.random.default_rng(5)
    counts = _pattern((40, 48, 44))
    crosses = 0
    for _ in range(60):
        truth, mask = reference_patch(counts, width, rng)
        assert truth.shape == mask.shape == (32, 32, 32)
        assert truth.dtype == np.float32
        assert truth.min() == 0
        assert truth.max() == 1
        assert mask[:, gap_in_patch(width)].all()
        planes = mask.all(axis=(1, 2))
        crosses += bool(planes.any())
        assert planes.sum() in (0, width)
    assert 4 <= crosses <= 22


def test_gap_lies_in_the_middle_of_a_patch():
    assert [gap_in_patch(w) for w in WIDTHS] == [
        slice(15, 18),
        slice(13, 19),
        slice(12, 21),
        slice(10, 22),
    ]


def test_patches_come_from_the_generator_alone():
    counts = _pattern()
    one, two = (reference_patch(counts, 9, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.truth, two.truth)
    np.testing.assert_array_equal(one.mask, two.mask)


def test_number_of_windows_is_the_published_one():
    assert len(reference.window_starts(128, 4)) == 21
    assert len(reference.window_starts(128, 0)) == 97
    assert reference.window_starts(32, 4) == [0]
    assert reference.window_starts(33, 4) == [0, 1]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("axis", [1, 2])
def test_the_gap_is_where_the_network_was_trained(axis, width):
    """Odd gaps included, which the published pipeline predicts one pixel off."""
    stack = _pattern((32, 48, 48)) + 1
    mask = _line(stack.shape, axis, 20, width)
    stub = _Constant(0.5)
    reference.patch(np.where(mask, 0, stack), mask, stub, skip=15)  # type: ignore[arg-type]
    for patch in stub.patches:
        assert patch.shape == (1, 1, 32, 32, 32)
        across = patch[0, 0].amax(dim=(0, 2))
        assert (across[gap_in_patch(width)] == 0).all()
        assert (across > 0).sum() == 32 - width


@pytest.mark.parametrize("kind", ["rows", "columns", "cross"])
def test_patching_is_exact_for_a_network_that_knows(kind):
    """Windows scaled to [0, 1] and back: a constant prediction of 1 gives each window's maximum."""
    shape = (34, 48, 50)
    stack = np.full(shape, 7, np.float32)
    stack[0, 0, 0] = 0
    stack[::3, ::4, ::5] = 3
    mask = np.zeros(shape, bool)
    if kind != "columns":
        mask |= _line(shape, 1, 20, 6)
    if kind != "rows":
        mask |= _line(shape, 2, 24, 6)
    stack[mask] = 0
    filled = reference.patch(stack, mask, _Constant(1.0), skip=3)  # type: ignore[arg-type]
    np.testing.assert_allclose(filled.rate[mask], 7, rtol=1e-4)
    np.testing.assert_allclose(filled.sigma[mask], 0, atol=0.02)


def test_one_call_a_window(network):
    shape = (37, 48, 42)
    mask = _line(shape, 2, 18, 6) | _line(shape, 1, 20, 6)
    stub = _Constant(0.3)
    reference.patch(np.where(mask, 0, _pattern(shape) + 1), mask, stub, skip=4)  # type: ignore[arg-type]
    frames, rows, cols = (len(reference.window_starts(n, 4)) for n in shape)
    assert len(stub.patches) == frames * rows + frames * cols


def test_untrained_network_fills_every_voxel_with_finite_counts(network):
    stack = _pattern()
    mask = _line(stack.shape, 2, 20, 9)
    filled = reference.patch(np.where(mask, 0, stack), mask, network, skip=7)
    assert np.isfinite(filled.rate).all()
    assert (filled.rate[mask] >= 0).all()
    assert filled.rate[mask].max() <= stack[~mask].max() * 1.001
    assert (filled.sigma[mask] >= 0).all()
    assert filled.sigma[mask].max() > 0


def test_an_empty_scan_is_filled_with_nothing(network):
    mask = _line((32, 40, 40), 2, 18, 3)
    filled = reference.patch(np.zeros(mask.shape, np.float32), mask, network)
    assert not filled.rate.any()


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (_line((40, 40, 40), 2, 18, 5), "3, 6, 9, 12 px"),
        (_line((64, 64, 64), 2, 13, 38), "38 px"),
        (_line((40, 40, 40), 2, 2, 6), "2:8 of 40 are too near the edge"),
        (_line((40, 64, 40), 1, 18, 6) | _line((40, 64, 40), 1, 40, 6), "one gap of rows"),
        (_line((40, 40, 40), 2, 18, 6) | _line((40, 40, 40), 1, 18, 9), "6 and 9"),
        (_line((40, 40, 40), 0, 18, 6), "changes"),
        (_line((20, 40, 40), 2, 18, 6), "at least 32"),
    ],
)
def test_what_the_publication_fills_wrongly_is_refused(mask, says):
    with pytest.raises(ValueError, match=says):
        reference.find_gap(mask)


def test_single_pixels_are_refused():
    mask = _line((40, 40, 40), 2, 18, 6)
    mask[:, 3, 3] = True
    with pytest.raises(ValueError, match="no single pixels"):
        reference.find_gap(mask)


def test_missing_weights_are_named():
    with pytest.raises(
        ValueError, match=r"reference_5px.safetensors is not there.*width = 5 makes"
    ):
        reference.load_network(5)


def test_weights_of_something_else_are_refused(tmp_path):
    (tmp_path / reference.weights_name(6)).write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"reference_6px.safetensors holds no reference network"):
        reference.load_network(6, tmp_path)


def test_trained_weights_fill_by_the_public_road(network, tmp_path):
    from safetensors.torch import save_file

    from bcdi_inpaint import inpaint

    save_file(network.state_dict(), tmp_path / reference.weights_name(6))
    stack = _pattern().astype(np.int32)
    mask = _line(stack.shape, 2, 20, 6)
    out = inpaint(stack, mask[0], method="reference", skip=15, weights=str(tmp_path))
    same = reference.patch(np.where(mask, 0, stack).astype(np.float32), mask, network, skip=15)
    np.testing.assert_array_equal(out.intensity[~mask], stack[~mask])
    np.testing.assert_allclose(out.intensity[mask], same.rate[mask], rtol=1e-5)
    assert out.report.method == "reference"
