"""Does filling help phase retrieval? Scenes, reconstructions, and a ledger of what they gave.

What the starts of one fill gave is appended to a file as soon as it is there, and is not made again: a
run that was stopped goes on where it was, and new weights cost only the fills that they make.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ..catalog.exporters import SOFT_BAND
from ..filling import Inpainted, Report
from ..filling.reference import weights_name
from ..filling.weights import DEFAULT, SHIPPED, load_model
from ..simulate import render, simulate_scan
from ..simulate.recipe import COUNT_LIMIT
from . import cohere
from .bench import REAL_SPACE_WIDTH
from .cases import DISTANCES, Gap, place_gap, recipes
from .metrics import amplitude_residual, real_space_errors
from .retrieval import Bounds, Schedule, Solution, free_voxels, retrieve
from .truth import aligned, errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from .bench import Config, Tell
    from .cases import Kind

    Counts = NDArray[np.floating[Any]]
    Bools = NDArray[np.bool_]
    Waves = NDArray[np.complexfloating[Any, Any]]

Engine = Literal["bench", "cohere", "true phases"]

SEED = 40_000
"""Of the first object, in the evaluation split, which training never sees."""
REFERENCE_START = 1_000
"""First seed of the starts that give a measured scan its reference object."""
SIGMAS = 2.0
"""Half-width of the confidence band in standard deviations."""


class Fill(NamedTuple):
    """A way to treat a gap: the method that fills it, and how much its values are believed."""

    method: str
    use: Literal["none", "zero", "free", "hard", "soft", "band"]


FILLS: dict[str, Fill] = {
    "no gap": Fill("", "none"),
    "zero": Fill("", "zero"),
    "free": Fill("", "free"),
    "linear": Fill("linear", "hard"),
    "kriging": Fill("kriging", "hard"),
    "patching": Fill("patching", "hard"),
    "patching, soft": Fill("patching", "soft"),
    "patching, band": Fill("patching", "band"),
    "reference": Fill("reference", "hard"),
}
"""Soft is PyNX's own band around the filled value; band is the one of the fill's own sigma."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A gap over a kind of crystal.

    Attributes
    ----------
    name
        As the tables have it.
    width, distance, kind
        Of the gap: pixels, distance from the peak to the first missing one. A single gap is
        vertical, to the right of the peak.
    strain, strength
        As in the simulation's recipe.
    peak_counts
        Expected counts at the brightest point.
    shape, offset
        Voxels; the peak's distance from the middle.
    """

    name: str
    width: int = 9
    distance: int = 4
    kind: Kind = "vertical"
    strain: str = "smooth"
    strength: float = 0.2
    peak_counts: float = 1e6
    shape: tuple[int, int, int] = (48, 48, 48)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def gap(self, row: int, col: int) -> Gap:
        """The gap beside a peak."""
        rows, cols = ((p + self.distance, p + self.distance + self.width) for p in (row, col))
        return Gap(
            self.kind, self.width, self.distance, rows if self.kind == "cross" else None, cols
        )


SCENES = (
    Scene("9 px"),
    Scene("9 px, far", distance=9),
    Scene("9 px, 1e4 counts", peak_counts=1e4),
    Scene("9 px, near", distance=1),
    Scene("9 px cross", kind="cross"),
    Scene("38 px", width=38, shape=(48, 48, 96), offset=(0.0, 0.0, -18.0)),
    Scene("9 px, strong strain", strain="strong"),
    Scene("6 px", width=6),
    Scene("12 px", width=12),
    Scene("9 px, 1e5 counts", peak_counts=1e5),
    Scene("9 px, 1e7 counts", peak_counts=1e7),
)
"""One thing at a time is changed in the first one."""

MEASURED_SCENES = (SCENES[0], SCENES[1], SCENES[3], SCENES[4])

PINNED: dict[str, Any] = {
    "oversampling": (3.0, 3.0, 3.0),
    "background": 0.01,
    "blur": (0.0, 0.0, 0.0),
    "angle_jitter": 0.0,
    "flux_spread": 0.0,
    "scatter": 0.0,
    "aliens": 0,
    "streaks": 0,
    "hot_pixels": 0,
    "dead_pixels": 0,
    "flat_field": 0.0,
    "saturation": COUNT_LIMIT,
}
"""Nothing but the gap and Poisson's noise is in the way of a reconstruction."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done.

    Attributes
    ----------
    scenes, measured
        Gaps over simulated crystals; over a measured scan.
    objects, starts
        Crystals a scene, starts a fill.
    schedule
        Of the bench's own retrieval.
    edge
        Voxels of the region around a measured peak.
    crosses, cross_edge
        Crystals that are transformed back with their true phases, and their voxels along an axis.
    pictured
        Scenes whose slices are kept.
    """

    scenes: tuple[Scene, ...] = SCENES
    measured: tuple[Scene, ...] = MEASURED_SCENES
    objects: int = 3
    starts: int = 5
    schedule: Schedule = field(default_factory=Schedule)
    edge: int = 48
    crosses: int = 24
    cross_edge: int = 64
    pictured: tuple[str, ...] = ("9 px", "9 px cross")


QUICK = Plan(SCENES[:1], (), objects=1, crosses=4)


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """What one start gave.

    Attributes
    ----------
    engine, scene, object, fill, weights, start
        Which. `object` is a seed or the name of a scan; `weights` the digest of the network's.
    merit
        What ranks starts; smaller is better.
    complex_l2, modulus_rmse, phase_std, strain_rmse
        As in `truth.ObjectErrors`.
    """

    engine: Engine
    scene: str
    object: str
    fill: str
    weights: str
    start: int
    merit: float
    complex_l2: float
    modulus_rmse: float
    phase_std: float
    strain_rmse: float


@dataclass(frozen=True, slots=True)
class GapFacts:
    """What is known of a gap without the truth, and how good its fill is with it.

    Attributes
    ----------
    scene, object, fill, weights
        Which.
    share
        Of all counts, those that were filled in.
    doubt
        Sum of sigma over sum of filled counts.
    residual
        Amplitude residual against the counts.
    """

    scene: str
    object: str
    fill: str
    weights: str
    share: float
    doubt: float
    residual: float


@dataclass(frozen=True, slots=True)
class Inverse:
    """The paper's 2.6.1 for one object: errors of the inverse transform with true phases."""

    object: str
    fill: str
    weights: str
    peak_counts: float
    distance: int
    phase_std_gap: float
    phase_std_fill: float


