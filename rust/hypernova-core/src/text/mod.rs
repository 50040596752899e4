//! From a text to a vector without a neural network: read the text, cut it into word pieces, look
//! their rows up in a table, and add them.
//!
//! [`embedder`] joins these steps, and [`route`] goes on to decisions.
//!
//! Not here: the decision for a vector ([`crate::decide`]), and models that have to be run.

mod blank;
mod courtesy;
mod cut;
pub mod embedder;
pub mod onnx;
mod reading;
pub mod route;
mod sum;
pub mod table;
pub mod word_piece;

pub use blank::{is_blank, visible_span};
pub use courtesy::kept_spans;
pub use cut::{MAX_BLANKS, cut, cut_of_ends, cut_spans};
pub use reading::{Reading, ReadingRules};
