//! The class `LookupEmbedder`: from a text to a vector, or to a decision, in one call.
//!
//! Not here: reading texts, adding rows and deciding, which the core does; and the files of an
//! embedder, which Python finds and describes.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::Arc;

use hypernova_core as core;
use hypernova_core::text::ReadingRules;
use hypernova_core::text::embedder::{ARITHMETIC, EmbedderSettings, TextError};
use hypernova_core::text::route::{RouteError, route_many};
use pyo3::exceptions::{PyKeyError, PyNotImplementedError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::array::Fresh;
use crate::artifact::Artifact;
use crate::batch::{self, Watch};
use crate::decision::Decision;
use crate::errors::{self, raise};
use crate::lookup::LookupTable;
use crate::options::facts_by_row;
use crate::word_piece::WordPieceTokenizer;

/// Bytes of a text above which a call for one text releases the GIL: some 20 us. To release it and
/// take it back costs as much as a small search, and more where other threads want it.
const FREE_ABOVE: usize = 512;

/// A tokenizer and a table with an embedder's settings; immutable, so that threads share it.
///
/// `hypernova.Embedder` makes one, and its texts and vectors are those of this.
///
/// Args:
///     tokenizer: The word pieces.
///     table: The rows.
///     settings: The fields of an ``embedder.json``, checked.
///     model: Path of the table's file, for messages.
///
/// Raises:
///     NotImplementedError: They do not fit one another, or ask for what is not known here.
///
/// Example:
///     >>> import hypernova
///     >>> lookup = hypernova.Embedder.load("static")._lookup()
///     >>> lookup.route(hypernova.Router.open().artifact, "Fix the race in the scheduler").cluster
///     1
#[pyclass(frozen, module = "hypernova._core")]
pub(crate) struct LookupEmbedder {
    inner: core::text::embedder::LookupEmbedder,
    names: Names,
}

/// The names in messages.
struct Names {
    /// That of the embedder, as Python's `repr` writes it.
    embedder: String,
    /// The model's file.
    model: String,
    /// The lead's weight, as Python writes it.
    lead_weight: String,
}

#[pymethods]
impl LookupEmbedder {
    /// Number of the arithmetic that makes the vectors, a part of an embedder's identity.
    #[classattr]
    const ARITHMETIC: u32 = ARITHMETIC;

    #[new]
    fn new(
        tokenizer: &WordPieceTokenizer,
        table: &LookupTable,
        settings: &Bound<'_, PyDict>,
        model: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let names = Names {
            embedder: required(settings, "name")?.repr()?.to_string(),
            model: model.str()?.to_string(),
            lead_weight: required(settings, "lead_weight")?.repr()?.to_string(),
        };
        let pooling = required(settings, "pooling")?;
        if pooling.extract::<Cow<'_, str>>()? != "model" {
            let reason = format!("pooling {} is not the model's own", pooling.repr()?);
            return Err(PyNotImplementedError::new_err(reason));
        }
        let (tokenizer, table) = (Arc::clone(&tokenizer.0), Arc::clone(&table.0));
        let settings = settings_of(settings)?;
        let inner = core::text::embedder::LookupEmbedder::new(tokenizer, table, settings)
            .map_err(|error| PyNotImplementedError::new_err(error.to_string()))?;
        Ok(Self { inner, names })
    }

    /// Length of a vector.
    #[getter]
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    /// Embed one text.
    ///
    /// Args:
    ///     text: At least one visible character.
    ///
    /// Returns:
    ///     float32 of shape (dim,) and length 1.
    ///
    /// Raises:
    ///     TypeError: ``text`` is not a str.
    ///     TextError: The text is empty, only blanks, or holds no token.
    ///     EmbedderError: Its vector has no direction.
    fn embed_one<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let text = batch::read(text, self.rules(), None)?;
        let vector = self.vector(py, &text)?;
        Fresh(vector).writable(py)
    }

    /// Embed a conversation: the mean of the vectors of two turns, brought to length 1.
    ///
    /// Where one turn holds no token, its vector is that of the other; where the two cancel, that
    /// of the last.
    ///
    /// Args:
    ///     first: The first turn.
    ///     last: The last turn.
    ///
    /// Returns:
    ///     float32 of shape (dim,) and length 1.
    ///
    /// Raises:
    ///     TextError: Neither turn holds a token.
    ///     TypeError: As in `embed_one`, like all that it raises.
    fn embed_turns<'py>(
        &self,
        py: Python<'py>,
        first: &Bound<'py, PyAny>,
        last: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Fresh(self.vector_of_turns(py, first, last)?).writable(py)
    }

    /// Embed many texts.
    ///
    /// Args:
    ///     texts: The texts.
    ///     indices: The number of each text in messages; by default its index.
    ///     threads: Number of threads, from 1; the vectors do not depend on it.
    ///     progress: Called after some texts with their number.
    ///
    /// Returns:
    ///     float32 of shape (len(texts), dim), each row to the bit that of `embed_one`.
    ///
    /// Raises:
    ///     TypeError: A text is not a str.
    ///     TextError: As in `embed_one`, with the number of the first such text.
    ///     EmbedderError: As in `embed_one`, with the number of the text.
    #[pyo3(signature = (texts, *, indices=None, threads=NonZeroUsize::MIN, progress=None),
        text_signature = "($self, texts, *, indices=None, threads=1, progress=None)")]
    fn embed_many<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        indices: Option<&Bound<'py, PyAny>>,
        threads: NonZeroUsize,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let objects = batch::objects(texts)?;
        let index = |at| number(indices, at);
        let (texts, no_text) = batch::texts(&objects, self.rules(), index);
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let mut matrix = vec![0.0; texts.len() * self.inner.dim()];
        let watch = Watch::new(progress);
        let embedded = py.detach(|| {
            let go_on = |done| watch.go_on(done);
            self.inner.embed_many(&texts, threads, &mut matrix, go_on)
        });
        watch.finish(py, embedded.is_ok() && no_text.is_none())?;
        embedded.map_err(|(at, error)| self.raise(error, Some(index(at))))?;
        if let Some(error) = no_text {
            return Err(error);
        }
        let shape = [texts.len(), self.inner.dim()];
        Fresh(matrix).writable_matrix(py, shape)
    }

    /// Decide for a text.
    ///
    /// Args:
    ///     artifact: The artifact that decides.
    ///     text: As in `embed_one`.
    ///     **options: See `hypernova.RouteOptions`.
    ///
    /// Returns:
    ///     The decision: that of ``artifact.decide`` for the text's vector.
    ///
    /// Raises:
    ///     TypeError: As in `embed_one`, like the next two.
    ///     TextError: The text is empty, only blanks, or holds no token.
    ///     EmbedderError: Its vector has no direction.
    ///     VectorError: As in `Artifact.decide`, like all that follow.
    ///     UnknownModelError: An option names a model that the artifact does not hold.
    ///     NoCandidateError: The limits leave no model.
    ///     NovelPromptError: The text is novel, and ``on_novel`` is ``"error"``.
    ///     PolicyError: An option is out of range.
    #[pyo3(signature = (artifact, text, **options))]
    fn route(
        &self,
        py: Python<'_>,
        artifact: &Artifact,
        text: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Decision> {
        let text = batch::read(text, self.rules(), None)?;
        let vector = self.vector(py, &text)?;
        let options = artifact.options("LookupEmbedder.route", options)?;
        artifact.decide_owned(py, vector.into(), options)
    }

    /// Decide for a conversation, by the vector of `embed_turns`.
    ///
    /// Args:
    ///     artifact: As in `route`.
    ///     first: The first turn.
    ///     last: The last turn.
    ///     **options: See `hypernova.RouteOptions`.
    ///
    /// Raises:
    ///     TextError: Neither turn holds a token.
    ///     TypeError: As in `route`, like all that it raises.
    #[pyo3(signature = (artifact, first, last, **options))]
    fn route_turns(
        &self,
        py: Python<'_>,
        artifact: &Artifact,
        first: &Bound<'_, PyAny>,
        last: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Decision> {
        let vector = self.vector_of_turns(py, first, last)?;
        let options = artifact.options("LookupEmbedder.route_turns", options)?;
        artifact.decide_owned(py, vector.into(), options)
    }

    /// Decide for each of many texts.
    ///
    /// Args:
    ///     artifact: As in `route`.
    ///     texts: The texts.
    ///     threads: Number of threads, from 1; the decisions do not depend on it.
    ///     **options: See `hypernova.BatchRouteOptions`.
    ///
    /// Returns:
    ///     The decisions, those of ``artifact.decide_many`` for the vectors, in the order of
    ///     ``texts``.
    ///
    /// Raises:
    ///     TypeError: As in `route`, with the number of the text.
    ///     TextError: As in `route`, with the number of the first such text.
    ///     EmbedderError: As in `route`, with the number of the text.
    ///     VectorError: As in `Artifact.decide_many`, like all that it raises.
    #[pyo3(signature = (artifact, texts, *, threads=NonZeroUsize::MIN, **options),
        text_signature = "($self, artifact, texts, *, threads=1, **options)")]
    fn route_many<'py>(
        &self,
        py: Python<'py>,
        artifact: &Artifact,
        texts: &Bound<'py, PyAny>,
        threads: NonZeroUsize,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let objects = batch::objects(texts)?;
        let (texts, no_text) = batch::texts(&objects, self.rules(), |at| at);
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let inner = artifact.core();
        let stated = facts_by_row(options, inner, objects.len()).and_then(|facts| {
            let options = artifact.options("LookupEmbedder.route_many", options)?;
            Ok((facts, options))
        });
        let watch = Watch::new(None);
        let go_on = |done| watch.go_on(done);
        // What is wrong with a text goes before what is wrong with an option.
        let (Ok((facts, options)), None) = (&stated, &no_text) else {
            let mut matrix = vec![0.0; texts.len() * self.inner.dim()];
            let embedded =
                py.detach(|| (self.inner).embed_many(&texts, threads, &mut matrix, go_on));
            watch.finish(py, false)?;
            embedded.map_err(|(at, error)| self.raise(error, Some(at)))?;
            return Err(no_text.or(stated.err()).unwrap_or_else(|| unreachable!()));
        };
        let routed = py.detach(|| {
            let facts = facts.as_deref();
            route_many(inner, &self.inner, &texts, options, facts, threads, go_on)
        });
        watch.finish(py, routed.is_ok())?;
        let routed = routed.map_err(|error| match error {
            RouteError::Text(at, error) => self.raise(error, Some(at)),
            RouteError::Decision(error) => raise(error),
        })?;
        let decision = |(decided, vector)| {
            let decision = Decision::new(inner, decided, Arc::clone(options), vector);
            Bound::new(py, decision)
        };
        PyList::new(
            py,
            routed
                .into_iter()
                .map(decision)
                .collect::<PyResult<Vec<_>>>()?,
        )
    }

    /// Give the tokens of a text, and those of its lead.
    ///
    /// Args:
    ///     text: As in `embed_one`.
    ///
    /// Returns:
    ///     Token ids; and those of the lead, or None where it does not count.
    ///
    /// Raises:
    ///     TypeError: As in `embed_one`, like the next.
    ///     TextError: The text is empty, only blanks, or holds no token.
    fn tokens(
        &self,
        py: Python<'_>,
        text: &Bound<'_, PyAny>,
    ) -> PyResult<(Vec<u32>, Option<Vec<u32>>)> {
        let text = batch::read(text, self.rules(), None)?;
        py.detach(|| self.inner.tokens(&text))
            .map_err(|error| self.raise(error, None))
    }

    /// Give a key that two texts share if, and only if, they have the same tokens.
    ///
    /// Args:
    ///     text: As in `embed_one`.
    ///
    /// Returns:
    ///     32 bytes: a sha256 of the tokens of the text and of its lead.
    ///
    /// Raises:
    ///     TypeError: As in `embed_one`, like the next.
    ///     TextError: The text is empty, only blanks, or holds no token.
    fn key_of<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let text = batch::read(text, self.rules(), None)?;
        let key = py.detach(|| self.inner.key_of(&text));
        Ok(PyBytes::new(py, &key.map_err(|e| self.raise(e, None))?))
    }
}

