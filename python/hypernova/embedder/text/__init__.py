"""Cut texts, split them into words, and find what of them was read."""
