"""What a Tiled server checks of nodes that call themselves filled scans.

Named in the server's configuration (``specs``); see ``docs/tiled.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pydantic
from tiled.structures.core import StructureFamily
from tiled.validation_registration import ValidationError, default_validation_registry

from bcdi_inpaint.export.layout import VOLUMES
from bcdi_inpaint.export.metadata import FillMetadata

from .layout import SPECS

if TYPE_CHECKING:
    from tiled.structures.core import Spec

    from bcdi_inpaint.export.layout import NodeMetadata


async def validate(
    spec: Spec,  # noqa: ARG001 (Tiled passes it)
    metadata: NodeMetadata,
    entry: Any,
    structure_family: StructureFamily | None,
    structure: object,  # noqa: ARG001
) -> None:
    """Refuse a node that is no filled scan, as Tiled calls it when a node is made or its metadata change.

    Fields that this version doesn't know are let pass if they are plain values: a newer one may write them.

    Raises
    ------
    tiled.validation_registration.ValidationError
        That says which field, or which volume, is wrong.
    """
    family = structure_family if entry is None else entry.structure_family
    if family != StructureFamily.container:
        raise ValidationError(f"a filled scan is a container, not {family}")
    known = {name: value for name, value in metadata.items() if name in FillMetadata.model_fields}
    try:
        complete = FillMetadata(**known).complete
    except pydantic.ValidationError as error:
        problems = [
            (*map(str, e["loc"]), e["msg"].removeprefix("Value error, ")) for e in error.errors()
        ]
        raise ValidationError("; ".join(map(": ".join, problems))) from None
    nested = [name for name, value in metadata.items() if isinstance(value, dict)]
    if nested:
        raise ValidationError(f"metadata are flat; {', '.join(nested)} is not")
    if complete:
        await _check_volumes(entry, metadata)


async def _check_volumes(entry: Any, metadata: NodeMetadata) -> None:
    """Refuse a complete node without volumes, or with some of different shapes."""
    children = {} if entry is None else dict(await entry.items_range(0, None))
    if absent := [name for name in VOLUMES if name not in children]:
        raise ValidationError(f"a complete node has {', '.join(VOLUMES)}; {absent[0]} is not there")
    shapes = {name: tuple(children[name].structure().shape) for name in VOLUMES}
    wanted = tuple(metadata.get("shape") or shapes[VOLUMES[0]])
    if wrong := [name for name, shape in shapes.items() if shape != wanted]:
        raise ValidationError(f"{wrong[0]} has shape {shapes[wrong[0]]}; it must be {wanted}")


# A configuration names a spec without its version, and Tiled (0.2.20) looks the validator up with it.
default_validation_registry.register(SPECS[0], validate)
