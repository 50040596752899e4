//! Characters that show nothing, and texts of them alone.