impl LookupEmbedder {
    fn rules(&self) -> &ReadingRules {
        &self.inner.settings().reading
    }

    fn vector_of_turns(
        &self,
        py: Python<'_>,
        first: &Bound<'_, PyAny>,
        last: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<f32>> {
        let (first, last) = (
            batch::read(first, self.rules(), None)?,
            batch::read(last, self.rules(), None)?,
        );
        let mut vector = vec![0.0; self.inner.dim()];
        py.detach(|| self.inner.embed_turns(&first, &last, &mut vector))
            .map_err(|error| self.raise(error, None))?;
        Ok(vector)
    }

    fn vector(&self, py: Python<'_>, text: &str) -> PyResult<Vec<f32>> {
        let mut vector = vec![0.0; self.inner.dim()];
        if text.len() > FREE_ABOVE {
            py.detach(|| self.inner.embed(text, &mut vector))
        } else {
            self.inner.embed(text, &mut vector)
        }
        .map_err(|error| self.raise(error, None))?;
        Ok(vector)
    }

    /// The exception for a text, by its number among several.
    fn raise(&self, error: TextError, index: Option<usize>) -> PyErr {
        let label = batch::label(index);
        let of_model = || {
            let text = index.map_or_else(String::new, |_| format!("{label}: "));
            format!("{text}{}", self.names.model)
        };
        match error {
            TextError::Empty => errors::TextError::new_err(format!(
                "{label} is empty: expected at least one visible character"
            )),
            TextError::NoToken => errors::TextError::new_err(format!(
                "{label} holds no token that {} knows of",
                self.names.embedder
            )),
            TextError::NoDirection { length } => errors::EmbedderError::new_err(format!(
                "{}: a vector has length {}, expected a finite length above 0",
                of_model(),
                shown(length)
            )),
            TextError::NotUnit { length } => errors::EmbedderError::new_err(format!(
                "{}: vectors have length {length:.6} to {length:.6}, expected 1; set normalize to \
                 true in embedder.json",
                of_model()
            )),
            TextError::Cancelled => errors::EmbedderError::new_err(format!(
                "{}: the vector of {} and {} times that of its lead add up to 0",
                self.names.model,
                index.map_or_else(|| "a text".into(), |_| label.clone()),
                self.names.lead_weight
            )),
            _ => errors::EmbedderError::new_err(format!("{}: no row for a token", of_model())),
        }
    }
}

/// The number of a text in messages.
fn number(indices: Option<&Bound<'_, PyAny>>, at: usize) -> usize {
    indices.map_or(at, |indices| {
        let index = indices.get_item(at).and_then(|index| index.extract());
        index.unwrap_or(at)
    })
}

/// A length as Python writes a float.
fn shown(length: f32) -> String {
    if length.is_nan() {
        return "nan".into();
    }
    format!("{length:?}")
}

fn required<'py>(settings: &Bound<'py, PyDict>, field: &str) -> PyResult<Bound<'py, PyAny>> {
    let value = settings.get_item(field)?;
    value.ok_or_else(|| PyKeyError::new_err(field.to_owned()))
}

