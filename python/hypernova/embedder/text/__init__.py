"""Tokenise texts, and find the characters that a model reads.

Not here: any model, and the rules by which a text is read before (the cut, courtesies and the
lead), which the core has.

- ``checks``: values that no embedder can read
- ``tokenizer``: from a text to the tokens of one embedder
- ``word_piece``: the tokens of words that were met before, by look-up
- ``spans``: the characters behind tokens
"""
