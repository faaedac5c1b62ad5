"""The robot in a browser, and films of it.

Try it: reachy-kit view --task track --policy expert
"""
