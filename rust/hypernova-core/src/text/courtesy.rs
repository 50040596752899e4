//! The parts of a text that say nothing of its task.
