"""The detectors, as data.

How to add one is in ``CONTRIBUTING.md``.

The figures are facts read in the sources below; pyFAI (MIT) agrees pixel by pixel with the class
``dead`` of every detector that it knows.

* Maxipix: LImA's Maxipix plugin, ``MaxipixReconstruction.cpp`` (4 blank pixels between chips; the
  last pixel of a chip is three pixels wide).
* Dectris, Pilatus, Jungfrau, Lambda: ``pyFAI.detectors``.
* PSI Eiger: slsDetectorPackage ``eiger/Geometry.h`` and LImA's SlsDetector plugin (edge pixels are
  halved, chip-border pixels are halved and copied).
* Merlin and Timepix quads: bcdi's ``detector.py``; cohere's ``aps_34idc/detectors.py``.
* Excalibur: DiamondLightSource/excalibur-detector, ``ExcaliburProcessPlugin.h``.
"""

from __future__ import annotations

from dataclasses import replace

from .chips import Detector, Lines, Module

_CHIPS = ((256,), (256, 514, 772))  # of a first-generation Eiger or Jungfrau module

MAXIPIX = Module("ESRF", 55e-6, (256, 256), ((4,), (4,)), edge=1, edge_factor=3)
TIMEPIX = Module("ASI", 55e-6, (256, 256), ((0,), (0,)))
MERLIN = Module("Quantum Detectors", 55e-6, (256, 256), ((3,), (3,)), edge=1)
LAMBDA = Module("X-Spectrum", 55e-6, (256, 256), ((4,), (4,)), edge=1, edge_factor=3)
EXCALIBUR = Module("Diamond", 55e-6, (256, 256), ((3, 125), (3,)))
PSI_EIGER = Module("PSI", 75e-6, (514, 1030), ((36,), (9,)), edge=1, edge_factor=2, chips=_CHIPS)
JUNGFRAU = Module("PSI", 75e-6, (514, 1030), ((36,), (8,)), chips=_CHIPS)
EIGER_X = Module("Dectris", 75e-6, (514, 1030), ((37,), (10,)), edge=1, chips=_CHIPS)
EIGER2 = Module("Dectris", 75e-6, (512, 1028), ((38,), (12,)))
EIGER2_CDTE = replace(EIGER2, dead=((), ((513, 515),)), sensor="CdTe")
PILATUS = Module("Dectris", 172e-6, (195, 487), ((17,), (7,)))
PILATUS_CDTE = replace(PILATUS, dead=((), ((242, 245),)), sensor="CdTe")
PILATUS4 = Module("Dectris", 150e-6, (255, 513), ((20,), (7,)))

# bcdi's and cdiutils' mask of ID01's Eiger2M, drawn by hand, without the defects of that one unit.
_EIGER2M_DRAWN = Lines(
    rows=(
        (255, 259),
        (511, 552),
        (804, 809),
        (1061, 1102),
        (1355, 1359),
        (1611, 1652),
        (1905, 1909),
    ),
    cols=((255, 259), (513, 517), (771, 775)),
)

