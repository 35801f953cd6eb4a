"""What documents say of where the frames are, however they come."""

from __future__ import annotations

import copy
import itertools
import tracemalloc

import event_model
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcdi_inpaint.scans import (
    FramesInEvent,
    FramesInFile,
    ReadingOptions,
    RunDocuments,
    from_documents,
    read_points,
)
from bcdi_inpaint.scans.points import pair
from tests.helpers.scans import feed

IMAGE = {"source": "", "dtype": "array", "dtype_numpy": "<u4", "shape": [1, 4, 5]}
MOTOR = {"source": "", "dtype": "number", "shape": []}
URI = "file://localhost/data/scan.h5"


def begin(**data_keys):
    """Documents that have seen a start and a descriptor, and what composes more."""
    documents, run = RunDocuments(), event_model.compose_run()
    stream = run.compose_descriptor(name="primary", data_keys=data_keys)
    feed([("start", run.start_doc), ("descriptor", stream.descriptor_doc)], documents)
    return documents, run, stream


def stream_run(shape=(1, 4, 5), **parameters):
    documents, run, stream = begin(det={**IMAGE, "shape": list(shape), "external": "STREAM:"})
    resource = run.compose_stream_resource(
        mimetype="application/x-hdf5",
        uri=URI,
        data_key="det",
        parameters={"dataset": "/entry/data/data", **parameters},
    )
    return documents, run, stream, resource


def stream_datum(resource, stream, start, stop, seq_num=None):
    first = start + 1 if seq_num is None else seq_num
    return "stream_datum", resource.compose_stream_datum(
        indices={"start": start, "stop": stop},
        seq_nums={"start": first, "stop": first + stop - start},
        descriptor=stream.descriptor_doc,
    )


def in_file(seq_nums, frames, per_point=1, uri=URI, dataset="/entry/data/data"):
    return FramesInFile("primary", "det", seq_nums, uri, dataset, frames, per_point)


