"""LeRobot's own policies, through its public calls; nothing else here knows their insides.

Try it: reachy-kit train imitation --policy act --dataset data/look_at --out runs/look_at_act
"""
