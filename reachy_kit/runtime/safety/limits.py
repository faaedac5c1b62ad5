"""Every limit of a motion, with its source: what the hardware can do, and the margin that is kept below it.

``limiter.py`` keeps them on the commanded pose at each tick. A dash: no such limit is published.

====================  ===========================  ====================================  ===============================
quantity              ``CLASSROOM`` permits        the hardware's own limit              source of the latter
====================  ===========================  ====================================  ===============================
head x                ±15 mm                       −46 … 50 mm                           legs, one axis from neutral
head y                ±15 mm                       ±47 mm                                the same
head z                ±30 mm                       −50 … 23 mm                           the same
head roll             ±20°                         ±47°                                  the same
head pitch            ±30°                         −72° … 48°                            the same
a leg's angle         the model's ranges           −80° … 80°, each leg its own          MJCF, ``STEWART_LIMITS``
body yaw              ±155°                        ±160°                                 MJCF; the daemon clamps there
head against body     ±60°                         ±65°                                  the daemon clamps there
antenna               ±178°                        ±180°                                 position mode: one turn
speed of the head     150 mm/s, 3 rad/s            10.8 rad/s at a leg without load      XL330-M288-T, e-Manual
speed of the body     2.5 rad/s                    8.5 rad/s without load                XC330-M288-T, e-Manual
speed of an antenna   6 rad/s                      40 rad/s without load                 XL330-M077-T, e-Manual
acceleration          1.5 m/s²; 30, 20, 80 rad/s²  0.52, 0.93, 0.215 N·m at stall        the same three; own margin
jerk                  150 m/s³; 3, 2, 8 krad/s³    —                                     follows from acceleration
reaction on the base  the foot stays, see below    tips at 27°                           sim/RESULTS.md, On a table
lead over measured    30 mm, 0.5 … 1.2 rad         —                                     own margin: a hand wins
====================  ===========================  ====================================  ===============================

Jerk has no limit of its own: from full acceleration to full braking it takes one tick, so that jerk stays within twice
the acceleration per tick: 150 m/s³ along x, y and z, 3,000 rad/s³ in roll, pitch and yaw, 2,000 of the body, 8,000 of
an antenna. A hard stop at the edge of reach, at the lead or at the head–body yaw may exceed both.

The speed and acceleration limits are also what keeps the base where it is: within them nothing tips the robot, and a
square wave of the body makes the foot walk by at most 0.22 mm/s on a table of friction 0.4. The maker's dances walk
0.04 mm/s, and without the limiter 0.71 mm/s, at friction 0.2 even 4.0 mm/s (sim/RESULTS.md, "On a table").

One axis at its full speed turns a leg at 1 to 5 rad/s. All six at once ask half of the poses for more than 10.8 rad/s:
the legs then trail behind, and the lead bounds by how much. Speeds and torques are those at 5 V
(emanual.robotis.com/docs/en/dxl/x/xl330-m288, xc330-m288, xl330-m077); leg ranges are those of ``kinematics.linkage``,
from reachy_mini's MJCF.
"""

from dataclasses import dataclass, replace

import numpy as np

from reachy_kit.runtime.interface import Array


@dataclass(frozen=True, eq=False)
class LimitsProfile:
    """What the limiter permits, per axis in the order of ``ACTION_NAMES``."""

    name: str
    low: Array
    """(9,) m or rad, lower edge of the workspace box."""
    high: Array
    """(9,) m or rad, upper edge."""
    relative_yaw: float
    """rad, head against body. Inside the daemon's own 65°, so that the daemon never alters our target."""
    speed: Array
    """(9,) per s."""
    acceleration: Array
    """(9,) per s²."""
    lead: Array
    """(9,) how far the command may run ahead of the measured pose: a hand that holds the head is not resisted."""


def _nine(xy: float, z: float, roll: float, pitch: float, yaw: float, body: float, antenna: float) -> Array:
    return np.array([xy, xy, z, roll, pitch, yaw, body, antenna, antenna])


# Beyond the platform's singularity the legs could lock (see kinematics.forward). A search of a million
# reachable poses in this box found none there: the worst keeps 2.5 % of the determinant that the legs' Jacobian has at
# neutral. With 2 cm in x and y and 30° of roll, 0.5 % of the requests to the box's edges ended beyond.
_BOX = _nine(0.015, 0.03, np.deg2rad(20.0), np.deg2rad(30.0), 3.5, 2.7, 3.1)

CLASSROOM = LimitsProfile(
    name="classroom",
    # Body: inside the daemon's ±160° (2.79 rad). Antennas: a whole turn; the daemon does not clamp them.
    low=-_BOX,
    high=_BOX,
    relative_yaw=np.deg2rad(60.0),
    # Chosen for a table with children around it: a head turn across the view takes about half a second, a third of what
    # the XL330-M288's no-load speed (about 10 rad/s at 5 V, Robotis e-Manual) would give at the horn.
    speed=_nine(0.15, 0.15, 3.0, 3.0, 3.0, 2.5, 6.0),
    acceleration=_nine(1.5, 1.5, 30.0, 30.0, 30.0, 20.0, 80.0),
    lead=_nine(0.03, 0.03, 0.5, 0.5, 0.6, 0.6, 1.2),
)
RESTING = replace(
    CLASSROOM,
    name="resting",
    # Down to the sleep pose. Of 68,000 reachable poses in this box, half their axes at an edge, none lies beyond the
    # singularity: the worst keeps 3.0 % of the determinant that the legs' Jacobian has at neutral.
    low=np.array([-0.022, -0.015, -0.045, *CLASSROOM.low[3:]]),
)
"""For lying down and getting up, at classroom's speeds. Not for a policy: the head may touch the body."""
PROFILES = {CLASSROOM.name: CLASSROOM}
"""Profiles that a policy may run with."""
