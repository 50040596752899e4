//! The parts of an ONNX model that a lookup graph may have.
//!
//! Not here: what the graph computes (`recognise.rs`), and the values of tensors (`tensor.rs`).
//!
//! The reader says "no lookup" wherever a model holds more than is read here, such as functions,
//! training information or fields of a later version: such a model may mean something else than
//! its nodes say. Counts are bounded, so that a file takes no more memory than a lookup graph does.

use std::ops::{Range, RangeInclusive};

use super::message::{Name, Stop, each_field, set};
use super::tensor::Tensor;
use super::wire::Value;

/// Versions of ONNX's format whose fields are known here. Before 4, initialisers were inputs too.
const IR_VERSIONS: RangeInclusive<u64> = 4..=13;
/// Versions of ONNX's operators in which those of a lookup graph have the same meaning.
const OPSETS: RangeInclusive<u64> = 18..=26;
/// Nodes, or initialisers, of the largest model that is looked at: a part has at most 30 nodes.
const MAX_COUNT: usize = 512;
/// Inputs or attributes of the largest node: a text of them may stand in a byte each.
const MAX_PER_NODE: usize = 64;

/// A graph under the default operators.
#[derive(Default)]
pub(super) struct Model<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) tensors: Vec<Tensor<'a>>,
    pub(super) inputs: Vec<Argument<'a>>,
    pub(super) outputs: Vec<Argument<'a>>,
}

/// A node with one output.
#[derive(Default)]
pub(super) struct Node<'a> {
    pub(super) operator: Name<'a>,
    pub(super) inputs: Vec<Name<'a>>,
    pub(super) output: Name<'a>,
    /// Attributes that are integers; a node with another kind is no part of a lookup.
    pub(super) integers: Vec<(Name<'a>, i64)>,
}

/// An input or output of the graph.
pub(super) struct Argument<'a> {
    pub(super) name: Name<'a>,
    /// ONNX's number of the type of the elements.
    pub(super) element: u64,
    pub(super) shape: Vec<Dimension<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dimension<'a> {
    Fixed(u64),
    /// Of any size, which is the same wherever the name stands; an empty name stands for none.
    Named(Name<'a>),
}

fn push<T>(list: &mut Vec<T>, value: T, limit: usize) -> Result<(), Stop> {
    if list.len() >= limit {
        return Err(Stop::NoLookup);
    }
    list.push(value);
    Ok(())
}

impl<'a> Model<'a> {
    /// Read a `ModelProto`.
    pub(super) fn read(file: &'a [u8]) -> Result<Self, Stop> {
        let (mut version, mut graph, mut opset) = (None, None, None);
        each_field(file, 0..file.len(), |number, value| match (number, value) {
            (1, Value::Varint(found)) => set(&mut version, found),
            (7, Value::Bytes(range)) => set(&mut graph, range),
            (8, Value::Bytes(range)) => match operators(file, range)? {
                Some(found) => set(&mut opset, found),
                None => Ok(()),
            },
            // The producer, its version, the domain, the model's version, a description, and
            // pairs of texts: none of them changes the meaning.
            (2..=4 | 6 | 14, Value::Bytes(_)) | (5, Value::Varint(_)) => Ok(()),
            _ => Err(Stop::NoLookup),
        })?;
        match (version, opset, graph) {
            (Some(version), Some(opset), Some(graph))
                if IR_VERSIONS.contains(&version) && OPSETS.contains(&opset) =>
            {
                Self::read_graph(file, graph)
            }
            _ => Err(Stop::NoLookup),
        }
    }

    fn read_graph(file: &'a [u8], range: Range<usize>) -> Result<Self, Stop> {
        let mut graph = Self::default();
        each_field(file, range, |number, value| match (number, value) {
            (1, Value::Bytes(range)) => push(&mut graph.nodes, Node::read(file, range)?, MAX_COUNT),
            (5, Value::Bytes(range)) => {
                push(&mut graph.tensors, Tensor::read(file, range)?, MAX_COUNT)
            }
            (11, Value::Bytes(range)) => push(
                &mut graph.inputs,
                Argument::read(file, range)?,
                MAX_PER_NODE,
            ),
            (12, Value::Bytes(range)) => push(
                &mut graph.outputs,
                Argument::read(file, range)?,
                MAX_PER_NODE,
            ),
            // The name, a description, shapes between the nodes, and pairs of texts.
            (2 | 10 | 13 | 16, Value::Bytes(_)) => Ok(()),
            _ => Err(Stop::NoLookup),
        })?;
        Ok(graph)
    }
}

/// Read an `OperatorSetIdProto`: the version, if it is that of the default operators.
fn operators(file: &[u8], range: Range<usize>) -> Result<Option<u64>, Stop> {
    let (mut domain, mut version) = (None, None);
    each_field(file, range, |number, value| match (number, value) {
        (1, Value::Bytes(range)) => set(&mut domain, range),
        (2, Value::Varint(found)) => set(&mut version, found),
        _ => Err(Stop::NoLookup),
    })?;
    let domain = domain.map_or(&b""[..], |range| &file[range]);
    Ok(version.filter(|_| is_default(domain)))
}

