"""Reconstruct every filled gap, and write down how far from the truth it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bcdi_inpaint.progress import part

from ..cases import place_gap, recipes
from ..metrics import amplitude_residual
from ..patterns import simulated
from ..real_space import real_space_errors
from ..weights import digest
from . import cohere_runs as cohere
from .figures import draw_slices
from .fills import FILLS
from .results import Key, firsts
from .retrieval import free_voxels, retrieve
from .scenes import SEED, laid_over, simulated_view
from .truth import aligned, errors

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bcdi_inpaint.filling import Inpainted
    from bcdi_inpaint.progress import Progress

    from ..request import Request
    from ..store import Entry
    from .fills import Fill, Use
    from .results import Engine, StudyStore
    from .retrieval import Solution
    from .scenes import Plan, Scene, View

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
    """All reconstructions: how much, with which methods; the store gets the results, the folder the slices.

    A measured scan without a gap (`scenes.measured_view`) is one more object.
    """

    plan: Plan
    request: Request
    store: StudyStore
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
            return [Task(e, scene, str(seed)) for scene in plan.scenes for e in retrievals]

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
        there = self.store.keys()
        todo = [
            fill
            for fill in FILLS.values()
            if fill.use in USES[task.engine]
            and (not fill.method or fill.method in self.request.methods)
            and task.key(fill) not in there
        ]
        picture = self._picture(task)
        if picture is not None and todo:
            picture.unlink(missing_ok=True)
        if not todo and (picture is None or picture.exists()):
            return
        progress("simulating", 0.0)
        if task.engine == "true phases":
            self._transform(task, todo)
            return
        if self.measured is not None and task.object == self.measured.object:
            view = laid_over(task.scene, self.measured)
        else:
            view = simulated_view(task.scene, int(task.object))
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
            return self.folder / f"slices-{task.scene.name.replace(' ', '-')}.png"
        return None

    def _transform(self, task: Task, fills: Iterable[Fill]) -> None:
        """The paper's 2.6.1 for one of the bench's plain patterns: the transform with true phases."""
        scene, index = task.scene, int(task.object)
        recipe = recipes("plain", index + 1, scene.shape)[index]
        pattern = simulated(recipe)
        assert pattern.rate is not None
        assert pattern.phase is not None
        rng, peak = np.random.default_rng(recipe.seed), pattern.peak[1:]
        gap = place_gap(scene.kind, scene.width, scene.distance, peak, pattern.plane, rng)
        mask = np.broadcast_to(gap.mask(pattern.plane), scene.shape)
        hidden = np.where(mask, 0, pattern.counts)
        for fill in fills:
            filled = fill.fill(hidden, mask, self.request).intensity
            found = real_space_errors(filled, pattern.rate, pattern.phase, mask)
            self.store.add(
                {
                    "kind": "Inverse",
                    "object": task.object,
                    "fill": fill.name,
                    "weights": digest(self.request, fill.method, scene.width),
                    "peak_counts": recipe.peak_counts,
                    "distance": gap.distance,
                    "phase_std_gap": found["phase_std_gap"],
                    "phase_std_fill": found["phase_std_fill"],
                }
            )

    def _reconstruct(self, task: Task, view: View, fill: Fill) -> None:
        try:
            filled = fill.of(view, self.request)
        except ValueError:
            return  # the method can't: the table leaves its place empty
        made = {"weights": digest(self.request, fill.method, view.scene.width)}
        of_key = task.key(fill)._asdict()
        entries: list[Entry] = []
        if task.engine == "bench" and fill.use == "hard":
            of_gap = {name: of_key[name] for name in ("scene", "object", "fill")}
            entries.append({"kind": "GapFacts", **of_gap, **made, **_facts(view, filled)})
        for start, solution in enumerate(self._solutions(task.engine, view, fill, filled)):
            figures = errors(aligned(solution.image, view.truth), view.truth)
            of_start = {"start": start, "merit": solution.merit, **figures}
            entries.append({"kind": "Reconstruction", **of_key, **made, **of_start})
        self.store.add(*entries)

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
            device="cpu" if self.request.device == "auto" else self.request.device,
        )

    def _draw(self, view: View, path: Path) -> None:
        """The start of each fill that ranks first is reconstructed again for it."""
        best = firsts(self.store.of("Reconstruction"))
        own = (best["scene"] == view.scene.name) & (best["object"] == view.object)
        starts = best[own & (best["engine"] == "bench")].set_index("fill")["start"]
        images = {}
        for name in [name for name in FILLS if name in starts]:
            filled = FILLS[name].of(view, self.request)
            solution = self._retrieve(view, FILLS[name], filled, int(starts[name]))
            images[name] = aligned(solution.image, view.truth)
        draw_slices(view, images, path)


def _facts(view: View, filled: Inpainted) -> dict[str, float]:
    fill = np.asarray(filled.intensity[view.mask], float)
    return {
        "share": float(fill.sum() / filled.intensity.sum(dtype=float)),
        "doubt": float(filled.sigma[view.mask].sum(dtype=float) / max(fill.sum(), 1e-9)),
        "residual": amplitude_residual(fill, view.counts[view.mask]),
    }
