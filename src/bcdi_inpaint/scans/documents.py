"""Where the frames of a run are, from its documents as they arrive.

The documents may come in any of Bluesky's flavours, split and late in any way; the result is the same. No
frames are read here: see :mod:`bcdi_inpaint.scans.hdf5`.

bluesky-tiled-plugins' ``RunNormalizer`` and consolidators do the like for Tiled, but number points
by the index of their datum and count rows as they arrive, so that a point repeated after a pause or
a StreamDatum out of order would get another point's angle; they also copy every frame, and refuse
documents with fields that they don't know. ``event_model.Filler`` reads while it routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from event_model import DocumentRouter

from .images import are_frames
from .locations import FramesInEvent, FramesInFile, Locations
from .sizes import check_points
from .streams import RunRecord, Stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from event_model.documents import (
        DataKey,
        Datum,
        Event,
        EventDescriptor,
        Resource,
        RunStart,
        RunStop,
        StreamDatum,
        StreamResource,
    )
    from numpy.typing import DTypeLike, NDArray

    from bcdi_inpaint.geometry import Span

    from .locations import Location
    from .streams import Document

    Row = dict[str, float | np.number]
    """What an Event holds beside frames."""

DATASETS = {
    "AD_HDF5": "/entry/data/data",
    "AD_HDF5_SINGLE": "/entry/data/data",
    "AD_HDF5_SWMR": "/entry/data/data",
    "HDF5": "/entry/data/data",
    "XSP3": "/entry/instrument/detector/data",
    "TPX_HDF5": "/entry/instrument/detector/data",
}
"""Where files announced by a Resource of this spec have their frames, unless it says so itself."""


class RunDocuments(DocumentRouter):
    """What the documents of one run have said so far.

    Call it with each document; :meth:`take` gives the frames that were announced since it was last
    called, :meth:`located` all of them. Frames are data of two or three axes, ``([frame,] row, col)``.
    Documents are not changed, and arrays not copied unless their dtype isn't the declared one.
    Those that announce more points than a scan may have raise a `ValueError`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._start: Document = {}
        self._stop: Document = {}
        self._descriptors: dict[str, EventDescriptor] = {}
        self._events: dict[str, list[Row]] = {}
        self._resources: dict[str, Resource] = {}
        self._stream_resources: dict[str, StreamResource] = {}
        self._datums: dict[str, Datum] = {}
        self._waiting: dict[str, list[tuple[str, str, int]]] = {}
        self._early: dict[str, list[Datum]] = {}
        self._early_in_streams: dict[str, list[StreamDatum]] = {}
        self._points: dict[tuple[str, str], Locations] = {}
        self._numbers: dict[tuple[str, str], Locations] = {}
        self._news: list[Location] = []

    @property
    def run(self) -> RunRecord:
        """Start and stop documents, and what the streams' Events held beside frames."""
        streams: dict[str, Stream] = {}
        for descriptor in self._descriptors.values():
            name = descriptor["name"]
            earlier = streams.get(name)
            streams[name] = Stream(
                data_keys={**(earlier.data_keys if earlier else {}), **descriptor["data_keys"]},
                configuration=earlier.configuration
                if earlier
                else descriptor.get("configuration", {}),
                columns=_columns(self._events.get(name, [])),
            )
        return RunRecord(self._start, self._stop, streams)

    @property
    def images(self) -> tuple[tuple[str, str], ...]:
        """(stream, data key) of everything that frames have been announced for."""
        return tuple(self._points)

    def take(self) -> tuple[Location, ...]:
        """Frames announced since this was last called, in order of announcement."""
        news, self._news = tuple(self._news), []
        return news

    def forget(self, location: FramesInEvent) -> None:
        """Forget frames that the caller keeps itself."""
        self._points[location.stream, location.data_key].remove(*location.seq_nums)

    def located(self, stream: str, data_key: str) -> tuple[Location, ...]:
        """Where all frames of a data key are, by ``seq_num``; neighbours in a file in one piece.

        Of points that were announced repeatedly, the last announcement counts.
        """
        points = self._points.get((stream, data_key))
        return points.pieces if points else ()

    @property
    def numbers(self) -> dict[tuple[str, str], tuple[Location, ...]]:
        """Where single numbers are that a device wrote to files, one a point, by stream and data key."""
        return {place: points.pieces for place, points in self._numbers.items()}

    def start(self, doc: RunStart) -> None:
        self._start = doc

    def stop(self, doc: RunStop) -> None:
        self._stop = doc

    def descriptor(self, doc: EventDescriptor) -> None:
        self._descriptors[doc["uid"]] = doc

    def event(self, doc: Event) -> Event:
        descriptor = self._descriptors[doc["descriptor"]]
        stream, seq_num = descriptor["name"], doc["seq_num"]
        row: Row = {"seq_num": seq_num, "time": doc["time"]}
        for key, value in doc["data"].items():
            data_key = descriptor["data_keys"][key]
            if "external" in data_key and not doc.get("filled", {}).get(key, False):
                self._refer(value, (doc["descriptor"], key, seq_num))
            elif are_frames(np.shape(value)):
                array = _as_declared(np.asarray(value), data_key)
                location = FramesInEvent(stream, key, seq_num, array)
                self._found(location, self._points)
                self._news.append(location)
            elif np.ndim(value) == 0 and isinstance(value, (int, float, np.number)):
                row[key] = value
        self._events.setdefault(stream, []).append(row)
        return doc

    def resource(self, doc: Resource) -> None:
        self._resources[doc["uid"]] = doc
        for datum in self._early.pop(doc["uid"], ()):
            self.datum(datum)

    def datum(self, doc: Datum) -> Datum:
        if doc["resource"] in self._resources:
            self._datums[doc["datum_id"]] = doc
            for reference in self._waiting.pop(doc["datum_id"], ()):
                self._refer(doc["datum_id"], reference)
        else:
            self._early.setdefault(doc["resource"], []).append(doc)
        return doc

    def stream_resource(self, doc: StreamResource) -> None:
        self._stream_resources[doc["uid"]] = doc
        for datum in self._early_in_streams.pop(doc["uid"], ()):
            self.stream_datum(datum)

    def stream_datum(self, doc: StreamDatum) -> None:
        resource = self._stream_resources.get(doc["stream_resource"])
        if resource is None:
            self._early_in_streams.setdefault(doc["stream_resource"], []).append(doc)
            return
        indices, seq_nums = _span(doc, "indices"), _span(doc, "seq_nums")
        if indices[1] - indices[0] != seq_nums[1] - seq_nums[0]:
            raise ValueError(f"a stream_datum has the indices {indices} for the points {seq_nums}")
        self._locate(resource, doc["descriptor"], resource["data_key"], indices, seq_nums)

    def _refer(self, datum_id: str, reference: tuple[str, str, int]) -> None:
        """Locate what an Event refers to, now or when its Datum comes."""
        datum = self._datums.get(datum_id)
        if datum is None:
            self._waiting.setdefault(datum_id, []).append(reference)
            return
        descriptor, key, seq_num = reference
        index = datum.get("datum_kwargs", {}).get("point_number", seq_num - 1)
        resource = self._resources[datum["resource"]]
        self._locate(resource, descriptor, key, (index, index + 1), (seq_num, seq_num + 1))

    def _locate(
        self,
        resource: Resource | StreamResource,
        descriptor_uid: str,
        key: str,
        indices: Span,
        seq_nums: Span,
    ) -> None:
        descriptor = self._descriptors[descriptor_uid]
        shape = descriptor["data_keys"][key]["shape"]
        is_number = all(length == 1 for length in shape)
        if not (are_frames(shape) or is_number):
            return
        uri, dataset, options = _file(resource)
        per_point = 1
        if not is_number:
            said = options.get("frame_per_point") or options.get("multiplier")
            per_point = said or (shape[0] if len(shape) == 3 else 1) or 1
        stream, frames = descriptor["name"], (indices[0] * per_point, indices[1] * per_point)
        location = FramesInFile(stream, key, seq_nums, uri, dataset, frames, per_point)
        self._found(location, self._numbers if is_number else self._points)
        if not is_number:
            self._news.append(location)

    def _found(self, location: Location, among: dict[tuple[str, str], Locations]) -> None:
        check_points(location.seq_nums[1] - 1)
        among.setdefault((location.stream, location.data_key), Locations()).put(location)


