"""Find clusters of prompts, and describe them."""
