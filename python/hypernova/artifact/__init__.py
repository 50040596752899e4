"""Read what an artifact says of itself, and make changed copies of it."""
