"""Reconstruct every filled gap, and write down how far from the truth it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bcdi_inpaint.progress import part

from ..metrics import amplitude_residual
from ..networks import digest
from . import cohere_runs as cohere
from .figures import draw_slices, slices_path
from .fills import FILLS
from .results import GapFacts, Key, Reconstruction, ranked
from .retrieval import free_voxels, retrieve
from .scenes import SEED
from .true_phases import transformed
from .truth import aligned, errors
from .views import laid_over, simulated_view

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bcdi_inpaint.filling import Inpainted
    from bcdi_inpaint.progress import Progress

    from ..config import Config
    from .fills import Fill, Use
    from .results import Engine, Ledger, Line
    from .retrieval import Solution
    from .scenes import Plan, Scene
    from .views import View

USES: dict[Engine, tuple[Use, ...]] = {
    "bench": ("none", "zero", "free", "hard", "soft", "band"),
    "cohere": ("none", "zero", "hard"),
    "true phases": ("hard",),
}
"""What an engine can make of a gap."""


class Task(NamedTuple):
    """What is reconstructed; `object` is a seed, or the name of a measured scan."""

    engine: Engine
    scene: Scene
    object: str

    def key(self, fill: Fill) -> Key:
        """Of the result with a fill."""
        return Key(self.engine, self.scene.name, self.object, fill.name)


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """All reconstructions.

    Attributes
    ----------
    plan, config
        How much; which weights, device and methods.
    ledger
        Gets the results.
    folder
        Gets the pictures of slices.
    measured
        A measured scan without a gap, see `views.measured_view`.
    """

    plan: Plan
    config: Config
    ledger: Ledger
    folder: Path
    measured: View | None = None

    def run(self, progress: Progress) -> None:
        """Make all results and pictures that aren't there yet."""
        tasks = self._tasks()
        for at, task in enumerate(tasks):
            name = f"{task.engine}, {task.scene.name}, {task.object}: "
            self._finish(task, part(progress, at, len(tasks), name))
        progress("done", 1.0)

    def _tasks(self) -> list[Task]:
        """In such an order that a run that is stopped early has something of everything."""
        plan = self.plan
        retrievals: list[Engine] = ["bench", "cohere"] if cohere.available() else ["bench"]

        def of_object(seed: int) -> list[Task]:
            return [
                Task(engine, scene, str(seed)) for scene in plan.scenes for engine in retrievals
            ]

        kinds = [
            of_object(SEED),
            [Task("true phases", plan.crossed(i), str(i)) for i in range(plan.crosses)],
        ]
        if self.measured is not None:
            kinds.append([Task("bench", scene, self.measured.object) for scene in plan.measured])
        placed = [((i + 1) / len(kind), task) for kind in kinds for i, task in enumerate(kind)]
        first = [task for _, task in sorted(placed, key=lambda pair: pair[0])]
        return first + [task for i in range(1, plan.objects) for task in of_object(SEED + i)]

    def _finish(self, task: Task, progress: Progress) -> None:
        there = self.ledger.keys()
        todo = [
            fill
            for fill in FILLS.values()
            if fill.use in USES[task.engine]
            and (not fill.method or fill.method in self.config.methods)
            and task.key(fill) not in there
        ]
        picture = self._picture(task)
        if picture is not None and todo:
            picture.unlink(missing_ok=True)
        if not todo and (picture is None or picture.exists()):
            return
        progress("simulating", 0.0)
        if task.engine == "true phases":
            for line in transformed(self.config, task.scene, task.object, todo):
                self.ledger.add(line)
            return
        view = self._view(task)
        for at, fill in enumerate(todo):
            progress(fill.name, at / len(todo))
            self._reconstruct(task, view, fill)
        if picture is not None:
            progress("picture", 1.0)
            self._draw(view, picture)

    def _picture(self, task: Task) -> Path | None:
        """Slices are drawn of the first object in a few scenes."""
        first = task.engine == "bench" and task.object == str(SEED)
        if first and task.scene.name in self.plan.pictured:
            return slices_path(self.folder, task.scene.name)
        return None

    def _view(self, task: Task) -> View:
        if self.measured is not None and task.object == self.measured.object:
            return laid_over(task.scene, self.measured)
        return simulated_view(task.scene, int(task.object))

    def _reconstruct(self, task: Task, view: View, fill: Fill) -> None:
        try:
            filled = fill.of(view, self.config)
        except ValueError:
            return  # the method can't: the table leaves its place empty
        key, weights = task.key(fill), digest(self.config, fill.method, view.scene.width)
        lines: list[Line] = []
        if task.engine == "bench" and fill.use == "hard":
            lines.append(_facts(key, weights, view, filled))
        for start, solution in enumerate(self._solutions(task.engine, view, fill, filled)):
            figures = asdict(errors(aligned(solution.image, view.truth), view.truth))
            lines.append(Reconstruction(*key, weights, start, solution.merit, **figures))
        self.ledger.add(*lines)

    def _solutions(
        self, engine: Engine, view: View, fill: Fill, filled: Inpainted
    ) -> Iterable[Solution]:
        if engine == "cohere":
            return cohere.reconstructions(filled, self.plan.starts)
        return (self._retrieve(view, fill, filled, start) for start in range(self.plan.starts))

    def _retrieve(self, view: View, fill: Fill, filled: Inpainted, start: int) -> Solution:
        return retrieve(
            fill.bounds(filled).freed(view.unusable),
            view.counts,
            free_voxels(~(view.mask | view.unusable), np.random.default_rng(0)),
            seed=start,
            schedule=self.plan.schedule,
            device="cpu" if self.config.device == "auto" else self.config.device,
        )

    def _draw(self, view: View, path: Path) -> None:
        """The start of each fill that ranks first is reconstructed again for it."""
        firsts = {
            key.fill: starts[0]
            for key, starts in ranked(self.ledger.of(Reconstruction)).items()
            if key[:3] == ("bench", view.scene.name, view.object)
        }
        images = {}
        for fill in FILLS.values():
            if fill.name in firsts:
                filled = fill.of(view, self.config)
                image = self._retrieve(view, fill, filled, firsts[fill.name].start).image
                images[fill.name] = aligned(image, view.truth)
        draw_slices(view, images, path)


def _facts(key: Key, weights: str, view: View, filled: Inpainted) -> GapFacts:
    fill = np.asarray(filled.intensity[view.mask], float)
    return GapFacts(
        key.scene,
        key.object,
        key.fill,
        weights,
        share=float(fill.sum() / filled.intensity.sum(dtype=float)),
        doubt=float(filled.sigma[view.mask].sum(dtype=float) / max(fill.sum(), 1e-9)),
        residual=amplitude_residual(fill, view.counts[view.mask]),
    )
