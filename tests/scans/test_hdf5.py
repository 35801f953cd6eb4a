"""Frames are read from real HDF5 files: while they are written, through links, and no farther."""

from __future__ import annotations

import os
import threading
import tracemalloc
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from bcdi_inpaint.scans import (
    OutsideRootsError,
    Retry,
    allowed_path,
    hdf5,
    read_frames,
)
from bcdi_inpaint.testing.file_writers import DATASET, FrameWriter


@pytest.fixture
def frames():
    return np.random.default_rng(2).poisson(5, (5, 12, 16)).astype(np.uint32)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def path(folder):
    return folder / "scan.h5"


def write(path, frames, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("entry/data", data=frames, **options)


def virtual(path, source, frames, name="entry/data", *, twice=False):
    """A virtual dataset of frames in another file."""
    layout = h5py.VirtualLayout(frames.shape, frames.dtype)
    layout[:] = h5py.VirtualSource(source, name, frames.shape)
    if twice:
        layout[1:] = h5py.VirtualSource(f"./{source}", f"/{name}", frames.shape)[1:]
    with h5py.File(path, "w", libver="latest") as file:
        file.create_virtual_dataset("entry/data", layout)


class TestWhileAnotherProcessWrites:
    def test_flushed_frames_are_there(self, path, folder, frames):
        with FrameWriter() as writer:
            writer.open(path, (12, 16), "<u4")
            for n, frame in enumerate(frames, start=1):
                writer.write(frame)
                read = read_frames(str(path), DATASET, roots=[folder])
                np.testing.assert_array_equal(read, frames[:n])

    def test_what_is_cut_off_is_missed_at_once(self, path, folder, frames):
        """HDF5 itself would wait for it for ever."""
        with FrameWriter() as writer:
            writer.open(path, (12, 16), "<u4")
            for frame in frames:
                writer.write(frame)
            open_still = path.read_bytes()
        closed = path.read_bytes()
        for content, kept in ((open_still, 20), (open_still, 100), (closed, 100), (closed, -9)):
            path.write_bytes(content[:kept])
            with pytest.raises(OSError, match=r"scan\.h5 can't be read as HDF5"):
                read_frames(str(path), DATASET, roots=[folder])
        path.write_bytes(open_still[: -2 * frames[0].nbytes])
        read = read_frames(str(path), DATASET, roots=[folder])
        assert 0 < len(read) < len(frames)
        np.testing.assert_array_equal(read, frames[: len(read)])

    def test_as_many_as_are_there(self, path, folder, frames):
        with FrameWriter() as writer:
            writer.open(path, (12, 16), "<u4")
            writer.write(frames[0])
            writer.write(frames[1])
            np.testing.assert_array_equal(
                read_frames(str(path), DATASET, (1, 4), roots=[folder]), frames[1:2]
            )
            assert read_frames(str(path), DATASET, (3, 4), roots=[folder]).shape == (0, 12, 16)

    def test_waits_for_late_frames(self, path, folder, frames):
        def expose():
            for frame in frames:
                writer.write(frame)

        with FrameWriter() as writer:
            writer.open(path, (12, 16), "<u4")
            late = threading.Timer(0.3, expose)
            late.start()
            patient = Retry(attempts=8, pause=0.1)
            read = read_frames(str(path), DATASET, (0, 5), roots=[folder], retry=patient)
            late.join()
        np.testing.assert_array_equal(read, frames)

    def test_waits_for_the_file(self, path, folder, frames):
        late = threading.Timer(0.3, write, [path, frames])
        late.start()
        patient = Retry(attempts=8, pause=0.1)
        read = read_frames(str(path), "entry/data", (0, 5), roots=[folder], retry=patient)
        late.join()
        np.testing.assert_array_equal(read, frames)

    def test_unflushed_frames_are_not(self, path, folder, frames):
        with FrameWriter(flush_every=0) as writer:
            writer.open(path, (12, 16), "<u4")
            writer.write(frames[0])
            assert len(read_frames(str(path), DATASET, roots=[folder])) == 0
            writer.close()
            assert len(read_frames(str(path), DATASET, roots=[folder])) == 1

    def test_a_file_without_swmr_must_be_closed_first(self, path, folder, frames):
        with FrameWriter(swmr=False) as writer:
            writer.open(path, (12, 16), "<u4")
            writer.write(frames[0])
            with pytest.raises(BlockingIOError, match=r"scan\.h5 can't be read as HDF5"):
                read_frames(str(path), DATASET, roots=[folder])
            writer.close()
            np.testing.assert_array_equal(
                read_frames(str(path), DATASET, roots=[folder]), frames[:1]
            )


class TestLayouts:
    @pytest.mark.parametrize("start", range(7))
    @pytest.mark.parametrize("stop", [1, 4, 7, 12, 20])
    def test_frames_count_over_points(self, path, folder, start, stop):
        stack = np.arange(12 * 4 * 5).reshape(4, 3, 4, 5)
        write(path, stack)
        read = read_frames(str(path), "entry/data", (start, stop), roots=[folder])
        np.testing.assert_array_equal(read, stack.reshape(12, 4, 5)[start:stop])

    def test_single_frame(self, path, folder, frames):
        write(path, frames[0])
        np.testing.assert_array_equal(
            read_frames(str(path), "entry/data", roots=[folder]), frames[:1]
        )

    def test_master_file_of_an_eiger(self, path, folder, frames):
        """Compressed frames behind an external link, as Dectris' file writer leaves them."""
        write(folder / "data_000001.h5", frames, chunks=(1, 12, 16), **hdf5plugin.Bitshuffle())
        with h5py.File(path, "w") as master:
            master["entry/data/data_000001"] = h5py.ExternalLink("data_000001.h5", "entry/data")
        read = read_frames(str(path), "entry/data/data_000001", (1, 4), roots=[folder])
        np.testing.assert_array_equal(read, frames[1:4])

    def test_no_dataset_of_frames(self, path, folder):
        write(path, np.arange(4))
        with pytest.raises(OSError, match="has no dataset 'entry/frames'"):
            read_frames(str(path), "entry/frames", roots=[folder])
        for name in ("entry", "entry/data"):
            with pytest.raises(
                ValueError, match=f"'{name}' in .*scan.h5 is not a dataset of frames"
            ):
                read_frames(str(path), name, roots=[folder])

    def test_truncated_file(self, path, folder, frames):
        write(path, frames)
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(OSError, match=r"scan\.h5 can't be read as HDF5"):
            read_frames(str(path), "entry/data", roots=[folder])


class TestBounds:
    @pytest.mark.parametrize(
        ("shape", "chunks"),
        [
            ((512, 1000, 1000), (1, 1000, 1000)),
            ((4, 128, 1000, 1000), (1, 1, 1000, 1000)),
            ((10**7, 10**6, 10**6), (1, 100, 100)),
            ((1, 4, 5), (1, 2000, 2000)),
        ],
    )
    def test_no_memory_is_taken_beyond(self, shape, chunks, path, folder):
        with h5py.File(path, "w") as file:
            file.create_dataset(
                "entry/data", shape, "u1", chunks=chunks, maxshape=[None] * len(shape)
            )
        tracemalloc.start()
        with pytest.raises(ValueError, match="more than largest_stack allows"):
            read_frames(str(path), "entry/data", roots=[folder], largest=2**20)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2**20

    def test_a_part_of_a_large_dataset(self, path, folder):
        with h5py.File(path, "w") as file:
            file.create_dataset("entry/data", (10**6, 100, 100), "u1", chunks=(1, 100, 100))
        read = read_frames(str(path), "entry/data", (5, 9), roots=[folder], largest=40_000)
        assert read.shape == (4, 100, 100)

    def test_objects_are_no_frames(self, path, folder):
        with h5py.File(path, "w") as file:
            file.create_dataset("entry/data", (2, 4, 5), h5py.string_dtype())
        with pytest.raises(ValueError, match="is not a dataset of frames"):
            read_frames(str(path), "entry/data", roots=[folder])


class TestWhatIsNoFile:
    @pytest.mark.timeout(20)
    @pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
    def test_is_refused_and_not_waited_for(self, make, path, folder):
        make(path)
        with pytest.raises(ValueError, match=r"^\S*/scan\.h5 is not a regular file$"):
            read_frames(str(path), "entry/data", roots=[folder], retry=Retry(attempts=3))

    @pytest.mark.parametrize("device", ["/dev/zero", "/dev/full"])
    def test_devices(self, device):
        with pytest.raises(ValueError, match=f"^{device} is not a regular file$"):
            read_frames(device, "entry/data", roots=["/dev"])


class TestRoots:
    @pytest.fixture
    def secret(self, tmp_path, frames):
        """A file outside the folder that may be read."""
        path = tmp_path / "secret.h5"
        write(path, frames)
        return path

    def refused(self, path, folder, dataset="entry/data"):
        with pytest.raises(OutsideRootsError, match="not below an allowed folder"):
            read_frames(str(path), dataset, roots=[folder])

    def test_outside(self, secret, folder):
        self.refused(secret, folder)
        self.refused(folder / ".." / "secret.h5", folder)
        with pytest.raises(OutsideRootsError, match="none is configured"):
            read_frames(str(secret), "entry/data", roots=[])

    def test_a_folder_of_similar_name(self, secret, folder):
        self.refused(secret, secret.parent / "secret")

    def test_symbolic_links_are_followed(self, secret, folder, path, frames):
        path.symlink_to(secret)
        self.refused(path, folder)
        linked = folder.parent / "linked"
        linked.symlink_to(folder)
        write(folder / "fine.h5", frames)
        assert len(read_frames(str(linked / "fine.h5"), "entry/data", roots=[folder])) == 5
        assert len(read_frames(str(folder / "fine.h5"), "entry/data", roots=[linked])) == 5

    @pytest.fixture(params=["next to it", "named in full", "in the working directory"])
    def secrets_name(self, request, secret, folder, monkeypatch):
        """A name under which HDF5 finds the secret from within the folder."""
        match request.param:
            case "next to it":
                return "../secret.h5"
            case "named in full":
                return str(secret)
            case "in the working directory":
                monkeypatch.chdir(secret.parent)
                return "secret.h5"

    def test_external_link(self, secrets_name, folder, path):
        with h5py.File(path, "w") as file:
            file["entry/data"] = h5py.ExternalLink(secrets_name, "entry/data")
            file["soft"] = h5py.SoftLink("/entry/data")
            file["group"] = h5py.ExternalLink(secrets_name, "entry")
        for name in ("entry/data", "soft", "group/data"):
            self.refused(path, folder, name)

    def test_virtual_dataset(self, secrets_name, folder, path, frames):
        virtual(path, secrets_name, frames)
        self.refused(path, folder)
        if secrets_name.startswith("/"):
            assert len(read_frames(str(path), "entry/data", roots=[folder.parent])) == 5

    def test_behind_other_files(self, secrets_name, folder, path, frames):
        """Virtual datasets of virtual datasets, links in a source, and links to links."""
        with h5py.File(folder / "link.h5", "w") as file:
            file["entry/data"] = h5py.ExternalLink(secrets_name, "entry/data")
        virtual(folder / "virtual.h5", secrets_name, frames)
        for between in ("link.h5", "virtual.h5"):
            virtual(path, between, frames)
            self.refused(path, folder)
            with h5py.File(path, "w") as file:
                file["entry/data"] = h5py.ExternalLink(between, "entry/data")
            self.refused(path, folder)

    def test_a_virtual_dataset_of_the_same_file(self, secrets_name, folder, path, frames):
        layout = h5py.VirtualLayout(frames.shape, frames.dtype)
        layout[:] = h5py.VirtualSource(".", "link", frames.shape)
        with h5py.File(path, "w", libver="latest") as file:
            file.create_virtual_dataset("entry/data", layout)
            file["link"] = h5py.ExternalLink(secrets_name, "entry/data")
        self.refused(path, folder)

    @pytest.mark.parametrize("name", ["../secret.raw", "secret.raw"])
    def test_raw_bytes_elsewhere(self, name, folder, path, monkeypatch):
        """HDF5 takes their names from the working directory on, not from the file."""
        (folder.parent / "secret.raw").write_bytes(bytes(100))
        monkeypatch.chdir(folder if name.startswith("..") else folder.parent)
        with h5py.File(folder / "raw.h5", "w") as file:
            file.create_dataset("entry/data", (5, 4, 4), "u1", external=[(name, 0, 80)])
        self.refused(folder / "raw.h5", folder)
        virtual(path, "raw.h5", np.zeros((5, 4, 4), "u1"))
        self.refused(path, folder)
        assert read_frames(str(path), "entry/data", roots=[folder.parent]).shape == (5, 4, 4)

    def test_a_name_that_looks_like_a_uri(self, folder, secret, path, frames):
        """All of a name in a file is a path, whatever is in it."""
        (folder / "a#b").mkdir()
        virtual(path, "a#b/../../secret.h5", frames)
        self.refused(path, folder)

    def test_sources_that_are_named_by_a_pattern(self, folder, path, frames):
        endless, block = h5py.h5s.UNLIMITED, (1, *frames.shape[1:])
        space = h5py.h5s.create_simple((0, *block[1:]), (endless, *block[1:]))
        space.select_hyperslab((0, 0, 0), (endless, 1, 1), block, block)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_virtual(space, b"data-%b.h5", b"entry/data", h5py.h5s.create_simple(block))
        with h5py.File(path, "w", libver="latest") as file:
            group = file.create_group("entry").id
            h5py.h5d.create(group, b"data", h5py.h5t.STD_U32LE, space, plist)
        with pytest.raises(OutsideRootsError, match="names the sources of its data by a pattern"):
            read_frames(str(path), "entry/data", roots=[folder])


class TestFilesThatAreSwapped:
    """A file is put in the place of another one after that has been looked at."""

    @pytest.fixture
    def secret(self, tmp_path, frames):
        write(tmp_path / "secret.h5", frames + 100)
        return tmp_path / "secret.h5"

    @pytest.fixture
    def opening(self, monkeypatch):
        """Has something done before and after HDF5 opens the file of a name."""

        def install(name, before, after=lambda: None):
            class File(h5py.File):
                def __init__(self, path, *args, **kwargs):
                    here = Path(path).name == name
                    if here:
                        before()
                    super().__init__(path, *args, **kwargs)
                    if here:
                        after()

            monkeypatch.setattr(h5py, "File", File)

        return install

    @staticmethod
    def swap(path, other):
        path.rename(path.with_name("aside"))
        path.symlink_to(other)

    @staticmethod
    def swap_back(path):
        path.with_name("aside").replace(path)

    @pytest.mark.parametrize("back", [False, True])
    def test_the_file_itself(self, path, folder, frames, secret, opening, back):
        write(path, frames)
        opening(
            "scan.h5",
            lambda: self.swap(path, secret),
            lambda: back and self.swap_back(path),
        )
        with pytest.raises(OutsideRootsError, match=r"secret\.h5 may not be read"):
            read_frames(str(path), "entry/data", roots=[folder])

    def test_its_folder(self, folder, frames, secret, opening, tmp_path):
        inner = folder / "inner"
        inner.mkdir()
        write(inner / "secret.h5", frames)
        opening("secret.h5", lambda: self.swap(inner, tmp_path))
        with pytest.raises(OutsideRootsError, match=r"secret\.h5 may not be read"):
            read_frames(str(inner / "secret.h5"), "entry/data", roots=[folder])

    def test_one_that_a_link_leads_to(self, path, folder, frames, secret, opening):
        write(folder / "other.h5", frames)
        with h5py.File(path, "w") as file:
            file["entry/data"] = h5py.ExternalLink("other.h5", "entry/data")
        opening("other.h5", lambda: self.swap(folder / "other.h5", secret))
        with pytest.raises(OutsideRootsError, match=r"secret\.h5 may not be read"):
            read_frames(str(path), "entry/data", roots=[folder])

    def test_a_source_of_a_virtual_dataset(self, path, folder, frames, secret, monkeypatch):
        """HDF5 opens it when it reads."""
        write(folder / "other.h5", frames)
        virtual(path, "other.h5", frames)
        read = hdf5._frames

        def swapped(*args):
            self.swap(folder / "other.h5", secret)
            return read(*args)

        monkeypatch.setattr(hdf5, "_frames", swapped)
        with pytest.raises(OutsideRootsError, match=r"secret\.h5 may not be read"):
            read_frames(str(path), "entry/data", roots=[folder])

    def test_a_writer_may_put_a_new_file_in_the_place_of_an_old_one(
        self, path, folder, frames, opening
    ):
        write(path, frames)
        write(folder / "new.h5", frames + 1)
        opening("scan.h5", lambda: None, lambda: (folder / "new.h5").replace(path))
        read = read_frames(str(path), "entry/data", roots=[folder])
        np.testing.assert_array_equal(read, frames)


class TestSources:
    """Files that HDF5 puts together, all below the root."""

    @pytest.fixture(autouse=True)
    def _elsewhere(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

    def test_all_that_lie_below_are_read(self, folder, path, frames):
        write(folder / "one.h5", frames)
        (folder / "deep").mkdir()
        virtual(folder / "deep" / "two.h5", "../one.h5", frames)
        with h5py.File(folder / "three.h5", "w") as file:
            file["entry"] = h5py.ExternalLink("deep/two.h5", "/entry")
            file["entries"] = h5py.SoftLink("entry/data")
        virtual(path, str(folder / "three.h5"), frames, "entries")
        np.testing.assert_array_equal(
            read_frames(str(path), "entry/data", (1, 4), roots=[folder]), frames[1:4]
        )

    def test_one_that_is_not_there_is_filled_in_for(self, folder, path, frames):
        virtual(path, "later.h5", frames)
        assert not read_frames(str(path), "entry/data", roots=[folder]).any()

    @pytest.mark.timeout(20)
    def test_a_pipe_is_not_waited_for(self, folder, path, frames):
        os.mkfifo(folder / "pipe.h5")
        virtual(path, "pipe.h5", frames)
        with h5py.File(path, "a") as file:
            file["link"] = h5py.ExternalLink("pipe.h5", "entry/data")
        for name in ("entry/data", "link"):
            with pytest.raises(ValueError, match=r"/pipe\.h5 is not a regular file$"):
                read_frames(str(path), name, roots=[folder])

    @pytest.mark.timeout(20)
    @pytest.mark.parametrize("name", [".", "scan.h5", "other.h5"])
    def test_a_dataset_made_of_itself(self, name, folder, path, frames):
        virtual(path, name, frames)
        virtual(folder / "other.h5", "scan.h5", frames)
        with pytest.raises(ValueError, match="is made of itself"):
            read_frames(str(path), "entry/data", roots=[folder])

    def test_one_that_many_share_is_looked_into_once(self, folder, path, frames):
        """Each level has two ways to the one below."""
        write(folder / "0.h5", frames)
        for level in range(1, 9):
            virtual(folder / f"{level}.h5", f"{level - 1}.h5", frames, twice=True)
        read = read_frames(str(folder / "8.h5"), "entry/data", roots=[folder])
        np.testing.assert_array_equal(read, frames)

    def test_links_in_a_circle(self, folder, path):
        with h5py.File(path, "w") as file:
            file["a"] = h5py.SoftLink("/b")
            file["b"] = h5py.ExternalLink("scan.h5", "a")
        with pytest.raises(OSError, match="leads over more than 16 links"):
            read_frames(str(path), "a", roots=[folder])


class TestUris:
    def test_forms(self, folder):
        file = folder / "a scan%1.h5"
        file.touch()
        for uri in (
            str(file),
            f"file://{file}",
            f"file://localhost{file}",
            file.as_uri(),
            file.as_uri().replace("file://", "file://localhost"),
        ):
            assert allowed_path(uri, [folder]) == file

    @pytest.mark.parametrize("uri", ["https://example.org/a.h5", "file://elsewhere/a.h5"])
    def test_not_local(self, uri, folder):
        with pytest.raises(ValueError, match="not a local file"):
            allowed_path(uri, ["/"])
