"""The client of a filled scan: a Tiled container with a few more methods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tiled.client.composite import CompositeClient

from bcdi_inpaint.export import filled_scan as reader
from bcdi_inpaint.export import formats as exporters
from bcdi_inpaint.export.fields import to_self_check
from bcdi_inpaint.export.layout import (
    DIMS,
    INTENSITY,
    MASK,
    MONITOR,
    SIGMA,
    UNITS,
    VOLUMES,
    motor_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray
    from matplotlib.figure import Figure
    from tiled.client.array import ArrayClient
    from tiled.client.container import Container

    from bcdi_inpaint.export.q_space import QSpace
    from bcdi_inpaint.export.treatment import Gaps
    from bcdi_inpaint.filling.result import Inpainted, SelfCheck


class BCDIInpainted(CompositeClient):  # type: ignore[misc]
    """A rocking scan whose gaps have been filled.

    It can do everything that a Tiled container can; this only adds methods. Children are
    clients: nothing is downloaded before they are read or sliced.
    """

    def __repr__(self) -> str:
        known = self.metadata
        shape = "×".join(str(n) for n in known.get("shape", ())) or "no volumes"
        words = [f"<{type(self).__name__} {known['sample'] or 'scan'!r}"]
        if "scan_id" in known:
            words.append(f"scan {known['scan_id']}")
        words.append(f"{shape}, {known['detector'] or known['data_key']},")
        words.append(known.get("method_used") or known["method"])
        if "gap_share" in known:
            words[-1] += f", gap {known['gap_share']:.1%}"
        if "self_check_pcc" in known:
            words[-1] += (
                f", self-check PCC {known['self_check_pcc']:.3f} ({known['self_check_verdict']})"
            )
        return f"{' '.join(words)}, {self.state}>"

    @property
    def state(self) -> str:
        """``complete``, ``superseded``, ``failed: <reason>`` or ``<n> frames so far``."""
        known = self.metadata
        if known["superseded_by"]:
            return f"superseded by {known['superseded_by']}"
        if known["failed"]:
            return f"failed: {known['failed']}"
        return "complete" if known["complete"] else f"{known['frames']} frames so far"

    @property
    def raw(self) -> Container:
        """The raw run, from the same server."""
        from .queries import raw_run

        return raw_run(self)

    @property
    def intensity(self) -> ArrayClient:
        """Counts ``(frame, row, col)``: as measured, and as expected in the gaps."""
        return self.base[INTENSITY]

    @property
    def sigma(self) -> ArrayClient:
        """Standard deviation of the expected counts in the gaps, 0 elsewhere."""
        return self.base[SIGMA]

    @property
    def mask(self) -> ArrayClient:
        """True where a voxel was missing and has been filled."""
        return self.base[MASK]

    @property
    def self_check(self) -> SelfCheck | None:
        """How well the method filled artificial gaps in the same scan; None if not checked."""
        return to_self_check(self.metadata)

    def to_inpainted(self) -> Inpainted:
        """Read the volumes and the report as `bcdi_inpaint.inpaint` returned them."""
        return reader.read(self)

    def to_xarray(
        self, *, lazy: bool = False, q: bool = False, axes: Mapping[str, str] | None = None
    ) -> xarray.Dataset:
        """The volumes with dimensions, units, and the rocking angles as coordinate of the frames.

        Parameters
        ----------
        lazy
            Return dask arrays, which are read block by block when they are computed.
        q
            With ``q_x``, ``q_y`` and ``q_z`` of every voxel as coordinates, 1/angstrom.
        axes
            For `q`: what circles turn about, as `bcdi_inpaint.export.q_space.QSpace.of` takes it.

        Raises
        ------
        GeometryUnknownError
            If q is asked for and the metadata don't suffice; it lists what is missing.
        """
        import xarray

        base = self.base.new_variation(structure_clients="dask") if lazy else self.base
        volumes = {
            name: xarray.Variable(DIMS, base[name].read(), {"units": UNITS[name]})
            for name in VOLUMES
        }
        motor = self.metadata["motor"]
        key = motor_key(motor)
        coordinates = {}
        if motor and key in self.base:
            angles = np.asarray(self.base[key].read())
            coordinates[key] = xarray.Variable(DIMS[:1], angles, {"units": "deg"})
        if MONITOR in self.base:
            coordinates[MONITOR] = xarray.Variable(DIMS[:1], self.base[MONITOR].read())
        if q:
            vectors = self.q_space(axes).vectors()
            coordinates |= {
                f"q_{name}": xarray.Variable(DIMS, values, {"units": "1/angstrom"})
                for name, values in zip("xyz", vectors, strict=True)
            }
        return xarray.Dataset(volumes, coordinates, dict(self.metadata))

    def q_space(self, axes: Mapping[str, str] | None = None) -> QSpace:
        """Where the voxels lie in reciprocal space; see `bcdi_inpaint.export.q_space`."""
        from bcdi_inpaint.export.q_space import QSpace

        scan = reader.open_scan(self)
        return QSpace.of(scan.metadata, scan.angles, scan.filled.intensity.shape[1:], axes)

    def plot(self) -> Figure:
        """Raw, filled and uncertainty in three orthogonal cuts through the Bragg peak."""
        from bcdi_inpaint.export.plots import plot

        return plot(self)

    # Exporters return the path of what they have written.

    def export_cxi(self, path: Path | str, gaps: Gaps | None = None) -> Path:
        """Write a CXI file for PyNX; see `bcdi_inpaint.export.formats` on `gaps`, None: by rule."""
        exporters.pynx_cxi(path, reader.open_scan(self), gaps=gaps)
        return Path(path)

    def export_pynx(self, folder: Path | str, gaps: Gaps | None = None) -> tuple[Path, Path, Path]:
        """Write a CXI file, a script that keeps the gap within its uncertainty, and inputs for PyNX's command line."""
        return exporters.pynx_run(folder, reader.open_scan(self), gaps=gaps)

    def export_pynx_npz(self, path: Path | str, gaps: Gaps | None = None) -> Path:
        """Write an npz with data and mask for PyNX."""
        exporters.pynx_npz(path, reader.open_scan(self), gaps=gaps)
        return Path(path)

    def export_cdiutils(self, folder: Path | str, gaps: Gaps | None = None) -> tuple[Path, Path]:
        """Write cdiutils' pair of npz into a folder."""
        return exporters.cdiutils(folder, reader.open_scan(self), gaps=gaps)

    def export_cohere(self, folder: Path | str) -> Path:
        """Write ``phasing_data/data.tif`` into cohere's experiment folder."""
        path = Path(folder, "phasing_data", "data.tif")
        exporters.cohere(path, reader.open_scan(self))
        return path

    def export_nexus(self, path: Path | str) -> Path:
        """Write a NeXus HDF5 file."""
        exporters.nexus(path, reader.open_scan(self))
        return Path(path)

    def export_tif(self, path: Path | str) -> Path:
        """Write the filled intensity as a tif with one page a frame."""
        exporters.tif(path, reader.open_scan(self))
        return Path(path)