def _as_declared(array: NDArray[np.number], data_key: DataKey) -> NDArray[np.number]:
    """Frames in the dtype in which ``TiledWriter`` stores them, so that live and offline see the same values.

    Frames that came as lists, or that the device returns in another dtype than it declares, would
    else have other flags here than when they are read from Tiled. Where it isn't declared,
    ``TiledWriter`` takes float64.
    """
    declared = data_key.get("dtype_numpy") or data_key.get("dtype_str") or "<f8"
    try:
        dtype = np.dtype(cast("DTypeLike", declared))
    except (TypeError, ValueError):
        return array
    if not {array.dtype.kind, dtype.kind} <= set("iuf"):
        return array
    with np.errstate(invalid="ignore", over="ignore"):  # as when it is stored
        return array.astype(dtype, copy=False)


def _span(doc: StreamDatum, field: Literal["indices", "seq_nums"]) -> Span:
    start, stop = doc[field]["start"], doc[field]["stop"]
    if not 0 <= start <= stop:
        raise ValueError(f"a stream_datum has the {field} {(start, stop)}")
    return start, stop


def _file(resource: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any]]:
    """URI, dataset and options of a Resource or StreamResource of any age."""
    options = resource.get("parameters") or resource.get("resource_kwargs") or {}
    spec = resource.get("spec", "").upper()
    dataset = options.get("dataset") or options.get("path") or DATASETS.get(spec, "")
    if options.keys() & {"slice", "template"} or "hdf" not in resource.get("mimetype", "hdf"):
        dataset = ""  # the frames are not simply the dataset's
    if "uri" in resource:
        return resource["uri"], dataset, options
    root, path = resource.get("root", ""), resource["resource_path"]
    return (f"{root.rstrip('/')}/{path.lstrip('/')}" if root else path), dataset, options


def _columns(rows: list[Row]) -> dict[str, NDArray[np.number]]:
    keys = dict.fromkeys(key for row in rows for key in row)
    return {key: np.array([row.get(key, np.nan) for row in rows]) for key in keys}
