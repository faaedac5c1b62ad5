"""LeRobot's own policies, through its public calls; only this package depends on their internals.

Try it: reachy-kit train imitation --policy act --dataset data/look_at --out runs/look_at_act
"""
