//! A lookup embedder: the files of one, and a text to a vector of unit length.