class TestStreamDatum:
    @given(
        cuts=st.sets(st.integers(1, 29)),
        order=st.randoms(use_true_random=False),
        resource_at=st.integers(0, 30),
        per_point=st.sampled_from([1, 3]),
    )
    def test_neither_chunks_nor_order_matter(self, cuts, order, resource_at, per_point):
        documents, _, stream, resource = stream_run((per_point, 4, 5))
        borders = sorted({0, *cuts, 30})
        pieces = [
            stream_datum(resource, stream, start, stop)
            for start, stop in itertools.pairwise(borders)
        ]
        order.shuffle(pieces)
        pieces.insert(resource_at, ("stream_resource", resource.stream_resource_doc))
        feed(pieces, documents)
        whole = in_file((1, 31), (0, 30 * per_point), per_point)
        assert documents.located("primary", "det") == (whole,)
        assert documents.images == (("primary", "det"),)
        taken = documents.take()
        assert len(taken) == len(borders) - 1
        assert sorted(number for part in taken for number in range(*part.seq_nums)) == [
            *range(1, 31)
        ]
        assert documents.take() == ()

    def test_missing_and_repeated_points(self):
        documents, _, stream, resource = stream_run()
        feed(
            [
                ("stream_resource", resource.stream_resource_doc),
                stream_datum(resource, stream, 0, 3),
                stream_datum(resource, stream, 3, 4, seq_num=3),
                stream_datum(resource, stream, 5, 8, seq_num=5),
            ],
            documents,
        )
        assert documents.located("primary", "det") == (
            in_file((1, 3), (0, 2)),
            in_file((3, 4), (3, 4)),
            in_file((5, 8), (5, 8)),
        )

    @given(
        spans=st.lists(
            st.tuples(st.integers(0, 20), st.integers(0, 8), st.integers(-3, 3)), max_size=12
        ),
        per_point=st.sampled_from([1, 3]),
    )
    def test_the_last_announcement_of_a_point_counts(self, spans, per_point):
        documents, _, stream, resource = stream_run((per_point, 4, 5))
        documents("stream_resource", resource.stream_resource_doc)
        last = {}
        for start, length, shift in spans:
            stop, seq_num = start + length, max(1 + start + shift, 1)
            feed([stream_datum(resource, stream, start, stop, seq_num)], documents)
            last.update(zip(range(seq_num, seq_num + length), range(start, stop), strict=True))
        pieces = documents.located("primary", "det")
        told = {}
        for piece in pieces:
            frames = range(piece.frames[0], piece.frames[1], per_point)
            told.update(zip(range(*piece.seq_nums), frames, strict=True))
        assert [*told.items()] == [
            (number, index * per_point) for number, index in sorted(last.items())
        ]
        assert not any(one.joined(next_one) for one, next_one in itertools.pairwise(pieces))

    def test_a_document_costs_the_same_however_many_points_it_announces(self):
        documents, _, stream, resource = stream_run()
        documents("stream_resource", resource.stream_resource_doc)
        many = stream_datum(resource, stream, 0, 500_000)
        tracemalloc.start()
        feed([many], documents)
        located = documents.located("primary", "det")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert located == (in_file((1, 500_001), (0, 500_000)),)
        assert peak < 100_000

    @pytest.mark.parametrize(
        ("indices", "seq_nums", "said"),
        [
            ((0, 10**9), (1, 1 + 10**9), "at most 1000000 points, not 1000000000"),
            ((0, 1), (2_000_000, 2_000_001), "at most 1000000 points"),
            ((5, 3), (6, 4), r"has the indices \(5, 3\)"),
            ((-2, 0), (1, 3), r"has the indices \(-2, 0\)"),
            ((0, 3), (4, 1), r"has the seq_nums \(4, 1\)"),
            ((0, 3), (1, 3), r"has the indices \(0, 3\) for the points \(1, 3\)"),
        ],
    )
    def test_points_that_can_not_be_are_refused(self, indices, seq_nums, said):
        documents, _, stream, resource = stream_run()
        documents("stream_resource", resource.stream_resource_doc)
        name, datum = stream_datum(resource, stream, 0, 2)
        datum["indices"] = dict(zip(("start", "stop"), indices, strict=True))
        datum["seq_nums"] = dict(zip(("start", "stop"), seq_nums, strict=True))
        with pytest.raises(ValueError, match=said):
            documents(name, datum)
        assert documents.take() == ()
        assert documents.located("primary", "det") == ()

    def test_files_that_follow_each_other(self):
        documents, run, stream, first = stream_run()
        second = run.compose_stream_resource(
            mimetype="application/x-hdf5",
            uri="file://localhost/data/next.h5",
            data_key="det",
            parameters={"dataset": "/entry/data/data"},
        )
        feed(
            [
                ("stream_resource", first.stream_resource_doc),
                stream_datum(first, stream, 0, 4),
                ("stream_resource", second.stream_resource_doc),
                stream_datum(second, stream, 0, 2, seq_num=5),
            ],
            documents,
        )
        assert documents.located("primary", "det") == (
            in_file((1, 5), (0, 4)),
            in_file((5, 7), (0, 2), uri="file://localhost/data/next.h5"),
        )

    def test_fields_from_a_newer_schema(self):
        documents, _, stream, resource = stream_run()
        newer = ("stream_resource", {**resource.stream_resource_doc, "checksum": "abc"})
        name, datum = stream_datum(resource, stream, 0, 2)
        feed([newer, (name, {**datum, "quality": 0.9})], documents)
        assert documents.located("primary", "det") == (in_file((1, 3), (0, 2)),)

    @pytest.mark.parametrize("parameters", [{"slice": ":,0"}, {"template": "%d.h5"}])
    def test_what_is_not_simply_a_dataset_is_not_read_along(self, parameters):
        documents, _, stream, resource = stream_run(**parameters)
        feed(
            [
                ("stream_resource", resource.stream_resource_doc),
                stream_datum(resource, stream, 0, 2),
            ],
            documents,
        )
        (location,) = documents.located("primary", "det")
        assert location.dataset == ""
        with pytest.raises(OSError, match="not a plain HDF5 dataset; read the finished run"):
            read_points(location, roots=["/"])

    def test_other_data_than_frames(self):
        documents, _, stream, resource = stream_run((1, 4096))
        feed(
            [
                ("stream_resource", resource.stream_resource_doc),
                stream_datum(resource, stream, 0, 2),
            ],
            documents,
        )
        assert documents.images == ()


def datum_run():
    """A run of three points whose file has two frames for each: what comes after the descriptor."""
    documents, run, stream = begin(
        det={**IMAGE, "shape": [2, 4, 5], "external": "FILESTORE:"}, eta=MOTOR
    )
    resource = run.compose_resource(
        spec="AD_HDF5_SWMR",
        root="/data",
        resource_path="scan.h5",
        resource_kwargs={"frame_per_point": 2},
    )
    datums = [resource.compose_datum({"point_number": n}) for n in range(3)]
    events = [
        stream.compose_event(
            data={"det": datum["datum_id"], "eta": 0.1 * n},
            timestamps={"det": 0, "eta": 0},
            filled={"det": False},
        )
        for n, datum in enumerate(datums)
    ]
    return documents, resource.resource_doc, datums, events


class TestDatum:
    WHOLE = (in_file((1, 4), (0, 6), 2, uri="/data/scan.h5"),)

    def test_in_their_usual_order(self):
        documents, resource, datums, events = datum_run()
        documents("resource", resource)
        for datum, event in zip(datums, events, strict=True):
            feed([("datum", datum), ("event", event)], documents)
            assert len(documents.take()) == 1
        assert documents.located("primary", "det") == self.WHOLE

    @given(order=st.permutations(range(7)))
    def test_in_any_order(self, order):
        documents, resource, datums, events = datum_run()
        pieces = [
            ("resource", resource),
            *(("datum", datum) for datum in datums),
            *(("event", event) for event in events),
        ]
        feed((pieces[n] for n in order), documents)
        assert documents.located("primary", "det") == self.WHOLE
        columns = documents.run.streams["primary"].columns
        np.testing.assert_allclose(columns["eta"], 0.1 * (columns["seq_num"] - 1))

    def test_in_pages(self):
        documents, resource, datums, events = datum_run()
        feed(
            [
                ("resource", resource),
                ("datum_page", event_model.pack_datum_page(*datums)),
                ("event_page", event_model.pack_event_page(*events)),
            ],
            documents,
        )
        assert documents.located("primary", "det") == self.WHOLE

    def test_a_datum_that_never_comes(self):
        documents, resource, datums, events = datum_run()
        feed(
            [
                ("resource", resource),
                *(("datum", datum) for datum in datums[:2]),
                *(("event", event) for event in events),
            ],
            documents,
        )
        assert documents.located("primary", "det") == (
            in_file((1, 3), (0, 4), 2, uri="/data/scan.h5"),
        )


