//! Match the graph of a model with that of a lookup, from its output back to its inputs.
//!
//! Not here: the parts of a model (`model.rs`), and its tables (`check.rs`).
//!
//! The structure is matched first, and tables and numbers are checked when all of it is a lookup:
//! a table that is cut short is an error only in a graph that uses it as a table.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use super::check::{Found, FoundBucket, FoundPairs, FoundPart};
use super::lookup::{LookupGraph, RowElement, Unit};
use super::message::{Name, Stop};
use super::model::{Argument, Dimension, Model, Node};
use super::tensor::{Element, Tensor};
use crate::error::Error;

/// The inputs of the graph, which are fed by these names.
const IDS: &[u8] = b"input_ids";
const MASK: &[u8] = b"attention_mask";
/// A slice with this end or a later one goes to the end of every text.
const NO_END: i64 = i32::MAX as i64;
/// Where a value comes from.
#[derive(Clone, Copy)]
enum Producer<'m, 'a> {
    Input,
    Tensor(&'m Tensor<'a>),
    Node(&'m Node<'a>),
}

/// Half of the pairs of neighbours: the tokens that are first in one, or second.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Second,
}

struct Matcher<'m, 'a> {
    producers: HashMap<Name<'a>, Producer<'m, 'a>>,
    /// The first constant of the structure that cannot be read: an error if all else matches.
    unreadable: RefCell<Option<Error>>,
}

impl LookupGraph {
    /// Recognise the lookup graph in the bytes of an ONNX file.
    ///
    /// Returns `None` for another model, which may be one for onnxruntime.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if the bytes are cut short or damaged, and [`Error::Tensor`] for a lookup
    /// with a table or a number that breaks a rule.
    pub fn recognise(model: &[u8]) -> Result<Option<Self>, Error> {
        match Model::read(model) {
            Ok(found) => match Matcher::new(&found).and_then(|matcher| matcher.graph(&found)) {
                Some(found) => found.check(model).map(Some),
                None => Ok(None),
            },
            Err(Stop::NoLookup) => Ok(None),
            Err(Stop::Damaged(damaged)) => Err(Error::Model {
                at: damaged.at,
                length: model.len(),
            }),
        }
    }
}

impl<'m, 'a> Matcher<'m, 'a> {
    /// `None` if two values have the same name.
    fn new(model: &'m Model<'a>) -> Option<Self> {
        let inputs = model.inputs.iter().map(|x| (x.name, Producer::Input));
        let tensors = model.tensors.iter().map(|x| (x.name, Producer::Tensor(x)));
        let nodes = model.nodes.iter().map(|x| (x.output, Producer::Node(x)));
        let mut producers = HashMap::new();
        for (name, producer) in inputs.chain(tensors).chain(nodes) {
            if name.is_empty() || producers.insert(name, producer).is_some() {
                return None;
            }
        }
        Some(Self {
            producers,
            unreadable: RefCell::new(None),
        })
    }

    fn graph(self, model: &'m Model<'a>) -> Option<Found<'m, 'a>> {
        let [output] = model.outputs.as_slice() else {
            return None;
        };
        if !are_ids_and_mask(&model.inputs) || !is_vectors(output) {
            return None;
        }
        let (total, unit) = self.unit(output.name)?;
        let parts = match self.node(total, "Concat") {
            Some(concat) => {
                has_only(concat, &[("axis", &[1, -1])], &["axis"])?;
                (concat.inputs.iter())
                    .map(|part| self.part(part))
                    .collect::<Option<Vec<_>>>()?
            }
            None => vec![self.part(total)?],
        };
        // A table that must be decoded is decoded once, so that no file takes more than its size.
        let mut seen = HashSet::new();
        let mut tables = parts.iter().flat_map(FoundPart::tables);
        if !tables.all(|table| seen.insert(table.name)) {
            return None;
        }
        // Every node that leads to the output was matched: the others lead nowhere.
        let reached = self.reached(output.name);
        let all = model.nodes.len() + model.tensors.len() + model.inputs.len();
        (reached == all && !parts.is_empty()).then(|| Found {
            parts,
            unit,
            output,
            unreadable: self.unreadable.into_inner(),
        })
    }