Line = Reconstruction | GapFacts | Inverse
KINDS: dict[str, type[Line]] = {k.__name__: k for k in (Reconstruction, GapFacts, Inverse)}


class Ledger:
    """Lines of a file, one for each result; those made with other weights are dropped."""

    def __init__(self, path: Path, current: Callable[[Fill, str], bool]) -> None:
        self._path = path
        self.lines: list[Line] = []
        if path.is_file():
            read = (json.loads(text) for text in path.read_text().splitlines())
            made = (KINDS[entry.pop("kind")](**entry) for entry in read)
            self.lines = [line for line in made if current(FILLS[line.fill], line.weights)]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(map(_text, self.lines)))

    def add(self, *lines: Line) -> None:
        """Append what belongs together, at once."""
        self.lines += lines
        with self._path.open("a") as file:
            file.write("".join(map(_text, lines)))

    def of(self, kind: type[Any]) -> list[Any]:
        """The lines of one kind."""
        return [line for line in self.lines if isinstance(line, kind)]


def _text(line: Line) -> str:
    rounded = {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in asdict(line).items()}
    return json.dumps({"kind": type(line).__name__, **rounded}) + "\n"


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A pattern with a known object and a gap over it."""

    scene: Scene
    object: str
    counts: Counts
    truth: Waves
    mask: Bools
    unusable: Bools


def study(
    plan: Plan, config: Config, ledger: Ledger, folder: Path, measured: View | None, tell: Tell
) -> None:
    """Make all reconstructions that aren't in the ledger yet.

    Parameters
    ----------
    plan, config
        How much; which weights, device and methods.
    ledger
        Gets the results.
    folder
        Gets ``slices``.
    measured
        A measured scan without a gap, see `measured_view`.
    tell
        Told of progress.
    """
    fills = {n: f for n, f in FILLS.items() if not f.method or f.method in config.methods}
    digests = Digests(config)
    tasks = _tasks(plan, measured)
    for done, task in enumerate(tasks):
        engine, scene, name = task
        there = {_key(line) for line in ledger.lines}
        todo = {
            n: f for n, f in fills.items() if _takes(engine, f) and (*_key(task), n) not in there
        }
        if not todo:
            continue

        def say(what: str, share: float = 0.0) -> None:
            tell(f"{engine}, {scene.name}, {name}: {what}", (done + share) / len(tasks))  # noqa: B023

        say("simulating")
        if engine == "true phases":
            _inverse(config, scene, int(name), todo, digests, ledger)
            continue
        if measured is not None and name == measured.object:
            view = _over(measured, scene)
        else:
            view = simulated_view(scene, int(name))
        for at, (fill_name, fill) in enumerate(todo.items()):
            say(fill_name, at / len(todo))
            _reconstruct(plan, config, view, engine, fill_name, fill, digests, ledger, folder)
    tell("done", 1.0)


Task = tuple[Engine, Scene, str]
"""What is reconstructed, and the object: a seed, or the name of a measured scan."""


def _tasks(plan: Plan, measured: View | None) -> list[Task]:
    """In such an order that a run that is stopped early has something of everything."""
    engines: tuple[Engine, ...] = ("bench", "cohere") if cohere.available() else ("bench",)
    kinds: list[list[Task]] = [
        [(engine, scene, str(SEED)) for scene in plan.scenes for engine in engines],
        [("true phases", *_crossed(plan, i)) for i in range(plan.crosses)],
    ]
    if measured is not None:
        kinds.append([("bench", scene, measured.object) for scene in plan.measured])
    first = [((i + 1) / len(kind), task) for kind in kinds for i, task in enumerate(kind)]
    return [task for _, task in sorted(first, key=lambda placed: placed[0])] + [
        (engine, scene, str(SEED + i))
        for i in range(1, plan.objects)
        for scene in plan.scenes
        for engine in engines
    ]


def _takes(engine: Engine, fill: Fill) -> bool:
    if engine == "true phases":
        return fill.use == "hard"
    return engine == "bench" or fill.use in ("none", "zero", "hard")


def _key(of: Line | Task) -> tuple[str, ...]:
    """What names a result: engine, scene, object and, of a line, fill."""
    if isinstance(of, tuple):
        engine, scene, name = of
        return engine, "" if engine == "true phases" else scene.name, name
    if isinstance(of, Inverse):
        return "true phases", "", of.object, of.fill
    return getattr(of, "engine", ""), of.scene, of.object, of.fill


class Digests:
    """Which weights fill now."""

    def __init__(self, config: Config) -> None:
        self._options = config.options or {}

    def of(self, fill: Fill, width: int) -> str:
        """Digest of the weights that a fill of a gap is made with; empty without a network."""
        if fill.method == "patching":
            import torch

            name = self._options.get("patching", {}).get("model", DEFAULT)
            return load_model(name, torch.device("cpu")).sha256[:12]
        if fill.method == "reference":
            path = Path(self._options["reference"]["weights"] or SHIPPED, weights_name(width))
            return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else "none"
        return ""

    def current(self, fill: Fill, digest: str) -> bool:
        """Whether a result with these weights would be the same now."""
        return any(digest == self.of(fill, width) for width in (6, 9, 12))


def simulated_view(scene: Scene, seed: int) -> View:
    """A simulated crystal with its gap; the object is the transform of its coherent far field."""
    scan = simulate_scan(
        seed,
        scene.shape,
        split="evaluation",
        amplitude=True,
        strain=scene.strain,
        strain_strength=scene.strength,
        peak_counts=scene.peak_counts,
        peak_offset=scene.offset,
        **PINNED,
    )
    assert scan.amplitude is not None
    row, col = (n // 2 + round(o) for n, o in zip(scene.shape[1:], scene.offset[1:], strict=True))
    plane = scene.gap(row, col).mask((scene.shape[1], scene.shape[2]))
    mask = np.broadcast_to(plane, scene.shape)
    truth = np.fft.ifftn(np.fft.ifftshift(scan.amplitude))
    return View(
        scene, str(seed), scan.counts.astype(np.float32), truth, mask, np.zeros(scene.shape, bool)
    )


def measured_view(plan: Plan, frames: Counts, unusable: Bools, name: str) -> View:
    """A measured scan without a gap, cut out around its peak, frames summed to about as many.

    Its object is the best of as many reconstructions from the whole data as any fill gets, from other
    starts.
    """
    usable = np.where(unusable, 0, frames)
    peak = np.unravel_index(int(usable.argmax()), frames.shape)
    together = max(frames.shape[0] // plan.edge, 1)
    sizes = (plan.edge * together, plan.edge, plan.edge)
    cut = tuple(
        slice(max(int(p) - size // 2, 0), max(int(p) - size // 2, 0) + size)
        for p, size in zip(peak, sizes, strict=True)
    )
    counts = usable[cut].astype(np.float32)
    counts = counts.reshape(-1, together, *counts.shape[1:]).sum(1)
    bad = np.broadcast_to(unusable[cut[1:]], counts.shape)
    free = free_voxels(~bad, np.random.default_rng(0))
    bounds = Bounds.of(counts, counts).freed(bad)
    best = min(
        (
            retrieve(bounds, counts, free, seed=REFERENCE_START + i, schedule=plan.schedule)
            for i in range(plan.starts)
        ),
        key=lambda solution: solution.merit,
    )
    return View(Scene("whole"), name, counts, best.image, np.zeros(counts.shape, bool), bad)


def _over(whole: View, scene: Scene) -> View:
    """A gap laid over a measured scan."""
    _, row, col = np.unravel_index(int(whole.counts.argmax()), whole.counts.shape)
    plane = scene.gap(int(row), int(col)).mask(whole.counts.shape[1:])
    return replace(whole, scene=scene, mask=np.broadcast_to(plane, whole.counts.shape))


def _reconstruct(
    plan: Plan,
    config: Config,
    view: View,
    engine: Engine,
    name: str,
    fill: Fill,
    digests: Digests,
    ledger: Ledger,
    folder: Path,
) -> None:
    weights = digests.of(fill, view.scene.width)
    try:
        filled = _filled(config, view, fill)
    except ValueError:
        return  # the method can't: the table leaves its place empty
    lines: list[Line] = []
    if engine == "bench" and fill.use == "hard":
        lines.append(_facts(view, name, weights, filled))
    best: Solution | None = None
    for start, solution in enumerate(_solutions(plan, config, view, engine, fill, filled)):
        laid = aligned(solution.image, view.truth)
        figures = asdict(errors(laid, view.truth))
        which = (engine, view.scene.name, view.object, name, weights, start)
        lines.append(Reconstruction(*which, merit=solution.merit, **figures))
        if best is None or solution.merit < best.merit:
            best = Solution(laid, solution.merit)
    ledger.add(*lines)
    if engine == "bench" and view.scene.name in plan.pictured and best is not None:
        slices = folder / "slices" / view.object / view.scene.name
        slices.mkdir(parents=True, exist_ok=True)
        np.save(slices / "truth.npy", _slice(view.truth))
        np.save(slices / f"{name}.npy", _slice(best.image))


def _slice(image: Waves) -> Waves:
    """The middle plane of the object, in complex64."""
    return np.asarray(np.fft.fftshift(image)[image.shape[0] // 2], np.complex64)


def _filled(config: Config, view: View, fill: Fill) -> Inpainted:
    hidden = np.where(view.mask, 0, view.counts)
    if fill.method:
        return config.inpaint(hidden, view.mask, fill.method)
    counts = view.counts if fill.use == "none" else hidden
    return Inpainted(
        counts, np.zeros_like(counts), view.mask, Report(fill.use, int(view.mask.sum()), 0.0, 0.0)
    )


def _solutions(
    plan: Plan, config: Config, view: View, engine: Engine, fill: Fill, filled: Inpainted
) -> Iterable[Solution]:
    if engine == "cohere":
        return cohere.reconstructions(filled, plan.starts)
    return _bench_solutions(plan, config, view, fill, filled)


def _bench_solutions(
    plan: Plan, config: Config, view: View, fill: Fill, filled: Inpainted
) -> Iterator[Solution]:
    bounds = bounds_of(filled, fill).freed(view.unusable)
    free = free_voxels(~(view.mask | view.unusable), np.random.default_rng(0))
    device = "cpu" if config.device == "auto" else config.device
    for start in range(plan.starts):
        yield retrieve(bounds, view.counts, free, seed=start, schedule=plan.schedule, device=device)


def bounds_of(filled: Inpainted, fill: Fill) -> Bounds:
    """What a retrieval is told of the amplitudes."""
    counts, mask = filled.intensity, filled.mask
    low = high = counts
    if fill.use == "free":
        return Bounds.of(counts, counts).freed(mask)
    if fill.use == "soft":
        low, high = (np.where(mask, factor * counts, counts) for factor in SOFT_BAND)
    elif fill.use == "band":
        low, high = counts - SIGMAS * filled.sigma, counts + SIGMAS * filled.sigma
    return Bounds.of(low, high)


def _facts(view: View, name: str, weights: str, filled: Inpainted) -> GapFacts:
    fill = np.asarray(filled.intensity[view.mask], float)
    return GapFacts(
        view.scene.name,
        view.object,
        name,
        weights,
        share=float(fill.sum() / filled.intensity.sum(dtype=float)),
        doubt=float(filled.sigma[view.mask].sum(dtype=float) / max(fill.sum(), 1e-9)),
        residual=amplitude_residual(fill, view.counts[view.mask]),
    )


def _crossed(plan: Plan, index: int) -> tuple[Scene, str]:
    edge, distances = plan.cross_edge, DISTANCES["plain"]
    return (
        Scene(
            "cross", REAL_SPACE_WIDTH, distances[index % len(distances)], "cross", shape=(edge,) * 3
        ),
        str(index),
    )


def _inverse(
    config: Config,
    scene: Scene,
    index: int,
    todo: dict[str, Fill],
    digests: Digests,
    ledger: Ledger,
) -> None:
    """The paper's 2.6.1 for one of the bench's plain patterns."""
    recipe = recipes("plain", index + 1, scene.shape)[index]
    scan = render(recipe, amplitude=True)
    assert scan.amplitude is not None
    _, row, col = np.unravel_index(int(scan.rate.argmax()), scan.rate.shape)
    plane, rng = (scene.shape[1], scene.shape[2]), np.random.default_rng(recipe.seed)
    gap = place_gap("cross", scene.width, scene.distance, (int(row), int(col)), plane, rng)
    mask = np.broadcast_to(gap.mask(plane), scene.shape)
    hidden = np.where(mask, 0, scan.counts)
    for name, fill in todo.items():
        filled = config.inpaint(hidden, mask, fill.method)
        found = real_space_errors(filled.intensity, scan.rate, np.angle(scan.amplitude), mask)
        ledger.add(
            Inverse(
                str(index),
                name,
                digests.of(fill, scene.width),
                recipe.peak_counts,
                gap.distance,
                found.phase_std_gap,
                found.phase_std_fill,
            )
        )