/// Whether a domain is that of ONNX's own operators, which has two names.
fn is_default(domain: &[u8]) -> bool {
    matches!(domain, b"" | b"ai.onnx")
}

impl<'a> Node<'a> {
    /// Read a `NodeProto`.
    fn read(file: &'a [u8], range: Range<usize>) -> Result<Self, Stop> {
        let mut node = Self::default();
        let (mut output, mut operator) = (None, None);
        each_field(file, range, |number, value| match (number, value) {
            (1, Value::Bytes(range)) => push(&mut node.inputs, &file[range], MAX_PER_NODE),
            (2, Value::Bytes(range)) => set(&mut output, &file[range]),
            (4, Value::Bytes(range)) => set(&mut operator, &file[range]),
            (5, Value::Bytes(range)) => {
                push(&mut node.integers, integer(file, range)?, MAX_PER_NODE)
            }
            // The name, a description, and pairs of texts.
            (3 | 6 | 9, Value::Bytes(_)) => Ok(()),
            (7, Value::Bytes(range)) if is_default(&file[range.clone()]) => Ok(()),
            (8, Value::Bytes(range)) if range.is_empty() => Ok(()),
            _ => Err(Stop::NoLookup),
        })?;
        node.output = output.ok_or(Stop::NoLookup)?;
        node.operator = operator.ok_or(Stop::NoLookup)?;
        // Trailing optional inputs may be left empty.
        while node.inputs.last().is_some_and(|name| name.is_empty()) {
            node.inputs.pop();
        }
        Ok(node)
    }
}

/// Read an `AttributeProto` that is an integer.
fn integer(file: &[u8], range: Range<usize>) -> Result<(Name<'_>, i64), Stop> {
    const INTEGER: u64 = 2;
    let (mut name, mut found, mut kind) = (None, None, None);
    each_field(file, range, |number, value| match (number, value) {
        (1, Value::Bytes(range)) => set(&mut name, &file[range]),
        (3, Value::Varint(value)) => set(&mut found, value.cast_signed()),
        (20, Value::Varint(value)) => set(&mut kind, value),
        (13, Value::Bytes(_)) => Ok(()), // a description
        _ => Err(Stop::NoLookup),
    })?;
    match (name, kind) {
        // A value of 0 may be left out.
        (Some(name), Some(INTEGER)) => Ok((name, found.unwrap_or(0))),
        _ => Err(Stop::NoLookup),
    }
}

impl<'a> Argument<'a> {
    /// Read a `ValueInfoProto` of a tensor with a shape.
    fn read(file: &'a [u8], range: Range<usize>) -> Result<Self, Stop> {
        let (mut name, mut of_type) = (None, None);
        each_field(file, range, |number, value| match (number, value) {
            (1, Value::Bytes(range)) => set(&mut name, &file[range]),
            (2, Value::Bytes(range)) => set(&mut of_type, range),
            (3, Value::Bytes(_)) => Ok(()), // a description
            _ => Err(Stop::NoLookup),
        })?;
        let mut tensor = None;
        each_field(
            file,
            of_type.ok_or(Stop::NoLookup)?,
            |number, value| match (number, value) {
                (1, Value::Bytes(range)) => set(&mut tensor, range),
                _ => Err(Stop::NoLookup),
            },
        )?;
        let (mut element, mut dims) = (None, None);
        each_field(
            file,
            tensor.ok_or(Stop::NoLookup)?,
            |number, value| match (number, value) {
                (1, Value::Varint(found)) => set(&mut element, found),
                (2, Value::Bytes(range)) => set(&mut dims, range),
                _ => Err(Stop::NoLookup),
            },
        )?;
        let mut shape = Vec::new();
        each_field(file, dims.ok_or(Stop::NoLookup)?, |number, value| {
            match (number, value) {
                (1, Value::Bytes(range)) => push(&mut shape, dimension(file, range)?, MAX_PER_NODE),
                _ => Err(Stop::NoLookup),
            }
        })?;
        Ok(Self {
            name: name.ok_or(Stop::NoLookup)?,
            element: element.ok_or(Stop::NoLookup)?,
            shape,
        })
    }
}

/// Read a `Dimension` of a shape.
fn dimension(file: &[u8], range: Range<usize>) -> Result<Dimension<'_>, Stop> {
    let mut found = None;
    each_field(file, range, |number, value| match (number, value) {
        (1, Value::Varint(size)) => set(&mut found, Dimension::Fixed(size)),
        (2, Value::Bytes(range)) => set(&mut found, Dimension::Named(&file[range])),
        _ => Err(Stop::NoLookup),
    })?;
    Ok(found.unwrap_or(Dimension::Named(b"")))
}
