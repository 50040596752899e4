"""Cut texts, tokenise them, and find the characters that a model reads.

Not here: any model.

- ``checks``: values that no embedder can read
- ``cut``: the beginning and the end of a long text
- ``courtesy``: what a text has left without the parts that say nothing of its task
- ``tokenizer``: from a text to the tokens of one embedder
- ``word_piece``: the tokens of words that were met before, by look-up
- ``spans``: the characters behind tokens
"""
