//! Read the tables of a lookup embedder from an ONNX file.
//!
//! Not here: embedding with them ([`crate::text::table`]), and any other graph: those are run by
//! onnxruntime.
//!
//! [`LookupGraph::recognise`] knows the graphs that `python/hypernova/export/lookup.py` writes. It
//! matches the structure: every node must be one of the lookup, with the operators, types, axes and
//! constants that make it one. Names, the order of the nodes, and the order of the inputs of
//! additions, products, comparisons and maxima do not matter. A graph that might mean anything else
//! is no lookup, and no error. A lookup with a table that is cut short, of another size, or with an
//! index that leads outside is an error, which names the tensor.
//!
//! `wire.rs` and `message.rs` read protocol buffers, `model.rs` the parts of a model, `tensor.rs` its initialisers,
//! `recognise.rs` matches the graph, `check.rs` checks its tables, and `lookup.rs` holds what was
//! found.

mod check;
mod lookup;
mod message;
mod model;
mod recognise;
mod tensor;
mod wire;

pub use lookup::LookupGraph;
pub(crate) use lookup::{Part, RowElement};
