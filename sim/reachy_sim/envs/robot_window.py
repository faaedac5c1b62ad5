"""The window of ``render_mode="human"``: the robot and its ball, at the pace of the wall clock.

Try it: python -c "import gymnasium, reachy_sim; gymnasium.make('ReachyMini/LookAt-v0', render_mode='human').reset()"
"""

from typing import TYPE_CHECKING, Any

from reachy_kit.runtime.errors import MissingPackageError
from reachy_kit.runtime.interface import Array
from reachy_kit.runtime.messages.installation import install_command

if TYPE_CHECKING:
    from reachy_sim.rendering.robot_renderer import RobotRenderer

_SIZE = (640, 400)
"""Width and height, px."""


class RobotWindow:
    """A window that shows the robot; it opens with the first image.

    Args:
        fps: images per second at most; the CPU of a computer without a graphics card draws about 20.

    Raises:
        MissingPackageError: pygame is not installed.
    """

    def __init__(self, fps: int) -> None:
        try:
            import pygame  # noqa: F401
        except ImportError as error:
            install = install_command(["view"])
            raise MissingPackageError(f"render_mode='human' needs pygame-ce. Install it: {install}", "view") from error
        self._fps = fps
        self._renderer: RobotRenderer | None = None
        self._screen: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle: the copy opens a window of its own."""
        return RobotWindow, (self._fps,)

    def show(self, state: Array, target: Array) -> None:
        """Show the robot, and wait until the previous image has been there for its time.

        Args:
            state: (9,) in the order of ``ACTION_NAMES``.
            target: (3,) m, base frame.
        """
        import pygame

        from reachy_sim.rendering.robot_renderer import RobotRenderer

        if self._renderer is None:
            self._renderer = RobotRenderer(*_SIZE)
            pygame.display.init()
            pygame.display.set_caption("Reachy Mini")
            self._screen, self._clock = pygame.display.set_mode(_SIZE), pygame.time.Clock()
        image = self._renderer.render(state, target)
        self._screen.blit(pygame.surfarray.make_surface(image.swapaxes(0, 1)), (0, 0))
        pygame.event.pump()
        self._clock.tick(self._fps)
        pygame.display.flip()

    def close(self) -> None:
        """Close the window and free the renderer; a second call does nothing."""
        if self._renderer is None:
            return
        import pygame

        self._renderer.close()
        self._renderer = self._screen = None
        pygame.display.quit()
