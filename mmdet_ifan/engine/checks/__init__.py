"""What is examined before training."""