_ALL = (
    Detector("maxipix_2x2", "Maxipix 2x2", MAXIPIX, (2, 2), "dead+large"),
    Detector("maxipix_5x1", "Maxipix 5x1", MAXIPIX, (1, 5), "dead+large"),
    Detector("timepix_1", "Timepix or Maxipix, one chip", TIMEPIX, (1, 1)),
    # Its flat field at 34-ID-C shows no wide pixels at the seam, and cohere masks none.
    Detector("timepix_quad_raw", "Timepix quad, as recorded", TIMEPIX, (2, 2)),
    Detector(
        "timepix_quad_seams",
        "Timepix quad with cohere's seams",
        replace(TIMEPIX, gap=((5,), (4,))),
        (2, 2),
    ),
    Detector("medipix_quad_g3", "Merlin quad, gap on", MERLIN, (2, 2), "dead+large"),
    Detector(
        "medipix_quad_raw",
        "Merlin quad, gap off",
        replace(MERLIN, gap=((0,), (0,))),
        (2, 2),
        Lines(rows=((254, 257),), cols=((254, 257),)),  # as drawn for SIXS
    ),
    Detector("lambda_250k", "Lambda 250K", LAMBDA, (2, 2), "dead+large"),
    Detector("lambda_750k", "Lambda 750K", LAMBDA, (2, 6), "dead+large"),
    Detector("lambda_2m", "Lambda 2M", LAMBDA, (6, 6), "dead+large"),
    Detector("excalibur_3m", "Excalibur 3M", EXCALIBUR, (6, 8)),
    Detector("psi_eiger_500k", "PSI Eiger 500K", PSI_EIGER, (1, 1), "dead+large+virtual"),
    Detector("psi_eiger_2m", "PSI Eiger 2M (ID01)", PSI_EIGER, (4, 1), _EIGER2M_DRAWN),
    Detector("jungfrau_1m", "Jungfrau 1M", JUNGFRAU, (2, 1)),
    Detector("jungfrau_4m", "Jungfrau 4M", JUNGFRAU, (4, 2)),
    Detector(
        "jungfrau_4m_esrf", "Jungfrau 4M (LImA)", replace(JUNGFRAU, gap=((36,), (9,))), (4, 2)
    ),
    Detector("eiger_x_500k", "EIGER X 500K", EIGER_X, (1, 1), "dead+large"),
    Detector("eiger_x_1m", "EIGER X 1M", EIGER_X, (2, 1), "dead+large"),
    Detector("eiger_x_4m", "EIGER X 4M", EIGER_X, (4, 2), "dead+large", outer=1),
    Detector("eiger_x_9m", "EIGER X 9M", EIGER_X, (6, 3), "dead+large"),
    Detector("eiger_x_16m", "EIGER X 16M", EIGER_X, (8, 4), "dead+large"),
    Detector("eiger2_500k", "EIGER2 X 500K", EIGER2, (1, 1)),
    Detector("eiger2_1m", "EIGER2 X 1M", EIGER2, (2, 1)),
    Detector("eiger2_1m_w", "EIGER2 X 1M-W", EIGER2, (1, 2)),
    Detector("eiger2_2m_w", "EIGER2 X 2M-W", EIGER2, (1, 4)),
    Detector("eiger2_4m", "EIGER2 X 4M", EIGER2, (4, 2)),
    Detector("eiger2_9m", "EIGER2 X 9M", EIGER2, (6, 3)),
    Detector("eiger2_16m", "EIGER2 X 16M", EIGER2, (8, 4)),
    Detector("eiger2_cdte_500k", "EIGER2 X CdTe 500K", EIGER2_CDTE, (1, 1)),
    Detector("eiger2_cdte_1m", "EIGER2 X CdTe 1M", EIGER2_CDTE, (2, 1)),
    Detector("eiger2_cdte_1m_w", "EIGER2 X CdTe 1M-W", EIGER2_CDTE, (1, 2)),
    Detector("eiger2_cdte_2m_w", "EIGER2 X CdTe 2M-W", EIGER2_CDTE, (1, 4)),
    Detector("eiger2_cdte_4m", "EIGER2 X CdTe 4M", EIGER2_CDTE, (4, 2)),
    Detector("eiger2_cdte_9m", "EIGER2 X CdTe 9M", EIGER2_CDTE, (6, 3), "dead+large", outer=1),
    Detector("eiger2_cdte_16m", "EIGER2 X CdTe 16M", EIGER2_CDTE, (8, 4)),
    Detector("pilatus_300k", "Pilatus 300K", PILATUS, (3, 1)),
    Detector("pilatus_1m", "Pilatus 1M", PILATUS, (5, 2)),
    Detector("pilatus_2m", "Pilatus 2M", PILATUS, (8, 3)),
    Detector("pilatus_6m", "Pilatus 6M", PILATUS, (12, 5)),
    Detector("pilatus_cdte_1m", "Pilatus CdTe 1M", PILATUS_CDTE, (5, 2)),
    Detector("pilatus4_1m", "Pilatus4 1M", PILATUS4, (4, 2)),
    Detector("pilatus4_2m", "Pilatus4 2M", PILATUS4, (6, 3)),
    Detector("pilatus4_4m", "Pilatus4 4M", PILATUS4, (8, 4)),
)

DETECTORS = {detector.key: detector for detector in _ALL}

# Names that beamlines and packages use, without case, spaces, dashes and underscores. A name with
# several meanings is refused, and the error lists them.
ALIASES: dict[str, tuple[str, ...]] = {
    "mpx4inr": ("maxipix_2x2",),
    "mpxgaas": ("maxipix_2x2",),
    "mpx1x4": ("maxipix_2x2",),  # so bcdi and cdiutils
    "maxipix": ("maxipix_2x2", "maxipix_5x1"),
    "34idctim1": ("timepix_1",),
    "34idctim2": ("timepix_quad_raw", "timepix_quad_seams"),
    "timepix": ("timepix_1", "timepix_quad_raw", "timepix_quad_seams"),
    "merlin": ("medipix_quad_g3", "medipix_quad_raw"),  # bcdi 515 x 515, cdiutils 512 x 512
    "merlinsixs": ("medipix_quad_raw",),
    "lambda": ("lambda_250k", "lambda_750k", "lambda_2m"),
    "excalibur": ("excalibur_3m",),
    "ei2minr": ("psi_eiger_2m",),
    "eiger2m": ("psi_eiger_2m",),
    "jungfrau": ("jungfrau_1m", "jungfrau_4m", "jungfrau_4m_esrf"),
    "e4m": ("eiger_x_4m",),
    "e2500": ("eiger2_500k",),
    # ID27 says "eiger" to an EIGER2 CdTe 9M, SIXS to an EIGER X 1M.
    "eiger": ("eiger2_cdte_9m", "eiger_x_1m"),
    # pyFAI means the first generation, NanoMAX the second.
    "eiger500k": ("eiger_x_500k", "eiger2_500k", "eiger2_cdte_500k", "psi_eiger_500k"),
    "eiger1m": ("eiger_x_1m", "eiger2_1m", "eiger2_cdte_1m"),
    "eiger4m": ("eiger_x_4m", "eiger2_4m", "eiger2_cdte_4m"),
    # bcdi and cdiutils mean ID27's EIGER2 CdTe, pyFAI the first generation.
    "eiger9m": ("eiger_x_9m", "eiger2_9m", "eiger2_cdte_9m"),
    "eiger16m": ("eiger_x_16m", "eiger2_16m", "eiger2_cdte_16m"),
}
