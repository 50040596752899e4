//! What of a text is tokenised: after the cut, without courtesies, and its lead.
