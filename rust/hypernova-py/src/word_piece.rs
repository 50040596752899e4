//! The class `WordPieceTokenizer`: read from JSON, and asked for the tokens of texts.
//!
//! Not here: a tokenizer of any other kind.

use std::sync::Arc;

use hypernova_core::text::word_piece as core;
use pyo3::prelude::*;

use crate::array::Fresh;
use crate::errors::raise;

/// Bytes of a text above which the GIL is released: some 20 us.
const FREE_ABOVE: usize = 4_096;

/// BERT's tokenizer, equal to the package tokenizers. Safe to share among threads.
///
/// Example:
///     >>> from pathlib import Path
///     >>> import hypernova
///     >>> from hypernova._core import WordPieceTokenizer
///     >>> folder = Path(hypernova.__file__).parent / "bundled" / "static"
///     >>> tokenizer = WordPieceTokenizer.from_json((folder / "tokenizer.json").read_bytes())
///     >>> tokenizer.encode("Hello, world").tolist()
///     [7592, 1010, 2088]
#[pyclass(frozen, weakref, module = "hypernova._core")]
pub(crate) struct WordPieceTokenizer(pub(crate) Arc<core::WordPieceTokenizer>);

#[pymethods]
impl WordPieceTokenizer {
    /// Read a ``tokenizer.json``.
    ///
    /// Args:
    ///     data: Bytes of the file.
    ///
    /// Returns:
    ///     The tokenizer; None if it is of another kind, or has a part that only the package
    ///     tokenizers knows.
    ///
    /// Raises:
    ///     EmbedderError: The bytes are no tokenizer.
    ///
    /// Example:
    ///     >>> from hypernova._core import WordPieceTokenizer
    ///     >>> WordPieceTokenizer.from_json(b'{"model": {"type": "BPE"}}') is None
    ///     True
    #[staticmethod]
    fn from_json(py: Python<'_>, data: &[u8]) -> PyResult<Option<Self>> {
        let read = py.detach(|| core::WordPieceTokenizer::from_json(data));
        Ok(read
            .map_err(raise)?
            .map(|tokenizer| Self(Arc::new(tokenizer))))
    }

    /// Return the token ids of a text.
    ///
    /// Args:
    ///     text: Any text without lone surrogates.
    ///     limit: Number of tokens that are kept, without special ones, and how many of them are
    ///         the last of the text; the others are the first. None keeps all.
    ///     special: Whether the special tokens of the tokenizer are put around the text.
    ///
    /// Returns:
    ///     Token ids, int64 (tokens,); read-only.
    ///
    /// Raises:
    ///     UnicodeEncodeError: The text holds a lone surrogate.
    ///
    /// Example:
    ///     >>> from pathlib import Path
    ///     >>> import hypernova
    ///     >>> from hypernova._core import WordPieceTokenizer
    ///     >>> folder = Path(hypernova.__file__).parent / "bundled" / "minilm"
    ///     >>> tokenizer = WordPieceTokenizer.from_json((folder / "tokenizer.json").read_bytes())
    ///     >>> tokenizer.encode("one two three four", limit=(3, 1), special=True).tolist()
    ///     [101, 2028, 2048, 2176, 102]
    #[pyo3(signature = (text, limit=None, *, special=false))]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        text: &str,
        limit: Option<(usize, usize)>,
        special: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let encode = || {
            let (before, after) = self.0.special_tokens();
            let mut tokens = if special { before } else { Vec::new() };
            self.0.encode_into(text, limit, &mut tokens);
            if special {
                tokens.extend(after);
            }
            tokens.into_iter().map(i64::from).collect()
        };
        let tokens: Vec<i64> = if text.len() > FREE_ABOVE {
            py.detach(encode)
        } else {
            encode()
        };
        Fresh(tokens).flat(py)
    }

    /// Number of words and added tokens.
    #[getter]
    fn vocabulary(&self) -> usize {
        self.0.vocabulary()
    }

    /// The highest token id; None if there is none.
    #[getter]
    fn max_token(&self) -> Option<u32> {
        self.0.max_token()
    }

    /// Special tokens before and after a text.
    #[getter]
    fn special_tokens(&self) -> (Vec<u32>, Vec<u32>) {
        self.0.special_tokens()
    }
}
