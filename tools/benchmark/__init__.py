"""Time and memory, as ratios to a stock Faster R-CNN."""