class TestArraysInEvents:
    def events(self, stream, n, lists=False):
        frames = np.arange(n * 20, dtype=np.uint32).reshape(n, 4, 5)
        return frames, [
            stream.compose_event(
                data={"det": frame.tolist() if lists else frame, "eta": 0.1 * number},
                timestamps={"det": 0, "eta": 0},
            )
            for number, frame in enumerate(frames)
        ]

    @pytest.fixture
    def begun(self):
        return begin(det={**IMAGE, "shape": [4, 5]}, eta=MOTOR)

    def test_are_handed_on_uncopied(self, begun):
        documents, _, stream = begun
        frames, events = self.events(stream, 2)
        documents("event", events[0])
        (location,) = documents.take()
        assert isinstance(location, FramesInEvent)
        assert np.shares_memory(location.array, frames)

    def test_late_and_out_of_order(self, begun):
        documents, _, stream = begun
        frames, events = self.events(stream, 5)
        feed([("event", events[n]) for n in (0, 3, 1, 4, 2)], documents)
        scan = from_documents(documents, ReadingOptions(mask=False, motor="eta"))
        np.testing.assert_array_equal(scan.frames, frames)
        np.testing.assert_allclose(scan.angles, [0, 0.1, 0.2, 0.3, 0.4])

    def test_as_lists_from_json(self, begun):
        documents, _, stream = begun
        frames, events = self.events(stream, 3, lists=True)
        feed([("event", event) for event in events], documents)
        np.testing.assert_array_equal(
            from_documents(documents, ReadingOptions(mask=False)).frames, frames
        )

    def test_documents_are_left_as_they_were(self, begun):
        documents, _, stream = begun
        _, events = self.events(stream, 3)
        before = copy.deepcopy(events)
        feed([("event", event) for event in events], documents)
        from_documents(documents, ReadingOptions(mask=False))
        np.testing.assert_equal(events, before)

    def test_a_run_that_goes_on(self, begun):
        documents, _, stream = begun
        _, events = self.events(stream, 3)
        feed([("event", event) for event in events], documents)
        scan = from_documents(documents, ReadingOptions(mask=False))
        assert scan.metadata.notes == ("the run had not ended",)
        assert scan.metadata.exit_status == ""

    def test_frames_of_another_shape(self, begun):
        documents, _, stream = begun
        frames, events = self.events(stream, 3)
        events[1]["data"]["det"] = np.zeros((4, 6), dtype=np.uint32)
        feed([("event", event) for event in events], documents)
        scan = from_documents(documents, ReadingOptions(mask=False))
        np.testing.assert_array_equal(scan.frames, frames[[0, 2]])
        assert "1 point of another shape than (4, 5) left out" in scan.metadata.notes


class TestPairing:
    """Frames and Events that belong to the same point."""

    @given(
        numbers=st.sets(st.integers(1, 20)),
        of_events=st.lists(st.integers(1, 20), min_size=1),
    )
    def test_by_number(self, numbers, of_events):
        seq_nums = np.array(sorted(numbers), dtype=np.int64)
        events = np.array(of_events, dtype=np.int64)
        points, rows, notes = pair(len(seq_nums), seq_nums, events)
        np.testing.assert_array_equal(seq_nums[points], events[rows])
        assert seq_nums[points].tolist() == sorted(numbers & set(of_events))
        for row in rows:
            assert events[row] not in events[row + 1 :]
        everything = len(points) == len(numbers) == len(of_events)
        assert everything == (notes == [])

    @given(n_points=st.integers(0, 12), n_rows=st.integers(1, 12))
    def test_by_order(self, n_points, n_rows):
        points, rows, notes = pair(n_points, None, np.arange(1, n_rows + 1))
        both = min(n_points, n_rows)
        assert points.tolist() == rows.tolist() == list(range(both))
        assert (notes == []) == (n_points == n_rows)

    def test_says_what_is_left_out(self):
        assert pair(5, None, np.array([1, 2, 3]))[2] == ["2 points without an Event left out"]
        assert pair(2, None, np.array([1, 2, 3]))[2] == ["1 point without a frame left out"]
        assert pair(4, None, np.array([1, 2, 2, 3]))[2] == [
            "of 1 repeated point the last reading counts"
        ]

    def test_frames_that_were_not_repeated_with_their_event(self):
        points, rows, _ = pair(3, None, np.array([1, 2, 2, 3]))
        assert points.tolist() == [0, 1, 2]
        assert rows.tolist() == [0, 2, 3]
