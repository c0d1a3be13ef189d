_base_ = './source-only_mini-sim2mini-city.py'
# From scratch: the stand-in for the ImageNet weights that the other
# configs of the pair start from.
load_from = None
