"""Motor and detectors: simulated, or the real ones over EPICS. This is the file to change.

BCDI_DEVICES
    simulated (as it is) or epics; simulated-async or epics-async: those of the next file.
BCDI_PREFIX
    With epics: what the PVs' names begin with.
"""

import os
import time

DEVICES = os.environ.get("BCDI_DEVICES", "simulated")

if DEVICES == "simulated":
    from ophyd.sim import SynAxis

    from bcdi_inpaint.demo import simulated
    from bcdi_inpaint.testing.devices import AreaDetector, at_motor, with_gaps

    eta = SynAxis(name="eta", egu="deg")

    def simulated_detector(name, model):
        """A detector before which the same crystal turns; its gap passes near the Bragg peak."""
        scan = simulated(model)
        frames = with_gaps(scan.counts, scan.mask)
        device = AreaDetector(at_motor(frames, scan.angles, eta), FILES, name=name, model=model)
        device.cam.show_region(*scan.roi)
        return device

    maxipix = simulated_detector("maxipix", "maxipix_2x2")
    eiger2 = simulated_detector("eiger2", "eiger2_1m")

elif DEVICES == "epics":
    from ophyd import Component, EpicsMotor, EpicsSignalRO
    from ophyd.areadetector import CamBase, DetectorBase, SingleTrigger
    from ophyd.areadetector.filestore_mixins import FileStoreHDF5IterativeWrite
    from ophyd.areadetector.plugins import HDF5Plugin_V34, StatsPlugin_V34
    from ophyd.signal import EpicsSignalBase

    EpicsSignalBase.set_defaults(connection_timeout=20, timeout=20)

    PREFIX = os.environ.get("BCDI_PREFIX", "BCDI:")

    class Camera(CamBase):
        """Its model tells whose gaps the frames have, its region which part of the frame they are."""

        _default_configuration_attrs = (
            *("acquire_time", "num_images", "manufacturer", "model"),
            *("bin_x", "bin_y", "min_x", "min_y", "size.size_x", "size.size_y"),
        )

    class Hdf5(HDF5Plugin_V34, FileStoreHDF5IterativeWrite):
        """Files that can be read while they are written."""

        _default_configuration_attrs = ()

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.filestore_spec = "AD_HDF5_SWMR"
            self.stage_sigs.update(swmr_mode="On", num_frames_flush=1)
            self.stage_sigs.move_to_end("capture")

    class Stats(StatsPlugin_V34):
        """Counts in a frame, which Bluesky tabulates and plots."""

        _default_read_attrs = ("total",)
        _default_configuration_attrs = ()

        total = Component(EpicsSignalRO, "Total_RBV")

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.total.kind = "hinted"
            self.stage_sigs.update(compute_statistics="Yes")

    class Detector(SingleTrigger, DetectorBase):
        """An areaDetector whose IOC writes below FILES, which it must see under the same path."""

        _default_read_attrs = ("hdf5", "stats")

        cam = Component(Camera, "cam1:")
        hdf5 = Component(Hdf5, "HDF1:", write_path_template=f"{FILES}/", root="/")
        stats = Component(Stats, "Stats1:")

        def trigger(self):
            # SingleTrigger's own begins to expose first, and returns None if that is over too soon.
            status = self._status = self._status_type(self)
            self.generate_datum(self._image_name, time.time(), {})
            self._acquisition_signal.put(1, wait=False)
            return status

    eta = EpicsMotor(f"{PREFIX}eta", name="eta")
    maxipix = Detector(f"{PREFIX}maxipix:", name="maxipix")
    eiger2 = Detector(f"{PREFIX}eiger2:", name="eiger2")

elif DEVICES not in ("simulated-async", "epics-async"):
    takes = "simulated, epics, simulated-async or epics-async"
    raise ValueError(f"BCDI_DEVICES={DEVICES!r}: takes {takes}")
