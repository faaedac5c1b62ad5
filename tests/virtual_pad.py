"""A gamepad without hardware: SDL's own virtual joystick, in the process that reads it."""

import ctypes
import json
import threading
from pathlib import Path

from reachy_kit.runtime.teleop import gamepad_device

AXES = ["leftx", "lefty", "rightx", "righty", "lefttrigger", "righttrigger"]
BUTTONS = ["a", "b", "x", "y", "back", "guide", "start", "leftstick", "rightstick", "leftshoulder", "rightshoulder",
           "dpup", "dpdown", "dpleft", "dpright"]  # fmt: skip


class VirtualPad:
    """A controller of pygame's own SDL library, plugged in until it is unplugged."""

    def __init__(self):
        pygame, _ = gamepad_device._open_sdl()
        library = next((Path(pygame.__file__).parents[1] / "pygame_ce.libs").glob("libSDL2-2*"))
        self._sdl = ctypes.CDLL(str(library))
        self._sdl.SDL_JoystickOpen.restype = ctypes.c_void_p
        self.plug_in()

    def plug_in(self):
        self._number = self._sdl.SDL_JoystickAttachVirtual(1, len(AXES), len(BUTTONS), 0)
        assert self._number >= 0
        self._pad = ctypes.c_void_p(self._sdl.SDL_JoystickOpen(self._number))
        self.move(lefttrigger=-1.0, righttrigger=-1.0)

    def move(self, **axes):
        """Shares of the way, −1 to 1."""
        for name, share in axes.items():
            self._sdl.SDL_JoystickSetVirtualAxis(self._pad, AXES.index(name), ctypes.c_int16(int(32767 * share)))

    def press(self, *names):
        for name in names:
            self._sdl.SDL_JoystickSetVirtualButton(self._pad, BUTTONS.index(name), 1)

    def release(self, *names):
        for name in names:
            self._sdl.SDL_JoystickSetVirtualButton(self._pad, BUTTONS.index(name), 0)

    def unplug(self):
        if self._number is not None:
            self._sdl.SDL_JoystickDetachVirtual(self._number)
            self._number = None


def serve(fifo):
    """Plug a pad into this process, and do with it what the lines of a FIFO say: a method, its arguments, its axes."""
    pad = VirtualPad()

    def follow():
        with Path(fifo).open() as lines:
            for line in lines:
                method, arguments, axes = json.loads(line)
                getattr(pad, method)(*arguments, **axes)

    threading.Thread(target=follow, daemon=True).start()
