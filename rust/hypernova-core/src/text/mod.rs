//! From a text to a vector without a neural network: read the text, cut it into word pieces, look
//! their rows up in a table, and add them.
//!
//! Not here: the decision for the vector ([`crate::decide`]), and models that have to be run.

mod blank;
mod courtesy;
mod cut;
pub mod embedder;
pub mod onnx;
mod reading;
mod sum;
pub mod table;
pub mod word_piece;
