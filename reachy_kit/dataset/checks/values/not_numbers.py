"""RK104. Values that are not numbers: NaN or infinite."""

from collections.abc import Iterator

import numpy as np

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes
from reachy_kit.dataset.checks.finding import Aspect, Finding, register_check
from reachy_kit.runtime.recording.layout import record_command


@register_check("RK104", "values that are not numbers", Aspect.VALUES, refuses=True)
def check_not_numbers(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find NaN and infinity in what a policy learns from."""
    for key, names in episodes.vectors.items():
        values = episodes.column(key)
        if values is None or not values.size or np.isfinite(values).all():
            continue
        rows, numbers = np.nonzero(~np.isfinite(values))
        places = np.unique(episodes.places[rows])
        spoilt, first = episodes.named(places), int(rows[0] - episodes.starts[episodes.places[rows[0]]])
        others = len(spoilt) - 1
        more = f", and some of {others} other episode{'s' if others > 1 else ''}" if others else ""
        command = episodes.drop_command(spoilt)
        remedy = "Drop what is spoilt"
        if not command:
            remedy = "Record it again"
            command = record_command(episodes.root, episodes.layout) if episodes.root else ""
        where = f"{episodes.root}: " if episodes.root else ""
        yield Finding(
            f"{where}{key} of frame {first} of episode {spoilt[0]} is not a number ({names[numbers[0]]}){more}",
            remedy=remedy,
            command=command,
            episodes=spoilt,
        )
