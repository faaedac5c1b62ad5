"""Off-screen rendering: OpenGL contexts that any thread may use and that are freed.

A context belongs to the thread in which it is current, and freeing one frees, by number, what the current one holds. So
threads of their own do the drawing: viewer, control loop and garbage collector only hand them work.

Try it: make bench   (frames/s of the simulated head camera)
"""

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from queue import SimpleQueue

import mujoco

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import Image
from reachy_sim.gl_backend import GLContext, gl_backend

_TIME_TO_FREE = 5.0
"""Longest wait at the end of the process for the contexts to be freed, s."""


class DrawingThread:
    """A thread in which contexts are current; started by its first canvas.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()  # its put() may be interrupted by another put()
        self._starting = threading.Lock()
        self._process: int | None = None

    @property
    def here(self) -> bool:
        """Whether the thread runs in this process: a fork copies the queue but not the thread."""
        return self._process == os.getpid()

    def do[T](self, work: Callable[[], T], wait: float | None = None) -> T:
        """Run work in the thread and wait for its result, at most ``wait`` s; None waits without limit.

        Raises:
            KitError: nothing can draw here, or this process was forked from one that drew.
        """
        self._start()
        if not gl_backend().any_thread:
            return work()
        done: Future[T] = Future()

        def job() -> None:
            try:
                done.set_result(work())
            except BaseException as error:  # raised in the caller
                done.set_exception(error)

        self._jobs.put(job)
        return done.result(wait)

    def do_later(self, work: Callable[[], None]) -> None:
        """Queue work without waiting, for the garbage collector: it may run in any thread, this one too."""
        if not gl_backend().any_thread:
            work()
        elif self.here:
            self._jobs.put(work)

    def _start(self) -> None:
        with self._starting:
            if self._process is None:
                self._process = os.getpid()
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
        if not self.here:
            raise KitError("this process was forked from one that draws, which OpenGL does not survive: spawn it")

    def _run(self) -> None:
        while True:
            self._jobs.get()()


CAMERA_FRAMES = DrawingThread("camera frames")
"""Frames of the head camera, about 2 ms each: a control loop waits for them."""
ROBOT_IMAGES = DrawingThread("robot images")
"""Images of the robot, about 100 ms each: in a thread of their own they do not hold up a control loop's frames."""


class Canvas:
    """One off-screen context with a scene; freed by close(), by the garbage collector or at the end of the process.

    Args:
        model: what is drawn; its ``vis.global_.offwidth`` and ``offheight`` are large enough.
        height: px.
        width: px.
        max_geoms: how many geoms the scene can hold.
        thread: where its context is current.

    Raises:
        KitError: nothing can draw here.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        height: int,
        width: int,
        max_geoms: int = 64,
        thread: DrawingThread = CAMERA_FRAMES,
    ) -> None:
        self.scene = mujoco.MjvScene(model, max_geoms)
        self._model = model
        self._thread = thread
        self._options = mujoco.MjvOption()
        self._rectangle = mujoco.MjrRect(0, 0, width, height)
        self._context, self._resources = thread.do(lambda: _open(model, height, width))
        self._finalizer = weakref.finalize(
            self, lambda pair: thread.do_later(lambda: _free(*pair)), (self._context, self._resources)
        )
        self._finalizer.atexit = False  # freed by _free_all instead, before EGL itself ends
        _open_canvases.add(self)

    def run[T](self, work: Callable[[], T]) -> T:
        """Run work that calls draw(), in the drawing thread, and wait for it.

        Raises:
            KitError: the canvas is closed, or this process was forked from one that drew.
        """
        if not self._finalizer.alive:
            raise KitError("this camera is closed: open another")
        return self._thread.do(lambda: self._with_context(work))

    def _with_context[T](self, work: Callable[[], T]) -> T:
        self._context.make_current()
        return work()

    def draw(
        self,
        data: mujoco.MjData,
        view: mujoco.MjvCamera,
        image: Image,
        decorate: Callable[[mujoco.MjvScene], None] = lambda scene: None,
    ) -> None:
        """Render into (H, W, 3) uint8, last row first; only inside run().

        Args:
            data: poses of the model's bodies.
            view: the camera.
            image: is overwritten.
            decorate: adds geoms that are not the model's to the scene.
        """
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, data, self._options, None, view, everything, self.scene)
        decorate(self.scene)
        mujoco.mjr_render(self._rectangle, self.scene, self._resources)
        mujoco.mjr_readPixels(image, None, self._rectangle, self._resources)

    def close(self) -> None:
        """Free the context now; a second call does nothing."""
        if self._finalizer.alive:
            self._thread.do(self._detach)

    def close_at_exit(self) -> None:
        """Free the context if its thread is alive here, and do not wait for that thread for long."""
        if self._finalizer.alive and self._thread.here:
            self._thread.do(self._detach, _TIME_TO_FREE)

    def _detach(self) -> None:
        if self._finalizer.detach():
            _free(self._context, self._resources)


_opening = threading.Lock()
_open_canvases: weakref.WeakSet[Canvas] = weakref.WeakSet()


def _open(model: mujoco.MjModel, height: int, width: int) -> tuple[GLContext, mujoco.MjrContext]:
    backend = gl_backend()
    try:
        with _opening:
            context = backend.open(width, height)
            _close_all_at_exit()
        context.make_current()
        resources = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
    except Exception as error:  # each GL binding raises exceptions of its own
        raise KitError(f"cannot draw an image of {width} x {height} px off-screen ({backend.name}: {error})") from error
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, resources)
    return context, resources


def _free(context: GLContext, resources: mujoco.MjrContext) -> None:
    """Free the resources, then the context: MuJoCo's Renderer.close() frees the context first and leaks the rest."""
    context.make_current()
    resources.free()
    context.free()


@cache
def _close_all_at_exit() -> None:
    """Register the clean-up once a display is open: the last one registered runs first, so before the display's."""
    atexit.register(_close_all)


def _close_all() -> None:
    for canvas in list(_open_canvases):
        canvas.close_at_exit()
