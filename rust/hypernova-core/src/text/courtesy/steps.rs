//! The number of bytes that the rules look at, which a test holds to be linear.
//!
//! Not here: time. Nothing is counted but in this crate's own tests.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Add a number of bytes.
#[inline]
pub(super) fn add(n: usize) {
    #[cfg(test)]
    STEPS.with(|steps| steps.set(steps.get() + n));
    #[cfg(not(test))]
    let _ = n;
}

/// Return the number of bytes since the last call.
#[cfg(test)]
pub(super) fn take() -> usize {
    STEPS.take()
}
