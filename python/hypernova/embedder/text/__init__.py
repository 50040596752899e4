"""Cut texts, tokenise them, and find the characters that a model reads.

Not here: any model.

- ``checks``: values that no embedder can read
- ``cut``: the beginning and the end of a long text
- ``tokenizer``: from a text to the tokens of one embedder
- ``word_piece``: the tokens of words that were met before, by look-up
- ``spans``: the characters behind tokens
"""
