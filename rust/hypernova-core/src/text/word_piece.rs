//! BERT's word pieces: from a text to token ids.
