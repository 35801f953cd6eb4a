"""Motor and detectors: simulated, or the real ones over EPICS. This is the file to change.

BCDI_DEVICES
    simulated (as it is) or epics.
BCDI_PREFIX
    With epics: what the PVs' names begin with.
"""

import os

DEVICES = os.environ.get("BCDI_DEVICES", "simulated")

if DEVICES == "simulated":
    from ophyd.sim import SynAxis

    from bcdi_inpaint.demo import simulated
    from bcdi_inpaint.simulate.beamline import AreaDetector, at_motor, with_gaps

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
    from ophyd import Component, EpicsMotor
    from ophyd.areadetector import CamBase, DetectorBase, HDF5Plugin, SingleTrigger
    from ophyd.areadetector.filestore_mixins import FileStoreHDF5IterativeWrite

    PREFIX = os.environ.get("BCDI_PREFIX", "BCDI:")

    class Camera(CamBase):
        """Its model tells whose gaps the frames have, its region which part of the frame they are."""

        _default_configuration_attrs = (
            *("acquire_time", "num_images", "manufacturer", "model"),
            *("bin_x", "bin_y", "min_x", "min_y", "size"),
        )

    class Hdf5(HDF5Plugin, FileStoreHDF5IterativeWrite):
        """Files that can be read while they are written."""

        def stage(self):
            self.stage_sigs.update(swmr_mode=1, num_frames_flush=1)
            return super().stage()

    class Detector(SingleTrigger, DetectorBase):
        """An areaDetector whose IOC writes below FILES, which it must see under the same path."""

        cam = Component(Camera, "cam1:", kind="config")
        hdf5 = Component(Hdf5, "HDF1:", write_path_template=f"{FILES}/", root="/")

    eta = EpicsMotor(f"{PREFIX}eta", name="eta")
    maxipix = Detector(f"{PREFIX}maxipix:", name="maxipix")
    eiger2 = Detector(f"{PREFIX}eiger2:", name="eiger2")

else:
    raise ValueError(f"BCDI_DEVICES={DEVICES!r}: takes simulated or epics")
