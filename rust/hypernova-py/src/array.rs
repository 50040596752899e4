//! Arrays in and out. A wrong dtype, shape or stride is refused, never guessed at.
//!
//! Not here: the rules for the values of an array, which the core knows.

#![expect(unsafe_code, reason = "arrays are read where NumPy keeps them")]

use std::ops::Deref;

use numpy::{PyArray1, PyArrayMethods as _};
use pyo3::buffer::{Element, PyBuffer};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::errors::VectorError;

/// Set when NumPy's C interface has been found.
static NUMPY: PyOnceLock<()> = PyOnceLock::new();

/// Import NumPy and find its C interface, for the first array of the process. A program that
/// routes texts has none, and is spared NumPy's import.
fn load_numpy(py: Python<'_>) -> PyResult<()> {
    let load = || {
        // The `numpy` crate would do both, and panic at an exception: that of a NumPy that is
        // missing, or of a signal.
        py.import(intern!(py, "numpy"))?
            .getattr(intern!(py, "ndarray"))?;
        drop(PyArray1::<f32>::zeros(py, 0, false));
        Ok(())
    };
    NUMPY.get_or_try_init(py, load).copied()
}

/// Whether an object may be an array of NumPy: whether anybody has imported NumPy.
fn may_be_array(py: Python<'_>) -> PyResult<bool> {
    if NUMPY.get(py).is_some() {
        return Ok(true);
    }
    let modules = py
        .import(intern!(py, "sys"))?
        .getattr(intern!(py, "modules"))?;
    if !modules.contains(intern!(py, "numpy"))? {
        return Ok(false);
    }
    load_numpy(py).map(|()| true)
}

/// Describe an argument: `float64 (3, 4)`, or the type of an object that is no array.
fn found(object: &Bound<'_, PyAny>) -> String {
    let dtype = object.getattr("dtype").and_then(|d| d.str());
    let shape = object.getattr("shape").and_then(|s| s.str());
    match (dtype, shape) {
        (Ok(dtype), Ok(shape)) => format!("an array of {dtype}, shape {shape}"),
        _ => object
            .get_type()
            .name()
            .map_or_else(|_| "another object".into(), |name| name.to_string()),
    }
}

fn refuse(name: &str, expected: &str, object: &Bound<'_, PyAny>) -> PyErr {
    VectorError::new_err(format!(
        "{name}: expected {expected}, got {}",
        found(object)
    ))
}

/// A buffer of the right type, number of dimensions and layout.
fn buffer<T: Element>(
    name: &str,
    expected: &str,
    object: &Bound<'_, PyAny>,
    ndim: Option<usize>,
) -> PyResult<PyBuffer<T>> {
    let buffer = PyBuffer::<T>::get(object).map_err(|_| {
        let aligned = object.getattr("flags").and_then(|f| f.getattr("aligned"));
        if aligned.is_ok_and(|a| a.is_truthy().is_ok_and(|aligned| !aligned)) {
            return VectorError::new_err(format!(
                "{name}: expected {expected}, got one that is not aligned; pass a copy of it"
            ));
        }
        refuse(name, expected, object)
    })?;
    // PyO3 takes any byte order for the native one.
    let swapped: &[u8] = if cfg!(target_endian = "little") {
        b">!"
    } else {
        b"<"
    };
    if buffer
        .format()
        .to_bytes()
        .first()
        .is_some_and(|b| swapped.contains(b))
    {
        return Err(refuse(name, expected, object));
    }
    if ndim.is_some_and(|n| n != buffer.dimensions()) {
        return Err(refuse(name, expected, object));
    }
    if !buffer.is_c_contiguous() {
        return Err(VectorError::new_err(format!(
            "{name}: expected {expected}, got strides {:?}; pass numpy.ascontiguousarray({name})",
            buffer.strides()
        )));
    }
    Ok(buffer)
}

/// Values of a vector. A copy of an array starts at a cache line, so that no load of a kernel crosses
/// one.
pub(crate) struct Vector {
    values: Vec<f32>,
    start: usize,
}

impl Vector {
    fn copied(values: &[f32]) -> Self {
        const LINE: usize = 64;
        let room = LINE / size_of::<f32>() - 1;
        let mut copy = Vec::<f32>::with_capacity(values.len() + room);
        let start = copy.as_ptr().align_offset(LINE).min(room);
        copy.resize(start, 0.0);
        copy.extend_from_slice(values);
        Self {
            values: copy,
            start,
        }
    }
}

impl From<Vec<f32>> for Vector {
    fn from(values: Vec<f32>) -> Self {
        Self { values, start: 0 }
    }
}

impl Deref for Vector {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.start..]
    }
}

/// A copy of a float32 vector. The core checks its dimension and values.
pub(crate) fn vector_f32(object: &Bound<'_, PyAny>, dim: usize) -> PyResult<Vector> {
    // The usual case, in 60 ns less than by the buffer protocol.
    if may_be_array(object.py())?
        && let Ok(array) = object.cast::<PyArray1<f32>>()
        && array.data().is_aligned()
    {
        // SAFETY: the values are copied at once, while the GIL is held; the array is
        // aligned, and one that is not contiguous is refused.
        if let Ok(values) = unsafe { array.as_slice() } {
            return Ok(Vector::copied(values));
        }
    }
    let expected = || format!("a contiguous float32 array of shape ({dim},)");
    let buffer = match buffer::<f32>("vector", "", object, Some(1)) {
        Ok(buffer) => buffer,
        Err(_) => buffer::<f32>("vector", &expected(), object, Some(1))?,
    };
    buffer.to_vec(object.py()).map(Vector::from)
}

