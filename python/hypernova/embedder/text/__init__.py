"""Cut texts, tokenise them, and find the characters that a model reads.

Not here: any model.
"""
