//! The cut of a long text to its beginning and its end.