/// A copy of a float32 matrix of `dim` columns. The core checks its values.
pub(crate) fn matrix_f32(object: &Bound<'_, PyAny>, dim: usize) -> PyResult<Vec<f32>> {
    Matrix::new(object, dim)?.0.to_vec(object.py())
}

/// A float32 matrix that can be read while the GIL is released.
pub(crate) struct Matrix(PyBuffer<f32>);

impl Matrix {
    /// Refuse all but a contiguous float32 matrix of `dim` columns.
    pub(crate) fn new(object: &Bound<'_, PyAny>, dim: usize) -> PyResult<Self> {
        let expected = format!("a contiguous float32 array of shape (n, {dim})");
        let buffer = buffer::<f32>("matrix", &expected, object, Some(2))?;
        if buffer.shape()[1] != dim {
            return Err(refuse("matrix", &expected, object));
        }
        Ok(Self(buffer))
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.0.item_count()
    }

    /// Copy the values from `start` on, as many as `into` takes.
    ///
    /// Another thread may write to the array meanwhile. Then the copy holds some old and some new
    /// values, each of them whole: the caller must accept any values, and read those of the copy
    /// alone.
    pub(crate) fn copy(&self, start: usize, into: &mut [f32]) {
        assert!(
            start
                .checked_add(into.len())
                .is_some_and(|end| end <= self.len())
        );
        let first = self.0.buf_ptr().cast::<f32>();
        // SAFETY: the buffer is C-contiguous and aligned, it is kept alive and in place
        // by the export that `self` holds, and the range was checked.
        unsafe { copy_shared(first.add(start), into) };
    }
}

/// Copy words that others may write to meanwhile: each is read whole.
///
/// Holding the GIL would not keep writers out, for loops of `numpy` run without it; and taking it
/// back for each piece of a matrix can last as long as another thread computes. An ordinary copy
/// would be a data race. The compiler assumes nothing about the instruction here, which `memcpy`
/// itself uses for pieces of 6 KB: both take 71 ns; atomic loads, which the compiler does not
/// vectorise, took 355.
///
/// # Safety
///
/// `from` is aligned, and as many values as `into` has can be read from it.
unsafe fn copy_shared(from: *const f32, into: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads what the caller vouches for, and writes all of `into` and nothing else.
    // The direction flag is clear, as it is wherever Rust runs.
    unsafe {
        std::arch::asm!(
            "rep movsd",
            inout("rcx") into.len() => _,
            inout("rsi") from => _,
            inout("rdi") into.as_mut_ptr() => _,
            options(nostack, preserves_flags)
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        use std::sync::atomic::{AtomicU32, Ordering};
        // SAFETY: the caller vouches for the values, and an atomic integer may be read while
        // another thread writes it.
        let words = unsafe { std::slice::from_raw_parts(from.cast::<AtomicU32>(), into.len()) };
        for (value, word) in into.iter_mut().zip(words) {
            *value = f32::from_bits(word.load(Ordering::Relaxed));
        }
    }
}

/// A copy of all numbers of an array of any shape. The core checks their number.
pub(crate) fn numbers<T: Element>(name: &str, object: &Bound<'_, PyAny>) -> PyResult<Vec<T>> {
    let expected = format!("a contiguous float{} array", 8 * size_of::<T>());
    buffer::<T>(name, &expected, object, None)?.to_vec(object.py())
}

/// Rows and columns of an array of two dimensions.
pub(crate) fn shape2(name: &str, object: &Bound<'_, PyAny>) -> PyResult<(usize, usize)> {
    let expected = "a contiguous float32 array of two dimensions";
    let buffer = buffer::<f32>(name, expected, object, Some(2))?;
    Ok((buffer.shape()[0], buffer.shape()[1]))
}

/// Values that become an array without another copy.
pub(crate) struct Fresh<T>(pub(crate) Vec<T>);

impl<T: numpy::Element> Fresh<T> {
    /// An array that its caller may write to: nothing else refers to its values.
    pub(crate) fn writable(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        load_numpy(py)?;
        Ok(PyArray1::from_vec(py, self.0).into_any())
    }

    /// As [`Self::writable`], of two dimensions.
    pub(crate) fn writable_matrix(
        self,
        py: Python<'_>,
        shape: [usize; 2],
    ) -> PyResult<Bound<'_, PyAny>> {
        load_numpy(py)?;
        Ok(PyArray1::from_vec(py, self.0).reshape(shape)?.into_any())
    }

    pub(crate) fn flat(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        read_only(self.writable(py)?)
    }

    pub(crate) fn shaped(self, py: Python<'_>, shape: [usize; 2]) -> PyResult<Bound<'_, PyAny>> {
        read_only(self.writable_matrix(py, shape)?)
    }
}

fn read_only(array: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    array.call_method1("setflags", (false,))?;
    Ok(array)
}
