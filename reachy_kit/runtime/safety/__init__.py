"""Safety: the one limiter between any policy and the motors, and the limits that it keeps.

Every number that bounds a motion is in ``limits.py``, with its source; ``limiter.py`` applies them, the same pure
function in the simulator and on the robot.
"""

from reachy_kit.runtime.safety.limiter import Limited, Motion, limit
from reachy_kit.runtime.safety.limits import CLASSROOM, PROFILES, RESTING, LimitsProfile

__all__ = ["CLASSROOM", "PROFILES", "RESTING", "Limited", "LimitsProfile", "Motion", "limit"]
