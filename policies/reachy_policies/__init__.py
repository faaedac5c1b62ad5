"""Learning: imitation, evaluation and export. torch and lerobot live here, and only here.

Try it: reachy-kit train imitation --dataset data/look_at --out runs/look_at
"""
