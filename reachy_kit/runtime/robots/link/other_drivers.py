"""Notices that something else commands our robot: an app, a move of the daemon's, a program on another computer.

The daemon takes commands from every client and tells none about the others, nor what its target is. What it does say,
in 1.12 as in 1.13: which app or remote session it has given the robot to, and, to a target that sets nothing, whether
it would be ignored because a move is playing. A stream of targets from elsewhere shows only in the robot: it is not
where we commanded it. A robot that something has moved is in doubt until the daemon has answered: a move that is
shorter than the time between two questions would otherwise end in a jump back to our target.
"""

import contextlib
import http.client
import json
import threading
import time
from collections import deque
from typing import Any

import numpy as np

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interface import BODY_YAW, ROLL, Action, Array
from reachy_kit.runtime.robots.daemon import DaemonAddress

POLL = 0.5
"""Time between two questions to the daemon, s. It logs each."""
ASTRAY = 0.3
"""Deviation of head or body that counts as commanded by something else, rad. The largest of our own making was 0.25,
with jumps to poses at the edge of the legs' reach. A jump over it from rest is as fast
as 3.2 rad/s in the physics of the daemon's simulation."""
ENVELOPE = 25
"""Measurements within which the robot reaches what it was commanded; half a second, ten times its lag."""
PATIENCE = 50
"""Measurements that have to be astray, net of those that are not; one second."""
DOUBTS, DOUBTED_WITHIN = 3, 250
"""Displacements that no move explains, and the measurements within which that many are another program's; five s."""
UNANSWERED = 15.0
"""Time without an answer after which a doubt ends the command, s; a stall is over before, or the robot is lost."""
_WHAT_TO_DO = "This command has stopped. End the other program, then give the same command again"
_IN_CHARGE = {"local_app": "the app", "remote_session": "the remote session of"}
_HEAD_AND_BODY = slice(ROLL, BODY_YAW + 1)
"""Without the antennas, with which people play."""


