"""What `inpaint` promises, whatever the method."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcdi_inpaint.filling import METHODS, inpaint
from bcdi_inpaint.filling import inpaint as inpaint_function
from bcdi_inpaint.filling.method import Fill, Method
from bcdi_inpaint.filling.methods import REGISTRY
from bcdi_inpaint.filling.patching.weights import shipped_models

ANY_GAP = tuple(
    method
    for method in METHODS
    # The reference model takes no small stacks; see its own tests.
    if method != "reference" and (method != "patching" or shipped_models())
)

PLAIN = ("biharmonic", "linear", "cubic", "nearest", "inverse_distance")
"""Quick enough for many examples; every method goes through the tests without hypothesis."""

GARBAGE = (np.nan, np.inf, -np.inf, -1.0, -2.0, 65535.0, 2.0**32 - 1)


def counts(shape: tuple[int, int, int] = (12, 24, 22), seed: int = 0) -> np.ndarray:
    """Poisson counts of a peak on a faint background, int32."""
    position = np.meshgrid(*(np.linspace(-3, 3, n) for n in shape), indexing="ij")
    rate = 2000 * np.exp(-sum(axis**2 for axis in position)) + 0.3
    return np.random.default_rng(seed).poisson(rate).astype(np.int32)


def masks(shape: tuple[int, int, int] = (12, 24, 22)) -> dict[str, np.ndarray]:
    """Every kind of gap that detectors and failures make."""
    frames, rows, cols = shape
    made: dict[str, np.ndarray] = {}

    def flat(name: str) -> np.ndarray:
        return made.setdefault(name, np.zeros((rows, cols), bool))

    flat("column")[:, 9:15] = True
    flat("odd row")[7:10] = True
    flat("two columns")[:, [3, 4, 5, 16, 17]] = True
    flat("cross")[:, 9:15] = True
    flat("cross")[12:15] = True
    flat("unequal cross at the corner")[:3] = True
    flat("unequal cross at the corner")[:, -5:] = True
    flat("low edge")[:4] = True
    flat("high edge")[:, -6:] = True
    flat("super-column")[2:14, 4:12] = True
    flat("single pixels")[[0, 5, 11, -1], [0, 7, 13, -1]] = True
    flat("column and a hot pixel")[:, 12:14] = True
    flat("column and a hot pixel")[3, 3] = True
    flat("most of a module")[2:, 1:15] = True
    made["frames"] = np.zeros(shape, bool)
    made["frames"][[0, 4, 5, -1]] = True
    made["moving pixels"] = np.zeros(shape, bool)
    made["moving pixels"][
        np.arange(frames), np.arange(frames) % rows, np.arange(frames) * 5 % cols
    ] = 1
    made["column in some frames"] = np.zeros(shape, bool)
    made["column in some frames"][3:7, :, 5:8] = True
    made["cross and a missing frame"] = np.zeros(shape, bool)
    made["cross and a missing frame"][:, 10:13] = True
    made["cross and a missing frame"][:, :, 8:10] = True
    made["cross and a missing frame"][6] = True
    return made


def assert_contract(stack: np.ndarray, mask: np.ndarray, filled) -> None:
    missing = np.broadcast_to(mask, stack.shape)
    assert filled.intensity.shape == filled.sigma.shape == filled.mask.shape == stack.shape
    assert filled.sigma.dtype == np.float32
    assert filled.mask.dtype == np.bool_
    np.testing.assert_array_equal(filled.mask, missing)
    np.testing.assert_array_equal(filled.intensity[~missing], stack[~missing])
    assert np.isfinite(filled.intensity[missing]).all()
    assert (filled.intensity[missing] >= 0).all()
    assert (filled.sigma[~missing] == 0).all()
    assert np.isfinite(filled.sigma).all()
    assert (filled.sigma[missing] > 0).all()


@pytest.mark.parametrize("method", ANY_GAP)
@pytest.mark.parametrize("kind", masks())
def test_any_gap_is_filled(kind: str, method: str) -> None:
    stack, mask = counts(), masks()[kind]
    filled = inpaint(stack, mask, method=method, self_check=False)
    assert_contract(stack, mask, filled)
    assert filled.intensity.max() < 50 * stack.max()
    assert filled.report.voxels_missing == np.broadcast_to(mask, stack.shape).sum()


@pytest.mark.parametrize("method", ANY_GAP)
@pytest.mark.parametrize("shape", [(1, 24, 22), (3, 5, 40), (40, 1, 9), (2, 9, 1), (7, 8, 9)])
def test_small_stacks_are_filled(shape: tuple[int, int, int], method: str) -> None:
    stack = counts(shape)
    mask = np.zeros(shape[1:], bool)
    mask[shape[1] // 2, shape[2] // 2] = True
    mask[:, 1:3] = shape[2] > 8
    mask[3:5] |= shape[1] > 7
    assert_contract(stack, mask, inpaint(stack, mask, method=method))


@pytest.mark.parametrize("method", ANY_GAP)
def test_a_block_shut_in_by_wider_gaps_is_filled(method: str) -> None:
    stack, mask = counts((4, 100, 100)), np.zeros((100, 100), bool)
    mask[6:30] = mask[:, 6:30] = mask[:6, :6] = True
    assert_contract(stack, mask, inpaint(stack, mask, method=method))


@pytest.mark.parametrize("method", ANY_GAP)
def test_what_a_missing_voxel_holds_changes_nothing(method: str) -> None:
    stack, mask = counts().astype(np.float64), masks()["cross"]
    expected = inpaint(stack, mask, method=method)
    mixed = np.random.default_rng(0).choice(GARBAGE, stack.shape)
    for garbage in (mixed, np.nan):
        spoiled = np.where(mask, garbage, stack)
        found = inpaint(spoiled, mask, method=method)
        np.testing.assert_array_equal(found.intensity, expected.intensity)
        np.testing.assert_array_equal(found.sigma, expected.sigma)
        assert found.report.notes == expected.report.notes


@pytest.mark.parametrize("method", ANY_GAP)
def test_inputs_are_never_changed_nor_handed_out(method: str) -> None:
    stack, mask = counts().astype(np.float32), masks()["cross"]
    before = stack.copy(), mask.copy()
    filled = inpaint(stack, mask, method=method)
    np.testing.assert_array_equal(stack, before[0])
    np.testing.assert_array_equal(mask, before[1])
    assert not np.shares_memory(filled.intensity, stack)
    assert not np.shares_memory(filled.mask, mask)


@pytest.mark.parametrize("method", ANY_GAP)
def test_same_inputs_same_bits(method: str) -> None:
    stack, mask = counts(), masks()["cross and a missing frame"]
    first, second = (inpaint(stack, mask, method=method) for _ in range(2))
    np.testing.assert_array_equal(first.intensity, second.intensity)
    np.testing.assert_array_equal(first.sigma, second.sigma)


@settings(max_examples=40, deadline=None)
@given(
    method=st.sampled_from(PLAIN),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 12), st.integers(1, 12)),
    seed=st.integers(0, 2**16),
    share=st.floats(0, 0.8),
    per_frame=st.booleans(),
    garbage=st.sampled_from(GARBAGE),
)
def test_any_mask_at_all(method, shape, seed, share, per_frame, garbage) -> None:
    """Measured voxels are kept and missing ones leak nothing, for masks without any structure."""
    rng = np.random.default_rng(seed)
    stack = rng.poisson(rng.choice([0.2, 3.0, 400.0]), shape).astype(np.float64)
    mask = rng.random(shape if per_frame else shape[1:]) < share
    if np.broadcast_to(mask, shape).mean() > 0.9:
        mask[:] = False
    filled = inpaint(stack, mask, method=method)
    assert_contract(stack, mask, filled)
    spoiled = inpaint(np.where(mask, garbage, stack), mask, method=method)
    np.testing.assert_array_equal(spoiled.intensity, filled.intensity)
    np.testing.assert_array_equal(spoiled.sigma, filled.sigma)


@pytest.mark.parametrize(
    "dtype", ["u1", "i2", ">u2", "<u4", ">i4", "u8", "i8", "f2", "f4", ">f4", "f8", ">f8"]
)
def test_any_real_dtype_gives_the_same_fill(dtype: str) -> None:
    stack, mask = counts() // 20, masks()["cross"]
    given_ = stack.astype(dtype)
    filled = inpaint(given_, mask, method="linear")
    assert filled.intensity.dtype == np.float32
    assert filled.intensity.dtype.isnative
    np.testing.assert_array_equal(filled.intensity, inpaint(stack, mask, method="linear").intensity)


def test_layouts_and_files_give_the_same_fill(tmp_path) -> None:
    stack, mask = counts(), masks()["cross"]
    expected = inpaint(stack, mask, method="linear").intensity
    read_only = stack.copy()
    read_only.flags.writeable = False
    np.save(tmp_path / "stack.npy", stack)
    dask = pytest.importorskip("dask.array")
    with h5py.File(tmp_path / "stack.h5", "w") as file:
        layouts = {
            "fortran": np.asfortranarray(stack),
            "strided": np.repeat(stack, 2, axis=2)[:, :, ::2],
            "reversed": stack[::-1].copy()[::-1],
            "read-only": read_only,
            "memory map": np.load(tmp_path / "stack.npy", mmap_mode="r"),
            "HDF5": file.create_dataset("data", data=stack, chunks=(1, 24, 22)),
            "dask": dask.from_array(stack, chunks=(5, 24, 22)),
            "list": stack.tolist(),
        }
        for name, layout in layouts.items():
            found = inpaint(layout, mask, method="linear").intensity
            np.testing.assert_array_equal(found, expected, err_msg=name)


def test_masks_of_zeros_and_ones_are_taken() -> None:
    stack, mask = counts(), masks()["cross"]
    expected = inpaint(stack, mask, method="linear").intensity
    for dtype in ("i1", "u4", "f8"):
        found = inpaint(stack, mask.astype(dtype), method="linear").intensity
        np.testing.assert_array_equal(found, expected)
    repeated = np.repeat(mask[np.newaxis], len(stack), axis=0)
    np.testing.assert_array_equal(inpaint(stack, repeated, method="linear").intensity, expected)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (2**24, np.float32),
        (2**24 + 1, np.float64),
        (2**25, np.float64),
        (2**32 - 2, np.float64),
        (0.1, np.float64),
        (0.5, np.float32),
    ],
)
def test_measured_values_are_kept_to_the_last_bit(value: float, dtype: type) -> None:
    stack, mask = counts().astype(np.float64), masks()["column"]
    stack[5, 5, 5] = value
    filled = inpaint(stack, mask, method="linear")
    assert filled.intensity.dtype == dtype
    assert filled.intensity[5, 5, 5] == value
    assert_contract(stack, mask, filled)


def test_without_a_gap_the_stack_comes_back_and_the_report_says_so() -> None:
    stack = counts()
    filled = inpaint(stack, np.zeros(stack.shape[1:], bool))
    np.testing.assert_array_equal(filled.intensity, stack)
    assert not filled.sigma.any()
    assert filled.report.voxels_missing == 0
    assert "no gap" in filled.report.to_dict()["notes"]


def test_frames_wholly_missing_are_named() -> None:
    notes = inpaint(counts(), masks()["frames"], method="linear").report.notes
    assert any("4 frames are entirely missing" in note for note in notes)


def test_background_subtracted_data_stay_negative_where_measured() -> None:
    stack, mask = counts() - 1.5, masks()["column"]
    filled = inpaint(stack, mask, method="linear")
    assert_contract(stack, mask, filled)
    assert any("negative" in note for note in filled.report.notes)


def test_a_saturated_looking_voxel_is_noted() -> None:
    stack = counts().astype(np.uint16)
    stack[3, 3, 3] = 65535
    notes = inpaint(stack, masks()["column"], method="linear").report.notes
    assert any("65535" in note and "mask" in note for note in notes)


def test_where_gaps_cross_the_fills_along_each_are_averaged() -> None:
    """A method that answers with the shape of its band shows which bands answered for a voxel."""
    calls: list[tuple[int, int, int]] = []

    def shape_of_band(stack: np.ndarray, mask: np.ndarray) -> Fill:
        calls.append(stack.shape)
        value = np.full(stack.shape, stack.shape[1], np.float32)
        return Fill(value, np.ones_like(value))

    stack, mask = counts((6, 40, 30)), np.zeros((40, 30), bool)
    mask[19:21] = True
    mask[:, 14:16] = True
    REGISTRY["shape of band"] = Method(shape_of_band, margin=3)
    try:
        filled = inpaint(stack, mask, method="shape of band", self_check=False)
    finally:
        del REGISTRY["shape of band"]
    assert sorted(calls) == [(6, 8, 30), (6, 40, 8)]
    assert (filled.intensity[:, 19:21, :14] == 8).all()
    assert (filled.intensity[:, :19, 14:16] == 40).all()
    assert (filled.intensity[:, 19:21, 14:16] == 24).all()


ONE = np.zeros((24, 22), bool)
ONE[3, 3] = True
REFUSALS = [
    (lambda: inpaint(counts()[0], ONE), r"stack is 2-D .*\(24, 22\).*\(frame, row, col\)"),
    (lambda: inpaint(counts()[None], ONE), "stack is 4-D"),
    (lambda: inpaint(counts()[:0], ONE), "stack is empty"),
    (lambda: inpaint(counts() * 1j, ONE), "stack has dtype complex128"),
    (lambda: inpaint(counts() > 0, ONE), "stack has dtype bool"),
    (lambda: inpaint(np.ma.masked_equal(counts(), 0), ONE), "masked array"),
    (lambda: inpaint(counts(), ONE[:-1]), r"mask has shape \(23, 22\): takes \(24, 22\)"),
    (lambda: inpaint(counts(), ONE.T), "swapped"),
    (lambda: inpaint(counts(), ONE * 4), "values other than 0 and 1"),
    (lambda: inpaint(counts(), np.where(ONE, np.nan, 0)), "values other than 0 and 1"),
    (lambda: inpaint(counts(), np.ones_like(ONE)), "there is nothing to fill from"),
    (lambda: inpaint(counts(), ~ONE), "give ~mask"),
    (lambda: inpaint(np.where(counts() > 900, np.nan, counts()), ONE), "NaN or inf in measured"),
    (lambda: inpaint(counts() - 1, ONE), "negative counts .*flagged"),
    (lambda: inpaint(np.full((3, 24, 22), 2**64 - 1, np.uint64), ONE), "which no count is"),
    (lambda: inpaint(counts() * 1e36, ONE), "which no count is"),
    (lambda: inpaint(np.full((3, 24, 22), np.finfo(np.float32).max), ONE), "which no count is"),
    (lambda: inpaint(counts().astype(np.longdouble), ONE), "longdouble|float128"),
    (lambda: inpaint(counts(), ONE, method="krigging"), "did you mean kriging|there are"),
    (lambda: inpaint(counts(), ONE, method="lineer"), "did you mean linear"),
    (lambda: inpaint(counts(), ONE, method=None), "method=None is unknown"),
    (
        lambda: inpaint(counts(), ONE, method="inverse_distance", reach="far"),
        "option 'reach' of method 'inverse_distance' is 'far': takes a number, as 8",
    ),
    (lambda: inpaint(counts(), ONE, method="linear", reach=2), "'reach' .* no options"),
    (
        lambda: inpaint(counts(), ONE, method="inverse_distance", reech=2),
        "did you mean reach.* takes reach=8, exponent=2",
    ),
    (lambda: inpaint(counts(), ONE, method="inverse_distance", reach=0), "reach=0: takes"),
    (lambda: inpaint(counts(), ONE, method="inverse_distance", reach=2.5), "reach=2.5: takes"),
    (lambda: inpaint(counts(), ONE, method="inverse_distance", exponent=-1), "exponent=-1"),
    (lambda: inpaint(counts(), ONE, device="gpu"), "device='gpu'"),
]


@pytest.mark.parametrize(("call", "message"), REFUSALS)
def test_what_cannot_be_filled_is_refused_by_name(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.slow
def test_memory_stays_below_four_times_the_stack() -> None:
    """Peak resident memory of a process that fills a cross, everything included."""
    script = """
        import resource, sys
        import numpy as np
        from bcdi_inpaint.filling import inpaint
        small = np.zeros((4, 40, 40), np.float32)
        mask = np.zeros((40, 40), bool)
        mask[20:26] = mask[:, 20:26] = True
        inpaint(small, mask, method=sys.argv[1])  # what libraries need is no share of the stack
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        stack = np.random.default_rng(0).poisson(3, (48, 512, 512)).astype(np.float32)
        mask = np.zeros((512, 512), bool)
        mask[253:259] = mask[:, 253:259] = True
        inpaint(stack, mask, method=sys.argv[1])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print((peak - before) / stack.nbytes)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), "linear"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 4


def test_inpaint_is_at_the_top_of_the_package() -> None:
    import bcdi_inpaint

    assert bcdi_inpaint.inpaint is inpaint_function


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_fill_that_is_not_finite_is_never_returned(
    monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    def broken(stack: np.ndarray, mask: np.ndarray) -> Fill:
        return Fill(np.where(mask, np.float32(value), stack), np.ones_like(stack))

    monkeypatch.setitem(REGISTRY, "broken", Method(broken, margin=4))
    with pytest.raises(ArithmeticError, match="broken is not finite"):
        inpaint(counts(), ONE, method="broken", self_check=False)
