//! Sum the rows of tokens and of pairs, and bring the sum to unit length.
