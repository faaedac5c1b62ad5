"""Work on a robot that drives now, from outside the process that drives it."""
