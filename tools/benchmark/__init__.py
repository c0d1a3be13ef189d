"""Time and memory compared with a stock Faster R-CNN."""