fn optional<'py>(
    settings: &Bound<'py, PyDict>,
    field: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(settings.get_item(field)?.filter(|value| !value.is_none()))
}

fn settings_of(fields: &Bound<'_, PyDict>) -> PyResult<EmbedderSettings> {
    let lead_weight = required(fields, "lead_weight")?.extract()?;
    let max_tokens = optional(fields, "max_tokens")?.map(|value| value.extract());
    let tail_tokens = optional(fields, "tail_tokens")?.map(|value| value.extract());
    let prompt = optional(fields, "prompt")?.map(|value| value.extract());
    let courtesy = optional(fields, "skip_courtesy")?.map(|value| value.is_truthy());
    Ok(EmbedderSettings {
        reading: ReadingRules {
            head_chars: required(fields, "head_chars")?.extract()?,
            tail_chars: required(fields, "tail_chars")?.extract()?,
            lead_chars: required(fields, "lead_chars")?.extract()?,
            has_lead: lead_weight != 0.0,
            skip_courtesy: courtesy.transpose()?.unwrap_or_default(),
        },
        lead_weight,
        prompt: prompt.transpose()?.unwrap_or_default(),
        special_tokens: required(fields, "special_tokens")?.extract()?,
        max_tokens: max_tokens.transpose()?,
        tail_tokens: tail_tokens.transpose()?.unwrap_or_default(),
        dim: required(fields, "dim")?.extract()?,
        normalize: required(fields, "normalize")?.extract()?,
    })
}
