"""What a run's documents say of the detector's pixels, as far as the devices' configuration tells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .pixel_facts import SATURATION, VIRTUAL, PixelFacts, interpolated
from .start_stop import number, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .facts import Facts

BAD_PIXEL_PLUGIN = "NDPluginBadPixel"
"""What areaDetector calls the plugin that replaces pixels in an IOC; ophyd calls it NDBadPixel."""
_PLUGIN_KEY = re.compile(r"(.*bad_?pix[a-z]*\d*)_enable(_callbacks)?", re.IGNORECASE)
_OFF = ("", "0", "off", "no", "false", "disable", "disabled")


def documented_pixels(facts: Facts) -> PixelFacts:
    """Saturation, and pixels that were made up before the file was written, from a detector's facts."""
    found = facts.find(SATURATION)
    level = number(found.value) if found else None
    said = facts.find(VIRTUAL)
    notes = [interpolated(said.name)] if said and _is_on(said.value) else []
    notes += [
        f"the IOC's {BAD_PIXEL_PLUGIN} ({key}) was on: pixels that it replaced look measured here; give them "
        "as a mask to have them filled"
        for key in _plugins_on(facts)
    ]
    return PixelFacts(saturation=level if level and level > 0 else None, notes=tuple(notes))


def _plugins_on(facts: Facts) -> Iterator[str]:
    """Names of the plugins that replace pixels and were on."""
    for group in facts.devices:
        plain = {re.sub(r"[-.]", "_", key): said.value for key, said in group.items()}
        named = {found[1] for key in plain if (found := _PLUGIN_KEY.fullmatch(key))}
        typed = {
            key.removesuffix("_plugin_type")
            for key, value in plain.items()
            if key.endswith("_plugin_type") and text(value).endswith("BadPixel")
        }
        for stem in sorted(named | typed):
            switches = [
                plain[key] for end in ("", "_callbacks") if (key := f"{stem}_enable{end}") in plain
            ]
            if all(map(_is_on, switches)):
                yield stem


def _is_on(value: object) -> bool:
    """Whether a switch is on, in the words of EPICS and others."""
    as_number = number(value)
    if as_number is not None:
        return as_number != 0
    return text(value).strip().casefold() not in _OFF if isinstance(value, str) else bool(value)
