_base_ = './source-only_mini-city.py'
# From scratch: the stand-in for the ImageNet weights that the other Mini City
# configs start from.
load_from = None
