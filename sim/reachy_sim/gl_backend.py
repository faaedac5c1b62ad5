"""The OpenGL library that draws off-screen, chosen at the first drawing: what draws nothing needs none.

On Linux that is EGL, else OSMesa; a backend that ``MUJOCO_GL`` or ``PYOPENGL_PLATFORM`` names is tried before them, and
any other value of these variables is ignored. Each backend is tried for real, because a library may be there without a
driver.
"""

import contextlib
import ctypes
import importlib
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from reachy_kit.runtime.errors import KitError

_BACKENDS = {"linux": ("egl", "osmesa"), "darwin": ("cgl", "glfw")}.get(sys.platform, ("glfw",))
"""Backends of this system, the first choice first."""
_NAMES = {"egl": "egl", "osmesa": "osmesa", "cgl": "cgl", "glfw": "glfw", "glx": "glfw", "wgl": "glfw"}
"""Backend by its name in ``MUJOCO_GL``."""
_PLATFORM = "PYOPENGL_PLATFORM"
_ADVICE = (
    "Install libegl1 (Debian, Ubuntu: sudo apt install libegl1; Fedora: mesa-libEGL) or the graphics card's driver. "
    "Physics, observations of state and --perception geometry need neither"
)
_MOST_DEVICES = 10
_EGL_PLATFORM_DEVICE = 0x313F


class GLContext(Protocol):
    """An OpenGL context of MuJoCo's."""

    def make_current(self) -> None:
        """Make it the calling thread's context."""
        ...

    def free(self) -> None:
        """Free it."""
        ...


@dataclass(frozen=True)
class GLBackend:
    """A backend that works here."""

    name: str
    """As in ``MUJOCO_GL``: egl, osmesa, cgl or glfw."""
    open: Callable[[int, int], GLContext]
    """Opens a context of a width and a height in px."""

    @property
    def any_thread(self) -> bool:
        """Whether contexts may be current in any thread: GLFW wants its windows in the caller's (main) one."""
        return self.name != "glfw"


def open_context(width: int, height: int) -> GLContext:
    """Open a context, of a size in px, with the first backend that works.

    Raises:
        KitError: none works.
    """
    return gl_backend().open(width, height)


def gl_backend() -> GLBackend:
    """The first backend that works, the same in the whole process.

    Raises:
        KitError: none works; the message says what to install.
    """
    backend = _first_working()
    if isinstance(backend, str):
        raise KitError(backend)
    return backend


def can_draw() -> bool:
    """Whether a backend works here."""
    return not isinstance(_first_working(), str)


_choosing = threading.Lock()


def _first_working() -> GLBackend | str:
    """The first backend that works, or the message that says why none does."""
    with _choosing:
        return _choose()


@cache
def _choose() -> GLBackend | str:
    wishes = (_NAMES.get(os.environ.get(name, "").strip().lower()) for name in ("MUJOCO_GL", _PLATFORM))
    reasons = []
    for name in dict.fromkeys([*filter(None, wishes), *_BACKENDS]):
        try:
            return _try_out(name)
        except Exception as error:  # each binding raises exceptions of its own
            reasons.append(f"{name}: {error}")
    return f"cannot draw off-screen ({'; '.join(reasons)}). {_ADVICE}"


def _try_out(name: str) -> GLBackend:
    """Open a small context, in a thread of its own: the caller's current context stays."""
    _CHECKS.get(name, lambda: None)()
    with _platform(name):
        backend = GLBackend(name, importlib.import_module(f"mujoco.{name}").GLContext)
        if not backend.any_thread:
            _open_and_free(backend)
        else:
            with ThreadPoolExecutor(1, f"trying {name}") as thread:
                thread.submit(_open_and_free, backend).result()
        return backend


def _open_and_free(backend: GLBackend) -> None:
    context = backend.open(16, 16)
    try:
        context.make_current()
    finally:
        context.free()


@contextlib.contextmanager
def _platform(name: str) -> Iterator[None]:
    """Let PyOpenGL load a backend's library; it decides once, at its import, so a failed one is forgotten."""
    chosen, loaded = os.environ.get(_PLATFORM), set(sys.modules)
    if name in ("egl", "osmesa"):
        os.environ[_PLATFORM] = name
    try:
        yield
    except Exception:
        for module in set(sys.modules) - loaded:
            if module.partition(".")[0] == "OpenGL" or module.startswith(f"mujoco.{name}"):
                del sys.modules[module]
        raise
    finally:
        os.environ.pop(_PLATFORM, None)
        if chosen is not None:
            os.environ[_PLATFORM] = chosen


# MuJoCo looks for OpenGL's functions once per process, in the libraries loaded by then. So a backend is checked before
# its library is loaded for all to see; after a failure no other would work.


def _check_egl() -> None:
    library = ctypes.CDLL("libEGL.so.1")  # visible to this function only
    find = library.eglGetProcAddress
    find.restype, find.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    query, display_of = find(b"eglQueryDevicesEXT"), find(b"eglGetPlatformDisplayEXT")
    if not query or not display_of:
        raise OSError("it cannot list devices")
    devices, count = (ctypes.c_void_p * _MOST_DEVICES)(), ctypes.c_int()
    pointer, number = ctypes.c_void_p, ctypes.c_int
    ctypes.CFUNCTYPE(number, number, pointer, pointer)(query)(_MOST_DEVICES, devices, ctypes.byref(count))
    open_display = ctypes.CFUNCTYPE(pointer, number, pointer, pointer)(display_of)
    library.eglInitialize.argtypes = [pointer, pointer, pointer]
    displays = (open_display(_EGL_PLATFORM_DEVICE, device, None) for device in devices[: count.value])
    if not any(display and library.eglInitialize(display, None, None) for display in displays):
        raise OSError("it does not have a driver that works")


def _check_osmesa() -> None:
    for name in ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so"):
        with contextlib.suppress(OSError):
            ctypes.CDLL(name)
            return
    raise OSError("libOSMesa cannot be loaded")


def _check_screen() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # GLFW's own, which says the same
        if not importlib.import_module("mujoco.glfw").glfw.init():
            raise OSError("there is not a screen")


_CHECKS = {"egl": _check_egl, "osmesa": _check_osmesa, "glfw": _check_screen}