class OtherDrivers:
    """Whatever else may drive the robot behind a daemon.

    Args:
        address: of the daemon.
    """

    def __init__(self, address: DaemonAddress) -> None:
        self._address = address
        self.app: str | None = None
        """The app that has taken the robot over, in words; None without one."""
        self.noticed: str | None = None
        """What has been noticed, in words; None while nothing else drives."""
        self._motors: str | None = None
        self._sent: deque[tuple[int, Action, Array]] = deque()
        self._count, self._astray = 0, 0
        self._stopped, self._ask_now = threading.Event(), threading.Event()
        self._doubts: deque[int] = deque(maxlen=DOUBTS)
        self._hand_expected = False
        self._doubt, self._dispelled = 0, 0
        self._doubted_since = 0.0
        self.in_doubt = False
        """Whether something else has moved the robot and the daemon has not yet said whether it plays a move; nothing
        is to be sent meanwhile."""
        self._thread: threading.Thread | None = None

    def require_none(self, within: float) -> None:
        """Refuse a robot that something else drives now.

        Args:
            within: how long a move that plays may still last, s; waking up is one.

        Raises:
            RefusedError: an app has the robot, or a move plays, or the daemon does not say.
        """
        with _questions(self._address) as questions:
            if app := questions.app_in_charge():
                raise RefusedError(f"{app} drives the robot at {self._address}. Stop it in the robot's dashboard first")
            answered, gone = questions.answered, questions.wait_for_moves(within)
            if not (answered and questions.answered):
                raise RefusedError(
                    f"the daemon at {self._address} does not say whether something else drives its robot. Try again, "
                    "or restart the robot"
                )
            if not gone:
                raise RefusedError(
                    f"the robot at {self._address} plays another client's move: a program or its dashboard commands "
                    "it. Wait for the move to end, or stop it"
                )

    def watch(self) -> None:
        """Watch for them from now on, while we drive."""
        self.stop()
        self.app = self.noticed = self._motors = None
        self._hand_expected = False
        self._count, self._astray = 0, 0
        self._doubts.clear()
        self.forget()
        self._stopped.clear()
        self._ask_now.clear()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def observe(self, state: Array, measurements: int) -> None:
        """Compare the robot with what it was commanded.

        Args:
            state: (9,) measured.
            measurements: received since connecting; the robot's own time, also where its daemon is slow.
        """
        fresh, self._count = measurements - self._count, measurements
        if self.in_doubt and self._dispelled == self._doubt:
            self.forget()
        if fresh > ENVELOPE:  # a pause, in which nothing was commanded
            self._sent.clear()
            self._astray = 0
        outside = self._outside(state)
        deviation = float(outside.max())
        self._astray = max(0, self._astray + (fresh if deviation > ASTRAY else -fresh))
        if deviation > ASTRAY and not self.in_doubt and self._has_moved(state, outside):
            self._doubt += 1
            self._doubted_since = time.monotonic()
            self.in_doubt = True
            self._ask_now.set()
            self._doubts.append(measurements)
        doubted_often = len(self._doubts) == DOUBTS and self._doubts[0] > measurements - DOUBTED_WITHIN
        if (self._astray >= PATIENCE or doubted_often) and not (self.noticed or self._hand_expected):
            how_long = "again and again" if doubted_often else "for a second"
            self.noticed = (
                f"the robot at {self._address} was {np.rad2deg(deviation):.0f}° away from where it was commanded, "
                f"{how_long}: another program commands it, something holds it, or its motors are off. {_WHAT_TO_DO}"
            )

    def refuse(self) -> None:
        """Refuse to command a robot that something else commands.

        Raises:
            RefusedError: it has been noticed.
        """
        if self.noticed:
            raise RefusedError(self.noticed)

    def forget(self) -> None:
        """Expect nothing of the robot before it has been commanded for a while again."""
        self._sent.clear()
        self.in_doubt = False

    def expect_hand(self) -> None:
        """Expect a hand at the head from now on: that the robot is elsewhere is not another program's doing."""
        self.forget()
        self._astray, self._hand_expected = 0, True

    def expect_motors(self, mode: str | None) -> None:
        """Expect the motors in a mode, and no pose, while a hand guides the robot.

        Args:
            mode: as the daemon names it, already in use; None once the robot follows its targets again, said before.
        """
        self.forget()
        self._astray = 0
        self._motors = mode

    def sent(self, action: Action, state: Array) -> None:
        """Note a (9,) action that was sent, and the (9,) state that was measured before."""
        self._sent.append((self._count, action, state))
        while len(self._sent) > 1 and self._sent[1][0] <= self._count - ENVELOPE:  # the first was in force until then
            self._sent.popleft()

    def stop(self) -> None:
        """Watch no longer. Safe to call twice, and before watching."""
        self._stopped.set()
        self._ask_now.set()
        if self._thread:
            self._thread.join()

    def are_gone(self, within: float) -> bool:
        """Whether nothing else drives the robot. A move that plays is waited for: a second one would mix with it.

        A daemon that does not answer counts as one without: the robot is to lie down, and is looked at afterwards.

        Args:
            within: longest wait, s.
        """
        if self.app:
            return False
        with _questions(self._address) as questions:
            return questions.wait_for_moves(within)

    def _outside(self, state: Array) -> Array:
        """(4,) rad by which head and body are outside what was commanded lately; 0 before there is enough of that."""
        measured = state[_HEAD_AND_BODY]
        if not self._sent or self._sent[0][0] > self._count - ENVELOPE:
            return np.zeros_like(measured)
        actions = np.array([action[_HEAD_AND_BODY] for _, action, _ in self._sent])
        below, above = actions.min(axis=0) - measured, measured - actions.max(axis=0)
        return np.asarray(np.maximum(np.maximum(below, above), 0.0))

    def _has_moved(self, state: Array, outside: Array) -> bool:
        """Whether the robot has left its command: not its command it, as where a hand holds the head."""
        _, _, before = self._sent[0]
        way = np.abs(state - before)[_HEAD_AND_BODY]
        return bool((way[outside > ASTRAY] > ASTRAY / 2).any())

    def _motors_set_by_another(self, questions: "DriverQuestions") -> str | None:
        """The motors' mode where it is not what is expected; None where it is, or nothing is."""
        if (expected := self._motors) is None:
            return None
        mode = questions.motor_mode()
        return mode if mode not in ("", expected) and self._motors is expected else None

    def _poll(self) -> None:
        with _questions(self._address) as questions:
            while not self.noticed and not self._stopped.is_set():
                if self._ask_now.wait(POLL):
                    self._ask_now.clear()
                if self._stopped.is_set():
                    return
                doubt = self._doubt if self.in_doubt else 0
                self.app, answered = questions.app_in_charge(), questions.answered
                if self.app:
                    self.noticed = (
                        f"{self.app} has taken over the robot at {self._address}, and was left with it. Stop it in "
                        "the robot's dashboard, then give the same command again"
                    )
                elif mode := self._motors_set_by_another(questions):
                    self.noticed = (
                        f"another program has set the motors of the robot at {self._address} to "
                        f"{mode.replace('_', ' ')} while it was guided by hand. {_WHAT_TO_DO}"
                    )
                elif questions.move_is_playing():
                    self.noticed = (
                        f"the robot at {self._address} plays another client's move: a program or its dashboard "
                        f"commands it. {_WHAT_TO_DO}"
                    )
                elif doubt and answered and questions.answered:
                    self._dispelled = doubt
                elif doubt == self._doubt and self.in_doubt and time.monotonic() - self._doubted_since > UNANSWERED:
                    self.noticed = (
                        f"something has moved the robot at {self._address}, and its daemon does not say whether it "
                        f"plays a move. {_WHAT_TO_DO}"
                    )


class DriverQuestions:
    """What a daemon says about other drivers; one connection for all questions."""

    def __init__(self, address: DaemonAddress) -> None:
        self._connection = http.client.HTTPConnection(address.reachable_host, address.port, timeout=2.0)
        self.answered = True
        """Whether the daemon has answered the last question; otherwise what was returned says nothing."""

    def app_in_charge(self) -> str | None:
        """The app or the remote session that the daemon has given the robot to; None without one."""
        status = self._ask("GET", "/api/daemon/robot-app-lock-status")
        kind = _IN_CHARGE.get(status.get("state", ""))
        return f"{kind} {status.get('holder_name') or 'without a name'}" if kind else None

    def motor_mode(self) -> str:
        """The motors' mode, as the daemon names it."""
        return str(self._ask("GET", "/api/motors/status").get("mode", ""))

    def move_is_playing(self) -> bool:
        """Whether the daemon plays a move: its own, an app's or another client's ``goto``."""
        return self._ask("POST", "/api/move/set_target", b"{}").get("reason") == "move_running"

    def wait_for_moves(self, within: float) -> bool:
        """Wait until no move plays any more; False if one still does after that many s."""
        deadline = time.monotonic() + within
        while self.move_is_playing():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        """The daemon's answer; an empty one where there is none."""
        try:
            self._connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = json.load(self._connection.getresponse())
        except (OSError, http.client.HTTPException, ValueError):
            self._connection.close()
            answer = None
        self.answered = isinstance(answer, dict)
        return answer if self.answered else {}


def _questions(address: DaemonAddress) -> contextlib.closing[DriverQuestions]:
    return contextlib.closing(DriverQuestions(address))
