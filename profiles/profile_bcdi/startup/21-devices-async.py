"""The same with devices of ophyd-async, which can also fly; with BCDI_DEVICES simulated-async or epics-async.

BCDI_MOCK
    With epics-async: set it to try files and plans without EPICS; nothing moves then, and no frames come.
"""

if DEVICES == "simulated-async":
    from bcdi_inpaint.demo import simulated
    from bcdi_inpaint.testing.devices import at_motor, with_gaps
    from bcdi_inpaint.testing.stream_detector import Axis, StreamDetector

    eta = Axis("eta")

    def simulated_detector(name, model):
        """A detector before which the same crystal turns; it records where the motor stands with each frame."""
        scan = simulated(model)
        frames = with_gaps(scan.counts, scan.mask)
        return StreamDetector(
            at_motor(frames, scan.angles, eta),
            FILES,
            name=name,
            model=model,
            region=scan.roi,
            attributes={"eta_readback": lambda: eta.position},
        )

    maxipix = simulated_detector("maxipix", "maxipix_2x2")
    eiger2 = simulated_detector("eiger2", "eiger2_1m")

elif DEVICES == "epics-async":
    from typing import Annotated

    from ophyd_async.core import SignalR, StaticPathProvider, UUIDFilenameProvider, init_devices
    from ophyd_async.epics.adcore import (
        ADAcquireLogic,
        ADBaseIO,
        ADWriterFactory,
        AreaDetector,
        NDAttributePv,
        NDAttributePvDbrType,
        setup_ndattributes,
    )
    from ophyd_async.epics.admerlin import MerlinDriverIO, MerlinTriggerLogic
    from ophyd_async.epics.adsimdetector import SimDetectorTriggerLogic
    from ophyd_async.epics.core import PvSuffix
    from ophyd_async.epics.motor import Motor
    from ophyd_async.fastcs.eiger import EigerDetector

    PREFIX = os.environ.get("BCDI_PREFIX", "BCDI:")
    PATHS = StaticPathProvider(UUIDFilenameProvider(), FILES)

    class Camera(ADBaseIO):
        """Its model tells whose gaps the frames have, its region which part of the frame they are."""

        min_y: Annotated[SignalR[int], PvSuffix("MinY_RBV")]
        min_x: Annotated[SignalR[int], PvSuffix("MinX_RBV")]
        size_y: Annotated[SignalR[int], PvSuffix("SizeY_RBV")]
        size_x: Annotated[SignalR[int], PvSuffix("SizeX_RBV")]

    class MerlinCamera(Camera, MerlinDriverIO):
        """The same for a Merlin."""

    def area_detector(prefix, camera, trigger):
        """An areaDetector whose IOC writes below FILES, which it must see under the same path."""
        driver = camera(f"{prefix}cam1:")
        region = (driver.min_y, driver.size_y, driver.min_x, driver.size_x)
        return AreaDetector(
            driver,
            prefix,
            ADWriterFactory.hdf(PATHS),
            acquire_logic=ADAcquireLogic(driver),
            trigger_logic=trigger(driver),
            config_sigs=(driver.manufacturer, driver.model, *region),
        )

    with init_devices(mock="BCDI_MOCK" in os.environ):
        eta = Motor(f"{PREFIX}eta")
        maxipix = area_detector(f"{PREFIX}maxipix:", Camera, SimDetectorTriggerLogic)
        merlin = area_detector(f"{PREFIX}merlin:", MerlinCamera, MerlinTriggerLogic)
        eiger2 = EigerDetector(f"{PREFIX}eiger2:", PATHS)  # by fastcs

    # With each frame goes where the motor stands: the angles of a fly scan.
    where = NDAttributePv("eta_readback", eta.user_readback, NDAttributePvDbrType.DBR_DOUBLE)
    for device in (maxipix, merlin):
        RE(setup_ndattributes(device.driver, [where]))