    /// Count the nodes, tensors and inputs that lead to a value.
    fn reached(&self, name: Name<'a>) -> usize {
        let (mut seen, mut left) = (HashSet::new(), vec![name]);
        while let Some(name) = left.pop() {
            if let Some(producer) = self.producers.get(name)
                && seen.insert(name)
                && let Producer::Node(node) = producer
            {
                left.extend(&node.inputs);
            }
        }
        seen.len()
    }

    /// The node that computes a value, if it has this operator.
    fn node(&self, name: Name<'a>, operator: &str) -> Option<&'m Node<'a>> {
        match self.producers.get(name)? {
            Producer::Node(node) if node.operator == operator.as_bytes() => Some(node),
            _ => None,
        }
    }

    /// The inputs of the node that computes a value, if it has this operator, and no attribute.
    fn inputs<const N: usize>(&self, name: Name<'a>, operator: &str) -> Option<[Name<'a>; N]> {
        let node = self.node(name, operator)?;
        let inputs = node.inputs.as_slice().try_into().ok()?;
        node.integers.is_empty().then_some(inputs)
    }

    fn tensor(&self, name: Name<'a>) -> Option<&'m Tensor<'a>> {
        match self.producers.get(name)? {
            Producer::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// A constant that is an integer, which is read when the structure has matched. It has at most
    /// `axes` axes of length 1.
    fn integer(&self, name: Name<'a>, axes: RangeInclusive<usize>) -> Option<&'m Tensor<'a>> {
        let tensor = self.tensor(name)?;
        let is_one = tensor.dims.iter().all(|&size| size == 1);
        (tensor.is(Element::Int64) && is_one && axes.contains(&tensor.dims.len())).then_some(tensor)
    }

    /// Whether a constant is a list of one integer that a rule allows.
    fn is_list(&self, name: Name<'a>, allows: impl Fn(i64) -> bool) -> Option<()> {
        let tensor = self.integer(name, 1..=1)?;
        let is_allowed = match tensor.integer() {
            Ok(value) => value.is_some_and(allows),
            Err(error) => {
                self.unreadable.borrow_mut().get_or_insert(error);
                true
            }
        };
        is_allowed.then_some(())
    }

    /// Find a division by the length: the value that is divided. `None` if there is half of one.
    fn unit(&self, name: Name<'a>) -> Option<(Name<'a>, Option<Unit>)> {
        if self.node(name, "Div").is_none() {
            return Some((name, None));
        }
        let [x, divisor] = self.inputs(name, "Div")?;
        let [length, least] = self.either(self.inputs(divisor, "Max")?, "ReduceL2")?;
        let reduce = self.node(length, "ReduceL2")?;
        has_only(
            reduce,
            &[("keepdims", &[1]), ("noop_with_empty_axes", &[0])],
            &[],
        )?;
        let &[of, axes] = reduce.inputs.as_slice() else {
            return None;
        };
        self.is_list(axes, |axis| matches!(axis, 1 | -1))?;
        let least = self.tensor(least)?;
        if of != x || !least.is(Element::Float32) || !is_scalar(least) {
            return None;
        }
        let least = match least.float() {
            // Division by zero, or by a number whose inverse is none, means something else.
            Ok(found) => found.filter(|least| least.is_finite() && *least >= 1e-37)?,
            Err(error) => {
                self.unreadable.borrow_mut().get_or_insert(error);
                1.0
            }
        };
        Some((x, Some(Unit { least })))
    }

    /// Put first, of two inputs in any order, the one that is computed with an operator.
    fn either(&self, [x, y]: [Name<'a>; 2], operator: &str) -> Option<[Name<'a>; 2]> {
        if self.node(x, operator).is_some() {
            return Some([x, y]);
        }
        self.node(y, operator).map(|_| [y, x])
    }

    fn part(&self, name: Name<'a>) -> Option<FoundPart<'m, 'a>> {
        let (total, unit) = self.unit(name)?;
        let [sum, axes] = self.inputs(total, "Squeeze")?;
        self.is_list(axes, |axis| matches!(axis, 1 | -2))?;
        let [weights, x] = self.inputs(sum, "MatMul")?;
        let [weights, axes] = self.inputs(weights, "Unsqueeze")?;
        self.is_list(axes, |axis| matches!(axis, 1 | -2))?;

        let (element, looked_up) = match self.cast(x, 1) {
            Some(looked_up) => (RowElement::Int8, looked_up),
            None => (RowElement::Float32, x),
        };
        let (rows, ids) = self.gather(looked_up, 2)?;
        let expected = match element {
            RowElement::Int8 => Element::Int8,
            RowElement::Float32 => Element::Float32,
        };
        if !rows.is(expected) {
            return None;
        }
        let (mask, scale) = if let Some(mask) = self.cast(weights, 1) {
            (mask, None)
        } else {
            let [scales, mask] = self.either(self.inputs(weights, "Mul")?, "Gather")?;
            let (scale, of_scale) = self.gather(scales, 1)?;
            if !scale.is(Element::Float32) || of_scale != ids {
                return None;
            }
            (self.cast(mask, 1)?, Some(scale))
        };
        let pairs = match (ids, mask) {
            (IDS, MASK) => None,
            _ => Some(self.pairs(ids, mask)?),
        };
        Some(FoundPart {
            rows,
            element,
            scale,
            pairs,
            unit,
        })
    }

    /// The value that is cast to a type.
    fn cast(&self, name: Name<'a>, to: i64) -> Option<Name<'a>> {
        let node = self.node(name, "Cast")?;
        has_only(node, &[("to", &[to])], &["to"])?;
        match node.inputs.as_slice() {
            &[x] => Some(x),
            _ => None,
        }
    }

    /// The table and the indices of a look-up on the first axis.
    fn gather(&self, name: Name<'a>, axes: u8) -> Option<(&'m Tensor<'a>, Name<'a>)> {
        let node = self.node(name, "Gather")?;
        has_only(node, &[("axis", &[0, -i64::from(axes)])], &[])?;
        let &[table, indices] = node.inputs.as_slice() else {
            return None;
        };
        let table = self.tensor(table)?;
        (table.dims.len() == usize::from(axes)).then_some((table, indices))
    }

    /// The parts of a concatenation behind an input of the graph.
    fn behind(&self, name: Name<'a>, input: &[u8]) -> Option<Name<'a>> {
        let node = self.node(name, "Concat")?;
        has_only(node, &[("axis", &[1, -1])], &["axis"])?;
        match node.inputs.as_slice() {
            &[first, second] if first == input => Some(second),
            _ => None,
        }
    }

    fn pairs(&self, ids: Name<'a>, mask: Name<'a>) -> Option<FoundPairs<'m, 'a>> {
        let row = self.behind(ids, IDS)?;
        let [bucket, offset] = self.either(self.inputs(row, "Add")?, "Mod")?;
        let offset = self.integer(offset, 0..=2)?;

        let counts = self.behind(mask, MASK)?;
        let [known, second] = self.either(self.inputs(counts, "Mul")?, "Cast")?;
        self.is_end(second, MASK, End::Second)?;
        let equal = self.inputs(self.cast(known, 7)?, "Equal")?;
        let [key, pair] = self.either(equal, "Gather")?;
        let (keys, of_key) = self.gather(key, 1)?;
        if !keys.is(Element::Int64) {
            return None;
        }
        let [product, second] = self.either(self.inputs(pair, "Add")?, "Mul")?;
        self.is_end(second, IDS, End::Second)?;
        let multiplier = self.times(product, End::First)?;

        let (bucket, of_key) = (self.bucket(bucket)?, self.bucket(of_key)?);
        let same = |x: &Tensor<'_>, y: &Tensor<'_>| x.name == y.name;
        let are_same = same(bucket.buckets, of_key.buckets)
            && same(bucket.primes[0], of_key.primes[0])
            && same(bucket.primes[1], of_key.primes[1]);
        are_same.then_some(FoundPairs {
            bucket,
            keys,
            multiplier,
            offset,
        })
    }

    /// `(first * p + second * q) % buckets`.
    fn bucket(&self, name: Name<'a>) -> Option<FoundBucket<'m, 'a>> {
        let node = self.node(name, "Mod")?;
        has_only(node, &[("fmod", &[0])], &[])?;
        let &[mixed, buckets] = node.inputs.as_slice() else {
            return None;
        };
        let [x, y] = self.inputs(mixed, "Add")?;
        let (first, second) = match self.times(x, End::First) {
            Some(prime) => (prime, self.times(y, End::Second)?),
            None => (self.times(y, End::First)?, self.times(x, End::Second)?),
        };
        Some(FoundBucket {
            primes: [first, second],
            buckets: self.integer(buckets, 0..=2)?,
        })
    }

    /// The constant that an end of the pairs is multiplied by.
    fn times(&self, name: Name<'a>, end: End) -> Option<&'m Tensor<'a>> {
        let [slice, factor] = self.either(self.inputs(name, "Mul")?, "Slice")?;
        self.is_end(slice, IDS, end)?;
        self.integer(factor, 0..=2)
    }

    /// Whether a value is an input of the graph without its last token, or without its first.
    fn is_end(&self, name: Name<'a>, input: &[u8], end: End) -> Option<()> {
        let node = self.node(name, "Slice")?;
        has_only(node, &[], &[])?;
        let (&[of, starts, ends, axes], steps) = node.inputs.split_first_chunk()?;
        if of != input {
            return None;
        }
        self.is_list(axes, |axis| matches!(axis, 1 | -1))?;
        match steps {
            [] => {}
            [steps] => self.is_list(steps, |step| step == 1)?,
            _ => return None,
        }
        match end {
            End::First => {
                self.is_list(starts, |start| start == 0)?;
                self.is_list(ends, |end| end == -1)
            }
            End::Second => {
                self.is_list(starts, |start| start == 1)?;
                self.is_list(ends, |end| end >= NO_END)
            }
        }
    }
}

/// Whether a node has no attribute but those allowed, each once with one of its values, and all
/// that it needs.
fn has_only(node: &Node<'_>, allowed: &[(&str, &[i64])], needed: &[&str]) -> Option<()> {
    let mut seen: Vec<Name<'_>> = Vec::new();
    for &(name, value) in &node.integers {
        let (_, values) = allowed.iter().find(|(known, _)| known.as_bytes() == name)?;
        if !values.contains(&value) || seen.contains(&name) {
            return None;
        }
        seen.push(name);
    }
    let has_all = needed.iter().all(|name| seen.contains(&name.as_bytes()));
    has_all.then_some(())
}

/// Whether a tensor has one value, and broadcasts to a matrix without changing its shape.
fn is_scalar(tensor: &Tensor<'_>) -> bool {
    tensor.dims.len() <= 2 && tensor.dims.iter().all(|&size| size == 1)
}

/// Whether the inputs are the ids and the mask, each for any number of texts of any length.
fn are_ids_and_mask(inputs: &[Argument<'_>]) -> bool {
    let is_free = |input: &Argument<'_>| match input.shape.as_slice() {
        [Dimension::Named(batch), Dimension::Named(seq)] => batch != seq || batch.is_empty(),
        _ => false,
    };
    let is_there = |name| inputs.iter().any(|input| input.name == name);
    inputs.len() == 2
        && is_there(IDS)
        && is_there(MASK)
        && (inputs.iter()).all(|x| x.element == Element::Int64 as u64 && is_free(x))
}

/// Whether an output is a float32 matrix with any number of rows.
fn is_vectors(output: &Argument<'_>) -> bool {
    let any_number = matches!(output.shape.as_slice(), [Dimension::Named(_), _]);
    output.element == Element::Float32 as u64 && any_number
}
