"""The process in which a network is tuned: ``python -m bcdi_inpaint.console.tune``.

Takes a pickled `bcdi_inpaint.console.tuning.Job` on stdin. Says on stdout, in a line of JSON each, what it
does and how far it is, ``{"doing": "making patches", "share": 0.5}``, and at last what came of it, a
`bcdi_inpaint.console.tuning.Outcome`.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from bcdi_inpaint.filling.patching.finetuning import finetune
from bcdi_inpaint.live.worker.pipeline import read_finished

if TYPE_CHECKING:
    from .tuning import Job, Outcome


def main() -> None:
    """Tune what comes on stdin."""
    job: Job = pickle.load(sys.stdin.buffer)  # noqa: S301 (made by the process that started us)
    with suppress(OSError):
        os.nice(10)  # the scan that is being measured goes first
    try:
        _say(**_tuned(job))
    except (ValueError, OSError, RuntimeError) as error:
        _say(error=" ".join(str(error).split()))


def _tuned(job: Job) -> Outcome:
    scan = read_finished(job.catalogs, job.uid, job.settings)
    tuned = finetune(
        scan.frames,
        scan.mask,
        device=job.settings.device,
        progress=lambda doing, done, of=1.0: _say(doing=doing, share=done / of),
        model=job.settings.options["model"],
        seconds=job.seconds,
    )
    if tuned.improved:
        tuned.save(job.model, raw_uid=job.uid, sample=scan.metadata.sample)
    return {"before": tuned.before, "after": tuned.after, "improved": tuned.improved}


def _say(**words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
