"""Tokenise texts, and find the characters that a model reads.

Not here: any model, and what the core has: the rules by which a text is read before (the
cut, courtesies and the lead), and BERT's word pieces.

- ``checks``: values that no embedder can read
- ``tokenizer``: from a text to the tokens of one embedder
- ``spans``: the characters behind tokens
"""
